//! The peer database: `peers.redb`, every transaction durable before it is reported as written.

use crate::book::Record;
use ipfrs_actor::catch_panic;
use ipfrs_contract::PeerId;
use ipfrs_contract::peerstore::PeerStoreError;
use parking_lot::Mutex;
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
    backends::InMemoryBackend,
};
use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Peer id to record, as JSON: readable by the next version whatever it adds.
const PEERS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("peers.v1");
/// Banned peer ids.
const BANNED: TableDefinition<'_, &[u8], ()> = TableDefinition::new("banned.v1");
/// Protected peer ids.
const PROTECTED: TableDefinition<'_, &[u8], ()> = TableDefinition::new("protected.v1");

/// Memory for pages: the default store of 1,000 peers is about 1 MiB; redb's own default would be 1 GiB.
const CACHE_BYTES: usize = 2 * 1024 * 1024;
/// Damaged databases set aside before an open gives up looking for a free name.
const MAX_SET_ASIDE: u32 = 10_000;

/// The open database. It stands outside the actor, so that a crash of the actor neither closes nor locks it.
pub struct Storage {
    /// `None` after a failed write: redb refuses everything until the file is opened again.
    db: Mutex<Option<Database>>,
    path: Option<PathBuf>,
}

/// What [`Storage::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// The open database.
    pub storage: Storage,
    /// Where a damaged database was moved to; `storage` started empty then.
    pub set_aside: Option<PathBuf>,
}

/// Everything in the database.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) records: Vec<Record>,
    pub(crate) banned: HashSet<PeerId>,
    pub(crate) protected: HashSet<PeerId>,
}

/// Records to write.
#[derive(Debug)]
pub(crate) enum Batch {
    /// These changed; `None` was forgotten.
    Some(HashMap<PeerId, Option<Record>>),
    /// These are all there are.
    All(Vec<Record>),
}

/// Why a database cannot be used.
enum Refusal {
    Damaged(String),
    Other(String),
}

impl Storage {
    /// Opens or creates the database at `path` and reads it once through, so that damage shows now.
    ///
    /// A damaged database is moved to `<path>.corrupt-<n>` and named in a warning; nothing is deleted.
    pub fn open(path: &Path) -> Result<Opened, PeerStoreError> {
        let refused = |cause: String| PeerStoreError::Storage(format!("{}: {cause}", path.display()));
        let (db, set_aside) = match open_checked(path) {
            Ok(db) => (db, None),
            Err(Refusal::Other(cause)) => return Err(refused(cause)),
            Err(Refusal::Damaged(cause)) => {
                let aside = free_name(path)
                    .ok_or_else(|| refused(format!("damaged ({cause}), and no name is free to set it aside")))?;
                std::fs::rename(path, &aside)
                    .map_err(|e| refused(format!("damaged ({cause}), and cannot be set aside: {e}")))?;
                tracing::warn!(target: "peerstore", from = %path.display(), to = %aside.display(), %cause, "damaged peer database set aside");
                let db =
                    open_checked(path).map_err(|(Refusal::Damaged(cause) | Refusal::Other(cause))| refused(cause))?;
                (db, Some(aside))
            }
        };
        Ok(Opened { storage: Storage { db: Mutex::new(Some(db)), path: Some(path.to_owned()) }, set_aside })
    }

    /// A database that is gone with the process.
    pub fn in_memory() -> Result<Storage, PeerStoreError> {
        let db = builder().create_with_backend(InMemoryBackend::new());
        let db = db.map_err(|e| PeerStoreError::Storage(e.to_string()))?;
        Ok(Storage { db: Mutex::new(Some(db)), path: None })
    }

    /// Reads everything.
    pub(crate) fn load(&self) -> Result<Stored, PeerStoreError> {
        self.with(read_all)
    }

