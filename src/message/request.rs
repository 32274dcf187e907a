//! A request as a handler sees it: borrowed, and complete up to the end of its head (RFC 9112,
//! sections 2 to 5). Its content is not yet read.
//!
//! A [`Request`] lives as long as one call of a handler. It points into the buffer that the loop
//! reads into, so code that keeps it does not compile; a program copies the parts that it needs
//! later.

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::str;
use std::time::Duration;

use crate::account::Account;
use crate::limits::Limits;
use crate::message::fields::{FieldSpan, Fields};
use crate::message::id::{ConnectionId, RequestId};
use crate::message::path::nth_slash;
use crate::message::percent::decode_path;

pub use http::Method;

/// A request: its method, target and fields, and its client.
///
/// The content is not a part of it. A handler that wants it says so with its reply
/// ([`Reply::collect`](crate::Reply::collect), [`Reply::receive`](crate::Reply::receive)), so
/// `100 Continue` is sent exactly when content is wanted, and nothing is buffered unasked.
#[doc(alias("HttpRequest", "IncomingMessage"))]
#[derive(Clone, Copy)]
pub struct Request<'a> {
    message: &'a Message<'a>,
    /// The place of `path` in the text of the message's path: all of it, or the part after a
    /// prefix.
    path: Span,
    route: Option<&'a RouteMatch<'a>>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(message: &'a Message<'a>) -> Self {
        Request { message, path: message.path.whole, route: None }
    }

    /// Returns the same request with the route that was found for it.
    #[inline(always)]
    pub(crate) fn with_route<'b>(&self, route: &'b RouteMatch<'b>, path: Span) -> Request<'b>
    where
        'a: 'b,
    {
        Request { path, route: Some(route), ..*self }
    }

    /// Notes the route that a router has found. The first one counts: a router inside it sees a
    /// part of the path only.
    #[inline(always)]
    pub(crate) fn note_route(&self, names: &Rc<RouteNames>) {
        if let Some(seen) = self.message.seen {
            let _ = seen.set(Rc::clone(names));
        }
    }

    /// Returns the pattern of the route that was noted, or else the method and the path as it came.
    pub(crate) fn route_or_path(&self) -> String {
        match self.message.seen.and_then(OnceCell::get) {
            Some(names) => names.pattern.to_string(),
            None => format!("{} {}", self.method(), self.raw_path()),
        }
    }

    pub(crate) fn route(&self) -> Option<RouteMatch<'a>> {
        self.route.copied()
    }

    /// Returns the part that has been cut from the front of the path so far.
    pub(crate) fn stripped(&self) -> &'a str {
        let start = usize::from(self.message.path.whole.start);
        self.path_text(Span::new(start, usize::from(self.path.start) - start))
    }

    /// Returns the place of the path in the text that the spans of a [`RouteMatch`] refer to.
    pub(crate) fn path_span(&self) -> Span {
        self.path
    }

    #[inline(always)]
    pub(crate) fn path_bytes(&self) -> &'a [u8] {
        self.path.of(self.message.path.text)
    }

    /// The part of the path that `span` covers.
    pub(crate) fn path_text(&self, span: Span) -> &'a str {
        // The parser lets only visible ASCII into the request line, and decoding makes UTF-8 of it:
        // the fallback is never taken.
        str::from_utf8(span.of(self.message.path.text)).unwrap_or_default()
    }

    /// Returns the part of the path that `span` covers, as it was sent. `span` begins and ends
    /// beside slashes.
    pub(crate) fn raw_path_text(&self, span: Span) -> &'a str {
        let Message { line, bytes, path, .. } = *self.message;
        if !line.has_escapes {
            return self.path_text(span);
        }
        // A slash is never decoded, so both forms have as many.
        let count = |end: usize| path.text[..end].iter().filter(|&&byte| byte == b'/').count();
        let raw = line.path.of(bytes);
        let (from, to) = (usize::from(span.start), span.end());
        let start = match (path.text.get(from), count(from)) {
            (Some(b'/'), slashes) => nth_slash(raw, slashes),
            (_, 0) => 0,
            (_, slashes) => nth_slash(raw, slashes - 1) + 1,
        };
        let end = if to == path.whole.end() { raw.len() } else { nth_slash(raw, count(to)) };
        self.ascii(Span::new(usize::from(line.path.start) + start, end - start))
    }

    /// Such a target means `/`, but there is no byte of it to cut.
    pub(crate) fn is_absolute_without_path(&self) -> bool {
        self.message.line.path.len == 0 && self.message.line.form == TargetForm::Absolute
    }

    pub(crate) fn target_form(&self) -> TargetForm {
        self.message.line.form
    }

    /// Returns the method. Any token is possible, in the case in which it was sent: `get` is not
    /// `GET`.
    pub fn method(&self) -> &'a Method {
        &self.message.line.method
    }

    /// Returns the request target as it was sent: `/path?query`, `*`, `host:port` or an absolute
    /// URI (RFC 9112, section 3.2).
    ///
    /// It is visible ASCII: any other target gets a 400 before a handler runs.
    pub fn target(&self) -> &'a str {
        self.ascii(self.message.line.target)
    }

    /// Returns the path of the target: the form that the [router](crate::router), guards and
    /// [`Files`](crate::files::Files) read, so no other spelling of a path gets past any of them.
    ///
    /// Each percent-escape is decoded once. Four kinds stay, in upper case: those of slashes (so
    /// splitting at `/` finds the segments), percent signs, characters that control a line of a log
    /// (control characters, line separators, marks of writing direction), and bytes that are not
    /// UTF-8. So a path can have a space, a quote, `?` or `#`. Empty and dot segments stay, too;
    /// routes redirect to the path without them. A path without `%` is not copied.
    ///
    /// The path is `/` for an absolute target without a path, `*` for `OPTIONS *`, and empty for
    /// `CONNECT`. Under [`Router::mount`](crate::Router::mount) it begins after the prefix.
    pub fn path(&self) -> &'a str {
        match self.path_bytes() {
            // The commonest of all, returned without a look at its encoding.
            [b'/'] => "/",
            [] if self.is_absolute_without_path() => "/",
            _ => self.path_text(self.path),
        }
    }

    /// Returns the path as it was sent, percent-encoded: for signatures and proxies. For
    /// comparisons use [`path`](Request::path), since the same path has many spellings.
    ///
    /// Under [`Router::mount`](crate::Router::mount) it begins after the prefix.
    pub fn raw_path(&self) -> &'a str {
        match self.path.len {
            0 if self.is_absolute_without_path() => "/",
            0 => "",
            _ => self.raw_path_text(self.path),
        }
    }

    /// Returns the same request with whole segments cut from the front of its path; `None` if the
    /// path does not begin with the segments of `prefix`, which is usually a 404.
    ///
    /// `prefix` is compared with [`path`](Request::path), and a slash at its end does not count:
    /// `/static` and `/static/` cut `/static/a` to `/a` and `/static` to nothing, and leave
    /// `/staticfoo` alone. Nothing can be cut from an absolute target without a path, although it
    /// counts as `/`. Nothing is copied, and the original stays as it is.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request, Response};
    /// # let mut sim = Sim::new(|req: &Request<'_>| {
    /// match req.strip_prefix("/static") {
    ///     Some(inner) => Response::text(inner.path().to_owned()),
    ///     None => Response::not_found(),
    /// }
    /// # });
    /// # let c = sim.connect_and_send(b"GET /static/a.css HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\n/a.css"));
    /// ```
    #[doc(alias = "StripPrefix")]
    pub fn strip_prefix(&self, prefix: &str) -> Option<Request<'a>> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let rest = self.path_bytes().strip_prefix(prefix.as_bytes())?;
        if !matches!(rest, [] | [b'/', ..]) {
            return None;
        }
        Some(Request { path: Span::new(self.path.end() - rest.len(), rest.len()), ..*self })
    }

    /// Returns the query as it was sent, percent-encoded: all of the target after its first `?`.
    /// `None` without a `?`. [`query`](Request::query) decodes its pairs.
    pub fn raw_query(&self) -> Option<&'a str> {
        let path_end = self.message.line.path.end();
        let target = self.message.line.target;
        let rest = Span::new(path_end, target.end() - path_end);
        self.ascii(rest).strip_prefix('?')
    }

    /// Returns the host that the request is for, with its port if it has one: the authority of the
    /// target if it has one, else the `Host` field (RFC 9112, section 3.2.2). `None` only in
    /// HTTP/1.0.
    pub fn host(&self) -> Option<&'a str> {
        match self.message.line.authority {
            Some(authority) => Some(self.ascii(authority)),
            None => self.headers().get("host"),
        }
    }

    /// Returns the same as bytes, without a check that they are text.
    pub(crate) fn host_bytes(&self) -> Option<&'a [u8]> {
        match self.message.line.authority {
            Some(authority) => Some(authority.of(self.message.bytes)),
            None => self.headers().host(),
        }
    }

    /// Returns the version that is spoken with this client: HTTP/1.0 or HTTP/1.1. Newer minor
    /// versions are served as 1.1 (RFC 9110, section 2.5); other major versions never reach a
    /// handler.
    pub fn version(&self) -> http::Version {
        match self.message.line.version {
            Version::Http10 => http::Version::HTTP_10,
            Version::Http11 => http::Version::HTTP_11,
        }
    }

    /// Returns the header fields.
    pub fn headers(&self) -> Fields<'a> {
        Fields::new(self.message.bytes, self.message.spans)
    }

    /// Returns the value of the first header field called `name`, if it is UTF-8: short for
    /// `headers().get(name)`. [`Fields::get_bytes`] returns the bytes of any value.
    #[doc(alias = "Header.Get")]
    pub fn header(&self, name: impl AsRef<str>) -> Option<&'a str> {
        self.headers().get(name)
    }

    /// Returns the trailer fields that came after the content (RFC 9110, section 6.5), in the
    /// callback of [`Reply::collect`](crate::Reply::collect). There are none before that, and none
    /// for content that did not come in chunks.
    ///
    /// They are not merged into [`headers`](Request::headers). Fields that may not stand in a
    /// trailer section (framing, routing, authentication, `Content-Type`, ...) are left out,
    /// whether `Trailer` announced them or not.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Reply, Request};
    /// # let mut sim = Sim::new(|_: &Request<'_>| {
    /// Reply::collect(4096, |(), req, content| {
    ///     let digest = req.trailers().get("digest").unwrap_or("none");
    ///     format!("{} bytes, digest {digest}", content.len())
    /// })
    /// # });
    /// # let c = sim.connect();
    /// # sim.send(c, b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    /// # sim.send(c, b"2\r\nhi\r\n0\r\nDigest: x\r\nHost: b\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"2 bytes, digest x"));
    /// ```
    pub fn trailers(&self) -> Fields<'a> {
        self.message.trailers.copied().unwrap_or(Fields::new(&[], &[]))
    }

    /// Returns the length of the content in bytes: `Some(0)` without content, `None` if it comes in
    /// chunks.
    pub fn content_length(&self) -> Option<u64> {
        self.message.line.content_length
    }

    /// Returns the address of the client; `None` on a Unix socket, and only there. It is the one
    /// with which the connection was accepted, so a client cannot hide it by a reset after its
    /// request. A client of IPv4 has an IPv4 address on every listener, and not the form
    /// `::ffff:192.0.2.1` in which a listener for both families reports it.
    ///
    /// Behind a proxy this is the address of the proxy, which usually names its client in the field
    /// `X-Forwarded-For`. Any client can send that field: believe it only if it comes from your
    /// proxy.
    #[doc(alias("RemoteAddr", "X-Forwarded-For", "client_ip"))]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.message.peer.addr()
    }

    /// Returns the local address that the peer connected to; `None` on a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.message.peer.transport().local_addr()
    }

    /// Returns the name of the listener that the connection came from
    /// ([`Listener::named`](crate::runtime::Listener::named)); without a name of its own, that is
    /// its address as it was given.
    pub fn listener(&self) -> &'a str {
        self.message.peer.listener()
    }

    /// Returns the limits of the server, which include those of its helpers.
    pub fn limits(&self) -> &'a Limits {
        &self.message.peer.site().limits
    }

    /// Returns the account for memory that is held for clients outside of the loop.
    pub(crate) fn account(&self) -> &'a Account {
        &self.message.peer.site().account
    }

    /// Returns the time of the present turn of the loop.
    pub(crate) fn turn_time(&self) -> TurnTime {
        self.message.peer.site().time
    }

    /// Returns whether the peer has already ended or broken its side of the connection. That is not
    /// a cancellation: a half-closed peer still reads, and the response is still sent.
    pub fn peer_has_left(&self) -> bool {
        self.message.peer.has_left()
    }

    /// Returns the number of the connection, unique within one loop.
    pub fn connection_id(&self) -> ConnectionId {
        self.message.peer.id()
    }

    /// Returns the number of this request, unique within one loop: the number of its connection,
    /// and the number of requests before it on that connection. See [`RequestId`] for programs with
    /// several loops.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request};
    /// let numbers = |req: &Request<'_>| format!("{} then {}", req.id(), req.id().index());
    /// let mut sim = Sim::new(numbers);
    /// # let client = sim.connect();
    /// # sim.send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(client).ends_with(b"1-0 then 0"));
    /// ```
    pub fn id(&self) -> RequestId {
        let index = self.message.peer.requests().wrapping_sub(1);
        RequestId { connection: self.connection_id(), index }
    }

    /// Returns the value that the connection hook attached
    /// ([`Server::on_connect`](crate::Server::on_connect)), if it is a `T`.
    #[doc(alias = "ConnContext")]
    pub fn connection_value<T: 'static>(&self) -> Option<&'a T> {
        self.message.peer.value()?.downcast_ref()
    }

    fn ascii(&self, span: Span) -> &'a str {
        // The parser lets only visible ASCII into the request line: the fallback is never taken.
        str::from_utf8(span.of(self.message.bytes)).unwrap_or_default()
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .field("headers", &self.headers())
            .finish()
    }
}

