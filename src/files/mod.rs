//! Static files: a directory as responses, with the conditions (section 13), ranges (section 14)
//! and precompressed siblings (section 12.5.3) of RFC 9110, and with listings.
//!
//! | file | purpose |
//! |---|---|
//! | `respond` | the walk from a path to a file, an index, a listing, or a redirect |
//! | `represent` | a file as a response: its representation and the bytes that a client wants |
//! | `redirect`, `clean` | another spelling of a path; `/about` for `about.html` |
//! | `error_pages` | the program's own pages for errors |
//! | `tree`, `packed`, `source` | files in a directory or in the program, and their bytes |
//! | `ready`, `heads` | the responses with files of the program, and their heads, made once |
//! | `content` | bytes that the program has made, served like a file |
//! | `path` | a request's path to names; every other path is refused |
//! | `place` | the path of the root, which may come to mean another directory |
//! | `root`, `meta` | opening beneath the root and nowhere else; the metadata of a file |
//! | `conditions` | 304, 412, and whether a range still holds |
//! | `ranges`, `parts` | the bytes that a request wants; several ranges in one response |
//! | `encodings`, `media_types` | `Content-Encoding` and `Content-Type` |
//! | `sniff` | a media type by the first bytes, if a program asks |
//! | `entries`, `listing`, `page` | the entries of a directory, and the page that shows them |

mod clean;
mod conditions;
mod content;
mod encodings;
mod entries;
mod error_pages;
mod heads;
mod listing;
mod media_types;
mod meta;
mod mixed;
mod packed;
mod page;
mod parts;
mod path;
mod place;
mod ranges;
mod ready;
mod redirect;
mod represent;
mod respond;
mod root;
mod source;
mod tree;
mod sniff;

pub use content::Content;
pub use packed::Asset;
pub use sniff::sniff;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::{Error, FieldError};
use crate::files::listing::Listings;
use crate::files::packed::Packed;
use crate::files::place::Place;
use crate::files::ready::Ready;
use crate::files::tree::Origin;
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
/// * Only GET and HEAD are served. `OPTIONS` gets a 204 with `Allow`, whether there is a file or not,
///   which is enough for the health checks of proxies. Any other method gets a 405.
/// * The conditions `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since` and
///   `If-Range`, and `Range`, are evaluated in the order of RFC 9110, section 13.2.2. Responses have
///   `Last-Modified`, and a strong `ETag`: see [below](#entity-tags-on-several-machines).
/// * A request may have at most [`Limits::ranges_max`](crate::Limits::ranges_max) ranges that add
///   up to no more than the file, and one range of a precompressed sibling. Other requests get the
///   whole file.
/// * The path of a directory is redirected to that with a trailing slash, and the path of a file to
///   that without. The response for a directory is its index file, else a listing.
/// * Nothing outside the root is ever opened, unless the program [allows
///   it](Files::follow_links). On Linux the kernel ensures that (`openat2`), and a
///   symbolic link is followed if it is relative and stays inside. On other systems no symbolic
///   link is followed. Devices, FIFOs and sockets get a 404, and are never opened.
/// * Names that begin with a dot get a 404, too, except `/.well-known/`; see
///   [`dot_files`](Files::dot_files).
/// * Each response with a type has `X-Content-Type-Options: nosniff`, unless the program sets that
///   field.
/// * The kernel sends the content from the file to the socket ([`Body::file`](crate::Body::file)).
///   If the file shrinks meanwhile, the connection is reset.
///
/// # Entity tags on several machines
///
/// An `ETag` is made of the length of a file and the time of its last change. So servers behind a
/// balancer send the same tags if the times of their files are the same: after `rsync -a`, `cp -a`, or
/// the same archive unpacked everywhere. A checkout by git, `scp` and `rsync` without `-t` give files the
/// time at which they are written, which differs. Then set the times at the end of the deploy, to that of
/// the release: `find public -exec touch -h -d @"$(git log -1 --format=%ct)" {} +`. A later release has
/// another time, so each of its files gets a new tag.
///
/// A time up to 1 January 1980 says nothing (Nix, OSTree and other reproducible builds), and neither does
/// one in the future. Such a file has no `Last-Modified`. Its tag is also made of the inode and of the
/// time of its last change there, so it is right, but differs between machines. In the first 20 ms after
/// a change (2 s on file systems without fractions of seconds) that holds for every file.
///
/// # Blocking
///
/// Files are opened on the loop. From the cache of the system, to look at a file, open it, read its
/// length and close it takes about 5 µs, and each precompressed sibling that is looked for and
/// missing 1 µs more (measured on a virtual machine of 2026). A sleeping disk or a network file system takes
/// longer, and every connection waits: serve such directories from a process of their own. To make a
/// listing takes about 3 µs for each entry.
///
/// # Descriptors
///
/// A response that is being sent holds its file open. If connections may use all descriptors of the
/// process, slow readers can leave none for files, and then requests get a 503. Set
/// [`Limits::connections_max`](crate::Limits::connections_max) to less than half of the limit of
/// the process, as the binary does.
#[doc(alias("FileServer", "ServeFile", "ServeDir", "static files"))]
#[derive(Debug)]
#[must_use = "files do nothing until a server or a route serves them"]
pub struct Files {
    origin: Origin,
    index: Vec<PathBuf>,
    lists: bool,
    spa: Option<PathBuf>,
    cache_control: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
    serves_dot_files: bool,
    finds_compressed: bool,
    kinds: media_types::Overrides,
    listings: Listings,
    error_pages: Vec<(StatusCode, PathBuf)>,
    has_clean_urls: bool,
    /// Made with the first request, and anew if an option is set after it.
    ready: OnceLock<Ready>,
}

