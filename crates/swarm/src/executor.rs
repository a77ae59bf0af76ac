//! Runs connection tasks on the network runtime; a panic in one ends that connection, is counted and named.

use futures::FutureExt;
use libp2p::swarm::Executor;
use std::{future::Future, panic::AssertUnwindSafe, pin::Pin};
use tokio::runtime::Handle;

pub(crate) struct NetExecutor(pub(crate) Handle);

impl Executor for NetExecutor {
    fn exec(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                ipfrs_actor::counter!("ipfrs_swarm_connection_panics_total").increment(1);
                tracing::error!(target: "swarm", "a connection task panicked; its connection is lost");
            }
        });
    }
}
