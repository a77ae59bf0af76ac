//! One error for every handle: what failed, with its cause kept.

use ipfrs_actor::CallError;
use ipfrs_blocks::StoreError;
use ipfrs_contract::dht::DhtError;
use ipfrs_contract::exchange::ExchangeError;
use ipfrs_contract::peerstore::PeerStoreError;
use ipfrs_contract::swarm::{DialError, ListenError, OpenStreamError};
use ipfrs_contract::{Cid, PeerId};

/// Why an operation of a node failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// An actor did not answer; says whether the request had begun.
    #[error("{actor}: {cause}")]
    Call {
        /// Which actor.
        actor: &'static str,
        /// Why.
        #[source]
        cause: CallError,
    },
    /// A dial failed.
    #[error("{0}")]
    Dial(#[from] DialError),
    /// A listener could not be opened.
    #[error("{0}")]
    Listen(#[from] ListenError),
    /// A stream could not be opened.
    #[error("{0}")]
    OpenStream(#[from] OpenStreamError),
    /// A stream broke.
    #[error("stream to {peer}: {cause}")]
    Stream {
        /// With whom.
        peer: PeerId,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Routing failed.
    #[error("{0}")]
    Dht(#[from] DhtError),
    /// The peer store failed.
    #[error("{0}")]
    PeerStore(#[from] PeerStoreError),
    /// The exchange failed.
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    /// The block store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A path is not one.
    #[error("invalid path {path:?}: {why}")]
    BadPath {
        /// The path given.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A name does not exist in a directory.
    #[error("no link named {name:?} under {parent}")]
    NoLink {
        /// The name.
        name: String,
        /// The directory.
        parent: Cid,
    },
    /// The thing at a path is not what the operation needs.
    #[error("{0}")]
    WrongKind(String),
    /// A block is malformed.
    #[error("block {cid} is malformed: {why}")]
    BadBlock {
        /// Which block.
        cid: Cid,
        /// What is wrong with it.
        why: String,
    },
    /// A block was not found in time.
    #[error("block {cid} not found: nobody sent it within {within:?}")]
    NotFound {
        /// Which block.
        cid: Cid,
        /// How long nothing arrived.
        within: std::time::Duration,
    },
    /// A task of this node was lost.
    #[error("interrupted: {0}")]
    Interrupted(String),
}
