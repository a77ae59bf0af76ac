//! Real actors on real lanes: what survives which failure, seen through ports and the event stream.
#![allow(clippy::unwrap_used)]

use ipfrs_actor::{
    Actor, CallError, Child, ChildState, Ctx, Fault, Handler, Heard, Hears, Kept, Lanes, Later, Message, MessageResult,
    Reply, Service, Topic, service,
};
use ipfrs_supervisor::{EventKind, Finished, Policy, Restart, Spec, Strategy, Supervisor, Tree};
use std::time::Duration;

/// A generous outer limit; nothing here waits for it in a good run.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Message)]
#[rtype(result = "u64")]
struct Add(u64);
#[derive(Message)]
#[rtype(result = "u64")]
struct AddThenPanic(u64);
#[derive(Message)]
#[rtype(result = "u64")]
struct Incarnation;
#[derive(Message)]
#[rtype(result = "()")]
struct Never;
#[derive(Message)]
#[rtype(result = "()")]
struct Leave;
#[derive(Message)]
#[rtype(result = "Vec<u32>")]
struct HeardSoFar;

#[derive(Default)]
struct Sum(u64);
impl Kept for Sum {
    type Delta = u64;
    fn apply(&mut self, by: u64) {
        self.0 += by;
    }
}

struct Counter {
    sum: u64,
    tokens: Vec<Reply<()>>,
    heard: Vec<u32>,
    topic: Topic<u32>,
}

impl Actor for Counter {
    type Context = Ctx<Self>;
    fn started(&mut self, ctx: &mut Ctx<Self>) {
        let topic = self.topic.clone();
        ctx.hear(&topic);
    }
}
impl Service for Counter {
    type Args = Topic<u32>;
    type Kept = Sum;
    fn build(topic: &Topic<u32>, kept: &Sum) -> Self {
        Counter { sum: kept.0, tokens: Vec::new(), heard: Vec::new(), topic: topic.clone() }
    }
}
service!(Counter);
impl Hears<u32> for Counter {
    fn hear(&mut self, heard: Heard<u32>, _: &mut Ctx<Self>) {
        self.heard.push(match heard {
            Heard::Event(n) => n,
            Heard::Resync { .. } => u32::MAX,
        });
    }
}
impl Handler<Add> for Counter {
    type Result = MessageResult<Add>;
    fn handle(&mut self, Add(by): Add, ctx: &mut Ctx<Self>) -> Self::Result {
        self.sum += by;
        ctx.commit(by);
        MessageResult(self.sum)
    }
}
impl Handler<AddThenPanic> for Counter {
    type Result = MessageResult<AddThenPanic>;
    fn handle(&mut self, AddThenPanic(by): AddThenPanic, ctx: &mut Ctx<Self>) -> Self::Result {
        self.sum += by;
        ctx.commit(by);
        panic!("after the commit, before the reply");
    }
}
impl Handler<Incarnation> for Counter {
    type Result = MessageResult<Incarnation>;
    fn handle(&mut self, _: Incarnation, ctx: &mut Ctx<Self>) -> Self::Result {
        MessageResult(ctx.incarnation())
    }
}
impl Handler<Never> for Counter {
    type Result = Later<()>;
    fn handle(&mut self, _: Never, _: &mut Ctx<Self>) -> Self::Result {
        let (token, later) = Reply::new();
        self.tokens.push(token);
        later
    }
}
impl Handler<Leave> for Counter {
    type Result = ();
    fn handle(&mut self, _: Leave, ctx: &mut Ctx<Self>) {
        actix::ActorContext::stop(ctx);
    }
}
impl Handler<HeardSoFar> for Counter {
    type Result = MessageResult<HeardSoFar>;
    fn handle(&mut self, _: HeardSoFar, _: &mut Ctx<Self>) -> Self::Result {
        MessageResult(self.heard.clone())
    }
}

fn policy() -> Policy {
    let backoff = ipfrs_resilience::Backoff::new(Duration::from_millis(1), Duration::from_millis(5), 0.5);
    Policy { max_restarts: 100_000, backoff, ..Policy::default() }
}

async fn one(spec: Spec) -> (Supervisor, Child<Counter>, Topic<u32>) {
    let topic = Topic::new("numbers", 16);
    let mut tree = Tree::new(policy(), Lanes::PerActor);
    let child = tree.child::<Counter>(spec, topic.clone());
    (tree.start().await.unwrap(), child, topic)
}

