//! From the path of a request target to names under the root (RFC 3986, sections 2.1 and 3.3).
//!
//! Here the escapes are decoded that [`Request::path`](crate::Request::path) keeps, and names are
//! refused after that. A percent sign stays escaped until then, so nothing is decoded twice and no
//! second encoding can hide anything. This file knows nothing of the file system: what it lets through
//! still has to be opened beneath the root by [`root`](super::root), which trusts none of it.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use percent_encoding::percent_decode_str;

use crate::message::percent::has_broken_escape;

/// The names that a path goes through, decoded.
///
/// Invariant: no segment is empty, `.` or `..`; none has a NUL, a slash or a backslash. The path
/// made of them is relative, and that of the root is `.`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names<'a> {
    pub(super) segments: Vec<Cow<'a, [u8]>>,
    /// The path ended in a slash: it names a directory.
    pub(super) is_directory: bool,
}

/// Why a path names nothing that may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadPath {
    /// Not a path that a client should send: a broken escape, a dot segment. 400.
    Malformed,
    /// No file here can have such a name: NUL, slash, backslash. 404.
    Impossible,
}

impl<'a> Names<'a> {
    /// Takes apart a path in which escapes may be left, without its query. A missing leading slash
    /// is as good as one, so that a prefix may be cut off with or without it; empty segments
    /// (`//`) count for nothing.
    pub(super) fn parse(path: &'a str) -> Result<Names<'a>, BadPath> {
        let mut segments = Vec::new();
        for raw in path.split('/').filter(|raw| !raw.is_empty()) {
            if has_broken_escape(raw.as_bytes()) {
                return Err(BadPath::Malformed);
            }
            let segment = Cow::from(percent_decode_str(raw));
            if !is_possible(&segment) {
                // `..\` and `..%2f` are attempts, not names.
                let tries_to_climb = segment.split(|&b| b == b'/' || b == b'\\').any(is_dots);
                return Err(match tries_to_climb {
                    true => BadPath::Malformed,
                    false => BadPath::Impossible,
                });
            }
            if is_dots(&segment) {
                return Err(BadPath::Malformed);
            }
            segments.push(segment);
        }
        Ok(Names { segments, is_directory: path.ends_with('/') })
    }

    /// The relative path that they name.
    pub(super) fn to_path(&self) -> Cow<'_, Path> {
        match self.segments.as_slice() {
            [] => Cow::Borrowed(Path::new(".")),
            [name] => Cow::Borrowed(Path::new(OsStr::from_bytes(name))),
            names => Cow::Owned(names.iter().map(|name| OsStr::from_bytes(name)).collect()),
        }
    }

    /// Whether one of them begins with a dot. `/.well-known/` is there to be found (RFC 8615)
    /// and does not count.
    pub(super) fn is_hidden(&self) -> bool {
        let is_hidden = |(at, name): (usize, &Cow<'_, [u8]>)| {
            name.first() == Some(&b'.') && !(at == 0 && **name == *b".well-known")
        };
        self.segments.iter().enumerate().any(is_hidden)
    }

    /// The last name; empty for the root.
    pub(super) fn last(&self) -> &[u8] {
        self.segments.last().map_or(&[], |name| name)
    }
}

/// Whether a name can be asked for: some systems take a backslash for a slash.
pub(super) fn is_possible(name: &[u8]) -> bool {
    !name.iter().any(|byte| matches!(byte, 0 | b'/' | b'\\'))
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Result<String, BadPath> {
        Names::parse(raw).map(|names| names.to_path().to_string_lossy().into_owned())
    }

    #[test]
    fn names_are_decoded_once_and_empty_ones_count_for_nothing() {
        assert_eq!(path("/"), Ok(".".into()));
        assert_eq!(path(""), Ok(".".into()));
        assert_eq!(path("/a%20b//c%2541/"), Ok("a b/c%41".into()));
        assert_eq!(path("a/b..c/...d"), Ok("a/b..c/...d".into()));
        assert!(Names::parse("/a/").unwrap().is_directory);
        assert!(!Names::parse("/a").unwrap().is_directory);
    }

    #[test]
    fn what_climbs_or_is_broken_is_malformed_and_what_no_file_is_called_is_impossible() {
        for raw in [
            "/..",
            "/a/../b",
            "/%2e%2E/x",
            "/.%2e",
            "/./a",
            "/..%2fx",
            "/..%5cx",
            "/%",
            "/%g0",
            "/a%4",
        ] {
            assert_eq!(path(raw), Err(BadPath::Malformed), "{raw}");
        }
        for raw in ["/a%00", "/a%2fb", "/a%5cb", "/a\\b", "/%00"] {
            assert_eq!(path(raw), Err(BadPath::Impossible), "{raw}");
        }
    }

    #[test]
    fn a_dot_at_the_beginning_hides_everywhere_but_in_well_known() {
        let hidden = |raw| Names::parse(raw).unwrap().is_hidden();
        assert!(hidden("/.git/config") && hidden("/a/.env") && hidden("/a/.well-known/x"));
        assert!(hidden("/%2ehidden") && hidden("/.well-known/.x"));
        assert!(!hidden("/.well-known/acme-challenge/x") && !hidden("/a.b"));
    }
}
