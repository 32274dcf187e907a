//! The memory that clients can make the server hold: pooled blocks, and the ledger that counts them
//! and everything else.
//!
//! An idle connection owns no buffer. A block is lent while bytes are held (a head or content in
//! pieces, output that the socket did not take) and comes back when they are used or sent.

use std::mem;

use crate::account::Account;
use crate::heap::free;

/// Counts bytes against the budget that the program has set.
///
/// Invariant: `used - elsewhere` is the sum of all charges not yet released. `Reactor::check`
/// recounts it.
#[derive(Debug)]
pub(crate) struct Ledger {
    used: usize,
    /// The most of `used` since the heap was given back.
    most: usize,
    /// The part of `used` that is in the account, as of the last [`settle`](Ledger::settle).
    elsewhere: usize,
    account: Account,
    max: usize,
    short: usize,
    full: usize,
    exhausted: usize,
}

impl Ledger {
    pub(crate) fn new(max: usize) -> Ledger {
        let account = Account::new(max);
        let percent = |n| max / 100 * n;
        let (short, full, exhausted) = (percent(80), percent(90), percent(95));
        Ledger { used: 0, most: 0, elsewhere: 0, account, max, short, full, exhausted }
    }

    /// The account for memory that is held outside of the loop, against the same budget.
    pub(crate) fn account(&self) -> Account {
        self.account.clone()
    }

    /// Keeps listings from making memory short, even if the slots take `growth` bytes more: the clients
    /// that receive a page do not appear to hold it, so nobody could give way.
    pub(crate) fn reserve_for_slots(&self, growth: usize) {
        self.account.set_reserve(self.max - self.short + growth);
    }

    /// Brings the ledger and the account up to date with each other: once in each turn.
    #[inline(always)]
    pub(crate) fn settle(&mut self) {
        let of_loop = self.of_loop();
        self.elsewhere = self.account.settle(of_loop);
        self.used = of_loop + self.elsewhere;
        self.most = self.most.max(self.used);
    }

    /// Returns the most memory that was held, if most of it has been given back to the allocator. It
    /// then counts anew.
    pub(crate) fn take_shrunk(&mut self) -> Option<usize> {
        self.settle();
        let has_shrunk = self.most >= SHRINKS_FROM && self.used <= self.most / 4;
        has_shrunk.then(|| mem::replace(&mut self.most, self.used))
    }

    /// The bytes that the loop itself holds.
    pub(crate) fn of_loop(&self) -> usize {
        self.used - self.elsewhere
    }

    pub(crate) fn charge(&mut self, bytes: usize) {
        self.used += bytes;
    }

    pub(crate) fn release(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.of_loop(), "more released than charged");
        self.used = self.used.saturating_sub(bytes);
    }

    /// Whether there is room for `bytes` more. The last tenth of the budget is a reserve for small
    /// ones, up to [`SMALL`] bytes at once: whatever the large holders do, a client that asks for
    /// something small can be served.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let most = if bytes <= SMALL { self.max } else { self.full };
        self.used().saturating_add(bytes) <= most
    }

    /// Whether there is room for content of a request, which may become large.
    pub(crate) fn has_room_for_content(&self) -> bool {
        self.has_room(SMALL + 1)
    }

    /// The bytes that the loop holds and those in the account, as of now.
    pub(crate) fn used(&self) -> usize {
        self.of_loop() + self.account.held()
    }

    /// Whether 80 % of the budget are used: connections are not kept, and those that hold much give
    /// way.
    pub(crate) fn is_short(&self) -> bool {
        self.used >= self.short
    }

    /// Whether 95 % of the budget are used: no connection is accepted.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.used >= self.exhausted
    }
}

/// The least bytes of which it matters that the system gets them back.
const SHRINKS_FROM: usize = 512 << 10;

/// The most bytes that the reserve of the budget is for: a block for a usual head.
const SMALL: usize = CLASSES[0];

/// The sizes of blocks: for a usual head, a long one, the longest by default, and a whole read.
const CLASSES: [usize; 4] = [1 << 10, 4 << 10, 16 << 10, BLOCK_MAX];
/// The size of the largest block that is kept for others.
pub(crate) const BLOCK_MAX: usize = 64 << 10;

/// Free blocks kept of each class: 16 + 64 + 128 + 256 KiB. Those of a burst go back to the system.
const KEPT: [usize; 4] = [16, 16, 8, 4];

/// Lends blocks and takes them back.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: [Vec<Vec<u8>>; CLASSES.len()],
}

/// Bytes held for one connection: filled at the end, used up from the front.
///
/// Invariant: `start <= bytes.len() <= bytes.capacity()`, and the ledger was charged the capacity.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    start: usize,
}

