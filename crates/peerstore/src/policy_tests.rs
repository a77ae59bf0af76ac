//! Tests of the dial policy.

use super::*;
use crate::book::Moment;
use ipfrs_contract::swarm::Direction;
use rand::{SeedableRng, rngs::StdRng};

struct World {
    policy: Policy,
    book: Book,
    config: Config,
    now: Instant,
    rng: StdRng,
}

impl World {
    fn new(config: Config) -> Self {
        let policy = Policy::new(&config);
        World { policy, book: Book::default(), config, now: Instant::now(), rng: StdRng::seed_from_u64(1) }
    }

    fn know(&mut self, seen: u64) -> PeerId {
        let peer = PeerId::random();
        let connected = HashMap::new();
        let at = Moment { now: seen, config: &self.config, connected: &connected };
        self.book.connected(peer, &"/ip4/1.2.3.4/tcp/4001".parse().unwrap(), Direction::Outbound, &at);
        peer
    }

    fn launch(&mut self) -> Vec<Order> {
        self.policy.launch(&self.book, self.now, &mut self.rng).0
    }

    /// What is due now, or at the moment the policy wants to be asked again.
    fn wake(&mut self) -> Vec<Order> {
        let (orders, wake) = self.policy.launch(&self.book, self.now, &mut self.rng);
        if !orders.is_empty() {
            return orders;
        }
        let wake = wake.expect("something is due");
        assert!(wake <= self.now + Duration::from_secs(3600));
        self.now = self.now.max(wake);
        self.launch()
    }

    fn finish(&mut self, order: &Order, outcome: Outcome) {
        self.policy.finished(&order.target, outcome, self.now, &mut self.rng);
    }
}

fn config() -> Config {
    Config { min_peers: 2, dial_spacing: Duration::ZERO, ..Config::default() }
}

fn addr(n: u16) -> Multiaddr {
    format!("/ip4/1.2.3.4/tcp/{n}").parse().unwrap()
}

#[test]
fn a_start_reconnects_a_few_at_a_time_and_paced() {
    let mut world =
        World::new(Config { reconnect: 5, parallel_dials: 2, dial_spacing: Duration::from_secs(1), ..config() });
    let peers: Vec<_> = (1..=9).map(|seen| world.know(seen)).collect();
    world.policy.asked();
    world.policy.snapshot(HashMap::new(), true, &world.book, peers.clone(), world.now);
    let first = world.launch();
    assert_eq!(first.len(), 2, "two at a time");
    assert_eq!(first[0].target.peer, Some(peers[0]));
    world.finish(&first[0], Outcome::Failed);
    world.finish(&first[1], Outcome::Failed);
    assert_eq!(world.launch(), [], "the burst is spent");
    assert_eq!(world.wake().len(), 1);
}

#[test]
fn a_known_peer_that_refuses_after_a_start_is_tried_again_but_not_for_ever() {
    let mut world = World::new(config());
    let peer = world.know(1);
    world.policy.reconnect(vec![peer]);
    let mut tries = 0;
    while let Some(order) = world.launch().pop().or_else(|| {
        let due = world.policy.again.get(&peer)?.1?;
        world.now = world.now.max(due);
        world.launch().pop()
    }) {
        tries += 1;
        world.finish(&order, Outcome::Failed);
    }
    assert_eq!(tries, RECONNECT_TRIES);
    world.policy.reconnect(vec![peer]);
    let order = world.launch().remove(0);
    world.finish(&order, Outcome::Failed);
    world.policy.count(peer, 1);
    assert!(world.policy.again.is_empty(), "who is connected is not dialled again");
}

#[test]
fn a_restart_of_the_actor_alone_dials_nobody() {
    let mut world = World::new(config());
    let peers: Vec<_> = (1..=4).map(|seen| world.know(seen)).collect();
    let alive = peers[..2].iter().map(|peer| (*peer, 1)).collect();
    world.policy.snapshot(alive, false, &world.book, peers, world.now);
    assert_eq!(world.launch(), []);
}

#[test]
fn a_new_driver_gets_back_whom_the_old_one_had() {
    let mut world = World::new(config());
    let peer = world.know(1);
    world.policy.connected(peer, 1, world.now);
    world.policy.driver_started(Vec::new(), world.now);
    assert_eq!(world.launch()[0].target.peer, Some(peer));
    assert_eq!(world.launch(), [], "once is enough");
}

