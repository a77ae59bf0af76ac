//! Bulk, ping-pong and request-response over TCP.

use crate::peer::{BULK, Dialled, ECHO, Io, Kind, MESSAGE, Server};
use crate::table;
use futures::{AsyncReadExt, AsyncWriteExt};
use std::time::Instant;

const BULK_BYTES: usize = 256 * 1024 * 1024;
const PINGS: usize = 5_000;
const IN_FLIGHT: usize = 64;
const REQUESTS: usize = 5_000;

/// One round of one kind: MB/s, ping-pong in microseconds, requests per second on new streams with 64 in flight.
async fn round(kind: Kind) -> [f64; 3] {
    let server = Server::start(kind);
    let mut peer = Dialled::connect(kind, &server.address).await;
    let stream = peer.open(BULK).await;
    let bulk = peer.beside(bulk(stream)).await;
    let stream = peer.open(ECHO).await;
    let ping = peer.beside(ping_pong(stream)).await;
    let begun = Instant::now();
    let mut left = REQUESTS;
    while left > 0 {
        let batch = left.min(IN_FLIGHT);
        let mut streams = Vec::with_capacity(batch);
        for _ in 0..batch {
            streams.push(peer.open(ECHO).await);
        }
        let jobs: Vec<_> = streams.into_iter().map(|s| peer.beside(request(s))).collect();
        futures::future::join_all(jobs).await;
        left -= batch;
    }
    [bulk, ping, REQUESTS as f64 / begun.elapsed().as_secs_f64()]
}

async fn bulk(mut stream: Box<dyn Io>) -> f64 {
    let chunk = vec![42u8; 64 * 1024];
    let begun = Instant::now();
    for _ in 0..BULK_BYTES / chunk.len() {
        stream.write_all(&chunk).await.expect("bulk write");
    }
    stream.close().await.expect("close");
    let mut count = [0u8; 8];
    stream.read_exact(&mut count).await.expect("the count");
    assert_eq!(u64::from_be_bytes(count), BULK_BYTES as u64);
    BULK_BYTES as f64 / 1e6 / begun.elapsed().as_secs_f64()
}

async fn ping_pong(mut stream: Box<dyn Io>) -> f64 {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let begun = Instant::now();
        exchange(&mut stream).await;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    table::median(times)
}

async fn request(mut stream: Box<dyn Io>) {
    exchange(&mut stream).await;
    let _ = stream.close().await;
}

async fn exchange(stream: &mut Box<dyn Io>) {
    let mut message = [7u8; MESSAGE];
    stream.write_all(&message).await.expect("write");
    stream.flush().await.expect("flush");
    stream.read_exact(&mut message).await.expect("echo");
}

pub(crate) fn run(rounds: usize) {
    let mut figures = [[vec![], vec![], vec![]], [vec![], vec![], vec![]]];
    for _ in 0..rounds {
        for (kind, figures) in [Kind::Raw, Kind::Node].into_iter().zip(&mut figures) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            for (figure, all) in runtime.block_on(round(kind)).into_iter().zip(figures) {
                all.push(figure);
            }
        }
    }
    let [[raw_bulk, raw_ping, raw_requests], [bulk, ping, requests]] = figures;
    table::head("raw libp2p", "node");
    table::line("TCP bulk, one stream", "MB/s", raw_bulk, bulk);
    table::line("1 KiB ping-pong on an open stream, p50", "µs", raw_ping, ping);
    table::line("1 KiB requests on new streams, 64 in flight", "/s", raw_requests, requests);
}
