//! An HTTP/1.1 server on one event loop: one thread, one slab of connections, one hashed timing
//! wheel. It does the work of Go's `net/http` server, for programs that count their memory.
//!
//! # Who should use it
//!
//! Programs that serve HTTP beside their real work, on small machines, or to clients that they do
//! not know: an appliance, a sidecar, a daemon with pages and metrics of its own, a device on a
//! small board. A handler is a function that runs on the loop, with `&mut` access to the state of
//! the program. Limits and deadlines are on by default, and one number bounds the memory that
//! clients can make the server hold.
//!
//! Wheelhouse is not a framework. It does not speak HTTP/2 and does not run `async` code: for that,
//! use hyper and the frameworks on top of it. A handler must not block, because that would stop
//! every connection of the loop. Work that takes long goes to another thread ([`Reply::later`]).
//!
//! # The smallest program
//!
//! ```no_run
//! use wheelhouse::Response;
//!
//! fn main() -> Result<(), wheelhouse::Error> {
//!     wheelhouse::serve("127.0.0.1:8080", |req| {
//!         Response::text(format!("hello {}\n", req.path()))
//!     })?;
//!     Ok(())
//! }
//! ```
//!
//! ```text
//!            ┌─────────────────────── one thread ───────────────────────┐
//!   sockets  │  reactor            http1               handler          │
//!  ─────────►│  poll ─► visit ──►  bytes ► request ──► &mut state       │
//!  ◄─────────│  slab   one read    response ► bytes ◄─ Reply            │
//!            │  wheel  one write                                        │
//!            └──────────────────────────────────────────────────────────┘
//! ```
//!
//! # I want to ...
//!
//! | I want to ... | item |
//! |---|---|
//! | serve one function on one address | [`serve`] |
//! | set limits, hooks, timers, several addresses | [`Server`], [`Limits`] |
//! | choose a function by method and path | [`Router`] |
//! | check requests before their handlers | [`Server::guard`], [`Router::guard`], [`guards`] |
//! | do something with every response | [`Server::around`], [`Router::around`] |
//! | write an access log | [`Server::on_exchange`] |
//! | read the numbers of the server, serve metrics and health checks | [`Server::stats`], [`metrics`] |
//! | find handlers that block | [`Server::slow_handler_warning`] |
//! | share data between handlers, hooks and timers | [`Server::with_state`] |
//! | send text, a page, a redirect, an error | [`Response`] |
//! | send a file, or serve a directory | [`Body::file`], [`files::Files`] |
//! | serve files that are in the program, or bytes that it makes | [`files::Files::packed`], [`files::Content`] |
//! | make content piece by piece | [`Body::produce`], or in another thread [`Body::channel`] |
//! | push events to browsers | [`events::Topic`] |
//! | talk to browsers in both directions | the module `websocket` (feature) |
//! | read a query, a form, cookies, credentials | [`Request`], [`forms`], [`cookies`], [`auth`] |
//! | take a form with files | [`multipart`] |
//! | read and write JSON | `Router::json`, `Request::json`, `Response::json` (feature `json`) |
//! | read the content of a request as a whole | [`Router::collect`], [`Reply::collect`] |
//! | write the content into a file | [`Reply::receive_into`] |
//! | read the content in pieces | [`Reply::receive`], or into the response [`Reply::transform`] |
//! | do work that blocks | [`Pool`], or a thread of your own with [`Reply::later`] |
//! | call a database | [`Pool::with_values`] |
//! | forward requests to another server | [`Request::to_forward`], [`Pool::run_later`] |
//! | use `?` in a handler | [`Failure`] |
//! | limit the requests of each client address | [`guards::RateLimit`] |
//! | run a function every second | [`Server::every`] |
//! | run a function once, some time after a request | [`runtime::Remote::after`] |
//! | send an early hint (103) | [`Reply::inform`] |
//! | speak another protocol on a connection | [`upgrade`] |
//! | name a listener, share a port, set the mode of a socket file | [`runtime::Listener`] |
//! | use all cores | [`runtime::Cores`] |
//! | serve in a thread of an existing program | [`Server::spawn`], [`runtime::Remote`] |
//! | serve inside an existing event loop | [`Server::build`], [`runtime::EventLoop`] |
//! | watch a socket of the program on the loop | [`runtime::EventLoop::add_source`] |
//! | shut down without losing requests | [`Handle`], `Server::on_signals` (feature `signals`) |
//! | test without sockets and without sleeping | [`sim::Sim`] |
//!
//! # Features
//!
//! Features only add items. With `default-features = false` the crate is the bare server.
//!
//! * `cli` (default): the binary `wheelhouse`, which serves a directory. A program leaves it out.
//! * `inherit` (part of `cli`): `Server::listen_inherited`, for socket activation.
//! * `signals` (part of `cli`): `Server::on_signals`.
//! * `json`: the methods `json` of `Router`, `Request`, `Response` and `sim`, with serde_json.
//! * `websocket`: the module `websocket`.
//!
//! # Where to read next
//!
//! These pages are in the folder `docs` of the repository:
//!
//! * `cookbook.md` has programs for the usual tasks.
//! * `coming-from-go.md` has the names of `net/http` and ours, and programs side by side.
//! * `compiler-messages.md` has twelve mistakes that do not compile, and the remedy for each.
//! * `support.md` has every refusal with its status, and the bytes that cause it.
//! * `sizing.md` has the memory of a connection in each state.
//! * `debugging.md` has the log and how to read it.
//!
//! The folder `examples` has complete programs. `ARCHITECTURE.md` is a guide to the code, which
//! follows one request through ten functions.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod logging;
mod heap;
mod limits;
mod error;
mod sync;
mod waker;
mod stats;
mod message;
mod handler;
mod http1;
mod reactor;
mod server;
mod helpers;
pub mod router;
pub mod files;
#[cfg(feature = "websocket")]
pub mod websocket;
pub mod sim;

