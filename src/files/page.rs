//! The HTML of a listing, for large screens and telephones, without scripts and without resources
//! from elsewhere.
//!
//! Every name is escaped in two ways: as a segment of a path in the link, and as text on the page.

use std::fmt::{self, Write};

use percent_encoding::{percent_encode, AsciiSet, NON_ALPHANUMERIC};

use crate::files::entries::{Column, Entry, Order};
use crate::files::path::Names;
use crate::message::html::escape_html;

/// All bytes except those that RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const STYLE: &str = include_str!("listing.css");

/// Two pictures, defined once and used by every line.
const PICTURES: &str = concat!(
    r##"<svg hidden><symbol id="d" viewBox="0 0 16 16">"##,
    r##"<path d="M1.5 3A1.5 1.5 0 0 1 3 1.5h3.3l1.6 1.8H13A1.5 1.5 0 0 1 14.5 4.8v7.7"##,
    r##"A1.5 1.5 0 0 1 13 14H3a1.5 1.5 0 0 1-1.5-1.5z"/></symbol>"##,
    r##"<symbol id="f" viewBox="0 0 16 16"><path fill="none" stroke="currentColor" "##,
    r##"stroke-width="1.2" d="M4 1.5h5.2L13 5.3V13a1.5 1.5 0 0 1-1.5 1.5H4"##,
    r##"A1.5 1.5 0 0 1 2.5 13V3A1.5 1.5 0 0 1 4 1.5zM9 2v3.5h3.5"/></symbol></svg>"##,
);

/// Returns the page for the directory that `names` lead to. `is_cut` says that it has more entries
/// than these.
pub(super) fn render(names: &Names<'_>, entries: &[Entry], order: Order, is_cut: bool) -> String {
    // An estimate that avoids growth: the length of a line without its name.
    let mut page = String::with_capacity(4096 + entries.len() * 240);
    // Writing to a `String` does not fail.
    let _ = head(&mut page, names);
    let _ = table(&mut page, names, entries, order);
    let _ = foot(&mut page, entries, is_cut);
    page
}

fn head(page: &mut String, names: &Names<'_>) -> fmt::Result {
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

fn table(page: &mut String, names: &Names<'_>, entries: &[Entry], order: Order) -> fmt::Result {
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
    // The links to other directories keep the chosen order.
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

fn row(page: &mut String, entry: &Entry, query: &str) -> fmt::Result {
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
        // The page shows day and minute of `Sun, 06 Nov 1994 08:49:37 GMT`; the tool tip has all of
        // it.
        Some(date) => writeln!(page, "<td title=\"{date}\">{}</td></tr>", &date[5..22]),
        None => writeln!(page, "<td></td></tr>"),
    }
}

fn foot(page: &mut String, entries: &[Entry], is_cut: bool) -> fmt::Result {
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
        write!(page, " There is more: only {} entries are shown.", entries.len())?;
    }
    page.push_str("</footer>\n</main>\n</body>\n</html>\n");
    Ok(())
}

/// Formats a size for people: three digits and a unit of 1024.
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

/// Formats a name as text of the page: escaped, with a replacement for every byte that is not UTF-8
/// and every character that is not visible.
fn text(name: &[u8]) -> String {
    let shown = |char: char| match char {
        // Control characters, and marks that reverse the direction of writing: with one, a program
        // can look like a text file.
        char if char.is_control() => '\u{fffd}',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        char => char,
    };
    let name: String = String::from_utf8_lossy(name).chars().map(shown).collect();
    escape_html(&name).into_owned()
}
