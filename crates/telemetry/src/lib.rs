//! Metric names, the Prometheus recorder and tracing set-up.
