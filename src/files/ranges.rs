//! Range requests (RFC 9110, section 14): the bytes of a file that a client wants.
//!
//! Positions are 64-bit numbers. A position that does not fit becomes the largest number, and is
//! then cut to the length of the file. So the end of a range cannot overflow.

use crate::message::fields::{list_members, trim_ows, Fields};

/// A range of bytes of a file. Invariant: `len > 0`, and `start + len` is at most the length of the
/// file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) len: u64,
}

/// The part of the file that a `Range` field asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The whole file: there is no such field, or it is ignored.
    Whole,
    /// 206 with these ranges, in the order of the field. Never empty.
    Parts(Vec<Range>),
    /// 416: the list of ranges is malformed, or no range lies in the file.
    Unsatisfiable,
}

/// Parses the `Range` field for a file of `len` bytes.
///
/// The field is ignored, as section 14.2 allows, if it occurs more than once, if its unit is not
/// bytes, if it has more ranges than `ranges_max`, or if the ranges add up to more than the file.
/// An empty file is always sent whole. A malformed list of ranges gets a 416, so that the client
/// learns of its mistake.
pub(super) fn wanted(fields: &Fields<'_>, len: u64, ranges_max: usize) -> Wanted {
    let Some(value) = fields.only("range") else { return Wanted::Whole };
    match bytes_unit(value) {
        Some(set) if len > 0 => parse(set, len, ranges_max),
        _ => Wanted::Whole,
    }
}

/// Returns the part after `bytes=`. The names of units are case-insensitive.
fn bytes_unit(value: &[u8]) -> Option<&[u8]> {
    let at = value.iter().position(|&byte| byte == b'=')?;
    value[..at].eq_ignore_ascii_case(b"bytes").then(|| &value[at + 1..])
}

fn parse(set: &[u8], len: u64, ranges_max: usize) -> Wanted {
    let mut parts = Vec::new();
    let (mut count, mut sum) = (0usize, 0u64);
    for spec in list_members(set) {
        count += 1;
        match range(spec, len) {
            Err(Malformed) => return Wanted::Unsatisfiable,
            Ok(_) if count > ranges_max => return Wanted::Whole,
            Ok(None) => {}
            Ok(Some(range)) => match sum.checked_add(range.len) {
                Some(total) => {
                    sum = total;
                    parts.push(range);
                }
                None => return Wanted::Whole,
            },
        }
    }
    match (count, parts.is_empty()) {
        (0, _) => Wanted::Whole,
        (_, true) => Wanted::Unsatisfiable,
        _ if sum > len => Wanted::Whole,
        _ => Wanted::Parts(parts),
    }
}

#[derive(Debug)]
struct Malformed;

/// Parses one `first-last`, `first-` or `-suffix`. Returns `None` if it lies outside the file.
fn range(spec: &[u8], len: u64) -> Result<Option<Range>, Malformed> {
    let dash = spec.iter().position(|&byte| byte == b'-').ok_or(Malformed)?;
    let (first, last) = (trim_ows(&spec[..dash]), trim_ows(&spec[dash + 1..]));
    if first.is_empty() {
        let suffix = number(last)?.min(len);
        let range = Range { start: len - suffix, len: suffix };
        return Ok((suffix > 0).then_some(range));
    }
    let start = number(first)?;
    let end = match last {
        [] => len - 1,
        last => {
            let last = number(last)?;
            if last < start {
                return Err(Malformed);
            }
            last.min(len - 1)
        }
    };
    Ok((start < len).then(|| Range { start, len: end - start + 1 }))
}

/// Parses digits. A number that does not fit into 64 bits becomes `u64::MAX`, since both lie beyond
/// the end of any file.
fn number(digits: &[u8]) -> Result<u64, Malformed> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    Ok(digits.iter().fold(0, |number: u64, digit| {
        number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    }))
}

impl Range {
    /// Returns the value of `Content-Range` (RFC 9110, section 14.4).
    pub(super) fn content_range(&self, len: u64) -> String {
        format!("bytes {}-{}/{len}", self.start, self.start + self.len - 1)
    }
}
