//! What a child is and how often it may fail.

use ipfrs_actor::ChildSpec;
use ipfrs_resilience::Backoff;
use std::sync::Arc;
use std::time::Duration;

/// When a child is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// When it failed, not when it stopped by itself.
    Transient,
    /// Never.
    Temporary,
}

/// Who is started again with a failed child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Nobody else.
    OneForOne,
    /// Every child declared after it, which may depend on it.
    RestForOne,
}

/// One child.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name and mailbox.
    pub child: ChildSpec,
    /// When it is started again.
    pub restart: Restart,
    /// How long it may take to stop before it is left behind.
    pub shutdown: Duration,
}

impl Spec {
    /// A child that is always started again and has two seconds to stop.
    pub fn permanent(name: &'static str) -> Self {
        Spec { child: ChildSpec::new(name), restart: Restart::Permanent, shutdown: Duration::from_secs(2) }
    }

    /// The same with another restart rule.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// The same with another mailbox bound.
    pub fn mailbox(mut self, messages: usize) -> Self {
        self.child.mailbox = messages;
        self
    }

    /// The same, belonging to a node: the label of its metrics.
    pub fn node(mut self, name: Arc<str>) -> Self {
        self.child.node = Some(name);
        self
    }

    /// The same with another limit for stopping.
    pub fn shutdown(mut self, limit: Duration) -> Self {
        self.shutdown = limit;
        self
    }
}

/// How a tree deals with failures.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Who is started again with a failed child.
    pub strategy: Strategy,
    /// Restarts of one child in `window` before the root gives up.
    pub max_restarts: u32,
    /// The window of the intensity.
    pub window: Duration,
    /// Delays of the second and later restarts in a row.
    pub backoff: Backoff,
    /// After this long without a failure the next restart is a first one again.
    pub reset_after: Duration,
}

impl Default for Policy {
    /// One-for-one; 10 restarts in 10 s; 5 ms doubling up to 5 s with half of it jitter; forgotten after 30 s.
    fn default() -> Self {
        Policy {
            strategy: Strategy::OneForOne,
            max_restarts: 10,
            window: Duration::from_secs(10),
            backoff: Backoff::new(Duration::from_millis(5), Duration::from_secs(5), 0.5),
            reset_after: Duration::from_secs(30),
        }
    }
}
