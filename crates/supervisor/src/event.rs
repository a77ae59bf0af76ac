//! What happens in a tree, as others see it.

use serde::Serialize;
use std::time::Duration;

/// One thing that happened to a child.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Numbered from 1 without gaps; a subscriber that misses numbers has lagged.
    pub seq: u64,
    /// Seconds since the tree started.
    pub at: f64,
    /// Which child.
    pub child: String,
    /// Its incarnation.
    pub incarnation: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened to a child.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// It runs.
    Started,
    /// It is no longer running.
    Exited {
        /// In one sentence.
        reason: String,
        /// Type of the message it was handling, if it panicked.
        message_type: Option<&'static str>,
        /// The tracing span it was in.
        span: Option<&'static str>,
        /// Where the panic came from.
        backtrace: Option<String>,
    },
    /// It will be started again after a delay.
    RestartScheduled {
        /// The delay in milliseconds.
        delay_ms: u64,
    },
    /// It is stopped for good.
    Stopped,
    /// It did not stop within its limit and was left behind.
    Abandoned,
    /// It failed more often than its intensity allows: the root gives up.
    GaveUp,
}

/// What is known of a child now.
#[derive(Debug, Clone, Serialize)]
pub struct ChildStatus {
    /// Its name.
    pub name: String,
    /// `new`, `up`, `down` or `stopped`.
    pub state: String,
    /// Which incarnation runs; 1 is the first.
    pub incarnation: u64,
    /// Starts after the first.
    pub restarts: u64,
    /// Messages waiting.
    pub mailbox: usize,
    /// Messages that may wait.
    pub mailbox_limit: usize,
    /// Messages begun so far.
    pub handled: u64,
    /// Panics so far.
    pub panics: u64,
    /// Why it exited last.
    pub last_exit: Option<String>,
}

/// How a tree ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// It was asked to stop.
    Stopped,
    /// A child failed too often.
    GaveUp {
        /// Which child and why, in one sentence.
        reason: String,
    },
}

/// How a shutdown went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Children that did not stop within their limit.
    pub abandoned: Vec<String>,
    /// How long it took.
    pub took: Duration,
}
