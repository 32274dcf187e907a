//! [`Reply`]: the closed list of ways in which a handler can deal with a request.
//!
//! The types of this file refer to each other: a [`Receive`] and a [`Later`] end in another
//! [`Reply`], and a reply may hold either.

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::handler::failure::Failure;
use crate::handler::lost::Lost;
use crate::handler::ticket::Ticket;
use crate::handler::transform::Transform;
use crate::handler::upgrade::{Hijacked, Protocol, Upgrade};
use crate::logging::error;
use crate::message::fields::Fields;
use crate::message::informational::{Informational, INFORMATIONAL_MAX};
use crate::message::request::Request;
use crate::message::response::Response;
use crate::waker::Waker;

/// The decision of a handler about a request: a [`Response`], or an instruction that leads to one.
///
/// A handler may return anything that is `Into<Reply>`: a response, text, a status, or a `Result`
/// whose error becomes a response as [`Failure`] describes. In a `Result<_, Response>` the error is
/// the response.
#[must_use = "a reply does nothing unless the handler returns it"]
pub struct Reply<S = ()>(pub(crate) Action<S>);

/// The closed list of instructions of a handler.
pub(crate) enum Action<S> {
    Respond(Response),
    Collect(Collect<S>),
    Receive(Receiving<S>),
    Transform(Box<(Response, Box<dyn Transform<S>>)>),
    Later(Box<Deferred<S>>),
    Upgrade(Box<(Upgrade, Box<dyn Protocol<S>>)>),
    Hijack(HandOut<S>),
    /// An informational response is sent before the reply.
    Inform(Box<(Informational, Reply<S>)>),
    /// The content that the reply asks for must be complete within this time.
    ContentWithin(Box<(Duration, Reply<S>)>),
    /// The response that the reply leads to is changed before it is sent.
    Map(Box<(Change<S>, Reply<S>)>),
}

/// Gathers content up to `limit` bytes. Then `then` returns the reply.
pub(crate) struct Collect<S> {
    pub(crate) limit: usize,
    pub(crate) then: Collected<S>,
}

/// Gives content to `receiver`, at most `left` more bytes of it.
pub(crate) struct Receiving<S> {
    pub(crate) left: u64,
    pub(crate) receiver: Box<dyn Receive<S>>,
}

/// A wait for a response from elsewhere.
pub(crate) struct Deferred<S> {
    pub(crate) ticket: Hold<S>,
    /// Replaces `Limits::handler_timeout`.
    pub(crate) timeout: Option<Duration>,
    /// The response at the timeout, instead of the one-line page of a 504.
    pub(crate) late: Option<Response>,
    /// Takes the reply that ends the wait and may change it.
    pub(crate) finish: Option<Finish<S>>,
}

impl<S> Deferred<S> {
    /// Its size with the ticket that it shares with a worker, and the waker in it.
    pub(crate) fn size(&self) -> usize {
        mem::size_of_val(self) + mem::size_of::<Ticket<Give<S>>>() + WAKER
    }
}

/// The bytes of a [`Waker`] of the loop, at most.
const WAKER: usize = 96;

impl<S> Receiving<S> {
    /// The size of the receiver itself, without what it holds elsewhere.
    pub(crate) fn size(&self) -> usize {
        mem::size_of_val(&*self.receiver)
    }
}

pub(crate) type Finish<S> = Box<dyn FnOnce(&mut S, Reply<S>) -> Reply<S>>;

pub(crate) type Change<S> = Box<dyn FnOnce(&mut S, &mut Response)>;

pub(crate) type HandOut<S> = Box<dyn FnOnce(&mut S, Hijacked)>;

