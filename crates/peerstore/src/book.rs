//! The book of peers: what is known, who is banned, who is protected. Pure; time is an argument.

use crate::{Config, addrs};
use ipfrs_contract::peerstore::KnownPeer;
use ipfrs_contract::swarm::Direction;
use ipfrs_contract::{Multiaddr, PeerAddrs, PeerId};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Longest agent version remembered.
const MAX_AGENT: usize = 128;

/// Seconds since the Unix epoch.
pub(crate) type Seconds = u64;

/// What is known of one peer and when it was last heard of, even if only from others.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Record {
    pub(crate) known: KnownPeer,
    pub(crate) heard: Seconds,
}

impl Record {
    pub(crate) fn new(peer: PeerId) -> Self {
        let known = KnownPeer {
            peer,
            addrs: Vec::new(),
            protocols: Vec::new(),
            agent: None,
            latency: Vec::new(),
            last_seen: 0,
            connections: 0,
            failures: 0,
            protected: false,
        };
        Record { known, heard: 0 }
    }

    /// The later time wins, so that a clock going back makes nobody look stale.
    fn seen(&mut self, now: Seconds) {
        self.known.last_seen = self.known.last_seen.max(now);
        self.heard = self.heard.max(now);
    }

    /// Most useful last; times in the future count as now.
    fn rank(&self, now: Seconds) -> (Seconds, Seconds) {
        (self.known.last_seen.min(now), self.heard.min(now))
    }
}

/// A change of the book, to be repeated on the kept copy and on disk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Put(Box<Record>),
    Forget(PeerId),
    Ban(PeerId, bool),
    Protect(PeerId, bool),
}

/// Who must stay in the book and what time it is.
pub(crate) struct Moment<'a> {
    pub(crate) now: Seconds,
    pub(crate) config: &'a Config,
    pub(crate) connected: &'a HashMap<PeerId, u32>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Book {
    peers: HashMap<PeerId, Record>,
    banned: HashSet<PeerId>,
    protected: HashSet<PeerId>,
}

impl Book {
    /// The book as it was stored, cut to the limits; `true` when something had to go.
    pub(crate) fn restore(
        mut records: Vec<Record>,
        banned: HashSet<PeerId>,
        protected: HashSet<PeerId>,
        config: &Config,
        now: Seconds,
    ) -> (Self, bool) {
        let mut book = Book { peers: HashMap::new(), banned, protected };
        let room = config.max_peers.saturating_add(book.protected.len());
        let mut cut = false;
        records
            .sort_by_key(|record| std::cmp::Reverse((book.protected.contains(&record.known.peer), record.rank(now))));
        for mut record in records {
            let known = &mut record.known;
            known.protected = book.protected.contains(&known.peer);
            if !known.protected && book.peers.len() >= room {
                cut = true;
                continue;
            }
            known.addrs.truncate(config.max_addrs);
            known.protocols.truncate(config.max_protocols);
            let surplus = known.latency.len().saturating_sub(config.max_latency_samples);
            known.latency.drain(..surplus);
            book.peers.insert(known.peer, record);
        }
        (book, cut)
    }

    /// Repeats a change on another copy.
    pub(crate) fn apply(&mut self, change: Change) {
        fn set(peers: &mut HashSet<PeerId>, peer: PeerId, member: bool) {
            if member {
                peers.insert(peer);
            } else {
                peers.remove(&peer);
            }
        }
        match change {
            Change::Put(record) => drop(self.peers.insert(record.known.peer, *record)),
            Change::Forget(peer) => drop(self.peers.remove(&peer)),
            Change::Ban(peer, banned) => set(&mut self.banned, peer, banned),
            Change::Protect(peer, protected) => set(&mut self.protected, peer, protected),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }
    pub(crate) fn record(&self, peer: &PeerId) -> Option<&Record> {
        self.peers.get(peer)
    }
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.peers.values()
    }
    pub(crate) fn addrs(&self, peer: &PeerId) -> &[Multiaddr] {
        self.peers.get(peer).map_or(&[], |record| &record.known.addrs)
    }
    pub(crate) fn banned(&self) -> &HashSet<PeerId> {
        &self.banned
    }
    pub(crate) fn protected(&self) -> &HashSet<PeerId> {
        &self.protected
    }

    /// A connection was established.
    pub(crate) fn connected(
        &mut self,
        peer: PeerId,
        addr: &Multiaddr,
        direction: Direction,
        at: &Moment<'_>,
    ) -> Vec<Change> {
        // The far end of an inbound connection is a port that nobody listens on.
        let dialled = (direction == Direction::Outbound).then(|| addrs::clean(&peer, addr)).flatten();
        self.edit(peer, false, at, |record| {
            record.seen(at.now);
            record.known.connections = record.known.connections.saturating_add(1);
            record.known.failures = 0;
            if let Some(addr) = dialled {
                addrs::promote(&mut record.known.addrs, addr, at.config.max_addrs);
            }
        })
    }

    /// A peer said who it is.
    pub(crate) fn identified(
        &mut self,
        peer: PeerId,
        agent: &str,
        protocols: Vec<String>,
        said: &[Multiaddr],
        at: &Moment<'_>,
    ) -> Vec<Change> {
        let said = said.iter().filter_map(|addr| addrs::clean(&peer, addr)).collect();
        self.edit(peer, false, at, |record| {
            record.seen(at.now);
            record.known.agent = Some(agent.chars().take(MAX_AGENT).collect());
            record.known.protocols = protocols;
            record.known.protocols.truncate(at.config.max_protocols);
            addrs::announced(&mut record.known.addrs, said, at.config.max_addrs);
        })
    }

