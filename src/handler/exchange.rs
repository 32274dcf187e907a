//! [`Exchange`]: one request and its response as a hook sees them at their end, for access logs and
//! counters. Nothing is kept for a server without such a hook.

use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Method, StatusCode, Version};

use crate::message::id::{ConnectionId, RequestId};
use crate::message::request::{PatternSeen, Request};

/// One request and its response, also of requests that the server refused by itself: see
/// [`Server::on_exchange`](crate::Server::on_exchange).
pub struct Exchange<'a> {
    pub(crate) record: &'a Record,
    pub(crate) header_names: &'a [Box<str>],
    pub(crate) connection: ConnectionId,
    pub(crate) listener: &'a str,
    pub(crate) sent: u64,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

/// The end of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The program responded, and the whole response was sent.
    Complete,
    /// The server refused the request by itself: it was malformed, too large, or memory was short.
    /// If that was in the middle of the response, it was broken off.
    Refused,
    /// The client ended or broke the connection before the response was complete.
    PeerLeft,
    /// A deadline passed: for the head, the content, the handler or the response.
    TooSlow,
    /// The program panicked, gave no response or one that cannot be sent, or broke it off.
    Failed,
    /// The connection left HTTP: an [upgrade](crate::Reply::upgrade), or a stream that was [handed
    /// out](crate::Reply::hijack).
    Upgraded,
    /// The server ended before the response was complete.
    Stopped,
}

impl<'a> Exchange<'a> {
    /// Returns the method; `None` if no head could be read, or if there was no memory to keep it
    /// while the response was awaited or sent.
    pub fn method(&self) -> Option<&'a Method> {
        self.record.line.as_ref().map(|line| &line.method)
    }

    /// Returns the target as it came; `None` where there is no [method](Exchange::method).
    pub fn target(&self) -> Option<&'a str> {
        self.record.line.as_ref().map(|line| &*line.target)
    }

    /// Returns the version; `None` where there is no [method](Exchange::method).
    pub fn version(&self) -> Option<Version> {
        self.record.line.as_ref().map(|line| line.version)
    }

    /// Returns the first header field of the request with this name, if the program has asked to
    /// [keep](crate::Server::exchange_headers) it. U+FFFD stands for bytes that are not UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let at = self.header_names.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        let kept = self.record.headers.iter().find(|(index, _)| *index == at);
        kept.map(|(_, value)| &**value)
    }

    /// Returns the [pattern](Request::pattern) of the route, if a router has found one.
    pub fn pattern(&self) -> Option<&'a str> {
        self.record.pattern.get().map(|names| &*names.pattern)
    }

    /// Returns the status of the final response, or 101. `None` if there was no response.
    pub fn status(&self) -> Option<StatusCode> {
        self.record.status
    }

    /// Returns the numbers of bytes received and sent, heads and framing included. Content of the
    /// request that arrives after the response is complete, or that is refused, does not count.
    pub fn bytes(&self) -> (u64, u64) {
        (self.record.received, self.sent)
    }

    /// Returns the part of the bytes sent that is content, with the framing of chunks: the number
    /// that access logs show.
    pub fn content_sent(&self) -> u64 {
        self.sent.saturating_sub(self.record.heads_sent)
    }

    /// Returns the time from the first byte of the head, when the loop looked at it, to the last
    /// byte of the response, when the loop passed it on. A request that arrives while the one
    /// before it waits for its response begins after that. The system may hold bytes for longer.
    pub fn duration(&self) -> Duration {
        self.ended.saturating_sub(self.record.started)
    }

    /// Returns the part of that time in which the handler, or the function that got the collected
    /// content, held the loop.
    pub fn handler_time(&self) -> Duration {
        self.record.handler_time
    }

    /// Returns the address of the client, as [`Request::peer_addr`]; `None` on a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.record.peer
    }

    /// Returns the name of the listener, as [`Request::listener`].
    pub fn listener(&self) -> &'a str {
        self.listener
    }

    /// Returns the number of the connection.
    pub fn connection_id(&self) -> ConnectionId {
        self.connection
    }

    /// Returns the number of the request, as [`Request::id`]; `None` if no head could be read.
    pub fn id(&self) -> Option<RequestId> {
        let index = self.record.index?;
        Some(RequestId { connection: self.connection, index })
    }

    /// Returns the way in which it ended.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("status", &self.status())
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// The facts about an exchange under way, kept for the hook.
pub(crate) struct Record {
    line: Option<Line>,
    /// The number of the request on its connection, if its head could be read.
    index: Option<u32>,
    peer: Option<SocketAddr>,
    /// Values of header fields, with the indices of their names.
    headers: Vec<(usize, Box<str>)>,
    pub(crate) pattern: PatternSeen,
    pub(crate) status: Option<StatusCode>,
    /// The outcome, if it is decided before the end.
    pub(crate) outcome: Option<Outcome>,
    /// When the head began, from the start of the loop.
    started: Duration,
    pub(crate) handler_time: Duration,
    /// When the program was called last.
    pub(crate) called: Duration,
    pub(crate) received: u64,
    /// Bytes of heads of responses, informational ones included.
    pub(crate) heads_sent: u64,
    /// Bytes that the socket has taken since the exchange began.
    pub(crate) written: u64,
    /// Bytes of earlier responses that the socket had not taken when it began.
    pub(crate) written_before: u64,
}

/// The parts of a request line that the hook may ask for.
struct Line {
    method: Method,
    target: Box<str>,
    version: Version,
}

/// Returns a copy of a part of a head, if the system has the memory.
fn kept(part: &str) -> Option<Box<str>> {
    let mut copy = String::new();
    copy.try_reserve_exact(part.len()).ok()?;
    copy.push_str(part);
    Some(copy.into())
}

impl Record {
    pub(crate) fn new(started: Duration, peer: Option<SocketAddr>, written_before: u64) -> Record {
        Record {
            line: None,
            index: None,
            peer,
            headers: Vec::new(),
            pattern: PatternSeen::default(),
            status: None,
            outcome: None,
            started,
            handler_time: Duration::ZERO,
            called: Duration::ZERO,
            received: 0,
            heads_sent: 0,
            written: 0,
            written_before,
        }
    }

    /// Keeps the parts of the head that the hook may ask for.
    pub(crate) fn keep_head(&mut self, req: &Request<'_>, header_names: &[Box<str>]) {
        self.line = kept(req.target()).map(|target| Line {
            method: req.method().clone(),
            target,
            version: req.version(),
        });
        self.index = Some(req.id().index());
        let fields = req.headers();
        let values = header_names.iter().enumerate().filter_map(|(index, name)| {
            let value = String::from_utf8_lossy(fields.get_bytes(name)?);
            Some((index, kept(&value)?))
        });
        self.headers.extend(values);
    }

    /// Drops the parts of the head again.
    pub(crate) fn forget_head(&mut self) {
        self.line = None;
        self.headers = Vec::new();
    }

    /// The bytes that it takes, for the budget of memory.
    pub(crate) fn memory(&self) -> usize {
        let line = self.line.as_ref().map_or(0, |line| line.target.len());
        let values = self.headers.iter().map(|(_, value)| value.len());
        let headers = self.headers.capacity() * mem::size_of::<(usize, Box<str>)>();
        mem::size_of::<Record>() + line + headers + values.sum::<usize>()
    }
}
