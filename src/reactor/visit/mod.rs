//! One visit to a ready connection: what waits goes out, one read comes in, requests are served
//! from it, and what they produced leaves in one write.
//!
//! A visit has a budget, so that nobody is served at the cost of the others: one read,
//! [`REQUESTS_MAX`] requests, [`WRITTEN_MAX`] bytes, [`PIECES_MAX`] pieces. Over budget, the
//! connection goes to the tail of the ready queue.

mod finish;
mod output;
mod protocol;
mod reply;
mod request_content;
mod wakeups;

use std::io;
use std::mem;
use std::time::Duration;

use crate::handler::hooks::ConnState;
use crate::handler::{Gone, Handler};
use crate::http1::{Circumstances, Connection, Farewell, Reject, Rest, Settled, Step};
use crate::reactor::clock;
use crate::reactor::kernel::{Kernel, SHORT_READ_DRAINS};
use crate::reactor::memory::Block;
use crate::reactor::shared::Desk;
use crate::reactor::slot::{Flags, Intake, Life, Slot, Source};
use crate::reactor::Token;

/// Requests served in one visit: a full pipeline of the usual clients twice over.
const REQUESTS_MAX: u32 = 32;
/// Bytes written in one visit.
pub(super) const WRITTEN_MAX: usize = 256 << 10;
/// Pieces that a producer is asked for in one visit: each is a call and a write, however small.
pub(super) const PIECES_MAX: u32 = 256;
/// What is read at once where a head is expected: the longest head by default.
const HEAD_READ: usize = 16 << 10;
/// What is read at once where content flows, and the size of both scratch buffers.
pub(super) const SCRATCH: usize = 64 << 10;

/// What becomes of the connection after a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It waits for the next request.
    Idle,
    /// It waits for readiness or its deadline.
    Wait,
    /// It has more to do right away, after the others.
    Again,
    /// It is over; whether with a reset.
    Close(Farewell),
    /// It is over for the server: the program takes it.
    HandOut,
}

/// Why serving stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// All input is used, the connection awaits the next request, and nothing is held.
    Idle,
    /// All input is used.
    More,
    /// The socket takes no more for now.
    Blocked,
    /// The budget of the visit is used.
    Spent,
    Over(Farewell),
}

/// A visit under way.
pub(super) struct Visit<'v, K: Kernel, H: Handler> {
    pub(super) desk: &'v mut Desk<H>,
    pub(super) kernel: &'v mut K,
    pub(super) slot: &'v mut Slot<K, H::State>,
    pub(super) token: Token,
    requests: u32,
    pub(super) written: usize,
    /// Pieces asked of a producer.
    pub(super) pieces: u32,
    /// How long its producer wanted to wait when the visit began, if it did.
    pub(super) waited: Option<Duration>,
}

impl<'v, K: Kernel, H: Handler> Visit<'v, K, H> {
    #[inline(always)]
    pub(super) fn begin(
        desk: &'v mut Desk<H>,
        kernel: &'v mut K,
        slot: &'v mut Slot<K, H::State>,
        token: Token,
    ) -> Self {
        debug_assert!(desk.work.is_empty() && desk.out.is_empty());
        match &mut slot.life {
            Life::Rest(rest) => desk.work.conn = Connection::resume(*rest),
            Life::Busy(work) => mem::swap(&mut desk.work, work),
        }
        Visit { desk, kernel, slot, token, requests: 0, written: 0, pieces: 0, waited: None }
    }

    /// The whole visit; `scratch` is what it reads into.
    #[inline(always)]
    pub(super) fn serve(mut self, scratch: &mut [u8]) -> Verdict {
        let stop = match self.slot.life {
            // Nearly always: it rested, so nothing is held and nothing waits.
            Life::Rest(Rest::New | Rest::Idle) if self.slot.flags.has(Flags::READABLE) => {
                self.read_scratch(&mut scratch[..HEAD_READ])
            }
            _ => self.serve_input(scratch),
        };
        self.leave(stop)
    }

    /// A visit because the deadline has passed.
    pub(super) fn expire(mut self) -> Verdict {
        let stop = self.expire_state();
        self.leave(stop)
    }

    fn expire_state(&mut self) -> Stop {
        let work = &self.desk.work;
        match (&work.source, &work.intake) {
            _ if work.has_output() => self.over(Farewell::Reset, Gone::TooSlow),
            (Source::Waiting(..), _) if !work.has_ended(clock::tick(self.desk.now)) => {
                self.break_silence()
            }
            (_, Intake::Later(_)) => self.answer_late(),
            (_, Intake::Protocol(_)) => self.expire_protocol(),
            _ => match (self.why_expired(), self.desk.work.conn.expire()) {
                (why, Ok(farewell)) => self.over(farewell, why),
                (why, Err(reject)) => self.refuse(reject, why),
            },
        }
    }

    /// A visit to end the connection, whatever it is doing.
    pub(super) fn abort(mut self) -> Verdict {
        let stop = self.over(Farewell::Reset, Gone::Stopped);
        self.leave(stop)
    }

