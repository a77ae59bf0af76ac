//! IPNS records: signature, consistency, validity (IPNS specification, "Record Verification").

use crate::cbor::{self, Value};
use ipfrs_contract::{Multihash, PeerId, PublicKey};
use std::time::SystemTime;

/// What precedes the signed data.
const SIGNED_PREFIX: &[u8] = b"ipns-signature:";
/// The only kind of validity: until a point in time.
const END_OF_LIFE: u64 = 0;
/// Multihash code of a key that is its own name.
const IDENTITY: u64 = 0;

/// What decides between two valid records: the higher sequence, then the later end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    sequence: u64,
    end: SystemTime,
}

/// The fields of the protobuf envelope.
#[derive(Debug, Default, PartialEq, Eq)]
struct Envelope<'a> {
    value: Option<&'a [u8]>,
    signature_v1: Option<&'a [u8]>,
    validity_type: Option<u64>,
    validity: Option<&'a [u8]>,
    sequence: Option<u64>,
    ttl: Option<u64>,
    public_key: Option<&'a [u8]>,
    signature_v2: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
}

/// Checks a record under the name of `peer`. The size was checked before.
pub(crate) fn check(peer: &PeerId, record: &[u8], now: SystemTime) -> Result<Rank, &'static str> {
    let envelope = envelope(record).ok_or("not an IPNS record")?;
    let data = envelope.data.filter(|data| !data.is_empty()).ok_or("no signed data (V1 records are not accepted)")?;
    let signature = envelope.signature_v2.filter(|s| !s.is_empty()).ok_or("no V2 signature")?;
    let key = public_key(peer, envelope.public_key)?;
    if !key.verify(&[SIGNED_PREFIX, data].concat(), signature) {
        return Err("the signature does not fit");
    }
    let entries = cbor::map(data).ok_or("the signed data is not a DAG-CBOR map")?;
    let find = |name: &str| entries.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let bytes = |name: &str| if let Some(Value::Bytes(bytes)) = find(name) { Some(bytes) } else { None };
    let number = |name: &str| if let Some(Value::Unsigned(number)) = find(name) { Some(number) } else { None };
    let value = bytes("Value").ok_or("the signed data has no Value")?;
    let validity = bytes("Validity").ok_or("the signed data has no Validity")?;
    let kind = number("ValidityType").ok_or("the signed data has no ValidityType")?;
    let sequence = number("Sequence").ok_or("the signed data has no Sequence")?;
    let ttl = number("TTL");
    let has_v1 = envelope.value.is_some_and(|v| !v.is_empty()) || envelope.signature_v1.is_some_and(|s| !s.is_empty());
    let same = envelope.value == Some(value)
        && envelope.validity == Some(validity)
        && envelope.validity_type.unwrap_or(END_OF_LIFE) == kind
        && envelope.sequence.unwrap_or(0) == sequence
        && envelope.ttl.unwrap_or(0) == ttl.unwrap_or(0);
    if has_v1 && !same {
        return Err("the unsigned fields differ from the signed ones");
    }
    if kind != END_OF_LIFE {
        return Err("the kind of validity is unknown");
    }
    let end = std::str::from_utf8(validity).ok().and_then(|text| humantime::parse_rfc3339(text).ok());
    let end = end.ok_or("the end of validity is not a date")?;
    if end <= now {
        return Err("the record has expired");
    }
    Ok(Rank { sequence, end })
}

/// The key behind a name: in the name itself when it is short, in the record otherwise.
fn public_key(peer: &PeerId, sent: Option<&[u8]>) -> Result<PublicKey, &'static str> {
    let key = match sent.filter(|key| !key.is_empty()) {
        Some(bytes) => PublicKey::try_decode_protobuf(bytes).map_err(|_| "the public key cannot be read")?,
        None => inlined_key(peer).ok_or("no public key")?,
    };
    if key.to_peer_id() == *peer { Ok(key) } else { Err("the public key belongs to another name") }
}

/// The public key that a peer id spells out.
pub(crate) fn inlined_key(peer: &PeerId) -> Option<PublicKey> {
    let hash: &Multihash = peer.as_ref();
    (hash.code() == IDENTITY).then(|| PublicKey::try_decode_protobuf(hash.digest()).ok()).flatten()
}

/// Reads the protobuf envelope; unknown fields are skipped.
fn envelope(mut rest: &[u8]) -> Option<Envelope<'_>> {
    let mut envelope = Envelope::default();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match tag & 7 {
            0 => {
                let number = varint(&mut rest)?;
                match tag >> 3 {
                    3 => envelope.validity_type = Some(number),
                    5 => envelope.sequence = Some(number),
                    6 => envelope.ttl = Some(number),
                    _ => {}
                }
            }
            2 => {
                let length = varint(&mut rest)?;
                let bytes = take(&mut rest, length)?;
                match tag >> 3 {
                    1 => envelope.value = Some(bytes),
                    2 => envelope.signature_v1 = Some(bytes),
                    4 => envelope.validity = Some(bytes),
                    7 => envelope.public_key = Some(bytes),
                    8 => envelope.signature_v2 = Some(bytes),
                    9 => envelope.data = Some(bytes),
                    _ => {}
                }
            }
            1 => {
                take(&mut rest, 8)?;
            }
            5 => {
                take(&mut rest, 4)?;
            }
            _ => return None,
        }
    }
    Some(envelope)
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
#[path = "ipns_tests.rs"]
mod tests;
