//! What is in a directory, in an order, as an answer. How it looks is `page`'s.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use rustix::fs::{statat, AtFlags, Dir, FileType};

use crate::files::path::{is_possible, Names};
use crate::files::root::{Found, Meta, Missing, Root};
use crate::files::{page, Files};
use crate::message::body::{Body, Out, Produce, Produced};
use crate::message::request::Request;
use crate::message::response::Response;

/// Entries on one page; of more, these many are shown, and the page says so.
const ENTRIES_MAX: usize = 5_000;

/// Bytes of their names, of which each may be nine on the page: it has at most about 6 MiB then.
const NAMES_BYTES_MAX: usize = 512 << 10;

/// Bytes of pages on their way to slow readers, all together; above it a listing is 503. Pages
/// are the only answers here that lie in memory, so this bounds what readers of them can pin.
const PAGES_MAX: usize = 8 << 20;

/// What all listings of one tree share.
#[derive(Debug, Default)]
pub(super) struct Listings {
    /// Bytes of pages that are being sent.
    held: Arc<AtomicUsize>,
}

/// One line of a listing.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) is_directory: bool,
    pub(super) meta: Meta,
}

/// By what entries are sorted; directories come first in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) by: Column,
    pub(super) is_descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Size,
    Date,
}

/// The answer that lists `dir`, which `names` led to.
pub(super) fn answer(
    files: &Files,
    dir: &OwnedFd,
    req: &Request<'_>,
    names: &Names<'_>,
) -> Result<Response, Missing> {
    let held = &files.listings.held;
    if held.load(Ordering::Relaxed) >= PAGES_MAX {
        // Not even made.
        return Err(Missing::Exhausted);
    }
    let order = Order::of_query(req.query().unwrap_or_default());
    let (mut entries, is_cut) = read(files, dir, &names.to_path())?;
    order.sort(&mut entries);
    let page = page::render(names, &entries, order, is_cut);
    let len = page.len();
    let body = Page { text: page, sent: 0, charged: len, held: held.clone() };
    if held.fetch_add(len, Ordering::Relaxed) + len > PAGES_MAX {
        return Err(Missing::Exhausted);
    }
    Ok(Response::ok("text/html; charset=utf-8", Body::produce_exactly(len as u64, body))
        // Belt and braces: a name that got through the escaping could still run nothing.
        .with("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        .with("Cache-Control", "no-cache"))
}

/// The entries of a directory, and whether there were more than fit.
fn read(files: &Files, dir: &OwnedFd, path: &Path) -> Result<(Vec<Entry>, bool), Missing> {
    let (mut entries, mut room) = (Vec::new(), NAMES_BYTES_MAX);
    let stream = Dir::read_from(dir).map_err(Missing::from)?;
    for item in stream {
        let Ok(item) = item else { break };
        let name = item.file_name().to_bytes();
        let is_hidden = name.starts_with(b".") && !files.serves_dot_files;
        if matches!(name, b"." | b"..") || is_hidden || !is_possible(name) {
            continue;
        }
        if entries.len() == ENTRIES_MAX || name.len() > room {
            return Ok((entries, true));
        }
        if let Some(entry) = entry(&files.root, dir, path, name) {
            room -= name.len();
            entries.push(entry);
        }
    }
    Ok((entries, false))
}

/// One entry; `None` for what could not be served: devices, links that lead outside.
fn entry(root: &Root, dir: &OwnedFd, path: &Path, name: &[u8]) -> Option<Entry> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let (is_directory, meta) = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => (true, Meta::of(&stat)),
        FileType::RegularFile => (false, Meta::of(&stat)),
        // What it is when it is asked for.
        FileType::Symlink => match root.find(&path.join(OsStr::from_bytes(name))).ok()? {
            Found::File(opened) => (false, opened.meta),
            Found::Directory(fd) => (true, Meta::of(&rustix::fs::fstat(fd.as_fd()).ok()?)),
        },
        _ => return None,
    };
    Some(Entry { name: name.to_vec(), is_directory, meta })
}

impl Order {
    pub(super) const DEFAULT: Order = Order { by: Column::Name, is_descending: false };

    /// What `sort=size` or `sort=-size` asks for; anything else is by name.
    fn of_query(query: &str) -> Order {
        let value = query.split('&').find_map(|pair| pair.strip_prefix("sort="));
        let value = value.unwrap_or_default();
        let (word, is_descending) = match value.strip_prefix('-') {
            Some(word) => (word, true),
            None => (value, false),
        };
        let by = match word {
            "name" => Column::Name,
            "size" => Column::Size,
            "date" => Column::Date,
            _ => return Order::DEFAULT,
        };
        Order { by, is_descending }
    }

    fn sort(self, entries: &mut [Entry]) {
        entries.sort_by_cached_key(|entry| {
            let name = String::from_utf8_lossy(&entry.name).to_lowercase();
            (name, entry.name.clone())
        });
        // Stable: what is equal stays in the order of names, whichever way the rest goes.
        let key = |entry: &Entry| match self.by {
            Column::Name => (0, 0),
            Column::Size if entry.is_directory => (0, 0),
            Column::Size => (i128::from(entry.meta.len), 0),
            Column::Date => (i128::from(entry.meta.modified), entry.meta.nanos),
        };
        match (self.by, self.is_descending) {
            (Column::Name, true) => entries.reverse(),
            (_, true) => entries.sort_by_key(|entry| std::cmp::Reverse(key(entry))),
            (_, false) => entries.sort_by_key(key),
        }
        entries.sort_by_key(|entry| !entry.is_directory);
    }

    pub(super) fn to_query(self) -> String {
        let minus = if self.is_descending { "-" } else { "" };
        format!("?sort={minus}{}", self.by.word())
    }

    /// The order that a click on the head of `column` gives: the other way round if it is the
    /// present one, else what is mostly wanted: the largest or the newest first.
    pub(super) fn after_click(self, column: Column) -> Order {
        let is_descending = match self.by == column {
            true => !self.is_descending,
            false => column != Column::Name,
        };
        Order { by: column, is_descending }
    }
}

impl Column {
    fn word(self) -> &'static str {
        match self {
            Column::Name => "name",
            Column::Size => "size",
            Column::Date => "date",
        }
    }
}

/// A page on its way, counted while it lives.
struct Page {
    text: String,
    sent: usize,
    charged: usize,
    held: Arc<AtomicUsize>,
}

impl Produce for Page {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        self.sent += out.put(&self.text.as_bytes()[self.sent..]);
        Ok(if self.sent == self.text.len() { Produced::End } else { Produced::More })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.held.fetch_sub(self.charged, Ordering::Relaxed);
    }
}
