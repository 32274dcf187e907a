//! A built loop: run here, turned inside another loop, or run on a thread of its own.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic;
use std::sync::{mpsc, Arc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::Error;
use crate::handler::source::{Interest, Next, Readiness, SourceId, SourceWith};
use crate::handler::Handler;
use crate::reactor::loop_group::Group;
use crate::reactor::mailbox::Mailbox;
use crate::reactor::mio_kernel::MioKernel;
use crate::reactor::owner::Owner;
use crate::reactor::remote::Calls;
use crate::reactor::shorter;
use crate::server::{Handle, Remote, Server};
use crate::stats::Report;
use crate::stats::{Published, Stats};

/// The loop of one server, to be run here or inside another loop.
///
/// [`Server::build`] makes it. It is not `Send`: build it on the thread that turns it.
///
/// Dropping it stops the server, as [`Handle::stop`] does: the listeners close, and every
/// connection is reset. Connection hooks, receivers and protocols are called for that.
///
/// A program with a loop of its own waits on two things, the descriptor of this loop
/// ([`AsFd`]) and the time that it may sleep, and then turns it:
///
/// ```no_run
/// use std::time::Duration;
/// use wheelhouse::runtime::Turn;
/// use wheelhouse::{Request, Server};
/// # fn wait_for_input(_: impl std::os::fd::AsFd, _: Option<Duration>) {}
///
/// let mut events =
///     Server::new().listen("127.0.0.1:8080")?.build(|_: &Request<'_>| "hello\n")?;
/// loop {
///     wait_for_input(&events, events.next_timeout()); // poll(2), epoll, kqueue, a GUI
///     if events.turn(Some(Duration::ZERO))? == Turn::Ended {
///         break;
///     }
/// }
/// # Ok::<(), wheelhouse::Error>(())
/// ```
#[doc(alias("reactor", "epoll"))]
#[must_use = "a loop does nothing until it is run or turned"]
pub struct EventLoop<S = ()> {
    reactor: Owner<'static, MioKernel, S>,
    addresses: Vec<SocketAddr>,
    mailbox: Arc<Mailbox>,
    published: Arc<Published>,
    calls: Arc<Calls<S>>,
}

/// Whether a loop goes on after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a loop that has ended serves nothing more"]
pub enum Turn {
    /// The loop goes on.
    Running,
    /// The server has shut down, and every further turn returns this at once.
    Ended,
}

impl<S: 'static> Server<S> {
    /// Builds the loop, to be run here or inside another loop.
    ///
    /// Signals are registered here (feature `signals`), so a signal before the first turn is not
    /// lost. The program may announce after this that it is ready.
    ///
    /// # Errors
    ///
    /// [`Error::NoListener`] without a listener, [`Error::Limits`] if the limits cannot be kept
    /// together, [`Error::Loop`] if the system refuses a poll.
    pub fn build(self, handler: impl Handler<S> + 'static) -> Result<EventLoop<S>, Error> {
        let (addresses, mailbox) = (self.addresses.clone(), self.mailbox.clone());
        let (published, calls) = (Arc::clone(&self.published), Arc::clone(&self.calls));
        let reactor = self.open(handler)?;
        Ok(EventLoop { reactor, addresses, mailbox, published, calls })
    }

    /// Serves on a new thread.
    ///
    /// `make` runs on that thread and makes the handler, so only the state and the hooks must be
    /// `Send`: routes may hold an `Rc`.
    ///
    /// ```no_run
    /// use wheelhouse::{Router, Server};
    ///
    /// let server = Server::with_state(0_u64).listen("127.0.0.1:0")?;
    /// let remote = server.remote();
    /// let thread = server.spawn(|| {
    ///     Router::<u64>::new().get("/", |count, _| format!("{count}\n")).build()
    /// })?;
    /// println!("http://{}/", thread.local_addrs()[0]);
    ///
    /// let _ = remote.run(|count| *count += 1); // From any thread, without a lock.
    ///
    /// thread.handle().shutdown();
    /// thread.join()?;
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `make`, those of [`build`](Server::build), and [`Error::Loop`] if the system
    /// refuses a thread.
    ///
    /// # Panics
    ///
    /// If `make` panics, with its panic.
    pub fn spawn<H: Handler<S> + 'static>(
        self,
        make: impl FnOnce() -> Result<H, Error> + Send + 'static,
    ) -> Result<ServerThread, Error>
    where
        S: Send,
    {
        let (addresses, handle, stats) = (self.addresses.clone(), self.handle(), self.stats());
        let (ready, is_ready) = mpsc::channel();
        let body = move || {
            let events = self.build(make()?)?;
            let _ = ready.send(());
            events.run()
        };
        let thread = thread::Builder::new().name("wheelhouse".to_owned()).spawn(body);
        let thread = thread.map_err(Error::Loop)?;
        let thread = ServerThread { addresses, handle, stats, thread };
        match is_ready.recv() {
            Ok(()) => Ok(thread),
            Err(_) => {
                let ended = thread.join();
                Err(ended.expect_err("a thread that was not ready has an error"))
            }
        }
    }
}

