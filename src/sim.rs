//! The whole server without sockets, threads or waiting: the real loop, the real protocol and
//! your handler on a simulated kernel with a virtual clock.
//!
//! A test connects clients, sends bytes, lets time pass and looks at what came back. An hour of
//! time-outs costs microseconds, and the same test gives the same result every time.
//!
//! ```
//! use std::time::Duration;
//! use wheelhouse::{sim::Sim, Request, Response};
//!
//! let mut sim = Sim::new(|req: &Request<'_>| Response::text(format!("hello {}", req.path())));
//! let client = sim.connect();
//! sim.send(client, b"GET /you HTTP/1.1\r\nHost: here\r\n\r\n");
//! assert!(sim.received(client).ends_with(b"\r\n\r\nhello /you"));
//!
//! // A peer that drips its head is cut after ten seconds, however steadily it drips.
//! let slow = sim.connect();
//! for byte in b"GET / HTTP/1.1\r\nX: y" {
//!     sim.send(slow, &[*byte]);
//!     sim.advance(Duration::from_secs(1));
//! }
//! assert!(sim.received(slow).starts_with(b"HTTP/1.1 408"));
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::handler::Handler;
use crate::limits::{Limits, LimitsError};
use crate::reactor::clock::{self, Millis};
use crate::reactor::completions::{Mailbox, Message, Wake};
use crate::reactor::drain::Report;
use crate::reactor::hooks::{Accepted, Admission, ConnState, Hooks};
use crate::reactor::kernel::{Event, Kernel, EVENTS_MAX};
use crate::reactor::{Reactor, Token};
use crate::request::Transport;

/// A server in a simulated world.
pub struct Sim<H: Handler> {
    reactor: Reactor<SimKernel, H>,
    mailbox: Arc<Mailbox>,
    is_running: bool,
    is_paused: bool,
}

/// One simulated client connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(usize);

impl<H: Handler> Sim<H> {
    /// A server with default limits.
    pub fn new(handler: H) -> Sim<H> {
        SimBuilder::new().build(handler)
    }

    /// A server with other limits.
    ///
    /// # Errors
    ///
    /// [`LimitsError`] if they cannot be kept together.
    pub fn with_limits(handler: H, limits: Limits) -> Result<Sim<H>, LimitsError> {
        Ok(SimBuilder::new().limits(limits)?.build(handler))
    }

    /// Connects a client and lets the server notice it.
    pub fn connect(&mut self) -> Client {
        let client = self.kernel().connect();
        self.run();
        client
    }

    /// Connects a client that has already sent `bytes`, and lets the server notice both.
    pub fn connect_and_send(&mut self, bytes: &[u8]) -> Client {
        let client = self.kernel().connect();
        self.kernel().send(client, bytes);
        self.run();
        client
    }

    /// The client sends `bytes` as one segment, and the server does what it will. Lost if either
    /// side has closed, as in life.
    pub fn send(&mut self, client: Client, bytes: &[u8]) {
        self.kernel().send(client, bytes);
        self.run();
    }

    /// The client sends `bytes` and ends its side in the same segment.
    pub fn send_and_end(&mut self, client: Client, bytes: &[u8]) {
        self.kernel().send(client, bytes);
        self.kernel().end(client);
        self.run();
    }

    /// The client ends its side and reads on.
    pub fn end(&mut self, client: Client) {
        self.kernel().end(client);
        self.run();
    }

    /// The client resets the connection.
    pub fn reset(&mut self, client: Client) {
        self.kernel().reset(client);
        self.run();
    }

    /// The client stops reading: what the server writes fills the socket buffer of `window`
    /// bytes, and then the server has to wait.
    pub fn stall(&mut self, client: Client, window: usize) {
        let wire = self.kernel().wire(client);
        wire.reads = false;
        wire.window = window;
    }

    /// A client that has stalled reads `n` bytes.
    pub fn read(&mut self, client: Client, n: usize) {
        self.kernel().wire(client).deliver(n);
        self.run();
    }

    /// A client that has stalled reads everything again, at once.
    pub fn unstall(&mut self, client: Client) {
        self.kernel().wire(client).reads = true;
        self.run();
    }

