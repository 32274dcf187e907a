//! Clean paths, and the segments of paths.
//!
//! A path is *clean* if it begins with a slash and has neither empty nor dot segments. Only clean
//! paths match patterns. The paths here are decoded already, so two that mean the same are equal
//! ([`percent`](crate::message::percent)).

use crate::message::percent::decode_path;

/// Whether `path` is clean. A final slash is clean.
pub(super) fn is_clean(path: &[u8]) -> bool {
    let Some((b'/', rest)) = path.split_first() else { return false };
    // If no segment begins with a dot, two slashes in a row are the only fault.
    let is_odd =
        |(before, byte): (&u8, &u8)| (*before == b'/') & ((*byte == b'/') | (*byte == b'.'));
    let has_odd = path.iter().zip(rest).fold(false, |found, pair| found | is_odd(pair));
    !has_odd || has_clean_segments(rest)
}

fn has_clean_segments(rest: &[u8]) -> bool {
    let mut segments = rest.split(|&byte| byte == b'/').rev();
    // Only the last segment may be empty.
    !matches!(segments.next(), Some(b"." | b".."))
        && segments.all(|segment| !matches!(segment, b"" | b"." | b".."))
}

/// Appends the form that the segment with these bytes has in the path of a request.
pub(super) fn push_segment(segment: &[u8], path: &mut Vec<u8>) {
    let escaped: String = segment.iter().map(|byte| format!("%{byte:02X}")).collect();
    let mut text = String::new();
    decode_path(escaped.as_bytes(), &mut text);
    path.extend_from_slice(text.as_bytes());
}

/// Splits off the segment that `rest` begins with, if a wildcard matches it: it is neither empty
/// nor a dot segment.
pub(super) fn split_name(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = rest.iter().position(|&byte| byte == b'/');
    let (segment, after) = rest.split_at(end.unwrap_or(rest.len()));
    (!matches!(segment, b"" | b"." | b"..")).then_some((segment, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::path::clean;

    /// Go: t194.
    #[test]
    fn a_path_is_cleaned_and_keeps_its_final_slash() {
        let table = [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("a", "/a"),
            ("/a/./b", "/a/b"),
            ("/a//b/", "/a/b/"),
            ("/a/../b", "/b"),
            ("/../../f", "/f"),
            ("///f", "/f"),
            ("/a/..", "/"),
            ("/a/.", "/a"),
            ("/a/b/../", "/a/"),
            ("/..a/.b/c.", "/..a/.b/c."),
            ("/%2e%2e/a", "/%2e%2e/a"),
            ("/a%2F/../b", "/b"),
            ("/...", "/..."),
        ];
        for (path, expected) in table {
            assert_eq!(clean(path), expected, "{path}");
            assert!(is_clean(clean(path).as_bytes()), "{path}");
            assert_eq!(is_clean(path.as_bytes()), path == expected, "{path}");
        }
    }

    /// Clean and unclean paths, with and without escapes, and of many lengths.
    fn odd_paths() -> Vec<String> {
        let parts = ["a", "", ".", "..", ".a", "%41", "abcdefgh", "..b", "\u{e4}."];
        let mut paths = Vec::new();
        for len in 0..20 {
            for part in parts {
                for other in parts {
                    paths.push(format!("/{}/{part}/{other}", "x".repeat(len)));
                    paths.push(format!("/{}{part}/{other}/", ".x".repeat(len)));
                }
            }
        }
        paths
    }

    #[test]
    fn a_path_is_clean_exactly_if_cleaning_does_not_change_it() {
        for path in odd_paths() {
            assert_eq!(is_clean(path.as_bytes()), clean(&path) == path, "{path}");
        }
    }

    /// Go: t195.
    #[test]
    fn a_literal_has_the_form_of_the_path_that_it_matches() {
        for (segment, form) in [
            (&b"a b"[..], "a b"),
            (b"a/b%", "a%2Fb%25"),
            (b"\x01\xff", "%01%FF"),
            ("\u{e4}\u{202e}".as_bytes(), "\u{e4}%E2%80%AE"),
            (b"?#;~", "?#;~"),
        ] {
            let mut path = b"/".to_vec();
            push_segment(segment, &mut path);
            assert_eq!(String::from_utf8(path), Ok(format!("/{form}")));
        }
    }
}
