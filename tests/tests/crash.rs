//! `kill -9` of the daemon at random moments: the repo opens again, the identity is the same, the peer store and every
//! block are intact, and nothing that `add` acknowledged is lost.
//!
//! `SEED` repeats a run, `CRASHES` makes it longer or shorter.
#![allow(clippy::unwrap_used)]

use ipfrs_testkit::{LIMIT, Repo, Rpc, Seed, embedded, eventually};
use rand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Crashes when `CRASHES` is not set.
const CRASHES: usize = 50;
/// The latest moment of a kill, after the daemon has begun to take files.
const LATEST: Duration = Duration::from_millis(600);
/// One of so many crashes hits a daemon that is still starting.
const DURING_START: usize = 5;
/// Files that are looked at after every crash; all of them are at the end.
const SAMPLE: usize = 5;

/// A file that `add` acknowledged.
#[derive(Debug, Clone)]
struct Added {
    cid: String,
    content: u64,
    len: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_over_kill_9() {
    let seed = Seed::announce("nothing_acknowledged_is_lost_over_kill_9");
    let mut rng = seed.rng(0);
    let crashes: usize = std::env::var("CRASHES").map_or(CRASHES, |c| c.parse().expect("CRASHES is a whole number"));
    let friend = embedded().await;
    let friend_id = friend.peer_id().to_string();
    let friend_addr = eventually(LIMIT, "the friend listens", || async {
        let listen = friend.swarm().local_addrs().await.ok()?.listen;
        listen.into_iter().find(|a| a.to_string().contains("/tcp/"))
    })
    .await;

    let repo = Repo::init().await;
    let daemon = repo.start().await;
    let id = daemon.id().to_owned();
    daemon.rpc().connect(&format!("{friend_addr}/p2p/{friend_id}")).await.unwrap();
    known(daemon.rpc(), &friend_id).await;
    daemon.shutdown().await;
    let files = files_in(&repo);

    let mut all: Vec<Added> = Vec::new();
    let next = Arc::new(AtomicU64::new(0));
    for crash in 0..crashes {
        if crash % DURING_START == DURING_START - 1 {
            let mut starting = repo.launch();
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..500))).await;
            starting.kill().await;
        }
        let daemon = repo.start().await;
        assert_eq!(daemon.id(), id, "crash {crash}: another identity");
        for _ in 0..SAMPLE.min(all.len()) {
            intact(daemon.rpc(), &all[rng.random_range(0..all.len())]).await;
        }
        if let Some(newest) = all.last() {
            intact(daemon.rpc(), newest).await;
        }
        // The address of the friend is known from the peer store alone: nobody told this daemon.
        known(daemon.rpc(), &friend_id).await;
        let adders: Vec<_> =
            (0..2).map(|_| tokio::spawn(add_until_the_end(daemon.rpc().clone(), seed, next.clone()))).collect();
        tokio::time::sleep(rng.random_range(Duration::ZERO..LATEST)).await;
        daemon.kill().await;
        for adder in adders {
            all.extend(adder.await.unwrap());
        }
        assert_eq!(files_in(&repo), files, "crash {crash}: something was set aside or left behind");
    }

    assert!(!all.is_empty(), "no add was ever acknowledged");
    let daemon = repo.start().await;
    for added in &all {
        intact(daemon.rpc(), added).await;
    }
    println!("{crashes} crashes, {} acknowledged files intact", all.len());
    daemon.shutdown().await;
}

/// Adds files until the daemon is gone; every file that was acknowledged.
async fn add_until_the_end(rpc: Rpc, seed: Seed, next: Arc<AtomicU64>) -> Vec<Added> {
    let mut acknowledged = Vec::new();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let (content, len) = (seed.content(n), seed.rng(n).random_range(1..1_200_000));
        match rpc.add(ipfrs_testkit::bytes(content, len), &[]).await {
            Ok(cid) => acknowledged.push(Added { cid, content, len }),
            Err(_) => return acknowledged,
        }
    }
}

/// The file is here and whole. Nobody else has it: a missing block could not come from elsewhere.
async fn intact(rpc: &Rpc, added: &Added) {
    let data = rpc.cat(&added.cid).await.unwrap_or_else(|e| panic!("an acknowledged add is lost: {added:?}: {e}"));
    assert!(data == ipfrs_testkit::bytes(added.content, added.len), "{added:?} is corrupt");
}

/// Waits until the daemon is connected with a peer that only its peer store can name.
async fn known(rpc: &Rpc, peer: &str) {
    eventually(LIMIT, "the known peer is connected", || async { rpc.is_connected(peer).await.unwrap().then_some(()) })
        .await;
}

/// Names at the top of a repo, without the `api` file of a running daemon.
fn files_in(repo: &Repo) -> Vec<String> {
    let entries = std::fs::read_dir(repo.path()).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "api");
    names.sort();
    names
}
