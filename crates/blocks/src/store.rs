//! Blocks as plain files, in the layout of Kubo's flatfs: `blocks/XY/…XYZ.data`, the name being the multihash in base 32.
//!
//! A block is written beside its place and renamed into it, so a file is whole or absent. It is checked when it is read:
//! a damaged file is moved to `set-aside/`, named in the log and never deleted.

use crate::verify::{VerifyError, inline, verify};
use bytes::Bytes;
use cid::Cid;
use multibase::Base;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

type Multihash = multihash::Multihash<64>;

/// The layout, as flatfs names it: the two characters before the last of a name are its folder.
const LAYOUT: &str = "/repo/flatfs/shard/v1/next-to-last/2\n";
const LAYOUT_FILE: &str = "SHARDING";
const SUFFIX: &str = "data";

/// Why the block store could not do it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("block store: {path}: {cause}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        #[source]
        cause: Arc<io::Error>,
    },
    /// The disk is full; nothing half-written stays.
    #[error("block store: no space left on the device of {path}")]
    DiskFull {
        /// Where there is no room.
        path: PathBuf,
    },
    /// The folder holds blocks in another layout.
    #[error("block store: {path} has layout {found:?}, this version reads {LAYOUT:?}")]
    Layout {
        /// Which folder.
        path: PathBuf,
        /// Its layout.
        found: String,
    },
    /// The bytes are not the block they are said to be.
    #[error("{0}")]
    Verify(#[from] VerifyError),
    /// A name that no directory can hold.
    #[error("{name:?} cannot be a name in a directory")]
    BadName {
        /// The name.
        name: String,
    },
    /// A directory could not be built.
    #[error("directory: {0}")]
    BadDirectory(String),
}

/// A store and what was found damaged when it was opened.
pub struct Opened {
    /// The store.
    pub store: BlockStore,
    /// Files kept aside, by this and earlier runs.
    pub set_aside: Vec<PathBuf>,
}

/// Number and size of the blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStat {
    /// Blocks.
    pub blocks: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Blocks on disk, by multihash: CIDs of both versions lead to the same block. Every method blocks on the disk.
#[derive(Clone)]
pub struct BlockStore(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    next: AtomicU64,
    /// Something was put since the last sync.
    dirty: AtomicBool,
    /// Held during a sync; puts go on meanwhile.
    syncing: Mutex<()>,
    fresh: Mutex<Fresh>,
}

/// Blocks that were just checked and put, each until it is read once: whoever fetched it reads it next.
#[derive(Default)]
struct Fresh {
    blocks: HashMap<Multihash, Bytes>,
    order: VecDeque<Multihash>,
    bytes: usize,
}

/// Bytes of such blocks: twice the window of one reader. The oldest go first.
const FRESH: usize = 64 << 20;

impl Fresh {
    fn put(&mut self, hash: Multihash, data: &[u8]) {
        if self.blocks.insert(hash, Bytes::copy_from_slice(data)).is_none() {
            self.order.push_back(hash);
            self.bytes += data.len();
        }
        while self.bytes > FRESH {
            let Some(oldest) = self.order.front().copied() else { return };
            self.take(&oldest);
        }
    }

    fn take(&mut self, hash: &Multihash) -> Option<Bytes> {
        let data = self.blocks.remove(hash)?;
        self.bytes -= data.len();
        // Blocks are read in about the order they came.
        if let Some(at) = self.order.iter().position(|other| other == hash) {
            self.order.remove(at);
        }
        Some(data)
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    move |cause| match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull { path: path.to_owned() },
        _ => StoreError::Io { path: path.to_owned(), cause: Arc::new(cause) },
    }
}

