//! Faults that a seed decides: the same seed, the same faults. Those that a system may show at any
//! time and that must change nothing: interrupted calls, short reads and writes, a full socket that
//! is not full a moment later, events without a cause.

/// Draws the faults; none without a seed.
#[derive(Debug, Default)]
pub(super) struct Faults(Option<u64>);

impl Faults {
    pub(super) fn of(seed: u64) -> Faults {
        Faults(Some(seed))
    }

    /// Whether something that happens once in `n` times happens now.
    pub(super) fn happens(&mut self, n: u64) -> bool {
        self.draw().is_some_and(|drawn| drawn % n == 0)
    }

    /// How much of `most` is done at once: usually all of it, at least 1 if there is any.
    pub(super) fn part_of(&mut self, most: usize) -> usize {
        match self.draw() {
            Some(drawn) if drawn % 3 == 0 && most > 1 => 1 + (drawn >> 8) as usize % most,
            _ => most,
        }
    }

    /// One of `n`, if there is any, now and then.
    pub(super) fn one_of(&mut self, n: usize) -> Option<usize> {
        let drawn = self.draw()?;
        (drawn % 5 == 0 && n > 0).then(|| (drawn >> 8) as usize % n)
    }

    /// SplitMix64 (Steele, Lea and Flood 2014).
    fn draw(&mut self) -> Option<u64> {
        let state = self.0.as_mut()?;
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ (z >> 31))
    }
}
