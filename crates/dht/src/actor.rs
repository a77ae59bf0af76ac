//! The actor: keeps what is announced, shares lookups, refreshes the tables.

use crate::lookup::Lookup;
use crate::query::{Ends, Queries};
use crate::schedule::{Announced, Schedule};
use crate::{Config, Ports, ops};
use ipfrs_actor::{Actor, Ctx, Heard, Hears, Later, Reply, Service, service};
use ipfrs_contract::dht::DhtError;
use ipfrs_contract::swarm::{GetRoutingTables, KadNetwork, StopProviding, SwarmEvent};
use ipfrs_contract::{Multihash, PeerId};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long the swarm may take to answer from memory.
const QUICK: Duration = Duration::from_secs(5);
/// Callers that may wait for announcements. More get `Busy` while their multihash is announced all the same.
const MAX_WAITING: usize = 4096;
/// What a peer announces that answers queries of a network.
const PROTOCOLS: [(KadNetwork, &str); 2] =
    [(KadNetwork::Wan, "/ipfs/kad/1.0.0"), (KadNetwork::Lan, "/ipfs/lan/kad/1.0.0")];

/// Configuration and ports.
#[derive(Clone)]
pub struct Args {
    /// What to obey.
    pub config: Config,
    /// This node.
    pub local: PeerId,
    /// Whom to talk to.
    pub ports: Ports,
}

/// What survives a crash of the actor.
#[derive(Default)]
pub struct Kept {
    /// What is announced, and when it last was.
    provided: HashMap<Multihash, Option<Instant>>,
    /// Callers that joined a running lookup.
    joined: u64,
}

/// A change of [`Kept`].
pub struct Delta(pub(crate) Kind);

pub(crate) enum Kind {
    Provide(Multihash),
    Announced(Multihash, Instant),
    Stop(Multihash),
    Joined,
}

impl ipfrs_actor::Kept for Kept {
    type Delta = Delta;
    fn apply(&mut self, delta: Delta) {
        match delta.0 {
            Kind::Provide(key) => {
                self.provided.entry(key).or_default();
            }
            Kind::Announced(key, at) => {
                if let Some(announced) = self.provided.get_mut(&key) {
                    *announced = Some(at);
                }
            }
            Kind::Stop(key) => {
                self.provided.remove(&key);
            }
            Kind::Joined => self.joined = self.joined.saturating_add(1),
        }
    }
}

type Waiting = Reply<Result<usize, DhtError>>;

/// The DHT.
pub struct DhtActor {
    pub(crate) args: Args,
    pub(crate) schedule: Schedule,
    pub(crate) lookups: HashMap<Multihash, Rc<Lookup>>,
    /// Callers served by lookups.
    pub(crate) callers: usize,
    /// Operations with one answer that are running.
    pub(crate) running: usize,
    pub(crate) joined: u64,
    waiting: HashMap<Multihash, Vec<Waiting>>,
    connected: HashSet<PeerId>,
    /// Whether the tables were refreshed since there were no connections.
    bootstrapped: bool,
    bootstrapping: bool,
    wake_at: Option<Instant>,
}

impl Actor for DhtActor {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        ctx.hear(&self.args.ports.topic.clone());
        ctx.every(self.args.config.bootstrap_interval, |actor, ctx| actor.bootstrap(ctx));
    }
}

impl Service for DhtActor {
    type Args = Args;
    type Kept = Kept;

