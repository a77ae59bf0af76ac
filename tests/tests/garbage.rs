//! Garbage, oversized and half-open streams to every protocol, and noise at every port: the node lives, holds no more
//! than a bound, says what it refused, and serves others meanwhile.
#![allow(clippy::unwrap_used)]

use futures::{AsyncReadExt, AsyncWriteExt};
use ipfrs_contract::{PeerId, PeerStream};
use ipfrs_node::Node;
use ipfrs_testkit::{Daemon, LIMIT, Repo, Seed, bytes, embedded, eventually, setting, within};
use std::net::UdpSocket;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Streams that are opened and left alone, per protocol: beyond every per-connection bound of the stock protocols.
const HALF_OPEN: usize = 200;
/// What is pushed behind a length that promises even more.
const OVERSIZED: usize = 24 * 1024 * 1024;
/// Memory a daemon may keep after all of it. Far below what was sent: 24 MiB and more for each of a dozen protocols.
const BOUND: u64 = 128 * 1024 * 1024;
/// A write that the other side does not take for so long is as good as refused.
const STUCK: Duration = Duration::from_secs(2);

/// A daemon, a node that misbehaves towards it, and the protocols the daemon serves.
struct Attack {
    daemon: Daemon,
    node: Node,
    peer: PeerId,
    protocols: Vec<String>,
}

impl Attack {
    async fn begin() -> Attack {
        let repo = Repo::init().await.env(setting::LOG_LEVEL, "debug").env(setting::IDLE_TIMEOUT, "1h");
        let (daemon, node) = tokio::join!(repo.start(), embedded());
        let peer = node.swarm().connect(daemon.addr("/tcp/").parse().unwrap()).await.unwrap().peer;
        let protocols = eventually(LIMIT, "identify names the protocols", || async {
            let connections = node.swarm().connections().await.ok()?;
            connections.into_iter().find(|c| c.peer == peer && !c.protocols.is_empty()).map(|c| c.protocols)
        })
        .await;
        for expected in ["/ipfs/bitswap/1.2.0", "/ipfs/lan/kad/1.0.0", "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"] {
            assert!(protocols.iter().any(|p| p == expected), "{expected} is not served: {protocols:?}");
        }
        Attack { daemon, node, peer, protocols }
    }

    /// A stream, connecting again when the daemon has closed the connection, which it may.
    async fn open(&self, protocol: &str) -> Option<PeerStream> {
        if let Ok(stream) = self.node.swarm().open_stream(self.peer, &[protocol]).await {
            return Some(stream);
        }
        let addr = self.daemon.addr("/tcp/").parse().unwrap();
        self.node.swarm().connect(addr).await.unwrap_or_else(|e| panic!("the daemon takes no more connections: {e}"));
        self.node.swarm().open_stream(self.peer, &[protocol]).await.ok()
    }

    /// The daemon is as alive as before: no panic, healthy, bounded, and a stranger gets a file from it.
    async fn survived(self, seed: Seed, before: u64) {
        let Attack { daemon, node, .. } = self;
        drop(node);
        assert_eq!(daemon.panics().await, 0, "garbage reached as far as a panic");
        for metric in ["ipfrs_swarm_driver_panics_total", "ipfrs_swarm_connection_panics_total"] {
            assert_eq!(daemon.metric(metric).await.unwrap_or(0.0), 0.0, "{metric}");
        }
        assert!(daemon.rpc().page("/healthz").await.is_ok());
        eventually(LIMIT, "what the attack held is given back", || async {
            (daemon.footprint().resident < before + BOUND).then_some(())
        })
        .await;
        let data = bytes(seed.content(0), 1_000_000);
        let cid = daemon.rpc().add(data.clone(), &[]).await.unwrap();
        let stranger = Daemon::start().await;
        stranger.rpc().connect(daemon.addr("/quic-v1")).await.unwrap();
        assert!(stranger.rpc().cat(&cid).await.unwrap() == data);
    }
}

/// Writes until everything is taken or the other side refuses; never forever.
async fn push(stream: &mut PeerStream, data: &[u8]) -> bool {
    let taken = async { stream.write_all(data).await.is_ok() && stream.flush().await.is_ok() };
    tokio::time::timeout(STUCK, taken).await.unwrap_or(false)
}

