//! Files to blocks as they come, with the CIDs that `ipfs add` gives.

use crate::AddOptions;
use crate::options::{MAX_CHUNK, MAX_LINKS};
use cid::Cid;
use rust_unixfs::file::adder::{BalancedCollector, Chunker, FileAdder as Library};

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
    /// The newest block: the root of a file whose only chunk was full and so was handed out by `push`.
    newest: Option<Cid>,
}

impl FileAdder {
    /// An empty file. Values that [`AddOptions::check`] refuses are replaced by the nearest acceptable ones.
    pub fn new(options: AddOptions) -> Self {
        let library = Library::builder()
            .with_chunker(Chunker::Size(options.chunk_size.clamp(1, MAX_CHUNK)))
            .with_collector(BalancedCollector::with_branching_factor(options.max_links.clamp(2, MAX_LINKS)))
            .with_cid_version(options.version())
            .with_raw_leaves(options.raw_leaves)
            .build();
        FileAdder { library, size: 0, newest: None }
    }

    /// Appends bytes and hands out the blocks that are complete.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<(Cid, Vec<u8>)> {
        let mut blocks: Vec<(Cid, Vec<u8>)> = Vec::new();
        while !bytes.is_empty() {
            let (ready, taken) = self.library.push(bytes);
            blocks.extend(ready);
            bytes = &bytes[taken..];
        }
        self.size += bytes_of(&blocks);
        self.newest = blocks.last().map(|(cid, _)| *cid).or(self.newest);
        blocks
    }

    /// Hands out the rest and the root.
    pub fn finish(self) -> Built {
        let blocks: Vec<_> = self.library.finish().collect();
        let size = self.size + bytes_of(&blocks);
        let cid = blocks.last().map(|(cid, _)| *cid).or(self.newest).expect("even an empty file has a block");
        Built { blocks, cid, size }
    }
}

