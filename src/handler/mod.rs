//! What a program plugs into the loop: a [`Handler`], and the [`Reply`] it gives.
//!
//! A handler runs on the loop, when the head of a request has arrived, and returns. That forbids
//! one thing: blocking, which would stop every connection. It guarantees the rest: requests of
//! one connection come one after another, nothing runs beside the handler, so its state is a
//! plain `&mut` without lock, `Arc` or `Send`. Forgetting to answer, answering twice and keeping
//! the request do not compile.

pub(crate) mod hooks;
pub(crate) mod later;
pub(crate) mod timers;
pub(crate) mod upgrade;

use std::fmt;
use std::io;
use std::time::Duration;

use crate::handler::later::{Later, Start};
use crate::handler::timers::Timers;
use crate::handler::upgrade::{Hijacked, Protocol, Upgrade};
use crate::limits::TIMEOUT_MAX;
use crate::message::body::Out;
use crate::message::fields::Fields;
use crate::message::informational::Informational;
use crate::message::request::Request;
use crate::message::response::Response;
use crate::message::trailers::Trailers;
use crate::waker::Waker;

/// Answers requests.
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
    /// What callbacks that run after [`handle`](Handler::handle) get as `&mut`.
    type State: 'static;

    /// The state for such a callback.
    fn state(&mut self) -> &mut Self::State;

    /// What is to be called at times of its own, with the state. Asked once, before the server
    /// begins to run. None by default.
    fn timers(&mut self) -> Timers<Self::State> {
        Timers::new()
    }

    /// Answers one request, whose head has arrived and whose content has not been asked for.
    ///
    /// # Panics
    ///
    /// A panic costs this one connection: a 500 if nothing of the answer was sent, then a close.
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

/// What a handler answers: a [`Response`], or what it wants done with the content first.
///
/// Anything that is `Into<Reply>` may be returned: a `Response`, text, a `Result` whose error
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
    /// Something is told first, and then the rest is done.
    Inform(Box<(Informational, Reply<S>)>),
    /// The content that the rest asks for must be whole within this time.
    ContentWithin(Box<(Duration, Reply<S>)>),
}

/// How many informational answers may come before a final one.
pub(crate) const INFORMATIONAL_MAX: usize = 16;

/// Content is gathered up to `limit`, then `then` answers.
pub(crate) struct Collect<S> {
    pub(crate) limit: usize,
    pub(crate) then: Collected<S>,
}

pub(crate) type Collected<S> = Box<dyn FnOnce(&mut S, &Request<'_>, &[u8]) -> Reply<S>>;

impl<S: 'static> Reply<S> {
    /// Gathers the content, at most `limit` bytes of it, and then answers with what `then`
    /// returns.
    ///
    /// More than `limit` is a 413: before anything is read if the length is announced, and then
    /// no `100 Continue` invites it either. Memory grows with what arrives, never with what is
    /// announced, and is counted against
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max). If the peer leaves or
    /// breaks the framing, `then` is dropped without being called.
    ///
    /// The answer that `then` returns can be a response, or one that comes
    /// [later](Reply::later); not one that wants content again or leaves HTTP, which is a 500 with
    /// a log line.
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

    /// Answers at once with the status and fields of `response` and makes its content out of
    /// the request's content, piece by piece, while that arrives: an echo, a filter, a checksum
    /// at the end. While output waits for the peer nothing is read, so memory stays flat however
    /// long both are. The content that `response` itself may have is dropped. Where the answer has
    /// no content, to HEAD or with a status like 204, `transform` is not asked and the content of
    /// the request not wanted.
    pub fn transform(response: Response, transform: impl Transform<S> + 'static) -> Reply<S> {
        Reply(Action::Transform(Box::new((response, Box::new(transform)))))
    }

    /// Answers later, from another thread or from anywhere else: `start` is called at once, on
    /// the loop, with the right to answer, and gives it away. See [`Later`].
    ///
    /// The content of the request is not read meanwhile: [`collect`](Reply::collect) it first and
    /// answer that with this if the worker needs it. No answer within
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

    /// Answers 101 and lets `protocol` speak from then on: see [`Upgrade`] for what the request
    /// must look like, and what happens if it does not.
    ///
    /// The state hook is told [`Hijacked`](crate::ConnState::Hijacked), and `Closed` when it ends.
    pub fn upgrade(upgrade: impl Into<Upgrade>, protocol: impl Protocol<S> + 'static) -> Reply<S> {
        Reply(Action::Upgrade(Box::new((upgrade.into(), Box::new(protocol)))))
    }

    /// Hands the connection out, without an answer: `take` gets the stream when all answers before
    /// have left, with whatever was read of it, content of this request included. It runs on the
    /// loop.
    ///
    /// A [`Protocol`] stays under the limits and in the shutdown of the server; what is handed out
    /// does not (Go's `Hijacker`).
    pub fn hijack(take: impl FnOnce(Hijacked) + 'static) -> Reply<S> {
        Reply(Action::Hijack(Box::new(take)))
    }

    /// The same reply with another time for an answer that comes [later](Reply::later), at most a
    /// year, instead of [`Limits::handler_timeout`](crate::Limits::handler_timeout). It counts
    /// from when the answer is put off, so behind a [`collect`](Reply::collect) or a
    /// [`receive`](Reply::receive) from when the content was there. Other replies are not changed.
    pub fn within(self, timeout: Duration) -> Reply<S> {
        self.map_later(move |start| Start { timeout: Some(timeout), ..start })
    }

    /// [`within`](Reply::within), and what is answered when the time is over: by default the
    /// one-line page of a 504.
    pub fn within_or(self, timeout: Duration, late: Response) -> Reply<S> {
        self.map_later(move |start| Start { timeout: Some(timeout), late: Some(late), ..start })
    }

    /// The same reply with a time in which the content that it asks for must be whole, at most a
    /// year; then 408. The rate of [`Limits::content_rate_min`](crate::Limits::content_rate_min)
    /// counts beside it. By default there is none: a long upload is not a slow one. The answer
    /// of a [transform](Reply::transform) begins before its content is whole: give that a time
    /// with [`Response::and_cut_after`].
    pub fn content_within(self, timeout: Duration) -> Reply<S> {
        Reply(Action::ContentWithin(Box::new((timeout.min(TIMEOUT_MAX), self))))
    }

    /// Tells the peer something before the final answer, and then does what `then` says.
    ///
    /// Informational answers leave with the next write: ahead of the final one and in the same
    /// write if that is ready, at once if it waits for content. HTTP/1.0 gets none (RFC 9110,
    /// section 15.2). Several can be told one after another, up to 16; what is above that, or has
    /// a field that cannot be sent, is left out and logged as an error: a hint is no reason to
    /// withhold the answer.
    ///
    /// ```
    /// use wheelhouse::{Informational, Reply, Request, Response};
    ///
    /// let page = |_: &Request<'_>| -> Reply {
    ///     let hints = Informational::early_hints().with("Link", "</a.css>; rel=preload; as=style");
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