#[test]
fn what_is_heard_after_the_question_is_younger_than_the_snapshot() {
    let mut world = World::new(config());
    let [gone, came] = [0; 2].map(|_| PeerId::random());
    world.policy.asked();
    world.policy.disconnected(gone, 0, world.now);
    world.policy.connected(came, 1, world.now);
    world.policy.snapshot(HashMap::from([(gone, 1)]), true, &world.book, vec![], world.now);
    assert_eq!(world.policy.connections(), &HashMap::from([(came, 1)]));
}

#[test]
fn bootstrap_rounds_back_off_until_there_are_enough_peers() {
    let peer = PeerId::random();
    let named = addr(1).with(ipfrs_contract::Protocol::P2p(peer));
    let mut world = World::new(Config { bootstrap: vec![named, addr(2)], ..config() });
    world.policy.snapshot(HashMap::new(), true, &world.book, vec![], world.now);
    let round = world.launch();
    assert_eq!(round.iter().map(|o| o.addrs.clone()).collect::<Vec<_>>(), [vec![addr(1)], vec![addr(2)]]);
    let mut waits = Vec::new();
    for _ in 0..12 {
        for order in round.iter() {
            world.finish(order, Outcome::Failed);
        }
        let before = world.now;
        assert_eq!(world.wake().len(), 2);
        waits.push(world.now - before);
    }
    assert!(waits[0] >= Duration::from_secs(1) && waits[11] > Duration::from_secs(200), "{waits:?}");

    let found = PeerId::random();
    world.policy.connected(found, 1, world.now);
    world.finish(&round[0], Outcome::Failed);
    world.finish(&round[1], Outcome::Connected(found));
    let again = world.wake();
    assert_eq!(again.len(), 1, "whoever answered there is connected");
    assert_eq!(again[0].target.peer, Some(peer));
    world.policy.connected(peer, 1, world.now);
    world.finish(&again[0], Outcome::Connected(peer));
    assert_eq!(world.policy.launch(&world.book, world.now, &mut world.rng), (vec![], None), "two are enough");
    world.policy.disconnected(peer, 0, world.now);
    assert_eq!(world.launch(), [], "not in a circle");
    assert_eq!(world.wake().len(), 1);
}

#[test]
fn a_protected_peer_is_dialled_until_it_is_back() {
    let mut world = World::new(config());
    let peer = world.know(1);
    world.policy.protect(peer, world.now);
    for _ in 0..20 {
        let orders = world.wake();
        assert_eq!((orders.len(), orders[0].target.why), (1, Why::Protected));
        world.finish(&orders[0], Outcome::Failed);
    }
    let orders = world.wake();
    world.policy.connected(peer, 1, world.now);
    world.finish(&orders[0], Outcome::Connected(peer));
    world.now += STABLE;
    world.policy.disconnected(peer, 0, world.now);
    assert_eq!(world.launch().len(), 1, "a connection that lasted is back at once");
    world.policy.unprotect(&peer);
    world.policy.disconnected(peer, 0, world.now);
    assert_eq!(world.launch(), []);
}

#[test]
fn a_protected_peer_without_an_address_waits_for_one() {
    let mut world = World::new(config());
    let peer = PeerId::random();
    world.policy.protect(peer, world.now);
    assert_eq!(world.launch(), []);
    let connected = HashMap::new();
    let told = PeerAddrs { peer, addrs: vec![addr(7)] };
    world.book.told(&told, &Moment { now: 1, config: &world.config, connected: &connected });
    assert_eq!(world.wake()[0].addrs, [addr(7)]);
}

#[test]
fn finds_on_the_local_network_are_dialled_unless_switched_off_or_banned() {
    let found = [0; 3].map(|_| PeerAddrs { peer: PeerId::random(), addrs: vec![addr(9)] });
    let mut world = World::new(config());
    world.policy.connected(found[0].peer, 1, world.now);
    world.book.ban(found[1].peer, true);
    world.policy.found_nearby(&found);
    world.policy.found_nearby(&found);
    let orders = world.launch();
    assert_eq!(orders.iter().map(|o| o.target.peer).collect::<Vec<_>>(), [Some(found[2].peer)]);
    let mut off = World::new(Config { mdns: false, ..config() });
    off.policy.found_nearby(&found);
    assert_eq!(off.launch(), []);
}

#[test]
fn the_queue_is_bounded() {
    let mut world = World::new(config());
    let flood: Vec<_> = (0..1000).map(|_| PeerAddrs { peer: PeerId::random(), addrs: vec![addr(9)] }).collect();
    world.policy.found_nearby(&flood);
    assert_eq!(world.policy.queue.len(), QUEUE);
}
