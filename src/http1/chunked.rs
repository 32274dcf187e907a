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

use crate::fields::{is_token_byte, is_value_byte};
use crate::http1::Reject;

/// The longest chunk-size line with its extensions. Real ones have 3 to 6 bytes.
const LINE_BYTES_MAX: u16 = 256;
/// How much more than content a chunked body may carry: size lines are counted, content counts
/// against them, as in Go since CVE-2023-39326.
const OVERHEAD_BYTES_MAX: u32 = 16 << 10;
/// What one chunk may cost without being counted as overhead.
const OVERHEAD_FREE: u64 = 16;
/// The longest trailer section.
const TRAILER_BYTES_MAX: u16 = 4 << 10;

/// Decodes a chunked body, in pieces of any size.
///
/// Invariant: `left` is the rest of the current chunk, and not 0 in `Data`; `line` counts the
/// bytes of the current size line, or of the trailer section.
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
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// What was found in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A piece of content, at this place in the input.
    Piece(Range<usize>),
    /// All of the input is used and more is needed.
    More,
    /// The body is complete; the trailer section was read and dropped.
    End,
}

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder { left: 0, overhead: 0, line: 0, place: Place::Size(0) }
    }

    /// Takes bytes from the start of `input`; says how many and what was found.
    pub(crate) fn decode(&mut self, input: &[u8]) -> Result<(usize, Decoded), Reject> {
        let mut at = 0;
        loop {
            if self.place == Place::Done {
                return Ok((at, Decoded::End));
            }
            if at == input.len() {
                return Ok((at, Decoded::More));
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
        }
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
            (Place::TrailerStart, b'\r') => Ok(Place::EndLf),
            (Place::TrailerStart | Place::TrailerName, _) if is_token_byte(byte) => {
                Ok(Place::TrailerName)
            }
            (Place::TrailerName, b':') => Ok(Place::TrailerValue),
            (Place::TrailerValue, b'\r') => Ok(Place::TrailerLf),
            (Place::TrailerValue, _) if is_value_byte(byte) => Ok(Place::TrailerValue),
            (Place::TrailerLf, b'\n') => Ok(Place::TrailerStart),
            (Place::EndLf, b'\n') => Ok(Place::Done),
            _ => Err(Reject::Chunk),
        }
    }

    /// Bounds the line that `byte` belongs to; the CRLF after data is no line.
    fn count_line(&mut self, byte: u8) -> Result<(), Reject> {
        let max = match self.place {
            Place::DataCr | Place::DataLf => return Ok(()),
            Place::TrailerStart | Place::TrailerName | Place::TrailerValue | Place::TrailerLf => {
                TRAILER_BYTES_MAX
            }
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
            return Ok(self.next_line(Place::TrailerStart));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` in segments of `step` bytes; the content and the bytes left over.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Reject> {
        let (mut decoder, mut content, mut used) = (Decoder::new(), Vec::new(), 0);
        let mut end = 0;
        loop {
            let (n, decoded) = decoder.decode(&input[used..end])?;
            match decoded {
                Decoded::Piece(range) => content.extend_from_slice(&input[used..][range]),
                Decoded::End => return Ok((content, used + n, true)),
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
        let plain = "1\r\nx\r\n".repeat(1 << 16);
        assert_eq!(decode(plain.as_bytes(), 1000).unwrap().0.len(), 1 << 16);
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
            out.extend_from_slice(LAST_CHUNK);
            assert_eq!(decode(&out[4..], 777).unwrap(), (content, out.len() - 4, true));
        }
        let mut empty = b"head".to_vec();
        close_chunk(&mut empty, 4);
        assert_eq!(empty, b"head");
    }
}
