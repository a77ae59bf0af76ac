//! `ipfrs daemon`: from the configuration to a node with an API, and its end in the reverse order.

use crate::client::authority;
use crate::error::CliError;
use crate::init::init;
use crate::output;
use crate::signals::Signals;
use crate::version::VERSION;
use ipfrs_api::Server;
use ipfrs_contract::{Multiaddr, Protocol};
use ipfrs_node::{Config, Finished, Node, Preset, Repo, RepoError, config};
use ipfrs_telemetry::MetricsHandle;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;

/// Between two upkeeps of the metrics; longer lets histograms grow between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
/// Answers under way when the daemon ends, such as that to `shutdown`, may take so long; a transfer is cut off.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// The node has so long to write its state and stop; service managers kill after 90 s or so.
const SHUTDOWN: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(crate) struct DaemonArgs {
    /// Make the repo when there is none
    #[arg(long)]
    init: bool,
    /// What the configuration of a new repo starts from
    #[arg(long, requires = "init")]
    preset: Option<Preset>,
    /// Listen here instead of where the configuration says; may be repeated
    #[arg(long, value_name = "ADDR")]
    listen: Vec<Multiaddr>,
    /// Join the network here instead of where the configuration says; may be repeated
    #[arg(long, value_name = "ADDR", conflicts_with = "no_bootstrap")]
    bootstrap: Vec<Multiaddr>,
    /// Join no network
    #[arg(long)]
    no_bootstrap: bool,
    /// Neither look for peers on the local network nor answer there
    #[arg(long)]
    no_mdns: bool,
    /// Allow `actors kill`
    #[arg(long)]
    chaos: bool,
}

impl DaemonArgs {
    pub(crate) async fn run(self, api: Option<Multiaddr>) -> Result<(), CliError> {
        let signals = Signals::listen()?;
        let repo = Repo::default_path();
        say("Initializing daemon...");
        say(format!("ipfrs version: {VERSION}"));
        if !Repo::exists(&repo) {
            if !self.init {
                return Err(RepoError::NotInitialised(repo).into());
            }
            init(&repo, self.preset.unwrap_or_default())?.into_iter().for_each(say);
        }
        let config = self.config(&repo, api)?;
        ipfrs_telemetry::init_tracing(&config.log.level, config.log.format.parse()?)?;
        let metrics = ipfrs_telemetry::install_recorder()?;
        // Says who holds the repo; a second daemon would otherwise hear only that the port of its API is taken.
        drop(Repo::open(&repo)?);
        let (listener, api) = bind(&config.api.listen).await?;
        let node = Node::builder().config(config).repo(&repo).chaos(self.chaos).start().await?;
        tokio::spawn(upkeep(metrics.clone()));
        let server = ipfrs_api::serve(listener, node.clone(), metrics);
        serve(&repo, &api, &node, server, signals).await
    }

    /// The configuration of the repo and what the flags change in it.
    fn config(&self, repo: &Path, api: Option<Multiaddr>) -> Result<Config, CliError> {
        let mut config = config::load(Some(repo))?;
        if !self.listen.is_empty() {
            config.swarm.listen = self.listen.clone();
        }
        if self.no_bootstrap || !self.bootstrap.is_empty() {
            config.discovery.bootstrap = self.bootstrap.clone();
        }
        if self.no_mdns {
            config.discovery.mdns = false;
        }
        if let Some(api) = api {
            config.api.listen = api;
        }
        config.check()?;
        Ok(config)
    }
}

/// A daemon goes on when nobody reads what it says.
fn say(text: impl Display) {
    let _ = output::line(text);
}

/// Takes the port of the API, and says which it is where any would do.
async fn bind(wanted: &Multiaddr) -> Result<(TcpListener, Multiaddr), CliError> {
    let authority = authority(wanted).ok_or_else(|| CliError::NotAnApi(wanted.clone()))?;
    let refused = |cause| CliError::Bind { api: wanted.clone(), cause };
    let listener = TcpListener::bind(&authority).await.map_err(refused)?;
    let local = listener.local_addr().map_err(refused)?;
    Ok((listener, Multiaddr::from(local.ip()).with(Protocol::Tcp(local.port()))))
}

async fn upkeep(metrics: MetricsHandle) {
    let mut due = tokio::time::interval(UPKEEP);
    loop {
        due.tick().await;
        metrics.upkeep();
    }
}

/// Runs until somebody ends it, then stops everything in order.
async fn serve(
    repo: &Path,
    api: &Multiaddr,
    node: &Node,
    server: Server,
    mut signals: Signals,
) -> Result<(), CliError> {
    let ended = match announce(repo, api, node).await {
        Ok(()) => tokio::select! {
            _ = signals.next() => Ok(()),
            () = server.shutdown_requested() => Ok(()),
            finished = node.finished() => match finished {
                Finished::GaveUp { reason } => Err(CliError::GaveUp(reason)),
                Finished::Stopped => Ok(()),
            },
        },
        Err(error) => Err(error),
    };
    // Whoever asks twice does not want to wait.
    tokio::spawn(async move {
        let code = signals.next().await;
        std::process::exit(code.into());
    });
    // First of all: nobody shall be sent to a daemon that is on its way out.
    Repo::remove_api(repo);
    server.stop(LAST_ANSWERS).await;
    // A node whose supervisor gave up has stopped by itself.
    if !matches!(ended, Err(CliError::GaveUp(_))) {
        let report = node.shutdown(SHUTDOWN).await;
        if !report.abandoned.is_empty() {
            tracing::warn!(target: "daemon", actors = report.abandoned.join(", "), "left behind: did not stop in time");
        }
    }
    ended
}

/// Tells other processes where the API is, and whoever started this one that it runs.
async fn announce(repo: &Path, api: &Multiaddr, node: &Node) -> Result<(), CliError> {
    Repo::write_api(repo, api)?;
    let peer = node.peer_id();
    say(format!("PeerID: {peer}"));
    match node.swarm().local_addrs().await {
        Ok(local) => local.listen.iter().for_each(|addr| say(format!("Swarm listening on {addr}/p2p/{peer}"))),
        Err(error) => tracing::warn!(target: "daemon", %error, "the listen addresses are not known"),
    }
    say(format!("RPC API server listening on {api}"));
    say("Daemon is ready");
    Ok(())
}
