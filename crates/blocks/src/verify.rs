//! Checks blocks against their CIDs.

use cid::Cid;
use multihash::Multihash;
use sha2::{Digest, Sha256, Sha512};

/// Multicodec of raw blocks.
pub const RAW: u64 = 0x55;
/// Multicodec of dag-pb blocks.
pub const DAG_PB: u64 = 0x70;
/// Multihash code of SHA2-256.
pub const SHA2_256: u64 = 0x12;
const SHA2_512: u64 = 0x13;
const IDENTITY: u64 = 0x00;

/// A block is not what its CID says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bytes have another hash.
    #[error("block does not match its CID {0}")]
    Mismatch(Cid),
    /// The hash function is not one this node computes.
    #[error("CID {cid} uses hash function {code:#x}, known are identity, sha2-256 and sha2-512")]
    UnknownHash {
        /// Whose.
        cid: Cid,
        /// Its multihash code.
        code: u64,
    },
}

/// Whether `data` is the block that `cid` names.
pub fn verify(cid: &Cid, data: &[u8]) -> Result<(), VerifyError> {
    let expected = cid.hash().digest();
    let same = match cid.hash().code() {
        SHA2_256 => Sha256::digest(data)[..] == *expected,
        SHA2_512 => Sha512::digest(data)[..] == *expected,
        IDENTITY => data == expected,
        code => return Err(VerifyError::UnknownHash { cid: *cid, code }),
    };
    if same { Ok(()) } else { Err(VerifyError::Mismatch(*cid)) }
}

/// The CID of a block under SHA2-256; version 0 for dag-pb when asked for.
pub fn cid_of(version: u64, codec: u64, data: &[u8]) -> Cid {
    let hash = Multihash::wrap(SHA2_256, &Sha256::digest(data)).expect("32 bytes fit a multihash");
    if version == 0 && codec == DAG_PB {
        Cid::new_v0(hash).expect("SHA2-256 is the hash of version 0")
    } else {
        Cid::new_v1(codec, hash)
    }
}

/// The block inside an identity CID.
pub(crate) fn inline(cid: &Cid) -> Option<&[u8]> {
    (cid.hash().code() == IDENTITY).then(|| cid.hash().digest())
}
