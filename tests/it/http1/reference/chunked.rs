//! The chunked transfer coding (RFC 9112, section 7.1).
//!
//! ```text
//! chunked-body   = *chunk last-chunk trailer-section CRLF
//! chunk          = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//! chunk-size     = 1*HEXDIG
//! last-chunk     = 1*("0") [ chunk-ext ] CRLF
//! chunk-ext      = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//! chunk-ext-val  = token / quoted-string
//! ```

use super::differences::Difference;
use super::reader::{is_blank, is_tchar, Match, Reader, Stop, BAD};

const LINE_BYTES_MAX: usize = 256;
const OVERHEAD_BYTES_MAX: u128 = 16 << 10;
const TRAILER_BYTES_MAX: usize = 4 << 10;
const TRAILER_LINES_MAX: usize = 64;

/// Reads a whole body. Returns its content, and its number of bytes on the wire.
pub(crate) fn body(reader: &mut Reader<'_>) -> Match<(Vec<u8>, usize)> {
    let (mut content, mut overhead) = (Vec::new(), 0u128);
    loop {
        let line_start = reader.at;
        // The rules of a line need not know how long it may be: they get no more of it.
        let size = bounded(reader, |reader| {
            let size = chunk_size(reader)?;
            chunk_ext(reader)?;
            Ok(size)
        })?;
        reader.crlf()?;
        let line = (reader.at - line_start) as u128;
        overhead = (overhead + line).saturating_sub(2 * size + 16);
        if overhead > OVERHEAD_BYTES_MAX && reader.differs(Difference::ChunkOverhead) {
            return Err(BAD);
        }
        if size == 0 {
            trailer_section(reader)?;
            return Ok((content, reader.at));
        }
        for _ in 0..size {
            content.push(reader.one(|_| true)?);
        }
        reader.crlf()?;
    }
}

/// Reads a part of a size line; its bytes count up to the CR.
fn bounded<T>(reader: &mut Reader<'_>, read: impl FnOnce(&mut Reader<'_>) -> Match<T>) -> Match<T> {
    if !reader.differs(Difference::LongChunkLine) {
        return read(reader);
    }
    let rest = &reader.input[reader.at..];
    let line = &rest[..rest.len().min(LINE_BYTES_MAX + 1)];
    let mut part = Reader::new(line, reader.differences());
    let result = read(&mut part);
    reader.at += part.at;
    // One byte more than a line may have was read, and it is not the CR.
    if part.at > LINE_BYTES_MAX {
        return Err(BAD);
    }
    result
}

fn chunk_size(reader: &mut Reader<'_>) -> Match<u128> {
    let (mut size, mut digits) = (0u128, 0);
    loop {
        let next = reader.peek()?;
        if !next.is_ascii_hexdigit() {
            return if digits > 0 { Ok(size) } else { Err(BAD) };
        }
        let digit = char::from(next).to_digit(16).unwrap();
        size = size.saturating_mul(16).saturating_add(u128::from(digit));
        digits += 1;
        let is_large = digits > 16 || size >= 1 << 63;
        if is_large && reader.differs(Difference::LongChunkSize) {
            return Err(BAD);
        }
        reader.at += 1;
    }
}

fn chunk_ext(reader: &mut Reader<'_>) -> Match<()> {
    loop {
        white_space(reader)?;
        if reader.peek()? != b';' {
            return Ok(());
        }
        reader.byte(b';')?;
        white_space(reader)?;
        reader.token()?;
        white_space(reader)?;
        if reader.peek()? != b'=' {
            continue;
        }
        reader.byte(b'=')?;
        white_space(reader)?;
        match reader.peek()? {
            b'"' => reader.quoted_string()?,
            _ => drop(reader.token()?),
        }
    }
}

/// `BWS`, which a recipient must parse (RFC 9110, section 5.6.3).
fn white_space(reader: &mut Reader<'_>) -> Match<()> {
    match reader.differs(Difference::SpaceInChunkLine) {
        true => Ok(()),
        false => reader.many(is_blank).map(drop),
    }
}

/// `trailer-section = *( field-line CRLF )` and the CRLF after it.
fn trailer_section(reader: &mut Reader<'_>) -> Match<()> {
    let rest = &reader.input[reader.at..];
    // The last LF is not counted.
    let bound = match reader.differs(Difference::LongTrailerSection) {
        true => TRAILER_BYTES_MAX + 1,
        false => rest.len() + 1,
    };
    let mut part = Reader::new(&rest[..rest.len().min(bound)], reader.differences());
    let (start, mut lines) = (reader.at, 0);
    let result = loop {
        let next = match part.peek() {
            Ok(next) => next,
            Err(stop) => break Err(stop),
        };
        if next == b'\r' {
            break part.crlf();
        }
        lines += 1;
        let is_over = lines > TRAILER_LINES_MAX && part.differs(Difference::LongTrailerSection);
        if is_over && is_tchar(next) {
            break Err(BAD);
        }
        if let Err(stop) = part.field_line().and_then(|_| part.crlf()) {
            break Err(stop);
        }
    };
    reader.at = start + part.at;
    match result {
        Err(Stop::End) if rest.len() >= bound => Err(BAD),
        result => result,
    }
}
