//! [`Report`]: what a server did, given when it has ended.

/// What a server did in its life, and how its connections ended.
#[doc(alias = "expvar")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Connections accepted.
    pub accepted: u64,
    /// Requests given to the handler.
    pub requests: u64,
    /// Requests refused by the server itself, from 400 to 505.
    pub refused: u64,
    /// Deadlines that passed in the middle of something: a head, content, an answer. Those that
    /// could be told so are among the refused too (408), the others were reset.
    pub too_slow: u64,
    /// Answers that the program began and could not finish, because of an error, a panic or less
    /// content than announced. Their connections were reset.
    pub cut_off: u64,
    /// Panics of handlers and of the other functions of the program: receivers, producers, protocols,
    /// hooks, timers, sources, and functions of a remote. Those of destructors are only logged.
    pub panics: u64,
    /// Failures of the system to give a connection that was there: most often it was out of
    /// descriptors, or the peer had already gone. Each was retried.
    pub accept_errors: u64,
    /// Connections open when the shutdown began, or waiting to be accepted, that ended by themselves
    /// within its deadline.
    pub drained: usize,
    /// Connections that were still at work at its deadline and were reset.
    pub reset: usize,
}
