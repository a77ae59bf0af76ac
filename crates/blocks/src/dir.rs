//! Directories and symbolic links to blocks, with the CIDs that `ipfs add -r` gives.

use crate::verify::{DAG_PB, cid_of};
use crate::{AddOptions, Built, DirSize, StoreError};
use cid::Cid;
use rust_unixfs::dir::builder::{BufferingTreeBuilder, TreeOptions};
use rust_unixfs::symlink::serialize_symlink_block;

/// A directory larger than this is sharded; one of exactly this size is not. Both profiles of IPIP-499 have it.
const SHARD_ABOVE: u64 = 256 << 10;
/// Sizes that entries claim together. Half the range leaves room for the directory's own blocks, so no sum overflows.
const MAX_TOTAL: u64 = u64::MAX / 2;
/// The node of an empty directory: `Data { Type: Directory }` and no links.
const EMPTY: [u8; 4] = [0x0a, 0x02, 0x08, 0x01];

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

    /// The directory's blocks, its root last. Fails on a name that cannot be one or stands there twice.
    pub fn finish(self) -> Result<Built, StoreError> {
        if self.entries.is_empty() {
            return Ok(single(EMPTY.to_vec(), &self.options));
        }
        if self.entries.iter().try_fold(0u64, |sum, entry| sum.checked_add(entry.2)).is_none_or(|sum| sum > MAX_TOTAL) {
            return Err(StoreError::BadDirectory("the sizes of its entries overflow".to_owned()));
        }
        let mut tree = TreeOptions::default();
        tree.wrap_with_directory();
        tree.block_size_limit(None);
        tree.cid_version(self.options.version());
        // The library only measures links. Above zero shards every directory, no threshold shards none.
        tree.shard_threshold((self.measure() > SHARD_ABOVE).then_some(0));
        let mut builder = BufferingTreeBuilder::new(tree);
        for (name, cid, size) in &self.entries {
            if matches!(name.as_str(), "" | "." | "..") || name.contains('/') {
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

    fn measure(&self) -> u64 {
        let lengths =
            self.entries.iter().map(|(name, cid, size)| (name.len() as u64, cid.to_bytes().len() as u64, *size));
        match self.options.dir_size {
            DirSize::Links => lengths.map(|(name, cid, _)| name + cid).sum(),
            DirSize::Block => lengths.fold(EMPTY.len() as u64, |sum, (name, cid, size)| {
                // Hash, name and size, each behind its tag; the first two behind their lengths as well.
                let link = 1 + varint(cid) + cid + 1 + varint(name) + name + 1 + varint(size);
                sum + 1 + varint(link) + link
            }),
        }
    }
}

/// A symbolic link. Where it leads is not looked at.
pub fn symlink(target: &str, options: &AddOptions) -> Built {
    let mut block = Vec::new();
    serialize_symlink_block(target, &mut block);
    single(block, options)
}

fn single(block: Vec<u8>, options: &AddOptions) -> Built {
    let cid = cid_of(options.cid_version, DAG_PB, &block);
    Built { size: block.len() as u64, blocks: vec![(cid, block)], cid }
}

/// Bytes of a number in protobuf.
fn varint(n: u64) -> u64 {
    u64::from((n | 1).ilog2() / 7 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileAdder, Profile, UnixfsNode, parse};
    use std::collections::HashMap;

    /// `count` files of the single byte `x`, named by their numbers in `digits` digits.
    fn numbered(options: &AddOptions, count: usize, digits: usize) -> Built {
        let mut adder = FileAdder::new(options.clone());
        adder.push(b"x");
        let file = adder.finish();
        let mut dir = DirBuilder::new(options.clone());
        for n in 0..count {
            dir.add(format!("{n:0digits$}"), file.cid, file.size);
        }
        dir.finish().unwrap()
    }

    /// CIDs and sizes from Kubo 0.43.0. Each pair of counts stands on both sides of the threshold.
    #[test]
    fn cids_are_those_of_kubo() {
        let (v0, v1) = (AddOptions::default(), AddOptions::default().with_cid_version(1));
        let new = AddOptions::from(Profile::V1_2025);
        for (options, count, digits, expected) in [
            (&v0, 0, 0, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
            (&v0, 3, 4, "QmWhFUZdVU3j9mBDmfhvKyyxutNMgXvkkbJXjypjNtCuFx"),
            (&v1, 3, 4, "bafybeic7klbcytdplkjr5y5qecha3wxsgdtv7lhrvkae5qxrux2cs52zfm"),
            (&v0, 4096, 30, "QmaXVduPXb8MRthXjdr88FLhMnNYQXW2VBurX8941jvA5n"),
            (&v0, 4097, 30, "Qma5TmtKX8smXwcwpeYXZhaLUbXzA5Pg6U7gM9M2tH7qjJ"),
            (&v1, 3900, 30, "bafybeidh4qgjdl2cief5slxkedeu43y5v5mh22s2knh7pfyztdbzcyiw4e"),
            (&v1, 4096, 30, "bafybeibolpf2q636xnzsjy3tzobsxy62qiomntpy4dosw6yadn4quikbbe"),
            (&new, 3542, 30, "bafybeielrrafgh5otvlx3tlnofh65rglk7jjttwzbxfxqdec7mc35vubma"),
            (&new, 3543, 30, "bafybeiepzvt7zda2zfrvoj4mh2ruvz4nfnfp7izhqzjcd6iktp4fj5ln6u"),
        ] {
            assert_eq!(numbered(options, count, digits).cid.to_string(), expected, "{count} entries, {options:?}");
        }
        assert_eq!(numbered(&v0, 4096, 30).size, 331_780);
        assert_eq!(numbered(&v0, 4097, 30).size, 371_787);
    }

    #[test]
    fn a_symbolic_link_is_that_of_kubo() {
        for (version, expected) in [
            (0, "QmQSHJto4ovhQmGL5CrGeUmDJmfZMc47aa1AcSEdSFCupE"),
            (1, "bafybeieduhidhbkib4wneqk2dsrvx6dxnv4tqrv3ahaprsd5dl5gono3sa"),
        ] {
            let options = AddOptions::default().with_cid_version(version);
            let link = symlink("target/x", &options);
            let block = bytes::Bytes::from(link.blocks[0].1.clone());
            assert_eq!(parse(&link.cid, &block), Ok(UnixfsNode::Symlink("target/x".to_owned())));
            let mut dir = DirBuilder::new(options);
            dir.add("l".to_owned(), link.cid, link.size);
            assert_eq!(dir.finish().unwrap().cid.to_string(), expected);
        }
    }

    #[test]
    fn a_sharded_directory_reads_back() {
        let built = numbered(&AddOptions::default(), 4097, 30);
        let blocks: HashMap<_, _> = built.blocks.into_iter().collect();
        let (mut stack, mut names) = (vec![built.cid], Vec::new());
        while let Some(cid) = stack.pop() {
            let block = bytes::Bytes::from(blocks[&cid].clone());
            let UnixfsNode::Shard { entries, shards } = parse(&cid, &block).unwrap() else { panic!("not a shard") };
            names.extend(entries.into_iter().map(|entry| entry.name));
            stack.extend(shards);
        }
        names.sort();
        assert_eq!(names, (0..4097).map(|n| format!("{n:030}")).collect::<Vec<_>>());
    }

    #[test]
    fn nonsense_is_named() {
        let cid = cid_of(1, DAG_PB, b"");
        for bad in ["", ".", "..", "a/b"] {
            let mut dir = DirBuilder::new(AddOptions::default());
            dir.add(bad.to_owned(), cid, 0);
            assert!(matches!(dir.finish(), Err(StoreError::BadName { .. })), "{bad:?}");
        }
        for (names, size) in [(["a", "a"], 1), (["a", "b"], u64::MAX)] {
            let mut dir = DirBuilder::new(AddOptions::default());
            names.iter().for_each(|name| dir.add((*name).to_owned(), cid, size));
            assert!(matches!(dir.finish(), Err(StoreError::BadDirectory(_))));
        }
    }
}
