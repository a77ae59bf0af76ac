//! The two kinds of peer that are compared, behind one face: listen, dial, open and accept streams.

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use ipfrs_node::{Config, Node};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, kad, multiaddr::Protocol, noise, ping, tcp, yamux,
};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

pub(crate) const BULK: &str = "/bench/bulk/1";
pub(crate) const ECHO: &str = "/bench/echo/1";
/// Bytes of one ping-pong message.
pub(crate) const MESSAGE: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Raw,
    Node,
}

impl Kind {
    pub(crate) fn from_name(name: &str) -> Option<Kind> {
        match name {
            "raw" => Some(Kind::Raw),
            "node" => Some(Kind::Node),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Raw => "raw",
            Kind::Node => "node",
        }
    }
}

/// A stream of either kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

#[derive(NetworkBehaviour)]
pub(crate) struct Raw {
    streams: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    wan: kad::Behaviour<kad::store::MemoryStore>,
    lan: kad::Behaviour<kad::store::MemoryStore>,
}

/// The raw node speaks what ours speaks: identify, ping and two Kademlias beside its streams.
pub(crate) fn raw() -> Swarm<Raw> {
    let kad = |id: PeerId, name| {
        kad::Behaviour::with_config(id, kad::store::MemoryStore::new(id), kad::Config::new(StreamProtocol::new(name)))
    };
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .expect("TCP transport")
        .with_behaviour(|key| {
            let id = key.public().to_peer_id();
            Raw {
                streams: libp2p_stream::Behaviour::new(),
                identify: identify::Behaviour::new(identify::Config::new("/ipfs/0.1.0".to_owned(), key.public())),
                ping: ping::Behaviour::default(),
                wan: kad(id, "/ipfs/kad/1.0.0"),
                lan: kad(id, "/ipfs/lan/kad/1.0.0"),
            }
        })
        .expect("behaviour")
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build()
}

pub(crate) async fn node() -> Node {
    let mut config = Config::default();
    config.swarm.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    config.swarm.idle_timeout = Duration::from_secs(3600);
    config.swarm.limits = Default::default();
    config.swarm.limits.total = 0;
    config.swarm.limits.inbound = 0;
    config.swarm.limits.outbound = 0;
    config.swarm.limits.per_peer = 0;
    Node::builder().config(config).no_bootstrap().no_mdns().start().await.expect("a node")
}

async fn sink(mut stream: impl Io) {
    let mut buffer = vec![0u8; 64 * 1024];
    let mut bytes = 0u64;
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 {
            let _ = stream.write_all(&bytes.to_be_bytes()).await;
            let _ = stream.close().await;
            return;
        }
        bytes += n as u64;
    }
}

async fn echo(mut stream: impl Io) {
    let mut buffer = [0u8; MESSAGE];
    while stream.read_exact(&mut buffer).await.is_ok() {
        if stream.write_all(&buffer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// Serves bulk and echo streams until standard input closes; prints its address first.
pub(crate) fn serve(kind: Kind) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let address = match kind {
            Kind::Raw => {
                let mut swarm = raw();
                let mut control = swarm.behaviour().streams.new_control();
                let mut bulk = control.accept(StreamProtocol::new(BULK)).expect("bulk protocol");
                let mut echoes = control.accept(StreamProtocol::new(ECHO)).expect("echo protocol");
                tokio::spawn(async move {
                    while let Some((_, s)) = bulk.next().await {
                        tokio::spawn(sink(s));
                    }
                });
                tokio::spawn(async move {
                    while let Some((_, s)) = echoes.next().await {
                        tokio::spawn(echo(s));
                    }
                });
                swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("a listener");
                let address = loop {
                    if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                        break address.with(Protocol::P2p(*swarm.local_peer_id()));
                    }
                };
                tokio::spawn(async move {
                    loop {
                        swarm.select_next_some().await;
                    }
                });
                address
            }
            Kind::Node => {
                let node = node().await;
                let mut bulk = node.swarm().register(BULK, 256).await.expect("bulk protocol");
                let mut echoes = node.swarm().register(ECHO, 256).await.expect("echo protocol");
                // Beside the connections, as the raw node's streams are.
                let beside = node.network_runtime().clone();
                let spawner = beside.clone();
                beside.spawn(async move {
                    while let Some(s) = bulk.recv().await {
                        spawner.spawn(sink(s));
                    }
                });
                let spawner = beside.clone();
                beside.spawn(async move {
                    while let Some(s) = echoes.recv().await {
                        spawner.spawn(echo(s));
                    }
                });
                let address = node.swarm().local_addrs().await.expect("addresses").listen.remove(0);
                let address = address.with(Protocol::P2p(node.peer_id()));
                std::mem::forget(node);
                address
            }
        };
        println!("{address}");
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(tokio::io::stdin()));
        while let Ok(Some(_)) = lines.next_line().await {
            println!("{}", rss_kib());
        }
    });
    std::process::exit(0);
}

/// A peer in a process of its own.
pub(crate) struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) address: Multiaddr,
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Server {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args(["serve", kind.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let input = child.stdin.take().expect("piped");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("an address line");
        let address = line.trim().parse().expect("an address");
        Server { child, input, output, address }
    }

    /// Resident memory of the server in KiB.
    pub(crate) fn rss_kib(&mut self) -> f64 {
        writeln!(self.input, "rss").and_then(|()| self.input.flush()).expect("a running server");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        line.trim().parse().expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory of this process in KiB (Linux).
pub(crate) fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A dialled peer that opens streams.
pub(crate) enum Dialled {
    Raw(libp2p_stream::Control, PeerId),
    Node(Node, PeerId),
}

impl Dialled {
    /// Connects to a server. Must run on the runtime that is to carry the streams.
    pub(crate) async fn connect(kind: Kind, address: &Multiaddr) -> Dialled {
        let peer = ipfrs_contract::peer_of(address).expect("an address with a peer id");
        match kind {
            Kind::Raw => {
                let mut swarm = raw();
                let control = swarm.behaviour().streams.new_control();
                swarm.dial(address.clone()).expect("a dial");
                while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
                tokio::spawn(async move {
                    loop {
                        swarm.select_next_some().await;
                    }
                });
                Dialled::Raw(control, peer)
            }
            Kind::Node => {
                let node = node().await;
                node.swarm().connect(address.clone()).await.expect("a connection");
                Dialled::Node(node, peer)
            }
        }
    }

    pub(crate) async fn open(&mut self, protocol: &'static str) -> Box<dyn Io> {
        match self {
            Dialled::Raw(control, peer) => {
                Box::new(control.open_stream(*peer, StreamProtocol::new(protocol)).await.expect("a stream"))
            }
            Dialled::Node(node, peer) => {
                Box::new(node.swarm().open_stream(*peer, &[protocol]).await.expect("a stream"))
            }
        }
    }

    /// Runs a job on the thread that carries the connections.
    pub(crate) async fn beside<T: Send + 'static>(&self, job: impl Future<Output = T> + Send + 'static) -> T {
        match self {
            Dialled::Raw(..) => tokio::spawn(job).await.expect("a job"),
            Dialled::Node(node, _) => node.network_runtime().spawn(job).await.expect("a job"),
        }
    }
}
