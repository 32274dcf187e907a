//! A file as a response: the representation that the client takes, the conditions, and the bytes
//! that it wants.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::files::conditions::{self, Judgement, Validators};
use crate::files::meta::Meta;
use crate::files::mixed::Mixed;
use crate::files::ranges::{self, Wanted};
use crate::files::respond::Walk;
use crate::files::root::Opened;
use crate::files::source::Source;
use crate::files::{encodings, media_types, parts, Files};
use crate::message::request::{Method, Request};
use crate::message::response::{Response, StatusCode};

/// The bytes that are sent, of a file or of its precompressed sibling, with the fields that describe
/// them.
pub(super) struct Representation<'a> {
    pub(super) source: Source,
    pub(super) len: u64,
    pub(super) kind: Cow<'static, str>,
    pub(super) encoding: Option<&'static str>,
    /// Whether another client may get another coding.
    pub(super) varies: bool,
    pub(super) validators: Validators,
    pub(super) cache_control: Option<&'a str>,
}

impl Walk<'_, '_> {
    /// Responds with an open file.
    pub(super) fn send(
        &self,
        path: &Path,
        opened: Opened,
        cache_control: Option<&str>,
    ) -> Result<Response, StatusCode> {
        self.represent(path, opened, cache_control).respond(self.req)
    }

    /// Chooses the representation: the file itself, or a precompressed sibling.
    fn represent<'c>(
        &self,
        path: &Path,
        mut opened: Opened,
        cache_control: Option<&'c str>,
    ) -> Representation<'c> {
        let Described { kind, mut encoding, varies } = self.files.describe(path, &opened.source);
        if varies {
            if let Some((sibling, name)) = self.compressed(path, &opened.meta) {
                (opened, encoding) = (sibling, Some(name));
            }
        }
        let now = self.req.turn_time().wall();
        Representation::new(opened, Described { kind, encoding, varies }, cache_control, now)
    }

    /// Returns the sibling that is to be sent in place of a file, and its coding. A sibling that is
    /// older than the file is stale, and is not sent. Seconds are compared: compressors copy the time
    /// of the file, some of them without its fraction.
    fn compressed(&self, path: &Path, original: &Meta) -> Option<(Opened, &'static str)> {
        encodings::accepted(&self.req.headers()).find_map(|encoding| {
            let mut sibling = OsString::from_vec(path.as_os_str().as_bytes().to_vec());
            sibling.push(encoding.suffix);
            let opened = self.tree.file(Path::new(&sibling)).ok()?;
            (opened.meta.modified >= original.modified).then_some((opened, encoding.name))
        })
    }
}

/// The description of a file by its name.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) kind: Cow<'static, str>,
    pub(super) encoding: Option<&'static str>,
    /// Whether precompressed siblings are looked for.
    pub(super) varies: bool,
}

impl Files {
    pub(super) fn describe(&self, path: &Path, source: &Source) -> Described {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let kind = media_types::content_type(name, source, &self.kinds);
        let encoding = media_types::own_coding(name, &kind);
        let can_compress = encoding.is_none() && media_types::compresses(&kind);
        Described { kind, encoding, varies: self.finds_compressed && can_compress }
    }
}

