//! A request to its response: the file, its representation, the conditions, the bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::files::conditions::{self, Judgement, Validators};
use crate::files::entries::Directory;
use crate::files::path::{BadPath, Names};
use crate::files::ranges::{self, Wanted};
use crate::files::root::{Found, Meta, Missing, Opened};
use crate::files::{encodings, media_types, parts, Files};
use crate::handler::{Failure, Handler, Reply};
use crate::message::body::Body;
use crate::message::percent::encode_path;
use crate::message::request::{Method, Request};
use crate::message::response::{Response, StatusCode};

impl<S> Handler<S> for Files {
    fn handle(&mut self, _: &mut S, req: &Request<'_>) -> Reply<S> {
        self.respond(req).into()
    }
}

impl Files {
    /// Responds to a request by its path.
    pub fn respond(&self, req: &Request<'_>) -> Response {
        self.respond_at(req, req.path())
    }

    /// Responds to a request with the file that `path` names, in the form of [`Request::path`]. It
    /// is for files under a prefix that the program has cut off. Redirects are relative to the
    /// request's own path, so they stay under the prefix.
    ///
    /// ```no_run
    /// # use wheelhouse::{files::Files, Request, Response};
    /// # let files = Files::new("public")?;
    /// # let handler =
    /// move |req: &Request<'_>| match req.path().strip_prefix("/static/") {
    ///     Some(path) => files.respond_at(req, path),
    ///     None => Response::not_found(),
    /// };
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn respond_at(&self, req: &Request<'_>, path: &str) -> Response {
        let response = self.find(req, path).unwrap_or_else(Response::status_page);
        let response = self.fielded(response);
        // A browser must not take text that someone has uploaded for a script or a page.
        let is_typed = response.status() != StatusCode::NOT_MODIFIED;
        match is_typed && !response.headers().contains("x-content-type-options") {
            true => response.with_header("X-Content-Type-Options", "nosniff"),
            false => response,
        }
    }

    fn find(&self, req: &Request<'_>, path: &str) -> Result<Response, StatusCode> {
        if !matches!(*req.method(), Method::GET | Method::HEAD) {
            return Ok(Response::method_not_allowed("GET, HEAD"));
        }
        let mut names = Names::parse(path).map_err(|bad| match bad {
            BadPath::Malformed => StatusCode::BAD_REQUEST,
            BadPath::Impossible => StatusCode::NOT_FOUND,
        })?;
        if path.is_empty() {
            // The program has cut off the whole path: `/static` or `/static/`.
            names.is_directory = req.path().ends_with('/');
        }
        if names.is_hidden() && !self.serves_dot_files {
            return self.fallback(req, &names);
        }
        let path = names.to_path();
        // The index comes first, because a directory that cannot be listed may still have one.
        if names.is_directory {
            if let Some(response) = self.index_of(req, &path)? {
                return Ok(response);
            }
        }
        match self.root.find(&path) {
            Ok(Found::File(_)) if names.is_directory => Ok(redirect(req, Slash::Cut)),
            Ok(Found::File(opened)) => self.send(req, &path, opened, self.cache_control.as_deref()),
            Ok(Found::Directory(..)) if !names.is_directory => Ok(redirect(req, Slash::Add)),
            Ok(Found::Directory(fd, meta)) if self.lists => {
                let shows_dot_files = self.serves_dot_files;
                let dir =
                    Directory { root: &self.root, fd: &fd, meta, path: &path, shows_dot_files };
                self.listings.respond(&dir, req, &names).or_else(response_to)
            }
            Ok(Found::Directory(..)) | Err(Missing::NotFound) => self.fallback(req, &names),
            // It may have an index. The request with the slash looks for that.
            Err(Missing::Forbidden) if !names.is_directory && self.root.is_directory(&path) => {
                Ok(redirect(req, Slash::Add))
            }
            Err(missing) => response_to(missing),
        }
    }

    /// Returns the response with the index file of a directory, if it has one.
    fn index_of(
        &self,
        req: &Request<'_>,
        directory: &Path,
    ) -> Result<Option<Response>, StatusCode> {
        for index in &self.index {
            let path = directory.join(index);
            match self.root.file(&path) {
                Ok(opened) => {
                    return self.send(req, &path, opened, self.cache_control.as_deref()).map(Some)
                }
                Err(Missing::NotFound) => {}
                Err(missing) => return response_to(missing).map(Some),
            }
        }
        Ok(None)
    }

    /// Returns the response for a path without a file: the page of a single-page application, or
    /// 404.
    fn fallback(&self, req: &Request<'_>, names: &Names<'_>) -> Result<Response, StatusCode> {
        match &self.spa {
            Some(spa) if !names.last().contains(&b'.') => match self.root.file(spa) {
                Ok(opened) => self.send(req, spa, opened, Some("no-cache")),
                Err(missing) => response_to(missing),
            },
            _ => Err(StatusCode::NOT_FOUND),
        }
    }

