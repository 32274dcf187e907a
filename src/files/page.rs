//! The HTML of a listing, for large screens and telephones, without resources from elsewhere. One
//! small script shows local times and filters names. The page works without it, and its text is the
//! same for every client.
//!
//! Every name is escaped in two ways: as a segment of a path in the link, and as text on the page.

use std::fmt::{self, Write};

use percent_encoding::{percent_encode, AsciiSet, NON_ALPHANUMERIC};

use crate::files::entries::{Column, Entries, Entry, Order};
use crate::files::path::Names;
use crate::message::html::escape_html;

/// All bytes except those that RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const STYLE: &str = include_str!("listing.css");

const SCRIPT: &str = include_str!("listing.js");

/// The value of `Content-Security-Policy`: a second defence. A name that got through the escaping
/// could still not run a script, because only [`SCRIPT`] has this hash.
pub(super) const POLICY: &str = concat!(
    "default-src 'none'; style-src 'unsafe-inline'; ",
    "script-src 'sha256-PxqTK3pqoSRgdjc5IQjohRQlEf9orq9LjAbLHh1x/5o='; base-uri 'none'; form-action 'none'"
);

/// Two pictures, defined once and used by every line.
const PICTURES: &str = concat!(
    r##"<svg hidden><symbol id="d" viewBox="0 0 16 16">"##,
    r##"<path d="M1.5 3A1.5 1.5 0 0 1 3 1.5h3.3l1.6 1.8H13A1.5 1.5 0 0 1 14.5 4.8v7.7"##,
    r##"A1.5 1.5 0 0 1 13 14H3a1.5 1.5 0 0 1-1.5-1.5z"/></symbol>"##,
    r##"<symbol id="f" viewBox="0 0 16 16"><path fill="none" stroke="currentColor" "##,
    r##"stroke-width="1.2" d="M4 1.5h5.2L13 5.3V13a1.5 1.5 0 0 1-1.5 1.5H4"##,
    r##"A1.5 1.5 0 0 1 2.5 13V3A1.5 1.5 0 0 1 4 1.5zM9 2v3.5h3.5"/></symbol></svg>"##,
);

/// Returns the most bytes that a page takes beside the lines of its entries.
pub(super) fn frame_max(names: &Names<'_>) -> usize {
    /// Everything that does not depend on the names: tags, and the words of the last line.
    const FIXED: usize = 2_304;
    let depth = names.segments.len();
    // Each name stands in the title and in the heading, with a link that climbs from the last one.
    let of_names: usize = names.segments.iter().map(|name| 2 * text_max(name) + 64).sum();
    FIXED
        + STYLE.len()
        + SCRIPT.len()
        + PICTURES.len()
        + of_names
        + "../".len() * depth * (depth + 1) / 2
}

/// Returns the most bytes that the line of an entry with this name takes on a page.
pub(super) fn row_max(name: &[u8]) -> usize {
    /// The longest line of an entry whose name is empty.
    const FIXED: usize = 224;
    let is_kept = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let kept = name.iter().filter(is_kept).count();
    FIXED + kept + 3 * (name.len() - kept) + text_max(name)
}

/// Returns the most bytes that `name` takes as text of the page.
fn text_max(name: &[u8]) -> usize {
    let len = |&byte: &u8| match byte {
        b'"' => "&quot;".len(),
        b'&' | b'\'' => "&amp;".len(),
        b'<' | b'>' => "&lt;".len(),
        b' '..=b'~' => 1,
        // A control character, or a part of a character that may be replaced.
        _ => "\u{fffd}".len(),
    };
    name.iter().map(len).sum()
}

/// Returns the page for the directory that `names` lead to, which takes at most `len_max` bytes.
pub(super) fn render(names: &Names<'_>, entries: &Entries, order: Order, len_max: usize) -> String {
    let mut page = String::with_capacity(len_max);
    // Writing to a `String` does not fail.
    let _ = head(&mut page, names);
    let _ = table(&mut page, names, &entries.list, order);
    let _ = foot(&mut page, entries);
    debug_assert!(page.len() <= len_max, "{} of {len_max} bytes", page.len());
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
    page.push_str(
        "</h1>\n<input hidden type=\"search\" placeholder=\"Filter\" aria-label=\"Filter names\">\n",
    );
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
    match entry.meta.last_modified() {
        Some(time) => {
            let date = httpdate::fmt_http_date(time);
            let (iso, shown) = (iso_date(&date), &date[5..22]);
            writeln!(page, "<td><time datetime=\"{iso}\">{shown}</time></td></tr>")
        }
        None => writeln!(page, "<td></td></tr>"),
    }
}

/// Returns `1994-11-06T08:49:37Z` for `Sun, 06 Nov 1994 08:49:37 GMT`.
fn iso_date(date: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(&date[8..11]).map_or(0, |at| at / 3 + 1);
    format!("{}-{month:02}-{}T{}Z", &date[12..16], &date[5..7], &date[17..25])
}

fn foot(page: &mut String, Entries { list: entries, is_cut }: &Entries) -> fmt::Result {
    let directories = entries.iter().filter(|entry| entry.is_directory).count();
    let files = entries.len() - directories;
    let total: u64 = entries
        .iter()
        .filter(|entry| !entry.is_directory)
        .fold(0, |sum: u64, entry| sum.saturating_add(entry.meta.len));
    page.push_str("<footer>");
    if entries.is_empty() && !is_cut {
        page.push_str("Nothing here.");
    } else if !entries.is_empty() {
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
        page.push_str(".<span id=\"zone\"> Times are UTC.</span>");
    }
    if *is_cut {
        // The names that were not read may be some that are not shown.
        write!(page, " There may be more: only {} entries are shown.", entries.len())?;
    }
    write!(page, "</footer>\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::meta::Meta;

    /// The size of a page is known before it is made, so that there is memory for it.
    #[test]
    fn no_page_is_longer_than_was_said_before() {
        let meta = |len, modified| Meta { len, modified, nanos: 0, device: 0, inode: 0 };
        let long = [b'"'; 255];
        let names: [&[u8]; 8] =
            [b"a", b"", &long, &[0xff; 255], &[1; 99], "\u{202e}\u{e4}".as_bytes(), b"<&>'", b" ~"];
        for order in ["", "sort=-size", "sort=date"].map(Order::of_query) {
            for name in names {
                for is_directory in [true, false] {
                    let meta = meta(u64::MAX, 253_402_300_799);
                    let entry = Entry::new(name, is_directory, meta);
                    let mut line = String::new();
                    row(&mut line, &entry, &order.to_query()).unwrap();
                    assert!(line.len() <= row_max(name), "{} of {}", line.len(), row_max(name));
                }
            }
            for path in ["", "a/b", "%22%22/%FF%01", &"x/".repeat(200), &"%22".repeat(255)] {
                let names = Names::parse(path).unwrap();
                let list = vec![Entry::new(b"x", false, meta(u64::MAX, 0)); 2];
                for entries in [Entries { list, is_cut: true }, Entries::default()] {
                    let rows: usize = entries.list.iter().map(|it| row_max(&it.name)).sum();
                    render(&names, &entries, order, frame_max(&names) + rows);
                }
            }
        }
    }
}
