//! Pure state machines for failure: backoff, circuit breaker, token bucket, restart window. Time and randomness are arguments.
#![forbid(unsafe_code)]

mod backoff;
mod bucket;
mod circuit;
pub mod duration;
mod window;

pub use backoff::Backoff;
pub use bucket::TokenBucket;
pub use circuit::{Circuit, CircuitState};
pub use window::Window;
