//! Parts that the random tests share: a small generator that takes a seed and prints it when a test
//! fails.

use std::hash::{BuildHasher, Hasher};

/// Marsaglia's xorshift with 64 bits and a final multiplication, which is good enough to pick
/// operations.
#[derive(Debug)]
pub(crate) struct Random {
    state: u64,
    seed: u64,
}

impl Random {
    /// Takes the seed from `WHEEL_SEED`, a decimal number, or else a new one in each run.
    pub(crate) fn new() -> Random {
        let seed = match std::env::var("WHEEL_SEED") {
            Ok(text) => text.parse().expect("WHEEL_SEED is a decimal number"),
            Err(_) => std::collections::hash_map::RandomState::new().build_hasher().finish(),
        };
        Random { state: seed | 1 << 63, seed }
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let bits = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        ((bits * u64::from(limit)) >> 32) as u32
    }

    /// One of `choices`.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "to repeat this run: WHEEL_SEED={} cargo test -p wheelhouse-timers",
                self.seed
            );
        }
    }
}
