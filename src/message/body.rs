//! The content of an answer (RFC 9110, section 6.4): bytes at hand, a part of a file, or made piece
//! by piece by a [`Produce`].
//!
//! How content is framed and sent is not known here; a producer sees room and nothing else.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::time::Duration;

use bytes::Bytes;

use crate::message::trailers::Trailers;
use crate::waker::Waker;

/// The content of an answer.
pub enum Body {
    /// No content: `Content-Length: 0` where a length may stand.
    Empty,
    /// Bytes compiled into the program: never copied if they are many.
    Static(&'static [u8]),
    /// Shared bytes: many answers may hold the same without a copy.
    Bytes(Bytes),
    /// A part of an open file, sent by the kernel without passing through the process where
    /// there is `sendfile`. A file that shrinks meanwhile ends in a reset, never in a short
    /// answer that looks complete.
    File(FileBody),
    /// Content made piece by piece, asked for only when there is room.
    Produce(ProduceBody),
}

/// The part of a file that an answer sends.
#[derive(Debug)]
pub struct FileBody {
    pub(crate) file: File,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// A producer with the length it promises, if it promises one.
pub struct ProduceBody {
    pub(crate) producer: Box<dyn Produce>,
    pub(crate) len: Option<u64>,
}

impl Body {
    /// `len` bytes of `file` from `offset` on.
    pub fn file(file: File, offset: u64, len: u64) -> Body {
        Body::File(FileBody { file, offset, len })
    }

    /// Content of unknown length: chunked in HTTP/1.1, ended by closing in HTTP/1.0.
    pub fn produce(producer: impl Produce + 'static) -> Body {
        Body::Produce(ProduceBody { producer: Box::new(producer), len: None })
    }

    /// Content of a length that is promised beforehand. A producer that ends short of it is an
    /// error of the program: the connection is reset and the log says so. One that has more is not
    /// asked for it.
    pub fn produce_exactly(len: u64, producer: impl Produce + 'static) -> Body {
        Body::Produce(ProduceBody { producer: Box::new(producer), len: Some(len) })
    }

    /// Content read from `reader` until its end. Reading must not block: the loop would wait.
    pub fn reader(reader: impl io::Read + 'static) -> Body {
        Body::produce(FromReader(reader))
    }

    /// The length, if it is known before the content is sent.
    pub fn len(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Static(bytes) => Some(bytes.len() as u64),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::File(file) => Some(file.len),
            Body::Produce(produce) => produce.len,
        }
    }

    /// Whether the content is known to be empty.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Body::Empty => "Empty",
            Body::Static(_) => "Static",
            Body::Bytes(_) => "Bytes",
            Body::File(_) => "File",
            Body::Produce(_) => "Produce",
        };
        f.debug_struct(kind).field("len", &self.len()).finish()
    }
}

impl fmt::Debug for ProduceBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProduceBody").field("len", &self.len).finish_non_exhaustive()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Body::Static(text.as_bytes())
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Body {
        Body::Static(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body::Bytes(text.into())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body::Bytes(bytes.into())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body::Bytes(bytes)
    }
}

impl From<Cow<'static, str>> for Body {
    fn from(text: Cow<'static, str>) -> Body {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// Makes the content of an answer, piece by piece.
///
/// The loop asks only when everything before has left and there is room for more, so a producer
/// cannot outrun its peer and nobody has to watch a high-water mark. One that waits for something
/// (another thread, an event) says so with [`Produced::Wait`] and is asked again when its
/// [`Waker`] is woken. All of it runs on the loop: it must not block.
pub trait Produce {
    /// The answer begins; `waker` has this producer asked again after a [`Produced::Wait`].
    fn start(&mut self, waker: Waker) {
        let _ = waker;
    }

    /// Puts some bytes into `out`.
    ///
    /// # Errors
    ///
    /// An error resets the connection (the peer must not take the part for the whole) and is
    /// logged.
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced>;

    /// The time of a [`Produced::Wait`] has passed and nobody woke. By default an error: who
    /// promised to wake has forgotten it.
    ///
    /// # Errors
    ///
    /// As for [`produce`](Produce::produce).
    fn expire(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        let _ = out;
        Err(io::Error::new(io::ErrorKind::TimedOut, "a producer was not woken in time"))
    }

    /// This producer waits, and the peer has ended or broken its side, now or before; it is asked
    /// once more after this. Ending its side is no cancellation (a half-closed peer reads on), so by
    /// default nothing happens; may be called more than once.
    fn peer_left(&mut self) {}

    /// The content is complete: fields to be sent behind it, where it goes out in chunks. Asked
    /// once, after [`Produced::End`] or the last byte of a promised length.
    fn put_trailers(&mut self, trailers: &mut Trailers) {
        let _ = trailers;
    }
}

/// What a producer says after a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Produced {
    /// There is more: ask again when this has left. Saying so without having written a byte is
    /// an error of the program and resets the connection.
    More,
    /// There is nothing to say now. What was put leaves; ask again when the [`Waker`] is woken
    /// (sometimes it will be asked without), and call [`Produce::expire`] if nothing was said for
    /// this long: at most a year. A wait of another length than the one before begins anew.
    /// Meanwhile the connection has no other deadline.
    Wait(Duration),
    /// That was all.
    End,
}