    /// Responds with an open file: decides on the representation, the conditions and the bytes.
    fn send(
        &self,
        req: &Request<'_>,
        path: &Path,
        mut opened: Opened,
        cache_control: Option<&str>,
    ) -> Result<Response, StatusCode> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let kind = media_types::content_type(name, &opened.file, &self.kinds);
        let varies = self.finds_compressed && media_types::compresses(&kind);
        let mut encoding = None;
        if varies {
            if let Some((sibling, name)) = self.compressed(req, path, &opened.meta) {
                (opened, encoding) = (sibling, Some(name));
            }
        }
        let Opened { file, meta } = opened;
        let validators = Validators { etag: etag(&meta), last_modified: meta.last_modified() };
        let judgement = conditions::judge(&req.headers(), &validators);
        if judgement == Judgement::Failed {
            return Err(StatusCode::PRECONDITION_FAILED);
        }
        // The fields that a 304 must repeat (RFC 9110, section 15.4.5).
        let with_metadata = |mut response: Response| {
            response = response.with_header("ETag", &validators.etag);
            if varies {
                response = response.with_header("Vary", "Accept-Encoding");
            }
            match cache_control {
                Some(value) => response.with_header("Cache-Control", value),
                None => response,
            }
        };
        if judgement == Judgement::NotModified {
            return Ok(with_metadata(Response::new(StatusCode::NOT_MODIFIED)));
        }
        // Only GET has ranges (RFC 9110, section 14.2).
        let wanted = match *req.method() {
            Method::GET if conditions::range_holds(&req.headers(), &validators) => {
                ranges::wanted(&req.headers(), meta.len, req.limits().ranges_max)
            }
            _ => Wanted::Whole,
        };
        let wanted = match wanted {
            // Together the parts are not a coded file, so a client could not decode them.
            Wanted::Parts(parts) if parts.len() > 1 && encoding.is_some() => Wanted::Whole,
            wanted => wanted,
        };
        let mut response = match wanted {
            Wanted::Unsatisfiable => {
                return Ok(Response::status_page(StatusCode::RANGE_NOT_SATISFIABLE)
                    .with_header("Content-Range", format!("bytes */{}", meta.len)))
            }
            Wanted::Whole => Response::ok(kind, Body::file_range(file, 0..meta.len)),
            Wanted::Parts(parts) => match parts.as_slice() {
                [part] => {
                    Response::ok(kind, Body::file_range(file, part.start..part.start + part.len))
                        .with_header("Content-Range", part.content_range(meta.len))
                }
                parts => {
                    let (kind, body) = parts::multipart(file, parts, meta.len, &kind);
                    Response::ok(kind, body)
                }
            }
            .with_status(StatusCode::PARTIAL_CONTENT),
        };
        response = with_metadata(response).with_header("Accept-Ranges", "bytes");
        if let Some(time) = validators.last_modified {
            response = response.with_header("Last-Modified", httpdate::fmt_http_date(time));
        }
        if let Some(encoding) = encoding {
            response = response.with_header("Content-Encoding", encoding);
        }
        Ok(response)
    }

    /// Returns the sibling that is to be sent in place of a file, and its coding. A sibling that is
    /// older than the file is stale, and is not sent. Seconds are compared: compressors copy the time
    /// of the file, some of them without its fraction.
    fn compressed(
        &self,
        req: &Request<'_>,
        path: &Path,
        original: &Meta,
    ) -> Option<(Opened, &'static str)> {
        encodings::accepted(&req.headers()).find_map(|encoding| {
            let mut sibling = OsString::from_vec(path.as_os_str().as_bytes().to_vec());
            sibling.push(encoding.suffix);
            let opened = self.root.file(Path::new(&sibling)).ok()?;
            (opened.meta.modified >= original.modified).then_some((opened, encoding.name))
        })
    }
}

/// The seconds after which a client may ask again for a file that needs a descriptor, or for a page
/// that needs memory. The clients that hold them read slowly, but they have to read.
const RETRY_AFTER: &str = "5";

/// Returns the status for a file that is not sent. An error of the file system is a failure of the
/// program, which the connection logs.
fn response_to(missing: Missing) -> Result<Response, StatusCode> {
    match missing {
        Missing::NotFound => Err(StatusCode::NOT_FOUND),
        Missing::Forbidden => Err(StatusCode::FORBIDDEN),
        Missing::Exhausted => Ok(Response::status_page(StatusCode::SERVICE_UNAVAILABLE)
            .with_header("Retry-After", RETRY_AFTER)),
        Missing::Failed(errno) => {
            let error = format!("a file could not be opened: {errno}");
            Ok(Failure::internal(error).into_response())
        }
    }
}

/// Returns a strong entity tag: two versions of a file that differ in length, time of change (in
/// nanoseconds) or inode have different tags. The three are mixed (FNV-1a), so the tag does not
/// reveal the inode number.
fn etag(meta: &Meta) -> String {
    let mut mixed: u64 = 0xcbf2_9ce4_8422_2325;
    let parts = [meta.len.to_le_bytes(), meta.modified.to_le_bytes(), meta.inode.to_le_bytes()];
    for byte in parts.iter().flatten().chain(&meta.nanos.to_le_bytes()) {
        mixed = (mixed ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    format!("\"{:x}-{mixed:016x}\"", meta.len)
}

/// The change that a path needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slash {
    Add,
    Cut,
}

/// Returns a 301 to the same path with or without its trailing slash. The query is kept.
///
/// The location is relative and made of the last segment, after `./` or `../`. There no segment can
/// be taken for a host (`//host`) or a scheme (`a:b`).
fn redirect(req: &Request<'_>, slash: Slash) -> Response {
    let trimmed = req.path().trim_end_matches('/');
    let segment = encode_path(trimmed.rsplit('/').next().unwrap_or_default());
    let mut location = match slash {
        Slash::Add => format!("./{segment}/"),
        // One level up for each slash at the end.
        Slash::Cut => format!("{}{segment}", "../".repeat(req.path().len() - trimmed.len())),
    };
    if let Some(query) = req.raw_query() {
        location.push('?');
        location.push_str(query);
    }
    Response::status_page(StatusCode::MOVED_PERMANENTLY).with_header("Location", location)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_file_system_is_a_500_with_a_line_for_the_log() {
        let response = response_to(Missing::Failed(rustix::io::Errno::IO)).unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let failure = response.failure().unwrap();
        assert!(failure.starts_with("a file could not be opened: "), "{failure}");
    }
}