    fn serve_input(&mut self, scratch: &mut [u8]) -> Stop {
        self.ask_again();
        if let Some(stop) = self.transmit() {
            return self.weigh_protocol(stop);
        }
        if let Err(stop) = self.hear_program() {
            return stop;
        }
        let mut held = self.desk.work.input.take();
        if held.is_some() || self.desk.work.conn.is_in_exchange() {
            let stop = self.pump_held(&mut held);
            if stop != Stop::More {
                self.hold(held);
                return stop;
            }
        }
        if !self.desk.work.conn.wants_input() || !self.slot.flags.has(Flags::READABLE) {
            self.hold(held);
            return Stop::More;
        }
        if !self.desk.out.is_empty() {
            // What the read finds may end the connection; these answers leave first, and the
            // visit that reads comes next.
            self.hold(held);
            return Stop::More;
        }
        self.read_input(held, scratch)
    }

    /// Serves what was read earlier and not taken then.
    fn pump_held(&mut self, held: &mut Option<Block>) -> Stop {
        // What was still to be sent has left by now: that may have been all.
        self.settle(held.is_none());
        let Some(mut block) = held.take() else { return self.pump(&[]).1 };
        let (used, stop) = self.pump(block.bytes());
        if block.consume(used) {
            self.desk.pool.take_back(block, &mut self.desk.ledger);
        } else {
            *held = Some(block);
        }
        stop
    }

    /// One read, into the shared scratch or behind the bytes held, and what it brings.
    fn read_input(&mut self, held: Option<Block>, scratch: &mut [u8]) -> Stop {
        let most = if self.desk.work.conn.awaits_head() { HEAD_READ } else { SCRATCH };
        let Some(mut block) = held else { return self.read_scratch(&mut scratch[..most]) };
        let wanted = block.wants();
        if wanted > 0 && !self.desk.pool.can_lend(wanted, &self.desk.ledger) {
            self.hold(Some(block));
            return self.refuse(Reject::Overloaded, Gone::Stopped);
        }
        let room = block.room(most, &mut self.desk.pool, &mut self.desk.ledger);
        let room_len = room.len();
        let result = self.read(room);
        block.keep(*result.as_ref().unwrap_or(&0), room_len);
        let mut held = Some(block);
        let stop = match result {
            Ok(_) => self.pump_held(&mut held),
            Err(stop) => stop,
        };
        self.hold(held);
        stop
    }

    /// One read into the shared scratch, and what it brings.
    #[inline(always)]
    fn read_scratch(&mut self, scratch: &mut [u8]) -> Stop {
        let len = match self.read(scratch) {
            Ok(len) => len,
            Err(stop) => return stop,
        };
        let (used, stop) = self.pump(&scratch[..len]);
        if used == len {
            return stop;
        }
        self.keep_input(&scratch[used..len], stop)
    }

    /// Holds what was read and not used, if memory allows.
    fn keep_input(&mut self, rest: &[u8], stop: Stop) -> Stop {
        let Desk { pool, ledger, work, .. } = &mut *self.desk;
        if pool.can_lend(rest.len(), ledger) {
            work.input = Some(pool.keep(rest, ledger));
            return stop;
        }
        match stop {
            Stop::Idle | Stop::More => self.refuse(Reject::Overloaded, Gone::Stopped),
            // Requests wait behind output: the peer cannot be told.
            Stop::Blocked | Stop::Spent => self.over(Farewell::Reset, Gone::Stopped),
            Stop::Over(_) => stop,
        }
    }

    #[inline(always)]
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Stop> {
        let stream = self.slot.stream.as_mut().expect("a slot that is visited has its stream");
        match self.kernel.read(stream, room) {
            Ok(0) => Err(self.end_of_input()),
            Ok(len) => {
                // A short read has drained the socket, unless its end came along: that stays
                // unread and is not told again.
                let is_drained = SHORT_READ_DRAINS && len < room.len();
                if is_drained && !self.slot.flags.has(Flags::READ_CLOSED) {
                    self.slot.flags.clear(Flags::READABLE);
                }
                // Whatever comes after the last answer may be followed by more.
                self.slot.flags.clear(Flags::CLEAN);
                self.desk.work.received += len as u64;
                Ok(len)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.slot.flags.clear(Flags::READABLE);
                Err(Stop::More)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Stop::More),
            Err(error) => {
                log::debug!("connection {}: read: {error}", self.token);
                Err(self.over(Farewell::Close, Gone::PeerLeft))
            }
        }
    }

    fn end_of_input(&mut self) -> Stop {
        self.slot.flags.set(Flags::READ_CLOSED);
        if self.desk.work.conn.is_upgraded() {
            let _ = self.desk.work.conn.end_of_input();
            return self.end_protocol_input();
        }
        match self.desk.work.conn.end_of_input() {
            Ok(None) => Stop::More,
            Ok(Some(farewell)) => self.over(farewell, Gone::PeerLeft),
            Err(reject) => self.refuse(reject, Gone::PeerLeft),
        }
    }

