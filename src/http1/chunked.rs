//! The chunked transfer coding (RFC 9112, section 7.1), decoder and encoder side by side.
//!
//! ```text
//! chunked-body = *chunk last-chunk trailer-section CRLF
//! chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//! last-chunk   = 1*"0" [ chunk-ext ] CRLF
//! chunk-ext    = *( ";" token [ "=" ( token / quoted-string ) ] )
//! ```
//!
//! The decoder is strict where leniency has been a vulnerability elsewhere: CRLF only, no white
//! space around the size, at most 16 digits and 2^63 - 1, short extensions that follow the grammar,
//! and a bound on the overhead per byte of content.

use std::ops::Range;

use crate::http1::trailer_section::TrailerScan;
use crate::http1::Reject;
use crate::message::fields::{is_token_byte, is_value_byte};

/// The longest chunk-size line with its extensions. Real ones have 3 to 6 bytes.
const LINE_BYTES_MAX: u16 = 256;
/// The most bytes that a chunked body may have beyond its content: size lines add to the count and
/// content reduces it, as in Go since CVE-2023-39326.
const OVERHEAD_BYTES_MAX: u32 = 16 << 10;
/// The bytes of a size line that are not counted as overhead.
const OVERHEAD_FREE: u64 = 16;

/// Decodes a chunked body, in pieces of any size.
///
/// Invariant: `left` is the rest of the current chunk, and not 0 in `Data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoder {
    left: u64,
    overhead: u32,
    /// Bytes of the current size line so far, without its CRLF.
    line: u16,
    place: Place,
}

/// The part of the body that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A size, after this many digits.
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
    Trailers(TrailerScan),
}

/// A finding of the decoder in its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A piece of content, at this place in the input.
    Piece(Range<usize>),
    /// More input is needed. The unused input is the beginning of a trailer section, and must be
    /// passed again with more after it.
    More,
    /// The body is complete. Its trailer section is at this place in the input.
    End(Range<usize>),
}

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder { left: 0, overhead: 0, line: 0, place: Place::Size(0) }
    }

    /// Decodes bytes from the start of `input`. Returns the number of bytes used, and the finding.
    /// It must not be called again after the end.
    ///
    /// # Errors
    ///
    /// [`Reject::Chunk`] for a malformed body.
    pub(crate) fn decode(&mut self, input: &[u8]) -> Result<(usize, Decoded), Reject> {
        let mut at = 0;
        loop {
            if let Place::Trailers(scan) = &mut self.place {
                return Ok(match scan.advance(&input[at..])? {
                    Some(len) => (at + len, Decoded::End(at..at + len - b"\r\n".len())),
                    None => (at, Decoded::More),
                });
            }
            let Some(&byte) = input.get(at) else { return Ok((at, Decoded::More)) };
            if self.place == Place::Data {
                let end = at + self.take_data(input.len() - at);
                return Ok((end, Decoded::Piece(at..end)));
            }
            self.place = self.step(byte)?;
            at += 1;
        }
    }

    /// Returns a lower bound of the content still to come: the rest of the current chunk.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Takes as many as possible of `available` bytes of data. Returns their number.
    fn take_data(&mut self, available: usize) -> usize {
        let len = self.left.min(available as u64);
        self.left -= len;
        if self.left == 0 {
            self.place = Place::DataCr;
        }
        len as usize
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
            (Place::SizeLf, b'\n') => self.end_size_line(),
            (Place::DataCr, b'\r') => Ok(Place::DataLf),
            (Place::DataLf, b'\n') => Ok(Place::Size(0)),
            _ => Err(Reject::Chunk),
        }
    }

    /// Bounds the size line that `byte` belongs to.
    fn count_line(&mut self, byte: u8) -> Result<(), Reject> {
        // The end of a line may come after the longest line, and data has an end but is not a line.
        if matches!(byte, b'\r' | b'\n') || matches!(self.place, Place::DataCr | Place::DataLf) {
            return Ok(());
        }
        self.line += 1;
        if self.line > LINE_BYTES_MAX {
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

    fn end_size_line(&mut self) -> Result<Place, Reject> {
        let paid = (self.left.saturating_mul(2)).saturating_add(OVERHEAD_FREE);
        let paid = u32::try_from(paid).unwrap_or(u32::MAX);
        self.overhead = (self.overhead + u32::from(self.line) + 2).saturating_sub(paid);
        if self.overhead > OVERHEAD_BYTES_MAX {
            return Err(Reject::Chunk);
        }
        self.line = 0;
        Ok(match self.left {
            0 => Place::Trailers(TrailerScan::new()),
            _ => Place::Data,
        })
    }
}

/// The most bytes that frame one chunk: 8 hex digits and two CRLF.
pub(crate) const CHUNK_ROOM: usize = 12;

/// Ends the chunk whose data begins at `start` in `out`: inserts the size line before the data and
/// appends CRLF. Writes nothing if there is no data, since an empty chunk would end the body.
pub(crate) fn close_chunk(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    if len == 0 {
        return;
    }
    let digits = len.checked_ilog2().map_or(1, |log| log as usize / 4 + 1);
    out.resize(out.len() + digits + 2 + 2, 0);
    out.copy_within(start..start + len, start + digits + 2);
    for (n, digit) in out[start..start + digits].iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[len >> (4 * n) & 0xf];
    }
    out[start + digits..start + digits + 2].copy_from_slice(b"\r\n");
    let end = out.len();
    out[end - 2..].copy_from_slice(b"\r\n");
}

