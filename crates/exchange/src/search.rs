//! One search for providers: the query, and the connections to those it finds.

use crate::ports::Ports;
use crate::wire::Wire;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use ipfrs_contract::dht::FindProviders;
use ipfrs_contract::peerstore::AddAddrs;
use ipfrs_contract::swarm::Dial;
use ipfrs_contract::{Cid, PeerAddrs, PeerId};
use std::sync::Arc;
use std::time::Duration;

/// Providers dialled for one search; more than ten rarely help one transfer.
const PROVIDERS: usize = 10;
const SEARCH: Duration = Duration::from_secs(120);
const DIAL: Duration = Duration::from_secs(60);

/// Providers on their way: who is connected, and who is still dialled.
#[derive(Default)]
pub(crate) struct Providers {
    connected: Vec<PeerId>,
    dials: FuturesUnordered<BoxFuture<'static, Option<PeerId>>>,
}

impl Providers {
    /// Resolves when every dial has ended, with the providers that are connected.
    pub(crate) async fn connected(mut self) -> Vec<PeerId> {
        while let Some(ended) = self.dials.next().await {
            self.connected.extend(ended);
        }
        self.connected
    }
}

/// Resolves when the query has ended, or nobody wants the block any more. Providers are dialled as they are found.
pub(crate) async fn query(cid: Cid, local: PeerId, ports: Ports, wire: Arc<Wire>) -> Providers {
    ipfrs_actor::counter!("ipfrs_exchange_searches_total").increment(1);
    let mut providers = Providers::default();
    let find = FindProviders { key: *cid.hash(), limit: PROVIDERS };
    let mut found = match ports.find_providers.call(find, SEARCH).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::debug!(target: "exchange", %cid, %error, "no providers");
            return providers;
        }
        Err(error) => {
            tracing::debug!(target: "exchange", %cid, %error, "no answer from the DHT");
            return providers;
        }
    };
    loop {
        tokio::select! {
            provider = found.recv() => match provider {
                Some(provider) if wire.wants(cid.hash()) => {
                    if provider.peer != local {
                        providers.dials.push(dial(provider, ports.clone()).boxed());
                    }
                }
                _ => return providers,
            },
            Some(ended) = providers.dials.next() => providers.connected.extend(ended),
        }
    }
}

async fn dial(provider: PeerAddrs, ports: Ports) -> Option<PeerId> {
    let peer = provider.peer;
    // Known addresses help later; a peer store too busy to hear of them loses little.
    let _ = ports.add_addrs.cast(AddAddrs { peer: provider.clone() });
    match ports.dial.call(Dial { peer: Some(peer), addrs: provider.addrs, attempts: 1 }, DIAL).await {
        Ok(Ok(_)) => Some(peer),
        Ok(Err(error)) => {
            tracing::debug!(target: "exchange", %peer, %error, "a provider cannot be reached");
            None
        }
        Err(_) => None,
    }
}
