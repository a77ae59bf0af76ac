//! Metric names, the Prometheus recorder and tracing set-up.
//!
//! Only the binary installs a recorder and a subscriber; a library that did so would take them from its host.
#![forbid(unsafe_code)]

mod logging;
mod names;
mod page;
mod process;
mod recorder;

pub use logging::{LogFormat, LoggingError, ParseLogFormatError, init_tracing};
pub use names::{Kind, METRICS, Metric};
pub use page::one_page;
pub use recorder::{MetricsHandle, RecorderError, install_recorder};
