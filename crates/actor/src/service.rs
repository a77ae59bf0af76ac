//! What an actor is: how it is built, what it keeps over a crash, and the one envelope that reaches it.

use crate::{Ctx, Heard};
use actix::dev::{Envelope, EnvelopeProxy, OneshotSender, ToEnvelope};
use actix::{Actor, Handler, Message, Supervised};
use std::convert::Infallible;

/// State that stands outside the actor and survives its crashes.
///
/// A handler commits deltas; they are applied after it returned and before its reply leaves. `apply` must not panic and
/// should cost what the delta costs, not what is kept.
pub trait Kept: Default + Send + 'static {
    /// One change.
    type Delta: Send + 'static;
    /// Makes the change.
    fn apply(&mut self, delta: Self::Delta);
}

impl Kept for () {
    type Delta = Infallible;
    fn apply(&mut self, delta: Infallible) {
        match delta {}
    }
}

/// An actor that can be supervised. Complete it with [`crate::service!`].
pub trait Service: Actor<Context = Ctx<Self>> + Supervised + Handler<Exec<Self>> + Sized {
    /// Configuration and ports, given again to every incarnation.
    type Args: Clone + Send + Sync + 'static;
    /// What survives a crash; `()` when nothing does.
    type Kept: Kept;
    /// Builds an incarnation from what was kept. Never sees the crashed value.
    fn build(args: &Self::Args, kept: &Self::Kept) -> Self;
}

/// An actor that hears a topic it subscribed to with [`Ctx::hear`].
pub trait Hears<E>: Service {
    /// Handles one event or the news that some were missed.
    fn hear(&mut self, heard: Heard<E>, ctx: &mut Ctx<Self>);
}

/// The only message that enters a mailbox: a typed closure made by [`crate::Child`].
pub struct Exec<A: Service>(pub(crate) ExecFn<A>);

pub(crate) type ExecFn<A> = Box<dyn FnOnce(&mut A, &mut Ctx<A>) + Send>;

impl<A: Service> Message for Exec<A> {
    type Result = ();
}

impl<A: Service> Exec<A> {
    /// Runs it; called by the code of [`crate::service!`].
    #[doc(hidden)]
    pub fn run(self, actor: &mut A, ctx: &mut Ctx<A>) {
        (self.0)(actor, ctx)
    }
}

struct Proxy<A: Service>(Option<Exec<A>>);

impl<A: Service> EnvelopeProxy<A> for Proxy<A> {
    fn handle(&mut self, actor: &mut A, ctx: &mut Ctx<A>) {
        ctx.count_message();
        if let Some(exec) = self.0.take() {
            exec.run(actor, ctx);
        }
    }
}

impl<A: Service> ToEnvelope<A, Exec<A>> for Ctx<A> {
    fn pack(exec: Exec<A>, _: Option<OneshotSender<()>>) -> Envelope<A> {
        Envelope::with_proxy(Box::new(Proxy(Some(exec))))
    }
}

/// Implements what every supervised actor needs from actix; once per actor type.
#[macro_export]
macro_rules! service {
    ($actor:ty) => {
        impl $crate::__private::Supervised for $actor {
            fn restarting(&mut self, ctx: &mut $crate::Ctx<$actor>) {
                ctx.rebuild(self)
            }
        }
        impl $crate::__private::Handler<$crate::Exec<$actor>> for $actor {
            type Result = ();
            fn handle(&mut self, exec: $crate::Exec<$actor>, ctx: &mut $crate::Ctx<$actor>) {
                exec.run(self, ctx)
            }
        }
    };
}