/// The HTTP version that is spoken with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// HTTP/1.0: no chunks, no `100 Continue`, and the connection closes unless the client asks for
    /// keep-alive.
    Http10,
    /// HTTP/1.1 and anything newer of major version 1.
    Http11,
}

/// The form of a request target (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetForm {
    Origin,
    Absolute,
    Authority,
    Asterisk,
}

/// A parsed request line, as positions in the head.
#[derive(Clone, Debug)]
pub(crate) struct RequestLine {
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) form: TargetForm,
    pub(crate) target: Span,
    /// The path as it was sent.
    pub(crate) path: Span,
    /// Whether the path has an escape, and must be decoded.
    pub(crate) has_escapes: bool,
    pub(crate) authority: Option<Span>,
    pub(crate) content_length: Option<u64>,
}

impl RequestLine {
    /// Decodes the path into `text`, if it has escapes. `head` is the one that was parsed.
    #[inline(always)]
    pub(crate) fn decode_path(&self, head: &[u8], text: &mut String) {
        if self.has_escapes {
            decode_path(self.path.of(head), text);
        }
    }
}

/// The path of a request: the text that positions refer to, and the place of the whole path in it.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    text: &'a [u8],
    whole: Span,
}

impl<'a> Path<'a> {
    /// Creates the path in `head`; or that in `decoded`, if the path of `line` has escapes.
    #[inline(always)]
    pub(crate) fn new(line: &RequestLine, head: &'a [u8], decoded: &'a str) -> Path<'a> {
        match line.has_escapes {
            false => Path { text: head, whole: line.path },
            true => Path { text: decoded.as_bytes(), whole: Span::new(0, decoded.len()) },
        }
    }
}

