//! The timeouts of `Limits`, in the loop's unit of time.

use std::time::Duration;

use crate::limits::Limits;
use crate::reactor::clock::{millis_up, Millis, TICK_LOG2};

/// The time within which a new connection must send its first byte while the server drains.
const NEW_GRACE: Duration = Duration::from_secs(1);

/// The longest part of the window of a response. A client may pause for longer, but one that has paused
/// for a part is the first to give way when memory or slots are short.
const RESPONSE_PART: Millis = 10_000;

/// The time from arming each deadline until it passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) head: Millis,
    /// For the first byte of a new connection, while the server drains.
    pub(super) grace: Millis,
    /// The current value: it shrinks from `idle_max` to `idle_min` as connections fill up.
    pub(super) idle: Millis,
    pub(super) idle_max: Millis,
    idle_min: Millis,
    /// For the first window of content.
    pub(super) content: Millis,
    content_window: Millis,
    /// One of the equal parts of the window of a response: it is judged, and one that is behind is known,
    /// at the end of each.
    pub(super) response: Millis,
    /// All parts together.
    pub(super) response_window: Millis,
    pub(super) handler: Millis,
    pub(super) linger_quiet: Millis,
    /// The whole time of a linger, however much the client sends.
    pub(super) linger: Millis,
}

impl Timeouts {
    pub(super) fn of(limits: &Limits) -> Timeouts {
        // The first window of content is longer by half. This leaves time for the round trip of a
        // `100 Continue` and for the slow start of TCP.
        let first_window = limits.content_window + limits.content_window / 2;
        let response_window = millis_up(limits.response_window);
        let parts = response_window.div_ceil(RESPONSE_PART).max(1);
        let response = response_window.div_ceil(parts);
        Timeouts {
            head: millis_up(limits.head_timeout),
            grace: millis_up(NEW_GRACE),
            idle: millis_up(limits.idle_timeout),
            idle_max: millis_up(limits.idle_timeout),
            idle_min: millis_up(limits.idle_timeout_min),
            content: millis_up(first_window),
            content_window: millis_up(limits.content_window),
            response,
            response_window: response * parts,
            handler: millis_up(limits.handler_timeout),
            linger_quiet: millis_up(limits.linger_quiet_timeout),
            linger: millis_up(limits.linger_timeout),
        }
    }

    /// Shrinks the idle timeout linearly while connections go from 50 % to 90 % of their limit.
    /// Runs whenever a connection has come or gone.
    pub(super) fn adapt(&mut self, connections: usize, connections_max: usize) {
        self.idle = match connections <= connections_max / 2 {
            true => self.idle_max,
            false => self.shrunk_idle(connections, connections_max),
        };
    }

    /// The idle timeout at the time when the deadline was armed, of which `left` ticks are left. It is
    /// not stored: if more than the present one is left, it was the longest.
    pub(super) fn idle_when_armed(&self, left: u32) -> Millis {
        match is_more_than(left, self.idle) {
            true => self.idle_max,
            false => self.idle,
        }
    }

    /// The window that content was armed with, if `left` ticks of it are left: the first one, which is
    /// longer, only if more time than that of another one is left.
    pub(super) fn content_when_armed(&self, left: u32) -> Millis {
        match is_more_than(left, self.content_window) {
            true => self.content,
            false => self.content_window,
        }
    }

    fn shrunk_idle(&self, connections: usize, connections_max: usize) -> Millis {
        let (used, max) = (connections as u64, connections_max as u64);
        let over = (used * 10).saturating_sub(max * 5).min(max * 4);
        let (shrink, whole) = (self.idle_max - self.idle_min, max * 4);
        self.idle_max - (shrink / whole * over + shrink % whole * over / whole)
    }
}

/// Whether more ticks are left than a wait of `timeout` begins with: a deadline is up to two ticks
/// later.
fn is_more_than(left: u32, timeout: Millis) -> bool {
    u64::from(left.saturating_sub(2)) << TICK_LOG2 > timeout
}
