//! The house rules that a compiler does not check: edges between crates, files that say what they are for, and
//! configuration that is obeyed.
#![allow(clippy::unwrap_used)]

use ipfrs_testkit::{cargo, workspace};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Crates with actors: each knows the contract and the mechanism, never another of them.
const ACTORS: &[&str] =
    &["swarm", "peerstore", "dht", "exchange", "gossip", "nat", "power", "migration", "tor", "semantic"];
/// Crates without actors, and what of the workspace each may depend on.
const GROUND: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("resilience", &[]),
    ("telemetry", &[]),
    ("quic", &[]),
    ("blocks", &[]),
    ("actor", &[]),
    ("supervisor", &["actor", "resilience"]),
];
/// What an actor crate may depend on in the workspace.
const FOR_ACTORS: &[&str] = &["contract", "actor", "resilience", "telemetry", "blocks"];
/// What the contract may depend on: ids, addresses, serialisation, the message macro, and what a stream and a reply
/// queue are made of.
const FOR_CONTRACT: &[&str] =
    &["actix", "cid", "futures-io", "libp2p-identity", "multiaddr", "multihash", "serde", "thiserror", "tokio"];
/// Who may depend on the `libp2p` crate: the swarm, and the benchmark that runs beside it.
const LIBP2P: &[&str] = &["ipfrs-swarm", "ipfrs-bench"];
/// Crates that only tests may use.
const GARDEN: &[&str] = &["ipfrs-testkit", "ipfrs-lab"];

/// Dependencies of every package of the workspace: name to kind to names.
fn packages() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let output = cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for dependency in package["dependencies"].as_array().unwrap() {
            let kind = dependency["kind"].as_str().unwrap_or("normal").to_owned();
            kinds.entry(kind).or_default().insert(dependency["name"].as_str().unwrap().to_owned());
        }
        packages.insert(package["name"].as_str().unwrap().to_owned(), kinds);
    }
    packages
}

fn edges<'a>(kinds: &'a BTreeMap<String, BTreeSet<String>>, kind: &str) -> impl Iterator<Item = &'a str> {
    kinds.get(kind).into_iter().flatten().map(String::as_str)
}

/// The short name of a crate of ours.
fn own(name: &str) -> Option<&str> {
    name.strip_prefix("ipfrs-")
}

#[test]
fn arrows_between_crates_run_down_only() {
    let mut forbidden = Vec::new();
    for (package, kinds) in packages() {
        let Some(name) = own(&package) else { continue };
        let ground = GROUND.iter().find(|(g, _)| *g == name);
        let allowed: Option<&[&str]> =
            if ACTORS.contains(&name) { Some(FOR_ACTORS) } else { ground.map(|(_, allowed)| *allowed) };
        for dependency in edges(&kinds, "normal").chain(edges(&kinds, "build")) {
            if allowed.is_some_and(|allowed| own(dependency).is_some_and(|d| !allowed.contains(&d))) {
                forbidden.push(format!("{package} -> {dependency}"));
            }
            let outside = ["ipfrs-tests", "ipfrs-bench", "ipfrs-testkit", "ipfrs-lab"];
            if GARDEN.contains(&dependency) && !outside.contains(&package.as_str()) {
                forbidden.push(format!("{package} -> {dependency}: only tests use it"));
            }
            let roof = ["ipfrs-api", "ipfrs-cli", "ipfrs-dashboard"];
            if name == "node" && (roof.contains(&dependency) || ["axum", "clap", "reqwest"].contains(&dependency)) {
                forbidden.push(format!("{package} -> {dependency}: an embedding program would compile it"));
            }
        }
        for dependency in edges(&kinds, "dev") {
            if ACTORS.contains(&name) && own(dependency).is_some_and(|d| ACTORS.contains(&d)) {
                forbidden.push(format!("{package} -> {dependency} in its tests"));
            }
        }
    }
    assert!(forbidden.is_empty(), "forbidden edges:\n{}", forbidden.join("\n"));
}

#[test]
fn only_the_swarm_sees_libp2p() {
    for (package, kinds) in packages() {
        let all = kinds.values().flatten().any(|d| d == "libp2p");
        assert!(!all || LIBP2P.contains(&package.as_str()), "{package} depends on libp2p");
    }
}

#[test]
fn the_contract_is_data_only() {
    let packages = packages();
    let foreign: Vec<_> = edges(&packages["ipfrs-contract"], "normal").filter(|d| !FOR_CONTRACT.contains(d)).collect();
    assert!(foreign.is_empty(), "the contract depends on {foreign:?}");
}

/// Who may call whom: later ones call earlier ones. The node stands above all of them.
const LADDER: &[&str] = &["swarm", "peerstore", "dht", "exchange", "node"];

