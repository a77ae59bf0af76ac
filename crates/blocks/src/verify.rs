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

/// Whether blocks under this CID can be checked here at all.
pub fn check_hash(cid: &Cid) -> Result<(), VerifyError> {
    match cid.hash().code() {
        SHA2_256 | SHA2_512 | IDENTITY => Ok(()),
        code => Err(VerifyError::UnknownHash { cid: *cid, code }),
    }
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

/// SHA2-256 of no bytes.
const NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The block that a CID itself tells: the data of an identity CID, and the block of no bytes, which every empty file
/// with raw leaves is. Kubo's Bitswap server (boxo 0.42) says of the latter that it does not have it.
pub(crate) fn inline(cid: &Cid) -> Option<&[u8]> {
    match cid.hash().code() {
        IDENTITY => Some(cid.hash().digest()),
        SHA2_256 if cid.hash().digest() == NOTHING => Some(&[]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_block_needs_no_store_and_others_do() {
        assert_eq!(inline(&cid_of(1, RAW, b"")), Some(&[][..]));
        assert_eq!(inline(&cid_of(0, DAG_PB, b"")), Some(&[][..]));
        assert_eq!(inline(&cid_of(1, RAW, b"x")), None);
    }
}
