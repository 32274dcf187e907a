//! Connections that leave HTTP: a [`Protocol`] keeps a connection in the loop, a hijack hands it
//! out.
//!
//! An upgraded connection stays in the slab, on the wheel, in the memory budget and in the drain.
//! From the 101 on, its bytes are no longer HTTP.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::handler::lost::Lost;
use crate::message::field_lines::FieldError;
use crate::message::fields::is_token_byte;
use crate::message::request::{Method, Request};
use crate::message::response::{Response, StatusCode};
use crate::waker::Waker;

/// The greatest room for output in bytes: the size of the buffer that visits share.
pub(crate) const ROOM_MAX: usize = 64 << 10;

/// A protocol that a connection speaks on the loop after an upgrade (RFC 9110, section 7.8).
///
/// No method may block. Bytes go out through [`Connection`], which has room for a bounded number of
/// them. Put bytes that do not fit when [`wake`](Protocol::wake) reports that there is room again.
/// So a peer that does not read makes its protocol pause and costs the server no memory.
///
/// # Fairness
///
/// A visit to a connection covers at most 32 messages, so that a peer that sends thousands at once
/// does not hold up all other connections. Call [`Connection::count_message`] after each message,
/// and return when it returns `false`. The rest of the input comes again after the other
/// connections have been served. Without these calls, each call of [`receive`](Protocol::receive)
/// counts as one message.
///
/// # Deadlines
///
/// Bytes that [`receive`](Protocol::receive) leaves unused do not restart
/// [`timeout`](Protocol::timeout), except for the first of them. So the peer has that time to
/// complete a line that it has begun, however the bytes of the line trickle in. While such bytes
/// wait, bytes sent to the peer do not restart it either. A message that may take longer in all
/// than the silence in it, or whose bytes are used as they come, gets a deadline of its own with
/// [`Connection::set_deadline`].
///
/// An error resets the connection and is logged: it is for mistakes of the program. After a mistake
/// of the peer, send the error message of the protocol and call [`Connection::close`].
///
/// ```
/// use std::io;
/// use wheelhouse::upgrade::{Connection, Protocol};
/// use wheelhouse::{Reply, Request};
///
/// /// Responds to each line with the same line in capitals.
/// struct Shout;
///
/// impl<S> Protocol<S> for Shout {
///     fn receive(
///         &mut self,
///         _: &mut S,
///         input: &[u8],
///         connection: &mut Connection<'_>,
///     ) -> io::Result<usize> {
///         let mut used = 0;
///         while let Some(len) = input[used..].iter().position(|&byte| byte == b'\n') {
///             let line = &input[used..used + len + 1];
///             if !connection.put_all(&line.to_ascii_uppercase()) {
///                 break; // It comes again when there is room.
///             }
///             used += line.len();
///             if !connection.count_message() {
///                 break; // It comes again after the other connections.
///             }
///         }
///         Ok(used) // The rest is not a whole line yet, and comes again with more after it.
///     }
/// }
///
/// let handler = |_: &Request<'_>| Reply::<()>::upgrade("shout", Shout);
/// # let mut sim = wheelhouse::sim::Sim::new(handler);
/// # let fields = "Host: a\r\nConnection: upgrade\r\nUpgrade: shout";
/// # let c = sim.connect_and_send(format!("GET / HTTP/1.1\r\n{fields}\r\n\r\nhi\n"));
/// # assert!(sim.received(c).starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// # assert!(sim.received(c).ends_with(b"\r\n\r\nHI\n"));
/// ```
#[doc(alias = "Upgrader")]
pub trait Protocol<S = ()> {
    /// Begins the protocol: the connection has been switched, and nothing has been received yet.
    /// This is the place to greet the peer and to take a [`Waker`] from `connection`.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn start(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        let _ = (state, connection);
        Ok(())
    }

    /// Takes bytes of the peer and returns the number of bytes used. The rest comes again, with
    /// more bytes after it or after a call of [`wake`](Protocol::wake). A protocol that uses none
    /// of 64 KiB has its connection reset.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn receive(
        &mut self,
        state: &mut S,
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize>;

    /// Continues after the [`Waker`] was woken, or when there is room again after a call of
    /// [`Connection::put`] that found too little.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn wake(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        let _ = (state, connection);
        Ok(())
    }

    /// Notes whether the peer is slow: bytes that were put have waited for a tenth of a second,
    /// because the socket is full. It is called with `true` in each visit that finds that, and with
    /// `false` when all of these bytes have left. A [`Waker`] causes a visit. A protocol that queues
    /// messages knows by this that its peer does not keep up. Without it, a long queue only shows that
    /// the loop, or the peer, has not come to its bytes yet.
    fn stalled(&mut self, is_stalled: bool) {
        let _ = is_stalled;
    }

    /// Handles silence: nothing has restarted the [`timeout`](Protocol::timeout), or the time of
    /// [`Connection::set_deadline`] is over, as [`Connection::is_overdue`] returns. Silence is the
    /// place for a ping. By default the connection is closed.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn expire(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        let _ = state;
        connection.close();
        Ok(())
    }

    /// Handles the end of input: the peer has ended its side, and no more bytes will come. By
    /// default the connection is closed after the bytes that were put.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn end_of_input(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        let _ = state;
        connection.close();
        Ok(())
    }

    /// Handles the start of a graceful shutdown. By default the connection is closed. A protocol
    /// may say good-bye first. If it goes on, its connection is reset at the deadline of the
    /// shutdown.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn shutdown(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        let _ = state;
        connection.close();
        Ok(())
    }

    /// Returns the longest silence before [`expire`](Protocol::expire) is called, at most a year.
    /// Default 60 s. The loop asks for it after every call.
    ///
    /// Every call restarts it, and so do bytes sent to the peer. Two kinds of silence are the
    /// peer's own: a message that it has begun ([`receive`](Protocol::receive) has left bytes
    /// unused), and a debt ([`is_owed`](Protocol::is_owed)). Only bytes that are used restart those.
    fn timeout(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Returns whether the peer owes the protocol something, such as the response to a ping. Then
    /// only bytes from the peer that are used restart the [`timeout`](Protocol::timeout); bytes sent
    /// to the peer do not. Default false. The loop asks for it after every call.
    fn is_owed(&self) -> bool {
        false
    }

    /// Returns the number of bytes that the protocol holds for its peer, such as incomplete
    /// messages and queues. Default 0, for a protocol that holds little or is bounded by the
    /// program.
    ///
    /// The bytes count against [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max). If
    /// the protocol grows beyond the rest of that, its connection is reset. The loop asks for the
    /// number after every call, and when the protocol is woken while its output does not leave.
    fn memory(&self) -> usize {
        0
    }

    /// Returns the bytes that the protocol holds beside [`memory`](Protocol::memory) and has counted
    /// itself. They make it give way sooner when memory is short, if its output waits for the peer.
    #[doc(hidden)]
    fn memory_elsewhere(&self) -> usize {
        0
    }

    /// Handles the end of a connection that the protocol did not close. Clean up here or in `Drop`.
    fn lost(self: Box<Self>, state: &mut S, why: Lost) {
        let _ = (state, why);
    }
}

