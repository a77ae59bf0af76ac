//! Whole trees: every directory, file and link below a path, in one session that fetches ahead.

use super::ContentHandle;
use super::fetch::Fetcher;
use super::read::{WINDOW, list, node, read};
use crate::NodeError;
use bytes::Bytes;
use ipfrs_blocks::UnixfsNode;
use ipfrs_contract::Cid;
use tokio::sync::mpsc;

/// Directories inside one another; deeper trees exist only to exhaust whoever walks them.
const MAX_DEPTH: usize = 256;
/// Items that may wait for a slow reader.
const ITEMS: usize = 8;
/// Fewer than this many entries fetched ahead triggers the next batch of wants.
const REFILL: usize = 32;

/// One step of a walk. A directory comes before what lies in it, the bytes of a file right behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalkItem {
    /// A directory.
    Directory {
        /// Its names from the root of the walk down; none for the root itself.
        path: Vec<String>,
    },
    /// A file; its bytes follow.
    File {
        /// Its names from the root of the walk down.
        path: Vec<String>,
        /// How many bytes follow.
        size: u64,
    },
    /// The next bytes of the file.
    Data(Bytes),
    /// A symbolic link.
    Symlink {
        /// Its names from the root of the walk down.
        path: Vec<String>,
        /// Where it leads; nobody looked.
        target: String,
    },
}

type Items = mpsc::Sender<Result<WalkItem, NodeError>>;

impl ContentHandle {
    /// Everything below a path. Names are single path components: never empty, `.` or `..`, without slashes. An error
    /// is the last item.
    pub async fn walk(&self, path: &str) -> Result<mpsc::Receiver<Result<WalkItem, NodeError>>, NodeError> {
        let root = self.resolve(path).await?;
        let mut fetcher = self.fetcher();
        // A root that cannot be had is an error before the walk begins.
        node(&mut fetcher, root).await?;
        let (items, walk) = mpsc::channel(ITEMS);
        tokio::spawn(async move {
            let gone = items.clone();
            let walked = tokio::select! {
                walked = below(&mut fetcher, root, &items) => walked,
                () = gone.closed() => return,
            };
            if let Err(error) = walked {
                // A reader that is gone needs no error.
                let _ = items.send(Err(error)).await;
            }
        });
        Ok(walk)
    }
}

async fn below(fetcher: &mut Fetcher, root: Cid, items: &Items) -> Result<(), NodeError> {
    // The next one is last.
    let mut open = vec![(Vec::new(), root)];
    let mut ahead = 0usize;
    while let Some((path, cid)) = open.pop() {
        ahead = ahead.saturating_sub(1);
        match node(fetcher, cid).await? {
            UnixfsNode::File { size, .. } => {
                send(items, WalkItem::File { path, size }).await?;
                file(fetcher, cid, size, items).await?;
            }
            UnixfsNode::Symlink(target) => send(items, WalkItem::Symlink { path, target }).await?,
            UnixfsNode::Directory(_) | UnixfsNode::Shard { .. } => {
                if path.len() >= MAX_DEPTH {
                    let why = format!("more than {MAX_DEPTH} directories inside one another");
                    return Err(NodeError::BadBlock { cid, why });
                }
                let entries = list(fetcher, cid).await?;
                send(items, WalkItem::Directory { path: path.clone() }).await?;
                for entry in entries.into_iter().rev() {
                    if matches!(entry.name.as_str(), "" | "." | "..") || entry.name.contains(['/', '\\', '\0']) {
                        return Err(NodeError::BadBlock { cid, why: format!("{:?} is no file name", entry.name) });
                    }
                    let mut path = path.clone();
                    path.push(entry.name);
                    open.push((path, entry.cid));
                }
                ahead = 0;
            }
        }
        if ahead < REFILL && !open.is_empty() {
            let next: Vec<_> = open.iter().rev().take(WINDOW).map(|(_, cid)| *cid).collect();
            ahead = next.len();
            fetcher.prefetch(next).await?;
        }
    }
    Ok(())
}

/// The bytes of one file.
async fn file(fetcher: &mut Fetcher, cid: Cid, size: u64, items: &Items) -> Result<(), NodeError> {
    let (pieces, mut bytes) = mpsc::channel(1);
    let reading = async move {
        let pieces = pieces;
        read(fetcher, cid, 0, size, &pieces).await
    };
    let passing = async {
        while let Some(piece) = bytes.recv().await {
            send(items, WalkItem::Data(piece?)).await?;
        }
        Ok(())
    };
    tokio::try_join!(reading, passing).map(|_| ())
}

async fn send(items: &Items, item: WalkItem) -> Result<(), NodeError> {
    let gone = |_| NodeError::Interrupted("nobody reads the walk any more".to_owned());
    items.send(Ok(item)).await.map_err(gone)
}
