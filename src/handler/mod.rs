//! The code that a program plugs into the loop: a [`Handler`], and the [`Reply`] it returns.
//!
//! A handler runs on the loop, when the head of a request has arrived, and returns. That forbids
//! one thing: blocking, which would stop every connection. It guarantees the rest: requests of
//! one connection come one after another, nothing runs beside the handler, so its state is a
//! plain `&mut` without lock, `Arc` or `Send`. Forgetting to respond, responding twice and keeping
//! the request do not compile.

mod gone;
pub(crate) mod guard;
pub(crate) mod hooks;
mod map;
mod reply;
mod ticket;
pub(crate) mod timers;
mod transform;
pub(crate) mod upgrade;

use crate::message::request::Request;

pub use crate::handler::gone::Gone;
pub(crate) use crate::handler::reply::{Action, Collect, Collected, Finish, Hold, Start};
pub use crate::handler::reply::{Flow, Later, Receive, Reply};
pub(crate) use crate::handler::ticket::{Place, Ticket};
use crate::handler::timers::Timers;
pub use crate::handler::transform::Transform;

/// Responds to requests.
///
/// Every `FnMut(&Request<'_>) -> impl Into<Reply>` is one. Implement it yourself when callbacks
/// that run later ([`Reply::collect`], [`Reply::receive`]) want the same state:
///
/// ```
/// use wheelhouse::{Handler, Reply, Request, Response};
///
/// #[derive(Default)]
/// struct Notes(Vec<String>);
///
/// impl Handler for Notes {
///     type State = Self;
///
///     fn state(&mut self) -> &mut Self {
///         self
///     }
///
///     fn handle(&mut self, req: &Request<'_>) -> Reply<Self> {
///         match req.method().as_str() {
///             "POST" => Reply::collect(4096, |notes: &mut Notes, _req, content| {
///                 notes.0.push(String::from_utf8_lossy(content).into_owned());
///                 "noted\n"
///             }),
///             "GET" => Response::text(self.0.join("\n")).into(),
///             _ => Response::method_not_allowed("GET, POST").into(),
///         }
///     }
/// }
/// # let mut sim = wheelhouse::sim::Sim::new(Notes::default());
/// # let c = sim.connect();
/// # sim.send(c, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
/// # assert!(sim.received(c).ends_with(b"noted\n"));
/// ```
pub trait Handler {
    /// The type that callbacks which run after [`handle`](Handler::handle) get as `&mut`.
    type State: 'static;

    /// The state for such a callback.
    fn state(&mut self) -> &mut Self::State;

    /// Functions to be called at times of their own, with the state. Called once, before the
    /// server begins to run. None by default.
    fn timers(&mut self) -> Timers<Self::State> {
        Timers::new()
    }

    /// Responds to one request, whose head has arrived and whose content has not been asked for.
    ///
    /// # Panics
    ///
    /// A panic costs this one connection: a 500 if nothing of the response was sent, then a close.
    /// The state stays as the panic left it.
    fn handle(&mut self, req: &Request<'_>) -> Reply<Self::State>;
}

impl<F, R> Handler for F
where
    F: FnMut(&Request<'_>) -> R,
    R: Into<Reply>,
{
    type State = ();

    fn state(&mut self) -> &mut () {
        // A box of nothing allocates nothing, so there is nothing to leak.
        Box::leak(Box::new(()))
    }

    fn handle(&mut self, req: &Request<'_>) -> Reply {
        self(req).into()
    }
}
