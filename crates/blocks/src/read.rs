//! What a block says: a piece of a file, a directory, a shard of one, a symbolic link.

use crate::proto::{Kind, PbLink, PbNode, Unixfs};
use crate::verify::{DAG_PB, RAW};
use bytes::Bytes;
use cid::Cid;
use prost::Message;

/// One UnixFS node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnixfsNode {
    /// A file or a piece of one.
    File {
        /// Bytes in this block; they come before those below the links.
        data: Bytes,
        /// Pieces below, in order, each with its length in the file.
        links: Vec<(Cid, u64)>,
        /// Length of the whole, this block and everything below.
        size: u64,
    },
    /// A directory in one block.
    Directory(Vec<DirEntry>),
    /// A part of a directory spread over many blocks.
    Shard {
        /// Names in this shard.
        entries: Vec<DirEntry>,
        /// Shards below.
        shards: Vec<Cid>,
    },
    /// A symbolic link and where it leads.
    Symlink(String),
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: String,
    /// Where it leads.
    pub cid: Cid,
    /// Bytes of all blocks below it, as the directory says.
    pub size: u64,
}

/// A block is not UnixFS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Not dag-pb.
    #[error("not a dag-pb node: {0}")]
    NotDagPb(String),
    /// A dag-pb node without UnixFS in it.
    #[error("not a UnixFS node: {0}")]
    NotUnixfs(String),
    /// A codec that carries no files.
    #[error("codec {0:#x} is neither raw nor dag-pb")]
    Codec(u64),
}

fn node(block: &[u8]) -> Result<PbNode, ParseError> {
    PbNode::decode(Bytes::copy_from_slice(block)).map_err(|e| ParseError::NotDagPb(e.to_string()))
}

fn target(link: &PbLink) -> Result<Cid, ParseError> {
    let hash = link.hash.as_deref().unwrap_or_default();
    Cid::try_from(hash).map_err(|e| ParseError::NotDagPb(format!("a link is not a CID: {e}")))
}

/// Every CID a block refers to; none for a raw block. A block of another codec is an error.
pub fn links(cid: &Cid, block: &[u8]) -> Result<Vec<Cid>, ParseError> {
    match cid.codec() {
        RAW => Ok(Vec::new()),
        DAG_PB => node(block)?.links.iter().map(target).collect(),
        codec => Err(ParseError::Codec(codec)),
    }
}

/// Reads a UnixFS block.
pub fn parse(cid: &Cid, block: &Bytes) -> Result<UnixfsNode, ParseError> {
    match cid.codec() {
        RAW => return Ok(UnixfsNode::File { data: block.clone(), links: Vec::new(), size: block.len() as u64 }),
        DAG_PB => {}
        codec => return Err(ParseError::Codec(codec)),
    }
    let node = PbNode::decode(block.clone()).map_err(|e| ParseError::NotDagPb(e.to_string()))?;
    let data = node.data.ok_or_else(|| ParseError::NotUnixfs("the node carries no data".to_owned()))?;
    let file = Unixfs::decode(data).map_err(|e| ParseError::NotUnixfs(e.to_string()))?;
    match Kind::try_from(file.kind) {
        Ok(Kind::File | Kind::Raw) => {
            if file.blocksizes.len() != node.links.len() {
                let (links, sizes) = (node.links.len(), file.blocksizes.len());
                return Err(ParseError::NotUnixfs(format!("{links} links but {sizes} block sizes")));
            }
            let data = file.data.unwrap_or_default();
            let links = node.links.iter().zip(&file.blocksizes).map(|(link, size)| Ok((target(link)?, *size)));
            let links = links.collect::<Result<Vec<_>, ParseError>>()?;
            let below = links.iter().try_fold(data.len() as u64, |sum, (_, size)| sum.checked_add(*size));
            let size = below.ok_or_else(|| ParseError::NotUnixfs("its length overflows".to_owned()))?;
            Ok(UnixfsNode::File { data, links, size })
        }
        Ok(Kind::Directory) => {
            Ok(UnixfsNode::Directory(node.links.iter().map(|link| entry(link, 0)).collect::<Result<_, _>>()?))
        }
        Ok(Kind::Shard) => {
            let digits = digits(file.fanout.unwrap_or(256))?;
            let (mut entries, mut shards) = (Vec::new(), Vec::new());
            for link in &node.links {
                // A name of only the bucket's number leads to a shard below.
                match link.name.as_deref().unwrap_or_default().len() {
                    n if n == digits => shards.push(target(link)?),
                    n if n > digits => entries.push(entry(link, digits)?),
                    _ => return Err(ParseError::NotUnixfs("a shard link without its bucket number".to_owned())),
                }
            }
            Ok(UnixfsNode::Shard { entries, shards })
        }
        Ok(Kind::Symlink) => {
            let data = file.data.unwrap_or_default();
            let target = String::from_utf8(data.to_vec())
                .map_err(|_| ParseError::NotUnixfs("a link that is no text".to_owned()))?;
            Ok(UnixfsNode::Symlink(target))
        }
        Ok(Kind::Metadata) => Err(ParseError::NotUnixfs("metadata nodes hold no file".to_owned())),
        Err(_) => Err(ParseError::NotUnixfs(format!("unknown kind {}", file.kind))),
    }
}

/// Hexadecimal digits of a bucket number.
fn digits(fanout: u64) -> Result<usize, ParseError> {
    match fanout {
        8..=1024 if fanout.is_power_of_two() => Ok(format!("{:X}", fanout - 1).len()),
        _ => Err(ParseError::NotUnixfs(format!("fanout {fanout}"))),
    }
}

fn entry(link: &PbLink, prefix: usize) -> Result<DirEntry, ParseError> {
    let name = link.name.as_deref().unwrap_or_default();
    let name = name.get(prefix..).ok_or_else(|| ParseError::NotUnixfs("a name cut in a letter".to_owned()))?;
    Ok(DirEntry { name: name.to_owned(), cid: target(link)?, size: link.tsize.unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::cid_of;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hostile_blocks_never_panic(block in proptest::collection::vec(any::<u8>(), 0..512)) {
            let cid = cid_of(1, DAG_PB, &block);
            let _ = parse(&cid, &Bytes::from(block.clone()));
            let _ = links(&cid, &block);
        }
    }

    #[test]
    fn other_codecs_are_named() {
        let cid = cid_of(1, 0x71, b"x");
        assert_eq!(links(&cid, b"x"), Err(ParseError::Codec(0x71)));
    }
}
