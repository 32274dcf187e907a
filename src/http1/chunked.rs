//! The chunked transfer coding (RFC 9112, section 7.1), decoder and encoder side by side.
//!
//! ```text
//! chunked-body = *chunk last-chunk trailer-section CRLF
//! chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//! last-chunk   = 1*"0" [ chunk-ext ] CRLF
//! ```
//!
//! The decoder is strict where leniency has been a hole elsewhere: CRLF only, no white space
//! around the size, at most 16 digits and 2^63 - 1, extensions of the grammar's bytes and short,
//! and a bound on how much overhead may come per byte of content.

use std::ops::Range;

use crate::http1::Reject;
use crate::message::field_lines::TRAILER_BYTES_MAX;
use crate::message::fields::{is_token_byte, is_value_byte, trim_ows, FieldSpan, Fields};
use crate::message::trailers::may_stand_in_trailer;

/// The longest chunk-size line with its extensions. Real ones have 3 to 6 bytes.
const LINE_BYTES_MAX: u16 = 256;
/// How much more than content a chunked body may carry: size lines are counted, content counts
/// against them, as in Go since CVE-2023-39326.
const OVERHEAD_BYTES_MAX: u32 = 16 << 10;
/// What one chunk may cost without being counted as overhead.
const OVERHEAD_FREE: u64 = 16;
/// The most lines of a trailer section; those in use have one to three.
const TRAILER_LINES_MAX: u8 = 64;

/// Decodes a chunked body, in pieces of any size.
///
/// A trailer section is not taken before it is complete: until then its bytes stay in the input,
/// as those of a head do, and are looked at once.
///
/// Invariant: `left` is the rest of the current chunk, and not 0 in `Data`; `line` counts the
/// bytes of the current size line, or those of the trailer section that were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoder {
    left: u64,
    overhead: u32,
    line: u16,
    place: Place,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Size digits, so many so far.
    Size(u8),
    /// The first byte of an extension's name, after `;`.
    ExtNameStart,
    ExtName,
    /// The first byte of an extension's value, after `=`.
    ExtValueStart,
    ExtToken,
    ExtQuoted,
    ExtEscaped,
    /// After the closing quote.
    ExtEnd,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a trailer line, after so many lines.
    TrailerStart(u8),
    TrailerName(u8),
    TrailerValue(u8),
    TrailerLf(u8),
    EndLf,
    Done,
}

