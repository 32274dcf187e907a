//! The kernel that [`Sim`](super::Sim) runs on: simulated sockets, readiness, time and faults.
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
use crate::reactor::kernel::{Accepted, Event, Kernel, EVENTS_MAX};
use crate::reactor::Token;
use crate::sim::faults::{Call, Faults, Planned};
use crate::sim::story::{Bytes, Seconds, Story};
use crate::sim::wire::{Closed, Wire};
use crate::sim::Client;
use crate::waker::Wake;

/// Tokens of closed connections for which a fault may report an event.
const STALE_MAX: usize = 16;

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
    /// The wires that have news for the poll, in the order in which they got it.
    news: VecDeque<usize>,
    /// One for each listener.
    queues: Vec<Queue>,
    is_listening: bool,
    /// The connections that the server has accepted and not closed, and the most of them.
    open: usize,
    pub(super) descriptors_max: usize,
    stale: VecDeque<Token>,
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
    /// The calls so far that may fail, if they are recorded.
    pub(super) calls: Option<Vec<Call>>,
    pub(super) planned: Option<Planned>,
    pub(super) story: Option<Box<Story>>,
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

/// The wall clock at the start: half a second after noon, 1 January 2026.
const WALL_AT_START: Duration = Duration::from_millis(1_767_268_800_500);

