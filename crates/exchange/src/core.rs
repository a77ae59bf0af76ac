//! Whom to ask for what: a state machine. Time is an argument; what is to be done comes out as [`Do`].

use crate::Config;
use crate::message::Entry;
use ipfrs_contract::exchange::{ExchangeError, MAX_WANTS, SessionId};
use ipfrs_contract::{Cid, Multihash, PeerId};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// Provider searches under way at once; each is a DHT query with up to ten peers asked at a time.
const SEARCHES: usize = 4;
/// Wait before a search that found nobody is repeated; doubles up to [`SEARCH_MAX`].
const SEARCH_AGAIN: Duration = Duration::from_secs(5);
const SEARCH_MAX: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Do {
    /// Send wants and cancels.
    Send(PeerId, Vec<Entry>),
    /// Find providers.
    Search(Cid),
    /// Tell a session that a block is in the store.
    Arrived(SessionId, Cid),
    /// Tell a session that a block came and could not be stored.
    Failed(SessionId, Cid, String),
}

#[derive(Default)]
struct Session {
    /// Peers that had blocks of this session, the first found first.
    members: Vec<PeerId>,
    wants: HashSet<Multihash>,
}

struct Wanted {
    cid: Cid,
    /// Falls from want to want: peers send what was wanted first before the rest.
    priority: i32,
    sessions: Vec<(SessionId, Cid)>,
    /// Who was asked for the block itself.
    asked: Option<PeerId>,
    haves: BTreeSet<PeerId>,
    lacks: HashSet<PeerId>,
    /// Everybody who was told of this want and must be told when it is over, and whether an answer may still come.
    told: HashMap<PeerId, bool>,
    search_at: Option<Instant>,
    searches: u32,
}

struct Peer {
    asked: HashSet<Multihash>,
    /// When a block of it came or it was first asked: silence is measured from here.
    alive: Instant,
}

type Batch = HashMap<PeerId, Vec<Entry>>;

pub(crate) struct Core {
    config: Config,
    sessions: HashMap<SessionId, Session>,
    wants: HashMap<Multihash, Wanted>,
    peers: HashMap<PeerId, Peer>,
    /// Wants whose search is under way.
    searching: HashSet<Multihash>,
    priority: i32,
    batch: Batch,
    out: Vec<Do>,
}

impl Core {
    pub(crate) fn new(config: Config) -> Self {
        Core {
            config,
            sessions: HashMap::new(),
            wants: HashMap::new(),
            peers: HashMap::new(),
            searching: HashSet::new(),
            priority: i32::MAX,
            batch: HashMap::new(),
            out: Vec::new(),
        }
    }

    /// What is to be done since the last call.
    pub(crate) fn drain(&mut self) -> Vec<Do> {
        let batch = std::mem::take(&mut self.batch);
        self.out.extend(batch.into_iter().map(|(peer, entries)| Do::Send(peer, entries)));
        std::mem::take(&mut self.out)
    }

    pub(crate) fn wantlist(&self) -> impl Iterator<Item = &Cid> {
        self.wants.values().map(|want| &want.cid)
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.peers.keys()
    }

    pub(crate) fn open(&mut self, session: SessionId) {
        self.sessions.entry(session).or_default();
    }

    pub(crate) fn want(&mut self, session: SessionId, cids: &[Cid], now: Instant) -> Result<(), ExchangeError> {
        let open = self.sessions.get_mut(&session).ok_or(ExchangeError::NoSession)?;
        let new: Vec<_> = cids.iter().filter(|cid| !open.wants.contains(cid.hash())).copied().collect();
        if open.wants.len() + new.len() > MAX_WANTS {
            return Err(ExchangeError::TooManyWants);
        }
        for cid in new {
            let hash = *cid.hash();
            // The same block may stand in one request under two CIDs.
            if !self.sessions.get_mut(&session).is_some_and(|open| open.wants.insert(hash)) {
                continue;
            }
            let want = self.wants.entry(hash).or_insert_with(|| Wanted {
                cid,
                priority: self.priority,
                sessions: Vec::new(),
                asked: None,
                haves: BTreeSet::new(),
                lacks: HashSet::new(),
                told: HashMap::new(),
                search_at: None,
                searches: 0,
            });
            want.sessions.push((session, cid));
            self.priority = if self.priority == 1 { i32::MAX } else { self.priority - 1 };
            self.route(hash, now);
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, session: SessionId) {
        let Some(closed) = self.sessions.remove(&session) else { return };
        for hash in closed.wants {
            if let Some(want) = self.wants.get_mut(&hash) {
                want.sessions.retain(|(id, _)| *id != session);
                if want.sessions.is_empty() {
                    self.forget(hash, None);
                }
            }
        }
    }

    /// A peer that speaks Bitswap is connected: it hears of every want that nobody was asked for yet.
    pub(crate) fn connected(&mut self, peer: PeerId, now: Instant) {
        if self.peers.contains_key(&peer) {
            return;
        }
        self.peers.insert(peer, Peer { asked: HashSet::new(), alive: now });
        for want in self.wants.values_mut().filter(|want| want.asked.is_none()) {
            tell(&mut self.batch, peer, want, false);
        }
    }

    pub(crate) fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        let Some(gone) = self.peers.remove(peer) else { return };
        self.batch.remove(peer);
        for session in self.sessions.values_mut() {
            session.members.retain(|member| member != peer);
        }
        for want in self.wants.values_mut() {
            want.haves.remove(peer);
            want.lacks.remove(peer);
            want.told.remove(peer);
        }
        for hash in gone.asked {
            self.ask_another(hash, now);
        }
    }

