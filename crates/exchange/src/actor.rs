//! The actor: sessions and wants, kept outside itself; decisions of the core turned into orders, searches and news.

use crate::census::{self, Census};
use crate::core::{Core, Do};
use crate::kept::{Delta, Kept, Kind};
use crate::listener::Listener;
use crate::wire::{Tools, Wire};
use crate::{Config, Ports, reader, search};
use ipfrs_actor::{Actor, Ctx, Service, service};
use ipfrs_blocks::BlockStore;
use ipfrs_contract::exchange::{Arrived, SessionId};
use ipfrs_contract::{Cid, PeerId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Silent peers are looked for and searches begun this often.
const TICK: Duration = Duration::from_millis(100);

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
    /// Ends the data path: when something is sent, and when its sender, which the node holds, is gone.
    pub stop: watch::Receiver<()>,
    /// Whom to talk to.
    pub ports: Ports,
}

/// The exchange.
pub struct ExchangeActor {
    pub(crate) args: Args,
    pub(crate) tools: Tools,
    pub(crate) core: Core,
    pub(crate) census: Census,
    pub(crate) last_session: u64,
    pub(crate) listeners: HashMap<SessionId, Listener>,
    /// Wants of an earlier incarnation: some may have arrived meanwhile.
    inherited: Vec<Cid>,
}

impl Actor for ExchangeActor {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.tools.spawn(reader::serve(self.args.wire.clone(), self.tools.clone(), ctx.me()));
        ctx.hear(&self.args.ports.topic.clone());
        ctx.every(TICK, |actor, ctx| actor.tick(ctx));
        ctx.every(census::PERIOD, |actor, ctx| actor.ask_connections(ctx));
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
            stop: args.stop.clone(),
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
            census: Census::default(),
            last_session: kept.last_session,
            listeners,
            inherited,
        }
    }
}
service!(ExchangeActor);

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl ExchangeActor {
    pub(crate) fn keep(&self, ctx: &mut Ctx<Self>, kind: Kind) {
        ctx.commit(Delta(kind));
    }

    /// Does what the core decided.
    pub(crate) fn act(&mut self, ctx: &mut Ctx<Self>) {
        for todo in self.core.drain() {
            match todo {
                Do::Send(peer, entries) => self.args.wire.say(peer, entries, &self.tools),
                Do::Search(cid) => self.search(cid, ctx),
                Do::Arrived(session, cid) => self.over(session, cid, Arrived::Block(cid), ctx),
                Do::Failed(session, cid, why) => self.over(session, cid, Arrived::Failed(cid, why), ctx),
            }
        }
    }

    fn over(&mut self, session: SessionId, cid: Cid, news: Arrived, ctx: &mut Ctx<Self>) {
        if let Some(listener) = self.listeners.get_mut(&session) {
            listener.tell(news);
        }
        self.keep(ctx, Kind::Over(session, cid));
    }

    /// A block is in the store: another copy is not wanted.
    pub(crate) fn arrived(&mut self, peer: Option<PeerId>, cid: &Cid) {
        self.args.wire.take(cid.hash());
        self.core.arrived(peer, cid, now());
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
                actor.arrived(None, &cid);
            }
            actor.act(ctx);
        });
    }

    fn tick(&mut self, ctx: &mut Ctx<Self>) {
        let gone: Vec<_> = self.listeners.iter().filter(|(_, l)| l.is_gone()).map(|(id, _)| *id).collect();
        for session in gone {
            self.end_session(session, ctx);
        }
        for listener in self.listeners.values_mut() {
            listener.flush();
        }
        for (peer, at) in self.args.wire.take_heard() {
            self.core.heard(&peer, at);
        }
        self.core.tick(now());
        self.act(ctx);
    }

    /// Finds providers and connects to them; what they have they say when they hear of the wants.
    fn search(&mut self, cid: Cid, ctx: &mut Ctx<Self>) {
        let query = search::query(cid, self.args.local, self.args.ports.clone(), self.args.wire.clone());
        ctx.task(query, move |providers, actor, ctx| {
            actor.core.query_ended(&cid, now());
            ctx.task(providers.connected(), move |connected, actor, ctx| {
                actor.core.searched(&cid, &connected, now());
                actor.act(ctx);
            });
        });
    }
}
