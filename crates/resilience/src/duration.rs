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
    humantime::parse_duration(&text)
        .map_err(|e| D::Error::custom(format!("{text:?} is not a duration such as 30s: {e}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Config {
        #[serde(with = "super")]
        wait: Duration,
    }

    #[test]
    fn durations_are_text_in_both_directions() {
        let text = r#"{"wait":"1h 30m"}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config, Config { wait: Duration::from_secs(5400) });
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        let error = serde_json::from_str::<Config>(r#"{"wait":"soon"}"#).unwrap_err().to_string();
        assert!(error.contains("\"soon\" is not a duration such as 30s"), "{error}");
    }
}
