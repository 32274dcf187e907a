//! One visit to a ready connection: it sends waiting output, asks the program for news, serves
//! bytes that are held, reads once, serves requests, and lets their responses leave in one write.
//!
//! A visit has a budget, so that no connection is served at the cost of the others: one read,
//! [`REQUESTS_MAX`] requests or messages of a protocol, [`WRITTEN_MAX`] bytes, [`PIECES_MAX`] pieces,
//! and a millisecond once the program has done work that may take long, or 100 µs while clients come faster
//! than they are accepted. Over budget, the connection goes to the tail of the queue of unfinished ones.
//!
//! Calls between the files of this folder go down this list, and never up:
//!
//! | file | its part in the visit |
//! |---|---|
//! | `mod.rs` | begins the visit, and passes bytes of the client to their parser |
//! | `read.rs` | reads, and keeps bytes that cannot be used yet |
//! | `finish.rs` | ends the visit: sends all output, and finds the verdict |
//! | `expiry.rs` | ends a wait whose deadline has passed |
//! | `reply.rs` | calls the handler and carries out its reply |
//! | `wakeups.rs` | takes news from the program: responses from elsewhere, the end of a pause |
//! | `request_content.rs` | gives request content to its collector or receiver |
//! | `output.rs` | sends output until none is left, the socket is full or the budget is used |
//! | `protocol.rs` | calls the protocol of a connection that has left HTTP |
//! | `transform.rs`, `produce.rs` | content of the response, made by the program piece by piece |
//! | `response.rs` | encodes a response |
//! | `request.rs` | shows a request to the program |
//! | `slow.rs` | warns of handlers that hold the loop for long |
//! | `write.rs` | writes to the socket, and keeps the bytes that it does not take |
//! | `ending.rs` | ends an exchange early: refusals, resets, and the end of the task |
//! | `state.rs` | sets the task and its wait, and reports states |
//! | `observe.rs` | keeps a record of the exchange for the program's hook |
//! | `budget.rs` | counts the part of its budget that the visit has used |

mod budget;
mod ending;
mod expiry;
mod finish;
mod observe;
mod output;
mod produce;
mod protocol;
mod read;
mod reply;
mod request;
mod request_content;
mod response;
mod slow;
mod state;
mod transform;
mod wakeups;
mod write;

use std::ops::ControlFlow::{self, Break, Continue};

use crate::handler::guard::{guard, let_go, OnTrial, Panic};
use crate::handler::hooks::ConnectionState;
use crate::handler::{HandOut, Handler, Lost};
use crate::http1::{Farewell, HeadProgress, Input, Rest, Step};
use crate::logging::debug;
use crate::reactor::clock;
use crate::reactor::kernel::Kernel;
use crate::reactor::shared::Shared;
use crate::reactor::slot::{Facts, Flags, Life, Slot};
use crate::reactor::task::Task;
use crate::reactor::visit::budget::Spent;
use crate::reactor::visit::output::OUT_HIGH;
use crate::reactor::work::Work;
use crate::reactor::Token;

pub(super) use crate::reactor::visit::budget::{LOOK_EVERY, TIME_IN_CROWD, TIME_MAX};
pub(super) use crate::reactor::visit::slow::SlowHandlers;

/// Requests served, and messages given to a protocol, in one visit: twice the pipeline of the usual
/// clients.
const REQUESTS_MAX: u32 = 32;
/// Bytes written in one visit.
const WRITTEN_MAX: usize = 256 << 10;
/// Pieces that a producer is asked for in one visit. Each costs a call and a write, however small.
const PIECES_MAX: u32 = 256;
/// Bytes read at once where a head is expected: as many as the longest head has by default.
const HEAD_READ: usize = 16 << 10;
/// Bytes read at once where content flows, and the size of both shared buffers.
pub(super) const SCRATCH: usize = 64 << 10;

/// The outcome of a visit.
pub(super) enum Verdict<S> {
    /// The connection rested, has got its responses, and rests again.
    Idle,
    /// The connection waits for readiness, for the program or for its deadline.
    Wait,
    /// The connection has more to do right away, after the others.
    Again,
    /// The connection is over.
    Close(Farewell),
    /// The connection leaves the server: the program takes the stream.
    HandOut(HandOut<S>),
}

