//! Routing queries over libp2p-kad: starts them, translates their progress, feeds the tables.

use super::scope::Scoped;
use crate::RecordValidator;
use ipfrs_contract::swarm::{KadFound, KadNetwork, KadQuery, KadUnavailable, RoutingTable};
use ipfrs_contract::{Multihash, PeerAddrs};
use libp2p::kad::store::RecordStore;
use libp2p::kad::{
    self, AddProviderError, BootstrapError, GetClosestPeersError, GetClosestPeersOk, GetProvidersOk, GetRecordError,
    GetRecordOk, InboundRequest, PutRecordError, QueryId, QueryResult, Quorum, Record, RecordKey,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use std::collections::{HashMap, VecDeque};
use tokio::sync::mpsc;

/// Queries that may run at once in both networks; each holds up to 20 connections while it runs.
const QUERIES: usize = 256;
/// Findings that wait for a slow reader; providers come in batches of at most 20.
const PENDING: usize = 256;

/// A query in flight: whom to tell and what could not be told yet.
struct Flight {
    found: mpsc::Sender<KadFound>,
    pending: VecDeque<KadFound>,
    over: bool,
    answered: usize,
}

/// Every query in flight, of both networks.
#[derive(Default)]
pub(crate) struct Queries(HashMap<(KadNetwork, QueryId), Flight>);

impl Queries {
    pub(crate) fn start(
        &mut self,
        kad: &mut Scoped,
        network: KadNetwork,
        query: KadQuery,
        found: mpsc::Sender<KadFound>,
    ) -> Result<(), KadUnavailable> {
        if self.0.len() >= QUERIES {
            return Err(KadUnavailable::Busy);
        }
        let empty = kad.kad.kbuckets().all(|bucket| bucket.is_empty());
        let mut kept = None;
        if let KadQuery::Provide(key) = &query {
            // Kept even without peers, so that we answer for it ourselves.
            kept = Some(kad.kad.start_providing(RecordKey::new(&key.to_bytes())));
        }
        if empty {
            if let Some(Ok(id)) = kept
                && let Some(mut q) = kad.kad.query_mut(&id)
            {
                q.finish();
            }
            return Err(KadUnavailable::NoPeers(network));
        }
        let id = match query {
            KadQuery::Bootstrap => kad.kad.bootstrap().map_err(|_| KadUnavailable::NoPeers(network))?,
            KadQuery::Provide(_) => kept.and_then(Result::ok).ok_or(KadUnavailable::Busy)?,
            KadQuery::FindProviders(key) => kad.kad.get_providers(RecordKey::new(&key.to_bytes())),
            KadQuery::ClosestPeers(key) => kad.kad.get_closest_peers(key),
            KadQuery::PutValue { key, value } => {
                let record = Record::new(key, value);
                kad.kad.put_record(record, Quorum::One).map_err(|_| KadUnavailable::Busy)?
            }
            KadQuery::GetValue(key) => kad.kad.get_record(RecordKey::from(key)),
        };
        self.0.insert((network, id), Flight { found, pending: VecDeque::new(), over: false, answered: 0 });
        Ok(())
    }

    /// Translates an event of one network.
    pub(crate) fn on_event(
        &mut self,
        kad: &mut Scoped,
        network: KadNetwork,
        event: kad::Event,
        validator: &RecordValidator,
    ) {
        match event {
            kad::Event::OutboundQueryProgressed { id, result, step, stats } => {
                if let Some(flight) = self.0.get_mut(&(network, id)) {
                    flight.answered = stats.num_successes() as usize;
                    let (found, done) = translate(kad, result, flight.answered);
                    if let Some(found) = found {
                        flight.push(found);
                    }
                    if step.last {
                        flight.push(KadFound::Done(done));
                        flight.over = true;
                    }
                }
            }
            kad::Event::InboundRequest { request: InboundRequest::PutRecord { record: Some(record), .. } } => {
                if validator(record.key.as_ref(), &record.value) {
                    let _ = kad.kad.store_mut().put(record);
                } else {
                    ipfrs_actor::counter!("ipfrs_dht_records_refused_total").increment(1);
                }
            }
            kad::Event::InboundRequest { request: InboundRequest::AddProvider { record: Some(mut record) } } => {
                record.addresses.retain(|addr| kad.covers(addr));
                let _ = kad.kad.store_mut().add_provider(record);
            }
            _ => {}
        }
    }

    /// Delivers what waits and ends the queries nobody listens to any more.
    pub(crate) fn flush(&mut self, mut kad_of: impl FnMut(KadNetwork, QueryId)) {
        self.0.retain(|(network, id), flight| {
            flight.flush();
            if flight.found.is_closed() && !flight.over {
                kad_of(*network, *id);
            }
            !(flight.found.is_closed() || flight.over && flight.pending.is_empty())
        });
    }
}

impl Flight {
    fn push(&mut self, found: KadFound) {
        let last = matches!(found, KadFound::Done(_));
        if self.pending.len() < PENDING || last {
            self.pending.push_back(found);
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(found) = self.pending.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(found)) = self.found.try_send(found) {
                self.pending.push_front(found);
                return;
            }
        }
    }
}

