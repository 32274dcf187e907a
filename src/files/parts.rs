//! Several ranges in one response: `multipart/byteranges` (RFC 9110, section 14.6). The content is
//! made piece by piece from the open file; its length is known before the first byte.

use std::collections::hash_map::RandomState;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::io;

use crate::files::ranges::Range;
use crate::files::source::Source;
use crate::message::body::{Body, Out, Produce, Produced};

/// Returns the value of `Content-Type`, which contains the boundary, and the content.
pub(super) fn multipart(source: Source, ranges: &[Range], len: u64, kind: &str) -> (String, Body) {
    let boundary = boundary();
    let mut pieces = VecDeque::with_capacity(2 * ranges.len() + 1);
    for (at, range) in ranges.iter().enumerate() {
        let head = format!(
            "{}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {}\r\n\r\n",
            if at == 0 { "" } else { "\r\n" },
            range.content_range(len),
        );
        pieces.push_back(Piece::Text(head.into_bytes()));
        pieces.push_back(Piece::File(*range));
    }
    pieces.push_back(Piece::Text(format!("\r\n--{boundary}--\r\n").into_bytes()));
    // The sum is at most the file and `ranges_max` short heads: far below 2^64.
    let total = pieces.iter().map(Piece::len).sum();
    let body = Body::produce_exactly(total, Parts { source, pieces });
    (format!("multipart/byteranges; boundary={boundary}"), body)
}

/// Returns 128 random bits as hexadecimal digits. The author of a file cannot predict them, so no
/// file can contain the boundary and pretend to be several parts.
fn boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

struct Parts {
    source: Source,
    pieces: VecDeque<Piece>,
}

/// The rest of a text or of a range that is still to be sent. Invariant: never empty.
enum Piece {
    Text(Vec<u8>),
    File(Range),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Piece::Text(text) => text.len() as u64,
            Piece::File(range) => range.len,
        }
    }
}

impl Produce for Parts {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        while out.room() > 0 {
            let Some(piece) = self.pieces.front_mut() else { return Ok(Produced::End) };
            let is_done = match piece {
                Piece::Text(text) => {
                    let put = out.put(text);
                    text.drain(..put);
                    text.is_empty()
                }
                Piece::File(range) => {
                    let most = usize::try_from(range.len).unwrap_or(usize::MAX);
                    let source = &self.source;
                    let read = out.fill(|room| {
                        let most = most.min(room.len());
                        source.read_at(&mut room[..most], range.start)
                    })?;
                    if read == 0 {
                        return Err(io::Error::other("the file is shorter than it was"));
                    }
                    range.start += read as u64;
                    range.len -= read as u64;
                    range.len == 0
                }
            };
            if is_done {
                self.pieces.pop_front();
            }
        }
        Ok(if self.pieces.is_empty() { Produced::End } else { Produced::More })
    }
}