pub use bytes::Bytes;
pub use error::{Error, FieldError};
#[doc(hidden)]
pub use handler::upgrade::Protocol;
pub use handler::{Failure, Handler, Later, Reply};
#[doc(hidden)]
pub use handler::{Receive, Transform};
pub use helpers::events;
pub use helpers::metrics;
pub use helpers::multipart;
pub use helpers::pool::Pool;
pub use http::{self, Version};
pub use limits::{Limits, LimitsError};
pub use message::body::Body;
#[doc(hidden)]
pub use message::body::Produce;
pub use message::fields::Fields;
pub use message::informational::Informational;
pub use message::media_type::MediaType;
pub use message::params::ParamError;
pub use message::request::{Method, Request};
#[cfg(feature = "json")]
pub use message::request_error::JsonError;
pub use message::request_error::PoolFull;
pub use message::response::{Response, StatusCode};
pub use message::trailers::Trailers;
#[doc(inline)]
pub use router::{Router, Routes};
pub use server::{serve, Handle, Server};
pub use waker::Waker;

/// Listeners, loops, threads and hooks: everything about running a server.
///
/// A program that calls [`serve`], or listens on plain addresses and calls [`Server::run`], needs
/// none of this. Other programs need:
///
/// * [`Listener`](runtime::Listener) to name a listener, to share its port, or to set the mode of a
///   socket file;
/// * [`Admission`](runtime::Admission) and [`NewConnection`](runtime::NewConnection) in the hook
///   [`Server::on_connect`], and [`ConnectionState`](runtime::ConnectionState) in
///   [`Server::on_connection_state`];
/// * [`Exchange`](runtime::Exchange) and [`Outcome`](runtime::Outcome) in the hook
///   [`Server::on_exchange`];
/// * [`Cores`](runtime::Cores) to run one loop on each core;
/// * [`ServerThread`](runtime::ServerThread) and [`Remote`](runtime::Remote) to serve in a thread
///   of a program that exists, and [`EventLoop`](runtime::EventLoop) to serve inside its loop;
/// * [`Interest`](runtime::Interest), [`Readiness`](runtime::Readiness) and [`Next`](runtime::Next)
///   to watch a descriptor of its own on the loop;
/// * [`Stats`](runtime::Stats) to read the numbers of a server while it runs, and
///   [`Report`](runtime::Report) those of a server that has ended.
///
/// ```
/// use wheelhouse::runtime::{Listener, Report};
/// use wheelhouse::Server;
///
/// let server = Server::with_state(0_u64).listen(Listener::new("127.0.0.1:0").named("public"))?;
/// let remote = server.remote();
/// let thread = server.spawn(|| Ok(|_: &wheelhouse::Request<'_>| "hello\n"))?;
///
/// let _ = remote.run(|state| *state += 1); // Runs on the loop.
///
/// thread.handle().shutdown();
/// let report: Report = thread.join()?;
/// assert_eq!(report.totals.accepted, 0);
/// # Ok::<(), wheelhouse::Error>(())
/// ```
pub mod runtime {
    pub use crate::handler::exchange::{Exchange, Outcome};
    pub use crate::handler::hooks::{Admission, ConnectionState, NewConnection};
    pub use crate::handler::source::{Interest, Next, Readiness, SourceId};
    pub use crate::handler::timers::TIMER_MIN;
    pub use crate::message::id::{ConnectionId, RequestId};
    pub use crate::server::cores::Cores;
    pub use crate::server::event_loop::{EventLoop, ServerThread, Turn};
    pub use crate::server::listen::Listener;
    pub use crate::server::remote::{Remote, RemoteClosed};
    pub use crate::stats::{
        Deadline, Eviction, Histogram, Memory, Phase, Refusal, Report, Stats, Tally, Totals,
    };
}

