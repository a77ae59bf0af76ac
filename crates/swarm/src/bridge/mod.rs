//! Bridges to stock protocols: build, apply a command, translate an event. A bridge never decides.

pub(crate) mod kad;
pub(crate) mod scope;
