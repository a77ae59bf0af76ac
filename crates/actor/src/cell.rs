//! The cell: one future per actor. It polls the actor under `catch_unwind` and restarts it in place, so that the mailbox
//! and every address survive and only the message being handled is lost.

use crate::context::Pulse;
use crate::panic::{PanicReport, guard};
use crate::{Child, ChildState, Ctx, Service};
use actix::ActorContext;
use actix::dev::channel::AddressReceiver;
use actix::dev::{ContextFut, ContextParts, Mailbox};
use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::oneshot;

/// Why an actor is no longer running.
#[derive(Debug, Clone)]
pub enum ExitReason {
    /// It stopped by itself.
    Normal,
    /// It panicked.
    Panic(PanicReport),
    /// It panicked while it was built or in `started`.
    StartFailed(PanicReport),
}

impl ExitReason {
    /// The panic, if there was one.
    pub fn panic(&self) -> Option<&PanicReport> {
        match self {
            ExitReason::Normal => None,
            ExitReason::Panic(report) | ExitReason::StartFailed(report) => Some(report),
        }
    }
}

impl std::fmt::Display for ExitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (verb, report) = match self {
            ExitReason::Normal => return f.write_str("stopped by itself"),
            ExitReason::Panic(report) => ("panicked", report),
            ExitReason::StartFailed(report) => ("failed to start", report),
        };
        write!(f, "{verb} in {} at {}: {}", report.handling, report.location, report.message)
    }
}

/// Tells the supervisor that an actor exited.
#[derive(Debug, Clone)]
pub struct Exited {
    /// Which of its children.
    pub index: usize,
    /// The incarnation that exited.
    pub incarnation: u64,
    /// Why.
    pub reason: ExitReason,
}

pub(crate) enum Command {
    Start { index: usize, report: OwnedPermit<Exited> },
    Halt(oneshot::Sender<()>),
}

/// Commands that may wait for a cell: a start and a halt are all that is ever outstanding.
const COMMANDS: usize = 4;

/// The supervisor's hold on a cell. Dropping it ends the cell.
pub struct CellControl(mpsc::Sender<Command>);

impl CellControl {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (tx, rx) = mpsc::channel(COMMANDS);
        (CellControl(tx), rx)
    }

    /// Starts (again). The permit is the cell's right to report its exit, so that a report is never lost.
    pub async fn start(&self, index: usize, report: OwnedPermit<Exited>) -> bool {
        self.0.send(Command::Start { index, report }).await.is_ok()
    }

    /// Asks the actor to stop; the receiver resolves when it has.
    pub async fn halt(&self) -> oneshot::Receiver<()> {
        let (tx, rx) = oneshot::channel();
        let _ = self.0.send(Command::Halt(tx)).await;
        rx
    }
}

enum Phase {
    Down,
    Up { index: usize, report: OwnedPermit<Exited>, starting: bool },
    Halting(oneshot::Sender<()>),
}

/// The future that runs one actor on a lane.
pub struct Cell<A: Service> {
    child: Child<A>,
    running: Option<ContextFut<A, Ctx<A>>>,
    mailbox: Option<AddressReceiver<A>>,
    commands: mpsc::Receiver<Command>,
    phase: Phase,
    pulse: Rc<Pulse>,
}

impl<A: Service> Unpin for Cell<A> {}

impl<A: Service> Cell<A> {
    pub(crate) fn new(child: Child<A>, mailbox: AddressReceiver<A>, commands: mpsc::Receiver<Command>) -> Self {
        Cell { child, running: None, mailbox: Some(mailbox), commands, phase: Phase::Down, pulse: Rc::default() }
    }