pub(crate) type Collected<S> = Box<dyn FnOnce(&mut S, &Request<'_>, &[u8]) -> Reply<S>>;

impl<S: 'static> Reply<S> {
    /// Gathers the content, at most `limit` bytes of it, and then replies with the result of
    /// `then`.
    ///
    /// Content with more than `limit` bytes gets a 413. If its length is announced, the 413 comes
    /// before a byte is read and without a `100 Continue`. Memory grows with the bytes that arrive,
    /// not with the announced length, and counts against
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max). If the peer leaves or breaks
    /// the framing, `then` is dropped without being called.
    ///
    /// `then` can return a response, or one that comes [later](Reply::later). A reply that asks for
    /// content again or leaves HTTP becomes a 500 with a line in the log.
    #[doc(alias("MaxBytesReader", "DefaultBodyLimit"))]
    pub fn collect<R: Into<Reply<S>>>(
        limit: usize,
        then: impl FnOnce(&mut S, &Request<'_>, &[u8]) -> R + 'static,
    ) -> Reply<S> {
        let then = Box::new(move |state: &mut S, req: &Request<'_>, content: &[u8]| {
            then(state, req, content).into()
        });
        Reply(Action::Collect(Collect { limit, then }))
    }

    /// Gives the content to `receiver` piece by piece, as it arrives, at most `limit` bytes of it.
    ///
    /// Content with more than `limit` bytes gets a 413. If its length is announced, no byte is read
    /// and no method of `receiver` is called. Content in chunks ends with [`Lost::TooLarge`] when
    /// it passes the limit, and `receiver` does not get the piece that passes it.
    #[doc(alias("upload", "streaming", "request body"))]
    pub fn receive(limit: u64, receiver: impl Receive<S> + 'static) -> Reply<S> {
        Reply(Action::Receive(Receiving { left: limit, receiver: Box::new(receiver) }))
    }

    /// Responds at once with the status and fields of `response`, and makes its content out of the
    /// content of the request while that arrives. It is for an echo, a filter, or a checksum at the
    /// end.
    ///
    /// While output waits for the peer, nothing is read, so memory stays flat however long both
    /// contents are. The content of `response` itself is dropped. If the response cannot have
    /// content (to HEAD, or with a status such as 204), `transform` is not called and the content
    /// of the request is not read.
    #[doc(alias = "EnableFullDuplex")]
    pub fn transform(response: Response, transform: impl Transform<S> + 'static) -> Reply<S> {
        Reply(Action::Transform(Box::new((response, Box::new(transform)))))
    }

    /// Creates a reply whose response comes later, and the [`Later`] that gives it. Keep the
    /// `Later` or send it to another thread, and return the reply.
    ///
    /// The content of the request is not read meanwhile. If the worker needs it,
    /// [`collect`](Reply::collect) it first and return this reply from there. If no response comes
    /// within [`Limits::handler_timeout`](crate::Limits::handler_timeout), the client gets a 504;
    /// [`with_handler_timeout`](Reply::with_handler_timeout) sets another time. If the reply is
    /// dropped instead of returned, the `Later` [is over](Later::is_over).
    #[doc(alias("await", "async", "spawn_blocking"))]
    pub fn later() -> (Later<S>, Reply<S>) {
        let (later, ticket) = Later::new();
        let deferred = Deferred { ticket, timeout: None, late: None, finish: None };
        (later, Reply(Action::Later(Box::new(deferred))))
    }

    /// Responds with 101 and gives the connection to `protocol`. [`Upgrade`] describes the fields
    /// that the request must have, and the response to a request without them.
    ///
    /// [`Server::on_connection_state`](crate::Server::on_connection_state) reports
    /// [`Hijacked`](crate::runtime::ConnectionState::Hijacked), and `Closed` at the end.
    pub fn upgrade(upgrade: impl Into<Upgrade>, protocol: impl Protocol<S> + 'static) -> Reply<S> {
        Reply(Action::Upgrade(Box::new((upgrade.into(), Box::new(protocol)))))
    }

    /// Hands the connection out, without a response. `take` gets the stream when all earlier
    /// responses have been sent. It also gets the bytes already read, among them those of the
    /// content of this request. `take` runs on the loop.
    ///
    /// A [`Protocol`] stays under the limits and in the shutdown of the server. A connection that
    /// is handed out does not (Go's `Hijacker`).
    #[doc(alias = "Hijacker")]
    pub fn hijack(take: impl FnOnce(&mut S, Hijacked) + 'static) -> Reply<S> {
        Reply(Action::Hijack(Box::new(take)))
    }

    /// Sends an informational response (1xx) ahead of the reply `then`.
    ///
    /// An informational response leaves with the next write: together with the final response if
    /// that is ready, or at once if the final response waits for content. A client of HTTP/1.0 gets
    /// none (RFC 9110, section 15.2). A request can have up to 16 of them.
    /// Further ones, and those with a field that cannot be sent, are left out and logged as an
    /// error, because a hint is not a reason to withhold the response.
    ///
    /// ```
    /// use wheelhouse::{Informational, Reply, Request, Response};
    ///
    /// let page = |_: &Request<'_>| -> Reply {
    ///     let link = "</a.css>; rel=preload; as=style";
    ///     let hints = Informational::early_hints().with_appended_header("Link", link);
    ///     Reply::inform(hints, Response::html("<link rel=stylesheet href=/a.css>"))
    /// };
    /// # let mut sim = wheelhouse::sim::Sim::new(page);
    /// # let c = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).starts_with(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>"));
    /// ```
    #[doc(alias("WriteHeader(103)", "Early Hints"))]
    pub fn inform(informational: Informational, then: impl Into<Reply<S>>) -> Reply<S> {
        Reply(Action::Inform(Box::new((informational, then.into()))))
    }

    /// Replies with the response of a failure, and logs its line.
    ///
    /// ```
    /// # use std::io;
    /// # use wheelhouse::{sim::Sim, Reply, Request};
    /// # let mut sim = Sim::new(|_: &Request<'_>| -> Reply {
    /// Reply::failed(io::Error::other("the disk is full"))
    /// # });
    /// # let c = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"500 Internal Server Error\n"));
    /// ```
    pub fn failed(failure: impl Into<Failure>) -> Reply<S> {
        Reply(Action::Respond(failure.into().into_response()))
    }

    /// Returns the response, if it is there already.
    pub(crate) fn response_mut(&mut self) -> Option<&mut Response> {
        match &mut self.0 {
            Action::Respond(response) => Some(response),
            Action::Inform(both) => both.1.response_mut(),
            Action::ContentWithin(both) => both.1.response_mut(),
            Action::Map(both) => both.1.response_mut(),
            _ => None,
        }
    }
}

