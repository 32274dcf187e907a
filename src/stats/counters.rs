//! [`Counters`]: the numbers as the loop counts them, and their places in the array that is published.

use std::array;
use std::ops::Range;

use crate::stats::histogram::{Histogram, BUCKETS};
use crate::stats::kinds::{Deadline, Eviction, Kind, Phase, Refusal};
use crate::stats::tally::Tally;
use crate::stats::totals::Totals;

/// The places of the numbers. Those that a plain GET changes come first.
pub(super) mod place {
    pub(in crate::stats) const REQUESTS: usize = 0;
    pub(in crate::stats) const RECEIVED: usize = 1;
    pub(in crate::stats) const SENT: usize = 2;
    pub(in crate::stats) const RESPONSES: usize = 3;
    /// Bytes of all blocks and boxes, and of the loop itself.
    pub(in crate::stats) const USED: usize = 8;
    pub(in crate::stats) const FREE_BLOCKS: usize = 9;
    /// The number of places before the rare ones.
    pub(in crate::stats) const FREQUENT: usize = 10;
    pub(in crate::stats) const LOOP: usize = 10;
    pub(in crate::stats) const WAITING: usize = 11;
    pub(in crate::stats) const ACCEPT_ERRORS: usize = 12;
    pub(in crate::stats) const ACCEPTED: usize = 13;
    pub(in crate::stats) const CUT_OFF: usize = 14;
    pub(in crate::stats) const PANICS: usize = 15;
    pub(in crate::stats) const PHASES: usize = 16;
    pub(in crate::stats) const DEADLINES: usize = 24;
    pub(in crate::stats) const EVICTIONS: usize = 31;
    pub(in crate::stats) const REFUSALS: usize = 35;
    /// The number of places of counters. The histogram follows.
    pub(in crate::stats) const COUNTERS: usize = 57;
    pub(in crate::stats) const TURNS: usize = 57;
    pub(in crate::stats) const TURNS_SUM: usize = TURNS + super::BUCKETS;
    pub(in crate::stats) const ALL: usize = TURNS_SUM + 1;
}

/// The events and states that are counted, except those of a plain GET.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Accepted,
    CutOff,
    Panicked,
    Expired(Deadline),
    GaveWay(Eviction),
    Refused(Refusal),
}

/// The counts of a loop, which only its thread reads and writes.
///
/// A plain GET changes only the fields that are open, and each with one instruction.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) requests: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// The counts at the places from `FREQUENT` on.
    rare: [u64; place::COUNTERS - place::FREQUENT],
    /// Whether one of those has changed since they were published.
    have_changed: bool,
}

/// The numbers that are kept elsewhere in the loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauges {
    /// Final responses by class.
    pub(crate) responses: [u64; 5],
    /// Bytes that the loop holds, its own structures included.
    pub(crate) used: usize,
    pub(crate) free_blocks: usize,
}

/// The same for numbers that a plain GET does not change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RareGauges {
    /// Bytes of the structures of the loop.
    pub(crate) itself: usize,
    pub(crate) open: usize,
    pub(crate) waiting: usize,
    pub(crate) accept_errors: u64,
}

impl Counters {
    pub(crate) fn new() -> Counters {
        let rare = [0; place::COUNTERS - place::FREQUENT];
        Counters { requests: 0, received: 0, sent: 0, rare, have_changed: true }
    }

    /// Counts an event.
    #[inline(never)]
    pub(crate) fn count(&mut self, event: Event) {
        *self.rare(match event {
            Event::Accepted => place::ACCEPTED,
            Event::CutOff => place::CUT_OFF,
            Event::Panicked => place::PANICS,
            Event::Expired(deadline) => place::DEADLINES + deadline.index(),
            Event::GaveWay(cause) => place::EVICTIONS + cause.index(),
            Event::Refused(reason) => place::REFUSALS + reason.index(),
        }) += 1;
    }

    /// Counts panics of the program.
    pub(crate) fn count_panics(&mut self, panics: u64) {
        *self.rare(place::PANICS) += panics;
    }

    /// A connection is in this phase from now on. The idle ones are not counted: they are all others,
    /// so a connection that goes from one request to the next costs nothing.
    #[inline(never)]
    pub(crate) fn enter(&mut self, phase: Phase) {
        if phase != Phase::Idle {
            *self.rare(place::PHASES + phase.index()) += 1;
        }
    }

