//! Percent-escapes (RFC 3986, section 2.1): which are some.

/// Whether `bytes` begin with an escape: `%` and two hexadecimal digits.
#[inline(always)]
pub(crate) fn begins_with_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Whether there is a `%` in `bytes` that begins no escape.
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
}
