//! Tests of a whole server without sockets, threads or waiting: the real loop, the real protocol
//! and your handler run on a simulated kernel with a virtual clock.
//!
//! A test connects clients, sends bytes, lets time pass and looks at the bytes that came back. An
//! hour of timeouts costs microseconds, and the same test gives the same result every time.
//!
//! ```
//! use std::time::Duration;
//! use wheelhouse::{sim::Sim, Request, Response};
//!
//! let mut sim = Sim::new(|req: &Request<'_>| Response::text(format!("hello {}", req.path())));
//! assert_eq!(sim.get("/you").text(), "hello /you");
//!
//! // A client that sends its head byte by byte gets a 408 after ten seconds.
//! let slow = sim.connect();
//! for byte in b"GET / HTTP/1.1\r\nX: y" {
//!     sim.send(slow, &[*byte]);
//!     sim.advance(Duration::from_secs(1));
//! }
//! assert!(sim.received(slow).starts_with(b"HTTP/1.1 408"));
//! ```
//!
//! [`Sim::of`] takes the program's own [`Server`], with its limits, hooks and timers. The clock is that
//! of the loop alone: a handler that asks `std::time::Instant` gets the time of the machine. A program
//! that measures longer times lets a timer ([`Server::every`], [`Remote::after`]) end them.
//!
//! [`Remote::after`]: crate::runtime::Remote::after

mod faults;
#[cfg(all(test, loom))]
mod loom_checks;
mod kernel;
mod request;
mod response;
mod story;
mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::handler::Handler;
use crate::reactor::kernel::Kernel;
use crate::reactor::mailbox::Mailbox;
use crate::reactor::owner::Owner;
use crate::reactor::LISTENERS_MAX;
use crate::server::{Handle, Server};
use crate::sim::faults::{Faults, Planned};
use crate::sim::kernel::SimKernel;
use crate::sim::wire::Closed;
use crate::stats::Report;
use crate::stats::Stats;

pub use crate::sim::request::RequestBuilder;
pub use crate::sim::response::Response;

/// The most connections of a server with `connections_max` 0.
const CONNECTIONS_MAX: usize = 1 << 20;

/// Turns of one call on the simulation. A server that needs more spins.
const TURNS_MAX: u64 = 1 << 23;

/// A server on a simulated kernel. Dropping it stops the server, as [`Handle::stop`] does.
#[doc(alias("httptest", "TestServer", "TestClient", "ResponseRecorder", "mock"))]
pub struct Sim<S = ()> {
    reactor: Owner<'static, SimKernel, S>,
    mailbox: Arc<Mailbox>,
    listeners: Vec<Box<str>>,
    is_running: bool,
    is_paused: bool,
}

/// A simulated client with one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(usize);

impl Sim {
    /// Creates a simulation of a server without state, with default limits.
    pub fn new(handler: impl Handler + 'static) -> Sim {
        Sim::plain(Box::new(handler))
    }

    /// Since this has no type parameter, the whole loop of a server without state is compiled with
    /// the library, and not with each program that simulates one.
    fn plain(handler: Box<dyn Handler>) -> Sim {
        Sim::of_boxed(Server::new(), handler).expect("the default limits are valid")
    }
}

