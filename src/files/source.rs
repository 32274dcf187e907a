//! [`Source`]: the bytes that are sent, in an open file or in memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use crate::message::body::Body;

#[derive(Debug)]
pub(super) enum Source {
    File(File),
    Bytes(Bytes),
}

impl Source {
    /// Reads bytes from `offset` on. `Ok(0)` if there are none.
    pub(super) fn read_at(&self, room: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Source::File(file) => file.read_at(room, offset),
            Source::Bytes(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
                let rest = rest.unwrap_or_default();
                let len = rest.len().min(room.len());
                room[..len].copy_from_slice(&rest[..len]);
                Ok(len)
            }
        }
    }

    /// Returns a body of a range that lies within the source.
    pub(super) fn into_body(self, range: Range<u64>) -> Body {
        match self {
            Source::File(file) => Body::file_range(file, range),
            // The length of a slice fits into `usize`.
            Source::Bytes(bytes) => {
                Body::from(bytes.slice(range.start as usize..range.end as usize))
            }
        }
    }
}
