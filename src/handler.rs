//! What a program plugs into the loop: a [`Handler`], and the [`Reply`] it gives.
//!
//! A handler runs on the loop, when the head of a request has arrived, and returns. That forbids
//! one thing: blocking, which would stop every connection. It guarantees the rest: requests of
//! one connection come one after another, nothing runs beside the handler, so its state is a
//! plain `&mut` without lock, `Arc` or `Send`. Forgetting to answer, answering twice and keeping
//! the request do not compile.

use std::fmt;
use std::io;

use crate::body::Out;
use crate::request::Request;
use crate::response::Response;
use crate::schedule::Timers;

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
}

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
    /// The answer that `then` returns can be any but one that wants content again: the content
    /// has been had. That is a 500 with a log line.
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
    /// long both are. The content that `response` itself may have is dropped.
    pub fn transform(response: Response, transform: impl Transform<S> + 'static) -> Reply<S> {
        Reply(Action::Transform(Box::new((response, Box::new(transform)))))
    }
}

impl<S> fmt::Debug for Reply<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Action::Respond(response) => f.debug_tuple("Respond").field(response).finish(),
            Action::Collect(collect) => f.debug_tuple("Collect").field(&collect.limit).finish(),
            Action::Receive(_) => f.write_str("Receive"),
            Action::Transform(both) => f.debug_tuple("Transform").field(&both.0).finish(),
        }
    }
}

/// Takes the content of one request, piece by piece.
///
/// The pieces lie in the loop's read buffer: what is not copied is gone after the call. How they
/// are cut says nothing about how they were sent. It runs on the loop: it must not block.
pub trait Receive<S> {
    /// The next piece, never empty.
    fn piece(&mut self, state: &mut S, piece: &[u8]) -> Flow<S>;

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

    /// The content is complete: what is still to be sent goes into `out`, which has room for at
    /// least 4 KiB.
    ///
    /// # Errors
    ///
    /// As for [`piece`](Transform::piece).
    fn end(&mut self, state: &mut S, out: &mut Out<'_>) -> io::Result<()> {
        let _ = (state, out);
        Ok(())
    }

    /// The length of the answer's content, if it is known: it is then sent with
    /// `Content-Length` instead of in chunks, and held to it.
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
    /// The server shut down and its deadline passed, or memory ran out.
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