/// What a step of a query found, and how it ended if it was the last.
fn translate(kad: &mut Scoped, result: QueryResult, answered: usize) -> (Option<KadFound>, Result<usize, String>) {
    match result {
        QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })) => {
            let found = providers.into_iter().map(|peer| PeerAddrs { peer, addrs: kad.addresses_of(peer) }).collect();
            (Some(KadFound::Providers(found)), Ok(answered))
        }
        QueryResult::GetProviders(Ok(_)) => (None, Ok(answered)),
        QueryResult::GetProviders(Err(e)) => (None, Err(e.to_string())),
        QueryResult::GetClosestPeers(result) => {
            let (peers, done) = match result {
                Ok(GetClosestPeersOk { peers, .. }) => (peers, Ok(answered)),
                Err(GetClosestPeersError::Timeout { peers, .. }) => (peers, Err("query timed out".to_owned())),
            };
            let found = peers.into_iter().map(|p| PeerAddrs { peer: p.peer_id, addrs: p.addrs }).collect();
            (Some(KadFound::Peers(found)), done)
        }
        QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))) => {
            (Some(KadFound::Value(found.record.value)), Ok(answered))
        }
        QueryResult::GetRecord(Ok(_)) => (None, Ok(answered)),
        QueryResult::GetRecord(Err(e)) => (
            None,
            Err(match e {
                GetRecordError::NotFound { .. } => "not found".to_owned(),
                other => other.to_string(),
            }),
        ),
        QueryResult::PutRecord(Ok(_)) | QueryResult::RepublishRecord(Ok(_)) => (None, Ok(answered.max(1))),
        QueryResult::PutRecord(Err(e)) | QueryResult::RepublishRecord(Err(e)) => (
            None,
            Err(match e {
                PutRecordError::Timeout { .. } => "query timed out".to_owned(),
                other => other.to_string(),
            }),
        ),
        QueryResult::StartProviding(Ok(_)) | QueryResult::RepublishProvider(Ok(_)) => (None, Ok(answered)),
        QueryResult::StartProviding(Err(AddProviderError::Timeout { .. }))
        | QueryResult::RepublishProvider(Err(AddProviderError::Timeout { .. })) => {
            (None, Err("query timed out".to_owned()))
        }
        QueryResult::Bootstrap(Ok(_)) => (None, Ok(answered)),
        QueryResult::Bootstrap(Err(BootstrapError::Timeout { .. })) => (None, Err("query timed out".to_owned())),
    }
}

/// Takes an identified peer into the table if it serves this network at an address of it.
pub(crate) fn learn(
    kad: &mut Scoped,
    protocol: &StreamProtocol,
    peer: PeerId,
    protocols: &[StreamProtocol],
    addrs: &[Multiaddr],
) {
    if !protocols.contains(protocol) {
        kad.kad.remove_peer(&peer);
        return;
    }
    let fitting: Vec<_> = addrs.iter().filter(|addr| kad.covers(addr)).cloned().collect();
    for addr in fitting {
        kad.kad.add_address(&peer, addr);
    }
}

pub(crate) fn stop_providing(kad: &mut Scoped, key: &Multihash) {
    kad.kad.stop_providing(&RecordKey::new(&key.to_bytes()));
}

pub(crate) fn table(kad: &mut Scoped, network: KadNetwork) -> RoutingTable {
    let peers = kad.kad.kbuckets().map(|bucket| bucket.num_entries()).sum();
    RoutingTable { network, server: kad.kad.mode() == kad::Mode::Server, peers }
}
