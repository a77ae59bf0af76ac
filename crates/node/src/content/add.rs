//! Adding files and directories.

use super::ContentHandle;
use super::fetch::blocking;
use crate::NodeError;
use ipfrs_blocks::{AddOptions, BlockStore, Built, FileAdder, StoreError};
use ipfrs_contract::Cid;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes chunked and hashed in one job on a blocking thread.
const BATCH: usize = 4 * 1024 * 1024;

/// What was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Root of the file or directory.
    pub cid: Cid,
    /// Bytes of all its blocks, shared ones counted again: the size that links to it carry.
    pub size: u64,
}

/// Adds one file piece by piece. Memory is bounded by one batch, whatever the size of the file.
pub struct Adder {
    content: ContentHandle,
    adder: Option<FileAdder>,
    batch: Vec<u8>,
    store: bool,
}

impl Adder {
    /// Adds bytes.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<(), NodeError> {
        while !bytes.is_empty() {
            let take = (BATCH - self.batch.len()).min(bytes.len());
            self.batch.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.batch.len() == BATCH {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), NodeError> {
        let Some(mut adder) = self.adder.take() else { return Err(interrupted()) };
        let batch = std::mem::take(&mut self.batch);
        let keep = self.store;
        let job = blocking(&self.content.0.store, move |store| {
            let blocks = adder.push(&batch);
            if keep {
                put_all(store, &blocks)?;
            }
            Ok((adder, blocks.into_iter().map(|(cid, _)| cid).collect()))
        });
        let (adder, cids) = job.await?;
        self.adder = Some(adder);
        if keep {
            self.content.tell(cids);
        }
        Ok(())
    }

    /// The root. Call [`ContentHandle::commit`] on the outermost root before telling anyone that it is added.
    pub async fn finish(mut self) -> Result<Added, NodeError> {
        self.flush().await?;
        let Some(adder) = self.adder.take() else { return Err(interrupted()) };
        let keep = self.store;
        self.content.keep_built(move || Ok(adder.finish()), keep).await
    }
}

fn put_all(store: &BlockStore, blocks: &[(Cid, Vec<u8>)]) -> Result<(), StoreError> {
    blocks.iter().try_for_each(|(cid, block)| store.put(cid, block))
}

fn interrupted() -> NodeError {
    NodeError::Interrupted("an earlier piece of this file failed".to_owned())
}

impl ContentHandle {
    /// Starts a file.
    pub fn adder(&self, options: &AddOptions) -> Adder {
        Adder { content: self.clone(), adder: Some(FileAdder::new(options.clone())), batch: Vec::new(), store: true }
    }

    /// Starts a file of which only the CID is wanted.
    pub fn hasher(&self, options: &AddOptions) -> Adder {
        Adder { store: false, ..self.adder(options) }
    }

    /// Adds a whole file, makes it durable and announces it.
    pub async fn add(&self, mut file: impl AsyncRead + Unpin, options: &AddOptions) -> Result<Added, NodeError> {
        let mut adder = self.adder(options);
        let mut buffer = vec![0u8; 256 * 1024];
        loop {
            let n =
                file.read(&mut buffer).await.map_err(|e| NodeError::Interrupted(format!("reading the file: {e}")))?;
            if n == 0 {
                break;
            }
            adder.push(&buffer[..n]).await?;
        }
        let added = adder.finish().await?;
        self.commit(&added.cid).await?;
        Ok(added)
    }

    /// Adds a symbolic link; where it leads is not looked at.
    pub async fn add_symlink(
        &self,
        target: String,
        options: &AddOptions,
        store_blocks: bool,
    ) -> Result<Added, NodeError> {
        let options = options.clone();
        let build = move || Ok(ipfrs_blocks::symlink(&target, &options));
        self.keep_built(build, store_blocks).await
    }

    /// Adds a directory of things that were added before: name, root and size of each.
    pub async fn add_directory(
        &self,
        entries: Vec<(String, Cid, u64)>,
        options: &AddOptions,
        store_blocks: bool,
    ) -> Result<Added, NodeError> {
        let options = options.clone();
        let build = move || {
            let mut builder = ipfrs_blocks::DirBuilder::new(options);
            for (name, cid, size) in entries {
                builder.add(name, cid, size);
            }
            builder.finish()
        };
        self.keep_built(build, store_blocks).await
    }

    async fn keep_built(
        &self,
        build: impl FnOnce() -> Result<Built, StoreError> + Send + 'static,
        store_blocks: bool,
    ) -> Result<Added, NodeError> {
        let job = blocking(&self.0.store, move |store| {
            let built = build()?;
            if store_blocks {
                put_all(store, &built.blocks)?;
            }
            let cids = built.blocks.into_iter().map(|(cid, _)| cid).collect();
            Ok((Added { cid: built.cid, size: built.size }, cids))
        });
        let (added, cids) = job.await?;
        if store_blocks {
            self.tell(cids);
        }
        Ok(added)
    }
}
