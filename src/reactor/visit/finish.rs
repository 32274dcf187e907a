//! The end of a visit: output is sent, the connection is shut down for writing after the last
//! response, and the verdict is found. The first column is the outcome of sending:
//!
//! | stopped | output | state | verdict |
//! |---|---|---|---|
//! | over | – | – | close, as the farewell says |
//! | any other | – | the client has reset the connection, and nothing of it is read | close |
//! | blocked | waits | – | wait |
//! | spent | may wait | – | again |
//! | idle, done | was sent | `HandOut` | hand out |
//! | idle, done | was sent | `Ending` or `Linger`, clean, nothing unread | close |
//! | idle, done | was sent | `Ending`, any other | shut down for writing; it lingers: as in the last two rows |
//! | idle, done | was sent | `Idle`, none is kept, nothing unread | close |
//! | idle, done | was sent | `Closed` | close |
//! | idle, done | was sent | wanted input may be there, `Idle` with a request that is held, or a protocol that wants room | again |
//! | idle, done | was sent | any other | wait |

use std::mem;

use super::{
    clock, guard, Break, Continue, Flags, Handler, Kernel, Lost, Stop, Task, Verdict, Visit,
};
use crate::handler::exchange::Outcome;
use crate::http1::{Farewell, Input, Linger, Rest};
use crate::logging::debug;
use crate::reactor::clock::Millis;
use crate::reactor::work::Work;

/// The time in which a client takes the 64 KiB that the loop holds for it, in milliseconds, unless it is
/// slow. A client that reads all the time may be delayed by its own system for a part of it.
const SLOW_AFTER: Millis = 100;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Ends the visit.
    #[inline(never)]
    pub(super) fn finish(&mut self, stop: Stop) -> Verdict<S> {
        let mut verdict = self.find_verdict(stop);
        if !self.has_room_for_box(&verdict) {
            let stop = self.turn_away(true);
            verdict = self.find_verdict(stop);
        }
        self.fit_record();
        verdict
    }

    /// Whether the budget has room for the box of a connection that rested and does not rest again.
    fn has_room_for_box(&self, verdict: &Verdict<S>) -> bool {
        let stays = matches!(verdict, Verdict::Wait | Verdict::Again);
        let needs_one = stays && self.has_rested && self.work.rest().is_none();
        !needs_one || self.shared.ledger.has_room(mem::size_of::<Work<S>>())
    }

    fn find_verdict(&mut self, stop: Stop) -> Verdict<S> {
        let stop = match stop {
            Stop::Over(_) => stop,
            _ if self.waits_in_vain() => self.end_broken(),
            _ => stop,
        };
        let stop = match stop {
            Stop::Idle | Stop::Done => match self.send_all() {
                Continue(()) => stop,
                Break(stop) => stop,
            },
            // The program is not asked for more.
            Stop::Spent => match self.flush() {
                Continue(true) => stop,
                Continue(false) => Stop::Blocked,
                Break(stop) => stop,
            },
            Stop::Over(_) | Stop::Blocked => stop,
        };
        let stop = match stop {
            Stop::Blocked => self.stall_task(),
            stop => stop,
        };
        match stop {
            Stop::Over(farewell) => {
                // Complete responses are still sent, as far as the socket takes them at once.
                if !self.shared.out.is_empty() {
                    let _ = self.flush();
                }
                self.close(farewell)
            }
            Stop::Blocked => Verdict::Wait,
            Stop::Spent => Verdict::Again,
            Stop::Idle | Stop::Done => self.finish_sent(),
        }
    }

    /// Whether the client has broken the connection, and no read will come upon that: nothing of the
    /// client is read at present, and a response that the program still makes would be lost. A stream
    /// that is handed out is the program's own.
    fn waits_in_vain(&self) -> bool {
        self.facts.flags.has(Flags::BROKEN)
            && self.work.conn.input() == Input::None
            && !matches!(self.work.task, Task::HandOut(_))
    }

    #[cold]
    fn end_broken(&mut self) -> Stop {
        if let Task::Later(deferred) = &self.work.task {
            deferred.ticket.note_peer_left();
        }
        debug!("{}: the client has reset the connection", self.log_name());
        self.over(Farewell::Close, Lost::PeerLeft)
    }

    /// Reports a slow client to the producer or the protocol that makes the output.
    fn stall_task(&mut self) -> Stop {
        let is_slow = self.shared.now.saturating_sub(self.work.full_since) >= SLOW_AFTER;
        match &mut self.work.task {
            Task::Protocol(_) => self.stall_protocol(is_slow),
            _ if !is_slow => Stop::Blocked,
            Task::Produce(producing) | Task::Silent(producing, _) => {
                match guard(|| producing.producer.stalled()) {
                    Ok(()) => Stop::Blocked,
                    Err(panic) => self.panicked(panic),
                }
            }
            _ => Stop::Blocked,
        }
    }

    /// Finds the verdict of a visit whose output was sent and whose input is used as far as
    /// possible.
    fn finish_sent(&mut self) -> Verdict<S> {
        self.settle(self.work.input.is_none());
        match self.take_task() {
            Task::HandOut(take) => return Verdict::HandOut(take),
            task => self.put_back(task),
        }
        let is_drained = !self.facts.flags.has(Flags::READABLE) && self.work.input.is_none();
        match self.work.conn.rest() {
            // No bytes of the client are unread, so closing causes no reset.
            Some(Rest::Ending { is_clean: true } | Rest::Linger(Linger { is_clean: true, .. }))
                if is_drained =>
            {
                self.close(Farewell::Close)
            }
            Some(Rest::Ending { is_clean }) => {
                self.begin_linger(is_clean);
                self.wait_or_go_on()
            }
            // The socket is empty, so the idle connection can close.
            Some(Rest::Idle) if is_drained && !self.shared.keeps_idle() => {
                self.close(Farewell::Close)
            }
            Some(Rest::Closed) => self.close(Farewell::Close),
            Some(Rest::New | Rest::Idle | Rest::Linger(_)) | None => self.wait_or_go_on(),
        }
    }

    /// The verdict `Again` if the next visit can do something right away, else `Wait`.
    fn wait_or_go_on(&self) -> Verdict<S> {
        let may_read = self.wants_input() && self.facts.flags.has(Flags::READABLE);
        // Bytes of the next request were held until this response was complete.
        let has_request = self.work.conn.rest() == Some(Rest::Idle) && self.work.input.is_some();
        match may_read || has_request || self.protocol_wants_room() {
            true => Verdict::Again,
            false => Verdict::Wait,
        }
    }

    /// Shuts the connection down for writing after the last response.
    fn begin_linger(&mut self, is_clean: bool) {
        if let Some(block) = self.work.input.take() {
            self.shared.pool.take_back(block, &mut self.shared.ledger);
        }
        // It fails only if the client has gone, which the next read reports.
        let _ = self.kernel.shutdown_write(self.stream);
        self.work.conn.linger(Linger {
            bytes_left: self.shared.site.limits.linger_bytes_max,
            ends: clock::due_in(self.shared.now, self.shared.timeouts.linger),
            is_clean,
        });
    }

    /// Closes the connection, and gives back all that it holds.
    fn close(&mut self, farewell: Farewell) -> Verdict<S> {
        self.drop_task(Lost::PeerLeft);
        self.shared.out.clear();
        for block in [self.work.input.take(), self.work.backlog.take()].into_iter().flatten() {
            self.shared.pool.take_back(block, &mut self.shared.ledger);
        }
        // Bytes that were dropped just now do not count as sent.
        self.end_record(Outcome::PeerLeft);
        Verdict::Close(farewell)
    }
}
