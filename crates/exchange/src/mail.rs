//! What waits for one peer's sender: our wants and cancels, and requests of the peer. Each CID waits once.

use crate::message::{Entry, MAX_ENTRIES, Wantlist};
use crate::queue::Queue;
use ipfrs_contract::Cid;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Wants and cancels that may wait for one peer: sixteen sessions with all their wants. More are dropped: a lost want
/// is repeated after a silence, a lost cancel costs a block that comes for nothing.
const WANTS: usize = 16 * 1024;
/// Requests of one peer that may wait; more are dropped and asked again.
const REQUESTS: usize = 16 * 1024;

/// What a peer waits for: the CID as it wrote it, and whether it wants the block or the news.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Request {
    pub(crate) cid: Cid,
    pub(crate) block: bool,
    pub(crate) send_dont_have: bool,
}

#[derive(Default)]
pub(crate) struct Mail {
    letters: Mutex<Letters>,
    news: Notify,
}

#[derive(Default)]
struct Letters {
    /// By CID as on the wire. A want that follows a cancel replaces it: in one message Kubo would hear only the cancel.
    wants: Queue<Vec<u8>, Entry>,
    requests: Queue<Cid, Request>,
}

impl Mail {
    pub(crate) fn say(&self, entries: Vec<Entry>) {
        let mut letters = self.letters.lock();
        for entry in entries {
            if letters.wants.len() >= WANTS && letters.wants.get_mut(&entry.block).is_none() {
                ipfrs_actor::counter!("ipfrs_exchange_wants_dropped_total").increment(1);
                continue;
            }
            letters.wants.push(entry.block.clone(), entry);
        }
        self.news.notify_one();
    }

    pub(crate) fn ask(&self, requests: Vec<Request>) {
        let mut letters = self.letters.lock();
        for request in requests {
            if let Some(waiting) = letters.requests.get_mut(&request.cid) {
                waiting.block |= request.block;
                waiting.send_dont_have |= request.send_dont_have;
            } else if letters.requests.len() < REQUESTS {
                letters.requests.push(request.cid, request);
            } else {
                ipfrs_actor::counter!("ipfrs_exchange_requests_dropped_total").increment(1);
            }
        }
        self.news.notify_one();
    }

    pub(crate) fn cancel(&self, cid: &Cid) {
        self.letters.lock().requests.remove(cid);
    }

    pub(crate) fn cancel_all(&self) {
        self.letters.lock().requests.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        let letters = self.letters.lock();
        letters.wants.is_empty() && letters.requests.is_empty()
    }

    /// Resolves when something was put here since the last call.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// The next wants and cancels, as many as one message carries.
    pub(crate) fn wantlist(&self) -> Option<Wantlist> {
        let mut letters = self.letters.lock();
        let entries: Vec<_> = std::iter::from_fn(|| letters.wants.pop()).take(MAX_ENTRIES).collect();
        (!entries.is_empty()).then_some(Wantlist { entries, full: false })
    }

    pub(crate) fn request(&self) -> Option<Request> {
        self.letters.lock().requests.pop()
    }

    /// A request for which a message had no room any more is the first of the next.
    pub(crate) fn put_back(&self, request: Request) {
        self.letters.lock().requests.put_back(request.cid, request);
    }

    /// A message was not sent: its wants are repeated. Who asked for blocks over a broken stream asks again.
    pub(crate) fn not_sent(&self, wantlist: Option<Wantlist>) {
        let mut letters = self.letters.lock();
        letters.requests.clear();
        for entry in wantlist.into_iter().flat_map(|list| list.entries).rev() {
            letters.wants.put_back(entry.block.clone(), entry);
        }
    }

    /// The peer cannot be reached: nothing is kept for it.
    pub(crate) fn throw_away(&self) {
        *self.letters.lock() = Letters::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipfrs_blocks::{RAW, cid_of};

    fn cid(n: u32) -> Cid {
        cid_of(1, RAW, &n.to_be_bytes())
    }

    #[test]
    fn a_want_after_a_cancel_is_a_want_and_a_lost_message_is_repeated() {
        let (mail, want) = (Mail::default(), Entry::want(&cid(1), true, 7));
        mail.say(vec![Entry::cancel(&cid(1)), want.clone()]);
        let taken = mail.wantlist().unwrap();
        assert_eq!(taken.entries, std::slice::from_ref(&want));
        assert!(mail.is_empty());
        mail.not_sent(Some(taken));
        assert_eq!(mail.wantlist().unwrap().entries, std::slice::from_ref(&want));
        // What was said meanwhile is newer than what failed.
        mail.say(vec![Entry::cancel(&cid(1))]);
        mail.not_sent(Some(Wantlist { entries: vec![want], full: false }));
        assert_eq!(mail.wantlist().unwrap().entries, [Entry::cancel(&cid(1))]);
    }

    #[test]
    fn a_wantlist_is_no_longer_than_kubo_reads() {
        let mail = Mail::default();
        mail.say((0..=MAX_ENTRIES as u32).map(|n| Entry::want(&cid(n), true, 1)).collect());
        assert_eq!(mail.wantlist().unwrap().entries.len(), MAX_ENTRIES);
        assert_eq!(mail.wantlist().unwrap().entries, [Entry::want(&cid(MAX_ENTRIES as u32), true, 1)]);
        assert!(mail.wantlist().is_none());
    }

    #[test]
    fn a_request_waits_once_and_their_number_is_bounded() {
        let mail = Mail::default();
        let request = |n| Request { cid: cid(n), block: false, send_dont_have: true };
        mail.ask(vec![request(1), Request { block: true, send_dont_have: false, ..request(1) }]);
        assert_eq!(mail.request(), Some(Request { block: true, ..request(1) }));
        assert_eq!(mail.request(), None);
        mail.ask((0..=REQUESTS as u32).map(request).collect());
        mail.cancel(&cid(0));
        assert_eq!(std::iter::from_fn(|| mail.request()).count(), REQUESTS - 1);
    }
}