async fn until(child: &Child<Counter>, state: ChildState) {
    let mut watch = child.vitals().watch();
    tokio::time::timeout(LIMIT, watch.wait_for(|s| *s == state)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_crash_loses_only_the_message_being_handled() {
    let (tree, child, _) = one(Spec::permanent("counter")).await;
    assert_eq!(child.call(Add(2), LIMIT).await, Ok(2));
    assert_eq!(child.call(AddThenPanic(5), LIMIT).await, Err(CallError::Crashed { incarnation: 1 }));
    assert_eq!(
        child.call(Add(1), LIMIT).await,
        Ok(3),
        "the commit of the crashed handler is discarded, the others are kept"
    );
    assert_eq!(child.call(Incarnation, LIMIT).await, Ok(2));
    let status = tree.status().remove(0);
    assert_eq!((status.restarts, status.panics), (1, 1));
    assert!(status.last_exit.unwrap().contains("after the commit"));
}

#[tokio::test]
async fn every_way_to_die_ends_in_a_restart_and_queued_calls_are_answered() {
    let (_tree, child, _) = one(Spec::permanent("counter")).await;
    let mut expected = 0;
    for fault in [Fault::Panic, Fault::Timer, Fault::Spawned, Fault::Started, Fault::Block(Duration::from_millis(5))] {
        let before = child.vitals().panics();
        child.inject(fault);
        let queued: Vec<_> = (0..50).map(|_| child.call(Add(1), LIMIT)).collect();
        for answer in futures::future::join_all(queued).await {
            assert!(answer.is_ok(), "{fault:?}: {answer:?}");
            expected += 1;
        }
        let panics = match fault {
            Fault::Block(_) => 0,
            Fault::Started => 2,
            _ => 1,
        };
        tokio::time::timeout(LIMIT, async {
            while child.vitals().panics() < before + panics {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert_eq!(child.call(Add(0), LIMIT).await, Ok(expected), "{fault:?}");
    }
}

#[tokio::test]
async fn every_acknowledged_call_is_applied_exactly_once_under_kills() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
    let (_tree, child, _) = one(Spec::permanent("counter")).await;
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let child = child.clone();
            tokio::spawn(async move {
                let (mut ok, mut unknown) = (0, 0);
                for _ in 0..500 {
                    match child.call(Add(1), LIMIT).await {
                        Ok(_) => ok += 1,
                        Err(CallError::Crashed { .. } | CallError::Timeout { started: true }) => unknown += 1,
                        Err(other) => panic!("{other}"),
                    }
                }
                (ok, unknown)
            })
        })
        .collect();
    for _ in 0..200 {
        let fault =
            [Fault::Panic, Fault::Timer, Fault::Spawned, Fault::Started][rand::Rng::random_range(&mut rng, 0..4)];
        child.inject(fault);
        let _ = child.call(Incarnation, LIMIT).await;
    }
    let (mut ok, mut unknown) = (0, 0);
    for caller in callers {
        let (o, u) = caller.await.unwrap();
        ok += o;
        unknown += u;
    }
    let applied = child.call(Add(0), LIMIT).await.unwrap();
    assert!(ok <= applied && applied <= ok + unknown, "acknowledged {ok}, applied {applied}, unknown {unknown}");
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_a_late_message_never_runs() {
    let (_tree, child, _) = one(Spec::permanent("counter").mailbox(4)).await;
    child.inject(Fault::Block(Duration::from_millis(300)));
    let short = Duration::from_millis(50);
    let calls: Vec<_> = (0..8).map(|_| child.call(Add(1), short)).collect();
    let answers = futures::future::join_all(calls).await;
    let overloaded = answers.iter().filter(|a| **a == Err(CallError::Overloaded)).count();
    let late = answers.iter().filter(|a| **a == Err(CallError::Timeout { started: false })).count();
    assert_eq!((overloaded, late), (4, 4), "{answers:?}");
    assert_eq!(child.call(Add(0), LIMIT).await, Ok(0), "what timed out unbegun was taken back");
}

#[tokio::test]
async fn callers_in_flight_learn_of_a_crash_at_once() {
    let (_tree, child, _) = one(Spec::permanent("counter")).await;
    let waiting = tokio::spawn({
        let child = child.clone();
        async move { child.call(Never, LIMIT * 100).await }
    });
    while child.vitals().handled() == 0 {
        tokio::task::yield_now().await;
    }
    child.inject(Fault::Panic);
    let answer = tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap();
    assert_eq!(answer, Err(CallError::Crashed { incarnation: 1 }));
}

#[tokio::test]
async fn a_restarted_actor_hears_its_topic_again_after_a_resync() {
    let (_tree, child, topic) = one(Spec::permanent("counter")).await;
    child.call(Add(0), LIMIT).await.unwrap();
    topic.publish(1);
    child.inject(Fault::Panic);
    while child.call(Incarnation, LIMIT).await != Ok(2) {}
    topic.publish(2);
    let heard = loop {
        let heard = child.call(HeardSoFar, LIMIT).await.unwrap();
        if heard.contains(&2) {
            break heard;
        }
    };
    assert_eq!(heard, [u32::MAX, 2]);
}

#[tokio::test]
async fn restart_rules_are_kept() {
    let (tree, child, _) = one(Spec::permanent("counter").restart(Restart::Transient)).await;
    child.inject(Fault::Panic);
    while child.call(Incarnation, LIMIT).await != Ok(2) {}
    child.cast(Leave).unwrap();
    until(&child, ChildState::Stopped).await;
    assert_eq!(child.call(Add(1), LIMIT).await, Err(CallError::Stopped));
    drop(tree);

    let (_tree, child, _) = one(Spec::permanent("counter").restart(Restart::Temporary)).await;
    child.inject(Fault::Panic);
    until(&child, ChildState::Stopped).await;
}

#[tokio::test]
async fn rest_for_one_restarts_those_declared_later() {
    let mut tree = Tree::new(Policy { strategy: Strategy::RestForOne, ..policy() }, Lanes::shared(1).unwrap());
    let kids: Vec<_> =
        ["a", "b", "c"].map(|name| tree.child::<Counter>(Spec::permanent(name), Topic::new("n", 4))).into();
    let tree = tree.start().await.unwrap();
    kids[1].inject(Fault::Panic);
    while kids[2].call(Incarnation, LIMIT).await != Ok(2) {}
    assert_eq!(kids[0].call(Incarnation, LIMIT).await, Ok(1));
    assert_eq!(kids[1].call(Incarnation, LIMIT).await, Ok(2));
    let report = tree.shutdown(LIMIT).await;
    assert!(report.abandoned.is_empty());
    assert_eq!(tree.ended(), Some(Finished::Stopped));
    assert_eq!(kids[0].call(Add(1), LIMIT).await, Err(CallError::Stopped));
}

#[tokio::test]
async fn the_root_gives_up_when_a_child_fails_too_often() {
    let mut tree = Tree::new(Policy { max_restarts: 3, ..policy() }, Lanes::PerActor);
    let child = tree.child::<Counter>(Spec::permanent("counter"), Topic::new("n", 4));
    let tree = tree.start().await.unwrap();
    let mut events = tree.events();
    for _ in 0..4 {
        child.inject(Fault::Panic);
    }
    let ended = tokio::time::timeout(LIMIT, tree.finished()).await.unwrap();
    assert!(matches!(ended, Finished::GaveUp { reason } if reason.contains("counter") && reason.contains("3 times")));
    let mut kinds = Vec::new();
    let mut next = None;
    while let Ok(event) = events.try_recv() {
        assert!(next.is_none_or(|n| n == event.seq), "events are numbered without gaps");
        next = Some(event.seq + 1);
        if let EventKind::Exited { message_type, backtrace, .. } = &event.kind {
            assert!(message_type.is_some() && backtrace.is_some());
        }
        kinds.push(event.kind);
    }
    assert!(matches!(kinds.iter().rev().nth(1), Some(EventKind::GaveUp)), "{kinds:?}");
}

#[tokio::test]
async fn a_child_that_will_not_stop_is_left_behind() {
    let (tree, child, _) = one(Spec::permanent("counter").shutdown(Duration::from_millis(50))).await;
    child.inject(Fault::Block(Duration::from_secs(1)));
    while child.vitals().handled() == 0 {
        tokio::task::yield_now().await;
    }
    let report = tree.shutdown(LIMIT).await;
    assert_eq!(report.abandoned, ["counter"]);
    assert!(report.took < Duration::from_millis(900));
}
