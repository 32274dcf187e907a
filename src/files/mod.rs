//! Static files: a directory, served as RFC 9110 wants it, with conditions (section 13), ranges
//! (section 14), precompressed siblings (section 12.5.3) and a listing.
//!
//! | file | what it decides |
//! |---|---|
//! | `path` | from a request's path to names; what is no path is refused |
//! | `root` | opening beneath the root and nowhere else |
//! | `conditions` | 304, 412, and whether a range still holds |
//! | `ranges`, `parts` | which bytes; several of them in one answer |
//! | `encodings`, `kinds` | `Content-Encoding` and `Content-Type` |
//! | `listing` | the page for a directory |

mod conditions;
mod encodings;
mod kinds;
mod listing;
mod parts;
mod path;
mod ranges;
mod root;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::files::conditions::{Judgement, Validators};
use crate::files::listing::Listings;
use crate::files::path::{BadPath, Names};
use crate::files::ranges::Wanted;
use crate::files::root::{Found, Meta, Missing, Opened, Root};
use crate::request::{Method, Request};
use crate::response::{Body, FieldError, Response, StatusCode};

/// The files of one directory, as answers.
///
/// ```no_run
/// use wheelhouse::files::Files;
///
/// let files = Files::new("public")?.listing(false).cache_control("max-age=3600")?;
/// wheelhouse::serve("127.0.0.1:8080", move |req| files.answer(req))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// * GET and HEAD only: anything else is 405.
/// * `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since`, `If-Range` and
///   `Range`, in the order of RFC 9110, section 13.2.2. `Last-Modified`, and a strong `ETag` made
///   of length, time of change in nanoseconds and inode.
/// * At most 16 ranges that come to no more than the file; others get the whole file.
/// * A directory without its trailing slash is redirected to the one with, a file with one to
///   the one without. A directory is answered with its index file, else with a listing.
/// * Nothing outside the root is ever opened. On Linux the kernel sees to that (`openat2`), and a
///   symbolic link is followed while it is relative and stays inside; elsewhere no symbolic link is followed.
///   Devices, FIFOs and sockets are not there.
/// * Names that begin with a dot are not there either, unless
///   [`dot_files`](Files::dot_files) says so; `/.well-known/` always is.
/// * The content goes from the file to the socket inside the kernel ([`Body::file`]). A file that
///   shrinks meanwhile ends in a reset.
///
/// # Blocking
///
/// Opening a file is done on the loop. From the cache of the system that takes a few
/// microseconds (about 2 µs for a file that is there, 1 µs more for each precompressed sibling that is
/// looked for); from a sleeping disk or a network file system it may take as long as that takes,
/// and every connection waits. Serve such trees from a process of their own.
#[derive(Debug)]
pub struct Files {
    root: Root,
    index: Vec<PathBuf>,
    lists: bool,
    spa: Option<PathBuf>,
    cache_control: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
    serves_dot_files: bool,
    finds_compressed: bool,
    kinds: kinds::Overrides,
    listings: Listings,
}

