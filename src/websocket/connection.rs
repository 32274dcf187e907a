//! The protocol of an open socket: messages to the handler, control frames returned, and every way
//! in which a socket ends.
//!
//! ```text
//!   Open ──── we close ────► Closing ── response, or too late ────┐
//!    │                                                            ▼
//!    ├── peer closes, broken frames (a close frame is due) ──► Ending ── all has left ──► closed
//!    └── silent, cut, end of input (none is) ──────────────────────────────────────────►
//! ```
//!
//! The step out of Open or Closing calls [`SocketHandler::close`].

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::account::Account;
use crate::handler::upgrade::{Connection, Protocol};
use crate::handler::Lost;
use crate::logging::error;
use crate::message::id::ConnectionId;
use crate::websocket::decoder::{Decoder, Event};
use crate::websocket::frames::{close_frame, code, control_frame, opcode};
use crate::websocket::handler::{Closed, SocketHandler};
use crate::websocket::message::Message;
use crate::websocket::options::Bounds;
use crate::websocket::queue::{SendQueue, State};
use crate::websocket::socket::Socket;

/// The visits in a row for which a full group holds up the input of a member. In the first, members
/// that are served later have not been sent their messages; in the second, all are. A group that is
/// full again after that is filled by a thread, which must not silence the members.
const WAITS_MAX: u8 = 2;
/// The most bytes of the reason in a close frame (RFC 6455, section 5.5).
const REASON_MAX: usize = 123;

pub(super) struct SocketProtocol<H> {
    handler: H,
    decoder: Decoder,
    queue: Arc<SendQueue>,
    protocol: Option<String>,
    bounds: Bounds,
    origin: Origin,
    /// Whether the deadline is that of the message that has begun.
    is_timed: bool,
    /// The visits in a row in which a full group held up the input.
    waits: u8,
    phase: Phase,
}

/// The names of a socket in the log.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) connection: ConnectionId,
    pub(super) client: Option<SocketAddr>,
}

enum Phase {
    Open {
        awaits_pong: bool,
    },
    /// Our close frame with this content was sent; that of the client is awaited. `is_timed`: ours
    /// has left, and the deadline for the other is set.
    Closing {
        closed: Closed,
        is_timed: bool,
    },
    /// The end was reported, and queued frames still have to leave.
    Ending,
}

impl<H> SocketProtocol<H> {
    pub(super) fn new(
        handler: H,
        bounds: Bounds,
        protocol: Option<String>,
        origin: Origin,
        account: &Account,
    ) -> SocketProtocol<H> {
        SocketProtocol {
            handler,
            decoder: Decoder::new(bounds.message_bytes_max),
            queue: SendQueue::new(bounds.queue_bytes_max, account),
            protocol,
            bounds,
            origin,
            is_timed: false,
            waits: 0,
            phase: Phase::Open { awaits_pong: false },
        }
    }