/// What was found in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A piece of content, at this place in the input.
    Piece(Range<usize>),
    /// More is needed. What was not used is the beginning of a trailer section and must come
    /// again, with more behind it.
    More,
    /// The body is complete; its trailer section is at this place in the input.
    End(Range<usize>),
}

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder { left: 0, overhead: 0, line: 0, place: Place::Size(0) }
    }

    /// Takes bytes from the start of `input`; says how many and what was found.
    pub(crate) fn decode(&mut self, input: &[u8]) -> Result<(usize, Decoded), Reject> {
        let mut section = self.is_in_trailers().then_some(0);
        // What has come again was looked at before.
        let mut at = section.map_or(0, |_| usize::from(self.line));
        loop {
            if self.place == Place::Done {
                let start = section.unwrap_or(at);
                return Ok((at, Decoded::End(start..at.saturating_sub(2).max(start))));
            }
            if at >= input.len() {
                return Ok((section.unwrap_or(at), Decoded::More));
            }
            if self.place == Place::Data {
                let len = self.left.min((input.len() - at) as u64);
                self.left -= len;
                if self.left == 0 {
                    self.place = Place::DataCr;
                }
                let end = at + len as usize;
                return Ok((end, Decoded::Piece(at..end)));
            }
            self.place = self.step(input[at])?;
            at += 1;
            if self.line == 0 && self.place == Place::TrailerStart(0) {
                section = Some(at);
            }
        }
    }

    /// Whether the bytes that were not used come again.
    fn is_in_trailers(&self) -> bool {
        matches!(
            self.place,
            Place::TrailerStart(_)
                | Place::TrailerName(_)
                | Place::TrailerValue(_)
                | Place::TrailerLf(_)
                | Place::EndLf
        )
    }

    /// A lower bound of the content still to come: what is left of the current chunk.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    fn step(&mut self, byte: u8) -> Result<Place, Reject> {
        self.count_line(byte)?;
        match (self.place, byte) {
            (Place::Size(digits), _) if byte.is_ascii_hexdigit() => self.add_digit(digits, byte),
            (Place::Size(1..), b'\r') => Ok(Place::SizeLf),
            (Place::Size(1..), b';') => Ok(Place::ExtNameStart),
            (Place::ExtNameStart | Place::ExtName, _) if is_token_byte(byte) => Ok(Place::ExtName),
            (Place::ExtName, b'=') => Ok(Place::ExtValueStart),
            (Place::ExtValueStart, b'"') => Ok(Place::ExtQuoted),
            (Place::ExtValueStart | Place::ExtToken, _) if is_token_byte(byte) => {
                Ok(Place::ExtToken)
            }
            (Place::ExtQuoted, b'"') => Ok(Place::ExtEnd),
            (Place::ExtQuoted, b'\\') => Ok(Place::ExtEscaped),
            (Place::ExtQuoted | Place::ExtEscaped, _) if is_value_byte(byte) => {
                Ok(Place::ExtQuoted)
            }
            (Place::ExtName | Place::ExtToken | Place::ExtEnd, b';') => Ok(Place::ExtNameStart),
            (Place::ExtName | Place::ExtToken | Place::ExtEnd, b'\r') => Ok(Place::SizeLf),
            (Place::SizeLf, b'\n') => self.end_of_size_line(),
            (Place::DataCr, b'\r') => Ok(Place::DataLf),
            (Place::DataLf, b'\n') => Ok(self.next_line(Place::Size(0))),
            (Place::TrailerStart(_), b'\r') => Ok(Place::EndLf),
            (Place::TrailerStart(lines), _) if lines < TRAILER_LINES_MAX && is_token_byte(byte) => {
                Ok(Place::TrailerName(lines + 1))
            }
            (Place::TrailerName(lines), _) if is_token_byte(byte) => Ok(Place::TrailerName(lines)),
            (Place::TrailerName(lines), b':') => Ok(Place::TrailerValue(lines)),
            (Place::TrailerValue(lines), b'\r') => Ok(Place::TrailerLf(lines)),
            (Place::TrailerValue(lines), _) if is_value_byte(byte) => {
                Ok(Place::TrailerValue(lines))
            }
            (Place::TrailerLf(lines), b'\n') => Ok(Place::TrailerStart(lines)),
            (Place::EndLf, b'\n') => Ok(Place::Done),
            _ => Err(Reject::Chunk),
        }
    }

    /// Bounds the line that `byte` belongs to; the CRLF after data is no line, and the very last byte
    /// is too late.
    fn count_line(&mut self, byte: u8) -> Result<(), Reject> {
        let max = match self.place {
            Place::DataCr | Place::DataLf | Place::EndLf => return Ok(()),
            _ if self.is_in_trailers() => TRAILER_BYTES_MAX as u16,
            // Its end may come after the longest line.
            _ if byte == b'\r' || byte == b'\n' => return Ok(()),
            _ => LINE_BYTES_MAX,
        };
        self.line += 1;
        if self.line > max {
            return Err(Reject::Chunk);
        }
        Ok(())
    }

    fn add_digit(&mut self, digits: u8, byte: u8) -> Result<Place, Reject> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => byte - b'A' + 10,
        };
        if digits == 16 || self.left >> 59 != 0 {
            return Err(Reject::Chunk);
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(Place::Size(digits + 1))
    }

    fn end_of_size_line(&mut self) -> Result<Place, Reject> {
        let paid = (self.left.saturating_mul(2)).saturating_add(OVERHEAD_FREE);
        let paid = u32::try_from(paid).unwrap_or(u32::MAX);
        self.overhead = (self.overhead + u32::from(self.line) + 2).saturating_sub(paid);
        if self.overhead > OVERHEAD_BYTES_MAX {
            return Err(Reject::Chunk);
        }
        if self.left == 0 {
            return Ok(self.next_line(Place::TrailerStart(0)));
        }
        Ok(self.next_line(Place::Data))
    }

    fn next_line(&mut self, place: Place) -> Place {
        self.line = 0;
        place
    }
}