    /// A connection is no longer in this phase.
    #[inline(never)]
    pub(crate) fn leave(&mut self, phase: Phase) {
        if phase != Phase::Idle {
            *self.rare(place::PHASES + phase.index()) -= 1;
        }
    }

    /// A number that is kept elsewhere may have changed.
    pub(crate) fn note_change(&mut self) {
        self.have_changed = true;
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.rare[place::ACCEPTED - place::FREQUENT]
    }

    /// Whether a number has changed since the last call that a plain GET does not change.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.have_changed)
    }

    fn rare(&mut self, place: usize) -> &mut u64 {
        self.have_changed = true;
        &mut self.rare[place - place::FREQUENT]
    }

    /// The numbers at the first places.
    #[inline(always)]
    pub(super) fn frequent(&self, gauges: &Gauges) -> [u64; place::FREQUENT] {
        let [first, second, third, fourth, fifth] = gauges.responses;
        let (used, free_blocks) = (gauges.used as u64, gauges.free_blocks as u64);
        let Counters { requests, received, sent, .. } = *self;
        [requests, received, sent, first, second, third, fourth, fifth, used, free_blocks]
    }

    /// All numbers but the histogram.
    pub(super) fn all(&self, gauges: &Gauges, more: &RareGauges) -> [u64; place::COUNTERS] {
        let frequent = self.frequent(gauges);
        let mut all = array::from_fn(|n| match n.checked_sub(place::FREQUENT) {
            None => frequent[n],
            Some(n) => self.rare[n],
        });
        all[place::LOOP] = more.itself as u64;
        all[place::WAITING] = more.waiting as u64;
        all[place::ACCEPT_ERRORS] = more.accept_errors;
        let others: u64 = all[of::<Phase>(place::PHASES)].iter().sum();
        all[place::PHASES + Phase::Idle.index()] = more.open as u64 - others;
        all
    }
}

/// The places of the counts of a list that begins at `start`.
fn of<K: Kind>(start: usize) -> Range<usize> {
    start..start + K::ALL.len()
}

/// The numbers of one loop in words. `elsewhere` is the memory that other parts hold.
pub(super) fn totals(all: &[u64; place::ALL], elsewhere: u64) -> Totals {
    let refusals = Tally::of(&all[of::<Refusal>(place::REFUSALS)]);
    let deadlines: Tally<Deadline> = Tally::of(&all[of::<Deadline>(place::DEADLINES)]);
    let evictions: Tally<Eviction> = Tally::of(&all[of::<Eviction>(place::EVICTIONS)]);
    let slow = [Deadline::Head, Deadline::Content, Deadline::Response];
    let (itself, free) = (all[place::LOOP], all[place::FREE_BLOCKS]);
    let lent = all[place::USED].saturating_sub(itself + free);
    Totals {
        accepted: all[place::ACCEPTED],
        requests: all[place::REQUESTS],
        responses: array::from_fn(|n| all[place::RESPONSES + n]),
        bytes_received: all[place::RECEIVED],
        bytes_sent: all[place::SENT],
        refused: refusals.sum(),
        refusals,
        too_slow: slow.map(|kind| deadlines.get(kind)).iter().sum(),
        deadlines,
        evicted: evictions.sum(),
        evictions,
        cut_off: all[place::CUT_OFF],
        panics: all[place::PANICS],
        accept_errors: all[place::ACCEPT_ERRORS],
        connections: Tally::of(&all[of::<Phase>(place::PHASES)]),
        waiting: all[place::WAITING],
        memory: Tally::of(&[itself, free, lent, elsewhere]),
        turns: Histogram::of(array::from_fn(|n| all[place::TURNS + n]), all[place::TURNS_SUM]),
        loops: 1,
        ..Totals::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_the_lists_do_not_overlap_and_leave_no_gap() {
        assert_eq!(of::<Phase>(place::PHASES).end, place::DEADLINES);
        assert_eq!(of::<Deadline>(place::DEADLINES).end, place::EVICTIONS);
        assert_eq!(of::<Eviction>(place::EVICTIONS).end, place::REFUSALS);
        assert_eq!(of::<Refusal>(place::REFUSALS).end, place::COUNTERS);
    }
}
