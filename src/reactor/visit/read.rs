//! Reading: into the shared scratch, or after the bytes that are held. Only bytes that cannot be
//! used yet are kept.

use std::io;

use super::{Break, Continue, Flags, Handler, Kernel, Lost, Progress, Shared, Stop, Visit};
use crate::http1::{Farewell, Reject};
use crate::logging::debug;
use crate::reactor::kernel::SHORT_READ_DRAINS;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// One read after the bytes that are held.
    pub(super) fn read_held(&mut self, most: usize) -> Progress {
        let Some(mut block) = self.work.input.take() else { return Continue(()) };
        let wanted = block.wants();
        if wanted > 0 && !self.shared.pool.can_lend(wanted, &mut self.shared.ledger) {
            self.work.input = Some(block);
            return Break(self.refuse(Reject::Overloaded, Lost::Stopped));
        }
        let room = block.room(most, &mut self.shared.pool, &mut self.shared.ledger);
        let room_len = room.len();
        let result = self.read(room);
        let len = match result {
            Continue(len) => len,
            Break(_) => 0,
        };
        block.keep(len, room_len);
        self.work.input = Some(block);
        result.map_continue(|_| ())
    }

    /// Holds bytes that were read and not used, if memory allows.
    pub(super) fn keep_input(&mut self, rest: &[u8], stop: Stop) -> Stop {
        let Shared { pool, ledger, .. } = &mut *self.shared;
        if pool.can_lend(rest.len(), ledger) {
            self.work.input = Some(pool.keep(rest, ledger));
            return stop;
        }
        match stop {
            Stop::Idle | Stop::Done => self.refuse(Reject::Overloaded, Lost::Stopped),
            // Output comes before the requests that wait: no refusal can be sent now.
            Stop::Blocked | Stop::Spent => self.no_memory("requests that wait"),
            Stop::Over(_) => stop,
        }
    }

    #[inline(always)]
    pub(super) fn read(&mut self, room: &mut [u8]) -> Progress<usize> {
        match self.kernel.read(self.stream, room) {
            Ok(len) if len > 0 => {
                self.shared.counters.received += len as u64;
                // A short read has drained the socket, unless the end of the input came with the
                // bytes: that stays unread and is not reported again.
                let is_drained = SHORT_READ_DRAINS && len < room.len();
                if is_drained && !self.facts.flags.has(Flags::READ_CLOSED) {
                    self.facts.flags.clear(Flags::READABLE);
                }
                Continue(len)
            }
            Ok(_) => Break(self.end_of_input()),
            Err(error) => Break(self.read_nothing(&error)),
        }
    }

    #[inline(never)]
    fn read_nothing(&mut self, error: &io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.facts.flags.clear(Flags::READABLE),
            io::ErrorKind::Interrupted => {}
            _ => {
                debug!("{}: read failed: {error}", self.log_name());
                return self.over(Farewell::Close, Lost::PeerLeft);
            }
        }
        Stop::Done
    }

    #[inline(never)]
    fn end_of_input(&mut self) -> Stop {
        self.facts.flags.set(Flags::READ_CLOSED);
        match self.work.conn.end_of_input() {
            Ok(None) => self.end_protocol_input(),
            Ok(Some(farewell)) => self.over(farewell, Lost::PeerLeft),
            Err(reject) => self.refuse(reject, Lost::PeerLeft),
        }
    }
}
