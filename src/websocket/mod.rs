//! WebSockets (RFC 6455): whole messages both ways, in the loop, with every bound on by default.
//! Behind the feature `websocket`.
//!
//! [`accept`] answers the handshake and gives the connection to a [`Handler`], which is told of
//! messages one after another. Frames, fragments, pings, closing and UTF-8 are seen to by the
//! state machine of the crate tungstenite; this module feeds it so that memory stays bounded.
//!
//! ```
//! use wheelhouse::websocket::{accept, on_message, Message, Options};
//! use wheelhouse::{Reply, Request};
//!
//! let options = Options::new();
//! let handler = move |req: &Request<'_>| -> Reply {
//!     accept(req, &options, on_message(|_: &mut (), message, socket| {
//!         socket.send(message); // An echo.
//!     }))
//! };
//! # let mut sim = wheelhouse::sim::Sim::new(handler);
//! # let c = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\
//! #     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
//! #     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x82\0\0\0\0hi");
//! # assert!(sim.received(c).ends_with(b"\x81\x02hi"));
//! ```
//!
//! # Memory
//!
//! A socket that rests holds about 2 KiB in all, whatever it has sent before: 1 KiB to read into,
//! the state machine, a queue, the loop's own slot (2,060 B of Pss, 4,000 sockets). One at work
//! holds beside that, at most:
//!
//! * twice [`Options::message_bytes_max`] for a message that is being put together: 128 KiB;
//! * [`Options::queue_bytes_max`] for what it has not taken yet: 256 KiB. One that is published to
//!   many lies in memory once;
//! * what the loop itself holds for it, input and output of 64 KiB each.
//!
//! All of it counts against [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max), and a
//! socket that would exceed that is reset. What a peer announces allocates nothing: memory grows
//! with what has arrived.

mod handshake;
mod frames;
mod queue;
mod socket;
mod connection;
mod topic;

pub use handshake::{accept, Options};
pub use queue::Sender;
pub use socket::Socket;
pub use topic::Topic;

/// What a program does with one socket.
///
/// All of it runs on the loop: it must not block.
pub trait Handler<S> {
    /// The handshake is done. The place to greet, to join a [`Topic`], to take a [`Sender`].
    fn open(&mut self, state: &mut S, socket: &mut Socket<'_>) {
        let _ = (state, socket);
    }

    /// A whole message has come. Not called any more once the socket is closing.
    fn message(&mut self, state: &mut S, message: Message<'_>, socket: &mut Socket<'_>);

    /// Somebody woke the socket, or what was queued has left ([`Socket::queued`] is 0 again): go
    /// on with what waited for that. May be called without a reason.
    fn wake(&mut self, state: &mut S, socket: &mut Socket<'_>) {
        let _ = (state, socket);
    }

    /// The socket has come to its end, whoever ended it. Called once, last, and nothing can be
    /// sent any more.
    fn close(&mut self, state: &mut S, closed: Closed) {
        let _ = (state, closed);
    }
}

/// A [`Handler`] of nothing but a function for messages.
pub fn on_message<S, F>(message: F) -> OnMessage<F>
where
    F: FnMut(&mut S, Message<'_>, &mut Socket<'_>),
{
    OnMessage(message)
}

/// See [`on_message`].
#[derive(Clone, Copy, Debug)]
pub struct OnMessage<F>(F);

impl<S, F> Handler<S> for OnMessage<F>
where
    F: FnMut(&mut S, Message<'_>, &mut Socket<'_>),
{
    fn message(&mut self, state: &mut S, message: Message<'_>, socket: &mut Socket<'_>) {
        (self.0)(state, message, socket);
    }
}

/// One message, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8, as checked.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Message<'a> {
        Message::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Message<'a> {
        Message::Binary(bytes)
    }
}

/// How a socket ended, in the words of the browsers' `CloseEvent`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// The code of the first close frame, whoever sent it (RFC 6455, section 7.4): 1005 if it had
    /// none, 1002 if it had one that must not be sent, 1006 if there was no such frame.
    pub code: u16,
    /// Its reason; or, for 1006, what happened.
    pub reason: String,
    /// Whether both sides have said good-bye.
    pub is_clean: bool,
}
