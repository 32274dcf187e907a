//! [`Tally`]: a count for each kind of a closed list.

use std::fmt;
use std::marker::PhantomData;
use std::ops::AddAssign;

use crate::stats::kinds::Kind;

/// The longest list.
const KINDS_MAX: usize = 22;

/// A count for each kind, such as each reason of a [`Refusal`](crate::runtime::Refusal).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tally<K> {
    counts: [u64; KINDS_MAX],
    kinds: PhantomData<K>,
}

impl<K: Kind> Tally<K> {
    /// Takes the counts in the order of the list.
    pub(super) fn of(counts: &[u64]) -> Tally<K> {
        assert_eq!(counts.len(), K::ALL.len(), "a count for each kind");
        let mut tally = Tally::default();
        tally.counts[..counts.len()].copy_from_slice(counts);
        tally
    }

    /// Returns the count of one kind.
    pub fn get(&self, kind: K) -> u64 {
        self.counts[kind.index()]
    }

    /// Returns each kind with its count, also if that is 0.
    pub fn iter(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        K::ALL.iter().map(|&kind| (kind, self.get(kind)))
    }

    /// Returns the sum of all kinds.
    pub fn sum(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Tally<K> {
        Tally { counts: [0; KINDS_MAX], kinds: PhantomData }
    }
}

impl<K> AddAssign<&Tally<K>> for Tally<K> {
    fn add_assign(&mut self, other: &Tally<K>) {
        for (sum, more) in self.counts.iter_mut().zip(other.counts) {
            *sum += more;
        }
    }
}

/// Shows the kinds whose counts are not 0.
impl<K: Kind> fmt::Debug for Tally<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().filter(|(_, count)| *count > 0)).finish()
    }
}
