//! What goes around a reply: a change of the answer that it will come to, whenever that is.
//! [`within`] puts a deadline there.

use std::time::Duration;

use crate::handler::later::Start;
use crate::handler::timers::Timers;
use crate::handler::{Action, Collect, Flow, Gone, Handler, Receive, Reply};
use crate::message::fields::Fields;
use crate::message::request::Request;
use crate::message::response::Response;
use crate::waker::Waker;

/// Puts a deadline on what `handler` answers later (Go's `TimeoutHandler`).
///
/// The clock starts when the answer is put off with [`Reply::later`]; when it has run down the
/// peer gets `late`, and the worker finds its [`Later`](crate::Later) over. Of several deadlines, of
/// which one may be the reply's own ([`Reply::within`]), the shortest counts. A handler that answers
/// at once is not touched, nor is anything buffered: an answer that has begun is under the response
/// rate of the [`Limits`](crate::Limits). What never returns cannot be cut off: it holds the loop. An
/// answer that a worker puts off once more has another time: say it there.
///
/// ```
/// use std::time::Duration;
/// use wheelhouse::{sim::Sim, within, Reply, Request, Response, StatusCode};
///
/// // A worker that is never heard of again.
/// let slow = |_: &Request<'_>| Reply::<()>::later(std::mem::forget);
/// let late = || Response::error(StatusCode::SERVICE_UNAVAILABLE, "try again later");
/// let mut sim = Sim::new(within(Duration::from_secs(2), late, slow));
/// let client = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// sim.advance(Duration::from_secs(3));
/// assert!(sim.received(client).starts_with(b"HTTP/1.1 503 "));
/// ```
pub fn within<H: Handler, F: FnMut() -> Response>(
    timeout: Duration,
    late: F,
    handler: H,
) -> Within<H, F> {
    Within { timeout, late, handler }
}

/// See [`within`].
#[derive(Debug)]
pub struct Within<H, F> {
    timeout: Duration,
    late: F,
    handler: H,
}

impl<H: Handler, F: FnMut() -> Response> Handler for Within<H, F> {
    type State = H::State;

    fn state(&mut self) -> &mut H::State {
        self.handler.state()
    }

    fn timers(&mut self) -> Timers<H::State> {
        self.handler.timers()
    }

    fn handle(&mut self, req: &Request<'_>) -> Reply<H::State> {
        let (timeout, late) = (self.timeout, (self.late)());
        self.handler.handle(req).map_later(move |start| match start.timeout {
            Some(own) if own <= timeout => start,
            _ => Start { timeout: Some(timeout), late: Some(late), ..start },
        })
    }
}

impl<S: 'static> Reply<S> {
    /// Changes how the answer is put off, if it is: now, or when the content is there.
    pub(crate) fn map_later(self, change: impl FnOnce(Start<S>) -> Start<S> + 'static) -> Reply<S> {
        match self.0 {
            Action::Later(start) => Reply(Action::Later(Box::new(change(*start)))),
            Action::Collect(Collect { limit, then }) => {
                Reply::collect(limit, move |state, req, content| {
                    then(state, req, content).map_later(change)
                })
            }
            Action::Receive(receiver) => {
                Reply::receive(Through::new(receiver, |_: &mut S, reply: Reply<S>| {
                    reply.map_later(change)
                }))
            }
            Action::Inform(both) => Reply::inform(both.0, both.1.map_later(change)),
            Action::ContentWithin(both) => both.1.map_later(change).content_within(both.0),
            action => Reply(action),
        }
    }
}

/// A receiver whose reply goes through a function.
pub(crate) struct Through<S, F> {
    receiver: Box<dyn Receive<S>>,
    /// Taken by the one reply.
    change: Option<F>,
}

impl<S, F: FnOnce(&mut S, Reply<S>) -> Reply<S>> Through<S, F> {
    pub(crate) fn new(receiver: Box<dyn Receive<S>>, change: F) -> Through<S, F> {
        Through { receiver, change: Some(change) }
    }

    fn follow(&mut self, state: &mut S, flow: Flow<S>) -> Flow<S> {
        match (flow, self.change.take()) {
            (Flow::Answer(reply), Some(change)) => Flow::Answer(change(state, reply)),
            (flow, change) => {
                self.change = change;
                flow
            }
        }
    }
}

impl<S, F: FnOnce(&mut S, Reply<S>) -> Reply<S>> Receive<S> for Through<S, F> {
    fn start(&mut self, state: &mut S, waker: Waker) {
        self.receiver.start(state, waker);
    }

    fn piece(&mut self, state: &mut S, piece: &[u8]) -> Flow<S> {
        let flow = self.receiver.piece(state, piece);
        self.follow(state, flow)
    }

    fn resume(&mut self, state: &mut S) -> Flow<S> {
        let flow = self.receiver.resume(state);
        self.follow(state, flow)
    }

    fn trailers(&mut self, state: &mut S, trailers: Fields<'_>) {
        self.receiver.trailers(state, trailers);
    }

    fn end(self: Box<Self>, state: &mut S) -> Reply<S> {
        let Through { receiver, change } = *self;
        let reply = receiver.end(state);
        match change {
            Some(change) => change(state, reply),
            None => reply,
        }
    }

    fn gone(self: Box<Self>, state: &mut S, why: Gone) {
        self.receiver.gone(state, why);
    }
}