    /// Serves requests from `input` until something stops it; says how many bytes were used.
    fn pump(&mut self, input: &[u8]) -> (usize, Stop) {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let served = if self.desk.work.conn.awaits_head() {
                let Desk { work, head, head_limits, .. } = &mut *self.desk;
                match work.conn.receive_head(rest, head_limits, head) {
                    Ok(false) => {
                        self.note_begun_head();
                        return (used, Stop::More);
                    }
                    Ok(true) => {
                        used += head.len;
                        self.requests += 1;
                        match self.answer(rest, &mut used) {
                            Ok(true) if used == input.len() => return (used, Stop::Idle),
                            answered => answered.map(|_| ()),
                        }
                    }
                    Err(reject) => Err(self.refuse(reject, Gone::Malformed)),
                }
            } else {
                self.pump_content(rest, &mut used)
            };
            if let Err(stop) = served {
                // What follows a refusal or the end is not looked at.
                let is_final =
                    matches!(stop, Stop::Over(_)) || self.desk.work.conn.rest().is_some();
                return (if is_final { input.len() } else { used }, stop);
            }
            if let Some(stop) = self.make_room() {
                return (used, stop);
            }
            if self.requests >= REQUESTS_MAX && used < input.len() {
                return (used, Stop::Spent);
            }
            self.settle(used == input.len());
        }
    }

    /// Who has sent part of a head is not idle, and a hook that limits peers should know.
    #[cold]
    #[inline(never)]
    fn note_begun_head(&mut self) {
        if self.desk.work.conn.has_begun_head() {
            self.tell(ConnState::Active);
        }
    }

    /// Serves what is no head: content, what lingers, what a protocol takes.
    #[inline(never)]
    fn pump_content(&mut self, rest: &[u8], used: &mut usize) -> Result<(), Stop> {
        if self.desk.work.conn.is_upgraded() {
            let taken = self.hand_to_protocol(rest)?;
            *used += taken;
            return if taken == 0 { Err(Stop::More) } else { Ok(()) };
        }
        match self.desk.work.conn.receive(rest) {
            Ok((len, Step::Content(piece))) => {
                *used += len;
                self.take_in(&rest[piece])
            }
            Ok((len, Step::End(section))) => {
                *used += len;
                self.take_trailers(&rest[section])
            }
            Ok((len, Step::More)) => {
                *used += len;
                Err(Stop::More)
            }
            Ok((_, Step::Busy)) => Err(Stop::More),
            Err(reject) if self.desk.work.conn.abandon_content() => {
                log::debug!("connection {}: unasked content: {reject:?}", self.token);
                Ok(())
            }
            Err(reject) => Err(self.refuse(reject, Gone::Malformed)),
        }
    }

    /// Moves on where an exchange is over.
    fn settle(&mut self, is_all_used: bool) {
        let settled = self.desk.work.conn.settle(self.desk.limits.linger_bytes_max);
        self.note_settled(settled, is_all_used);
    }

    /// Does what the end of an exchange brings with it.
    pub(super) fn note_settled(&mut self, settled: Settled, is_all_used: bool) {
        match settled {
            Settled::Not => {}
            Settled::Idle => self.tell(ConnState::Idle),
            Settled::Last { has_all_content } if has_all_content && is_all_used => {
                self.slot.flags.set(Flags::CLEAN);
            }
            Settled::Last { .. } => {}
        }
    }

    /// Refuses the peer if it can still be told, else ends the connection.
    pub(super) fn refuse(&mut self, reject: Reject, why: Gone) -> Stop {
        log::debug!("connection {}: refused: {reject:?}", self.token);
        if !self.desk.work.conn.can_refuse() {
            return self.over(Farewell::Reset, why);
        }
        self.desk.counters.refused += 1;
        self.tell(ConnState::Active);
        self.drop_exchange(why);
        let Desk { out, encoder, limits, work, .. } = &mut *self.desk;
        work.conn.refuse(out, reject, encoder, limits.linger_bytes_max);
        Stop::More
    }

    /// Ends the connection without another word.
    pub(super) fn over(&mut self, farewell: Farewell, why: Gone) -> Stop {
        self.drop_exchange(why);
        Stop::Over(farewell)
    }

    fn hold(&mut self, held: Option<Block>) {
        debug_assert!(self.desk.work.input.is_none());
        self.desk.work.input = held;
    }

    #[inline(always)]
    pub(super) fn circumstances(&self) -> Circumstances {
        Circumstances {
            server_closes: self.desk.closes,
            requests_left: self.slot.requests < self.desk.limits.requests_max,
            discard_bytes_max: self.desk.limits.discard_bytes_max,
            linger_bytes_max: self.desk.limits.linger_bytes_max,
        }
    }

    /// Tells the state hook, once per change.
    #[inline(always)]
    pub(super) fn tell(&mut self, state: ConnState) {
        if self.desk.hooks.on_state.is_none() {
            return;
        }
        let is_active = state == ConnState::Active;
        if is_active && self.slot.flags.has(Flags::TOLD_ACTIVE) {
            return;
        }
        if is_active {
            self.slot.flags.set(Flags::TOLD_ACTIVE);
        } else {
            self.slot.flags.clear(Flags::TOLD_ACTIVE);
        }
        self.desk.hooks.tell(self.token.connection_id(), state);
    }
}
