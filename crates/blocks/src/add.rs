//! Files and directories to blocks, with the CIDs that `ipfs add` gives.

use crate::StoreError;
use crate::verify::{DAG_PB, cid_of};
use cid::{Cid, Version};
use rust_unixfs::dir::builder::{BufferingTreeBuilder, TreeOptions};
use rust_unixfs::file::adder::{BalancedCollector, Chunker, FileAdder as Library};
use std::str::FromStr;

/// Import profiles of the UnixFS CID specification (IPIP-499).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// `unixfs-v0-2015`, what `ipfs add` does: CIDv0, dag-pb leaves, 256 KiB chunks, 174 links.
    #[default]
    V0_2015,
    /// `unixfs-v1-2025`: CIDv1, raw leaves, 1 MiB chunks, 1,024 links.
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

/// How files become blocks. The default is that of `ipfs add`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddOptions {
    /// 0 or 1.
    pub cid_version: u64,
    /// Leaves as raw blocks rather than dag-pb.
    pub raw_leaves: bool,
    /// Bytes of a leaf.
    pub chunk_size: usize,
    /// Links of an inner node.
    pub max_links: usize,
    profile: Profile,
}

impl Default for AddOptions {
    fn default() -> Self {
        Profile::default().into()
    }
}

impl From<Profile> for AddOptions {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::V0_2015 => AddOptions { cid_version: 0, raw_leaves: false, chunk_size: 256 << 10, max_links: 174, profile },
            Profile::V1_2025 => AddOptions { cid_version: 1, raw_leaves: true, chunk_size: 1 << 20, max_links: 1024, profile },
        }
    }
}

/// The largest chunk that fits a Bitswap message of 2 MiB with room to spare; Kubo's limit too.
pub(crate) const MAX_CHUNK: usize = (2 << 20) - 256;

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
        if self.chunk_size == 0 || self.chunk_size > MAX_CHUNK {
            return Err(format!("chunker: a chunk has between 1 and {MAX_CHUNK} bytes, not {}", self.chunk_size));
        }
        if self.max_links < 2 {
            return Err("max-links: at least 2".to_owned());
        }
        Ok(())
    }

    fn version(&self) -> Version {
        if self.cid_version == 0 { Version::V0 } else { Version::V1 }
    }
}

/// The last blocks of what was built, and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Blocks not handed out before.
    pub blocks: Vec<(Cid, Vec<u8>)>,
    /// The root.
    pub cid: Cid,
    /// Bytes of all blocks of the tree, shared ones counted each time: what a link to it carries as its size.
    pub size: u64,
}

/// Turns one file into blocks as it comes. Holds at most one chunk and the links of each level.
pub struct FileAdder {
    library: Library,
    size: u64,
}

impl FileAdder {
    /// An empty file.
    pub fn new(options: &AddOptions) -> Self {
        let library = Library::builder()
            .with_chunker(Chunker::Size(options.chunk_size))
            .with_collector(BalancedCollector::with_branching_factor(options.max_links))
            .with_cid_version(options.version())
            .with_raw_leaves(options.raw_leaves)
            .build();
        FileAdder { library, size: 0 }
    }

    /// Appends bytes and hands out the blocks that are complete.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<(Cid, Vec<u8>)> {
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let (ready, taken) = self.library.push(bytes);
            blocks.extend(ready);
            bytes = &bytes[taken..];
        }
        self.size += blocks.iter().map(|(_, block)| block.len() as u64).sum::<u64>();
        blocks
    }

    /// Hands out the rest and the root.
    pub fn finish(self) -> Built {
        let blocks: Vec<_> = self.library.finish().collect();
        let size = self.size + blocks.iter().map(|(_, block)| block.len() as u64).sum::<u64>();
        let cid = blocks.last().map(|(cid, _)| *cid).expect("even an empty file has a block");
        Built { blocks, cid, size }
    }
}

