//! Hooks: a program's eyes on its connections (Go's `ConnContext` and `ConnState`) and on the end
//! (Go's `RegisterOnShutdown`).

use std::any::Any;
use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::reactor::group::Group;
use crate::reactor::guard;
use crate::request::Transport;
use crate::schedule::Timers;

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
        self.transport.peer_addr()
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
    /// What is called at times of its own, without the state.
    pub(crate) timers: Timers,
    /// The loops that end with this one.
    pub(crate) group: Option<Arc<Group>>,
    has_heard_signal: bool,
    /// How many calls of hooks have panicked.
    pub(crate) panics: u64,
}

impl Hooks {
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

    /// Tells the group of a shutdown; the time-out that counts.
    pub(crate) fn tell_group(&self, timeout: Option<Duration>) -> Option<Duration> {
        self.group.as_ref().map_or(timeout, |group| group.shut_down(timeout))
    }

    pub(crate) fn tell_group_to_stop(&self) {
        if let Some(group) = &self.group {
            group.stop();
        }
    }

    /// Whether a signal that has come asks for the graceful end, and not for the hard one. That the
    /// server drains already says nothing: somebody else may have ended it, or the news of this very
    /// signal from another loop of the group was faster, since each hears every signal.
    pub(crate) fn is_first_signal(&mut self) -> bool {
        !mem::replace(&mut self.has_heard_signal, true)
    }

    /// Each once, in the order in which they were set.
    pub(crate) fn tell_shutdown(&mut self) {
        for hook in mem::take(&mut self.on_shutdown) {
            self.panics += u64::from(guard(hook).is_err());
        }
    }

    pub(crate) fn tell(&mut self, id: u64, state: ConnState) {
        if let Some(hook) = &mut self.on_state {
            // A hook that panics has been told all the same.
            self.panics += u64::from(guard(|| hook(id, state)).is_err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_second_signal_is_a_second_one_whoever_else_has_ended_the_server() {
        let mut hooks = Hooks::default();
        hooks.tell_shutdown();
        assert_eq!([(); 3].map(|()| hooks.is_first_signal()), [true, false, false]);
    }
}
