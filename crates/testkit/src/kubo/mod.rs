//! A Kubo daemon as a test peer: its own repo, loopback only, no bootstrap, no mDNS, no calls to the outside.

mod binary;

pub use binary::kubo_or_skip;

use crate::{Identity, Process, Ran, Rpc, metric};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// Which side of the DHT a Kubo plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// It answers queries and is found in routing tables.
    Server,
    /// It asks, and no routing table has it: other peers learn of it only from provider records.
    Client,
}

/// How a Kubo is set up.
#[derive(Debug, Clone)]
pub struct KuboOptions {
    /// Its side of the DHT.
    pub routing: Routing,
    /// Configuration profiles beside `test`, such as `unixfs-v1-2025`.
    pub profiles: Vec<&'static str>,
}

impl Default for KuboOptions {
    fn default() -> Self {
        KuboOptions { routing: Routing::Server, profiles: Vec::new() }
    }
}

/// A running Kubo daemon. Dropping it kills it and removes its repo.
pub struct Kubo {
    // Declared before the repo, so that the process is gone when the repo is removed.
    process: Process,
    home: TempDir,
    binary: PathBuf,
    rpc: Rpc,
    identity: Identity,
}

impl Kubo {
    /// Starts the Kubo at `binary` (see [`kubo_or_skip`]); returns when it is ready.
    pub async fn start(binary: &Path, options: KuboOptions) -> Kubo {
        let home = tempfile::Builder::new().prefix("kubo-").tempdir().unwrap();
        let env = environment(home.path());
        let mut profiles = vec!["test"];
        profiles.extend(&options.profiles);
        let profile = format!("--profile={}", profiles.join(","));
        Ran::run(binary, &env, &["init", "--empty-repo", profile.as_str()]).await.ok();
        configure(&home.path().join("config"), options.routing);

        let mut command = Command::new(binary);
        command.arg("daemon").envs(env);
        let process = Process::start("kubo", command, &home.path().join("stderr.log"));
        process.wait_for("Daemon is ready").await;
        let rpc = Rpc::new(&std::fs::read_to_string(home.path().join("api")).unwrap());
        let identity = rpc.id().await.unwrap();
        Kubo { process, home, binary: binary.to_owned(), rpc, identity }
    }

    /// A Kubo that answers DHT queries.
    pub async fn server(binary: &Path) -> Kubo {
        Kubo::start(binary, KuboOptions::default()).await
    }

    /// A Kubo that only asks.
    pub async fn client(binary: &Path) -> Kubo {
        Kubo::start(binary, KuboOptions { routing: Routing::Client, ..KuboOptions::default() }).await
    }

    /// Its API.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Its peer id.
    pub fn id(&self) -> &str {
        &self.identity.id
    }

    /// Its first address that contains `part`, with `/p2p/…`.
    pub fn addr(&self, part: &str) -> &str {
        self.identity.addr(part)
    }

    /// Runs its own command line against it.
    pub async fn cli(&self, args: &[&str]) -> Ran {
        Ran::run(&self.binary, &environment(self.home.path()), args).await
    }

    /// Runs Kubo's command line against another daemon's API, with no repo of its own.
    pub async fn drive(binary: &Path, api: &str, args: &[&str]) -> Ran {
        let nowhere = tempfile::tempdir().unwrap();
        let api = format!("--api={api}");
        let mut all = vec![api.as_str()];
        all.extend_from_slice(args);
        Ran::run(binary, &environment(nowhere.path()), &all).await
    }

    /// One of its metrics, summed over labels; 0 while it has not counted yet.
    pub async fn metric(&self, name: &str) -> f64 {
        metric(&self.rpc.page("/debug/metrics/prometheus").await.unwrap(), name).unwrap_or(0.0)
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Stops it in order.
    pub async fn shutdown(mut self) {
        self.rpc.call("shutdown", &[]).await.unwrap();
        self.process.wait().await;
    }
}

fn environment(home: &Path) -> Vec<(String, String)> {
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    vec![pair("IPFS_PATH", &home.to_string_lossy()), pair("IPFS_TELEMETRY", "off"), pair("DO_NOT_TRACK", "1")]
}

/// Everything that could reach beyond this test, or close a connection by itself, is off.
fn configure(path: &Path, routing: Routing) {
    let mut config: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut set = |pointer: &[&str], value: Value| {
        let mut at = &mut config;
        for key in pointer {
            at = &mut at[*key];
        }
        *at = value;
    };
    set(&["Addresses", "Swarm"], json!(["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"]));
    set(&["Routing", "Type"], json!(if routing == Routing::Server { "dht" } else { "dhtclient" }));
    set(&["Routing", "LoopbackAddressesOnLanDHT"], json!(true));
    set(&["Bootstrap"], json!([]));
    set(&["Discovery", "MDNS", "Enabled"], json!(false));
    set(&["AutoConf", "Enabled"], json!(false));
    set(&["AutoTLS", "Enabled"], json!(false));
    set(&["AutoNAT", "ServiceMode"], json!("disabled"));
    set(&["HTTPRetrieval", "Enabled"], json!(false));
    set(&["Swarm", "RelayClient", "Enabled"], json!(false));
    set(&["Swarm", "RelayService", "Enabled"], json!(false));
    set(&["Swarm", "EnableHolePunching"], json!(false));
    set(&["Plugins", "Plugins"], json!({ "telemetry": { "Disabled": true } }));
    std::fs::write(path, serde_json::to_vec_pretty(&config).unwrap()).unwrap();
}
