//! A connection that leaves HTTP: a [`Protocol`] keeps it in the loop, a hijack hands it out.
//!
//! An upgraded connection stays in the slab, on the wheel, in the memory budget and in the drain;
//! only its bytes mean something else from the 101 on. Nothing of HTTP is known here.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::handler::gone::Gone;
use crate::message::field_lines::FieldError;
use crate::message::fields::is_token_byte;
use crate::message::request::{Method, Request};
use crate::message::response::{Response, StatusCode};
use crate::waker::Waker;

/// The most room that there is: all of the buffer that visits share.
pub(crate) const ROOM_MAX: usize = 64 << 10;

/// What is spoken on a connection after an upgrade (RFC 9110, section 7.8).
///
/// All of it runs on the loop: it must not block. Bytes go out through [`Io`], which has a room:
/// what does not fit is put when [`wake`](Protocol::wake) says that there is room again, so a peer
/// that does not read costs its protocol a pause and the server no memory.
///
/// An error resets the connection and is logged: it is for what the program itself has got wrong.
/// What the peer gets wrong is answered in the protocol's own words, and then [`Io::close`].
///
/// ```
/// use std::io;
/// use wheelhouse::{Io, Protocol, Reply, Request};
///
/// /// Answers each line with the same line in capitals.
/// struct Shout;
///
/// impl<S> Protocol<S> for Shout {
///     fn receive(&mut self, _: &mut S, input: &[u8], io: &mut Io<'_>) -> io::Result<usize> {
///         let mut used = 0;
///         while let Some(len) = input[used..].iter().position(|&byte| byte == b'\n') {
///             let line = &input[used..used + len + 1];
///             if !io.put_all(&line.to_ascii_uppercase()) {
///                 break; // It comes again when there is room.
///             }
///             used += line.len();
///         }
///         Ok(used) // The rest is no whole line yet, and comes again with more behind it.
///     }
/// }
///
/// let handler = |_: &Request<'_>| Reply::<()>::upgrade("shout", Shout);
/// # let mut sim = wheelhouse::sim::Sim::new(handler);
/// # let c = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nhi\n");
/// # assert!(sim.received(c).starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// # assert!(sim.received(c).ends_with(b"\r\n\r\nHI\n"));
/// ```
pub trait Protocol<S> {
    /// The connection has been switched; nothing has been received yet. The place to greet, and
    /// to take a [`Waker`] from `io`.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn begin(&mut self, state: &mut S, io: &mut Io<'_>) -> io::Result<()> {
        let _ = (state, io);
        Ok(())
    }

    /// Bytes have come. Says how many of them it has used; the rest comes again with more behind
    /// it, up to 64 KiB of which it takes nothing: then the connection is reset.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn receive(&mut self, state: &mut S, input: &[u8], io: &mut Io<'_>) -> io::Result<usize>;

    /// The [`Waker`] was woken, or there is room again after [`Io::put`] had come short.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn wake(&mut self, state: &mut S, io: &mut Io<'_>) -> io::Result<()> {
        let _ = (state, io);
        Ok(())
    }

    /// Nothing has moved for [`timeout`](Protocol::timeout). The place for a ping; by default the
    /// connection is closed.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn expire(&mut self, state: &mut S, io: &mut Io<'_>) -> io::Result<()> {
        let _ = state;
        io.close();
        Ok(())
    }

    /// The peer has ended its side: no more will be received. By default the connection is closed
    /// behind what was put.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn end_of_input(&mut self, state: &mut S, io: &mut Io<'_>) -> io::Result<()> {
        let _ = state;
        io.close();
        Ok(())
    }

    /// The server shuts down: say good-bye and [`Io::close`], as by default, or go on and be reset
    /// when the time for the shutdown is over.
    ///
    /// # Errors
    ///
    /// As for the trait.
    fn shutdown(&mut self, state: &mut S, io: &mut Io<'_>) -> io::Result<()> {
        let _ = state;
        io.close();
        Ok(())
    }

    /// How long nothing may move before [`expire`](Protocol::expire). Asked after every call.
    /// Default 60 s, as idle connections have it; at most a year.
    fn timeout(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Whether the peer owes it something, such as the answer to a ping: then only what the peer
    /// sends begins the [`timeout`](Protocol::timeout) anew, and not what is said to it. Asked after
    /// every call.
    fn is_owed(&self) -> bool {
        false
    }

    /// How many bytes it holds for its peer: messages being put together, queues. Asked after
    /// every call, and when it is woken while its output does not leave; counted against
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max); a connection whose protocol
    /// grows beyond what is left of that is reset. Default 0: what it holds is small, or bounded
    /// by the program.
    fn memory(&self) -> usize {
        0
    }

    /// The connection has ended and the protocol did not close it itself: clean up here or in
    /// `Drop`.
    fn gone(self: Box<Self>, state: &mut S, why: Gone) {
        let _ = (state, why);
    }
}

