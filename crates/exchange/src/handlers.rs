//! What the exchange hears.

use crate::ExchangeActor;
use crate::actor::now;
use crate::kept::Kind;
use ipfrs_actor::{Ctx, Handler, Message, MessageResult};
use ipfrs_contract::exchange::*;
use ipfrs_contract::{Cid, PeerId};
use std::sync::atomic::Ordering::Relaxed;

/// News from a reader: what one message of a peer said, blocks already stored.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct Heard {
    pub(crate) peer: PeerId,
    pub(crate) stored: Vec<Cid>,
    pub(crate) failed: Vec<(Cid, String)>,
    pub(crate) has: Vec<Cid>,
    pub(crate) lacks: Vec<Cid>,
}

impl Heard {
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.failed.is_empty() && self.has.is_empty() && self.lacks.is_empty()
    }
}

impl Handler<OpenSession> for ExchangeActor {
    type Result = MessageResult<OpenSession>;
    fn handle(&mut self, OpenSession { arrived }: OpenSession, ctx: &mut Ctx<Self>) -> Self::Result {
        self.last_session += 1;
        let id = SessionId(self.last_session);
        self.core.open(id);
        self.listeners.insert(id, crate::listener::Listener::new(arrived.clone()));
        self.keep(ctx, Kind::Opened(id, arrived));
        MessageResult(id)
    }
}

impl Handler<Want> for ExchangeActor {
    type Result = MessageResult<Want>;
    fn handle(&mut self, Want { session, cids }: Want, ctx: &mut Ctx<Self>) -> Self::Result {
        let wanted = self.core.want(session, &cids, now());
        if wanted.is_ok() {
            self.args.wire.want(cids.iter().map(|cid| *cid.hash()));
            self.keep(ctx, Kind::Wanted(session, cids.clone()));
            self.look_for_local(cids, ctx);
        }
        self.act(ctx);
        MessageResult(wanted)
    }
}

impl Handler<CloseSession> for ExchangeActor {
    type Result = MessageResult<CloseSession>;
    fn handle(&mut self, CloseSession { session }: CloseSession, ctx: &mut Ctx<Self>) -> Self::Result {
        self.end_session(session, ctx);
        self.act(ctx);
        MessageResult(())
    }
}

impl Handler<BlocksAdded> for ExchangeActor {
    type Result = MessageResult<BlocksAdded>;
    fn handle(&mut self, BlocksAdded { cids }: BlocksAdded, ctx: &mut Ctx<Self>) -> Self::Result {
        for cid in &cids {
            self.arrived(None, cid);
        }
        let hashes: Vec<_> = cids.iter().map(|cid| *cid.hash()).collect();
        self.args.wire.added(&hashes, &self.tools);
        self.act(ctx);
        MessageResult(())
    }
}

impl Handler<Heard> for ExchangeActor {
    type Result = MessageResult<Heard>;
    fn handle(&mut self, heard: Heard, ctx: &mut Ctx<Self>) -> Self::Result {
        for cid in &heard.stored {
            self.arrived(Some(heard.peer), cid);
        }
        for (cid, why) in &heard.failed {
            self.args.wire.take(cid.hash());
            self.core.failed(heard.peer, cid, why);
        }
        for cid in &heard.has {
            self.core.has(heard.peer, cid, now());
        }
        for cid in &heard.lacks {
            self.core.lacks(heard.peer, cid, now());
        }
        self.act(ctx);
        MessageResult(())
    }
}

impl Handler<GetExchangeStat> for ExchangeActor {
    type Result = MessageResult<GetExchangeStat>;
    fn handle(&mut self, _: GetExchangeStat, _: &mut Ctx<Self>) -> Self::Result {
        let counters = &self.args.wire.counters;
        MessageResult(ExchangeStat {
            wantlist: self.core.wantlist().map(ToString::to_string).collect(),
            peers: self.core.peers().copied().collect(),
            blocks_received: counters.blocks_received.load(Relaxed),
            data_received: counters.data_received.load(Relaxed),
            dup_blocks_received: counters.duplicates.load(Relaxed),
            blocks_sent: counters.blocks_sent.load(Relaxed),
            data_sent: counters.data_sent.load(Relaxed),
        })
    }
}
