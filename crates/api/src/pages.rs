//! Pages for monitoring.

use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// Prometheus' text format, which differs from OpenMetrics.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn metrics(State(app): State<App>) -> Response {
    app.node.sample_metrics();
    ([(CONTENT_TYPE, PROMETHEUS)], app.metrics.render_with(&app.node.network_metrics())).into_response()
}

pub(crate) async fn health(State(app): State<App>) -> Response {
    let health = app.node.health();
    let status = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}
