//! [`Content`]: bytes that the program has made, served like a file.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::files::conditions::Validators;
use crate::files::heads::Heads;
use crate::files::mixed::Mixed;
use crate::files::represent::Representation;
use crate::files::respond::ALLOW;
use crate::files::source::Source;
use crate::message::body::Body;
use crate::message::request::{Method, Request};
use crate::message::response::Response;

/// Content in memory with everything that a file has: a tag, conditions (304, 412), ranges, and
/// `HEAD`.
///
/// Make it when the bytes change, and keep it: `new` reads all of them for the tag. To respond copies
/// none of them, and clones share them. A response with all of them, or a 304, allocates nothing if the
/// media type is a constant.
///
/// ```
/// use std::time::SystemTime;
/// use wheelhouse::files::Content;
/// use wheelhouse::{sim::Sim, Request};
///
/// let report = Content::new("text/csv", "day,sum\n1,20\n").modified(SystemTime::now());
/// let mut sim = Sim::new(move |req: &Request<'_>| report.respond(req));
///
/// let whole = sim.get("/report.csv");
/// let tag = whole.header("ETag").unwrap().to_owned();
/// let again = sim.request("GET", "/report.csv").header("If-None-Match", tag).send();
/// assert_eq!(again.status(), 304);
/// let part = sim.request("GET", "/report.csv").header("Range", "bytes=0-6").send();
/// assert_eq!(part.text(), "day,sum");
/// ```
#[derive(Clone, Debug)]
#[doc(alias("ServeContent", "http.ServeContent"))]
pub struct Content {
    bytes: Bytes,
    kind: Cow<'static, str>,
    mixed: u64,
    /// The time of the last change since 1970. Only whole seconds can be sent.
    modified: Option<Duration>,
    heads: Heads,
}

impl Content {
    /// Creates content of the media type `kind`, without a time of its last change.
    pub fn new(kind: impl Into<Cow<'static, str>>, bytes: impl Into<Bytes>) -> Content {
        let (bytes, kind) = (bytes.into(), kind.into());
        let mut mixed = Mixed::new();
        mixed.add(&bytes);
        let mixed = mixed.0;
        let heads = Heads::of(represent(&bytes, kind.clone(), mixed, None), |response| response);
        Content { bytes, kind, mixed, modified: None, heads }
    }

    /// Sets the time of the last change, for `Last-Modified` and the conditions on it. One in the
    /// future is not sent.
    pub fn modified(mut self, time: SystemTime) -> Content {
        let time = time.duration_since(SystemTime::UNIX_EPOCH).ok();
        self.modified = time.map(|time| Duration::from_secs(time.as_secs()));
        self.heads = Heads::of(self.represent(self.modified), |response| response);
        self
    }

    /// Responds to `GET` and `HEAD` with the content or a part of it, to `OPTIONS` with a 204, and to
    /// other methods with a 405.
    pub fn respond(&self, req: &Request<'_>) -> Response {
        match *req.method() {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Response::options(ALLOW),
            _ => return Response::method_not_allowed(ALLOW),
        }
        let known = self.modified.filter(|time| *time <= req.turn_time().wall());
        let plain = match known == self.modified {
            true => self.heads.respond(&req.headers(), || Body::from(self.bytes.clone())),
            false => None,
        };
        let others = || self.represent(known).respond(req).unwrap_or_else(Response::status_page);
        plain.unwrap_or_else(others)
    }

    fn represent(&self, known: Option<Duration>) -> Representation<'static> {
        represent(&self.bytes, self.kind.clone(), self.mixed, known)
    }
}

fn represent(
    bytes: &Bytes,
    kind: Cow<'static, str>,
    mixed: u64,
    known: Option<Duration>,
) -> Representation<'static> {
    let len = bytes.len() as u64;
    let etag = format!("\"{len:x}-{mixed:016x}\"");
    let last_modified = known.map(|time| SystemTime::UNIX_EPOCH + time);
    Representation {
        source: Source::Bytes(bytes.clone()),
        len,
        kind,
        encoding: None,
        varies: false,
        validators: Validators { etag, last_modified },
        cache_control: None,
    }
}
