//! Starting and stopping: hooks, limits, and a handle for other threads. Listeners are in
//! `listen.rs`.

pub(crate) mod cores;
mod listen;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::handler::hooks::{Accepted, Admission, ConnState, Hooks};
use crate::handler::{Handler, Reply};
use crate::limits::Limits;
use crate::message::request::Request;
use crate::reactor::loop_group::Group;
use crate::reactor::mailbox::{Mailbox, Message};
use crate::reactor::mio_kernel::{Listener, MioKernel};
use crate::reactor::Reactor;
use crate::report::Report;

/// Serves `handler` on one address, with default limits, until the process ends.
///
/// # Errors
///
/// As [`Server::listen`] and [`Server::run`].
pub fn serve<R: Into<Reply>>(
    address: &str,
    handler: impl FnMut(&Request<'_>) -> R,
) -> Result<Report, Error> {
    Server::new().listen(address)?.serve(handler)
}

/// A server being set up.
///
/// ```no_run
/// use wheelhouse::{Limits, Response, Server};
///
/// let server = Server::new()
///     .limits(Limits { connections_max: 512, ..Limits::small() })?
///     .listen("127.0.0.1:8080")?
///     .listen("unix:/run/hello.sock")?;
/// let handle = server.handle();
/// // Another thread may end it: handle.shutdown(None)
/// let report = server.serve(|req| Response::text(format!("hello {}\n", req.path())))?;
/// println!("{report:?}");
/// # let _ = handle;
/// # Ok::<(), wheelhouse::Error>(())
/// ```
pub struct Server {
    kernel: MioKernel,
    /// With their names.
    pub(crate) listeners: Vec<(Box<str>, Listener)>,
    pub(crate) addresses: Vec<SocketAddr>,
    limits: Limits,
    hooks: Hooks,
    group: Option<Arc<Group>>,
    mailbox: Arc<Mailbox>,
    keeps_connections: bool,
}

impl Server {
    /// A server with default limits and no listener.
    ///
    /// # Panics
    ///
    /// If the system has no descriptor left for a poll. Use [`try_new`](Server::try_new) to get
    /// that as an error.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Server {
        Server::try_new().expect("a server needs three descriptors to begin with")
    }

    /// A server with default limits and no listener.
    ///
    /// # Errors
    ///
    /// [`Error::Loop`] if the system has no descriptor left for a poll.
    pub fn try_new() -> Result<Server, Error> {
        let kernel = MioKernel::new().map_err(Error::Loop)?;
        let mailbox = Arc::new(Mailbox::new(crate::reactor::kernel::Kernel::waker(&kernel)));
        Ok(Server {
            kernel,
            listeners: Vec::new(),
            addresses: Vec::new(),
            limits: Limits::default(),
            hooks: Hooks::default(),
            group: None,
            mailbox,
            keeps_connections: true,
        })
    }

    /// Replaces the limits.
    ///
    /// # Errors
    ///
    /// [`Error::Limits`] if they cannot be kept together.
    pub fn limits(mut self, limits: Limits) -> Result<Server, Error> {
        limits.check()?;
        self.limits = limits;
        Ok(self)
    }

    /// Sets the hook for new connections: it may refuse one, or attach a value for its handlers
    /// (Go's `ConnContext`). It runs on the loop, where the connection is accepted: it must not
    /// block.
    ///
    /// ```no_run
    /// # use wheelhouse::{Admission, Server};
    /// # let server = Server::new();
    /// server.on_connect(|accepted| match accepted.peer_addr() {
    ///     Some(addr) if addr.ip().is_loopback() => Admission::accept_with(addr),
    ///     _ => Admission::refuse(),
    /// });
    /// ```
    ///
    /// With [`on_state`](Server::on_state) it caps the connections of each peer. Behind a proxy
    /// all of them have one address, and so have many peers behind one router: choose a cap that
    /// they can live with.
    ///
    /// ```no_run
    /// # use std::{cell::RefCell, collections::HashMap, net::IpAddr, rc::Rc};
    /// # use wheelhouse::{Admission, ConnState, Server};
    /// # let server = Server::new();
    /// const CONNECTIONS_MAX: usize = 16; // of one peer
    /// let peers: Rc<RefCell<HashMap<u64, IpAddr>>> = Rc::default();
    /// let open = peers.clone();
    /// server
    ///     .on_connect(move |accepted| {
    ///         let Some(peer) = accepted.peer_addr() else { return Admission::accept() };
    ///         let mut open = open.borrow_mut();
    ///         if open.values().filter(|&&ip| ip == peer.ip()).count() >= CONNECTIONS_MAX {
    ///             return Admission::refuse();
    ///         }
    ///         open.insert(accepted.id(), peer.ip());
    ///         Admission::accept()
    ///     })
    ///     .on_state(move |id, state| {
    ///         if matches!(state, ConnState::Closed | ConnState::Hijacked) {
    ///             peers.borrow_mut().remove(&id);
    ///         }
    ///     });
    /// ```
    pub fn on_connect(mut self, hook: impl FnMut(&Accepted<'_>) -> Admission + 'static) -> Server {
        self.hooks.on_connect = Some(Box::new(hook));
        self
    }

    /// Sets the hook for states (Go's `ConnState`): it is told the
    /// [id](Request::connection_id) of a connection and its new state. It runs on the loop: it
    /// must not block.
    pub fn on_state(mut self, hook: impl FnMut(u64, ConnState) + 'static) -> Server {
        self.hooks.on_state = Some(Box::new(hook));
        self
    }

    /// Adds a hook for the beginning of a graceful shutdown (Go's `RegisterOnShutdown`): to tell
    /// those who hold an answer open, to take the server out of a registry. Hooks run once each, in
    /// their order, on the loop, before the listeners close: they must not block. A panic in one is
    /// logged and does not keep the others from running. [`Handle::stop`] calls none.
    ///
    /// ```no_run
    /// # use wheelhouse::Server;
    /// # let server = Server::new();
    /// server.on_shutdown(|| eprintln!("finishing what was begun"));
    /// ```
    pub fn on_shutdown(mut self, hook: impl FnOnce() + 'static) -> Server {
        self.hooks.on_shutdown.push(Box::new(hook));
        self
    }

    /// Calls `function` on the loop again and again, as told at [`Timers`](crate::Timers), which are
    /// for functions that want the state.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use wheelhouse::Server;
    /// # let server = Server::new();
    /// server.every(Duration::from_secs(60), || eprintln!("still here"));
    /// ```
    pub fn every(mut self, period: Duration, mut function: impl FnMut() + 'static) -> Server {
        self.hooks.timers = self.hooks.timers.every(period, move |()| function());
        self
    }

    /// Calls `function` on the loop once, `delay` after the server has begun to run; as told at
    /// [`Timers`](crate::Timers).
    pub fn after(mut self, delay: Duration, function: impl FnOnce() + 'static) -> Server {
        self.hooks.timers = self.hooks.timers.after(delay, move |()| function());
        self
    }

    /// Whether connections are kept after their answers, as they are by default (Go's
    /// `SetKeepAlivesEnabled`). Without, every answer says `Connection: close`.
    /// [`Handle::set_keep_alive`] changes it while the server runs.
    pub fn keep_alive(mut self, keeps: bool) -> Server {
        self.keeps_connections = keeps;
        self
    }

    /// SIGINT and SIGTERM shut down gracefully; a second signal stops at once. The loop looks for
    /// them between two turns: a handler that blocks keeps it from that.
    ///
    /// Their default action is not given back when the server has ended: from then on they do
    /// nothing, unless the program listens itself.
    ///
    /// # Errors
    ///
    /// [`Error::Loop`] if the system refuses.
    #[cfg(feature = "signals")]
    pub fn on_signals(mut self) -> Result<Server, Error> {
        self.kernel.catch_signals().map_err(Error::Loop)?;
        Ok(self)
    }

    /// A handle with which other threads, and handlers too, end the server.
    pub fn handle(&self) -> Handle {
        Handle::new(self.mailbox.clone())
    }

    /// Ends with the others of `group`, and they with it.
    pub(crate) fn join(&mut self, group: &Arc<Group>) {
        group.join(self.mailbox.clone());
        self.group = Some(group.clone());
    }

    /// [`run`](Server::run) with a closure, whose parameter then needs no type.
    ///
    /// # Errors
    ///
    /// As [`run`](Server::run).
    pub fn serve<R: Into<Reply>>(
        self,
        handler: impl FnMut(&Request<'_>) -> R,
    ) -> Result<Report, Error> {
        self.run(handler)
    }

    /// Serves until it is shut down, and reports what was done.
    ///
    /// # Errors
    ///
    /// [`Error::NoListener`] without a listener; [`Error::Loop`] if the poll itself fails.
    pub fn run<H: Handler>(self, handler: H) -> Result<Report, Error> {
        if self.listeners.is_empty() {
            return Err(Error::NoListener);
        }
        let connections_max = match self.limits.connections_max {
            0 => connections_by_descriptors(),
            max => max,
        };
        log::debug!("at most {connections_max} connections");
        let mut reactor = Reactor::new(
            self.kernel,
            self.mailbox,
            self.listeners,
            handler,
            self.hooks,
            self.limits,
            connections_max,
        )
        .map_err(Error::Loop)?;
        reactor.join(self.group);
        reactor.set_keep_alive(self.keeps_connections);
        while reactor.turn().map_err(Error::Loop)? {}
        Ok(reactor.report())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.listeners)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Ends or changes a server from another thread. Cloning it is cheap; it may outlive the server,
/// and then does nothing.
#[derive(Clone)]
pub struct Handle {
    mailbox: Arc<Mailbox>,
}

impl Handle {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Handle {
        Handle { mailbox }
    }

    /// Shuts down gracefully, from another thread or from a handler: listeners close, idle
    /// connections end at once, what was received is answered with `Connection: close`. What is not
    /// done after `timeout` ([`Limits::shutdown_timeout`] if `None`, at most a year) is reset. Then
    /// [`Server::run`] returns. The first call counts: another one changes nothing, and
    /// [`stop`](Handle::stop) ends it sooner.
    pub fn shutdown(&self, timeout: Option<Duration>) {
        self.mailbox.send(Message::Shutdown(timeout));
    }

    /// Keeps connections after their answers from now on, or keeps none: then idle ones are closed
    /// at once and the others after their present answer, which says `Connection: close`. For a
    /// server that is to lose its clients to others without going down itself.
    pub fn set_keep_alive(&self, keeps: bool) {
        self.mailbox.send(Message::KeepAlive(keeps));
    }

    /// Resets every connection and lets [`Server::run`] return.
    pub fn stop(&self) {
        self.mailbox.send(Message::Stop);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// As many as the process may have descriptors, less an eighth (8 to 64) for listeners, files
/// and whatever else the program opens.
fn connections_by_descriptors() -> usize {
    use rustix::process::{getrlimit, Resource};
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    let descriptors = usize::try_from(descriptors).unwrap_or(1 << 20).min(1 << 20);
    let reserve = (descriptors / 8).clamp(8, 64);
    descriptors.saturating_sub(reserve).max(1)
}
