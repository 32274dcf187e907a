//! Setting a server up, running and ending it: limits, hooks, timers, and a handle for other
//! threads. Listeners are in `listen.rs`.

pub(crate) mod cores;
pub(crate) mod event_loop;
pub(crate) mod listen;
pub(crate) mod remote;

use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::handler::exchange::Exchange;
use crate::handler::hooks::{Admission, ConnectionState, Hooks, NewConnection};
use crate::handler::layers::{Around, Guard, Layer, Layers};
use crate::handler::timers::Timers;
use crate::handler::{Handler, Reply};
use crate::limits::Limits;
use crate::logging::debug;
use crate::message::id::ConnectionId;
use crate::message::request::Request;
use crate::message::response::Response;
use crate::reactor::kernel::Kernel;
use crate::reactor::loop_group::Group;
use crate::reactor::mailbox::{Mailbox, Message};
use crate::reactor::mio_kernel::{self, MioKernel};
use crate::reactor::owner::Owner;
use crate::reactor::remote::CallsOwner;
use crate::reactor::{Program, Reactor};
use crate::server::remote::Remote;
use crate::stats::Report;
use crate::stats::{Published, Stats};

/// Serves `handler` on one address, with default limits, until the process ends.
///
/// It is short for [`Server::listen`] and [`Server::serve`]. Use [`Server`] for anything else:
/// limits, state, several listeners, or a way to end the server.
///
/// # Errors
///
/// As [`Server::listen`] and [`Server::run`].
#[doc(alias("ListenAndServe", "HandleFunc", "HttpServer", "createServer"))]
pub fn serve<R: Into<Reply>>(
    address: &str,
    handler: impl FnMut(&Request<'_>) -> R,
) -> Result<Report, Error> {
    Server::new().listen(address)?.serve(handler)
}

/// A server being set up.
///
/// Only its listeners are open before it runs, and it can move to another thread if its state is
/// `Send`. Four methods run it: [`run`](Server::run) with any handler, [`serve`](Server::serve)
/// with a closure, [`spawn`](Server::spawn) on a thread, and [`build`](Server::build) for a loop
/// that the program turns itself.
///
/// ```no_run
/// use wheelhouse::{Limits, Response, Server};
///
/// let server = Server::new()
///     .limits(Limits { connections_max: 512, ..Limits::small() })
///     .listen("127.0.0.1:8080")?
///     .listen("unix:/run/hello.sock")?;
/// let handle = server.handle();
/// // Another thread or a handler can end it: handle.shutdown()
/// let report = server.serve(|req| Response::text(format!("hello {}\n", req.path())))?;
/// println!("{report:?}");
/// # let _ = handle;
/// # Ok::<(), wheelhouse::Error>(())
/// ```
///
/// Handlers, hooks and timers share one state, which each of them gets as `&mut`:
///
/// ```no_run
/// use std::time::Duration;
/// use wheelhouse::{Router, Server};
///
/// struct Visits(u64);
///
/// let routes = Router::<Visits>::new()
///     .get("/{$}", |visits, _| {
///         visits.0 += 1;
///         format!("visit {}\n", visits.0)
///     })
///     .build()?;
/// Server::with_state(Visits(0))
///     .every(Duration::from_secs(3600), |visits| visits.0 = 0)
///     .listen("127.0.0.1:8080")?
///     .run(routes)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("ListenAndServe", "HttpServer", "createServer", "App"))]
#[must_use = "a server does nothing until it runs"]
pub struct Server<S = ()> {
    state: S,
    hooks: Hooks<S>,
    timers: Timers<S>,
    /// Make the layers for all requests, the outermost first. The layers themselves share data
    /// without locks, so they are made where the loop is built.
    layers: Vec<MakeLayer<S>>,
    /// The functions that wait for the loop, from a [`Remote`].
    calls: CallsOwner<S>,
    /// The listeners, with their names.
    pub(crate) listeners: Vec<(Box<str>, mio_kernel::Listener)>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) limits: Limits,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) published: Arc<Published>,
    pub(crate) keeps_connections: bool,
    /// The time from which on a handler is slow, if the program wants to know.
    slow_after: Option<Duration>,
    #[cfg(feature = "signals")]
    catches_signals: bool,
}

type MakeLayer<S> = Box<dyn FnOnce() -> Rc<dyn Layer<S>> + Send>;

impl Server {
    /// Creates a server without state, with default limits and without a listener.
    pub fn new() -> Server {
        Server::with_state(())
    }

