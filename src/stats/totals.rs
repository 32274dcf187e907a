//! [`Totals`]: the numbers of a server at one moment.

use std::ops::AddAssign;

use crate::stats::histogram::Histogram;
use crate::stats::kinds::{Deadline, Eviction, Memory, Phase, Refusal};
use crate::stats::tally::Tally;

/// The numbers of a server at one moment: counts since its start, and gauges of the present.
///
/// The numbers of one loop are all of the same moment, the end of a turn. Those of several
/// [`Cores`](crate::runtime::Cores) are added up.
#[doc(alias = "expvar")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Connections accepted.
    pub accepted: u64,
    /// Requests given to the handler.
    pub requests: u64,
    /// Final responses by class: 1xx (only 101), 2xx, 3xx, 4xx, 5xx. Those of the server itself count,
    /// too. A status from 600 on counts as 5xx, as clients take it (RFC 9110, section 15).
    pub responses: [u64; 5],
    /// Bytes read from sockets, heads and framing included.
    pub bytes_received: u64,
    /// Bytes written to sockets, heads and framing included.
    pub bytes_sent: u64,
    /// Requests that the server refused by itself, with a status from 400 to 505: the sum of
    /// [`refusals`](Totals::refusals).
    pub refused: u64,
    /// The same by reason.
    pub refusals: Tally<Refusal>,
    /// Deadlines that passed during a head, content or a response. The client got a 408, which
    /// counts among [`refused`](Totals::refused), too, or the connection was reset.
    pub too_slow: u64,
    /// All deadlines that passed, by kind. Not all of them are faults.
    pub deadlines: Tally<Deadline>,
    /// Connections that had to give way, because memory, slots or descriptors were short or their
    /// address had its share of the slots; and new connections that were closed because no other
    /// one of their address could give way. The sum of [`evictions`](Totals::evictions).
    pub evicted: u64,
    /// The same by cause.
    pub evictions: Tally<Eviction>,
    /// Responses that the program began and could not finish, because of an error, a panic or less
    /// content than announced. Their connections were reset.
    pub cut_off: u64,
    /// Panics of handlers and of other functions of the program: receivers, producers, protocols,
    /// hooks, timers, sources, and functions of a remote. Panics of destructors are only logged.
    pub panics: u64,
    /// Calls of `accept` that failed, most often because the process was out of descriptors or the
    /// client had already left. Each was retried.
    pub accept_errors: u64,
    /// Open connections now, by the thing that they wait for.
    pub connections: Tally<Phase>,
    /// Connections that wait now to be accepted, because their address has its share.
    pub waiting: u64,
    /// The most connections that may be open.
    pub connections_max: u64,
    /// Bytes that count against the budget now, by holder.
    pub memory: Tally<Memory>,
    /// The budget ([`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max)).
    pub memory_bytes_max: u64,
    /// Connections that are ready to be served. After the poll of a turn these are the ones that the
    /// turn will serve, and after the turn those that it has left for the next one.
    pub ready: u64,
    /// The times of turns, sleep excluded: a turn delays all other connections. Turns
    /// are timed from the first call of [`Server::stats`](crate::Server::stats) on.
    pub turns: Histogram,
    /// The number of loops: 1, or the number of cores.
    pub loops: u64,
}

/// Adds the numbers of another loop.
impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        self.accepted += other.accepted;
        self.requests += other.requests;
        for (sum, more) in self.responses.iter_mut().zip(other.responses) {
            *sum += more;
        }
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        self.refused += other.refused;
        self.refusals += &other.refusals;
        self.too_slow += other.too_slow;
        self.deadlines += &other.deadlines;
        self.evicted += other.evicted;
        self.evictions += &other.evictions;
        self.cut_off += other.cut_off;
        self.panics += other.panics;
        self.accept_errors += other.accept_errors;
        self.connections += &other.connections;
        self.waiting += other.waiting;
        self.connections_max += other.connections_max;
        self.memory += &other.memory;
        self.memory_bytes_max += other.memory_bytes_max;
        self.ready += other.ready;
        self.turns += &other.turns;
        self.loops += other.loops;
    }
}
