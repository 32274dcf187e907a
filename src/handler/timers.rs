//! Timers that a program sets before it serves: [`Timers`], a list of functions and their times.
//! The loop runs them (`reactor/program_timers.rs`); nothing here knows what time it is.

use std::fmt;
use std::time::Duration;

/// Functions that the loop calls at their time, with the state of the handler.
///
/// [`Router::every`](crate::Router::every) and [`Server::every`](crate::Server::every) are the
/// short ways to have some; a [`Handler`](crate::Handler) of your own gives them with
/// [`timers`](crate::Handler::timers):
///
/// ```
/// use std::time::Duration;
/// use wheelhouse::{Handler, Reply, Request, Timers};
///
/// struct Sessions(Vec<String>);
///
/// impl Handler for Sessions {
///     type State = Self;
///
///     fn state(&mut self) -> &mut Self {
///         self
///     }
///
///     fn timers(&mut self) -> Timers<Self> {
///         Timers::new().every(Duration::from_secs(60), |sessions: &mut Sessions| sessions.0.clear())
///     }
///
///     fn handle(&mut self, _: &Request<'_>) -> Reply<Self> {
///         format!("{} sessions\n", self.0.len()).into()
///     }
/// }
/// # let mut sim = wheelhouse::sim::Sim::new(Sessions(vec!["a".to_owned()]));
/// # sim.advance(Duration::from_secs(61));
/// # let c = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// # assert!(sim.received(c).ends_with(b"0 sessions\n"));
/// ```
///
/// Times begin when the server begins to run. They are kept to a tick of the loop: a function is
/// never early, and later by at most 65 ms if nothing keeps the loop busy. Nothing is shorter than
/// [`TIMER_MIN`] or longer than a year: what is asked beyond is brought to the nearer of the two.
/// Functions run on the loop: they must not block. A panic in one is logged and counted
/// ([`Report::panics`](crate::Report::panics)) and costs neither the loop nor the next times. A
/// server that shuts down does not wait for them.
pub struct Timers<S = ()> {
    pub(crate) entries: Vec<(Duration, Call<S>)>,
}

/// The shortest time of a timer: one tick of the loop.
pub const TIMER_MIN: Duration = Duration::from_millis(64);

/// What a timer calls.
pub(crate) enum Call<S> {
    Every(Box<dyn FnMut(&mut S)>),
    After(Box<dyn FnOnce(&mut S)>),
}

impl<S> Timers<S> {
    /// None.
    pub fn new() -> Timers<S> {
        Timers { entries: Vec::new() }
    }

    /// Calls `function` again and again. Its times are whole multiples of `period` after the start
    /// and do not drift; those that a busy loop has missed are left out, not made up for.
    pub fn every(mut self, period: Duration, function: impl FnMut(&mut S) + 'static) -> Timers<S> {
        self.entries.push((period, Call::Every(Box::new(function))));
        self
    }

    /// Calls `function` once.
    pub fn after(mut self, delay: Duration, function: impl FnOnce(&mut S) + 'static) -> Timers<S> {
        self.entries.push((delay, Call::After(Box::new(function))));
        self
    }

    /// Adds those that need no state.
    pub(crate) fn and(mut self, others: Timers<()>) -> Timers<S> {
        for (time, call) in others.entries {
            let call = match call {
                Call::Every(mut call) => Call::Every(Box::new(move |_: &mut S| call(&mut ()))),
                Call::After(call) => Call::After(Box::new(move |_: &mut S| call(&mut ()))),
            };
            self.entries.push((time, call));
        }
        self
    }
}

impl<S> Default for Timers<S> {
    fn default() -> Timers<S> {
        Timers::new()
    }
}

impl<S> fmt::Debug for Timers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = self.entries.iter().map(|(time, call)| match call {
            Call::Every(_) => ("every", time),
            Call::After(_) => ("after", time),
        });
        f.debug_list().entries(times).finish()
    }
}
