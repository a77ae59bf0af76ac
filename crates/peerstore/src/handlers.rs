//! What the peer store hears.

use crate::actor::{PeerStoreActor, Told};
use ipfrs_actor::{Ctx, Handler, Later, MessageResult, Reply};
use ipfrs_contract::PeerId;
use ipfrs_contract::peerstore::*;
use std::collections::HashSet;

/// Banned and protected peers each; the whole list goes to the swarm with every change.
const MAX_LISTED: usize = 10_000;
/// Calls that may wait for one write.
const MAX_FLUSHERS: usize = 256;

fn room(list: &HashSet<PeerId>, peer: &PeerId, name: &str) -> Result<(), PeerStoreError> {
    if list.len() < MAX_LISTED || list.contains(peer) {
        return Ok(());
    }
    Err(PeerStoreError::Storage(format!("the list of {name} peers is full ({MAX_LISTED})")))
}

impl Handler<GetAddrs> for PeerStoreActor {
    type Result = MessageResult<GetAddrs>;
    fn handle(&mut self, GetAddrs { peer }: GetAddrs, _: &mut Ctx<Self>) -> Self::Result {
        MessageResult(self.book.addrs(&peer).to_vec())
    }
}

impl Handler<GetPeer> for PeerStoreActor {
    type Result = MessageResult<GetPeer>;
    fn handle(&mut self, GetPeer { peer }: GetPeer, _: &mut Ctx<Self>) -> Self::Result {
        MessageResult(self.book.record(&peer).map(|record| record.known.clone()))
    }
}

impl Handler<ListPeers> for PeerStoreActor {
    type Result = MessageResult<ListPeers>;
    fn handle(&mut self, _: ListPeers, _: &mut Ctx<Self>) -> Self::Result {
        MessageResult(self.book.records().map(|record| record.known.clone()).collect())
    }
}

impl Handler<AddAddrs> for PeerStoreActor {
    type Result = MessageResult<AddAddrs>;
    fn handle(&mut self, AddAddrs { peer }: AddAddrs, ctx: &mut Ctx<Self>) -> Self::Result {
        let changes = self.edit(|book, at| book.told(&peer, at));
        self.keep(changes, ctx);
        MessageResult(())
    }
}

impl Handler<Ban> for PeerStoreActor {
    type Result = Later<Result<(), PeerStoreError>>;
    fn handle(&mut self, Ban { peer }: Ban, ctx: &mut Ctx<Self>) -> Self::Result {
        let (token, later) = Reply::new();
        let saved = room(self.book.banned(), &peer, "banned").and_then(|()| self.args.storage.set_banned(&peer, true));
        match saved {
            Err(error) => ctx.answer(token, Err(error)),
            Ok(()) => {
                let changes = self.book.ban(peer, true);
                self.keep(changes, ctx);
                self.policy.banned(&peer);
                self.untold.push(Told::Done(token));
                self.push_lists(ctx);
            }
        }
        later
    }
}

impl Handler<Unban> for PeerStoreActor {
    type Result = Later<Result<bool, PeerStoreError>>;
    fn handle(&mut self, Unban { peer }: Unban, ctx: &mut Ctx<Self>) -> Self::Result {
        let (token, later) = Reply::new();
        if !self.book.banned().contains(&peer) {
            ctx.answer(token, Ok(false));
            return later;
        }
        match self.args.storage.set_banned(&peer, false) {
            Err(error) => ctx.answer(token, Err(error)),
            Ok(()) => {
                let changes = self.book.ban(peer, false);
                self.keep(changes, ctx);
                self.untold.push(Told::Lifted(token));
                self.push_lists(ctx);
                self.watch_protected(&peer);
                self.pump(ctx);
            }
        }
        later
    }
}

impl Handler<Protect> for PeerStoreActor {
    type Result = Later<Result<(), PeerStoreError>>;
    fn handle(&mut self, Protect { peer, protect }: Protect, ctx: &mut Ctx<Self>) -> Self::Result {
        let (token, later) = Reply::new();
        let fits = if protect { room(self.book.protected(), &peer, "protected") } else { Ok(()) };
        match fits.and_then(|()| self.args.storage.set_protected(&peer, protect)) {
            Err(error) => ctx.answer(token, Err(error)),
            Ok(()) => {
                let changes = self.edit(|book, at| book.protect(peer, protect, at));
                self.keep(changes, ctx);
                if !protect {
                    self.policy.unprotect(&peer);
                }
                self.watch_protected(&peer);
                self.untold.push(Told::Done(token));
                self.push_lists(ctx);
                self.pump(ctx);
            }
        }
        later
    }
}

impl Handler<ListBanned> for PeerStoreActor {
    type Result = MessageResult<ListBanned>;
    fn handle(&mut self, _: ListBanned, _: &mut Ctx<Self>) -> Self::Result {
        MessageResult(self.book.banned().iter().copied().collect())
    }
}

impl Handler<Flush> for PeerStoreActor {
    type Result = Later<Result<(), PeerStoreError>>;
    fn handle(&mut self, _: Flush, ctx: &mut Ctx<Self>) -> Self::Result {
        let (token, later) = Reply::new();
        if self.flushers.len() >= MAX_FLUSHERS {
            ctx.answer(token, Err(PeerStoreError::Storage("too many calls wait for a write".to_owned())));
        } else {
            self.flushers.push(token);
            self.flush(ctx);
        }
        later
    }
}

impl PeerStoreActor {
    /// Sees to it that a protected peer is connected.
    fn watch_protected(&mut self, peer: &PeerId) {
        if self.book.protected().contains(peer) {
            self.policy.protect(*peer, tokio::time::Instant::now().into_std());
        }
    }
}