    /// The server does nothing until [`resume`](Sim::resume): what clients do meanwhile reaches
    /// it at one instant, in one batch of events.
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// The server goes on after a [`pause`](Sim::pause).
    pub fn resume(&mut self) {
        self.is_paused = false;
        self.run();
    }

    /// Lets time pass; whatever is due in it happens at its time.
    pub fn advance(&mut self, time: Duration) {
        self.kernel().horizon += time;
        self.run();
        self.reactor.check_wheel();
    }

    /// What the client has read so far.
    pub fn received(&mut self, client: Client) -> &[u8] {
        &self.kernel().wire(client).received
    }

    /// What the client has read since the last call.
    pub fn take_received(&mut self, client: Client) -> Vec<u8> {
        std::mem::take(&mut self.kernel().wire(client).received)
    }

    /// Whether the server has not closed the connection.
    pub fn is_open(&mut self, client: Client) -> bool {
        self.kernel().wire(client).closed.is_none()
    }

    /// Whether the server has said that nothing more will come: the client's read gives its end.
    pub fn has_ended(&mut self, client: Client) -> bool {
        let wire = self.kernel().wire(client);
        wire.server_ended || wire.closed.is_some()
    }

    /// Whether the server has reset the connection: what was on its way is lost.
    pub fn was_reset(&mut self, client: Client) -> bool {
        self.kernel().wire(client).closed == Some(Closed::Reset)
    }

    /// Bytes that the client has sent and the server has not read.
    pub fn unread(&mut self, client: Client) -> usize {
        self.kernel().wire(client).to_server.len()
    }

    /// Makes the next calls of `accept` fail with these errors of the system, one each.
    pub fn fail_accepts(&mut self, errors: impl IntoIterator<Item = i32>) {
        self.kernel().accept_errors.extend(errors);
    }

    /// Shuts down gracefully, as [`Handle::shutdown`](crate::Handle::shutdown).
    pub fn shutdown(&mut self, timeout: Option<Duration>) {
        self.mailbox.send(Message::Shutdown(timeout));
        self.run();
    }

    /// Stops at once, as [`Handle::stop`](crate::Handle::stop).
    pub fn stop(&mut self) {
        self.mailbox.send(Message::Stop);
        self.run();
    }

    /// Whether the loop has something left to do.
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// What has been done so far.
    pub fn report(&self) -> Report {
        self.reactor.report()
    }

    /// Bytes that the server counts against its budget now.
    pub fn memory(&self) -> usize {
        self.reactor.memory_used()
    }

    /// How often the server has called the poll: an idle one does not.
    pub fn polls(&mut self) -> u64 {
        self.kernel().polls
    }

    /// Virtual time since the start.
    pub fn now(&mut self) -> Duration {
        self.kernel().now
    }

    /// Turns until the loop sleeps beyond the present.
    fn run(&mut self) {
        while self.is_running && !self.is_paused {
            self.kernel().is_asleep = false;
            self.is_running = self.reactor.turn().expect("the simulated poll does not fail");
            self.reactor.check();
            self.kernel().deliver();
            if self.kernel().is_asleep && !self.kernel().has_news() {
                return;
            }
        }
    }

    fn kernel(&mut self) -> &mut SimKernel {
        self.reactor.kernel()
    }
}

impl<H: Handler> fmt::Debug for Sim<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("is_running", &self.is_running).finish_non_exhaustive()
    }
}

/// A simulated server being set up.
#[derive(Default)]
pub struct SimBuilder {
    limits: Limits,
    hooks: Hooks,
}

impl SimBuilder {
    /// Default limits, no hooks.
    pub fn new() -> SimBuilder {
        SimBuilder::default()
    }

    /// As [`Server::limits`](crate::Server::limits).
    ///
    /// # Errors
    ///
    /// [`LimitsError`] if they cannot be kept together.
    pub fn limits(mut self, limits: Limits) -> Result<SimBuilder, LimitsError> {
        limits.check()?;
        self.limits = limits;
        Ok(self)
    }

