//! The library people embed: builder, presets, wiring and typed handles.
