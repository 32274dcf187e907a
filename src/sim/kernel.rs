//! The kernel that [`Sim`](super::Sim) runs on: simulated sockets, readiness, time and faults, with
//! the edges, blocked writes and resets of Linux.
//!
//! It moves bytes and does not know HTTP.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use crate::handler::source::Interest;
use crate::handler::upgrade::HijackedStream;
use crate::message::request::Transport;
use crate::reactor::clock::{self, Millis};
use crate::reactor::kernel::{Event, Kernel, EVENTS_MAX};
use crate::reactor::Token;
use crate::sim::faults::Faults;
use crate::sim::Client;
use crate::waker::Wake;

/// A simulated kernel. Sockets are byte queues, readiness is edge-triggered as with epoll, and time
/// moves only as far as the test allows.
pub(crate) struct SimKernel {
    /// The number of signals that the loop has not yet asked for.
    pub(crate) signals: usize,
    pub(super) now: Duration,
    /// The point up to which time may move.
    pub(super) horizon: Duration,
    /// The last poll found nothing and would sleep beyond the horizon.
    pub(super) is_asleep: bool,
    pub(super) polls: u64,
    pub(super) writes: u64,
    wires: Vec<Wire>,
    /// One for each listener.
    queues: Vec<Queue>,
    is_listening: bool,
    pub(super) accept_errors: VecDeque<i32>,
    /// The number of the next polls that a signal interrupts.
    pub(super) interrupts: usize,
    /// A stop of the process that begins when the next poll has looked.
    pub(super) stop: Option<Stop>,
    /// Nanoseconds for which functions of the program have blocked since the last poll.
    pub(super) blocked: Arc<AtomicU64>,
    /// The number of the next calls of `watch` that fail.
    pub(super) watches_to_fail: usize,
    pub(super) faults: Faults,
    bell: Arc<Bell>,
}

/// A stop of the process, in which one client goes on.
pub(super) struct Stop {
    pub(super) time: Duration,
    pub(super) client: Client,
    pub(super) bytes: Vec<u8>,
}

/// The clients of one listener that wait to be accepted.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<usize>,
    edge: bool,
}

/// Both directions of one connection.
pub(super) struct Wire {
    peer: SocketAddr,
    pub(super) to_server: VecDeque<u8>,
    client_ended: bool,
    client_reset: bool,
    /// The bytes that the server has written and the client has not read: at most `window`.
    to_client: VecDeque<u8>,
    pub(super) window: usize,
    pub(super) reads: bool,
    pub(super) received: Vec<u8>,
    /// The bytes of `received` that have been parsed as responses.
    pub(super) parsed: usize,
    pub(super) server_ended: bool,
    pub(super) closed: Option<Closed>,
    token: Option<Token>,
    watches_writing: bool,
    was_blocked: bool,
    read_edge: bool,
    write_edge: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    Ordinarily,
    Reset,
}

/// The bytes that a socket buffer takes before a write blocks, unless a test sets another number.
const WINDOW: usize = 256 << 10;

/// The wall clock at the start: half a second after noon, 1 January 2026.
const WALL_AT_START: Duration = Duration::from_millis(1_767_268_800_500);

impl SimKernel {
    pub(super) fn new() -> SimKernel {
        SimKernel {
            signals: 0,
            now: Duration::ZERO,
            horizon: Duration::ZERO,
            is_asleep: false,
            polls: 0,
            writes: 0,
            wires: Vec::new(),
            queues: Vec::new(),
            is_listening: true,
            accept_errors: VecDeque::new(),
            interrupts: 0,
            stop: None,
            blocked: Arc::default(),
            watches_to_fail: 0,
            faults: Faults::default(),
            bell: Arc::default(),
        }
    }

    pub(super) fn wire(&mut self, client: Client) -> &mut Wire {
        &mut self.wires[client.0]
    }

    /// Sleeps in real time until another thread rings, at most for `timeout`. Returns whether one
    /// did.
    pub(super) fn wait_for_bell(&self, timeout: Duration) -> bool {
        self.bell.wait(timeout)
    }

    /// Opens one more listener.
    pub(super) fn listen(&mut self) {
        self.queues.push(Queue::default());
    }

    pub(super) fn connect(&mut self, listener: usize, peer: Option<SocketAddr>) -> Client {
        let id = self.wires.len();
        // An address that is reserved for documentation, and one port for each client.
        let usual = || (Ipv4Addr::new(192, 0, 2, 1), 1024 + (id % 60_000) as u16).into();
        self.wires.push(Wire::new(peer.unwrap_or_else(usual)));
        if self.is_listening {
            self.queues[listener].waiting.push_back(id);
            self.queues[listener].edge = true;
        } else {
            self.wires[id].closed = Some(Closed::Reset);
        }
        Client(id)
    }

    pub(super) fn send(&mut self, client: Client, bytes: &[u8]) {
        let wire = self.wire(client);
        if wire.is_cut() || wire.client_ended || bytes.is_empty() {
            return;
        }
        wire.to_server.extend(bytes);
        wire.read_edge = true;
    }

