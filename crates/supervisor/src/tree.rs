//! Building a tree, and the handle of a running one.

use crate::run::{Control, Managed, Run};
use crate::{ChildStatus, Event, Finished, Policy, ShutdownReport, Spec};
use actix::dev::channel::AddressReceiver;
use ipfrs_actor::{CellControl, Child, Fault, Handler, Lane, Lanes, Message, Port, Service, Vitals};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Events a subscriber of the event stream may lag by.
const EVENTS: usize = 4096;
/// Requests that may wait for the supervisor: restarts by hand and shutdown.
const REQUESTS: usize = 64;

/// A port from one child to another; the wiring test reads these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// Who holds the port.
    pub from: &'static str,
    /// Who handles the message.
    pub to: &'static str,
    /// The message type.
    pub message: &'static str,
}

/// A tree being built.
pub struct Tree {
    policy: Policy,
    lanes: Lanes,
    children: Vec<Box<dyn Managed>>,
    wires: Vec<Wire>,
}

/// A lane thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread for actor {child}: {cause}")]
pub struct StartError {
    /// Which actor.
    pub child: &'static str,
    /// What the operating system said.
    #[source]
    pub cause: std::io::Error,
}

/// There is no child of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no actor named {name:?}; there are: {}", .known.join(", "))]
pub struct UnknownChild {
    /// The name asked for.
    pub name: String,
    /// The names that exist.
    pub known: Vec<String>,
}

struct Kid<A: Service> {
    spec: Spec,
    child: Child<A>,
    mailbox: Option<AddressReceiver<A>>,
}

impl<A: Service> Managed for Kid<A> {
    fn spec(&self) -> &Spec {
        &self.spec
    }
    fn vitals(&self) -> &Arc<Vitals> {
        self.child.vitals()
    }
    fn inject(&self, fault: Fault) {
        self.child.inject(fault);
    }
    fn place<'a>(&'a mut self, lane: &'a Lane) -> Pin<Box<dyn Future<Output = Option<CellControl>> + Send + 'a>> {
        let mailbox = self.mailbox.take();
        Box::pin(async move { self.child.place(mailbox?, lane).await })
    }
}

impl Tree {
    /// An empty tree.
    pub fn new(policy: Policy, lanes: Lanes) -> Self {
        Tree { policy, lanes, children: Vec::new(), wires: Vec::new() }
    }

    /// Declares a child. It can be called at once; calls wait in its mailbox until the tree starts.
    pub fn child<A: Service>(&mut self, spec: Spec, args: A::Args) -> Child<A> {
        let (child, mailbox) = Child::new(spec.child.clone(), args);
        self.children.push(Box::new(Kid { spec, child: child.clone(), mailbox: Some(mailbox) }));
        child
    }

    /// A port for child `from` to `to`, noted for the wiring test.
    pub fn wire<A, M>(&mut self, from: &'static str, to: &Child<A>) -> Port<M>
    where
        A: Service + Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send + 'static,
    {
        self.wires.push(Wire { from, to: to.vitals().name(), message: std::any::type_name::<M>() });
        to.port()
    }

    /// Every port handed out with [`Tree::wire`].
    pub fn wires(&self) -> &[Wire] {
        &self.wires
    }

    /// Starts every child in the order of declaration.
    pub async fn start(mut self) -> Result<Supervisor, StartError> {
        let mut controls = Vec::new();
        for kid in &mut self.children {
            let name = kid.spec().child.name;
            let lane = self.lanes.lane_for(name).map_err(|cause| StartError { child: name, cause })?;
            let gone = || std::io::Error::other("the lane thread is gone");
            controls.push(kid.place(&lane).await.ok_or_else(|| StartError { child: name, cause: gone() })?);
        }
        let kids: Arc<[Box<dyn Managed>]> = self.children.into();
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let (events, _) = broadcast::channel(EVENTS);
        let (finished, watch) = watch::channel(None);
        let exits = Arc::new(parking_lot::Mutex::new(vec![None; kids.len()]));
        let run = Run::new(self.policy, kids.clone(), controls, events.clone(), finished, exits.clone());
        let lane = Lane::new("supervisor").map_err(|cause| StartError { child: "supervisor", cause })?;
        lane.run(move || {
            tokio::task::spawn_local(run.run(inbox));
        })
        .await;
        Ok(Supervisor { kids, requests, events, finished: watch, exits, wires: self.wires.into() })
    }
}

/// The handle of a running tree. When the last clone is dropped the tree stops by itself, without blocking anyone.
#[derive(Clone)]
pub struct Supervisor {
    kids: Arc<[Box<dyn Managed>]>,
    requests: mpsc::Sender<Control>,
    events: broadcast::Sender<Event>,
    finished: watch::Receiver<Option<Finished>>,
    exits: Arc<parking_lot::Mutex<Vec<Option<String>>>>,
    wires: Arc<[Wire]>,
}

impl Supervisor {
    fn find(&self, name: &str) -> Result<usize, UnknownChild> {
        let names = || self.kids.iter().map(|k| k.spec().child.name.to_owned()).collect();
        let known = self.kids.iter().position(|k| k.spec().child.name == name);
        known.ok_or_else(|| UnknownChild { name: name.to_owned(), known: names() })
    }

    /// Every port the children hold.
    pub fn wires(&self) -> &[Wire] {
        &self.wires
    }

    /// Every child as it is now, in the order of declaration.
    pub fn status(&self) -> Vec<ChildStatus> {
        let exits = self.exits.lock();
        let status = |n: usize, kid: &dyn Managed| {
            let vitals = kid.vitals();
            ChildStatus {
                name: vitals.name().to_owned(),
                state: format!("{:?}", vitals.state()).to_lowercase(),
                incarnation: vitals.incarnation(),
                restarts: vitals.incarnation().saturating_sub(1),
                mailbox: vitals.waiting(),
                mailbox_limit: vitals.spec().mailbox,
                handled: vitals.handled(),
                panics: vitals.panics(),
                last_exit: exits[n].clone(),
            }
        };
        self.kids.iter().enumerate().map(|(n, kid)| status(n, &**kid)).collect()
    }

    /// Breaks a child on purpose.
    pub fn inject(&self, name: &str, fault: Fault) -> Result<(), UnknownChild> {
        self.kids[self.find(name)?].inject(fault);
        Ok(())
    }

    /// Stops a child and starts it again, with what it kept.
    pub async fn restart(&self, name: &str) -> Result<(), UnknownChild> {
        let index = self.find(name)?;
        let (done, wait) = oneshot::channel();
        if self.requests.send(Control::Restart { index, done }).await.is_ok() {
            let _ = wait.await;
        }
        Ok(())
    }

    /// Everything that happens from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Stops every child in reverse order, each within its limit and all within `deadline`.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let (done, wait) = oneshot::channel();
        if self.requests.send(Control::Shutdown { deadline, done }).await.is_ok() {
            wait.await.unwrap_or_default()
        } else {
            ShutdownReport::default()
        }
    }

    /// How the tree ended, when it has.
    pub fn ended(&self) -> Option<Finished> {
        self.finished.borrow().clone()
    }

    /// Resolves when the tree has ended.
    pub async fn finished(&self) -> Finished {
        let mut finished = self.finished.clone();
        let ended = finished.wait_for(Option::is_some).await;
        ended.ok().and_then(|f| f.clone()).unwrap_or(Finished::Stopped)
    }
}