    /// Runs the server as [`run`](Server::run) does, with a closure whose parameter needs no type.
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
}

impl Default for Server {
    fn default() -> Server {
        Server::new()
    }
}

impl<S: 'static> Server<S> {
    /// Creates a server whose handlers, hooks and timers share `state`, with default limits and
    /// without a listener.
    #[doc(alias("Extension", "Data", "BaseContext"))]
    pub fn with_state(state: S) -> Server<S> {
        Server {
            state,
            hooks: Hooks::new(),
            timers: Timers::new(),
            layers: Vec::new(),
            calls: CallsOwner::new(),
            listeners: Vec::new(),
            addresses: Vec::new(),
            limits: Limits::default(),
            mailbox: Arc::new(Mailbox::new()),
            published: Arc::new(Published::new()),
            keeps_connections: true,
            slow_after: None,
            #[cfg(feature = "signals")]
            catches_signals: false,
        }
    }

    /// The state, before the server runs: for parts of it that need the server, such as a
    /// [`Remote`].
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use wheelhouse::runtime::Remote;
    /// use wheelhouse::{Request, Router, Server};
    ///
    /// #[derive(Default)]
    /// struct Notes {
    ///     kept: Vec<String>,
    ///     remote: Option<Remote<Notes>>,
    /// }
    ///
    /// // Forgets the note in an hour.
    /// let routes = Router::<Notes>::new().collect("POST /notes", 4096, |notes, _, content| {
    ///     notes.kept.push(String::from_utf8_lossy(content).into_owned());
    ///     if let Some(remote) = &notes.remote {
    ///         let _ = remote.after(Duration::from_secs(3600), |notes| drop(notes.kept.remove(0)));
    ///     }
    ///     "kept\n"
    /// });
    /// let mut server = Server::with_state(Notes::default()).listen("127.0.0.1:8080")?;
    /// let remote = server.remote();
    /// server.state().remote = Some(remote);
    /// server.run(routes.build()?)?;
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn state(&mut self) -> &mut S {
        &mut self.state
    }

    /// Replaces the limits. [`run`](Server::run) and [`build`](Server::build) check their bounds.
    pub fn limits(mut self, limits: Limits) -> Server<S> {
        self.limits = limits;
        self
    }

    /// Sets the hook that decides about each new connection (Go's `ConnContext`). It may refuse the
    /// connection, or attach a value for its handlers. The hook runs on the loop when the
    /// connection is accepted, so it must not block.
    ///
    /// ```no_run
    /// # use wheelhouse::runtime::Admission;
    /// # use wheelhouse::Server;
    /// # let server = Server::new();
    /// # let server =
    /// server.on_connect(|_, new| match new.peer_addr() {
    ///     Some(addr) if addr.ip().is_loopback() => Admission::accept_with(addr),
    ///     _ => Admission::refuse(),
    /// });
    /// # let _ = server;
    /// ```
    ///
    /// With [`on_connection_state`](Server::on_connection_state) it limits the connections of each
    /// client. All clients of one proxy or router have the same address: choose a number that they
    /// can share.
    ///
    /// ```no_run
    /// # use std::{collections::HashMap, net::IpAddr};
    /// # use wheelhouse::runtime::{Admission, ConnectionId, ConnectionState};
    /// # use wheelhouse::Server;
    /// #[derive(Default)]
    /// struct Clients(HashMap<ConnectionId, IpAddr>);
    ///
    /// const CONNECTIONS_MAX: usize = 16; // of one client
    ///
    /// # let server =
    /// Server::with_state(Clients::default())
    ///     .on_connect(|clients, new| {
    ///         let Some(peer) = new.peer_addr() else { return Admission::accept() };
    ///         if clients.0.values().filter(|&&ip| ip == peer.ip()).count() >= CONNECTIONS_MAX {
    ///             return Admission::refuse();
    ///         }
    ///         clients.0.insert(new.id(), peer.ip());
    ///         Admission::accept()
    ///     })
    ///     .on_connection_state(|clients, id, state| {
    ///         if matches!(state, ConnectionState::Closed | ConnectionState::Hijacked) {
    ///             clients.0.remove(&id);
    ///         }
    ///     });
    /// # let _ = server;
    /// ```
    #[doc(alias = "ConnContext")]
    pub fn on_connect(
        mut self,
        hook: impl FnMut(&mut S, &NewConnection<'_>) -> Admission + Send + 'static,
    ) -> Server<S> {
        self.hooks.on_connect = Some(Box::new(hook));
        self
    }

    /// Sets the hook that is called with each new state of a connection (Go's `ConnState`). It runs
    /// on the loop, so it must not block.
    #[doc(alias = "ConnState")]
    pub fn on_connection_state(
        mut self,
        hook: impl FnMut(&mut S, ConnectionId, ConnectionState) + Send + 'static,
    ) -> Server<S> {
        self.hooks.on_connection_state = Some(Box::new(hook));
        self
    }

    /// Sets the hook that is called once for each exchange, when its response is complete or never
    /// will be. It is the place for an access log and for counters: it also sees the requests that
    /// the server refuses by itself, clients that leave, and deadlines that pass
    /// ([`Outcome`](crate::runtime::Outcome)).
    ///
    /// A small response is complete when it has been encoded, and a longer one when the socket has
    /// taken its last byte. An upgrade is reported with its 101, and a stream that is handed out
    /// without a status. The hook runs on the loop, so it must not block. A panic in it is logged
    /// and counted.
    ///
    /// A server without this hook keeps nothing for it. With it, each exchange under way has a
    /// record with its target and the fields of [`exchange_headers`](Server::exchange_headers),
    /// which [`Limits::memory_bytes_max`] counts. When that memory is used up, requests that wait
    /// for their responses are still served, and their records lose the request line and the
    /// fields.
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Request, Server};
    ///
    /// let server = Server::with_state(Vec::<String>::new()).on_exchange(|lines, exchange| {
    ///     let status = exchange.status().map_or(0, |status| status.as_u16());
    ///     let target = exchange.target().unwrap_or("-");
    ///     lines.push(format!("{status} {target} {}", exchange.content_sent()));
    /// });
    /// let mut sim = Sim::of(server, |_: &Request<'_>| "hello\n")?;
    /// sim.get("/you");
    /// let client = sim.connect();
    /// sim.send(client, "GET\r\n\r\n");
    /// assert_eq!(*sim.state(), ["200 /you 6", "400 - 16"]);
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias = "access log")]
    pub fn on_exchange(
        mut self,
        hook: impl FnMut(&mut S, &Exchange<'_>) + Send + 'static,
    ) -> Server<S> {
        self.hooks.on_exchange = Some(Box::new(hook));
        self
    }

    /// Sets the names of the header fields that are kept for [`on_exchange`](Server::on_exchange),
    /// such as `User-Agent`; none by default. A field that repeats is kept once.
    pub fn exchange_headers(mut self, names: &[&str]) -> Server<S> {
        self.hooks.exchange_headers = names.iter().map(|&name| name.into()).collect();
        self
    }

    /// Adds a hook that is called when a graceful shutdown begins (Go's `RegisterOnShutdown`), for
    /// example to end responses that stay open, or to remove the server from a registry.
    ///
    /// Each hook runs once, in the order of the calls, on the loop, before the listeners close. It
    /// must not block. A panic in a hook is logged, and the others still run. [`Handle::stop`]
    /// calls no hook.
    ///
    /// ```no_run
    /// # use wheelhouse::Server;
    /// # let server = Server::new();
    /// # let server =
    /// server.on_shutdown(|_| eprintln!("finishing the requests that have begun"));
    /// # let _ = server;
    /// ```
    #[doc(alias = "RegisterOnShutdown")]
    pub fn on_shutdown(mut self, hook: impl FnOnce(&mut S) + Send + 'static) -> Server<S> {
        self.hooks.on_shutdown.push(Box::new(hook));
        self
    }

    /// Adds a timer that calls `function` on the loop every `period`.
    ///
    /// The calls are due at whole multiples of `period` after the server begins to run, and do not
    /// drift. A busy loop leaves out the calls that it missed. Times are kept to a tick of the
    /// loop: a call is never early, and late by at most 65 ms if nothing keeps the loop busy. A
    /// period shorter than [`TIMER_MIN`](crate::runtime::TIMER_MIN) counts as that, one longer than
    /// a year as a year. The function must not block. A panic in it is logged and counted
    /// ([`Totals::panics`](crate::runtime::Totals::panics)), and the timer goes on. A shutdown does not wait for timers.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use wheelhouse::{sim::Sim, Request, Server};
    /// let second = Duration::from_secs(1);
    /// let server = Server::with_state(0_u64).every(second, |seconds| *seconds += 1);
    /// let mut sim = Sim::of(server, |_: &Request<'_>| "still here\n")?;
    /// sim.advance(Duration::from_millis(3500));
    /// assert_eq!(*sim.state(), 3);
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias("Ticker", "setInterval", "cron"))]
    pub fn every(
        mut self,
        period: Duration,
        function: impl FnMut(&mut S) + Send + 'static,
    ) -> Server<S> {
        self.timers.every(period, function);
        self
    }

    /// Adds a timer that calls `function` on the loop once, `delay` after the server has begun to
    /// run. The rules are those of [`every`](Server::every). Timers that are due in the same turn
    /// are called in the order of their times.
    #[doc(alias("AfterFunc", "setTimeout"))]
    pub fn after(
        mut self,
        delay: Duration,
        function: impl FnOnce(&mut S) + Send + 'static,
    ) -> Server<S> {
        self.timers.after(delay, function);
        self
    }

    /// Checks every request before the handler is called; an error is the reply. It may be anything
    /// that is `Into<Reply>`: a response, a status, a [`Failure`](crate::Failure).
    ///
    /// Guards and [`around`](Server::around) are layers: the first one added is the first to see a
    /// request. Requests that the server refuses by itself (400, 431, ...) reach none of them.
    /// [`Router::guard`](crate::Router::guard) checks the requests of some routes only.
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Request, Response, Server, StatusCode};
    ///
    /// let server = Server::new().guard(|_, req| {
    ///     let is_inside = req.peer_addr().is_some_and(|client| client.ip().is_loopback());
    ///     is_inside.then_some(()).ok_or(StatusCode::FORBIDDEN)
    /// });
    /// let mut sim = Sim::of(server, |_: &Request<'_>| "hello\n")?;
    /// assert_eq!(sim.get("/").status(), 403);
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias = "middleware")]
    pub fn guard<E: Into<Reply<S>> + 'static>(
        mut self,
        check: impl FnMut(&mut S, &Request<'_>) -> Result<(), E> + Send + 'static,
    ) -> Server<S> {
        self.layers.push(Box::new(|| Rc::new(Guard::new(check))));
        self
    }

    /// Calls `before` with each request, and `after` with the value that it returned and the
    /// response, whenever that comes. An error of `before` is the reply, and the handler is not
    /// called. [`Router::around`](crate::Router::around) has the rules. Add `around` before a guard
    /// if it is to see the responses of the guard, too.
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Request, Server};
    ///
    /// let server = Server::new().around(
    ///     |_, req| Ok(req.id().to_string()),
    ///     |_, id, response| {
    ///         let _ = response.set_header("X-Request-Id", id);
    ///     },
    /// );
    /// let mut sim = Sim::of(server, |_: &Request<'_>| "hello\n")?;
    /// assert!(sim.get("/").header("X-Request-Id").is_some());
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias = "middleware")]
    pub fn around<T: 'static>(
        mut self,
        before: impl FnMut(&mut S, &Request<'_>) -> Result<T, Reply<S>> + Send + 'static,
        after: impl FnMut(&mut S, T, &mut Response) + Send + 'static,
    ) -> Server<S> {
        self.layers.push(Box::new(|| Rc::new(Around::new(before, after))));
        self
    }

    /// Sets whether connections are kept after their responses, as they are by default (Go's
    /// `SetKeepAlivesEnabled`). If not, every response has `Connection: close`.
    /// [`Handle::set_keep_alive`] changes it while the server runs.
    #[doc(alias = "SetKeepAlivesEnabled")]
    pub fn keep_alive(mut self, keeps: bool) -> Server<S> {
        self.keeps_connections = keeps;
        self
    }

    /// Logs a line at the level `warn` when a handler, with its layers, or the function that gets
    /// collected content holds the loop for `after` or longer. No other connection is served meanwhile.
    ///
    /// The line names the route, or the path where there is none, and the time. At most one is written
    /// in a second, with the number of those that were left out. Without this, no handler is timed.
    /// With it, each request costs one look at the clock, 290 instructions in all. The time counts from
    /// the last look, so it includes the parsing of the head and short visits before the handler.
    /// [`Totals::turns`](crate::runtime::Totals::turns) shows that something blocks, whatever it is: a
    /// timer, a producer, a function of a [`Remote`].
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use wheelhouse::{Request, Server};
    ///
    /// Server::new()
    ///     .slow_handler_warning(Duration::from_millis(100))
    ///     .listen("127.0.0.1:8080")?
    ///     .run(|_: &Request<'_>| "hello\n")?;
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias("slow log", "blocking", "slow_callback_duration"))]
    pub fn slow_handler_warning(mut self, after: Duration) -> Server<S> {
        self.slow_after = Some(after);
        self
    }

    /// Lets SIGINT and SIGTERM shut the server down gracefully, and a second signal stop it at once
    /// (feature `signals`).
    ///
    /// Other signals keep their default actions, so SIGHUP ends the process. A program that reloads
    /// something registers SIGHUP with the crate `signal-hook`, and changes the state with a
    /// [`Remote`].
    ///
    /// # A program that hangs
    ///
    /// The loop hears signals between two turns, so a handler that blocks delays them. It does not
    /// keep the process alive, because a signal takes its default action, which ends the process, in
    /// two cases:
    ///
    /// * The loop has not heard the signal before it. So if a handler hangs, the second signal ends
    ///   the process.
    /// * The loop has heard two signals. So if the shutdown hangs, in a hook or in a destructor, the
    ///   third signal ends the process.
    ///
    /// Such a process has no [`Report`], and ends by the signal: a shell shows status 130 after
    /// SIGINT and 143 after SIGTERM. Two signals in the same moment can have this effect on a loop
    /// that works, too, since it needs some microseconds to wake up for the first. If the process
    /// has several loops that catch signals, each of them must have heard the first.
    ///
    /// # When signals are caught
    ///
    /// [`run`](Server::run) and [`build`](Server::build) register the signals. Their default action
    /// does not come back when the server has ended: from then on they do nothing, unless the
    /// program handles them. To bring it back, call `flag::register_conditional_default` of the
    /// crate `signal-hook` with a flag that is set.
    #[doc(alias("Ctrl-C", "SIGINT", "SIGTERM", "SIGHUP", "NotifyContext"))]
    #[cfg(feature = "signals")]
    pub fn on_signals(mut self) -> Server<S> {
        self.catches_signals = true;
        self
    }

    /// Returns a handle that ends or changes the server from another thread or from a handler.
    pub fn handle(&self) -> Handle {
        Handle::of_loop(self.mailbox.clone())
    }

    /// Returns a remote that runs functions with the state, from another thread or from a handler.
    pub fn remote(&self) -> Remote<S> {
        Remote::new(Arc::clone(&self.calls), self.mailbox.clone())
    }

    /// Returns the numbers of the server, which any thread and any handler can read while it runs:
    /// connections, requests, refusals, bytes, memory, the times of turns.
    ///
    /// The loop counts them anyway. From this call on it also publishes them at the end of each turn,
    /// and times its turns, which costs each turn one look at the clock.
    ///
    /// ```no_run
    /// use std::{thread, time::Duration};
    /// use wheelhouse::Server;
    ///
    /// let server = Server::new().listen("127.0.0.1:8080")?;
    /// let stats = server.stats();
    /// thread::spawn(move || loop {
    ///     thread::sleep(Duration::from_secs(60));
    ///     println!("{:#?}", stats.totals());
    /// });
    /// server.serve(|_| "hello\n")?;
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias("metrics", "expvar"))]
    pub fn stats(&self) -> Stats {
        Stats::of_loop(self.published.clone())
    }

    /// Serves until the server is shut down, and returns a report.
    ///
    /// A closure needs the type of its parameter here: `|req: &Request<'_>|`. On a server without
    /// state, [`serve`](Server::serve) takes a closure without the type.
    ///
    /// # Errors
    ///
    /// [`Error::NoListener`] without a listener, [`Error::Limits`] if a limit is out of bounds,
    /// [`Error::Loop`] if the system refuses a poll, or if the poll fails later.
    pub fn run<H: Handler<S>>(self, handler: H) -> Result<Report, Error> {
        self.open(handler)?.run().map_err(Error::Loop)
    }

    /// Opens the poll and builds the loop.
    fn open<'h, H: Handler<S> + 'h>(
        mut self,
        handler: H,
    ) -> Result<Owner<'h, MioKernel, S>, Error> {
        if self.listeners.is_empty() {
            return Err(Error::NoListener);
        }
        self.limits.check()?;
        let kernel = MioKernel::new().map_err(Error::Loop)?;
        #[cfg(feature = "signals")]
        let kernel = match self.catches_signals {
            true => kernel.catching_signals().map_err(Error::Loop)?,
            false => kernel,
        };
        let listeners = mem::take(&mut self.listeners);
        self.build_on(kernel, listeners, connections_by_descriptors, handler).map_err(Error::Loop)
    }

    /// Builds the loop on `kernel`, which is the real one or a simulated one. `default_max` returns
    /// the number of connections if the limits have none.
    pub(crate) fn build_on<'h, K: Kernel + 'h, H: Handler<S> + 'h>(
        self,
        kernel: K,
        listeners: Vec<(Box<str>, K::Listener)>,
        default_max: fn() -> usize,
        handler: H,
    ) -> io::Result<Owner<'h, K, S>> {
        let Server { state, hooks, timers, calls, limits, mailbox, published, slow_after, .. } =
            self;
        let mut layers = Layers::new();
        for make in self.layers {
            layers.push(make());
        }
        let connections_max = match limits.connections_max {
            0 => default_max(),
            max => max,
        };
        debug!("the server accepts at most {connections_max} connections");
        mailbox.set_bell(kernel.waker());
        let shared = (mailbox, published);
        let program = Program { state, layers, handler, hooks, timers, calls, slow_after };
        let mut reactor =
            Reactor::new(kernel, shared, listeners, program, limits, connections_max)?;
        reactor.set_keep_alive(self.keeps_connections);
        Ok(Owner::new(reactor))
    }
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.listeners)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Ends or changes one server, or all [`Cores`](crate::runtime::Cores), from any thread or handler.
///
/// A handle is cheap to clone. It can outlive the server, and then has no effect. A call before the
/// server runs takes effect when it begins to run.
///
/// ```
/// use wheelhouse::Server;
///
/// let server = Server::new().listen("127.0.0.1:0")?;
/// let handle = server.handle();
/// let other = std::thread::spawn(move || handle.shutdown());
/// let report = server.serve(|_| "hello\n")?; // Returns when the other thread has called.
/// assert_eq!(report.reset, 0);
/// # other.join().unwrap();
/// # Ok::<(), wheelhouse::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle(Target);

