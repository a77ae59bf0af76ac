//! The store as a JSON document, for moving it to another node. Works on the database; the node need not run.

use crate::book::Record;
use crate::storage::Batch;
use crate::{Storage, addrs};
use ipfrs_contract::PeerId;
use ipfrs_contract::peerstore::{KnownPeer, PeerStoreError};
use std::collections::HashMap;

/// The version of the document written here.
const VERSION: u32 = 1;
/// Largest document read: the `server` preset's 5,000 peers with everything known about them are about 10 MiB.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What the document holds.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Document {
    version: u32,
    peers: Vec<KnownPeer>,
    #[serde(default)]
    banned: Vec<PeerId>,
    #[serde(default)]
    protected: Vec<PeerId>,
}

/// A document could not be imported; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not a document of this kind.
    #[error("not an export of a peer store: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a later version.
    #[error("version {0} of the export is not known, this is version {VERSION}")]
    Version(u32),
    /// Larger than any export.
    #[error("{0} bytes are more than the {MAX_BYTES} an export may have")]
    TooLarge(usize),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] PeerStoreError),
}

impl Storage {
    /// Everything as JSON.
    pub fn export_json(&self) -> Result<String, PeerStoreError> {
        let stored = self.load()?;
        let document = Document {
            version: VERSION,
            peers: stored.records.into_iter().map(|record| record.known).collect(),
            banned: stored.banned.into_iter().collect(),
            protected: stored.protected.into_iter().collect(),
        };
        serde_json::to_string_pretty(&document).map_err(|e| PeerStoreError::Storage(e.to_string()))
    }

    /// Adds what an export holds; of a peer known already the later record stays. Says how many records were taken.
    ///
    /// To be used while no node has the store open: a running node does not look at the database again.
    pub fn import_json(&self, text: &str) -> Result<usize, ImportError> {
        if text.len() > MAX_BYTES {
            return Err(ImportError::TooLarge(text.len()));
        }
        let document: Document = serde_json::from_str(text)?;
        if document.version != VERSION {
            return Err(ImportError::Version(document.version));
        }
        let known = self.load()?.records.into_iter().map(|record| (record.known.peer, record.known.last_seen));
        let known: HashMap<PeerId, u64> = known.collect();
        let mut taken = HashMap::new();
        for mut peer in document.peers {
            if known.get(&peer.peer).is_none_or(|seen| *seen < peer.last_seen) {
                peer.addrs = peer.addrs.iter().filter_map(|addr| addrs::clean(&peer.peer, addr)).collect();
                let heard = peer.last_seen;
                taken.insert(peer.peer, Some(Record { known: peer, heard }));
            }
        }
        let count = taken.len();
        self.write(&Batch::Some(taken))?;
        for peer in &document.banned {
            self.set_banned(peer, true)?;
        }
        for peer in &document.protected {
            self.set_protected(peer, true)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_fills_another_store() {
        let (from, to) = (Storage::in_memory().unwrap(), Storage::in_memory().unwrap());
        let [old, new, banned] = [0; 3].map(|_| PeerId::random());
        let record =
            |peer, last_seen| Record { known: KnownPeer { last_seen, ..Record::new(peer).known }, heard: last_seen };
        let batch = |records: Vec<Record>| Batch::Some(records.into_iter().map(|r| (r.known.peer, Some(r))).collect());
        from.write(&batch(vec![record(old, 5), record(new, 5)])).unwrap();
        from.set_banned(&banned, true).unwrap();
        to.write(&batch(vec![record(old, 9)])).unwrap();
        let text = from.export_json().unwrap();
        assert_eq!(to.import_json(&text).unwrap(), 1);
        let stored = to.load().unwrap();
        assert_eq!(stored.records.len(), 2);
        assert!(stored.records.iter().any(|r| r.known.peer == old && r.known.last_seen == 9), "the later record stays");
        assert!(stored.banned.contains(&banned));
        assert!(matches!(to.import_json("{}"), Err(ImportError::Malformed(_))));
        assert!(matches!(
            to.import_json(&text.replace("\"version\": 1", "\"version\": 7")),
            Err(ImportError::Version(7))
        ));
    }
}
