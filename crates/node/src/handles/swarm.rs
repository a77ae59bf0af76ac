//! Connections, addresses and streams.

use super::{PEER, QUICK, call};
use crate::NodeError;
use futures::{AsyncReadExt, AsyncWriteExt};
use ipfrs_actor::{Port, Subscription, Topic};
use ipfrs_contract::dht::FindPeer;
use ipfrs_contract::peerstore::GetAddrs;
use ipfrs_contract::swarm::*;
use ipfrs_contract::{Multiaddr, PeerId, PeerStream, peer_of, without_peer};
use rand::RngCore;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The protocol of [`SwarmHandle::ping`] (libp2p ping specification).
const PING: &str = "/ipfs/ping/1.0.0";
/// Streams tried for one ping.
const PING_TRIES: u32 = 3;
/// Bytes of one ping.
const PING_BYTES: usize = 32;

/// Ports of [`SwarmHandle`].
#[derive(Clone)]
pub(crate) struct SwarmPorts {
    pub(crate) dial: Port<Dial>,
    pub(crate) disconnect: Port<Disconnect>,
    pub(crate) listen: Port<Listen>,
    pub(crate) connections: Port<ListConnections>,
    pub(crate) addrs: Port<GetLocalAddrs>,
    pub(crate) open: Port<OpenStream>,
    pub(crate) register: Port<RegisterProtocol>,
    pub(crate) bandwidth: Port<GetBandwidth>,
    pub(crate) known: Port<GetAddrs>,
    pub(crate) find_peer: Port<FindPeer>,
    pub(crate) topic: Topic<SwarmEvent>,
    pub(crate) attempts: u32,
}

/// Connections, addresses and streams of a node.
#[derive(Clone)]
pub struct SwarmHandle(pub(crate) SwarmPorts);

impl SwarmHandle {
    /// Connects to an address, with or without `/p2p/…`.
    pub async fn connect(&self, addr: Multiaddr) -> Result<ConnectionInfo, NodeError> {
        let peer = peer_of(&addr);
        let bare = without_peer(&addr);
        if bare.is_empty() {
            return match peer {
                Some(peer) => self.connect_peer(peer).await,
                None => Err(DialError::NoAddresses(addr.to_string()).into()),
            };
        }
        // A /dnsaddr address resolves to addresses that name their peer: it must stay complete.
        let dnsaddr = addr.iter().any(|p| matches!(p, ipfrs_contract::Protocol::Dnsaddr(_)));
        let addrs = vec![if dnsaddr { addr } else { bare }];
        self.dial(peer, addrs, self.0.attempts).await
    }

    /// Connects to a peer at addresses that the peer store or the DHT knows.
    pub async fn connect_peer(&self, peer: PeerId) -> Result<ConnectionInfo, NodeError> {
        let mut addrs = call(&self.0.known, GetAddrs { peer }, QUICK).await?;
        if addrs.is_empty() && !self.connections().await?.iter().any(|c| c.peer == peer) {
            addrs = call(&self.0.find_peer, FindPeer { peer }, super::LOOKUP).await??.addrs;
        }
        self.dial(Some(peer), addrs, self.0.attempts).await
    }

    async fn dial(
        &self,
        peer: Option<PeerId>,
        addrs: Vec<Multiaddr>,
        attempts: u32,
    ) -> Result<ConnectionInfo, NodeError> {
        Ok(call(&self.0.dial, Dial { peer, addrs, attempts }, PEER).await??)
    }

    /// Closes every connection to a peer; says how many there were.
    pub async fn disconnect(&self, peer: PeerId) -> Result<usize, NodeError> {
        call(&self.0.disconnect, Disconnect { peer }, QUICK).await
    }

    /// Every established connection.
    pub async fn connections(&self) -> Result<Vec<ConnectionInfo>, NodeError> {
        call(&self.0.connections, ListConnections, QUICK).await
    }

    /// Where this node listens.
    pub async fn local_addrs(&self) -> Result<LocalAddrs, NodeError> {
        call(&self.0.addrs, GetLocalAddrs, QUICK).await
    }

    /// Listens on one more address.
    pub async fn listen(&self, addr: Multiaddr) -> Result<Multiaddr, NodeError> {
        Ok(call(&self.0.listen, Listen { addr }, QUICK).await??)
    }

    /// Measures one round trip; connects when needed.
    pub async fn ping(&self, peer: PeerId) -> Result<Duration, NodeError> {
        if !self.connections().await?.iter().any(|c| c.peer == peer) {
            self.connect_peer(peer).await?;
        }
        let mut tries = PING_TRIES;
        loop {
            tries -= 1;
            match self.round_trip(peer).await {
                // A peer answers on its newest ping stream only: the connection's own ping may have opened one since.
                Err(NodeError::Stream { cause, .. }) if tries > 0 && cause.kind() != std::io::ErrorKind::TimedOut => {}
                Err(NodeError::OpenStream(OpenStreamError::Io { .. })) if tries > 0 => {}
                measured => return measured,
            }
        }
    }

    async fn round_trip(&self, peer: PeerId) -> Result<Duration, NodeError> {
        let mut stream = self.open_stream(peer, &[PING]).await?;
        let mut sent = [0u8; PING_BYTES];
        rand::rng().fill_bytes(&mut sent);
        let mut echoed = [0u8; PING_BYTES];
        let begun = Instant::now();
        let echo = async {
            stream.write_all(&sent).await?;
            stream.flush().await?;
            stream.read_exact(&mut echoed).await?;
            if sent == echoed { Ok(()) } else { Err(std::io::Error::other("the echo differs")) }
        };
        let timed_out = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
        tokio::time::timeout(QUICK, echo)
            .await
            .unwrap_or_else(timed_out)
            .map_err(|cause| NodeError::Stream { peer, cause })?;
        Ok(begun.elapsed())
    }

    /// Opens a stream to a connected peer.
    pub async fn open_stream(&self, peer: PeerId, protocols: &[&str]) -> Result<PeerStream, NodeError> {
        let protocols = protocols.iter().map(|p| (*p).to_owned()).collect();
        Ok(call(&self.0.open, OpenStream { peer, protocols }, PEER).await??)
    }

    /// Serves a protocol as long as the receiver lives.
    pub async fn register(&self, protocol: &str, queue: usize) -> Result<mpsc::Receiver<PeerStream>, NodeError> {
        Ok(call(&self.0.register, RegisterProtocol { protocol: protocol.to_owned(), queue }, QUICK).await??)
    }

    /// Bytes over all connections.
    pub async fn bandwidth(&self) -> Result<Bandwidth, NodeError> {
        call(&self.0.bandwidth, GetBandwidth, QUICK).await
    }

    /// What happens in the network from now on.
    pub fn events(&self) -> Subscription<SwarmEvent> {
        self.0.topic.subscribe()
    }
}
