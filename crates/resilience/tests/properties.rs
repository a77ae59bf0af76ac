//! What holds for every input: bounds of delays, rates of buckets, windows and circuits.

use ipfrs_resilience::{Backoff, Circuit, CircuitState, TokenBucket, Window};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use std::time::{Duration, Instant};

proptest! {
    #[test]
    fn a_delay_never_leaves_its_bounds(
        base in 1u64..10_000,
        factor in 1u64..1000,
        jitter in 0.0f64..=1.0,
        streak in any::<u32>(),
        seed in any::<u64>(),
    ) {
        let (base, max) = (Duration::from_millis(base), Duration::from_millis(base * factor));
        let delay = Backoff::new(base, max, jitter).delay(streak, &mut StdRng::seed_from_u64(seed));
        prop_assert!(delay <= max);
        if streak == 0 {
            prop_assert_eq!(delay, Duration::ZERO);
        } else {
            // A microsecond for the rounding of the random share.
            prop_assert!(delay + Duration::from_micros(1) >= base.mul_f64(1.0 - jitter));
        }
    }

    #[test]
    fn delays_without_jitter_never_shrink(base in 1u64..1000, factor in 1u64..1000, streak in 0u32..100) {
        let backoff = Backoff::new(Duration::from_millis(base), Duration::from_millis(base * factor), 0.0);
        let rng = &mut StdRng::seed_from_u64(0);
        prop_assert!(backoff.delay(streak, rng) <= backoff.delay(streak + 1, rng));
    }

    #[test]
    fn a_bucket_never_gives_more_than_its_burst_and_rate(
        burst in 1u32..20,
        period in 1u64..100,
        steps in prop::collection::vec(0u64..50, 1..200),
    ) {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(burst, Duration::from_millis(period));
        let (mut elapsed, mut taken) = (0, 0);
        for step in steps {
            elapsed += step;
            if bucket.take(start + Duration::from_millis(elapsed)).is_ok() {
                taken += 1;
            }
            prop_assert!(taken <= u64::from(burst) + elapsed / period);
        }
    }

    #[test]
    fn waiting_as_long_as_told_is_enough(burst in 1u32..5, period in 1u64..100) {
        let mut now = Instant::now();
        let mut bucket = TokenBucket::new(burst, Duration::from_millis(period));
        for _ in 0..20 {
            if let Err(wait) = bucket.take(now) {
                now += wait;
                prop_assert_eq!(bucket.take(now), Ok(()));
            }
        }
    }

    #[test]
    fn a_window_refuses_only_beyond_its_limit(limit in 0u32..10, steps in prop::collection::vec(0u64..20, 1..100)) {
        let start = Instant::now();
        let period = Duration::from_millis(50);
        let mut window = Window::new(limit, period);
        let mut hits: Vec<u64> = Vec::new();
        let mut elapsed = 0;
        for step in steps {
            elapsed += step;
            hits.push(elapsed);
            let recent = hits.iter().filter(|at| elapsed - **at <= 50).count();
            let within = window.hit(start + Duration::from_millis(elapsed));
            if recent <= limit as usize {
                prop_assert!(within, "{recent} of {limit} are within the limit");
            }
        }
    }

    #[test]
    fn a_circuit_refuses_only_after_its_limit_of_failures(
        limit in 1u32..6,
        outcomes in prop::collection::vec(any::<bool>(), 0..50),
    ) {
        let now = Instant::now();
        let mut circuit = Circuit::new(limit, Duration::from_secs(60));
        let mut row = 0;
        for good in outcomes {
            if circuit.admit(now).is_err() {
                prop_assert!(row >= limit);
                break;
            }
            if good {
                circuit.success();
                row = 0;
                prop_assert_eq!(circuit.state(), CircuitState::Closed);
            } else {
                circuit.failure(now);
                row += 1;
            }
        }
    }
}
