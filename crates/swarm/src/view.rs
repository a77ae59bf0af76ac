//! The shell's view of the network: written by the driver, read without waiting for it.

use ipfrs_contract::swarm::{Bandwidth, ConnectionInfo, Direction, LocalAddrs};
use ipfrs_contract::{Multiaddr, PeerId};
use libp2p::swarm::ConnectionId;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::time::Instant;

/// One established connection.
pub(crate) struct Conn {
    pub(crate) peer: PeerId,
    pub(crate) addr: Multiaddr,
    pub(crate) direction: Direction,
    pub(crate) since: Instant,
    pub(crate) rtt: Option<Duration>,
}

/// What identify told about a connected peer.
#[derive(Default, Clone)]
pub(crate) struct Identity {
    pub(crate) agent: String,
    pub(crate) protocols: Vec<String>,
    pub(crate) listen: Vec<Multiaddr>,
}

/// Everything the driver knows that others ask for.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) connections: HashMap<ConnectionId, Conn>,
    pub(crate) identities: HashMap<PeerId, Identity>,
    pub(crate) local: LocalAddrs,
    pub(crate) banned: HashSet<PeerId>,
    pub(crate) protected: HashSet<PeerId>,
    pub(crate) bandwidth: Bandwidth,
    /// Bytes counted by drivers that are gone.
    pub(crate) earlier: (u64, u64),
    /// What was asked to be listened on, with the fixed port it got.
    pub(crate) listeners: Vec<Multiaddr>,
}

impl View {
    pub(crate) fn info(&self, conn: &Conn) -> ConnectionInfo {
        let identity = self.identities.get(&conn.peer);
        ConnectionInfo {
            peer: conn.peer,
            addr: conn.addr.clone(),
            direction: conn.direction,
            age: conn.since.elapsed(),
            rtt: conn.rtt,
            agent: identity.map(|i| i.agent.clone()),
            protocols: identity.map(|i| i.protocols.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn infos(&self) -> Vec<ConnectionInfo> {
        self.connections.values().map(|conn| self.info(conn)).collect()
    }

    pub(crate) fn of_peer(&self, peer: &PeerId) -> Option<ConnectionInfo> {
        self.connections.values().find(|c| c.peer == *peer).map(|c| self.info(c))
    }

    /// Connected and protected peers with an address they can be dialled at, for a new driver.
    pub(crate) fn redial_list(&self) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut peers: HashMap<PeerId, Vec<Multiaddr>> = HashMap::new();
        for conn in self.connections.values() {
            let addrs = peers.entry(conn.peer).or_default();
            match conn.direction {
                Direction::Outbound => addrs.push(conn.addr.clone()),
                // The remote port of an inbound connection is seldom a listening one: identify knows better.
                Direction::Inbound => {
                    addrs.extend(self.identities.get(&conn.peer).into_iter().flat_map(|i| i.listen.iter().cloned()));
                }
            }
        }
        let mut list: Vec<_> = peers.into_iter().filter(|(_, addrs)| !addrs.is_empty()).collect();
        list.sort_by_key(|(peer, _)| !self.protected.contains(peer));
        list
    }
}
