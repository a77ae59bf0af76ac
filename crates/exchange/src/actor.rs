//! The actor: sessions and wants, kept outside itself; decisions of the core turned into orders, searches and news.

use crate::core::{Core, Do};
use crate::message::PROTOCOLS;
use crate::reader;
use crate::sender::Order;
use crate::wire::{Tools, Wire};
use crate::{Config, Ports};
use ipfrs_actor::{Actor, Ctx, Heard as Said, Hears, Service, service};
use ipfrs_blocks::BlockStore;
use ipfrs_contract::dht::FindProviders;
use ipfrs_contract::exchange::{Arrived, SessionId};
use ipfrs_contract::peerstore::AddAddrs;
use ipfrs_contract::swarm::{Dial, ListConnections, SwarmEvent};
use ipfrs_contract::{Cid, PeerId};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Silent peers are looked for and searches begun this often.
const TICK: Duration = Duration::from_millis(100);
/// Providers dialled for one search; more than ten rarely help one transfer.
const PROVIDERS: usize = 10;
const QUICK: Duration = Duration::from_secs(5);
const SEARCH: Duration = Duration::from_secs(120);
const DIAL: Duration = Duration::from_secs(60);

/// Configuration, storage and ports.
#[derive(Clone)]
pub struct Args {
    /// What to obey.
    pub config: Config,
    /// This node.
    pub local: PeerId,
    /// Where blocks go and come from.
    pub store: BlockStore,
    /// The data path, which outlives the actor.
    pub wire: Arc<Wire>,
    /// Where the data path runs: beside the connections.
    pub runtime: Handle,
    /// Whom to talk to.
    pub ports: Ports,
}

/// What survives a crash of the actor.
#[derive(Default)]
pub struct Kept {
    last_session: u64,
    sessions: HashMap<SessionId, (mpsc::Sender<Arrived>, HashSet<Cid>)>,
}

/// A change of [`Kept`].
pub struct Delta(Kind);

pub(crate) enum Kind {
    Opened(SessionId, mpsc::Sender<Arrived>),
    Wanted(SessionId, Vec<Cid>),
    Arrived(SessionId, Cid),
    Closed(SessionId),
}

impl ipfrs_actor::Kept for Kept {
    type Delta = Delta;
    fn apply(&mut self, Delta(kind): Delta) {
        match kind {
            Kind::Opened(id, arrived) => {
                self.last_session = self.last_session.max(id.0);
                self.sessions.insert(id, (arrived, HashSet::new()));
            }
            Kind::Wanted(id, cids) => {
                if let Some((_, wants)) = self.sessions.get_mut(&id) {
                    wants.extend(cids);
                }
            }
            Kind::Arrived(id, cid) => {
                if let Some((_, wants)) = self.sessions.get_mut(&id) {
                    wants.remove(&cid);
                }
            }
            Kind::Closed(id) => {
                self.sessions.remove(&id);
            }
        }
    }
}

/// Who hears of a session's blocks, and what it has not taken yet.
pub(crate) struct Listener {
    arrived: mpsc::Sender<Arrived>,
    backlog: VecDeque<Arrived>,
}

impl Listener {
    pub(crate) fn new(arrived: mpsc::Sender<Arrived>) -> Self {
        Listener { arrived, backlog: VecDeque::new() }
    }

    /// Tells what waits; the backlog is bounded by the wants of the session.
    fn flush(&mut self) {
        while let Some(news) = self.backlog.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(news)) = self.arrived.try_send(news) {
                return self.backlog.push_front(news);
            }
        }
    }
}

/// The exchange.
pub struct ExchangeActor {
    pub(crate) args: Args,
    pub(crate) tools: Tools,
    pub(crate) core: Core,
    pub(crate) last_session: u64,
    pub(crate) listeners: HashMap<SessionId, Listener>,
    /// Wants of an earlier incarnation: some may have arrived meanwhile.
    inherited: Vec<Cid>,
    asked: u64,
}

