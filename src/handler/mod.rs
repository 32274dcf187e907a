//! The code that a program plugs into the loop: a [`Handler`], and the [`Reply`] it returns.
//!
//! A handler runs on the loop when the head of a request has arrived. It must not block, because
//! that would stop every connection. In return, the requests of one connection come one after
//! another and no other code runs at the same time, so the state is a plain `&mut` without a lock,
//! `Arc` or `Send`. A handler that does not respond, responds twice or keeps the request does not
//! compile.

pub(crate) mod exchange;
mod failure;
pub(crate) mod guard;
pub(crate) mod hooks;
mod into_reply;
pub(crate) mod layers;
mod lost;
mod map;
mod reply;
pub(crate) mod source;
mod ticket;
pub(crate) mod timers;
mod transform;
pub(crate) mod upgrade;

use crate::message::request::Request;

pub use crate::handler::failure::Failure;
pub use crate::handler::lost::Lost;
#[cfg(all(loom, test))]
pub(crate) use crate::handler::reply::Hold;
pub(crate) use crate::handler::reply::{
    Action, Change, Collect, Collected, Deferred, Finish, HandOut, Receiving,
};
pub use crate::handler::reply::{Flow, Later, Receive, Reply};
pub(crate) use crate::handler::ticket::Place;
pub use crate::handler::transform::Transform;

/// Handles requests, with `&mut` access to the state of the server.
///
/// Every `FnMut(&Request<'_>) -> impl Into<Reply<S>>` is a handler, whatever the state.
/// [`Routes`](crate::Routes) and [`Files`](crate::files::Files) are handlers, too. Implement the
/// trait for a struct of your own to wrap another handler, or to hold data that only this handler
/// needs:
///
/// ```
/// use wheelhouse::{sim::Sim, Handler, Reply, Request};
///
/// /// Passes each tenth request on and refuses the others.
/// struct Sampled<H>(H, u64);
///
/// impl<S, H: Handler<S>> Handler<S> for Sampled<H> {
///     fn handle(&mut self, state: &mut S, req: &Request<'_>) -> Reply<S> {
///         self.1 += 1;
///         match self.1 % 10 {
///             1 => self.0.handle(state, req),
///             _ => "not this time\n".into(),
///         }
///     }
/// }
///
/// let mut sim = Sim::new(Sampled(|_: &Request<'_>| "hello\n", 0));
/// # let client = sim.connect();
/// # for end in ["hello\n", "time\n"] {
/// #     sim.send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// #     assert!(sim.received(client).ends_with(end.as_bytes()));
/// # }
/// ```
#[doc(alias("HandlerFunc", "middleware", "Service", "FromRequest"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler for a server with the state `{S}`",
    label = "not a `Handler<{S}>`",
    note = "a closure needs the type of its parameter: `|req: &Request<'_>| ..`",
    note = "a `Router` needs `.build()?`, and its state must be the server's: `Server::with_state(..)`"
)]
pub trait Handler<S = ()> {
    /// Handles one request, whose head has arrived. The reply decides whether its content is read.
    ///
    /// # Panics
    ///
    /// A panic costs this one connection. The client gets a 500 if no byte of the response has been
    /// sent, and then the connection is closed. The state stays as the panic left it.
    fn handle(&mut self, state: &mut S, req: &Request<'_>) -> Reply<S>;
}

impl<S, F, R> Handler<S> for F
where
    F: FnMut(&Request<'_>) -> R,
    R: Into<Reply<S>>,
{
    fn handle(&mut self, _: &mut S, req: &Request<'_>) -> Reply<S> {
        self(req).into()
    }
}

impl<S> Handler<S> for Box<dyn Handler<S> + '_> {
    fn handle(&mut self, state: &mut S, req: &Request<'_>) -> Reply<S> {
        (**self).handle(state, req)
    }
}