    /// As [`Server::on_connect`](crate::Server::on_connect).
    pub fn on_connect(
        mut self,
        hook: impl FnMut(&Accepted<'_>) -> Admission + 'static,
    ) -> SimBuilder {
        self.hooks.on_connect = Some(Box::new(hook));
        self
    }

    /// As [`Server::on_state`](crate::Server::on_state).
    pub fn on_state(mut self, hook: impl FnMut(u64, ConnState) + 'static) -> SimBuilder {
        self.hooks.on_state = Some(Box::new(hook));
        self
    }

    /// The server, which has begun to listen.
    pub fn build<H: Handler>(self, handler: H) -> Sim<H> {
        let kernel = SimKernel::new();
        let mailbox = Arc::new(Mailbox::new(kernel.waker()));
        let connections_max = match self.limits.connections_max {
            0 => 1 << 20,
            max => max,
        };
        let reactor = Reactor::new(
            kernel,
            mailbox.clone(),
            vec![()],
            handler,
            self.hooks,
            self.limits,
            connections_max,
        );
        let reactor = reactor.expect("the simulated kernel refuses nothing at the start");
        let mut sim = Sim { reactor, mailbox, is_running: true, is_paused: false };
        sim.run();
        sim
    }
}

impl fmt::Debug for SimBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A kernel made up: sockets are byte queues, readiness has edges as epoll has them, time moves
/// only as far as the test lets it.
pub(crate) struct SimKernel {
    now: Duration,
    /// How far time may move.
    horizon: Duration,
    /// The last poll found nothing and would sleep beyond the horizon.
    is_asleep: bool,
    polls: u64,
    wires: Vec<Wire>,
    /// Connected and not yet accepted.
    queue: VecDeque<usize>,
    listener_edge: bool,
    is_listening: bool,
    accept_errors: VecDeque<i32>,
    bell: Arc<Bell>,
}

/// Both directions of one connection.
struct Wire {
    to_server: VecDeque<u8>,
    client_ended: bool,
    client_reset: bool,
    /// Written by the server and not yet read by the client: at most `window`.
    to_client: VecDeque<u8>,
    window: usize,
    reads: bool,
    received: Vec<u8>,
    server_ended: bool,
    closed: Option<Closed>,
    token: Option<Token>,
    watches_writing: bool,
    was_blocked: bool,
    read_edge: bool,
    write_edge: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    Ordinarily,
    Reset,
}

/// What a socket buffer takes before a write blocks, unless a test says otherwise.
const WINDOW: usize = 256 << 10;

/// 1 January 2026, noon, and half a second.
const WALL_AT_START: Duration = Duration::from_millis(1_767_268_800_500);

impl SimKernel {
    fn new() -> SimKernel {
        SimKernel {
            now: Duration::ZERO,
            horizon: Duration::ZERO,
            is_asleep: false,
            polls: 0,
            wires: Vec::new(),
            queue: VecDeque::new(),
            listener_edge: false,
            is_listening: true,
            accept_errors: VecDeque::new(),
            bell: Arc::default(),
        }
    }

    fn wire(&mut self, client: Client) -> &mut Wire {
        &mut self.wires[client.0]
    }

    fn connect(&mut self) -> Client {
        let id = self.wires.len();
        self.wires.push(Wire::new());
        if self.is_listening {
            self.queue.push_back(id);
            self.listener_edge = true;
        } else {
            self.wires[id].closed = Some(Closed::Reset);
        }
        Client(id)
    }

    fn send(&mut self, client: Client, bytes: &[u8]) {
        let wire = self.wire(client);
        if wire.is_cut() || wire.client_ended || bytes.is_empty() {
            return;
        }
        wire.to_server.extend(bytes);
        wire.read_edge = true;
    }

    fn end(&mut self, client: Client) {
        let wire = self.wire(client);
        wire.client_ended = true;
        wire.read_edge = true;
    }

    fn reset(&mut self, client: Client) {
        let wire = self.wire(client);
        wire.client_reset = true;
        wire.read_edge = true;
        wire.write_edge = wire.watches_writing;
    }

    /// The clients that read do so.
    fn deliver(&mut self) {
        for wire in &mut self.wires {
            if wire.reads {
                wire.deliver(usize::MAX);
            }
        }
    }

