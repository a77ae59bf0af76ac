//! Reading: paths, directories, files as streams with blocks fetched ahead.

use super::ContentHandle;
use super::fetch::Fetcher;
use super::path::ContentPath;
use crate::NodeError;
use bytes::Bytes;
use ipfrs_blocks::{UnixfsNode, parse};
use ipfrs_contract::Cid;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Blocks wanted ahead of the reader: 128 of 256 KiB are 32 MiB, enough for 1 Gbit/s at 250 ms.
pub(super) const WINDOW: usize = 128;
/// Fewer than this many wanted ahead triggers the next batch of wants, so that wants travel in batches.
const REFILL: usize = 32;
/// Pieces that may wait for a slow reader.
const PIECES: usize = 8;
/// Shards of one directory that are read before it counts as hostile: 1,024 full shards are 262,144 names.
const SHARDS: usize = 65_536;
/// Names of one directory: a shard that is linked to again and again costs its author nothing, and us memory.
const NAMES: usize = 4_000_000;
/// A part of a file longer than a block is an inner node: what lies below it is fetched ahead as soon as it is here.
const BLOCK: u64 = 2 << 20;

/// A file being read.
#[derive(Debug)]
pub struct CatStream {
    /// Bytes that will come when nothing fails.
    pub size: u64,
    /// The bytes, in order; an error is the last item.
    pub stream: mpsc::Receiver<Result<Bytes, NodeError>>,
}

/// What a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// The name.
    pub name: String,
    /// Where it leads.
    pub cid: Cid,
    /// Bytes of all blocks below it, as the directory says.
    pub size: u64,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// Its root.
    pub cid: Cid,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file, 0 for a directory.
    pub size: u64,
    /// Where a symbolic link leads.
    pub target: Option<String>,
}

impl ContentHandle {
    /// The root that a path leads to.
    pub async fn resolve(&self, path: &str) -> Result<Cid, NodeError> {
        let path: ContentPath = path.parse()?;
        let mut fetcher = self.fetcher();
        let mut cid = path.root;
        for name in path.names {
            let entries = list(&mut fetcher, cid).await?;
            let found = entries.into_iter().find(|entry| entry.name == name);
            cid = found.ok_or(NodeError::NoLink { name, parent: cid })?.cid;
        }
        Ok(cid)
    }

    /// The names in a directory.
    pub async fn ls(&self, path: &str) -> Result<Vec<ListEntry>, NodeError> {
        let cid = self.resolve(path).await?;
        list(&mut self.fetcher(), cid).await
    }

    /// What is at a path.
    pub async fn stat(&self, path: &str) -> Result<PathStat, NodeError> {
        let cid = self.resolve(path).await?;
        let (kind, size, target) = match node(&mut self.fetcher(), cid).await? {
            UnixfsNode::File { size, .. } => (EntryKind::File, size, None),
            UnixfsNode::Directory(_) | UnixfsNode::Shard { .. } => (EntryKind::Directory, 0, None),
            UnixfsNode::Symlink(target) => (EntryKind::Symlink, 0, Some(target)),
        };
        Ok(PathStat { cid, kind, size, target })
    }

    /// A file as a stream, from `offset`, at most `length` bytes. Blocks that are not here are fetched ahead of the reader.
    pub async fn cat(&self, path: &str, offset: u64, length: Option<u64>) -> Result<CatStream, NodeError> {
        let cid = self.resolve(path).await?;
        let mut fetcher = self.fetcher();
        let size = match node(&mut fetcher, cid).await? {
            UnixfsNode::File { size, .. } => size,
            UnixfsNode::Directory(_) | UnixfsNode::Shard { .. } => {
                return Err(NodeError::WrongKind("this dag node is a directory".to_owned()));
            }
            UnixfsNode::Symlink(_) => return Err(NodeError::WrongKind("this dag node is a symbolic link".to_owned())),
        };
        let end = length.map_or(size, |length| size.min(offset.saturating_add(length)));
        let (pieces, stream) = mpsc::channel(PIECES);
        tokio::spawn(async move {
            let read = tokio::select! {
                read = read(&mut fetcher, cid, offset, end, &pieces) => read,
                () = pieces.closed() => return,
            };
            if let Err(error) = read {
                // A reader that is gone needs no error.
                let _ = pieces.send(Err(error)).await;
            }
        });
        Ok(CatStream { size: end.saturating_sub(offset), stream })
    }
}

pub(super) async fn node(fetcher: &mut Fetcher, cid: Cid) -> Result<UnixfsNode, NodeError> {
    let block = fetcher.get(cid).await?;
    parse(&cid, &block).map_err(|e| NodeError::BadBlock { cid, why: e.to_string() })
}

