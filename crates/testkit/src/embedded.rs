//! Nodes of ours inside the test process.

use ipfrs_node::{Config, Node, Preset};
use std::time::Duration;

/// Longer than any test: what would happen by itself does not happen.
const NEVER: Duration = Duration::from_secs(3600);

/// The configuration of a node that does nothing by itself: loopback only, no bootstrap, no mDNS, no idle close, and
/// one ping for each connection.
pub fn embedded_config() -> Config {
    let mut config = Preset::default().config();
    config.swarm.listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"].map(|a| a.parse().unwrap()).into();
    config.swarm.idle_timeout = NEVER;
    config.swarm.ping_interval = NEVER;
    // A peer that is killed and restarted is here twice until the connections of its earlier life run out.
    config.swarm.limits.per_peer = 0;
    config.discovery.bootstrap = Vec::new();
    config.discovery.mdns = false;
    config.dht.loopback_on_lan = true;
    config
}

/// An ephemeral node with that configuration.
pub async fn embedded() -> Node {
    let started = Node::builder().config(embedded_config()).ephemeral().shared_lanes().start().await;
    started.unwrap_or_else(|e| panic!("an embedded node does not start: {e}"))
}
