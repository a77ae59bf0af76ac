//! The seed of a random test: printed, and taken from the environment to repeat a run.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The seed of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// `SEED` from the environment, otherwise a random one; printed either way.
    pub fn announce(test: &str) -> Seed {
        let given = std::env::var("SEED").ok().map(|s| s.parse().expect("SEED is a whole number"));
        let seed = given.unwrap_or_else(rand::random);
        println!("{test}: SEED={seed}");
        Seed(seed)
    }

    /// The generator of one part of the test: parts draw independently, so that no task disturbs the draws of another.
    pub fn rng(self, part: u64) -> StdRng {
        StdRng::seed_from_u64(self.0 ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// A number that is different for every seed and part, for content that exists nowhere else.
    pub fn content(self, part: u64) -> u64 {
        self.0.wrapping_add(part)
    }
}
