//! The network of one node: its thread, its driver and what outlives both the driver and the shell.

use crate::Config;
use crate::driver::{COMMANDS, Command, Driver};
use crate::streams::Protocols;
use crate::view::View;
use ipfrs_actor::{Reply, Topic};
use ipfrs_contract::swarm::{Dial, Listen, SwarmEvent};
use libp2p::metrics::Registry;
use parking_lot::Mutex;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// Events a subscriber may lag by before it has to ask for a snapshot.
const EVENTS: usize = 1024;
/// Peers dialled again after a driver was lost.
const REDIAL: usize = 256;
/// How often and how long a new driver tries to get the old one's ports, which close with its last task.
const REBIND: (Duration, u32) = (Duration::from_millis(50), 200);

/// The network could not be brought up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The operating system refused a thread or a runtime.
    #[error("cannot start the network thread: {0}")]
    Thread(#[source] io::Error),
    /// The transports or protocols could not be built.
    #[error("cannot build the swarm: {0}")]
    Build(#[source] io::Error),
}

/// What the driver, the shell and the node share.
pub(crate) struct Shared {
    pub(crate) topic: Topic<SwarmEvent>,
    pub(crate) protocols: Arc<Protocols>,
    pub(crate) view: Mutex<View>,
    registry: Mutex<Registry>,
}

impl Shared {
    pub(crate) fn set_registry(&self, registry: Registry) {
        *self.registry.lock() = registry;
    }

    fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry.lock());
        text
    }

    /// Adds up libp2p's own byte counters, once a second.
    pub(crate) fn sample_bandwidth(&self) {
        let text = self.encode();
        let sum = |direction: &str| -> u64 {
            let lines =
                text.lines().filter(|l| l.starts_with("libp2p_bandwidth_bytes_total{") && l.contains(direction));
            lines.filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok()).sum()
        };
        let now = (sum("Inbound"), sum("Outbound"));
        let mut view = self.view.lock();
        let (total_in, total_out) = (view.earlier.0 + now.0, view.earlier.1 + now.1);
        view.bandwidth.rate_in = total_in.saturating_sub(view.bandwidth.total_in) as f64;
        view.bandwidth.rate_out = total_out.saturating_sub(view.bandwidth.total_out) as f64;
        view.bandwidth.total_in = total_in;
        view.bandwidth.total_out = total_out;
    }
}

/// A running driver.
struct Running {
    commands: mpsc::Sender<Command>,
    over: watch::Receiver<bool>,
}

/// The network of one node. Clone it freely; the thread ends with the last clone.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    config: Arc<Config>,
    shared: Arc<Shared>,
    runtime: Handle,
    running: Mutex<Option<Running>>,
    generation: AtomicU64,
    _stop: watch::Sender<()>,
}

