//! Where a configuration comes from: preset < file < environment; what is wrong with it, by name.

use super::Config;
use crate::Preset;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use ipfrs_contract::{Multiaddr, Protocol, peer_of};
use std::path::Path;
use std::time::Duration;

/// A configuration that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key that does not exist.
    #[error("unknown configuration key {key:?} in {source_name}{}", .nearest.as_ref().map(|n| format!(", did you mean {n:?}?")).unwrap_or_default())]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// Where it stands.
        source_name: String,
        /// The most similar key there is.
        nearest: Option<String>,
    },
    /// A value of the wrong kind.
    #[error("configuration: {0}")]
    BadValue(String),
    /// A value that makes no sense, alone or with others.
    #[error("configuration: {field}: {why}")]
    Refused {
        /// Which field.
        field: &'static str,
        /// Why.
        why: String,
    },
}

/// Name of the file in the repo.
pub(crate) const FILE: &str = "config.toml";

/// Reads the configuration of a repo (or none): its preset, then its file, then the environment.
pub fn load(repo: Option<&Path>) -> Result<Config, ConfigError> {
    let file = repo.map(|dir| dir.join(FILE));
    // Only names with a section are fields; others, such as IPFRS_LOG alone, are not ours.
    let env = || Env::prefixed("IPFRS_").filter(|key| key.as_str().contains("__")).split("__");
    let mut given = Figment::new();
    if let Some(file) = &file {
        given = given.merge(Toml::file_exact(file));
    }
    given = given.merge(env());
    let bad = |e: figment::Error| ConfigError::BadValue(sentence(&e));
    let preset: Option<Preset> =
        given.extract_inner("preset").map(Some).or_else(|e| if e.missing() { Ok(None) } else { Err(bad(e)) })?;
    let values: Dict = given.extract().map_err(bad)?;
    refuse_unknown(&given, &values, &paths())?;
    let all = Figment::from(Serialized::defaults(preset.unwrap_or_default().config())).merge(given);
    let config: Config = all.extract().map_err(bad)?;
    config.check()?;
    Ok(config)
}

fn sentence(error: &figment::Error) -> String {
    let field = error.path.join(".");
    let from = error.metadata.as_ref().map(|m| format!(" (in {})", m.name)).unwrap_or_default();
    if field.is_empty() { format!("{}{from}", error.kind) } else { format!("{field}: {}{from}", error.kind) }
}

fn refuse_unknown(given: &Figment, values: &Dict, known: &[String]) -> Result<(), ConfigError> {
    let mut stack: Vec<(String, &Value)> = values.iter().map(|(k, v)| (k.clone(), v)).collect();
    while let Some((path, value)) = stack.pop() {
        let inside = format!("{path}.");
        match value {
            Value::Dict(_, below) if known.iter().any(|k| k.starts_with(&inside)) => {
                stack.extend(below.iter().map(|(k, v)| (format!("{inside}{k}"), v)));
            }
            _ if known.contains(&path) => {}
            _ => {
                let near = known.iter().map(|k| (strsim::jaro_winkler(k, &path), k)).max_by(|a, b| a.0.total_cmp(&b.0));
                let source =
                    given.find_metadata(&path).map_or_else(|| "the configuration".to_owned(), |m| m.name.to_string());
                let nearest = near.filter(|(score, _)| *score > 0.7).map(|(_, k)| k.clone());
                return Err(ConfigError::UnknownKey { key: path, source_name: source, nearest });
            }
        }
    }
    Ok(())
}

/// Every field as `section.field`.
pub fn field_paths() -> Vec<String> {
    paths()
}

fn paths() -> Vec<String> {
    fn walk(prefix: &str, value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Dict(_, below) => {
                for (key, value) in below {
                    walk(&if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") }, value, out);
                }
            }
            _ => out.push(prefix.to_owned()),
        }
    }
    let mut out = Vec::new();
    let defaults = Value::serialize(Config::default()).expect("a configuration is plain data");
    walk("", &defaults, &mut out);
    out
}

