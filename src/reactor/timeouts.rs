//! The limits that become deadlines, and when deadlines that are armed in this turn will be due:
//! computed once for all connections of a turn.

use std::time::Duration;

use crate::limits::Limits;
use crate::reactor::clock::{self, Millis};

/// How long a connection that has sent nothing yet may still begin a request while the server
/// drains.
const NEW_GRACE: Duration = Duration::from_secs(1);

/// The ticks at which deadlines that begin now will be due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// What they were computed from.
    pub(super) basis: Basis,
    pub(super) head: u32,
    /// For the first byte of a new connection, while the server drains.
    pub(super) grace: Option<u32>,
    pub(super) idle: u32,
    pub(super) content: u32,
    pub(super) response: u32,
    pub(super) handler: u32,
    pub(super) linger_quiet: u32,
    /// For a linger that begins now, however much comes.
    pub(super) linger: u32,
}

/// What deadlines depend on, beside the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    pub(super) now: Millis,
    pub(super) connections: usize,
    pub(super) is_draining: bool,
}

/// The limits that become deadlines, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    head: Millis,
    idle: Millis,
    idle_min: Millis,
    content: Millis,
    response: Millis,
    handler: Millis,
    linger_quiet: Millis,
    linger: Millis,
}

impl Spans {
    pub(super) fn of(limits: &Limits) -> Spans {
        // The first window of content is half as long again: for the round trip of a
        // `100 Continue`, and a slow start.
        let first_window = limits.content_window + limits.content_window / 2;
        Spans {
            head: clock::millis_up(limits.head_timeout),
            idle: clock::millis_up(limits.idle_timeout),
            idle_min: clock::millis_up(limits.idle_timeout_min),
            content: clock::millis_up(first_window),
            response: clock::millis_up(limits.response_window),
            handler: clock::millis_up(limits.handler_timeout),
            linger_quiet: clock::millis_up(limits.linger_quiet_timeout),
            linger: clock::millis_up(limits.linger_timeout),
        }
    }

    /// The idle timeout, shrunk linearly while connections go from 50 % to 90 % of their limit.
    fn idle(&self, connections: usize, connections_max: usize) -> Millis {
        let (used, max) = (connections as u64, connections_max as u64);
        let over = (used * 10).saturating_sub(max * 5).min(max * 4);
        if over == 0 {
            return self.idle;
        }
        let (shrink, whole) = (self.idle - self.idle_min, max * 4);
        self.idle - (shrink / whole * over + shrink % whole * over / whole)
    }
}

impl Timeouts {
    pub(super) fn at(basis: Basis, spans: &Spans, connections_max: usize) -> Timeouts {
        let Basis { now, connections, is_draining } = basis;
        Timeouts {
            basis,
            head: clock::due_in(now, spans.head),
            grace: is_draining.then(|| clock::due(now, NEW_GRACE)),
            idle: clock::due_in(now, spans.idle(connections, connections_max)),
            content: clock::due_in(now, spans.content),
            response: clock::due_in(now, spans.response),
            handler: clock::due_in(now, spans.handler),
            linger_quiet: clock::due_in(now, spans.linger_quiet),
            linger: clock::due_in(now, spans.linger),
        }
    }
}