impl<S: 'static> Sim<S> {
    /// Creates a simulation of a server with state, with default limits.
    pub fn with_state(state: S, handler: impl Handler<S> + 'static) -> Sim<S> {
        let sim = Sim::of(Server::with_state(state), handler);
        sim.expect("the default limits are valid")
    }

    /// Creates a simulation of a program's own server, with its limits, hooks and timers. The
    /// listeners of the server are closed, and simulated clients connect to their names.
    ///
    /// # Errors
    ///
    /// [`Error::Limits`] if a limit is out of bounds.
    pub fn of(server: Server<S>, handler: impl Handler<S> + 'static) -> Result<Sim<S>, Error> {
        Sim::of_boxed(server, Box::new(handler))
    }

    /// The loop is compiled once for each type of state. Without the box it would be compiled once
    /// for each handler, which was two thirds of the time that the tests took to compile.
    fn of_boxed(server: Server<S>, handler: Box<dyn Handler<S>>) -> Result<Sim<S>, Error> {
        server.limits.check()?;
        let (mut kernel, mailbox) = (SimKernel::new(), server.mailbox.clone());
        let mut listeners: Vec<_> = server.listeners.iter().map(|(name, _)| name.clone()).collect();
        if listeners.is_empty() {
            listeners.push("192.0.2.80:80".into());
        }
        for _ in &listeners {
            kernel.listen();
        }
        let numbered = listeners.iter().cloned().zip(0..).collect();
        let reactor = server.build_on(kernel, numbered, || CONNECTIONS_MAX, handler);
        let reactor = reactor.expect("the simulated kernel refuses nothing at the start");
        let mut sim = Sim { reactor, mailbox, listeners, is_running: true, is_paused: false };
        sim.run();
        Ok(sim)
    }

    /// Makes the simulated kernel show faults: interrupted calls, short reads and writes, sockets
    /// that are full for a moment, events without a cause. The same seed gives the same faults.
    /// They may cost turns, but they must not change the bytes that clients get.
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Request};
    ///
    /// for seed in 0..100 {
    ///     let mut sim = Sim::new(|_: &Request<'_>| "whole");
    ///     sim.set_faults(seed);
    ///     assert_eq!(sim.get("/").text(), "whole");
    /// }
    /// ```
    pub fn set_faults(&mut self, seed: u64) {
        self.kernel().faults = Faults::mild(seed);
    }

    /// Makes the simulated kernel show any of its faults, at rates that follow from the seed: also
    /// those that break connections, files and calls. Returns the rates, for the message of a
    /// failure.
    #[doc(hidden)]
    pub fn set_hard_faults(&mut self, seed: u64) -> String {
        self.kernel().faults = Faults::hard(seed);
        format!("{:?}", self.kernel().faults.rates)
    }

    /// Ends all faults.
    #[doc(hidden)]
    pub fn end_faults(&mut self) {
        self.kernel().heal();
    }

    /// Sets the most connections that the server can accept before it is out of descriptors.
    #[doc(hidden)]
    pub fn set_descriptors_max(&mut self, most: usize) {
        self.kernel().descriptors_max = most;
    }

    /// Begins to record the calls that may fail.
    #[doc(hidden)]
    pub fn record_calls(&mut self) {
        self.kernel().calls = Some(Vec::new());
    }

    /// Returns the recorded calls, each with its name and the error numbers with which it may fail.
    #[doc(hidden)]
    pub fn recorded_calls(&mut self) -> Vec<(String, Vec<i32>)> {
        let calls = self.kernel().calls.iter().flatten();
        let numbers =
            |call: &faults::Call| call.errors().iter().map(|error| error.raw_os_error()).collect();
        calls.map(|call| (format!("{call:?}"), numbers(call))).collect()
    }

    /// Makes one call fail with this error number of the system: the one after `calls_before` more
    /// calls that may fail.
    #[doc(hidden)]
    pub fn fail_call(&mut self, calls_before: usize, error: i32) {
        self.kernel().planned = Some(Planned { calls_before, error });
    }

    /// Begins or ends the story of the run: a text that says turn by turn which events, calls and
    /// time there were, and how the states and deadlines of connections changed. A turn in which
    /// nothing happens is left out. It is off by default, because a long run has a long story.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wheelhouse::{sim::Sim, Request};
    ///
    /// let mut sim = Sim::new(|_: &Request<'_>| "hello");
    /// sim.set_story(true);
    /// let client = sim.connect();
    /// sim.send(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// sim.advance(Duration::from_secs(101));
    /// assert_eq!(
    ///     sim.story(),
    ///     r#"client 0 connects
    /// turn 3 at 0.000 s
    ///     event: listener 0 readable
    ///     accept: client 0
    ///     client 0: New; Head deadline at 10.048 s
    /// client 0 sends 27 B "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    /// turn 5 at 0.000 s
    ///     event: client 0 readable
    ///     read from client 0: 27 B "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    ///     write to client 0: 121 B "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 "..
    ///     client 0: Idle; Idle deadline at 100.032 s
    /// turn 8 at 100.032 s
    ///     close: client 0
    /// "#
    /// );
    /// ```
    ///
    /// The text is for people, and may change in every version.
    pub fn set_story(&mut self, is_told: bool) {
        self.kernel().story = is_told.then(Box::default);
    }

    /// Returns the [story](Sim::set_story) so far; an empty text if none is told.
    pub fn story(&mut self) -> &str {
        self.kernel().story.as_ref().map_or("", |story| story.text())
    }

    /// Returns the state of the server.
    pub fn state(&mut self) -> &mut S {
        self.reactor.state()
    }

    /// Returns the handle of the server. A call of a handle takes effect with the next call on the
    /// simulation.
    pub fn handle(&self) -> Handle {
        Handle::of_loop(self.mailbox.clone())
    }

    /// Connects a client to the first listener, and runs the server.
    pub fn connect(&mut self) -> Client {
        self.connect_to_number(0, None)
    }

    /// Connects a client to the listener of this name, which is added if the server does not have
    /// it.
    ///
    /// # Panics
    ///
    /// If the listener would have to be added and the server has 250 listeners already.
    pub fn connect_to(&mut self, listener: &str) -> Client {
        let n = self.listeners.iter().position(|name| **name == *listener);
        let n = n.unwrap_or_else(|| self.add_listener(listener));
        self.connect_to_number(n, None)
    }

    fn add_listener(&mut self, name: &str) -> usize {
        let n = self.listeners.len();
        assert!(n < LISTENERS_MAX, "a server has at most {LISTENERS_MAX} listeners");
        self.listeners.push(name.into());
        if self.is_running {
            self.kernel().listen();
            let added = self.reactor.add_listener(name.into(), n);
            added.expect("the simulated kernel watches every listener");
        }
        n
    }

    /// Connects a client with the address `peer`, to test code that looks at the address. Other
    /// clients have addresses of their own: `192.0.2.1` and the following.
    pub fn connect_from(&mut self, peer: SocketAddr) -> Client {
        self.connect_to_number(0, Some(peer))
    }

    fn connect_to_number(&mut self, n: usize, peer: Option<SocketAddr>) -> Client {
        let client = self.kernel().connect(n, peer);
        self.run();
        client
    }

    /// Connects a client that sends `bytes` before the server runs.
    #[doc(hidden)]
    pub fn connect_and_send(&mut self, bytes: impl AsRef<[u8]>) -> Client {
        let client = self.kernel().connect(0, None);
        self.kernel().send(client, bytes.as_ref());
        self.run();
        client
    }

    /// Sends `bytes` from the client as one segment, and runs the server. The bytes are lost if
    /// either side has closed.
    pub fn send(&mut self, client: Client, bytes: impl AsRef<[u8]>) {
        self.kernel().send(client, bytes.as_ref());
        self.run();
    }

    /// Sends `bytes` from the client and ends its side in the same segment.
    #[doc(hidden)]
    pub fn send_and_end(&mut self, client: Client, bytes: impl AsRef<[u8]>) {
        self.kernel().send(client, bytes.as_ref());
        self.kernel().end(client);
        self.run();
    }

    /// Sends an urgent byte from the client, and runs the server. It is no part of the stream, but
    /// the next read ends before it.
    #[doc(hidden)]
    pub fn send_urgent(&mut self, client: Client) {
        self.kernel().send_urgent(client);
        self.run();
    }

    /// Ends the client's side of the connection. The client still reads.
    pub fn end(&mut self, client: Client) {
        self.kernel().end(client);
        self.run();
    }

    /// Resets the connection from the client's side.
    pub fn reset(&mut self, client: Client) {
        self.kernel().reset(client);
        self.run();
    }

    /// Makes the client stop reading. The server can write `window` more bytes into the socket
    /// buffer, and then it has to wait.
    pub fn stall(&mut self, client: Client, window: usize) {
        let wire = self.kernel().wire(client);
        wire.reads = false;
        wire.window = window;
    }

    /// Makes a client that has [stalled](Sim::stall) read `n` bytes.
    pub fn read(&mut self, client: Client, n: usize) {
        self.kernel().deliver_to(client, n);
        self.run();
    }

    /// Makes a client that has [stalled](Sim::stall) read everything again, at once.
    pub fn unstall(&mut self, client: Client) {
        self.kernel().wire(client).reads = true;
        // `run` delivers the bytes in the socket buffer only while the server runs.
        self.kernel().deliver_to(client, usize::MAX);
        self.run();
    }

    /// Stops the server until [`resume`](Sim::resume), as a handler that blocks would. The events
    /// of clients then reach it in one batch, and it notices only afterwards that time has passed.
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Runs the server again after a [`pause`](Sim::pause).
    pub fn resume(&mut self) {
        self.is_paused = false;
        self.run();
    }

    /// Lets virtual time pass. Everything that is due in it happens at its own time: timers and
    /// deadlines are kept to a tick of the loop, so they come up to 65 ms late here, too.
    pub fn advance(&mut self, time: Duration) {
        let is_paused = self.is_paused;
        let kernel = self.kernel();
        kernel.horizon += time;
        if is_paused {
            kernel.now = kernel.horizon;
        }
        self.run();
        self.reactor.check_wheel();
    }

    /// Returns the bytes that the client has read so far.
    pub fn received(&mut self, client: Client) -> &[u8] {
        &self.kernel().wire(client).received
    }

    /// Returns the bytes that the client has read since the last call.
    #[doc(hidden)]
    pub fn take_received(&mut self, client: Client) -> Vec<u8> {
        let wire = self.kernel().wire(client);
        wire.parsed = 0;
        std::mem::take(&mut wire.received)
    }

    /// Returns whether the connection is open: the server has neither closed nor reset it.
    pub fn is_open(&mut self, client: Client) -> bool {
        self.kernel().wire(client).closed.is_none()
    }

    /// Returns whether the server has ended its side, so that a read of the client finds the end.
    #[doc(hidden)]
    pub fn has_ended(&mut self, client: Client) -> bool {
        let wire = self.kernel().wire(client);
        wire.server_ended || wire.closed.is_some()
    }

    /// Returns whether the server has reset the connection. Bytes on their way are then lost.
    pub fn was_reset(&mut self, client: Client) -> bool {
        self.kernel().wire(client).closed == Some(Closed::Reset)
    }

    /// Returns the number of bytes that the client has sent and the server has not read.
    #[doc(hidden)]
    pub fn unread(&mut self, client: Client) -> usize {
        self.kernel().wire(client).to_server.len()
    }

    /// Makes the next calls of `accept` fail, one with each of these error numbers of the system.
    #[doc(hidden)]
    pub fn fail_accepts(&mut self, errors: impl IntoIterator<Item = i32>) {
        self.kernel().accept_errors.extend(errors);
    }

    /// Makes the next calls that watch a new connection fail, this number of them.
    #[doc(hidden)]
    pub fn fail_watches(&mut self, count: usize) {
        self.kernel().watches_to_fail = count;
    }

    /// Makes a signal interrupt the next polls, this number of them: they return before they look.
    #[doc(hidden)]
    pub fn interrupt_polls(&mut self, count: usize) {
        self.kernel().interrupts = count;
    }

    /// Stops the process for `time` as soon as the next poll has looked. Meanwhile the client sends
    /// `bytes`.
    #[doc(hidden)]
    pub fn stop_after_poll(&mut self, time: Duration, client: Client, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref().to_vec();
        self.kernel().stop = Some(kernel::Stop { time, client, bytes });
    }

    /// Lets functions of the program block: virtual time passes by the nanoseconds that they add to
    /// `blocked`, and the loop does not look meanwhile.
    #[doc(hidden)]
    pub fn set_blocked(&mut self, blocked: Arc<AtomicU64>) {
        self.kernel().blocked = blocked;
    }

    /// Returns whether the loop is still running. It ends after a shutdown.
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// Returns the figures of the server so far.
    pub fn report(&self) -> Report {
        self.reactor.report()
    }

    /// Returns the numbers of the server.
    pub fn stats(&self) -> Stats {
        self.reactor.stats()
    }

    /// Returns the number of bytes that count against
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max) at present.
    #[doc(hidden)]
    pub fn memory(&self) -> usize {
        self.reactor.memory_used()
    }

    /// Returns the number of polls so far. An idle server does not poll.
    #[doc(hidden)]
    pub fn polls(&mut self) -> u64 {
        self.kernel().polls
    }

    /// Returns the number of writes to sockets so far. Output that is ready together should leave
    /// with one write.
    #[doc(hidden)]
    pub fn writes(&mut self) -> u64 {
        self.kernel().writes
    }

    /// Returns the virtual time since the start.
    pub fn now(&mut self) -> Duration {
        self.kernel().elapsed()
    }

    /// Runs the loop until it sleeps beyond the present.
    fn run(&mut self) {
        let first = self.polls();
        while self.is_running && !self.is_paused {
            assert!(self.polls() - first < TURNS_MAX, "the loop does not come to rest");
            self.kernel().is_asleep = false;
            let goes_on = self.reactor.turn(None);
            self.is_running = goes_on.expect("the simulated poll does not fail");
            self.reactor.check();
            assert_eq!(self.kernel().open(), self.reactor.connections(), "sockets that are open");
            self.end_turn_of_story();
            self.kernel().deliver();
            if self.kernel().is_asleep && !self.kernel().has_news() {
                return;
            }
        }
    }

    fn end_turn_of_story(&mut self) {
        let Some(mut story) = self.kernel().story.take() else { return };
        let (number, at) = (self.kernel().polls, self.now());
        let states = self.reactor.describe();
        story.end_turn(number, at, states.into_iter().map(|(stream, state)| (stream.0, state)));
        self.kernel().story = Some(story);
    }

    fn kernel(&mut self) -> &mut SimKernel {
        self.reactor.kernel_mut()
    }
}