/// Takes the content of one request, piece by piece.
///
/// The pieces lie in the loop's read buffer: what is not copied is gone after the call. How they
/// are cut says nothing about how they were sent. It runs on the loop: it must not block. One that
/// has to wait (for a disk, a slower peer) pauses with [`Flow::Pause`]: then nothing is read, and
/// the peer's own TCP window holds it back.
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

    /// The content is complete and came in chunks, with these fields behind it (RFC 9110, section
    /// 6.5). Called once, right before [`end`](Receive::end), if there are any. They are the
    /// peer's word like those of the head, but not part of it; names that may not stand here
    /// (framing, routing, authentication, `Content-Type`, ...) are left out.
    fn trailers(&mut self, state: &mut S, trailers: Fields<'_>) {
        let _ = (state, trailers);
    }

    /// The content is complete; this is the answer. A reply that wants content is a 500: there
    /// is no more.
    fn end(self: Box<Self>, state: &mut S) -> Reply<S>;

    /// The content will never be complete. No answer is possible; clean up here or in `Drop`.
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
    /// Stop and answer now. What is left of the content is read and dropped within
    /// [`Limits::discard_bytes_max`](crate::Limits::discard_bytes_max), else the connection is
    /// closed after the answer.
    Answer(Reply<S>),
}

/// Makes the content of the answer out of the content of the request.
///
/// ```
/// use std::io;
/// use wheelhouse::{Out, Reply, Request, Response, Transform};
///
/// struct Upper;
///
/// impl<S> Transform<S> for Upper {
///     fn piece(&mut self, _: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
///         Ok(out.put(&piece[..piece.len().min(out.room())].to_ascii_uppercase()))
///     }
/// }
/// # let mut sim = wheelhouse::sim::Sim::new(|_: &Request<'_>| {
/// #     Reply::transform(Response::text(""), Upper)
/// # });
/// # let c = sim.connect();
/// # sim.send(c, b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi");
/// # assert!(sim.received(c).ends_with(b"\r\n\r\nHI"));
/// ```
pub trait Transform<S> {
    /// Takes bytes from `piece`, puts bytes into `out` and says how many it has taken. What it
    /// leaves comes again when there is room. It must take or put at least one byte.
    ///
    /// # Errors
    ///
    /// An error resets the connection, since the answer has begun, and is logged.
    fn piece(&mut self, state: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize>;

    /// The fields behind the request's content, as for [`Receive::trailers`]: called once, right
    /// before [`end`](Transform::end), if there are any.
    fn trailers(&mut self, state: &mut S, trailers: Fields<'_>) {
        let _ = (state, trailers);
    }

    /// The content is complete: what is still to be sent goes into `out`, which has room for at
    /// least 4 KiB, or for what is left of the length that was announced.
    ///
    /// # Errors
    ///
    /// As for [`piece`](Transform::piece).
    fn end(&mut self, state: &mut S, out: &mut Out<'_>) -> io::Result<()> {
        let _ = (state, out);
        Ok(())
    }

    /// Fields to be sent behind the answer's content, where it goes out in chunks. Asked once,
    /// after [`end`](Transform::end).
    fn put_trailers(&mut self, state: &mut S, trailers: &mut Trailers) {
        let _ = (state, trailers);
    }

    /// The length of the answer's content, if it is known: it is then sent with
    /// `Content-Length` instead of in chunks, and held to it. Once so much was put, what else
    /// comes is dropped without being shown.
    fn content_length(&self) -> Option<u64> {
        None
    }
}

/// Why content will never be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gone {
    /// The peer ended or reset the connection.
    PeerLeft,
    /// The peer broke the framing (a malformed chunk).
    Malformed,
    /// The peer sent slower than
    /// [`Limits::content_rate_min`](crate::Limits::content_rate_min).
    TooSlow,
    /// The program paused or was silent for longer than
    /// [`Limits::handler_timeout`](crate::Limits::handler_timeout).
    Expired,
    /// The server shut down and its deadline passed, memory ran out, or the program itself failed.
    Stopped,
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
