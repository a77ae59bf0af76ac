//! When which multihash is announced. Pure; time and randomness are arguments.

use crate::Config;
use ipfrs_contract::Multihash;
use ipfrs_contract::swarm::KadNetwork;
use ipfrs_resilience::Backoff;
use rand::Rng;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Share of the interval by which announcements are spread, so that those made together do not stay together.
const SPREAD: f64 = 0.1;
/// Share of a retry's wait that is random.
const JITTER: f64 = 0.3;

/// How an announcement ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Whether a peer stored the record.
    pub(crate) stored: bool,
    /// Networks without peers: announced there as soon as one has some.
    pub(crate) missing: Vec<KadNetwork>,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    streak: u32,
    running: bool,
    /// Whether a caller waits for its start.
    urgent: bool,
    /// Asked for while it was running by something that happened since.
    again: bool,
}

pub(crate) struct Schedule {
    interval: Duration,
    backoff: Backoff,
    parallel: usize,
    entries: HashMap<Multihash, Entry>,
    queue: BTreeSet<(Instant, Multihash)>,
    /// What callers wait for; announced before what is merely due.
    urgent: VecDeque<Multihash>,
    running: usize,
    missing_wan: HashSet<Multihash>,
    missing_lan: HashSet<Multihash>,
}

impl Schedule {
    pub(crate) fn new(config: &Config) -> Self {
        Schedule {
            interval: config.reprovide_interval,
            backoff: Backoff::new(config.retry_base, config.retry_max, JITTER),
            parallel: config.parallel_provides,
            entries: HashMap::new(),
            queue: BTreeSet::new(),
            urgent: VecDeque::new(),
            running: 0,
            missing_wan: HashSet::new(),
            missing_lan: HashSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, key: &Multihash) -> bool {
        self.entries.contains_key(key)
    }

    /// Takes up what an earlier incarnation announced, last at `announced`.
    pub(crate) fn restore(&mut self, key: Multihash, announced: Option<Instant>, now: Instant) {
        let due = announced.and_then(|at| at.checked_add(self.interval)).unwrap_or(now);
        self.insert(key, due);
    }

    /// A caller wants a multihash announced now. `true` when it is new.
    pub(crate) fn request(&mut self, key: Multihash, now: Instant) -> bool {
        let new = !self.contains(&key);
        if new {
            self.insert(key, now);
        }
        if let Some(entry) = self.entries.get_mut(&key).filter(|entry| !entry.running && !entry.urgent) {
            entry.urgent = true;
            self.urgent.push_back(key);
        }
        new
    }

    /// Stops announcing. `true` when it was announced.
    pub(crate) fn remove(&mut self, key: &Multihash) -> bool {
        self.missing_wan.remove(key);
        self.missing_lan.remove(key);
        let Some(entry) = self.entries.remove(key) else { return false };
        self.queue.remove(&(entry.due, *key));
        if entry.running {
            self.running -= 1;
        }
        true
    }

    /// The next multihash to announce now, if one is due and there is room.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Multihash> {
        if self.running >= self.parallel {
            return None;
        }
        let key = match self.next_urgent() {
            Some(key) => key,
            None => self.queue.first().filter(|(due, _)| *due <= now)?.1,
        };
        let entry = self.entries.get_mut(&key)?;
        self.queue.remove(&(entry.due, key));
        (entry.running, entry.urgent) = (true, false);
        self.running += 1;
        Some(key)
    }

