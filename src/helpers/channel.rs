//! Content from another thread: a bounded channel into a response.
//!
//! The bound is in bytes. A sender that is faster than its client has to wait, because the loop
//! takes bytes from the channel only when there is room for output. The bytes that wait are in the
//! budget of the loop from the beginning of the response on.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};

use crate::account::{Account, Hold};
use crate::message::body::{Body, Out, Produce, Produced};
use crate::waker::Waker;

/// The longest silence of a sender. After that the response is cut off.
const SILENCE_MAX: Duration = Duration::from_secs(300);

impl Body {
    /// Creates content of unknown length that comes from another thread, and its sender.
    ///
    /// At most `capacity` bytes wait in the channel. A longer piece is taken if the channel is
    /// empty. From the beginning of the response on, the bytes count against
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max), and while that is used up, a
    /// channel that is not empty is full. The sender must
    /// [`finish`](Sender::finish). If it is dropped before that, or sends nothing for five minutes,
    /// the connection is reset, so that the client does not take an incomplete response for a
    /// complete one.
    ///
    /// ```
    /// use std::thread;
    /// use wheelhouse::{Body, Request, Response};
    ///
    /// fn count(_: &Request<'_>) -> Response {
    ///     let (sender, body) = Body::channel(16 << 10);
    ///     thread::spawn(move || {
    ///         for n in 0..3 {
    ///             if sender.send(format!("{n}\n")).is_err() {
    ///                 return; // The client has left.
    ///             }
    ///         }
    ///         sender.finish();
    ///     });
    ///     Response::ok("text/plain", body)
    /// }
    /// # let mut sim = wheelhouse::sim::Sim::new(count);
    /// # let c = sim.connect_and_send(b"GET / HTTP/1.0\r\n\r\n");
    /// # for _ in 0..5000 {
    /// #     if !sim.is_open(c) { break }
    /// #     thread::sleep(std::time::Duration::from_millis(1));
    /// #     sim.advance(std::time::Duration::ZERO);
    /// # }
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\n0\n1\n2\n"));
    /// ```
    #[doc(alias("Flusher", "stream"))]
    pub fn channel(capacity: usize) -> (Sender, Body) {
        let (sender, receiver) = pipe(capacity, None);
        (sender, Body::produce(receiver))
    }

    /// Creates content of exactly `len` bytes that comes from another thread, and its sender: see
    /// [`channel`](Body::channel). It is sent with `Content-Length` instead of in chunks.
    ///
    /// After `len` bytes the content is complete, and no [`finish`](Sender::finish) is needed. If the
    /// sender finishes before that, the connection is reset and the reason is logged. If it sends
    /// more, the bytes over the length are not sent, and the channel is closed.
    pub fn channel_exactly(len: u64, capacity: usize) -> (Sender, Body) {
        let (sender, receiver) = pipe(capacity, Some(len));
        (sender, Body::produce_exactly(len, receiver))
    }
}

fn pipe(capacity: usize, left: Option<u64>) -> (Sender, Receiver) {
    let pipe = Arc::new(Pipe { capacity, inner: Mutex::default(), has_room: Condvar::new() });
    let receiver = Receiver { pipe: Arc::clone(&pipe), left };
    (Sender { pipe }, receiver)
}

/// The sender of content that comes from another thread: see [`Body::channel`].
///
/// It implements [`io::Write`]. A write sends all of its bytes as one piece and waits while the
/// channel is full. It fails with [`io::ErrorKind::BrokenPipe`] if the other end is closed.
///
/// ```
/// use std::io::{self, Write};
/// use wheelhouse::body::Sender;
///
/// /// The work of a thread.
/// fn list(mut sender: Sender) -> io::Result<()> {
///     for n in 0..3 {
///         writeln!(sender, "{n}")?;
///     }
///     sender.finish();
///     Ok(())
/// }
/// # let (sender, body) = wheelhouse::Body::channel(100);
/// # list(sender).unwrap();
/// # drop(body);
/// ```
#[doc(alias = "Flusher")]
#[must_use = "a sender that is dropped before `finish` resets the connection"]
pub struct Sender {
    pipe: Arc<Pipe>,
}

struct Pipe {
    capacity: usize,
    inner: Mutex<Inner>,
    /// Notified when bytes were taken, and when the receiver is gone.
    has_room: Condvar,
}

#[derive(Default)]
struct Inner {
    pieces: VecDeque<Bytes>,
    /// The sum of the lengths of `pieces`.
    len: usize,
    end: End,
    receiver_is_gone: bool,
    peer_has_left: bool,
    waker: Option<Waker>,
    /// Counts `len` in the budget, from the beginning of the response on.
    hold: Option<Hold>,
}