impl Actor for ExchangeActor {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        let serve = reader::serve(self.args.wire.clone(), self.tools.clone(), ctx.me());
        self.args.runtime.spawn(serve);
        ctx.hear(&self.args.ports.topic.clone());
        ctx.every(TICK, |actor, ctx| actor.tick(ctx));
        let inherited = std::mem::take(&mut self.inherited);
        self.look_for_local(inherited, ctx);
    }
}

impl Service for ExchangeActor {
    type Args = Args;
    type Kept = Kept;

    fn build(args: &Args, kept: &Kept) -> Self {
        let tools = Tools {
            runtime: args.runtime.clone(),
            store: args.store.clone(),
            ports: args.ports.clone(),
            serve: args.config.serve,
        };
        let mut core = Core::new(args.config.clone());
        let mut listeners = HashMap::new();
        let mut inherited = Vec::new();
        for (id, (arrived, wants)) in &kept.sessions {
            core.open(*id);
            let wants: Vec<_> = wants.iter().copied().collect();
            // They were within the bound when they were kept.
            let _ = core.want(*id, &wants, now());
            inherited.extend(wants);
            listeners.insert(*id, Listener::new(arrived.clone()));
        }
        args.wire.replace_wanted(inherited.iter().map(|cid| *cid.hash()).collect());
        ExchangeActor {
            args: args.clone(),
            tools,
            core,
            last_session: kept.last_session,
            listeners,
            inherited,
            asked: 0,
        }
    }
}
service!(ExchangeActor);

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Hears<SwarmEvent> for ExchangeActor {
    fn hear(&mut self, heard: Said<SwarmEvent>, ctx: &mut Ctx<Self>) {
        match heard {
            Said::Resync { .. } | Said::Event(SwarmEvent::DriverStarted { .. }) => self.ask_connections(ctx),
            Said::Event(SwarmEvent::Identified { peer, protocols, .. }) => {
                if speaks_bitswap(&protocols) {
                    self.core.connected(peer, now());
                }
            }
            Said::Event(SwarmEvent::Disconnected { peer, remaining: 0 }) => {
                self.core.disconnected(&peer, now());
                self.args.wire.forget(&peer);
            }
            _ => return,
        }
        self.act(ctx);
    }
}

fn speaks_bitswap(protocols: &[String]) -> bool {
    PROTOCOLS[..2].iter().any(|ours| protocols.iter().any(|theirs| theirs == ours))
}

impl ExchangeActor {
    pub(crate) fn keep(&self, ctx: &mut Ctx<Self>, kind: Kind) {
        ctx.commit(Delta(kind));
    }

    /// Does what the core decided.
    pub(crate) fn act(&mut self, ctx: &mut Ctx<Self>) {
        for todo in self.core.drain() {
            match todo {
                Do::Send(peer, entries) => self.args.wire.order(peer, Order::Wants(entries), &self.tools),
                Do::Search(cid) => self.search(cid, ctx),
                Do::Arrived(session, cid) => {
                    self.tell(session, Arrived::Block(cid));
                    self.keep(ctx, Kind::Arrived(session, cid));
                }
            }
        }
    }

    fn tell(&mut self, session: SessionId, news: Arrived) {
        if let Some(listener) = self.listeners.get_mut(&session) {
            listener.backlog.push_back(news);
            listener.flush();
        }
    }

    pub(crate) fn arrived(&mut self, peer: Option<PeerId>, cid: &Cid, ctx: &mut Ctx<Self>) {
        self.core.arrived(peer, cid, now());
        self.act(ctx);
    }

    /// A block came but could not be stored: sessions hear why, and it stays wanted until they close.
    pub(crate) fn failed(&mut self, cid: &Cid, why: &str, _: &mut Ctx<Self>) {
        self.args.wire.want(std::iter::once(*cid.hash()));
        let sessions: Vec<_> = self.listeners.keys().copied().collect();
        for session in sessions {
            self.tell(session, Arrived::Failed(*cid, why.to_owned()));
        }
    }

