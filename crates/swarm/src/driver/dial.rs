//! The dialler: paces attempts, retries with backoff, leaves failing peers alone. A state machine: time is an argument.

use crate::DialPolicy;
use ipfrs_actor::Reply;
use ipfrs_contract::swarm::{ConnectionInfo, Dial, DialError};
use ipfrs_contract::{Multiaddr, PeerId, Protocol};
use ipfrs_resilience::Circuit;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// Dials that may wait for their turn.
const QUEUE: usize = 4096;
/// Attempts in flight to one IP address: with 32, lost QUIC Initials stall dials for a second; 8 do not.
const PER_TARGET: usize = 8;
/// Peers whose failures are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 4096;
/// Addresses tried for one peer.
const ADDRS: usize = 32;

pub(crate) type DialReply = Reply<Result<ConnectionInfo, DialError>>;
pub(crate) type JobId = u64;

/// One dial with everybody who waits for it.
struct Job {
    peer: Option<PeerId>,
    addrs: Vec<Multiaddr>,
    attempts_left: u32,
    made: u32,
    ready_at: Instant,
    flying: bool,
    targets: Vec<IpAddr>,
    causes: Vec<String>,
    waiters: Vec<DialReply>,
}

/// An attempt to make now.
#[derive(Debug, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) job: JobId,
    pub(crate) peer: Option<PeerId>,
    pub(crate) addrs: Vec<Multiaddr>,
}

pub(crate) struct Dialler {
    policy: DialPolicy,
    jobs: HashMap<JobId, Job>,
    queue: VecDeque<JobId>,
    by_peer: HashMap<PeerId, Vec<JobId>>,
    per_target: HashMap<IpAddr, usize>,
    flying: usize,
    circuits: HashMap<PeerId, Circuit>,
    remembered: VecDeque<PeerId>,
    next: JobId,
}

impl Dialler {
    pub(crate) fn new(policy: DialPolicy) -> Self {
        Dialler {
            policy,
            jobs: HashMap::new(),
            queue: VecDeque::new(),
            by_peer: HashMap::new(),
            per_target: HashMap::new(),
            flying: 0,
            circuits: HashMap::new(),
            remembered: VecDeque::new(),
            next: 0,
        }
    }

    /// Takes a dial on; one whose addresses are being tried already shares those attempts.
    pub(crate) fn add(&mut self, dial: Dial, reply: DialReply, now: Instant) {
        let running = dial.peer.and_then(|peer| self.by_peer.get(&peer)).into_iter().flatten();
        for id in running {
            // A dial that knows better addresses must not wait for an attempt at stale ones.
            let job = self.jobs.get_mut(id).filter(|job| dial.addrs.iter().all(|addr| job.addrs.contains(addr)));
            if let Some(job) = job {
                job.attempts_left = job.attempts_left.max(dial.attempts.saturating_sub(u32::from(job.flying)));
                return job.waiters.push(reply);
            }
        }
        if let Some(peer) = dial.peer
            && let Some(Err(retry_in)) = self.circuits.get_mut(&peer).map(|c| c.admit(now))
        {
            let failures = self.policy.circuit_failures;
            return reply.send(Err(DialError::CircuitOpen { peer, failures, retry_in }));
        }
        if self.jobs.len() >= QUEUE {
            return reply.send(Err(DialError::Limit(format!("{QUEUE} dials are waiting"))));
        }
        self.next += 1;
        let id = self.next;
        let mut seen = HashSet::new();
        let addrs: Vec<_> = dial.addrs.into_iter().filter(|a| seen.insert(a.clone())).take(ADDRS).collect();
        let job = Job {
            peer: dial.peer,
            targets: addrs.iter().filter_map(ip_of).collect::<HashSet<_>>().into_iter().collect(),
            addrs,
            attempts_left: dial.attempts.max(1),
            made: 0,
            ready_at: now,
            flying: false,
            causes: Vec::new(),
            waiters: vec![reply],
        };
        if let Some(peer) = job.peer {
            self.by_peer.entry(peer).or_default().push(id);
        }
        self.jobs.insert(id, job);
        self.queue.push_back(id);
    }