    pub(super) fn end(&mut self, client: Client) {
        let wire = self.wire(client);
        wire.client_ended = true;
        wire.read_edge = true;
    }

    pub(super) fn reset(&mut self, client: Client) {
        let wire = self.wire(client);
        wire.client_reset = true;
        wire.read_edge = true;
        wire.write_edge = wire.watches_writing;
    }

    /// Lets time pass, although the test has not allowed it to: the loop does not look meanwhile.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.horizon = self.horizon.max(self.now);
    }

    /// Moves bytes to all clients that read.
    pub(super) fn deliver(&mut self) {
        for wire in &mut self.wires {
            if wire.reads {
                wire.deliver(usize::MAX);
            }
        }
    }

    pub(super) fn has_news(&self) -> bool {
        self.bell.is_rung()
            || self.queues.iter().any(|queue| queue.edge)
            || self.wires.iter().any(Wire::has_news)
    }
}

impl Wire {
    fn new(peer: SocketAddr) -> Wire {
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
        }
    }

    fn is_cut(&self) -> bool {
        self.closed.is_some() || self.client_reset
    }

    fn has_news(&self) -> bool {
        self.token.is_some() && self.closed.is_none() && (self.read_edge || self.write_edge)
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
        let free = self.window - self.to_client.len().min(self.window);
        if self.was_blocked && self.watches_writing && free >= self.window / 3 {
            self.was_blocked = false;
            self.write_edge = true;
        }
    }

    /// Returns an event without a cause.
    fn spurious_event(&self) -> Option<Event> {
        let token = self.token.filter(|_| self.closed.is_none())?;
        Some(Event { token, readable: true, writable: false, read_closed: false })
    }

    fn event(&mut self) -> Option<Event> {
        if !self.has_news() {
            return None;
        }
        let event = Event {
            token: self.token?,
            readable: self.read_edge,
            writable: self.write_edge,
            read_closed: self.client_ended || self.client_reset,
        };
        (self.read_edge, self.write_edge) = (false, false);
        Some(event)
    }
}

impl Kernel for SimKernel {
    type Stream = SimStream;
    /// The number of the listener.
    type Listener = usize;