    /// Calls the handler, then carries out its requests and those of senders.
    fn call<S>(
        &mut self,
        state: &mut S,
        connection: &mut Connection<'_>,
        call: impl FnOnce(&mut H, &mut S, &mut Socket<'_>),
    ) where
        H: SocketHandler<S>,
    {
        let protocol = self.protocol.as_deref();
        call(
            &mut self.handler,
            state,
            &mut Socket { queue: &self.queue, connection: connection.reborrow(), protocol },
        );
        self.follow(state, connection);
    }

    /// Carries out the requests of the handler and of senders, and puts the frames that wait.
    /// Returns whether all of them went into `connection`.
    fn follow<S>(&mut self, state: &mut S, connection: &mut Connection<'_>) -> bool
    where
        H: SocketHandler<S>,
    {
        let mut pending = self.queue.lock();
        match &mut pending.state {
            State::Cut => {
                drop(pending);
                self.end(state, abnormal("too slow"));
            }
            State::Close(code, reason) => {
                let (code, reason) = (*code, mem::take(reason));
                drop(pending);
                if let Phase::Open { .. } = self.phase {
                    let code = self.say_close(code, &reason);
                    let closed = Closed { code, reason, is_clean: false };
                    self.phase = Phase::Closing { closed, is_timed: false };
                    connection.set_deadline(None);
                }
            }
            State::Open | State::Over => drop(pending),
        }
        let has_left = self.queue.lock().flush(connection);
        match self.phase {
            Phase::Ending if has_left => connection.close(),
            // The time for the other close frame begins when ours has left.
            Phase::Closing { is_timed: false, .. } if has_left => connection.report_room(),
            _ => {}
        }
        has_left
    }

    /// Reports the end to the handler. Queued frames may still leave.
    fn end<S>(&mut self, state: &mut S, closed: Closed)
    where
        H: SocketHandler<S>,
    {
        if matches!(mem::replace(&mut self.phase, Phase::Ending), Phase::Ending) {
            return;
        }
        self.queue.lock().state = State::Over;
        self.handler.close(state, closed);
    }

    /// Ends the socket because the client has broken the protocol, with the reason in a close
    /// frame.
    fn fail<S>(&mut self, state: &mut S, code: u16)
    where
        H: SocketHandler<S>,
    {
        let reason = match code {
            code::NO_TEXT => "not UTF-8",
            code::TOO_BIG => "too big",
            code::POLICY => "message took too long",
            _ => "not a WebSocket frame",
        };
        self.say_close(code, reason);
        let closed = Closed { code, reason: reason.to_owned(), is_clean: false };
        self.end(state, self.sent_or(closed));
    }

    /// Returns the content of our close frame, if it has been sent; else `closed`.
    fn sent_or(&self, closed: Closed) -> Closed {
        match &self.phase {
            Phase::Closing { closed, .. } => closed.clone(),
            _ => closed,
        }
    }

    /// Queues a close frame, unless one has been sent. Returns its code.
    fn say_close(&mut self, code: u16, reason: &str) -> u16 {
        let may_be_sent = code::may_be_sent(code);
        if !may_be_sent {
            self.log_bad_code(code);
        }
        let code = if may_be_sent { code } else { code::FAILED };
        if let Phase::Open { .. } = self.phase {
            let mut len = reason.len().min(REASON_MAX);
            while !reason.is_char_boundary(len) {
                len -= 1;
            }
            self.queue.lock().push_control(close_frame(code, &reason[..len]));
        }
        code
    }

    #[cold]
    fn log_bad_code(&self, code: u16) {
        let fault = format!(
            "close code {code} replaced by {}: expected a code that may be sent",
            code::FAILED
        );
        let Origin { connection, client } = self.origin;
        match client {
            Some(client) => error!("connection {connection}, client {client}: {fault}"),
            None => error!("connection {connection}: {fault}"),
        }
    }

    /// Follows one event of the input.
    fn hear<S>(&mut self, event: Event, state: &mut S, connection: &mut Connection<'_>)
    where
        H: SocketHandler<S>,
    {
        match event {
            Event::Part | Event::Pong => {}
            Event::Text(text) => self.deliver(Message::Text(&text), state, connection),
            Event::Binary(bytes) => self.deliver(Message::Binary(&bytes), state, connection),
            Event::Ping(payload) => {
                if let Phase::Open { .. } = self.phase {
                    self.queue.lock().push_control(control_frame(opcode::PONG, &payload));
                }
            }
            Event::Close(content) => self.end_cleanly(content, state),
        }
    }

    fn deliver<S>(&mut self, message: Message<'_>, state: &mut S, connection: &mut Connection<'_>)
    where
        H: SocketHandler<S>,
    {
        self.is_timed = false;
        if let Phase::Open { .. } = self.phase {
            self.call(state, connection, |handler, state, socket| {
                handler.message(state, message, socket);
            });
        }
    }

    /// Ends the socket after the close frame of the client, which gets its content back unless ours
    /// was sent before.
    fn end_cleanly<S>(&mut self, content: Option<(u16, String)>, state: &mut S)
    where
        H: SocketHandler<S>,
    {
        let theirs = match content {
            Some((code, reason)) => {
                self.say_close(code, &reason);
                Closed { code, reason, is_clean: true }
            }
            None => {
                if let Phase::Open { .. } = self.phase {
                    self.queue.lock().push_control(control_frame(opcode::CLOSE, b""));
                }
                Closed { code: code::NONE, reason: String::new(), is_clean: true }
            }
        };
        let closed = Closed { is_clean: true, ..self.sent_or(theirs) };
        self.end(state, closed);
    }

    /// Sets the deadline of a message that has begun, and removes that of one that is complete.
    fn time_message(&mut self, was_timed: bool, has_begun: bool, connection: &mut Connection<'_>) {
        if has_begun && !self.is_timed {
            connection.set_deadline(Some(self.bounds.message_timeout));
        } else if !has_begun && was_timed {
            connection.set_deadline(None);
        }
        self.is_timed = has_begun;
    }

    /// Ends the socket and the connection without a close frame.
    fn hang_up<S>(&mut self, why: &str, state: &mut S, connection: &mut Connection<'_>)
    where
        H: SocketHandler<S>,
    {
        let closed = self.sent_or(abnormal(why));
        self.queue.lock().end(State::Over);
        self.end(state, closed);
        connection.close();
    }
}

fn abnormal(reason: &str) -> Closed {
    Closed { code: code::ABNORMAL, reason: reason.to_owned(), is_clean: false }
}

impl<S, H: SocketHandler<S>> Protocol<S> for SocketProtocol<H> {
    fn start(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        self.queue.open(connection.waker());
        self.call(state, connection, |handler, state, socket| handler.open(state, socket));
        Ok(())
    }

    fn receive(
        &mut self,
        state: &mut S,
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        if let Phase::Open { awaits_pong } = &mut self.phase {
            *awaits_pong = false;
        }
        let was_timed = self.is_timed;
        let (mut used, mut has_rest, mut has_looked) = (0, false, false);
        // While the client does not take its output, no more of its input is read.
        while self.follow(state, connection) {
            if let Phase::Ending = self.phase {
                return Ok(input.len());
            }
            let may_wait = used > 0 || self.waits < WAITS_MAX;
            if may_wait && self.queue.lock().is_held_up() {
                self.waits += 1;
                connection.yield_now();
                break;
            }
            (self.waits, has_looked) = (0, true);
            match self.decoder.next(&input[used..]) {
                Ok(Some(step)) => {
                    used += step.used;
                    self.hear(step.event, state, connection);
                    if step.ends_frame && !connection.count_message() {
                        self.follow(state, connection);
                        break;
                    }
                }
                Ok(None) => {
                    has_rest = used < input.len();
                    break;
                }
                Err(code) => self.fail(state, code),
            }
        }
        // Input that has to wait may hold the beginning of a message, whose time goes on.
        if has_looked && matches!(self.phase, Phase::Open { .. }) {
            self.time_message(was_timed, has_rest || self.decoder.has_begun(), connection);
        }
        Ok(used)
    }

    fn wake(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        if let Phase::Closing { is_timed: is_timed @ false, .. } = &mut self.phase {
            // All that was put before this call has left.
            if self.queue.lock().is_empty() {
                *is_timed = true;
                connection.set_deadline(Some(self.bounds.peer_timeout));
            }
        }
        if self.follow(state, connection) && matches!(self.phase, Phase::Open { .. }) {
            self.call(state, connection, |handler, state, socket| handler.wake(state, socket));
        }
        Ok(())
    }

    fn stalled(&mut self, is_stalled: bool) {
        self.queue.lock().set_stalled(is_stalled);
    }

    fn expire(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        match &mut self.phase {
            Phase::Open { .. } if connection.is_overdue() => {
                self.fail(state, code::POLICY);
                self.follow(state, connection);
            }
            Phase::Open { awaits_pong: awaits_pong @ false } => {
                *awaits_pong = true;
                self.queue.lock().push_control(control_frame(opcode::PING, b""));
                self.follow(state, connection);
            }
            _ => self.hang_up("silent", state, connection),
        }
        Ok(())
    }

    fn end_of_input(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        if !matches!(self.phase, Phase::Ending) {
            self.hang_up("ended without a close frame", state, connection);
        }
        Ok(())
    }

    fn shutdown(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        self.queue.lock().ask_to_close(code::AWAY, "the server shuts down");
        self.follow(state, connection);
        Ok(())
    }

    fn timeout(&self) -> Duration {
        match self.phase {
            Phase::Open { awaits_pong: false } => self.bounds.ping_after,
            _ => self.bounds.peer_timeout,
        }
    }

    fn is_owed(&self) -> bool {
        !matches!(self.phase, Phase::Open { awaits_pong: false } | Phase::Ending)
    }

    fn memory(&self) -> usize {
        // The queue counts its own.
        mem::size_of::<Self>() + mem::size_of::<SendQueue>() + self.decoder.memory()
    }

    fn memory_elsewhere(&self) -> usize {
        self.queue.lock().memory()
    }

    fn lost(mut self: Box<Self>, state: &mut S, why: Lost) {
        let why = match why {
            Lost::PeerLeft => "the peer left",
            Lost::TooSlow => "too slow",
            _ => "the server stopped",
        };
        self.end(state, self.sent_or(abnormal(why)));
    }
}

impl<H> Drop for SocketProtocol<H> {
    fn drop(&mut self) {
        self.queue.lock().end(State::Over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_socket_takes_at_most_the_documented_memory() {
        let fixed = mem::size_of::<SocketProtocol<()>>() + mem::size_of::<SendQueue>();
        assert!(fixed <= 512, "{fixed}");
    }
}
