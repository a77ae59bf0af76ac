//! The actor: feeds the book and the policy with events, keeps a copy of the book outside itself, writes and dials.

use crate::book::{Book, Change, Moment, Seconds};
use crate::policy::{Order, Outcome, Policy};
use crate::storage::Batch;
use crate::{Config, Ports, Storage};
use ipfrs_actor::{Actor, CallError, Ctx, Heard, Hears, Reply, Service, service};
use ipfrs_contract::PeerId;
use ipfrs_contract::peerstore::PeerStoreError;
use ipfrs_contract::swarm::{ConnectionInfo, Dial, DialError, ListConnections, SetBanned, SetProtected, SwarmEvent};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the swarm may take to answer what it answers from memory.
const QUICK: Duration = Duration::from_secs(5);
/// How long a dial may take; the swarm's own limit for an attempt ends it long before.
const DIAL: Duration = Duration::from_secs(120);
/// Pause before a list or a question that the swarm did not take is sent again.
const AGAIN: Duration = Duration::from_secs(1);

/// Configuration, database and ports.
#[derive(Clone)]
pub struct Args {
    /// What to obey.
    pub config: Config,
    /// The open database.
    pub storage: Arc<Storage>,
    /// Whom to talk to.
    pub ports: Ports,
}

/// What survives a crash of the actor.
#[derive(Default)]
pub struct Kept {
    /// `None` until the database was read.
    book: Option<Book>,
    /// Whether the peers of an earlier run were dialled.
    reconnected: bool,
}

/// A change of [`Kept`].
pub struct Delta(Kind);

enum Kind {
    Loaded(Box<Book>),
    Changed(Change),
    Reconnected,
}

impl ipfrs_actor::Kept for Kept {
    type Delta = Delta;
    fn apply(&mut self, delta: Delta) {
        match delta.0 {
            Kind::Loaded(book) => self.book = Some(*book),
            Kind::Changed(change) => {
                if let Some(book) = &mut self.book {
                    book.apply(change);
                }
            }
            Kind::Reconnected => self.reconnected = true,
        }
    }
}

/// Who waits until a list was handed to the swarm.
pub(crate) enum Told {
    Done(Reply<Result<(), PeerStoreError>>),
    Lifted(Reply<Result<bool, PeerStoreError>>),
}

/// The peer store.
pub struct PeerStoreActor {
    pub(crate) args: Args,
    pub(crate) book: Book,
    pub(crate) policy: Policy,
    /// The book was just read from the database and is not kept yet.
    loaded: bool,
    /// The peers of an earlier run are still to be dialled.
    fresh: bool,
    /// Snapshots of the connections asked for; only the answer to the last one counts.
    asked: u64,
    wake_at: Option<Instant>,
    dirty: HashSet<PeerId>,
    rewrite: bool,
    writing: bool,
    pub(crate) flushers: Vec<Reply<Result<(), PeerStoreError>>>,
    pushing: bool,
    stale_lists: bool,
    pub(crate) untold: Vec<Told>,
}

impl Actor for PeerStoreActor {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        if self.loaded {
            ctx.commit(Delta(Kind::Loaded(Box::new(self.book.clone()))));
        }
        ctx.hear(&self.args.ports.topic.clone());
        ctx.every(self.args.config.flush_interval, |actor, ctx| actor.flush(ctx));
        ctx.every(self.args.config.prune_interval, |actor, ctx| actor.prune(ctx));
    }
}

impl Service for PeerStoreActor {
    type Args = Args;
    type Kept = Kept;

    fn build(args: &Args, kept: &Kept) -> Self {
        let (book, loaded, rewrite) = match &kept.book {
            // What the last incarnation had not written yet is not known any more, so everything is written.
            Some(book) => (book.clone(), false, true),
            None => read(args),
        };
        PeerStoreActor {
            args: args.clone(),
            policy: Policy::new(&args.config),
            book,
            loaded,
            fresh: !kept.reconnected,
            asked: 0,
            wake_at: None,
            dirty: HashSet::new(),
            rewrite,
            writing: false,
            flushers: Vec::new(),
            pushing: false,
            stale_lists: false,
            untold: Vec::new(),
        }
    }
}
service!(PeerStoreActor);

fn read(args: &Args) -> (Book, bool, bool) {
    match args.storage.load() {
        Ok(stored) => {
            let (book, cut) = Book::restore(stored.records, stored.banned, stored.protected, &args.config, unix_now());
            (book, true, cut)
        }
        Err(error) => {
            // It could be read when it was opened. What is there stays there: nothing is rewritten.
            tracing::error!(target: "peerstore", %error, "the peer database cannot be read, starting without it");
            (Book::default(), true, false)
        }
    }
}

