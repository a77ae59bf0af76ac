//! Counts events in a sliding window: restart intensity.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// At most `limit` events in `period`.
#[derive(Debug, Clone)]
pub struct Window {
    limit: u32,
    period: Duration,
    events: VecDeque<Instant>,
}

impl Window {
    /// An empty window.
    pub fn new(limit: u32, period: Duration) -> Self {
        Window { limit, period, events: VecDeque::new() }
    }

    /// Notes an event; `false` when it is one too many. Holds at most `limit + 1` instants.
    pub fn hit(&mut self, now: Instant) -> bool {
        while self.events.front().is_some_and(|t| now.saturating_duration_since(*t) > self.period) {
            self.events.pop_front();
        }
        self.events.push_back(now);
        let within = self.events.len() <= self.limit as usize;
        if !within {
            self.events.pop_front();
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_events_do_not_count() {
        let now = Instant::now();
        let mut window = Window::new(2, Duration::from_secs(10));
        assert!(window.hit(now) && window.hit(now));
        assert!(!window.hit(now + Duration::from_secs(1)));
        assert!(window.hit(now + Duration::from_secs(12)));
    }
}