    /// Exactly these peers are connected and speak Bitswap.
    pub(crate) fn snapshot(&mut self, peers: &HashSet<PeerId>, now: Instant) {
        let gone: Vec<_> = self.peers.keys().filter(|peer| !peers.contains(peer)).copied().collect();
        for peer in gone {
            self.disconnected(&peer, now);
        }
        for peer in peers {
            self.connected(*peer, now);
        }
    }

    pub(crate) fn has(&mut self, peer: PeerId, cid: &Cid, now: Instant) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        let Some(want) = self.wants.get_mut(cid.hash()) else { return };
        want.haves.insert(peer);
        want.lacks.remove(&peer);
        let sessions: Vec<_> = want.sessions.iter().map(|(id, _)| *id).collect();
        self.join(peer, sessions);
        self.route(*cid.hash(), now);
    }

    pub(crate) fn lacks(&mut self, peer: PeerId, cid: &Cid, now: Instant) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some(want) = self.wants.get_mut(cid.hash()) else { return };
        want.haves.remove(&peer);
        want.lacks.insert(peer);
        if want.asked == Some(peer) {
            known.asked.remove(cid.hash());
            self.ask_another(*cid.hash(), now);
        }
    }

    /// Part of a block came from a peer: it is not silent.
    pub(crate) fn heard(&mut self, peer: &PeerId, at: Instant) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.alive = peer.alive.max(at);
        }
    }

    /// A wanted block is in the store.
    pub(crate) fn arrived(&mut self, peer: Option<PeerId>, cid: &Cid, now: Instant) {
        if let Some(peer) = peer {
            self.heard(&peer, now);
        }
        let sessions = self.over(cid);
        self.out.extend(sessions.iter().map(|(session, cid)| Do::Arrived(*session, *cid)));
        if let Some(peer) = peer.filter(|peer| self.peers.contains_key(peer)) {
            self.join(peer, sessions.into_iter().map(|(id, _)| id).collect());
        }
        self.forget(*cid.hash(), peer);
    }

    /// A wanted block came and could not be stored: its sessions hear why, and it is wanted no longer.
    pub(crate) fn failed(&mut self, peer: PeerId, cid: &Cid, why: &str) {
        let sessions = self.over(cid);
        self.out.extend(sessions.into_iter().map(|(session, cid)| Do::Failed(session, cid, why.to_owned())));
        self.forget(*cid.hash(), Some(peer));
    }

    /// Takes a want out of its sessions, and says which they were.
    fn over(&mut self, cid: &Cid) -> Vec<(SessionId, Cid)> {
        let sessions = self.wants.get_mut(cid.hash()).map(|want| std::mem::take(&mut want.sessions));
        let sessions = sessions.unwrap_or_default();
        for (session, _) in &sessions {
            if let Some(session) = self.sessions.get_mut(session) {
                session.wants.remove(cid.hash());
            }
        }
        sessions
    }

    /// A query for providers is over; it is repeated later as long as nobody is asked for the block.
    pub(crate) fn query_ended(&mut self, cid: &Cid, now: Instant) {
        self.searching.remove(cid.hash());
        if let Some(want) = self.wants.get_mut(cid.hash()) {
            let wait = SEARCH_AGAIN.saturating_mul(1 << want.searches.min(10)).min(SEARCH_MAX);
            want.searches += 1;
            want.search_at = Some(now + wait);
        }
    }

    /// The providers found were dialled, and these are connected. If nobody was asked meanwhile everything starts over:
    /// who was connected all the time may have missed the question, or have got the block since.
    pub(crate) fn searched(&mut self, cid: &Cid, found: &[PeerId], now: Instant) {
        let Some(want) = self.wants.get_mut(cid.hash()).filter(|want| want.asked.is_none()) else { return };
        want.lacks.clear();
        want.told.values_mut().for_each(|awaited| *awaited = false);
        want.haves.extend(found.iter().filter(|peer| self.peers.contains_key(*peer)));
        self.route(*cid.hash(), now);
    }

    /// Passes over silent peers and starts searches that are due.
    pub(crate) fn tick(&mut self, now: Instant) {
        let silent = |peer: &Peer| {
            !peer.asked.is_empty() && now.saturating_duration_since(peer.alive) > self.config.want_timeout
        };
        let late: Vec<_> = self.peers.iter().filter(|(_, peer)| silent(peer)).map(|(id, _)| *id).collect();
        for id in late {
            ipfrs_actor::counter!("ipfrs_exchange_silent_peers_total").increment(1);
            for session in self.sessions.values_mut() {
                session.members.retain(|member| *member != id);
            }
            let asked = self.peers.get_mut(&id).map(|peer| std::mem::take(&mut peer.asked)).unwrap_or_default();
            for hash in asked {
                if let Some(want) = self.wants.get_mut(&hash) {
                    want.haves.remove(&id);
                    // The want may have been lost on its way: it may be told again, if nobody else has the block.
                    want.told.insert(id, false);
                }
                self.ask_another(hash, now);
            }
        }
        self.search(now);
    }

    /// Starts the searches that wait longest, one at a time for each session: who has one of its blocks has others.
    fn search(&mut self, now: Instant) {
        let under_way = self.searching.iter().filter_map(|hash| self.wants.get(hash));
        let mut busy: HashSet<_> = under_way.flat_map(|want| &want.sessions).map(|(id, _)| *id).collect();
        let due = self.wants.iter().filter(|(hash, want)| want.asked.is_none() && !self.searching.contains(*hash));
        let due = due.filter_map(|(hash, want)| Some((want.search_at.filter(|at| *at <= now)?, *hash, want)));
        let mut due: Vec<_> = due.collect();
        due.sort_unstable_by_key(|(at, _, want)| (*at, Reverse(want.priority)));
        for (_, hash, want) in due {
            if self.searching.len() >= SEARCHES {
                break;
            }
            if want.sessions.iter().all(|(id, _)| !busy.contains(id)) {
                busy.extend(want.sessions.iter().map(|(id, _)| *id));
                self.searching.insert(hash);
                self.out.push(Do::Search(want.cid));
            }
        }
    }

    fn join(&mut self, peer: PeerId, sessions: Vec<SessionId>) {
        for session in sessions {
            if let Some(session) = self.sessions.get_mut(&session).filter(|s| !s.members.contains(&peer)) {
                session.members.push(peer);
            }
        }
    }

    fn ask_another(&mut self, hash: Multihash, now: Instant) {
        if let Some(want) = self.wants.get_mut(&hash) {
            want.asked = None;
            self.route(hash, now);
        }
    }

    /// Asks one peer for the block: who says it has it, else a member of the session. With nobody to ask, everybody
    /// connected is asked whether it has it, and a search is arranged.
    fn route(&mut self, hash: Multihash, now: Instant) {
        let Some(want) = self.wants.get_mut(&hash).filter(|want| want.asked.is_none()) else { return };
        let usable = |peer: &PeerId| self.peers.contains_key(peer) && !want.lacks.contains(peer);
        let mut able: Vec<_> = want.haves.iter().filter(|peer| usable(peer)).copied().collect();
        if able.is_empty() {
            let members = want.sessions.iter().filter_map(|(id, _)| self.sessions.get(id)).flat_map(|s| &s.members);
            able = members.filter(|peer| usable(peer)).copied().collect();
        }
        if let Some(peer) = able.into_iter().min_by_key(|peer| self.peers[peer].asked.len()) {
            want.asked = Some(peer);
            let chosen = self.peers.get_mut(&peer).expect("only connected peers are chosen");
            if chosen.asked.is_empty() {
                chosen.alive = now;
            }
            chosen.asked.insert(hash);
            return tell(&mut self.batch, peer, want, true);
        }
        let strangers = self.peers.keys().filter(|peer| !want.told.get(*peer).is_some_and(|awaited| *awaited));
        let strangers: Vec<_> = strangers.take(self.config.max_peers_asked).copied().collect();
        let at = if strangers.is_empty() { now } else { now + self.config.provider_search_delay };
        for peer in strangers {
            tell(&mut self.batch, peer, want, false);
        }
        want.search_at =
            Some(want.search_at.map_or(at, |planned| if want.searches == 0 { planned.min(at) } else { planned }));
    }

    /// The want is over: everybody who heard of it, but for who sent the block, hears that.
    fn forget(&mut self, hash: Multihash, sender: Option<PeerId>) {
        self.searching.remove(&hash);
        let Some(want) = self.wants.remove(&hash) else { return };
        if let Some(peer) = want.asked.and_then(|peer| self.peers.get_mut(&peer)) {
            peer.asked.remove(&hash);
        }
        for peer in want.told.into_keys().filter(|peer| Some(*peer) != sender && self.peers.contains_key(peer)) {
            self.batch.entry(peer).or_default().push(Entry::cancel(&want.cid));
        }
    }
}

/// Puts a want on its way to a peer: for the block, or for whether it is there.
fn tell(batch: &mut Batch, peer: PeerId, want: &mut Wanted, block: bool) {
    want.told.insert(peer, true);
    batch.entry(peer).or_default().push(Entry::want(&want.cid, block, want.priority));
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
