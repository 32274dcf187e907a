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

mod faults;
#[cfg(all(test, loom))]
mod loom_checks;
mod kernel;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::handler::hooks::{Accepted, Admission, ConnState, Hooks};
use crate::handler::Handler;
use crate::limits::{Limits, LimitsError};
use crate::reactor::kernel::Kernel;
use crate::reactor::mailbox::{Mailbox, Message};
use crate::reactor::{Reactor, LISTENERS_MAX};
use crate::report::Report;
use crate::server::Handle;
use crate::sim::faults::Faults;
use crate::sim::kernel::{Closed, SimKernel};

/// A server in a simulated world.
pub struct Sim<H: Handler> {
    reactor: Reactor<SimKernel, H>,
    mailbox: Arc<Mailbox>,
    listeners: Vec<Box<str>>,
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

    /// Connects a client and lets the server notice it; to the first listener, if there are
    /// several.
    pub fn connect(&mut self) -> Client {
        self.connect_to_number(0, None)
    }

    /// Connects a client to the listener of this name.
    ///
    /// # Panics
    ///
    /// If there is no such listener: name it with [`SimBuilder::listen_as`].
    pub fn connect_to(&mut self, listener: &str) -> Client {
        let n = self.listeners.iter().position(|name| **name == *listener);
        self.connect_to_number(n.expect("a listener of this name"), None)
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
    pub fn connect_and_send(&mut self, bytes: &[u8]) -> Client {
        let client = self.kernel().connect(0, None);
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

    /// Lets time pass; whatever is due in it happens at its time.
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

    /// Keeps connections or keeps none, as
    /// [`Handle::set_keep_alive`](crate::Handle::set_keep_alive).
    pub fn set_keep_alive(&mut self, keeps: bool) {
        self.mailbox.send(Message::KeepAlive(keeps));
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

    /// How often the server has written to any socket: what is ready together leaves together.
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
pub struct SimBuilder {
    limits: Limits,
    hooks: Hooks,
    listeners: Vec<Box<str>>,
    mailbox: Arc<Mailbox>,
    kernel: SimKernel,
}

impl Default for SimBuilder {
    fn default() -> SimBuilder {
        let kernel = SimKernel::new();
        let mailbox = Arc::new(Mailbox::new(kernel.waker()));
        SimBuilder {
            limits: Limits::default(),
            hooks: Hooks::default(),
            listeners: Vec::new(),
            mailbox,
            kernel,
        }
    }
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

    /// One more listener, as [`Server::listen_as`](crate::Server::listen_as) with an address that
    /// nobody asks for. Without this there is one, called `192.0.2.80:80`.
    ///
    /// # Panics
    ///
    /// If there are 250 already.
    pub fn listen_as(mut self, name: &str) -> SimBuilder {
        assert!(self.listeners.len() < LISTENERS_MAX, "at most {LISTENERS_MAX} listeners");
        self.listeners.push(name.into());
        self
    }

    /// Has the simulated system show faults that `seed` decides: interrupted calls, short reads and
    /// writes, sockets that are full for a moment, events without a cause. The same seed gives the
    /// same faults. They may cost turns; what clients get stays the same.
    ///
    /// ```
    /// use wheelhouse::{sim::SimBuilder, Request};
    ///
    /// for seed in 0..100 {
    ///     let mut sim = SimBuilder::new().faults(seed).build(|_: &Request<'_>| "whole");
    ///     let client = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ///     assert!(sim.received(client).ends_with(b"\r\n\r\nwhole"));
    /// }
    /// ```
    pub fn faults(mut self, seed: u64) -> SimBuilder {
        self.kernel.faults = Faults::of(seed);
        self
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

    /// As [`Server::on_shutdown`](crate::Server::on_shutdown).
    pub fn on_shutdown(mut self, hook: impl FnOnce() + 'static) -> SimBuilder {
        self.hooks.on_shutdown.push(Box::new(hook));
        self
    }

    /// As [`Server::every`](crate::Server::every).
    pub fn every(mut self, period: Duration, mut function: impl FnMut() + 'static) -> SimBuilder {
        self.hooks.timers = self.hooks.timers.every(period, move |()| function());
        self
    }

    /// As [`Server::after`](crate::Server::after).
    pub fn after(mut self, delay: Duration, function: impl FnOnce() + 'static) -> SimBuilder {
        self.hooks.timers = self.hooks.timers.after(delay, move |()| function());
        self
    }

    /// As [`Server::handle`](crate::Server::handle), for handlers that end their own server. What
    /// it is told takes effect when the simulation goes on.
    pub fn handle(&self) -> Handle {
        Handle::new(self.mailbox.clone())
    }

    /// The server, which has begun to listen.
    pub fn build<H: Handler>(self, handler: H) -> Sim<H> {
        let SimBuilder { mut kernel, mailbox, mut listeners, .. } = self;
        if listeners.is_empty() {
            listeners.push("192.0.2.80:80".into());
        }
        kernel.listen(listeners.len());
        let connections_max = match self.limits.connections_max {
            0 => 1 << 20,
            max => max,
        };
        let reactor = Reactor::new(
            kernel,
            mailbox.clone(),
            listeners.iter().cloned().zip(0..).collect(),
            handler,
            self.hooks,
            self.limits,
            connections_max,
        );
        let reactor = reactor.expect("the simulated kernel refuses nothing at the start");
        let mut sim = Sim { reactor, mailbox, listeners, is_running: true, is_paused: false };
        sim.run();
        sim
    }
}

impl fmt::Debug for SimBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reply, Request};

    fn signal<H: Handler>(sim: &mut Sim<H>) {
        sim.kernel().signals += 1;
        sim.mailbox.send(Message::KeepAlive(true));
        sim.run();
    }

    #[test]
    fn only_a_second_signal_stops_at_once_even_if_the_server_drains_already() {
        for drains in [false, true] {
            let mut sim = Sim::new(|_: &Request<'_>| Reply::<()>::later(std::mem::forget));
            let client = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            if drains {
                sim.shutdown(None);
            }
            signal(&mut sim);
            assert!(sim.is_running() && sim.is_open(client), "the first signal drains");
            signal(&mut sim);
            assert!(!sim.is_running() && sim.was_reset(client), "the second one stops");
        }
    }
}
