//! One message to many sockets.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::{Account, Hold};
use crate::websocket::frames::message_frame;
use crate::websocket::message::Message;
use crate::websocket::queue::{Readiness, Sender, FRAME};
use crate::websocket::socket::Socket;

/// A group of sockets that get the same messages: a chat room, a live value. Clones are the same
/// group, and any handler and any thread can send. A socket that joins later does not get earlier
/// messages.
///
/// A message is encoded once and held in memory once, however many sockets it waits for. A member
/// that is too slow is cut and does not hold up the others. A member that reads is not cut, however
/// many messages come at once: see [`is_full`](Group::is_full). One that has ended leaves the
/// group.
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
    /// The number of members whose queues wait for the loop.
    pressing: Arc<AtomicUsize>,
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
        socket.queue.lock().join(&self.pressing);
    }

    /// Sends text to every member and returns their number. If the group is
    /// [full](Group::is_full) to the last, or the memory of the server is short, no member gets the
    /// message, none is cut for it, and the number is 0. Send it again later.
    pub fn send_text(&self, text: impl AsRef<str>) -> usize {
        self.send(Message::Text(text.as_ref()))
    }

    /// Sends bytes to every member: see [`send_text`](Group::send_text).
    pub fn send_binary(&self, bytes: impl AsRef<[u8]>) -> usize {
        self.send(Message::Binary(bytes.as_ref()))
    }

    fn send(&self, message: Message<'_>) -> usize {
        let frame = message_frame(message);
        let (mut shares, mut is_full) = (Vec::<Share>::new(), false);
        let mut members = self.lock();
        members.retain(|member| match member.0.lock().readiness(frame.len()) {
            Readiness::Over => false,
            Readiness::Full => {
                is_full = true;
                true
            }
            Readiness::Ready => {
                Share::count(&mut shares, member.0.account());
                true
            }
        });
        if is_full || !shares.iter_mut().all(|share| share.hold(frame.len(), &members)) {
            return 0;
        }
        for member in &*members {
            let hold = shares.iter().find_map(|share| share.of(member.0.account()));
            if let Some(hold) = hold {
                member.0.lock().push_shared(frame.clone(), hold);
            }
        }
        members.len()
    }

    /// Returns whether a member's queue is more than half full, because the loop has not come to
    /// that member yet. That is over after a turn of the loop.
    ///
    /// A publisher that sends many messages at once, such as a timer, checks this before each of
    /// them, and continues later. Then no message is lost. Handlers of members need no check: while
    /// a group is full, no further message of its members is handled. A member that does not take
    /// its messages does not make a group full. It is cut when its queue is full.
    pub fn is_full(&self) -> bool {
        self.pressing.load(Ordering::Relaxed) > 0
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

/// The part of a message that members of one loop share.
struct Share {
    account: Account,
    members: usize,
    hold: Option<Arc<Hold>>,
}

impl Share {
    /// Counts a member of the loop with this account.
    fn count(shares: &mut Vec<Share>, account: &Account) {
        match shares.iter_mut().find(|share| share.account == *account) {
            Some(share) => share.members += 1,
            None => shares.push(Share { account: account.clone(), members: 1, hold: None }),
        }
    }

    /// Counts a message of `len` bytes once, if there is room for it in all queues. To make room,
    /// cuts the clients that do not read, beginning with the one that holds up most.
    fn hold(&mut self, len: usize, members: &[Sender]) -> bool {
        loop {
            if let Some(mut hold) = self.account.hold(len + FRAME * self.members) {
                // Each queue counts its own handle.
                hold.set(len);
                self.hold = Some(Arc::new(hold));
                return true;
            }
            let stalled = members.iter().filter(|member| *member.0.account() == self.account);
            let most = stalled
                .filter_map(|member| Some((member.0.lock().stalled_bytes()?, member)))
                .max_by_key(|(bytes, _)| *bytes);
            let Some((_, member)) = most else { return false };
            member.0.lock().cut_if_stalled();
        }
    }

    /// Returns the hold for a member of the loop with this account.
    fn of(&self, account: &Account) -> Option<Arc<Hold>> {
        self.hold.clone().filter(|_| self.account == *account)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("members", &self.members()).finish()
    }
}