#[tokio::test]
async fn every_port_points_down() {
    let node = ipfrs_testkit::embedded().await;
    let rung = |name: &str| LADDER.iter().position(|rung| *rung == name);
    let wires = node.wires();
    assert!(wires.len() > 20, "the wiring was read: {wires:?}");
    for wire in wires {
        let (from, to) = (rung(wire.from), rung(wire.to));
        assert!(from.is_some() && to < from && to.is_some(), "{} calls {}: {}", wire.from, wire.to, wire.message);
    }
    node.shutdown(std::time::Duration::from_secs(5)).await;
}

/// State machines: time and chance come in as arguments.
const CORES: &[&str] = &[
    "crates/resilience/src/backoff.rs",
    "crates/resilience/src/bucket.rs",
    "crates/resilience/src/circuit.rs",
    "crates/resilience/src/window.rs",
    "crates/exchange/src/core.rs",
    "crates/dht/src/schedule.rs",
    "crates/peerstore/src/book.rs",
    "crates/peerstore/src/policy.rs",
    "crates/swarm/src/driver/dial.rs",
];

#[test]
fn cores_have_no_clock_and_no_randomness_of_their_own() {
    let mut found = Vec::new();
    for core in CORES {
        let text = std::fs::read_to_string(workspace().join(core)).unwrap_or_else(|e| panic!("{core}: {e}"));
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (n, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let taken = ["Instant::now", "SystemTime::now", "rand::rng()", "thread_rng", "rand::random"];
            if taken.iter().any(|word| line.contains(word)) {
                found.push(format!("{core}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "take it as an argument:\n{}", found.join("\n"));
}

#[test]
fn every_metric_is_described() {
    let described: BTreeSet<_> = ipfrs_telemetry::METRICS.iter().map(|metric| metric.name).collect();
    let code = text_of(sources(&["crates"]).into_iter().filter(|path| !path.ends_with("telemetry/src/names.rs")));
    let quoted = code.split('"').filter(|word| {
        word.starts_with("ipfrs_") && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    let kinds = ["_total", "_seconds"];
    let silent: BTreeSet<_> =
        quoted.filter(|name| kinds.iter().any(|kind| name.ends_with(kind)) && !described.contains(name)).collect();
    assert!(silent.is_empty(), "metrics without a description: {silent:?}");
}

/// Every source file below the given folders of the workspace.
fn sources(folders: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open: Vec<_> = folders.iter().map(|f| workspace().join(f)).collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> = sources(&["crates", "tests", "examples", "bench"])
        .into_iter()
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "files without a header: {silent:?}");
}

/// Whether a source file only defines configuration.
fn is_config(path: &Path) -> bool {
    path.strip_prefix(workspace()).unwrap().components().any(|c| c.as_os_str().to_string_lossy().starts_with("config"))
}

fn text_of(files: impl Iterator<Item = PathBuf>) -> String {
    files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn every_setting_is_obeyed_outside_the_configuration() {
    let config = serde_json::to_value(ipfrs_node::Preset::default().config()).unwrap();
    let mut fields = Vec::new();
    leaves(&config, String::new(), &mut fields);
    assert!(fields.len() > 10, "the configuration has fields: {fields:?}");
    let code = text_of(sources(&["crates"]).into_iter().filter(|path| !is_config(path)));
    // A field that is read stands behind a dot somewhere: `config.swarm.idle_timeout`.
    let ignored: Vec<_> = fields.iter().filter(|path| !reads(&code, path.rsplit('.').next().unwrap())).collect();
    assert!(ignored.is_empty(), "settings that nothing obeys: {ignored:?}");
}

#[test]
fn every_setting_of_an_actor_is_obeyed_in_its_crate() {
    let mut ignored = Vec::new();
    for name in ACTORS {
        let folder = format!("crates/{name}/src");
        if !workspace().join(&folder).is_dir() {
            continue;
        }
        let (config, code): (Vec<_>, Vec<_>) = sources(&[&folder]).into_iter().partition(|path| is_config(path));
        let (config, code) = (text_of(config.into_iter()), text_of(code.into_iter()));
        let fields =
            config.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':')).map(|(field, _)| field);
        let fields = fields.filter(|field| field.chars().all(|c| c.is_alphanumeric() || c == '_'));
        ignored.extend(fields.filter(|field| !reads(&code, field)).map(|field| format!("{name}: {field}")));
    }
    assert!(ignored.is_empty(), "settings that nothing obeys: {ignored:?}");
}

/// Whether `.field` stands in the code as a whole word.
fn reads(code: &str, field: &str) -> bool {
    let dotted = format!(".{field}");
    let mut found = code.match_indices(&dotted);
    found.any(|(at, _)| !code[at + dotted.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '('))
}

/// Paths of all fields of a configuration; tables are walked, everything else is a field.
fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                leaves(value, format!("{path}.{name}"), found);
            }
        }
        _ => found.push(path),
    }
}
