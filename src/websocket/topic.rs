//! One message to many sockets.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::websocket::frames::message_frame;
use crate::websocket::message::Message;
use crate::websocket::queue::Sender;
use crate::websocket::socket::Socket;

/// A group of sockets that are sent the same: a chat room, a live value. Clones are the same topic;
/// publishing works from any handler and any thread.
///
/// A message is encoded once and lies in memory once, however many sockets it waits for. Who is too
/// slow is cut and holds nobody up; who has gone is forgotten.
///
/// ```
/// use wheelhouse::websocket::{accept, Handler, Message, Options, Socket, Topic};
/// use wheelhouse::{Reply, Request};
///
/// struct Member(Topic);
///
/// impl<S> Handler<S> for Member {
///     fn open(&mut self, _: &mut S, socket: &mut Socket<'_>) {
///         self.0.join(socket);
///     }
///
///     fn message(&mut self, _: &mut S, message: Message<'_>, _: &mut Socket<'_>) {
///         self.0.publish(message); // To all, this one too.
///     }
/// }
///
/// let (room, options) = (Topic::new(), Options::new());
/// let handler = move |req: &Request<'_>| -> Reply { accept(req, &options, Member(room.clone())) };
/// # let _ = wheelhouse::sim::Sim::new(handler);
/// ```
#[derive(Clone, Default)]
pub struct Topic {
    members: Arc<Mutex<Vec<Sender>>>,
}

impl Topic {
    /// A topic that nobody has joined.
    pub fn new() -> Topic {
        Topic::default()
    }

    /// Adds a socket, until it ends.
    pub fn join(&self, socket: &Socket<'_>) {
        let mut members = self.lock();
        if members.len() == members.capacity() {
            // Before it grows, those who have gone make room.
            members.retain(Sender::is_open);
        }
        members.push(socket.sender());
    }

    /// Sends to every member; how many they are.
    pub fn publish<'a>(&self, message: impl Into<Message<'a>>) -> usize {
        let frame = message_frame(message.into());
        let mut members = self.lock();
        members.retain(|member| member.send_frame(frame.clone()));
        members.len()
    }

    /// How many sockets there are.
    pub fn members(&self) -> usize {
        let mut members = self.lock();
        members.retain(Sender::is_open);
        members.len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Sender>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("members", &self.members()).finish()
    }
}