/// The connection as a [`Protocol`] sees it, for one call.
#[derive(Debug)]
pub struct Io<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
    waker: &'a Waker,
    wish: &'a mut Wish,
}

/// What a protocol wants done after a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// More was to be put than there was room for.
    pub(crate) room: bool,
    pub(crate) close: bool,
    /// The time-out begins anew, whatever it was for before.
    pub(crate) anew: bool,
}

impl<'a> Io<'a> {
    pub(crate) fn new(
        out: &'a mut Vec<u8>,
        room: usize,
        waker: &'a Waker,
        wish: &'a mut Wish,
    ) -> Self {
        let end = out.len() + room;
        Io { out, end, waker, wish }
    }

    /// The same for a shorter while.
    #[cfg(feature = "websocket")]
    pub(crate) fn reborrow(&mut self) -> Io<'_> {
        Io { out: self.out, end: self.end, waker: self.waker, wish: self.wish }
    }

    /// Begins the time-out anew: it is for something else from now on.
    #[cfg(feature = "websocket")]
    pub(crate) fn begin_anew(&mut self) {
        self.wish.anew = true;
    }

    /// How many bytes can be put now: up to 64 KiB, none while earlier ones wait.
    pub fn room(&self) -> usize {
        self.end.saturating_sub(self.out.len())
    }

    /// Puts as many of `bytes` as there is room for, and says how many; if not all, then
    /// [`Protocol::wake`] comes when there is room again.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        self.out.extend_from_slice(&bytes[..taken]);
        self.wish.room |= taken < bytes.len();
        taken
    }

    /// Puts all of `bytes` or, if they do not fit, none; whether it did. If not, then
    /// [`Protocol::wake`] comes when there is room; but more than 64 KiB never fit, and nothing
    /// comes.
    pub fn put_all(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            // For what never fits it would be woken for ever.
            self.wish.room |= bytes.len() <= ROOM_MAX;
            return false;
        }
        self.put(bytes);
        true
    }

    /// Closes the connection when all that was put has left.
    pub fn close(&mut self) {
        self.wish.close = true;
    }

    /// Has this protocol woken from anywhere, other threads too.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

/// Bytes that find no room are told by [`io::ErrorKind::WouldBlock`], as of a socket.
impl io::Write for Io<'_> {
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

/// What a connection is switched to, and the fields of the answer that says so.
///
/// A name is all that most need, and it is an `Upgrade` by itself:
/// `Reply::upgrade("name", protocol)`.
#[derive(Debug)]
pub struct Upgrade {
    /// `None` for the tunnel of a CONNECT.
    pub(crate) name: Option<String>,
    pub(crate) response: Response,
}

impl Upgrade {
    /// 101 Switching Protocols, to this protocol: a name as it stands in `Upgrade`, perhaps with a
    /// version behind a slash.
    ///
    /// The request must have asked for it, in HTTP/1.1 and with `Connection: upgrade`; one that has
    /// not is answered with 426 and the name. It must have no content.
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

    /// 200 to a CONNECT (RFC 9110, section 9.3.6): from here on bytes are passed on. Any other
    /// method is answered with 405.
    pub fn tunnel() -> Upgrade {
        Upgrade { name: None, response: Response::new(StatusCode::OK) }
    }

    /// What is answered to a request that does not ask for this.
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
        let mut response = Response::status_page(StatusCode::UPGRADE_REQUIRED);
        response.push_line("Connection", "Upgrade");
        response.push_line("Upgrade", name);
        Some(response)
    }

    /// The same with one more field line, as [`Response::with_appended_header`].
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Upgrade {
        self.response = self.response.with_appended_header(name, value);
        self
    }
}

impl From<&str> for Upgrade {
    fn from(name: &str) -> Upgrade {
        Upgrade::to(name)
    }
}

/// A connection that the server has let go: the stream, and what had been read of it.
///
/// The server has forgotten it: no limit, deadline or shutdown covers it any more. Give it to a
/// thread; the function that gets it runs on the loop.
#[derive(Debug)]
pub struct Hijacked {
    /// Bytes that the peer sent behind the head of the request and that had been read already.
    pub read: Vec<u8>,
    /// The stream itself, blocking as the standard library knows it.
    pub stream: HijackedStream,
}

/// The stream of a [`Hijacked`].
#[derive(Debug)]
#[non_exhaustive]
pub enum HijackedStream {
    /// From a TCP listener.
    Tcp(TcpStream),
    /// From a Unix listener.
    Unix(UnixStream),
    /// From a [`Sim`](crate::sim::Sim), where there is none.
    Simulated,
}

impl HijackedStream {
    /// The TCP stream, if it is one.
    pub fn into_tcp(self) -> Option<TcpStream> {
        match self {
            HijackedStream::Tcp(stream) => Some(stream),
            HijackedStream::Unix(_) | HijackedStream::Simulated => None,
        }
    }
}
