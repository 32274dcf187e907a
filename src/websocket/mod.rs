//! WebSockets (RFC 6455): whole messages in both directions, in the loop, with every bound on by
//! default. They need the feature `websocket`.
//!
//! [`accept`] responds to the handshake and gives the connection to a [`SocketHandler`], which gets
//! one message after another. The module handles frames, fragments, pings, closing and UTF-8.
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
//! # When to use it
//!
//! Use it for pages that send messages all the time as well as receive them, such as a chat, and
//! for binary messages. For news from the server alone, [`events`](crate::events) is simpler: it
//! needs no feature, and browsers reconnect by themselves.
//!
//! # Memory
//!
//! A socket at rest holds about 1 KiB in all, whatever was sent before: its state, a queue, and the
//! slot of the loop (950 B of Pss, measured with 4,000 sockets). A socket at work holds in addition,
//! at most:
//!
//! * [`Options::message_bytes_max`] for a message that is being put together: 64 KiB;
//! * [`Options::queue_bytes_max`] for messages that the client has not taken yet: 256 KiB. A
//!   message to a [`Group`] is held in memory once;
//! * 64 KiB each of input and output, which the loop holds for it.
//!
//! All of it counts against [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max), messages
//! from the moment at which they are queued. A socket whose own half message would exceed that is
//! reset, and a queue that would is full. A length that a client announces allocates nothing: memory
//! grows with the bytes that have arrived, and a message must be complete within
//! [`Options::message_timeout`].
//!
//! # Bursts
//!
//! A client may send thousands of messages in one segment, and a timer may publish as many. A visit
//! of the loop handles at most 32 frames of one client, and the members of a [`Group`] are sent their
//! messages between two visits. So a member that reads is not cut off by a burst, even if its socket
//! and its queue are full for a moment. A member that has not taken 64 KiB for a tenth of a second is
//! slow, and is cut when its queue is full.
//!
//! # Compression
//!
//! `permessage-deflate` (RFC 7692) is declined, and clients then send and receive plain messages. A
//! compressor and a decompressor that remember the messages before hold 354 KiB for each socket
//! (miniz_oxide), which is 370 times as much as a socket at rest holds now. Without that memory, one
//! pair could serve all sockets, but short messages gain little and cost much: to compress 150 B of
//! JSON saves 55 B and takes 379,000 instructions, while the whole echo of the message takes 1,200.
//! 64,000 B take 7.7 million, which is longer than a visit of the loop may last. A program with long
//! messages can compress them itself, on a thread of a [`Pool`](crate::Pool), and send them as bytes.

mod connection;
mod decoder;
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
