//! The server: routes, its life and its end.

use crate::listener::Bounded;
use crate::{guard, pages, rpc};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use ipfrs_node::Node;
use ipfrs_telemetry::MetricsHandle;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What every handler sees.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) node: Node,
    pub(crate) metrics: MetricsHandle,
    /// Somebody asked the daemon to end.
    pub(crate) asked: Arc<watch::Sender<bool>>,
}

/// A running API.
#[derive(Debug)]
pub struct Server {
    asked: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Serves a node's API on a listener until [`Server::stop`].
pub fn serve(listener: TcpListener, node: Node, metrics: MetricsHandle) -> Server {
    let (asked, was_asked) = watch::channel(false);
    let (stop, mut stopped) = watch::channel(false);
    let app = App { node, metrics, asked: Arc::new(asked) };
    let router = Router::new()
        .nest("/api/v0", rpc::routes())
        .route("/metrics", get(pages::metrics))
        .route("/debug/metrics/prometheus", get(pages::metrics))
        .route("/healthz", get(pages::health))
        .layer(axum::middleware::from_fn(guard::guard))
        // Files of any size are added; they are chunked as they come.
        .layer(DefaultBodyLimit::disable())
        .with_state(app);
    let task = tokio::spawn(async move {
        let ended = async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        if let Err(error) = axum::serve(Bounded::new(listener), router).with_graceful_shutdown(ended).await {
            tracing::error!(target: "api", %error, "the API is gone");
        }
    });
    Server { asked: was_asked, stop, task }
}

impl Server {
    /// Resolves when `/api/v0/shutdown` was called.
    pub async fn shutdown_requested(&self) {
        let asked = self.asked.clone().wait_for(|asked| *asked).await.is_ok();
        if !asked {
            // The server ended by itself; that is no request.
            std::future::pending::<()>().await;
        }
    }

    /// Takes no more requests, and ends those under way after `limit`.
    pub async fn stop(mut self, limit: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(limit, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
