//! Two real networks on loopback, each behind its supervised shell.

use crate::{Config, DhtMode, DialPolicy, Limits, Network, RoutingConfig, SwarmActor};
use futures::{AsyncReadExt, AsyncWriteExt};
use ipfrs_actor::{Child, ChildSpec, Fault, Heard, Lane, Port};
use ipfrs_contract::swarm::*;
use ipfrs_contract::{Keypair, Multiaddr, PeerId};
use ipfrs_resilience::Backoff;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_secs(30);
const ECHO: &str = "/test/echo/1";

fn config(limits: Limits) -> Config {
    Config {
        keypair: Keypair::generate_ed25519(),
        agent: "test".to_owned(),
        quic: true,
        tcp: true,
        websocket: true,
        memory: true,
        mdns: false,
        idle_timeout: Duration::from_secs(60),
        ping_interval: Duration::from_secs(15),
        limits,
        dialling: DialPolicy {
            timeout: Duration::from_secs(10),
            backoff: Backoff::new(Duration::from_millis(20), Duration::from_millis(100), 0.5),
            circuit_failures: 2,
            circuit_cooldown: Duration::from_secs(60),
            max_pending: 64,
        },
        routing: RoutingConfig {
            mode: DhtMode::Auto,
            loopback_on_lan: true,
            query_timeout: Duration::from_secs(10),
            parallelism: 10,
            max_provided_keys: 100,
            max_records: 100,
            validator: Arc::new(|_, _| true),
        },
        announce: vec![],
    }
}

/// A network, its shell and a supervisor just good enough to restart it.
struct Peer {
    id: PeerId,
    network: Network,
    shell: Child<SwarmActor>,
    _restarts: tokio::task::JoinHandle<()>,
}

impl Peer {
    async fn new(config: Config) -> Peer {
        let id = config.keypair.public().to_peer_id();
        let network = Network::new(config).unwrap();
        let (shell, mailbox) = Child::<SwarmActor>::new(ChildSpec::new("swarm"), network.clone());
        let lane = Lane::new("test").unwrap();
        let control = shell.place(mailbox, &lane).await.unwrap();
        let (exits, mut exited) = mpsc::channel(8);
        control.start(0, exits.clone().reserve_owned().await.unwrap()).await;
        let restarts = tokio::spawn(async move {
            while exited.recv().await.is_some() {
                control.start(0, exits.clone().reserve_owned().await.unwrap()).await;
            }
        });
        let mut events = network.topic().subscribe();
        if network.generation() == 0 {
            while !matches!(events.next().await, Some(Heard::Event(SwarmEvent::DriverStarted { .. })))
                && network.generation() == 0
            {}
        }
        Peer { id, network, shell, _restarts: restarts }
    }

