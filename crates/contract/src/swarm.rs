//! What the swarm hears and says: dialling, listening, streams, routing queries, connection events.

use crate::{InboundStream, Multiaddr, Multihash, PeerAddrs, PeerId, PeerStream};
use actix::Message;
use std::{collections::HashSet, time::Duration};
use tokio::sync::mpsc;

/// Which side opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Direction {
    /// The peer dialled us.
    Inbound,
    /// We dialled the peer.
    Outbound,
}

/// One established connection.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionInfo {
    /// The peer at the other end.
    pub peer: PeerId,
    /// Its address as this connection sees it, without `/p2p`.
    pub addr: Multiaddr,
    /// Who opened it.
    pub direction: Direction,
    /// How long it has been open.
    pub age: Duration,
    /// Last round-trip time that ping measured.
    pub rtt: Option<Duration>,
    /// Agent version the peer announced through identify.
    pub agent: Option<String>,
    /// Protocols the peer announced through identify; empty before that.
    pub protocols: Vec<String>,
}

/// Connects to a peer.
///
/// Handled by the swarm; sent by every subsystem above it. Replies when a connection is up or every attempt failed.
/// An existing connection answers at once. At most `attempts` rounds, with exponential backoff between them.
/// When the mailbox is full the caller gets `Overloaded` after its deadline.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<ConnectionInfo, DialError>")]
pub struct Dial {
    /// Whom to expect at the other end; `None` accepts whoever answers.
    pub peer: Option<PeerId>,
    /// Where to try, best guess first.
    pub addrs: Vec<Multiaddr>,
    /// Rounds before giving up; 1 is a single try.
    pub attempts: u32,
}

/// Why a dial did not end in a connection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// Nothing to dial.
    #[error("no addresses for peer {0}")]
    NoAddresses(String),
    /// Every address failed; one line per address.
    #[error("failed to dial {peer}: {}", .causes.join("; "))]
    Failed {
        /// Whom we tried to reach.
        peer: String,
        /// `address: cause` lines.
        causes: Vec<String>,
    },
    /// The peer behind the address has another identity.
    #[error("peer id mismatch: {address} is {obtained}, expected {expected}")]
    WrongPeer {
        /// Who was expected.
        expected: PeerId,
        /// Who answered.
        obtained: PeerId,
        /// Where.
        address: Multiaddr,
    },
    /// This peer failed too often; it is not tried again before the cool-down is over.
    #[error("peer {peer} failed {failures} times in a row, not dialled again for {retry_in:?}")]
    CircuitOpen {
        /// Which peer.
        peer: PeerId,
        /// Failures in a row.
        failures: u32,
        /// Time until the next try is let through.
        retry_in: Duration,
    },
    /// The peer is on the ban list.
    #[error("peer {0} is banned")]
    Banned(PeerId),
    /// A connection limit refuses the dial.
    #[error("connection limit reached: {0}")]
    Limit(String),
    /// We tried to dial ourselves.
    #[error("cannot dial self")]
    LocalPeer,
    /// The network driver went away during the dial.
    #[error("the network driver is restarting")]
    DriverLost,
}

/// Closes every connection to a peer. Handled by the swarm; replies with how many were closed.
#[derive(Debug, Clone, Message)]
#[rtype(result = "usize")]
pub struct Disconnect {
    /// Whom to leave.
    pub peer: PeerId,
}

/// Starts listening on an address. Handled by the swarm; replies with the first resolved address.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Multiaddr, ListenError>")]
pub struct Listen {
    /// Address with or without a fixed port.
    pub addr: Multiaddr,
}

/// Why a listener could not be opened.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The operating system or the transport refused.
    #[error("cannot listen on {addr}: {cause}")]
    Failed {
        /// The address asked for.
        addr: Multiaddr,
        /// What the transport said.
        cause: String,
    },
    /// The network driver went away meanwhile.
    #[error("the network driver is restarting")]
    DriverLost,
}

/// Every established connection. Handled by the swarm from its own view; never waits for the network.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<ConnectionInfo>")]
pub struct ListConnections;

/// Addresses of this node. Handled by the swarm; replies at once.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "LocalAddrs")]
pub struct GetLocalAddrs;

/// Where this node listens and is known to be reachable.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LocalAddrs {
    /// Resolved listen addresses, without `/p2p`.
    pub listen: Vec<Multiaddr>,
    /// Addresses announced to others beyond the listen addresses.
    pub external: Vec<Multiaddr>,
    /// Protocols served to peers.
    pub protocols: Vec<String>,
}

/// Opens a stream to a connected peer. Handled by the swarm; the data path is the stream itself.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<PeerStream, OpenStreamError>")]
pub struct OpenStream {
    /// To whom; must be connected.
    pub peer: PeerId,
    /// Protocols by preference, such as `/ipfs/ping/1.0.0`.
    pub protocols: Vec<String>,
}

/// Why a stream was not opened.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStreamError {
    /// There is no connection to this peer.
    #[error("not connected to {0}")]
    NotConnected(PeerId),
    /// The peer speaks none of the protocols.
    #[error("peer {peer} speaks none of {protocols:?}")]
    Unsupported {
        /// Which peer.
        peer: PeerId,
        /// What we offered.
        protocols: Vec<String>,
    },
    /// The stream broke during negotiation.
    #[error("stream to {peer} failed: {cause}")]
    Io {
        /// Which peer.
        peer: PeerId,
        /// What the connection said.
        cause: String,
    },
    /// Too many streams are being opened to this peer.
    #[error("too many streams waiting to be opened to {0}")]
    Busy(PeerId),
    /// A protocol name is not valid (`/` is missing at its start).
    #[error("{0:?} is not a protocol name, it must start with '/'")]
    BadProtocol(String),
    /// The network driver went away meanwhile.
    #[error("the network driver is restarting")]
    DriverLost,
}