/// Seconds since the epoch; a clock before it counts as the epoch.
pub(crate) fn unix_now() -> Seconds {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Hears<SwarmEvent> for PeerStoreActor {
    fn hear(&mut self, heard: Heard<SwarmEvent>, ctx: &mut Ctx<Self>) {
        match heard {
            Heard::Resync { .. } => {
                self.ask_connections(ctx);
                self.push_lists(ctx);
            }
            Heard::Event(event) => self.on_event(event, ctx),
        }
        self.pump(ctx);
    }
}

impl PeerStoreActor {
    fn on_event(&mut self, event: SwarmEvent, ctx: &mut Ctx<Self>) {
        let now = now();
        let changes = match event {
            SwarmEvent::DriverStarted { generation } => {
                tracing::debug!(target: "peerstore", generation, "a new driver, connecting again");
                let useful = self.edit(|book, at| book.useful(at.config.reconnect, at));
                self.policy.driver_started(useful, now);
                self.ask_connections(ctx);
                self.push_lists(ctx);
                Vec::new()
            }
            SwarmEvent::Connected { peer, addr, direction, count } => {
                self.policy.connected(peer, count, now);
                self.edit(|book, at| book.connected(peer, &addr, direction, at))
            }
            SwarmEvent::Disconnected { peer, remaining } => {
                self.policy.disconnected(peer, remaining, now);
                if remaining == 0 { self.edit(|book, at| book.lost(peer, at)) } else { Vec::new() }
            }
            SwarmEvent::Identified { peer, agent, protocols, addrs } => {
                self.edit(|book, at| book.identified(peer, &agent, protocols, &addrs, at))
            }
            SwarmEvent::DialFailed { peer: Some(peer), addrs } => {
                self.edit(|book, at| book.dial_failed(peer, &addrs, at))
            }
            SwarmEvent::Latency { peer, rtt } => self.edit(|book, at| book.measured(peer, rtt, at)),
            SwarmEvent::MdnsFound(found) => {
                self.policy.found_nearby(&found);
                self.edit(|book, at| found.iter().flat_map(|peer| book.told(peer, at)).collect())
            }
            _ => Vec::new(),
        };
        self.keep(changes, ctx);
    }

    /// Works on the book at this moment.
    pub(crate) fn edit<T>(&mut self, edit: impl FnOnce(&mut Book, &Moment<'_>) -> T) -> T {
        let at = Moment { now: unix_now(), config: &self.args.config, connected: self.policy.connections() };
        edit(&mut self.book, &at)
    }

    /// Repeats changes of the book on the kept copy and remembers to write them.
    pub(crate) fn keep(&mut self, changes: Vec<Change>, ctx: &mut Ctx<Self>) {
        for change in changes {
            match &change {
                Change::Put(record) => {
                    self.dirty.insert(record.known.peer);
                }
                Change::Forget(peer) => {
                    self.dirty.insert(*peer);
                    ipfrs_actor::counter!("ipfrs_peerstore_pruned_total").increment(1);
                }
                // Written before they were made.
                Change::Ban(..) | Change::Protect(..) => {}
            }
            ctx.commit(Delta(Kind::Changed(change)));
        }
    }

    fn prune(&mut self, ctx: &mut Ctx<Self>) {
        let changes = self.edit(|book, at| book.prune(at));
        self.keep(changes, ctx);
        ipfrs_actor::gauge!("ipfrs_peerstore_peers").set(self.book.len() as f64);
    }

    fn ask_connections(&mut self, ctx: &mut Ctx<Self>) {
        self.asked += 1;
        self.policy.asked();
        let (asked, port) = (self.asked, self.args.ports.connections.clone());
        ctx.task(async move { port.call(ListConnections, QUICK).await }, move |answer, actor, ctx| {
            if asked != actor.asked {
                return;
            }
            match answer {
                Ok(connections) => actor.on_connections(&connections, ctx),
                Err(error) => {
                    tracing::warn!(target: "peerstore", %error, "the swarm did not say who is connected");
                    ctx.after(AGAIN, move |actor, ctx| {
                        if asked == actor.asked {
                            actor.ask_connections(ctx);
                        }
                    });
                }
            }
        });
    }

    fn on_connections(&mut self, connections: &[ConnectionInfo], ctx: &mut Ctx<Self>) {
        let mut counts: HashMap<PeerId, u32> = HashMap::new();
        for connection in connections {
            *counts.entry(connection.peer).or_default() += 1;
        }
        let useful = self.edit(|book, at| {
            let at = Moment { connected: &counts, ..*at };
            book.useful(at.config.reconnect, &at)
        });
        self.policy.snapshot(counts, self.fresh, &self.book, useful, now());
        if std::mem::take(&mut self.fresh) {
            ctx.commit(Delta(Kind::Reconnected));
        }
        // Only now is it known who is connected and must stay.
        self.prune(ctx);
        self.pump(ctx);
    }

    /// Makes the dials that are due and arranges to come back for the next.
    pub(crate) fn pump(&mut self, ctx: &mut Ctx<Self>) {
        let now = now();
        let (orders, wake) = self.policy.launch(&self.book, now, &mut rand::rng());
        for order in orders {
            self.dial(order, ctx);
        }
        let Some(wake) = wake.filter(|wake| self.wake_at.is_none_or(|at| *wake < at)) else { return };
        self.wake_at = Some(wake);
        ctx.after(wake.saturating_duration_since(now), move |actor, ctx| {
            // A timer overtaken by an earlier one has nothing to do.
            if actor.wake_at == Some(wake) {
                actor.wake_at = None;
                actor.pump(ctx);
            }
        });
    }

    fn dial(&mut self, Order { target, addrs }: Order, ctx: &mut Ctx<Self>) {
        let port = self.args.ports.dial.clone();
        let dial = Dial { peer: target.peer, addrs, attempts: 1 };
        ctx.task(async move { port.call(dial, DIAL).await }, move |answer, actor, ctx| {
            let result = if matches!(answer, Ok(Ok(_))) { "connected" } else { "failed" };
            ipfrs_actor::counter!("ipfrs_peerstore_dials_total", "reason" => target.why.label(), "result" => result)
                .increment(1);
            let outcome = actor.dialled(target.peer, answer, ctx);
            actor.policy.finished(&target, outcome, now(), &mut rand::rng());
            actor.pump(ctx);
        });
    }

    fn dialled(
        &mut self,
        peer: Option<PeerId>,
        answer: Result<Result<ConnectionInfo, DialError>, CallError>,
        ctx: &mut Ctx<Self>,
    ) -> Outcome {
        match answer {
            Ok(Ok(info)) => return Outcome::Connected(info.peer),
            Ok(Err(DialError::LocalPeer)) => {
                // Somebody told us our own addresses.
                let changes = peer.map(|peer| self.book.forget(&peer)).unwrap_or_default();
                self.keep(changes, ctx);
            }
            Ok(Err(error)) => tracing::debug!(target: "peerstore", ?peer, %error, "dial failed"),
            Err(error) => tracing::debug!(target: "peerstore", ?peer, %error, "the swarm did not dial"),
        }
        Outcome::Failed
    }

    /// Hands the ban list and the protected peers to the swarm; one hand-over at a time, so that the last list wins.
    pub(crate) fn push_lists(&mut self, ctx: &mut Ctx<Self>) {
        if self.pushing {
            self.stale_lists = true;
            return;
        }
        self.pushing = true;
        self.stale_lists = false;
        let ports = self.args.ports.clone();
        let banned = SetBanned { peers: self.book.banned().clone() };
        let protected = SetProtected { peers: self.book.protected().clone() };
        let told = std::mem::take(&mut self.untold);
        let push = async move {
            ports.set_banned.call(banned, QUICK).await?;
            ports.set_protected.call(protected, QUICK).await
        };
        ctx.task(push, move |pushed, actor, ctx| {
            actor.pushing = false;
            // A swarm that did not take the lists gets them again; on disk they are already.
            for told in told {
                match told {
                    Told::Done(token) => ctx.answer(token, Ok(())),
                    Told::Lifted(token) => ctx.answer(token, Ok(true)),
                }
            }
            match pushed {
                Ok(()) if actor.stale_lists => actor.push_lists(ctx),
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(target: "peerstore", %error, "the swarm did not take the ban list, trying again");
                    ctx.after(AGAIN, |actor, ctx| actor.push_lists(ctx));
                }
            }
        });
    }

    /// Writes what changed, without holding up the actor; then answers who waits for it.
    pub(crate) fn flush(&mut self, ctx: &mut Ctx<Self>) {
        if self.writing {
            return;
        }
        let waiting = std::mem::take(&mut self.flushers);
        if self.dirty.is_empty() && !self.rewrite {
            for token in waiting {
                ctx.answer(token, Ok(()));
            }
            return;
        }
        let (dirty, rewrite) = (std::mem::take(&mut self.dirty), std::mem::take(&mut self.rewrite));
        let batch = if rewrite {
            Batch::All(self.book.records().cloned().collect())
        } else {
            Batch::Some(dirty.iter().map(|peer| (*peer, self.book.record(peer).cloned())).collect())
        };
        self.writing = true;
        let storage = self.args.storage.clone();
        ctx.task(tokio::task::spawn_blocking(move || storage.write(&batch)), move |written, actor, ctx| {
            actor.writing = false;
            let result = written.unwrap_or_else(|e| Err(PeerStoreError::Storage(e.to_string())));
            if let Err(error) = &result {
                tracing::warn!(target: "peerstore", %error, "the peer database refused a write, trying again");
                actor.dirty.extend(dirty);
                actor.rewrite |= rewrite;
            }
            ipfrs_actor::gauge!("ipfrs_peerstore_peers").set(actor.book.len() as f64);
            for token in waiting {
                ctx.answer(token, result.clone());
            }
            if !actor.flushers.is_empty() {
                actor.flush(ctx);
            }
        });
    }
}
