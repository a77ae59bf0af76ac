//! Tests of IPNS records, made here the way the specification says.

use super::*;
use ipfrs_contract::Keypair;
use std::time::{Duration, UNIX_EPOCH};

/// 2030-01-01T00:00:00Z
const END: &str = "2030-01-01T00:00:00.000000001Z";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn text(out: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    assert!(bytes.len() < 256);
    out.extend([(major << 5) | 24, bytes.len() as u8]);
    out.extend(bytes);
}

fn data(value: &[u8], end: &str, sequence: u8) -> Vec<u8> {
    let mut out = vec![0xa5];
    text(&mut out, 3, b"TTL");
    out.extend([0x1a, 0, 0, 0, 9]);
    text(&mut out, 3, b"Value");
    text(&mut out, 2, value);
    text(&mut out, 3, b"Sequence");
    out.extend([0x18, sequence]);
    text(&mut out, 3, b"Validity");
    text(&mut out, 2, end.as_bytes());
    text(&mut out, 3, b"ValidityType");
    out.push(0);
    out
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push((number << 3) | 2);
    let mut length = bytes.len();
    while length > 127 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
}

fn sealed(key: &Keypair, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    field(&mut out, 8, &key.sign(&[SIGNED_PREFIX, data].concat()).unwrap());
    field(&mut out, 9, data);
    out
}

#[test]
fn a_signed_record_is_valid_under_its_own_name_only() {
    let key = Keypair::generate_ed25519();
    let record = sealed(&key, &data(b"/ipfs/x", END, 7));
    let peer = key.public().to_peer_id();
    let rank = check(&peer, &record, now()).unwrap();
    assert_eq!(rank.sequence, 7);
    assert!(rank < check(&peer, &sealed(&key, &data(b"/ipfs/y", END, 8)), now()).unwrap());
    assert_eq!(check(&PeerId::random(), &record, now()), Err("no public key"));
    let other = Keypair::generate_ed25519().public().to_peer_id();
    assert_eq!(check(&other, &record, now()), Err("the signature does not fit"));
    assert_eq!(check(&peer, &record, rank.end), Err("the record has expired"));
}

#[test]
fn a_key_too_long_for_its_name_travels_in_the_record() {
    let key = Keypair::generate_ecdsa();
    let peer = key.public().to_peer_id();
    let mut record = sealed(&key, &data(b"/ipfs/x", END, 1));
    assert_eq!(check(&peer, &record, now()), Err("no public key"));
    field(&mut record, 7, &key.public().encode_protobuf());
    check(&peer, &record, now()).unwrap();
    field(&mut record, 7, &Keypair::generate_ecdsa().public().encode_protobuf());
    assert_eq!(check(&peer, &record, now()), Err("the public key belongs to another name"));
}

#[test]
fn unsigned_fields_must_agree() {
    let key = Keypair::generate_ed25519();
    let peer = key.public().to_peer_id();
    let mut record = sealed(&key, &data(b"/ipfs/x", END, 7));
    field(&mut record, 1, b"/ipfs/x");
    field(&mut record, 4, END.as_bytes());
    record.extend([5 << 3, 7, 6 << 3, 9]);
    check(&peer, &record, now()).unwrap();
    field(&mut record, 1, b"/ipfs/z");
    assert_eq!(check(&peer, &record, now()), Err("the unsigned fields differ from the signed ones"));
}

#[test]
fn damage_is_refused_without_a_panic() {
    let key = Keypair::generate_ed25519();
    let peer = key.public().to_peer_id();
    let record = sealed(&key, &data(b"/ipfs/x", END, 7));
    for n in 0..record.len() {
        assert!(check(&peer, &record[..n], now()).is_err());
        for bit in 0..8 {
            let mut bad = record.clone();
            bad[n] ^= 1 << bit;
            assert!(check(&peer, &bad, now()).is_err(), "byte {n} bit {bit}");
        }
    }
    for end in ["", "soon", "2030-99-99T00:00:00Z"] {
        assert!(check(&peer, &sealed(&key, &data(b"/ipfs/x", end, 7)), now()).is_err());
    }
    assert!(check(&peer, &sealed(&key, b"\xa0"), now()).is_err());
}