    /// An announcement ended. `false` when it was given up meanwhile.
    pub(crate) fn finished(
        &mut self,
        key: &Multihash,
        announced: &Announced,
        now: Instant,
        rng: &mut impl Rng,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.running) else { return false };
        entry.running = false;
        self.running -= 1;
        let wait = if announced.stored {
            entry.streak = 0;
            self.interval.mul_f64(1.0 - SPREAD * rng.random::<f64>())
        } else {
            entry.streak = entry.streak.saturating_add(1);
            self.backoff.delay(entry.streak, rng)
        };
        let wait = if std::mem::take(&mut entry.again) { self.backoff.base } else { wait };
        entry.due = now.checked_add(wait).unwrap_or(now);
        self.queue.insert((entry.due, *key));
        for (network, missing) in [(KadNetwork::Wan, &mut self.missing_wan), (KadNetwork::Lan, &mut self.missing_lan)] {
            if announced.missing.contains(&network) {
                missing.insert(*key);
            } else {
                missing.remove(key);
            }
        }
        true
    }

    /// A network has peers: what is missing there is due.
    pub(crate) fn nudge(&mut self, network: KadNetwork, now: Instant) {
        let missing = match network {
            KadNetwork::Wan => std::mem::take(&mut self.missing_wan),
            KadNetwork::Lan => std::mem::take(&mut self.missing_lan),
        };
        for key in missing {
            self.reschedule(&key, now);
        }
    }

    /// The networks forgot everything. Nothing can be announced before they have peers again.
    pub(crate) fn forgotten(&mut self, now: Instant) {
        let keys: Vec<Multihash> = self.entries.keys().copied().collect();
        let later = now.checked_add(self.backoff.max).unwrap_or(now);
        for key in &keys {
            self.reschedule(key, later);
        }
        self.missing_wan.extend(&keys);
        self.missing_lan.extend(&keys);
    }

    /// When [`Schedule::next`] has something again; `None` while every place is taken or nothing is announced.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.queue.first().filter(|_| self.running < self.parallel).map(|(due, _)| *due)
    }

    /// What was given up while it waited is passed over here: looking for it at once would cost a search of the queue.
    fn next_urgent(&mut self) -> Option<Multihash> {
        loop {
            let key = self.urgent.pop_front()?;
            if self.entries.get(&key).is_some_and(|entry| entry.urgent) {
                return Some(key);
            }
        }
    }

    fn insert(&mut self, key: Multihash, due: Instant) {
        self.entries.insert(key, Entry { due, streak: 0, running: false, urgent: false, again: false });
        self.queue.insert((due, key));
    }

    fn reschedule(&mut self, key: &Multihash, due: Instant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.running {
            entry.again = true;
            return;
        }
        self.queue.remove(&(entry.due, *key));
        entry.due = due;
        self.queue.insert((due, *key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KadNetwork::{Lan, Wan};
    use rand::{SeedableRng, rngs::StdRng};

    fn key(n: u64) -> Multihash {
        Multihash::wrap(0x12, &n.to_be_bytes()).unwrap()
    }

    fn stored(missing: &[KadNetwork]) -> Announced {
        Announced { stored: true, missing: missing.to_vec() }
    }

    fn failed() -> Announced {
        Announced { stored: false, missing: vec![Wan, Lan] }
    }

    #[test]
    fn a_multihash_is_announced_again_and_again() {
        let config = Config::default();
        let (mut schedule, mut rng, now) = (Schedule::new(&config), StdRng::seed_from_u64(1), Instant::now());
        assert!(schedule.request(key(1), now) && !schedule.request(key(1), now));
        assert_eq!((schedule.next(now), schedule.next(now)), (Some(key(1)), None));
        assert!(schedule.finished(&key(1), &stored(&[]), now, &mut rng));
        let due = schedule.wake().unwrap();
        assert!(due <= now + config.reprovide_interval && due >= now + config.reprovide_interval.mul_f64(0.9));
        assert_eq!(schedule.next(due - Duration::from_secs(1)), None);
        assert_eq!(schedule.next(due), Some(key(1)));
        assert!(schedule.remove(&key(1)));
        assert!(!schedule.finished(&key(1), &stored(&[]), due, &mut rng), "given up meanwhile");
        assert_eq!((schedule.len(), schedule.running, schedule.wake()), (0, 0, None));
    }

    #[test]
    fn failures_back_off_and_the_first_peer_ends_the_wait() {
        let config = Config::default();
        let (mut schedule, mut rng, mut now) = (Schedule::new(&config), StdRng::seed_from_u64(1), Instant::now());
        schedule.request(key(1), now);
        for _ in 0..20 {
            assert_eq!(schedule.next(now), Some(key(1)));
            schedule.finished(&key(1), &failed(), now, &mut rng);
            assert_eq!(schedule.next(now), None);
            let wait = schedule.wake().unwrap() - now;
            assert!(wait >= config.retry_base / 2 && wait <= config.retry_max, "{wait:?}");
            now += wait;
        }
        assert_eq!(schedule.next(now), Some(key(1)));
        schedule.finished(&key(1), &failed(), now, &mut rng);
        schedule.nudge(Lan, now);
        assert_eq!(schedule.next(now), Some(key(1)));
        schedule.finished(&key(1), &stored(&[Wan]), now, &mut rng);
        schedule.nudge(Lan, now);
        assert_eq!(schedule.next(now), None, "known there already");
        schedule.nudge(Wan, now);
        assert_eq!(schedule.next(now), Some(key(1)), "the other network has peers now");
        schedule.nudge(Wan, now);
        schedule.finished(&key(1), &stored(&[]), now, &mut rng);
        assert_eq!(schedule.next(now), None);
    }

    #[test]
    fn callers_come_first_and_places_are_bounded() {
        let config = Config { parallel_provides: 2, ..Config::default() };
        let (mut schedule, mut rng, now) = (Schedule::new(&config), StdRng::seed_from_u64(1), Instant::now());
        (0..5).for_each(|n| schedule.restore(key(n), None, now));
        schedule.request(key(4), now);
        assert_eq!(schedule.next(now), Some(key(4)));
        assert!(schedule.next(now).is_some() && schedule.next(now).is_none() && schedule.wake().is_none());
        schedule.finished(&key(4), &stored(&[]), now, &mut rng);
        assert!(schedule.next(now).is_some());
    }

    #[test]
    fn after_a_new_driver_everything_waits_for_peers_and_is_announced() {
        let config = Config { parallel_provides: 100, ..Config::default() };
        let (mut schedule, mut rng, now) = (Schedule::new(&config), StdRng::seed_from_u64(1), Instant::now());
        (0..3).for_each(|n| schedule.restore(key(n), Some(now), now));
        schedule.request(key(7), now);
        assert_eq!(schedule.next(now), Some(key(7)));
        schedule.forgotten(now);
        assert_eq!(schedule.next(now), None);
        schedule.nudge(Wan, now);
        assert_eq!((0..9).filter_map(|_| schedule.next(now)).count(), 3);
        schedule.finished(&key(7), &stored(&[]), now, &mut rng);
        assert_eq!(schedule.next(now + config.retry_base), Some(key(7)), "it ran before the driver was lost, perhaps");
    }
}
