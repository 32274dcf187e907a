//! Faults that follow from a seed. A system may show them at any time, and they must not change the
//! result: interrupted calls, short reads and writes, a socket that is full for a moment, events
//! without a cause.

/// A source of faults. Without a seed there are none.
#[derive(Debug, Default)]
pub(super) struct Faults(Option<u64>);

impl Faults {
    pub(super) fn of(seed: u64) -> Faults {
        Faults(Some(seed))
    }

    /// Returns true once in `n` times on average.
    pub(super) fn happens(&mut self, n: u64) -> bool {
        self.draw().is_some_and(|drawn| drawn % n == 0)
    }

    /// Returns the part of `most` that a call does: usually all of it, and at least 1 unless `most`
    /// is 0.
    pub(super) fn part_of(&mut self, most: usize) -> usize {
        match self.draw() {
            Some(drawn) if drawn % 3 == 0 && most > 1 => 1 + (drawn >> 8) as usize % most,
            _ => most,
        }
    }

    /// Returns a number below `n`, once in five times on average.
    pub(super) fn one_of(&mut self, n: usize) -> Option<usize> {
        let drawn = self.draw()?;
        (drawn % 5 == 0 && n > 0).then(|| (drawn >> 8) as usize % n)
    }

    /// Draws a number with SplitMix64 (Steele, Lea and Flood 2014).
    fn draw(&mut self) -> Option<u64> {
        let state = self.0.as_mut()?;
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ (z >> 31))
    }
}
