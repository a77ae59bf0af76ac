//! Durations as people write them (`10s`, `2h 30m`), for `#[serde(with = "ipfrs_resilience::duration")]`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use std::time::Duration;

/// Writes a duration such as `1m 30s`.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// Reads a duration such as `90s`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|e| D::Error::custom(format!("{text:?} is not a duration such as 30s: {e}")))
}