/// The connection as a [`Protocol`] sees it, for one call.
#[derive(Debug)]
pub struct Connection<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
    waker: &'a Waker,
    wish: &'a mut Wish,
    turn: Turn<'a>,
}

/// The part of a call that belongs to the visit.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    /// The number of messages so far in this visit, and the most.
    pub(crate) messages: &'a mut u32,
    pub(crate) messages_max: u32,
    pub(crate) is_overdue: bool,
}

/// The wishes of a protocol after a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// To be called when there is room, because not all bytes could be put.
    pub(crate) room: bool,
    pub(crate) close: bool,
    /// To replace the deadline.
    pub(crate) deadline: Option<Option<Duration>>,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(
        out: &'a mut Vec<u8>,
        room: usize,
        waker: &'a Waker,
        wish: &'a mut Wish,
        turn: Turn<'a>,
    ) -> Self {
        let end = out.len() + room;
        Connection { out, end, waker, wish, turn }
    }

    /// Returns the same connection with a shorter lifetime.
    #[cfg(feature = "websocket")]
    pub(crate) fn reborrow(&mut self) -> Connection<'_> {
        let Turn { messages_max, is_overdue, .. } = self.turn;
        let turn = Turn { messages: self.turn.messages, messages_max, is_overdue };
        Connection { out: self.out, end: self.end, waker: self.waker, wish: self.wish, turn }
    }

    /// Asks for a call of [`Protocol::wake`] when all bytes that were put have left.
    #[cfg(feature = "websocket")]
    pub(crate) fn report_room(&mut self) {
        self.wish.room = true;
    }

    /// Counts a message of the peer against the 32 of this visit. Returns `false` after the last of
    /// them: [`Protocol::receive`] returns then, and the rest of the input comes again after the
    /// other connections have been served.
    #[must_use = "a protocol that goes on holds up the other connections: check the result"]
    pub fn count_message(&mut self) -> bool {
        *self.turn.messages += 1;
        *self.turn.messages < self.turn.messages_max
    }

    /// Ends the visit after this call: [`Protocol::receive`] returns, and the rest of the input
    /// comes again after the other connections have been served, as after the last message that
    /// [`count_message`](Connection::count_message) allows. It is for a message that was much work,
    /// or whose destination has no room at present.
    pub fn yield_now(&mut self) {
        *self.turn.messages = (*self.turn.messages).max(self.turn.messages_max);
    }

    /// Sets a deadline from now, or none: [`Protocol::expire`] is called after `timeout` at the
    /// latest, whatever comes or goes until then. It is for a message that has begun, a handshake
    /// or a debt, which a peer could otherwise prolong without end. Remove it when that is
    /// complete.
    ///
    /// A deadline replaces the one before, is at most a year away, and holds for one call of
    /// `expire`. If output waits at the deadline because the peer does not read, the connection is
    /// reset. To set or to remove one restarts the [`timeout`](Protocol::timeout).
    ///
    /// ```
    /// use std::io;
    /// use std::time::Duration;
    /// use wheelhouse::upgrade::{Connection, Protocol};
    /// use wheelhouse::{Reply, Request};
    ///
    /// /// Takes 4 bytes, for which the peer has 5 s in all, and closes.
    /// struct Four(usize);
    ///
    /// impl<S> Protocol<S> for Four {
    ///     fn start(&mut self, _: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
    ///         connection.set_deadline(Some(Duration::from_secs(5)));
    ///         Ok(())
    ///     }
    ///
    ///     fn receive(
    ///         &mut self,
    ///         _: &mut S,
    ///         input: &[u8],
    ///         connection: &mut Connection<'_>,
    ///     ) -> io::Result<usize> {
    ///         self.0 += input.len();
    ///         if self.0 >= 4 {
    ///             connection.put(b"thanks\n");
    ///             connection.close();
    ///         }
    ///         Ok(input.len())
    ///     }
    /// }
    ///
    /// let handler = |_: &Request<'_>| Reply::<()>::upgrade("four", Four(0));
    /// # let mut sim = wheelhouse::sim::Sim::new(handler);
    /// # let fields = "Host: a\r\nConnection: upgrade\r\nUpgrade: four";
    /// # let c = sim.connect_and_send(format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n1"));
    /// # for _ in 0..2 { sim.advance(Duration::from_secs(2)); sim.send(c, "x"); }
    /// # sim.advance(Duration::from_millis(1100));
    /// # assert!(sim.has_ended(c) && sim.received(c).ends_with(b"\r\n\r\n"));
    /// ```
    pub fn set_deadline(&mut self, timeout: Option<Duration>) {
        self.wish.deadline = Some(timeout);
    }

    /// Returns whether this call of [`Protocol::expire`] is for the deadline of
    /// [`set_deadline`](Connection::set_deadline), and not for silence.
    pub fn is_overdue(&self) -> bool {
        self.turn.is_overdue
    }

    /// Returns the number of bytes that can be put now: up to 64 KiB, and none while earlier ones
    /// wait.
    pub fn room(&self) -> usize {
        self.end.saturating_sub(self.out.len())
    }

    /// Puts as many of `bytes` as fit and returns their number. If some did not fit,
    /// [`Protocol::wake`] is called when there is room again.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        self.out.extend_from_slice(&bytes[..taken]);
        self.wish.room |= taken < bytes.len();
        taken
    }

    /// Puts all of `bytes`, or none of them if they do not fit. Returns whether they did. If not,
    /// [`Protocol::wake`] is called when there is room. It is not called for more than 64 KiB,
    /// which never fit.
    #[must_use = "bytes that do not fit are not put: check the result"]
    pub fn put_all(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            // A protocol whose bytes never fit would be woken again and again.
            self.wish.room |= bytes.len() <= ROOM_MAX;
            return false;
        }
        self.put(bytes);
        true
    }

    /// Closes the connection after the bytes that were put.
    pub fn close(&mut self) {
        self.wish.close = true;
    }

    /// Returns a waker for this protocol, which works from any thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

