//! Field lines, in a head and in a trailer section (RFC 9112, sections 5 and 7.1.2): their syntax,
//! byte by byte, and the places of their parts.

use crate::message::fields::{is_token_byte, is_value_byte, trim_ows, FieldSpan};
use crate::message::request::Span;

/// The part of a section that the next byte belongs to.
///
/// ```text
/// section    = *( field-line CRLF ) CRLF
/// field-line = field-name ":" OWS field-value OWS
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldPlace {
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
    Done,
}

impl FieldPlace {
    /// Returns the place after `byte`; `None` if `byte` is not allowed here.
    #[inline(always)]
    pub(super) fn step(self, byte: u8) -> Option<FieldPlace> {
        match (self, byte) {
            (FieldPlace::LineStart, b'\r') => Some(FieldPlace::EndLf),
            (FieldPlace::LineStart | FieldPlace::Name, _) if is_token_byte(byte) => {
                Some(FieldPlace::Name)
            }
            (FieldPlace::Name, b':') => Some(FieldPlace::Value),
            (FieldPlace::Value, b'\r') => Some(FieldPlace::ValueLf),
            (FieldPlace::Value, _) if is_value_byte(byte) => Some(FieldPlace::Value),
            (FieldPlace::ValueLf, b'\n') => Some(FieldPlace::LineStart),
            (FieldPlace::EndLf, b'\n') => Some(FieldPlace::Done),
            _ => None,
        }
    }
}

/// Splits the field lines at `start` in `bytes`, up to an empty line or the end of `bytes`. They
/// are known to be well-formed.
pub(super) fn split_fields(bytes: &[u8], mut start: usize) -> impl Iterator<Item = FieldSpan> + '_ {
    std::iter::from_fn(move || {
        let line = until(bytes, start, b'\r').filter(|line| line.len > 0)?;
        let name = until(line.of(bytes), 0, b':')?;
        let padded = &line.of(bytes)[name.end() + 1..];
        let value = trim_ows(padded);
        let blanks = padded.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let value_start = start + name.end() + 1 + blanks;
        let span = FieldSpan {
            name: start as u32,
            name_len: name.len.into(),
            value: value_start as u32,
            value_len: value.len() as u32,
        };
        start = line.end() + 2;
        Some(span)
    })
}

/// Returns the bytes from `start` up to the first `end`, without it.
pub(super) fn until(bytes: &[u8], start: usize, end: u8) -> Option<Span> {
    let len = bytes.get(start..)?.iter().position(|&byte| byte == end)?;
    Some(Span::new(start, len))
}
