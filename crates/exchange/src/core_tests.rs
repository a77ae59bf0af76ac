//! Tests of the exchange's decisions: time is made up, nothing is sent.

use super::*;
use ipfrs_blocks::{RAW, cid_of};

const S: SessionId = SessionId(1);
const T: SessionId = SessionId(2);

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

/// What was sent, without priorities.
fn sent(core: &mut Core) -> Vec<(PeerId, Entry)> {
    let outputs = core.drain().into_iter();
    let sent =
        outputs.flat_map(|o| if let Do::Send(p, es) = o { es.into_iter().map(|e| (p, e)).collect() } else { vec![] });
    sent.map(|(peer, entry)| (peer, Entry { priority: 0, ..entry })).collect()
}

fn want(n: u8, block: bool) -> Entry {
    Entry::want(&cid(n), block, 0)
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
    assert_eq!(sent(&mut core), [(a, want(1, true))]);
    core.arrived(Some(a), &cid(1), now);
    let out = core.drain();
    assert!(out.contains(&Do::Arrived(S, cid(1))) && out.contains(&Do::Send(b, vec![Entry::cancel(&cid(1))])));
    core.want(S, &[cid(2)], now).unwrap();
    assert_eq!(sent(&mut core), [(a, want(2, true))]);
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
    assert_eq!(sent(&mut core), [(b, want(1, true))]);
    core.disconnected(&b, later);
    core.connected(b, later);
    assert!(sent(&mut core).contains(&(b, want(1, false))), "asked again after a reconnect");
}

#[test]
fn who_was_passed_over_need_not_send_it_any_more() {
    let (mut core, now) = core();
    let (a, b) = (PeerId::random(), PeerId::random());
    core.connected(a, now);
    core.connected(b, now);
    core.want(S, &[cid(1)], now).unwrap();
    core.has(a, &cid(1), now);
    core.has(b, &cid(1), now);
    core.tick(now + Duration::from_secs(6));
    sent(&mut core);
    core.arrived(Some(b), &cid(1), now);
    assert_eq!(sent(&mut core), [(a, Entry::cancel(&cid(1)))]);
}

#[test]
fn a_peer_that_sends_is_not_silent_although_the_block_is_not_complete() {
    let (mut core, now) = core();
    let a = PeerId::random();
    core.connected(a, now);
    core.want(S, &[cid(1)], now).unwrap();
    core.has(a, &cid(1), now);
    sent(&mut core);
    core.heard(&a, now + Duration::from_secs(4));
    core.tick(now + Duration::from_secs(6));
    assert_eq!(core.drain(), []);
    core.tick(now + Duration::from_secs(10));
    assert_eq!(sent(&mut core), [(a, want(1, false))], "the only peer is asked again: the want may have been lost");
}

#[test]
fn a_question_that_was_lost_is_repeated_after_a_search() {
    let (mut core, now) = core();
    let a = PeerId::random();
    core.connected(a, now);
    core.want(S, &[cid(1)], now).unwrap();
    sent(&mut core);
    core.query_ended(&cid(1), now);
    core.searched(&cid(1), &[], now);
    assert_eq!(sent(&mut core), [(a, want(1, false))]);
    core.lacks(a, &cid(1), now);
    core.searched(&cid(1), &[a], now);
    assert_eq!(sent(&mut core), [(a, want(1, true))], "a provider is asked for the block although it lacked it before");
    core.searched(&cid(1), &[a], now);
    assert_eq!(core.drain(), [], "somebody was asked: nothing starts over");
}

#[test]
fn nobody_to_ask_means_a_search_at_once_and_again() {
    let (mut core, now) = core();
    core.want(S, &[cid(1)], now).unwrap();
    core.tick(now);
    assert_eq!(core.drain(), [Do::Search(cid(1))]);
    core.tick(now);
    assert_eq!(core.drain(), []);
    core.query_ended(&cid(1), now);
    core.tick(now);
    assert_eq!(core.drain(), []);
    core.tick(now + SEARCH_AGAIN);
    assert_eq!(core.drain(), [Do::Search(cid(1))]);
}

#[test]
fn a_session_searches_for_one_want_at_a_time_the_oldest_first() {
    let (mut core, now) = core();
    core.open(T);
    core.want(S, &[cid(1), cid(2)], now).unwrap();
    core.want(T, &[cid(3)], now).unwrap();
    core.tick(now);
    assert_eq!(core.drain(), [Do::Search(cid(1)), Do::Search(cid(3))]);
    core.arrived(None, &cid(1), now);
    core.drain();
    core.tick(now);
    assert_eq!(core.drain(), [Do::Search(cid(2))], "the slot of a want that is over is free");
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
fn a_stranger_is_not_believed() {
    let (mut core, now) = core();
    let stranger = PeerId::random();
    core.want(S, &[cid(1)], now).unwrap();
    core.has(stranger, &cid(1), now);
    core.connected(stranger, now);
    sent(&mut core);
    core.want(S, &[cid(2)], now).unwrap();
    assert_eq!(sent(&mut core), [(stranger, want(2, false))], "it is asked like everybody, not as who had a block");
}

#[test]
fn a_block_that_cannot_be_stored_ends_its_want_in_its_sessions_only() {
    let (mut core, now) = core();
    let (a, b) = (PeerId::random(), PeerId::random());
    core.open(T);
    core.connected(a, now);
    core.connected(b, now);
    core.want(S, &[cid(1)], now).unwrap();
    core.want(T, &[cid(2)], now).unwrap();
    core.drain();
    core.failed(a, &cid(1), "disk full");
    let cancel = Do::Send(b, vec![Entry::cancel(&cid(1))]);
    assert_eq!(core.drain(), [Do::Failed(S, cid(1), "disk full".to_owned()), cancel]);
    assert_eq!(core.wantlist().collect::<Vec<_>>(), [&cid(2)]);
    core.want(S, &[cid(1)], now).unwrap();
    assert!(!core.drain().is_empty(), "it can be wanted again");
}

#[test]
fn what_is_wanted_first_is_most_urgent() {
    let (mut core, now) = core();
    let a = PeerId::random();
    core.connected(a, now);
    core.want(S, &[cid(1), cid(2), cid(3)], now).unwrap();
    let out = core.drain();
    let [Do::Send(_, entries)] = &out[..] else { panic!("one peer hears of them") };
    let priorities: Vec<_> = entries.iter().map(|entry| entry.priority).collect();
    assert_eq!(priorities, [i32::MAX, i32::MAX - 1, i32::MAX - 2]);
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