impl BlockStore {
    /// Opens the store in a folder, making it when it is not there.
    pub fn open(dir: &Path) -> Result<Opened, StoreError> {
        let tmp = dir.join("tmp");
        fs::create_dir_all(&tmp).map_err(failed(&tmp))?;
        let layout = dir.join(LAYOUT_FILE);
        match fs::read_to_string(&layout) {
            Ok(found) if found == LAYOUT => {}
            Ok(found) => return Err(StoreError::Layout { path: dir.to_owned(), found }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => fs::write(&layout, LAYOUT).map_err(failed(&layout))?,
            Err(e) => return Err(failed(&layout)(e)),
        }
        // What a killed process was still writing was never acknowledged.
        for leftover in fs::read_dir(&tmp).map_err(failed(&tmp))?.flatten() {
            let path = leftover.path();
            fs::remove_file(&path).map_err(failed(&path))?;
        }
        let aside = dir.join("set-aside");
        let set_aside =
            fs::read_dir(&aside).map(|files| files.flatten().map(|f| f.path()).collect()).unwrap_or_default();
        let inner = Inner {
            dir: dir.to_owned(),
            next: AtomicU64::new(0),
            dirty: AtomicBool::new(false),
            syncing: Mutex::default(),
            fresh: Mutex::default(),
        };
        Ok(Opened { store: BlockStore(Arc::new(inner)), set_aside })
    }

    fn path(&self, hash: &Multihash) -> PathBuf {
        let name = Base::Base32Upper.encode(hash.to_bytes());
        let folder = &name[name.len().saturating_sub(3)..name.len() - 1];
        self.0.dir.join(folder).join(format!("{name}.{SUFFIX}"))
    }

    /// Whether a block is here.
    pub fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.size(cid)?.is_some())
    }

    /// Bytes of a block, without reading it.
    pub fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        if let Some(data) = inline(cid) {
            return Ok(Some(data.len() as u64));
        }
        let path = self.path(cid.hash());
        match fs::metadata(&path) {
            Ok(found) => Ok(Some(found.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(&path)(e)),
        }
    }

    /// A block, checked. A damaged one is set aside and counts as absent, so that it is fetched or added again.
    pub fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        if let Some(data) = inline(cid) {
            return Ok(Some(Bytes::copy_from_slice(data)));
        }
        if let Some(data) = self.0.fresh.lock().take(cid.hash()) {
            return Ok(Some(data));
        }
        let path = self.path(cid.hash());
        let data = match fs::read(&path) {
            Ok(data) => Bytes::from(data),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&path)(e)),
        };
        match verify(cid, &data) {
            Ok(()) => Ok(Some(data)),
            Err(VerifyError::Mismatch(_)) => {
                self.set_aside(&path)?;
                Ok(None)
            }
            Err(unknown) => Err(unknown.into()),
        }
    }

    fn set_aside(&self, path: &Path) -> Result<(), StoreError> {
        let aside = self.0.dir.join("set-aside");
        fs::create_dir_all(&aside).map_err(failed(&aside))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kept = (0u32..).map(|n| aside.join(format!("{name}.{n}"))).find(|kept| !kept.exists());
        let kept = kept.expect("some number is free");
        fs::rename(path, &kept).map_err(failed(path))?;
        tracing::error!(target: "blocks", damaged = %path.display(), kept = %kept.display(), "a block is damaged and was set aside");
        metrics::counter!("ipfrs_blocks_set_aside_total").increment(1);
        Ok(())
    }

    /// Stores a block whose CID was just computed from it or checked.
    pub fn put(&self, cid: &Cid, data: &[u8]) -> Result<(), StoreError> {
        if inline(cid).is_some() {
            return Ok(());
        }
        let path = self.path(cid.hash());
        match fs::read(&path) {
            Ok(there) if there == data => return Ok(()),
            Ok(_) => self.set_aside(&path)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(&path)(e)),
        }
        let tmp = self.0.dir.join("tmp").join(self.0.next.fetch_add(1, Ordering::Relaxed).to_string());
        let written =
            File::create(&tmp).and_then(|mut file| file.write_all(data)).and_then(|()| match fs::rename(&tmp, &path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir_all(path.parent().unwrap_or(&self.0.dir))?;
                    fs::rename(&tmp, &path)
                }
                renamed => renamed,
            });
        if let Err(error) = written {
            let _ = fs::remove_file(&tmp);
            return Err(failed(&path)(error));
        }
        self.0.dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Stores a block that was just checked and will be read next: the first read needs neither the disk nor a hash.
    pub fn put_fresh(&self, cid: &Cid, data: &[u8]) -> Result<(), StoreError> {
        self.put(cid, data)?;
        self.0.fresh.lock().put(*cid.hash(), data);
        Ok(())
    }

    /// Stores a block after checking it.
    pub fn put_verified(&self, cid: &Cid, data: &[u8]) -> Result<(), StoreError> {
        verify(cid, data)?;
        self.put(cid, data)
    }

    /// Forgets a block; says whether it was here.
    pub fn remove(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.0.fresh.lock().take(cid.hash());
        let path = self.path(cid.hash());
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed(&path)(e)),
        }
    }

    /// Makes everything that was put survive a loss of power. A lost process alone loses nothing even without it.
    pub fn sync(&self) -> Result<(), StoreError> {
        // Whoever finds another at it waits: its own blocks may be among those.
        let _one = self.0.syncing.lock();
        if !self.0.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let synced = File::open(&self.0.dir).and_then(|dir| sync_filesystem(&dir));
        synced.inspect_err(|_| self.0.dirty.store(true, Ordering::Release)).map_err(failed(&self.0.dir))
    }

    /// Multihashes of every block, in no order.
    pub fn hashes(&self) -> impl Iterator<Item = Multihash> {
        self.files().filter_map(|path| {
            let name = path.file_stem()?.to_str()?;
            let bytes = Base::Base32Upper.decode(name).ok()?;
            Multihash::from_bytes(&bytes).ok()
        })
    }

    /// Counts the blocks; reads every folder.
    pub fn stat(&self) -> StoreStat {
        self.files().fold(StoreStat::default(), |sum, path| StoreStat {
            blocks: sum.blocks + 1,
            bytes: sum.bytes + fs::metadata(path).map_or(0, |m| m.len()),
        })
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let entries = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
        let folders = entries(self.0.dir.clone()).filter(|p| p.file_name().is_some_and(|n| n.len() == 2));
        folders.flat_map(entries).filter(|p| p.extension().is_some_and(|e| e == SUFFIX))
    }
}

