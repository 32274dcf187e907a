//! Paths: clean or not, and one spelling for all that are equal.
//!
//! What every request needs looks at eight bytes at a time. The rest is for the few paths that are
//! unclean or escaped.

use percent_encoding::percent_encode_byte;

use super::pattern::decode_segment;
use crate::message::request::Span;

/// A path where it lies, in a head nearly always. Positions are its own, from 0 on.
#[derive(Clone, Copy)]
pub(super) struct Path<'t> {
    pub(super) bytes: &'t [u8],
    /// The path and what is behind it, which never counts but may be loaded with it: nothing is
    /// faster than to load sixteen bytes.
    text: &'t [u8],
    /// Where it begins in the head.
    base: usize,
}

impl<'t> Path<'t> {
    /// The path of `len` bytes that begins at `base` of `head`.
    #[inline(always)]
    pub(super) fn within(head: &'t [u8], base: usize, len: usize) -> Path<'t> {
        let text = &head[base..];
        Path { bytes: &text[..len], text, base }
    }

    /// All of `text`, which is in no head.
    pub(super) fn whole(text: &'t [u8]) -> Path<'t> {
        Path { bytes: text, text, base: 0 }
    }

    /// Where a part of it lies in the head.
    #[inline(always)]
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.base + start, end - start)
    }

    /// The sixteen bytes from `at` on, the first lowest; of those behind the end nothing is known
    /// but that the first is a space, `?` or zero.
    #[inline(always)]
    pub(super) fn words(&self, at: usize) -> [u64; 2] {
        let at = small(at);
        match self.text.get(at..at + 16) {
            Some(both) => [load(&both[..8]), load(&both[8..])],
            None => {
                let rest = &self.text[at..];
                [load_end(rest), load_end(rest.get(8..).unwrap_or_default())]
            }
        }
    }

    /// Eight of them.
    #[inline(always)]
    fn word(&self, at: usize) -> u64 {
        let at = small(at);
        match self.text.get(at..at + 8) {
            Some(word) => load(word),
            None => load_end(&self.text[at..]),
        }
    }

    /// Whether this is no segment that a clean path has, unless as its last.
    #[inline(always)]
    pub(super) fn is_empty_or_dots(&self, at: usize, end: usize) -> bool {
        end - at <= 2 && matches!(&self.bytes[at..end], b"" | b"." | b"..")
    }

    /// Where the segment ends that begins at `at`, at a slash or with the path, if it is short and
    /// has no escape; else it is for [`segment_end`] to say.
    #[inline(always)]
    pub(super) fn short_segment_end(&self, at: usize) -> Option<usize> {
        let word = self.word(at);
        let slashes = marks(word, b'/');
        // Of both kinds of marks the lowest is right, and no more is asked.
        let escapes = marks(word, b'%') & slashes.wrapping_sub(1);
        // Without a slash this is eight bytes on.
        let end = at + slashes.trailing_zeros() as usize / 8;
        let is_short = slashes != 0 || end >= self.bytes.len();
        (escapes == 0 && is_short).then(|| end.min(self.bytes.len()))
    }

    /// Whether what begins at `at`, behind a slash, has clean segments and no escape.
    #[inline(always)]
    pub(super) fn is_plain_after_slash(&self, at: usize) -> bool {
        // Each word beside the one that begins a byte before it, which has the slashes.
        let mut rest = &self.bytes[at - 1..];
        let mut suspects = 0;
        while let Some(nine) = rest.get(..9) {
            suspects |= suspects_of(load(&nine[..8]), load(&nine[1..]));
            rest = &rest[8..];
        }
        if let [before, left @ ..] = rest {
            let word = self.word(self.bytes.len() - left.len());
            let found = suspects_of(word << 8 | u64::from(*before), word);
            suspects |= found & !(u64::MAX << (8 * left.len()));
        }
        // A name that begins with a dot is suspect and innocent.
        suspects & HIGHEST == 0 || is_plain_in_the_end(self.bytes, at)
    }
}

/// The same position, for the compiler to know that no sum with it overflows: a head is shorter than
/// 64 KiB.
#[inline(always)]
fn small(at: usize) -> usize {
    debug_assert!(at <= u32::MAX as usize);
    at as u32 as usize
}

#[cold]
#[inline(never)]
fn is_plain_in_the_end(path: &[u8], at: usize) -> bool {
    !path[at..].contains(&b'%') && is_clean(&path[at - 1..])
}

/// Where the segment of `path` ends that begins at `start`, and whether it has an escape.
#[inline(never)]
pub(super) fn segment_end(path: &[u8], start: usize) -> (usize, bool) {
    let mut words = path[start..].chunks_exact(8);
    let mut end = start;
    for word in &mut words {
        let slashes = marks(load(word), b'/');
        end += slashes.trailing_zeros() as usize / 8;
        if slashes != 0 {
            return (end, path[start..end].contains(&b'%'));
        }
    }
    let rest = words.remainder();
    end += rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
    (end, path[start..end].contains(&b'%'))
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
            b'%' | b'/' | b'?' | 0..=b' ' | 0x7f.. => {
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

/// The lowest bit of each byte, and the highest.
const LOWEST: u64 = u64::from_ne_bytes([1; 8]);
const HIGHEST: u64 = LOWEST << 7;

/// In the high bits, the bytes of `word` that are the `%` of an escape, or a dot or slash behind a
/// slash. There may be some that are not, for which it is quicker.
#[inline(always)]
fn suspects_of(before: u64, word: u64) -> u64 {
    let zeros = |differs: u64| differs.wrapping_sub(LOWEST);
    let all = |byte: u8| u64::from_ne_bytes([byte; 8]);
    // A dot differs from a slash in its lowest bit alone.
    zeros(word ^ all(b'%')) | zeros(before ^ all(b'/')) & zeros((word | LOWEST) ^ all(b'/'))
}

/// The high bit of each byte of `word` that is `byte`. Above the lowest of them there may be some
/// that are not.
#[inline(always)]
fn marks(word: u64, byte: u8) -> u64 {
    let differs = word ^ u64::from_ne_bytes([byte; 8]);
    differs.wrapping_sub(LOWEST) & !differs & HIGHEST
}

#[cold]
#[inline(never)]
fn load_end(rest: &[u8]) -> u64 {
    rest.iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Eight bytes as a word, the first lowest.
#[inline(always)]
fn load(word: &[u8]) -> u64 {
    u64::from_le_bytes(word.try_into().unwrap_or([0; 8]))
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
            // Alone, and with what would change the answer behind it.
            let longer = format!("GET {path}?/%/./../%");
            for seen in [Path::whole(bytes), Path::within(longer.as_bytes(), 4, path.len())] {
                assert_eq!(seen.is_plain_after_slash(1), is_plain, "{path}");
                let mut at = 1;
                for expected in path[1..].split('/') {
                    let (end, has_escape) = segment_end(bytes, at);
                    let is_short = expected.len() < 8 && !expected.contains('%');
                    let short_end = seen.short_segment_end(at);
                    assert!(short_end == Some(end) || !is_short && short_end.is_none(), "{path}");
                    assert_eq!(end - at, expected.len(), "{path}");
                    assert_eq!(has_escape, expected.contains('%'), "{path}");
                    at = end + 1;
                }
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
