//! The configuration as each actor wants it.

use crate::config::{Config, DhtMode};
use ipfrs_contract::Keypair;
use ipfrs_resilience::Backoff;
use ipfrs_supervisor::Policy;
use ipfrs_swarm::{DialPolicy, Limits, RoutingConfig};
use std::sync::Arc;

/// Share of a delay that is random.
const JITTER: f64 = 0.5;

pub(crate) fn swarm(config: &Config, keypair: &Keypair, agent: &str, memory: bool) -> ipfrs_swarm::Config {
    let swarm = &config.swarm;
    let limit = |n: u32| (n > 0).then_some(n);
    ipfrs_swarm::Config {
        keypair: keypair.clone(),
        agent: agent.to_owned(),
        quic: swarm.quic,
        tcp: swarm.tcp,
        websocket: swarm.websocket,
        memory,
        mdns: config.discovery.mdns,
        idle_timeout: swarm.idle_timeout,
        ping_interval: swarm.ping_interval,
        limits: Limits {
            total: limit(swarm.limits.total),
            inbound: limit(swarm.limits.inbound),
            outbound: limit(swarm.limits.outbound),
            per_peer: limit(swarm.limits.per_peer),
        },
        dialling: DialPolicy {
            timeout: swarm.dial_timeout,
            backoff: Backoff::new(swarm.dial_backoff_base, swarm.dial_backoff_max, JITTER),
            circuit_failures: swarm.circuit_failures,
            circuit_cooldown: swarm.circuit_cooldown,
            max_pending: swarm.max_pending_dials,
        },
        routing: RoutingConfig {
            mode: match config.dht.mode {
                DhtMode::Auto => ipfrs_swarm::DhtMode::Auto,
                DhtMode::Client => ipfrs_swarm::DhtMode::Client,
                DhtMode::Server => ipfrs_swarm::DhtMode::Server,
                DhtMode::Off => ipfrs_swarm::DhtMode::Off,
            },
            loopback_on_lan: config.dht.loopback_on_lan,
            query_timeout: config.dht.query_timeout,
            parallelism: config.dht.parallelism,
            max_provided_keys: config.dht.max_provider_keys,
            max_records: config.dht.max_records,
            validator: Arc::new(|key, value| {
                ipfrs_dht::validate_record(key, value, std::time::SystemTime::now()).is_ok()
            }),
        },
        announce: swarm.announce.clone(),
    }
}

pub(crate) fn policy(config: &Config) -> Policy {
    let supervisor = &config.supervisor;
    Policy {
        max_restarts: supervisor.max_restarts,
        window: supervisor.window,
        backoff: Backoff::new(supervisor.backoff_base, supervisor.backoff_max, JITTER),
        ..Policy::default()
    }
}

pub(crate) fn peerstore(config: &Config) -> ipfrs_peerstore::Config {
    let peers = &config.peerstore;
    ipfrs_peerstore::Config {
        max_peers: peers.max_peers,
        max_addrs: peers.max_addrs,
        max_latency_samples: peers.max_latency_samples,
        max_protocols: peers.max_protocols,
        stale_after: peers.stale_after,
        flush_interval: peers.flush_interval,
        bootstrap: config.discovery.bootstrap.clone(),
        min_peers: config.discovery.min_peers,
        mdns: config.discovery.mdns,
        reconnect: config.discovery.reconnect,
        ..ipfrs_peerstore::Config::default()
    }
}

pub(crate) fn dht(config: &Config) -> ipfrs_dht::Config {
    ipfrs_dht::Config {
        query_timeout: config.dht.query_timeout,
        max_provided: config.dht.max_provided,
        reprovide_interval: config.dht.reprovide_interval,
        bootstrap_interval: config.dht.bootstrap_interval,
        ..ipfrs_dht::Config::default()
    }
}

pub(crate) fn exchange(config: &Config) -> ipfrs_exchange::Config {
    let exchange = &config.exchange;
    ipfrs_exchange::Config {
        serve: exchange.serve,
        want_timeout: exchange.want_timeout,
        provider_search_delay: exchange.provider_search_delay,
        max_peers_asked: exchange.max_peers_asked,
    }
}