    /// Writes records; durable when it returns.
    pub(crate) fn write(&self, batch: &Batch) -> Result<(), PeerStoreError> {
        self.transact(|txn| {
            let mut table = txn.open_table(PEERS)?;
            match batch {
                Batch::Some(records) => {
                    for (peer, record) in records {
                        let key = peer.to_bytes();
                        match record {
                            Some(record) => drop(table.insert(key.as_slice(), encode(record).as_slice())?),
                            None => drop(table.remove(key.as_slice())?),
                        }
                    }
                }
                Batch::All(records) => {
                    let keep: HashSet<Vec<u8>> = records.iter().map(|record| record.known.peer.to_bytes()).collect();
                    // What cannot be read stays: it may be the work of a newer version.
                    table.retain(|key: &[u8], value: &[u8]| keep.contains(key) || decode(value).is_none())?;
                    for record in records {
                        let key = record.known.peer.to_bytes();
                        table.insert(key.as_slice(), encode(record).as_slice())?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Bans a peer or lifts its ban; durable when it returns.
    pub(crate) fn set_banned(&self, peer: &PeerId, banned: bool) -> Result<(), PeerStoreError> {
        self.set_member(BANNED, peer, banned)
    }

    /// Protects a peer or ends its protection; durable when it returns.
    pub(crate) fn set_protected(&self, peer: &PeerId, protected: bool) -> Result<(), PeerStoreError> {
        self.set_member(PROTECTED, peer, protected)
    }

    fn set_member(
        &self,
        table: TableDefinition<'_, &'static [u8], ()>,
        peer: &PeerId,
        member: bool,
    ) -> Result<(), PeerStoreError> {
        self.transact(|txn| {
            let mut table = txn.open_table(table)?;
            let key = peer.to_bytes();
            if member {
                table.insert(key.as_slice(), ())?;
            } else {
                table.remove(key.as_slice())?;
            }
            Ok(())
        })
    }

    fn transact(&self, work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) -> Result<(), PeerStoreError> {
        let done = self.with(|db| {
            let mut txn = db.begin_write()?;
            txn.set_durability(Durability::Immediate)?;
            work(&txn)?;
            Ok(txn.commit()?)
        });
        let name = if done.is_ok() { "ipfrs_peerstore_writes_total" } else { "ipfrs_peerstore_write_failures_total" };
        ipfrs_actor::counter!(name).increment(1);
        done
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, PeerStoreError> {
        let mut open = self.db.lock();
        let db = match (&mut *open, &self.path) {
            (Some(db), _) => db,
            (closed, Some(path)) => {
                closed.insert(builder().create(path).map_err(|e| PeerStoreError::Storage(e.to_string()))?)
            }
            (None, None) => return Err(PeerStoreError::Storage("the database in memory is gone".to_owned())),
        };
        let done = work(db);
        if done.is_err() && self.path.is_some() {
            // A full disk, say: after it redb answers nothing but "previous I/O error" until the file is opened again.
            *open = None;
        }
        done.map_err(|e| PeerStoreError::Storage(e.to_string()))
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("path", &self.path).finish_non_exhaustive()
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Opens a database and reads all of it. Damage may also show as a panic of the library.
fn open_checked(path: &Path) -> Result<Database, Refusal> {
    let opened = catch_panic(|| {
        let db = builder().set_check_integrity_on_open(true).create(path)?;
        read_all(&db)?;
        Ok::<_, redb::Error>(db)
    });
    match opened {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(error)) if is_damage(&error) => Err(Refusal::Damaged(error.to_string())),
        Ok(Err(error)) => Err(Refusal::Other(error.to_string())),
        Err(panic) => Err(Refusal::Damaged(panic.message)),
    }
}

fn is_damage(error: &redb::Error) -> bool {
    use redb::Error::*;
    match error {
        Io(error) => {
            matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::InvalidInput)
        }
        Corrupted(_) | UpgradeRequired(_) | RepairAborted => true,
        TableTypeMismatch { .. } | TableIsMultimap(_) | TypeDefinitionChanged { .. } => true,
        _ => false,
    }
}

fn free_name(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    (1..=MAX_SET_ASIDE).map(|n| path.with_file_name(format!("{name}.corrupt-{n}"))).find(|path| !path.exists())
}

fn read_all(db: &Database) -> Result<Stored, redb::Error> {
    let mut stored = Stored::default();
    {
        // The first read of a new database finds no tables; opening them for writing makes them.
        let txn = db.begin_write()?;
        txn.open_table(PEERS)?;
        txn.open_table(BANNED)?;
        txn.open_table(PROTECTED)?;
        txn.commit()?;
    }
    let txn = db.begin_read()?;
    for row in txn.open_table(PEERS)?.iter()? {
        let (key, value) = row?;
        match decode(value.value()).filter(|record| record.known.peer.to_bytes() == key.value()) {
            Some(record) => stored.records.push(record),
            None => {
                tracing::warn!(target: "peerstore", peer = ?PeerId::from_bytes(key.value()).ok(), "unreadable record, left alone")
            }
        }
    }
    for (table, peers) in [(BANNED, &mut stored.banned), (PROTECTED, &mut stored.protected)] {
        for row in txn.open_table(table)?.iter()? {
            let (key, _) = row?;
            peers.extend(PeerId::from_bytes(key.value()).ok());
        }
    }
    Ok(stored)
}

fn encode(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record has only string keys and finite numbers")
}

fn decode(bytes: &[u8]) -> Option<Record> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
