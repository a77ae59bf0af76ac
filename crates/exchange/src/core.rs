//! Whom to ask for what: a state machine. Time is an argument; what is to be done comes out as [`Do`].

use crate::Config;
use crate::message::Entry;
use ipfrs_contract::exchange::{ExchangeError, MAX_WANTS, SessionId};
use ipfrs_contract::{Cid, Multihash, PeerId};
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
    /// Tell a session.
    Arrived(SessionId, Cid),
}

#[derive(Default)]
struct Session {
    /// Peers that had blocks of this session, the first found first.
    members: Vec<PeerId>,
    wants: HashSet<Multihash>,
}

struct Wanted {
    cid: Cid,
    sessions: Vec<(SessionId, Cid)>,
    /// Who was asked for the block itself.
    asked: Option<PeerId>,
    haves: BTreeSet<PeerId>,
    lacks: HashSet<PeerId>,
    /// Everybody who was told of this want and must be told when it is over.
    told: HashSet<PeerId>,
    search_at: Option<Instant>,
    searches: u32,
}

struct Peer {
    asked: HashSet<Multihash>,
    /// When it last sent a block or was first asked: silence is measured from here.
    alive: Instant,
}

pub(crate) struct Core {
    config: Config,
    sessions: HashMap<SessionId, Session>,
    wants: HashMap<Multihash, Wanted>,
    peers: HashMap<PeerId, Peer>,
    searching: HashSet<Multihash>,
    batch: HashMap<PeerId, Vec<Entry>>,
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
        open.wants.extend(new.iter().map(|cid| *cid.hash()));
        for cid in new {
            let hash = *cid.hash();
            let want = self.wants.entry(hash).or_insert_with(|| Wanted {
                cid,
                sessions: Vec::new(),
                asked: None,
                haves: BTreeSet::new(),
                lacks: HashSet::new(),
                told: HashSet::new(),
                search_at: None,
                searches: 0,
            });
            want.sessions.push((session, cid));
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
            want.told.insert(peer);
            self.batch.entry(peer).or_default().push(Entry::want(&want.cid, false));
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
        let Some(want) = self.wants.get_mut(cid.hash()) else { return };
        want.haves.insert(peer);
        want.lacks.remove(&peer);
        let sessions: Vec<_> = want.sessions.iter().map(|(id, _)| *id).collect();
        let idle = want.asked.is_none();
        self.join(peer, sessions);
        if idle {
            self.route(*cid.hash(), now);
        }
    }

    pub(crate) fn lacks(&mut self, peer: PeerId, cid: &Cid, now: Instant) {
        let Some(want) = self.wants.get_mut(cid.hash()) else { return };
        want.haves.remove(&peer);
        want.lacks.insert(peer);
        if want.asked == Some(peer) {
            if let Some(peer) = self.peers.get_mut(&peer) {
                peer.asked.remove(cid.hash());
            }
            self.ask_another(*cid.hash(), now);
        }
    }

    /// A wanted block is in the store.
    pub(crate) fn arrived(&mut self, peer: Option<PeerId>, cid: &Cid, now: Instant) {
        let hash = *cid.hash();
        if let Some(sender) = peer.and_then(|peer| self.peers.get_mut(&peer)) {
            sender.alive = now;
        }
        let Some(want) = self.wants.get_mut(&hash) else { return };
        let sessions = std::mem::take(&mut want.sessions);
        for (session, cid) in &sessions {
            self.out.push(Do::Arrived(*session, *cid));
            if let Some(session) = self.sessions.get_mut(session) {
                session.wants.remove(&hash);
            }
        }
        if let Some(peer) = peer.filter(|peer| self.peers.contains_key(peer)) {
            self.join(peer, sessions.into_iter().map(|(id, _)| id).collect());
        }
        self.forget(hash, peer);
    }

    /// A search is over; it is repeated later as long as the want is not answered.
    pub(crate) fn searched(&mut self, cid: &Cid, now: Instant) {
        self.searching.remove(cid.hash());
        if let Some(want) = self.wants.get_mut(cid.hash()) {
            let wait = SEARCH_AGAIN.saturating_mul(1 << want.searches.min(10)).min(SEARCH_MAX);
            want.searches += 1;
            want.search_at = Some(now + wait);
        }
    }

