//! Which records are believed: public keys under `/pk/` and IPNS records under `/ipns/`, nothing else.

use crate::ipns::{self, Rank};
use ipfrs_contract::dht::{DhtError, MAX_KEY_BYTES, MAX_VALUE_BYTES};
use ipfrs_contract::{Cid, PeerId, PublicKey};
use std::time::SystemTime;

const PK: &[u8] = b"/pk/";
const IPNS: &[u8] = b"/ipns/";
/// Multicodec of a CID that names a key.
const LIBP2P_KEY: u64 = 0x72;

/// Why a record is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The key is not one of the two kinds.
    #[error("{0}")]
    Key(String),
    /// The value does not belong under the key.
    #[error("{0}")]
    Value(String),
}

impl From<RecordError> for DhtError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Key(why) => DhtError::BadInput { field: "key", why },
            RecordError::Value(why) => DhtError::BadInput { field: "value", why },
        }
    }
}

/// Checks a record as it travels between peers, at the time `now`. For the swarm, which stores records for others.
pub fn validate_record(key: &[u8], value: &[u8], now: SystemTime) -> Result<(), RecordError> {
    let key = RecordKey::parse(key, |name| PeerId::from_bytes(name).ok())?;
    key.check(value, now).map(|_| ())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Namespace {
    Pk,
    Ipns,
}

/// The key of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordKey {
    namespace: Namespace,
    peer: PeerId,
}

/// What a valid value is worth against another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// There is only one valid value.
    Only,
    Ipns(Rank),
}

impl RecordKey {
    /// Reads a key as people write it, with the name as text, or as it travels, with the name as bytes.
    pub(crate) fn from_caller(key: &[u8]) -> Result<Self, RecordError> {
        Self::parse(key, |name| PeerId::from_bytes(name).ok().or_else(|| from_text(std::str::from_utf8(name).ok()?)))
    }

    fn parse(key: &[u8], name: impl FnOnce(&[u8]) -> Option<PeerId>) -> Result<Self, RecordError> {
        if key.len() > MAX_KEY_BYTES {
            return Err(RecordError::Key(format!(
                "{} bytes are more than the {MAX_KEY_BYTES} a key may have",
                key.len()
            )));
        }
        let (namespace, rest) = if let Some(rest) = key.strip_prefix(PK) {
            (Namespace::Pk, rest)
        } else if let Some(rest) = key.strip_prefix(IPNS) {
            (Namespace::Ipns, rest)
        } else {
            let shown = String::from_utf8_lossy(key);
            return Err(RecordError::Key(format!("{shown:?} is neither /pk/<peer> nor /ipns/<name>")));
        };
        let bad = || RecordError::Key(format!("{:?} is not a peer id", String::from_utf8_lossy(rest)));
        Ok(RecordKey { namespace, peer: name(rest).ok_or_else(bad)? })
    }

    /// The key as it travels.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let prefix = match self.namespace {
            Namespace::Pk => PK,
            Namespace::Ipns => IPNS,
        };
        [prefix, &self.peer.to_bytes()].concat()
    }

    /// Checks a value under this key.
    pub(crate) fn check(&self, value: &[u8], now: SystemTime) -> Result<Worth, RecordError> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(RecordError::Value(format!(
                "{} bytes are more than the {MAX_VALUE_BYTES} a record may have",
                value.len()
            )));
        }
        match self.namespace {
            Namespace::Ipns => {
                let rank = ipns::check(&self.peer, value, now).map_err(|why| RecordError::Value(why.to_owned()))?;
                Ok(Worth::Ipns(rank))
            }
            Namespace::Pk => {
                let key = PublicKey::try_decode_protobuf(value)
                    .map_err(|e| RecordError::Value(format!("not a public key: {e}")))?;
                if key.to_peer_id() == self.peer {
                    Ok(Worth::Only)
                } else {
                    Err(RecordError::Value("the public key belongs to another peer".to_owned()))
                }
            }
        }
    }

    /// The value, when the key itself spells it out.
    pub(crate) fn inline(&self) -> Option<Vec<u8>> {
        let key = ipns::inlined_key(&self.peer).filter(|_| self.namespace == Namespace::Pk)?;
        Some(key.encode_protobuf())
    }
}

/// A name as text: a peer id (`12D3…`, `Qm…`) or the CID of a key (`k51…`).
fn from_text(text: &str) -> Option<PeerId> {
    text.parse().ok().or_else(|| {
        let cid = Cid::try_from(text).ok().filter(|cid| cid.codec() == LIBP2P_KEY)?;
        PeerId::from_multihash(*cid.hash()).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipfrs_contract::{Keypair, Multihash};
    use std::time::UNIX_EPOCH;

    #[test]
    fn keys_are_understood_as_bytes_and_as_text() {
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let travelling = [b"/ipns/", &peer.to_bytes()[..]].concat();
        let cid = Cid::new_v1(LIBP2P_KEY, Multihash::from(peer));
        for key in [travelling.clone(), format!("/ipns/{peer}").into_bytes(), format!("/ipns/{cid}").into_bytes()] {
            assert_eq!(RecordKey::from_caller(&key).unwrap().to_bytes(), travelling);
        }
        let text = format!("/pk/{peer}").into_bytes();
        let error = validate_record(&text, b"", UNIX_EPOCH).unwrap_err();
        assert!(matches!(error, RecordError::Key(_)), "between peers only bytes are a name");
    }

    #[test]
    fn other_namespaces_are_refused_by_the_name_of_the_argument() {
        for key in [&b""[..], b"/", b"/pk", b"/v/hello", b"/ipns/", b"/pk/\xff\xff", &[b'/'; 81]] {
            let error = DhtError::from(RecordKey::from_caller(key).unwrap_err());
            assert!(matches!(error, DhtError::BadInput { field: "key", .. }), "{error}");
        }
        let error = RecordKey::from_caller(b"/v/hello").unwrap_err().to_string();
        assert_eq!(error, "\"/v/hello\" is neither /pk/<peer> nor /ipns/<name>");
    }

    #[test]
    fn a_public_key_is_valid_under_its_own_peer_only() {
        let (ours, theirs) = (Keypair::generate_ecdsa().public(), Keypair::generate_ecdsa().public());
        let key = [PK, &ours.to_peer_id().to_bytes()].concat();
        assert_eq!(validate_record(&key, &ours.encode_protobuf(), UNIX_EPOCH), Ok(()));
        assert!(matches!(validate_record(&key, &theirs.encode_protobuf(), UNIX_EPOCH), Err(RecordError::Value(_))));
        assert!(matches!(validate_record(&key, &[7; MAX_VALUE_BYTES + 1], UNIX_EPOCH), Err(RecordError::Value(_))));
        assert_eq!(RecordKey::from_caller(&key).unwrap().inline(), None);
        let short = Keypair::generate_ed25519().public();
        let key = [PK, &short.to_peer_id().to_bytes()].concat();
        assert_eq!(RecordKey::from_caller(&key).unwrap().inline(), Some(short.encode_protobuf()));
    }
}
