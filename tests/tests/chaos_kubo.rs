//! Every actor is killed in every way while content goes to and from real Kubo. Seen from outside: nothing that was
//! acknowledged is lost, nothing is corrupted, nobody waits in vain, no connection drops but with the driver.
//!
//! `SEED` repeats a run, `KILLS` makes it longer or shorter.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt};
use ipfrs_contract::{PeerId, PeerStream};
use ipfrs_node::Node;
use ipfrs_testkit::{
    Daemon, Kubo, LIMIT, Repo, Rpc, RpcError, Seed, embedded, eventually, kubo_or_skip, setting, within,
};
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Kills when `KILLS` is not set.
const KILLS: usize = 300;
/// One of so many kills hits the network driver.
const DRIVER_SHARE: usize = 20;
/// The ways to kill an actor.
const WAYS: [&str; 5] = ["panic", "timer", "spawned", "started", "block=200ms"];
/// A call that takes longer counts as silence: longer than any deadline inside the daemon.
const PATIENCE: Duration = Duration::from_secs(100);
/// Largest file of the transfers: a dozen blocks.
const LARGEST: usize = 3_000_000;
/// What a daemon holds counts as settled when it has not changed for so long: the runtime keeps spare threads for 10 s.
const QUIET: Duration = Duration::from_secs(12);
/// Small calls leave the processors to the transfers for so long.
const PACE: Duration = Duration::from_millis(50);
/// Records announced in one storm: each is looked up at every Kubo afterwards.
const RECORDS: usize = 1_000;
/// Tasks of the network runtime.
const TASKS: &str = "ipfrs_swarm_tasks";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transfers_go_on_while_every_actor_is_killed() {
    let Some(binary) = kubo_or_skip("transfers_go_on_while_every_actor_is_killed") else { return };
    let seed = Seed::announce("transfers_go_on_while_every_actor_is_killed");
    let kills = std::env::var("KILLS").map_or(KILLS, |k| k.parse().expect("KILLS is a whole number"));
    let repo = Repo::init().await;
    // Nothing closes or gives up by itself, so whatever closes or gives up is a finding.
    let repo = repo.env(setting::IDLE_TIMEOUT, "1h").env(setting::PING_INTERVAL, "1h");
    let repo = repo.env(setting::MAX_RESTARTS, "1000000").env(setting::BACKOFF_MAX, "50ms");
    let (ours, near, far, probe) = tokio::join!(repo.start(), Kubo::server(binary), Kubo::server(binary), embedded());
    ours.rpc().connect(near.addr("/tcp/")).await.unwrap();
    far.rpc().connect(ours.addr("/quic-v1")).await.unwrap();
    let peer = probe.swarm().connect(ours.addr("/tcp/").parse().unwrap()).await.unwrap().peer;
    let peers: BTreeSet<String> = [near.id().to_owned(), far.id().to_owned(), probe.peer_id().to_string()].into();
    all_connected(&ours, &peers).await;

    let mut chaos = Chaos {
        echo: Echo::open(&probe, peer).await,
        traffic: Traffic {
            ours: ours.rpc().patience(PATIENCE),
            kubos: [near.rpc().patience(PATIENCE), far.rpc().patience(PATIENCE)],
            seed,
            next: Arc::default(),
            stop: Arc::default(),
        },
        ours,
        kubos: [near, far],
        probe,
        peers,
    };

    // One round with no kill brings up everything that is made on first use.
    chaos.under_traffic(&[]).await;
    let before = chaos.settled().await;
    let closed = chaos.closed().await;

    let driver_kills = (kills / DRIVER_SHARE).max(1);
    let plan = plan(&chaos.actor_names().await, kills.saturating_sub(driver_kills), seed);
    chaos.under_traffic(&plan).await;
    assert_eq!(chaos.closed().await, closed, "a kill of an actor closed a connection");
    let after = chaos.settled().await;
    assert_eq!(after.without_tasks(), before.without_tasks(), "threads, descriptors and connections as at the start");
    // Streams are opened again when they are needed: one each way and connection may be open now and was not before.
    assert!(after.tasks <= before.tasks + 2 * before.connections, "tasks were left behind: {before:?}, {after:?}");

    let drivers = vec![("driver".to_owned(), "panic"); driver_kills];
    chaos.under_traffic(&drivers).await;
    let last = chaos.settled().await;
    assert_eq!((last.threads, last.descriptors), (before.threads, before.descriptors), "{before:?}, {last:?}");

    let kinds: BTreeSet<_> = plan.iter().collect();
    println!(
        "{} kills of {} kinds and {driver_kills} of the driver; before {before:?}, after {last:?}",
        plan.len(),
        kinds.len()
    );
}