impl Config {
    /// The whole configuration as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a configuration is plain data")
    }

    /// Checks values alone and together; the error names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refused = |field, why: &str| Err(ConfigError::Refused { field, why: why.to_owned() });
        let swarm = &self.swarm;
        if !swarm.quic && !swarm.tcp {
            return refused("swarm.quic", "at least one of quic and tcp must be on");
        }
        for addr in &swarm.listen {
            let uses = |wanted: fn(&Protocol<'_>) -> bool| addr.iter().any(|p| wanted(&p));
            let memory = uses(|p| matches!(p, Protocol::Memory(_)));
            let quic = uses(|p| matches!(p, Protocol::QuicV1));
            let tcp = uses(|p| matches!(p, Protocol::Tcp(_)));
            if !(memory || quic && swarm.quic || tcp && swarm.tcp) {
                return refused("swarm.listen", &format!("{addr} needs a transport that is off or unknown"));
            }
        }
        for addr in &self.discovery.bootstrap {
            if peer_of(addr).is_none() {
                return refused("discovery.bootstrap", &format!("{addr} does not end in /p2p/PEER"));
            }
        }
        loopback(&self.api.listen)?;
        let times: [(&'static str, Duration); 14] = [
            ("swarm.idle_timeout", swarm.idle_timeout),
            ("swarm.ping_interval", swarm.ping_interval),
            ("swarm.dial_timeout", swarm.dial_timeout),
            ("swarm.circuit_cooldown", swarm.circuit_cooldown),
            ("dht.query_timeout", self.dht.query_timeout),
            ("dht.reprovide_interval", self.dht.reprovide_interval),
            ("dht.bootstrap_interval", self.dht.bootstrap_interval),
            ("peerstore.stale_after", self.peerstore.stale_after),
            ("peerstore.flush_interval", self.peerstore.flush_interval),
            ("exchange.want_timeout", self.exchange.want_timeout),
            ("exchange.fetch_timeout", self.exchange.fetch_timeout),
            ("supervisor.window", self.supervisor.window),
            ("supervisor.backoff_base", self.supervisor.backoff_base),
            ("supervisor.shutdown_limit", self.supervisor.shutdown_limit),
        ];
        if let Some((field, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return refused(field, "must be longer than 0");
        }
        let counts = [
            ("swarm.dial_attempts", swarm.dial_attempts as usize),
            ("swarm.max_pending_dials", swarm.max_pending_dials),
            ("swarm.circuit_failures", swarm.circuit_failures as usize),
            ("dht.parallelism", self.dht.parallelism),
            ("peerstore.max_peers", self.peerstore.max_peers),
            ("peerstore.max_addrs", self.peerstore.max_addrs),
            ("peerstore.max_latency_samples", self.peerstore.max_latency_samples),
            ("peerstore.max_protocols", self.peerstore.max_protocols),
            ("exchange.max_peers_asked", self.exchange.max_peers_asked),
            ("supervisor.max_restarts", self.supervisor.max_restarts as usize),
            ("supervisor.mailbox", self.supervisor.mailbox),
        ];
        if let Some((field, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return refused(field, "must be at least 1");
        }
        if swarm.dial_backoff_max < swarm.dial_backoff_base {
            return refused("swarm.dial_backoff_max", "must not be shorter than swarm.dial_backoff_base");
        }
        if self.supervisor.backoff_max < self.supervisor.backoff_base {
            return refused("supervisor.backoff_max", "must not be shorter than supervisor.backoff_base");
        }
        if !["text", "json"].contains(&self.log.format.as_str()) {
            return refused("log.format", "is neither text nor json");
        }
        Ok(())
    }
}

/// A control surface listens on loopback only.
fn loopback(addr: &Multiaddr) -> Result<(), ConfigError> {
    let fine = match addr.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    };
    if fine && addr.iter().any(|p| matches!(p, Protocol::Tcp(_))) {
        return Ok(());
    }
    let why = format!("{addr} is not a TCP address on loopback, such as /ip4/127.0.0.1/tcp/5001");
    Err(ConfigError::Refused { field: "api.listen", why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        load(Some(dir.path()))
    }

    #[test]
    fn a_file_changes_what_it_names_and_a_preset_the_rest() {
        let config =
            with("preset = \"iot\"\n[swarm]\nidle_timeout = \"2m\"\n[swarm.max_connections]\ninbound = 5\n").unwrap();
        assert_eq!(config.swarm.idle_timeout, Duration::from_secs(120));
        assert_eq!((config.swarm.limits.total, config.swarm.limits.inbound), (32, 5));
        assert_eq!(config.preset, Preset::Iot);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest() {
        let error = with("[swarm]\nidle_timout = \"2m\"\n").unwrap_err().to_string();
        assert!(error.contains("swarm.idle_timout") && error.contains("swarm.idle_timeout"), "{error}");
        assert!(with("[swrm]\nquic = true\n").unwrap_err().to_string().contains("swrm"));
    }

    #[test]
    fn bad_values_are_named() {
        for (text, field) in [
            ("[swarm]\nidle_timeout = \"soon\"\n", "swarm.idle_timeout"),
            ("[swarm]\nidle_timeout = \"0s\"\n", "swarm.idle_timeout"),
            ("[swarm]\nquic = \"perhaps\"\n", "swarm.quic"),
            ("[swarm]\nlisten = [\"nowhere\"]\n", "swarm.listen"),
            ("[api]\nlisten = \"/ip4/0.0.0.0/tcp/5001\"\n", "api.listen"),
            ("[dht]\nmode = \"sometimes\"\n", "dht.mode"),
            ("preset = \"huge\"\n", "preset"),
            ("[discovery]\nbootstrap = [\"/ip4/1.2.3.4/tcp/1\"]\n", "discovery.bootstrap"),
        ] {
            let error = with(text).unwrap_err().to_string();
            assert!(error.contains(field), "{text}: {error}");
        }
    }

    #[test]
    fn every_preset_is_acceptable_and_reads_back() {
        for preset in Preset::ALL {
            let config = preset.config();
            config.check().unwrap();
            assert_eq!(with(&config.to_toml()).unwrap(), config, "{preset}");
        }
    }
}