/// Every name of a directory, whole or sharded.
pub(super) async fn list(fetcher: &mut Fetcher, root: Cid) -> Result<Vec<ListEntry>, NodeError> {
    let mut entries = Vec::new();
    let mut shards = VecDeque::from([root]);
    let mut read = 0;
    while let Some(cid) = shards.pop_front() {
        read += 1;
        if read + shards.len() > SHARDS {
            return Err(NodeError::BadBlock { cid: root, why: format!("more than {SHARDS} shards") });
        }
        match node(fetcher, cid).await? {
            UnixfsNode::Directory(names) if read == 1 => entries.extend(names.into_iter().map(entry)),
            UnixfsNode::Shard { entries: names, shards: below } => {
                entries.extend(names.into_iter().map(entry));
                shards.extend(below);
                fetcher.prefetch(shards.iter().copied().take(WINDOW).collect()).await?;
            }
            _ if read == 1 => return Err(NodeError::WrongKind(format!("{root} is not a directory"))),
            _ => return Err(NodeError::BadBlock { cid, why: "not a directory shard".to_owned() }),
        }
        if entries.len() > NAMES {
            return Err(NodeError::BadBlock { cid: root, why: format!("more than {NAMES} names") });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn entry(entry: ipfrs_blocks::DirEntry) -> ListEntry {
    ListEntry { name: entry.name, cid: entry.cid, size: entry.size }
}

/// A subtree not read yet: where it begins in the file, and how long its parent says it is.
type Part = (Cid, u64, Option<u64>);

/// A node of a file, checked against what its parent said: without that a small hostile tree could claim, and be
/// walked for, any length.
fn piece(cid: Cid, promised: Option<u64>, node: UnixfsNode) -> Result<(Bytes, Vec<(Cid, u64)>), NodeError> {
    match node {
        UnixfsNode::File { size, .. } if promised.is_some_and(|promised| promised != size) => {
            Err(NodeError::BadBlock { cid, why: format!("it holds {size} bytes, its parent says otherwise") })
        }
        UnixfsNode::File { data, links, .. } => Ok((data, links)),
        _ => Err(NodeError::BadBlock { cid, why: "not a part of a file".to_owned() }),
    }
}

/// The parts below a node whose links begin at `begin`, without those outside the range and those without bytes.
fn below(cid: Cid, mut begin: u64, links: Vec<(Cid, u64)>, from: u64, to: u64) -> Result<Vec<Part>, NodeError> {
    let mut parts = Vec::with_capacity(links.len());
    for (link, size) in links {
        let next = begin.checked_add(size);
        let next = next.ok_or_else(|| NodeError::BadBlock { cid, why: "sizes overflow".to_owned() })?;
        if size > 0 && next > from && begin < to {
            parts.push((link, begin, Some(size)));
        }
        begin = next;
    }
    Ok(parts)
}

/// Walks a file's tree in order and sends the bytes between `from` and `to`.
pub(super) async fn read(
    fetcher: &mut Fetcher,
    root: Cid,
    from: u64,
    to: u64,
    pieces: &mpsc::Sender<Result<Bytes, NodeError>>,
) -> Result<(), NodeError> {
    let mut ahead: VecDeque<Part> = VecDeque::from([(root, 0, None)]);
    let mut wanted = 0usize;
    while let Some((cid, at, promised)) = ahead.pop_front() {
        if at >= to && to > 0 {
            break;
        }
        wanted = wanted.saturating_sub(1);
        let (data, links) = piece(cid, promised, node(fetcher, cid).await?)?;
        let end = at.saturating_add(data.len() as u64);
        if end > from && at < to {
            let first = from.saturating_sub(at) as usize;
            let last = (to.min(end) - at) as usize;
            if pieces.send(Ok(data.slice(first..last))).await.is_err() {
                return Ok(());
            }
        }
        if links.is_empty() {
            if wanted > REFILL {
                continue;
            }
        } else {
            for part in below(cid, end, links, from, to)?.into_iter().rev() {
                ahead.push_front(part);
            }
        }
        unfold(fetcher, &mut ahead, from, to).await?;
        let next: Vec<_> = ahead.iter().take(WINDOW).map(|(cid, ..)| *cid).collect();
        wanted = next.len();
        fetcher.prefetch(next).await?;
    }
    Ok(())
}

/// Puts what lies below inner nodes that are here already in their place, so that the window reaches past them.
async fn unfold(fetcher: &Fetcher, ahead: &mut VecDeque<Part>, from: u64, to: u64) -> Result<(), NodeError> {
    let mut at = 0;
    while at < WINDOW.min(ahead.len()) {
        let (cid, begin, promised) = ahead[at];
        if promised.is_some_and(|size| size > BLOCK) {
            // Past one that is not here yet nothing is known in order.
            let Some(block) = fetcher.local(cid).await? else { break };
            let node = parse(&cid, &block).map_err(|e| NodeError::BadBlock { cid, why: e.to_string() })?;
            let (data, links) = piece(cid, promised, node)?;
            if data.is_empty() && !links.is_empty() {
                ahead.remove(at);
                for part in below(cid, begin, links, from, to)?.into_iter().rev() {
                    ahead.insert(at, part);
                }
                continue;
            }
        }
        at += 1;
    }
    Ok(())
}
