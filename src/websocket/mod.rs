//! WebSockets (RFC 6455): whole messages both ways, in the loop, with every bound on by default.
//! Behind the feature `websocket`.
//!
//! [`accept`] responds to the handshake and gives the connection to a [`SocketHandler`], which gets one
//! message after another. The state machine of the crate tungstenite handles frames, fragments,
//! pings, closing and UTF-8; this module feeds it so that memory stays bounded.
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

mod connection;
mod frames;
mod group;
mod handler;
mod handshake;
mod message;
mod options;
mod queue;
mod socket;

pub use group::Group;
pub use handler::{on_message, Closed, OnMessage, SocketHandler};
pub use handshake::accept;
pub use message::Message;
pub use options::Options;
pub use queue::Sender;
pub use socket::Socket;