impl Files {
    /// The files of the directory `root`, with `index.html` as index, listings, and precompressed
    /// siblings.
    ///
    /// The directory is opened here, once: renaming it later, or putting another in its place,
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// What the system says if `root` is no directory or cannot be read.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Files> {
        Ok(Files {
            root: Root::open(root.as_ref())?,
            index: vec![PathBuf::from("index.html")],
            lists: true,
            spa: None,
            cache_control: None,
            fields: Vec::new(),
            serves_dot_files: false,
            finds_compressed: true,
            kinds: kinds::Overrides::new(),
            listings: Listings::default(),
        })
    }

    /// The names of index files, the first that is there is taken; none at all turns indexes
    /// off. Default `index.html`.
    pub fn index<N: Into<PathBuf>>(mut self, names: impl IntoIterator<Item = N>) -> Files {
        self.index = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether a directory without index is answered with a page that lists it (default) or with
    /// 404.
    pub fn listing(mut self, lists: bool) -> Files {
        self.lists = lists;
        self
    }

    /// The file, relative to the root, that answers every path that is not there: what programs
    /// want that draw their pages in the browser ("single-page applications"). A path whose last
    /// name has a dot is meant for a file and stays a 404, so that a missing script is not
    /// answered with a page. Default none. It is sent with `Cache-Control: no-cache`.
    pub fn spa(mut self, file: impl Into<PathBuf>) -> Files {
        self.spa = Some(file.into());
        self
    }

    /// The `Cache-Control` of every file; listings, redirects and errors go without. Default
    /// none: caches then guess by `Last-Modified`.
    ///
    /// # Errors
    ///
    /// [`FieldError`] if `value` is no field value.
    pub fn cache_control(mut self, value: &str) -> Result<Files, FieldError> {
        Response::new(StatusCode::OK).try_set("Cache-Control", value)?;
        self.cache_control = Some(value.to_owned());
        Ok(self)
    }

    /// One more field line on every answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`FieldError`] if it cannot be sent.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Files, FieldError> {
        let mut all = self.fielded(Response::new(StatusCode::OK));
        all.try_set(name, value.as_ref())?;
        self.fields.push((name.to_owned(), value.as_ref().to_owned()));
        Ok(self)
    }

    /// Whether names that begin with a dot are served and listed. Default no: `.git` and `.env`
    /// lie in more public directories than their owners know.
    pub fn dot_files(mut self, serves: bool) -> Files {
        self.serves_dot_files = serves;
        self
    }

    /// The `Content-Type` of files with `extension` (without its dot, in any case of letters).
    /// Default: what `mime_guess` knows, with `charset=utf-8` for text; where it knows nothing,
    /// the first 512 bytes decide between plain text and `application/octet-stream`.
    ///
    /// # Errors
    ///
    /// [`FieldError`] if `kind` is no field value.
    pub fn content_type(mut self, extension: &str, kind: &str) -> Result<Files, FieldError> {
        Response::new(StatusCode::OK).try_set("Content-Type", kind)?;
        self.kinds.insert(extension.to_ascii_lowercase(), kind.to_owned());
        Ok(self)
    }

    /// Whether `name.br` and `name.gz` are sent in place of `name` to clients that take them,
    /// if they are no older than `name` and its type is one that compresses. Default yes. Such types
    /// always carry `Vary: Accept-Encoding`.
    pub fn precompressed(mut self, finds: bool) -> Files {
        self.finds_compressed = finds;
        self
    }

    /// Answers a request by its path.
    pub fn answer(&self, req: &Request<'_>) -> Response {
        self.answer_path(req, req.path())
    }

    /// Answers a request with what `path` names, still percent-encoded: for files that are
    /// mounted under a prefix, which is cut off here. Redirects are relative to the request's own
    /// path, so they stay under the prefix.
    ///
    /// ```no_run
    /// # use wheelhouse::{files::Files, Request, Response};
    /// # let files = Files::new("public")?;
    /// # let handler =
    /// move |req: &Request<'_>| match req.path().strip_prefix("/static/") {
    ///     Some(path) => files.answer_path(req, path),
    ///     None => Response::not_found(),
    /// };
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn answer_path(&self, req: &Request<'_>, path: &str) -> Response {
        let answer = self.find(req, path).unwrap_or_else(Response::status_page);
        self.fielded(answer)
    }

    fn find(&self, req: &Request<'_>, path: &str) -> Result<Response, StatusCode> {
        if !matches!(*req.method(), Method::GET | Method::HEAD) {
            return Ok(Response::method_not_allowed("GET, HEAD"));
        }
        let names = Names::parse(path).map_err(|bad| match bad {
            BadPath::Malformed => StatusCode::BAD_REQUEST,
            BadPath::Impossible => StatusCode::NOT_FOUND,
        })?;
        let found = match names.is_hidden() && !self.serves_dot_files {
            true => Err(Missing::NotFound),
            false => self.root.find(&names.to_path()),
        };
        match found {
            Ok(Found::File(_)) if names.is_directory => Ok(redirect(req, Slash::Cut)),
            Ok(Found::File(opened)) => {
                self.send(req, &names.to_path(), opened, self.cache_control.as_deref())
            }
            Ok(Found::Directory(_)) if !names.is_directory => Ok(redirect(req, Slash::Add)),
            Ok(Found::Directory(dir)) => {
                if let Some(answer) = self.index_of(req, &names)? {
                    return Ok(answer);
                }
                match self.lists {
                    true => listing::page(
                        &self.listings,
                        &self.root,
                        &dir,
                        req,
                        &names,
                        self.serves_dot_files,
                    )
                    .map_err(status_of),
                    false => self.fallback(req, &names),
                }
            }
            Err(Missing::NotFound) => self.fallback(req, &names),
            Err(missing) => Err(status_of(missing)),
        }
    }

    /// The answer with the index file of a directory, if it has one.
    fn index_of(
        &self,
        req: &Request<'_>,
        names: &Names<'_>,
    ) -> Result<Option<Response>, StatusCode> {
        for index in &self.index {
            let path = names.to_path().join(index);
            match self.root.file(&path) {
                Ok(opened) => {
                    return self.send(req, &path, opened, self.cache_control.as_deref()).map(Some)
                }
                Err(Missing::NotFound) => {}
                Err(missing) => return Err(status_of(missing)),
            }
        }
        Ok(None)
    }

    /// The answer where nothing is: the page of a single-page application, or 404.
    fn fallback(&self, req: &Request<'_>, names: &Names<'_>) -> Result<Response, StatusCode> {
        match &self.spa {
            Some(spa) if !names.last().contains(&b'.') => {
                let opened = self.root.file(spa).map_err(status_of)?;
                self.send(req, spa, opened, Some("no-cache"))
            }
            _ => Err(StatusCode::NOT_FOUND),
        }
    }

    /// The answer with an open file: which representation, under which conditions, which bytes.
    fn send(
        &self,
        req: &Request<'_>,
        path: &Path,
        mut opened: Opened,
        cache_control: Option<&str>,
    ) -> Result<Response, StatusCode> {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let kind = kinds::content_type(name, &opened.file, &self.kinds);
        let varies = self.finds_compressed && kinds::compresses(&kind);
        let mut encoding = None;
        if varies {
            if let Some((sibling, name)) = self.compressed(req, path, &opened.meta) {
                (opened, encoding) = (sibling, Some(name));
            }
        }
        let Opened { file, meta } = opened;
        let validators = Validators { etag: etag(&meta), last_modified: meta.last_modified() };
        let judgement = conditions::judge(&req.fields(), &validators);
        if judgement == Judgement::Failed {
            return Err(StatusCode::PRECONDITION_FAILED);
        }
        // The fields that a 304 must repeat (RFC 9110, section 15.4.5).
        let with_metadata = |mut answer: Response| {
            answer = answer.with("ETag", &validators.etag);
            if varies {
                answer = answer.with("Vary", "Accept-Encoding");
            }
            match cache_control {
                Some(value) => answer.with("Cache-Control", value),
                None => answer,
            }
        };
        if judgement == Judgement::NotModified {
            return Ok(with_metadata(Response::new(StatusCode::NOT_MODIFIED)));
        }
        // Only GET has ranges (RFC 9110, section 14.2).
        let wanted = match *req.method() {
            Method::GET if conditions::range_holds(&req.fields(), &validators) => {
                ranges::wanted(&req.fields(), meta.len)
            }
            _ => Wanted::Whole,
        };
        let mut answer = match wanted {
            Wanted::Unsatisfiable => {
                return Ok(Response::status_page(StatusCode::RANGE_NOT_SATISFIABLE)
                    .with("Content-Range", format!("bytes */{}", meta.len)))
            }
            Wanted::Whole => Response::ok(kind, Body::file(file, 0, meta.len)),
            Wanted::Parts(parts) => match parts.as_slice() {
                [part] => Response::ok(kind, Body::file(file, part.start, part.len))
                    .with("Content-Range", part.content_range(meta.len)),
                parts => {
                    let (kind, body) = parts::multipart(file, parts, meta.len, &kind);
                    Response::ok(kind, body)
                }
            }
            .with_status(StatusCode::PARTIAL_CONTENT),
        };
        answer = with_metadata(answer).with("Accept-Ranges", "bytes");
        if let Some(time) = validators.last_modified {
            answer = answer.with("Last-Modified", httpdate::fmt_http_date(time));
        }
        if let Some(encoding) = encoding {
            answer = answer.with("Content-Encoding", encoding);
        }
        Ok(answer)
    }

    /// The sibling that is to be sent in place of a file, and its coding. One that is older than
    /// the file is forgotten work and not what the file says now.
    fn compressed(
        &self,
        req: &Request<'_>,
        path: &Path,
        original: &Meta,
    ) -> Option<(Opened, &'static str)> {
        encodings::accepted(&req.fields()).find_map(|encoding| {
            let mut sibling = OsString::from_vec(path.as_os_str().as_bytes().to_vec());
            sibling.push(encoding.suffix);
            let opened = self.root.file(Path::new(&sibling)).ok()?;
            let age = |meta: &Meta| (meta.modified, meta.nanos);
            (age(&opened.meta) >= age(original)).then_some((opened, encoding.name))
        })
    }

    fn fielded(&self, mut answer: Response) -> Response {
        for (name, value) in &self.fields {
            answer = answer.with(name, value);
        }
        answer
    }
}