impl<S: 'static> EventLoop<S> {
    /// Serves until the server is shut down, and returns a report.
    ///
    /// # Errors
    ///
    /// [`Error::Loop`] if the poll fails.
    pub fn run(mut self) -> Result<Report, Error> {
        self.reactor.run().map_err(Error::Loop)
    }

    /// Makes one turn: sleeps until there is something to do, at most for `timeout` (`None`: until
    /// the next deadline), and then does everything that is due. A turn after [`Turn::Ended`] does
    /// nothing and returns that again.
    ///
    /// # Errors
    ///
    /// [`Error::Loop`] if the poll fails.
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<Turn, Error> {
        // The program may have worked for long since the last turn.
        let at_most = shorter(self.next_timeout(), timeout);
        match self.reactor.turn(at_most).map_err(Error::Loop)? {
            true => Ok(Turn::Running),
            false => Ok(Turn::Ended),
        }
    }

    /// Returns the time that another loop may sleep, from now to the next
    /// [`turn`](EventLoop::turn). `None`: until the descriptor of this loop is readable, or for
    /// ever if the loop has ended.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.reactor.timeout()
    }

    /// Returns the state of the server.
    pub fn state(&mut self) -> &mut S {
        self.reactor.state()
    }

    /// Returns the addresses of the TCP listeners, with the ports that the system chose.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns a handle that ends or changes the server from elsewhere.
    pub fn handle(&self) -> Handle {
        Handle::of_loop(self.mailbox.clone())
    }

    /// Returns a remote that runs functions with the state, from elsewhere.
    pub fn remote(&self) -> Remote<S> {
        Remote::new(self.calls.clone(), self.mailbox.clone())
    }

    /// Returns the numbers of the server, which any thread can read while it runs.
    pub fn stats(&self) -> Stats {
        self.reactor.stats()
    }

    /// Watches a descriptor on this loop, and calls `function` with the state when it is ready.
    /// This is how a socket, a timer or a pipe of the program is served by the thread that serves
    /// its connections, also while the loop [runs](EventLoop::run).
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::net::UdpSocket;
    /// use wheelhouse::runtime::{Interest, Next};
    /// use wheelhouse::{Request, Server};
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_nonblocking(true)?;
    /// let address = socket.local_addr()?;
    /// let server = Server::with_state(0_u64).listen("127.0.0.1:0")?;
    /// let mut events = server.build(|_: &Request<'_>| "here\n")?;
    /// events.add_source(socket, Interest::Read, |packets, socket, _| loop {
    ///     match socket.recv(&mut [0; 1500]) {
    ///         Ok(_) => *packets += 1,
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Keep,
    ///         Err(_) => return Next::Remove,
    ///     }
    /// })?;
    ///
    /// UdpSocket::bind("127.0.0.1:0")?.send_to(b"a packet", address)?;
    /// while *events.state() == 0 {
    ///     let _ = events.turn(None)?; // Or `events.run()`, in a program that only serves.
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # When it is called
    ///
    /// A function is called at most once in a turn, after the connections of that turn. It must not
    /// block, so make the descriptor non-blocking.
    ///
    /// * Reading is level-triggered. While input is left unread, the function is called in every
    ///   turn, so it may read as much or as little as it likes. The end of the input and an error
    ///   count as input that stays: return [`Next::Remove`] then, or the loop never sleeps.
    /// * Writing is edge-triggered, since a descriptor has room nearly always. The function is
    ///   called once at first, and then when room appears after a write that returned
    ///   [`WouldBlock`](std::io::ErrorKind::WouldBlock). To write from elsewhere in between, let
    ///   the loop watch an [`Rc`](std::rc::Rc) of the socket and keep another.
    ///
    /// The loop watches the descriptor that `source` has now. If the function puts another one in its
    /// place, for example after a reconnect, the loop does not watch that.
    ///
    /// The source and its function are dropped when the function returns [`Next::Remove`] or
    /// panics, by [`remove_source`](EventLoop::remove_source), and at the end of the loop. A panic
    /// is logged and counted in [`Totals::panics`](crate::runtime::Totals::panics).
    ///
    /// # Errors
    ///
    /// The error of the system if it cannot watch the descriptor. Linux refuses regular files,
    /// which are always ready, and a descriptor that the loop watches already. An error if the loop
    /// has ended.
    pub fn add_source<F: AsFd + 'static>(
        &mut self,
        source: F,
        interest: Interest,
        function: impl FnMut(&mut S, &mut F, Readiness) -> Next + 'static,
    ) -> io::Result<SourceId> {
        self.reactor.add_source(Box::new(SourceWith { source, function }), interest)
    }

    /// Stops watching a source, and drops it with its function. Does nothing if it was removed
    /// before.
    pub fn remove_source(&mut self, id: SourceId) {
        self.reactor.remove_source(id);
    }

    /// Stops the server, as dropping the loop does, and returns its state and its report.
    /// Connections that were still open are counted as reset.
    pub fn into_state(self) -> (S, Report) {
        self.reactor.into_state()
    }

    /// Makes the loop end with the others of `group`, and the others with it.
    pub(crate) fn join_group(&mut self, group: &Arc<Group>) {
        group.join(self.mailbox.clone());
        group.numbers.join(self.published.clone());
        self.reactor.join(group.clone());
    }
}

/// Readable when the loop has something to do before [`EventLoop::next_timeout`] has passed.
impl<S> AsFd for EventLoop<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reactor.kernel().descriptor()
    }
}

impl<S> fmt::Debug for EventLoop<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// A server on a thread of its own. Dropping it lets the thread run on.
#[must_use = "a server thread is ended by its handle and waited for by `join`"]
#[derive(Debug)]
pub struct ServerThread {
    addresses: Vec<SocketAddr>,
    handle: Handle,
    stats: Stats,
    thread: JoinHandle<Result<Report, Error>>,
}

impl ServerThread {
    /// Returns the addresses of the TCP listeners, with the ports that the system chose.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the handle that ends or changes the server.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Returns the numbers of the server, which any thread can read while it runs.
    pub fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// Waits until the server has ended, and returns its report.
    ///
    /// # Errors
    ///
    /// As [`EventLoop::run`].
    ///
    /// # Panics
    ///
    /// If the thread panicked, with its panic.
    pub fn join(self) -> Result<Report, Error> {
        self.thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    }
}
