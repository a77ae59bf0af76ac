//! The mechanism: actors whose mailbox survives a panic, ports, topics, reply tokens and lanes.
//!
//! Built on the public parts of `actix::dev`. The one place in the workspace that touches them.
//!
//! | part | what it is for |
//! |---|---|
//! | [`Service`], [`Ctx`] | an actor and its context: message budget per poll, span and deadline from the envelope, commits |
//! | [`Cell`] | polls an actor under `catch_unwind`; restarts it in place, so mailbox and addresses survive |
//! | [`Child`] | the stable typed handle of one actor: calls that say whether a lost message ever began |
//! | [`Port`] | names a message, not an actor: what other crates hold |
//! | [`Topic`] | events to many, bounded; a gap is announced as [`Heard::Resync`] |
//! | [`Reply`], [`Later`] | answers that take longer than one poll |
//! | [`Lane`] | a thread with a `LocalSet`; no `actix::System` anywhere |
//!
//! ```
//! use ipfrs_actor::{service, Actor, Child, ChildSpec, Ctx, Handler, Kept, Message, MessageResult, Service};
//!
//! #[derive(Message)]
//! #[rtype(result = "u64")]
//! struct Add(u64);
//!
//! #[derive(Default)]
//! struct Sum(u64);
//! impl Kept for Sum {
//!     type Delta = u64;
//!     fn apply(&mut self, by: u64) { self.0 += by }
//! }
//!
//! struct Counter(u64);
//! impl Actor for Counter { type Context = Ctx<Self>; }
//! impl Service for Counter {
//!     type Args = ();
//!     type Kept = Sum;
//!     fn build(_: &(), kept: &Sum) -> Self { Counter(kept.0) }
//! }
//! service!(Counter);
//! impl Handler<Add> for Counter {
//!     type Result = MessageResult<Add>;
//!     fn handle(&mut self, Add(by): Add, ctx: &mut Ctx<Self>) -> Self::Result {
//!         self.0 += by;
//!         ctx.commit(by); // outside the actor before the reply leaves
//!         MessageResult(self.0)
//!     }
//! }
//! # let _ = Child::<Counter>::new(ChildSpec::new("counter"), ());
//! ```
#![deny(unsafe_code)]

#[cfg(not(panic = "unwind"))]
compile_error!(
    "ipfrs catches panics to restart actors: set panic = \"unwind\" in your profile (abort ends the process)"
);

mod cell;
mod child;
mod context;
mod error;
mod fault;
mod lane;
mod node;
mod panic;
mod port;
mod reply;
mod service;
mod topic;

pub use actix::{Actor, Handler, Message, MessageResult};
pub use cell::{Cell, CellControl, ExitReason, Exited};
pub use child::{Child, ChildSpec, ChildState, Vitals};
pub use context::Ctx;
pub use error::CallError;
pub use fault::{Fault, ParseFaultError};
pub use lane::{Lane, Lanes};
pub use node::{current_node, enter_node};
pub use panic::{PanicReport, guard as catch_panic};
pub use port::Port;
pub use reply::{Later, Reply};
pub use service::{Exec, Hears, Kept, Service};
pub use topic::{Heard, Subscription, Topic};

/// What the [`service!`] macro refers to; not for direct use.
#[doc(hidden)]
pub mod __private {
    pub use actix::{Handler, Supervised};
    pub use metrics;
}
