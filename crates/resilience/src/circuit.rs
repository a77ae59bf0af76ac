//! A circuit breaker: after failures in a row nothing is tried until a cool-down is over, then one probe.

use std::time::{Duration, Instant};

/// Where a circuit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Everything goes through.
    Closed,
    /// Nothing goes through before this instant.
    Open {
        /// When a probe is let through.
        until: Instant,
    },
    /// One probe is under way.
    HalfOpen,
}

/// A circuit breaker.
#[derive(Debug, Clone)]
pub struct Circuit {
    limit: u32,
    cooldown: Duration,
    failures: u32,
    state: CircuitState,
    probe_until: Option<Instant>,
}

impl Circuit {
    /// Opens after `limit` failures in a row, for `cooldown`.
    pub fn new(limit: u32, cooldown: Duration) -> Self {
        Circuit { limit: limit.max(1), cooldown, failures: 0, state: CircuitState::Closed, probe_until: None }
    }

    /// Whether a try may go through now; otherwise how long until the next probe may.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            CircuitState::Closed => Ok(()),
            CircuitState::Open { until } if now < until => Err(until - now),
            CircuitState::Open { .. } => {
                self.state = CircuitState::HalfOpen;
                self.probe_until = Some(now + self.cooldown);
                Ok(())
            }
            // A probe that never reported does not close the circuit for ever.
            CircuitState::HalfOpen => match self.probe_until {
                Some(until) if now < until => Err(until - now),
                _ => {
                    self.probe_until = Some(now + self.cooldown);
                    Ok(())
                }
            },
        }
    }

    /// A try succeeded.
    pub fn success(&mut self) {
        self.failures = 0;
        self.state = CircuitState::Closed;
    }

    /// A try failed.
    pub fn failure(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.limit || self.state == CircuitState::HalfOpen {
            self.state = CircuitState::Open { until: now + self.cooldown };
        }
    }

    /// Where it is.
    pub fn state(&self) -> CircuitState {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_failures_in_a_row_and_lets_one_probe_through() {
        let now = Instant::now();
        let cooldown = Duration::from_secs(10);
        let mut circuit = Circuit::new(2, cooldown);
        circuit.failure(now);
        circuit.success();
        circuit.failure(now);
        assert_eq!(circuit.admit(now), Ok(()));
        circuit.failure(now);
        assert_eq!(circuit.admit(now), Err(cooldown));
        let later = now + cooldown;
        assert_eq!(circuit.admit(later), Ok(()));
        assert!(circuit.admit(later).is_err(), "one probe at a time");
        circuit.failure(later);
        assert_eq!(circuit.admit(later), Err(cooldown));
        assert_eq!(circuit.admit(later + cooldown), Ok(()));
        circuit.success();
        assert_eq!(circuit.state(), CircuitState::Closed);
    }
}
