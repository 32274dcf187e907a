//! The timers of the program, run by the loop.
//!
//! They have a wheel of their own: on the wheel of the connections an id is the key of a slot,
//! and those stay dense only if nobody else has one. It is there only if there are timers, so a
//! server without any is not woken.

use timers::Wheel;

use crate::limits::TIMEOUT_MAX;
use crate::reactor::clock::{self, Millis};
use crate::reactor::guard;
use crate::schedule::{Call, Timers, TIMER_MIN};

/// Slots of the wheel: 4 s of ticks. What is further off is looked at once in a turn of it, which
/// wakes the loop no more often than every 4 s.
const SLOTS: usize = 64;

/// The timers of one loop.
pub(super) struct Agenda<S> {
    wheel: Wheel,
    /// By their id on the wheel.
    timers: Vec<Timer<S>>,
}

struct Timer<S> {
    /// When it was or will be due, before it is rounded up to a tick: so `every` does not drift.
    due: Millis,
    period: Millis,
    /// What there is left to call.
    call: Option<Call<S>>,
}

impl<S> Agenda<S> {
    /// None if there is nothing to do.
    pub(super) fn new(timers: Timers<S>, now: Millis) -> Option<Box<Agenda<S>>> {
        let count = timers.entries.len();
        if count == 0 {
            return None;
        }
        let mut wheel = Wheel::new(SLOTS, clock::tick(now));
        wheel.grow(count);
        let timers = timers.entries.into_iter().map(|(time, call)| {
            let period = clock::millis_up(time.clamp(TIMER_MIN, TIMEOUT_MAX));
            // `now` is cut to milliseconds: with one more, nothing is early.
            Timer { due: now + 1 + period, period, call: Some(call) }
        });
        let timers: Vec<Timer<S>> = timers.collect();
        for (id, timer) in timers.iter().enumerate() {
            wheel.arm(id as u32, clock::tick_from(timer.due));
        }
        Some(Box::new(Agenda { wheel, timers }))
    }

    /// When it wants to be looked at.
    pub(super) fn next_wake(&self) -> Option<u32> {
        self.wheel.next_wake()
    }

    /// Calls what is due; how many of the calls panicked.
    pub(super) fn run(&mut self, now: Millis, state: &mut S) -> u64 {
        let mut panics = 0;
        self.wheel.advance(clock::tick(now));
        // Each at most once: what is armed here lies beyond `now`.
        while let Some(id) = self.wheel.pop() {
            let timer = &mut self.timers[id as usize];
            let result = match timer.call.take() {
                Some(Call::Every(mut call)) => {
                    let result = guard(|| call(state));
                    timer.call = Some(Call::Every(call));
                    let missed = now.saturating_sub(timer.due) / timer.period;
                    timer.due += timer.period * (missed + 1);
                    self.wheel.arm(id, clock::tick_from(timer.due));
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
