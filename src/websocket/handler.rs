//! [`SocketHandler`]: the code of a program for one socket.

use crate::websocket::message::Message;
use crate::websocket::socket::Socket;

/// The code of a program for one socket.
///
/// All methods run on the loop and must not block.
pub trait SocketHandler<S = ()> {
    /// Handles the open socket, after the handshake: the place to greet, to join a
    /// [`Group`](super::Group) or to take a [`Sender`](super::Sender).
    fn open(&mut self, state: &mut S, socket: &mut Socket<'_>) {
        let _ = (state, socket);
    }

    /// Handles a whole message. Not called once the socket is closing.
    fn message(&mut self, state: &mut S, message: Message<'_>, socket: &mut Socket<'_>);

    /// Continues work that waited for a wake-up, or for the queue to become empty
    /// ([`Socket::queued`] is 0 again). It may be called without a reason.
    fn wake(&mut self, state: &mut S, socket: &mut Socket<'_>) {
        let _ = (state, socket);
    }

    /// Handles the end of the socket, whichever side ended it. This is the last call, and it comes
    /// exactly once. Nothing can be sent any more.
    fn close(&mut self, state: &mut S, closed: Closed) {
        let _ = (state, closed);
    }
}

/// Makes a [`SocketHandler`] of a function for messages.
pub fn on_message<S, F>(message: F) -> OnMessage<F>
where
    F: FnMut(&mut S, Message<'_>, &mut Socket<'_>),
{
    OnMessage(message)
}

/// The [`SocketHandler`] of [`on_message`].
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

/// The end of a socket, in the terms of the browsers' `CloseEvent`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// The code of the first close frame, whichever side sent it (RFC 6455, section 7.4): 1005 if
    /// the frame had none, 1002 if it had one that must not be sent, 1006 without a close frame.
    pub code: u16,
    /// The reason of that frame; for 1006, a description of the end.
    pub reason: String,
    /// Whether each side has sent a close frame, and neither found a fault in the bytes of the other.
    pub is_clean: bool,
}