impl<S> fmt::Debug for Reply<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Action::Respond(response) => f.debug_tuple("Respond").field(response).finish(),
            Action::Collect(collect) => f.debug_tuple("Collect").field(&collect.limit).finish(),
            Action::Receive(receiving) => f.debug_tuple("Receive").field(&receiving.left).finish(),
            Action::Transform(both) => f.debug_tuple("Transform").field(&both.0).finish(),
            Action::Later(deferred) => f.debug_tuple("Later").field(&deferred.timeout).finish(),
            Action::Upgrade(both) => f.debug_tuple("Upgrade").field(&both.0).finish(),
            Action::Hijack(_) => f.write_str("Hijack"),
            Action::Inform(both) => f.debug_tuple("Inform").field(&both.0).field(&both.1).finish(),
            Action::ContentWithin(both) => f.debug_tuple("ContentWithin").field(both).finish(),
            Action::Map(both) => f.debug_tuple("Map").field(&both.1).finish(),
        }
    }
}

/// Takes the content of one request, piece by piece, on the loop.
///
/// The pieces lie in the loop's read buffer: bytes that are not copied are lost after the call. The
/// cuts between pieces mean nothing. No method may block. A receiver that has to wait, for example
/// for a disk, pauses with [`Flow::Pause`]. Then nothing is read, and TCP holds the peer back.
///
/// | event | calls |
/// |---|---|
/// | the announced length is above the limit, or memory is short | none: the receiver is dropped |
/// | the content begins | `start` |
/// | bytes of it arrive | `piece`, any number of times |
/// | it is complete | `trailers`, if there are any, and `end` |
/// | `start`, `piece` or `wake` returns a failure or [`Flow::Respond`] | none: the receiver is dropped |
/// | the client leaves, is too slow, sends too much or malformed content; the server stops; a method panics | `lost` |
///
/// The receiver is dropped in every row, so clean up in `Drop` and not in `lost` alone:
///
/// ```
/// use std::{fs, io::Write, path::PathBuf};
/// use wheelhouse::content::{Flow, Receive};
/// use wheelhouse::{Failure, Reply, Waker};
///
/// /// Removes its file unless the content was complete.
/// struct Upload {
///     path: PathBuf,
///     file: Option<fs::File>,
/// }
///
/// impl<S> Receive<S> for Upload {
///     fn start(&mut self, _: &mut S, _: Waker) -> Result<(), Failure> {
///         self.file = Some(fs::File::create_new(&self.path)?);
///         Ok(())
///     }
///
///     fn piece(&mut self, _: &mut S, piece: &[u8]) -> Result<Flow<S>, Failure> {
///         if let Some(file) = &mut self.file {
///             file.write_all(piece)?; // An error is a 500 and a line in the log.
///         }
///         Ok(Flow::Continue)
///     }
///
///     fn end(mut self: Box<Self>, _: &mut S) -> Reply<S> {
///         self.file = None;
///         "stored\n".into()
///     }
/// }
///
/// impl Drop for Upload {
///     fn drop(&mut self) {
///         if self.file.take().is_some() {
///             let _ = fs::remove_file(&self.path);
///         }
///     }
/// }
/// ```
#[doc(alias("upload", "io.Reader"))]
pub trait Receive<S = ()> {
    /// Begins reception. `waker` ends a [`Flow::Pause`]. This is the place to open a file: an
    /// announced length is within the limit.
    ///
    /// # Errors
    ///
    /// A failure is the response, and the receiver is dropped. The client is not invited to send
    /// the content (`100 Continue`).
    fn start(&mut self, state: &mut S, waker: Waker) -> Result<(), Failure> {
        let _ = (state, waker);
        Ok(())
    }

