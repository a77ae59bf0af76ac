//! How files and directories become blocks: the import profiles and what they set.

use cid::Version;
use std::str::FromStr;

/// Import profiles of the UnixFS CID specification (IPIP-499).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// `unixfs-v0-2015`, what `ipfs add` does: CIDv0, dag-pb leaves, 256 KiB chunks, 174 links.
    #[default]
    V0_2015,
    /// `unixfs-v1-2025`: CIDv1, raw leaves, 1 MiB chunks, 1,024 links, directories measured by their block.
    V1_2025,
}

/// Not a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an import profile; there are unixfs-v0-2015 and unixfs-v1-2025")]
pub struct ParseProfileError(String);

impl FromStr for Profile {
    type Err = ParseProfileError;
    fn from_str(name: &str) -> Result<Self, ParseProfileError> {
        match name {
            "unixfs-v0-2015" | "legacy-cid-v0" => Ok(Profile::V0_2015),
            "unixfs-v1-2025" => Ok(Profile::V1_2025),
            _ => Err(ParseProfileError(name.to_owned())),
        }
    }
}

/// What of a directory is compared with the 256 KiB above which it is sharded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirSize {
    /// Bytes of the names and of the CIDs: Kubo's `links`, its default.
    #[default]
    Links,
    /// Bytes of the block the directory would be: Kubo's `block`.
    Block,
}

/// How files become blocks. The default is that of `ipfs add`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddOptions {
    /// 0 or 1.
    pub cid_version: u64,
    /// Leaves as raw blocks rather than dag-pb.
    pub raw_leaves: bool,
    /// Bytes of a leaf.
    pub chunk_size: usize,
    /// Links of an inner node of a file.
    pub max_links: usize,
    /// How a directory is measured.
    pub dir_size: DirSize,
}

impl Default for AddOptions {
    fn default() -> Self {
        Profile::default().into()
    }
}

impl From<Profile> for AddOptions {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::V0_2015 => AddOptions {
                cid_version: 0,
                raw_leaves: false,
                chunk_size: 256 << 10,
                max_links: 174,
                dir_size: DirSize::Links,
            },
            Profile::V1_2025 => AddOptions {
                cid_version: 1,
                raw_leaves: true,
                chunk_size: 1 << 20,
                max_links: 1024,
                dir_size: DirSize::Block,
            },
        }
    }
}

/// The largest chunk that fits a Bitswap block of 2 MiB with room for its framing; Kubo's limit too.
pub(crate) const MAX_CHUNK: usize = (2 << 20) - 256;
/// Links of an inner node whose block stays below 2 MiB: each link takes less than 100 bytes.
pub(crate) const MAX_LINKS: usize = 16_384;

impl AddOptions {
    /// The same with another CID version; version 1 also means raw leaves, as with `ipfs add --cid-version=1`.
    pub fn with_cid_version(mut self, version: u64) -> Self {
        self.cid_version = version;
        self.raw_leaves = version == 1;
        self
    }

    /// Checks the values; the message names the one that is not acceptable.
    pub fn check(&self) -> Result<(), String> {
        if self.cid_version > 1 {
            return Err(format!("cid-version: {} is neither 0 nor 1", self.cid_version));
        }
        if !(1..=MAX_CHUNK).contains(&self.chunk_size) {
            return Err(format!("chunker: a chunk has between 1 and {MAX_CHUNK} bytes, not {}", self.chunk_size));
        }
        if !(2..=MAX_LINKS).contains(&self.max_links) {
            return Err(format!("max-links: between 2 and {MAX_LINKS}, not {}", self.max_links));
        }
        Ok(())
    }

    pub(crate) fn version(&self) -> Version {
        if self.cid_version == 0 { Version::V0 } else { Version::V1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_named() {
        assert!("unixfs-v2".parse::<Profile>().is_err());
        let default = AddOptions::default;
        assert_eq!(default().check(), Ok(()));
        assert_eq!(AddOptions::from(Profile::V1_2025).check(), Ok(()));
        for (options, name) in [
            (AddOptions { cid_version: 2, ..default() }, "cid-version:"),
            (AddOptions { chunk_size: 0, ..default() }, "chunker:"),
            (AddOptions { chunk_size: MAX_CHUNK + 1, ..default() }, "chunker:"),
            (AddOptions { max_links: 1, ..default() }, "max-links:"),
        ] {
            assert!(options.check().unwrap_err().starts_with(name), "{options:?}");
        }
    }
}