/// Adds a line to the story, if one is told.
macro_rules! tell {
    ($kernel:expr, $($line:tt)*) => {
        if let Some(story) = &mut $kernel.story {
            story.line(format_args!($($line)*));
        }
    };
}

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
            news: VecDeque::new(),
            queues: Vec::new(),
            is_listening: true,
            open: 0,
            descriptors_max: usize::MAX,
            stale: VecDeque::new(),
            accept_errors: VecDeque::new(),
            interrupts: 0,
            stop: None,
            blocked: Arc::default(),
            watches_to_fail: 0,
            faults: Faults::default(),
            calls: None,
            planned: None,
            story: None,
            bell: Arc::default(),
        }
    }

    pub(super) fn wire(&mut self, client: Client) -> &mut Wire {
        &mut self.wires[client.0]
    }

    /// The number of connections that the server has accepted and not closed.
    pub(super) fn open(&self) -> usize {
        self.open
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
        // Addresses that are reserved for documentation and for measurements, and one port for each
        // client.
        let (ip, port) = match id {
            0..=253 => (Ipv4Addr::new(192, 0, 2, 1 + id as u8), 1024 + id as u16),
            _ => {
                let [_, b, c, d] = (id as u32).to_be_bytes();
                (Ipv4Addr::new(198, 18 + b % 2, c, d), 1024 + (id % 60_000) as u16)
            }
        };
        let usual = || (ip, port).into();
        self.wires.push(Wire::new(peer.unwrap_or_else(usual)));
        tell!(self, "client {id} connects");
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
        self.list(client.0);
        tell!(self, "client {} sends {}", client.0, Bytes(bytes, &[]));
    }

    /// Sends an urgent byte, which is no part of the stream: a read ends there.
    pub(super) fn send_urgent(&mut self, client: Client) {
        let wire = self.wire(client);
        wire.urgent = Some(wire.to_server.len());
        wire.read_edge = true;
        self.list(client.0);
        tell!(self, "client {} sends an urgent byte", client.0);
    }

    pub(super) fn end(&mut self, client: Client) {
        let wire = self.wire(client);
        wire.client_ended = true;
        wire.read_edge = true;
        self.list(client.0);
        tell!(self, "client {} ends its side", client.0);
    }

    pub(super) fn reset(&mut self, client: Client) {
        self.wire(client).reset();
        self.list(client.0);
        tell!(self, "client {} resets the connection", client.0);
    }

    /// Lets time pass, although the test has not allowed it to: the loop does not look meanwhile.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.horizon = self.horizon.max(self.now);
        if !time.is_zero() {
            tell!(self, "{} pass in which the loop does not look", Seconds(time));
        }
    }

    /// Moves bytes to all clients that read.
    pub(super) fn deliver(&mut self) {
        for id in 0..self.wires.len() {
            if self.wires[id].reads {
                self.wires[id].deliver(usize::MAX);
                self.list(id);
            }
        }
    }

    /// Moves at most `most` bytes to one client.
    pub(super) fn deliver_to(&mut self, client: Client, most: usize) {
        self.wire(client).deliver(most);
        self.list(client.0);
    }

    pub(super) fn has_news(&self) -> bool {
        self.bell.is_rung()
            || self.queues.iter().any(|queue| queue.edge)
            || self.news.iter().any(|&id| self.wires[id].has_news())
    }

    /// Lists a wire if it has news for the poll.
    fn list(&mut self, id: usize) {
        let wire = &mut self.wires[id];
        if wire.has_news() && !mem::replace(&mut wire.is_listed, true) {
            self.news.push_back(id);
        }
    }

    /// Ends all faults.
    pub(super) fn heal(&mut self) {
        (self.faults, self.planned, self.descriptors_max) = (Faults::default(), None, usize::MAX);
    }

    /// Decides whether a call fails. Time may pass in it, too.
    fn fails(&mut self, call: Call) -> Option<io::Error> {
        if let Some(calls) = &mut self.calls {
            calls.push(call);
        }
        let jump = self.faults.jump();
        self.pass(Duration::from_millis(jump));
        let error = self.planned_error().or_else(|| {
            let is_slow = matches!(
                call,
                Call::Poll | Call::Accept | Call::Read | Call::Write | Call::SendFile
            );
            match is_slow && self.faults.interrupts() {
                true => Some(Errno::INTR.into()),
                false => self.faults.error_of(call),
            }
        });
        if let Some(error) = &error {
            tell!(self, "{call:?} fails: {error}");
        }
        error
    }

    fn planned_error(&mut self) -> Option<io::Error> {
        let planned = self.planned.as_mut()?;
        let error = planned.error;
        match planned.calls_before.checked_sub(1) {
            Some(left) => {
                planned.calls_before = left;
                None
            }
            None => {
                self.planned = None;
                Some(io::Error::from_raw_os_error(error))
            }
        }
    }

    /// Gives an error of a read or a write its effect on the connection.
    fn suffer(&mut self, id: usize, error: &io::Error) {
        let wire = &mut self.wires[id];
        match Errno::from_io_error(error) {
            // The bytes or the room come a moment later.
            Some(Errno::AGAIN) => {
                wire.read_edge |= !wire.to_server.is_empty() || wire.client_ended;
                wire.was_blocked = true;
                wire.write_edge |= wire.watches_writing && wire.free() > 0;
            }
            Some(
                Errno::PIPE
                | Errno::CONNRESET
                | Errno::TIMEDOUT
                | Errno::HOSTUNREACH
                | Errno::NOTCONN,
            ) => wire.reset(),
            _ => {}
        }
        self.list(id);
    }

    /// Breaks the connection now and then.
    fn may_reset(&mut self, id: usize) {
        if self.faults.resets() {
            self.reset(Client(id));
        }
    }

    fn note_closed(&mut self, id: usize, how: Closed) {
        self.open -= 1;
        let wire = &mut self.wires[id];
        wire.closed = Some(how);
        if let Some(token) = wire.token {
            self.stale.push_back(token);
            if self.stale.len() > STALE_MAX {
                self.stale.pop_front();
            }
        }
    }

    /// The events of connections, at most `room` of them, in the order in which they happened.
    fn events(&mut self, room: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..self.news.len() {
            if events.len() == room {
                break;
            }
            let Some(id) = self.news.pop_front() else { break };
            if self.faults.delays() && self.wires[id].has_news() {
                self.news.push_back(id);
                continue;
            }
            self.wires[id].is_listed = false;
            if let Some(event) = self.wires[id].event() {
                tell!(self, "event: client {id} {}", shown(&event));
                events.push(event);
            }
        }
        if events.len() < room {
            let spurious = self.faults.spurious(self.wires.len());
            events.extend(spurious.and_then(|n| self.wires[n].spurious_event()));
            let stale = self.faults.stale(self.stale.len()).map(|n| self.stale[n]);
            events.extend(stale.map(|token| Event {
                token,
                readable: true,
                writable: true,
                read_closed: true,
                broken: true,
            }));
        }
        if self.faults.shuffles() {
            for n in (1..events.len()).rev() {
                events.swap(n, self.faults.below(n + 1));
            }
        }
        events
    }
}

