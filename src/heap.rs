//! Ways to make the allocator give memory back to the system, without a call that only one allocator
//! has. They are written for that of glibc, and harmless with any other.
//!
//! Three of its habits keep memory:
//!
//! * It maps each piece from 128 KiB on for itself. But as soon as such a piece is freed, it takes all
//!   pieces up to that size from its heap, where they leave holes, and keeps up to twice as many bytes
//!   at the end of the heap: [`free`] and [`without_trace`].
//! * It gives back the end of its heap, up to the last piece that is in use.
//! * Each thread keeps seven freed pieces of each small size for itself, wherever they lie, and they
//!   count as in use: [`give_back`].

use std::mem::size_of;
use std::ops::RangeInclusive;

/// The bytes from which on a piece may be mapped for itself.
const MAPPED: usize = 64 << 10;

/// A thread keeps freed pieces of these sizes, in steps of 16 bytes.
const SMALL: RangeInclusive<usize> = 24..=1032;
/// Those that connections have: structures, and blocks for usual heads.
const STRUCTURES: RangeInclusive<usize> = 24..=264;
const HEAD: usize = 1 << 10;
/// The freed pieces of one size that a thread keeps.
const KEPT: usize = 7;
/// In single trials 1 to 4 MiB of 60 were left after so many rounds, and up to 50 after one. Pieces of
/// other sizes still hold the end at times: see docs/under-attack.md.
const ROUNDS: usize = 8;
/// The memory of a crowd beside which seven pieces of each size, 240 KiB, are few.
const LARGE: usize = 8 << 20;

/// Drops a vector that may be large, so that its memory and that of later ones goes back to the
/// system. A piece that is small when it is freed has no effect on later ones.
pub(crate) fn free<T>(mut items: Vec<T>) {
    items.clear();
    if items.capacity() * size_of::<T>() > MAPPED {
        items.shrink_to(1);
    }
}

/// Returns the size of a test for memory that changes nothing for later allocations. A test of the
/// wanted size would bring the vector itself into the heap: that cost 50 B for each of 20,000
/// connections. No piece above 32 MiB has such an effect.
pub(crate) fn without_trace(size: usize) -> usize {
    match size < MAPPED {
        true => size,
        false => size.max(33 << 20),
    }
}

/// Gives the end of the heap back after a crowd that held `held` bytes. The thread then keeps other
/// freed pieces: the lowest of those that it gets now. The ones that it kept before no longer hold the
/// end.
pub(crate) fn give_back(held: usize) {
    let sizes = if held < LARGE { STRUCTURES } else { SMALL };
    // Each round frees pieces that lie higher, so the next one finds lower places.
    for _ in 0..ROUNDS {
        for size in sizes.clone().step_by(16).chain([HEAD]) {
            let new = || Vec::<u8>::with_capacity(size);
            let mut pieces: Vec<_> = (0..2 * KEPT).map(|_| new()).collect();
            // The first ones that are dropped are kept.
            pieces.sort_unstable_by_key(|piece| piece.as_ptr());
        }
    }
}
