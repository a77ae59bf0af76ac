//! Content and peer routing.

use super::{LOOKUP, QUICK, call};
use crate::NodeError;
use ipfrs_actor::Port;
use ipfrs_contract::dht::*;
use ipfrs_contract::swarm::{GetRoutingTables, RoutingTable};
use ipfrs_contract::{Cid, PeerAddrs, PeerId};
use tokio::sync::mpsc;

/// Ports of [`DhtHandle`].
#[derive(Clone)]
pub(crate) struct DhtPorts {
    pub(crate) provide: Port<Provide>,
    pub(crate) stop_provide: Port<StopProvide>,
    pub(crate) find_providers: Port<FindProviders>,
    pub(crate) find_peer: Port<FindPeer>,
    pub(crate) closest: Port<ClosestPeers>,
    pub(crate) put: Port<PutValue>,
    pub(crate) get: Port<GetValue>,
    pub(crate) bootstrap: Port<Bootstrap>,
    pub(crate) status: Port<GetDhtStatus>,
    pub(crate) tables: Port<GetRoutingTables>,
}

/// Content and peer routing of a node. Keys are multihashes: the codec and version of a CID do not matter.
#[derive(Clone)]
pub struct DhtHandle(pub(crate) DhtPorts);

impl DhtHandle {
    /// Announces content and keeps announcing it; says how many peers were asked to store the record.
    pub async fn provide(&self, cid: &Cid) -> Result<usize, NodeError> {
        Ok(call(&self.0.provide, Provide { key: *cid.hash() }, LOOKUP).await??)
    }

    /// Announces without waiting for the network.
    pub(crate) fn provide_later(&self, cid: &Cid) -> Result<(), NodeError> {
        let port = &self.0.provide;
        port.cast(Provide { key: *cid.hash() }).map_err(|cause| NodeError::Call { actor: port.target(), cause })
    }

    /// Stops announcing content.
    pub async fn stop_provide(&self, cid: &Cid) -> Result<(), NodeError> {
        call(&self.0.stop_provide, StopProvide { key: *cid.hash() }, QUICK).await
    }

    /// Finds providers; they arrive as they are found. `limit` 0 means all.
    pub async fn find_providers(&self, cid: &Cid, limit: usize) -> Result<mpsc::Receiver<PeerAddrs>, NodeError> {
        Ok(call(&self.0.find_providers, FindProviders { key: *cid.hash(), limit }, LOOKUP).await??)
    }

    /// Finds the addresses of a peer.
    pub async fn find_peer(&self, peer: PeerId) -> Result<PeerAddrs, NodeError> {
        Ok(call(&self.0.find_peer, FindPeer { peer }, LOOKUP).await??)
    }

    /// The peers closest to a key.
    pub async fn closest_peers(&self, key: Vec<u8>) -> Result<Vec<PeerAddrs>, NodeError> {
        Ok(call(&self.0.closest, ClosestPeers { key }, LOOKUP).await??)
    }

    /// Stores a record; says how many peers took it.
    pub async fn put(&self, key: Vec<u8>, value: Vec<u8>) -> Result<usize, NodeError> {
        Ok(call(&self.0.put, PutValue { key, value }, LOOKUP).await??)
    }

    /// Finds a record.
    pub async fn get(&self, key: Vec<u8>) -> Result<Vec<u8>, NodeError> {
        Ok(call(&self.0.get, GetValue { key }, LOOKUP).await??)
    }

    /// Refreshes the routing tables.
    pub async fn bootstrap(&self) -> Result<usize, NodeError> {
        Ok(call(&self.0.bootstrap, Bootstrap, LOOKUP).await??)
    }

    /// Mode and size of each network's routing table.
    pub async fn routing_tables(&self) -> Result<Vec<RoutingTable>, NodeError> {
        call(&self.0.tables, GetRoutingTables, QUICK).await
    }

    /// What the DHT keeps and runs.
    pub async fn status(&self) -> Result<DhtStatus, NodeError> {
        call(&self.0.status, GetDhtStatus, QUICK).await
    }
}
