//! What the swarm obeys.

use ipfrs_contract::{Keypair, Multiaddr};
use ipfrs_resilience::Backoff;
use std::{sync::Arc, time::Duration};

/// Decides whether a record may be stored: key, value.
pub type RecordValidator = Arc<dyn Fn(&[u8], &[u8]) -> bool + Send + Sync>;

/// Configuration of the swarm.
#[derive(Clone)]
pub struct Config {
    /// Who this node is.
    pub keypair: Keypair,
    /// Agent version announced through identify.
    pub agent: String,
    /// QUIC on or off.
    pub quic: bool,
    /// TCP on or off.
    pub tcp: bool,
    /// WebSocket on or off (needs TCP).
    pub websocket: bool,
    /// The in-process memory transport, for tests.
    pub memory: bool,
    /// Multicast DNS on or off.
    pub mdns: bool,
    /// Connections without streams are closed after this.
    pub idle_timeout: Duration,
    /// Time between pings.
    pub ping_interval: Duration,
    /// Connection limits.
    pub limits: Limits,
    /// How peers are dialled.
    pub dialling: DialPolicy,
    /// Kademlia.
    pub routing: RoutingConfig,
    /// Addresses announced although nobody listens on them here.
    pub announce: Vec<Multiaddr>,
}

/// Connection limits; `None` is no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// All connections.
    pub total: Option<u32>,
    /// Connections that peers opened.
    pub inbound: Option<u32>,
    /// Connections that we opened.
    pub outbound: Option<u32>,
    /// Connections with one peer.
    pub per_peer: Option<u32>,
}

/// How peers are dialled.
#[derive(Debug, Clone)]
pub struct DialPolicy {
    /// One attempt, all addresses together, may take this long.
    pub timeout: Duration,
    /// Delays between attempts.
    pub backoff: Backoff,
    /// Failed dials in a row after which a peer is left alone.
    pub circuit_failures: u32,
    /// How long it is left alone.
    pub circuit_cooldown: Duration,
    /// Attempts in flight together.
    pub max_pending: usize,
}

/// Which side of the DHT this node plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhtMode {
    /// Server in the public network once a public address is confirmed; server in the local network.
    Auto,
    /// Asks, never answers.
    Client,
    /// Asks and answers.
    Server,
    /// No routing.
    Off,
}

/// Kademlia settings.
#[derive(Clone)]
pub struct RoutingConfig {
    /// Which side.
    pub mode: DhtMode,
    /// Whether loopback addresses count as local-network addresses.
    pub loopback_on_lan: bool,
    /// A query may take this long.
    pub query_timeout: Duration,
    /// Peers asked at a time (alpha).
    pub parallelism: usize,
    /// Multihashes whose provider records are stored for others.
    pub max_provided_keys: usize,
    /// Records stored for others.
    pub max_records: usize,
    /// Whether a record may be stored.
    pub validator: RecordValidator,
}