/// Room for content: bytes put here leave with the next write.
#[derive(Debug)]
pub struct Out<'a> {
    buffer: &'a mut Vec<u8>,
    end: usize,
}

impl<'a> Out<'a> {
    pub(crate) fn new(buffer: &'a mut Vec<u8>, room: usize) -> Self {
        let end = buffer.len() + room;
        Out { buffer, end }
    }

    /// How many bytes still fit: at least one when a producer is called.
    pub fn room(&self) -> usize {
        self.end - self.buffer.len()
    }

    /// Puts as many of `bytes` as fit and says how many that were.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        self.buffer.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// Lets `read` fill the whole room and keeps as many bytes as it says.
    ///
    /// # Errors
    ///
    /// What `read` returns.
    ///
    /// # Panics
    ///
    /// If `read` claims more bytes than it was given.
    pub fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        let start = self.buffer.len();
        self.buffer.resize(self.end, 0);
        let result = read(&mut self.buffer[start..]);
        let filled = *result.as_ref().unwrap_or(&0);
        assert!(filled <= self.end - start, "`read` claimed more bytes than there was room for");
        self.buffer.truncate(start + filled);
        result
    }
}

/// A short write is the sign to stop: `put`, as `std` knows it.
impl io::Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.put(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct FromReader<R>(R);

impl<R: io::Read> Produce for FromReader<R> {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        // Up to the end if there is room, so that the end leaves together with what is before it;
        // and in one filling, which clears all of the room.
        let mut produced = Produced::More;
        out.fill(|room| {
            let mut filled = 0;
            while filled < room.len() {
                match self.0.read(&mut room[filled..]) {
                    Ok(0) => {
                        produced = Produced::End;
                        break;
                    }
                    Ok(len) => filled += len,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(filled)
        })?;
        Ok(produced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_takes_no_more_than_there_is_room_for() {
        let mut buffer = b"head".to_vec();
        let mut out = Out::new(&mut buffer, 5);
        assert_eq!(out.put(b"abc"), 3);
        assert_eq!(out.fill(|room| io::Read::read(&mut &b"defg"[..], room)).unwrap(), 2);
        assert_eq!((out.room(), out.put(b"x")), (0, 0));
        assert_eq!(buffer, b"headabcde");
    }

    /// Gives a byte at a time and scribbles over the room behind it.
    struct Drips(Vec<usize>);

    impl io::Read for Drips {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            assert!(self.0.is_empty() || room.iter().all(|&byte| byte == b'.'), "cleared again");
            room.fill(b'.');
            self.0.push(room.len());
            Ok(usize::from(self.0.len() <= 3))
        }
    }

    /// Else a reader of small pieces would cost the square of the room.
    #[test]
    fn the_room_for_a_reader_is_cleared_once_however_little_it_reads() {
        let (mut buffer, mut reader) = (Vec::new(), FromReader(Drips(Vec::new())));
        let produced = reader.produce(&mut Out::new(&mut buffer, 5)).unwrap();
        assert_eq!((&buffer[..], produced), (&b"..."[..], Produced::End));
        assert_eq!(reader.0 .0, [5, 4, 3, 2]);
    }
}
