//! [`Reply`]: the closed list of ways in which a handler can deal with a request.
//!
//! The types of this file refer to each other by nature: a [`Receive`] and a [`Later`] end in
//! another [`Reply`], and a reply may hold either.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::handler::gone::Gone;
use crate::handler::ticket::Ticket;
use crate::handler::transform::Transform;
use crate::handler::upgrade::{Hijacked, Protocol, Upgrade};
use crate::limits::TIMEOUT_MAX;
use crate::message::fields::Fields;
use crate::message::informational::{Informational, INFORMATIONAL_MAX};
use crate::message::request::Request;
use crate::message::response::Response;
use crate::waker::Waker;

/// The decision of a handler about a request: a [`Response`], or what is to be done first.
///
/// A handler may return anything that is `Into<Reply>`: a `Response`, text, a `Result` whose error
/// becomes a 500 with a log line.
pub struct Reply<S = ()>(pub(crate) Action<S>);

/// The closed list of what the loop can be asked to do with a request.
pub(crate) enum Action<S> {
    Respond(Response),
    Collect(Collect<S>),
    Receive(Box<dyn Receive<S>>),
    Transform(Box<(Response, Box<dyn Transform<S>>)>),
    Later(Box<Start<S>>),
    Upgrade(Box<(Upgrade, Box<dyn Protocol<S>>)>),
    Hijack(Box<dyn FnOnce(Hijacked)>),
    /// An informational response is sent first, and then the rest is done.
    Inform(Box<(Informational, Reply<S>)>),
    /// The content that the rest asks for must be whole within this time.
    ContentWithin(Box<(Duration, Reply<S>)>),
}

/// Content is gathered up to `limit` bytes, then `then` returns the reply.
pub(crate) struct Collect<S> {
    pub(crate) limit: usize,
    pub(crate) then: Collected<S>,
}

