//! The recorder that the binary installs, and the page it renders.

use crate::{names, page, process};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Buckets of durations: from a round trip in one machine to a lookup that ran into its limit of a minute.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 60.0];

/// No recorder could be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// The process has one.
    #[error("a metrics recorder is already installed in this process")]
    AlreadyInstalled,
}

/// Renders what was recorded.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

/// Records every metric of this process from now on.
pub fn install_recorder() -> Result<MetricsHandle, RecorderError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .expect("the list of buckets is not empty");
    let handle = builder.install_recorder().map_err(|_| RecorderError::AlreadyInstalled)?;
    names::describe();
    Ok(MetricsHandle(handle))
}

impl MetricsHandle {
    /// Our metrics and those of the process, in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = self.0.render();
        process::append(&mut text);
        text
    }

    /// As [`MetricsHandle::render`], followed by what another registry rendered as OpenMetrics text.
    pub fn render_with(&self, openmetrics: &str) -> String {
        page::one_page(&self.render(), openmetrics)
    }

    /// Folds recorded samples together. To be called every few seconds, or histograms grow between two scrapes.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_on_the_page_with_its_meaning() {
        let handle = install_recorder().expect("the only recorder of this test process");
        metrics::counter!("ipfrs_peerstore_writes_total").increment(3);
        metrics::histogram!("ipfrs_dht_lookup_duration_seconds").record(0.3);
        handle.upkeep();
        let page = handle.render();
        assert!(page.contains("# HELP ipfrs_peerstore_writes_total Transactions"), "{page}");
        assert!(page.contains("\nipfrs_peerstore_writes_total 3\n"), "{page}");
        assert!(page.contains("ipfrs_dht_lookup_duration_seconds_bucket{le=\"0.5\"} 1\n"), "{page}");
        assert_eq!(install_recorder().unwrap_err(), RecorderError::AlreadyInstalled);
    }
}