/// The readiness of an event, in words.
fn shown(event: &Event) -> String {
    let all = [
        (event.readable, "readable"),
        (event.writable, "writable"),
        (event.read_closed, "its side has ended"),
        (event.broken, "it is broken"),
    ];
    all.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
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
        if let Some(story) = &mut self.story {
            story.begin_turn();
        }
        let blocked = Duration::from_nanos(self.blocked.swap(0, Ordering::Relaxed));
        self.pass(blocked);
        // The only error, an interrupted call, is an empty batch.
        let is_interrupted = self.fails(Call::Poll).is_some();
        if is_interrupted || self.interrupts > 0 {
            self.interrupts = self.interrupts.saturating_sub(1);
            return Ok(());
        }
        let mut count = 0;
        for n in 0..self.queues.len() {
            if mem::take(&mut self.queues[n].edge) {
                count += 1;
                tell!(self, "event: listener {n} readable");
                let token = Token::listener(n);
                let (readable, writable) = (true, false);
                note(Event { token, readable, writable, read_closed: false, broken: false });
            }
        }
        let events = self.events(EVENTS_MAX - count);
        count += events.len();
        events.into_iter().for_each(note);
        if self.bell.clear() {
            count += 1;
            tell!(self, "event: the program wakes the loop");
        }
        if count == 0 && !self.has_news() {
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
        mem::take(&mut self.signals)
    }

    fn watch_listener(&mut self, _: &mut usize, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn rewatch_listener(&mut self, n: &mut usize, _: Token) -> io::Result<()> {
        if let Some(error) = self.fails(Call::Rewatch) {
            return Err(error);
        }
        let queue = &mut self.queues[*n];
        queue.edge = !queue.waiting.is_empty();
        Ok(())
    }

    fn accept(&mut self, n: &usize) -> io::Result<Accepted<SimStream>> {
        if let Some(error) = self.accept_errors.pop_front() {
            return Err(io::Error::from_raw_os_error(error));
        }
        if let Some(error) = self.fails(Call::Accept) {
            let queue = &mut self.queues[*n];
            if is_of_one_client(&error) {
                if let Some(id) = queue.waiting.pop_front() {
                    self.wires[id].closed = Some(Closed::Reset);
                }
            }
            if error.kind() == io::ErrorKind::WouldBlock {
                queue.edge = !queue.waiting.is_empty();
            }
            return Err(error);
        }
        if self.open >= self.descriptors_max {
            return Err(Errno::MFILE.into());
        }
        let Some(id) = self.queues[*n].waiting.pop_front() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        self.open += 1;
        tell!(self, "accept: client {id}");
        self.may_reset(id);
        Ok((SimStream(id), Some(self.wires[id].peer)))
    }

    fn shed(&mut self, n: &usize) -> bool {
        match self.queues[*n].waiting.pop_front() {
            Some(id) => {
                tell!(self, "accept and drop: client {id}");
                self.wires[id].closed = Some(Closed::Ordinarily);
                true
            }
            None => false,
        }
    }

    fn unlisten(&mut self, n: usize) {
        self.is_listening = false;
        tell!(self, "close: listener {n}");
        for id in self.queues[n].waiting.drain(..) {
            self.wires[id].closed = Some(Closed::Reset);
        }
    }

    fn watch(&mut self, stream: &mut SimStream, token: Token) -> io::Result<()> {
        if let Some(left) = self.watches_to_fail.checked_sub(1) {
            self.watches_to_fail = left;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if let Some(error) = self.fails(Call::Watch) {
            return Err(error);
        }
        let wire = &mut self.wires[stream.0];
        wire.token = Some(token);
        wire.read_edge = !wire.to_server.is_empty() || wire.client_ended || wire.client_reset;
        self.list(stream.0);
        Ok(())
    }

    fn watch_writing(&mut self, stream: &mut SimStream, _: Token) -> io::Result<()> {
        if let Some(error) = self.fails(Call::WatchWriting) {
            return Err(error);
        }
        let wire = &mut self.wires[stream.0];
        wire.watches_writing = true;
        wire.write_edge = wire.free() > 0 || wire.client_reset;
        wire.read_edge = !wire.to_server.is_empty() || wire.client_ended || wire.client_reset;
        self.list(stream.0);
        Ok(())
    }

    fn read(&mut self, stream: &mut SimStream, room: &mut [u8]) -> io::Result<usize> {
        let id = stream.0;
        self.wires[id].count_read(self.polls);
        self.may_reset(id);
        if let Some(error) = self.fails(Call::Read) {
            self.suffer(id, &error);
            return Err(error);
        }
        let part = self.faults.part_of(room.len());
        let is_urgent = self.faults.is_urgent();
        let wire = &mut self.wires[id];
        if wire.client_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if wire.to_server.is_empty() && !wire.client_ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if is_urgent && wire.to_server.len() > 1 {
            wire.urgent = Some(wire.to_server.len() / 2);
        }
        let mark = wire.urgent.filter(|&mark| mark > 0);
        let len = wire.take(&mut room[..part.min(mark.unwrap_or(part))]);
        // A short read means that the socket is empty, so the rest counts as bytes that arrive now,
        // and there is an event for it; but there is none for bytes after an urgent mark.
        let is_at_mark = mark == Some(len);
        wire.urgent = mark.map(|mark| mark - len).filter(|&left| left > 0);
        if len < room.len() && !is_at_mark {
            wire.read_edge |= !wire.to_server.is_empty();
        }
        self.list(id);
        tell!(self, "read from client {id}: {}", Bytes(&room[..len], &[]));
        Ok(len)
    }

    fn write(&mut self, stream: &mut SimStream, first: &[u8], second: &[u8]) -> io::Result<usize> {
        self.may_reset(stream.0);
        if let Some(error) = self.fails(Call::Write) {
            self.suffer(stream.0, &error);
            return Err(error);
        }
        self.write_to(stream.0, first, second)
    }

    fn send_file(
        &mut self,
        stream: &mut SimStream,
        file: &File,
        offset: u64,
        len: usize,
    ) -> io::Result<usize> {
        self.may_reset(stream.0);
        if let Some(error) = self.fails(Call::SendFile) {
            self.suffer(stream.0, &error);
            return Err(error);
        }
        if self.faults.shortens_file() {
            tell!(self, "the file has become shorter");
            return Ok(0);
        }
        let mut piece = vec![0; len];
        let read = file.read_at(&mut piece, offset)?;
        match read {
            0 => Ok(0),
            _ => self.write_to(stream.0, &piece[..read], &[]),
        }
    }

    fn shutdown_write(&mut self, stream: &mut SimStream) -> io::Result<()> {
        if let Some(error) = self.fails(Call::Shutdown) {
            self.suffer(stream.0, &error);
            return Err(error);
        }
        tell!(self, "shut down for writing: client {}", stream.0);
        self.wires[stream.0].server_ended = true;
        Ok(())
    }

    /// Closes the connection, since a simulated stream cannot leave the simulation.
    fn release(&mut self, stream: SimStream) -> io::Result<HijackedStream> {
        let error = self.fails(Call::Release);
        self.note_closed(stream.0, Closed::Ordinarily);
        match error {
            Some(error) => Err(error),
            None => Ok(HijackedStream::Simulated),
        }
    }

    fn close(&mut self, stream: SimStream, with_reset: bool) {
        // Closing with unread bytes is a reset, as in TCP.
        let is_reset = with_reset || !self.wires[stream.0].to_server.is_empty();
        let (how, line) = match is_reset {
            true => (Closed::Reset, "reset"),
            false => (Closed::Ordinarily, "close"),
        };
        tell!(self, "{line}: client {}", stream.0);
        self.note_closed(stream.0, how);
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

impl SimKernel {
    fn write_to(&mut self, id: usize, first: &[u8], second: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        let (is_full, part) =
            (self.faults.is_full(), self.faults.part_of(first.len() + second.len()));
        let wire = &mut self.wires[id];
        if wire.client_reset {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        assert!(!wire.server_ended, "a write after the end of the server's side");
        let free = wire.free();
        let wanted = first.len() + second.len();
        wire.was_blocked |= free < wanted;
        if free == 0 || is_full {
            // If it is full only for a moment, the next poll has an event for the room.
            wire.write_edge |= free > 0 && wire.watches_writing;
            self.list(id);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let free = free.min(part);
        let of_first = first.len().min(free);
        let of_second = second.len().min(free - of_first);
        wire.to_client.extend(&first[..of_first]);
        wire.to_client.extend(&second[..of_second]);
        wire.count_written(self.polls, of_first + of_second);
        let (first, second) = (&first[..of_first], &second[..of_second]);
        tell!(self, "write to client {id}: {}", Bytes(first, second));
        Ok(wanted.min(free))
    }
}

/// Whether `accept` failed because the client that waited has gone.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AGAIN | Errno::CONNABORTED | Errno::PROTO | Errno::PERM | Errno::NETDOWN)
    )
}

/// An accepted connection of a [`SimKernel`]: its number.
pub(crate) struct SimStream(pub(super) usize);

impl Transport for SimStream {
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
