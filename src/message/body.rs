//! [`Body`], the content of a response (RFC 9110, section 6.4): bytes at hand, a part of a file, or
//! pieces made by a [`Produce`].
//!
//! Framing and sending happen elsewhere; a producer sees room and nothing else.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::message::trailers::Trailers;
use crate::waker::Waker;

/// The content of a response.
///
/// Most content comes from a conversion: text, bytes and [`Bytes`] are a `Body` each. Others are a
/// file, a [`Produce`] that makes the content piece by piece, or the end of a channel.
///
/// ```
/// use wheelhouse::Body;
///
/// let page = Body::from("hello\n");
/// assert_eq!(page.content_length(), Some(6));
/// assert_eq!(Body::from_reader(&b"unknown"[..]).content_length(), None);
/// ```
#[derive(Default)]
pub struct Body(pub(crate) Source);

/// The places that content comes from.
#[derive(Default)]
pub(crate) enum Source {
    #[default]
    Empty,
    /// Content that a GET would have, of this length if it is known, and that is not made for a HEAD.
    Omitted(Option<u64>),
    /// Bytes compiled into the program: never copied if they are many.
    Static(&'static [u8]),
    /// Shared bytes: many responses may hold the same without a copy.
    Bytes(Bytes),
    File(FilePart),
    Produce(Producer),
}

/// The part of a file that a response sends.
#[derive(Debug)]
pub(crate) struct FilePart {
    pub(crate) file: File,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// A producer with the length it promises, if it promises one.
pub(crate) struct Producer {
    pub(crate) producer: Box<dyn Produce + Send>,
    pub(crate) len: Option<u64>,
}

impl Body {
    /// Creates a body without content. The response has `Content-Length: 0` where it may have a
    /// length.
    pub const fn empty() -> Body {
        Body(Source::Empty)
    }

    /// Creates the body of a response to `HEAD` without making its content: `length` is the length that
    /// the response to a `GET` would have, if that is known.
    ///
    /// A handler may respond to `HEAD` as to `GET`, since the server leaves the content out. A handler
    /// whose content is expensive does less:
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Body, Method, Request, Response};
    ///
    /// let mut sim = Sim::new(|req: &Request<'_>| match *req.method() {
    ///     Method::HEAD => Response::ok("text/plain", Body::omitted(Some(3_000_000))),
    ///     _ => Response::ok("text/plain", "x\n\n".repeat(1_000_000)),
    /// });
    /// assert_eq!(sim.request("HEAD", "/").send().header("Content-Length"), Some("3000000"));
    /// ```
    ///
    /// Sent to another method with a status that has content, it is an error of the program: a 500
    /// with a line in the log.
    #[doc(alias = "HEAD")]
    pub const fn omitted(length: Option<u64>) -> Body {
        Body(Source::Omitted(length))
    }

    /// Creates a body of the whole `file`, from its first byte to its present length. Where there
    /// is `sendfile`, the kernel sends it without a copy through the process.
    ///
    /// If the file shrinks meanwhile, the connection is reset, so that no short response looks
    /// complete.
    ///
    /// # Errors
    ///
    /// The error of reading the length of the file.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io;
    /// use wheelhouse::{Body, Request, Response};
    ///
    /// fn logo(_: &Request<'_>) -> io::Result<Response> {
    ///     Ok(Response::ok("image/png", Body::file(File::open("logo.png")?)?))
    /// }
    /// # let _ = logo;
    /// ```
    #[doc(alias = "sendfile")]
    pub fn file(file: File) -> io::Result<Body> {
        let len = file.metadata()?.len();
        Ok(Body::file_range(file, 0..len))
    }

    /// Creates a body of the bytes `range` of `file`, sent as [`file`](Body::file) sends them. A
    /// range that ends before it starts is empty. If it goes beyond the end of the file, the
    /// connection is reset.
    pub fn file_range(file: File, range: Range<u64>) -> Body {
        let len = range.end.saturating_sub(range.start);
        Body(Source::File(FilePart { file, offset: range.start, len }))
    }

    /// Creates a body of unknown length: chunked in HTTP/1.1, ended by closing in HTTP/1.0.
    #[doc(alias("chunked", "stream"))]
    pub fn produce(producer: impl Produce + Send + 'static) -> Body {
        Body(Source::Produce(Producer { producer: Box::new(producer), len: None }))
    }

    /// Creates a body of exactly `len` bytes.
    ///
    /// A producer that ends with fewer bytes is an error of the program: the connection is reset
    /// and the reason is logged. A producer that has more bytes is not asked for them.
    pub fn produce_exactly(len: u64, producer: impl Produce + Send + 'static) -> Body {
        Body(Source::Produce(Producer { producer: Box::new(producer), len: Some(len) }))
    }

    /// Creates a body of unknown length, read from `reader` until its end. Reading must not block:
    /// the loop would wait.
    #[doc(alias = "io.Reader")]
    pub fn from_reader(reader: impl io::Read + Send + 'static) -> Body {
        Body::produce(FromReader(reader))
    }