    fn build(args: &Args, kept: &Kept) -> Self {
        let now = now();
        let mut schedule = Schedule::new(&args.config);
        for (key, announced) in &kept.provided {
            schedule.restore(*key, *announced, now);
        }
        DhtActor {
            args: args.clone(),
            schedule,
            lookups: HashMap::new(),
            callers: 0,
            running: 0,
            joined: kept.joined,
            waiting: HashMap::new(),
            connected: HashSet::new(),
            bootstrapped: false,
            bootstrapping: false,
            wake_at: None,
        }
    }
}
service!(DhtActor);

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Hears<SwarmEvent> for DhtActor {
    fn hear(&mut self, heard: Heard<SwarmEvent>, ctx: &mut Ctx<Self>) {
        match heard {
            Heard::Resync { .. } => {
                self.connected.clear();
                self.ask_tables(ctx);
            }
            Heard::Event(SwarmEvent::DriverStarted { .. }) => {
                self.connected.clear();
                self.bootstrapped = false;
                self.schedule.forgotten(now());
            }
            Heard::Event(SwarmEvent::Connected { peer, .. }) => {
                self.connected.insert(peer);
            }
            Heard::Event(SwarmEvent::Disconnected { peer, remaining: 0 }) => {
                self.connected.remove(&peer);
                if self.connected.is_empty() {
                    self.bootstrapped = false;
                }
            }
            // Not `Connected`: a peer enters a routing table once it said that it answers queries.
            Heard::Event(SwarmEvent::Identified { protocols, .. }) => {
                for (network, protocol) in PROTOCOLS {
                    if protocols.iter().any(|p| p == protocol) {
                        self.network_has_peers(network, ctx);
                    }
                }
            }
            Heard::Event(_) => return,
        }
        self.pump(ctx);
    }
}

impl DhtActor {
    pub(crate) fn queries(&self) -> Queries {
        Queries { start: self.args.ports.start.clone(), timeout: self.args.config.query_timeout }
    }

    /// Whether another lookup may run.
    pub(crate) fn has_room(&self) -> bool {
        self.running + self.lookups.len() < self.args.config.max_lookups
    }

    fn network_has_peers(&mut self, network: KadNetwork, ctx: &mut Ctx<Self>) {
        self.schedule.nudge(network, now());
        if !self.bootstrapped {
            self.bootstrap(ctx);
        }
    }

    /// After a gap in the events the tables tell which networks have peers.
    fn ask_tables(&mut self, ctx: &mut Ctx<Self>) {
        let port = self.args.ports.tables.clone();
        ctx.task(async move { port.call(GetRoutingTables, QUICK).await }, |answer, actor, ctx| {
            // Without an answer the next peer that identifies itself does it.
            for table in answer.unwrap_or_default() {
                if table.peers > 0 {
                    actor.network_has_peers(table.network, ctx);
                }
            }
            actor.pump(ctx);
        });
    }

    fn bootstrap(&mut self, ctx: &mut Ctx<Self>) {
        if std::mem::replace(&mut self.bootstrapping, true) {
            return;
        }
        self.bootstrapped = true;
        ctx.task(ops::bootstrap(self.queries()), |result, actor, _| {
            actor.bootstrapping = false;
            match result {
                Ok(_) => {}
                // The next peer is asked at once.
                Err(DhtError::NoPeers) => actor.bootstrapped = false,
                Err(error) => tracing::debug!(target: "dht", %error, "the routing tables were not refreshed"),
            }
        });
    }

    /// Announces a multihash from now on; answers when it was announced.
    pub(crate) fn provide(&mut self, key: Multihash, token: Waiting, ctx: &mut Ctx<Self>) {
        let max = self.args.config.max_provided;
        if !self.schedule.contains(&key) && self.schedule.len() >= max {
            let why = format!("{max} multihashes are announced already, no more are allowed (max_provided)");
            return ctx.answer(token, Err(DhtError::BadInput { field: "key", why }));
        }
        if self.schedule.request(key, now()) {
            ctx.commit(Delta(Kind::Provide(key)));
            self.count_provided();
        }
        if self.may_wait() {
            self.waiting.entry(key).or_default().push(token);
        } else {
            ctx.answer(token, Err(DhtError::Busy));
        }
        self.pump(ctx);
    }

    /// Whether one more caller may wait. Those that gave up, or never waited, make room first.
    fn may_wait(&mut self) -> bool {
        let count = |waiting: &HashMap<Multihash, Vec<Waiting>>| waiting.values().map(Vec::len).sum::<usize>();
        if count(&self.waiting) < MAX_WAITING {
            return true;
        }
        for tokens in self.waiting.values_mut() {
            tokens.retain(|token| !token.is_abandoned());
        }
        self.waiting.retain(|_, tokens| !tokens.is_empty());
        count(&self.waiting) < MAX_WAITING
    }

