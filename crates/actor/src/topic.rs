//! Events to many. Each subscriber may lag by a bounded number of events; a gap is announced, never silent.

use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::broadcast;
use tokio_stream::{
    Stream, StreamExt,
    wrappers::{BroadcastStream, errors::BroadcastStreamRecvError},
};

/// A bounded stream of events that anyone may subscribe to.
#[derive(Clone)]
pub struct Topic<E> {
    name: &'static str,
    tx: broadcast::Sender<(u64, E)>,
    seq: std::sync::Arc<parking_lot::Mutex<u64>>,
}

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<E> {
    /// The next event.
    Event(E),
    /// Events were missed (or the subscription just began, with 0): ask for a snapshot.
    Resync {
        /// How many were missed.
        missed: u64,
    },
}

impl<E: Clone + Send + 'static> Topic<E> {
    /// A topic whose subscribers may lag by `capacity` events before they get [`Heard::Resync`].
    pub fn new(name: &'static str, capacity: usize) -> Self {
        Topic { name, tx: broadcast::channel(capacity).0, seq: Default::default() }
    }

    /// Tells every subscriber. Never blocks; nobody listening is fine.
    pub fn publish(&self, event: E) {
        let mut seq = self.seq.lock();
        *seq += 1;
        let _ = self.tx.send((*seq, event));
    }

    /// Number of the latest event.
    pub fn latest(&self) -> u64 {
        *self.seq.lock()
    }

    /// Subscribes. The first thing heard is `Resync { missed: 0 }`.
    pub fn subscribe(&self) -> Subscription<E> {
        Subscription { topic: self.name, first: true, stream: BroadcastStream::new(self.tx.subscribe()) }
    }
}

/// One subscriber's view of a [`Topic`]; also a `Stream`.
pub struct Subscription<E> {
    topic: &'static str,
    first: bool,
    stream: BroadcastStream<(u64, E)>,
}

impl<E: Clone + Send + 'static> Subscription<E> {
    /// The next thing heard; `None` when the topic is gone.
    pub async fn next(&mut self) -> Option<Heard<E>> {
        StreamExt::next(self).await
    }
}

impl<E: Clone + Send + 'static> Stream for Subscription<E> {
    type Item = Heard<E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Heard<E>>> {
        if std::mem::take(&mut self.first) {
            return Poll::Ready(Some(Heard::Resync { missed: 0 }));
        }
        Pin::new(&mut self.stream).poll_next(cx).map(|item| {
            item.map(|item| match item {
                Ok((_, event)) => Heard::Event(event),
                Err(BroadcastStreamRecvError::Lagged(missed)) => {
                    crate::counter!("ipfrs_topic_missed_total", "topic" => self.topic).increment(missed);
                    Heard::Resync { missed }
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gap_is_announced_with_its_size() {
        let topic = Topic::new("test", 4);
        let mut sub = topic.subscribe();
        assert_eq!(sub.next().await, Some(Heard::Resync { missed: 0 }));
        for n in 0..10 {
            topic.publish(n);
        }
        assert_eq!(sub.next().await, Some(Heard::Resync { missed: 6 }));
        assert_eq!(sub.next().await, Some(Heard::Event(6)));
        assert_eq!(topic.latest(), 10);
    }
}
