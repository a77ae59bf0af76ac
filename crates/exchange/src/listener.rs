//! Who hears of a session's blocks.

use ipfrs_contract::exchange::{Arrived, MAX_WANTS};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Who hears of a session's blocks, and what it has not taken yet.
pub(crate) struct Listener {
    arrived: mpsc::Sender<Arrived>,
    backlog: VecDeque<Arrived>,
}

impl Listener {
    pub(crate) fn new(arrived: mpsc::Sender<Arrived>) -> Self {
        Listener { arrived, backlog: VecDeque::new() }
    }

    /// Nobody listens any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.arrived.is_closed()
    }

    /// Tells news, or keeps it until there is room. More than a session may want at once is not kept: who reads so little
    /// finds the blocks in the store.
    pub(crate) fn tell(&mut self, news: Arrived) {
        if self.backlog.len() >= MAX_WANTS {
            ipfrs_actor::counter!("ipfrs_exchange_news_dropped_total").increment(1);
            self.backlog.pop_front();
        }
        self.backlog.push_back(news);
        self.flush();
    }

    pub(crate) fn flush(&mut self) {
        while let Some(news) = self.backlog.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(news)) = self.arrived.try_send(news) {
                return self.backlog.push_front(news);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipfrs_blocks::{RAW, cid_of};

    #[test]
    fn news_nobody_takes_is_bounded() {
        let (arrived, mut news) = mpsc::channel(1);
        let mut listener = Listener::new(arrived);
        let told = |n: usize| Arrived::Block(cid_of(1, RAW, &n.to_be_bytes()));
        for n in 0..MAX_WANTS + 10 {
            listener.tell(told(n));
        }
        assert_eq!(listener.backlog.len(), MAX_WANTS);
        assert_eq!(news.try_recv(), Ok(told(0)));
        listener.flush();
        assert_eq!(news.try_recv(), Ok(told(10)), "the oldest of what waited are gone");
        drop(news);
        assert!(listener.is_gone());
    }
}
