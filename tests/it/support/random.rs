//! Random numbers from a seed that a failure prints (SplitMix64, Steele, Lea and Flood 2014).

/// A generator; the same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True with a probability of 1 in `n`.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Up to `most` places to cut `len` bytes at, in order; none for fewer than two bytes.
    pub(crate) fn cuts(&mut self, len: usize, most: usize) -> Vec<usize> {
        if len < 2 {
            return Vec::new();
        }
        let count = 1 + self.below(most);
        let mut cuts: Vec<usize> = (0..count).map(|_| 1 + self.below(len - 1)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }
}

/// The seed of this run: `WHEELHOUSE_SEED`, or a fixed one, so that a failure is reproducible
/// everywhere.
pub(crate) fn seed() -> u64 {
    match std::env::var("WHEELHOUSE_SEED") {
        Ok(text) => text.parse().expect("WHEELHOUSE_SEED is a number"),
        Err(_) => 20_261_122,
    }
}
