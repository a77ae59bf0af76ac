//! Files, directories and blocks: adding, reading, listing.

mod add;
mod fetch;
mod path;
mod read;
mod walk;

pub use add::{Added, Adder};
pub use read::{CatStream, EntryKind, ListEntry, PathStat};
pub use walk::WalkItem;

use crate::NodeError;
use crate::handles::{DhtHandle, ExchangeHandle};
use bytes::Bytes;
use fetch::{Fetcher, blocking};
use ipfrs_blocks::BlockStore;
use ipfrs_contract::Cid;
use ipfrs_contract::exchange::BlocksAdded;
use std::time::Duration;

/// What content needs of the node.
#[derive(Clone)]
pub(crate) struct ContentPorts {
    pub(crate) store: BlockStore,
    pub(crate) exchange: ExchangeHandle,
    pub(crate) dht: DhtHandle,
    /// How long a fetch waits while nothing at all arrives.
    pub(crate) patience: Duration,
}

/// Files, directories and blocks of a node, and of the network behind it.
#[derive(Clone)]
pub struct ContentHandle(ContentPorts);

impl ContentHandle {
    pub(crate) fn new(ports: ContentPorts) -> Self {
        ContentHandle(ports)
    }

    /// The block store. Its methods block: call them where that is allowed.
    pub fn store(&self) -> &BlockStore {
        &self.0.store
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher::new(self.0.store.clone(), self.0.exchange.0.clone(), self.0.patience)
    }

    /// Whether a block is here.
    pub async fn has_local(&self, cid: &Cid) -> Result<bool, NodeError> {
        let cid = *cid;
        blocking(&self.0.store, move |store| store.has(&cid)).await
    }

    /// One block, fetched when it is not here.
    pub async fn block(&self, cid: &Cid) -> Result<Bytes, NodeError> {
        self.fetcher().get(*cid).await
    }

    /// Stores a block after checking it against its CID, makes it durable and announces it.
    pub async fn put_block(&self, cid: Cid, data: Bytes) -> Result<(), NodeError> {
        blocking(&self.0.store, move |store| store.put_verified(&cid, &data)).await?;
        self.commit(&cid).await
    }

    /// Makes what was added durable and tells the exchange and, in the background, the DHT. After this an `add` may be
    /// acknowledged: it survives the process.
    pub async fn commit(&self, root: &Cid) -> Result<(), NodeError> {
        blocking(&self.0.store, |store| store.sync()).await?;
        self.tell(vec![*root]);
        if let Err(error) = self.0.dht.provide_later(root) {
            tracing::warn!(target: "node", %root, %error, "added, but not announced");
        }
        Ok(())
    }

    /// Blocks are here now: peers that wait for them are served at once. A refused cast only means they ask again.
    fn tell(&self, cids: Vec<Cid>) {
        let _ = self.0.exchange.0.added.cast(BlocksAdded { cids });
    }
}
