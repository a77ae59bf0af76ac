//! The context of every actor: a message budget per poll, commits before replies, timers and tasks under supervision.

use crate::{Child, Hears, Kept, Port, Reply, Service, Subscription, Topic};
use actix::dev::{AsyncContextParts, ContextParts};
use actix::{
    Actor, ActorContext, ActorFuture, ActorFutureExt, ActorState, Addr, AsyncContext, Handler, Message, SpawnHandle,
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;
use tokio_stream::Stream;

/// Events an actor takes from one topic in a poll, so that a busy topic cannot starve its mailbox.
const HEARD_PER_POLL: usize = 32;

/// What the cell and the context share on one thread.
#[derive(Default)]
pub(crate) struct Pulse {
    /// Messages left in this poll.
    pub(crate) left: Cell<u32>,
    /// What the actor is doing, for the report of a panic.
    pub(crate) doing: Cell<&'static str>,
    pub(crate) waker: RefCell<Option<Waker>>,
}

type Effect<A> = Box<dyn FnOnce(&Child<A>)>;

/// The actix context of a supervised actor.
pub struct Ctx<A: Service> {
    parts: ContextParts<A>,
    child: Child<A>,
    pulse: Rc<Pulse>,
    cancels: HashMap<SpawnHandle, Rc<Cell<bool>>>,
    effects: Vec<Effect<A>>,
    deadline: Option<Instant>,
    /// Set while the cell only clears an exited actor's futures and must not build a new one.
    pub(crate) teardown: bool,
}

impl<A: Service> Ctx<A> {
    pub(crate) fn new(parts: ContextParts<A>, child: Child<A>, pulse: Rc<Pulse>) -> Self {
        Ctx { parts, child, pulse, cancels: HashMap::new(), effects: Vec::new(), deadline: None, teardown: false }
    }

    /// Changes the kept state once the current handler, timer or task has returned and before its reply leaves.
    /// A panic in it discards the change together with the replies given through [`Ctx::answer`].
    pub fn commit(&mut self, delta: <A::Kept as Kept>::Delta) {
        self.effects.push(Box::new(move |child| child.apply(delta)));
    }

    /// Answers a call after the commits made before it.
    pub fn answer<T: 'static>(&mut self, token: Reply<T>, value: T) {
        self.effects.push(Box::new(move |_| token.send(value)));
    }

    /// When the caller of the message being handled stops waiting, if it has a deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Which incarnation this is, from 1.
    pub fn incarnation(&self) -> u64 {
        self.child.vitals().incarnation()
    }

    /// A port to this very actor, for tasks that report back. It survives restarts.
    pub fn me<M>(&self) -> Port<M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send + 'static,
    {
        Port::to(&self.child)
    }

    /// Subscribes to a topic until the actor stops. The first thing heard is `Resync { missed: 0 }`.
    pub fn hear<E: Clone + Send + 'static>(&mut self, topic: &Topic<E>)
    where
        A: Hears<E>,
    {
        self.spawn(Listening(topic.subscribe()));
    }

    /// Runs `f` once after `delay`.
    pub fn after(&mut self, delay: Duration, f: impl FnOnce(&mut A, &mut Ctx<A>) + 'static) {
        self.task(tokio::time::sleep(delay), |(), actor, ctx| {
            ctx.doing("timer");
            f(actor, ctx);
        });
    }

    /// Runs `f` every `period`, the first time after one period. Missed ticks are skipped.
    pub fn every(&mut self, period: Duration, f: impl FnMut(&mut A, &mut Ctx<A>) + 'static) {
        let mut interval = tokio::time::interval_at(Instant::now() + period, period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.spawn(Ticking { interval, f });
    }

    /// Runs a future in the actor's lane and hands its output to the actor. A panic in it is the actor's panic; the
    /// future is dropped when the actor exits.
    pub fn task<F: Future + 'static>(
        &mut self,
        future: F,
        then: impl FnOnce(F::Output, &mut A, &mut Ctx<A>) + 'static,
    ) {
        let done = actix::fut::wrap_future::<_, A>(future).map(move |output, actor: &mut A, ctx: &mut Ctx<A>| {
            ctx.doing("task");
            then(output, actor, ctx);
            ctx.settle();
        });
        self.spawn(done);
    }

    /// Builds a new incarnation in place of a crashed one; called by the code of [`crate::service!`].
    #[doc(hidden)]
    pub fn rebuild(&mut self, actor: &mut A) {
        self.cancels.clear();
        self.effects.clear();
        if !self.teardown {
            *actor = self.child.build();
        }
    }

    pub(crate) fn count_message(&mut self) {
        self.pulse.left.set(self.pulse.left.get().saturating_sub(1));
    }

    pub(crate) fn doing(&self, what: &'static str) {
        self.pulse.doing.set(what);
    }

    pub(crate) fn begun(&self) {
        self.child.vitals().count_handled();
    }

    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Applies what the handler committed and answered, in order.
    pub(crate) fn settle(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            effect(&self.child);
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.pulse.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl<A: Service> ActorContext for Ctx<A> {
    fn stop(&mut self) {
        self.parts.stop();
        self.wake();
    }
    fn terminate(&mut self) {
        self.parts.terminate()
    }
    fn state(&self) -> ActorState {
        self.parts.state()
    }
}

impl<A: Service> AsyncContext<A> for Ctx<A> {
    fn spawn<F: ActorFuture<A, Output = ()> + 'static>(&mut self, future: F) -> SpawnHandle {
        let dead = Rc::new(Cell::new(false));
        let handle = self.parts.spawn(Cancellable { future: Box::pin(future), dead: dead.clone() });
        if self.cancels.len() > 64 {
            self.cancels.retain(|_, flag| Rc::strong_count(flag) > 1);
        }
        self.cancels.insert(handle, dead);
        self.wake();
        handle
    }
    fn wait<F: ActorFuture<A, Output = ()> + 'static>(&mut self, future: F) {
        self.parts.wait(future)
    }
    /// Also true when the message budget of this poll is spent: actix then leaves its mailbox loop.
    fn waiting(&self) -> bool {
        self.parts.waiting() || self.pulse.left.get() == 0
    }
    /// Own cancellation: actix's survives a restart and kills an unrelated future of the next incarnation.
    fn cancel_future(&mut self, handle: SpawnHandle) -> bool {
        self.wake();
        self.cancels.remove(&handle).map(|flag| flag.set(true)).is_some()
    }
    fn address(&self) -> Addr<A> {
        self.parts.address()
    }
}