impl Inner {
    /// Sets the number of bytes that wait.
    fn set_len(&mut self, len: usize) {
        self.len = len;
        if let Some(hold) = &mut self.hold {
            hold.set(len);
        }
    }
}

/// The state of the sender's side.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Finished,
    /// The sender was dropped before it had finished.
    Broken,
}

/// The reason why a piece was not sent, with the piece.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The channel is full at present.
    Full(Bytes),
    /// The other end is closed: the connection or the server is gone.
    Closed(Bytes),
}

impl Sender {
    /// Sends one piece, and waits while the channel is full.
    ///
    /// Handlers and other code on the loop must not call this function. The loop empties the
    /// channel, so it would wait for itself. Such code uses [`try_send`](Sender::try_send).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the other end is closed.
    pub fn send(&self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        let mut piece = piece.into();
        let mut inner = self.pipe.lock();
        loop {
            match self.pipe.push(&mut inner, piece) {
                Err(SendError::Full(back)) => piece = back,
                Ok(waker) => {
                    drop(inner);
                    wake(waker.as_ref());
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            inner = self.pipe.has_room.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sends one piece if there is room for it.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if there is no room, [`SendError::Closed`] if the other end is closed.
    pub fn try_send(&self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        let mut inner = self.pipe.lock();
        let waker = self.pipe.push(&mut inner, piece.into())?;
        drop(inner);
        wake(waker.as_ref());
        Ok(())
    }

    /// Ends the content as complete.
    pub fn finish(self) {
        self.pipe.end(End::Finished);
    }

    /// Returns whether the client has ended its side. It may still read; see
    /// [`Later::peer_has_left`](crate::Later::peer_has_left).
    pub fn peer_has_left(&self) -> bool {
        self.pipe.lock().peer_has_left
    }
}

impl io::Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Bytes::copy_from_slice(bytes)).map_err(io::Error::from)?;
        Ok(bytes.len())
    }

    /// Does nothing, because each write has already sent its piece.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.pipe.end(End::Broken);
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a piece into the channel. Returns the waker that the caller wakes after it has released
    /// the lock.
    fn push(&self, inner: &mut Inner, piece: Bytes) -> Result<Option<Waker>, SendError> {
        if inner.receiver_is_gone {
            return Err(SendError::Closed(piece));
        }
        let was_empty = inner.len == 0;
        let len = inner.len.saturating_add(piece.len());
        let fits = |hold: &mut Hold| hold.resize(len);
        // An empty channel takes a piece of any length, so that every sender moves on.
        if !was_empty && (len > self.capacity || !inner.hold.as_mut().is_none_or(fits)) {
            return Err(SendError::Full(piece));
        }
        inner.set_len(len);
        if !piece.is_empty() {
            inner.pieces.push_back(piece);
        }
        Ok(inner.waker.clone().filter(|_| was_empty))
    }

    fn end(&self, end: End) {
        let mut inner = self.lock();
        if inner.end == End::Open {
            inner.end = end;
        }
        let waker = inner.waker.clone();
        drop(inner);
        wake(waker.as_ref());
    }
}

fn wake(waker: Option<&Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The loop's end of the channel.
struct Receiver {
    pipe: Arc<Pipe>,
    /// The rest of the announced length, if there is one.
    left: Option<u64>,
}

impl Produce for Receiver {
    fn start(&mut self, waker: Waker) {
        let mut inner = self.pipe.lock();
        inner.hold = waker.account().map(Account::empty);
        inner.waker = Some(waker);
        let len = inner.len;
        inner.set_len(len);
    }

    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        let Receiver { pipe, left } = self;
        let inner = &mut *pipe.lock();
        let len = inner.len;
        while let Some(piece) = inner.pieces.front_mut() {
            let taken = out.put(piece);
            if taken == 0 {
                break;
            }
            piece.advance(taken);
            if piece.is_empty() {
                inner.pieces.pop_front();
            }
            inner.set_len(inner.len - taken);
        }
        pipe.has_room.notify_all();
        if is_complete(left, len - inner.len) {
            return Ok(Produced::End);
        }
        match (inner.pieces.is_empty(), inner.end) {
            (false, _) => Ok(Produced::More),
            (true, End::Open) => Ok(Produced::Wait(SILENCE_MAX)),
            (true, End::Finished) => Ok(Produced::End),
            (true, End::Broken) => {
                let message = "the sender of a channel was dropped: expected `finish` before that";
                Err(io::Error::new(io::ErrorKind::BrokenPipe, message))
            }
        }
    }

    fn peer_left(&mut self) {
        self.pipe.lock().peer_has_left = true;
    }
}

/// Returns whether an announced length, of which `left` was left, is reached with the bytes that were
/// `taken`. Then it does not matter how the sender ends.
fn is_complete(left: &mut Option<u64>, taken: usize) -> bool {
    let Some(left) = left else { return false };
    *left = left.saturating_sub(taken as u64);
    *left == 0
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut inner = self.pipe.lock();
        inner.receiver_is_gone = true;
        inner.set_len(0);
        let pieces = std::mem::take(&mut inner.pieces);
        // The destructor of a piece may be code of the program.
        drop(inner);
        drop(pieces);
        self.pipe.has_room.notify_all();
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("capacity", &self.pipe.capacity).finish_non_exhaustive()
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, piece) = match self {
            SendError::Full(piece) => ("Full", piece),
            SendError::Closed(piece) => ("Closed", piece),
        };
        write!(f, "{name}({} bytes)", piece.len())
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Full(_) => "the channel is full: try again later, or use `send`",
            SendError::Closed(_) => "the channel is closed: its connection or server is gone",
        })
    }
}

