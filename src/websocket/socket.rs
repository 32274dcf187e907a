//! One socket as its handler sees it.

use std::sync::Arc;

use crate::handler::upgrade::Connection;
use crate::waker::Waker;
use crate::websocket::message::Message;
use crate::websocket::queue::{SendQueue, Sender};

/// A socket during one call of its [`SocketHandler`](super::SocketHandler).
pub struct Socket<'a> {
    pub(super) queue: &'a Arc<SendQueue>,
    pub(super) connection: Connection<'a>,
    pub(super) protocol: Option<&'a str>,
}

impl Socket<'_> {
    /// Sends a message, such as one that was received. Returns `false` if it was not taken, because
    /// the socket is closing, the queue is full, or the memory of the server is short. If the
    /// client is slow to take the messages before, a full queue cuts the socket. A handler with much
    /// to send checks [`queued`](Socket::queued) and continues in
    /// [`SocketHandler::wake`](super::SocketHandler::wake).
    pub fn send(&mut self, message: Message<'_>) -> bool {
        self.queue.send(message, &mut self.connection)
    }

    /// Sends text: see [`send`](Socket::send).
    pub fn send_text(&mut self, text: impl AsRef<str>) -> bool {
        self.send(Message::Text(text.as_ref()))
    }

    /// Sends bytes: see [`send`](Socket::send).
    pub fn send_binary(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.send(Message::Binary(bytes.as_ref()))
    }

    /// Returns the number of bytes that wait for the client beyond the 64 KiB that the loop holds
    /// for it: 0 for a client that keeps reading. While it is not 0, no message of the client is
    /// read.
    pub fn queued(&self) -> usize {
        self.queue.lock().bytes()
    }

    /// Closes the socket after the messages that were sent before, with a code (1000 for a normal
    /// end, 3000 to 4999 for your own) and a reason. A code that must not be sent (RFC 6455,
    /// section 7.4) becomes 1011, with a log line. A reason is cut to 123 bytes.
    ///
    /// The client has [`Options::peer_timeout`](super::Options::peer_timeout) to send its close
    /// frame.
    pub fn close(&mut self, code: u16, reason: &str) {
        self.queue.lock().ask_to_close(code, reason);
    }

    /// Returns a sender, for other sockets and other threads.
    pub fn sender(&self) -> Sender {
        Sender(Arc::clone(self.queue))
    }

    /// Returns a waker, which has [`SocketHandler::wake`](super::SocketHandler::wake) called, from
    /// any thread.
    pub fn waker(&self) -> Waker {
        self.connection.waker()
    }

    /// Returns the subprotocol that was chosen, if one was.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol
    }
}

impl std::fmt::Debug for Socket<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}
