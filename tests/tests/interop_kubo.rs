//! Beside real Kubo: connections, content found through the DHT alone, directories, the same CIDs, provider records,
//! and Kubo's own command line against our daemon.
#![allow(clippy::unwrap_used)]

use ipfrs_testkit::{
    AWKWARD_SIZES, Daemon, Kubo, KuboOptions, LIMIT, Repo, Rpc, Seed, Tree, bytes, eventually, kubo_or_skip, setting,
};

/// The size of the files that are found through the DHT.
const BULK: usize = 50_000_000;
/// Connections that a Kubo has seen closing.
const CLOSED: &str = "libp2p_swarm_connections_closed_total";

/// Waits until both sides have a connection with each other, and says over which address ours sees it.
async fn connected(ours: &Daemon, kubo: &Kubo) -> String {
    eventually(LIMIT, "Kubo lists our daemon", || async {
        kubo.rpc().is_connected(ours.id()).await.unwrap().then_some(())
    })
    .await;
    let mine = || async { ours.rpc().connections().await.unwrap().into_iter().find(|(peer, _)| peer == kubo.id()) };
    eventually(LIMIT, "our daemon lists Kubo", mine).await.1
}

async fn never_met(a: &Rpc, a_id: &str, b: &Rpc, b_id: &str) {
    assert!(
        !a.is_connected(b_id).await.unwrap() && !b.is_connected(a_id).await.unwrap(),
        "{a_id} and {b_id} have met already"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connects_over_quic_and_tcp_in_both_directions() {
    let Some(binary) = kubo_or_skip("connects_over_quic_and_tcp_in_both_directions") else { return };
    for transport in ["/tcp/", "/quic-v1"] {
        for we_dial in [true, false] {
            // A fresh pair each time: a peer that knows other addresses of us would choose the transport by itself.
            let (ours, kubo) = tokio::join!(Daemon::start(), Kubo::server(binary));
            let dialled = if we_dial {
                ours.rpc().connect(kubo.addr(transport)).await
            } else {
                kubo.rpc().connect(ours.addr(transport)).await
            };
            dialled.unwrap_or_else(|e| panic!("{transport}, we dial: {we_dial}: {e}"));
            let addr = connected(&ours, &kubo).await;
            assert!(format!("{addr}/").contains(transport), "connected over {addr} instead of {transport}");

            // Kubo may dial back at once, when the connection went in the middle of its own questions to us.
            let closed = kubo.metric(CLOSED).await;
            ours.rpc().disconnect(kubo.id()).await.unwrap();
            eventually(LIMIT, "the connection is closed at Kubo", || async {
                (kubo.metric(CLOSED).await > closed).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_from_a_kubo_that_only_the_dht_knows() {
    let Some(binary) = kubo_or_skip("fetches_from_a_kubo_that_only_the_dht_knows") else { return };
    let seed = Seed::announce("fetches_from_a_kubo_that_only_the_dht_knows");
    // The provider is a DHT client and the fetcher joins after the provide: otherwise they meet in the routing table.
    let (hub, provider) = tokio::join!(Kubo::server(binary), Kubo::client(binary));
    provider.rpc().connect(hub.addr("/tcp/")).await.unwrap();
    let data = bytes(seed.content(1), BULK);
    let cid = provider.rpc().add(data.clone(), &[]).await.unwrap();
    provided(provider.rpc(), &cid).await;
    record_at(&hub, &cid, provider.id()).await;

    let ours = Daemon::start().await;
    ours.rpc().connect(hub.addr("/quic-v1")).await.unwrap();
    connected(&ours, &hub).await;
    never_met(ours.rpc(), ours.id(), provider.rpc(), provider.id()).await;

    let fetched = ours.cli(&["cat", &cid]).await;
    fetched.ok();
    assert!(fetched.stdout == data, "the file differs: {} bytes of {}", fetched.stdout.len(), data.len());
    assert!(ours.rpc().is_connected(provider.id()).await.unwrap(), "it came from somebody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_a_kubo_that_learned_of_us_through_the_dht_alone() {
    let Some(binary) = kubo_or_skip("serves_a_kubo_that_learned_of_us_through_the_dht_alone") else { return };
    let seed = Seed::announce("serves_a_kubo_that_learned_of_us_through_the_dht_alone");
    let repo = Repo::init().await.env(setting::DHT_MODE, "client");
    let (hub, ours) = tokio::join!(Kubo::server(binary), repo.start());
    ours.rpc().connect(hub.addr("/quic-v1")).await.unwrap();
    connected(&ours, &hub).await;
    let data = bytes(seed.content(2), BULK);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &data).unwrap();
    let cid = ours.cli(&["add", "-Q", &file.path().to_string_lossy()]).await.ok();
    record_at(&hub, &cid, ours.id()).await;

    let fetcher = Kubo::server(binary).await;
    fetcher.rpc().connect(hub.addr("/tcp/")).await.unwrap();
    never_met(fetcher.rpc(), fetcher.id(), ours.rpc(), ours.id()).await;
    let fetched = fetcher.rpc().cat(&cid).await.unwrap();
    assert!(fetched == data, "the file differs: {} bytes of {}", fetched.len(), data.len());
    assert!(fetcher.rpc().is_connected(ours.id()).await.unwrap(), "it came from somebody else");
}

/// Announces `cid` at a daemon; right after a connect its routing table may still be empty, which is an error.
async fn provided(rpc: &Rpc, cid: &str) {
    eventually(LIMIT, "the content is announced", || async { rpc.provide(cid).await.ok() }).await;
}

/// Waits until `hub` hands out `provider` for `cid`.
async fn record_at(hub: &Kubo, cid: &str, provider: &str) {
    eventually(LIMIT, "the provider record is at the hub", || async {
        let found = hub.rpc().find_providers(cid, 1).await.unwrap();
        found.iter().any(|p| p == provider).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn provider_records_are_found_both_ways() {
    let Some(binary) = kubo_or_skip("provider_records_are_found_both_ways") else { return };
    let seed = Seed::announce("provider_records_are_found_both_ways");
    let (hub, kubo, ours) = tokio::join!(Kubo::server(binary), Kubo::client(binary), Daemon::start());
    kubo.rpc().connect(hub.addr("/tcp/")).await.unwrap();
    ours.rpc().connect(hub.addr("/tcp/")).await.unwrap();
    connected(&ours, &hub).await;

    let theirs = kubo.rpc().add(bytes(seed.content(3), 100), &[]).await.unwrap();
    provided(kubo.rpc(), &theirs).await;
    eventually(LIMIT, "we find Kubo's record", || async {
        let found = ours.cli(&["routing", "findprovs", &theirs]).await;
        (found.code == 0 && String::from_utf8_lossy(&found.stdout).contains(kubo.id())).then_some(())
    })
    .await;

    let mine = ours.rpc().add(bytes(seed.content(4), 100), &[]).await.unwrap();
    provided(ours.rpc(), &mine).await;
    ours.cli(&["routing", "provide", &mine]).await.ok();
    record_at(&hub, &mine, ours.id()).await;
    eventually(LIMIT, "a Kubo that does not hold the record finds ours", || async {
        kubo.rpc().find_providers(&mine, 1).await.unwrap().iter().any(|p| p == ours.id()).then_some(())
    })
    .await;
    let found = kubo.cli(&["routing", "findpeer", ours.id()]).await.ok();
    assert!(found.contains("/tcp/") && found.contains("/quic-v1"), "Kubo knows our addresses as {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn adds_under_the_same_cids_as_kubo() {
    let Some(binary) = kubo_or_skip("adds_under_the_same_cids_as_kubo") else { return };
    let with = |profile| KuboOptions { profiles: vec![profile], ..KuboOptions::default() };
    let (ours, plain, v0, v1) = tokio::join!(
        Daemon::start(),
        Kubo::server(binary),
        Kubo::start(binary, with("unixfs-v0-2015")),
        Kubo::start(binary, with("unixfs-v1-2025")),
    );
    let cases: [(&Kubo, &str, &str); 5] = [
        (&plain, "", ""),
        (&plain, "cid-version", "1"),
        (&plain, "raw-leaves", "true"),
        (&v0, "profile", "unixfs-v0-2015"),
        (&v1, "profile", "unixfs-v1-2025"),
    ];
    let mut wrong = Vec::new();
    for (n, size) in AWKWARD_SIZES.into_iter().enumerate() {
        let data = bytes(n as u64, size);
        for (kubo, key, value) in cases {
            let options: Vec<(&str, &str)> = if key.is_empty() { Vec::new() } else { vec![(key, value)] };
            // A profile is a flag of ours and a part of Kubo's configuration.
            let mut theirs: Vec<(&str, &str)> = options.iter().copied().filter(|(key, _)| *key != "profile").collect();
            theirs.push(("only-hash", "true"));
            let expected = kubo.rpc().add(data.clone(), &theirs).await.unwrap();
            let found = ours.rpc().add(data.clone(), &options).await.unwrap();
            if found != expected {
                wrong.push(format!("{size} bytes, {key}={value}: {found}, Kubo {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} CIDs differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_go_both_ways_under_the_same_cid() {
    let Some(binary) = kubo_or_skip("directories_go_both_ways_under_the_same_cid") else { return };
    let seed = Seed::announce("directories_go_both_ways_under_the_same_cid");
    let (ours, kubo) = tokio::join!(Daemon::start(), Kubo::server(binary));
    ours.rpc().connect(kubo.addr("/quic-v1")).await.unwrap();
    connected(&ours, &kubo).await;
    let place = tempfile::tempdir().unwrap();
    let folder = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    // Content that the other side cannot have yet: each direction has its own trees.
    for (n, make) in [Tree::nested, Tree::wide].into_iter().enumerate() {
        for version in ["0", "1"] {
            let part = 10 * (n as u64 + 1) + version.parse::<u64>().unwrap();
            let flag = format!("--cid-version={version}");
            for (way, kubo_adds) in [("there", true), ("back", false)] {
                let tree = make(seed.content(part * 1_000_000 + u64::from(kubo_adds) * 100_000));
                let source = folder(&format!("{part}-{way}"));
                tree.write(source.as_ref());
                let target = folder(&format!("{part}-{way}-fetched"));
                let add = ["add", "-r", "-Q", flag.as_str(), source.as_str()];
                let hash = ["add", "-r", "-Q", "--only-hash", flag.as_str(), source.as_str()];
                let cid = if kubo_adds {
                    let cid = kubo.cli(&add).await.ok();
                    ours.cli(&["get", "-o", &target, &cid]).await.ok();
                    assert_eq!(ours.cli(&add).await.ok(), cid, "{source}");
                    cid
                } else {
                    let cid = ours.cli(&add).await.ok();
                    assert_eq!(kubo.cli(&hash).await.ok(), cid, "{source}");
                    kubo.cli(&["get", "-o", &target, &cid]).await.ok();
                    cid
                };
                assert!(Tree::read(target.as_ref()) == tree, "{cid} differs after it went {way}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubos_own_command_line_drives_our_daemon() {
    let Some(binary) = kubo_or_skip("kubos_own_command_line_drives_our_daemon") else { return };
    let seed = Seed::announce("kubos_own_command_line_drives_our_daemon");
    let (ours, kubo) = tokio::join!(Daemon::start(), Kubo::server(binary));
    ours.rpc().connect(kubo.addr("/tcp/")).await.unwrap();
    connected(&ours, &kubo).await;
    let api = ours.api();
    let drive = async |args: &[&str]| Kubo::drive(binary, &api, args).await;

    let id: serde_json::Value = serde_json::from_str(&drive(&["id"]).await.ok()).unwrap();
    assert_eq!(id["ID"], ours.id());
    assert!(id["AgentVersion"].as_str().unwrap().starts_with("ipfrs/"), "{id}");

    let data = bytes(seed.content(5), 1_000_000);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &data).unwrap();
    let cid = drive(&["add", "-Q", &file.path().to_string_lossy()]).await.ok();
    assert_eq!(cid, kubo.rpc().add(data.clone(), &[("only-hash", "true")]).await.unwrap());
    assert!(drive(&["cat", &cid]).await.stdout == data, "cat gives something else");
    let part = drive(&["cat", "--offset=500000", "--length=1000", &cid]).await;
    assert!(part.stdout == data[500_000..501_000], "a part of the file is another part");

    let tree = Tree::nested(seed.content(6));
    let folder = tempfile::tempdir().unwrap();
    tree.write(folder.path());
    let root = drive(&["add", "-r", "-Q", &folder.path().to_string_lossy()]).await.ok();
    let hash = kubo.cli(&["add", "-r", "-Q", "--only-hash", &folder.path().to_string_lossy()]).await.ok();
    assert_eq!(root, hash);

    let peers = drive(&["swarm", "peers"]).await.ok();
    assert!(peers.contains(kubo.id()), "{peers}");
    let block = drive(&["block", "get", &cid]).await;
    assert_eq!(block.stdout, kubo.cli(&["block", "get", &cid]).await.stdout);
    let stat = drive(&["block", "stat", &cid]).await.ok();
    assert!(stat.contains(&cid) && stat.contains(&block.stdout.len().to_string()), "{stat}");
    provided(ours.rpc(), &cid).await;
    drive(&["routing", "provide", &cid]).await.ok();
    let providers = drive(&["routing", "findprovs", &cid]).await.ok();
    assert!(providers.contains(ours.id()), "{providers}");

    let missing = drive(&["cat", "/ipfs/notacid"]).await;
    assert!(missing.failed().starts_with("Error:"), "{}", missing.stderr);
}
