//! [`Report`]: the figures of a server, returned when it has ended.

/// The figures of a server: its connections, requests and faults since the start.
#[doc(alias = "expvar")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Connections accepted.
    pub accepted: u64,
    /// Requests given to the handler.
    pub requests: u64,
    /// Requests that the server refused by itself, with a status from 400 to 505.
    pub refused: u64,
    /// Deadlines that passed during a head, content or a response. The client got a 408, which
    /// counts among `refused`, too, or the connection was reset.
    pub too_slow: u64,
    /// Connections that had to give way, because memory, slots or descriptors were short or their
    /// address had its share of the slots; and new connections that were closed because no other
    /// one of their address could give way.
    pub evicted: u64,
    /// Responses that the program began and could not finish, because of an error, a panic or less
    /// content than announced. Their connections were reset.
    pub cut_off: u64,
    /// Panics of handlers and of other functions of the program: receivers, producers, protocols,
    /// hooks, timers, sources, and functions of a remote. Panics of destructors are only logged.
    pub panics: u64,
    /// Calls of `accept` that failed, most often because the process was out of descriptors or the
    /// client had already left. Each was retried.
    pub accept_errors: u64,
    /// Connections that were open or waited to be accepted when the shutdown began, and that ended
    /// by themselves before its deadline.
    pub drained: usize,
    /// Connections that were still at work at the deadline of the shutdown and were reset.
    pub reset: usize,
}
