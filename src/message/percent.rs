//! Percent-escapes (RFC 3986, section 2.1), and the one decoded form of a path.
//!
//! [`decode_path`] makes the form that routes, guards and files compare. [`encode_path`] makes the
//! path of a URL from it again. Paths with the same meaning have the same form, and no two segments
//! become one.

use std::borrow::Cow;

use percent_encoding::{percent_encode, AsciiSet, CONTROLS};

/// Returns a target with the bytes escaped that are always escaped in a URL.
pub(crate) fn encode_target(target: &str) -> Cow<'_, str> {
    percent_encode(target.as_bytes(), NEVER_IN_URL).into()
}

/// The bytes that are always escaped in a URL. The backslash matters most: browsers read `/\host`
/// as `//host`, another server.
const NEVER_IN_URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The bytes that are escaped in a path: `?` and `#` would begin the query and the fragment.
const NEVER_IN_PATH: &AsciiSet = &NEVER_IN_URL.add(b'?').add(b'#');

/// Replaces `text` with the decoded form of the path `raw`, which is ASCII and has no broken
/// escape.
///
/// Each escape is decoded once. Those of `/` and `%`, of characters that control a terminal or a
/// log and of bytes that are not UTF-8 stay, in upper case. So `text` is never longer than `raw`.
pub(crate) fn decode_path(raw: &[u8], text: &mut String) {
    text.clear();
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        if !begins_with_escape(rest) {
            text.push(char::from(byte));
            rest = after;
            continue;
        }
        let char = escaped_char(rest);
        // Without a character, the one byte stays as it is.
        let (escapes, after) = rest.split_at(3 * char.map_or(1, char::len_utf8));
        match char.filter(|&char| !stays_escaped(char)) {
            Some(char) => text.push(char),
            None => text.extend(escapes.iter().map(|byte| char::from(byte.to_ascii_uppercase()))),
        }
        rest = after;
    }
}

/// Returns the path of a URL that [`decode_path`] decodes to `path`.
pub(crate) fn encode_path(path: &str) -> String {
    // Each `%` in a decoded path begins an escape that stayed.
    percent_encode(path.as_bytes(), NEVER_IN_PATH).to_string()
}

/// Returns the character that the escapes at the start of `path` encode in UTF-8; `None` if they
/// encode no character.
fn escaped_char(path: &[u8]) -> Option<char> {
    let len = match escaped_byte(path)? {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let mut bytes = [0; 4];
    for (at, byte) in bytes[..len].iter_mut().enumerate() {
        *byte = escaped_byte(path.get(3 * at..)?)?;
    }
    std::str::from_utf8(&bytes[..len]).ok()?.chars().next()
}

/// Returns the byte that the escape at the start of `bytes` stands for.
fn escaped_byte(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match *bytes {
        // Two hexadecimal digits are at most 255.
        [b'%', high, low, ..] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    }
}

/// Returns whether a decoded path keeps the escape of `char`: it separates segments, begins an
/// escape, or would break or reorder the line of a log (control characters, line and paragraph
/// separators, marks of writing direction).
fn stays_escaped(char: char) -> bool {
    char.is_control()
        || matches!(char, '/' | '%' | '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether `bytes` begin with an escape: `%` and two hexadecimal digits.
#[inline(always)]
pub(crate) fn begins_with_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Returns whether `bytes` have a `%` without two hexadecimal digits after it.
pub(crate) fn has_broken_escape(bytes: &[u8]) -> bool {
    let mut percents = bytes.iter().enumerate().filter(|(_, &byte)| byte == b'%');
    percents.any(|(at, _)| !begins_with_escape(&bytes[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_has_two_hexadecimal_digits() {
        for good in ["", "%41", "a%2fb%Ff", "%25%25", "%2541"] {
            assert!(!has_broken_escape(good.as_bytes()), "{good}");
        }
        for bad in ["%", "%4", "%4g", "%%41", "a%41%", "%+1"] {
            assert!(has_broken_escape(bad.as_bytes()), "{bad}");
        }
    }

    fn decoded(raw: &str) -> String {
        let mut text = "before".to_owned();
        decode_path(raw.as_bytes(), &mut text);
        text
    }

    #[test]
    fn a_path_is_decoded_once_except_escapes_that_would_change_its_meaning_or_break_a_line() {
        for (raw, text) in [
            ("/a", "/a"),
            ("", ""),
            ("/%61%2E%7e", "/a.~"),
            ("/%2f%25%2541", "/%2F%25%2541"),
            ("/%0a%00%7f%1B", "/%0A%00%7F%1B"),
            ("/%20%3b;%3F%23%5c%22", "/ ;;?#\\\""),
            ("/%c3%a4%E2%82%ac%F0%9F%90%AB", "/\u{e4}\u{20ac}\u{1f42b}"),
            // Not UTF-8: alone, cut off, too long, a surrogate, above the last code point.
            ("/%ff%80", "/%FF%80"),
            ("/%c3/%a4", "/%C3/%A4"),
            ("/%c3a%e2%82", "/%C3a%E2%82"),
            ("/%c0%af%c1%a1%e0%80%af", "/%C0%AF%C1%A1%E0%80%AF"),
            ("/%ed%a0%80%f4%90%80%80%f5%80", "/%ED%A0%80%F4%90%80%80%F5%80"),
            ("/%e2%82%c3%a4", "/%E2%82\u{e4}"),
            // C1 controls, separators of lines and paragraphs, marks of direction.
            ("/%c2%85%c2%9f%c2%a0", "/%C2%85%C2%9F\u{a0}"),
            ("/%e2%80%a8%e2%80%a9", "/%E2%80%A8%E2%80%A9"),
            ("/%e2%80%ae%e2%81%a6%e2%80%8f%d8%9c", "/%E2%80%AE%E2%81%A6%E2%80%8F%D8%9C"),
        ] {
            assert_eq!(decoded(raw), text, "{raw}");
            assert!(text.len() <= raw.len() && !text.chars().any(char::is_control), "{raw}");
        }
    }

    /// All spellings of the same bytes have one form, and that form decodes to them.
    #[test]
    fn every_byte_and_every_character_survives_decoding_and_encoding() {
        let meaning = |path: &str| percent_encoding::percent_decode_str(path).collect::<Vec<u8>>();
        let chars = (0..=0x3000).chain([0xfffd, 0xffff, 0x1_0000, 0x10_ffff]);
        let chars = chars.filter_map(char::from_u32).map(|char| char.to_string().into_bytes());
        let pairs =
            (0..=255).flat_map(|one| [0x41, 0x80, 0xa4, 0xc3, 0xff].map(|two| vec![one, two]));
        for bytes in chars.chain(pairs) {
            let upper: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
            let path = decoded(&upper);
            assert_eq!(decoded(&upper.to_ascii_lowercase()), path, "{upper}");
            assert_eq!(meaning(&path), bytes, "{upper}");
            let again = encode_path(&path);
            assert!(again.is_ascii() && !again.contains(['?', '#', '\\', ' ', '\n']), "{again}");
            assert_eq!(decoded(&again), path, "{upper}");
        }
    }
}
