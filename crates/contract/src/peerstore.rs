//! What the peer store hears: what is known of a peer, the ban list, protection.

use crate::{Multiaddr, PeerAddrs, PeerId};
use actix::Message;
use std::time::Duration;

/// Addresses known for a peer, best first. Handled by the peer store at once; sent by every subsystem above it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<Multiaddr>")]
pub struct GetAddrs {
    /// Whom.
    pub peer: PeerId,
}

/// What is known of a peer. Handled by the peer store.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Option<KnownPeer>")]
pub struct GetPeer {
    /// Whom.
    pub peer: PeerId,
}

/// Every known peer with its addresses. Handled by the peer store.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<KnownPeer>")]
pub struct ListPeers;

/// Remembers addresses of a peer, such as those that came with a provider record. Handled by the peer store.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct AddAddrs {
    /// Who and where.
    pub peer: PeerAddrs,
}

/// Bans a peer: its connections are closed, new ones refused; survives a restart of the node. Handled by the peer store.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), PeerStoreError>")]
pub struct Ban {
    /// Whom.
    pub peer: PeerId,
}

/// Lifts a ban; replies whether there was one. Handled by the peer store.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<bool, PeerStoreError>")]
pub struct Unban {
    /// Whom.
    pub peer: PeerId,
}

/// Protects a peer or ends its protection: a protected peer is never pruned and is connected again when lost.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), PeerStoreError>")]
pub struct Protect {
    /// Whom.
    pub peer: PeerId,
    /// Whether it is protected from now on.
    pub protect: bool,
}

/// The banned peers. Handled by the peer store.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<PeerId>")]
pub struct ListBanned;

/// Writes what is not yet on disk. Handled by the peer store; sent at shutdown.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), PeerStoreError>")]
pub struct Flush;

/// What is known of a peer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct KnownPeer {
    /// Who.
    pub peer: PeerId,
    /// Where, most recently useful first.
    pub addrs: Vec<Multiaddr>,
    /// Protocols it announced.
    pub protocols: Vec<String>,
    /// Agent version it announced.
    pub agent: Option<String>,
    /// Latest round-trip times, newest last.
    pub latency: Vec<Duration>,
    /// Seconds since the Unix epoch when it was last connected or identified.
    pub last_seen: u64,
    /// Connections established with it so far.
    pub connections: u64,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Whether it is protected.
    pub protected: bool,
}

/// Why the peer store could not do it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerStoreError {
    /// The database refused.
    #[error("peer store: {0}")]
    Storage(String),
}
