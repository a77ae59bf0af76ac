//! The stable handle of one actor. It survives every restart and knows whether a lost message ever began.

use crate::cell::{Cell, CellControl};
use crate::service::ExecFn;
use crate::{CallError, Ctx, Exec, Fault, Kept, Lane, Port, Service};
use actix::dev::MessageResponse;
use actix::dev::channel::{AddressReceiver, channel};
use actix::{Addr, Handler, Message};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Instant, timeout_at};

/// The name and bounds of an actor.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// Its name: crate, span and metric prefix.
    pub name: &'static str,
    /// Messages that may wait. Fewer refuse bursts, more let an overloaded actor answer later and later.
    pub mailbox: usize,
    /// Messages handled in one poll before timers and topics get their turn.
    pub budget: u32,
    /// The node it belongs to: the label of its metrics.
    pub node: Option<Arc<str>>,
}

impl ChildSpec {
    /// 1,024 messages may wait, 64 are handled in a poll.
    pub fn new(name: &'static str) -> Self {
        ChildSpec { name, mailbox: 1024, budget: 64, node: None }
    }
}

/// Where an actor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildState {
    /// Not started yet.
    New,
    /// Running.
    Up,
    /// Exited; a restart is due or the supervisor halted it.
    Down,
    /// Stopped for good.
    Stopped,
}

/// What is known of an actor from outside its thread.
pub struct Vitals {
    spec: ChildSpec,
    state: watch::Sender<ChildState>,
    incarnation: AtomicU64,
    panics: AtomicU64,
    handled: AtomicU64,
    permits: Arc<Semaphore>,
    fail_next_start: AtomicBool,
}

impl Vitals {
    /// The actor's name.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }
    /// Its bounds.
    pub fn spec(&self) -> &ChildSpec {
        &self.spec
    }
    /// Where it is in its life.
    pub fn state(&self) -> ChildState {
        *self.state.borrow()
    }
    /// Follows its state.
    pub fn watch(&self) -> watch::Receiver<ChildState> {
        self.state.subscribe()
    }
    /// Current incarnation; 0 before the first start.
    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Relaxed)
    }
    /// Panics so far.
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }
    /// Messages begun so far.
    pub fn handled(&self) -> u64 {
        self.handled.load(Relaxed)
    }
    /// Messages waiting.
    pub fn waiting(&self) -> usize {
        self.spec.mailbox.saturating_sub(self.permits.available_permits())
    }
    /// Marks the state; for the cell and the supervisor.
    pub fn set_state(&self, state: ChildState) {
        if state == ChildState::Stopped {
            self.permits.close();
        }
        self.state.send_replace(state);
    }
    pub(crate) fn started(&self) {
        self.incarnation.fetch_add(1, Relaxed);
    }
    pub(crate) fn count_handled(&self) {
        self.handled.fetch_add(1, Relaxed);
    }
    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Relaxed);
    }
}

struct Inner<A: Service> {
    addr: Addr<A>,
    vitals: Arc<Vitals>,
    args: A::Args,
    kept: Mutex<A::Kept>,
}

/// The handle of one actor.
pub struct Child<A: Service>(Arc<Inner<A>>);

impl<A: Service> Clone for Child<A> {
    fn clone(&self) -> Self {
        Child(self.0.clone())
    }
}

/// A message on its way: waiting in the mailbox, or begun by an incarnation.
enum Slot<M> {
    Waiting(M),
    Begun(u64),
    TakenBack,
}

/// Takes a waiting message back when its caller goes away.
struct TakeBack<M>(Arc<Mutex<Slot<M>>>);

impl<M> TakeBack<M> {
    /// The incarnation that began the message; `None` when it never began and now never will.
    fn begun(&self) -> Option<u64> {
        let mut slot = self.0.lock();
        match *slot {
            Slot::Begun(incarnation) => Some(incarnation),
            _ => {
                *slot = Slot::TakenBack;
                None
            }
        }
    }
}

impl<M> Drop for TakeBack<M> {
    fn drop(&mut self) {
        self.begun();
    }
}

impl<A: Service> Child<A> {
    /// A handle and the other end of its mailbox, to be placed on a lane with [`Child::place`].
    pub fn new(spec: ChildSpec, args: A::Args) -> (Self, AddressReceiver<A>) {
        // Capacity 0: the bound is the semaphore, actix's own is not one.
        let (sender, receiver) = channel::<A>(0);
        let permits = Arc::new(Semaphore::new(spec.mailbox));
        let vitals = Vitals {
            spec,
            state: watch::channel(ChildState::New).0,
            incarnation: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            permits,
            fail_next_start: AtomicBool::new(false),
        };
        let inner = Inner { addr: Addr::new(sender), vitals: Arc::new(vitals), args, kept: Mutex::default() };
        (Child(Arc::new(inner)), receiver)
    }

