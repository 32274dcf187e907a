//! The timers that a program sets before it serves: a list of functions with their times. The loop
//! calls them (`reactor/program_timers.rs`).

use std::time::Duration;

/// The shortest period or delay of a timer: 64 ms, one tick of the loop.
pub const TIMER_MIN: Duration = Duration::from_millis(64);

/// The timers of one server.
pub(crate) struct Timers<S> {
    pub(crate) entries: Vec<(Duration, Call<S>)>,
}

/// The function of a timer.
pub(crate) enum Call<S> {
    Every(Box<dyn FnMut(&mut S) + Send>),
    After(Box<dyn FnOnce(&mut S) + Send>),
}

impl<S> Timers<S> {
    pub(crate) fn new() -> Timers<S> {
        Timers { entries: Vec::new() }
    }

    pub(crate) fn every(
        &mut self,
        period: Duration,
        function: impl FnMut(&mut S) + Send + 'static,
    ) {
        self.entries.push((period, Call::Every(Box::new(function))));
    }

    pub(crate) fn after(
        &mut self,
        delay: Duration,
        function: impl FnOnce(&mut S) + Send + 'static,
    ) {
        self.entries.push((delay, Call::After(Box::new(function))));
    }
}
