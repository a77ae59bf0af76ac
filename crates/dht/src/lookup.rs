//! One search for providers that any number of callers share.
//!
//! What was found stays with the lookup until it ends, so a caller that joins late gets it first; each caller reads at
//! its own pace. When the last caller is gone the search is dropped.

use crate::ports::Ports;
use crate::query::{Progress, Queries};
use ipfrs_actor::Reply;
use ipfrs_contract::dht::DhtError;
use ipfrs_contract::peerstore::{AddAddrs, GetAddrs};
use ipfrs_contract::swarm::{KadFound, KadQuery};
use ipfrs_contract::{Multihash, PeerAddrs, PeerId};
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long the peer store may take to name addresses of a provider that came without.
const ADDRS: Duration = Duration::from_secs(2);

/// How far a lookup is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// No network has taken the query yet.
    Starting,
    /// It runs; more may have been found.
    Running,
    /// It ended.
    Over(Result<(), DhtError>),
}

/// A lookup.
pub(crate) struct Lookup {
    max: usize,
    found: RefCell<Vec<PeerAddrs>>,
    seen: RefCell<HashSet<PeerId>>,
    step: watch::Sender<Step>,
}

/// What a caller asked for.
pub(crate) struct Caller {
    pub(crate) token: Reply<Result<mpsc::Receiver<PeerAddrs>, DhtError>>,
    /// Providers wanted; 0 is all.
    pub(crate) limit: usize,
    /// Providers that may wait for it.
    pub(crate) queue: usize,
}

impl Lookup {
    pub(crate) fn new(max: usize) -> Rc<Self> {
        Rc::new(Lookup {
            max,
            found: RefCell::default(),
            seen: RefCell::default(),
            step: watch::channel(Step::Starting).0,
        })
    }

    /// Takes part in the lookup from now until the receiver is dropped.
    pub(crate) fn join(&self) -> watch::Receiver<Step> {
        self.step.subscribe()
    }

    /// Takes in providers, each peer once; `true` when there are enough.
    fn take(&self, providers: Vec<PeerAddrs>) -> bool {
        let (mut found, mut seen) = (self.found.borrow_mut(), self.seen.borrow_mut());
        for provider in providers {
            if found.len() < self.max && seen.insert(provider.peer) {
                found.push(provider);
            }
        }
        found.len() >= self.max
    }

    /// Searches until both networks are through, enough is found or nobody listens any more.
    pub(crate) async fn search(self: Rc<Self>, key: Multihash, queries: Queries, ports: Ports) -> Result<(), DhtError> {
        let both = queries.in_both(KadQuery::FindProviders(key), |progress| match progress {
            Progress::Found(KadFound::Providers(providers)) => {
                for provider in providers.iter().filter(|provider| !provider.addrs.is_empty()) {
                    // A peer store too busy to learn an address loses nothing that the caller does not get.
                    let _ = ports.add_addrs.cast(AddAddrs { peer: provider.clone() });
                }
                let enough = self.take(providers);
                self.step.send_replace(Step::Running);
                enough
            }
            Progress::Started => {
                self.step.send_replace(Step::Running);
                false
            }
            Progress::Found(_) => false,
        });
        let ended = tokio::select! {
            ends = both => ends.merge().map(|_| ()),
            () = self.step.closed() => Ok(()),
        };
        // Who found something was served, even if one network failed.
        let ended = if self.found.borrow().is_empty() { ended } else { Ok(()) };
        self.step.send_replace(Step::Over(ended.clone()));
        ended
    }

    /// Serves one caller to its end.
    pub(crate) async fn serve(self: Rc<Self>, mut steps: watch::Receiver<Step>, caller: Caller, ports: Ports) {
        let begun = steps.wait_for(|step| *step != Step::Starting).await.map(|step| (*step).clone());
        if let Ok(Step::Over(Err(error))) = begun {
            return caller.token.send(Err(error));
        }
        let (tx, rx) = mpsc::channel(caller.queue);
        caller.token.send(Ok(rx));
        let mut sent = 0;
        loop {
            let over = matches!(*steps.borrow_and_update(), Step::Over(_));
            while let Some(provider) = self.nth(sent) {
                if tx.send(with_addrs(provider, &ports).await).await.is_err() {
                    return;
                }
                sent += 1;
                if sent == caller.limit {
                    return;
                }
            }
            if over {
                return;
            }
            tokio::select! {
                changed = steps.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tx.closed() => return,
            }
        }
    }

    fn nth(&self, n: usize) -> Option<PeerAddrs> {
        self.found.borrow().get(n).cloned()
    }
}

/// A provider that came without addresses gets those the peer store knows.
async fn with_addrs(mut provider: PeerAddrs, ports: &Ports) -> PeerAddrs {
    if provider.addrs.is_empty() {
        provider.addrs = ports.addrs.call(GetAddrs { peer: provider.peer }, ADDRS).await.unwrap_or_default();
    }
    provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_is_taken_once_and_their_number_is_bounded() {
        let lookup = Lookup::new(2);
        let [a, b, c] = [0; 3].map(|_| PeerAddrs { peer: PeerId::random(), addrs: vec![] });
        assert!(!lookup.take(vec![a.clone(), a.clone()]));
        assert!(lookup.take(vec![a.clone(), b.clone(), c]));
        assert_eq!((lookup.nth(0), lookup.nth(1), lookup.nth(2)), (Some(a), Some(b), None));
    }
}