#[cfg(target_os = "linux")]
fn sync_filesystem(dir: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(dir)?)
}

/// Elsewhere there is no call for one file system; the folder's own sync is the best there is.
#[cfg(not(target_os = "linux"))]
fn sync_filesystem(dir: &File) -> io::Result<()> {
    dir.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{DAG_PB, RAW, cid_of};

    fn open(dir: &Path) -> Opened {
        BlockStore::open(dir).unwrap()
    }

    #[test]
    fn blocks_survive_a_reopen_and_both_versions_are_one() {
        let dir = tempfile::tempdir().unwrap();
        let (v0, v1) = (cid_of(0, DAG_PB, b"block"), cid_of(1, RAW, b"block"));
        open(dir.path()).store.put(&v0, b"block").unwrap();
        fs::write(dir.path().join("tmp/half"), b"bl").unwrap();
        let store = open(dir.path()).store;
        assert_eq!(store.get(&v1).unwrap().as_deref(), Some(&b"block"[..]));
        assert_eq!(store.stat(), StoreStat { blocks: 1, bytes: 5 });
        assert_eq!(store.hashes().collect::<Vec<_>>(), [*v0.hash()]);
        assert!(!dir.path().join("tmp/half").exists());
        store.sync().unwrap();
        assert!(store.remove(&v0).unwrap() && !store.has(&v1).unwrap());
    }

    #[test]
    fn a_fresh_block_is_read_once_without_the_disk_and_their_bytes_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).store;
        let cid = cid_of(1, RAW, b"block");
        store.put_fresh(&cid, b"block").unwrap();
        fs::remove_file(store.path(cid.hash())).unwrap();
        assert_eq!(store.get(&cid).unwrap().as_deref(), Some(&b"block"[..]));
        assert_eq!(store.get(&cid).unwrap(), None);
        let big = vec![7; 1 << 20];
        let mut fresh = Fresh::default();
        for n in 0..100u32 {
            fresh.put(*cid_of(1, RAW, &n.to_be_bytes()).hash(), &big);
        }
        assert_eq!((fresh.bytes, fresh.blocks.len(), fresh.order.len()), (FRESH, 64, 64));
        assert!(fresh.take(cid_of(1, RAW, &99u32.to_be_bytes()).hash()).is_some());
    }

    #[test]
    fn a_damaged_block_is_kept_aside_and_can_be_put_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).store;
        let cid = cid_of(1, RAW, b"block");
        for n in 1..=2 {
            store.put(&cid, b"block").unwrap();
            fs::write(store.path(cid.hash()), b"blocc").unwrap();
            assert_eq!(store.get(&cid).unwrap(), None);
            assert_eq!(open(dir.path()).set_aside.len(), n);
        }
        fs::create_dir_all(store.path(cid.hash()).parent().unwrap()).unwrap();
        fs::write(store.path(cid.hash()), b"blocc").unwrap();
        store.put(&cid, b"block").unwrap();
        assert!(store.get(&cid).unwrap().is_some());
        assert!(matches!(store.put_verified(&cid, b"other"), Err(StoreError::Verify(VerifyError::Mismatch(_)))));
    }

    #[test]
    fn another_layout_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LAYOUT_FILE), "/repo/flatfs/shard/v1/prefix/2\n").unwrap();
        assert!(matches!(BlockStore::open(dir.path()), Err(StoreError::Layout { .. })));
    }
}
