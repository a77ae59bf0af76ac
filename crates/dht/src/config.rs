//! What the DHT obeys.

use std::time::Duration;

/// Configuration of the DHT.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Config {
    /// A query may take this long.
    #[serde(with = "ipfrs_resilience::duration")]
    pub query_timeout: Duration,
    /// Lookups running at once; more are refused.
    pub max_lookups: usize,
    /// Providers reported by one lookup.
    pub max_found: usize,
    /// Providers that wait for a slow caller; beyond it the caller's stream pauses, nobody else's.
    pub found_queue: usize,
    /// Multihashes announced again and again.
    pub max_provided: usize,
    /// Time between two announcements of the same multihash.
    #[serde(with = "ipfrs_resilience::duration")]
    pub reprovide_interval: Duration,
    /// Announcements running at once.
    pub parallel_provides: usize,
    /// Shortest wait before a failed announcement is repeated; doubles with each failure.
    #[serde(with = "ipfrs_resilience::duration")]
    pub retry_base: Duration,
    /// Longest such wait.
    #[serde(with = "ipfrs_resilience::duration")]
    pub retry_max: Duration,
    /// Time between two refreshes of the routing tables.
    #[serde(with = "ipfrs_resilience::duration")]
    pub bootstrap_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            query_timeout: Duration::from_secs(60),
            max_lookups: 64,
            max_found: 1000,
            found_queue: 32,
            max_provided: 100_000,
            // Records live 48 hours; two announcements may fail before one expires.
            reprovide_interval: Duration::from_secs(22 * 3600),
            parallel_provides: 16,
            retry_base: Duration::from_secs(1),
            retry_max: Duration::from_secs(300),
            bootstrap_interval: Duration::from_secs(600),
        }
    }
}

impl Config {
    /// Checks the values; the message starts with the name of the field that is not acceptable.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            ("max_lookups", self.max_lookups),
            ("max_found", self.max_found),
            ("found_queue", self.found_queue),
            ("parallel_provides", self.parallel_provides),
        ];
        if let Some((field, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("{field}: must be at least 1"));
        }
        let times = [
            ("query_timeout", self.query_timeout),
            ("reprovide_interval", self.reprovide_interval),
            ("retry_base", self.retry_base),
            ("bootstrap_interval", self.bootstrap_interval),
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
        let bad = Config { found_queue: 0, ..Config::default() };
        assert!(bad.check().unwrap_err().starts_with("found_queue:"));
        let bad = Config { bootstrap_interval: Duration::ZERO, ..Config::default() };
        assert!(bad.check().unwrap_err().starts_with("bootstrap_interval:"));
    }
}
