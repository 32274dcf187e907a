//! The timers of the program, called by the loop.
//!
//! They are few, so the loop looks through all of them when the nearest is due. A wheel would look
//! at a timer that is far off once in each of its rotations, and wake an idle server for that.

use std::mem;
use std::time::Duration;

use crate::handler::guard::{guard, let_go};
use crate::handler::timers::{Call, Timers, TIMER_MIN};
use crate::limits::TIMEOUT_MAX;
use crate::reactor::clock::{self, Millis};

/// The timers of one loop.
pub(super) struct ProgramTimers<S> {
    entries: Vec<Entry<S>>,
}

struct Entry<S> {
    /// The time at which it is due, before it is rounded up to a tick: so `every` does not drift.
    due: Millis,
    period: Millis,
    call: Call<S>,
}

impl<S> Entry<S> {
    fn is_due(&self, now: Millis) -> bool {
        clock::until(now, clock::tick_from(self.due)) == 0
    }
}

impl<S> ProgramTimers<S> {
    pub(super) fn new(timers: Timers<S>, now: Millis) -> ProgramTimers<S> {
        let mut own = ProgramTimers { entries: Vec::new() };
        for (time, call) in timers.entries {
            own.add(now, time, call);
        }
        own
    }

    /// Adds a timer that is due `time` after `now`.
    pub(super) fn add(&mut self, now: Millis, time: Duration, call: Call<S>) {
        let period = clock::millis_up(time.clamp(TIMER_MIN, TIMEOUT_MAX));
        // `now` is cut to milliseconds: with one more, nothing is early.
        self.entries.push(Entry { due: now + 1 + period, period, call });
    }

    /// The tick at which the next timer is due.
    pub(super) fn due(&self) -> Option<u32> {
        self.entries.iter().map(|timer| timer.due).min().map(clock::tick_from)
    }

    /// Whether a timer is due.
    pub(super) fn are_due(&self, now: Millis) -> bool {
        self.entries.iter().any(|timer| timer.is_due(now))
    }

    /// Calls the timers that are due. Returns how many of the calls panicked.
    pub(super) fn run(&mut self, now: Millis, state: &mut S) -> u64 {
        let mut panics = 0;
        for mut timer in self.take_due(now) {
            let result = match timer.call {
                Call::After(call) => guard(|| call(state)),
                Call::Every(mut call) => {
                    let result = guard(|| call(state));
                    let missed = now.saturating_sub(timer.due) / timer.period;
                    timer.due += timer.period * (missed + 1);
                    self.entries.push(Entry { call: Call::Every(call), ..timer });
                    result
                }
            };
            panics += u64::from(result.is_err());
        }
        panics
    }

    fn take_due(&mut self, now: Millis) -> Vec<Entry<S>> {
        let all = mem::take(&mut self.entries);
        let (due, waiting) = all.into_iter().partition(|timer| timer.is_due(now));
        self.entries = waiting;
        due
    }

    /// Drops all timers, one by one: a destructor may panic.
    pub(super) fn drop_all(&mut self) {
        self.entries.drain(..).for_each(let_go);
    }
}