pub(crate) type Collected<S> = Box<dyn FnOnce(&mut S, &Request<'_>, &[u8]) -> Reply<S>>;

impl<S: 'static> Reply<S> {
    /// Gathers the content, at most `limit` bytes of it, and then responds as `then` says.
    ///
    /// More than `limit` is a 413: before anything is read if the length is announced, and then
    /// no `100 Continue` invites it either. Memory grows with what arrives, never with what is
    /// announced, and is counted against
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max). If the peer leaves or
    /// breaks the framing, `then` is dropped without being called.
    ///
    /// The reply of `then` can be a response, or one that comes [later](Reply::later). A reply that
    /// wants content again or leaves HTTP is a 500 with a log line.
    pub fn collect<R: Into<Reply<S>>>(
        limit: usize,
        then: impl FnOnce(&mut S, &Request<'_>, &[u8]) -> R + 'static,
    ) -> Reply<S> {
        let then = Box::new(move |state: &mut S, req: &Request<'_>, content: &[u8]| {
            then(state, req, content).into()
        });
        Reply(Action::Collect(Collect { limit, then }))
    }

    /// Hands the content over piece by piece, as it arrives; nothing is gathered.
    pub fn receive(receiver: impl Receive<S> + 'static) -> Reply<S> {
        Reply(Action::Receive(Box::new(receiver)))
    }

    /// Responds at once with the status and fields of `response` and makes its content out of
    /// the request's content, piece by piece, while that arrives: an echo, a filter, a checksum
    /// at the end. While output waits for the peer nothing is read, so memory stays flat however
    /// long both are. The content that `response` itself may have is dropped. Where the response
    /// has no content, to HEAD or with a status like 204, `transform` is not called and the content
    /// of the request is not wanted.
    pub fn transform(response: Response, transform: impl Transform<S> + 'static) -> Reply<S> {
        Reply(Action::Transform(Box::new((response, Box::new(transform)))))
    }

    /// Responds later, from another thread or from anywhere else: `start` is called at once, on
    /// the loop, with the right to respond, and gives it away. See [`Later`].
    ///
    /// The content of the request is not read meanwhile: if the worker needs it,
    /// [`collect`](Reply::collect) it first and return this from there. No response within
    /// [`Limits::handler_timeout`](crate::Limits::handler_timeout) is a 504; see
    /// [`within`](Reply::within) for another time.
    pub fn later(start: impl FnOnce(Later<S>) + 'static) -> Reply<S> {
        Reply(Action::Later(Box::new(Start {
            start: Box::new(start),
            timeout: None,
            late: None,
            finish: None,
        })))
    }

    /// Responds with 101 and gives the connection to `protocol`: see [`Upgrade`] for the fields
    /// that the request must have, and the response if it lacks them.
    ///
    /// The state hook sees [`Hijacked`](crate::ConnectionState::Hijacked), and `Closed` at the end.
    pub fn upgrade(upgrade: impl Into<Upgrade>, protocol: impl Protocol<S> + 'static) -> Reply<S> {
        Reply(Action::Upgrade(Box::new((upgrade.into(), Box::new(protocol)))))
    }

    /// Hands the connection out, without a response: `take` gets the stream when all responses
    /// before have left, with whatever was read of it, content of this request included. It runs on
    /// the loop.
    ///
    /// A [`Protocol`] stays under the limits and in the shutdown of the server; a connection that is
    /// handed out does not (Go's `Hijacker`).
    pub fn hijack(take: impl FnOnce(Hijacked) + 'static) -> Reply<S> {
        Reply(Action::Hijack(Box::new(take)))
    }

    /// The same reply with a time in which the content that it asks for must be whole, at most a
    /// year; then 408. The rate of [`Limits::content_rate_min`](crate::Limits::content_rate_min)
    /// counts beside it. By default there is none: a long upload is not a slow one. The response
    /// of a [transform](Reply::transform) begins before the content is whole: give that a time
    /// with [`Response::with_send_timeout`].
    pub fn content_within(self, timeout: Duration) -> Reply<S> {
        Reply(Action::ContentWithin(Box::new((timeout.min(TIMEOUT_MAX), self))))
    }

    /// Sends an informational response before the final one, and then does what `then` says.
    ///
    /// Informational responses leave with the next write: ahead of the final one and in the same
    /// write if that is ready, at once if it waits for content. HTTP/1.0 gets none (RFC 9110,
    /// section 15.2). Several can be sent one after another, up to 16. One above that, or with a
    /// field that cannot be sent, is left out and logged as an error: a hint is not a reason to
    /// withhold the response.
    ///
    /// ```
    /// use wheelhouse::{Informational, Reply, Request, Response};
    ///
    /// let page = |_: &Request<'_>| -> Reply {
    ///     let hints = Informational::early_hints().with_appended_header("Link", "</a.css>; rel=preload; as=style");
    ///     Reply::inform(hints, Response::html("<link rel=stylesheet href=/a.css>"))
    /// };
    /// # let mut sim = wheelhouse::sim::Sim::new(page);
    /// # let c = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).starts_with(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>"));
    /// ```
    pub fn inform(informational: Informational, then: impl Into<Reply<S>>) -> Reply<S> {
        Reply(Action::Inform(Box::new((informational, then.into()))))
    }
}

impl<S> fmt::Debug for Reply<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Action::Respond(response) => f.debug_tuple("Respond").field(response).finish(),
            Action::Collect(collect) => f.debug_tuple("Collect").field(&collect.limit).finish(),
            Action::Receive(_) => f.write_str("Receive"),
            Action::Transform(both) => f.debug_tuple("Transform").field(&both.0).finish(),
            Action::Later(start) => f.debug_tuple("Later").field(&start.timeout).finish(),
            Action::Upgrade(both) => f.debug_tuple("Upgrade").field(&both.0).finish(),
            Action::Hijack(_) => f.write_str("Hijack"),
            Action::ContentWithin(both) => f.debug_tuple("ContentWithin").field(both).finish(),
            Action::Inform(both) => f.debug_tuple("Inform").field(&both.0).field(&both.1).finish(),
        }
    }
}

impl<S> From<Response> for Reply<S> {
    fn from(response: Response) -> Reply<S> {
        Reply(Action::Respond(response))
    }
}

impl<S> From<&'static str> for Reply<S> {
    fn from(text: &'static str) -> Reply<S> {
        Response::text(text).into()
    }
}

impl<S> From<String> for Reply<S> {
    fn from(text: String) -> Reply<S> {
        Response::text(text).into()
    }
}

impl<S> From<http::StatusCode> for Reply<S> {
    fn from(status: http::StatusCode) -> Reply<S> {
        Response::status_page(status).into()
    }
}

