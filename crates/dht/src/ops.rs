//! The operations with one answer, each a future made of ports.

use crate::ports::Ports;
use crate::query::{Ends, Progress, Queries};
use crate::record::{RecordKey, Worth};
use ipfrs_contract::dht::DhtError;
use ipfrs_contract::peerstore::{AddAddrs, GetAddrs};
use ipfrs_contract::swarm::{KadFound, KadQuery};
use ipfrs_contract::{Multihash, PeerAddrs, PeerId};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// How long the peer store may take to answer from memory.
const KNOWN: Duration = Duration::from_secs(2);
/// Peers closest to a key: k of the IPFS Kademlia specification.
const CLOSEST: usize = 20;
/// Valid records after which the best is good enough: the quorum of the IPNS implementations in use.
const QUORUM: usize = 16;

/// Announces a multihash in both networks.
pub(crate) async fn provide(queries: Queries, key: Multihash) -> Ends {
    queries.in_both(KadQuery::Provide(key), |_| false).await
}

/// Refreshes both routing tables.
pub(crate) async fn bootstrap(queries: Queries) -> Result<usize, DhtError> {
    queries.in_both(KadQuery::Bootstrap, |_| false).await.merge()
}

/// The addresses of a peer: what is known already, otherwise what the networks say.
pub(crate) async fn find_peer(queries: Queries, ports: Ports, peer: PeerId) -> Result<PeerAddrs, DhtError> {
    let known = ports.addrs.call(GetAddrs { peer }, KNOWN).await.unwrap_or_default();
    if !known.is_empty() {
        return Ok(PeerAddrs { peer, addrs: known });
    }
    let mut hit = None;
    let ends = queries.in_both(KadQuery::ClosestPeers(peer.to_bytes()), |progress| {
        if let Progress::Found(KadFound::Peers(peers)) = progress {
            hit = hit.take().or_else(|| peers.into_iter().find(|found| found.peer == peer && !found.addrs.is_empty()));
        }
        hit.is_some()
    });
    let ends = ends.await;
    if let Some(found) = hit {
        // The caller has the address; the peer store learns it if it can.
        let _ = ports.add_addrs.cast(AddAddrs { peer: found.clone() });
        return Ok(found);
    }
    match ends.merge() {
        Err(error @ (DhtError::NoPeers | DhtError::Disabled | DhtError::Busy)) => Err(error),
        // A query that met the peer on its way has connected to it and knows where it is.
        _ => match ports.addrs.call(GetAddrs { peer }, KNOWN).await {
            Ok(addrs) if !addrs.is_empty() => Ok(PeerAddrs { peer, addrs }),
            _ => Err(DhtError::NotFound),
        },
    }
}

/// The peers closest to a key in either network, the closest first.
pub(crate) async fn closest_peers(queries: Queries, key: Vec<u8>) -> Result<Vec<PeerAddrs>, DhtError> {
    let mut found: HashMap<PeerId, PeerAddrs> = HashMap::new();
    let target: [u8; 32] = Sha256::digest(&key).into();
    let ends = queries.in_both(KadQuery::ClosestPeers(key), |progress| {
        if let Progress::Found(KadFound::Peers(peers)) = progress {
            for peer in peers.into_iter().take(2 * CLOSEST) {
                let known = found.entry(peer.peer).or_insert_with(|| PeerAddrs { peer: peer.peer, addrs: Vec::new() });
                for addr in peer.addrs {
                    if !known.addrs.contains(&addr) {
                        known.addrs.push(addr);
                    }
                }
            }
        }
        false
    });
    let ends = ends.await;
    if found.is_empty() {
        return Err(ends.merge().err().unwrap_or(DhtError::NotFound));
    }
    let mut peers: Vec<_> = found.into_values().collect();
    peers.sort_by_cached_key(|peer| distance(&target, &peer.peer));
    peers.truncate(CLOSEST);
    Ok(peers)
}

/// XOR distance in the key space, where a peer stands at the hash of its id.
fn distance(target: &[u8; 32], peer: &PeerId) -> [u8; 32] {
    let place: [u8; 32] = Sha256::digest(peer.to_bytes()).into();
    std::array::from_fn(|n| target[n] ^ place[n])
}

/// Stores a record that was checked.
pub(crate) async fn put(queries: Queries, key: RecordKey, value: Vec<u8>) -> Result<usize, DhtError> {
    queries.in_both(KadQuery::PutValue { key: key.to_bytes(), value }, |_| false).await.merge()
}

/// The best valid record.
pub(crate) async fn get(queries: Queries, key: RecordKey, now: SystemTime) -> Result<Vec<u8>, DhtError> {
    if let Some(value) = key.inline() {
        return Ok(value);
    }
    let mut best: Option<(Worth, Vec<u8>)> = None;
    let mut valid = 0;
    let ends = queries.in_both(KadQuery::GetValue(key.to_bytes()), |progress| {
        let Progress::Found(KadFound::Value(value)) = progress else { return false };
        match key.check(&value, now) {
            Ok(worth) => {
                valid += 1;
                if best.as_ref().is_none_or(|(known, _)| worth > *known) {
                    best = Some((worth, value));
                }
                valid >= QUORUM || worth == Worth::Only
            }
            Err(error) => {
                ipfrs_actor::counter!("ipfrs_dht_records_refused_total").increment(1);
                tracing::debug!(target: "dht", %error, "a record was refused");
                false
            }
        }
    });
    let ends = ends.await;
    match (best, ends.merge()) {
        (Some((_, value)), _) => Ok(value),
        (None, Err(error @ (DhtError::NoPeers | DhtError::Disabled | DhtError::Busy))) => Err(error),
        (None, _) => Err(DhtError::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_closest_to_its_own_id() {
        let peers: Vec<_> = (0..20).map(|_| PeerId::random()).collect();
        for peer in &peers {
            let target: [u8; 32] = Sha256::digest(peer.to_bytes()).into();
            assert_eq!(distance(&target, peer), [0; 32]);
            assert_eq!(peers.iter().min_by_key(|other| distance(&target, other)), Some(peer));
        }
    }
}
