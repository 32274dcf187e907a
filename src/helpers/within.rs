//! [`within`]: a deadline for the responses of a handler that come later.

use std::time::Duration;

use crate::handler::{Handler, Reply};
use crate::message::request::Request;
use crate::message::response::Response;

/// Puts a deadline on what `handler` answers later (Go's `TimeoutHandler`).
///
/// The clock starts when the answer is put off with [`Reply::later`]; when it has run down the
/// peer gets `late`, and the worker finds its [`Later`](crate::Later) over. Of several deadlines, of
/// which one may be the reply's own ([`Reply::with_handler_timeout`]), the shortest counts. A handler that answers
/// at once is not touched, nor is anything buffered: an answer that has begun is under the response
/// rate of the [`Limits`](crate::Limits). What never returns cannot be cut off: it holds the loop. An
/// answer that a worker puts off once more has another time: say it there.
///
/// ```
/// use std::time::Duration;
/// use wheelhouse::{sim::Sim, within, Reply, Request, Response, StatusCode};
///
/// // A worker that is never heard of again.
/// let slow = |_: &Request<'_>| -> Reply {
///     let (later, reply) = Reply::later();
///     std::mem::forget(later);
///     reply
/// };
/// let late = || Response::error(StatusCode::SERVICE_UNAVAILABLE, "try again later");
/// let mut sim = Sim::new(within(Duration::from_secs(2), late, slow));
/// let client = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// sim.advance(Duration::from_secs(3));
/// assert!(sim.received(client).starts_with(b"HTTP/1.1 503 "));
/// ```
pub fn within<H, F: FnMut() -> Response>(timeout: Duration, late: F, handler: H) -> Within<H, F> {
    Within { timeout, late, handler }
}

/// See [`within`].
#[derive(Debug)]
pub struct Within<H, F> {
    timeout: Duration,
    late: F,
    handler: H,
}

impl<S: 'static, H: Handler<S>, F: FnMut() -> Response> Handler<S> for Within<H, F> {
    fn handle(&mut self, state: &mut S, req: &Request<'_>) -> Reply<S> {
        let (timeout, late) = (self.timeout, (self.late)());
        self.handler.handle(state, req).map_later(move |deferred| {
            if deferred.timeout.is_none_or(|own| own > timeout) {
                (deferred.timeout, deferred.late) = (Some(timeout), Some(late));
            }
        })
    }
}
