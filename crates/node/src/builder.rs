//! Builds a node: configuration, identity, storage, then the tree from the bottom up, each actor with its ports.

use crate::content::{ContentHandle, ContentPorts};
use crate::handles::{ActorsHandle, DhtHandle, ExchangeHandle, PeerHandle, SwarmHandle};
use crate::handles::{DhtPorts, ExchangePorts, PeerPorts, SwarmPorts};
use crate::node::{Home, Inner};
use crate::{Config, ConfigError, Node, Preset, Repo, RepoError, settings};
use ipfrs_actor::Lanes;
use ipfrs_blocks::{BlockStore, StoreError};
use ipfrs_contract::peerstore::PeerStoreError;
use ipfrs_contract::swarm::ListenError;
use ipfrs_contract::{Keypair, Multiaddr, Protocol};
use ipfrs_dht::DhtActor;
use ipfrs_exchange::ExchangeActor;
use ipfrs_peerstore::PeerStoreActor;
use ipfrs_supervisor::{Spec, Tree};
use ipfrs_swarm::{Network, NetworkError, SwarmActor};
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::sync::Arc;

/// Agent version without suffix.
const AGENT: &str = concat!("ipfrs/", env!("CARGO_PKG_VERSION"));

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is not acceptable.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The repo could not be opened.
    #[error("{0}")]
    Repo(#[from] RepoError),
    /// The folder of an ephemeral node could not be made.
    #[error("cannot make a folder for an ephemeral node: {0}")]
    Folder(#[source] std::io::Error),
    /// The block store could not be opened.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The peer store could not be opened.
    #[error("{0}")]
    PeerStore(#[from] PeerStoreError),
    /// The network could not be brought up.
    #[error("{0}")]
    Network(#[from] NetworkError),
    /// A thread could not be started.
    #[error("{0}")]
    Threads(#[from] ipfrs_supervisor::StartError),
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(#[from] ListenError),
    /// An actor did not answer while the node started.
    #[error("the node did not come up: {0}")]
    Silent(String),
}

/// Builds a [`Node`].
#[derive(Default)]
pub struct NodeBuilder {
    preset: Preset,
    config: Option<Config>,
    repo: Option<PathBuf>,
    keypair: Option<Keypair>,
    listen: Vec<Multiaddr>,
    bootstrap: Option<Vec<Multiaddr>>,
    no_mdns: bool,
    memory: bool,
    chaos: bool,
    shared_lanes: bool,
}

impl NodeBuilder {
    /// Starts from a preset; without one from `desktop`.
    pub fn preset(mut self, preset: Preset) -> Self {
        self.preset = preset;
        self
    }

    /// Uses a whole configuration in place of a preset.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Keeps identity, blocks and peers in an initialised repo.
    pub fn repo(mut self, path: impl Into<PathBuf>) -> Self {
        self.repo = Some(path.into());
        self
    }

    /// Keeps nothing: everything is gone with the node. This is the default.
    pub fn ephemeral(mut self) -> Self {
        self.repo = None;
        self
    }

    /// Uses this identity instead of the repo's or a new one.
    pub fn keypair(mut self, keypair: Keypair) -> Self {
        self.keypair = Some(keypair);
        self
    }

    /// Listens here instead of where the configuration says; may be given several times.
    pub fn listen(mut self, addr: Multiaddr) -> Self {
        self.listen.push(addr);
        self
    }

    /// Joins the network at these peers instead of those of the configuration.
    pub fn bootstrap(mut self, peers: Vec<Multiaddr>) -> Self {
        self.bootstrap = Some(peers);
        self
    }

    /// Joins no network by itself.
    pub fn no_bootstrap(self) -> Self {
        self.bootstrap(Vec::new())
    }

    /// Neither looks for peers on the local network nor answers there.
    pub fn no_mdns(mut self) -> Self {
        self.no_mdns = true;
        self
    }

    /// Adds the in-process memory transport, for tests.
    pub fn memory_transport(mut self) -> Self {
        self.memory = true;
        self
    }

    /// Allows actors to be killed on purpose.
    pub fn chaos(mut self, chaos: bool) -> Self {
        self.chaos = chaos;
        self
    }

    /// Lets the node's actors share threads; for many small nodes in one process.
    pub fn shared_lanes(mut self) -> Self {
        self.shared_lanes = true;
        self
    }

    fn effective_config(&self) -> Result<Config, ConfigError> {
        let mut config = self.config.clone().unwrap_or_else(|| self.preset.config());
        if !self.listen.is_empty() {
            config.swarm.listen = self.listen.clone();
        }
        if let Some(bootstrap) = &self.bootstrap {
            config.discovery.bootstrap = bootstrap.clone();
        }
        if self.no_mdns {
            config.discovery.mdns = false;
        }
        config.check()?;
        Ok(config)
    }

    /// Starts the node; resolves when it listens.
    pub async fn start(self) -> Result<Node, StartError> {
        let config = self.effective_config()?;
        let (home, keypair) = match &self.repo {
            Some(path) => {
                let repo = Repo::open(path)?;
                let keypair = self.keypair.clone().unwrap_or_else(|| repo.keypair().clone());
                (Home::Repo(Box::new(repo)), keypair)
            }
            None => {
                let dir = tempfile::Builder::new().prefix("ipfrs-").tempdir().map_err(StartError::Folder)?;
                (Home::Ephemeral(dir), self.keypair.clone().unwrap_or_else(Keypair::generate_ed25519))
            }
        };
        let blocks = BlockStore::open(&home.path().join("blocks"))?;
        for path in &blocks.set_aside {
            tracing::error!(target: "node", path = %path.display(), "a damaged block was set aside");
        }
        let store = blocks.store;
        let known = ipfrs_peerstore::Storage::open(&home.path().join("peers.redb"))?;
        if let Some(path) = &known.set_aside {
            tracing::error!(target: "node", path = %path.display(), "the peer database was damaged and is set aside");
        }
        let agent = match config.swarm.agent_suffix.as_str() {
            "" => AGENT.to_owned(),
            suffix => format!("{AGENT}/{suffix}"),
        };
        let network = Network::new(settings::swarm(&config, &keypair, &agent, self.memory))?;

        let lanes = if self.shared_lanes { Lanes::process_wide() } else { Ok(Lanes::PerActor) };
        let lanes = lanes.map_err(|cause| ipfrs_supervisor::StartError { child: "lanes", cause })?;
        let mut tree = Tree::new(settings::policy(&config), lanes);
        let label: Arc<str> = keypair.public().to_peer_id().to_string().into();
        let spec = |name| {
            let spec = Spec::permanent(name).mailbox(config.supervisor.mailbox);
            spec.shutdown(config.supervisor.shutdown_limit).node(label.clone())
        };

        let swarm = tree.child::<SwarmActor>(spec("swarm"), network.clone());
        let args = ipfrs_peerstore::Args {
            config: settings::peerstore(&config),
            storage: Arc::new(known.storage),
            ports: ipfrs_peerstore::Ports {
                dial: tree.wire("peerstore", &swarm),
                connections: tree.wire("peerstore", &swarm),
                set_banned: tree.wire("peerstore", &swarm),
                set_protected: tree.wire("peerstore", &swarm),
                topic: network.topic().clone(),
            },
        };
        let peers = tree.child::<PeerStoreActor>(spec("peerstore"), args);
        let args = ipfrs_dht::Args {
            config: settings::dht(&config),
            local: keypair.public().to_peer_id(),
            ports: ipfrs_dht::Ports {
                start: tree.wire("dht", &swarm),
                stop: tree.wire("dht", &swarm),
                tables: tree.wire("dht", &swarm),
                addrs: tree.wire("dht", &peers),
                add_addrs: tree.wire("dht", &peers),
                topic: network.topic().clone(),
            },
        };
        let dht = tree.child::<DhtActor>(spec("dht"), args);
        let (data_path, stop) = tokio::sync::watch::channel(());
        let args = ipfrs_exchange::Args {
            config: settings::exchange(&config),
            local: keypair.public().to_peer_id(),
            store: store.clone(),
            wire: Arc::default(),
            runtime: network.runtime().clone(),
            stop,
            ports: ipfrs_exchange::Ports {
                open_stream: tree.wire("exchange", &swarm),
                register: tree.wire("exchange", &swarm),
                dial: tree.wire("exchange", &swarm),
                connections: tree.wire("exchange", &swarm),
                find_providers: tree.wire("exchange", &dht),
                add_addrs: tree.wire("exchange", &peers),
                topic: network.topic().clone(),
            },
        };
        let exchange = tree.child::<ExchangeActor>(spec("exchange"), args);

        let swarm_handle = SwarmHandle(SwarmPorts {
            dial: tree.wire("node", &swarm),
            disconnect: tree.wire("node", &swarm),
            listen: tree.wire("node", &swarm),
            connections: tree.wire("node", &swarm),
            addrs: tree.wire("node", &swarm),
            open: tree.wire("node", &swarm),
            register: tree.wire("node", &swarm),
            bandwidth: tree.wire("node", &swarm),
            known: tree.wire("node", &peers),
            find_peer: tree.wire("node", &dht),
            topic: network.topic().clone(),
            attempts: config.swarm.dial_attempts,
        });
        let dht_handle = DhtHandle(DhtPorts {
            provide: tree.wire("node", &dht),
            stop_provide: tree.wire("node", &dht),
            find_providers: tree.wire("node", &dht),
            find_peer: tree.wire("node", &dht),
            closest: tree.wire("node", &dht),
            put: tree.wire("node", &dht),
            get: tree.wire("node", &dht),
            bootstrap: tree.wire("node", &dht),
            status: tree.wire("node", &dht),
            tables: tree.wire("node", &swarm),
        });
        let peer_handle = PeerHandle(PeerPorts {
            list: tree.wire("node", &peers),
            get: tree.wire("node", &peers),
            ban: tree.wire("node", &peers),
            unban: tree.wire("node", &peers),
            banned: tree.wire("node", &peers),
            protect: tree.wire("node", &peers),
            flush: tree.wire("node", &peers),
        });
        let exchange_handle = ExchangeHandle(ExchangePorts {
            open: tree.wire("node", &exchange),
            want: tree.wire("node", &exchange),
            close: tree.wire("node", &exchange),
            added: tree.wire("node", &exchange),
            stat: tree.wire("node", &exchange),
        });
        let content = ContentHandle::new(ContentPorts {
            store,
            exchange: exchange_handle.clone(),
            dht: dht_handle.clone(),
            patience: config.exchange.fetch_timeout,
        });

        let tree = tree.start().await?;
        let node = Node(Arc::new(Inner {
            public_key: keypair.public(),
            agent,
            home,
            network: network.clone(),
            swarm: swarm_handle,
            dht: dht_handle,
            peers: peer_handle,
            exchange: exchange_handle,
            content,
            actors: ActorsHandle { tree, network, chaos: self.chaos },
            data_path,
            config,
        }));
        node.open_listeners().await?;
        Ok(node)
    }
}

impl Node {
    /// Opens the configured listeners; the first that fails ends the start, nothing half-open stays behind. Only the
    /// wildcard of IPv6 may be missing: it stands in every preset, and there are machines without IPv6.
    async fn open_listeners(&self) -> Result<(), StartError> {
        let mut refused = None;
        let mut listening = 0;
        for addr in self.config().swarm.listen.clone() {
            let everywhere = addr.iter().next() == Some(Protocol::Ip6(Ipv6Addr::UNSPECIFIED));
            match self.listen_when_ready(addr).await {
                Ok(()) => listening += 1,
                Err(error) if everywhere => {
                    tracing::warn!(target: "node", %error, "not reachable over IPv6");
                    refused = Some(error);
                }
                Err(error) => {
                    refused = Some(error);
                    listening = 0;
                    break;
                }
            }
        }
        match refused {
            Some(error) if listening == 0 => {
                self.shutdown(std::time::Duration::from_secs(2)).await;
                Err(error)
            }
            _ => {
                self.0.network.ready();
                Ok(())
            }
        }
    }

    /// The first driver may still be on its way up.
    async fn listen_when_ready(&self, addr: Multiaddr) -> Result<(), StartError> {
        let mut events = self.swarm().events();
        loop {
            match self.swarm().listen(addr.clone()).await {
                Ok(_) => return Ok(()),
                Err(crate::NodeError::Listen(ListenError::DriverLost)) => {
                    let ready = tokio::time::timeout(crate::handles::QUICK, events.next()).await;
                    if !matches!(ready, Ok(Some(_))) {
                        return Err(StartError::Silent("no network driver".to_owned()));
                    }
                }
                Err(crate::NodeError::Listen(error)) => return Err(error.into()),
                Err(error) => return Err(StartError::Silent(error.to_string())),
            }
        }
    }
}
