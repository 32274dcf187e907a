//! The trailer section of a chunked request (RFC 9112, section 7.1.2): its end, and its fields.

use crate::http1::field_scan::{split_fields, FieldPlace};
use crate::http1::Reject;
use crate::message::field_lines::TRAILER_BYTES_MAX;
use crate::message::fields::{FieldSpan, Fields};
use crate::message::trailers::may_stand_in_trailer;

/// The most lines of a trailer section. The sections in use have one to three.
const LINES_MAX: u8 = 64;

/// The progress of a scan over a trailer section. Like a head, the section stays in the input until
/// it is complete, and each byte is read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrailerScan {
    at: u16,
    lines: u8,
    place: FieldPlace,
}

impl TrailerScan {
    pub(super) fn new() -> TrailerScan {
        TrailerScan { at: 0, lines: 0, place: FieldPlace::LineStart }
    }

    /// Reads the new bytes of `section`, which begins with the same byte at every call. Returns the
    /// length of the section with its blank line, once it is complete.
    pub(super) fn advance(&mut self, section: &[u8]) -> Result<Option<usize>, Reject> {
        while self.place != FieldPlace::Done {
            let at = usize::from(self.at);
            let Some(&byte) = section.get(at) else { return Ok(None) };
            // The last LF is not counted.
            if at == TRAILER_BYTES_MAX && self.place != FieldPlace::EndLf {
                return Err(Reject::Chunk);
            }
            let next = self.place.step(byte).ok_or(Reject::Chunk)?;
            if self.place == FieldPlace::LineStart && next == FieldPlace::Name {
                self.lines += 1;
                if self.lines > LINES_MAX {
                    return Err(Reject::Chunk);
                }
            }
            self.place = next;
            self.at += 1;
        }
        Ok(Some(usize::from(self.at)))
    }
}

/// A complete trailer section where it lies in the input, without the fields that a trailer section
/// must not have: framing, routing and authorization belong in the head, where every hop has seen
/// them (RFC 9110, section 6.5.1).
pub(crate) struct TrailerSection<'a> {
    bytes: &'a [u8],
    spans: Vec<FieldSpan>,
}

impl<'a> TrailerSection<'a> {
    /// Takes a section that [`Decoder`](super::chunked::Decoder) found. Allocates nothing if it is
    /// empty.
    pub(crate) fn new(bytes: &'a [u8]) -> TrailerSection<'a> {
        let is_allowed = |span: &FieldSpan| may_stand_in_trailer(span.name_bytes(bytes));
        TrailerSection { bytes, spans: split_fields(bytes, 0).filter(is_allowed).collect() }
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields::new(self.bytes, &self.spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_keeps_only_fields_that_are_allowed_in_it() {
        let section = b"A:\r\nhost: evil\r\nB: \t c: d \r\nContent-Length: 9\r\na:x\r\n";
        let section = TrailerSection::new(section);
        let shown: Vec<_> = section.fields().iter().collect();
        assert_eq!(shown, [("A", &b""[..]), ("B", b"c: d"), ("a", b"x")]);
        assert!(TrailerSection::new(b"").fields().is_empty());
    }
}
