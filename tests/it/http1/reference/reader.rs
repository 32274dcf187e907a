//! The basic rules: single bytes (RFC 5234, appendix B), tokens, white space and lists (RFC 9110,
//! section 5.6). A rule reads from the front of the input and says where it cannot go on.

use super::differences::{Difference, Differences};

/// The reason why a rule does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The input ends here. More bytes could complete it.
    End,
    /// No bytes after this can make it right: the request gets this status.
    Fault(u16),
}

pub(crate) type Match<T> = Result<T, Stop>;

/// 400 (Bad Request).
pub(crate) const BAD: Stop = Stop::Fault(400);

/// The input, read up to some byte.
pub(crate) struct Reader<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) at: usize,
    differences: &'a Differences,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8], differences: &'a Differences) -> Reader<'a> {
        Reader { input, at: 0, differences }
    }

    /// Whether the server differs from the RFC in this point.
    pub(crate) fn differs(&self, difference: Difference) -> bool {
        self.differences.has(difference)
    }

    pub(crate) fn differences(&self) -> &'a Differences {
        self.differences
    }

    pub(crate) fn peek(&self) -> Match<u8> {
        self.input.get(self.at).copied().ok_or(Stop::End)
    }

    /// One byte of a set.
    pub(crate) fn one(&mut self, is: impl Fn(u8) -> bool) -> Match<u8> {
        let byte = self.peek()?;
        if !is(byte) {
            return Err(BAD);
        }
        self.at += 1;
        Ok(byte)
    }

    pub(crate) fn byte(&mut self, expected: u8) -> Match<()> {
        self.one(|byte| byte == expected).map(drop)
    }

    pub(crate) fn literal(&mut self, expected: &[u8]) -> Match<()> {
        expected.iter().try_for_each(|&byte| self.byte(byte))
    }

    pub(crate) fn crlf(&mut self) -> Match<()> {
        self.literal(b"\r\n")
    }

    /// `*X`: as many bytes of a set as there are, up to a byte outside it.
    pub(crate) fn many(&mut self, is: impl Fn(u8) -> bool) -> Match<&'a [u8]> {
        let start = self.at;
        while is(self.peek()?) {
            self.at += 1;
        }
        Ok(&self.input[start..self.at])
    }

    /// `token = 1*tchar`.
    pub(crate) fn token(&mut self) -> Match<&'a [u8]> {
        let start = self.at;
        self.one(is_tchar)?;
        self.many(is_tchar)?;
        Ok(&self.input[start..self.at])
    }

    /// `quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE` (RFC 9110, section 5.6.4).
    pub(crate) fn quoted_string(&mut self) -> Match<()> {
        self.byte(b'"')?;
        loop {
            match self.peek()? {
                b'"' => return self.byte(b'"'),
                b'\\' => {
                    self.byte(b'\\')?;
                    self.one(|byte| is_blank(byte) || is_vchar(byte) || is_obs_text(byte))?;
                }
                _ => drop(self.one(is_qdtext)?),
            }
        }
    }

    /// `field-name ":" OWS field-value OWS` (RFC 9112, section 5), without its CRLF. Folding and
    /// white space before the colon match no rule (sections 5.1 and 5.2).
    pub(crate) fn field_line(&mut self) -> Match<(&'a [u8], &'a [u8])> {
        let name = self.token()?;
        self.byte(b':')?;
        let value = self.many(|byte| is_blank(byte) || is_vchar(byte) || is_obs_text(byte))?;
        Ok((name, trim(value)))
    }
}

/// RFC 9110, section 5.6.2.
pub(crate) fn is_tchar(byte: u8) -> bool {
    b"!#$%&'*+-.^_`|~".contains(&byte) || byte.is_ascii_digit() || byte.is_ascii_alphabetic()
}

/// `VCHAR = %x21-7E`.
pub(crate) fn is_vchar(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte)
}

/// `obs-text = %x80-FF`.
pub(crate) fn is_obs_text(byte: u8) -> bool {
    byte >= 0x80
}

/// `SP / HTAB`.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn is_qdtext(byte: u8) -> bool {
    is_blank(byte)
        || byte == 0x21
        || (0x23..=0x5b).contains(&byte)
        || (0x5d..=0x7e).contains(&byte)
        || is_obs_text(byte)
}

/// Removes optional white space from both ends.
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|&byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|&byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// The members of a list field over all its lines. A recipient ignores empty ones (RFC 9110,
/// section 5.6.1.2).
pub(crate) fn members<'a>(lines: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let members = lines.iter().flat_map(|line| line.split(|&byte| byte == b','));
    members.map(trim).filter(|member| !member.is_empty()).collect()
}