/// The last chunk and an empty trailer section.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Ends the body: the last chunk, then the trailer section of these lines, each ended by CRLF.
pub(crate) fn end_body(out: &mut Vec<u8>, trailer_lines: &[u8]) {
    let (last_chunk, end) = LAST_CHUNK.split_at(3);
    out.extend_from_slice(last_chunk);
    out.extend_from_slice(trailer_lines);
    out.extend_from_slice(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` in segments of `step` bytes. Returns the content, the number of bytes used,
    /// and whether the body is complete.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Reject> {
        let mut trailers = Vec::new();
        decode_all(input, step, &mut trailers)
    }

    /// Does the same and also returns the trailer section.
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
    fn content_is_joined_however_it_is_cut() {
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
    fn bytes_after_the_body_are_not_consumed() {
        let (_, used, done) = decode(b"0\r\n\r\nGET /", 7).unwrap();
        assert_eq!((used, done), (5, true));
    }

    /// t81.
    #[test]
    fn a_trailer_section_is_returned_whole_however_it_is_cut() {
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
            ";x\r\n",
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
    fn sizes_are_read_with_upper_and_lower_case_digits() {
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
        assert_eq!(decode(trailer(4092).as_bytes(), 64), Err(Reject::Chunk));
    }

    /// t76, t77.
    #[test]
    fn tiny_chunks_with_long_extensions_exceed_the_allowance() {
        let chunk = format!("1;{}\r\nx\r\n", "e".repeat(200));
        assert_eq!(decode(chunk.repeat(200).as_bytes(), 1000), Err(Reject::Chunk));
        let plain = "1\r\nx\r\n".repeat(1 << 20);
        assert_eq!(decode(plain.as_bytes(), 1000).unwrap().0.len(), 1 << 20);
    }

    /// A size line costs its bytes with their CRLF, less 16, less two for each byte of content.
    #[test]
    fn content_pays_for_the_extensions_of_its_chunk_to_the_byte() {
        let chunk = |size: usize, line: usize| {
            let mut line_bytes = format!("{size:x};");
            line_bytes += &"e".repeat(line - line_bytes.len());
            format!("{line_bytes}\r\n{}\r\n", "x".repeat(size))
        };
        for size in [1, 20, 100] {
            let free = 16 + 2 * size - 2;
            let many = chunk(size, free).repeat(40_000);
            assert_eq!(decode(many.as_bytes(), 1 << 16).unwrap().0.len(), 40_000 * size);
            // Each chunk costs one byte, and 16 KiB are allowed.
            let costly = chunk(size, free + 1);
            let allowed = OVERHEAD_BYTES_MAX as usize;
            assert!(decode(costly.repeat(allowed).as_bytes(), 1 << 16).is_ok(), "{size}");
            let refused = decode(costly.repeat(allowed + 1).as_bytes(), 1 << 16);
            assert_eq!(refused, Err(Reject::Chunk), "{size}");
        }
    }

    /// Content that was paid for earlier cannot be used again: it only makes up for the lines that
    /// came before it.
    #[test]
    fn content_does_not_pay_for_later_extensions() {
        let large = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
        let costly = format!("1;{}\r\nx\r\n", "e".repeat(200));
        assert!(decode(costly.repeat(80).as_bytes(), 1 << 16).is_ok());
        let before = format!("{large}{}", costly.repeat(100));
        assert_eq!(decode(before.as_bytes(), 1 << 16), Err(Reject::Chunk));
        let between = format!("{}{large}{0}", costly.repeat(80));
        assert!(decode(between.as_bytes(), 1 << 16).is_ok());
    }

    /// t68.
    #[test]
    fn the_decoder_reads_the_output_of_the_encoder() {
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
