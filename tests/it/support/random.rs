//! Random numbers from a seed that a failure prints (SplitMix64, Steele, Lea and Flood 2014).

/// A generator; the same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
    /// Bytes that decide the numbers, the next one last; `None` for a generator with a seed.
    chosen: Option<Vec<u8>>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random { state: seed, chosen: None }
    }

    /// A generator whose numbers are those that `bytes` spell, and zeros after the last of them. So
    /// a fuzzer that changes a byte changes one decision of a test.
    pub(crate) fn of(bytes: &[u8]) -> Random {
        Random { state: 0, chosen: Some(bytes.iter().rev().copied().collect()) }
    }

    /// Whether the bytes of the generator are used up.
    pub(crate) fn is_over(&self) -> bool {
        self.chosen.as_ref().is_some_and(Vec::is_empty)
    }

    pub(crate) fn next(&mut self) -> u64 {
        if self.chosen.is_some() {
            return (0..8).fold(0, |number, _| number << 8 | self.byte());
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn byte(&mut self) -> u64 {
        self.chosen.as_mut().and_then(Vec::pop).unwrap_or(0).into()
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let number = match (&self.chosen, n) {
            (None, _) => self.next(),
            (Some(_), 0..=1) => 0,
            (Some(_), 2..=256) => self.byte(),
            (Some(_), 257..=65_536) => self.byte() << 8 | self.byte(),
            (Some(_), _) => self.next(),
        };
        (number % n as u64) as usize
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