    /// Takes the next piece, which is never empty.
    ///
    /// # Errors
    ///
    /// The client gets the response of the failure, as with [`Flow::Respond`], and the receiver is
    /// dropped.
    fn piece(&mut self, state: &mut S, piece: &[u8]) -> Result<Flow<S>, Failure>;

    /// Decides whether a pause goes on after the waker was woken. May also be called without a
    /// wake.
    ///
    /// # Errors
    ///
    /// As for [`piece`](Receive::piece).
    fn wake(&mut self, state: &mut S) -> Result<Flow<S>, Failure> {
        let _ = state;
        Ok(Flow::Continue)
    }

    /// Takes the trailer fields, which came after content in chunks (RFC 9110, section 6.5). Called
    /// once, right before [`end`](Receive::end), if there are any. Like those of the head, they
    /// come from the peer. Fields that are not allowed in a trailer section (framing, routing,
    /// authentication, `Content-Type` and others) are left out.
    fn trailers(&mut self, state: &mut S, trailers: Fields<'_>) {
        let _ = (state, trailers);
    }

    /// Returns the reply when the content is complete. A reply that asks for content becomes a 500.
    fn end(self: Box<Self>, state: &mut S) -> Reply<S>;

    /// Handles the loss of the content, which will never be complete. No reply is possible. Clean
    /// up here or in `Drop`.
    fn lost(self: Box<Self>, state: &mut S, why: Lost) {
        let _ = (state, why);
    }
}

/// The decision of a [receiver](Receive) after each piece.
#[derive(Debug)]
pub enum Flow<S = ()> {
    /// Go on.
    Continue,
    /// Send no further piece until the [`Waker`] is woken. A pause longer than
    /// [`Limits::handler_timeout`](crate::Limits::handler_timeout) ends with a 504, whatever
    /// [`Reply::with_handler_timeout`] says.
    Pause,
    /// Stop and respond now. The rest of the content is read and dropped, up to
    /// [`Limits::discard_bytes_max`](crate::Limits::discard_bytes_max). If there is more, the
    /// connection is closed after the response.
    Respond(Reply<S>),
}

/// The right to respond to one request, from any thread or from another handler.
///
/// [`Reply::later`] creates it. Keep it in the state of the server, in a queue, or in the closure
/// of a job. If it is dropped without a response, the client gets a 500 and an error is logged. So
/// a worker that panics does not leave its client waiting.
///
/// ```
/// use std::thread;
/// use wheelhouse::{Reply, Request};
///
/// fn slow(req: &Request<'_>) -> Reply {
///     let path = req.path().to_owned();
///     let (later, reply) = Reply::later();
///     thread::spawn(move || {
///         // Here it may block as long as it likes, within `Limits::handler_timeout`.
///         later.respond(format!("counted {path}\n"));
///     });
///     reply
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
#[doc(alias("await", "oneshot", "long polling"))]
#[must_use = "dropped without a response, a `Later` is a 500"]
pub struct Later<S = ()>(Arc<Ticket<Give<S>>>);

/// The result that a worker supplies: a function that the loop runs with the state, so that the
/// state is never shared.
type Give<S> = Box<dyn FnOnce(&mut S) -> Reply<S> + Send>;