    fn start(&mut self, index: usize, report: OwnedPermit<Exited>) {
        self.pulse.doing.set("started");
        self.child.vitals().started();
        let built = match &mut self.running {
            Some(running) => {
                running.ctx().teardown = false;
                guard(|| {
                    running.restart();
                })
            }
            None => guard(|| self.child.build()).map(|actor| {
                if let Some(receiver) = self.mailbox.take() {
                    let mailbox = Mailbox::new(receiver);
                    let parts = ContextParts::new(mailbox.sender_producer());
                    let ctx = Ctx::new(parts, self.child.clone(), self.pulse.clone());
                    self.running = Some(ContextFut::new(ctx, actor, mailbox));
                }
            }),
        };
        self.phase = Phase::Up { index, report, starting: true };
        match built {
            Ok(()) => self.child.vitals().set_state(ChildState::Up),
            Err(report) => self.exit(ExitReason::StartFailed(report)),
        }
    }

    /// Clears the actor's futures at once, so that callers in flight learn now, and reports.
    fn exit(&mut self, mut reason: ExitReason) {
        if let ExitReason::Panic(report) | ExitReason::StartFailed(report) = &mut reason {
            report.handling = self.pulse.doing.get();
            self.child.vitals().panicked();
        }
        if let Some(running) = &mut self.running {
            running.ctx().teardown = true;
            let _ = guard(|| running.restart());
        }
        self.child.vitals().set_state(ChildState::Down);
        let incarnation = self.child.vitals().incarnation();
        match std::mem::replace(&mut self.phase, Phase::Down) {
            Phase::Up { index, report, .. } => {
                report.send(Exited { index, incarnation, reason });
            }
            Phase::Halting(done) => drop(done.send(())),
            Phase::Down => {}
        }
    }

    fn obey(&mut self, command: Command) {
        match (command, &self.phase) {
            (Command::Start { index, report }, Phase::Down) => self.start(index, report),
            (Command::Start { .. }, _) => {}
            (Command::Halt(done), Phase::Up { .. }) => {
                self.phase = Phase::Halting(done);
                if let Some(running) = &mut self.running {
                    running.ctx().stop();
                }
            }
            (Command::Halt(done), _) => drop(done.send(())),
        }
    }
}

impl<A: Service> Future for Cell<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let outer = crate::enter_node(self.child.vitals().spec().node.clone());
        let polled = self.run(cx);
        crate::enter_node(outer);
        polled
    }
}

impl<A: Service> Cell<A> {
    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let me = self;
        loop {
            while let Poll::Ready(command) = me.commands.poll_recv(cx) {
                match command {
                    Some(command) => me.obey(command),
                    None => {
                        me.child.vitals().set_state(ChildState::Stopped);
                        return Poll::Ready(());
                    }
                }
            }
            let Some(running) = me.running.as_mut().filter(|_| !matches!(me.phase, Phase::Down)) else {
                return Poll::Pending;
            };
            me.pulse.left.set(me.child.vitals().spec().budget);
            *me.pulse.waker.borrow_mut() = Some(cx.waker().clone());
            let polled = guard(|| {
                let polled = Pin::new(&mut *running).poll(cx);
                running.ctx().settle();
                polled
            });
            match polled {
                Ok(Poll::Pending) => {
                    if let Phase::Up { starting, .. } = &mut me.phase {
                        *starting = false;
                    }
                    if me.pulse.left.get() == 0 {
                        cx.waker().wake_by_ref();
                    }
                    return Poll::Pending;
                }
                Ok(Poll::Ready(())) => me.exit(ExitReason::Normal),
                Err(report) => {
                    let first = matches!(me.phase, Phase::Up { starting: true, .. });
                    me.exit(if first { ExitReason::StartFailed(report) } else { ExitReason::Panic(report) });
                }
            }
        }
    }
}

impl<A: Service> Drop for Cell<A> {
    /// `ContextFut`'s own drop would poll the actor, even a poisoned one, perhaps while unwinding.
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.ctx().terminate();
            let _ = guard(move || drop(running));
        }
        self.child.vitals().set_state(ChildState::Stopped);
    }
}
