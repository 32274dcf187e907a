//! An HTTP/1.1 server on one event loop: one thread, one slab of connections, one hashed timing
//! wheel. Go's `net/http` server, rebuilt for places where memory is counted.
//!
//! It is not a framework, speaks no HTTP/2, and runs no `async`: a handler is a function that
//! runs on the loop and returns.
//!
//! ```no_run
//! use wheelhouse::Response;
//!
//! wheelhouse::serve("127.0.0.1:8080", |req| {
//!     Response::text(format!("hello {}\n", req.path()))
//! })?;
//! # Ok::<(), wheelhouse::Error>(())
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
//! # Where to start
//!
//! * [`Server`] opens listeners and runs; [`serve`] is the short form.
//! * [`runtime::Cores`] runs one loop for each core; [`Server::spawn`] and [`runtime::EventLoop`] serve inside a
//!   program that exists.
//! * [`Handler`] is the code that a program plugs in, and [`Reply`] its decision about a request.
//! * [`Request`], [`Response`], [`Body`] and [`Fields`] are the messages and their parts.
//! * [`Later`], [`Body::channel`] and [`events::Topic`] bring responses and content from elsewhere, other
//!   threads included.
//! * [`Failure`] makes a response and a log line of any error, with `?`.
//! * [`upgrade::Protocol`] takes over a connection after an upgrade.
//! * `websocket` (a feature) is such a protocol, which browsers speak.
//! * [`files::Files`]: a directory, with ranges, conditions and a listing.
//! * [`Router`]: routes over shared state, with the meaning of Go's patterns.
//! * [`Limits`]: every limit and deadline, all on by default, with the reason for each.
//! * [`sim::Sim`]: the whole server on a simulated kernel and clock, for tests without sockets.
//! * `docs` in the repository: `coming-from-go.md` has a program in Go beside each of ours,
//!   `support.md` has each refusal and its status, `sizing.md` the memory of a connection.
//! * `ARCHITECTURE.md` is for those who read the code: it follows one request through ten functions.
//!
//! # Features
//!
//! * `cli` (default): the `wheelhouse` binary. Libraries say `default-features = false`.
//! * `inherit` (part of `cli`): `Server::listen_inherited`, sockets by socket activation.
//! * `signals` (part of `cli`): `Server::on_signals`.
//! * `json`: `Response::json` and `Request::json`, with serde_json.
//! * `websocket`: the module `websocket`, with tungstenite.

#![forbid(unsafe_code)]

mod limits;
mod error;
mod report;
mod sync;
mod waker;
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

pub use error::{Error, FieldError};
#[doc(hidden)]
pub use handler::upgrade::Protocol;
pub use handler::{Failure, Handler, Later, Reply};
#[doc(hidden)]
pub use handler::{Receive, Transform};
pub use helpers::events;
pub use http::Version;
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
pub use message::response::{Response, StatusCode};
pub use message::trailers::Trailers;
pub use router::{Router, Routes};
pub use server::{serve, Handle, Server};
pub use waker::Waker;

/// Loops, threads and hooks: everything about running a server.
pub mod runtime {
    pub use crate::handler::exchange::{Exchange, Outcome};
    pub use crate::handler::hooks::{Admission, ConnectionState, NewConnection};
    pub use crate::handler::source::{Interest, Next, Readiness, SourceId};
    pub use crate::handler::timers::TIMER_MIN;
    pub use crate::message::id::{ConnectionId, RequestId};
    pub use crate::report::Report;
    pub use crate::server::cores::Cores;
    pub use crate::server::event_loop::{EventLoop, ServerThread, Turn};
    pub use crate::server::listen::Listener;
    pub use crate::server::remote::{Remote, RemoteClosed};
}

/// The content of a response that is made piece by piece: by a producer on the loop, or by another
/// thread through a channel. [`Body`] has the constructors.
pub mod body {
    pub use crate::helpers::channel::{SendError, Sender};
    pub use crate::message::body::{Out, Produce, Produced};
}

/// The content of a request, piece by piece: for [`Reply::receive`] and [`Reply::transform`].
pub mod content {
    pub use crate::handler::{Flow, Lost, Receive, Transform};
}

/// Connections that leave HTTP: for [`Reply::upgrade`] and [`Reply::hijack`].
#[doc(alias = "Hijacker")]
pub mod upgrade {
    pub use crate::handler::upgrade::{Connection, Hijacked, HijackedStream, Protocol, Upgrade};
}

/// Queries and forms as decoded pairs, and text for HTML.
pub mod forms {
    pub use crate::helpers::query::Pairs;
    pub use crate::message::html::escape_html;
    pub use crate::message::request_error::FormError;
}

/// Cookies to be set. [`Request::cookie`] reads those of a request.
pub mod cookies {
    pub use crate::helpers::cookies::{CookieError, SameSite, SetCookie, COOKIE_BYTES_MAX};
}

/// Checks for [`Server::guard`] and [`Router::guard`].
pub mod guards {
    pub use crate::helpers::origin::OriginGuard;
}

/// Credentials of requests, and a comparison that does not show how much of a secret was right.
pub mod auth {
    pub use crate::helpers::auth::{constant_time_eq, BasicAuth};
}

/// Runs the program of the README with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the programs of the page for those who know Go, with the tests.
#[cfg(all(doctest, feature = "signals"))]
#[doc = include_str!("../docs/coming-from-go.md")]
struct ComingFromGo;
