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
//! assert_eq!(sim.get("/you").text(), "hello /you");
//!
//! // A peer that drips its head is cut after ten seconds, however steadily it drips.
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

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::handler::Handler;
use crate::reactor::mailbox::Mailbox;
use crate::reactor::owner::Owner;
use crate::reactor::LISTENERS_MAX;
use crate::report::Report;
use crate::server::{Handle, Server};
use crate::sim::faults::Faults;
use crate::sim::kernel::{Closed, SimKernel};

pub use crate::sim::request::RequestBuilder;
pub use crate::sim::response::Response;

/// The connections of a server whose limits have no number of them.
#[doc(alias("httptest", "TestServer", "TestClient", "ResponseRecorder", "mock"))]
const CONNECTIONS_MAX: usize = 1 << 20;

/// A server in a simulated world. Dropping it stops the server, as [`Handle::stop`] does.
pub struct Sim<S = ()> {
    reactor: Owner<'static, SimKernel, S>,
    mailbox: Arc<Mailbox>,
    listeners: Vec<Box<str>>,
    is_running: bool,
    is_paused: bool,
}

/// One simulated client connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(usize);

impl Sim {
    /// Creates a server without state, with default limits.
    pub fn new(handler: impl Handler + 'static) -> Sim {
        Sim::with_state((), handler)
    }
}

impl<S: 'static> Sim<S> {
    /// Creates a server with state, with default limits.
    pub fn with_state(state: S, handler: impl Handler<S> + 'static) -> Sim<S> {
        let sim = Sim::of(Server::with_state(state), handler);
        sim.expect("the default limits can be kept together")
    }

    /// Creates a simulation of a program's own server, with its limits, hooks and timers. Its
    /// listeners are closed; clients connect to their names.
    ///
    /// # Errors
    ///
    /// [`Error::Limits`] if the limits cannot be kept together.
    pub fn of(server: Server<S>, handler: impl Handler<S> + 'static) -> Result<Sim<S>, Error> {
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

    /// Lets the simulated system show faults that `seed` decides: interrupted calls, short reads and
    /// writes, sockets that are full for a moment, events without a cause. The same seed gives the
    /// same faults. They may cost turns; the bytes that clients get stay the same.
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
        self.kernel().faults = Faults::of(seed);
    }

    /// The state of the server.
    pub fn state(&mut self) -> &mut S {
        self.reactor.state()
    }

    /// Returns a handle that ends or changes the server. A call on it takes effect with the next
    /// call on the simulation.
    pub fn handle(&self) -> Handle {
        Handle::of_loop(self.mailbox.clone())
    }

    /// Connects a client and lets the server notice it; to the first listener, if there are
    /// several.
    pub fn connect(&mut self) -> Client {
        self.connect_to_number(0, None)
    }

    /// Connects a client to the listener of this name. A name that the server does not have becomes
    /// one more listener.
    ///
    /// # Panics
    ///
    /// If the server has 250 listeners already.
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

    /// Connects a client whose address is `peer`, for rules that look at it. Others come from
    /// `192.0.2.1`, each from a port of its own.
    pub fn connect_from(&mut self, peer: SocketAddr) -> Client {
        self.connect_to_number(0, Some(peer))
    }

    fn connect_to_number(&mut self, n: usize, peer: Option<SocketAddr>) -> Client {
        let client = self.kernel().connect(n, peer);
        self.run();
        client
    }

    /// Connects a client that has already sent `bytes`, and lets the server notice both.
    #[doc(hidden)]
    pub fn connect_and_send(&mut self, bytes: impl AsRef<[u8]>) -> Client {
        let client = self.kernel().connect(0, None);
        self.kernel().send(client, bytes.as_ref());
        self.run();
        client
    }

    /// The client sends `bytes` as one segment, and the server does what it will. Lost if either
    /// side has closed, as in life.
    pub fn send(&mut self, client: Client, bytes: impl AsRef<[u8]>) {
        self.kernel().send(client, bytes.as_ref());
        self.run();
    }

    /// The client sends `bytes` and ends its side in the same segment.
    #[doc(hidden)]
    pub fn send_and_end(&mut self, client: Client, bytes: impl AsRef<[u8]>) {
        self.kernel().send(client, bytes.as_ref());
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
        let wire = self.kernel().wire(client);
        wire.reads = true;
        // What is in the socket buffer is there also when the server is not any more.
        wire.deliver(usize::MAX);
        self.run();
    }

    /// The server does nothing until [`resume`](Sim::resume): what clients do meanwhile reaches
    /// it at one instant, in one batch of events, and time that passes is a stall.
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// The server goes on after a [`pause`](Sim::pause).
    pub fn resume(&mut self) {
        self.is_paused = false;
        self.run();
    }

    /// Lets time pass; whatever is due in it happens at its time. Timers and deadlines are kept to a
    /// tick of the loop, so they come up to 65 ms late here, too.
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

    /// What the client has read so far.
    pub fn received(&mut self, client: Client) -> &[u8] {
        &self.kernel().wire(client).received
    }

    /// What the client has read since the last call.
    #[doc(hidden)]
    pub fn take_received(&mut self, client: Client) -> Vec<u8> {
        let wire = self.kernel().wire(client);
        wire.parsed = 0;
        std::mem::take(&mut wire.received)
    }

    /// Whether the server has not closed the connection.
    pub fn is_open(&mut self, client: Client) -> bool {
        self.kernel().wire(client).closed.is_none()
    }

    /// Whether the server has said that nothing more will come: the client's read gives its end.
    #[doc(hidden)]
    pub fn has_ended(&mut self, client: Client) -> bool {
        let wire = self.kernel().wire(client);
        wire.server_ended || wire.closed.is_some()
    }

    /// Whether the server has reset the connection: what was on its way is lost.
    pub fn was_reset(&mut self, client: Client) -> bool {
        self.kernel().wire(client).closed == Some(Closed::Reset)
    }

    /// Bytes that the client has sent and the server has not read.
    #[doc(hidden)]
    pub fn unread(&mut self, client: Client) -> usize {
        self.kernel().wire(client).to_server.len()
    }

    /// Makes the next calls of `accept` fail with these errors of the system, one each.
    #[doc(hidden)]
    pub fn fail_accepts(&mut self, errors: impl IntoIterator<Item = i32>) {
        self.kernel().accept_errors.extend(errors);
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
    #[doc(hidden)]
    pub fn memory(&self) -> usize {
        self.reactor.memory_used()
    }

    /// How often the server has called the poll: an idle one does not.
    #[doc(hidden)]
    pub fn polls(&mut self) -> u64 {
        self.kernel().polls
    }

    /// How often the server has written to any socket: what is ready together leaves together.
    #[doc(hidden)]
    pub fn writes(&mut self) -> u64 {
        self.kernel().writes
    }

    /// Virtual time since the start.
    pub fn now(&mut self) -> Duration {
        self.kernel().now
    }

    /// Turns until the loop sleeps beyond the present.
    fn run(&mut self) {
        while self.is_running && !self.is_paused {
            self.kernel().is_asleep = false;
            let goes_on = self.reactor.turn(None);
            self.is_running = goes_on.expect("the simulated poll does not fail");
            self.reactor.check();
            self.kernel().deliver();
            if self.kernel().is_asleep && !self.kernel().has_news() {
                return;
            }
        }
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

    /// A program with a loop of its own may work for long between two turns.
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
