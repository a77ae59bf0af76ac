//! Whom to dial and when: reconnecting after a start, bootstrap rounds, protected peers, finds on the local network.
//! Pure; time and randomness are arguments.

use crate::Config;
use crate::book::Book;
use ipfrs_contract::{Multiaddr, PeerAddrs, PeerId, peer_of, without_peer};
use ipfrs_resilience::{Backoff, TokenBucket};
use rand::Rng;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Dials that may wait. A start wants at most the reconnect list and the bootstrap list; local networks announce a few
/// peers at a time. Beyond it the newest wish is dropped and comes back with its next occasion.
const QUEUE: usize = 256;
/// Addresses given to one dial: the swarm tries them all, a forged list must not make it a flood.
const MAX_DIAL_ADDRS: usize = 16;
/// A connection that lasted shorter counts as a failure: a peer that accepts and closes is not dialled in a circle.
const STABLE: Duration = Duration::from_secs(30);
/// Share of a wait that is random.
const JITTER: f64 = 0.3;

/// Tries to reach a known peer after a start. A peer may refuse for a while because it has not noticed yet that our
/// earlier process died; after so many tries, a few minutes, it is gone.
const RECONNECT_TRIES: u32 = 8;

/// Why a peer is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Reconnect,
    Bootstrap,
    Mdns,
    Protected,
}

impl Why {
    /// Its label on metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Why::Reconnect => "reconnect",
            Why::Bootstrap => "bootstrap",
            Why::Mdns => "mdns",
            Why::Protected => "protected",
        }
    }
}

/// Whom to dial; without a peer whoever answers at `extra`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) peer: Option<PeerId>,
    /// Addresses beside those in the book.
    pub(crate) extra: Vec<Multiaddr>,
    pub(crate) why: Why,
}

impl Target {
    fn same(&self, other: &Target) -> bool {
        match (self.peer, other.peer) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.extra == other.extra,
            _ => false,
        }
    }
}

/// A dial to be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) target: Target,
    pub(crate) addrs: Vec<Multiaddr>,
}

/// How a dial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Connected(PeerId),
    Failed,
}

/// A protected peer: when it is dialled again and since when it is connected.
#[derive(Debug, Default)]
struct Redial {
    streak: u32,
    due: Option<Instant>,
    up_since: Option<Instant>,
}

/// The addresses of one bootstrap peer.
struct Group {
    peer: Option<PeerId>,
    addrs: Vec<Multiaddr>,
}

pub(crate) struct Policy {
    min_peers: usize,
    mdns: bool,
    reconnect: usize,
    parallel: usize,
    backoff: Backoff,
    bucket: TokenBucket,
    connected: HashMap<PeerId, u32>,
    /// Counts heard while a snapshot of the connections is under way; they are younger than it.
    heard_meanwhile: Option<HashMap<PeerId, u32>>,
    queue: VecDeque<Target>,
    dialling: Vec<Target>,
    redials: HashMap<PeerId, Redial>,
    /// Known peers that could not be reached after the start: tries so far, and when the next is due.
    again: HashMap<PeerId, (u32, Option<Instant>)>,
    groups: Vec<Group>,
    rounds: u32,
    round_at: Option<Instant>,
    /// Whether there was a bootstrap round before.
    joined: bool,
}

