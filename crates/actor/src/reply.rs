//! Reply tokens: answers that take longer than one poll, at a flat cost however many are open.

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Message};
use parking_lot::Mutex;
use std::sync::Arc;

enum Slot<T> {
    /// Neither answered nor connected to the caller yet.
    Empty,
    /// The caller waits.
    Waiting(OneshotSender<T>),
    /// Answered before the handler returned.
    Ready(T),
    /// Nobody waits or the token is gone.
    Over,
}

/// The right to answer one call, from anywhere. Dropping it unanswered tells the caller `Crashed`.
pub struct Reply<T>(Arc<Mutex<Slot<T>>>);

/// What a handler returns when it answers later through a [`Reply`].
pub struct Later<T>(Arc<Mutex<Slot<T>>>);

impl<T> Reply<T> {
    /// A token and what the handler returns for it.
    pub fn new() -> (Self, Later<T>) {
        let slot = Arc::new(Mutex::new(Slot::Empty));
        (Reply(slot.clone()), Later(slot))
    }

    /// A token and a future of its answer, for code that is no handler. `None` when the token was dropped.
    pub fn waiter() -> (Self, impl Future<Output = Option<T>>) {
        let (tx, rx) = tokio::sync::oneshot::channel();
        (Reply(Arc::new(Mutex::new(Slot::Waiting(tx)))), async { rx.await.ok() })
    }

    /// Answers. Outside a handler; inside one use [`crate::Ctx::answer`], which answers after the commits.
    pub fn send(self, value: T) {
        let mut slot = self.0.lock();
        match std::mem::replace(&mut *slot, Slot::Over) {
            Slot::Empty => *slot = Slot::Ready(value),
            Slot::Waiting(tx) => drop(tx.send(value)),
            Slot::Ready(_) | Slot::Over => {}
        }
    }

    /// Whether the caller has given up.
    pub fn is_abandoned(&self) -> bool {
        match &*self.0.lock() {
            Slot::Waiting(tx) => tx.is_closed(),
            Slot::Over => true,
            Slot::Empty | Slot::Ready(_) => false,
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let mut slot = self.0.lock();
        if !matches!(*slot, Slot::Ready(_)) {
            *slot = Slot::Over;
        }
    }
}

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}

impl<A: Actor, M: Message> MessageResponse<A, M> for Later<M::Result> {
    fn handle(self, _: &mut A::Context, tx: Option<OneshotSender<M::Result>>) {
        let mut slot = self.0.lock();
        match (std::mem::replace(&mut *slot, Slot::Over), tx) {
            (Slot::Empty, Some(tx)) => *slot = Slot::Waiting(tx),
            (Slot::Ready(value), Some(tx)) => drop(tx.send(value)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_token_leaves_nobody_waiting() {
        let (token, later) = Reply::<u8>::new();
        assert!(!token.is_abandoned());
        drop(token);
        assert!(matches!(*later.0.lock(), Slot::Over));
    }

    #[test]
    fn an_early_answer_is_kept_for_the_caller() {
        let (token, later) = Reply::new();
        token.send(7u8);
        assert!(matches!(*later.0.lock(), Slot::Ready(7)));
    }
}