    /// Returns the content, if it is in memory: for code that changes or tests responses. `None` for
    /// a file, for content that is made piece by piece, and for content that is omitted.
    ///
    /// ```
    /// use wheelhouse::Response;
    ///
    /// assert_eq!(Response::text("hello\n").body().as_bytes(), Some(&b"hello\n"[..]));
    /// ```
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Source::Empty => Some(&[]),
            Source::Static(bytes) => Some(bytes),
            Source::Bytes(bytes) => Some(bytes),
            Source::Omitted(_) | Source::File(_) | Source::Produce(_) => None,
        }
    }

    /// Returns the length in bytes, if it is known before the content is sent.
    pub fn content_length(&self) -> Option<u64> {
        match &self.0 {
            Source::Empty => Some(0),
            Source::Omitted(length) => *length,
            Source::Static(bytes) => Some(bytes.len() as u64),
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::File(file) => Some(file.len),
            Source::Produce(produce) => produce.len,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.0 {
            Source::Empty => "empty",
            Source::Omitted(_) => "omitted",
            Source::Static(_) => "static",
            Source::Bytes(_) => "bytes",
            Source::File(_) => "file",
            Source::Produce(_) => "producer",
        };
        f.debug_struct("Body")
            .field("source", &source)
            .field("content_length", &self.content_length())
            .finish()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Body(Source::Static(text.as_bytes()))
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Body {
        Body(Source::Static(bytes))
    }
}

impl<const N: usize> From<&'static [u8; N]> for Body {
    fn from(bytes: &'static [u8; N]) -> Body {
        Body(Source::Static(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body(Source::Bytes(text.into()))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body(Source::Bytes(bytes.into()))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body(Source::Bytes(bytes))
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

/// Makes the content of a response, piece by piece.
///
/// The loop asks only when all earlier bytes have left and there is room for more, so a producer
/// cannot outrun its client. A producer that waits for something (another thread, an event) returns
/// [`Produced::Wait`] and is asked again when its [`Waker`] is woken. All methods run on the loop
/// and must not block. Producers are `Send`, so that another thread can make a response.
///
/// ```
/// use std::io;
/// use wheelhouse::body::{Out, Produce, Produced};
/// use wheelhouse::{Body, Request, Response};
///
/// /// Counts down to 1, a line each.
/// struct Countdown(u32);
///
/// impl Produce for Countdown {
///     fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
///         while self.0 > 0 && out.put_all(format!("{}\n", self.0).as_bytes()) {
///             self.0 -= 1;
///         }
///         Ok(if self.0 == 0 { Produced::End } else { Produced::More })
///     }
/// }
///
/// fn launch(_: &Request<'_>) -> Response {
///     Response::ok("text/plain", Body::produce(Countdown(3)))
/// }
/// # let mut sim = wheelhouse::sim::Sim::new(launch);
/// # let c = sim.connect_and_send(b"GET / HTTP/1.0\r\n\r\n");
/// # assert!(sim.received(c).ends_with(b"\r\n\r\n3\n2\n1\n"));
/// ```
pub trait Produce {
    /// Starts the producer: the response begins. `waker` has it asked again after a
    /// [`Produced::Wait`].
    fn start(&mut self, waker: Waker) {
        let _ = waker;
    }

    /// Puts some bytes into `out`.
    ///
    /// # Errors
    ///
    /// An error is logged and resets the connection: the client must not take an incomplete
    /// response for a complete one.
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced>;

    /// Handles a [`Produced::Wait`] whose time has passed without a wake-up. By default this is an
    /// error: the program has forgotten to wake the producer.
    ///
    /// # Errors
    ///
    /// As for [`produce`](Produce::produce).
    fn expire(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        let _ = out;
        Err(io::Error::new(io::ErrorKind::TimedOut, "a producer was not woken in time"))
    }

    /// Notifies a waiting producer that the client has ended or broken its side of the connection.
    /// The producer is asked once more afterwards. This may be called more than once. A half-closed
    /// client still reads, so the end of its side cancels nothing, and by default nothing happens. If
    /// the client has broken the connection, the producer is dropped after that.
    fn peer_left(&mut self) {}

    /// Notifies the producer that the client is slow: bytes that were put have waited for a tenth of a
    /// second, because the socket is full. This is called in each visit that finds that, and a
    /// [`Waker`] causes a visit. The producer is asked again when all of the bytes have left. By
    /// default nothing happens.
    fn stalled(&mut self) {}

    /// Notifies the producer that the server shuts down gracefully. It should end soon, since a
    /// connection that is still open after
    /// [`Limits::shutdown_timeout`](crate::Limits::shutdown_timeout) is reset. This is called once.
    /// The producer is asked again afterwards, also in a [`Produced::Wait`]. By default nothing
    /// happens.
    fn shutdown(&mut self) {}

    /// Puts the trailer fields, which are sent after content in chunks. This is called once, after
    /// [`Produced::End`] or the last byte of a promised length.
    ///
    /// # Errors
    ///
    /// As for [`produce`](Produce::produce). A [`FieldError`](crate::FieldError) is such an error,
    /// so `?` works on [`Trailers::append`].
    fn put_trailers(&mut self, trailers: &mut Trailers) -> io::Result<()> {
        let _ = trailers;
        Ok(())
    }
}

/// The state of a producer after a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Produced {
    /// There is more content: the producer is asked again when this piece has left. A piece without
    /// a byte is an error of the program and resets the connection.
    More,
    /// There is no more content at present. The bytes that were put leave. The producer is asked
    /// again when its [`Waker`] is woken, and sometimes without that. If it puts no byte for this
    /// time, at most a year, [`Produce::expire`] is called. The time begins anew after each output,
    /// and with a wait of another length than the one before. Meanwhile the connection has no other
    /// deadline.
    Wait(Duration),
    /// The content is complete.
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

    /// Returns the number of bytes that still fit: at least one when a producer is called.
    pub fn room(&self) -> usize {
        self.end - self.buffer.len()
    }

    /// Puts as many of `bytes` as fit and returns their number.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        self.buffer.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// Puts all of `bytes`, or none of them if they do not fit. Returns whether they fit.
    ///
    /// The room of one call is at most 64 KiB. A larger piece never fits: a producer has to put it
    /// in parts.
    #[must_use = "bytes that do not fit are not put: check the result"]
    pub fn put_all(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= self.room();
        if fits {
            self.buffer.extend_from_slice(bytes);
        }
        fits
    }

    /// Lets `read` fill the whole room and keeps as many bytes as it returns.
    ///
    /// # Errors
    ///
    /// The error that `read` returns.
    ///
    /// # Panics
    ///
    /// If `read` returns a larger number than the length of its slice.
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

/// Writes as [`put`](Out::put) does: a short write is the sign to stop.
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
        // Reads up to the end if there is room, so that the end leaves together with the bytes
        // before it. One call of `fill` is enough, and clears the room only once.
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
    fn out_takes_only_as_many_bytes_as_there_is_room_for() {
        let mut buffer = b"head".to_vec();
        let mut out = Out::new(&mut buffer, 5);
        assert_eq!(out.put(b"abc"), 3);
        assert_eq!(out.fill(|room| io::Read::read(&mut &b"defg"[..], room)).unwrap(), 2);
        assert_eq!((out.room(), out.put(b"x")), (0, 0));
        assert_eq!(buffer, b"headabcde");
    }

    #[test]
    fn a_piece_is_put_completely_or_not_at_all() {
        let mut buffer = b"head".to_vec();
        let mut out = Out::new(&mut buffer, 3);
        assert!(!out.put_all(b"abcd") && out.put_all(b"ab") && !out.put_all(b"cd"));
        assert_eq!((out.room(), out.put_all(b"c"), out.put_all(b"")), (1, true, true));
        assert_eq!(buffer, b"headabc");
    }

    #[test]
    fn a_body_is_send_and_has_its_length_if_it_is_known() {
        fn is_send<T: Send>(_: &T) {}
        let table = [
            (Body::empty(), Some(0)),
            (Body::default(), Some(0)),
            (Body::from(b"array"), Some(5)),
            (Body::from("text"), Some(4)),
            (Body::from(vec![0; 3]), Some(3)),
            (Body::from_reader(io::empty()), None),
            (Body::produce_exactly(7, FromReader(io::empty())), Some(7)),
        ];
        for (body, length) in table {
            is_send(&body);
            assert_eq!(body.content_length(), length, "{body:?}");
        }
    }

    #[test]
    fn a_file_is_sent_as_a_whole_or_in_a_range_that_cannot_be_negative() {
        let file = || File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        let len = file().metadata().unwrap().len();
        assert_eq!(Body::file(file()).unwrap().content_length(), Some(len));
        assert_eq!(Body::file_range(file(), 2..9).content_length(), Some(7));
        let backwards = Range { start: 9, end: 2 };
        assert_eq!(Body::file_range(file(), backwards).content_length(), Some(0));
    }

    /// Reads one byte at a time and overwrites the room after it.
    struct Drips(Vec<usize>);

    impl io::Read for Drips {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            assert!(self.0.is_empty() || room.iter().all(|&byte| byte == b'.'), "cleared again");
            room.fill(b'.');
            self.0.push(room.len());
            Ok(usize::from(self.0.len() <= 3))
        }
    }

    /// Otherwise a reader of small pieces would take quadratic time.
    #[test]
    fn the_room_for_a_reader_is_cleared_once_however_little_it_reads() {
        let (mut buffer, mut reader) = (Vec::new(), FromReader(Drips(Vec::new())));
        let produced = reader.produce(&mut Out::new(&mut buffer, 5)).unwrap();
        assert_eq!((&buffer[..], produced), (&b"..."[..], Produced::End));
        assert_eq!(reader.0 .0, [5, 4, 3, 2]);
    }
}