    pub(crate) fn stop_provide(&mut self, key: Multihash, ctx: &mut Ctx<Self>) {
        if self.schedule.remove(&key) {
            ctx.commit(Delta(Kind::Stop(key)));
            self.count_provided();
        }
        for token in self.waiting.remove(&key).unwrap_or_default() {
            ctx.answer(token, Err(DhtError::Failed("the announcement was stopped".to_owned())));
        }
        self.tell_stop(key, ctx);
        self.pump(ctx);
    }

    fn tell_stop(&self, key: Multihash, ctx: &mut Ctx<Self>) {
        let port = self.args.ports.stop.clone();
        ctx.task(async move { port.call(StopProviding { key }, QUICK).await }, |told, _, _| {
            if let Err(error) = told {
                tracing::warn!(target: "dht", %error, "the swarm was not told to stop an announcement; it expires by itself");
            }
        });
    }

    /// Starts the announcements that are due and arranges to come back for the next.
    pub(crate) fn pump(&mut self, ctx: &mut Ctx<Self>) {
        let now = now();
        while let Some(key) = self.schedule.next(now) {
            ctx.task(ops::provide(self.queries(), key), move |ends, actor, ctx| actor.provided(key, ends, ctx));
        }
        let Some(wake) = self.schedule.wake().filter(|wake| self.wake_at.is_none_or(|at| *wake < at)) else { return };
        self.wake_at = Some(wake);
        ctx.after(wake.saturating_duration_since(now), move |actor, ctx| {
            // A timer overtaken by an earlier one has nothing to do.
            if actor.wake_at == Some(wake) {
                actor.wake_at = None;
                actor.pump(ctx);
            }
        });
    }

    fn provided(&mut self, key: Multihash, ends: Ends, ctx: &mut Ctx<Self>) {
        let missing = ends.without_peers();
        let result = match ends.merge() {
            Ok(0) => Err(DhtError::Failed("no peer stored the record".to_owned())),
            other => other,
        };
        let label = if result.is_ok() { "ok" } else { "failed" };
        ipfrs_actor::counter!("ipfrs_dht_provides_total", "result" => label).increment(1);
        let announced = Announced { stored: result.is_ok(), missing };
        if !self.schedule.finished(&key, &announced, now(), &mut rand::rng()) {
            // Given up while it ran: the query may have been started again after the swarm was told.
            if !self.schedule.contains(&key) {
                self.tell_stop(key, ctx);
            }
        } else if result == Err(DhtError::Disabled) {
            self.schedule.remove(&key);
            ctx.commit(Delta(Kind::Stop(key)));
            self.count_provided();
        } else if result.is_ok() {
            ctx.commit(Delta(Kind::Announced(key, now())));
        }
        for token in self.waiting.remove(&key).unwrap_or_default() {
            ctx.answer(token, result.clone());
        }
        self.pump(ctx);
    }

    fn count_provided(&self) {
        ipfrs_actor::gauge!("ipfrs_dht_provided").set(self.schedule.len() as f64);
    }

    /// Runs an operation with one answer, if there is room.
    pub(crate) fn one_answer<T: 'static>(
        &mut self,
        kind: &'static str,
        work: impl Future<Output = Result<T, DhtError>> + 'static,
        ctx: &mut Ctx<Self>,
    ) -> Later<Result<T, DhtError>> {
        let (token, later) = Reply::new();
        if !self.has_room() {
            ctx.answer(token, Err(DhtError::Busy));
            return later;
        }
        self.running += 1;
        let began = now();
        ctx.task(work, move |result, actor, ctx| {
            actor.running -= 1;
            count_lookup(kind, result.is_ok(), began);
            ctx.answer(token, result);
        });
        later
    }
}

/// Counts a lookup that ended.
pub(crate) fn count_lookup(kind: &'static str, found: bool, began: Instant) {
    let result = if found { "ok" } else { "failed" };
    ipfrs_actor::counter!("ipfrs_dht_lookups_total", "kind" => kind, "result" => result).increment(1);
    let took = now().saturating_duration_since(began);
    ipfrs_actor::histogram!("ipfrs_dht_lookup_duration_seconds", "kind" => kind).record(took.as_secs_f64());
}