/// Puts bytes. Without room, a write returns [`io::ErrorKind::WouldBlock`], as that of a socket
/// does.
impl io::Write for Connection<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.put(bytes) {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            put => Ok(put),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The target of a switch: a protocol name or a tunnel, with the fields of the response.
///
/// Most programs need only the name: `Reply::upgrade("name", protocol)`.
#[derive(Debug)]
#[must_use = "an upgrade does nothing unless it is given to `Reply::upgrade`"]
pub struct Upgrade {
    /// `None` for the tunnel of a CONNECT.
    pub(crate) name: Option<String>,
    pub(crate) response: Response,
}

impl Upgrade {
    /// Creates a switch to the protocol `name`, with a 101 (Switching Protocols). The name is that
    /// of the field `Upgrade`, perhaps with a version after a slash.
    ///
    /// The request must be in HTTP/1.1, ask for this protocol and have `Connection: upgrade`. The
    /// response to any other request is a 426 with the name. A request with content gets a 400.
    pub fn to(name: impl Into<String>) -> Upgrade {
        let name = name.into();
        let mut response = Response::new(StatusCode::SWITCHING_PROTOCOLS);
        match name.bytes().all(|byte| byte == b'/' || is_token_byte(byte)) {
            true => response.push_line("Upgrade", &name),
            false => response.keep_fault(FieldError::Value { name: "Upgrade".to_owned() }),
        }
        response.push_line("Connection", "Upgrade");
        Upgrade { name: Some(name), response }
    }