    fn has_news(&self) -> bool {
        self.listener_edge || self.bell.is_rung() || self.wires.iter().any(Wire::has_news)
    }
}

impl Wire {
    fn new() -> Wire {
        Wire {
            to_server: VecDeque::new(),
            client_ended: false,
            client_reset: false,
            to_client: VecDeque::new(),
            window: WINDOW,
            reads: true,
            received: Vec::new(),
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

    /// Moves bytes from the socket buffer to the client; a write that was blocked is told when a
    /// third of the buffer is free, as Linux does.
    fn deliver(&mut self, most: usize) {
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
    type Listener = ();

    fn now(&self) -> Millis {
        clock::millis(self.now)
    }

    fn wall(&self) -> Duration {
        WALL_AT_START + self.now
    }

    fn poll(&mut self, timeout: Option<Duration>, mut note: impl FnMut(Event)) -> io::Result<bool> {
        self.polls += 1;
        let mut count = 0;
        if std::mem::take(&mut self.listener_edge) {
            count += 1;
            let token = Token::listener(0);
            note(Event { token, readable: true, writable: false, read_closed: false });
        }
        for event in self.wires.iter_mut().filter_map(Wire::event).take(EVENTS_MAX - count) {
            count += 1;
            note(event);
        }
        if count == 0 && !self.bell.clear() {
            let wake = timeout.map_or(Duration::MAX, |timeout| self.now.saturating_add(timeout));
            self.is_asleep = wake > self.horizon;
            self.now = wake.min(self.horizon);
        }
        Ok(count == EVENTS_MAX)
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.bell.clone()
    }

    fn signals(&mut self) -> usize {
        0
    }

    fn watch_listener(&mut self, _: &mut (), _: Token) -> io::Result<()> {
        Ok(())
    }

    fn rewatch_listener(&mut self, _: &mut (), _: Token) -> io::Result<()> {
        self.listener_edge = !self.queue.is_empty();
        Ok(())
    }

    fn accept(&mut self, _: &()) -> io::Result<SimStream> {
        if let Some(error) = self.accept_errors.pop_front() {
            return Err(io::Error::from_raw_os_error(error));
        }
        match self.queue.pop_front() {
            Some(id) => Ok(SimStream(id)),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn shed(&mut self, _: &()) -> bool {
        match self.queue.pop_front() {
            Some(id) => {
                self.wires[id].closed = Some(Closed::Ordinarily);
                true
            }
            None => false,
        }
    }

    fn unlisten(&mut self, (): ()) {
        self.is_listening = false;
        for id in self.queue.drain(..) {
            self.wires[id].closed = Some(Closed::Reset);
        }
    }

    fn watch(&mut self, stream: &mut SimStream, token: Token) -> io::Result<()> {
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
        let wire = &mut self.wires[stream.0];
        if wire.client_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if wire.to_server.is_empty() && !wire.client_ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // The queue is a ring and a read takes one of its halves; a socket has no halves, and a
        // short read of it means that it is empty.
        let first = io::Read::read(&mut wire.to_server, room)?;
        Ok(first + io::Read::read(&mut wire.to_server, &mut room[first..])?)
    }

    fn write(&mut self, stream: &mut SimStream, first: &[u8], second: &[u8]) -> io::Result<usize> {
        let wire = &mut self.wires[stream.0];
        if wire.client_reset {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        assert!(!wire.server_ended, "nothing is written behind the end");
        let free = wire.window - wire.to_client.len().min(wire.window);
        let wanted = first.len() + second.len();
        wire.was_blocked |= free < wanted;
        if free == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
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

    fn close(&mut self, stream: SimStream, with_reset: bool) {
        let wire = &mut self.wires[stream.0];
        // Closing with unread bytes is a reset, as in TCP.
        let is_reset = with_reset || !wire.to_server.is_empty();
        wire.closed = Some(if is_reset { Closed::Reset } else { Closed::Ordinarily });
    }
}

/// An accepted connection of a [`SimKernel`].
pub(crate) struct SimStream(usize);

impl Transport for SimStream {
    /// An address that is kept for documentation, one port per client.
    fn peer_addr(&self) -> Option<SocketAddr> {
        Some((Ipv4Addr::new(192, 0, 2, 1), 1024 + (self.0 % 60_000) as u16).into())
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some((Ipv4Addr::new(192, 0, 2, 80), 80).into())
    }
}

#[derive(Default)]
struct Bell(AtomicBool);

impl Bell {
    fn is_rung(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn clear(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::Release);
    }
}
