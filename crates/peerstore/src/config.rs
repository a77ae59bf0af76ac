//! What the peer store obeys.

use ipfrs_contract::Multiaddr;
use std::time::Duration;

/// Configuration of the peer store.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Config {
    /// Peers remembered; protected ones do not count.
    pub max_peers: usize,
    /// Addresses remembered of one peer.
    pub max_addrs: usize,
    /// Round-trip times remembered of one peer.
    pub max_latency_samples: usize,
    /// Protocols remembered of one peer.
    pub max_protocols: usize,
    /// Time between two writes to disk of what changed.
    #[serde(with = "ipfrs_resilience::duration")]
    pub flush_interval: Duration,
    /// A peer not seen for so long is forgotten.
    #[serde(with = "ipfrs_resilience::duration")]
    pub stale_after: Duration,
    /// Time between two searches for stale peers.
    #[serde(with = "ipfrs_resilience::duration")]
    pub prune_interval: Duration,
    /// Where to join the network, with or without `/p2p/…`.
    pub bootstrap: Vec<Multiaddr>,
    /// With fewer connected peers the bootstrap peers are dialled.
    pub min_peers: usize,
    /// Whether peers found on the local network are dialled.
    pub mdns: bool,
    /// Known peers dialled after a start.
    pub reconnect: usize,
    /// Dials under way at once.
    pub parallel_dials: usize,
    /// Time between two dials beyond the first [`Config::parallel_dials`]: home routers forget connections when too
    /// many are opened at once.
    #[serde(with = "ipfrs_resilience::duration")]
    pub dial_spacing: Duration,
    /// Shortest wait before a bootstrap round or a protected peer is tried again; doubles with each failure.
    #[serde(with = "ipfrs_resilience::duration")]
    pub retry_base: Duration,
    /// Longest such wait.
    #[serde(with = "ipfrs_resilience::duration")]
    pub retry_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_peers: 1000,
            max_addrs: 10,
            max_latency_samples: 10,
            max_protocols: 20,
            flush_interval: Duration::from_secs(5),
            stale_after: Duration::from_secs(7 * 24 * 3600),
            prune_interval: Duration::from_secs(3600),
            bootstrap: Vec::new(),
            min_peers: 4,
            mdns: true,
            reconnect: 16,
            parallel_dials: 8,
            dial_spacing: Duration::from_millis(100),
            retry_base: Duration::from_secs(2),
            retry_max: Duration::from_secs(300),
        }
    }
}

impl Config {
    /// Checks the values; the message starts with the name of the field that is not acceptable.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            ("max_peers", self.max_peers),
            ("max_addrs", self.max_addrs),
            ("max_latency_samples", self.max_latency_samples),
            ("max_protocols", self.max_protocols),
            ("parallel_dials", self.parallel_dials),
        ];
        if let Some((field, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("{field}: must be at least 1"));
        }
        let times = [
            ("flush_interval", self.flush_interval),
            ("stale_after", self.stale_after),
            ("prune_interval", self.prune_interval),
            ("retry_base", self.retry_base),
        ];
        if let Some((field, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(format!("{field}: must be longer than 0"));
        }
        if self.retry_max < self.retry_base {
            return Err("retry_max: must not be shorter than retry_base".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_acceptable_and_nonsense_is_named() {
        assert_eq!(Config::default().check(), Ok(()));
        let bad = Config { max_addrs: 0, ..Config::default() };
        assert!(bad.check().unwrap_err().starts_with("max_addrs:"));
        let bad = Config { flush_interval: Duration::ZERO, ..Config::default() };
        assert!(bad.check().unwrap_err().starts_with("flush_interval:"));
        let bad = Config { retry_max: Duration::from_millis(1), ..Config::default() };
        assert!(bad.check().unwrap_err().starts_with("retry_max:"));
    }
}
