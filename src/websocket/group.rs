//! One message to many sockets.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::websocket::frames::message_frame;
use crate::websocket::message::Message;
use crate::websocket::queue::Sender;
use crate::websocket::socket::Socket;

/// A group of sockets that get the same messages: a chat room, a live value. Clones are the same
/// group, and any handler and any thread can send. A socket that joins later does not get earlier
/// messages.
///
/// A message is encoded once and held in memory once, however many sockets it waits for. A member
/// that is too slow is cut and does not hold up the others. One that has ended leaves the group.
///
/// ```
/// use wheelhouse::websocket::{accept, Group, Message, Options, Socket, SocketHandler};
/// use wheelhouse::{Reply, Request};
///
/// struct Member(Group);
///
/// impl<S> SocketHandler<S> for Member {
///     fn open(&mut self, _: &mut S, socket: &mut Socket<'_>) {
///         self.0.join(socket);
///     }
///
///     fn message(&mut self, _: &mut S, message: Message<'_>, _: &mut Socket<'_>) {
///         if let Message::Text(text) = message {
///             self.0.send_text(text); // To all, this one too.
///         }
///     }
/// }
///
/// let (room, options) = (Group::new(), Options::new());
/// let handler = move |req: &Request<'_>| -> Reply { accept(req, &options, Member(room.clone())) };
/// # let _ = wheelhouse::sim::Sim::new(handler);
/// ```
#[doc(alias("broadcast", "chat", "room"))]
#[derive(Clone, Default)]
pub struct Group {
    members: Arc<Mutex<Vec<Sender>>>,
}

impl Group {
    /// Creates a group without members.
    pub fn new() -> Group {
        Group::default()
    }

    /// Adds a socket, which stays a member until it ends.
    pub fn join(&self, socket: &Socket<'_>) {
        let mut members = self.lock();
        if members.len() == members.capacity() {
            // The members that have ended make room before the list grows.
            members.retain(Sender::is_open);
        }
        members.push(socket.sender());
    }

    /// Sends text to every member and returns their number.
    pub fn send_text(&self, text: impl AsRef<str>) -> usize {
        self.send(Message::Text(text.as_ref()))
    }

    /// Sends bytes to every member and returns their number.
    pub fn send_binary(&self, bytes: impl AsRef<[u8]>) -> usize {
        self.send(Message::Binary(bytes.as_ref()))
    }

    fn send(&self, message: Message<'_>) -> usize {
        let frame = message_frame(message);
        let mut members = self.lock();
        members.retain(|member| member.send_frame(frame.clone()));
        members.len()
    }

    /// Returns the number of members.
    pub fn members(&self) -> usize {
        let mut members = self.lock();
        members.retain(Sender::is_open);
        members.len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Sender>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("members", &self.members()).finish()
    }
}
