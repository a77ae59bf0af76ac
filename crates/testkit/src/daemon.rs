//! Our daemon as a child process: a repo, commands run in it, and a daemon started in it as often as a test needs.

use crate::{Footprint, Identity, Process, Ran, Rpc, daemon_binary};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::process::Command;

/// Environment variables that set a field of the configuration, as tests use them.
pub mod setting {
    /// Loopback addresses count for the DHT of the local network; every test daemon has it.
    pub const LOOPBACK_ON_LAN: &str = "IPFRS_DHT__LOOPBACK_ON_LAN";
    /// Side of the DHT: `auto`, `client`, `server`, `off`.
    pub const DHT_MODE: &str = "IPFRS_DHT__MODE";
    /// Connections in all.
    pub const MAX_CONNECTIONS: &str = "IPFRS_SWARM__MAX_CONNECTIONS__TOTAL";
    /// Connections without streams are closed after this.
    pub const IDLE_TIMEOUT: &str = "IPFRS_SWARM__IDLE_TIMEOUT";
    /// Time between pings.
    pub const PING_INTERVAL: &str = "IPFRS_SWARM__PING_INTERVAL";
    /// Restarts of one actor in the supervisor's window before the root gives up.
    pub const MAX_RESTARTS: &str = "IPFRS_SUPERVISOR__MAX_RESTARTS";
    /// Longest delay before a restart.
    pub const BACKOFF_MAX: &str = "IPFRS_SUPERVISOR__BACKOFF_MAX";
    /// Log level.
    pub const LOG_LEVEL: &str = "IPFRS_LOG__LEVEL";
}

/// An initialised repo. Clones are the same repo; it is removed with the last.
#[derive(Clone)]
pub struct Repo {
    home: Arc<TempDir>,
    env: Vec<(String, String)>,
    bootstrap: Vec<String>,
    listen: Vec<String>,
}

impl Repo {
    /// `ipfrs init` in a new folder.
    pub async fn init() -> Repo {
        let repo = Repo::empty();
        repo.cli(&["init"]).await.ok();
        repo
    }

    /// A folder in which nothing is yet.
    pub fn empty() -> Repo {
        let home = tempfile::Builder::new().prefix("ipfrs-test-").tempdir().unwrap();
        let env = vec![
            ("IPFS_PATH".to_owned(), home.path().to_string_lossy().into_owned()),
            (setting::LOOPBACK_ON_LAN.to_owned(), "true".to_owned()),
        ];
        let listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"];
        Repo { home: Arc::new(home), env, bootstrap: Vec::new(), listen: listen.map(str::to_owned).into() }
    }

    /// Sets a variable for the daemon and every command; see [`setting`].
    pub fn env(mut self, name: &str, value: &str) -> Repo {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the daemon join a network at this address.
    pub fn bootstrap(mut self, addr: &str) -> Repo {
        self.bootstrap.push(addr.to_owned());
        self
    }

    /// Lets the daemon listen here only.
    pub fn listen(mut self, addr: &str) -> Repo {
        self.listen = vec![addr.to_owned()];
        self
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// The environment of its commands.
    pub fn environment(&self) -> &[(String, String)] {
        &self.env
    }

    /// Runs a command in it.
    pub async fn cli(&self, args: &[&str]) -> Ran {
        Ran::run(daemon_binary(), &self.env, args).await
    }

    /// The arguments of its daemon.
    pub fn daemon_args(&self) -> Vec<String> {
        let mut args: Vec<String> =
            ["daemon", "--no-mdns", "--chaos", "--api", "/ip4/127.0.0.1/tcp/0"].map(str::to_owned).into();
        for addr in &self.listen {
            args.extend(["--listen".to_owned(), addr.clone()]);
        }
        for addr in &self.bootstrap {
            args.extend(["--bootstrap".to_owned(), addr.clone()]);
        }
        if self.bootstrap.is_empty() {
            args.push("--no-bootstrap".to_owned());
        }
        args
    }

    /// Starts its daemon; returns when it is ready.
    pub async fn start(&self) -> Daemon {
        let daemon = self.launch();
        daemon.wait_for("Daemon is ready").await;
        let rpc = Rpc::new(&std::fs::read_to_string(self.path().join("api")).unwrap());
        let identity = rpc.id().await.unwrap();
        Daemon { process: daemon, repo: self.clone(), rpc, identity }
    }

    /// Starts its daemon and does not wait for it.
    pub fn launch(&self) -> Process {
        let mut command = Command::new(daemon_binary());
        command.args(self.daemon_args()).envs(self.env.iter().map(|(k, v)| (k, v)));
        Process::start("ipfrs", command, &self.log())
    }

    /// The file with everything its daemons logged.
    pub fn log(&self) -> PathBuf {
        self.path().with_extension("log")
    }
}

impl Drop for Repo {
    fn drop(&mut self) {
        // The log lies beside the repo, so that the repo holds only what the daemon put there.
        if Arc::strong_count(&self.home) == 1 {
            let _ = std::fs::remove_file(self.log());
        }
    }
}

/// A running daemon of ours. Dropping it kills it.
pub struct Daemon {
    // Declared before the repo, so that the process is gone when the repo is removed.
    process: Process,
    repo: Repo,
    rpc: Rpc,
    identity: Identity,
}

impl Daemon {
    /// A daemon in a new repo.
    pub async fn start() -> Daemon {
        Repo::init().await.start().await
    }

    /// Its API.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Its API as a multiaddress.
    pub fn api(&self) -> String {
        std::fs::read_to_string(self.repo.path().join("api")).unwrap().trim().to_owned()
    }

    /// Its repo.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Its peer id.
    pub fn id(&self) -> &str {
        &self.identity.id
    }

    /// Its first address that contains `part`, with `/p2p/…`.
    pub fn addr(&self, part: &str) -> &str {
        self.identity.addr(part)
    }

    /// Runs a command against it.
    pub async fn cli(&self, args: &[&str]) -> Ran {
        self.repo.cli(args).await
    }

    /// One of its metrics, summed over labels.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        crate::metric(&self.rpc.page("/metrics").await.unwrap(), name)
    }

    /// The supervision tree: one object for each actor.
    pub async fn actors(&self) -> Vec<serde_json::Value> {
        let tree = self.rpc.json("actors/tree", &[]).await.unwrap();
        let list = tree.as_array().or_else(|| tree.as_object()?.values().find_map(|v| v.as_array()));
        list.unwrap_or_else(|| panic!("no list of actors in {tree}")).clone()
    }

    /// Panics of all its actors so far.
    pub async fn panics(&self) -> u64 {
        self.actors().await.iter().map(|a| a["panics"].as_u64().expect("every actor counts its panics")).sum()
    }

    /// What it holds now.
    pub fn footprint(&self) -> Footprint {
        self.process.footprint()
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its process, to end it or wait for its end.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// `kill -9`; gives the repo back when the process is gone.
    pub async fn kill(mut self) -> Repo {
        self.process.kill().await;
        self.repo.clone()
    }

    /// `ipfrs shutdown`; gives the repo back when the process has ended by itself with exit code 0.
    pub async fn shutdown(mut self) -> Repo {
        self.cli(&["shutdown"]).await.ok();
        let status = self.process.wait().await;
        assert!(status.success(), "the daemon ends with {status}: {}", self.process.log());
        self.repo.clone()
    }
}
