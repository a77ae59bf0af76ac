//! Tests of the book of peers.

use super::*;

struct World {
    config: Config,
    connected: HashMap<PeerId, u32>,
}

impl World {
    fn new(max_peers: usize) -> Self {
        World { config: Config { max_peers, max_addrs: 3, ..Config::default() }, connected: HashMap::new() }
    }
    fn at(&self, now: Seconds) -> Moment<'_> {
        Moment { now, config: &self.config, connected: &self.connected }
    }
}

fn addr(n: u16) -> Multiaddr {
    format!("/ip4/1.2.3.4/tcp/{n}").parse().unwrap()
}

fn known(book: &Book, peer: &PeerId) -> KnownPeer {
    book.record(peer).unwrap().known.clone()
}

#[test]
fn events_build_a_record() {
    let (mut book, world, peer) = (Book::default(), World::new(10), PeerId::random());
    book.connected(peer, &addr(1), Direction::Inbound, &world.at(5));
    assert!(book.addrs(&peer).is_empty(), "an inbound port is not an address");
    book.identified(peer, "kubo", vec!["/a".into(), "/b".into()], &[addr(2), addr(3)], &world.at(6));
    book.dial_failed(peer, &[addr(2)], &world.at(7));
    assert_eq!(book.addrs(&peer), [addr(3), addr(2)]);
    assert_eq!(known(&book, &peer).failures, 1);
    book.connected(peer, &addr(4), Direction::Outbound, &world.at(8));
    for n in 0..20 {
        book.measured(peer, Duration::from_millis(n), &world.at(9));
    }
    let known = known(&book, &peer);
    assert_eq!(known.addrs, [addr(4), addr(3), addr(2)]);
    assert_eq!((known.last_seen, known.connections, known.failures), (8, 2, 0));
    assert_eq!(known.latency.len(), world.config.max_latency_samples);
    assert_eq!(known.latency.last(), Some(&Duration::from_millis(19)));
}

#[test]
fn strangers_leave_no_record_by_failing() {
    let (mut book, world, peer) = (Book::default(), World::new(10), PeerId::random());
    assert_eq!(book.dial_failed(peer, &[], &world.at(1)), []);
    assert_eq!(book.measured(peer, Duration::ZERO, &world.at(1)), []);
    assert_eq!(book.told(&PeerAddrs { peer, addrs: vec!["/ip4/0.0.0.0/tcp/1".parse().unwrap()] }, &world.at(1)), []);
    assert_eq!(book.len(), 0);
}

#[test]
fn the_least_useful_make_room_but_never_the_connected_or_protected() {
    let mut world = World::new(3);
    let mut book = Book::default();
    let [seen, told, held, safe] = [0; 4].map(|_| PeerId::random());
    book.connected(seen, &addr(1), Direction::Outbound, &world.at(10));
    book.told(&PeerAddrs { peer: told, addrs: vec![addr(2)] }, &world.at(20));
    book.connected(held, &addr(3), Direction::Outbound, &world.at(1));
    book.protect(safe, true, &world.at(1));
    world.connected.insert(held, 1);
    assert_eq!(book.len(), 4, "a protected peer takes nobody's place");

    let newcomer = PeerId::random();
    let changes = book.told(&PeerAddrs { peer: newcomer, addrs: vec![addr(4)] }, &world.at(30));
    assert_eq!(changes[0], Change::Forget(told));
    book.connected(told, &addr(2), Direction::Outbound, &world.at(31));
    assert!(book.record(&newcomer).is_none() && book.record(&seen).is_some());
    let changes = book.told(&PeerAddrs { peer: newcomer, addrs: vec![addr(4)] }, &world.at(40));
    assert_eq!(changes, [], "hearsay displaces nobody who was once connected");
    book.connected(newcomer, &addr(4), Direction::Outbound, &world.at(41));
    assert!(book.record(&seen).is_none() && book.record(&held).is_some() && book.record(&safe).is_some());
}

#[test]
fn stale_peers_go_but_a_clock_that_jumps_back_takes_nobody() {
    let mut world = World::new(10);
    world.config.stale_after = Duration::from_secs(100);
    let mut book = Book::default();
    let [old, fresh, safe] = [0; 3].map(|_| PeerId::random());
    book.connected(old, &addr(1), Direction::Outbound, &world.at(1000));
    book.connected(fresh, &addr(1), Direction::Outbound, &world.at(1050));
    book.protect(safe, true, &world.at(1));
    assert_eq!(book.prune(&world.at(3)), [], "everything is from the future now");
    book.connected(fresh, &addr(1), Direction::Outbound, &world.at(3));
    assert_eq!(known(&book, &fresh).last_seen, 1050, "the later time stays");
    assert_eq!(book.prune(&world.at(1101)), [Change::Forget(old)]);
    world.connected.insert(fresh, 1);
    assert_eq!(book.prune(&world.at(9999)), []);
    assert!(book.record(&safe).is_some());
}

#[test]
fn candidates_are_the_most_recently_useful() {
    let mut world = World::new(10);
    let mut book = Book::default();
    let [a, b, c, d, e] = [0; 5].map(|_| PeerId::random());
    for (peer, now) in [(a, 10), (b, 30), (c, 20), (d, 40)] {
        book.connected(peer, &addr(1), Direction::Outbound, &world.at(now));
    }
    book.told(&PeerAddrs { peer: e, addrs: vec![addr(1)] }, &world.at(50));
    book.protect(a, true, &world.at(50));
    book.ban(d, true);
    assert_eq!(book.useful(16, &world.at(60)), [a, b, c]);
    world.connected.insert(b, 1);
    assert_eq!(book.useful(2, &world.at(60)), [a, c]);
}

#[test]
fn changes_make_the_same_book_elsewhere() {
    let world = World::new(2);
    let (mut book, mut copy) = (Book::default(), Book::default());
    let peers: Vec<_> = (0..8).map(|_| PeerId::random()).collect();
    for (n, peer) in peers.iter().cycle().take(40).enumerate() {
        let at = world.at(n as u64);
        let changes = match n % 5 {
            0 => book.connected(*peer, &addr(1), Direction::Outbound, &at),
            1 => book.told(&PeerAddrs { peer: *peer, addrs: vec![addr(n as u16)] }, &at),
            2 => book.protect(*peer, n % 2 == 0, &at),
            3 => book.ban(*peer, n % 3 == 0),
            _ => book.forget(peer),
        };
        changes.into_iter().for_each(|change| copy.apply(change));
        assert_eq!(book, copy);
    }
}

#[test]
fn a_restored_book_keeps_to_smaller_limits() {
    let world = World::new(2);
    let records: Vec<_> = (1..=5)
        .map(|n| Record { known: KnownPeer { last_seen: n, ..Record::new(PeerId::random()).known }, heard: n })
        .collect();
    let safe = records[0].known.peer;
    let (book, cut) = Book::restore(records.clone(), HashSet::new(), HashSet::from([safe]), &world.config, 10);
    assert!(cut && book.record(&safe).is_some_and(|r| r.known.protected));
    assert!(book.record(&records[4].known.peer).is_some(), "the latest stays");
}
