//! Paths: clean or not, and one spelling for all that are equal.
//!
//! What every request needs looks at eight bytes at a time. The rest is for the few paths that are
//! unclean or escaped.

use percent_encoding::percent_encode_byte;

use super::pattern::decode_segment;

/// The length of the segment that begins at `at`, up to the next slash or the end, and whether it
/// has an escape.
#[inline(always)]
pub(super) fn segment_at(path: &[u8], at: usize) -> (usize, bool) {
    let rest = &path[at..];
    let mut words = rest.chunks_exact(8);
    let (mut len, mut escapes) = (0, 0);
    for word in &mut words {
        let (slashes, found) = slashes_and_escapes(load(word));
        escapes |= found;
        if slashes != 0 {
            return (len + slashes.trailing_zeros() as usize / 8, escapes != 0);
        }
        len += 8;
    }
    let (slashes, found) = slashes_and_escapes(load_end(path, words.remainder().len()));
    // Without a slash this is beyond the end.
    len += slashes.trailing_zeros() as usize / 8;
    (len.min(rest.len()), escapes | found != 0)
}

/// The slashes, and the escapes before the first of them.
#[inline(always)]
fn slashes_and_escapes(word: u64) -> (u64, u64) {
    let slashes = marks(word, b'/');
    (slashes, marks(word, b'%') & slashes.wrapping_sub(1))
}

/// Whether what begins at `at`, behind a slash, has clean segments and no escape.
#[inline(always)]
pub(super) fn is_plain_after_slash(path: &[u8], at: usize) -> bool {
    let mut words = path[at..].chunks_exact(8);
    let (mut suspects, mut is_behind_slash) = (0, 1 << 7);
    let mut look = |word: u64| {
        // A dot differs from a slash in its lowest bit alone.
        let either = marks(word | u64::from_ne_bytes([1; 8]), b'/');
        let slashes = either & word << 7;
        suspects |= marks(word, b'%') | either & (slashes << 8 | is_behind_slash);
        is_behind_slash = slashes >> 56;
    };
    for word in &mut words {
        look(load(word));
    }
    look(load_end(path, words.remainder().len()));
    // A name that begins with a dot is suspect and innocent.
    suspects == 0 || is_plain_in_the_end(path, at)
}

#[inline(never)]
fn is_plain_in_the_end(path: &[u8], at: usize) -> bool {
    !path[at..].contains(&b'%') && is_clean(&path[at - 1..])
}

/// Whether `path` begins with a slash and has neither empty nor dot segments. A final slash is
/// clean.
pub(super) fn is_clean(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    let mut segments = rest.split(|&byte| byte == b'/').rev();
    // Only the last may be empty.
    !matches!(segments.next(), Some(b"." | b".."))
        && segments.all(|segment| !matches!(segment, b"" | b"." | b".."))
}

/// The one spelling of all clean paths that mean the same: what need not be escaped is not, what
/// must be is, with capital digits. Equal exactly if the decoded segments are.
pub(super) fn canonical(path: &[u8]) -> Vec<u8> {
    let mut spelt = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|&byte| byte == b'/').enumerate() {
        if index > 0 {
            spelt.push(b'/');
        }
        canonical_segment(&decode_segment(segment), &mut spelt);
    }
    spelt
}

/// Appends the canonical spelling of a decoded segment.
pub(super) fn canonical_segment(decoded: &[u8], spelt: &mut Vec<u8>) {
    for byte in decoded {
        match byte {
            b'%' | b'/' | 0..=b' ' | 0x7f.. => {
                spelt.extend_from_slice(percent_encode_byte(*byte).as_bytes());
            }
            _ => spelt.push(*byte),
        }
    }
}

/// Where in `raw` the segment lies that begins at `start` of its canonical spelling.
pub(super) fn raw_start(raw: &[u8], canonical: &[u8], start: usize) -> usize {
    let count = canonical[..start].iter().filter(|&&byte| byte == b'/').count();
    let mut slashes = raw.iter().enumerate().filter(|(_, &byte)| byte == b'/');
    count.checked_sub(1).and_then(|nth| slashes.nth(nth)).map_or(0, |(at, _)| at + 1)
}

/// The clean spelling of `path`: it begins with exactly one slash, and ends in one if `path` does.
/// Only what is spelt out is cleaned: `%2e%2e` is a segment with a strange name.
pub(crate) fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut clean = String::with_capacity(path.len() + 1);
    for segment in &segments {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    clean
}

/// The high bit of each byte of `word` that is `byte`, and no other.
#[inline]
fn marks(word: u64, byte: u8) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    let differs = word ^ u64::from_ne_bytes([byte; 8]);
    !(((differs & LOW) + LOW) | differs | LOW)
}

/// Eight bytes as a word, the first lowest.
#[inline(always)]
fn load(word: &[u8]) -> u64 {
    u64::from_le_bytes(word.try_into().unwrap_or([0; 8]))
}

/// The last `len` bytes of `path`, at most seven, as a word: the first lowest, zeros behind the
/// last.
#[inline(always)]
fn load_end(path: &[u8], len: usize) -> u64 {
    match path.len().checked_sub(8) {
        // Those before them are shifted out, in two steps since there may be eight.
        Some(start) => load(&path[start..]) >> 8 >> (56 - 8 * len as u32),
        None => load_short(&path[path.len() - len..]),
    }
}

#[inline(never)]
fn load_short(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn looking_at_eight_bytes_at_a_time_sees_the_same_as_looking_at_one() {
        let parts = ["a", "", ".", "..", ".a", "%41", "abcdefgh", "..b", "\u{e4}."];
        let mut paths = vec![String::new()];
        for len in 0..10 {
            for part in parts {
                for other in parts {
                    paths.push(format!("/{}/{part}/{other}", "x".repeat(len)));
                    paths.push(format!("/{}{part}/{other}/", ".x".repeat(len)));
                }
            }
        }
        for path in &paths[1..] {
            let bytes = path.as_bytes();
            let is_plain = is_clean(bytes) && !path.contains('%');
            assert_eq!(is_plain_after_slash(bytes, 1), is_plain, "{path}");
            let mut at = 1;
            for expected in path[1..].split('/') {
                let seen = segment_at(bytes, at);
                assert_eq!(seen, (expected.len(), expected.contains('%')), "{path}");
                at += expected.len() + 1;
            }
        }
    }

    /// Go: t195.
    #[test]
    fn equal_paths_have_one_spelling_and_others_have_another() {
        let table: [(&str, &str); 7] = [
            ("/a/b/", "/a/b/"),
            ("/%61%2f%25/%7e", "/a%2F%25/~"),
            ("/a%2F/", "/a%2F/"),
            ("/%zz%61", "/%25zz%2561"),
            ("/\u{e4}/%c3%a4", "/%C3%A4/%C3%A4"),
            ("/%20 ", "/%20%20"),
            ("/{}%7B", "/{}{"),
        ];
        for (path, expected) in table {
            let spelt = String::from_utf8(canonical(path.as_bytes())).unwrap();
            assert_eq!(spelt, expected);
            if !path.contains("%zz") {
                assert_eq!(canonical(spelt.as_bytes()), spelt.as_bytes());
            }
        }
        assert_eq!(raw_start(b"/%61/%62/c", b"/a/b/c", 3), 5);
    }
}
