//! The precompressed siblings that a client accepts (RFC 9110, section 12.5.3).

use std::cmp::Reverse;

use crate::message::fields::{trim_ows, Fields};

/// A coding of precompressed siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// The name of the coding in `Content-Encoding`.
    pub(super) name: &'static str,
    /// The suffix that makes the name of the sibling from the name of the file.
    pub(super) suffix: &'static str,
}

/// The known codings, in the order of the server's preference: the one with smaller files first.
pub(super) const KNOWN: [Encoding; 3] = [
    Encoding { name: "br", suffix: ".br" },
    Encoding { name: "zstd", suffix: ".zst" },
    Encoding { name: "gzip", suffix: ".gz" },
];

/// Returns the codings that the client accepts, in its order of preference. Codings of equal weight
/// are in the order of `KNOWN`.
pub(super) fn accepted(fields: &Fields<'_>) -> impl Iterator<Item = Encoding> {
    let mut order = KNOWN.map(|encoding| (quality(fields, encoding.name), encoding));
    // A stable sort of so few takes no memory.
    order.sort_by_key(|(quality, _)| Reverse(*quality));
    order.into_iter().filter(|(quality, _)| *quality > 0).map(|(_, encoding)| encoding)
}

/// Returns the weight of `name` in thousandths. A coding that the field does not name has the
/// weight of `*`.
fn quality(fields: &Fields<'_>, name: &str) -> u16 {
    let (mut named, mut any) = (None, None);
    for member in fields.members("accept-encoding") {
        let mut parts = member.split(|&byte| byte == b';').map(trim_ows);
        let coding = parts.next().unwrap_or_default();
        // A malformed weight excludes the coding: every client can read the uncompressed file.
        let weight = parts.next().map_or(1000, |q| weight(q).unwrap_or(0));
        if coding == b"*" {
            any.get_or_insert(weight);
        } else if is_called(coding, name) {
            named.get_or_insert(weight);
        }
    }
    named.or(any).unwrap_or(0)
}

fn is_called(coding: &[u8], name: &str) -> bool {
    let coding = match coding {
        // An old name of gzip (RFC 9110, section 8.4.1.3).
        coding if coding.eq_ignore_ascii_case(b"x-gzip") => b"gzip",
        coding => coding,
    };
    coding.eq_ignore_ascii_case(name.as_bytes())
}

/// Parses `q=0.123` as thousandths (RFC 9110, section 12.4.2).
fn weight(parameter: &[u8]) -> Option<u16> {
    let value = match parameter {
        [b'q' | b'Q', b'=', value @ ..] => value,
        _ => return None,
    };
    let (whole, fraction) = match value {
        [whole] | [whole, b'.'] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    let mut place = 100;
    for digit in fraction {
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths += u16::from(digit - b'0') * place;
        place /= 10;
    }
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_has_at_most_three_decimals_and_is_at_most_one() {
        let cases: [(&[u8], Option<u16>); 12] = [
            (b"q=1", Some(1000)),
            (b"q=0", Some(0)),
            (b"Q=0.5", Some(500)),
            (b"q=0.001", Some(1)),
            (b"q=1.000", Some(1000)),
            (b"q=0.", Some(0)),
            (b"q=1.001", None),
            (b"q=2", None),
            (b"q=0.0001", None),
            (b"q=-1", None),
            (b"q=", None),
            (b"x=1", None),
        ];
        for (parameter, want) in cases {
            assert_eq!(weight(parameter), want, "{}", String::from_utf8_lossy(parameter));
        }
    }
}