/// Room that one chunk needs around its data: up to 8 hex digits and two CRLF.
pub(crate) const CHUNK_ROOM: usize = 12;

/// Ends the chunk whose data begin at `start` in `out`: puts the size line before them and CRLF
/// behind. Without data nothing is written, since an empty chunk would end the body.
pub(crate) fn close_chunk(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    if len == 0 {
        return;
    }
    let mut line = [0; 10];
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4) as usize;
    for (n, place) in line[..digits].iter_mut().enumerate() {
        *place = b"0123456789abcdef"[len >> (4 * (digits - 1 - n)) & 0xf];
    }
    line[digits] = b'\r';
    line[digits + 1] = b'\n';
    let line_len = digits + 2;
    out.extend_from_slice(&line[..line_len]);
    out.copy_within(start..start + len, start + line_len);
    out[start..start + line_len].copy_from_slice(&line[..line_len]);
    out.extend_from_slice(b"\r\n");
}

/// The last chunk and an empty trailer section.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Ends the body: the last chunk, and behind it the trailer section of these lines, each ended by
/// CRLF.
pub(crate) fn end_body(out: &mut Vec<u8>, trailer_lines: &[u8]) {
    let (last_chunk, end) = LAST_CHUNK.split_at(3);
    out.extend_from_slice(last_chunk);
    out.extend_from_slice(trailer_lines);
    out.extend_from_slice(end);
}

/// A decoded trailer section where it lies in the input, without the fields that may not stand in
/// one: what would frame, route or authorize had its place in the head, where everybody on the way
/// has seen it (RFC 9110, section 6.5.1).
pub(crate) struct TrailerSection<'a> {
    bytes: &'a [u8],
    spans: Vec<FieldSpan>,
}

