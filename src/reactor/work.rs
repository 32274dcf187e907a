//! A connection in the middle of something: the bytes held for it, and the [`Task`] under way.

use crate::handler::exchange::Record;
use crate::http1::{Connection, Input, Rest};
use crate::reactor::clock::Millis;
use crate::reactor::memory::{Block, Ledger};
use crate::reactor::task::{Task, Timer};
use crate::stats::Phase;

/// The data of a connection that does not rest. It is boxed in the slot between visits. A
/// connection that rests borrows the loop's one spare for a visit.
pub(super) struct Work<S> {
    pub(super) conn: Connection,
    /// Bytes that were read and not used yet.
    pub(super) input: Option<Block>,
    /// Encoded bytes that the socket has not taken yet.
    pub(super) backlog: Option<Block>,
    /// The time from which these bytes have waited. It means nothing without a backlog.
    pub(super) full_since: Millis,
    pub(super) task: Task<S>,
    /// Bytes of content, or bytes that the protocol has used, and bytes written, all in the wait that
    /// is armed: for the rates.
    pub(super) received: u64,
    pub(super) written: u64,
    /// The bytes per second that moved in the rate window before it; 0 in the first one.
    pub(super) last_rate: u32,
    /// The milliseconds by which the client is behind the least rate of a response.
    pub(super) behind: u32,
    /// The time at which content or response must be complete, if the program has set one.
    pub(super) end: Option<End>,
    /// The exchange under way, if the program has a hook for its end.
    pub(super) record: Option<Box<Record>>,
}

/// A point in time that the program has set.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) tick: u32,
    /// It had passed in an earlier turn, and the connection was granted one more.
    has_been_extended: bool,
}

impl End {
    pub(super) fn at(tick: u32) -> End {
        End { tick, has_been_extended: false }
    }

    fn has_passed(self, now: u32) -> bool {
        self.tick.wrapping_sub(now) as i32 <= 0
    }
}

impl<S> Work<S> {
    pub(super) fn new() -> Work<S> {
        Work {
            conn: Connection::resume(Rest::Closed),
            input: None,
            backlog: None,
            full_since: 0,
            task: Task::None,
            received: 0,
            written: 0,
            last_rate: 0,
            behind: 0,
            end: None,
            record: None,
        }
    }

    /// Takes the spare for a connection that rests.
    pub(super) fn resume(&mut self, rest: Rest) {
        debug_assert!(self.holds_nothing());
        self.end = None;
        // A copy of all of `rest` would cost 10 instructions more.
        self.conn = match rest {
            Rest::New => Connection::resume(Rest::New),
            Rest::Idle => Connection::resume(Rest::Idle),
            rest => Connection::resume(rest),
        };
    }

    /// Whether nothing is held that needs a box.
    pub(super) fn holds_nothing(&self) -> bool {
        self.input.is_none()
            && self.backlog.is_none()
            && self.record.is_none()
            && matches!(self.task, Task::None)
    }

    /// The state to rest in, if nothing is held that needs a box.
    pub(super) fn rest(&self) -> Option<Rest> {
        self.conn.rest().filter(|_| self.holds_nothing())
    }

    /// Whether bytes wait for the socket to take them.
    pub(super) fn has_output(&self) -> bool {
        self.backlog.is_some() || self.task.has_output()
    }

    /// Whether a request is under way: there is none before its head is complete, and none after
    /// the last response.
    pub(super) fn is_in_exchange(&self) -> bool {
        !matches!(self.conn.input(), Input::Head | Input::Linger { .. })
    }

    /// Whether the response comes from elsewhere.
    pub(super) fn waits_for_later(&self) -> bool {
        matches!(self.task, Task::Later(_))
    }

    /// The deadline of the present state: derived, never kept.
    pub(super) fn timer(&self) -> Timer {
        match self.has_output() {
            true => Timer::Response,
            false => self.task.timer(&self.conn),
        }
    }

    /// The phase as which the connection is counted.
    pub(super) fn phase(&self) -> Phase {
        if matches!(self.task, Task::Protocol(_)) {
            return Phase::Upgraded;
        }
        match self.timer() {
            // Bytes of the next request may be held while it is idle.
            Timer::Head | Timer::Grace | Timer::Idle => Phase::Head,
            Timer::Content => Phase::Content,
            Timer::Handler => Phase::Handler,
            Timer::Response | Timer::Silence | Timer::None => Phase::Response,
            Timer::Linger => Phase::Linger,
        }
    }

    /// Whether the time that the program has set for content or response is over.
    pub(super) fn has_ended(&self, now: u32) -> bool {
        self.end.is_some_and(|end| end.has_passed(now))
    }

    /// Whether a deadline that has passed is extended for a connection with unread input. A limit
    /// is extended whenever bytes that came in time may be waiting; a time that the program has
    /// set is extended once, however much comes in every turn.
    pub(super) fn grants_one_more_turn(&mut self, now: u32) -> bool {
        match &mut self.end {
            Some(end) if end.has_passed(now) => {
                !std::mem::replace(&mut end.has_been_extended, true)
            }
            _ => true,
        }
    }

    /// Bytes in blocks, task and record, as the ledger was charged for them.
    pub(super) fn memory(&self) -> usize {
        let blocks = [&self.input, &self.backlog].into_iter().flatten().map(Block::capacity);
        let record = self.record.as_ref().map_or(0, |record| record.memory());
        blocks.sum::<usize>() + self.task.memory() + record
    }

    /// Drops the texts of the record. Returns whether that has given memory back.
    pub(super) fn shrink_record(&mut self, ledger: &mut Ledger) -> bool {
        let Some(record) = &mut self.record else { return false };
        let before = record.memory();
        record.forget_head();
        ledger.release(before - record.memory());
        before > record.memory()
    }

    /// Asserts the invariants between two visits.
    pub(super) fn check(&self) {
        self.conn.check();
        self.task.check(&self.conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_of_a_busy_connection_is_at_most_256_bytes() {
        let work = std::mem::size_of::<Work<()>>();
        assert!(work <= 256, "{work} B");
    }
}
