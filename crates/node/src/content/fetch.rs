//! Fetching blocks: from the store, or wanted in a session until they are there.

use crate::NodeError;
use crate::handles::{ExchangePorts, QUICK, call};
use bytes::Bytes;
use ipfrs_actor::{CallError, Message, Port};
use ipfrs_blocks::{BlockStore, StoreError};
use ipfrs_contract::Cid;
use ipfrs_contract::exchange::{Arrived, CloseSession, ExchangeError, OpenSession, SessionId, Want};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// News of blocks that may wait to be read; the wants of one traversal never exceed the window.
const NEWS: usize = 1024;
/// Between two looks into the store while news is awaited: what an exchange told right before it crashed is lost.
const LOOK: Duration = Duration::from_secs(5);
/// Pause before an exchange that was lost or overloaded is asked again.
const PAUSE: Duration = Duration::from_millis(100);

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

    /// Takes in what has arrived meanwhile.
    fn hear(&mut self) {
        let Some((_, news)) = &mut self.session else { return };
        while let Ok(Arrived::Block(cid) | Arrived::Failed(cid, _)) = news.try_recv() {
            self.outstanding.remove(&cid);
        }
    }

    /// Asks for the blocks that are not here yet, without waiting for them.
    pub(crate) async fn prefetch(&mut self, cids: Vec<Cid>) -> Result<(), NodeError> {
        self.hear();
        let fresh: Vec<_> = cids.into_iter().filter(|cid| !self.outstanding.contains(cid)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
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

    /// One block if it is here already.
    pub(crate) async fn local(&self, cid: Cid) -> Result<Option<Bytes>, NodeError> {
        blocking(&self.store, move |store| store.get(&cid)).await
    }

    /// One block, from here or from the network. Fails when nothing at all arrived for as long as patience lasts.
    pub(crate) async fn get(&mut self, cid: Cid) -> Result<Bytes, NodeError> {
        ipfrs_blocks::check_hash(&cid).map_err(StoreError::from)?;
        let mut deadline = Instant::now() + self.patience;
        loop {
            self.hear();
            if let Some(data) = self.local(cid).await? {
                self.outstanding.remove(&cid);
                return Ok(data);
            }
            if !self.outstanding.contains(&cid) {
                self.want(vec![cid]).await?;
            }
            while self.outstanding.contains(&cid) {
                let Some((_, news)) = &mut self.session else { break };
                let look = deadline.min(Instant::now() + LOOK);
                match tokio::time::timeout_at(look, news.recv()).await {
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
                    Err(_) if look == deadline => return Err(NodeError::NotFound { cid, within: self.patience }),
                    Err(_) => drop(self.outstanding.remove(&cid)),
                }
            }
        }
    }

    async fn want(&mut self, cids: Vec<Cid>) -> Result<(), NodeError> {
        if cids.is_empty() {
            return Ok(());
        }
        self.outstanding.extend(cids.iter().copied());
        let session = match &self.session {
            Some((session, _)) => *session,
            None => self.session.insert(self.open().await?).0,
        };
        match self.insist(|| (&self.exchange.want, Want { session, cids: cids.clone() })).await? {
            Ok(()) => Ok(()),
            Err(ExchangeError::NoSession) => self.reopen().await,
            Err(error) => Err(error.into()),
        }
    }

    async fn open(&self) -> Result<(SessionId, mpsc::Receiver<Arrived>), NodeError> {
        let mut heard = None;
        let open = || {
            let (arrived, news) = mpsc::channel(NEWS);
            heard = Some(news);
            (&self.exchange.open, OpenSession { arrived })
        };
        let session = self.insist(open).await?;
        let news = heard.ok_or_else(|| NodeError::Interrupted("no session was asked for".to_owned()))?;
        Ok((session, news))
    }

    /// Asks an exchange that crashes or is overloaded again, as long as patience lasts: opening and wanting can be done
    /// twice.
    async fn insist<'a, M>(&self, mut ask: impl FnMut() -> (&'a Port<M>, M)) -> Result<M::Result, NodeError>
    where
        M: Message + Send + 'static,
        M::Result: Send + 'static,
    {
        let deadline = Instant::now() + self.patience;
        loop {
            let (port, message) = ask();
            match call(port, message, QUICK).await {
                Err(NodeError::Call { cause, .. }) if cause != CallError::Stopped && Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
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