    /// The last connection to a peer was closed: until now it was there.
    pub(crate) fn lost(&mut self, peer: PeerId, at: &Moment<'_>) -> Vec<Change> {
        self.edit_known(peer, at, |record| record.seen(at.now))
    }

    /// A round trip was measured.
    pub(crate) fn measured(&mut self, peer: PeerId, rtt: Duration, at: &Moment<'_>) -> Vec<Change> {
        self.edit_known(peer, at, |record| {
            let samples = &mut record.known.latency;
            samples.push(rtt);
            let surplus = samples.len().saturating_sub(at.config.max_latency_samples);
            samples.drain(..surplus);
        })
    }

    /// An attempt to reach a peer failed.
    pub(crate) fn dial_failed(&mut self, peer: PeerId, failed: &[Multiaddr], at: &Moment<'_>) -> Vec<Change> {
        self.edit_known(peer, at, |record| {
            record.known.failures = record.known.failures.saturating_add(1);
            addrs::demote(&mut record.known.addrs, failed);
        })
    }

    /// Somebody else told where a peer is.
    pub(crate) fn told(&mut self, told: &PeerAddrs, at: &Moment<'_>) -> Vec<Change> {
        let said: Vec<_> = told.addrs.iter().filter_map(|addr| addrs::clean(&told.peer, addr)).collect();
        if said.is_empty() || self.banned.contains(&told.peer) {
            return Vec::new();
        }
        self.edit(told.peer, true, at, |record| {
            record.heard = record.heard.max(at.now);
            addrs::heard(&mut record.known.addrs, said, at.config.max_addrs);
        })
    }

    /// Bans a peer or lifts its ban.
    pub(crate) fn ban(&mut self, peer: PeerId, banned: bool) -> Vec<Change> {
        let change = Change::Ban(peer, banned);
        self.apply(change.clone());
        vec![change]
    }

    /// Protects a peer or ends its protection. A peer nobody knows gets a record, so that it is listed.
    pub(crate) fn protect(&mut self, peer: PeerId, protected: bool, at: &Moment<'_>) -> Vec<Change> {
        let change = Change::Protect(peer, protected);
        self.apply(change.clone());
        let mut changes = vec![change];
        changes.extend(self.edit(peer, false, at, |record| {
            record.known.protected = protected;
            record.heard = record.heard.max(at.now);
        }));
        changes
    }

    /// Forgets a peer, whatever it is.
    pub(crate) fn forget(&mut self, peer: &PeerId) -> Vec<Change> {
        self.peers.remove(peer).map(|_| Change::Forget(*peer)).into_iter().collect()
    }

    /// Forgets peers not seen or heard of for too long. A record from the future has age 0.
    pub(crate) fn prune(&mut self, at: &Moment<'_>) -> Vec<Change> {
        let limit = at.config.stale_after.as_secs();
        let stale = self.peers.values().filter(|record| {
            let age = at.now.saturating_sub(record.known.last_seen.max(record.heard));
            age > limit && !record.known.protected && !at.connected.contains_key(&record.known.peer)
        });
        let stale: Vec<_> = stale.map(|record| record.known.peer).collect();
        stale.iter().flat_map(|peer| self.forget(peer)).collect()
    }

    /// Peers worth dialling, the most recently useful first; protected ones before all others.
    pub(crate) fn useful(&self, count: usize, at: &Moment<'_>) -> Vec<PeerId> {
        let candidate = |record: &&Record| {
            let peer = &record.known.peer;
            (record.known.last_seen > 0 || record.known.protected)
                && !record.known.addrs.is_empty()
                && !self.banned.contains(peer)
                && !at.connected.contains_key(peer)
        };
        let mut useful: Vec<_> = self.peers.values().filter(candidate).collect();
        useful.sort_by_key(|record| {
            std::cmp::Reverse((record.known.protected, record.rank(at.now), record.known.connections))
        });
        useful.into_iter().take(count).map(|record| record.known.peer).collect()
    }

    fn edit_known(&mut self, peer: PeerId, at: &Moment<'_>, edit: impl FnOnce(&mut Record)) -> Vec<Change> {
        if self.peers.contains_key(&peer) { self.edit(peer, false, at, edit) } else { Vec::new() }
    }

    /// Edits a record, making one and room for it if need be. Hearsay never displaces a peer that was once connected.
    fn edit(&mut self, peer: PeerId, hearsay: bool, at: &Moment<'_>, edit: impl FnOnce(&mut Record)) -> Vec<Change> {
        let mut changes = Vec::new();
        if !self.peers.contains_key(&peer) {
            let full = self.peers.len().saturating_sub(self.protected.len()) >= at.config.max_peers;
            if full && !self.protected.contains(&peer) {
                let Some(victim) = self.least_useful(hearsay, at) else { return changes };
                changes.extend(self.forget(&victim));
            }
            self.peers.insert(peer, Record::new(peer));
        }
        let record = self.peers.get_mut(&peer).expect("inserted above when missing");
        record.known.protected = self.protected.contains(&peer);
        edit(record);
        changes.push(Change::Put(Box::new(record.clone())));
        changes
    }

    fn least_useful(&self, hearsay: bool, at: &Moment<'_>) -> Option<PeerId> {
        let spare = self.peers.values().filter(|record| {
            let known = &record.known;
            !(known.protected || at.connected.contains_key(&known.peer) || hearsay && known.last_seen > 0)
        });
        spare.min_by_key(|record| record.rank(at.now)).map(|record| record.known.peer)
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
