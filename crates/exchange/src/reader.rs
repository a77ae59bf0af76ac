//! Inbound streams: each read by a task of its own, wanted blocks checked and stored before anyone hears of them.

use crate::handlers::Heard;
use crate::message::{self, MAX_ENTRIES, Message, PROTOCOLS};
use crate::wire::{Tools, Wire};
use futures::io::BufReader;
use ipfrs_actor::{CallError, Port};
use ipfrs_blocks::{DAG_PB, cid_of};
use ipfrs_contract::swarm::RegisterProtocol;
use ipfrs_contract::{Cid, InboundStream, PeerId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;

/// Inbound streams of one peer read at once; peers need one and use a few.
const STREAMS: usize = 16;
/// Streams that may wait to be accepted.
const QUEUE: usize = 64;
/// A message once begun must be complete within this.
const BODY: Duration = Duration::from_secs(60);
/// How long the actor may take to hear of a message before it is told again.
const TELL: Duration = Duration::from_secs(30);
const BUFFER: usize = 64 * 1024;

/// Registers the protocols and starts the accept loops; they live as long as the node.
pub(crate) async fn serve(wire: Arc<Wire>, tools: Tools, tell: Port<Heard>) {
    if wire.accepting.swap(true, Relaxed) {
        return;
    }
    let streams: Arc<Mutex<HashMap<PeerId, usize>>> = Arc::default();
    for protocol in PROTOCOLS {
        let register = RegisterProtocol { protocol: protocol.to_owned(), queue: QUEUE };
        let inbound = loop {
            match tools.ports.register.call(register.clone(), TELL).await {
                Ok(Ok(inbound)) => break inbound,
                Ok(Err(error)) => return tracing::error!(target: "exchange", %error, "Bitswap is not served"),
                Err(CallError::Stopped) => return,
                Err(_) => {}
            }
        };
        tools.runtime.spawn(accept(inbound, streams.clone(), wire.clone(), tools.clone(), tell.clone()));
    }
}

async fn accept(
    mut inbound: mpsc::Receiver<InboundStream>,
    streams: Arc<Mutex<HashMap<PeerId, usize>>>,
    wire: Arc<Wire>,
    tools: Tools,
    tell: Port<Heard>,
) {
    while let Some(stream) = inbound.recv().await {
        let peer = stream.peer;
        {
            let mut streams = streams.lock();
            let open = streams.entry(peer).or_default();
            if *open >= STREAMS {
                ipfrs_actor::counter!("ipfrs_exchange_streams_refused_total").increment(1);
                tracing::debug!(target: "exchange", %peer, "a peer opened more than {STREAMS} streams, refused");
                continue;
            }
            *open += 1;
        }
        let slot = Slot { peer, streams: streams.clone() };
        tools.runtime.spawn(read(stream, slot, wire.clone(), tools.clone(), tell.clone()));
    }
}

/// Gives a peer's stream back when its reader ends, however it ends.
struct Slot {
    peer: PeerId,
    streams: Arc<Mutex<HashMap<PeerId, usize>>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut streams = self.streams.lock();
        if let Some(open) = streams.get_mut(&self.peer) {
            *open -= 1;
            if *open == 0 {
                streams.remove(&self.peer);
            }
        }
    }
}

async fn read(stream: InboundStream, slot: Slot, wire: Arc<Wire>, tools: Tools, tell: Port<Heard>) {
    let peer = slot.peer;
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    // While one message is stored the next is read, and no further.
    let mut storing: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        match message::read(&mut stream, BODY).await {
            Ok(Some(message)) => {
                if let Some(earlier) = storing.take() {
                    let _ = earlier.await;
                }
                storing = Some(tokio::spawn(take_in(peer, message, wire.clone(), tools.clone(), tell.clone())));
            }
            Ok(None) => break,
            Err(error) => {
                ipfrs_actor::counter!("ipfrs_exchange_bad_streams_total").increment(1);
                tracing::debug!(target: "exchange", %peer, %error, "a stream broke or carried garbage");
                break;
            }
        }
    }
    if let Some(last) = storing.take() {
        let _ = last.await;
    }
}

async fn take_in(peer: PeerId, message: Message, wire: Arc<Wire>, tools: Tools, tell: Port<Heard>) {
    let mut heard = Heard { peer, stored: Vec::new(), failed: Vec::new(), has: Vec::new(), lacks: Vec::new() };
    for presence in message.presences.iter().take(MAX_ENTRIES) {
        match (Cid::try_from(&presence.cid[..]), presence.kind) {
            (Ok(cid), 0) => heard.has.push(cid),
            (Ok(cid), 1) => heard.lacks.push(cid),
            _ => {}
        }
    }
    if let Some(list) = message.wantlist {
        let mut entries = list.entries;
        entries.truncate(MAX_ENTRIES);
        wire.asked(peer, list.full, entries, &tools);
    }
    if !message.payload.is_empty() || !message.blocks.is_empty() {
        let (shelf, store) = (wire.clone(), tools.store.clone());
        let stored = tokio::task::spawn_blocking(move || {
            let named = message.payload.iter().filter_map(|p| Some((p.cid()?, p.data.clone())));
            let old = message.blocks.iter().map(|data| (cid_of(0, DAG_PB, data), data.clone()));
            let (mut stored, mut failed) = (Vec::new(), Vec::new());
            for (cid, data) in named.chain(old) {
                if !shelf.take(cid.hash()) {
                    shelf.counters.duplicate();
                    continue;
                }
                // The CID was computed from the data: it needs no further check.
                match store.put(&cid, &data) {
                    Ok(()) => {
                        shelf.counters.received(data.len());
                        stored.push(cid);
                    }
                    Err(error) => {
                        tracing::error!(target: "exchange", %cid, %error, "a block that arrived cannot be stored");
                        failed.push((cid, error.to_string()));
                    }
                }
            }
            (stored, failed)
        });
        if let Ok((stored, failed)) = stored.await {
            heard.stored = stored;
            heard.failed = failed;
        }
        let hashes: Vec<_> = heard.stored.iter().map(|cid| *cid.hash()).collect();
        wire.added(&hashes, &tools);
    }
    if heard.is_empty() {
        return;
    }
    // An actor that crashed with this in hand is told again: hearing it twice changes nothing.
    while let Err(CallError::Crashed { .. } | CallError::Timeout { .. } | CallError::Overloaded) =
        tell.call(heard.clone(), TELL).await
    {}
}
