//! The vocabulary of the node: commands, events, states and typed errors, one module per subsystem.
//!
//! Data only. A message is an ordinary actix message; who handles it, who may send it, what it replies and by when
//! stands in its documentation. Nothing here depends on another crate of the node, so every actor crate can know the
//! whole vocabulary and no other actor.
#![forbid(unsafe_code)]

pub mod dht;
pub mod exchange;
pub mod peerstore;
mod stream;
pub mod swarm;

pub use cid::Cid;
pub use libp2p_identity::{Keypair, PeerId, PublicKey};
pub use multiaddr::{Multiaddr, Protocol};
pub use stream::{InboundStream, PeerStream, StreamIo};

/// A multihash as IPFS uses it: at most 64 bytes of digest.
pub type Multihash = multihash::Multihash<64>;

/// A peer and the addresses it is believed to be reachable at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PeerAddrs {
    /// Who.
    pub peer: PeerId,
    /// Where; may be empty when only the identity is known.
    pub addrs: Vec<Multiaddr>,
}

/// The peer id in the last `/p2p/…` component of an address.
///
/// ```
/// let addr = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA".parse().unwrap();
/// assert!(ipfrs_contract::peer_of(&addr).is_some());
/// ```
pub fn peer_of(addr: &Multiaddr) -> Option<PeerId> {
    addr.iter().filter_map(|p| if let Protocol::P2p(peer) = p { Some(peer) } else { None }).last()
}

/// The address without its trailing `/p2p/…`.
pub fn without_peer(addr: &Multiaddr) -> Multiaddr {
    let mut out = addr.clone();
    if matches!(out.iter().last(), Some(Protocol::P2p(_))) {
        out.pop();
    }
    out
}
