//! One daemon seen from outside: its command line, its HTTP pages, limits that hold, a clear word for bad input.
#![allow(clippy::unwrap_used)]

use ipfrs_testkit::{
    Daemon, LIMIT, Process, Repo, Rpc, Seed, bytes, cargo, daemon_binary, embedded, eventually, setting,
};
use std::path::{Path, PathBuf};

/// A CID whose content exists nowhere.
const UNKNOWN: &str = "QmZTB7Vstbqt6czznSUw32oCAffZbjYbfSd5wnBYjVJMRw";

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_what_it_says() {
    let seed = Seed::announce("the_command_line_does_what_it_says");
    let repo = Repo::empty();
    let init = repo.cli(&["init"]).await.ok();
    let again = repo.cli(&["init"]).await;
    again.failed();
    let daemon = repo.start().await;
    assert!(init.contains(daemon.id()), "init prints the peer id: {init}");

    let id: serde_json::Value = serde_json::from_str(&daemon.cli(&["id", "--enc=json"]).await.ok()).unwrap();
    assert_eq!(id["ID"], daemon.id());
    assert!(daemon.cli(&["id"]).await.ok().contains(daemon.id()));
    assert!(daemon.cli(&["version"]).await.ok().contains(env!("CARGO_PKG_VERSION")));
    assert!(daemon.cli(&["config", "show"]).await.ok().contains("[swarm]"));
    daemon.cli(&["stats", "bw"]).await.ok();
    daemon.cli(&["swarm", "addrs"]).await.ok();
    assert_eq!(daemon.cli(&["swarm", "peers"]).await.ok(), "", "nobody is connected");

    let data = bytes(seed.content(0), 700_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, &data).unwrap();
    let cid = daemon.cli(&["add", "-Q", &file.to_string_lossy()]).await.ok();
    assert!(cid.starts_with("Qm"), "the default is a version 0 CID: {cid}");
    assert!(daemon.cli(&["add", &file.to_string_lossy()]).await.ok().contains(&format!("added {cid} file")));
    assert!(daemon.cli(&["cat", &cid]).await.stdout == data);
    assert!(daemon.cli(&["cat", &format!("/ipfs/{cid}")]).await.stdout == data);
    let fetched = folder.path().join("fetched");
    daemon.cli(&["get", "-o", &fetched.to_string_lossy(), &cid]).await.ok();
    assert!(std::fs::read(&fetched).unwrap() == data);

    let block = daemon.cli(&["block", "get", &cid]).await.stdout;
    let raw = folder.path().join("block");
    std::fs::write(&raw, &block).unwrap();
    let put = daemon.cli(&["block", "put", &raw.to_string_lossy()]).await.ok();
    let stat = daemon.cli(&["block", "stat", &put]).await.ok();
    assert!(stat.contains(&put) && stat.contains(&block.len().to_string()), "{stat}");

    let tree = daemon.cli(&["actors", "tree"]).await.ok();
    for actor in ["swarm", "peerstore", "dht", "exchange"] {
        assert!(tree.contains(actor), "{actor} is missing in {tree}");
    }
    daemon.cli(&["actors", "kill", "dht", "--how", "panic"]).await.ok();
    eventually(LIMIT, "the killed actor is back", || async {
        let tree = daemon.actors().await;
        tree.iter().any(|a| a["name"] == "dht" && a["incarnation"] == 2 && a["state"] == "up").then_some(())
    })
    .await;
    daemon.cli(&["actors", "restart", "exchange"]).await.ok();

    let friend = embedded().await;
    let peer = friend.peer_id().to_string();
    let listen = friend.swarm().local_addrs().await.unwrap().listen;
    let addr = format!("{}/p2p/{peer}", listen.first().expect("an embedded node listens"));
    assert_eq!(daemon.cli(&["swarm", "connect", &addr]).await.ok(), format!("connect {peer} success"));
    assert!(daemon.cli(&["swarm", "peers"]).await.ok().contains(&peer));
    daemon.cli(&["ping", "-n", "2", &peer]).await.ok();
    daemon.cli(&["swarm", "disconnect", &format!("/p2p/{peer}")]).await.ok();
    eventually(LIMIT, "the peer is gone", || async {
        (!daemon.rpc().is_connected(&peer).await.unwrap()).then_some(())
    })
    .await;

    assert!(daemon.rpc().page("/healthz").await.is_ok());
    let metrics = daemon.rpc().page("/metrics").await.unwrap();
    for name in ["process_open_fds", "ipfrs_supervisor_panics_total", "libp2p_"] {
        assert!(metrics.contains(name), "{name} is missing on the metrics page");
    }
    daemon.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_daemon_has_its_identity_and_content() {
    let seed = Seed::announce("a_restarted_daemon_has_its_identity_and_content");
    let daemon = Daemon::start().await;
    let id = daemon.id().to_owned();
    let data = bytes(seed.content(0), 600_000);
    let cid = daemon.rpc().add(data.clone(), &[]).await.unwrap();
    let repo = daemon.shutdown().await;
    let daemon = repo.start().await;
    assert_eq!(daemon.id(), id);
    assert!(daemon.rpc().cat(&cid).await.unwrap() == data);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_limit_of_one_holds() {
    let repo = Repo::init().await.env(setting::MAX_CONNECTIONS, "1").env(setting::IDLE_TIMEOUT, "1h");
    let daemon = repo.start().await;
    let (first, second) = tokio::join!(embedded(), embedded());
    let tcp = daemon.addr("/tcp/").parse::<ipfrs_contract::Multiaddr>().unwrap();
    let quic = daemon.addr("/quic-v1").parse::<ipfrs_contract::Multiaddr>().unwrap();
    first.swarm().connect(tcp.clone()).await.unwrap();
    let one = || async { (daemon.rpc().connections().await.unwrap().len() == 1).then_some(()) };
    eventually(LIMIT, "the first peer is connected", one).await;

    // A dialler may see its connection for a moment before it is refused; it must not last.
    for addr in [tcp, quic] {
        let _ = second.swarm().connect(addr).await;
        eventually(LIMIT, "the second peer is refused", || async {
            second.swarm().connections().await.unwrap().is_empty().then_some(())
        })
        .await;
        let there = daemon.rpc().connections().await.unwrap();
        assert_eq!(there.len(), 1, "{there:?}");
        assert_eq!(there[0].0, first.peer_id().to_string(), "the first peer keeps its place");
    }
    let addr = second.swarm().local_addrs().await.unwrap().listen[0].clone();
    let refused = daemon.cli(&["swarm", "connect", &format!("{addr}/p2p/{}", second.peer_id())]).await;
    assert!(refused.failed().contains("limit"), "{}", refused.stderr);
}

/// One command that must fail, and what its error must name.
struct Bad {
    args: &'static [&'static str],
    names: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_error() {
    let daemon = Daemon::start().await;
    let cases = [
        Bad { args: &["--timeout=2s", "cat", UNKNOWN], names: "" },
        Bad { args: &["cat", "nonsense"], names: "nonsense" },
        Bad { args: &["block", "get", "--timeout=2s", UNKNOWN], names: "" },
        Bad { args: &["block", "get", "nonsense"], names: "nonsense" },
        Bad { args: &["swarm", "connect", "/ip4/nowhere"], names: "" },
        Bad {
            args: &[
                "swarm",
                "connect",
                "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
            ],
            names: "12D3",
        },
        Bad { args: &["swarm", "disconnect", "nonsense"], names: "nonsense" },
        Bad { args: &["ping", "--timeout=5s", "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"], names: "" },
        Bad { args: &["ping", "nonsense"], names: "nonsense" },
        Bad { args: &["routing", "findpeer", "nonsense"], names: "nonsense" },
        Bad { args: &["routing", "findprovs", "nonsense"], names: "nonsense" },
        Bad { args: &["routing", "provide", "nonsense"], names: "nonsense" },
        Bad { args: &["routing", "get", "nonsense"], names: "" },
        Bad { args: &["add", "/no/such/file"], names: "/no/such/file" },
        Bad { args: &["cat", "--no-such-flag", UNKNOWN], names: "--no-such-flag" },
        Bad { args: &["nonsense"], names: "nonsense" },
        Bad { args: &["id", "--enc=nonsense"], names: "nonsense" },
        Bad { args: &["id", "--timeout=nonsense"], names: "nonsense" },
        Bad { args: &["id", "--api=/ip4/127.0.0.1/tcp/1"], names: "127.0.0.1" },
        Bad { args: &["actors", "kill", "nobody", "--how", "panic"], names: "nobody" },
        Bad { args: &["actors", "kill", "dht", "--how", "gently"], names: "gently" },
    ];
    for Bad { args, names } in cases {
        let ran = daemon.cli(args).await;
        assert!(ran.failed().contains(names), "{} names {names:?}: {}", ran.call, ran.stderr);
        // Ping says whom it pings before it knows.
        assert!(
            args[0] == "ping" || ran.stdout.is_empty(),
            "{} prints beside its error: {:?}",
            ran.call,
            String::from_utf8_lossy(&ran.stdout)
        );
    }
    assert_eq!(daemon.panics().await, 0, "no input may reach as far as a panic");
    assert!(daemon.rpc().connections().await.unwrap().is_empty(), "none of this connected anybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_commands_say_so() {
    let repo = Repo::init().await;
    for args in [["swarm", "peers"], ["actors", "tree"], ["stats", "bw"]] {
        assert!(repo.cli(&args).await.failed().contains("daemon"), "{args:?}");
    }
    assert!(Repo::empty().cli(&["daemon"]).await.failed().contains("init"), "a daemon without a repo names init");
}

#[tokio::test(flavor = "multi_thread")]
async fn actors_are_killed_only_in_a_daemon_started_for_it() {
    let repo = Repo::init().await;
    let mut args = repo.daemon_args();
    args.retain(|a| a != "--chaos");
    let mut command = tokio::process::Command::new(daemon_binary());
    command.args(args).envs(repo.environment().iter().map(|(k, v)| (k, v)));
    let process = Process::start("ipfrs", command, &repo.log());
    process.wait_for("Daemon is ready").await;
    assert!(repo.cli(&["actors", "kill", "dht", "--how", "panic"]).await.failed().contains("--chaos"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named() {
    // Taken without SO_REUSEPORT, as by a program that is no libp2p node.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = (format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port()), taken);
    let said = refusal(&Repo::init().await.listen(&taken.0)).await;
    assert!(said.contains(&taken.0), "the TCP address is named: {said}");

    let daemon = Daemon::start().await;
    let quic = daemon.addr("/quic-v1").split("/p2p/").next().unwrap();
    let said = refusal(&Repo::init().await.listen(quic)).await;
    assert!(said.contains(quic), "the QUIC address is named: {said}");

    let api = daemon.api();
    let port = api.rsplit('/').next().unwrap();
    let other = Repo::init().await;
    let ran =
        other.cli(&["daemon", "--no-mdns", "--no-bootstrap", "--listen", "/ip4/127.0.0.1/tcp/0", "--api", &api]).await;
    assert!(ran.failed().contains(port), "the API address is named: {}", ran.stderr);
    assert!(daemon.rpc().id().await.is_ok(), "the daemon that was first goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_told_who_holds_the_repo() {
    let daemon = Daemon::start().await;
    let pid = daemon.process().pid().to_string();
    let refusal = refusal(daemon.repo()).await;
    assert!(refusal.contains(&pid), "process {pid} is named: {refusal}");
    assert!(daemon.cli(&["id"]).await.ok().contains(daemon.id()), "the api file is still the first daemon's");
}

/// What a daemon in `repo` says when it refuses to start.
async fn refusal(repo: &Repo) -> String {
    let args = repo.daemon_args();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    repo.cli(&args).await.failed().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_setting_is_refused_with_the_nearest_name() {
    let repo = Repo::init().await;
    let config = repo.path().join("config.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{good}\n[swarn]\nidle_timeout = \"1m\"\n")).unwrap();
    let said = refusal(&repo).await;
    assert!(said.contains("swarn") && said.contains("swarm"), "{said}");
    std::fs::write(&config, &good).unwrap();
    let repo = repo.env("IPFRS_SWARM__IDLE_TIMOUT", "1m");
    let said = refusal(&repo).await.to_lowercase();
    assert!(said.contains("idle_timout") && said.contains("idle_timeout"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_identity_stops_the_daemon_and_is_left_alone() {
    let repo = Repo::init().await;
    let key = repo.path().join("identity.key");
    std::fs::write(&key, b"this is no key").unwrap();
    assert!(refusal(&repo).await.contains("identity.key"));
    assert_eq!(std::fs::read(&key).unwrap(), b"this is no key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_peer_database_is_kept_aside_and_named() {
    let daemon = Daemon::start().await;
    let repo = daemon.shutdown().await;
    let garbage = bytes(1, 100_000);
    std::fs::write(repo.path().join("peers.redb"), &garbage).unwrap();
    let daemon = repo.start().await;
    let kept = find(repo.path(), |data| data == garbage);
    let [kept] = kept.as_slice() else { panic!("the broken database is not kept: {kept:?}") };
    let name = kept.file_name().unwrap().to_string_lossy().into_owned();
    assert!(daemon.process().log().contains(&name), "the log names {name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_block_is_kept_aside_and_named_and_never_served() {
    let seed = Seed::announce("a_broken_block_is_kept_aside_and_named_and_never_served");
    let daemon = Daemon::start().await;
    let data = bytes(seed.content(0), 100_000);
    let cid = daemon.rpc().add(data.clone(), &[("raw-leaves", "true")]).await.unwrap();
    let other = daemon.rpc().add(bytes(seed.content(1), 1_000), &[]).await.unwrap();
    let repo = daemon.shutdown().await;
    let files = find(&repo.path().join("blocks"), |block| block == data);
    let [block] = files.as_slice() else { panic!("the block lies in one file: {files:?}") };
    let mut broken = data.clone();
    broken[5_000] ^= 1;
    std::fs::write(block, &broken).unwrap();

    let daemon = repo.start().await;
    let ran = daemon.cli(&["--timeout=5s", "cat", &cid]).await;
    let said = format!("{}{}", ran.failed(), daemon.process().log());
    assert!(ran.stdout != broken, "a broken block was served");
    let kept = find(repo.path(), |file| file == broken);
    let [kept] = kept.as_slice() else { panic!("the broken block is not kept: {kept:?}") };
    assert!(said.contains(&*kept.file_name().unwrap().to_string_lossy()), "{} is not named in {said}", kept.display());
    assert!(daemon.rpc().cat(&other).await.is_ok(), "other content is still served");
    // The way out: the same content added again.
    assert_eq!(daemon.rpc().add(data.clone(), &[("raw-leaves", "true")]).await.unwrap(), cid);
    assert!(daemon.rpc().cat(&cid).await.unwrap() == data);
}

/// Files below `dir` whose content is the one looked for.
fn find(dir: &Path, wanted: impl Fn(&[u8]) -> bool) -> Vec<PathBuf> {
    let files = ipfrs_testkit::Tree::read(dir).0;
    files.into_iter().filter(|(_, data)| wanted(data)).map(|(path, _)| dir.join(path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_and_loses_nothing() {
    let seed = Seed::announce("a_full_disk_is_an_error_and_loses_nothing");
    let mount = |then: &str| {
        let script = format!("mount -t tmpfs -o size=16m tmpfs \"$IPFS_PATH\" && {then}");
        let mut command = tokio::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]).arg(script);
        command
    };
    let repo = Repo::empty();
    let environment = || repo.environment().iter().map(|(k, v)| (k, v));
    let possible = mount("true").envs(environment()).output().await;
    if !possible.is_ok_and(|o| o.status.success()) {
        use std::io::Write;
        let _ = std::io::stderr()
            .write_all(b"\nSKIPPED a_full_disk: no small file system can be mounted here (unshare, tmpfs)\n");
        return;
    }
    let binary = daemon_binary().display().to_string();
    let mut command = mount(&format!("\"{binary}\" init >&2 && exec \"{binary}\" \"$@\""));
    command.arg("sh").args(repo.daemon_args()).envs(environment());
    let process = Process::start("ipfrs", command, &repo.log());
    process.wait_for("Daemon is ready").await;
    // The small disk is seen only by the daemon's own mount namespace.
    let inside = format!("/proc/{}/root{}/api", process.pid(), repo.path().display());
    let rpc = Rpc::new(&std::fs::read_to_string(inside).unwrap());

    let first = bytes(seed.content(0), 1_000_000);
    let cid = rpc.add(first.clone(), &[]).await.unwrap();
    let error = rpc.add(bytes(seed.content(1), 30_000_000), &[]).await.unwrap_err();
    assert!(!error.is_silence(), "{error}");
    let said = format!("{error}{}", process.log()).to_lowercase();
    assert!(said.contains("no space left"), "the error names its cause: {said}");
    assert!(rpc.cat(&cid).await.unwrap() == first, "what was there before is still there");
    assert!(rpc.id().await.is_ok() && rpc.page("/healthz").await.is_ok(), "the daemon goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_refuses_other_origins_and_hosts() {
    let daemon = Daemon::start().await;
    let url = format!("{}/api/v0/id", daemon.rpc().base());
    let http = reqwest::Client::new();
    let status =
        async |header: &str, value: &str| http.post(&url).header(header, value).send().await.unwrap().status().as_u16();
    assert_eq!(status("Origin", "http://example.com").await, 403);
    assert_eq!(status("Host", "example.com").await, 403);
    assert_eq!(status("Accept", "application/json").await, 200);
    assert_eq!(http.get(&url).send().await.unwrap().status().as_u16(), 405, "a link cannot call the API");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_run() {
    for example in ["embed", "supervised"] {
        let mut call =
            tokio::process::Command::from(cargo(&["run", "-q", "-p", "ipfrs-examples", "--example", example]));
        call.kill_on_drop(true);
        let output = ipfrs_testkit::within(LIMIT * 5, example, call.output()).await.unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{example}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
        let expected = if example == "embed" { "Qm" } else { "incarnation 2" };
        assert!(stdout.contains(expected), "{example} prints {expected:?}: {stdout}");
    }
}