    /// Attempts whose turn it is.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for _ in 0..self.queue.len() {
            if self.flying >= self.policy.max_pending {
                break;
            }
            let Some(id) = self.queue.pop_front() else { break };
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let busy = |ip: &IpAddr| self.per_target.get(ip).is_some_and(|n| *n >= PER_TARGET);
            if job.ready_at > now || job.targets.iter().any(busy) {
                self.queue.push_back(id);
                continue;
            }
            for ip in &job.targets {
                *self.per_target.entry(*ip).or_default() += 1;
            }
            job.flying = true;
            job.made += 1;
            job.attempts_left -= 1;
            job.causes.clear();
            self.flying += 1;
            attempts.push(Attempt { job: id, peer: job.peer, addrs: job.addrs.clone() });
        }
        attempts
    }

    /// When an attempt that waits out its backoff becomes due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.queue.iter().filter_map(|id| self.jobs.get(id)).map(|job| job.ready_at).min()
    }

    /// A connection with `peer` is up: every dial to it is answered.
    pub(crate) fn connected(&mut self, peer: PeerId, info: &ConnectionInfo) {
        self.circuits.remove(&peer);
        for id in self.by_peer.remove(&peer).unwrap_or_default() {
            self.finish(id, Ok(info.clone()));
        }
    }

    /// An attempt of a dial without an expected peer succeeded.
    pub(crate) fn succeeded(&mut self, id: JobId, info: &ConnectionInfo) {
        self.finish(id, Ok(info.clone()));
    }

    /// An attempt failed; it is repeated after a delay or the dial is over.
    pub(crate) fn failed(&mut self, id: JobId, error: DialError, now: Instant, rng: &mut impl rand::Rng) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let DialError::Failed { causes, .. } = &error {
            job.causes.extend(causes.iter().cloned());
        }
        let worth_repeating = matches!(error, DialError::Failed { .. });
        if worth_repeating && job.attempts_left > 0 {
            job.ready_at = now + self.policy.backoff.delay(job.made, rng);
            self.land(id);
            self.queue.push_back(id);
            return;
        }
        if let (Some(peer), true) = (job.peer, worth_repeating) {
            self.remember_failure(peer, now);
        }
        self.finish(id, Err(error));
    }

    /// Ends everything; every waiter is told.
    pub(crate) fn abort(&mut self) {
        let jobs: Vec<_> = self.jobs.keys().copied().collect();
        for id in jobs {
            self.finish(id, Err(DialError::DriverLost));
        }
    }

    fn remember_failure(&mut self, peer: PeerId, now: Instant) {
        let policy = &self.policy;
        let circuit = self.circuits.entry(peer).or_insert_with(|| {
            self.remembered.push_back(peer);
            Circuit::new(policy.circuit_failures, policy.circuit_cooldown)
        });
        circuit.failure(now);
        if self.remembered.len() > REMEMBERED
            && let Some(oldest) = self.remembered.pop_front()
        {
            self.circuits.remove(&oldest);
        }
    }

    /// The attempt of a job is over: its slots are free.
    fn land(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.flying) else { return };
        job.flying = false;
        self.flying = self.flying.saturating_sub(1);
        for ip in &job.targets {
            if let Some(n) = self.per_target.get_mut(ip) {
                *n = n.saturating_sub(1);
                if *n == 0 {
                    self.per_target.remove(ip);
                }
            }
        }
    }

    fn finish(&mut self, id: JobId, result: Result<ConnectionInfo, DialError>) {
        self.land(id);
        let Some(job) = self.jobs.remove(&id) else { return };
        if let Some((peer, ids)) = job.peer.and_then(|peer| Some((peer, self.by_peer.get_mut(&peer)?))) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        for waiter in job.waiters {
            waiter.send(result.clone());
        }
    }
}

fn ip_of(addr: &Multiaddr) -> Option<IpAddr> {
    addr.iter().find_map(|p| match p {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipfrs_resilience::Backoff;
    use rand::SeedableRng;
    use std::time::Duration;

    fn dialler(max_pending: usize) -> Dialler {
        Dialler::new(DialPolicy {
            timeout: Duration::from_secs(10),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1), 0.0),
            circuit_failures: 2,
            circuit_cooldown: Duration::from_secs(30),
            max_pending,
        })
    }

    fn dial(peer: PeerId, attempts: u32) -> Dial {
        Dial { peer: Some(peer), addrs: vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()], attempts }
    }

    fn failure() -> DialError {
        DialError::Failed { peer: "x".into(), causes: vec!["refused".into()] }
    }

    #[test]
    fn attempts_are_paced_per_target_and_retried_after_a_delay() {
        let now = Instant::now();
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let mut d = dialler(64);
        for _ in 0..20 {
            d.add(dial(PeerId::random(), 2), Reply::new().0, now);
        }
        let first = d.due(now);
        assert_eq!(first.len(), PER_TARGET);
        d.failed(first[0].job, failure(), now, &mut rng);
        assert_eq!(d.due(now).len(), 1, "the freed slot goes to another dial at once");
        assert!(d.next_due().is_some());
    }

    #[test]
    fn new_addresses_are_tried_at_once_and_known_ones_only_once() {
        let now = Instant::now();
        let mut d = dialler(64);
        let peer = PeerId::random();
        d.add(dial(peer, 1), Reply::new().0, now);
        assert_eq!(d.due(now).len(), 1);
        d.add(dial(peer, 1), Reply::new().0, now);
        assert_eq!(d.due(now).len(), 0, "the same address is tried already");
        let better = Dial { addrs: vec!["/ip4/127.0.0.1/tcp/2".parse().unwrap()], ..dial(peer, 1) };
        d.add(better.clone(), Reply::new().0, now);
        assert_eq!(d.due(now).into_iter().map(|a| a.addrs).collect::<Vec<_>>(), [better.addrs]);
    }

    #[test]
    fn a_failing_peer_is_left_alone_and_tried_again_later() {
        let now = Instant::now();
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let mut d = dialler(64);
        let peer = PeerId::random();
        for _ in 0..2 {
            d.add(dial(peer, 1), Reply::new().0, now);
            let attempt = d.due(now).remove(0);
            d.failed(attempt.job, failure(), now, &mut rng);
        }
        d.add(dial(peer, 1), Reply::new().0, now);
        assert!(d.due(now).is_empty(), "the circuit is open");
        let later = now + Duration::from_secs(31);
        d.add(dial(peer, 1), Reply::new().0, later);
        assert_eq!(d.due(later).len(), 1, "one probe goes through");
    }
}