impl Pool {
    /// Lends a block with room for at least `len` bytes, of the smallest class that has it.
    pub(crate) fn lend(&mut self, len: usize, ledger: &mut Ledger) -> Block {
        let bytes = match CLASSES.iter().position(|&class| len <= class) {
            Some(class) => match self.free[class].pop() {
                Some(bytes) => bytes,
                None => exactly(CLASSES[class], ledger),
            },
            None => exactly(len, ledger),
        };
        Block { bytes, start: 0 }
    }

    /// Whether a block with room for `len` bytes can be lent: within the budget, and if the system
    /// has the memory. The block is then at hand.
    pub(crate) fn can_lend(&mut self, len: usize, ledger: &mut Ledger) -> bool {
        let Some(class) = CLASSES.iter().position(|&class| len <= class) else {
            return ledger.has_room(len) && has_memory([len]);
        };
        if !self.free[class].is_empty() {
            return true;
        }
        if !ledger.has_room(CLASSES[class]) {
            return false;
        }
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(CLASSES[class]).is_err() {
            return false;
        }
        ledger.charge(bytes.capacity());
        self.free[class].push(bytes);
        true
    }

    /// Lends a block with room for at least `len` bytes, within the budget and if the system has the
    /// memory.
    pub(crate) fn try_lend(&mut self, len: usize, ledger: &mut Ledger) -> Option<Block> {
        if len <= BLOCK_MAX {
            return self.can_lend(len, ledger).then(|| self.lend(len, ledger));
        }
        if !ledger.has_room(len) {
            return None;
        }
        let mut block = Block::empty();
        block.bytes.try_reserve_exact(len).ok()?;
        ledger.charge(block.capacity());
        Some(block)
    }

    /// Lends a block with a copy of `bytes`.
    pub(crate) fn keep(&mut self, bytes: &[u8], ledger: &mut Ledger) -> Block {
        let mut block = self.lend(bytes.len(), ledger);
        block.bytes.extend_from_slice(bytes);
        block
    }

    /// Takes a block back. It is kept for another connection, unless enough of its class are free.
    pub(crate) fn take_back(&mut self, block: Block, ledger: &mut Ledger) {
        let mut bytes = block.bytes;
        let capacity = bytes.capacity();
        let class = CLASSES.iter().position(|&class| class == capacity);
        match class {
            Some(class) if self.free[class].len() < KEPT[class] => {
                bytes.clear();
                self.free[class].push(bytes);
            }
            _ => {
                free(bytes);
                ledger.release(capacity);
            }
        }
    }

    /// Gives all free blocks back to the system.
    pub(crate) fn trim(&mut self, ledger: &mut Ledger) {
        for free in &mut self.free {
            for bytes in mem::take(free) {
                ledger.release(bytes.capacity());
            }
        }
    }

    /// Bytes in free blocks, which the ledger counts too.
    pub(crate) fn free_bytes(&self) -> usize {
        self.free.iter().zip(CLASSES).map(|(free, class)| free.len() * class).sum()
    }
}

/// Whether the system has memory for pieces of these sizes, all at once. It is asked where an
/// allocation cannot fail, because a vector of another crate makes it: the answer holds for the next
/// moment, unless another thread takes the memory.
pub(crate) fn has_memory<const N: usize>(sizes: [usize; N]) -> bool {
    let pieces = sizes.map(|size| {
        let mut piece = Vec::<u8>::new();
        piece.try_reserve_exact(size).map(|()| piece)
    });
    let has_all = pieces.iter().all(Result::is_ok);
    pieces.into_iter().flatten().for_each(free);
    has_all
}

/// Returns a copy of items whose number a client determines, if the system has the memory.
pub(crate) fn copied<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(items.len()).ok()?;
    copy.extend_from_slice(items);
    Some(copy)
}

fn exactly(capacity: usize, ledger: &mut Ledger) -> Vec<u8> {
    let bytes = Vec::with_capacity(capacity);
    ledger.charge(bytes.capacity());
    bytes
}