/// A range of bytes in a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u16,
    pub(crate) len: u16,
}

impl Span {
    pub(crate) fn new(start: usize, len: usize) -> Span {
        debug_assert!(start + len <= usize::from(u16::MAX), "heads are at most 64 KiB");
        Span { start: start as u16, len: len as u16 }
    }

    pub(crate) fn end(self) -> usize {
        usize::from(self.start) + usize::from(self.len)
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[usize::from(self.start)..self.end()]
    }
}

/// The most wildcards that one pattern may have: their positions lie on the stack.
pub(crate) const PARAMS_MAX: usize = 8;

/// The finding of a router for a request.
#[derive(Clone, Copy)]
pub(crate) struct RouteMatch<'a> {
    pub(crate) names: &'a Rc<RouteNames>,
    /// The parts of the path that the wildcards match, in their order.
    pub(crate) spans: &'a [Span; PARAMS_MAX],
}

/// The parts of a route that a handler may ask for.
pub(crate) struct RouteNames {
    /// The pattern as it was registered.
    pub(crate) pattern: Box<str>,
    /// The names of the wildcards; at most [`PARAMS_MAX`].
    pub(crate) wildcards: Box<[Box<str>]>,
}

/// A head, and the peer as far as a handler may ask about it. It is not a part of [`Request`]
/// because a router copies that.
pub(crate) struct Message<'a> {
    pub(crate) line: &'a RequestLine,
    pub(crate) bytes: &'a [u8],
    pub(crate) path: Path<'a>,
    pub(crate) spans: &'a [FieldSpan],
    /// The fields after the content, once that has come.
    pub(crate) trailers: Option<&'a Fields<'a>>,
    pub(crate) peer: &'a dyn Peer,
    /// Where a router notes the route, if the exchange is observed.
    pub(crate) seen: Option<&'a PatternSeen>,
}

