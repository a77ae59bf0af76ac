//! One peer's sender: keeps a stream open, packs wants, presences and blocks into messages.

use crate::message::{Entry, Message, PROTOCOLS, Payload, Presence, Wantlist};
use crate::wire::{Tools, Waiting, Wire};
use bytes::Bytes;
use futures::AsyncWriteExt;
use ipfrs_actor::CallError;
use ipfrs_contract::swarm::OpenStream;
use ipfrs_contract::{Multihash, PeerId, PeerStream};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Bytes of blocks in one message: large enough to amortise it, small enough that others are not held up.
const MESSAGE_BYTES: usize = 1 << 20;
/// Blocks at most this long are sent in answer to a question whether they are here; boxo's limit.
const SMALL: u64 = 1024;
/// Requests of one peer that may wait; more are dropped and asked again.
const QUEUE: usize = 16 * 1024;
/// An unused stream is closed after this.
const IDLE: Duration = Duration::from_secs(60);
/// A peer that does not read for so long loses its stream.
const STALLED: Duration = Duration::from_secs(60);
const OPEN: Duration = Duration::from_secs(15);

/// What a sender is told.
pub(crate) enum Order {
    /// Our wants and cancels.
    Wants(Vec<Entry>),
    /// Look these up and send what is there.
    Serve(Vec<Waiting>),
    /// The peer no longer wants these.
    Cancel(Vec<Multihash>),
}

pub(crate) struct Sender {
    peer: PeerId,
    wire: Arc<Wire>,
    tools: Tools,
    stream: Option<PeerStream>,
    wants: Vec<Entry>,
    requests: VecDeque<Waiting>,
}

impl Sender {
    pub(crate) fn new(peer: PeerId, wire: Arc<Wire>, tools: Tools) -> Self {
        Sender { peer, wire, tools, stream: None, wants: Vec::new(), requests: VecDeque::new() }
    }

    /// Runs until the peer is forgotten.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            if self.wants.is_empty() && self.requests.is_empty() {
                match tokio::time::timeout(IDLE, orders.recv()).await {
                    Ok(Some(order)) => self.take(order),
                    Ok(None) => break,
                    Err(_) => {
                        self.close().await;
                        match orders.recv().await {
                            Some(order) => self.take(order),
                            None => break,
                        }
                    }
                }
            }
            while let Ok(order) = orders.try_recv() {
                self.take(order);
            }
            let message = self.pack().await;
            if let Err(error) = self.send(&message).await {
                tracing::debug!(target: "exchange", peer = %self.peer, %error, "not sent");
            }
        }
        self.close().await;
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Wants(mut wants) => self.wants.append(&mut wants),
            Order::Serve(requests) => {
                let room = QUEUE.saturating_sub(self.requests.len());
                self.requests.extend(requests.into_iter().take(room));
            }
            Order::Cancel(hashes) => {
                let hashes: HashSet<_> = hashes.into_iter().collect();
                self.requests.retain(|request| !hashes.contains(request.cid.hash()));
            }
        }
    }

    /// The next message: all wants, and requests up to a message full of blocks.
    async fn pack(&mut self) -> Message {
        let mut message = Message::default();
        if !self.wants.is_empty() {
            message.wantlist = Some(Wantlist { entries: std::mem::take(&mut self.wants), full: false });
        }
        if self.requests.is_empty() {
            return message;
        }
        let (mut requests, store, serve) =
            (std::mem::take(&mut self.requests), self.tools.store.clone(), self.tools.serve);
        let looked_up = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            let mut bytes = 0;
            while let Some(request) = requests.pop_front() {
                let answer = if serve { look_up(&store, &request) } else { Answer::Absent };
                if let Answer::Block(data) = &answer {
                    bytes += data.len();
                }
                found.push((request, answer));
                if bytes >= MESSAGE_BYTES {
                    break;
                }
            }
            (requests, found)
        });
        let Ok((rest, found)) = looked_up.await else { return message };
        self.requests = rest;
        for (request, answer) in found {
            match answer {
                Answer::Block(data) => {
                    self.wire.counters.sent(data.len());
                    message.payload.push(Payload::new(&request.cid, data));
                }
                Answer::Here => message.presences.push(Presence::new(&request.cid, true)),
                Answer::Absent => {
                    if self.tools.serve {
                        self.wire.remember(self.peer, request);
                    }
                    if request.send_dont_have {
                        message.presences.push(Presence::new(&request.cid, false));
                    }
                }
            }
        }
        message
    }

    /// Sends on the open stream; a broken one is replaced once.
    async fn send(&mut self, message: &Message) -> Result<(), String> {
        if *message == Message::default() {
            return Ok(());
        }
        let bytes = message.framed();
        let reused = self.stream.is_some();
        match self.write(&bytes).await {
            Err(_) if reused => self.write(&bytes).await,
            result => result,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match tokio::time::timeout(STALLED, write).await {
            Ok(Ok(())) => {
                self.stream = Some(stream);
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the peer does not read".to_owned()),
        }
    }

    async fn open(&mut self) -> Result<PeerStream, String> {
        loop {
            // 1.0 cannot say that a block is missing and is only read.
            let protocols = PROTOCOLS[..2].iter().map(|p| (*p).to_owned()).collect();
            match self.tools.ports.open_stream.call(OpenStream { peer: self.peer, protocols }, OPEN).await {
                Ok(opened) => return opened.map_err(|e| e.to_string()),
                // A stream that a crashed shell was opening is opened again: nothing was sent on it.
                Err(CallError::Crashed { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    async fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            let _ = tokio::time::timeout(OPEN, stream.close()).await;
        }
    }
}

enum Answer {
    Block(Bytes),
    Here,
    Absent,
}

fn look_up(store: &ipfrs_blocks::BlockStore, request: &Waiting) -> Answer {
    let found = match store.size(&request.cid) {
        Ok(Some(size)) if request.block || size <= SMALL => store.get(&request.cid).map(|data| data.map(Answer::Block)),
        Ok(Some(_)) => Ok(Some(Answer::Here)),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    match found {
        Ok(answer) => answer.unwrap_or(Answer::Absent),
        Err(error) => {
            tracing::warn!(target: "exchange", cid = %request.cid, %error, "a wanted block cannot be read");
            Answer::Absent
        }
    }
}