/// Every actor in every way, again and again, each round in another order.
fn plan(actors: &[String], kills: usize, seed: Seed) -> Vec<(String, &'static str)> {
    let mut rng = seed.rng(1);
    let mut plan = Vec::new();
    while plan.len() < kills {
        let mut round: Vec<_> = actors.iter().flat_map(|a| WAYS.map(|way| (a.clone(), way))).collect();
        round.shuffle(&mut rng);
        plan.extend(round);
    }
    plan.truncate(kills);
    plan
}

/// What a daemon holds between two storms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holding {
    threads: usize,
    /// Beside one for each TCP connection: QUIC connections share theirs.
    descriptors: usize,
    connections: usize,
    tasks: usize,
}

impl Holding {
    fn without_tasks(self) -> Holding {
        Holding { tasks: 0, ..self }
    }
}

struct Chaos {
    echo: Echo,
    traffic: Traffic,
    ours: Daemon,
    kubos: [Kubo; 2],
    probe: Node,
    peers: BTreeSet<String>,
}

impl Chaos {
    /// Carries out the kills one after another while transfers run, then checks everything that was acknowledged.
    async fn under_traffic(&mut self, kills: &[(String, &str)]) {
        let mut rng = self.traffic.seed.rng(2 + kills.len() as u64);
        self.traffic.stop.store(false, Ordering::Relaxed);
        let mut acknowledged = Acknowledged::default();
        let mut running = JoinSet::new();
        for kubo in 0..2 {
            running.spawn(self.traffic.clone().fetch(kubo));
            running.spawn(self.traffic.clone().serve(kubo));
        }
        running.spawn(self.traffic.clone().provide());
        running.spawn(self.traffic.clone().ask());
        for (actor, how) in kills {
            // Kills at any moment, not in step with the transfers.
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..150))).await;
            self.kill(actor, how).await;
            while let Some(ended) = running.try_join_next() {
                acknowledged.merge(ended.unwrap_or_else(|e| panic!("a transfer failed by {how} of {actor}: {e}")));
            }
        }
        self.traffic.stop.store(true, Ordering::Relaxed);
        let ended = within(LIMIT * 3, "the transfers end", running.join_all()).await;
        ended.into_iter().for_each(|part| acknowledged.merge(part));
        self.check(&acknowledged).await;
    }

    /// Kills and waits until the victim is back.
    async fn kill(&mut self, actor: &str, how: &str) {
        let before = self.incarnation(actor).await;
        let query = [("arg", actor), ("how", how)];
        self.ours.rpc().call("actors/kill", &query).await.unwrap_or_else(|e| panic!("{how} of {actor}: {e}"));
        if actor == "driver" {
            // The probe's stream went with its connection; everybody is connected again.
            all_connected(&self.ours, &self.peers).await;
            let open = || async { Echo::try_open(&self.probe, self.echo.peer).await };
            self.echo = eventually(LIMIT, "the probe opens a new stream", open).await;
            return;
        }
        let restarts = match how {
            "started" => 2,
            _ if how.starts_with("block") => 0,
            _ => 1,
        };
        let what = format!("{actor} is back after {how}");
        eventually(LIMIT, &what, || async { (self.incarnation(actor).await >= before + restarts).then_some(()) }).await;
        self.echo
            .round()
            .await
            .unwrap_or_else(|e| panic!("the stream opened before the kills broke after {how} of {actor}: {e}"));
    }

    async fn actor_names(&self) -> Vec<String> {
        self.ours
            .actors()
            .await
            .iter()
            .map(|a| a["name"].as_str().unwrap().to_owned())
            .filter(|name| name != "driver")
            .collect()
    }

    /// Which incarnation of an actor runs; 0 while none does.
    async fn incarnation(&self, actor: &str) -> u64 {
        let tree = self.ours.actors().await;
        let found = tree.iter().find(|a| a["name"] == actor && a["state"] == "up");
        found.and_then(|a| a["incarnation"].as_u64()).unwrap_or(0)
    }

    /// Connections that the Kubos have seen closing.
    async fn closed(&self) -> f64 {
        let name = "libp2p_swarm_connections_closed_total";
        self.kubos[0].metric(name).await + self.kubos[1].metric(name).await
    }

    /// What the daemon holds, once that stands still.
    async fn settled(&self) -> Holding {
        let standing = async {
            let mut last = (self.holding().await, tokio::time::Instant::now());
            while last.1.elapsed() < QUIET {
                tokio::time::sleep(Duration::from_millis(250)).await;
                let now = self.holding().await;
                if now != last.0 {
                    last = (now, tokio::time::Instant::now());
                }
            }
            last.0
        };
        within(LIMIT, "the daemon comes to rest", standing).await
    }

    async fn holding(&self) -> Holding {
        // Before the calls below, whose own connections are gone only a moment after their answer.
        let footprint = self.ours.footprint();
        let connections = self.ours.rpc().connections().await.unwrap();
        let tcp = connections.iter().filter(|(_, addr)| addr.contains("/tcp/")).count();
        let tasks =
            self.ours.metric(TASKS).await.unwrap_or_else(|| panic!("the daemon does not count its tasks as {TASKS}"));
        Holding {
            threads: footprint.threads,
            descriptors: footprint.descriptors - tcp,
            connections: connections.len(),
            tasks: tasks as usize,
        }
    }

    /// From outside: files are whole here and at Kubo, records are at Kubo, peers are connected, the daemon is healthy.
    async fn check(&self, acknowledged: &Acknowledged) {
        println!("{acknowledged}");
        all_connected(&self.ours, &self.peers).await;
        eventually(LIMIT, "the daemon is healthy", || async { self.ours.rpc().page("/healthz").await.ok() }).await;
        for (cid, content, len) in &acknowledged.added {
            let expected = ipfrs_testkit::bytes(*content, *len);
            let here = self.ours.rpc().cat(cid).await.unwrap_or_else(|e| panic!("an acknowledged add is lost: {e}"));
            assert!(here == expected, "{cid} is corrupt here");
        }
        for cid in &acknowledged.provided {
            for kubo in &self.kubos {
                let id = self.ours.id();
                let found =
                    || async { kubo.rpc().find_providers(cid, 1).await.unwrap().iter().any(|p| p == id).then_some(()) };
                eventually(LIMIT, "an acknowledged provide is a record at Kubo", found).await;
            }
        }
        assert!(acknowledged.transfers > 0 && !acknowledged.provided.is_empty(), "nothing happened: {acknowledged}");
    }
}

