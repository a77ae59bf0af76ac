//! A queue in which each key waits once: what comes again for a key that waits keeps its place.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

pub(crate) struct Queue<K, V> {
    /// Keys by their place, which says nothing but who is before whom.
    order: BTreeMap<i64, K>,
    entries: HashMap<K, (i64, V)>,
}

impl<K, V> Default for Queue<K, V> {
    fn default() -> Self {
        Queue { order: BTreeMap::new(), entries: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Queue<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Puts a key at the end.
    pub(crate) fn push(&mut self, key: K, value: V) {
        match self.get_mut(&key) {
            Some(waiting) => *waiting = value,
            None => {
                let place = self.order.last_key_value().map_or(0, |(last, _)| last + 1);
                self.place(place, key, value);
            }
        }
    }

    /// Puts back at the front what was taken from there. What came for its key meanwhile is newer and stays.
    pub(crate) fn put_back(&mut self, key: K, value: V) {
        if !self.entries.contains_key(&key) {
            let place = self.order.first_key_value().map_or(0, |(first, _)| first - 1);
            self.place(place, key, value);
        }
    }

    fn place(&mut self, place: i64, key: K, value: V) {
        self.order.insert(place, key.clone());
        self.entries.insert(key, (place, value));
    }

    pub(crate) fn pop(&mut self) -> Option<V> {
        let (_, key) = self.order.pop_first()?;
        self.entries.remove(&key).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some((place, _)) = self.entries.remove(key) {
            self.order.remove(&place);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.order.clear();
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut queue: Queue<u8, &'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn the_last_word_counts_and_the_first_place() {
        let mut queue = Queue::default();
        for (key, value) in [(1, "a"), (2, "b"), (3, "c"), (1, "A")] {
            queue.push(key, value);
        }
        queue.remove(&2);
        assert_eq!(queue.len(), 2);
        assert_eq!(all(queue), ["A", "c"]);
    }

    #[test]
    fn what_is_put_back_is_first_unless_something_newer_waits() {
        let mut queue = Queue::default();
        queue.push(1, "a");
        queue.push(2, "b");
        let taken = queue.pop().unwrap();
        queue.put_back(1, taken);
        queue.put_back(2, "old");
        assert_eq!(all(queue), ["a", "b"]);
    }
}
