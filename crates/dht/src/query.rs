//! Runs one question in both networks.

use futures::future::{Either, select};
use ipfrs_actor::{CallError, Port};
use ipfrs_contract::dht::DhtError;
use ipfrs_contract::swarm::{KadFound, KadNetwork, KadQuery, KadUnavailable, StartQuery};
use std::cell::RefCell;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// Findings that may wait between the network and this actor.
const FOUND: usize = 64;
/// Pause before a query that was lost with its driver or shell is started again.
const AGAIN: Duration = Duration::from_millis(200);
/// How long after a loss an empty routing table may still fill, and is waited for.
const RECOVERY: Duration = Duration::from_secs(10);

/// What a query reports while it runs.
#[derive(Debug)]
pub(crate) enum Progress {
    /// A network runs it.
    Started,
    /// A network found something.
    Found(KadFound),
}

/// How a query ended in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It ran to its end; so many peers answered or stored.
    Done(usize),
    /// The network has no peers.
    NoPeers,
    /// Routing is switched off.
    Disabled,
    /// Too many queries.
    Busy,
    /// It failed.
    Failed(String),
    /// The asker had enough.
    Enough,
}

/// How a query ended in both networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) wan: End,
    pub(crate) lan: End,
}

impl Ends {
    /// The networks without peers.
    pub(crate) fn without_peers(&self) -> Vec<KadNetwork> {
        let ends = [(KadNetwork::Wan, &self.wan), (KadNetwork::Lan, &self.lan)];
        ends.into_iter().filter(|(_, end)| **end == End::NoPeers).map(|(network, _)| network).collect()
    }

    /// One network is enough; without one the most telling failure.
    pub(crate) fn merge(self) -> Result<usize, DhtError> {
        let both = [self.wan, self.lan];
        if both.contains(&End::Enough) {
            return Ok(1);
        }
        let done: Vec<usize> =
            both.iter().filter_map(|end| if let End::Done(n) = end { Some(*n) } else { None }).collect();
        if !done.is_empty() {
            return Ok(done.iter().sum());
        }
        let failed = both.iter().find_map(|end| if let End::Failed(why) = end { Some(why.clone()) } else { None });
        Err(match failed {
            Some(why) => DhtError::Failed(why),
            None if both.contains(&End::Busy) => DhtError::Busy,
            None if both.contains(&End::NoPeers) => DhtError::NoPeers,
            None => DhtError::Disabled,
        })
    }
}

/// Asks the networks.
#[derive(Clone)]
pub(crate) struct Queries {
    pub(crate) start: Port<StartQuery>,
    pub(crate) timeout: Duration,
}

impl Queries {
    /// Runs a query in both networks until both ended or `sink` says that it has enough. Dropping the future ends it.
    pub(crate) async fn in_both(&self, query: KadQuery, sink: impl FnMut(Progress) -> bool) -> Ends {
        let sink = RefCell::new(sink);
        let wan = pin!(self.in_one(KadNetwork::Wan, &query, &sink));
        let lan = pin!(self.in_one(KadNetwork::Lan, &query, &sink));
        match select(wan, lan).await {
            Either::Left((End::Enough, _)) | Either::Right((End::Enough, _)) => {
                Ends { wan: End::Enough, lan: End::Enough }
            }
            Either::Left((wan, lan)) => Ends { wan, lan: lan.await },
            Either::Right((lan, wan)) => Ends { lan, wan: wan.await },
        }
    }

    /// Runs a query in one network. One that is lost with its driver is started again: all of them may run twice.
    async fn in_one<F: FnMut(Progress) -> bool>(
        &self,
        network: KadNetwork,
        query: &KadQuery,
        sink: &RefCell<F>,
    ) -> End {
        let until = Instant::now() + self.timeout;
        let late = || End::Failed("query timed out".to_owned());
        let mut lost: Option<Instant> = None;
        loop {
            let (tx, mut rx) = mpsc::channel(FOUND);
            let start = StartQuery { network, query: query.clone(), found: tx };
            match self.start.call(start, until.saturating_duration_since(Instant::now())).await {
                Ok(Ok(())) => {
                    if (sink.borrow_mut())(Progress::Started) {
                        return End::Enough;
                    }
                    loop {
                        match timeout_at(until, rx.recv()).await {
                            Err(_) => return late(),
                            Ok(Some(KadFound::Done(Ok(count)))) => return End::Done(count),
                            Ok(Some(KadFound::Done(Err(why)))) => return End::Failed(why),
                            Ok(Some(found)) => {
                                if (sink.borrow_mut())(Progress::Found(found)) {
                                    return End::Enough;
                                }
                            }
                            Ok(None) => break,
                        }
                    }
                }
                Ok(Err(KadUnavailable::NoPeers(_))) if lost.is_none_or(|at| at.elapsed() > RECOVERY) => {
                    return End::NoPeers;
                }
                Ok(Err(KadUnavailable::Disabled)) => return End::Disabled,
                Ok(Err(KadUnavailable::Busy)) => return End::Busy,
                Ok(Err(KadUnavailable::NoPeers(_) | KadUnavailable::DriverLost)) | Err(CallError::Crashed { .. }) => {}
                Ok(Err(other)) => return End::Failed(other.to_string()),
                Err(CallError::Timeout { .. }) => return late(),
                Err(CallError::Overloaded) => return End::Busy,
                Err(other) => return End::Failed(other.to_string()),
            }
            lost.get_or_insert_with(Instant::now);
            if Instant::now() + AGAIN >= until {
                return late();
            }
            sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(wan: End, lan: End) -> Ends {
        Ends { wan, lan }
    }

    #[test]
    fn one_network_is_enough_and_failures_are_told_by_weight() {
        let failed = || End::Failed("x".to_owned());
        assert_eq!(ends(End::Done(2), End::Done(3)).merge(), Ok(5));
        assert_eq!(ends(failed(), End::Done(3)).merge(), Ok(3));
        assert_eq!(ends(End::NoPeers, failed()).merge(), Err(DhtError::Failed("x".to_owned())));
        assert_eq!(ends(End::NoPeers, End::Busy).merge(), Err(DhtError::Busy));
        assert_eq!(ends(End::Disabled, End::NoPeers).merge(), Err(DhtError::NoPeers));
        assert_eq!(ends(End::Disabled, End::Disabled).merge(), Err(DhtError::Disabled));
        assert_eq!(ends(End::NoPeers, End::Done(1)).without_peers(), [KadNetwork::Wan]);
    }
}