fn bytes_of(blocks: &[(Cid, Vec<u8>)]) -> u64 {
    blocks.iter().map(|(_, block)| block.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Profile, UnixfsNode, parse, verify};
    use std::collections::HashMap;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n % 251) as u8).collect()
    }

    fn add(options: &AddOptions, bytes: &[u8], step: usize) -> Built {
        let mut adder = FileAdder::new(options.clone());
        let mut blocks = Vec::new();
        for piece in bytes.chunks(step) {
            blocks.extend(adder.push(piece));
        }
        let mut built = adder.finish();
        blocks.append(&mut built.blocks);
        Built { blocks, ..built }
    }

    /// Bytes of the file, then its CID from Kubo 0.43.0 by default, with `--cid-version=1`, and with `unixfs-v1-2025`.
    /// Byte n of each file is n modulo 251.
    const KUBO: &[(usize, [&str; 3])] = &[
        (
            0,
            [
                "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
                "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
                "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
            ],
        ),
        (
            1,
            [
                "QmS9JArPwa55ePgDnyg6TzX24mYTS1b1vLqWNebyVotKxQ",
                "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu",
                "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu",
            ],
        ),
        (
            262_143,
            [
                "QmRfm83kqBpGJbGxJg1en9hpwq8eNnP4E2Dj8K73F4m983",
                "bafkreiagptg6ztonoojy4wflk3wwusl5xt4vcy6uult4wa7oemsjtxhjsu",
                "bafkreiagptg6ztonoojy4wflk3wwusl5xt4vcy6uult4wa7oemsjtxhjsu",
            ],
        ),
        (
            262_144,
            [
                "QmeqfRyS3vkku7n6krqC3DgGMex3x2sCpSeKMDmrG13QQq",
                "bafkreibruh455iawsviqslif5c7uurdcfdemh22mtnytyzvnzn75kpejxy",
                "bafkreibruh455iawsviqslif5c7uurdcfdemh22mtnytyzvnzn75kpejxy",
            ],
        ),
        (
            262_145,
            [
                "QmUSjGawaz4ptvREcMKSMJneWCa5j8dAz2wSAAvHtW2rnB",
                "bafybeiexg2oqkfnj56l7fcmawswqbijt5shq4b5rg6a546uwpkqqzwjioi",
                "bafkreidkcavdl3yt2jt36sd4cuqnqk2p6vaxq66iykemz6mk527hnbqbni",
            ],
        ),
        (
            1_048_576,
            [
                "QmXgkY4miMKJBrg8YYke4xw6C2n8WNsUc1GXLhN84k4QM3",
                "bafybeiedpcapwld4tkgtzwahfofgn4wex5ryysf4se6hwpmlrsh4ntnrau",
                "bafkreidddocae7lltzjlkooe5a3tmiwsgazn7logjvqk7bzttsidpzhxne",
            ],
        ),
        (
            1_048_577,
            [
                "QmXFGdWM6dMXHxGby9dZifmvH5ws2MwYCE1paUfJSp3Kj6",
                "bafybeig7rd7v2ygpkiiyu3kzsojmrj3ujtinivk7fxid5p33t6kdewzvsm",
                "bafybeidjogjfwuhbzwopgd4bn3skcf5m6oz72xshywcndzxgqb623nfclu",
            ],
        ),
        // One full inner node of 174 leaves, and the first leaf that needs a second.
        (
            45_613_056,
            [
                "QmXCym15aFeWjAWyPFaAgwVmkuKB7EBsV77Skt54KmxChF",
                "bafybeihpe5snhzneq7xs53nivmsopto5lrogo3wjynauqylqeym5a3irbm",
                "bafybeiggqdvj67urvpcb7gig76plkothth7jpx3cwjngax7mlgdgxy2mea",
            ],
        ),
        (
            45_613_057,
            [
                "QmTedsTekQQkgACJXb1sPZSW8bLdS9LPMrT7L4YdjNRd4n",
                "bafybeib4y7ghw2rq7bracc4xwtxrbzo7cfvagdpte2tmrkgwl6dyard3cm",
                "bafybeih6tfqxgwyqtet2vaiqfjtdisrzv4cjmvm3ov6swdtljna55s4fle",
            ],
        ),
    ];

    #[test]
    fn cids_are_those_of_kubo() {
        let bytes = pattern(45_613_057);
        let ways = [AddOptions::default(), AddOptions::default().with_cid_version(1), Profile::V1_2025.into()];
        for (length, expected) in KUBO {
            for (options, expected) in ways.iter().zip(expected) {
                let built = add(options, &bytes[..*length], 100_000);
                assert_eq!(built.cid.to_string(), *expected, "{length} bytes, {options:?}");
            }
        }
    }

    #[test]
    fn a_file_reads_back_and_its_size_is_that_of_its_blocks() {
        let bytes = pattern(300_000);
        for raw_leaves in [false, true] {
            let options = AddOptions { chunk_size: 1000, max_links: 10, raw_leaves, ..AddOptions::default() };
            let built = add(&options, &bytes, 777);
            assert_eq!(built.cid, add(&options, &bytes, bytes.len()).cid, "pieces make no difference");
            let blocks: HashMap<_, _> = built.blocks.iter().cloned().collect();
            let (mut stack, mut read, mut total) = (vec![built.cid], Vec::new(), 0);
            while let Some(cid) = stack.pop() {
                let block = bytes::Bytes::from(blocks[&cid].clone());
                verify(&cid, &block).unwrap();
                total += block.len() as u64;
                let UnixfsNode::File { data, links, .. } = parse(&cid, &block).unwrap() else { panic!("not a file") };
                read.extend_from_slice(&data);
                stack.extend(links.iter().rev().map(|(cid, _)| *cid));
            }
            assert!(read == bytes);
            assert_eq!(total, built.size);
        }
    }

    #[test]
    fn values_out_of_range_do_not_hang_or_panic() {
        let options = AddOptions { chunk_size: 0, max_links: 0, ..AddOptions::default() };
        assert!(add(&options, b"abc", 2).blocks.len() >= 3);
    }
}
