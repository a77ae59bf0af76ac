//! A token bucket: bursts up to a limit, then one token per period.

use std::time::{Duration, Instant};

/// Lets `burst` things happen at once and one more every `period`.
///
/// Kept as the one instant at which the bucket would be full again, so it neither drifts nor needs a timer.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    burst: u32,
    period: Duration,
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket; a burst of 0 counts as 1, a period of zero never refuses.
    pub fn new(burst: u32, period: Duration) -> Self {
        TokenBucket { burst: burst.max(1), period, full_at: None }
    }

    /// Takes a token, or says how long until there is one.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// let (now, second) = (Instant::now(), Duration::from_secs(1));
    /// let mut bucket = ipfrs_resilience::TokenBucket::new(2, second);
    /// assert_eq!((bucket.take(now), bucket.take(now), bucket.take(now)), (Ok(()), Ok(()), Err(second)));
    /// assert_eq!(bucket.take(now + second), Ok(()));
    /// ```
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.unwrap_or(now).max(now);
        let missing = full_at.saturating_duration_since(now);
        let allowed = self.period.saturating_mul(self.burst - 1);
        if missing > allowed {
            return Err(missing - allowed);
        }
        // An instant beyond what the clock can hold means a period of centuries: the bucket stays as it is.
        self.full_at = full_at.checked_add(self.period).or(self.full_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_per_period() {
        let now = Instant::now();
        let period = Duration::from_millis(100);
        let mut bucket = TokenBucket::new(3, period);
        assert_eq!((0..5).filter(|_| bucket.take(now).is_ok()).count(), 3);
        assert_eq!(bucket.take(now + period / 2), Err(period / 2));
        assert!(bucket.take(now + period).is_ok());
        assert!(bucket.take(now + period).is_err());
        let rested = now + period * 100;
        assert_eq!((0..5).filter(|_| bucket.take(rested).is_ok()).count(), 3, "saves no more than a burst");
    }

    #[test]
    fn a_clock_that_goes_back_refuses_for_a_while_but_never_panics() {
        let now = Instant::now() + Duration::from_secs(1000);
        let mut bucket = TokenBucket::new(1, Duration::from_secs(1));
        assert!(bucket.take(now).is_ok());
        assert!(bucket.take(now - Duration::from_secs(10)).is_err());
    }
}