impl Network {
    /// Starts the network thread. The first driver is started by the shell.
    pub fn new(config: Config) -> Result<Self, NetworkError> {
        let label: Arc<str> = config.keypair.public().to_peer_id().to_string().into();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let blocking = label.clone();
        builder.enable_all().on_thread_start(move || drop(ipfrs_actor::enter_node(Some(blocking.clone()))));
        let runtime = builder.build().map_err(NetworkError::Thread)?;
        let handle = runtime.handle().clone();
        let (stop, mut stopped) = watch::channel(());
        std::thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || {
                ipfrs_actor::enter_node(Some(label));
                runtime.block_on(async move { while stopped.changed().await.is_ok() {} });
                runtime.shutdown_background();
            })
            .map_err(NetworkError::Thread)?;
        let shared = Shared {
            topic: Topic::new("swarm", EVENTS),
            protocols: Arc::default(),
            view: Mutex::default(),
            registry: Mutex::default(),
        };
        Ok(Network(Arc::new(Inner {
            config: Arc::new(config),
            shared: Arc::new(shared),
            runtime: handle,
            running: Mutex::new(None),
            generation: AtomicU64::new(0),
            _stop: stop,
        })))
    }

    /// Events of this network.
    pub fn topic(&self) -> &Topic<SwarmEvent> {
        &self.0.shared.topic
    }

    /// The runtime connections run on; data paths that live beside them belong there.
    pub fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// libp2p's own metrics in OpenMetrics text.
    pub fn metrics_text(&self) -> String {
        self.0.shared.encode()
    }

    /// Says that every listener is open; dials that waited for it begin.
    pub fn ready(&self) {
        // Without a driver the next one opens the listeners itself.
        let _ = self.send(Command::Ready);
    }

    /// Breaks the driver on purpose.
    pub fn crash_driver(&self) {
        let _ = self.send(Command::Crash);
    }

    /// How many drivers there have been.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Relaxed)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Passes a command on; gives it back when there is no driver or it is too busy.
    pub(crate) fn send(&self, command: Command) -> Result<(), Command> {
        let running = self.0.running.lock();
        let Some(running) = &*running else { return Err(command) };
        running.commands.try_send(command).map_err(|e| match e {
            mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command) => command,
        })
    }

    /// Ends the driver: listeners and connections close.
    pub fn stop(&self) {
        self.0.running.lock().take();
    }

    /// Makes sure a driver runs and resolves when it is lost. Called by the shell at each of its starts.
    pub(crate) async fn drive(self) -> Result<(), NetworkError> {
        let running = self.0.running.lock().as_ref().map(|r| r.over.clone());
        let mut over = match running.filter(|over| !*over.borrow()) {
            Some(over) => over,
            None => self.start_driver().await?,
        };
        let _ = over.wait_for(|over| *over).await;
        Ok(())
    }

    async fn start_driver(&self) -> Result<watch::Receiver<bool>, NetworkError> {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (is_over, over) = watch::channel(false);
        let (config, shared) = (self.0.config.clone(), self.0.shared.clone());
        // Building opens sockets and timers, which must belong to the network runtime.
        let built = self.0.runtime.spawn(async move { Driver::new(config, shared) }).await;
        let driver = built.map_err(|e| NetworkError::Build(io::Error::other(e)))?.map_err(NetworkError::Build)?;
        let redial = self.forget_connections();
        let listeners = self.0.shared.view.lock().listeners.clone();
        self.0.runtime.spawn(async move {
            let task = tokio::spawn(driver.run(inbox));
            if let Err(lost) = task.await {
                ipfrs_actor::counter!("ipfrs_swarm_driver_panics_total").increment(1);
                tracing::error!(target: "swarm", cause = %lost, "the network driver is lost");
            }
            is_over.send_replace(true);
        });
        *self.0.running.lock() = Some(Running { commands, over: over.clone() });
        let generation = self.0.generation.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.shared.topic.publish(SwarmEvent::DriverStarted { generation });
        if generation > 1 {
            self.0.runtime.spawn(self.clone().restore(listeners, redial));
        }
        Ok(over)
    }

    /// The connections of a lost driver are gone: everybody is told.
    fn forget_connections(&self) -> Vec<Dial> {
        let mut view = self.0.shared.view.lock();
        let redial = view.redial_list();
        let lost: std::collections::HashSet<_> = view.connections.drain().map(|(_, conn)| conn.peer).collect();
        view.identities.clear();
        view.local = Default::default();
        view.earlier = (view.bandwidth.total_in, view.bandwidth.total_out);
        drop(view);
        for peer in lost {
            self.0.shared.topic.publish(SwarmEvent::Disconnected { peer, remaining: 0 });
        }
        let attempts = 5;
        redial.into_iter().take(REDIAL).map(|(peer, addrs)| Dial { peer: Some(peer), addrs, attempts }).collect()
    }

    /// Same ports, same peers.
    async fn restore(self, listeners: Vec<ipfrs_contract::Multiaddr>, redial: Vec<Dial>) {
        for addr in listeners {
            let mut open = false;
            for _ in 0..REBIND.1 {
                match self.listen(Listen { addr: addr.clone() }).await {
                    Some(Ok(_)) => {
                        open = true;
                        break;
                    }
                    Some(Err(error)) => tracing::debug!(target: "swarm", %error, "port still held by the lost driver"),
                    None => return,
                }
                tokio::time::sleep(REBIND.0).await;
            }
            if !open {
                tracing::error!(target: "swarm", %addr, "the port of the lost driver is taken, no longer listening there");
            }
        }
        self.ready();
        for dial in redial {
            // Nobody waits for these; the peer's own events tell how they ended.
            let _ = self.send(Command::Dial(dial, Reply::new().0));
        }
    }

    /// Listens through the driver, outside the shell's mailbox.
    async fn listen(&self, listen: Listen) -> Option<Result<ipfrs_contract::Multiaddr, String>> {
        let (reply, answer) = Reply::waiter();
        self.send(Command::Listen(listen.addr, reply)).ok()?;
        answer.await.map(|r| r.map_err(|e| e.to_string()))
    }
}
