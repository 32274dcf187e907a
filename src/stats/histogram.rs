//! [`Histogram`]: counts of durations in powers of two.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

/// The bounds are 1 µs, 2 µs, 4 µs, ... 16.8 s.
const BOUNDS: usize = 25;
/// The buckets: one for each bound, and one for everything above.
pub(super) const BUCKETS: usize = BOUNDS + 1;

/// Counts of durations in buckets. The bounds of the buckets are powers of two: 1 µs, 2 µs, 4 µs and
/// so on up to 16.8 s, and one bucket has everything above.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum_nanos: u64,
}

impl Histogram {
    pub(super) fn of(counts: [u64; BUCKETS], sum_nanos: u64) -> Histogram {
        Histogram { counts, sum_nanos }
    }

    /// Returns the upper bound and the count of each bucket, the shortest durations first. A
    /// duration that is equal to a bound is in its bucket. The last bound is [`Duration::MAX`].
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        self.counts.iter().enumerate().map(|(n, &count)| (bound(n), count))
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of all durations.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanos)
    }
}

impl AddAssign<&Histogram> for Histogram {
    fn add_assign(&mut self, other: &Histogram) {
        for (sum, more) in self.counts.iter_mut().zip(other.counts) {
            *sum += more;
        }
        self.sum_nanos += other.sum_nanos;
    }
}

/// Shows the buckets whose counts are not 0.
impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.buckets().filter(|(_, count)| *count > 0)).finish()
    }
}

/// The upper bound of a bucket.
fn bound(bucket: usize) -> Duration {
    match bucket < BOUNDS {
        true => Duration::from_micros(1 << bucket),
        false => Duration::MAX,
    }
}

/// Returns the bucket of a duration.
pub(super) fn bucket(nanos: u64) -> usize {
    let micros = nanos.div_ceil(1000).max(1);
    (micros.next_power_of_two().trailing_zeros() as usize).min(BOUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_bound_is_not_below_it() {
        for nanos in [0, 1, 1000, 1001, 2000, 2001, 999_999_999, 16_777_216_000, 16_777_216_001] {
            let bucket = bucket(nanos);
            let nanos = Duration::from_nanos(nanos);
            assert!(nanos <= bound(bucket), "{nanos:?}");
            assert!(bucket == 0 || nanos > bound(bucket - 1), "{nanos:?}");
        }
        assert_eq!(bucket(u64::MAX), BOUNDS);
    }
}
