//! `cat` of a large file on loopback: ours and Kubo in every pair of roles.

use crate::table;
use ipfrs_testkit::{Daemon, Kubo, Rpc, bytes, kubo_or_skip};
use std::time::Instant;

const FILE: usize = 256 * 1024 * 1024;

/// A daemon of either make; the process lives as long as this.
enum Peer {
    Ours(Daemon),
    Kubo(Kubo),
}

impl Peer {
    async fn start(ours: bool) -> Peer {
        match kubo_or_skip("bench cat") {
            _ if ours => Peer::Ours(Daemon::start().await),
            Some(binary) => Peer::Kubo(Kubo::server(binary).await),
            None => std::process::exit(1),
        }
    }

    fn rpc(&self) -> &Rpc {
        match self {
            Peer::Ours(daemon) => daemon.rpc(),
            Peer::Kubo(kubo) => kubo.rpc(),
        }
    }

    fn addr(&self) -> &str {
        match self {
            Peer::Ours(daemon) => daemon.addr("quic-v1"),
            Peer::Kubo(kubo) => kubo.addr("quic-v1"),
        }
    }
}

/// MB/s of one transfer between fresh processes.
async fn transfer(from_ours: bool, to_ours: bool, seed: u64) -> f64 {
    let (provider, fetcher) = (Peer::start(from_ours).await, Peer::start(to_ours).await);
    let file = bytes(seed, FILE);
    let cid = provider.rpc().add(file.clone(), &[]).await.expect("add");
    fetcher.rpc().connect(provider.addr()).await.expect("connect");
    let begun = Instant::now();
    let got = fetcher.rpc().cat(&cid).await.expect("cat");
    let seconds = begun.elapsed().as_secs_f64();
    assert!(got == file, "the file arrived damaged");
    FILE as f64 / 1e6 / seconds
}

pub(crate) fn run(rounds: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let pairs = [(false, false), (true, true), (false, true), (true, false)];
    let mut figures: [Vec<f64>; 4] = Default::default();
    for round in 0..rounds {
        for (pair, all) in pairs.iter().zip(&mut figures) {
            all.push(runtime.block_on(transfer(pair.0, pair.1, round as u64)));
        }
    }
    let [kubo, ours, from_kubo, to_kubo] = figures;
    table::head("Kubo → Kubo", "with ours");
    table::line("cat 256 MiB, ours → ours", "MB/s", kubo.clone(), ours);
    table::line("cat 256 MiB, Kubo → ours", "MB/s", kubo.clone(), from_kubo);
    table::line("cat 256 MiB, ours → Kubo", "MB/s", kubo, to_kubo);
}