impl Block {
    /// A block without room.
    pub(crate) fn empty() -> Block {
        Block { bytes: Vec::new(), start: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives the bytes away for good: they are no longer counted.
    pub(crate) fn give_away(self, ledger: &mut Ledger) -> Vec<u8> {
        let Block { mut bytes, start } = self;
        ledger.release(bytes.capacity());
        bytes.drain(..start);
        bytes
    }

    /// Uses up `n` bytes from the front. Returns whether none are left.
    pub(crate) fn consume(&mut self, n: usize) -> bool {
        self.start += n;
        assert!(self.start <= self.bytes.len(), "no more is used than there is");
        self.start == self.bytes.len()
    }

    /// The size of the block that [`room`](Block::room) will borrow; zero if it needs none.
    pub(crate) fn wants(&self) -> usize {
        match self.start == 0 && self.bytes.len() == self.bytes.capacity() {
            true => self.bytes.len() + 1,
            false => 0,
        }
    }

    /// Makes room for more bytes after those held, at least one and at most `most`. The held bytes
    /// move to the front, and to a larger block if necessary.
    pub(crate) fn room(&mut self, most: usize, pool: &mut Pool, ledger: &mut Ledger) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        if self.bytes.len() == self.bytes.capacity() {
            self.move_to(pool.lend(self.bytes.len() + 1, ledger), pool, ledger);
        }
        let held = self.bytes.len();
        let end = self.bytes.capacity().min(held + most);
        self.bytes.resize(end, 0);
        &mut self.bytes[held..]
    }

    fn move_to(&mut self, mut larger: Block, pool: &mut Pool, ledger: &mut Ledger) {
        larger.bytes.extend_from_slice(self.bytes());
        pool.take_back(mem::replace(self, larger), ledger);
    }

    /// Makes room for `len` bytes in all, if there is memory for them. A block that is larger than all
    /// classes grows where it is, if the allocator can do that.
    pub(crate) fn enlarge(&mut self, len: usize, pool: &mut Pool, ledger: &mut Ledger) -> bool {
        let before = self.bytes.capacity();
        if before <= BLOCK_MAX {
            let Some(larger) = pool.try_lend(len, ledger) else { return false };
            self.move_to(larger, pool, ledger);
            return true;
        }
        if !ledger.has_room(len - before)
            || self.bytes.try_reserve_exact(len - self.bytes.len()).is_err()
        {
            return false;
        }
        ledger.charge(self.bytes.capacity() - before);
        true
    }

    /// Adds bytes, for which there is room.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.bytes.capacity() - self.bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Keeps `filled` of the bytes of the last `room`, which had `room` bytes.
    pub(crate) fn keep(&mut self, filled: usize, room: usize) {
        assert!(filled <= room, "no more is read than there is room for");
        self.bytes.truncate(self.bytes.len() - (room - filled));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_short_at_80_percent_exhausted_at_95_and_without_room_at_100() {
        let mut ledger = Ledger::new(1000);
        for (charge, expected) in [
            (799, (false, false, true)),
            (1, (true, false, true)),
            (150, (true, true, true)),
            (50, (true, true, false)),
        ] {
            ledger.charge(charge);
            let state = (ledger.is_short(), ledger.is_exhausted(), ledger.has_room(1));
            assert_eq!(state, expected, "{}", ledger.used());
        }
        ledger.release(1000);
        assert_eq!((ledger.used(), ledger.has_room(1000), ledger.has_room(1001)), (0, true, false));
    }

    #[test]
    fn the_memory_of_a_crowd_is_told_once_when_three_quarters_of_it_have_gone() {
        let mut ledger = Ledger::new(64 << 20);
        ledger.charge(100 << 10);
        assert_eq!(ledger.take_shrunk(), None);
        ledger.charge(900 << 10);
        ledger.settle();
        ledger.release(740 << 10);
        assert_eq!(ledger.take_shrunk(), None, "more than a quarter is left");
        ledger.release(10 << 10);
        assert_eq!(ledger.take_shrunk(), Some(1000 << 10));
        assert_eq!(ledger.take_shrunk(), None);
        ledger.release(250 << 10);
        assert_eq!(ledger.take_shrunk(), None, "a little is left where it is");
    }

    #[test]
    fn a_returned_block_is_lent_again_and_surplus_blocks_are_freed() {
        let (mut pool, mut ledger) = (Pool::default(), Ledger::new(1 << 30));
        let blocks: Vec<_> = (0..20).map(|_| pool.lend(100, &mut ledger)).collect();
        assert_eq!(ledger.used(), 20 << 10);
        for block in blocks {
            pool.take_back(block, &mut ledger);
        }
        assert_eq!(ledger.used(), KEPT[0] << 10);
        pool.lend(1 << 10, &mut ledger);
        assert_eq!(pool.free_bytes(), (KEPT[0] - 1) << 10);
        pool.trim(&mut ledger);
        assert_eq!(ledger.used(), 1 << 10, "blocks that are lent are still charged");
    }

    #[test]
    fn a_block_grows_through_the_classes_and_keeps_its_bytes() {
        let (mut pool, mut ledger) = (Pool::default(), Ledger::new(1 << 30));
        let mut block = pool.keep(b"xx", &mut ledger);
        assert!(!block.consume(1));
        let mut expected = b"x".to_vec();
        while expected.len() < 70_000 {
            let room = block.room(1000, &mut pool, &mut ledger);
            let len = room.len();
            assert!(len >= 1);
            room.fill(b'y');
            block.keep(len / 2 + 1, len);
            expected.resize(expected.len() + len / 2 + 1, b'y');
            assert_eq!(block.bytes().len(), expected.len());
        }
        assert_eq!(block.bytes(), expected);
        let capacity = block.capacity();
        pool.trim(&mut ledger);
        assert_eq!(ledger.used(), capacity);
        pool.take_back(block, &mut ledger);
        assert_eq!(ledger.used(), 0, "a block larger than the classes is not kept");
    }
}