impl<S, R: Into<Reply<S>>, E: fmt::Display> From<Result<R, E>> for Reply<S> {
    fn from(result: Result<R, E>) -> Reply<S> {
        match result {
            Ok(reply) => reply.into(),
            Err(error) => {
                log::error!("handler failed: {error}");
                Response::status_page(http::StatusCode::INTERNAL_SERVER_ERROR).into()
            }
        }
    }
}

/// Takes the content of one request, piece by piece.
///
/// The pieces lie in the loop's read buffer: bytes that are not copied are gone after the call. How
/// they are cut says nothing about how they were sent. All methods run on the loop and must not
/// block. A receiver that has to wait (for a disk, a slower peer) pauses with [`Flow::Pause`]: then
/// nothing is read, and the peer's own TCP window holds it back.
pub trait Receive<S> {
    /// Reception begins; `waker` goes on with it after a [`Flow::Pause`].
    fn start(&mut self, state: &mut S, waker: Waker) {
        let _ = (state, waker);
    }

    /// The next piece, never empty.
    fn piece(&mut self, state: &mut S, piece: &[u8]) -> Flow<S>;

    /// The waker was woken during a pause: whether to go on. May be called without a wake.
    fn resume(&mut self, state: &mut S) -> Flow<S> {
        let _ = state;
        Flow::Continue
    }

    /// The content is complete and came in chunks, with these fields after it (RFC 9110, section
    /// 6.5). Called once, right before [`end`](Receive::end), if there are any. They come from the
    /// peer like those of the head, but are not part of it; names that may not stand here
    /// (framing, routing, authentication, `Content-Type`, ...) are left out.
    fn trailers(&mut self, state: &mut S, trailers: Fields<'_>) {
        let _ = (state, trailers);
    }

    /// The content is complete: returns the reply. One that wants content is a 500, because there
    /// is no more.
    fn end(self: Box<Self>, state: &mut S) -> Reply<S>;

    /// The content will never be complete. No response is possible; clean up here or in `Drop`.
    fn gone(self: Box<Self>, state: &mut S, why: Gone) {
        let _ = (state, why);
    }
}

/// Whether a receiver wants more.
#[derive(Debug)]
pub enum Flow<S = ()> {
    /// Go on.
    Continue,
    /// The piece was taken; no more until the [`Waker`] is woken. A pause of
    /// [`Limits::handler_timeout`](crate::Limits::handler_timeout) is a 504.
    Pause,
    /// Stop and respond now. The rest of the content is read and dropped within
    /// [`Limits::discard_bytes_max`](crate::Limits::discard_bytes_max); beyond that the connection is
    /// closed after the response.
    Answer(Reply<S>),
}

/// The right to respond to one request, from any thread.
///
/// Made by [`Reply::later`]. Dropping it without a response is a 500 with a log line, so a worker
/// that panics does not leave its client waiting.
///
/// ```
/// use std::thread;
/// use wheelhouse::{Reply, Request, Response};
///
/// fn slow(req: &Request<'_>) -> Reply {
///     let path = req.path().to_owned();
///     Reply::later(|later| {
///         thread::spawn(move || {
///             // Here it may block as long as it likes, within `Limits::handler_timeout`.
///             later.answer(move |_state| Response::text(format!("counted {path}\n")));
///         });
///     })
/// }
/// # let mut sim = wheelhouse::sim::Sim::new(slow);
/// # let c = sim.connect_and_send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
/// # for _ in 0..5000 {
/// #     if !sim.received(c).is_empty() { break }
/// #     thread::sleep(std::time::Duration::from_millis(1));
/// #     sim.advance(std::time::Duration::ZERO);
/// # }
/// # assert!(sim.received(c).ends_with(b"counted /a\n"));
/// ```
pub struct Later<S = ()> {
    ticket: Arc<Ticket<Give<S>>>,
    waker: Waker,
}

/// The result that a worker supplies: a function that the loop runs with the state, so that the
/// state is never shared.
type Give<S> = Box<dyn FnOnce(&mut S) -> Reply<S> + Send>;