fn status_of(missing: Missing) -> StatusCode {
    match missing {
        Missing::NotFound => StatusCode::NOT_FOUND,
        Missing::Forbidden => StatusCode::FORBIDDEN,
        Missing::Exhausted => StatusCode::SERVICE_UNAVAILABLE,
        Missing::Failed(errno) => {
            log::error!("a file could not be opened: {errno}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// A strong entity tag: two versions of a file that differ in length, time of change (in
/// nanoseconds) or inode differ in it. The three are mixed (FNV-1a), since an inode number is
/// nobody's business.
fn etag(meta: &Meta) -> String {
    let mut mixed: u64 = 0xcbf2_9ce4_8422_2325;
    let parts = [meta.len.to_le_bytes(), meta.modified.to_le_bytes(), meta.inode.to_le_bytes()];
    for byte in parts.iter().flatten().chain(&meta.nanos.to_le_bytes()) {
        mixed = (mixed ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    format!("\"{:x}-{mixed:016x}\"", meta.len)
}

/// What a path has to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slash {
    Add,
    Cut,
}

/// 301 to the same path with or without its trailing slash, the query kept.
///
/// The location is relative and made of the last segment as it came, behind `./` or `../`: no
/// segment can be taken for a host (`//host`) or a scheme (`a:b`) there.
fn redirect(req: &Request<'_>, slash: Slash) -> Response {
    let trimmed = req.path().trim_end_matches('/');
    let segment = trimmed.rsplit('/').next().unwrap_or_default();
    let mut location = match slash {
        Slash::Add => format!("./{segment}/"),
        // One level up for each slash at the end.
        Slash::Cut => format!("{}{segment}", "../".repeat(req.path().len() - trimmed.len())),
    };
    if let Some(query) = req.query() {
        location.push('?');
        location.push_str(query);
    }
    Response::status_page(StatusCode::MOVED_PERMANENTLY).with("Location", location)
}
