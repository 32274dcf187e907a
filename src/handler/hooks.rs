//! Hooks: functions of a program that the loop calls for its connections (Go's `ConnContext` and
//! `ConnState`) and when a shutdown begins (Go's `RegisterOnShutdown`).

use std::any::Any;
use std::fmt;
use std::mem;
use std::net::SocketAddr;

use crate::handler::exchange::Exchange;
use crate::handler::guard::{guard, Panic};
use crate::logging::error;
use crate::message::id::ConnectionId;
use crate::message::request::Transport;

/// The state of a connection, as
/// [`Server::on_connection_state`](crate::Server::on_connection_state) reports it.
///
/// The sequences are those of Go's `net/http`: `New` comes first, `Closed` last (`Hijacked` if the
/// stream was handed out). A connection becomes `Active` when a head begins. (In Go it does so when
/// the head is complete, so a slow client looks idle.) It becomes `Idle` when a response is
/// complete and the connection is kept.
#[doc(alias = "ConnState")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Accepted. Leads to `Active` or `Closed`.
    New,
    /// At work on a request. Leads to `Idle`, `Hijacked` or `Closed`.
    Active,
    /// Kept, between two requests. Leads to `Active` or `Closed`.
    Idle,
    /// No longer HTTP. Final if the stream was [handed out](crate::Reply::hijack). An
    /// [upgraded](crate::Reply::upgrade) connection stays in the server and leads to `Closed`.
    Hijacked,
    /// Closed or reset. Final.
    Closed,
}

/// The decision of [`Server::on_connect`](crate::Server::on_connect) about a new connection.
#[doc(alias = "ConnContext")]
#[must_use = "an admission has an effect only when the hook returns it"]
pub struct Admission(pub(crate) Result<Option<Box<dyn Any>>, Refused>);

/// The refusal of a connection, which is then closed at once.
#[derive(Debug)]
pub(crate) struct Refused;

impl Admission {
    /// Returns the decision to serve the connection.
    pub fn accept() -> Admission {
        Admission(Ok(None))
    }

    /// Returns the decision to serve the connection. Handlers find `value` with
    /// [`Request::connection_value`](crate::Request::connection_value).
    pub fn accept_with(value: impl Any) -> Admission {
        Admission(Ok(Some(Box::new(value))))
    }

    /// Returns the decision to close the connection without a response.
    pub fn refuse() -> Admission {
        Admission(Err(Refused))
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Ok(None) => "accept",
            Ok(Some(_)) => "accept_with",
            Err(Refused) => "refuse",
        })
    }
}

/// A connection that has just been accepted, as
/// [`Server::on_connect`](crate::Server::on_connect) sees it.
pub struct NewConnection<'a> {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) transport: &'a dyn Transport,
    pub(crate) id: ConnectionId,
    pub(crate) listener: &'a str,
}

impl NewConnection<'_> {
    /// Returns the address of the client; `None` on a Unix socket, and only there, as for
    /// [`Request::peer_addr`](crate::Request::peer_addr).
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the local address that the client connected to; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.transport.local_addr()
    }

    /// Returns the name of the listener, as [`Request::listener`](crate::Request::listener) does.
    pub fn listener(&self) -> &str {
        self.listener
    }

    /// Returns the number of the connection, as
    /// [`Request::connection_id`](crate::Request::connection_id) does.
    pub fn id(&self) -> ConnectionId {
        self.id
    }
}

impl fmt::Debug for NewConnection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewConnection")
            .field("id", &self.id)
            .field("peer", &self.peer_addr())
            .finish()
    }
}

type ConnectHook<S> = Box<dyn FnMut(&mut S, &NewConnection<'_>) -> Admission + Send>;
type ExchangeHook<S> = Box<dyn FnMut(&mut S, &Exchange<'_>) + Send>;
type ShutdownHook<S> = Box<dyn FnOnce(&mut S) + Send>;
type StateHook<S> = Box<dyn FnMut(&mut S, ConnectionId, ConnectionState) + Send>;

/// The hooks that a program has set.
pub(crate) struct Hooks<S> {
    pub(crate) on_connect: Option<ConnectHook<S>>,
    pub(crate) on_connection_state: Option<StateHook<S>>,
    pub(crate) on_exchange: Option<ExchangeHook<S>>,
    /// The names of the header fields that are kept for `on_exchange`.
    pub(crate) exchange_headers: Vec<Box<str>>,
    pub(crate) on_shutdown: Vec<ShutdownHook<S>>,
    /// The number of calls of hooks that panicked and have not been counted.
    panics: u64,
}

impl<S> Hooks<S> {
    pub(crate) fn new() -> Hooks<S> {
        Hooks {
            on_connect: None,
            on_connection_state: None,
            on_exchange: None,
            exchange_headers: Vec::new(),
            on_shutdown: Vec::new(),
            panics: 0,
        }
    }

    /// Whether no hook follows each request.
    pub(crate) fn are_silent(&self) -> bool {
        self.on_exchange.is_none() && self.on_connection_state.is_none()
    }

    /// Decides whether a connection is served. Returns the value that the program attaches to it.
    pub(crate) fn admit(
        &mut self,
        state: &mut S,
        new: &NewConnection<'_>,
    ) -> Result<Option<Box<dyn Any>>, Refused> {
        match &mut self.on_connect {
            Some(hook) => guard(|| hook(state, new).0).unwrap_or_else(|panic| {
                self.note_panic(new.id, panic);
                Err(Refused)
            }),
            None => Ok(None),
        }
    }

    /// Counts and logs a panic of a hook that was called for a connection.
    #[cold]
    fn note_panic(&mut self, id: ConnectionId, panic: Panic) {
        error!("connection {id}: a hook panicked: {}", panic.into_message());
        self.panics += 1;
    }

    /// Returns the number of calls that panicked since the last call of this.
    pub(crate) fn take_panics(&mut self) -> u64 {
        mem::take(&mut self.panics)
    }

    /// Calls each shutdown hook once, in the order in which they were set.
    pub(crate) fn report_shutdown(&mut self, state: &mut S) {
        for hook in mem::take(&mut self.on_shutdown) {
            self.panics += u64::from(guard(|| hook(state)).is_err());
        }
    }

    /// Reports the new state of a connection. If the hook panics, it is not called again for this
    /// state.
    pub(crate) fn report(&mut self, state: &mut S, id: ConnectionId, connection: ConnectionState) {
        if let Some(hook) = &mut self.on_connection_state {
            if let Err(panic) = guard(|| hook(state, id, connection)) {
                self.note_panic(id, panic);
            }
        }
    }
}
