//! Inbound streams: each read by a task of its own, wanted blocks checked and stored before anyone hears of them.

use crate::handlers::Heard;
use crate::message::{self, Message, PROTOCOLS, Payload};
use crate::wire::{Tools, Wire};
use bytes::Bytes;
use futures::io::BufReader;
use ipfrs_actor::{CallError, Port, catch_panic};
use ipfrs_blocks::{BlockStore, DAG_PB, cid_of};
use ipfrs_contract::swarm::RegisterProtocol;
use ipfrs_contract::{Cid, InboundStream, PeerId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Inbound streams of one peer read at once. Kubo opens one for each answer, so that a fast peer has hundreds open.
const STREAMS: usize = 1024;
/// Bytes of one peer's messages that are read or stored at once, all its streams together: four of the longest.
const ROOM: usize = 4 * message::MAX_MESSAGE;
/// Streams that may wait to be accepted.
const QUEUE: usize = 64;
/// How long the actor may take to hear of a message before it is told again.
const TELL: Duration = Duration::from_secs(30);
/// Read ahead of a message, for the bytes of its length; each stream holds this much while it is idle.
const BUFFER: usize = 1024;

/// Registers the protocols and starts the accept loops; they live as long as the node.
pub(crate) async fn serve(wire: Arc<Wire>, tools: Tools, tell: Port<Heard>) {
    if wire.accepting.swap(true, Relaxed) {
        return;
    }
    let guests = Guests::default();
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
        tools.spawn(accept(inbound, guests.clone(), wire.clone(), tools.clone(), tell.clone()));
    }
}

async fn accept(
    mut inbound: mpsc::Receiver<InboundStream>,
    guests: Guests,
    wire: Arc<Wire>,
    tools: Tools,
    tell: Port<Heard>,
) {
    while let Some(stream) = inbound.recv().await {
        let peer = stream.peer;
        match guests.admit(peer) {
            Some(guest) => {
                tools.spawn(read(stream, guest, wire.clone(), tools.clone(), tell.clone()));
            }
            None => {
                ipfrs_actor::counter!("ipfrs_exchange_streams_refused_total").increment(1);
                tracing::debug!(target: "exchange", %peer, "a peer opened more than {STREAMS} streams, refused");
            }
        }
    }
}

/// The peers whose streams are read.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<HashMap<PeerId, Visit>>>);

struct Visit {
    streams: usize,
    /// Shared by the messages of all its streams.
    room: Arc<Semaphore>,
}

impl Guests {
    fn admit(&self, peer: PeerId) -> Option<Guest> {
        let mut guests = self.0.lock();
        let visit = guests.entry(peer).or_insert_with(|| Visit { streams: 0, room: Arc::new(Semaphore::new(ROOM)) });
        if visit.streams >= STREAMS {
            return None;
        }
        visit.streams += 1;
        Some(Guest { peer, room: visit.room.clone(), guests: self.clone() })
    }
}

/// One stream of a peer; given back when its reader ends, however it ends.
struct Guest {
    peer: PeerId,
    room: Arc<Semaphore>,
    guests: Guests,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.guests.0.lock();
        if let Some(visit) = guests.get_mut(&self.peer) {
            visit.streams -= 1;
            if visit.streams == 0 {
                guests.remove(&self.peer);
            }
        }
    }
}

async fn read(stream: InboundStream, guest: Guest, wire: Arc<Wire>, tools: Tools, tell: Port<Heard>) {
    let peer = guest.peer;
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    // While one message is stored the next is read, and no further.
    let mut storing: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        match message::read(&mut stream, &guest.room, || wire.heard(peer)).await {
            Ok(Some((message, share))) => {
                if let Some(earlier) = storing.take() {
                    let _ = earlier.await;
                }
                let work = take_in(peer, message, share, wire.clone(), tools.clone(), tell.clone());
                storing = Some(tools.spawn(work));
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

/// Obeys a message. Its share of the peer's room is held to the end.
async fn take_in(
    peer: PeerId,
    message: Message,
    _share: OwnedSemaphorePermit,
    wire: Arc<Wire>,
    tools: Tools,
    tell: Port<Heard>,
) {
    let mut heard = Heard { peer, stored: Vec::new(), failed: Vec::new(), has: Vec::new(), lacks: Vec::new() };
    for presence in &message.presences {
        match (Cid::try_from(&presence.cid[..]), presence.kind) {
            (Ok(cid), _) if !wire.wants(cid.hash()) => {}
            (Ok(cid), 0) => heard.has.push(cid),
            (Ok(cid), 1) => heard.lacks.push(cid),
            _ => {}
        }
    }
    if let Some(list) = message.wantlist {
        wire.asked(peer, list.full, list.entries, &tools);
    }
    let blocks = message.payload.len() + message.blocks.len();
    if blocks > 0 && wire.wants_nothing() {
        // Not worth a hash.
        wire.counters.duplicates(blocks);
    } else if blocks > 0 {
        let (shelf, store) = (wire.clone(), tools.store.clone());
        let stored = tokio::task::spawn_blocking(move || store_wanted(message.payload, message.blocks, &shelf, &store));
        (heard.stored, heard.failed) = stored.await.unwrap_or_default();
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

/// Stores the blocks that are wanted; says which were stored, and which were taken and could not be, and why.
fn store_wanted(
    payload: Vec<Payload>,
    old: Vec<Bytes>,
    wire: &Wire,
    store: &BlockStore,
) -> (Vec<Cid>, Vec<(Cid, String)>) {
    let named = payload.into_iter().filter_map(|p| Some((p.cid()?, p.data)));
    let old = old.into_iter().map(|data| (cid_of(0, DAG_PB, &data), data));
    let (mut stored, mut failed) = (Vec::new(), Vec::new());
    for (cid, data) in named.chain(old) {
        if !wire.take(cid.hash()) {
            wire.counters.duplicates(1);
            continue;
        }
        // The CID was computed from the data: it needs no further check. Whoever wants a block that was taken must hear
        // what became of it, whatever happens here.
        let put = catch_panic(|| store.put_fresh(&cid, &data)).map_err(|panic| panic.message);
        match put.and_then(|put| put.map_err(|error| error.to_string())) {
            Ok(()) => {
                wire.counters.received(data.len());
                stored.push(cid);
            }
            Err(error) => {
                tracing::error!(target: "exchange", %cid, %error, "a block that arrived cannot be stored");
                failed.push((cid, error));
            }
        }
    }
    (stored, failed)
}
