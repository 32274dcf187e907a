//! [`SocketHandler`]: the code of a program for one socket.

use crate::websocket::message::Message;
use crate::websocket::socket::Socket;

/// The code of a program for one socket.
///
/// All of it runs on the loop: it must not block.
pub trait SocketHandler<S = ()> {
    /// The handshake is done. The place to greet, to join a [`Group`](super::Group), to take a
    /// [`Sender`](super::Sender).
    fn open(&mut self, state: &mut S, socket: &mut Socket<'_>) {
        let _ = (state, socket);
    }

    /// A whole message has come. Not called any more once the socket is closing.
    fn message(&mut self, state: &mut S, message: Message<'_>, socket: &mut Socket<'_>);

    /// The socket was woken, or everything queued has left ([`Socket::queued`] is 0 again): go on
    /// with work that waited for that. May be called without a reason.
    fn wake(&mut self, state: &mut S, socket: &mut Socket<'_>) {
        let _ = (state, socket);
    }

    /// The socket has come to its end, whoever ended it. Called once, last, and nothing can be
    /// sent any more.
    fn close(&mut self, state: &mut S, closed: Closed) {
        let _ = (state, closed);
    }
}

/// A [`SocketHandler`] of nothing but a function for messages.
pub fn on_message<S, F>(message: F) -> OnMessage<F>
where
    F: FnMut(&mut S, Message<'_>, &mut Socket<'_>),
{
    OnMessage(message)
}

/// See [`on_message`].
#[derive(Clone, Copy, Debug)]
pub struct OnMessage<F>(F);

impl<S, F> SocketHandler<S> for OnMessage<F>
where
    F: FnMut(&mut S, Message<'_>, &mut Socket<'_>),
{
    fn message(&mut self, state: &mut S, message: Message<'_>, socket: &mut Socket<'_>) {
        (self.0)(state, message, socket);
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