impl<S: 'static> Later<S> {
    /// Responds. If the handler has not returned yet, the response waits until it has.
    pub fn respond(self, response: impl Into<Response>) {
        let response = response.into();
        self.respond_with(move |_| response);
    }

    /// Replies with the result of `give`. That function runs on the loop, with the state, so it
    /// should do no more than put together the results of earlier work. If the loop no longer waits
    /// ([`is_over`](Later::is_over)), `give` is dropped without being run.
    pub fn respond_with<R: Into<Reply<S>>>(self, give: impl FnOnce(&mut S) -> R + Send + 'static) {
        self.0.put(Box::new(move |state: &mut S| give(state).into()));
    }

    /// Sends an informational response first, for example one that shows that work is under way
    /// ([`Informational::processing`]). As with [`Reply::inform`], a client of HTTP/1.0 gets none,
    /// and those after the sixteenth are left out.
    pub fn inform(&self, informational: Informational) {
        if !self.0.inform(informational) {
            error!("informational response left out: at most {INFORMATIONAL_MAX} are sent");
        }
    }

    /// Returns whether the peer has ended or broken its side of the connection. A peer that has
    /// only ended its side still reads, so that is not a cancellation. But it is a good reason to
    /// stop expensive work. A peer that has broken the connection gets no response: the connection
    /// ends, and this `Later` [is over](Later::is_over).
    pub fn peer_has_left(&self) -> bool {
        self.0.peer_has_left()
    }

    /// Returns whether a response would come too late: the deadline has passed, the connection has
    /// ended, the server has stopped, or the reply was dropped.
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    /// Creates a right to respond, and the loop's end of its ticket.
    pub(crate) fn new() -> (Later<S>, Hold<S>) {
        let ticket = Ticket::new();
        (Later(Arc::clone(&ticket)), Hold(ticket))
    }
}

impl<S> Drop for Later<S> {
    fn drop(&mut self) {
        self.0.forget();
    }
}

impl<S> fmt::Debug for Later<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}

/// The loop's end of the ticket of a [`Later`]. When it is dropped, at the latest with the loop, it
/// closes the ticket. So the worker can see that its work is not needed any more.
pub(crate) struct Hold<S>(Arc<Ticket<Give<S>>>);

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

    /// Returns a right to respond and its ticket, for which the loop waits.
    fn pair() -> (Hold<()>, Later, Arc<AtomicUsize>) {
        let (later, hold) = Later::new();
        let rung = install(&hold);
        (hold, later, rung)
    }

    fn install(hold: &Hold<()>) -> Arc<AtomicUsize> {
        let rung = Arc::default();
        hold.install(Waker::new(Bell(Arc::clone(&rung))));
        rung
    }

    #[test]
    fn a_response_is_stored_before_the_loop_is_woken_and_taken_once() {
        let (hold, later, rung) = pair();
        assert!(matches!(hold.take().0, Place::Empty));
        later.respond("done");
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        assert!(matches!(hold.take().0, Place::Given(_)));
        assert!(matches!(hold.take().0, Place::Over));
    }

    #[test]
    fn a_response_before_the_loop_takes_the_reply_waits_for_it() {
        let (later, hold) = Later::<()>::new();
        later.respond_with(|()| "done");
        let rung = install(&hold);
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        assert!(matches!(hold.take().0, Place::Given(_)));
    }

    #[test]
    fn a_later_that_is_dropped_is_reported() {
        let (hold, later, rung) = pair();
        drop(later);
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        assert!(matches!(hold.take().0, Place::Forgotten));
        let (later, hold) = Later::new();
        drop(later);
        assert_eq!(install(&hold).load(Ordering::SeqCst), 1);
        assert!(matches!(hold.take().0, Place::Forgotten));
    }

    #[test]
    fn a_later_is_over_when_the_reply_is_dropped() {
        let (later, reply) = Reply::<()>::later();
        assert!(!later.is_over());
        drop(reply);
        assert!(later.is_over());
    }

    #[test]
    fn a_response_function_that_comes_too_late_does_not_run_or_wake_the_loop() {
        let (hold, later, rung) = pair();
        let ticket = Arc::clone(&hold);
        drop(hold);
        assert!(later.is_over());
        later.respond_with(|()| -> &'static str { panic!("the loop does not wait for this") });
        assert!(matches!(ticket.take().0, Place::Over));
        assert_eq!(rung.load(Ordering::SeqCst), 0);
    }
}
