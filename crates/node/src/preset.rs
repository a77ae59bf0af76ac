//! Presets: what the fields that are not given start from.

use crate::config::{Config, Limits, PeerStore};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A starting point for the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// 16 connections (8 in, 8 out); 100 peers with 2 addresses, 3 round trips, 5 protocols; DHT client; 4 known peers dialled.
    LowMemory,
    /// 32 connections (16 in, 16 out); 200 peers with 3 addresses, 5 round trips, 10 protocols; DHT client.
    Iot,
    /// 64 connections (32 in, 32 out); 500 peers with 5 addresses, 8 round trips, 15 protocols; DHT client.
    Mobile,
    /// 256 connections (128 in, 128 out); 1,000 peers with 10 addresses, 10 round trips, 20 protocols.
    #[default]
    Desktop,
    /// No connection limits; 5,000 peers with 20 addresses, 20 round trips, 50 protocols; no mDNS; a million provider keys.
    Server,
}

/// Not a preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a preset{hint}; there are low-memory, iot, mobile, desktop and server")]
pub struct ParsePresetError {
    name: String,
    hint: String,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 5] = [Preset::LowMemory, Preset::Iot, Preset::Mobile, Preset::Desktop, Preset::Server];

    fn name(self) -> &'static str {
        match self {
            Preset::LowMemory => "low-memory",
            Preset::Iot => "iot",
            Preset::Mobile => "mobile",
            Preset::Desktop => "desktop",
            Preset::Server => "server",
        }
    }

    /// The configuration it stands for.
    pub fn config(self) -> Config {
        use crate::config::DhtMode::Client;
        let mut config = Config {
            preset: self,
            swarm: Default::default(),
            discovery: Default::default(),
            dht: Default::default(),
            peerstore: Default::default(),
            exchange: Default::default(),
            api: Default::default(),
            log: Default::default(),
            supervisor: Default::default(),
        };
        let limits = |total| Limits { total, inbound: total / 2, outbound: total / 2, per_peer: 8 };
        let peers = |max_peers, max_addrs, max_latency_samples, max_protocols| PeerStore {
            max_peers,
            max_addrs,
            max_latency_samples,
            max_protocols,
            ..PeerStore::default()
        };
        match self {
            Preset::LowMemory => {
                config.swarm.limits = limits(16);
                config.peerstore = peers(100, 2, 3, 5);
                config.dht.mode = Client;
                config.discovery.reconnect = 4;
            }
            Preset::Iot => {
                config.swarm.limits = limits(32);
                config.peerstore = peers(200, 3, 5, 10);
                config.dht.mode = Client;
            }
            Preset::Mobile => {
                config.swarm.limits = limits(64);
                config.peerstore = peers(500, 5, 8, 15);
                config.dht.mode = Client;
            }
            Preset::Desktop => {}
            Preset::Server => {
                config.swarm.limits = limits(0);
                config.peerstore = peers(5000, 20, 20, 50);
                config.discovery.mdns = false;
                config.dht.max_provider_keys = 1_000_000;
            }
        }
        config
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = ParsePresetError;

    fn from_str(name: &str) -> Result<Self, ParsePresetError> {
        if let Some(preset) = Preset::ALL.into_iter().find(|p| p.name() == name) {
            return Ok(preset);
        }
        let near = Preset::ALL.map(|p| (strsim::jaro_winkler(p.name(), name), p.name()));
        let best = near.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7);
        let hint = match best {
            _ if name == "privacy" => " yet: it needs Tor".to_owned(),
            Some((_, near)) => format!(", did you mean {near:?}?"),
            None => String::new(),
        };
        Err(ParsePresetError { name: name.to_owned(), hint })
    }
}