/// The content of a response that is made piece by piece.
///
/// Text, bytes and files need none of this: [`Response`] and [`Body`] take them. A program needs
/// [`body::Produce`] for content that is made on the loop when there is room for it
/// ([`Body::produce`]). That needs no thread and holds at most one piece. A program needs
/// [`Sender`](body::Sender) for content that another thread makes, which may block
/// ([`Body::channel`]). Both wait for a slow client instead of filling the memory.
///
/// ```
/// use std::io;
/// use wheelhouse::body::{Out, Produce, Produced};
/// use wheelhouse::{sim::Sim, Body, Request, Response};
///
/// struct Numbers(u64);
///
/// impl Produce for Numbers {
///     fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
///         while self.0 < 100_000 {
///             if !out.put_all(format!("{}\n", self.0).as_bytes()) {
///                 return Ok(Produced::More); // The buffer is full.
///             }
///             self.0 += 1;
///         }
///         Ok(Produced::End)
///     }
/// }
///
/// let mut sim = Sim::new(|_: &Request<'_>| {
///     Response::ok("text/plain", Body::produce(Numbers(0)))
/// });
/// assert!(sim.get("/").text().ends_with("\n99999\n"));
/// ```
pub mod body {
    pub use crate::helpers::channel::{SendError, Sender};
    pub use crate::message::body::{Out, Produce, Produced};
}

/// The content of a request that is handled piece by piece.
///
/// Content that fits into memory needs none of this: [`Reply::collect`] and [`Router::collect`]
/// gather it up to a limit. Nor does content that goes into a file: see [`Reply::receive_into`]. A
/// program needs [`content::Receive`] for other uploads, for example to a slow disk or to another
/// server ([`Reply::receive`]). It needs [`content::Transform`] for a response that
/// is made out of the content while that arrives ([`Reply::transform`]).
///
/// ```
/// use wheelhouse::content::{Flow, Receive};
/// use wheelhouse::{sim::Sim, Failure, Reply, Request};
///
/// #[derive(Default)]
/// struct Lines(usize);
///
/// impl<S: 'static> Receive<S> for Lines {
///     fn piece(&mut self, _: &mut S, piece: &[u8]) -> Result<Flow<S>, Failure> {
///         self.0 += piece.iter().filter(|&&byte| byte == b'\n').count();
///         Ok(Flow::Continue)
///     }
///
///     fn end(self: Box<Self>, _: &mut S) -> Reply<S> {
///         format!("{} lines", self.0).into()
///     }
/// }
///
/// // At most a gigabyte, of which no more than one read is in memory.
/// let mut sim = Sim::new(|_: &Request<'_>| Reply::receive(1 << 30, Lines::default()));
/// assert_eq!(sim.request("PUT", "/").body("a\nb\n").send().text(), "2 lines");
/// ```
pub mod content {
    pub use crate::handler::{Flow, Lost, Receive, Transform};
}

/// Connections that leave HTTP.
///
/// A program needs [`upgrade::Protocol`] to speak a protocol of its own on the loop, after an
/// upgrade or in a tunnel ([`Reply::upgrade`]). The connection then stays under the limits and in
/// the shutdown of the server. A program needs [`Hijacked`](upgrade::Hijacked) to take the bare
/// stream to a thread ([`Reply::hijack`]). The server then no longer looks after the connection.
/// For WebSockets use the module `websocket`.
#[doc(alias = "Hijacker")]
pub mod upgrade {
    pub use crate::handler::upgrade::{Connection, Hijacked, HijackedStream, Protocol, Upgrade};
}

