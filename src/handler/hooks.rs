//! Hooks: functions of a program that hear of its connections (Go's `ConnContext` and `ConnState`)
//! and of the end (Go's `RegisterOnShutdown`).

use std::any::Any;
use std::fmt;
use std::mem;
use std::net::SocketAddr;

use crate::handler::guard::guard;
use crate::handler::timers::Timers;
use crate::message::request::{canonical_addr, Transport};

/// The state of a connection, as the state hook is told it. The sequences are those of Go's
/// `net/http`: `New` first, `Closed` last (`Hijacked` if it was handed out), `Active` when a head
/// has begun (Go: when it is complete, so that who is slow with it looks idle), `Idle` when an
/// answer is complete and the connection is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnState {
    /// Accepted. Leads to `Active` or `Closed`.
    New,
    /// At work on a request. Leads to `Idle`, `Hijacked` or `Closed`.
    Active,
    /// Kept, between two requests. Leads to `Active` or `Closed`.
    Idle,
    /// No longer HTTP. Final for a stream that is [handed out](crate::Reply::hijack); an
    /// [upgraded](crate::Reply::upgrade) connection stays in the server and leads to `Closed`.
    Hijacked,
    /// Over. Final.
    Closed,
}

/// What the connection hook decides about a new connection.
pub struct Admission(pub(crate) Result<Option<Box<dyn Any>>, Refused>);

/// The connection is closed at once.
#[derive(Debug)]
pub(crate) struct Refused;

impl Admission {
    /// Serve it.
    pub fn accept() -> Admission {
        Admission(Ok(None))
    }

    /// Serve it, and let its handlers find `value` with
    /// [`Request::connection_value`](crate::Request::connection_value).
    pub fn accept_with(value: impl Any) -> Admission {
        Admission(Ok(Some(Box::new(value))))
    }

    /// Close it without a word.
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

/// A connection that has just been accepted, as the connection hook sees it.
pub struct Accepted<'a> {
    pub(crate) transport: &'a dyn Transport,
    pub(crate) id: u64,
    pub(crate) listener: &'a str,
}

impl Accepted<'_> {
    /// The address of the peer; `None` if it has already gone or is a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.transport.peer_addr().map(canonical_addr)
    }

    /// The local address that it connected to; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.transport.local_addr()
    }

    /// The name of the listener, as [`Request::listener`](crate::Request::listener).
    pub fn listener(&self) -> &str {
        self.listener
    }

    /// The number that [`Request::connection_id`](crate::Request::connection_id) gives for it.
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl fmt::Debug for Accepted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("id", &self.id).field("peer", &self.peer_addr()).finish()
    }
}

type ConnectHook = Box<dyn FnMut(&Accepted<'_>) -> Admission>;
type ShutdownHook = Box<dyn FnOnce()>;
type StateHook = Box<dyn FnMut(u64, ConnState)>;

/// The hooks that a program has set.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) on_connect: Option<ConnectHook>,
    pub(crate) on_state: Option<StateHook>,
    pub(crate) on_shutdown: Vec<ShutdownHook>,
    /// Functions to be called at certain times, without the state.
    pub(crate) timers: Timers,
    /// How many calls of hooks have panicked.
    pub(crate) panics: u64,
}

impl Hooks {
    /// Whether a connection is served, and the value that the program attaches to it.
    pub(crate) fn admit(
        &mut self,
        accepted: &Accepted<'_>,
    ) -> Result<Option<Box<dyn Any>>, Refused> {
        match &mut self.on_connect {
            Some(hook) => guard(|| hook(accepted).0).unwrap_or_else(|()| {
                self.panics += 1;
                Err(Refused)
            }),
            None => Ok(None),
        }
    }

    /// Calls each shutdown hook once, in the order in which they were set.
    pub(crate) fn report_shutdown(&mut self) {
        for hook in mem::take(&mut self.on_shutdown) {
            self.panics += u64::from(guard(hook).is_err());
        }
    }

    /// Reports a state to the state hook. A hook that panics has heard of it all the same.
    pub(crate) fn report(&mut self, id: u64, state: ConnState) {
        if let Some(hook) = &mut self.on_state {
            self.panics += u64::from(guard(|| hook(id, state)).is_err());
        }
    }
}
