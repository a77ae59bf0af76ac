//! Durations as Kubo's flags take them: Go's notation, such as `1m30s` or `1.5h`.

use std::time::Duration;

/// Not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration such as 500ms, 30s, 1.5h or 1m30s")]
pub struct BadDuration(String);

/// Seconds in each unit; longer names first, so that `ms` is not read as minutes.
const UNITS: [(&str, f64); 7] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Reads a duration in Go's notation (package `time`, `ParseDuration`), without a sign.
///
/// ```
/// # use std::time::Duration;
/// assert_eq!(ipfrs_api::parse_duration("1m30s"), Ok(Duration::from_secs(90)));
/// assert!(ipfrs_api::parse_duration("soon").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let bad = || BadDuration(text.to_owned());
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let (unit, factor) = UNITS.into_iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(bad)?;
        rest = &rest[unit.len()..];
        seconds += number * factor;
    }
    if text.is_empty() { Err(bad()) } else { Duration::try_from_secs_f64(seconds).map_err(|_| bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_understood_and_nonsense_is_named() {
        for (text, millis) in [("2s", 2_000), ("500ms", 500), ("1.5h", 5_400_000), ("1h0m1s", 3_601_000), ("250us", 0)]
        {
            assert_eq!(parse_duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for text in ["", "s", "5", "5 s", "-1s", "1s2", "1..2s", "99999999999999999999999h", "nonsense"] {
            assert!(parse_duration(text).unwrap_err().to_string().contains(text), "{text}");
        }
    }
}
