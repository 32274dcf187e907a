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
//!  ◄─────────│  slab   one read    answer ► bytes ◄──  Reply            │
//!            │  wheel  one write                                        │
//!            └──────────────────────────────────────────────────────────┘
//! ```
//!
//! # What to read
//!
//! * [`Server`] opens listeners and runs; [`serve`] is the short form.
//! * [`Cores`] runs one server for each core.
//! * [`Handler`] and [`Reply`]: what a program plugs in, and what it may answer with.
//! * [`Request`], [`Response`], [`Body`], [`Fields`]: the words.
//! * [`Later`], [`channel()`] and [`events::Topic`]: answers and content from elsewhere, other threads
//!   included.
//! * [`Protocol`]: what is spoken on a connection after an upgrade.
//! * `websocket` (a feature): messages on a `Protocol` that browsers speak.
//! * [`files::Files`]: a directory, with ranges, conditions and a listing.
//! * [`Router`]: routes over shared state, with the meaning of Go's patterns.
//! * [`Limits`]: every limit and deadline, all on by default, with the reason for each.
//! * [`sim::Sim`]: the whole server on a simulated kernel and clock, for tests without sockets.
//! * `docs` in the repository: `coming-from-go.md` has a program in Go beside each of ours,
//!   `support.md` what is refused and with which status, `sizing.md` what a connection costs.
//! * `ARCHITECTURE.md` follows one request from stop to stop.
//!
//! # Features
//!
//! * `cli` (default): the `wheelhouse` binary. Libraries say `default-features = false`.
//! * `inherit` (part of `cli`): `Server::listen_inherited`, sockets by socket activation.
//! * `signals` (part of `cli`): `Server::on_signals`.
//! * `json`: `Response::json_of` and `Request::json`, with serde_json.
//! * `websocket`: the module `websocket`, with tungstenite.

#![forbid(unsafe_code)]

mod server;
mod listen;
mod cores;
mod handler;
mod request;
mod response;
mod body;
mod waker;
mod later;
mod channel;
pub mod events;
mod upgrade;
mod around;
mod fields;
mod through;
mod trailers;
mod interim;
mod escape;
mod limits;
mod schedule;
pub mod router;
pub mod files;
mod redirect;
mod query;
mod cookies;
mod auth;
mod origin;
mod sniff;
mod convert;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "websocket")]
pub mod websocket;
pub mod sim;
mod error;
mod http1;
mod reactor;

pub use around::{around, Around, Enter};
pub use auth::{constant_time_eq, BasicAuth};
pub use body::{Body, FileBody, Out, Produce, ProduceBody, Produced};
pub use channel::{channel, SendError, Sender};
pub use cookies::{CookieError, SameSite, SetCookie, COOKIE_BYTES_MAX};
pub use cores::{Cores, CoresHandle};
pub use error::Error;
pub use fields::Fields;
pub use handler::{Flow, Gone, Handler, Receive, Reply, Transform};
pub use interim::Informational;
#[cfg(feature = "json")]
pub use json::JsonError;
pub use later::Later;
pub use limits::{Limits, LimitsError};
pub use origin::{Guarded, OriginError, OriginGuard};
pub use query::{Pairs, PairsError};
pub use reactor::drain::Report;
pub use reactor::hooks::{Accepted, Admission, ConnState};
pub use request::{Method, Request, Version};
pub use response::{FieldError, Response, StatusCode, RESPONSE_FIELD_BYTES_MAX};
pub use router::{collect, RouteError, Router, Routes};
pub use schedule::{Timers, TIMER_MIN};
pub use server::{serve, Handle, Server};
pub use sniff::{sniff, SNIFF_BYTES_MAX};
pub use through::{within, Within};
pub use trailers::{Trailers, TRAILER_BYTES_MAX};
pub use upgrade::{Hijacked, HijackedStream, Io, Protocol, Upgrade};
pub use waker::Waker;

/// Runs the program of the README with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the programs of the page for those who know Go, with the tests.
#[cfg(all(doctest, feature = "signals"))]
#[doc = include_str!("../docs/coming-from-go.md")]
struct ComingFromGo;
