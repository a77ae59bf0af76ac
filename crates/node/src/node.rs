//! A running node and what it is made of.

use crate::content::ContentHandle;
use crate::handles::*;
use crate::{Config, Repo};
use ipfrs_contract::{PeerId, PublicKey};
use ipfrs_supervisor::{Finished, ShutdownReport};
use ipfrs_swarm::Network;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A running node. Clones are handles of the same node; when the last is dropped the node stops by itself, without
/// blocking anyone. For an orderly end call [`Node::shutdown`].
#[derive(Clone)]
pub struct Node(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) public_key: PublicKey,
    pub(crate) agent: String,
    /// Holds the repo's lock, or the folder of an ephemeral node, as long as the node lives.
    pub(crate) home: Home,
    pub(crate) network: Network,
    pub(crate) swarm: SwarmHandle,
    pub(crate) dht: DhtHandle,
    pub(crate) peers: PeerHandle,
    pub(crate) exchange: ExchangeHandle,
    pub(crate) content: ContentHandle,
    pub(crate) actors: ActorsHandle,
    /// Ends the data path of the exchange, which would keep the network's thread alive.
    pub(crate) data_path: tokio::sync::watch::Sender<()>,
}

/// Where a node keeps its files.
pub(crate) enum Home {
    /// A repo that lasts.
    Repo(Box<Repo>),
    /// A folder that goes with the node.
    Ephemeral(tempfile::TempDir),
}

impl Home {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Home::Repo(repo) => repo.path(),
            Home::Ephemeral(dir) => dir.path(),
        }
    }
}

/// Whether a node is well, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// Every actor runs.
    pub healthy: bool,
    /// Why, or why not.
    pub reason: String,
}

impl Node {
    /// Starts building a node.
    pub fn builder() -> crate::NodeBuilder {
        crate::NodeBuilder::default()
    }

    /// Who this node is.
    pub fn peer_id(&self) -> PeerId {
        self.0.public_key.to_peer_id()
    }

    /// The key behind the peer id.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Where it keeps its files.
    pub fn repo(&self) -> &Path {
        self.0.home.path()
    }

    /// The agent version it announces.
    pub fn agent(&self) -> &str {
        &self.0.agent
    }

    /// Whether actors may be killed on purpose.
    pub fn chaos(&self) -> bool {
        self.0.actors.chaos
    }

    /// Connections, addresses, streams.
    pub fn swarm(&self) -> &SwarmHandle {
        &self.0.swarm
    }

    /// Content and peer routing.
    pub fn dht(&self) -> &DhtHandle {
        &self.0.dht
    }

    /// Known peers, bans, protection.
    pub fn peers(&self) -> &PeerHandle {
        &self.0.peers
    }

    /// Figures of the block exchange.
    pub fn exchange(&self) -> &ExchangeHandle {
        &self.0.exchange
    }

    /// Files, directories and blocks.
    pub fn content(&self) -> &ContentHandle {
        &self.0.content
    }

    /// The supervision tree.
    pub fn actors(&self) -> &ActorsHandle {
        &self.0.actors
    }

    /// libp2p's own metrics as OpenMetrics text, for the page that also shows ours.
    pub fn network_metrics(&self) -> String {
        self.0.network.metrics_text()
    }

    /// Sets the gauges that are looked at only when somebody asks.
    pub fn sample_metrics(&self) {
        let tasks = self.0.network.runtime().metrics().num_alive_tasks();
        metrics::gauge!("ipfrs_swarm_tasks", "node" => self.peer_id().to_string()).set(tasks as f64);
    }

    /// The runtime that carries this node's connections. Streams read and written there save a change of thread for
    /// each wake-up; work that computes or blocks does not belong there.
    pub fn network_runtime(&self) -> &tokio::runtime::Handle {
        self.0.network.runtime()
    }

    /// Every port between the actors, for whoever checks that calls go down only.
    pub fn wires(&self) -> &[ipfrs_supervisor::Wire] {
        self.0.actors.tree.wires()
    }

    /// Whether the node is well, as the supervisor sees it.
    pub fn health(&self) -> Health {
        let verdict = |healthy, reason| Health { healthy, reason };
        match self.0.actors.tree.ended() {
            Some(Finished::GaveUp { reason }) => return verdict(false, reason),
            Some(Finished::Stopped) => return verdict(false, "the node is stopped".to_owned()),
            None => {}
        }
        let down: Vec<_> = self.0.actors.tree().into_iter().filter(|c| c.state != "up").map(|c| c.name).collect();
        if down.is_empty() {
            verdict(true, "every actor runs".to_owned())
        } else {
            verdict(false, format!("not running: {}", down.join(", ")))
        }
    }

    /// Resolves when the node has ended: stopped, or given up by its supervisor.
    pub async fn finished(&self) -> Finished {
        let ended = self.0.actors.tree.finished().await;
        if let Finished::GaveUp { reason } = &ended {
            tracing::error!(target: "node", %reason, "the supervisor gave up");
            self.close();
        }
        ended
    }

    /// Stops everything in order: state is written, actors stop in reverse order, listeners close.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        if let Err(error) = self.peers().flush().await {
            tracing::warn!(target: "node", %error, "known peers are as of their last write");
        }
        let report = self.0.actors.tree.shutdown(deadline).await;
        self.close();
        report
    }

    fn close(&self) {
        self.0.data_path.send_replace(());
        self.0.network.stop();
        if let Err(error) = self.0.content.store().sync() {
            tracing::error!(target: "node", %error, "blocks could not be made durable");
        }
    }
}
