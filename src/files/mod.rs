//! Static files: a directory, served as RFC 9110 wants it, with conditions (section 13), ranges
//! (section 14), precompressed siblings (section 12.5.3) and a listing.
//!
//! | file | what it decides |
//! |---|---|
//! | `respond` | from a request to its response, in one walk |
//! | `path` | from a request's path to names; what is no path is refused |
//! | `root` | opening beneath the root and nowhere else |
//! | `conditions` | 304, 412, and whether a range still holds |
//! | `ranges`, `parts` | which bytes; several of them in one answer |
//! | `encodings`, `media_types` | `Content-Encoding` and `Content-Type` |
//! | `sniff` | a media type by the first bytes, if a program asks |
//! | `entries`, `listing`, `page` | the entries of a directory; the page that shows them |

mod conditions;
mod encodings;
mod entries;
mod listing;
mod media_types;
mod page;
mod parts;
mod path;
mod ranges;
mod respond;
mod root;
mod sniff;

pub use sniff::sniff;

use std::path::{Path, PathBuf};

use crate::error::{Error, FieldError};
use crate::files::listing::Listings;
use crate::files::root::Root;
use crate::message::response::{Response, StatusCode};

/// The files of one directory, as responses.
///
/// ```no_run
/// use wheelhouse::files::Files;
///
/// let files = Files::new("public")?.listing(false).cache_control("max-age=3600")?;
/// wheelhouse::Server::new().listen("127.0.0.1:8080")?.run(files)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// * GET and HEAD only: anything else is 405.
/// * `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since`, `If-Range` and
///   `Range`, in the order of RFC 9110, section 13.2.2. `Last-Modified`, and a strong `ETag` made
///   of length, time of change in nanoseconds and inode.
/// * At most 16 ranges that come to no more than the file, and one of a precompressed sibling;
///   others get the whole file.
/// * A directory without its trailing slash is redirected to the one with, a file with one to
///   the one without. A directory is answered with its index file, else with a listing.
/// * Nothing outside the root is ever opened. On Linux the kernel sees to that (`openat2`), and a
///   symbolic link is followed while it is relative and stays inside; elsewhere no symbolic link
///   is followed. Devices, FIFOs and sockets are not there.
/// * Names that begin with a dot are not there either, unless
///   [`dot_files`](Files::dot_files) says so; `/.well-known/` always is.
/// * The content goes from the file to the socket inside the kernel
///   ([`Body::file`](crate::Body::file)). A file that shrinks meanwhile ends in a reset.
///
/// # Blocking
///
/// Opening a file is done on the loop. From the cache of the system, opening, asking for the
/// length and closing take about 3 µs, and each precompressed sibling that is looked for and not
/// there 1 µs more (measured on a virtual machine of 2026). From a sleeping disk or a network file
/// system it takes as long as that takes, and every connection waits: serve such trees from a
/// process of their own. A listing asks for every entry, about 1 µs each.
///
/// # Descriptors
///
/// An answer on its way holds its file open. With as many connections as the process may have
/// descriptors, slow readers leave none to open files with, and then requests get a 503. Set
/// [`Limits::connections_max`](crate::Limits::connections_max) to less than half of what the
/// process may have; the binary does.
#[derive(Debug)]
#[must_use]
pub struct Files {
    root: Root,
    index: Vec<PathBuf>,
    lists: bool,
    spa: Option<PathBuf>,
    cache_control: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
    serves_dot_files: bool,
    finds_compressed: bool,
    kinds: media_types::Overrides,
    listings: Listings,
}

/// Fields that an answer has one of, and the file says which.
const OWN: [&str; 8] = [
    "accept-ranges",
    "allow",
    "content-encoding",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "location",
];

impl Files {
    /// The files of the directory `root`, with `index.html` as index, listings, and precompressed
    /// siblings.
    ///
    /// The directory is opened here, once: renaming it later, or putting another in its place,
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Files`] if `root` is not a directory or cannot be opened.
    pub fn new(root: impl AsRef<Path>) -> Result<Files, Error> {
        let path = root.as_ref();
        let failed = |source| Error::Files { path: path.to_owned(), source };
        Ok(Files {
            root: Root::open(path).map_err(failed)?,
            index: vec![PathBuf::from("index.html")],
            lists: true,
            spa: None,
            cache_control: None,
            fields: Vec::new(),
            serves_dot_files: false,
            finds_compressed: true,
            kinds: media_types::Overrides::new(),
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
    /// 404. A page shows at most 5,000 entries, and pages that wait for slow readers take at most
    /// about 8 MiB in all; beyond that a listing is 503.
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
    /// [`Error::Field`] if `value` is no field value.
    pub fn cache_control(mut self, value: &str) -> Result<Files, Error> {
        Response::new(StatusCode::OK).append_header("Cache-Control", value)?;
        self.cache_control = Some(value.to_owned());
        Ok(self)
    }

    /// Adds a header field to every response, whatever its status.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] if it cannot be sent, or is one that the file decides, such as `ETag`.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Files, Error> {
        if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(FieldError::Reserved { name: name.to_owned() }.into());
        }
        let mut all = self.fielded(Response::new(StatusCode::OK));
        all.append_header(name, value.as_ref())?;
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
    /// [`Error::Field`] if `kind` is no field value.
    pub fn content_type(mut self, extension: &str, kind: &str) -> Result<Files, Error> {
        Response::new(StatusCode::OK).append_header("Content-Type", kind)?;
        self.kinds.insert(extension.to_ascii_lowercase(), kind.to_owned());
        Ok(self)
    }

    /// Whether `name.br` and `name.gz` are sent in place of `name` to clients that take them, if
    /// they are no older than `name` and its type is one that compresses. Default yes. Such types
    /// always carry `Vary: Accept-Encoding`.
    pub fn precompressed(mut self, finds: bool) -> Files {
        self.finds_compressed = finds;
        self
    }

    /// Adds the fields that every response has.
    fn fielded(&self, mut response: Response) -> Response {
        for (name, value) in &self.fields {
            response = response.with_appended_header(name, value);
        }
        response
    }
}