impl Policy {
    pub(crate) fn new(config: &Config) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for addr in &config.bootstrap {
            let (peer, addr) = (peer_of(addr), without_peer(addr));
            match groups.iter_mut().find(|group| peer.is_some() && group.peer == peer) {
                Some(group) => group.addrs.push(addr),
                None => groups.push(Group { peer, addrs: vec![addr] }),
            }
        }
        Policy {
            min_peers: config.min_peers,
            mdns: config.mdns,
            reconnect: config.reconnect,
            parallel: config.parallel_dials,
            backoff: Backoff::new(config.retry_base, config.retry_max, JITTER),
            bucket: TokenBucket::new(u32::try_from(config.parallel_dials).unwrap_or(u32::MAX), config.dial_spacing),
            connected: HashMap::new(),
            heard_meanwhile: None,
            queue: VecDeque::new(),
            dialling: Vec::new(),
            redials: HashMap::new(),
            again: HashMap::new(),
            groups,
            rounds: 0,
            round_at: None,
            joined: false,
        }
    }

    /// Connections to each connected peer.
    pub(crate) fn connections(&self) -> &HashMap<PeerId, u32> {
        &self.connected
    }

    /// A snapshot of the connections was asked for.
    pub(crate) fn asked(&mut self) {
        self.heard_meanwhile = Some(HashMap::new());
    }

    /// The snapshot arrived. `useful` are the peers to connect again if this is a new start.
    pub(crate) fn snapshot(
        &mut self,
        snapshot: HashMap<PeerId, u32>,
        fresh: bool,
        book: &Book,
        useful: Vec<PeerId>,
        now: Instant,
    ) {
        self.connected = snapshot;
        for (peer, count) in self.heard_meanwhile.take().unwrap_or_default() {
            self.count(peer, count);
        }
        for peer in book.protected() {
            self.protect(*peer, now);
        }
        // With connections alive only this actor was restarted, and nobody was lost.
        if fresh || self.connected.len() < self.min_peers {
            self.reconnect(useful);
        }
        self.check_round(now);
    }

    /// All connections are gone with their driver. `useful` follow those that were connected until now.
    pub(crate) fn driver_started(&mut self, useful: Vec<PeerId>, now: Instant) {
        let lost: Vec<PeerId> = std::mem::take(&mut self.connected).into_keys().collect();
        if let Some(heard) = &mut self.heard_meanwhile {
            heard.clear();
        }
        for peer in &lost {
            self.redial_lost(peer, now);
        }
        self.reconnect(lost.into_iter().chain(useful).collect());
        self.check_round(now);
    }

    /// A connection was established; `count` includes it.
    pub(crate) fn connected(&mut self, peer: PeerId, count: u32, now: Instant) {
        self.count(peer, count.max(1));
        if let Some(redial) = self.redials.get_mut(&peer) {
            redial.due = None;
            redial.up_since.get_or_insert(now);
        }
        self.check_round(now);
    }

    /// A connection was closed; `remaining` are left.
    pub(crate) fn disconnected(&mut self, peer: PeerId, remaining: u32, now: Instant) {
        self.count(peer, remaining);
        if remaining == 0 {
            self.redial_lost(&peer, now);
            self.check_round(now);
        }
    }

    /// A peer is protected from now on, or was found protected at the start.
    pub(crate) fn protect(&mut self, peer: PeerId, now: Instant) {
        let connected = self.connected.contains_key(&peer);
        let redial = self.redials.entry(peer).or_default();
        if connected {
            redial.up_since.get_or_insert(now);
        } else {
            redial.due.get_or_insert(now);
        }
    }

    /// A peer is no longer protected.
    pub(crate) fn unprotect(&mut self, peer: &PeerId) {
        self.redials.remove(peer);
    }

    /// A peer was banned: no dial to it waits any longer.
    pub(crate) fn banned(&mut self, peer: &PeerId) {
        self.queue.retain(|target| target.peer != Some(*peer));
    }

    /// Peers were found on the local network.
    pub(crate) fn found_nearby(&mut self, found: &[PeerAddrs]) {
        if !self.mdns {
            return;
        }
        for PeerAddrs { peer, addrs } in found {
            let extra = addrs.iter().filter_map(|addr| crate::addrs::clean(peer, addr)).take(MAX_DIAL_ADDRS).collect();
            self.want(Target { peer: Some(*peer), extra, why: Why::Mdns }, false);
        }
    }

    /// What to dial now, and when to ask again.
    pub(crate) fn launch(&mut self, book: &Book, now: Instant, rng: &mut impl Rng) -> (Vec<Order>, Option<Instant>) {
        self.start_due(now, rng);
        let mut orders = Vec::new();
        let mut wake = None;
        while self.dialling.len() < self.parallel {
            let Some(target) = self.queue.pop_front() else { break };
            let peer = target.peer;
            if peer.is_some_and(|peer| self.connected.contains_key(&peer) || book.banned().contains(&peer)) {
                continue;
            }
            let known = peer.map(|peer| book.addrs(&peer)).unwrap_or_default();
            let mut addrs = target.extra.clone();
            addrs.extend(known.iter().filter(|addr| !target.extra.contains(addr)).cloned());
            addrs.truncate(MAX_DIAL_ADDRS);
            if addrs.is_empty() {
                self.retry_protected(peer, now, rng);
                continue;
            }
            if let Err(wait) = self.bucket.take(now) {
                self.queue.push_front(target);
                wake = now.checked_add(wait);
                break;
            }
            self.dialling.push(target.clone());
            orders.push(Order { target, addrs });
        }
        let redials = self.redials.values().filter_map(|redial| redial.due);
        let again = self.again.values().filter_map(|(_, due)| *due);
        let wake = wake.into_iter().chain(redials).chain(again).chain(self.round_at).min();
        (orders, wake)
    }

    /// A dial ended.
    pub(crate) fn finished(&mut self, target: &Target, outcome: Outcome, now: Instant, rng: &mut impl Rng) {
        self.dialling.retain(|running| !running.same(target));
        match outcome {
            Outcome::Connected(found) => {
                // Who answers at a bootstrap address without a name is known from now on.
                let unnamed = self
                    .groups
                    .iter_mut()
                    .find(|g| target.peer.is_none() && g.peer.is_none() && g.addrs == target.extra);
                if let Some(group) = unnamed {
                    group.peer = Some(found);
                }
            }
            Outcome::Failed => {
                self.retry_protected(target.peer, now, rng);
                self.reconnect_later(target, now, rng);
            }
        }
    }

    fn reconnect_later(&mut self, target: &Target, now: Instant, rng: &mut impl Rng) {
        let Some(peer) = target.peer.filter(|_| target.why == Why::Reconnect) else { return };
        let (tries, due) = self.again.entry(peer).or_default();
        *tries += 1;
        *due = now.checked_add(self.backoff.delay(*tries, rng));
        if *tries >= RECONNECT_TRIES {
            self.again.remove(&peer);
        }
    }

    fn count(&mut self, peer: PeerId, count: u32) {
        if count == 0 {
            self.connected.remove(&peer);
        } else {
            self.again.remove(&peer);
            self.connected.insert(peer, count);
        }
        if let Some(heard) = &mut self.heard_meanwhile {
            heard.insert(peer, count);
        }
    }

    fn reconnect(&mut self, peers: Vec<PeerId>) {
        for peer in peers.into_iter().take(self.reconnect) {
            self.want(Target { peer: Some(peer), extra: Vec::new(), why: Why::Reconnect }, false);
        }
    }

    /// Queues a dial unless the peer is connected or one is already under way; says whether one is now.
    fn want(&mut self, target: Target, first: bool) -> bool {
        if target.peer.is_some_and(|peer| self.connected.contains_key(&peer)) {
            return true;
        }
        if self.queue.iter().chain(&self.dialling).any(|other| other.same(&target)) {
            return true;
        }
        if self.queue.len() >= QUEUE {
            return false;
        }
        if first {
            self.queue.push_front(target);
        } else {
            self.queue.push_back(target);
        }
        true
    }

    fn redial_lost(&mut self, peer: &PeerId, now: Instant) {
        if let Some(redial) = self.redials.get_mut(peer) {
            let lasted = redial.up_since.take().is_some_and(|since| now.saturating_duration_since(since) >= STABLE);
            redial.streak = if lasted { 0 } else { redial.streak.saturating_add(1) };
            let wait = if lasted { Duration::ZERO } else { self.backoff.base };
            redial.due = now.checked_add(wait);
        }
    }

    fn retry_protected(&mut self, peer: Option<PeerId>, now: Instant, rng: &mut impl Rng) {
        if let Some(redial) = peer.and_then(|peer| self.redials.get_mut(&peer)) {
            redial.streak = redial.streak.saturating_add(1);
            redial.due = now.checked_add(self.backoff.delay(redial.streak, rng));
        }
    }

    /// Queues the protected peers and the bootstrap round whose time has come.
    fn start_due(&mut self, now: Instant, rng: &mut impl Rng) {
        let due = self.redials.iter().filter(|(_, redial)| redial.due.is_some_and(|due| due <= now));
        let due: Vec<PeerId> = due.map(|(peer, _)| *peer).collect();
        for peer in due {
            if let Some(redial) = self.redials.get_mut(&peer) {
                redial.due = None;
            }
            if !self.want(Target { peer: Some(peer), extra: Vec::new(), why: Why::Protected }, true) {
                self.retry_protected(Some(peer), now, rng);
            }
        }
        let due: Vec<PeerId> = self
            .again
            .iter()
            .filter(|(_, (_, due))| due.is_some_and(|due| due <= now))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in due {
            if let Some((_, due)) = self.again.get_mut(&peer) {
                *due = None;
            }
            self.want(Target { peer: Some(peer), extra: Vec::new(), why: Why::Reconnect }, false);
        }
        if self.round_at.is_some_and(|at| at <= now) {
            self.rounds = self.rounds.saturating_add(1);
            self.round_at = now.checked_add(self.backoff.delay(self.rounds, rng));
            let missing =
                self.groups.iter().filter(|group| !group.peer.is_some_and(|peer| self.connected.contains_key(&peer)));
            let targets =
                missing.map(|group| Target { peer: group.peer, extra: group.addrs.clone(), why: Why::Bootstrap });
            for target in targets.collect::<Vec<_>>() {
                self.want(target, false);
            }
        }
    }

    /// Starts bootstrap rounds when peers are missing and ends them when there are enough.
    fn check_round(&mut self, now: Instant) {
        if self.groups.is_empty() || self.connected.len() >= self.min_peers {
            (self.rounds, self.round_at) = (0, None);
        } else if self.round_at.is_none() {
            // Only the first round is at once, or a peer that accepts and closes would be dialled in a circle.
            let wait = if self.joined { self.backoff.base } else { Duration::ZERO };
            self.round_at = now.checked_add(wait);
            self.joined = true;
        } else if self.connected.is_empty() {
            // The last peer is gone: do not sit out a long wait of better times.
            let soon = now.checked_add(self.backoff.base);
            self.round_at = self.round_at.min(soon.or(self.round_at));
            self.rounds = self.rounds.min(1);
        }
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