    /// Creates a switch to a tunnel, with a 200 to a CONNECT (RFC 9110, section 9.3.6). All bytes
    /// after the head belong to the protocol. The response to any other method is a 405.
    pub fn tunnel() -> Upgrade {
        Upgrade { name: None, response: Response::new(StatusCode::OK) }
    }

    /// Returns the response to a request that does not ask for this switch.
    pub(crate) fn refusal(&self, req: &Request<'_>) -> Option<Response> {
        let Some(name) = &self.name else {
            let is_connect = req.method() == Method::CONNECT;
            return (!is_connect).then(|| Response::method_not_allowed("CONNECT"));
        };
        // In HTTP/1.0 the field means nothing (RFC 9110, section 7.8).
        let is_asked = req.version() == http::Version::HTTP_11
            && req.headers().has_member("connection", "upgrade")
            && req.headers().has_member("upgrade", name);
        if is_asked {
            return None;
        }
        if self.response.has_fault() {
            // The name cannot be sent in a 426 either. The caller reports the fault.
            return None;
        }
        let mut response = Response::status_page(StatusCode::UPGRADE_REQUIRED);
        response.push_line("Connection", "Upgrade");
        response.push_line("Upgrade", name);
        Some(response)
    }

    /// Returns the upgrade with a field of its response: see [`Response::with_header`].
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Upgrade {
        self.response = self.response.with_header(name, value);
        self
    }
}

impl From<&str> for Upgrade {
    fn from(name: &str) -> Upgrade {
        Upgrade::to(name)
    }
}

/// A connection that the server has handed out: the stream, and the bytes already read from it.
///
/// No limit, deadline or shutdown of the server covers it any more. Give it to a thread, because
/// the function that gets it runs on the loop.
#[doc(alias = "Hijacker")]
#[derive(Debug)]
#[non_exhaustive]
pub struct Hijacked {
    /// The bytes after the head of the request that the server has already read.
    pub read: Vec<u8>,
    /// The stream, in blocking mode.
    pub stream: HijackedStream,
}

/// The stream of a [`Hijacked`] connection. Every kind can be read and written. Match on the kind
/// to set timeouts, clone the stream and the like.
#[derive(Debug)]
#[non_exhaustive]
pub enum HijackedStream {
    /// From a TCP listener.
    Tcp(TcpStream),
    /// From a Unix listener.
    Unix(UnixStream),
    /// From a [`Sim`](crate::sim::Sim), which does not have a stream. A read finds the end at once,
    /// and written bytes are dropped.
    Simulated,
}

impl io::Read for HijackedStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            HijackedStream::Tcp(stream) => stream.read(bytes),
            HijackedStream::Unix(stream) => stream.read(bytes),
            HijackedStream::Simulated => Ok(0),
        }
    }
}

impl io::Write for HijackedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            HijackedStream::Tcp(stream) => stream.write(bytes),
            HijackedStream::Unix(stream) => stream.write(bytes),
            HijackedStream::Simulated => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Neither kind of socket has a buffer.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_handed_out_stream_of_any_kind_reads_and_writes() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut stream = HijackedStream::Unix(one);
        stream.write_all(b"there").unwrap();
        let mut bytes = [0; 5];
        other.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"there");
        other.write_all(b"and back").unwrap();
        drop(other);
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "and back");
        let mut none = HijackedStream::Simulated;
        none.write_all(b"nothing").unwrap();
        assert_eq!(none.read(&mut bytes).unwrap(), 0);
    }
}