/// Queries and forms as decoded pairs, and text for HTML.
///
/// [`Request::query`] and [`Request::form`] return [`Pairs`](forms::Pairs). A program needs this
/// module to name the types, to parse pairs from another source, and to put text from a client into
/// a page.
///
/// ```
/// use wheelhouse::forms::{escape_html, FormError};
/// use wheelhouse::{sim::Sim, Response, Router};
///
/// let routes = Router::<()>::new().collect("POST /greet", 4096, |_, req, content| {
///     let form = req.form(content)?;
///     let name = form.get("name").unwrap_or_default();
///     Ok::<_, FormError>(Response::html(format!("<p>Hello {}", escape_html(&name))))
/// });
/// let mut sim = Sim::new(routes.build()?);
/// let request = sim.request("POST", "/greet").body("name=%3CAnn%3E");
/// let response = request.header("Content-Type", "application/x-www-form-urlencoded").send();
/// assert_eq!(response.text(), "<p>Hello &lt;Ann&gt;");
/// # Ok::<(), wheelhouse::Error>(())
/// ```
pub mod forms {
    pub use crate::helpers::query::Pairs;
    pub use crate::message::html::escape_html;
    pub use crate::message::request_error::FormError;
}

/// Cookies for a response.
///
/// [`Request::cookie`] reads the cookies of a request without this module. A program needs
/// [`SetCookie`](cookies::SetCookie) to set or to remove a cookie.
///
/// ```
/// use wheelhouse::cookies::SetCookie;
/// use wheelhouse::{sim::Sim, Request, Response};
///
/// let mut sim = Sim::new(|req: &Request<'_>| match req.cookie("theme") {
///     Some(theme) => Response::text(theme.to_owned()),
///     None => Response::text("light").with_cookie(&SetCookie::new("theme", "light").path("/")),
/// });
/// let cookie = "theme=light; Path=/; HttpOnly; SameSite=Lax";
/// assert_eq!(sim.get("/").header("Set-Cookie"), Some(cookie));
/// ```
pub mod cookies {
    pub use crate::helpers::cookies::{CookieError, SameSite, SetCookie, COOKIE_BYTES_MAX};
}

/// Checks for [`Server::guard`] and [`Router::guard`]. A program needs
/// [`OriginGuard`](guards::OriginGuard) if browsers use it with cookies or a password: other sites
/// could send requests in the name of its users. It needs [`Cors`](guards::Cors) if pages of other
/// sites are to read its responses, [`RateLimit`](guards::RateLimit) if one client could cost the
/// others too much, and [`TrustedProxies`](guards::TrustedProxies) behind a proxy, to know the
/// addresses of its clients.
pub mod guards {
    pub use crate::helpers::cors::{Cors, CorsGrant, CorsGuard};
    pub use crate::helpers::forwarded::TrustedProxies;
    pub use crate::helpers::origin::OriginGuard;
    pub use crate::helpers::rate::RateLimit;
}

/// Credentials of requests, and a comparison that does not show how much of a secret was right.
///
/// [`Request::basic_auth`] returns [`BasicAuth`](auth::BasicAuth). A program needs
/// [`constant_time_eq`](auth::constant_time_eq) wherever it compares a secret that a client has
/// sent:
///
/// ```
/// use wheelhouse::auth::constant_time_eq;
/// use wheelhouse::{sim::Sim, Request, Response, StatusCode};
///
/// fn has_token(req: &Request<'_>) -> bool {
///     req.bearer_token().is_some_and(|token| constant_time_eq(token.as_bytes(), b"4711"))
/// }
///
/// let mut sim = Sim::new(|req: &Request<'_>| match has_token(req) {
///     true => Response::text("welcome\n"),
///     false => Response::status_page(StatusCode::FORBIDDEN),
/// });
/// assert_eq!(sim.get("/").status(), 403);
/// let request = sim.request("GET", "/").header("Authorization", "Bearer 4711");
/// assert_eq!(request.send().text(), "welcome\n");
/// ```
pub mod auth {
    pub use crate::helpers::auth::{constant_time_eq, BasicAuth};
}

/// Compiles the program of the README with the tests.
#[cfg(all(doctest, feature = "signals"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the programs of the page for readers who know Go, with the tests.
#[cfg(all(doctest, feature = "signals"))]
#[doc = include_str!("../docs/coming-from-go.md")]
struct ComingFromGo;

/// Compiles the programs of the cookbook, and runs those that end, with the tests.
#[cfg(all(doctest, feature = "json", feature = "signals", feature = "websocket"))]
#[doc = include_str!("../docs/cookbook.md")]
struct Cookbook;

/// Compiles the program of the page about debugging, with the tests.
#[cfg(all(doctest, feature = "signals"))]
#[doc = include_str!("../docs/debugging.md")]
struct Debugging;
