//! What stands outside the actor and survives it: who wants what of whom, the sender of each peer, the counters.

use crate::message::Entry;
use crate::ports::Ports;
use crate::sender::{Order, Sender};
use ipfrs_blocks::BlockStore;
use ipfrs_contract::{Cid, Multihash, PeerId};
use parking_lot::{Mutex, RwLock};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Wants of one peer that are remembered until the block is here. Kubo's limit is the same.
const REMEMBERED: usize = 1024;
/// Orders that may wait for one peer's sender; more are dropped and the peer asks again.
const ORDERS: usize = 256;

/// Figures since the start.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) blocks_received: AtomicU64,
    pub(crate) data_received: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) blocks_sent: AtomicU64,
    pub(crate) data_sent: AtomicU64,
}

impl Counters {
    pub(crate) fn received(&self, bytes: usize) {
        self.blocks_received.fetch_add(1, Relaxed);
        self.data_received.fetch_add(bytes as u64, Relaxed);
        ipfrs_actor::counter!("ipfrs_exchange_blocks_received_total").increment(1);
        ipfrs_actor::counter!("ipfrs_exchange_bytes_received_total").increment(bytes as u64);
    }

    pub(crate) fn duplicate(&self) {
        self.duplicates.fetch_add(1, Relaxed);
        ipfrs_actor::counter!("ipfrs_exchange_duplicate_blocks_total").increment(1);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.blocks_sent.fetch_add(1, Relaxed);
        self.data_sent.fetch_add(bytes as u64, Relaxed);
        ipfrs_actor::counter!("ipfrs_exchange_blocks_sent_total").increment(1);
        ipfrs_actor::counter!("ipfrs_exchange_bytes_sent_total").increment(bytes as u64);
    }
}

/// What a peer waits for: the CID as it wrote it, and whether it wants the block or the news.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) cid: Cid,
    pub(crate) block: bool,
    pub(crate) send_dont_have: bool,
}

/// The data path of the exchange. One for each node, owned outside the actor.
#[derive(Default)]
pub struct Wire {
    /// Blocks we want; a reader takes a hash out when it stores the block.
    wanted: RwLock<HashSet<Multihash>>,
    senders: Mutex<HashMap<PeerId, mpsc::Sender<Order>>>,
    waiting: Mutex<HashMap<PeerId, HashMap<Multihash, Waiting>>>,
    pub(crate) counters: Counters,
    /// The accept loop runs; a restarted actor must not start another.
    pub(crate) accepting: AtomicBool,
}

impl Wire {
    pub(crate) fn want(&self, cids: impl Iterator<Item = Multihash>) {
        self.wanted.write().extend(cids);
    }

    pub(crate) fn replace_wanted(&self, wanted: HashSet<Multihash>) {
        *self.wanted.write() = wanted;
    }

    /// Takes the right to store a block; `false` when it is not wanted (any more).
    pub(crate) fn take(&self, hash: &Multihash) -> bool {
        self.wanted.read().contains(hash) && self.wanted.write().remove(hash)
    }

    /// Sends an order to a peer's sender, starting one when there is none.
    pub(crate) fn order(self: &std::sync::Arc<Self>, peer: PeerId, order: Order, tools: &Tools) {
        let mut senders = self.senders.lock();
        let sender = senders.entry(peer).or_insert_with(|| {
            let (tx, rx) = mpsc::channel(ORDERS);
            tools.runtime.spawn(Sender::new(peer, self.clone(), tools.clone()).run(rx));
            tx
        });
        match sender.try_send(order) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                ipfrs_actor::counter!("ipfrs_exchange_orders_dropped_total").increment(1);
                tracing::debug!(target: "exchange", %peer, "too many orders wait for this peer, one dropped");
            }
            // Its task was lost: the next order starts another.
            Err(mpsc::error::TrySendError::Closed(_)) => {
                senders.remove(&peer);
            }
        }
    }

    /// A peer's wants and cancels.
    pub(crate) fn asked(self: &std::sync::Arc<Self>, peer: PeerId, full: bool, entries: Vec<Entry>, tools: &Tools) {
        let (mut serve, mut cancelled) = (Vec::new(), Vec::new());
        {
            let mut waiting = self.waiting.lock();
            let mine = waiting.entry(peer).or_default();
            if full {
                mine.clear();
            }
            for entry in entries {
                let Ok(cid) = Cid::try_from(&entry.block[..]) else { continue };
                if entry.cancel {
                    mine.remove(cid.hash());
                    cancelled.push(*cid.hash());
                } else {
                    serve.push(Waiting { cid, block: entry.want_type == 0, send_dont_have: entry.send_dont_have });
                }
            }
            if mine.is_empty() {
                waiting.remove(&peer);
            }
        }
        if !cancelled.is_empty() {
            self.order(peer, Order::Cancel(cancelled), tools);
        }
        if !serve.is_empty() {
            self.order(peer, Order::Serve(serve), tools);
        }
    }

    /// A peer wants what is not here: it is served when it comes.
    pub(crate) fn remember(&self, peer: PeerId, want: Waiting) {
        let mut waiting = self.waiting.lock();
        let mine = waiting.entry(peer).or_default();
        if mine.len() < REMEMBERED || mine.contains_key(want.cid.hash()) {
            mine.insert(*want.cid.hash(), want);
        }
    }

    /// Blocks are here now: peers that wait for them are served.
    pub(crate) fn added(self: &std::sync::Arc<Self>, hashes: &[Multihash], tools: &Tools) {
        let mut serve = Vec::new();
        self.waiting.lock().retain(|peer, mine| {
            let ready: Vec<_> = hashes.iter().filter_map(|hash| mine.remove(hash)).collect();
            if !ready.is_empty() {
                serve.push((*peer, ready));
            }
            !mine.is_empty()
        });
        for (peer, ready) in serve {
            self.order(peer, Order::Serve(ready), tools);
        }
    }

    /// A peer is gone: its sender ends, its wants are forgotten.
    pub(crate) fn forget(&self, peer: &PeerId) {
        self.senders.lock().remove(peer);
        self.waiting.lock().remove(peer);
    }

    /// Everybody but these peers is gone.
    pub(crate) fn retain(&self, peers: &HashSet<PeerId>) {
        self.senders.lock().retain(|peer, _| peers.contains(peer));
        self.waiting.lock().retain(|peer, _| peers.contains(peer));
    }
}

/// What readers and senders work with.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) runtime: Handle,
    pub(crate) store: BlockStore,
    pub(crate) ports: Ports,
    pub(crate) serve: bool,
}
