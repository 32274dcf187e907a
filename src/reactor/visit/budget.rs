//! The budget of a visit: the part that it has used, and whether it must end.

use std::mem;
use std::time::Duration;

use super::{Handler, Kernel, Visit, PIECES_MAX, REQUESTS_MAX, WRITTEN_MAX};

/// The time of one visit. It exceeds that by one call of the program at most, or by the calls between
/// two looks at the clock (see [`Spent`]).
pub(in crate::reactor) const TIME_MAX: Duration = Duration::from_millis(1);
/// The same while clients come faster than a turn accepts them: the first visits to a crowd take its turns.
pub(in crate::reactor) const TIME_IN_CROWD: Duration = Duration::from_micros(100);
/// Small responses between two looks at the clock. It costs 9 of 744 instructions per GET if sixteen
/// come at once, and nothing if they come one by one.
pub(in crate::reactor) const LOOK_EVERY: u32 = 8;

/// The part of its budget that a visit has used.
///
/// To read the clock costs a tenth of a usual GET. So it is read only after work that may take long: a
/// response that is not small, a producer, a file, a protocol, content at its end. Calls of the program
/// that are usually short and come in large numbers are counted. The clock is read after the first,
/// second, fourth, eighth ... and each thirty-second piece of content, and after every
/// [`LOOK_EVERY`] small responses; after each of them where the last look has found them slow.
pub(super) struct Spent {
    /// Requests, and messages of a protocol.
    pub(super) requests: u32,
    /// The number of requests after which the clock is read, or the budget of requests is used.
    look_at: u32,
    pub(super) written: usize,
    pub(super) pieces: u32,
    /// Calls of the program with pieces of request content.
    calls: u32,
    /// Whether work that may take long was done since the clock was read.
    pub(super) has_worked: bool,
    /// Whether the time of the visit is over.
    is_late: bool,
    /// The last time at which the clock was read before this visit, once it is read in this visit.
    began: Option<Duration>,
}

impl Spent {
    #[inline(always)]
    pub(super) fn new(look_at: u32) -> Spent {
        let (has_worked, is_late, began) = (false, false, None);
        Spent { requests: 0, look_at, written: 0, pieces: 0, calls: 0, has_worked, is_late, began }
    }
}

impl Spent {
    /// Notes that the clock is read. Returns the time since it was read last.
    pub(super) fn look(&mut self, looked_at_clock: &mut Duration, now: Duration) -> Duration {
        // Other visits may have come between, if they were too short to look at the clock.
        let before = mem::replace(looked_at_clock, now);
        self.began.get_or_insert(before);
        now.saturating_sub(before)
    }
}

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Whether the time of the visit is over.
    pub(super) fn is_late(&mut self) -> bool {
        if mem::take(&mut self.spent.has_worked) {
            let now = self.kernel.elapsed();
            self.spent.look(&mut self.shared.looked_at_clock, now);
            let took = self.spent.began.map_or(Duration::ZERO, |began| now.saturating_sub(began));
            self.spent.is_late = took > self.shared.visit_max;
        }
        self.spent.is_late
    }

    /// Whether the visit must end after small responses: because it has had all its requests or all
    /// its time.
    #[cold]
    #[inline(never)]
    fn has_had_enough(&mut self) -> bool {
        if self.spent.requests >= REQUESTS_MAX {
            return true;
        }
        self.spent.has_worked = true;
        let is_late = self.is_late();
        let every = if is_late { 1 } else { (2 * self.shared.look_every).min(LOOK_EVERY) };
        self.shared.look_every = every;
        self.spent.look_at = (self.spent.requests + every).min(REQUESTS_MAX);
        is_late
    }

    /// Notes that the program was called for a piece of content.
    pub(super) fn count_call(&mut self) {
        self.spent.calls += 1;
        let calls = self.spent.calls;
        self.spent.has_worked |= calls.is_power_of_two() || calls % 32 == 0;
    }

    /// Whether enough requests were served to look at the clock, or to stop.
    #[inline(always)]
    pub(super) fn has_served_enough(&mut self) -> bool {
        self.spent.requests >= self.spent.look_at && self.has_had_enough()
    }

    /// Whether the visit has used its budget of output or of time.
    pub(super) fn has_sent_enough(&mut self) -> bool {
        let Spent { written, pieces, .. } = self.spent;
        written >= WRITTEN_MAX || pieces >= PIECES_MAX || self.is_late()
    }
}
