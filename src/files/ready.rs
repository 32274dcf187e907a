//! [`Ready`]: the responses with files of the program, made once, so that a request allocates nothing.
//!
//! They serve plain requests: `GET` or `HEAD` of a path as it is usually written, with conditions that
//! hold or end in a 304. Every other request takes the way of files on disk ([`respond`](super::respond)),
//! and gets the same response for the same file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str;
use std::time::Duration;

use crate::files::encodings::{self, Encoding, KNOWN};
use crate::files::heads::Heads;
use crate::files::packed::{Entry, Packed};
use crate::files::path::Names;
use crate::files::represent::{Described, Representation};
use crate::files::tree::Origin;
use crate::files::Files;
use crate::message::body::Body;
use crate::message::fields::Fields;
use crate::message::request::{Method, Request};
use crate::message::response::Response;

/// The pages by their paths, without the first slash.
#[derive(Debug)]
pub(super) struct Ready(BTreeMap<&'static [u8], Page>);

/// A file, and its precompressed siblings with their codings.
#[derive(Debug)]
struct Page {
    file: Choice,
    siblings: Vec<(&'static str, Choice)>,
}

/// A representation with the heads of its responses.
#[derive(Debug)]
struct Choice {
    bytes: &'static [u8],
    heads: Heads,
}

impl Files {
    /// Returns the response to a plain request for a file of the program.
    pub(super) fn ready_response(&self, req: &Request<'_>, path: &str) -> Option<Response> {
        let Origin::Packed(packed) = &self.origin else { return None };
        if !matches!(*req.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let ready = self.ready.get_or_init(|| Ready::new(self, packed));
        let fields = req.headers();
        let choice = ready.find(path)?.choose(&fields);
        choice.heads.respond(&fields, || Body::from(choice.bytes))
    }

    /// Whether a path of the program is served, and requests for it spell it in the same way. A path of
    /// a directory ends with a slash.
    fn is_plain(&self, path: &[u8]) -> bool {
        let Ok(path) = str::from_utf8(path) else { return false };
        let Ok(names) = Names::parse(path) else { return false };
        let is_spelt_so = |name: &str| !name.is_empty() && !name.contains('%');
        let mut parts = path.strip_suffix('/').unwrap_or(path).split('/');
        (path.is_empty() || parts.all(is_spelt_so)) && (self.serves_dot_files || !names.is_hidden())
    }
}

impl Ready {
    fn new(files: &Files, packed: &Packed) -> Ready {
        let mut pages = BTreeMap::new();
        for entry in packed.entries().iter().filter(|entry| files.is_plain(entry.path)) {
            // The clean path of a page is another one.
            let is_clean = !files.has_clean_urls || !entry.path.ends_with(b".html");
            if is_clean && !entry.path.ends_with(b"/") {
                pages.insert(entry.path, Page::new(files, packed, entry));
            }
        }
        // A directory has the first index that exists.
        let indexes = files.index.iter().map(|index| index.as_os_str().as_bytes());
        for index in indexes.take_while(|index| files.is_plain(index)) {
            for entry in packed.entries() {
                let dir = entry
                    .path
                    .strip_suffix(index)
                    .filter(|dir| (dir.is_empty() || dir.ends_with(b"/")) && files.is_plain(dir));
                if let Some(dir) = dir {
                    pages.entry(dir).or_insert_with(|| Page::new(files, packed, entry));
                }
            }
        }
        Ready(pages)
    }

    /// Returns the page of a path of a request.
    fn find(&self, path: &str) -> Option<&Page> {
        // An empty path is the rest of one that the program has cut, whose end is not known here.
        let path = Some(path).filter(|path| !path.is_empty())?;
        self.0.get(path.strip_prefix('/').unwrap_or(path).as_bytes())
    }
}

impl Page {
    fn new(files: &Files, packed: &Packed, entry: &Entry) -> Page {
        let path = Path::new(OsStr::from_bytes(entry.path));
        let described = files.describe(path, &entry.open().source);
        let sibling = |coding: &Encoding| {
            let path = [entry.path, coding.suffix.as_bytes()].concat();
            let described = Described { encoding: Some(coding.name), ..described.clone() };
            Some((coding.name, Choice::new(files, packed.entry(&path)?, described)))
        };
        let siblings = KNOWN.iter().filter(|_| described.varies).filter_map(sibling).collect();
        Page { siblings, file: Choice::new(files, entry, described.clone()) }
    }

    /// Returns the representation that the client likes most.
    fn choose(&self, fields: &Fields<'_>) -> &Choice {
        if self.siblings.is_empty() {
            return &self.file;
        }
        let of = |wanted| self.siblings.iter().find(|(coding, _)| *coding == wanted);
        let sibling = encodings::accepted(fields).find_map(|coding| of(coding.name));
        sibling.map_or(&self.file, |(_, sibling)| sibling)
    }
}

impl Choice {
    fn new(files: &Files, entry: &Entry, described: Described) -> Choice {
        let cache_control = files.cache_control.as_deref();
        // Bytes of the program have no time, so none is compared with the present one.
        let chosen = Representation::new(entry.open(), described, cache_control, Duration::ZERO);
        let heads = Heads::of(chosen, |response| files.finished(response));
        Choice { bytes: entry.bytes, heads }
    }
}