async fn all_connected(ours: &Daemon, peers: &BTreeSet<String>) {
    let there = || async {
        let now: BTreeSet<_> = ours.rpc().connections().await.ok()?.into_iter().map(|(peer, _)| peer).collect();
        peers.is_subset(&now).then_some(())
    };
    eventually(LIMIT, "every peer is connected", there).await;
}

/// What callers were promised.
#[derive(Debug, Default)]
struct Acknowledged {
    /// CID, seed and length of files that `add` acknowledged.
    added: Vec<(String, u64, usize)>,
    /// CIDs whose `routing provide` was acknowledged.
    provided: Vec<String>,
    /// Files that arrived whole.
    transfers: u64,
    /// Calls that ended in an error, which is allowed, but not silence.
    refused: u64,
}

impl Acknowledged {
    fn merge(&mut self, other: Acknowledged) {
        self.added.extend(other.added);
        self.provided.extend(other.provided);
        self.transfers += other.transfers;
        self.refused += other.refused;
    }
}

impl std::fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Acknowledged { added, provided, transfers, refused } = self;
        write!(
            f,
            "{transfers} transfers, {} adds, {} provides acknowledged, {refused} calls refused",
            added.len(),
            provided.len()
        )
    }
}

/// The calls that run beside the kills.
#[derive(Clone)]
struct Traffic {
    ours: Rpc,
    kubos: [Rpc; 2],
    seed: Seed,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Traffic {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Content that nobody has yet: seed and length.
    fn fresh(&self, largest: usize) -> (u64, usize) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        (self.seed.content(n), self.seed.rng(n).random_range(1..largest))
    }

    /// Kubo adds, we fetch; at least once.
    async fn fetch(self, kubo: usize) -> Acknowledged {
        let mut done = Acknowledged::default();
        while done.transfers == 0 || self.goes_on() {
            let (content, len) = self.fresh(LARGEST);
            let data = ipfrs_testkit::bytes(content, len);
            let cid = self.kubos[kubo].add(data.clone(), &[]).await.unwrap();
            let got: Bytes = insist(&mut done.refused, || self.ours.cat(&cid)).await;
            assert!(got == data, "{cid} from Kubo is corrupt: {} bytes of {len}", got.len());
            done.transfers += 1;
        }
        done
    }

