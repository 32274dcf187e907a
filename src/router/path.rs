//! Request paths: plain ones, clean ones, and one canonical form for all that mean the same.
//!
//! A path is *clean* if it begins with a slash and has neither empty nor dot segments, and *plain*
//! if it is clean and has no `%`. A plain path is its own canonical form.

use super::pattern::decode_segment;

/// Whether `path` is plain. A final slash is clean.
pub(super) fn is_plain(path: &[u8]) -> bool {
    let Some((b'/', rest)) = path.split_first() else { return false };
    // A look at pairs of bytes is enough, unless a segment begins with a dot.
    let is_odd = |(before, byte): (&u8, &u8)| {
        (*byte == b'%') | (*before == b'/') & ((*byte == b'/') | (*byte == b'.'))
    };
    let has_odd = path.iter().zip(rest).fold(false, |found, pair| found | is_odd(pair));
    !has_odd || !path.contains(&b'%') && is_clean(path)
}

/// Whether `path` is clean.
pub(super) fn is_clean(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    let mut segments = rest.split(|&byte| byte == b'/').rev();
    // Only the last segment may be empty.
    !matches!(segments.next(), Some(b"." | b".."))
        && segments.all(|segment| !matches!(segment, b"" | b"." | b".."))
}

/// The position of the slash with `count` slashes before it, or the end of `path`.
pub(super) fn nth_slash(path: &[u8], count: usize) -> usize {
    let mut slashes = path.iter().enumerate().filter(|(_, &byte)| byte == b'/');
    slashes.nth(count).map_or(path.len(), |(at, _)| at)
}

/// The canonical form of a clean path, which is plain and not longer. Two paths have the same form
/// exactly if their decoded segments are equal.
pub(super) fn canonical(path: &[u8]) -> Vec<u8> {
    let mut form = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|&byte| byte == b'/').enumerate() {
        if index > 0 {
            form.push(b'/');
        }
        push_canonical(&decode_segment(segment), &mut form);
    }
    form
}

/// Stands before control bytes, and for the dots of a dot segment.
const MARK: u8 = 1;

/// Appends the canonical form of a decoded segment. Control bytes stand for the bytes that would
/// not be plain: request paths have them only in escapes.
pub(super) fn push_canonical(segment: &[u8], form: &mut Vec<u8>) {
    match segment {
        b"." => form.push(MARK),
        b".." => form.extend([MARK, MARK]),
        _ => {
            for &byte in segment {
                match byte {
                    b'/' | b'%' => form.push(byte ^ 0x20),
                    0..=0x1f => form.extend([MARK, byte ^ 0x40]),
                    _ => form.push(byte),
                }
            }
        }
    }
}

/// Splits off the segment that `rest` begins with, if a wildcard matches it: it is not empty, it is
/// not a dot segment, escaped or not, and it has no `%`.
pub(super) fn split_name(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = rest.iter().position(|&byte| byte == b'/' || byte == b'%');
    let (segment, after) = rest.split_at(end.unwrap_or(rest.len()));
    let is_name = !matches!(segment, b"" | b"." | b".." | [MARK] | [MARK, MARK]);
    (is_name && after.first() != Some(&b'%')).then_some((segment, after))
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

    #[test]
    fn a_path_is_plain_exactly_if_it_is_clean_and_has_no_escape() {
        for path in odd_paths() {
            let is_plain_path = clean(&path) == path && !path.contains('%');
            assert_eq!(is_plain(path.as_bytes()), is_plain_path, "{path}");
            if is_plain_path {
                assert_eq!(canonical(path.as_bytes()), path.as_bytes());
            }
        }
    }

    /// Go: t195.
    #[test]
    fn equal_paths_have_one_spelling_and_others_have_another() {
        let groups: [&[&str]; 18] = [
            &["/a/b/", "/%61/b/", "/a/%62/"],
            &["/a%2f%25/%7e", "/%61%2F%25/~"],
            &["/a%2F/", "/a%2f/"],
            &["/a/"],
            &["/%zz%61", "/%25zz%2561"],
            &["/%zza", "/%25zza"],
            &["/\u{e4}/%c3%a4", "/%C3%A4/%C3%A4"],
            &["/%20 ", "/%20%20"],
            &["/{}%7B", "/{}{"],
            &["/%2e/%2E%2e", "/%2e/.%2e"],
            &["/%01.", "/%01%2e"],
            &["/%01o%01e", "/%01%6f%01e"],
            &["/%05", "/%05"],
            &["/%0f", "/%0F"],
            &["/%2F", "/%2f"],
            &["/%", "/%25"],
            &["/%01", "/%01"],
            &["/%2e", "/%2E"],
        ];
        let forms = |group: &[&str]| -> Vec<Vec<u8>> {
            group.iter().map(|path| canonical(path.as_bytes())).collect()
        };
        for (index, group) in groups.iter().enumerate() {
            for (form, path) in forms(group).iter().zip(*group) {
                assert!(is_plain(form) && form.len() <= path.len(), "{path}");
                for (other_index, other) in groups.iter().enumerate() {
                    let is_same = index == other_index;
                    assert!(forms(other).iter().all(|other| (other == form) == is_same));
                }
            }
        }
        assert_eq!(nth_slash(b"/%61/%62/c", 2), 8);
        assert_eq!(nth_slash(b"/a", 1), 2);
    }
}