    /// Passes over silent peers and starts searches that are due.
    pub(crate) fn tick(&mut self, now: Instant) {
        let silent = |peer: &Peer| !peer.asked.is_empty() && now.duration_since(peer.alive) > self.config.want_timeout;
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
                }
                self.ask_another(hash, now);
            }
        }
        let due = self.wants.iter().filter(|(hash, want)| {
            want.asked.is_none() && want.search_at.is_some_and(|at| at <= now) && !self.searching.contains(*hash)
        });
        let due: Vec<_> =
            due.map(|(hash, want)| (*hash, want.cid)).take(SEARCHES.saturating_sub(self.searching.len())).collect();
        for (hash, cid) in due {
            self.searching.insert(hash);
            self.out.push(Do::Search(cid));
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
        let members = want.sessions.iter().filter_map(|(id, _)| self.sessions.get(id)).flat_map(|s| &s.members);
        let candidates = if want.haves.is_empty() {
            members.copied().collect::<Vec<_>>()
        } else {
            want.haves.iter().copied().collect()
        };
        let able = candidates.into_iter().filter(|peer| self.peers.contains_key(peer) && !want.lacks.contains(peer));
        if let Some(peer) = able.min_by_key(|peer| self.peers[peer].asked.len()) {
            want.asked = Some(peer);
            want.told.insert(peer);
            let chosen = self.peers.get_mut(&peer).expect("only connected peers are chosen");
            if chosen.asked.is_empty() {
                chosen.alive = now;
            }
            chosen.asked.insert(hash);
            self.batch.entry(peer).or_default().push(Entry::want(&want.cid, true));
            return;
        }
        let strangers = self.peers.keys().filter(|peer| !want.told.contains(peer)).take(self.config.max_peers_asked);
        let strangers: Vec<_> = strangers.copied().collect();
        let nobody = strangers.is_empty();
        for peer in strangers {
            want.told.insert(peer);
            self.batch.entry(peer).or_default().push(Entry::want(&want.cid, false));
        }
        let at = if nobody { now } else { now + self.config.provider_search_delay };
        want.search_at =
            Some(want.search_at.map_or(at, |planned| if want.searches == 0 { planned.min(at) } else { planned }));
    }

    /// The want is over: everybody who heard of it, but for who sent the block, hears that.
    fn forget(&mut self, hash: Multihash, sender: Option<PeerId>) {
        let Some(want) = self.wants.remove(&hash) else { return };
        if let Some(peer) = want.asked.and_then(|peer| self.peers.get_mut(&peer)) {
            peer.asked.remove(&hash);
        }
        for peer in want.told.into_iter().filter(|peer| Some(*peer) != sender && self.peers.contains_key(peer)) {
            self.batch.entry(peer).or_default().push(Entry::cancel(&want.cid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipfrs_blocks::{RAW, cid_of};

    const S: SessionId = SessionId(1);

    fn core() -> (Core, Instant) {
        let config = Config {
            serve: true,
            want_timeout: Duration::from_secs(5),
            provider_search_delay: Duration::from_millis(500),
            max_peers_asked: 64,
        };
        let mut core = Core::new(config);
        core.open(S);
        (core, Instant::now())
    }

    fn cid(n: u8) -> Cid {
        cid_of(1, RAW, &[n])
    }

    fn sent(core: &mut Core) -> Vec<(PeerId, Entry)> {
        let outputs = core.drain().into_iter();
        outputs
            .flat_map(|o| if let Do::Send(p, es) = o { es.into_iter().map(|e| (p, e)).collect() } else { vec![] })
            .collect()
    }

    #[test]
    fn a_peer_that_has_it_is_asked_and_the_next_want_goes_to_it_at_once() {
        let (mut core, now) = core();
        let (a, b) = (PeerId::random(), PeerId::random());
        core.connected(a, now);
        core.connected(b, now);
        core.want(S, &[cid(1)], now).unwrap();
        assert!(sent(&mut core).iter().all(|(_, e)| e.want_type == 1));
        core.has(a, &cid(1), now);
        assert_eq!(sent(&mut core), [(a, Entry::want(&cid(1), true))]);
        core.arrived(Some(a), &cid(1), now);
        let out = core.drain();
        assert!(out.contains(&Do::Arrived(S, cid(1))) && out.contains(&Do::Send(b, vec![Entry::cancel(&cid(1))])));
        core.want(S, &[cid(2)], now).unwrap();
        assert_eq!(sent(&mut core), [(a, Entry::want(&cid(2), true))]);
    }

    #[test]
    fn a_silent_or_lost_peer_is_passed_over() {
        let (mut core, now) = core();
        let (a, b) = (PeerId::random(), PeerId::random());
        core.connected(a, now);
        core.connected(b, now);
        core.want(S, &[cid(1)], now).unwrap();
        core.has(a, &cid(1), now);
        core.has(b, &cid(1), now);
        sent(&mut core);
        let later = now + Duration::from_secs(6);
        core.tick(later);
        assert_eq!(sent(&mut core), [(b, Entry::want(&cid(1), true))]);
        core.disconnected(&b, later);
        core.connected(b, later);
        assert!(sent(&mut core).contains(&(b, Entry::want(&cid(1), false))), "asked again after a reconnect");
    }

    #[test]
    fn nobody_to_ask_means_a_search_at_once_and_again() {
        let (mut core, now) = core();
        core.want(S, &[cid(1)], now).unwrap();
        core.tick(now);
        assert_eq!(core.drain(), [Do::Search(cid(1))]);
        core.tick(now);
        assert_eq!(core.drain(), []);
        core.searched(&cid(1), now);
        core.tick(now + SEARCH_AGAIN);
        assert_eq!(core.drain(), [Do::Search(cid(1))]);
    }

    #[test]
    fn a_connected_peer_that_lacks_it_leads_to_a_search() {
        let (mut core, now) = core();
        let a = PeerId::random();
        core.connected(a, now);
        core.want(S, &[cid(1)], now).unwrap();
        core.lacks(a, &cid(1), now);
        core.drain();
        core.tick(now + Duration::from_millis(501));
        assert_eq!(core.drain(), [Do::Search(cid(1))]);
    }

    #[test]
    fn a_closed_session_cancels_and_wants_are_bounded() {
        let (mut core, now) = core();
        let a = PeerId::random();
        core.connected(a, now);
        core.want(S, &[cid(1)], now).unwrap();
        sent(&mut core);
        core.close(S);
        assert_eq!(sent(&mut core), [(a, Entry::cancel(&cid(1)))]);
        assert_eq!(core.wantlist().count(), 0);
        assert_eq!(core.want(S, &[cid(1)], now), Err(ExchangeError::NoSession));
        core.open(S);
        let many: Vec<_> = (0..=MAX_WANTS).map(|n| cid_of(1, RAW, &n.to_be_bytes())).collect();
        assert_eq!(core.want(S, &many, now), Err(ExchangeError::TooManyWants));
    }
}
