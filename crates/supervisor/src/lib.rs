//! Supervision: child specifications, restart policy, ordered shutdown and an event stream.
//!
//! A [`Tree`] is built from the bottom up: each child gets ports to the children declared before it, so no ring of
//! waiting actors can form. Once started it restarts what fails; when a child fails more often than its intensity
//! allows, the root gives up: everything is stopped in order and [`Supervisor::finished`] says why.
//!
//! | term | meaning |
//! |---|---|
//! | [`Restart`] | permanent: always; transient: after a failure; temporary: never |
//! | [`Strategy`] | one-for-one: only the child; rest-for-one: the child and those declared after it |
//! | intensity | at most `max_restarts` in `window` for each child |
//! | backoff | first restart at once, then exponential with jitter, forgotten after `reset_after` of good life |
#![forbid(unsafe_code)]

mod event;
mod run;
mod spec;
mod tree;

pub use event::{ChildStatus, Event, EventKind, Finished, ShutdownReport};
pub use spec::{Policy, Restart, Spec, Strategy};
pub use tree::{StartError, Supervisor, Tree, UnknownChild, Wire};
