//! The configuration of a node. Every field is obeyed by code; a test walks them.
//!
//! Durations are written `30s`, `22h`; a limit of 0 is no limit. In the environment a field is
//! `IPFRS_SECTION__FIELD`, such as `IPFRS_SWARM__IDLE_TIMEOUT=2m`.

mod load;

pub(crate) use load::FILE;
pub use load::{ConfigError, field_paths, load};

use crate::Preset;
use ipfrs_contract::Multiaddr;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Everything that can be set. The default is the `desktop` preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What the fields that are not given start from.
    pub preset: Preset,
    /// Transports, connections, dialling.
    pub swarm: Swarm,
    /// How peers are found.
    pub discovery: Discovery,
    /// Content and peer routing.
    pub dht: Dht,
    /// What is remembered of peers.
    pub peerstore: PeerStore,
    /// The block exchange.
    pub exchange: Exchange,
    /// The HTTP API of the daemon.
    pub api: Api,
    /// What is logged.
    pub log: Log,
    /// How failures are dealt with.
    pub supervisor: Supervisor,
}

/// Transports, connections, dialling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Swarm {
    /// Where peers can reach this node.
    pub listen: Vec<Multiaddr>,
    /// Addresses told to peers although nobody listens on them here, such as a forwarded port.
    pub announce: Vec<Multiaddr>,
    /// QUIC v1.
    pub quic: bool,
    /// TCP with Noise or TLS over Yamux.
    pub tcp: bool,
    /// WebSocket over TCP.
    pub websocket: bool,
    /// Appended to the agent version, after a slash.
    pub agent_suffix: String,
    /// A connection without streams is closed after this.
    #[serde(with = "ipfrs_resilience::duration")]
    pub idle_timeout: Duration,
    /// Time between pings on a connection.
    #[serde(with = "ipfrs_resilience::duration")]
    pub ping_interval: Duration,
    /// Connection limits.
    #[serde(rename = "max_connections")]
    pub limits: Limits,
    /// One attempt to connect may take this long.
    #[serde(with = "ipfrs_resilience::duration")]
    pub dial_timeout: Duration,
    /// Attempts of one `swarm connect`.
    pub dial_attempts: u32,
    /// Delay before the second attempt; doubles with each.
    #[serde(with = "ipfrs_resilience::duration")]
    pub dial_backoff_base: Duration,
    /// Longest such delay.
    #[serde(with = "ipfrs_resilience::duration")]
    pub dial_backoff_max: Duration,
    /// Failed dials in a row after which a peer is left alone.
    pub circuit_failures: u32,
    /// For how long.
    #[serde(with = "ipfrs_resilience::duration")]
    pub circuit_cooldown: Duration,
    /// Attempts to connect under way at once.
    pub max_pending_dials: usize,
}

/// Connection limits; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Connections in all.
    pub total: u32,
    /// Connections that peers opened.
    pub inbound: u32,
    /// Connections that this node opened.
    pub outbound: u32,
    /// Connections with one peer.
    pub per_peer: u32,
}

/// How peers are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Discovery {
    /// Peers at which the network is joined; each ends in `/p2p/…`.
    pub bootstrap: Vec<Multiaddr>,
    /// Find peers on the local network, and connect to them.
    pub mdns: bool,
    /// With fewer connected peers the bootstrap peers are dialled.
    pub min_peers: usize,
    /// Known peers dialled after a start.
    pub reconnect: usize,
}

/// Which side of the DHT a node plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DhtMode {
    /// Server in the public network once a public address is known, and in the local network.
    #[default]
    Auto,
    /// Asks, never answers.
    Client,
    /// Asks and answers.
    Server,
    /// No routing.
    Off,
}

/// Content and peer routing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dht {
    /// Which side.
    pub mode: DhtMode,
    /// Whether loopback addresses count as addresses of the local network.
    pub loopback_on_lan: bool,
    /// A query may take this long.
    #[serde(with = "ipfrs_resilience::duration")]
    pub query_timeout: Duration,
    /// Peers asked at a time (alpha of the specification).
    pub parallelism: usize,
    /// Multihashes announced again and again.
    pub max_provided: usize,
    /// Multihashes whose provider records are kept for others.
    pub max_provider_keys: usize,
    /// Records kept for others.
    pub max_records: usize,
    /// Time between two announcements of the same multihash.
    #[serde(with = "ipfrs_resilience::duration")]
    pub reprovide_interval: Duration,
    /// Time between two refreshes of the routing tables.
    #[serde(with = "ipfrs_resilience::duration")]
    pub bootstrap_interval: Duration,
}

