//! Numbers that one thread writes and any thread reads, all of the same moment, without a lock: a
//! sequence lock.
//!
//! ```text
//! writer: version = odd;  fence(release);  numbers;  version = even (release)
//! reader: even version (acquire);  numbers;  fence(acquire);  the same version, or once more
//! ```
//!
//! The writer never waits. A reader tries again while the writer writes, which takes it less than a
//! microsecond, once in a turn of the loop.

use std::array;
use std::hint;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::sync::{fence, yield_now, AtomicUsize};

/// The numbers, and the count of changes, which is odd during one.
pub(super) struct Snapshot<const N: usize> {
    version: AtomicUsize,
    numbers: [Number; N],
}

/// The words of a 64-bit number: a system of 32 bits may have no atomic of that size.
pub(super) struct Number([AtomicUsize; WORDS]);

const WORDS: usize = (u64::BITS / usize::BITS) as usize;

/// Attempts of a reader before it lets other threads run. A model runs no other thread meanwhile.
const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };

impl Number {
    fn new() -> Number {
        Number(array::from_fn(|_| AtomicUsize::new(0)))
    }

    #[inline(always)]
    pub(super) fn set(&self, number: u64) {
        for (n, word) in self.0.iter().enumerate() {
            word.store((number >> (n as u32 * usize::BITS)) as usize, Relaxed);
        }
    }

    #[inline(always)]
    pub(super) fn get(&self) -> u64 {
        let words = self.0.iter().enumerate();
        words
            .fold(0, |sum, (n, word)| sum | (word.load(Relaxed) as u64) << (n as u32 * usize::BITS))
    }

    /// Adds to a number that only this thread writes.
    pub(super) fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }
}

impl<const N: usize> Snapshot<N> {
    pub(super) fn new() -> Snapshot<N> {
        let numbers = array::from_fn(|_| Number::new());
        Snapshot { version: AtomicUsize::new(0), numbers }
    }

    /// Changes numbers. Only one thread may call this, and `change` must not call it.
    #[inline(always)]
    pub(super) fn change(&self, change: impl FnOnce(&[Number; N])) {
        let version = self.version.load(Relaxed);
        self.version.store(version.wrapping_add(1), Relaxed);
        fence(Release);
        change(&self.numbers);
        self.version.store(version.wrapping_add(2), Release);
    }

    /// Returns the numbers as they were after one of the changes.
    pub(super) fn read(&self) -> [u64; N] {
        for attempt in 1.. {
            let before = self.version.load(Acquire);
            if before % 2 == 0 {
                let numbers = array::from_fn(|n| self.numbers[n].get());
                fence(Acquire);
                if self.version.load(Relaxed) == before {
                    return numbers;
                }
            }
            match attempt % SPINS {
                0 => yield_now(),
                _ => hint::spin_loop(),
            }
        }
        unreachable!("a reader tries until it succeeds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_all_of_its_64_bits() {
        let snapshot = Snapshot::<2>::new();
        snapshot.change(|numbers| {
            numbers[0].set(u64::MAX - 1);
            numbers[1].add(1 << 40);
            numbers[1].add(5);
        });
        assert_eq!(snapshot.read(), [u64::MAX - 1, (1 << 40) + 5]);
    }
}

#[cfg(all(test, loom))]
mod loom_checks {
    use super::*;
    use loom::thread;
    use std::sync::Arc;

    /// Reads while another thread makes a change that keeps the numbers equal.
    fn reads(change: impl Fn(&Snapshot<2>) + Send + Sync + 'static) {
        let snapshot = Arc::new(Snapshot::<2>::new());
        let of_writer = snapshot.clone();
        let writer = thread::spawn(move || change(&of_writer));
        let [first, second] = snapshot.read();
        assert_eq!(first, second, "numbers of two moments");
        writer.join().unwrap();
        assert_eq!(snapshot.read(), [1, 1]);
    }

    #[test]
    fn a_reader_sees_all_numbers_of_one_change() {
        loom::model(|| {
            reads(|snapshot| {
                snapshot.change(|numbers| numbers.iter().for_each(|number| number.set(1)));
            });
        });
    }

    #[test]
    #[should_panic(expected = "numbers of two moments")]
    fn without_an_odd_version_a_reader_sees_numbers_of_two_moments() {
        loom::model(|| {
            reads(|snapshot| snapshot.numbers.iter().for_each(|number| number.set(1)));
        });
    }
}