/// The reason why a visit stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// All input is used, the connection awaits the next request, and nothing is held.
    Idle,
    /// There is nothing more to do with the input: all of it is used, or more is needed.
    Done,
    /// The socket takes no more for now.
    Blocked,
    /// The budget of the visit is used.
    Spent,
    Over(Farewell),
}

/// One step of a visit: it goes on with `T`, or stops.
type Progress<T = ()> = ControlFlow<Stop, T>;

/// A visit under way: the parts of the loop and of the connection that it borrows.
pub(super) struct Visit<'v, K: Kernel, S: 'static, H: Handler<S>> {
    shared: &'v mut Shared<S, H>,
    kernel: &'v mut K,
    stream: &'v mut K::Stream,
    facts: &'v mut Facts,
    /// The connection's own box, or the loop's spare if the connection rested.
    work: &'v mut Work<S>,
    /// Whether the connection was New or Idle when the visit began.
    has_rested: bool,
    token: Token,
    spent: Spent,
}

/// Bytes of the client, and the number of them that have been used.
struct Cursor<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, used: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.used..]
    }

    fn is_all_used(&self) -> bool {
        self.used == self.bytes.len()
    }
}

impl<'v, K: Kernel, S: 'static, H: Handler<S>> Visit<'v, K, S, H> {
    #[inline(always)]
    pub(super) fn begin(
        shared: &'v mut Shared<S, H>,
        kernel: &'v mut K,
        spare: &'v mut Work<S>,
        slot: &'v mut Slot<K, S>,
        token: Token,
    ) -> Self {
        debug_assert!(shared.out.is_empty());
        let Slot { stream, life, facts } = slot;
        // An arm of its own for idle connections saves 8 of 1,006 instructions per GET.
        let (work, has_rested) = match life {
            Life::Rest(Rest::Idle) => {
                spare.resume(Rest::Idle);
                (spare, true)
            }
            // In all other phases it is counted, until the visit ends.
            Life::Rest(rest) => {
                let rest = *rest;
                shared.counters.leave(life.phase());
                spare.resume(rest);
                (spare, rest == Rest::New)
            }
            Life::Busy(work) => {
                shared.counters.leave(work.phase());
                (&mut **work, false)
            }
        };
        let spent = Spent::new(shared.look_every);
        Visit { shared, kernel, stream, facts, work, has_rested, token, spent }
    }

    /// Makes the whole visit. `scratch` is the buffer that it reads into.
    #[inline(always)]
    pub(super) fn serve(mut self, scratch: &mut [u8]) -> Verdict<S> {
        if self.has_rested && self.facts.flags.has(Flags::READABLE) {
            return self.serve_fast(&mut scratch[..HEAD_READ]);
        }
        let stop = self.serve_in_order(scratch);
        self.finish(stop.break_value().unwrap_or(Stop::Done))
    }

    /// Visits a connection that awaited a request and holds nothing: reads once and, if the
    /// connection rests again, ends with one write. Saves 435 of 1,415 instructions per GET.
    #[inline(always)]
    fn serve_fast(&mut self, scratch: &mut [u8]) -> Verdict<S> {
        let stop = self.read_scratch(scratch);
        let rests = stop == Stop::Idle
            && !self.facts.flags.has(Flags::READABLE)
            && self.shared.keeps_idle();
        if rests && self.write_last_fast() {
            return Verdict::Idle;
        }
        self.finish(stop)
    }

    /// Visits the connection before its client is judged: reads once. The program is given no bytes
    /// that it has seen already, and has no news, or the connection would be queued.
    pub(super) fn hear(mut self, scratch: &mut [u8]) -> Verdict<S> {
        self.facts.flags.set(Flags::READABLE);
        let stop = self.read_if_wanted(scratch);
        self.finish(stop.break_value().unwrap_or(Stop::Done))
    }

    /// Visits the connection because its deadline has passed.
    pub(super) fn expire(mut self) -> Verdict<S> {
        let stop = self.expire_task();
        self.finish(stop.break_value().unwrap_or(Stop::Done))
    }

    /// Visits the connection because others need its resources. It ends `at_once`, or with a
    /// lingering close, for which it keeps its slot.
    pub(super) fn give_way(mut self, at_once: bool) -> Verdict<S> {
        self.end_wait();
        let stop = self.turn_away(at_once);
        self.finish(stop)
    }

    /// Visits the connection to reset it, whatever it is doing.
    pub(super) fn abort(mut self) -> Verdict<S> {
        let stop = self.over(Farewell::Reset, Lost::Stopped);
        self.finish(stop)
    }

    /// Sends output, takes news from the program, serves bytes read earlier, and reads once.
    #[inline(never)]
    fn serve_in_order(&mut self, scratch: &mut [u8]) -> Progress {
        let was_silent = matches!(self.work.task, Task::Silent(..));
        self.send_all()?;
        let reply = self.hear_program(was_silent)?;
        self.carry_out_late(reply)?;
        self.yield_if_late()?;
        self.serve_held()?;
        self.yield_if_late()?;
        self.read_if_wanted(scratch)
    }

    /// Stops if the time of the visit is over and there may be more input to serve.
    fn yield_if_late(&mut self) -> Progress {
        let may_come = self.work.input.is_some() || self.facts.flags.has(Flags::READABLE);
        match may_come && self.wants_input() && self.is_late() {
            true => Break(Stop::Spent),
            false => Continue(()),
        }
    }

    /// Serves bytes that were read earlier and not used then. Their block is put back unless it is
    /// used up.
    fn serve_held(&mut self) -> Progress {
        // The exchange may be over already.
        self.settle(self.work.input.is_none());
        let Some(mut block) = self.work.input.take() else { return Continue(()) };
        let mut input = Cursor::new(block.bytes());
        let stop = self.serve_bytes(&mut input);
        let used = input.used;
        if block.consume(used) {
            self.shared.pool.take_back(block, &mut self.shared.ledger);
        } else {
            self.work.input = Some(block);
        }
        match stop {
            Stop::Done => Continue(()),
            stop => Break(stop),
        }
    }

    /// Reads once, if bytes are wanted and may be there.
    fn read_if_wanted(&mut self, scratch: &mut [u8]) -> Progress {
        let most = match self.work.conn.input() {
            Input::None | Input::Paused => return Continue(()),
            Input::Head => HEAD_READ,
            Input::Content | Input::Protocol => SCRATCH,
            // One byte more than is allowed shows that too many have come.
            Input::Linger { bytes_left } => SCRATCH.min((bytes_left as usize).saturating_add(1)),
        };
        // A read may end the connection, so responses are sent first. The next visit reads.
        if !self.facts.flags.has(Flags::READABLE) || !self.shared.out.is_empty() {
            return Continue(());
        }
        match self.work.input {
            None => Break(self.read_scratch(&mut scratch[..most])),
            Some(_) => {
                self.read_held(most)?;
                self.serve_held()
            }
        }
    }

    /// Reads once into the shared scratch, and serves the bytes.
    #[inline(always)]
    fn read_scratch(&mut self, scratch: &mut [u8]) -> Stop {
        let len = match self.read(scratch) {
            Continue(len) => len,
            Break(stop) => return stop,
        };
        let mut input = Cursor::new(&scratch[..len]);
        let stop = self.serve_bytes(&mut input);
        // Saves 5 of 1,000 instructions per GET.
        if stop == Stop::Idle {
            debug_assert!(input.is_all_used());
            return stop;
        }
        if input.is_all_used() {
            return stop;
        }
        self.keep_input(input.rest(), stop)
    }

    /// Serves requests from `input` until something stops it.
    fn serve_bytes(&mut self, input: &mut Cursor<'_>) -> Stop {
        loop {
            let stop = match self.work.conn.input() {
                Input::Head if self.shared.is_plain => self.serve_heads::<false>(input),
                Input::Head => self.serve_observed_heads(input),
                Input::Content | Input::Linger { .. } => self.serve_content(input),
                Input::Protocol => self.serve_protocol(input),
                Input::Paused | Input::None => Break(Stop::Done),
            };
            if let Break(Stop::Idle) = stop {
                return Stop::Idle;
            }
            if let Break(stop) = stop {
                if matches!(stop, Stop::Over(_)) || self.is_ending() {
                    // Bytes after a refusal or the last request are dropped.
                    input.used = input.bytes.len();
                }
                return stop;
            }
            if let Break(stop) = self.make_room() {
                return stop;
            }
            self.settle(input.is_all_used());
            if !input.is_all_used() && (self.is_late() || self.has_served_enough()) {
                return Stop::Spent;
            }
        }
    }

    /// Whether the connection takes no further request.
    fn is_ending(&self) -> bool {
        matches!(self.work.conn.rest(), Some(Rest::Ending { .. } | Rest::Linger(_) | Rest::Closed))
    }

    /// Parses heads and responds to their requests, as long as each is over at once. `OBSERVED`:
    /// a hook may follow the state of the connection, and handlers may be timed.
    #[inline(always)]
    fn serve_heads<const OBSERVED: bool>(&mut self, input: &mut Cursor<'_>) -> Progress {
        loop {
            self.parse_head(input.rest())?;
            if !self.call_handler::<OBSERVED>(input)? {
                return Continue(());
            }
            if input.is_all_used() {
                return Break(Stop::Idle);
            }
            if self.shared.out.len() >= OUT_HIGH || self.has_served_enough() {
                return Continue(());
            }
        }
    }

    /// The same for a server that times its handlers or has a hook for states. A server with layers or with
    /// a hook for exchanges serves one request. In `serve_heads`, the branch would cost 12 instructions
    /// per pipelined GET.
    #[cold]
    #[inline(never)]
    fn serve_observed_heads(&mut self, input: &mut Cursor<'_>) -> Progress {
        if !self.shared.has_layers() {
            return self.serve_heads::<true>(input);
        }
        self.parse_head(input.rest())?;
        self.call_layers(input)
    }

    /// Parses the head at the start of `bytes`. Stops if it is not complete, and refuses a wrong one.
    #[inline(always)]
    fn parse_head(&mut self, bytes: &[u8]) -> Progress {
        let Shared { head, head_limits, .. } = &mut *self.shared;
        match self.work.conn.receive_head(bytes, head_limits, head) {
            Ok(HeadProgress::Complete) => Continue(()),
            Ok(HeadProgress::NotBegun) => Break(Stop::Done),
            Ok(HeadProgress::Begun) => {
                // A client that has sent part of a head is not idle, and hooks that limit clients
                // count it.
                self.report(ConnectionState::Active);
                self.record_part_of_head(bytes.len());
                Break(Stop::Done)
            }
            Err(reject) => {
                self.record_part_of_head(bytes.len());
                Break(self.refuse(reject, Lost::Malformed))
            }
        }
    }

    /// Decodes content, and gives it to the task.
    #[inline(never)]
    fn serve_content(&mut self, input: &mut Cursor<'_>) -> Progress {
        let bytes = input.rest();
        let (used, step) = match self.work.conn.receive(bytes) {
            Ok(received) => received,
            Err(reject) => return Break(self.refuse(reject, Lost::Malformed)),
        };
        input.used += used;
        if let Some(record) = &mut self.work.record {
            record.received += used as u64;
        }
        match step {
            Step::Content(piece) => {
                // Framing does not count: a client cannot keep a connection with it.
                self.work.received += piece.len() as u64;
                let reply = self.take_piece(&bytes[piece])?;
                self.carry_out_late(reply)
            }
            Step::End(section) => {
                let reply = self.take_trailers(&bytes[section])?;
                self.carry_out_late(reply)
            }
            Step::More => Break(Stop::Done),
            Step::Abandoned(reject) => {
                debug!("{}: unread content dropped: {reject:?}", self.log_name());
                Continue(())
            }
        }
    }

    /// Gives bytes to the protocol.
    #[inline(never)]
    fn serve_protocol(&mut self, input: &mut Cursor<'_>) -> Progress {
        match self.hand_to_protocol(input.rest())? {
            0 if self.spent.requests >= REQUESTS_MAX => Break(Stop::Spent),
            0 => Break(Stop::Done),
            used => {
                input.used += used;
                self.work.received += used as u64;
                Continue(())
            }
        }
    }
}