    /// We add, Kubo fetches; at least once.
    async fn serve(self, kubo: usize) -> Acknowledged {
        let mut done = Acknowledged::default();
        while done.transfers == 0 || self.goes_on() {
            let (content, len) = self.fresh(LARGEST);
            let data = ipfrs_testkit::bytes(content, len);
            let cid = insist(&mut done.refused, || self.ours.add(data.clone(), &[])).await;
            done.added.push((cid.clone(), content, len));
            let got = self.kubos[kubo].cat(&cid).await.unwrap_or_else(|e| panic!("Kubo does not get {cid}: {e}"));
            assert!(got == data, "{cid} at Kubo is corrupt: {} bytes of {len}", got.len());
            done.transfers += 1;
        }
        done
    }

    /// We announce; at least once with success.
    async fn provide(self) -> Acknowledged {
        let mut done = Acknowledged::default();
        while done.provided.is_empty() || (self.goes_on() && done.provided.len() < RECORDS) {
            let (content, len) = self.fresh(1_000);
            let cid = insist(&mut done.refused, || self.ours.add(ipfrs_testkit::bytes(content, len), &[])).await;
            done.added.push((cid.clone(), content, len));
            match self.ours.provide(&cid).await {
                Ok(()) => done.provided.push(cid),
                Err(error) => done.refused += typed(error),
            }
            tokio::time::sleep(PACE).await;
        }
        done
    }

    /// Calls that change nothing: an answer or an error, never silence.
    async fn ask(self) -> Acknowledged {
        let mut done = Acknowledged::default();
        let mut rng = self.seed.rng(9);
        while self.goes_on() {
            let method =
                ["id", "swarm/peers", "swarm/addrs", "stats/bw", "bitswap/stat", "actors/tree"][rng.random_range(0..6)];
            if let Err(error) = self.ours.call(method, &[]).await {
                done.refused += typed(error);
            }
            tokio::time::sleep(PACE).await;
        }
        done
    }
}

/// Counts an error that says what happened; silence is a failure.
fn typed(error: RpcError) -> u64 {
    assert!(!error.is_silence(), "{error}");
    1
}

/// Calls until it works; every failure must be an answer.
async fn insist<T, F, Fut>(refused: &mut u64, mut call: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, RpcError>>,
{
    /// Failures in a row that no storm of kills explains.
    const TOO_MANY: u64 = 100;
    for _ in 0..TOO_MANY {
        match call().await {
            Ok(value) => return value,
            Err(error) => *refused += typed(error),
        }
    }
    panic!("a call failed {TOO_MANY} times in a row");
}

/// A ping stream that stays open.
struct Echo {
    peer: PeerId,
    stream: PeerStream,
    rounds: u8,
}

impl Echo {
    async fn open(probe: &Node, peer: PeerId) -> Echo {
        // A libp2p peer answers pings on the newest stream only; the node's own first ping must be through.
        let pinged = || async {
            let connections = probe.swarm().connections().await.ok()?;
            connections.iter().any(|c| c.peer == peer && c.rtt.is_some()).then_some(())
        };
        eventually(LIMIT, "the connection has been pinged", pinged).await;
        let mut echo = Echo::try_open(probe, peer).await.expect("a ping stream opens");
        echo.round().await.unwrap();
        echo
    }

    async fn try_open(probe: &Node, peer: PeerId) -> Option<Echo> {
        let stream = probe.swarm().open_stream(peer, &["/ipfs/ping/1.0.0"]).await.ok()?;
        Some(Echo { peer, stream, rounds: 0 })
    }

    /// 32 bytes there and back.
    async fn round(&mut self) -> std::io::Result<()> {
        self.rounds = self.rounds.wrapping_add(1);
        let sent = [self.rounds; 32];
        let mut echoed = [0; 32];
        let stream = &mut self.stream;
        let there_and_back = async {
            stream.write_all(&sent).await?;
            stream.flush().await?;
            stream.read_exact(&mut echoed).await
        };
        within(LIMIT, "an echo", there_and_back).await?;
        assert_eq!(echoed, sent, "the echo differs");
        Ok(())
    }
}