/// What is remembered of peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerStore {
    /// Peers.
    pub max_peers: usize,
    /// Addresses of one peer.
    pub max_addrs: usize,
    /// Round-trip times of one peer.
    pub max_latency_samples: usize,
    /// Protocols of one peer.
    pub max_protocols: usize,
    /// A peer not seen for so long is forgotten.
    #[serde(with = "ipfrs_resilience::duration")]
    pub stale_after: Duration,
    /// Time between two writes of what changed.
    #[serde(with = "ipfrs_resilience::duration")]
    pub flush_interval: Duration,
}

/// The block exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exchange {
    /// Send blocks to peers that ask.
    pub serve: bool,
    /// A peer that has not sent a block after this is passed over for another.
    #[serde(with = "ipfrs_resilience::duration")]
    pub want_timeout: Duration,
    /// Peers already connected get this long to answer before the DHT is asked.
    #[serde(with = "ipfrs_resilience::duration")]
    pub provider_search_delay: Duration,
    /// Connected peers that are asked for a new want.
    pub max_peers_asked: usize,
    /// A read fails when nothing arrived for so long.
    #[serde(with = "ipfrs_resilience::duration")]
    pub fetch_timeout: Duration,
}

/// The HTTP API of the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Api {
    /// Where it listens; loopback only.
    pub listen: Multiaddr,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or rules such as `info,swarm=debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
}

/// How failures are dealt with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Supervisor {
    /// Restarts of one actor in `window` before the root gives up.
    pub max_restarts: u32,
    /// The window of the restart intensity.
    #[serde(with = "ipfrs_resilience::duration")]
    pub window: Duration,
    /// Delay of the second restart in a row; doubles with each.
    #[serde(with = "ipfrs_resilience::duration")]
    pub backoff_base: Duration,
    /// Longest such delay.
    #[serde(with = "ipfrs_resilience::duration")]
    pub backoff_max: Duration,
    /// Time an actor has to stop.
    #[serde(with = "ipfrs_resilience::duration")]
    pub shutdown_limit: Duration,
    /// Messages that may wait for an actor.
    pub mailbox: usize,
}

/// The public network's own bootstrap peers, as Kubo ships them.
const BOOTSTRAP: [&str; 5] = [
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt",
    "/ip4/104.131.131.82/udp/4001/quic-v1/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ",
];

fn addrs(texts: &[&str]) -> Vec<Multiaddr> {
    texts.iter().map(|text| text.parse().expect("a literal address")).collect()
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Default for Config {
    fn default() -> Self {
        Preset::default().config()
    }
}

impl Default for Swarm {
    fn default() -> Self {
        Swarm {
            listen: addrs(&[
                "/ip4/0.0.0.0/tcp/4001",
                "/ip4/0.0.0.0/udp/4001/quic-v1",
                "/ip6/::/tcp/4001",
                "/ip6/::/udp/4001/quic-v1",
            ]),
            announce: Vec::new(),
            quic: true,
            tcp: true,
            websocket: true,
            agent_suffix: String::new(),
            idle_timeout: secs(60),
            ping_interval: secs(15),
            limits: Limits::default(),
            dial_timeout: secs(10),
            dial_attempts: 3,
            dial_backoff_base: Duration::from_millis(500),
            dial_backoff_max: secs(30),
            circuit_failures: 3,
            circuit_cooldown: secs(30),
            max_pending_dials: 64,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { total: 256, inbound: 128, outbound: 128, per_peer: 8 }
    }
}

impl Default for Discovery {
    fn default() -> Self {
        Discovery { bootstrap: addrs(&BOOTSTRAP), mdns: true, min_peers: 4, reconnect: 16 }
    }
}

impl Default for Dht {
    fn default() -> Self {
        Dht {
            mode: DhtMode::Auto,
            loopback_on_lan: false,
            query_timeout: secs(60),
            parallelism: 10,
            max_provided: 100_000,
            max_provider_keys: 100_000,
            max_records: 1024,
            reprovide_interval: secs(22 * 3600),
            bootstrap_interval: secs(600),
        }
    }
}

impl Default for PeerStore {
    fn default() -> Self {
        PeerStore {
            max_peers: 1000,
            max_addrs: 10,
            max_latency_samples: 10,
            max_protocols: 20,
            stale_after: secs(7 * 24 * 3600),
            flush_interval: secs(5),
        }
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange {
            serve: true,
            want_timeout: secs(5),
            provider_search_delay: Duration::from_millis(500),
            max_peers_asked: 64,
            fetch_timeout: secs(120),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Api { listen: addrs(&["/ip4/127.0.0.1/tcp/5001"]).remove(0) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".to_owned(), format: "text".to_owned() }
    }
}

impl Default for Supervisor {
    fn default() -> Self {
        Supervisor {
            max_restarts: 10,
            window: secs(10),
            backoff_base: Duration::from_millis(5),
            backoff_max: secs(5),
            shutdown_limit: secs(2),
            mailbox: 1024,
        }
    }
}
