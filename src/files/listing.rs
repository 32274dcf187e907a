//! The page for a directory: what is there, how large, since when. Made for a person, on a large
//! screen or a telephone, without a script and without anything from elsewhere.
//!
//! Every name is escaped twice over: as a segment of a path in the link, as text on the page.

use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use percent_encoding::{percent_encode, AsciiSet, NON_ALPHANUMERIC};
use rustix::fs::{statat, AtFlags, Dir, FileType};

use crate::files::path::Names;
use crate::files::root::{Found, Meta, Missing, Root};
use crate::request::Request;
use crate::response::{Body, Out, Produce, Produced, Response};

/// Entries on one page; of more, these many are shown, and the page says so.
const ENTRIES_MAX: usize = 5_000;

/// Bytes of pages on their way to slow readers, all together; above it a listing is 503. Pages
/// are the only answers here that lie in memory, so this bounds what readers of them can pin.
const PAGES_MAX: usize = 8 << 20;

/// Everything but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What all listings of one tree share.
#[derive(Debug, Default)]
pub(super) struct Listings {
    /// Bytes of pages that are being sent.
    held: Arc<AtomicUsize>,
}

/// One line of a listing.
#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    is_directory: bool,
    meta: Meta,
}

/// By what entries are sorted; directories come first in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    by: Column,
    is_descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Name,
    Size,
    Date,
}

