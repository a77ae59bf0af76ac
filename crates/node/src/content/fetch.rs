//! Fetching blocks: from the store, or wanted in a session until they are there.

use crate::NodeError;
use crate::handles::{ExchangePorts, QUICK, call};
use bytes::Bytes;
use ipfrs_actor::CallError;
use ipfrs_blocks::BlockStore;
use ipfrs_contract::Cid;
use ipfrs_contract::exchange::{Arrived, CloseSession, ExchangeError, OpenSession, SessionId, Want};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// News of blocks that may wait to be read; the wants of one traversal never exceed the window.
const NEWS: usize = 1024;
/// An exchange that was lost with a request in hand is asked again this often.
const RETRIES: u32 = 5;

/// Blocks of one traversal. Wants are idempotent, so an exchange that crashed with one in hand is simply asked again.
pub(crate) struct Fetcher {
    store: BlockStore,
    exchange: ExchangePorts,
    patience: Duration,
    session: Option<(SessionId, mpsc::Receiver<Arrived>)>,
    outstanding: HashSet<Cid>,
}

impl Fetcher {
    pub(crate) fn new(store: BlockStore, exchange: ExchangePorts, patience: Duration) -> Self {
        Fetcher { store, exchange, patience, session: None, outstanding: HashSet::new() }
    }

    /// Asks for the blocks that are not here yet, without waiting for them.
    pub(crate) async fn prefetch(&mut self, cids: Vec<Cid>) -> Result<(), NodeError> {
        let fresh: Vec<_> = cids.into_iter().filter(|cid| !self.outstanding.contains(cid)).collect();
        let missing = blocking(&self.store, move |store| {
            let mut missing = Vec::new();
            for cid in fresh {
                if !store.has(&cid)? {
                    missing.push(cid);
                }
            }
            Ok(missing)
        })
        .await?;
        self.want(missing).await
    }

    /// One block, from here or from the network. Fails when nothing at all arrived for as long as patience lasts.
    pub(crate) async fn get(&mut self, cid: Cid) -> Result<Bytes, NodeError> {
        let mut deadline = Instant::now() + self.patience;
        loop {
            if let Some(data) = self.local(cid).await? {
                self.outstanding.remove(&cid);
                return Ok(data);
            }
            if !self.outstanding.contains(&cid) {
                self.want(vec![cid]).await?;
            }
            while self.outstanding.contains(&cid) {
                let Some((_, news)) = &mut self.session else { break };
                match tokio::time::timeout_at(deadline, news.recv()).await {
                    Ok(Some(Arrived::Block(arrived))) => {
                        self.outstanding.remove(&arrived);
                        deadline = Instant::now() + self.patience;
                    }
                    Ok(Some(Arrived::Failed(failed, why))) => {
                        self.outstanding.remove(&failed);
                        if failed == cid {
                            return Err(NodeError::Interrupted(format!("block {cid} could not be stored: {why}")));
                        }
                    }
                    Ok(None) => self.reopen().await?,
                    Err(_) => return Err(NodeError::NotFound { cid, within: self.patience }),
                }
            }
        }
    }

    async fn local(&self, cid: Cid) -> Result<Option<Bytes>, NodeError> {
        blocking(&self.store, move |store| store.get(&cid)).await
    }

    async fn want(&mut self, cids: Vec<Cid>) -> Result<(), NodeError> {
        if cids.is_empty() {
            return Ok(());
        }
        self.outstanding.extend(cids.iter().copied());
        if self.session.is_none() {
            self.session = Some(self.open().await?);
        }
        for _ in 0..RETRIES {
            let Some((session, _)) = &self.session else { break };
            let want = Want { session: *session, cids: cids.clone() };
            match call(&self.exchange.want, want, QUICK).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(ExchangeError::NoSession)) => return self.reopen().await,
                Ok(Err(error)) => return Err(error.into()),
                Err(NodeError::Call { cause: CallError::Crashed { .. }, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(NodeError::Interrupted("the exchange keeps failing".to_owned()))
    }

    async fn open(&self) -> Result<(SessionId, mpsc::Receiver<Arrived>), NodeError> {
        let mut tries = 0;
        loop {
            let (arrived, news) = mpsc::channel(NEWS);
            match call(&self.exchange.open, OpenSession { arrived }, QUICK).await {
                Ok(session) => return Ok((session, news)),
                Err(NodeError::Call { cause: CallError::Crashed { .. }, .. }) if tries < RETRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The session is gone: a new one wants everything that is outstanding.
    async fn reopen(&mut self) -> Result<(), NodeError> {
        self.session = Some(self.open().await?);
        let cids: Vec<_> = self.outstanding.iter().copied().collect();
        Box::pin(self.want(cids)).await
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        if let Some((session, _)) = self.session.take() {
            // A refused cast is made good by the session's own check for dead receivers.
            let _ = self.exchange.close.cast(CloseSession { session });
        }
    }
}

/// Runs a job on the store on a thread where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    store: &BlockStore,
    job: impl FnOnce(&BlockStore) -> Result<T, ipfrs_blocks::StoreError> + Send + 'static,
) -> Result<T, NodeError> {
    let store = store.clone();
    let done = tokio::task::spawn_blocking(move || job(&store)).await;
    Ok(done.map_err(|e| NodeError::Interrupted(e.to_string()))??)
}
