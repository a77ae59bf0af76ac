//! Exponential backoff with jitter.

use rand::Rng;
use std::time::Duration;

/// Delays that double up to a limit, each shortened by a random share.
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    /// Delay after the first repeated failure.
    pub base: Duration,
    /// Longest delay.
    pub max: Duration,
    /// Share of a delay that is random, 0 to 1: without it peers that failed together return together.
    pub jitter: f64,
}

impl Backoff {
    /// A backoff from `base` to `max`; `jitter` is clamped to 0..=1.
    pub fn new(base: Duration, max: Duration, jitter: f64) -> Self {
        Backoff { base, max, jitter: jitter.clamp(0.0, 1.0) }
    }

    /// The delay before try number `streak` in a row; the first (0) is at once.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let backoff = ipfrs_resilience::Backoff::new(Duration::from_millis(10), Duration::from_secs(1), 0.0);
    /// let delays: Vec<_> = (0..4).map(|n| backoff.delay(n, &mut rand::rng()).as_millis()).collect();
    /// assert_eq!(delays, [0, 10, 20, 40]);
    /// ```
    pub fn delay(&self, streak: u32, rng: &mut impl Rng) -> Duration {
        if streak == 0 {
            return Duration::ZERO;
        }
        let full = self.base.saturating_mul(1u32.checked_shl(streak - 1).unwrap_or(u32::MAX)).min(self.max);
        full.mul_f64(1.0 - self.jitter * rng.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_between_the_unjittered_share_and_the_limit() {
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(5), 0.5);
        let mut rng = rand::rng();
        for streak in [1, 2, 10, 31, 32, 33, 1000, u32::MAX] {
            let delay = backoff.delay(streak, &mut rng);
            assert!(delay <= backoff.max && delay >= backoff.base / 2, "{streak}: {delay:?}");
        }
    }
}
