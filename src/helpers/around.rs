//! [`around`]: something done before every request and with every answer, whenever that comes.
//!
//! A request is gone when its answer comes later, so there are not two hooks but one in two parts:
//! what is called with the request returns what is called with the answer, and takes along what
//! that needs.

use std::fmt;

use crate::handler::{Handler, Reply};
use crate::message::request::Request;
use crate::message::response::Response;

/// What [`around`] does with a request.
#[derive(Debug)]
pub enum Enter<S, L> {
    /// The handler answers, and this is called with its response before it leaves: the status, the
    /// fields and the content may still be changed.
    Pass(L),
    /// The handler is not asked; this is the answer.
    Answer(Reply<S>),
}

/// Puts `enter` around a handler: for access logs, authentication, CORS, fields that every answer
/// has.
///
/// It sees every request that reaches the handler, and every response of it: at once, behind
/// collected or received content, from another thread, too late. What the server refuses by itself
/// (a malformed head, a time-out) reaches neither. A stream that is
/// [handed out](Reply::hijack) has no response, and an [upgrade](Reply::upgrade) is seen as the 101
/// that the handler wanted, also where the request then turns out not to ask for it.
///
/// ```
/// use wheelhouse::{around, Enter, Request, Response, StatusCode};
///
/// let site = |req: &Request<'_>| Response::text(format!("hello {}\n", req.path()));
/// let guarded = around(site, |(), req: &Request<'_>| {
///     if req.path().starts_with("/private") {
///         return Enter::Answer(StatusCode::FORBIDDEN.into());
///     }
///     let line = format!("{} {}", req.method(), req.target().escape_default());
///     Enter::Pass(move |_: &mut (), answer: &mut Response| {
///         println!("{line} {}", answer.status().as_u16());
///         let _ = answer.set_header("X-Frame-Options", "DENY");
///     })
/// });
/// # let mut sim = wheelhouse::sim::Sim::new(guarded);
/// # let c = sim.connect_and_send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
/// # assert!(String::from_utf8_lossy(sim.received(c)).contains("X-Frame-Options: DENY\r\n"));
/// # let c = sim.connect_and_send(b"GET /private HTTP/1.1\r\nHost: a\r\n\r\n");
/// # assert!(sim.received(c).starts_with(b"HTTP/1.1 403 "));
/// ```
pub fn around<S, H, E, L>(handler: H, enter: E) -> Around<H, E>
where
    S: 'static,
    H: Handler<S>,
    E: FnMut(&mut S, &Request<'_>) -> Enter<S, L>,
    L: FnOnce(&mut S, &mut Response) + 'static,
{
    Around { handler, enter }
}

/// See [`around`].
pub struct Around<H, E> {
    handler: H,
    enter: E,
}

impl<S, H, E, L> Handler<S> for Around<H, E>
where
    S: 'static,
    H: Handler<S>,
    E: FnMut(&mut S, &Request<'_>) -> Enter<S, L>,
    L: FnOnce(&mut S, &mut Response) + 'static,
{
    fn handle(&mut self, state: &mut S, req: &Request<'_>) -> Reply<S> {
        match (self.enter)(state, req) {
            Enter::Answer(reply) => reply,
            Enter::Pass(leave) => {
                let reply = self.handler.handle(state, req);
                reply.map_now(state, leave)
            }
        }
    }
}

impl<H: fmt::Debug, E> fmt::Debug for Around<H, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Around").field(&self.handler).finish()
    }
}