/// Reads whatever comes back, up to the end or until nothing comes.
async fn drain(stream: &mut PeerStream) {
    let mut sink = vec![0; 16 * 1024];
    let reading = async { while matches!(stream.read(&mut sink).await, Ok(n) if n > 0) {} };
    let _ = tokio::time::timeout(STUCK, reading).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_every_protocol() {
    let seed = Seed::announce("garbage_on_every_protocol");
    let attack = Attack::begin().await;
    let before = attack.daemon.footprint().resident;
    for (n, protocol) in attack.protocols.iter().enumerate() {
        for (part, len) in [1, 7, 100, 5_000, 300_000].into_iter().enumerate() {
            let Some(mut stream) = attack.open(protocol).await else { continue };
            push(&mut stream, &bytes(seed.content((10 * n + part) as u64), len)).await;
            let _ = stream.close().await;
            drain(&mut stream).await;
        }
        // Well-formed frames around nonsense: short lengths, each followed by that many bytes of the same value.
        let Some(mut stream) = attack.open(protocol).await else { continue };
        let frames: Vec<u8> = (1..=100u8)
            .flat_map(|len| std::iter::once(len).chain(std::iter::repeat_n(len ^ 0x5a, len.into())))
            .collect();
        push(&mut stream, &frames).await;
        drain(&mut stream).await;
    }
    let log = attack.daemon.process().log();
    assert!(log.contains(&attack.node.peer_id().to_string()), "the log does not say who sent garbage");
    attack.survived(seed, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_messages_on_every_protocol() {
    let seed = Seed::announce("oversized_messages_on_every_protocol");
    let attack = Attack::begin().await;
    let before = attack.daemon.footprint().resident;
    let filler = vec![0x0a; 1024 * 1024];
    // Unsigned varints: 64 MiB, 4 GiB, the largest of 63 bits, and one that never ends.
    let lengths: [&[u8]; 4] = [
        &[0x80, 0x80, 0x80, 0x20],
        &[0x80, 0x80, 0x80, 0x80, 0x10],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0xff; 64],
    ];
    for protocol in &attack.protocols {
        for length in lengths {
            let Some(mut stream) = attack.open(protocol).await else { continue };
            let mut refused = !push(&mut stream, length).await;
            let mut sent = 0;
            while !refused && sent < OVERSIZED {
                refused = !push(&mut stream, &filler).await;
                sent += filler.len();
            }
            let held = attack.daemon.footprint().resident;
            assert!(held < before + BOUND, "{protocol} holds {held} bytes, {before} before");
        }
    }
    attack.survived(seed, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_streams_on_every_protocol() {
    let seed = Seed::announce("half_open_streams_on_every_protocol");
    let attack = Attack::begin().await;
    let before = attack.daemon.footprint();
    for protocol in &attack.protocols {
        let mut held = Vec::new();
        for n in 0..HALF_OPEN {
            let Some(mut stream) = attack.open(protocol).await else { break };
            // Every other stream stops in the middle of a length.
            if n % 2 == 0 {
                push(&mut stream, &[0x80]).await;
            }
            held.push(stream);
        }
        // Somebody else is served while all of them are held.
        let other = embedded().await;
        let peer = other.swarm().connect(attack.daemon.addr("/quic-v1").parse().unwrap()).await.unwrap().peer;
        within(LIMIT, "another node's ping", other.swarm().ping(peer))
            .await
            .unwrap_or_else(|e| panic!("{protocol}: {e}"));
    }
    let after = attack.daemon.footprint();
    assert!(after.threads <= before.threads + 8, "{before:?}, {after:?}");
    attack.survived(seed, before.resident).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_at_every_port() {
    let seed = Seed::announce("noise_at_every_port");
    let attack = Attack::begin().await;
    let before = attack.daemon.footprint().resident;
    let port = |addr: &str, at: usize| addr.split('/').nth(at).unwrap().parse::<u16>().unwrap();
    let tcp = port(attack.daemon.addr("/tcp/"), 4);
    let quic = port(attack.daemon.addr("/quic-v1"), 4);
    let api = port(&attack.daemon.api(), 4);

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..2_000u64 {
        let _ = socket.send_to(&bytes(seed.content(n), (n as usize * 7) % 1_400), ("127.0.0.1", quic));
    }
    for n in 0..50 {
        for port in [tcp, api] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let _ = tokio::time::timeout(STUCK, stream.write_all(&bytes(seed.content(n), 20_000))).await;
            let _ = stream.shutdown().await;
            let _ = tokio::time::timeout(STUCK, stream.read(&mut [0; 1024])).await;
        }
    }
    // Connections that never say a word, and one header without an end, are held while others are served.
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(("127.0.0.1", tcp)).await.unwrap());
    }
    let mut endless = TcpStream::connect(("127.0.0.1", api)).await.unwrap();
    let header = format!("POST /api/v0/id HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}", "a".repeat(2_000_000));
    let _ = tokio::time::timeout(STUCK, endless.write_all(header.as_bytes())).await;
    attack.survived(seed, before).await;
}
