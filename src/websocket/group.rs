//! One message to many sockets.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::{Account, Hold};
use crate::websocket::frames::message_frame;
use crate::websocket::message::Message;
use crate::websocket::queue::{Pending, Readiness, Sender, FRAME};
use crate::websocket::socket::Socket;

/// A group of sockets that get the same messages: a chat room, a live value. Clones are the same
/// group, and any handler and any thread can send. A socket that joins later does not get earlier
/// messages.
///
/// A message is encoded once and held in memory once, however many sockets it waits for. A member
/// that is too slow is cut and holds up the others for a tenth of a second at most. A member that reads
/// what it is sent within that time is not cut, however many messages come at once: see
/// [`is_full`](Group::is_full). One that has ended leaves the group.
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

    /// Sends text to every member, and returns the number of members whose queues have taken it. A
    /// slow member without room for it is cut and does not count.
    ///
    /// If the queue of a member that is not slow has no room, or the memory of the server is short,
    /// the message is refused: no member gets it, and the number is 0. Send it again later. Without a
    /// member, the number is 0, too: see [`members`](Group::members). A message that
    /// is longer than a queue is taken when nothing else waits.
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
        members.retain(|member| {
            let mut pending = member.0.lock();
            match pending.readiness(frame.len()) {
                Readiness::Over => return false,
                Readiness::Full => is_full = true,
                Readiness::Ready => Share::count(&mut shares, member.0.account(), &pending),
            }
            true
        });
        if is_full {
            return 0;
        }
        if !shares.iter_mut().all(|share| share.hold(frame.len(), &members)) {
            // The next message finds those that are slow.
            members.iter().for_each(|member| member.0.lock().judge());
            return 0;
        }
        let queue = |member: &&Sender| {
            let hold = shares.iter().find_map(|share| share.of(member.0.account()));
            hold.is_some_and(|hold| member.0.lock().push_shared(frame.clone(), hold))
        };
        members.iter().filter(queue).count()
    }

    /// Returns whether the queue of a member is more than half full, although the member is not slow.
    /// That is over after a turn of the loop or, if the socket of the member is full, when the member
    /// has read on. A member that has not taken what was sent to it for a tenth of a second is slow. It
    /// does not make a group full, and is cut when its queue is.
    ///
    /// A publisher that sends many messages at once, such as a timer, checks this before each of
    /// them, and continues later. Then no message of up to half of
    /// [`Options::queue_bytes_max`](super::Options::queue_bytes_max) is refused for want of room in a
    /// queue. A longer one may be, and any one when memory is short: check the number of members that
    /// were sent it.
    ///
    /// While a group is full, the next messages of its members are not handled, for up to two visits
    /// of the loop. After that they are, since a publisher that keeps the group full must not silence
    /// the members. What their handlers send then goes into the other half of the queues. When that is
    /// full, too, it is refused as any message is.
    pub fn is_full(&self) -> bool {
        let is_full = self.pressing.load(Ordering::Relaxed) > 0;
        if is_full {
            // The loop finds out whether these members are slow.
            self.lock().iter().for_each(|member| _ = member.0.lock().is_waited_for());
        }
        is_full
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

/// The part of the budget that messages leave to others, unless few of them wait: a half. If they took
/// more, the loop would need their memory. It would get none back before the last member is gone, since
/// all of them hold the same messages.
const RESERVE: usize = 2;
/// The part of the budget up to which few messages wait: a sixteenth. So a group has its messages sent,
/// whoever else holds the memory.
const FEW: usize = 16;

/// The part of a message that members of one loop share.
struct Share {
    account: Account,
    members: usize,
    /// The bytes that wait for these members and are not shared.
    own: usize,
    /// The most bytes that wait for one of them.
    longest: usize,
    hold: Option<Arc<Hold>>,
}

impl Share {
    /// Counts a member of the loop with this account.
    fn count(shares: &mut Vec<Share>, account: &Account, pending: &Pending) {
        let at = shares.iter().position(|share| share.account == *account).unwrap_or_else(|| {
            let account = account.clone();
            shares.push(Share { account, members: 0, own: 0, longest: 0, hold: None });
            shares.len() - 1
        });
        let share = &mut shares[at];
        share.members += 1;
        share.own += pending.memory();
        share.longest = share.longest.max(pending.bytes());
    }

    /// Counts a message of `len` bytes once, if there is room for it in all queues. To make room,
    /// cuts the slow clients, beginning with the one that holds up most.
    fn hold(&mut self, len: usize, members: &[Sender]) -> bool {
        let max = self.account.max();
        let reserve = if self.own + self.longest <= max / FEW { 0 } else { max / RESERVE };
        loop {
            if let Some(mut hold) = self.account.hold(len + FRAME * self.members + reserve) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::queue::{SendQueue, State};

    #[test]
    fn a_member_that_is_cut_to_make_room_for_a_message_is_not_counted() {
        let (account, group) = (Account::new(10_000), Group::new());
        let [slow, quick] = [(); 2].map(|()| Sender(SendQueue::new(100_000, &account)));
        group.lock().extend([slow.clone(), quick]);
        assert!(slow.send_binary([0; 6000]));
        assert_eq!(group.send_binary([0; 4000]), 0, "it may still read");
        slow.0.lock().set_stalled(true);
        assert_eq!(group.send_binary([0; 4000]), 1);
        assert!(!slow.is_open() && group.members() == 1);
    }

    /// The loop cannot take them back before the last member is gone.
    #[test]
    fn messages_that_wait_leave_half_of_the_budget_to_others_unless_they_are_few() {
        let (account, group) = (Account::new(160_000), Group::new());
        let members = [(); 2].map(|()| Sender(SendQueue::new(1 << 20, &account)));
        group.lock().extend(members.clone());
        let sent = (0..).take_while(|_| group.send_binary([0; 1000]) > 0).count();
        assert!(account.held() <= 80_000 && account.held() > 78_000);
        assert_eq!(sent, 80_000 / (1004 + 2 * FRAME));
        // Others hold most of it, and then all of it.
        members.iter().for_each(|member| member.0.lock().end(State::Open));
        account.settle(150_000);
        let sent = (0..).take_while(|_| group.send_binary([0; 1000]) > 0).count();
        assert_eq!(sent, 10_000 / (1004 + 2 * FRAME));
        account.settle(160_000);
        assert_eq!(group.send_binary([0; 1000]), 0);
    }
}
