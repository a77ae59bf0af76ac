//! Tests of the peer database, on real files.

use super::*;
use ipfrs_contract::peerstore::KnownPeer;

fn record(seen: u64) -> Record {
    let peer = PeerId::random();
    let known =
        KnownPeer { last_seen: seen, addrs: vec!["/ip4/1.2.3.4/tcp/4001".parse().unwrap()], ..Record::new(peer).known };
    Record { known, heard: seen }
}

fn some(records: &[Record]) -> Batch {
    Batch::Some(records.iter().map(|record| (record.known.peer, Some(record.clone()))).collect())
}

#[test]
fn what_was_written_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.redb");
    let [kept, gone] = [record(1), record(2)];
    let banned = PeerId::random();
    {
        let opened = Storage::open(&path).unwrap();
        assert_eq!(opened.set_aside, None);
        let storage = opened.storage;
        storage.write(&some(&[kept.clone(), gone.clone()])).unwrap();
        storage.write(&Batch::Some(HashMap::from([(gone.known.peer, None)]))).unwrap();
        storage.set_banned(&banned, true).unwrap();
        storage.set_banned(&kept.known.peer, true).unwrap();
        storage.set_banned(&kept.known.peer, false).unwrap();
        storage.set_protected(&kept.known.peer, true).unwrap();
    }
    let stored = Storage::open(&path).unwrap().storage.load().unwrap();
    assert_eq!(stored.records, std::slice::from_ref(&kept));
    assert_eq!(stored.banned, HashSet::from([banned]));
    assert_eq!(stored.protected, HashSet::from([kept.known.peer]));
}

#[test]
fn a_whole_batch_replaces_what_was_there() {
    let storage = Storage::in_memory().unwrap();
    storage.write(&some(&[record(1), record(2)])).unwrap();
    let only = record(3);
    storage.write(&Batch::All(vec![only.clone()])).unwrap();
    assert_eq!(storage.load().unwrap().records, [only]);
}

#[test]
fn a_database_in_use_is_refused_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.redb");
    let _open = Storage::open(&path).unwrap();
    let error = Storage::open(&path).unwrap_err().to_string();
    assert!(error.contains("peers.redb"), "{error}");
    assert!(path.exists());
}

#[test]
fn damage_is_set_aside_and_never_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.redb");
    for n in 1..=3 {
        std::fs::write(&path, [b'x'; 5000]).unwrap();
        let opened = Storage::open(&path).unwrap();
        let aside = opened.set_aside.expect("damaged");
        assert_eq!(aside.file_name().unwrap().to_string_lossy(), format!("peers.redb.corrupt-{n}"));
        assert_eq!(std::fs::read(&aside).unwrap(), [b'x'; 5000]);
        opened.storage.write(&some(&[record(1)])).unwrap();
    }
}

/// Whatever happens to the bytes, an open ends with a database that works, and the damaged file is still there.
#[test]
fn no_damage_stops_an_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.redb");
    let records: Vec<_> = (0..50).map(record).collect();
    Storage::open(&path).unwrap().storage.write(&some(&records)).unwrap();
    let good = std::fs::read(&path).unwrap();
    let cut = good[..good.len() / 2].to_vec();
    let mut scrambled = good.clone();
    scrambled[good.len() / 3..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    for bad in [cut, scrambled] {
        std::fs::write(&path, &bad).unwrap();
        let opened = Storage::open(&path).unwrap();
        if let Some(aside) = &opened.set_aside {
            assert!(aside.exists());
        }
        opened.storage.write(&some(&records)).unwrap();
        assert_eq!(opened.storage.load().unwrap().records.len(), records.len());
        drop(opened);
    }
}
