//! What stands outside the actor and survives it: who wants what of whom, the sender of each peer, the counters.

use crate::mail::{Mail, Request};
use crate::message::{Entry, MAX_ENTRIES};
use crate::ports::Ports;
use crate::sender;
use ipfrs_blocks::BlockStore;
use ipfrs_contract::{Cid, Multihash, PeerId};
use parking_lot::{Mutex, RwLock};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Wants of one peer that are remembered until the block is here. Kubo's limit is the same.
const REMEMBERED: usize = 1024;

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

    pub(crate) fn duplicates(&self, blocks: usize) {
        self.duplicates.fetch_add(blocks as u64, Relaxed);
        ipfrs_actor::counter!("ipfrs_exchange_duplicate_blocks_total").increment(blocks as u64);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.blocks_sent.fetch_add(1, Relaxed);
        self.data_sent.fetch_add(bytes as u64, Relaxed);
        ipfrs_actor::counter!("ipfrs_exchange_blocks_sent_total").increment(1);
        ipfrs_actor::counter!("ipfrs_exchange_bytes_sent_total").increment(bytes as u64);
    }
}

/// A peer's sender: its task, and what waits for it. The mail outlives a task that is lost.
struct Outlet {
    mail: Arc<Mail>,
    task: JoinHandle<()>,
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The data path of the exchange. One for each node, owned outside the actor.
#[derive(Default)]
pub struct Wire {
    /// Blocks we want; a reader takes a hash out when it stores the block.
    wanted: RwLock<HashSet<Multihash>>,
    outlets: Mutex<HashMap<PeerId, Outlet>>,
    /// What peers want that is not here.
    waiting: Mutex<HashMap<PeerId, HashMap<Multihash, Request>>>,
    /// When parts of blocks came, since the actor last asked.
    heard: Mutex<HashMap<PeerId, Instant>>,
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

    pub(crate) fn wants(&self, hash: &Multihash) -> bool {
        self.wanted.read().contains(hash)
    }

    pub(crate) fn wants_nothing(&self) -> bool {
        self.wanted.read().is_empty()
    }

    /// Takes the right to store a block; `false` when it is not wanted (any more).
    pub(crate) fn take(&self, hash: &Multihash) -> bool {
        self.wants(hash) && self.wanted.write().remove(hash)
    }

    /// Part of a block came from a peer.
    pub(crate) fn heard(&self, peer: PeerId) {
        self.heard.lock().insert(peer, crate::actor::now());
    }

    pub(crate) fn take_heard(&self) -> HashMap<PeerId, Instant> {
        std::mem::take(&mut *self.heard.lock())
    }

    /// The mail of a peer, whose sender is started when none runs.
    fn mail(self: &Arc<Self>, peer: PeerId, tools: &Tools) -> Arc<Mail> {
        let start = |mail: &Arc<Mail>| tools.spawn(sender::run(peer, mail.clone(), self.clone(), tools.clone()));
        let mut outlets = self.outlets.lock();
        let outlet = outlets.entry(peer).or_insert_with(|| {
            let mail = Arc::default();
            Outlet { task: start(&mail), mail }
        });
        if outlet.task.is_finished() {
            outlet.task = start(&outlet.mail);
        }
        outlet.mail.clone()
    }

    /// Tells a peer of wants and cancels of ours.
    pub(crate) fn say(self: &Arc<Self>, peer: PeerId, entries: Vec<Entry>, tools: &Tools) {
        self.mail(peer, tools).say(entries);
    }

    /// A peer's wants and cancels.
    pub(crate) fn asked(self: &Arc<Self>, peer: PeerId, full: bool, entries: Vec<Entry>, tools: &Tools) {
        let mail = self.outlets.lock().get(&peer).map(|outlet| outlet.mail.clone());
        let mut wants = Vec::new();
        {
            let mut waiting = self.waiting.lock();
            let mine = waiting.entry(peer).or_default();
            if full {
                mine.clear();
                mail.iter().for_each(|mail| mail.cancel_all());
            }
            for entry in entries {
                let Ok(cid) = Cid::try_from(&entry.block[..]) else { continue };
                if entry.cancel {
                    mine.remove(cid.hash());
                    mail.iter().for_each(|mail| mail.cancel(&cid));
                } else if wants.len() < MAX_ENTRIES {
                    let (block, send_dont_have) = (entry.want_type == 0, entry.send_dont_have);
                    wants.push((entry.priority, Request { cid, block, send_dont_have }));
                }
            }
            if mine.is_empty() {
                waiting.remove(&peer);
            }
        }
        if !wants.is_empty() {
            wants.sort_by_key(|(priority, _)| Reverse(*priority));
            self.mail(peer, tools).ask(wants.into_iter().map(|(_, request)| request).collect());
        }
    }

    /// A peer wants what is not here: it is served when it comes.
    pub(crate) fn remember(&self, peer: PeerId, request: Request) {
        let mut waiting = self.waiting.lock();
        let mine = waiting.entry(peer).or_default();
        if mine.len() < REMEMBERED || mine.contains_key(request.cid.hash()) {
            mine.insert(*request.cid.hash(), request);
        }
    }

    /// What was remembered is answered now.
    pub(crate) fn answered(&self, peer: PeerId, hash: &Multihash) {
        if let Some(mine) = self.waiting.lock().get_mut(&peer) {
            mine.remove(hash);
        }
    }

    /// Blocks are here now: peers that wait for them are served.
    pub(crate) fn added(self: &Arc<Self>, hashes: &[Multihash], tools: &Tools) {
        let mut serve = Vec::new();
        self.waiting.lock().retain(|peer, mine| {
            let ready: Vec<_> = hashes.iter().filter_map(|hash| mine.remove(hash)).collect();
            if !ready.is_empty() {
                serve.push((*peer, ready));
            }
            !mine.is_empty()
        });
        for (peer, ready) in serve {
            self.mail(peer, tools).ask(ready);
        }
    }

    /// A peer is gone: its sender ends, its wants are forgotten.
    pub(crate) fn forget(&self, peer: &PeerId) {
        self.outlets.lock().remove(peer);
        self.waiting.lock().remove(peer);
    }

    /// Everybody but these peers is gone.
    pub(crate) fn retain(&self, peers: &HashSet<PeerId>) {
        self.outlets.lock().retain(|peer, _| peers.contains(peer));
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
    pub(crate) stop: watch::Receiver<()>,
}

impl Tools {
    /// Runs work beside the connections, until it is done or the node ends: its ports would keep the network's thread,
    /// and with it the work itself, alive for ever.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let mut stop = self.stop.clone();
        self.runtime.spawn(async move {
            tokio::select! {
                _ = stop.changed() => {}
                () = work => {}
            }
        })
    }
}
