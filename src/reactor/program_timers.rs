//! The timers of the program, called by the loop.
//!
//! They lie in order of their times, so a turn looks at the nearest alone, however many there are. A
//! wheel would look at a timer that is far off once in each of its rotations, and wake an idle
//! server for that.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use crate::handler::guard::{guard, let_go};
use crate::handler::timers::{Call, Timers, TIMER_MIN};
use crate::limits::TIMEOUT_MAX;
use crate::reactor::clock::{self, Millis};

/// The timers of one loop.
pub(super) struct ProgramTimers<S> {
    waiting: BTreeMap<Key, Timer<S>>,
    /// The number of timers added so far.
    added: u64,
}

/// Orders the timers: by their times, and those of one time as they were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The time at which it is due, before it is rounded up to a tick: so `every` does not drift.
    due: Millis,
    number: u64,
}

impl Key {
    fn is_due(self, now: Millis) -> bool {
        clock::until(now, clock::tick_from(self.due)) == 0
    }
}

struct Timer<S> {
    period: Millis,
    call: Call<S>,
}

impl<S> ProgramTimers<S> {
    pub(super) fn new(timers: Timers<S>, now: Millis) -> ProgramTimers<S> {
        let mut own = ProgramTimers { waiting: BTreeMap::new(), added: 0 };
        for (time, call) in timers.entries {
            own.add(now, time, call);
        }
        own
    }

    /// Adds a timer that is due `time` after `now`.
    pub(super) fn add(&mut self, now: Millis, time: Duration, call: Call<S>) {
        let period = clock::millis_up(time.clamp(TIMER_MIN, TIMEOUT_MAX));
        // `now` is cut to milliseconds: with one more, nothing is early.
        let key = Key { due: now + 1 + period, number: self.added };
        self.added += 1;
        self.waiting.insert(key, Timer { period, call });
    }

    /// The tick at which the next timer is due.
    pub(super) fn due(&self) -> Option<u32> {
        self.waiting.first_key_value().map(|(key, _)| clock::tick_from(key.due))
    }

    /// Whether a timer is due.
    pub(super) fn are_due(&self, now: Millis) -> bool {
        self.waiting.first_key_value().is_some_and(|(key, _)| key.is_due(now))
    }

    /// Calls the timers that are due, in order. Returns how many of the calls panicked.
    #[inline(never)]
    pub(super) fn run(&mut self, now: Millis, state: &mut S) -> u64 {
        let mut panics = 0;
        while let Some((key, Timer { period, call })) = self.take_due(now) {
            let result = match call {
                Call::After(call) => guard(|| call(state)),
                Call::Every(mut call) => {
                    let result = guard(|| call(state));
                    let missed = now.saturating_sub(key.due) / period;
                    // After `now`, so it is not due again in this turn.
                    let next = Key { due: key.due + period * (missed + 1), ..key };
                    self.waiting.insert(next, Timer { period, call: Call::Every(call) });
                    result
                }
            };
            panics += u64::from(result.is_err());
        }
        panics
    }

    /// Takes the first timer that is due.
    fn take_due(&mut self, now: Millis) -> Option<(Key, Timer<S>)> {
        match self.are_due(now) {
            true => self.waiting.pop_first(),
            false => None,
        }
    }

    /// Drops all timers, one by one: a destructor may panic.
    pub(super) fn drop_all(&mut self) {
        mem::take(&mut self.waiting).into_values().for_each(let_go);
    }
}