impl<A: Service> AsyncContextParts<A> for Ctx<A> {
    fn parts(&mut self) -> &mut ContextParts<A> {
        &mut self.parts
    }
}

struct Cancellable<F> {
    future: Pin<Box<F>>,
    dead: Rc<Cell<bool>>,
}

impl<A: Actor, F: ActorFuture<A, Output = ()>> ActorFuture<A> for Cancellable<F> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, actor: &mut A, ctx: &mut A::Context, cx: &mut Context<'_>) -> Poll<()> {
        if self.dead.get() {
            return Poll::Ready(());
        }
        self.future.as_mut().poll(actor, ctx, cx)
    }
}

struct Listening<E>(Subscription<E>);

impl<E: Clone + Send + 'static, A: Hears<E>> ActorFuture<A> for Listening<E> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, actor: &mut A, ctx: &mut Ctx<A>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..HEARD_PER_POLL {
            match Pin::new(&mut self.0).poll_next(cx) {
                Poll::Ready(Some(heard)) => {
                    ctx.doing("topic");
                    actor.hear(heard, ctx);
                    ctx.settle();
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

struct Ticking<F> {
    interval: tokio::time::Interval,
    f: F,
}

impl<F> Unpin for Ticking<F> {}

impl<A: Service, F: FnMut(&mut A, &mut Ctx<A>) + 'static> ActorFuture<A> for Ticking<F> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, actor: &mut A, ctx: &mut Ctx<A>, cx: &mut Context<'_>) -> Poll<()> {
        while self.interval.poll_tick(cx).is_ready() {
            ctx.doing("timer");
            (self.f)(actor, ctx);
            ctx.settle();
        }
        Poll::Pending
    }
}
