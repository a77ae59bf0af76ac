//! Pure state machines for failure: backoff, circuit breaker, restart window. Time and randomness are arguments.
#![forbid(unsafe_code)]

mod backoff;
mod circuit;
pub mod duration;
mod window;

pub use backoff::Backoff;
pub use circuit::{Circuit, CircuitState};
pub use window::Window;
