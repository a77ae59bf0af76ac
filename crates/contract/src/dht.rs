//! What the DHT hears: provide, find, put, get. Keys are multihashes: two CIDs of the same bytes are the same content.

use crate::{Multihash, PeerAddrs, PeerId};
use actix::Message;
use tokio::sync::mpsc;

/// Announces that this node provides a multihash, in every network that has peers.
///
/// Handled by the DHT; sent by the node. Replies when at least one network stored the record, with the peers asked to
/// store it. The announcement is kept and repeated until [`StopProvide`], also over a restart of any actor.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<usize, DhtError>")]
pub struct Provide {
    /// What is provided.
    pub key: Multihash,
}

/// Stops repeating an announcement. Handled by the DHT.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct StopProvide {
    /// Which one.
    pub key: Multihash,
}

/// Finds providers; they arrive on the returned queue as they are found, each peer once, and the queue closes at the end.
///
/// Handled by the DHT; sent by the node and the exchange. Equal lookups that run at the same time share one query.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<mpsc::Receiver<PeerAddrs>, DhtError>")]
pub struct FindProviders {
    /// Of what.
    pub key: Multihash,
    /// Stop after this many; 0 means all.
    pub limit: usize,
}

/// Finds the addresses of a peer. Handled by the DHT; sent by the node.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<PeerAddrs, DhtError>")]
pub struct FindPeer {
    /// Whom.
    pub peer: PeerId,
}

/// The peers closest to a key. Handled by the DHT; sent by the node.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<PeerAddrs>, DhtError>")]
pub struct ClosestPeers {
    /// The key, hashed by the network itself.
    pub key: Vec<u8>,
}

/// Stores a record in the DHT. Handled by the DHT; sent by the node.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<usize, DhtError>")]
pub struct PutValue {
    /// Record key (`/ipns/…` or `/pk/…`), at most [`MAX_KEY_BYTES`].
    pub key: Vec<u8>,
    /// Record value, at most [`MAX_VALUE_BYTES`].
    pub value: Vec<u8>,
}

/// Finds a record in the DHT. Handled by the DHT; sent by the node.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<u8>, DhtError>")]
pub struct GetValue {
    /// Record key.
    pub key: Vec<u8>,
}

/// Refreshes the routing tables. Handled by the DHT; replies when the refresh is over.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<usize, DhtError>")]
pub struct Bootstrap;

/// What the DHT keeps and runs. Handled by the DHT at once.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "DhtStatus")]
pub struct GetDhtStatus;

/// Figures about the DHT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct DhtStatus {
    /// Multihashes announced again and again.
    pub provided: usize,
    /// Lookups running now.
    pub lookups: usize,
    /// Callers that joined a lookup which was already running, since the start.
    pub deduplicated: u64,
}

/// Longest record key: 80 bytes, the limit of the IPFS Kademlia specification.
pub const MAX_KEY_BYTES: usize = 80;
/// Longest record value: 10 KiB, the limit of IPNS records (IPNS specification, "record size limit").
pub const MAX_VALUE_BYTES: usize = 10 * 1024;

/// Why the DHT could not do it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DhtError {
    /// Nobody found.
    #[error("routing: not found")]
    NotFound,
    /// Routing is switched off in the configuration.
    #[error("routing is switched off")]
    Disabled,
    /// No peer to ask.
    #[error("failed to find any peer in table")]
    NoPeers,
    /// The argument named is not acceptable.
    #[error("{field}: {why}")]
    BadInput {
        /// Which argument.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Peers answered with failures or not at all.
    #[error("routing: {0}")]
    Failed(String),
    /// Too many lookups at once.
    #[error("too many routing queries at once")]
    Busy,
}
