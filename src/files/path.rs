//! The path of a request as names under the root (RFC 3986, sections 2.1 and 3.3).
//!
//! The escapes that [`Request::path`](crate::Request::path) keeps are decoded here, and names are
//! checked after that. A percent sign stays escaped until then, so nothing is decoded twice and a
//! second encoding cannot hide a name. The file system is not asked here: accepted names still have
//! to be opened beneath the root by [`root`](super::root), which trusts none of them.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use percent_encoding::percent_decode_str;

use crate::message::percent::has_broken_escape;

/// The names of a path, decoded.
///
/// Invariant: no name is empty, `.` or `..`, and none has a NUL or a slash. The path made of them is
/// relative, and that of the root is `.`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names<'a> {
    pub(super) segments: Vec<Cow<'a, [u8]>>,
    /// Whether the path ends in a slash, so that it names a directory.
    pub(super) is_directory: bool,
}

/// The reason why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadPath {
    /// A path that no client should send: with a broken escape or a dot segment. 400.
    Malformed,
    /// A name that no file can have: with a NUL or a slash. 404.
    Impossible,
}

impl<'a> Names<'a> {
    /// Splits a path in which escapes may be left, without its query. The leading slash may be
    /// missing, so that a prefix can be cut off with or without it. Empty segments (`//`) are
    /// ignored.
    pub(super) fn parse(path: &'a str) -> Result<Names<'a>, BadPath> {
        let mut segments = Vec::new();
        for raw in path.split('/').filter(|raw| !raw.is_empty()) {
            if has_broken_escape(raw.as_bytes()) {
                return Err(BadPath::Malformed);
            }
            let segment = Cow::from(percent_decode_str(raw));
            if tries_to_climb(&segment) {
                return Err(BadPath::Malformed);
            }
            if segment.iter().any(|byte| matches!(byte, 0 | b'/')) {
                return Err(BadPath::Impossible);
            }
            segments.push(segment);
        }
        Ok(Names { segments, is_directory: path.ends_with('/') })
    }

    /// Returns the relative path of the names.
    pub(super) fn to_path(&self) -> Cow<'_, Path> {
        match self.segments.as_slice() {
            [] => Cow::Borrowed(Path::new(".")),
            [name] => Cow::Borrowed(Path::new(OsStr::from_bytes(name))),
            names => Cow::Owned(names.iter().map(|name| OsStr::from_bytes(name)).collect()),
        }
    }

    /// Returns whether one of the names begins with a dot. `/.well-known/` is public by its purpose
    /// (RFC 8615) and does not count.
    pub(super) fn is_hidden(&self) -> bool {
        let is_hidden = |(at, name): (usize, &Cow<'_, [u8]>)| {
            name.first() == Some(&b'.') && !(at == 0 && **name == *b".well-known")
        };
        self.segments.iter().enumerate().any(is_hidden)
    }

    /// Returns the last name, which is empty for the root.
    pub(super) fn last(&self) -> &[u8] {
        self.segments.last().map_or(&[], |name| name)
    }
}

/// Returns whether a request can name a file that is called so.
pub(super) fn is_possible(name: &[u8]) -> bool {
    !tries_to_climb(name)
}

/// Returns whether a name is `.` or `..`, or would be one after a separator of any system: `..\` and
/// `..%2f` are attempts to leave the root. Other names with a backslash are names like any other.
fn tries_to_climb(segment: &[u8]) -> bool {
    let mut parts = segment.split(|&byte| byte == b'/' || byte == b'\\');
    parts.any(|part| matches!(part, b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Result<String, BadPath> {
        Names::parse(raw).map(|names| names.to_path().to_string_lossy().into_owned())
    }

    #[test]
    fn names_are_decoded_once_and_empty_ones_are_ignored() {
        assert_eq!(path("/"), Ok(".".into()));
        assert_eq!(path(""), Ok(".".into()));
        assert_eq!(path("/a%20b//c%2541/"), Ok("a b/c%41".into()));
        assert_eq!(path("a/b..c/...d"), Ok("a/b..c/...d".into()));
        assert!(Names::parse("/a/").unwrap().is_directory);
        assert!(!Names::parse("/a").unwrap().is_directory);
    }

    #[test]
    fn paths_that_climb_or_are_broken_are_malformed_and_invalid_file_names_are_impossible() {
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
        for raw in ["/a%00", "/a%2fb", "/%00"] {
            assert_eq!(path(raw), Err(BadPath::Impossible), "{raw}");
        }
        for (raw, name) in
            [("/a%5cb", "a\\b"), ("/a\\b", "a\\b"), ("/%5C", "\\"), ("/a..%5Cb", "a..\\b")]
        {
            assert_eq!(path(raw).as_deref(), Ok(name), "{raw}");
        }
    }

    #[test]
    fn names_that_begin_with_a_dot_are_hidden_except_well_known() {
        let hidden = |raw| Names::parse(raw).unwrap().is_hidden();
        assert!(hidden("/.git/config") && hidden("/a/.env") && hidden("/a/.well-known/x"));
        assert!(hidden("/%2ehidden") && hidden("/.well-known/.x"));
        assert!(!hidden("/.well-known/acme-challenge/x") && !hidden("/a.b"));
    }
}