impl<'a> TrailerSection<'a> {
    /// `bytes` were found by [`Decoder`]; without any nothing is allocated.
    pub(crate) fn new(bytes: &'a [u8]) -> TrailerSection<'a> {
        let mut spans = Vec::new();
        let mut start = 0;
        while let Some(len) = bytes[start..].iter().position(|&byte| byte == b'\r') {
            let line = &bytes[start..start + len];
            let colon = line.iter().position(|&byte| byte == b':').unwrap_or(len);
            let value = line.get(colon + 1..).unwrap_or_default();
            let blanks = value.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
            let value = &value[blanks..];
            if may_stand_in_trailer(&line[..colon]) {
                spans.push(FieldSpan {
                    name: start as u32,
                    name_len: colon as u32,
                    value: (start + len - value.len()) as u32,
                    value_len: trim_ows(value).len() as u32,
                });
            }
            start += len + 2;
        }
        TrailerSection { bytes, spans }
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields::new(self.bytes, &self.spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` in segments of `step` bytes; the content and the bytes left over.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Reject> {
        let mut trailers = Vec::new();
        decode_all(input, step, &mut trailers)
    }

    /// The same, with the trailer section.
    fn decode_all(
        input: &[u8],
        step: usize,
        trailers: &mut Vec<u8>,
    ) -> Result<(Vec<u8>, usize, bool), Reject> {
        let (mut decoder, mut content, mut used) = (Decoder::new(), Vec::new(), 0);
        let mut end = 0;
        loop {
            let (n, decoded) = decoder.decode(&input[used..end])?;
            match decoded {
                Decoded::Piece(range) => content.extend_from_slice(&input[used..][range]),
                Decoded::End(range) => {
                    trailers.extend_from_slice(&input[used..][range]);
                    return Ok((content, used + n, true));
                }
                Decoded::More if end == input.len() => return Ok((content, used + n, false)),
                Decoded::More => end = input.len().min(end + step),
            }
            used += n;
        }
    }

    fn check(input: &str, expected: Result<(&str, bool), Reject>) {
        for step in 1..=input.len() {
            let got = decode(input.as_bytes(), step).map(|(content, _, done)| (content, done));
            let expected = expected.map(|(content, done)| (content.as_bytes().to_vec(), done));
            assert_eq!(got, expected, "{input:?} in steps of {step}");
        }
    }

    /// t69, t80.
    #[test]
    fn content_is_put_together_however_it_is_cut() {
        check("5\r\nabcde\r\n0\r\n\r\n", Ok(("abcde", true)));
        check("5;a=b;c;d=\"e \\\" f\"\r\nabcde\r\n00;x\r\n\r\n", Ok(("abcde", true)));
        check(
            "3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n",
            Ok(("abc0123456789", true)),
        );
        check("0000000000000003\r\nabc\r\n0\r\n\r\n", Ok(("abc", true)));
    }

    /// t74.
    #[test]
    fn every_proper_prefix_of_a_good_body_is_incomplete() {
        let body = "4;q\r\nwxyz\r\n0\r\nA: b\r\n\r\n";
        for end in 0..body.len() {
            assert!(!decode(&body.as_bytes()[..end], 3).unwrap().2, "{end}");
        }
    }

    #[test]
    fn what_follows_the_body_is_left_alone() {
        let (_, used, done) = decode(b"0\r\n\r\nGET /", 7).unwrap();
        assert_eq!((used, done), (5, true));
    }

    /// t81.
    #[test]
    fn a_trailer_section_is_shown_whole_however_it_is_cut() {
        for section in ["", "A: b\r\n", "A:\r\nB:  c d \r\nA: é\r\n"] {
            let body = format!("3\r\nabc\r\n0\r\n{section}\r\n");
            let input = format!("{body}GET /");
            for step in 1..=input.len() {
                let mut trailers = Vec::new();
                let decoded = decode_all(input.as_bytes(), step, &mut trailers);
                assert_eq!(decoded, Ok((b"abc".to_vec(), body.len(), true)), "{section:?} {step}");
                assert_eq!(trailers, section.as_bytes(), "{section:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn the_fields_of_a_section_are_those_that_may_stand_there() {
        let section = b"A:\r\nhost: evil\r\nB: \t c: d \r\nContent-Length: 9\r\na:x\r\n";
        let section = TrailerSection::new(section);
        let shown: Vec<_> = section.fields().iter().collect();
        assert_eq!(shown, [("A", &b""[..]), ("B", b"c: d"), ("a", b"x")]);
        assert!(TrailerSection::new(b"").fields().is_empty());
    }

    #[test]
    fn a_trailer_section_has_at_most_64_lines() {
        let body = |lines: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(lines));
        for step in [1, 7, 1000] {
            assert!(decode(body(64).as_bytes(), step).unwrap().2);
            assert_eq!(decode(body(65).as_bytes(), step), Err(Reject::Chunk));
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for bad in [
            "\r\n\r\n",
            "0_2e\r\n",
            "0x5\r\n",
            "+5\r\n",
            "-5\r\n",
            " 5\r\n",
            "5 \r\n",
            "5 ;x\r\n",
            "5; x\r\n",
            "5;\r\n",
            "5;a=\r\n",
            "5;a=\"\n\"\r\n",
            "5;a=\"b\"c\r\n",
            "5;a\x01\r\n",
            "5\nabcde",
            "5\r\r\n",
            "5;a\nb\r\n",
            "5\r\nabcdeXX",
            "5\r\nabcde\n0\r\n",
            "5\r\nabcde\r\r\n",
            "00000000000000005\r\n",
            "8000000000000000\r\n",
            "ffffffffffffffff\r\n",
            "0\r\n\n",
            "0\r\nX y: z\r\n\r\n",
            "0\r\n: z\r\n\r\n",
            "0\r\nX: y\n\r\n",
            "0\r\nX: \0\r\n\r\n",
            "0\r\n X: y\r\n\r\n",
            "0\r\nX\r\n\r\n",
        ] {
            for step in 1..=bad.len() {
                assert_eq!(decode(bad.as_bytes(), step), Err(Reject::Chunk), "{bad:?} by {step}");
            }
        }
    }

    /// t71.
    #[test]
    fn every_size_is_read_in_both_cases_of_letters() {
        for size in 0..=1234 {
            let content = vec![b'x'; size];
            for line in
                [format!("{size:x}\r\n"), format!("{size:X}\r\n"), format!("{size:016x}\r\n")]
            {
                let end: &[u8] = if size == 0 { b"\r\n" } else { b"\r\n0\r\n\r\n" };
                let body = [line.as_bytes(), &content, end].concat();
                assert_eq!(decode(&body, body.len()), Ok((content.clone(), body.len(), true)));
            }
        }
    }

    /// t71.
    #[test]
    fn the_largest_chunk_is_two_to_the_63_less_one() {
        assert_eq!(decode(b"7fffffffffffffff\r\nabc", 4), Ok((b"abc".to_vec(), 21, false)));
    }

    #[test]
    fn a_size_line_is_at_most_256_bytes_and_a_trailer_section_4_kib() {
        let line = |n: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(n));
        assert!(decode(line(254).as_bytes(), 64).is_ok());
        assert_eq!(decode(line(255).as_bytes(), 64), Err(Reject::Chunk));
        let trailer = |n: usize| format!("0\r\nX:{}\r\n\r\n", "y".repeat(n));
        assert!(decode(trailer(4091).as_bytes(), 64).is_ok());
        assert_eq!(decode(trailer(5000).as_bytes(), 64), Err(Reject::Chunk));
    }

    /// t76, t77.
    #[test]
    fn tiny_chunks_with_long_extensions_run_out_of_allowance() {
        let chunk = format!("1;{}\r\nx\r\n", "e".repeat(200));
        assert_eq!(decode(chunk.repeat(200).as_bytes(), 1000), Err(Reject::Chunk));
        let plain = "1\r\nx\r\n".repeat(1 << 20);
        assert_eq!(decode(plain.as_bytes(), 1000).unwrap().0.len(), 1 << 20);
    }

    /// t68.
    #[test]
    fn what_the_encoder_writes_the_decoder_reads() {
        for len in [1, 9, 15, 16, 255, 256, 4095, 4096, 65_535, 65_536] {
            let content = vec![b'x'; len];
            let mut out = b"head".to_vec();
            out.extend_from_slice(&content);
            close_chunk(&mut out, 4);
            assert!(out.len() <= 4 + len + CHUNK_ROOM);
            assert!(out[4..].starts_with(format!("{len:x}\r\n").as_bytes()));
            let trailer_lines: &[u8] = if len % 2 == 0 { b"" } else { b"A: b\r\nC: d\r\n" };
            end_body(&mut out, trailer_lines);
            let mut trailers = Vec::new();
            let decoded = decode_all(&out[4..], 777, &mut trailers).unwrap();
            assert_eq!(decoded, (content, out.len() - 4, true));
            assert_eq!(trailers, trailer_lines);
        }
        let mut empty = b"head".to_vec();
        close_chunk(&mut empty, 4);
        assert_eq!(empty, b"head");
    }
}
