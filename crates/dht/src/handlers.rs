//! What the DHT hears.

use crate::actor::{Delta, DhtActor, Kind, count_lookup, now};
use crate::lookup::{Caller, Lookup};
use crate::ops;
use crate::record::RecordKey;
use ipfrs_actor::{Ctx, Handler, Later, MessageResult, Reply};
use ipfrs_contract::PeerAddrs;
use ipfrs_contract::dht::*;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Callers served at once by all lookups together; each holds a queue of found providers.
const MAX_CALLERS: usize = 1024;

impl Handler<Provide> for DhtActor {
    type Result = Later<Result<usize, DhtError>>;
    fn handle(&mut self, Provide { key }: Provide, ctx: &mut Ctx<Self>) -> Self::Result {
        let (token, later) = Reply::new();
        self.provide(key, token, ctx);
        later
    }
}

impl Handler<StopProvide> for DhtActor {
    type Result = MessageResult<StopProvide>;
    fn handle(&mut self, StopProvide { key }: StopProvide, ctx: &mut Ctx<Self>) -> Self::Result {
        self.stop_provide(key, ctx);
        MessageResult(())
    }
}

impl Handler<FindProviders> for DhtActor {
    type Result = Later<Result<mpsc::Receiver<PeerAddrs>, DhtError>>;
    fn handle(&mut self, FindProviders { key, limit }: FindProviders, ctx: &mut Ctx<Self>) -> Self::Result {
        let (token, later) = Reply::new();
        let running = self.lookups.get(&key).cloned();
        if self.callers >= MAX_CALLERS || (running.is_none() && !self.has_room()) {
            ctx.answer(token, Err(DhtError::Busy));
            return later;
        }
        let config = &self.args.config;
        let (max_found, queue) = (config.max_found, config.found_queue);
        let new = running.is_none();
        let lookup = running.unwrap_or_else(|| Lookup::new(max_found));
        // Joined before the search is first polled: a search without listeners ends.
        let steps = lookup.join();
        if new {
            self.lookups.insert(key, lookup.clone());
            let began = now();
            let search = lookup.clone().search(key, self.queries(), self.args.ports.clone());
            ctx.task(search, move |ended, actor, _| {
                actor.lookups.remove(&key);
                count_lookup("providers", ended.is_ok(), began);
            });
        } else {
            self.joined += 1;
            ctx.commit(Delta(Kind::Joined));
            ipfrs_actor::counter!("ipfrs_dht_lookups_shared_total").increment(1);
        }
        self.callers += 1;
        let serve = lookup.serve(steps, Caller { token, limit, queue }, self.args.ports.clone());
        ctx.task(serve, |(), actor, _| actor.callers -= 1);
        later
    }
}

impl Handler<FindPeer> for DhtActor {
    type Result = Later<Result<PeerAddrs, DhtError>>;
    fn handle(&mut self, FindPeer { peer }: FindPeer, ctx: &mut Ctx<Self>) -> Self::Result {
        if peer == self.args.local {
            let (token, later) = Reply::new();
            let why = format!("{peer} is this node");
            ctx.answer(token, Err(DhtError::BadInput { field: "peer", why }));
            return later;
        }
        let work = ops::find_peer(self.queries(), self.args.ports.clone(), peer);
        self.one_answer("peer", work, ctx)
    }
}

impl Handler<ClosestPeers> for DhtActor {
    type Result = Later<Result<Vec<PeerAddrs>, DhtError>>;
    fn handle(&mut self, ClosestPeers { key }: ClosestPeers, ctx: &mut Ctx<Self>) -> Self::Result {
        let work = ops::closest_peers(self.queries(), key);
        self.one_answer("closest", work, ctx)
    }
}

impl Handler<PutValue> for DhtActor {
    type Result = Later<Result<usize, DhtError>>;
    fn handle(&mut self, PutValue { key, value }: PutValue, ctx: &mut Ctx<Self>) -> Self::Result {
        let key = RecordKey::from_caller(&key).and_then(|key| key.check(&value, SystemTime::now()).map(|_| key));
        let queries = self.queries();
        let work = async move { ops::put(queries, key?, value).await };
        self.one_answer("put", work, ctx)
    }
}

impl Handler<GetValue> for DhtActor {
    type Result = Later<Result<Vec<u8>, DhtError>>;
    fn handle(&mut self, GetValue { key }: GetValue, ctx: &mut Ctx<Self>) -> Self::Result {
        let key = RecordKey::from_caller(&key);
        let queries = self.queries();
        let work = async move { ops::get(queries, key?, SystemTime::now()).await };
        self.one_answer("get", work, ctx)
    }
}

impl Handler<Bootstrap> for DhtActor {
    type Result = Later<Result<usize, DhtError>>;
    fn handle(&mut self, _: Bootstrap, ctx: &mut Ctx<Self>) -> Self::Result {
        let work = ops::bootstrap(self.queries());
        self.one_answer("bootstrap", work, ctx)
    }
}

impl Handler<GetDhtStatus> for DhtActor {
    type Result = MessageResult<GetDhtStatus>;
    fn handle(&mut self, _: GetDhtStatus, _: &mut Ctx<Self>) -> Self::Result {
        let lookups = self.lookups.len() + self.running;
        MessageResult(DhtStatus { provided: self.schedule.len(), lookups, deduplicated: self.joined })
    }
}
