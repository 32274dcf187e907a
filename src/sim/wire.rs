//! Both directions of one simulated connection, with the edges, blocked writes and resets of Linux.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::reactor::kernel::Event;
use crate::reactor::Token;

/// The bytes that a socket buffer takes before a write blocks, unless a test sets another number.
const WINDOW: usize = 256 << 10;

/// The most reads of one connection in one turn: that of its visit, one before its deadline is
/// judged, and two of a shutdown.
const READS_MAX: u32 = 4;
/// The most bytes written to one connection in one turn: the budget of a visit and the last piece,
/// for each of two visits.
const WRITTEN_MAX: usize = (2 * (256 + 256 + 128)) << 10;

/// Both directions of one connection.
pub(super) struct Wire {
    pub(super) peer: SocketAddr,
    pub(super) to_server: VecDeque<u8>,
    pub(super) client_ended: bool,
    pub(super) client_reset: bool,
    /// The bytes that the server has written and the client has not read: at most `window`.
    pub(super) to_client: VecDeque<u8>,
    pub(super) window: usize,
    pub(super) reads: bool,
    pub(super) received: Vec<u8>,
    /// The bytes of `received` that have been parsed as responses.
    pub(super) parsed: usize,
    pub(super) server_ended: bool,
    pub(super) closed: Option<Closed>,
    pub(super) token: Option<Token>,
    pub(super) watches_writing: bool,
    pub(super) was_blocked: bool,
    pub(super) read_edge: bool,
    pub(super) write_edge: bool,
    /// The bytes before a mark for urgent data: a read ends there.
    pub(super) urgent: Option<usize>,
    /// In the list of those that have news for the poll.
    pub(super) is_listed: bool,
    spent: Spent,
}

/// The calls of the server in one turn.
#[derive(Default)]
struct Spent {
    turn: u64,
    reads: u32,
    written: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    Ordinarily,
    Reset,
}

impl Wire {
    pub(super) fn new(peer: SocketAddr) -> Wire {
        Wire {
            peer,
            to_server: VecDeque::new(),
            client_ended: false,
            client_reset: false,
            to_client: VecDeque::new(),
            window: WINDOW,
            reads: true,
            received: Vec::new(),
            parsed: 0,
            server_ended: false,
            closed: None,
            token: None,
            watches_writing: false,
            was_blocked: false,
            read_edge: false,
            write_edge: false,
            urgent: None,
            is_listed: false,
            spent: Spent::default(),
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.closed.is_some() || self.client_reset
    }

    pub(super) fn has_news(&self) -> bool {
        self.token.is_some() && self.closed.is_none() && (self.read_edge || self.write_edge)
    }

    /// The room in the socket buffer.
    pub(super) fn free(&self) -> usize {
        self.window - self.to_client.len().min(self.window)
    }

    /// Breaks the connection from the client's side.
    pub(super) fn reset(&mut self) {
        self.client_reset = true;
        self.read_edge = true;
        self.write_edge = self.watches_writing;
    }

    /// Moves at most `most` bytes from the socket buffer to the client. After a blocked write, the
    /// server gets an event when a third of the buffer is free, as on Linux.
    pub(super) fn deliver(&mut self, most: usize) {
        if !self.client_reset {
            let count = most.min(self.to_client.len());
            let (front, back) = self.to_client.as_slices();
            let of_front = front.len().min(count);
            self.received.extend_from_slice(&front[..of_front]);
            self.received.extend_from_slice(&back[..count - of_front]);
            self.to_client.drain(..count);
        }
        if self.was_blocked && self.watches_writing && self.free() >= self.window / 3 {
            self.was_blocked = false;
            self.write_edge = true;
        }
    }

    /// Returns an event without a cause.
    pub(super) fn spurious_event(&self) -> Option<Event> {
        let token = self.token.filter(|_| self.closed.is_none())?;
        Some(Event { token, readable: true, writable: false, read_closed: false, broken: false })
    }

    pub(super) fn event(&mut self) -> Option<Event> {
        if !self.has_news() {
            return None;
        }
        let event = Event {
            token: self.token?,
            readable: self.read_edge,
            writable: self.write_edge,
            read_closed: self.client_ended || self.client_reset,
            broken: self.client_reset,
        };
        (self.read_edge, self.write_edge) = (false, false);
        Some(event)
    }

    /// Moves bytes of the client to `room`.
    pub(super) fn take(&mut self, room: &mut [u8]) -> usize {
        let len = room.len().min(self.to_server.len());
        for (to, from) in room.iter_mut().zip(self.to_server.drain(..len)) {
            *to = from;
        }
        len
    }

    /// Counts a read in this turn, and asserts that the turn is bounded.
    pub(super) fn count_read(&mut self, turn: u64) {
        let spent = self.spent_in(turn);
        spent.reads += 1;
        assert!(spent.reads <= READS_MAX, "{} reads of one connection in a turn", spent.reads);
    }

    /// Counts bytes written in this turn, and asserts that the turn is bounded.
    pub(super) fn count_written(&mut self, turn: u64, len: usize) {
        let spent = self.spent_in(turn);
        spent.written += len;
        assert!(spent.written <= WRITTEN_MAX, "{} B to one connection in a turn", spent.written);
    }

    fn spent_in(&mut self, turn: u64) -> &mut Spent {
        if self.spent.turn != turn {
            self.spent = Spent { turn, ..Spent::default() };
        }
        &mut self.spent
    }
}