    /// Puts the actor's cell on a lane. It waits there for its first start.
    pub async fn place(&self, mailbox: AddressReceiver<A>, lane: &Lane) -> Option<CellControl> {
        let (control, commands) = CellControl::new();
        let child = self.clone();
        let placed = lane
            .run(move || {
                tokio::task::spawn_local(Cell::new(child, mailbox, commands));
            })
            .await;
        placed.then_some(control)
    }

    /// What is known of the actor.
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.0.vitals
    }

    /// A port for one of its messages.
    pub fn port<M>(&self) -> Port<M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send + 'static,
    {
        Port::to(self)
    }

    /// Sends a message and waits for the answer, at most for `deadline`.
    pub async fn call<M>(&self, message: M, deadline: Duration) -> Result<M::Result, CallError>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send + 'static,
    {
        let until = Instant::now() + deadline;
        let permit = match timeout_at(until, self.0.vitals.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(CallError::Stopped),
            Err(_) => return Err(CallError::Overloaded),
        };
        let slot = Arc::new(Mutex::new(Slot::Waiting(message)));
        let ours = TakeBack(slot.clone());
        let (tx, rx) = oneshot::channel();
        let span = tracing::Span::current();
        self.post(Box::new(move |actor, ctx| {
            drop(permit);
            let message = {
                let mut slot = slot.lock();
                match std::mem::replace(&mut *slot, Slot::Begun(ctx.incarnation())) {
                    Slot::Waiting(message) => message,
                    other => {
                        *slot = other;
                        return;
                    }
                }
            };
            ctx.set_deadline(Some(until));
            let reply = span.in_scope(|| begin(actor, message, ctx));
            reply.handle(ctx, Some(tx));
        }));
        match timeout_at(until, rx).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => {
                Err(ours.begun().map_or(CallError::Stopped, |incarnation| CallError::Crashed { incarnation }))
            }
            Err(_) => Err(CallError::Timeout { started: ours.begun().is_some() }),
        }
    }

    /// Sends a message without waiting for an answer; fails at once when the mailbox is full.
    pub fn cast<M>(&self, message: M) -> Result<(), CallError>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        use tokio::sync::TryAcquireError::{Closed, NoPermits};
        let permit = self.0.vitals.permits.clone().try_acquire_owned().map_err(|e| match e {
            NoPermits => {
                crate::counter!("ipfrs_actor_cast_refused_total", "actor" => self.0.vitals.name()).increment(1);
                CallError::Overloaded
            }
            Closed => CallError::Stopped,
        })?;
        self.post(Box::new(move |actor, ctx| {
            drop(permit);
            ctx.set_deadline(None);
            begin(actor, message, ctx).handle(ctx, None);
        }));
        Ok(())
    }

    /// Breaks the actor on purpose.
    pub fn inject(&self, fault: Fault) {
        let why = "killed on purpose";
        match fault {
            Fault::Panic => self.post(Box::new(move |_, _| panic!("{why} (handler)"))),
            Fault::Timer => self.post(Box::new(move |_, ctx| {
                ctx.after(Duration::from_millis(1), move |_, _| panic!("{why} (timer)"));
            })),
            Fault::Spawned => self.post(Box::new(move |_, ctx| {
                ctx.task(async move { panic!("{why} (spawned future)") }, |(), _, _| {});
            })),
            Fault::Started => {
                self.0.vitals.fail_next_start.store(true, Relaxed);
                self.post(Box::new(move |_, _| panic!("{why} (handler, the next start fails too)")));
            }
            Fault::Block(limit) => self.post(Box::new(move |_, ctx| {
                ctx.begun();
                std::thread::sleep(limit);
            })),
        }
    }

    /// A new incarnation from what was kept.
    pub(crate) fn build(&self) -> A {
        if self.0.vitals.fail_next_start.swap(false, Relaxed) {
            panic!("killed on purpose (start)");
        }
        A::build(&self.0.args, &self.0.kept.lock())
    }

    pub(crate) fn apply(&self, delta: <A::Kept as Kept>::Delta) {
        self.0.kept.lock().apply(delta);
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that posts; the bound is the permit the closure holds")]
    fn post(&self, exec: ExecFn<A>) {
        self.0.addr.do_send(Exec(exec));
    }
}

/// Runs a handler and settles its commits before its reply can leave.
fn begin<A: Service + Handler<M>, M: Message>(
    actor: &mut A,
    message: M,
    ctx: &mut Ctx<A>,
) -> <A as Handler<M>>::Result {
    ctx.doing(std::any::type_name::<M>());
    ctx.begun();
    let reply = actor.handle(message, ctx);
    ctx.settle();
    reply
}
