//! The timers of the program, run by the loop.
//!
//! They are few, and none is set while the server runs: all are looked through whenever the nearest
//! is due. A wheel would look at one that is far off once in each of its turns, and wake an idle
//! server for that.

use std::time::Duration;

use crate::handler::guard::{guard, let_go};
use crate::handler::timers::{Call, Timers, TIMER_MIN};
use crate::limits::TIMEOUT_MAX;
use crate::reactor::clock::{self, Millis};

/// The timers of one loop.
pub(super) struct ProgramTimers<S> {
    entries: Vec<Entry<S>>,
}

impl<S> Default for ProgramTimers<S> {
    fn default() -> ProgramTimers<S> {
        ProgramTimers { entries: Vec::new() }
    }
}

struct Entry<S> {
    /// When it was or will be due, before it is rounded up to a tick: so `every` does not drift.
    due: Millis,
    period: Millis,
    /// What there is left to call.
    call: Option<Call<S>>,
}

impl<S> ProgramTimers<S> {
    /// `None` if there is nothing to do.
    pub(super) fn new(timers: Timers<S>, now: Millis) -> Option<Box<ProgramTimers<S>>> {
        if timers.entries.is_empty() {
            return None;
        }
        let mut own = Box::<ProgramTimers<S>>::default();
        for (time, call) in timers.entries {
            own.add(now, time, call);
        }
        Some(own)
    }

    /// Adds a timer that is due `time` after `now`.
    pub(super) fn add(&mut self, now: Millis, time: Duration, call: Call<S>) {
        let period = clock::millis_up(time.clamp(TIMER_MIN, TIMEOUT_MAX));
        // Those that were called once are over.
        self.entries.retain(|timer| timer.call.is_some());
        // `now` is cut to milliseconds: with one more, nothing is early.
        self.entries.push(Entry { due: now + 1 + period, period, call: Some(call) });
    }

    /// Drops the functions, one by one: a destructor may panic.
    pub(super) fn drop_all(self) {
        self.entries.into_iter().for_each(let_go);
    }

    /// The tick at which the next one is due.
    pub(super) fn due(&self) -> Option<u32> {
        let waiting = self.entries.iter().filter(|timer| timer.call.is_some());
        waiting.map(|timer| timer.due).min().map(clock::tick_from)
    }

    /// Calls what is due; how many of the calls panicked.
    pub(super) fn run(&mut self, now: Millis, state: &mut S) -> u64 {
        let mut panics = 0;
        for timer in &mut self.entries {
            if clock::until(now, clock::tick_from(timer.due)) > 0 {
                continue;
            }
            let result = match timer.call.take() {
                Some(Call::Every(mut call)) => {
                    let result = guard(|| call(state));
                    timer.call = Some(Call::Every(call));
                    let missed = now.saturating_sub(timer.due) / timer.period;
                    timer.due += timer.period * (missed + 1);
                    result
                }
                Some(Call::After(call)) => guard(|| call(state)),
                None => Ok(()),
            };
            panics += u64::from(result.is_err());
        }
        panics
    }
}
