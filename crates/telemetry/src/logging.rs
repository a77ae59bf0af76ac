//! Sets up logging to standard error.

use std::io::IsTerminal;
use std::str::FromStr;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text per event, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// Not a log format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a log format; known: text, json")]
pub struct ParseLogFormatError(String);

impl FromStr for LogFormat {
    type Err = ParseLogFormatError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(ParseLogFormatError(s.to_owned())),
        }
    }
}

/// Logging could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The level is neither a level nor a list of `target=level`.
    #[error("{level:?} is not a log level such as info or info,swarm=debug: {cause}")]
    BadLevel {
        /// What was given.
        level: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The process logs already.
    #[error("logging is already set up in this process: {0}")]
    AlreadySet(String),
}

/// Logs to standard error from now on. `level` is a level (`info`) or a list of directives (`info,swarm=debug`).
pub fn init_tracing(level: &str, format: LogFormat) -> Result<(), LoggingError> {
    let bad = |cause: String| LoggingError::BadLevel { level: level.to_owned(), cause };
    let filter = EnvFilter::try_new(level).map_err(|e| bad(e.to_string()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let set = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    set.map_err(|e| LoggingError::AlreadySet(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_with_its_name() {
        assert_eq!("json".parse(), Ok(LogFormat::Json));
        let error = "xml".parse::<LogFormat>().unwrap_err().to_string();
        assert_eq!(error, "\"xml\" is not a log format; known: text, json");
        let error = init_tracing("swarm=loud", LogFormat::Text).unwrap_err();
        assert!(matches!(error, LoggingError::BadLevel { .. }), "{error}");
    }
}