    async fn listen(&self, addr: &str) -> Multiaddr {
        let addr: Multiaddr = addr.parse().unwrap();
        loop {
            match self.shell.call(Listen { addr: addr.clone() }, LIMIT).await.unwrap() {
                Ok(addr) => return addr,
                Err(ListenError::DriverLost) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    }

    async fn dial(&self, peer: PeerId, addr: &Multiaddr) -> Result<ConnectionInfo, DialError> {
        loop {
            let dial = Dial { peer: Some(peer), addrs: vec![addr.clone()], attempts: 1 };
            match self.shell.call(dial, LIMIT).await.unwrap() {
                Err(DialError::DriverLost) => tokio::task::yield_now().await,
                other => return other,
            }
        }
    }

    async fn serve_echo(&self) {
        let register: Port<RegisterProtocol> = self.shell.port();
        let mut streams =
            register.call(RegisterProtocol { protocol: ECHO.to_owned(), queue: 1 }, LIMIT).await.unwrap().unwrap();
        tokio::spawn(async move {
            while let Some(stream) = streams.recv().await {
                tokio::spawn(async move {
                    let (read, mut write) = stream.split();
                    let _ = futures::io::copy(read, &mut write).await;
                    let _ = write.close().await;
                });
            }
        });
    }

    async fn echo(&self, peer: PeerId, bytes: usize) {
        let open = OpenStream { peer, protocols: vec![ECHO.to_owned()] };
        let mut stream = self.shell.call(open, LIMIT).await.unwrap().unwrap();
        let sent = vec![7u8; bytes];
        stream.write_all(&sent).await.unwrap();
        stream.close().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert_eq!(sent, got);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_cross_every_transport_and_none_of_a_burst_is_dropped() {
    for addr in ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws", "/memory/0"] {
        let (a, b) = (Peer::new(config(Limits::default())).await, Peer::new(config(Limits::default())).await);
        b.serve_echo().await;
        let addr = b.listen(addr).await;
        let info = a.dial(b.id, &addr).await.unwrap();
        assert_eq!((info.peer, info.direction), (b.id, Direction::Outbound));
        futures::future::join_all((0..60).map(|_| a.echo(b.id, 1000))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_shell_closes_nothing_and_a_lost_driver_is_replaced() {
    let (a, b) = (Peer::new(config(Limits::default())).await, Peer::new(config(Limits::default())).await);
    b.serve_echo().await;
    let addr = b.listen("/ip4/127.0.0.1/tcp/0").await;
    a.dial(b.id, &addr).await.unwrap();
    let mut open =
        a.shell.call(OpenStream { peer: b.id, protocols: vec![ECHO.to_owned()] }, LIMIT).await.unwrap().unwrap();
    for fault in [Fault::Panic, Fault::Timer, Fault::Spawned, Fault::Started] {
        a.shell.inject(fault);
        b.shell.inject(fault);
        open.write_all(b"still here").await.unwrap();
        open.flush().await.unwrap();
        let mut got = [0u8; 10];
        open.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"still here");
        assert_eq!(a.shell.call(ListConnections, LIMIT).await.unwrap().len(), 1);
    }
    assert_eq!(b.network.generation(), 1);
    let mut events = b.network.topic().subscribe();
    b.network.crash_driver();
    loop {
        match events.next().await.unwrap() {
            Heard::Event(SwarmEvent::Listening(again)) if again == addr => break,
            _ => {}
        }
    }
    assert_eq!(b.network.generation(), 2);
    // The dialler of the lost connection is told by the closed socket and may dial the same port again.
    while a.shell.call(ListConnections, LIMIT).await.unwrap().len() == 1 {
        tokio::task::yield_now().await;
    }
    a.dial(b.id, &addr).await.unwrap();
    a.echo(b.id, 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_bans_and_circuits_are_felt_by_the_other_side() {
    let limits = Limits { total: Some(1), ..Limits::default() };
    let hub = Peer::new(config(limits)).await;
    let addr = hub.listen("/ip4/127.0.0.1/tcp/0").await;
    let (first, second) = (Peer::new(config(Limits::default())).await, Peer::new(config(Limits::default())).await);
    first.dial(hub.id, &addr).await.unwrap();
    let mut events = second.network.topic().subscribe();
    // The refused side may see its connection come up for a moment: it must be gone again.
    if second.dial(hub.id, &addr).await.is_ok() {
        while !matches!(events.next().await, Some(Heard::Event(SwarmEvent::Disconnected { .. }))) {}
    }
    assert_eq!(hub.shell.call(ListConnections, LIMIT).await.unwrap().len(), 1);

    hub.shell.call(SetBanned { peers: HashSet::from([first.id]) }, LIMIT).await.unwrap();
    let mut events = first.network.topic().subscribe();
    while !first.shell.call(ListConnections, LIMIT).await.unwrap().is_empty() {
        events.next().await;
    }

    let nobody: Multiaddr = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
    let stranger = PeerId::random();
    for _ in 0..2 {
        assert!(matches!(first.dial(stranger, &nobody).await, Err(DialError::Failed { .. })));
    }
    assert!(matches!(first.dial(stranger, &nobody).await, Err(DialError::CircuitOpen { .. })));
    assert!(matches!(first.dial(first.id, &nobody).await, Err(DialError::LocalPeer)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_an_error() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::new(config(Limits::default())).await;
    peer.listen("/memory/0").await;
    let addr = format!("/ip4/127.0.0.1/tcp/{}", held.local_addr().unwrap().port()).parse().unwrap();
    let refused = peer.shell.call(Listen { addr }, LIMIT).await.unwrap();
    assert!(matches!(refused, Err(ListenError::Failed { .. })), "{refused:?}");
}