#[derive(Clone)]
enum Target {
    Loop(Arc<Mailbox>),
    Group(Arc<Group>),
}

impl Handle {
    pub(crate) fn of_loop(mailbox: Arc<Mailbox>) -> Handle {
        Handle(Target::Loop(mailbox))
    }

    pub(crate) fn of_group(group: Arc<Group>) -> Handle {
        Handle(Target::Group(group))
    }

    /// Shuts down gracefully within [`Limits::shutdown_timeout`].
    ///
    /// Listeners close and idle connections end at once. Requests that have been received get their
    /// responses, with `Connection: close`. Connections that are still at work when the time is
    /// over are reset. Then [`Server::run`] returns. Only the first call counts, and
    /// [`stop`](Handle::stop) ends a shutdown sooner.
    #[doc(alias("Shutdown", "graceful"))]
    pub fn shutdown(&self) {
        self.begin_shutdown(None);
    }

    /// Shuts down gracefully as [`shutdown`](Handle::shutdown) does, within `timeout`, at most a
    /// year.
    pub fn shutdown_within(&self, timeout: Duration) {
        self.begin_shutdown(Some(timeout));
    }

    fn begin_shutdown(&self, timeout: Option<Duration>) {
        match &self.0 {
            Target::Loop(mailbox) => mailbox.send(Message::Shutdown(timeout)),
            Target::Group(group) => {
                group.shut_down(timeout);
            }
        }
    }

    /// Resets every connection, and then [`Server::run`] returns.
    #[doc(alias = "Close")]
    pub fn stop(&self) {
        match &self.0 {
            Target::Loop(mailbox) => mailbox.send(Message::Stop),
            Target::Group(group) => group.stop(),
        }
    }

    /// Sets whether connections are kept after their responses from now on.
    ///
    /// If not, idle connections are closed at once, and the others after their present response,
    /// which has `Connection: close`. This moves clients to other servers while this one keeps
    /// running.
    #[doc(alias = "SetKeepAlivesEnabled")]
    pub fn set_keep_alive(&self, keeps: bool) {
        match &self.0 {
            Target::Loop(mailbox) => mailbox.send(Message::KeepAlive(keeps)),
            Target::Group(group) => group.send(|| Message::KeepAlive(keeps)),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// Returns the number of descriptors that the process may have, less an eighth (8 to 64) for
/// listeners, files and whatever else the program opens.
fn connections_by_descriptors() -> usize {
    use rustix::process::{getrlimit, Resource};
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    let descriptors = usize::try_from(descriptors).unwrap_or(1 << 20).min(1 << 20);
    let reserve = (descriptors / 8).clamp(8, 64);
    descriptors.saturating_sub(reserve).max(1)
}
