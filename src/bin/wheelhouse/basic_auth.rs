//! Basic authentication (RFC 7617) with one user, compared in constant time.
//!
//! It keeps guests out; on an open network it needs TLS in front, as it always did.

use wheelhouse::{Request, Response, StatusCode};

/// Who may come in.
pub(crate) struct Credentials {
    /// `user:password`, never empty.
    pair: Vec<u8>,
    user_len: usize,
}

impl Credentials {
    /// From `USER:PASSWORD`; `None` without a colon or a user.
    pub(crate) fn new(pair: &str) -> Option<Credentials> {
        let user_len = pair.find(':').filter(|&len| len > 0)?;
        Some(Credentials { pair: pair.as_bytes().to_vec(), user_len })
    }

    /// The user, if the request proves to be his.
    pub(crate) fn user_of(&self, req: &Request<'_>) -> Option<&str> {
        let value = req.field("authorization")?;
        let (scheme, rest) = value.split_at(value.iter().position(|&byte| byte == b' ')?);
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let given = base64(rest.strip_prefix(b" ")?)?;
        if !is_equal(&given, &self.pair) {
            return None;
        }
        std::str::from_utf8(&self.pair[..self.user_len]).ok()
    }
}

/// Says nothing of the password.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// 401 with the question.
pub(crate) fn challenge() -> Response {
    Response::status_page(StatusCode::UNAUTHORIZED)
        .with("WWW-Authenticate", "Basic realm=\"wheelhouse\", charset=\"UTF-8\"")
}

/// Compares in a time that depends on the length of `given` alone.
fn is_equal(given: &[u8], secret: &[u8]) -> bool {
    let mut difference = given.len() ^ secret.len();
    for (at, byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ secret[at % secret.len()]);
    }
    std::hint::black_box(difference) == 0
}

/// Decodes base64 (RFC 4648, section 4), padding wanted where it belongs and nowhere else.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() % 4 != 0 {
        return None;
    }
    let digits = match text {
        [digits @ .., b'=', b'='] | [digits @ .., b'='] => digits,
        digits => digits,
    };
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_decodes_the_vectors_of_its_rfc_and_nothing_else() {
        let vectors = [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ];
        for (text, want) in vectors {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(want.as_bytes()), "{text}");
        }
        assert_eq!(base64(b"+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for text in ["Z", "Zg", "Zg=", "Z===", "====", "Zm9v\n", "Zm=v", "Zm-_"] {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn only_the_very_same_bytes_are_equal() {
        assert!(is_equal(b"a:b", b"a:b"));
        for other in ["", "a:", "a:ba:b", "a:c", "A:b"] {
            assert!(!is_equal(other.as_bytes(), b"a:b"), "{other}");
        }
    }
}