/// Serves a protocol: inbound streams arrive on the returned queue. Handled by the swarm.
///
/// The registration lasts as long as the receiver. When the queue is full, up to a bounded number of streams wait in
/// their connection; streams beyond that are reset and counted. A second registration replaces the first.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<mpsc::Receiver<InboundStream>, OpenStreamError>")]
pub struct RegisterProtocol {
    /// Protocol name, such as `/ipfs/bitswap/1.2.0`.
    pub protocol: String,
    /// Streams that may wait unaccepted.
    pub queue: usize,
}

/// Replaces the set of banned peers; their connections are closed. Handled by the swarm, sent by the peer store.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SetBanned {
    /// The whole ban list.
    pub peers: HashSet<PeerId>,
}

/// Replaces the set of protected peers, which are redialled when their connection is lost with the driver.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SetProtected {
    /// The whole list of protected peers.
    pub peers: HashSet<PeerId>,
}

/// Bytes that went over all connections since the start.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Bandwidth")]
pub struct GetBandwidth;

/// Totals in bytes and rates in bytes per second over the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Bandwidth {
    /// Bytes received since the start.
    pub total_in: u64,
    /// Bytes sent since the start.
    pub total_out: u64,
    /// Bytes received per second.
    pub rate_in: f64,
    /// Bytes sent per second.
    pub rate_out: f64,
}

/// Which Kademlia network a query runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub enum KadNetwork {
    /// The public network, `/ipfs/kad/1.0.0`.
    Wan,
    /// The local network, `/ipfs/lan/kad/1.0.0`.
    Lan,
}

/// What a routing query asks.
#[derive(Debug, Clone, PartialEq)]
pub enum KadQuery {
    /// Refresh the routing table.
    Bootstrap,
    /// Announce that this node provides a multihash.
    Provide(Multihash),
    /// Who provides a multihash?
    FindProviders(Multihash),
    /// The peers closest to a key.
    ClosestPeers(Vec<u8>),
    /// Store a record.
    PutValue {
        /// Record key, such as `/ipns/…`.
        key: Vec<u8>,
        /// Record value.
        value: Vec<u8>,
    },
    /// Find a record.
    GetValue(Vec<u8>),
}

/// What a routing query finds, as it finds it.
#[derive(Debug, Clone, PartialEq)]
pub enum KadFound {
    /// Providers with the addresses known while the query runs.
    Providers(Vec<PeerAddrs>),
    /// Closest peers.
    Peers(Vec<PeerAddrs>),
    /// A record's value.
    Value(Vec<u8>),
    /// The query ended; `Ok` holds the number of peers that answered or stored.
    Done(Result<usize, String>),
}

/// Runs a routing query. Handled by the swarm, sent by the DHT alone. Findings arrive on `found`, the last one is
/// [`KadFound::Done`]; dropping the receiver ends the query.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), KadUnavailable>")]
pub struct StartQuery {
    /// In which network.
    pub network: KadNetwork,
    /// What to ask.
    pub query: KadQuery,
    /// Where findings go.
    pub found: mpsc::Sender<KadFound>,
}

/// Stops announcing a multihash in both networks. Handled by the swarm, sent by the DHT.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct StopProviding {
    /// Which multihash.
    pub key: Multihash,
}

/// The routing network cannot run this query.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KadUnavailable {
    /// Routing is switched off in the configuration.
    #[error("routing is switched off")]
    Disabled,
    /// No peer of this network is known yet.
    #[error("no known peers in the {0:?} routing table")]
    NoPeers(KadNetwork),
    /// Too many queries are running.
    #[error("too many routing queries at once")]
    Busy,
    /// The network driver went away meanwhile.
    #[error("the network driver is restarting")]
    DriverLost,
}

/// Peers in the routing tables and the mode of each network. Handled by the swarm.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<RoutingTable>")]
pub struct GetRoutingTables;

/// The state of one Kademlia network.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RoutingTable {
    /// Which network.
    pub network: KadNetwork,
    /// Whether this node answers queries.
    pub server: bool,
    /// Peers in the table.
    pub peers: usize,
}

/// What happened in the network. Published by the swarm on a topic that carries state: after a gap a subscriber gets
/// `Resync` and asks for [`ListConnections`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SwarmEvent {
    /// A network driver started; all connections of an earlier one are gone. Routing records must be provided again.
    DriverStarted {
        /// 1 for the first driver.
        generation: u64,
    },
    /// A connection was established.
    Connected {
        /// With whom.
        peer: PeerId,
        /// Where.
        addr: Multiaddr,
        /// Who opened it.
        direction: Direction,
        /// Connections to this peer, this one included.
        count: u32,
    },
    /// A connection was closed.
    Disconnected {
        /// With whom.
        peer: PeerId,
        /// Connections to this peer that remain.
        remaining: u32,
    },
    /// Identify told who a peer is.
    Identified {
        /// Which peer.
        peer: PeerId,
        /// Its agent version.
        agent: String,
        /// Its protocols.
        protocols: Vec<String>,
        /// Where it says it listens.
        addrs: Vec<Multiaddr>,
    },
    /// An outgoing attempt failed.
    DialFailed {
        /// Whom we tried to reach, when known.
        peer: Option<PeerId>,
        /// Addresses that failed.
        addrs: Vec<Multiaddr>,
    },
    /// Ping measured a round-trip time.
    Latency {
        /// To whom.
        peer: PeerId,
        /// How long.
        rtt: Duration,
    },
    /// Multicast DNS found peers on the local network.
    MdnsFound(Vec<PeerAddrs>),
    /// A listener resolved to this address.
    Listening(Multiaddr),
    /// This address is no longer listened on.
    ListenExpired(Multiaddr),
}