/// Builds one directory of things that exist already. Large ones become HAMT shards where Kubo shards them.
pub struct DirBuilder {
    options: AddOptions,
    entries: Vec<(String, Cid, u64)>,
}

impl DirBuilder {
    /// An empty directory.
    pub fn new(options: AddOptions) -> Self {
        DirBuilder { options, entries: Vec::new() }
    }

    /// Adds a name, where it leads and the size of all blocks there.
    pub fn add(&mut self, name: String, cid: Cid, size: u64) {
        self.entries.push((name, cid, size));
    }

    /// The directory's blocks.
    pub fn finish(self) -> Result<Built, StoreError> {
        if self.entries.is_empty() {
            // Data { Type: Directory } and no links.
            let block = vec![0x0a, 0x02, 0x08, 0x01];
            let cid = cid_of(self.options.cid_version, DAG_PB, &block);
            return Ok(Built { size: block.len() as u64, blocks: vec![(cid, block)], cid });
        }
        let mut tree = TreeOptions::default();
        tree.wrap_with_directory();
        tree.block_size_limit(None);
        tree.cid_version(self.options.version());
        let mut builder = BufferingTreeBuilder::new(tree);
        for (name, cid, size) in &self.entries {
            if name.is_empty() || name.contains('/') {
                return Err(StoreError::BadName { name: name.clone() });
            }
            builder.put_link(name, *cid, *size).map_err(|e| StoreError::BadDirectory(e.to_string()))?;
        }
        let mut blocks = Vec::new();
        let mut root = None;
        for node in builder.build() {
            let node = node.map_err(|e| StoreError::BadDirectory(e.to_string()))?;
            root = Some((node.cid, node.total_size));
            blocks.push((node.cid, node.block.into_vec()));
        }
        let (cid, size) = root.ok_or_else(|| StoreError::BadDirectory("it has no root".to_owned()))?;
        Ok(Built { blocks, cid, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{UnixfsNode, parse};

    fn add(options: &AddOptions, bytes: &[u8]) -> Built {
        let mut adder = FileAdder::new(options);
        let mut blocks = adder.push(bytes);
        let mut built = adder.finish();
        blocks.append(&mut built.blocks);
        Built { blocks, ..built }
    }

    #[test]
    fn well_known_cids() {
        let default = AddOptions::default();
        assert_eq!(add(&default, b"").cid.to_string(), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
        assert_eq!(add(&default, b"hello world\n").cid.to_string(), "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o");
        let v1 = AddOptions::default().with_cid_version(1);
        assert_eq!(add(&v1, b"hello world\n").cid.to_string(), "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4");
        let empty = DirBuilder::new(default).finish().unwrap();
        assert_eq!(empty.cid.to_string(), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn");
    }

    #[test]
    fn a_file_reads_back_and_its_size_is_that_of_its_blocks() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let built = add(&AddOptions { chunk_size: 1000, max_links: 10, ..AddOptions::default() }, &bytes);
        let blocks: std::collections::HashMap<_, _> = built.blocks.iter().cloned().collect();
        let mut stack = vec![built.cid];
        let mut read = Vec::new();
        let mut total = 0;
        while let Some(cid) = stack.pop() {
            let block = bytes::Bytes::from(blocks[&cid].clone());
            total += block.len() as u64;
            let UnixfsNode::File { data, links, .. } = parse(&cid, &block).unwrap() else { panic!("not a file") };
            read.extend_from_slice(&data);
            stack.extend(links.iter().rev().map(|(cid, _)| *cid));
        }
        assert!(read == bytes);
        assert_eq!(total, built.size);
    }

    #[test]
    fn nonsense_is_named() {
        assert!("unixfs-v2".parse::<Profile>().is_err());
        assert!(AddOptions { chunk_size: 0, ..AddOptions::default() }.check().unwrap_err().starts_with("chunker:"));
        let mut dir = DirBuilder::new(AddOptions::default());
        dir.add("a/b".to_owned(), cid_of(1, DAG_PB, b""), 0);
        assert!(dir.finish().is_err());
    }
}