impl<'a> Representation<'a> {
    pub(super) fn new(
        opened: Opened,
        described: Described,
        cache_control: Option<&'a str>,
        now: Duration,
    ) -> Representation<'a> {
        let Described { kind, encoding, varies } = described;
        let validators = validators(&opened, encoding, now);
        let Opened { source, meta, .. } = opened;
        Representation { source, len: meta.len, kind, encoding, varies, validators, cache_control }
    }

    /// Responds with the bytes that the client wants, if its conditions hold.
    pub(super) fn respond(self, req: &Request<'_>) -> Result<Response, StatusCode> {
        match conditions::judge(&req.headers(), &self.validators) {
            Judgement::Failed => Err(StatusCode::PRECONDITION_FAILED),
            Judgement::NotModified => Ok(self.not_modified()),
            Judgement::Send => {
                let wanted = self.wanted(req);
                Ok(self.into_response(wanted))
            }
        }
    }

    /// Returns the response to a client that has the current version.
    pub(super) fn not_modified(&self) -> Response {
        self.described(Response::new(StatusCode::NOT_MODIFIED))
    }

    /// Returns the response with all bytes.
    pub(super) fn whole(self) -> Response {
        self.into_response(Wanted::Whole)
    }

    fn wanted(&self, req: &Request<'_>) -> Wanted {
        let fields = req.headers();
        // Only GET has ranges (RFC 9110, section 14.2).
        if *req.method() != Method::GET || !conditions::range_holds(&fields, &self.validators) {
            return Wanted::Whole;
        }
        match ranges::wanted(&fields, self.len, req.limits().ranges_max) {
            // Together the parts are not a coded file, so a client could not decode them.
            Wanted::Parts(parts) if parts.len() > 1 && self.encoding.is_some() => Wanted::Whole,
            wanted => wanted,
        }
    }

    /// Adds the fields that a 304 must repeat (RFC 9110, section 15.4.5).
    fn described(&self, mut response: Response) -> Response {
        response = response.with_header("ETag", &self.validators.etag);
        if self.varies {
            response = response.with_header("Vary", "Accept-Encoding");
        }
        match self.cache_control {
            Some(value) => response.with_header("Cache-Control", value),
            None => response,
        }
    }

    fn into_response(self, wanted: Wanted) -> Response {
        let len = self.len;
        if wanted == Wanted::Unsatisfiable {
            return Response::status_page(StatusCode::RANGE_NOT_SATISFIABLE)
                .with_header("Content-Range", format!("bytes */{len}"));
        }
        let response = self.described(Response::new(StatusCode::OK));
        let mut response = response.with_header("Accept-Ranges", "bytes");
        if let Some(time) = self.validators.last_modified {
            response = response.with_header("Last-Modified", httpdate::fmt_http_date(time));
        }
        if let Some(encoding) = self.encoding {
            response = response.with_header("Content-Encoding", encoding);
        }
        let (kind, source) = (self.kind, self.source);
        let Wanted::Parts(parts) = wanted else {
            return response.with_content_type(kind).with_body(source.into_body(0..len));
        };
        response = response.with_status(StatusCode::PARTIAL_CONTENT);
        if let [part] = parts.as_slice() {
            let body = source.into_body(part.start..part.start + part.len);
            let response = response.with_header("Content-Range", part.content_range(len));
            return response.with_content_type(kind).with_body(body);
        }
        let (kind, body) = parts::multipart(source, &parts, len, &kind);
        response.with_content_type(kind).with_body(body)
    }
}

/// Returns the validators of a file at the time `now`.
///
/// The tag of a file is made of its length and the time of its last change, in nanoseconds. So it is
/// the same on all machines whose files have the same times. That is not enough if the time says
/// nothing, or if the file may still change without a change of its time. Then the tag has the inode
/// and the time of the last change of the inode, too, in which each replacement and each write shows,
/// on one machine. A file that was just changed gets its final tag after a tick of the clock of the
/// file system, so no client keeps a version from within that tick.
///
/// The tag of a coded file has the coding, too: compressors copy the time of the file, and the length
/// may be the same by chance.
///
/// A time that lies after `now` is not sent: it would be later than `Date` (RFC 9110, section 8.8.2.1).
fn validators(
    Opened { meta, changed, .. }: &Opened,
    encoding: Option<&str>,
    now: Duration,
) -> Validators {
    let known = meta.last_modified();
    let last_modified = known.filter(|time| *time <= SystemTime::UNIX_EPOCH + now);
    let mut mixed = Mixed::new();
    mixed.add(&meta.len.to_le_bytes());
    mixed.add(&meta.modified.to_le_bytes());
    mixed.add(&meta.nanos.to_le_bytes());
    mixed.add(encoding.unwrap_or_default().as_bytes());
    if last_modified.is_none() || !meta.is_older_than(now) {
        mixed.add(&meta.inode.to_le_bytes());
        mixed.add(&changed.0.to_le_bytes());
        mixed.add(&changed.1.to_le_bytes());
    }
    Validators { etag: format!("\"{:x}-{:016x}\"", meta.len, mixed.0), last_modified }
}