impl std::error::Error for SendError {}

/// Makes the error that a write returns: [`io::ErrorKind::WouldBlock`] or
/// [`io::ErrorKind::BrokenPipe`].
impl From<SendError> for io::Error {
    fn from(error: SendError) -> io::Error {
        let kind = match error {
            SendError::Full(_) => io::ErrorKind::WouldBlock,
            SendError::Closed(_) => io::ErrorKind::BrokenPipe,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::message::body::Source;

    fn take(body: &mut Body, room: usize) -> (Vec<u8>, io::Result<Produced>) {
        let Source::Produce(produce) = &mut body.0 else { panic!("a channel is a producer") };
        let mut buffer = Vec::new();
        let produced = produce.producer.produce(&mut Out::new(&mut buffer, room));
        (buffer, produced)
    }

    #[test]
    fn pieces_are_produced_in_order_as_far_as_there_is_room() {
        let (sender, mut body) = Body::channel(100);
        sender.send("hello ").unwrap();
        sender.send("world").unwrap();
        let (bytes, produced) = take(&mut body, 8);
        assert_eq!((&bytes[..], produced.unwrap()), (&b"hello wo"[..], Produced::More));
        sender.finish();
        let (bytes, produced) = take(&mut body, 8);
        assert_eq!((&bytes[..], produced.unwrap()), (&b"rld"[..], Produced::End));
    }

    #[test]
    fn a_full_channel_returns_the_piece_and_takes_it_once_there_is_room() {
        let (sender, mut body) = Body::channel(4);
        sender.try_send("abcd").unwrap();
        assert_eq!(sender.try_send("e"), Err(SendError::Full("e".into())));
        let _ = take(&mut body, 1);
        sender.try_send("e").unwrap();
        assert_eq!(take(&mut body, 10).0, b"bcde");
    }

    #[test]
    fn a_piece_larger_than_the_channel_is_sent_alone() {
        let (sender, mut body) = Body::channel(2);
        sender.try_send("abcd").unwrap();
        assert!(sender.try_send("e").is_err());
        assert_eq!(take(&mut body, 10).0, b"abcd");
        sender.try_send("e").unwrap();
    }

    #[test]
    fn room_and_the_end_of_the_reader_wake_a_sender_that_waits() {
        let (sender, mut body) = Body::channel(1);
        sender.send("a").unwrap();
        let thread = std::thread::spawn(move || {
            let second = sender.send("b");
            (second, sender.send("c"))
        });
        loop {
            let (bytes, _) = take(&mut body, 1);
            if bytes == b"a" {
                break;
            }
        }
        // There is room for "b" now, and there never is for "c".
        drop(body);
        let (second, third) = thread.join().unwrap();
        assert!(second.is_ok() || second == Err(SendError::Closed("b".into())));
        assert_eq!(third, Err(SendError::Closed("c".into())));
    }

    #[test]
    fn a_sender_that_is_dropped_unfinished_is_an_error_after_its_pieces() {
        let (sender, mut body) = Body::channel(10);
        sender.send("half").unwrap();
        drop(sender);
        let (bytes, produced) = take(&mut body, 10);
        assert_eq!(bytes, b"half");
        assert_eq!(produced.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_write_sends_one_piece_and_fails_after_the_reader_has_ended() {
        let (mut sender, mut body) = Body::channel_exactly(4, 10);
        write!(sender, "{}-{}", 1, 22).unwrap();
        assert_eq!(body.content_length(), Some(4));
        assert_eq!(take(&mut body, 10).0, b"1-22");
        drop(body);
        assert_eq!(sender.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let full = io::Error::from(SendError::Full("x".into()));
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    }
}
