//! Why a call got no answer, told so that the caller knows whether its message ran.

/// Why a call through a [`crate::Port`] or [`crate::Child`] failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The mailbox stayed full until the deadline; the message was never sent.
    #[error("overloaded: the mailbox stayed full until the deadline")]
    Overloaded,
    /// The deadline passed. With `started: false` the message was taken back and will never run.
    #[error("timeout: {}", if *.started { "the message had begun, its outcome is unknown" } else { "the message never began and never will" })]
    Timeout {
        /// Whether a handler had begun.
        started: bool,
    },
    /// The handler had begun when its actor crashed; what it did is unknown.
    #[error("the actor crashed while handling this message (incarnation {incarnation})")]
    Crashed {
        /// The incarnation that had begun the message.
        incarnation: u64,
    },
    /// The actor is stopped for good; the message never ran.
    #[error("stopped")]
    Stopped,
}