/// The route that was found for a request, for the hook that is called at the end of its exchange.
pub(crate) type PatternSeen = OnceCell<Rc<RouteNames>>;

/// The questions of a handler about the connection. Nothing is looked up before it asks.
pub(crate) trait Peer {
    /// The address of the client; `None` on a Unix socket.
    fn addr(&self) -> Option<SocketAddr>;
    fn transport(&self) -> &dyn Transport;
    /// The value that the connection hook attached.
    fn value(&self) -> Option<&dyn Any>;
    fn id(&self) -> ConnectionId;
    /// The number of requests begun on the connection so far, with this one.
    fn requests(&self) -> u32;
    fn listener(&self) -> &str;
    fn site(&self) -> &Site;
    /// Returns whether the peer has ended its side.
    fn has_left(&self) -> bool;
}

/// The parts of a loop that each of its requests can ask for.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) limits: Limits,
    pub(crate) account: Account,
    pub(crate) time: TurnTime,
}

/// The time of a turn of the loop, by both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TurnTime {
    /// The monotonic time since the start of the loop, in milliseconds.
    pub(crate) now: u64,
    /// The time of the start of the loop since 1970, as the wall clock had it in the present second.
    pub(crate) start: Duration,
}

impl TurnTime {
    /// Returns the time since 1970.
    pub(crate) fn wall(self) -> Duration {
        self.start + Duration::from_millis(self.now)
    }
}

/// The names of the listeners of a server, by their numbers.
#[derive(Debug)]
pub(crate) struct ListenerNames(pub(crate) Vec<Box<str>>);

impl ListenerNames {
    pub(crate) fn name(&self, n: u8) -> &str {
        self.0.get(usize::from(n)).map_or("", |name| &**name)
    }
}

/// A stream, as far as a handler may ask about it. The system is asked at each call.
pub(crate) trait Transport {
    fn local_addr(&self) -> Option<SocketAddr>;
}
