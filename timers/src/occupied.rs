//! One bit for each slot, so that the next wake-up is a scan of words and not of lists.

use alloc::vec;
use alloc::vec::Vec;

/// The set of slots that are not empty; their number is a power of two, at least 64.
#[derive(Debug)]
pub(crate) struct Occupied {
    words: Vec<u64>,
}

impl Occupied {
    pub(crate) fn new(slots: usize) -> Occupied {
        Occupied { words: vec![0; slots / 64] }
    }

    #[inline]
    pub(crate) fn set(&mut self, slot: usize) {
        self.words[slot / 64] |= 1 << (slot % 64);
    }

    #[inline]
    pub(crate) fn clear(&mut self, slot: usize) {
        self.words[slot / 64] &= !(1 << (slot % 64));
    }

    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.words[slot / 64] >> (slot % 64) & 1 == 1
    }

    /// Returns the distance from `start` to the first occupied slot, around the end: 0 for `start`
    /// itself.
    pub(crate) fn first_from(&self, start: usize) -> Option<usize> {
        let (word, bit) = (start / 64, start % 64);
        let here = self.words[word] >> bit;
        if here != 0 {
            return Some(here.trailing_zeros() as usize);
        }
        // Back to the first word, for its low bits: the high ones are known to be clear.
        let around =
            (1..=self.words.len()).map(|i| (i, self.words[(word + i) & (self.words.len() - 1)]));
        let (words, found) = { around }.find(|&(_, found)| found != 0)?;
        Some(words * 64 - bit + found.trailing_zeros() as usize)
    }

    /// Clears at most `count` (at least 1) slots from `start` on, as far as the word goes. Returns
    /// the word with only those bits that were set, and the number of slots that were visited.
    #[inline]
    pub(crate) fn take(&mut self, start: usize, count: usize) -> (u64, usize) {
        let (word, bit) = (start / 64, start % 64);
        let seen = count.min(64 - bit);
        let window = (u64::MAX >> (64 - seen)) << bit;
        let taken = self.words[word] & window;
        self.words[word] &= !window;
        (taken, seen)
    }

    pub(crate) fn memory(&self) -> usize {
        self.words.capacity() * core::mem::size_of::<u64>()
    }
}
