//! Resident memory: idle, and for each of many inbound TCP connections.

use crate::peer::{Dialled, Kind, Server};
use crate::table;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Opens connections from raw peers, each with an identity of its own, says so and waits to be killed.
pub(crate) fn dial_many(kind: Kind, address: &str, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let address = address.parse().expect("an address");
        let mut peers = Vec::new();
        for _ in 0..count {
            peers.push(Dialled::connect(kind, &address).await);
        }
        println!("connected");
        std::future::pending::<()>().await;
    });
}

/// Idle memory in MiB and KiB per connection with `count` of them.
fn measure(kind: Kind, count: usize) -> (f64, f64) {
    let mut server = Server::start(kind);
    let idle = server.rss_kib();
    let mut dialler = Command::new(std::env::current_exe().expect("own path"))
        .args(["dial", "raw", &server.address.to_string(), &count.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process");
    let mut line = String::new();
    BufReader::new(dialler.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    // Identify and the first pings have settled when the figure no longer grows.
    let mut last = 0.0;
    loop {
        std::thread::sleep(std::time::Duration::from_secs(2));
        let now = server.rss_kib();
        if (now - last).abs() < 64.0 {
            break;
        }
        last = now;
    }
    let _ = dialler.kill();
    let _ = dialler.wait();
    (idle / 1024.0, (last - idle) / count as f64)
}

pub(crate) fn run() {
    table::head("raw libp2p", "node");
    for count in [200, 1000] {
        let (raw_idle, raw) = measure(Kind::Raw, count);
        let (idle, own) = measure(Kind::Node, count);
        if count == 200 {
            table::line("RSS idle", "MiB", vec![raw_idle], vec![idle]);
        }
        table::line(&format!("RSS per TCP connection, {count}"), "KiB", vec![raw], vec![own]);
    }
}
