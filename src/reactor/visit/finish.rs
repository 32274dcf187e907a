//! The end of a visit: everything encoded goes out, the connection is shut down behind its last
//! answer, and the slot gets its state back, in a box if something is held.

use std::mem;

use crate::handler::{Gone, Handler};
use crate::http1::{Farewell, Rest};
use crate::reactor::kernel::Kernel;
use crate::reactor::slot::{Flags, Intake, Life, Source, Work};
use crate::reactor::visit::{Stop, Verdict, Visit};
use crate::reactor::{guard, let_go};

impl<K: Kernel, H: Handler> Visit<'_, K, H> {
    /// What the end of a visit leaves to be done: everything encoded goes out, the connection is
    /// shut down behind its last answer, and the slot gets its state back.
    #[inline(always)]
    pub(super) fn leave(&mut self, stop: Stop) -> Verdict {
        let rests = stop == Stop::Idle
            && !self.slot.flags.has(Flags::READABLE)
            && self.desk.keeps_none.is_none();
        if let (true, Life::Rest(life)) = (rests, &mut self.slot.life) {
            debug_assert!(self.desk.work.rest() == Some(Rest::Idle));
            // Nearly always: it waits for the next request as soon as its answer has left.
            *life = Rest::Idle;
            if self.write_all_at_once() {
                return Verdict::Idle;
            }
        }
        self.leave_unfinished(stop)
    }

    #[inline(never)]
    fn leave_unfinished(&mut self, stop: Stop) -> Verdict {
        let stop = match stop {
            Stop::Idle | Stop::More => self.transmit().unwrap_or(Stop::More),
            Stop::Spent => self.transmit().unwrap_or(stop),
            Stop::Over(_) | Stop::Blocked => stop,
        };
        debug_assert!(self.desk.out.is_empty() || matches!(stop, Stop::Over(_)));
        if !self.desk.out.is_empty() {
            // Before what broke there may be answers that are complete: they are owed, as far as
            // the socket takes them at once.
            let _ = self.flush();
        }
        self.desk.out.clear();
        let farewell = match stop {
            Stop::Over(farewell) => Some(farewell),
            Stop::Blocked | Stop::Spent => None,
            Stop::Idle | Stop::More => self.end_of_visit(),
        };
        if let Some(farewell) = farewell {
            self.drop_work();
            return Verdict::Close(farewell);
        }
        let is_ready =
            stop == Stop::Spent || !self.desk.work.has_output() && self.has_something_to_do();
        let is_handed_out = self.is_to_be_handed_out();
        self.park();
        if is_handed_out {
            Verdict::HandOut
        } else if is_ready {
            Verdict::Again
        } else {
            Verdict::Wait
        }
    }

    /// There may be input that is wanted, or a protocol waits for the room that there is, or the
    /// last of an answer has left only now: the next visit moves on from there.
    fn has_something_to_do(&self) -> bool {
        let conn = &self.desk.work.conn;
        let may_read = conn.wants_input() && self.slot.flags.has(Flags::READABLE);
        may_read || self.protocol_wants_room() || conn.is_complete()
    }

    /// All output has left and all input is used: whether the connection ends here.
    fn end_of_visit(&mut self) -> Option<Farewell> {
        let is_drained = !self.slot.flags.has(Flags::READABLE) && self.desk.work.input.is_none();
        match self.desk.work.conn.rest()? {
            Rest::Closed => Some(Farewell::Close),
            // A resting connection has been read once more: nothing was there.
            Rest::Idle if self.desk.keeps_none.is_some() && is_drained => Some(Farewell::Close),
            // Nothing is on its way that a reset could cross: no need to wait for the peer.
            Rest::Linger(_) if self.slot.flags.has(Flags::CLEAN) && is_drained => {
                Some(Farewell::Close)
            }
            Rest::Linger(_) => {
                if let Some(block) = self.desk.work.input.take() {
                    self.desk.pool.take_back(block, &mut self.desk.ledger);
                }
                if !self.slot.flags.has(Flags::SHUT) {
                    self.slot.flags.set(Flags::SHUT);
                    // Fails only if the peer has gone: then the next read says so.
                    let stream = self.slot.stream.as_mut().expect("visited slots have a stream");
                    let _ = self.kernel.shutdown_write(stream);
                }
                None
            }
            Rest::New | Rest::Idle => None,
        }
    }

    /// Gives the slot its state back, in a box if something is held.
    fn park(&mut self) {
        if cfg!(debug_assertions) {
            self.desk.work.conn.check();
        }
        match (self.desk.work.rest(), &mut self.slot.life) {
            (Some(rest), Life::Rest(life)) => *life = rest,
            (Some(rest), Life::Busy(_)) => {
                self.desk.ledger.release(mem::size_of::<Work<H::State>>());
                self.slot.life = Life::Rest(rest);
            }
            // Its box is still there.
            (None, Life::Busy(work)) => mem::swap(&mut self.desk.work, work),
            (None, Life::Rest(_)) => {
                self.desk.ledger.charge(mem::size_of::<Work<H::State>>());
                let work = mem::replace(&mut self.desk.work, Work::new());
                self.slot.life = Life::Busy(Box::new(work));
            }
        }
    }

    /// Drops what belongs to the present exchange, and tells its receiver.
    pub(super) fn drop_exchange(&mut self, why: Gone) {
        match mem::replace(&mut self.desk.work.intake, Intake::Nobody) {
            Intake::Nobody => {}
            Intake::Collect(gather) => {
                self.desk.ledger.release(gather.charged);
                let_go(gather);
            }
            Intake::Receive(receiver) => {
                let state = self.desk.handler.state();
                let result = guard(|| receiver.gone(state, why));
                self.desk.counters.panics += u64::from(result.is_err());
            }
            Intake::Later(waiting) => let_go(waiting),
            Intake::Protocol(speaking) => {
                self.desk.ledger.release(speaking.charged);
                let state = self.desk.handler.state();
                let result = guard(|| speaking.protocol.gone(state, why));
                self.desk.counters.panics += u64::from(result.is_err());
            }
            Intake::Hijack(take) => let_go(take),
        }
        match mem::replace(&mut self.desk.work.source, Source::Nothing) {
            Source::Nothing => {}
            Source::Transform(transform, block) => {
                if let Some(block) = block {
                    self.desk.pool.take_back(block, &mut self.desk.ledger);
                }
                let_go(transform);
            }
            source => let_go(source),
        }
    }

    fn drop_work(&mut self) {
        self.drop_exchange(Gone::PeerLeft);
        let work = &mut self.desk.work;
        for block in [work.input.take(), work.backlog.take()].into_iter().flatten() {
            self.desk.pool.take_back(block, &mut self.desk.ledger);
        }
        if let Life::Busy(_) = self.slot.life {
            self.desk.ledger.release(mem::size_of::<Work<H::State>>());
            self.slot.life = Life::Rest(Rest::Closed);
        }
    }
}
