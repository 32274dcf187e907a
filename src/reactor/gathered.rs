//! Content that is collected: one buffer, so that the program gets it in one piece.
//!
//! A process holds more memory than its ledger counts if a buffer is copied as it grows, and if freed
//! memory fits nothing that is wanted next. So:
//!
//! * Up to 64 KiB the bytes lie in a block of the pool. Blocks have four sizes, so a free one is used
//!   again.
//! * A larger buffer has at least 128 KiB. The allocators of Linux map such a piece for itself: it grows
//!   without a copy, leaves no hole, and goes back to the system when it is freed. So the ledger need
//!   not count the old buffer beside the new one.

use crate::reactor::memory::{Block, Ledger, Pool, BLOCK_MAX};

/// A large buffer has a multiple of so many bytes, and at least two times as many.
const STEP: usize = BLOCK_MAX;
/// The bytes that an allocator puts before a piece. With them, a large buffer fills whole pages.
const HEADER: usize = 16;

/// The content that has arrived so far. The ledger was charged its capacity.
#[derive(Debug)]
pub(crate) struct Gathered(Block);

impl Gathered {
    pub(crate) fn new() -> Gathered {
        Gathered(Block::empty())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Adds `piece`, after which there are at most `most` bytes. Returns false, and adds nothing, if
    /// there is no memory for it.
    pub(crate) fn add(
        &mut self,
        piece: &[u8],
        most: usize,
        pool: &mut Pool,
        ledger: &mut Ledger,
    ) -> bool {
        let needed = self.bytes().len() + piece.len();
        if needed > self.capacity() && !self.grow(needed, most, pool, ledger) {
            return false;
        }
        self.0.append(piece);
        true
    }

    /// Gives the memory back.
    pub(crate) fn give_back(self, pool: &mut Pool, ledger: &mut Ledger) {
        pool.take_back(self.0, ledger);
    }

    /// Makes room for `needed` bytes. The buffer grows with the bytes that have arrived, not with the
    /// announced length.
    fn grow(&mut self, needed: usize, most: usize, pool: &mut Pool, ledger: &mut Ledger) -> bool {
        if needed <= BLOCK_MAX {
            return self.0.enlarge(needed, pool, ledger);
        }
        let doubled = needed.max(2 * self.capacity()).min(most);
        // When memory is short, less than the double may still have room.
        [doubled, needed].iter().any(|&len| self.0.enlarge(large(len), pool, ledger))
    }
}

/// Returns the size of a large buffer for `len` bytes.
fn large(len: usize) -> usize {
    (len + HEADER).div_ceil(STEP).max(2) * STEP - HEADER
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds pieces until there is no memory. Returns the number of bytes that were added.
    fn fill(
        gathered: &mut Gathered,
        len: usize,
        most: usize,
        pool: &mut Pool,
        ledger: &mut Ledger,
    ) -> usize {
        let piece = vec![b'x'; len];
        while gathered.bytes().len() + len <= most && gathered.add(&piece, most, pool, ledger) {
            assert_eq!(ledger.used() - pool.free_bytes(), gathered.capacity());
        }
        gathered.bytes().len()
    }

    #[test]
    fn content_of_any_length_is_kept_in_few_sizes_and_given_back() {
        for len in [1, 100, 1 << 10, 60_000, 70_000] {
            let (mut pool, mut ledger) = (Pool::default(), Ledger::new(1 << 30));
            let mut gathered = Gathered::new();
            let most = 1_000_000;
            assert_eq!(fill(&mut gathered, len, most, &mut pool, &mut ledger), most / len * len);
            assert!(gathered.bytes().iter().all(|&byte| byte == b'x'));
            assert_eq!(gathered.capacity(), (1 << 20) - HEADER);
            gathered.give_back(&mut pool, &mut ledger);
            assert_eq!(ledger.used(), pool.free_bytes());
        }
    }

    #[test]
    fn small_content_takes_the_smallest_block_and_larger_content_two_steps() {
        let (mut pool, mut ledger) = (Pool::default(), Ledger::new(1 << 30));
        for (len, capacity) in [
            (1, 1 << 10),
            (1025, 4 << 10),
            (64 << 10, 64 << 10),
            ((64 << 10) + 1, (128 << 10) - HEADER),
            (128 << 10, (192 << 10) - HEADER),
        ] {
            let mut gathered = Gathered::new();
            assert!(gathered.add(&vec![0; len], len, &mut pool, &mut ledger));
            assert_eq!(gathered.capacity(), capacity, "{len}");
            gathered.give_back(&mut pool, &mut ledger);
        }
    }

    #[test]
    fn content_grows_until_only_the_reserve_of_the_budget_is_left() {
        const MAX: usize = 1 << 20;
        for other in [0, 100 << 10, 300 << 10, 600 << 10] {
            let (mut pool, mut ledger) = (Pool::default(), Ledger::new(MAX));
            ledger.charge(other);
            let mut gathered = Gathered::new();
            while gathered.add(&[b'x'; 1000], usize::MAX, &mut pool, &mut ledger) {
                pool.trim(&mut ledger);
                assert!(ledger.used() <= MAX / 100 * 90, "{other}: {}", ledger.used());
            }
            assert!(ledger.used() >= MAX / 100 * 90 - STEP, "{other}: {}", ledger.used());
        }
    }
}
