//! Ports: the only way actors talk. A port names a message, not an actor, so crates need not know each other.

use crate::{CallError, Child, Service};
use actix::{Handler, Message};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

type Answer<M> = Pin<Box<dyn Future<Output = Result<<M as Message>::Result, CallError>> + Send>>;

trait Target<M: Message>: Send + Sync {
    fn name(&self) -> &'static str;
    fn call(&self, message: M, deadline: Duration) -> Answer<M>;
    fn cast(&self, message: M) -> Result<(), CallError>;
}

impl<A, M> Target<M> for Child<A>
where
    A: Service + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send + 'static,
{
    fn name(&self) -> &'static str {
        self.vitals().name()
    }
    fn call(&self, message: M, deadline: Duration) -> Answer<M> {
        let child = self.clone();
        Box::pin(async move { Child::call(&child, message, deadline).await })
    }
    fn cast(&self, message: M) -> Result<(), CallError> {
        Child::cast(self, message)
    }
}

/// Sends messages of one type to whoever handles them. Survives restarts of the handler; bounded by its mailbox.
pub struct Port<M: Message>(Arc<dyn Target<M>>);

impl<M: Message> Clone for Port<M> {
    fn clone(&self) -> Self {
        Port(self.0.clone())
    }
}

impl<M> Port<M>
where
    M: Message + Send + 'static,
    M::Result: Send + 'static,
{
    /// A port to `child`.
    pub fn to<A: Service + Handler<M>>(child: &Child<A>) -> Self {
        Port(Arc::new(child.clone()))
    }

    /// Who handles the message.
    pub fn target(&self) -> &'static str {
        self.0.name()
    }

    /// Sends and waits for the answer, at most for `deadline`.
    pub async fn call(&self, message: M, deadline: Duration) -> Result<M::Result, CallError> {
        self.0.call(message, deadline).await
    }

    /// Sends without waiting for an answer; fails at once when the mailbox is full.
    pub fn cast(&self, message: M) -> Result<(), CallError> {
        self.0.cast(message)
    }
}