impl<S> fmt::Debug for Sim<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("is_running", &self.is_running).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::mailbox::Message;
    use crate::{Reply, Request};

    fn signal(sim: &mut Sim) {
        sim.kernel().signals += 1;
        sim.mailbox.send(Message::KeepAlive(true));
        sim.run();
    }

    /// A program with a loop of its own may work for a long time between two turns.
    #[test]
    fn the_time_until_the_next_turn_is_counted_from_now_and_not_from_the_last_turn() {
        let mut sim = Sim::new(|_: &Request<'_>| "");
        sim.connect();
        let until_deadline = sim.reactor.timeout().expect("a head is due");
        sim.pause();
        sim.advance(Duration::from_secs(3));
        assert_eq!(sim.reactor.timeout(), Some(until_deadline - Duration::from_secs(3)));
        sim.advance(Duration::from_secs(9));
        assert_eq!(sim.reactor.timeout(), Some(Duration::ZERO));
    }

    #[test]
    fn only_a_second_signal_stops_at_once_even_if_the_server_drains_already() {
        for drains in [false, true] {
            let mut sim = Sim::new(|_: &Request<'_>| -> Reply {
                let (later, reply) = Reply::later();
                std::mem::forget(later);
                reply
            });
            let client = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            if drains {
                sim.handle().shutdown();
                sim.run();
            }
            signal(&mut sim);
            assert!(sim.is_running() && sim.is_open(client), "the first signal drains");
            signal(&mut sim);
            assert!(!sim.is_running() && sim.was_reset(client), "the second one stops");
        }
    }
}