/// The fields whose values depend on the file.
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
    /// Opens the directory `root`, with `index.html` as index, listings, and precompressed
    /// siblings.
    ///
    /// The path may come to mean another directory later: by a symbolic link that a deploy switches,
    /// by a directory that is renamed or made anew, or by a mount. The new one is served within a
    /// second. That costs one system call in each second with a request. While the path leads to no
    /// directory, every request gets a 503 with `Retry-After`, which caches and crawlers do not take
    /// for the end of the files, as they would take a 404. When there is a directory again, the next
    /// request gets its files. A relative path is that of the working directory now. A program that
    /// changes its root (`chroot`) opens its files afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::Files`] if `root` is not a directory or cannot be opened.
    pub fn new(root: impl AsRef<Path>) -> Result<Files, Error> {
        let path = root.as_ref();
        let failed = |source| Error::Files { path: path.to_owned(), source };
        Ok(Files::at(Origin::Place(Place::open(path).map_err(failed)?)))
    }

    /// Opens a directory, as [`new`](Files::new) does, or a single file.
    ///
    /// A single file is served for `/` and for its name: that of `media/movie.mp4` for
    /// `/movie.mp4`. Every other path is a 404, so nothing beside the file is served, not even its
    /// precompressed siblings. The name may be a link to a file anywhere, since the program has named
    /// it, and it may begin with a dot. Another file that takes the place of the first is served from
    /// then on.
    ///
    /// ```no_run
    /// use wheelhouse::files::Files;
    ///
    /// let movie = Files::open("media/movie.mp4")?;
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Files`] if `path` is neither a directory nor a regular file, or cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Files, Error> {
        let path = path.as_ref();
        if !path.is_file() {
            return Files::new(path);
        }
        let failed = |source| Error::Files { path: path.to_owned(), source };
        Ok(Files::at(Origin::Place(Place::open_file(path).map_err(failed)?)).precompressed(false))
    }

    /// Serves files in the program, such as those of `include_bytes!`, exactly like files in a
    /// directory: with their types, tags, conditions, ranges and precompressed siblings, and with every
    /// option of this type. So a program with its pages is one file.
    ///
    /// A tag is made of the bytes of a file, so it is the same in each run of the same program. There is
    /// no `Last-Modified`. Directories are never listed. Nothing is copied: the bytes stay where they are
    /// in the program. To make the tags, all bytes are read once here, which takes about 1 ms for each MB.
    ///
    /// The first request makes the heads of all responses, two for each file. From then on a request
    /// allocates nothing, whether the response is the file, a sibling or a 304. Exceptions are ranges,
    /// errors, redirects, [single-page applications](Files::spa), paths with escapes, and media types
    /// that the program sets or that few files have.
    ///
    /// ```
    /// use wheelhouse::files::{Asset, Files};
    /// use wheelhouse::sim::Sim;
    ///
    /// const ASSETS: &[Asset] = &[
    ///     // Asset::new("index.html", include_bytes!("../public/index.html")),
    ///     Asset::new("index.html", b"<!doctype html><title>Hello</title>"),
    ///     Asset::new("css/site.css", b"body { color: teal }"),
    /// ];
    ///
    /// let mut sim = Sim::new(Files::packed(ASSETS.iter().copied()));
    /// let style = sim.get("/css/site.css");
    /// assert_eq!(style.header("Content-Type"), Some("text/css; charset=utf-8"));
    /// assert_eq!(style.text(), "body { color: teal }");
    /// let part = sim.request("GET", "/css/site.css").header("Range", "bytes=0-3").send();
    /// assert_eq!(part.text(), "body");
    /// ```
    ///
    /// For a whole directory, let the crate include_dir or rust-embed list its files:
    ///
    /// ```ignore
    /// static PUBLIC: include_dir::Dir = include_dir::include_dir!("public");
    ///
    /// fn assets(dir: &include_dir::Dir<'static>) -> Vec<Asset> {
    ///     let here = dir.files().map(|file| Asset::new(file.path().to_str().unwrap(), file.contents()));
    ///     here.chain(dir.dirs().flat_map(assets)).collect()
    /// }
    /// ```
    #[doc(alias("embed", "include_bytes", "rust-embed", "embed.FS"))]
    pub fn packed(assets: impl IntoIterator<Item = Asset>) -> Files {
        Files::at(Origin::Packed(Packed::new(assets)))
    }

    fn at(origin: Origin) -> Files {
        Files {
            origin,
            index: vec![PathBuf::from("index.html")],
            lists: true,
            spa: None,
            cache_control: None,
            fields: Vec::new(),
            serves_dot_files: false,
            finds_compressed: true,
            kinds: media_types::Overrides::new(),
            listings: Listings::default(),
            error_pages: Vec::new(),
            has_clean_urls: false,
            ready: OnceLock::new(),
        }
    }

    /// Sets the names of index files. The first one that exists is sent; without names there are no
    /// indexes. Default `index.html`.
    pub fn index<N: Into<PathBuf>>(mut self, names: impl IntoIterator<Item = N>) -> Files {
        self.index = names.into_iter().map(Into::into).collect();
        self.changed()
    }

    /// Sets whether the response for a directory without index is a page that lists it (default) or
    /// a 404.
    ///
    /// Names are sorted as people count: `a2` before `a10`. A small script shows the times in the zone of
    /// the reader, and a box that filters the names. Without it the page has times in UTC and no box.
    ///
    /// A page is made from the first 5,000 names of its directory. All its readers share it, and for a
    /// second it is used again, unless the directory changes meanwhile; so the sizes and times of
    /// files may be a second old. Pages count against
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max). To make one may take an eighth of
    /// it, and all pages on their way a quarter. A listing that would need more is cut, with a notice,
    /// and if other pages hold the memory, the client gets a 503 with `Retry-After`. The response to a
    /// HEAD request has no `Content-Length`, because no page is made for it.
    pub fn listing(mut self, lists: bool) -> Files {
        self.lists = lists;
        self
    }

    /// Sets the file, relative to the root, that is sent for every path without a file, for
    /// programs that draw their pages in the browser ("single-page applications"). A path whose
    /// last name has a dot stays a 404, so that a page is not sent in place of a missing script.
    /// The file is sent with `Cache-Control: no-cache`. Default none.
    pub fn spa(mut self, file: impl Into<PathBuf>) -> Files {
        self.spa = Some(file.into());
        self
    }

    /// Sets the `Cache-Control` of every file. Listings, redirects and errors do not have it.
    /// Default none: caches then guess from `Last-Modified`.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] if `value` is not a field value.
    pub fn cache_control(mut self, value: &str) -> Result<Files, Error> {
        Response::new(StatusCode::OK).append_header("Cache-Control", value)?;
        self.cache_control = Some(value.to_owned());
        Ok(self.changed())
    }

    /// Adds a header field to every response, whatever its status.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] if the field cannot be sent, or if its value depends on the file, such as
    /// that of `ETag`.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Files, Error> {
        if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(FieldError::Reserved { name: name.to_owned() }.into());
        }
        let mut all = self.fielded(Response::new(StatusCode::OK));
        all.append_header(name, value.as_ref())?;
        self.fields.push((name.to_owned(), value.as_ref().to_owned()));
        Ok(self.changed())
    }

    /// Sets whether names that begin with a dot are served and listed. Default no: many public
    /// directories have a `.git` or `.env` by mistake.
    pub fn dot_files(mut self, serves: bool) -> Files {
        self.serves_dot_files = serves;
        self.changed()
    }

    /// Sets the `Content-Type` of files with `extension` (without its dot, in any case of letters).
    /// By default it is that of `mime_guess`, with `charset=utf-8` for text. If `mime_guess` has
    /// none, the first 512 bytes decide between plain text and `application/octet-stream`.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] if `kind` is not a field value.
    pub fn content_type(mut self, extension: &str, kind: &str) -> Result<Files, Error> {
        Response::new(StatusCode::OK).append_header("Content-Type", kind)?;
        self.kinds.insert(extension.to_ascii_lowercase(), kind.to_owned());
        Ok(self.changed())
    }

    /// Sets whether `name.br`, `name.zst` and `name.gz` are sent in place of `name` to clients that
    /// accept them, if they are not older than `name` and its type is one that compresses. Default
    /// yes. Responses of such types always have `Vary: Accept-Encoding`. If the client likes several
    /// equally, they are preferred in this order. Make `.zst` with a window of at most 8 MiB (no
    /// `--long` or `--ultra`), because browsers have no more (RFC 9659). A `.svgz` is sent as
    /// `image/svg+xml` with `Content-Encoding: gzip`, whatever is set here.
    pub fn precompressed(mut self, finds: bool) -> Files {
        self.finds_compressed = finds;
        self.changed()
    }

    /// Sets whether pages have clean URLs: `/about` for `about.html`. Default no.
    ///
    /// * A file that has the name itself wins. A page wins over a directory: with `about.html` and
    ///   `about/`, `/about` is the page, and `/about/` the directory if it has an index or a listing.
    ///   Otherwise `/about/` is redirected to `/about`.
    /// * `/about.html` is redirected to `/about` (301), with its query, so that each page has one
    ///   URL. So is `/index.html` to `/`, if `index.html` is the first [index](Files::index). A path
    ///   that would then lead to another file is not redirected. Browsers keep such redirects: if you
    ///   turn clean URLs off again, those clients ask for the clean path and get a 404.
    /// * The page of a [single-page application](Files::spa) comes after these.
    #[doc(alias("cleanUrls", "try_files", "pretty URLs"))]
    pub fn clean_urls(mut self, has: bool) -> Files {
        self.has_clean_urls = has;
        self.changed()
    }

    /// Sets whether symbolic links that leave the root are followed: absolute ones, and those with
    /// too many `..`. Default no: they get a 404, and listings do not show them.
    ///
    /// With it, **everybody who can create a link in the tree can publish every file that this process
    /// may read**, such as `/etc/passwd`, private keys, or the environment of processes. That
    /// includes a program that unpacks uploads, and a checkout of another person's repository. Allow it
    /// only for a tree that nobody else writes. A directory that links to one above it has no end for
    /// clients that follow all links (`wget -r`).
    pub fn follow_links(mut self, follows: bool) -> Files {
        self.origin.set_leaves(follows);
        self
    }

    /// Forgets the responses that were made with other options.
    fn changed(mut self) -> Files {
        self.ready = OnceLock::new();
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