impl<S: 'static> Later<S> {
    /// Responds with the reply that `give` returns. `give` runs on the loop, where the state is:
    /// let it only put together what has been worked out before. If the loop no longer waits for
    /// it ([`is_over`](Later::is_over)), it is dropped without being run.
    pub fn answer<R: Into<Reply<S>>>(self, give: impl FnOnce(&mut S) -> R + Send + 'static) {
        // `drop` wakes the loop.
        self.ticket.put(Box::new(move |state: &mut S| give(state).into()));
    }

    /// Sends an informational response before the response, for instance that the request is being
    /// worked on ([`Informational::processing`]). As with [`Reply::inform`], HTTP/1.0 gets none,
    /// and more than 16 are left out.
    pub fn inform(&self, informational: Informational) {
        if !self.ticket.inform(informational) {
            log::error!("more than {INFORMATIONAL_MAX} informational responses: left out");
            return;
        }
        self.waker.wake();
    }

    /// Whether the peer has ended or broken its side of the connection. Ending it is not a
    /// cancellation, because a half-closed peer still reads; but it is a good reason to stop
    /// expensive work.
    pub fn peer_has_left(&self) -> bool {
        self.ticket.peer_has_left()
    }

    /// Whether a response would come too late: the deadline has passed, the connection is gone, or
    /// the server has stopped.
    pub fn is_over(&self) -> bool {
        self.ticket.is_over()
    }
}

impl<S> Drop for Later<S> {
    fn drop(&mut self) {
        self.ticket.forget();
        self.waker.wake();
    }
}

impl<S> fmt::Debug for Later<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}

/// The loop's end of the ticket of a [`Later`]. Dropping it, with the loop itself if not before,
/// closes the ticket: the worker can see that its work is no longer wanted.
pub(crate) struct Hold<S>(Arc<Ticket<Give<S>>>);

impl<S> Hold<S> {
    pub(crate) fn new(ticket: Arc<Ticket<Give<S>>>) -> Hold<S> {
        Hold(ticket)
    }

    /// The worker's end, which wakes the loop with `waker`. There must be only one.
    pub(crate) fn later(&self, waker: Waker) -> Later<S> {
        Later { ticket: Arc::clone(&self.0), waker }
    }
}

impl<S> Deref for Hold<S> {
    type Target = Arc<Ticket<Give<S>>>;

    fn deref(&self) -> &Arc<Ticket<Give<S>>> {
        &self.0
    }
}

impl<S> Drop for Hold<S> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The request of a handler to respond [later](Reply::later).
pub(crate) struct Start<S> {
    pub(crate) start: Box<dyn FnOnce(Later<S>)>,
    /// Instead of `Limits::handler_timeout`.
    pub(crate) timeout: Option<Duration>,
    /// Instead of the one-line page of a 504.
    pub(crate) late: Option<Response>,
    /// Is given every reply that may end the wait, and returns the one that does.
    pub(crate) finish: Option<Finish<S>>,
}

pub(crate) type Finish<S> = Box<dyn FnOnce(&mut S, Reply<S>) -> Reply<S>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::ticket::Place;
    use crate::waker::Wake;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Bell(Arc<AtomicUsize>);

    impl Wake for Bell {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn pair() -> (Hold<()>, Later, Arc<AtomicUsize>) {
        let (hold, rung) = (Hold::new(Ticket::new()), Arc::default());
        let later = hold.later(Waker::new(Bell(Arc::clone(&rung))));
        (hold, later, rung)
    }

    #[test]
    fn a_response_is_stored_before_the_loop_is_woken_and_taken_once() {
        let (hold, later, rung) = pair();
        assert!(matches!(hold.take().0, Place::Empty));
        later.answer(|()| "done");
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        assert!(matches!(hold.take().0, Place::Given(_)));
        assert!(matches!(hold.take().0, Place::Over));
    }

    #[test]
    fn a_later_that_is_dropped_is_reported() {
        let (hold, later, rung) = pair();
        drop(later);
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        assert!(matches!(hold.take().0, Place::Forgotten));
    }

    #[test]
    fn a_response_that_comes_too_late_is_not_run() {
        let (hold, later, _) = pair();
        let ticket = Arc::clone(&hold);
        assert!(!later.is_over());
        drop(hold);
        assert!(later.is_over());
        later.answer(|()| -> &'static str { panic!("the loop does not wait for this") });
        assert!(matches!(ticket.take().0, Place::Over));
    }
}