    pub(crate) fn end_session(&mut self, session: SessionId, ctx: &mut Ctx<Self>) {
        self.core.close(session);
        self.listeners.remove(&session);
        self.args.wire.replace_wanted(self.core.wantlist().map(|cid| *cid.hash()).collect());
        self.keep(ctx, Kind::Closed(session));
    }

    /// Blocks may have come between the caller's look and its want, or while this actor was down.
    pub(crate) fn look_for_local(&mut self, cids: Vec<Cid>, ctx: &mut Ctx<Self>) {
        if cids.is_empty() {
            return;
        }
        let store = self.args.store.clone();
        let look = tokio::task::spawn_blocking(move || {
            cids.into_iter().filter(|cid| store.has(cid).unwrap_or(false)).collect::<Vec<_>>()
        });
        ctx.task(look, |here, actor, ctx| {
            for cid in here.unwrap_or_default() {
                actor.arrived(None, &cid, ctx);
            }
        });
    }

    fn tick(&mut self, ctx: &mut Ctx<Self>) {
        let gone: Vec<_> = self.listeners.iter().filter(|(_, l)| l.arrived.is_closed()).map(|(id, _)| *id).collect();
        for session in gone {
            self.end_session(session, ctx);
        }
        for listener in self.listeners.values_mut() {
            listener.flush();
        }
        self.core.tick(now());
        self.act(ctx);
    }

    fn ask_connections(&mut self, ctx: &mut Ctx<Self>) {
        self.asked += 1;
        let (asked, port) = (self.asked, self.args.ports.connections.clone());
        ctx.task(async move { port.call(ListConnections, QUICK).await }, move |answer, actor, ctx| {
            if asked != actor.asked {
                return;
            }
            let Ok(connections) = answer else { return ctx.after(QUICK, |actor, ctx| actor.ask_connections(ctx)) };
            let connected: HashSet<_> = connections.iter().map(|c| c.peer).collect();
            let able = connections.iter().filter(|c| speaks_bitswap(&c.protocols)).map(|c| c.peer).collect();
            actor.args.wire.retain(&connected);
            actor.core.snapshot(&able, now());
            actor.act(ctx);
        });
    }

    /// Finds providers and connects to them; what they have they say when they hear of the wants.
    fn search(&mut self, cid: Cid, ctx: &mut Ctx<Self>) {
        ipfrs_actor::counter!("ipfrs_exchange_searches_total").increment(1);
        let (ports, local) = (self.args.ports.clone(), self.args.local);
        let search = async move {
            let find = FindProviders { key: *cid.hash(), limit: PROVIDERS };
            let mut found = match ports.find_providers.call(find, SEARCH).await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => return tracing::debug!(target: "exchange", %cid, %error, "no providers"),
                Err(error) => return tracing::debug!(target: "exchange", %cid, %error, "no answer from the DHT"),
            };
            let mut dials = Vec::new();
            while let Some(provider) = found.recv().await {
                if provider.peer == local {
                    continue;
                }
                // Known addresses help later; a peer store too busy to hear of them loses little.
                let _ = ports.add_addrs.cast(AddAddrs { peer: provider.clone() });
                let dial = Dial { peer: Some(provider.peer), addrs: provider.addrs, attempts: 1 };
                let port = ports.dial.clone();
                dials.push(tokio::task::spawn_local(async move {
                    let peer = dial.peer;
                    if let Ok(Err(error)) = port.call(dial, DIAL).await {
                        tracing::debug!(target: "exchange", ?peer, %error, "a provider cannot be reached");
                    }
                }));
            }
            futures::future::join_all(dials).await;
        };
        ctx.task(search, move |(), actor, _| actor.core.searched(&cid, now()));
    }
}
