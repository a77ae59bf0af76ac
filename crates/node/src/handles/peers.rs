//! Known peers, bans, protection.

use super::{QUICK, call};
use crate::NodeError;
use ipfrs_actor::Port;
use ipfrs_contract::PeerId;
use ipfrs_contract::peerstore::*;

/// Ports of [`PeerHandle`].
#[derive(Clone)]
pub(crate) struct PeerPorts {
    pub(crate) list: Port<ListPeers>,
    pub(crate) get: Port<GetPeer>,
    pub(crate) ban: Port<Ban>,
    pub(crate) unban: Port<Unban>,
    pub(crate) banned: Port<ListBanned>,
    pub(crate) protect: Port<Protect>,
    pub(crate) flush: Port<Flush>,
}

/// What a node knows of peers.
#[derive(Clone)]
pub struct PeerHandle(pub(crate) PeerPorts);

impl PeerHandle {
    /// Every known peer.
    pub async fn list(&self) -> Result<Vec<KnownPeer>, NodeError> {
        call(&self.0.list, ListPeers, QUICK).await
    }

    /// One known peer.
    pub async fn get(&self, peer: PeerId) -> Result<Option<KnownPeer>, NodeError> {
        call(&self.0.get, GetPeer { peer }, QUICK).await
    }

    /// Bans a peer for ever: connections are closed and refused.
    pub async fn ban(&self, peer: PeerId) -> Result<(), NodeError> {
        Ok(call(&self.0.ban, Ban { peer }, QUICK).await??)
    }

    /// Lifts a ban; says whether there was one.
    pub async fn unban(&self, peer: PeerId) -> Result<bool, NodeError> {
        Ok(call(&self.0.unban, Unban { peer }, QUICK).await??)
    }

    /// The banned peers.
    pub async fn banned(&self) -> Result<Vec<PeerId>, NodeError> {
        call(&self.0.banned, ListBanned, QUICK).await
    }

    /// Protects a peer, or ends its protection: a protected peer is connected again when lost.
    pub async fn protect(&self, peer: PeerId, protect: bool) -> Result<(), NodeError> {
        Ok(call(&self.0.protect, Protect { peer, protect }, QUICK).await??)
    }

    /// Writes what is not yet on disk.
    pub(crate) async fn flush(&self) -> Result<(), NodeError> {
        Ok(call(&self.0.flush, Flush, QUICK).await??)
    }
}