/// The answer that lists `dir`, which `names` led to.
pub(super) fn page(
    listings: &Listings,
    root: &Root,
    dir: &OwnedFd,
    req: &Request<'_>,
    names: &Names<'_>,
    shows_dot_files: bool,
) -> Result<Response, Missing> {
    if listings.held.load(Ordering::Relaxed) >= PAGES_MAX {
        return Err(Missing::Exhausted);
    }
    let order = Order::of_query(req.query().unwrap_or_default());
    let (mut entries, is_cut) = read(root, dir, &names.to_path(), shows_dot_files)?;
    order.sort(&mut entries);
    let page = render(names, &entries, order, is_cut);
    let len = page.len();
    listings.held.fetch_add(len, Ordering::Relaxed);
    let body = Page { text: page, sent: 0, charged: len, held: listings.held.clone() };
    Ok(Response::ok("text/html; charset=utf-8", Body::produce_exactly(len as u64, body))
        // Belt and braces: a name that got through the escaping could still run nothing.
        .with("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        .with("Cache-Control", "no-cache"))
}

/// The entries of a directory, and whether there were more than fit.
fn read(
    root: &Root,
    dir: &OwnedFd,
    path: &Path,
    shows_dot_files: bool,
) -> Result<(Vec<Entry>, bool), Missing> {
    let mut entries = Vec::new();
    let stream = Dir::read_from(dir).map_err(Missing::from)?;
    for item in stream {
        let Ok(item) = item else { break };
        let name = item.file_name().to_bytes();
        if matches!(name, b"." | b"..") || (name.starts_with(b".") && !shows_dot_files) {
            continue;
        }
        if entries.len() == ENTRIES_MAX {
            return Ok((entries, true));
        }
        entries.extend(entry(root, dir, path, name));
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
        FileType::Symlink => match root.find(&path.join(std::ffi::OsStr::from_bytes(name))).ok()? {
            Found::File(opened) => (false, opened.meta),
            Found::Directory(fd) => (true, Meta::of(&rustix::fs::fstat(fd.as_fd()).ok()?)),
        },
        _ => return None,
    };
    Some(Entry { name: name.to_vec(), is_directory, meta })
}

impl Order {
    const DEFAULT: Order = Order { by: Column::Name, is_descending: false };

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

    fn to_query(self) -> String {
        let minus = if self.is_descending { "-" } else { "" };
        format!("?sort={minus}{}", self.by.word())
    }

    /// The order that a click on the head of `column` gives: the other way round if it is the
    /// present one, else what is mostly wanted: the largest or the newest first.
    fn after_click(self, column: Column) -> Order {
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

const STYLE: &str = include_str!("listing.css");

/// Two pictures, drawn once and used by every line.
const PICTURES: &str = r##"<svg hidden><symbol id="d" viewBox="0 0 16 16"><path d="M1.5 3A1.5 1.5 0 0 1 3 1.5h3.3l1.6 1.8H13A1.5 1.5 0 0 1 14.5 4.800v7.700A1.5 1.5 0 0 1 13 14H3a1.500 1.500 0 0 1-1.500-1.500z"/></symbol><symbol id="f" viewBox="0 0 16 16"><path d="M4 1.500h5.200L13 5.300V13a1.500 1.500 0 0 1-1.500 1.500H4A1.500 1.500 0 0 1 2.500 13V3A1.500 1.500 0 0 1 4 1.500zM9 2v3.500h3.500" fill="none" stroke="currentColor" stroke-width="1.200"/></symbol></svg>"##;

fn render(names: &Names<'_>, entries: &[Entry], order: Order, is_cut: bool) -> String {
    // A guess that saves growing: a line is about this long without its name.
    let mut page = String::with_capacity(4096 + entries.len() * 240);
    // Writing to a `String` does not fail.
    let _ = head(&mut page, names);
    let _ = table(&mut page, names, entries, order);
    let _ = foot(&mut page, entries, is_cut);
    page
}

fn head(page: &mut String, names: &Names<'_>) -> std::fmt::Result {
    let title: Vec<_> = names.segments.iter().map(|name| text(name)).collect();
    let title = title.join("/");
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>/{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{PICTURES}\n<main>\n\
         <h1>"
    )?;
    let depth = names.segments.len();
    match depth {
        0 => page.push_str("<span>Files</span> <i>/</i>"),
        _ => write!(page, "<a href=\"{}\">Files</a> <i>/</i>", "../".repeat(depth))?,
    }
    for (at, name) in names.segments.iter().enumerate() {
        let above = depth - 1 - at;
        match above {
            0 => write!(page, " <span>{}</span> <i>/</i>", text(name))?,
            _ => write!(page, " <a href=\"{}\">{}</a> <i>/</i>", "../".repeat(above), text(name))?,
        }
    }
    page.push_str("</h1>\n");
    Ok(())
}

fn table(
    page: &mut String,
    names: &Names<'_>,
    entries: &[Entry],
    order: Order,
) -> std::fmt::Result {
    page.push_str("<table>\n<thead><tr>");
    for (column, heading) in
        [(Column::Name, "Name"), (Column::Size, "Size"), (Column::Date, "Modified")]
    {
        let (sorted, arrow) = match (order.by == column, order.is_descending) {
            (false, _) => ("", ""),
            (true, false) => (" aria-sort=\"ascending\"", " \u{2191}"),
            (true, true) => (" aria-sort=\"descending\"", " \u{2193}"),
        };
        let query = order.after_click(column).to_query();
        write!(page, "<th{sorted}><a href=\"{query}\">{heading}{arrow}</a></th>")?;
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    // A chosen order goes along into other directories.
    let query = if order == Order::DEFAULT { String::new() } else { order.to_query() };
    if !names.segments.is_empty() {
        writeln!(
            page,
            "<tr><td><a href=\"../{query}\"><svg><use href=\"#d\"/></svg>\
             <span>.. <i>parent directory</i></span></a></td><td></td><td></td></tr>"
        )?;
    }
    for entry in entries {
        row(page, entry, &query)?;
    }
    page.push_str("</tbody>\n</table>\n");
    Ok(())
}

fn row(page: &mut String, entry: &Entry, query: &str) -> std::fmt::Result {
    let link = percent_encode(&entry.name, ESCAPED);
    let shown = text(&entry.name);
    match entry.is_directory {
        true => write!(
            page,
            "<tr><td><a href=\"./{link}/{query}\"><svg><use href=\"#d\"/></svg>\
             <span>{shown}/</span></a></td><td></td>"
        )?,
        false => write!(
            page,
            "<tr><td><a href=\"./{link}\"><svg><use href=\"#f\"/></svg>\
             <span>{shown}</span></a></td><td title=\"{} bytes\">{}</td>",
            entry.meta.len,
            size(entry.meta.len)
        )?,
    }
    match entry.meta.last_modified().map(httpdate::fmt_http_date) {
        // `Sun, 06 Nov 1994 08:49:37 GMT`: the day and the minute are enough, the rest is in the
        // tool tip.
        Some(date) => writeln!(page, "<td title=\"{date}\">{}</td></tr>", &date[5..22]),
        None => writeln!(page, "<td></td></tr>"),
    }
}

fn foot(page: &mut String, entries: &[Entry], is_cut: bool) -> std::fmt::Result {
    let directories = entries.iter().filter(|entry| entry.is_directory).count();
    let files = entries.len() - directories;
    let total: u64 = entries
        .iter()
        .filter(|entry| !entry.is_directory)
        .fold(0, |sum: u64, entry| sum.saturating_add(entry.meta.len));
    page.push_str("<footer>");
    if entries.is_empty() {
        page.push_str("Nothing here.");
    } else {
        let plural =
            |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        let counts = [
            (directories, plural(directories, "directory", "directories")),
            (files, plural(files, "file", "files")),
        ];
        let counts: Vec<_> =
            counts.into_iter().filter(|(n, _)| *n > 0).map(|(_, words)| words).collect();
        page.push_str(&counts.join(", "));
        if files > 0 {
            write!(page, ", {}", size(total))?;
        }
        page.push_str(". Times are UTC.");
    }
    if is_cut {
        write!(page, " There is more: only {ENTRIES_MAX} entries are shown.")?;
    }
    page.push_str("</footer>\n</main>\n</body>\n</html>\n");
    Ok(())
}

/// A size as people say it: three digits and a unit of 1024.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 999.5 would be shown as four digits.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match value {
        value if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        value => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A name as text of the page: escaped, what is no UTF-8 or no visible character replaced.
fn text(name: &[u8]) -> String {
    let mut escaped = String::with_capacity(name.len());
    for char in String::from_utf8_lossy(name).chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Controls, and the marks that turn the direction of a line: `exe.txt` is not a text.
            char if char.is_control() => escaped.push('\u{fffd}'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            char => escaped.push(char),
        }
    }
    escaped
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