    fn now(&self) -> Millis {
        clock::millis(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.now + Duration::from_nanos(self.blocked.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Duration {
        WALL_AT_START + self.elapsed()
    }

    fn poll(&mut self, timeout: Option<Duration>, mut note: impl FnMut(Event)) -> io::Result<()> {
        self.polls += 1;
        let blocked = Duration::from_nanos(self.blocked.swap(0, Ordering::Relaxed));
        self.pass(blocked);
        if let Some(left) = self.interrupts.checked_sub(1) {
            self.interrupts = left;
            return Ok(());
        }
        let mut count = 0;
        for (n, queue) in self.queues.iter_mut().enumerate() {
            if !std::mem::take(&mut queue.edge) {
                continue;
            }
            count += 1;
            let token = Token::listener(n);
            note(Event { token, readable: true, writable: false, read_closed: false });
        }
        for event in self.wires.iter_mut().filter_map(Wire::event).take(EVENTS_MAX - count) {
            count += 1;
            note(event);
        }
        let spurious = self.faults.one_of(self.wires.len());
        if let Some(event) = spurious.and_then(|n| self.wires[n].spurious_event()) {
            count += 1;
            note(event);
        }
        if count == 0 && !self.bell.clear() {
            let wake = timeout.map_or(Duration::MAX, |timeout| self.now.saturating_add(timeout));
            self.is_asleep = wake > self.horizon;
            self.now = wake.min(self.horizon);
        }
        if let Some(stop) = self.stop.take() {
            self.send(stop.client, &stop.bytes);
            self.pass(stop.time);
        }
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.bell.clone()
    }

    fn signals(&mut self) -> usize {
        std::mem::take(&mut self.signals)
    }

    fn watch_listener(&mut self, _: &mut usize, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn rewatch_listener(&mut self, n: &mut usize, _: Token) -> io::Result<()> {
        let queue = &mut self.queues[*n];
        queue.edge = !queue.waiting.is_empty();
        Ok(())
    }

    fn accept(&mut self, n: &usize) -> io::Result<SimStream> {
        if let Some(error) = self.accept_errors.pop_front() {
            return Err(io::Error::from_raw_os_error(error));
        }
        if self.faults.happens(5) {
            return Err(Errno::INTR.into());
        }
        match self.queues[*n].waiting.pop_front() {
            Some(id) => Ok(SimStream(id, Box::new(self.wires[id].peer))),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn shed(&mut self, n: &usize) -> bool {
        match self.queues[*n].waiting.pop_front() {
            Some(id) => {
                self.wires[id].closed = Some(Closed::Ordinarily);
                true
            }
            None => false,
        }
    }

    fn unlisten(&mut self, n: usize) {
        self.is_listening = false;
        for id in self.queues[n].waiting.drain(..) {
            self.wires[id].closed = Some(Closed::Reset);
        }
    }

    fn watch(&mut self, stream: &mut SimStream, token: Token) -> io::Result<()> {
        if let Some(left) = self.watches_to_fail.checked_sub(1) {
            self.watches_to_fail = left;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let wire = &mut self.wires[stream.0];
        wire.token = Some(token);
        wire.read_edge = !wire.to_server.is_empty() || wire.client_ended || wire.client_reset;
        Ok(())
    }

    fn watch_writing(&mut self, stream: &mut SimStream, _: Token) -> io::Result<()> {
        let wire = &mut self.wires[stream.0];
        wire.watches_writing = true;
        wire.write_edge = wire.to_client.len() < wire.window;
        wire.read_edge = !wire.to_server.is_empty() || wire.client_ended;
        Ok(())
    }

    fn read(&mut self, stream: &mut SimStream, room: &mut [u8]) -> io::Result<usize> {
        if self.faults.happens(7) {
            return Err(Errno::INTR.into());
        }
        let part = self.faults.part_of(room.len());
        let wire = &mut self.wires[stream.0];
        if wire.client_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if wire.to_server.is_empty() && !wire.client_ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // A short read of a socket means that it is empty. The queue is a ring, so it takes two
        // reads to get its bytes.
        let room = &mut room[..part];
        let first = io::Read::read(&mut wire.to_server, room)?;
        let len = first + io::Read::read(&mut wire.to_server, &mut room[first..])?;
        // The rest after a short read counts as bytes that arrive now, so there is an event for it.
        wire.read_edge |= !wire.to_server.is_empty();
        Ok(len)
    }

    fn write(&mut self, stream: &mut SimStream, first: &[u8], second: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        if self.faults.happens(7) {
            return Err(Errno::INTR.into());
        }
        let (is_full, part) =
            (self.faults.happens(9), self.faults.part_of(first.len() + second.len()));
        let wire = &mut self.wires[stream.0];
        if wire.client_reset {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        assert!(!wire.server_ended, "a write after the end of the server's side");
        let free = wire.window - wire.to_client.len().min(wire.window);
        let wanted = first.len() + second.len();
        wire.was_blocked |= free < wanted;
        if free == 0 || is_full {
            // If it is full only for a moment, the next poll has an event for the room.
            wire.write_edge |= free > 0 && wire.watches_writing;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let free = free.min(part);
        let of_first = first.len().min(free);
        let of_second = second.len().min(free - of_first);
        wire.to_client.extend(&first[..of_first]);
        wire.to_client.extend(&second[..of_second]);
        Ok(wanted.min(free))
    }

    fn send_file(
        &mut self,
        stream: &mut SimStream,
        file: &File,
        offset: u64,
        len: usize,
    ) -> io::Result<usize> {
        let mut piece = vec![0; len];
        let read = file.read_at(&mut piece, offset)?;
        match read {
            0 => Ok(0),
            _ => self.write(stream, &piece[..read], &[]),
        }
    }

    fn shutdown_write(&mut self, stream: &mut SimStream) -> io::Result<()> {
        self.wires[stream.0].server_ended = true;
        Ok(())
    }

    /// Closes the connection, since a simulated stream cannot leave the simulation.
    fn release(&mut self, stream: SimStream) -> io::Result<HijackedStream> {
        self.wires[stream.0].closed = Some(Closed::Ordinarily);
        Ok(HijackedStream::Simulated)
    }

    fn close(&mut self, stream: SimStream, with_reset: bool) {
        let wire = &mut self.wires[stream.0];
        // Closing with unread bytes is a reset, as in TCP.
        let is_reset = with_reset || !wire.to_server.is_empty();
        wire.closed = Some(if is_reset { Closed::Reset } else { Closed::Ordinarily });
    }

    /// Fails: sources are real descriptors, and only an `EventLoop` has them.
    fn watch_source(&mut self, _: BorrowedFd<'_>, _: Interest, _: Token) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn unwatch_source(&mut self, _: BorrowedFd<'_>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn has_input(&mut self, _: BorrowedFd<'_>) -> bool {
        false
    }
}

/// An accepted connection of a [`SimKernel`]: its number and the address of its client. The address
/// is in a box, so that simulated slots are hardly larger than real ones.
pub(crate) struct SimStream(usize, Box<SocketAddr>);

impl Transport for SimStream {
    fn peer_addr(&self) -> Option<SocketAddr> {
        Some(*self.1)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some((Ipv4Addr::new(192, 0, 2, 80), 80).into())
    }
}

/// A bell that other threads ring. A test may wait for it in real time.
#[derive(Default)]
struct Bell {
    is_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    fn is_rung(&self) -> bool {
        *self.lock()
    }

    fn clear(&self) -> bool {
        mem::take(&mut *self.lock())
    }

    fn wait(&self, timeout: Duration) -> bool {
        let rings = self.rings.wait_timeout_while(self.lock(), timeout, |is_rung| !*is_rung);
        *rings.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(&self) {
        *self.lock() = true;
        self.rings.notify_all();
    }
}
