//! Frames that wait to be sent on one socket: bounded, and open to other threads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Buf, Bytes};

use crate::account::{Account, Hold};
use crate::handler::upgrade::Connection;
use crate::waker::Waker;
use crate::websocket::frames::{message_frame, Header};
use crate::websocket::message::Message;

/// Sends on one socket from anywhere: other sockets, other threads, a [`Group`](super::Group).
///
/// Clones send on the same socket. Messages are put into the socket's queue and leave with the next
/// turn of the loop, in the order of sending.
#[derive(Clone)]
pub struct Sender(pub(super) Arc<SendQueue>);

impl Sender {
    /// Sends text. Returns `false` if the message was not taken:
    ///
    /// * the socket is closing or has ended;
    /// * its queue is full, or the memory of the server is short, and this client is slow: then the
    ///   socket is cut;
    /// * its queue is full, or the memory is short, and this client is not slow: the loop has not come
    ///   to it yet, or it reads on. The socket stays [open](Sender::is_open): send the message again
    ///   later.
    ///
    /// [`is_full`](Sender::is_full) avoids a full queue for messages of up to half of it.
    pub fn send_text(&self, text: impl AsRef<str>) -> bool {
        self.send_frame(message_frame(Message::Text(text.as_ref())))
    }

    /// Sends bytes: see [`send_text`](Sender::send_text).
    pub fn send_binary(&self, bytes: impl AsRef<[u8]>) -> bool {
        self.send_frame(message_frame(Message::Binary(bytes.as_ref())))
    }

    /// Closes the socket after the messages that were sent before: see
    /// [`Socket::close`](super::Socket::close).
    pub fn close(&self, code: u16, reason: &str) {
        let mut pending = self.0.lock();
        pending.ask_to_close(code, reason);
        pending.wake();
    }

    /// Returns whether the socket still takes messages.
    pub fn is_open(&self) -> bool {
        matches!(self.0.lock().state, State::Open)
    }

    /// Returns whether more than half of the queue waits for a client that is not slow: the loop has
    /// not come to it yet, or its socket is full and it reads on. A sender that continues when that is
    /// over does not lose a message of up to half of the queue. A client that has not taken what was
    /// sent to it for a tenth of a second is slow: it is not waited for, and is cut when its queue is
    /// full.
    pub fn is_full(&self) -> bool {
        self.0.lock().is_waited_for()
    }

    fn send_frame(&self, frame: Bytes) -> bool {
        let mut pending = self.0.lock();
        let is_taken = pending.push(frame);
        pending.wake();
        is_taken
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_open", &self.is_open()).finish()
    }
}

/// The most memory in bytes that a frame takes besides its content: its handle in a list that grows
/// by doubling, and its two allocations. If it were not counted, short messages would take many
/// times their bound.
pub(super) const FRAME: usize = 128;

/// The queue of one socket, shared with its senders.
pub(super) struct SendQueue {
    pending: Mutex<Pending>,
    account: Account,
}

/// Invariant: `hold` counts [`FRAME`] for each frame and the bytes of those that are not shared.
pub(super) struct Pending {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// The part of `bytes` that only this socket holds.
    own_bytes: usize,
    bytes_max: usize,
    hold: Hold,
    pub(super) state: State,
    /// The client is slow: it has not taken the bytes that the loop offers for a while.
    is_stalled: bool,
    /// More than half of the queue waits for a client that is not slow, and `groups` are notified.
    is_pressing: bool,
    /// The number of pressing members of each group that the socket has joined.
    groups: Vec<Weak<AtomicUsize>>,
    /// `None` until the socket is open.
    waker: Option<Waker>,
}

/// One frame that waits. The hold of a frame that several sockets share is shared, too.
struct Frame {
    bytes: Bytes,
    shared: Option<Arc<Hold>>,
}

/// Whether a socket still takes messages.
#[derive(Default)]
pub(super) enum State {
    #[default]
    Open,
    /// A sender has asked for the end, with this code and reason.
    Close(u16, String),
    /// The queue was full when a message was to be sent, and the client was slow.
    Cut,
    /// No more messages are taken.
    Over,
}

/// Whether the next message of a group can be put into a queue.
pub(super) enum Readiness {
    Ready,
    /// There is no room before the loop has come to this socket, or its client has read on.
    Full,
    /// The socket has ended, or is cut.
    Over,
}

impl SendQueue {
    pub(super) fn new(bytes_max: usize, account: &Account) -> Arc<SendQueue> {
        let pending = Pending {
            frames: VecDeque::new(),
            bytes: 0,
            own_bytes: 0,
            bytes_max,
            hold: account.empty(),
            state: State::Open,
            is_stalled: false,
            is_pressing: false,
            groups: Vec::new(),
            waker: None,
        };
        Arc::new(SendQueue { pending: Mutex::new(pending), account: account.clone() })
    }

    pub(super) fn open(&self, waker: Waker) {
        self.lock().waker = Some(waker);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of the loop that the socket belongs to.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// Sends from within the loop: at once if no frame waits and there is room.
    pub(super) fn send(&self, message: Message<'_>, connection: &mut Connection<'_>) -> bool {
        let mut pending = self.lock();
        let (header, payload) = (Header::of(message), message.payload());
        let is_at_once = matches!(pending.state, State::Open)
            && pending.frames.is_empty()
            && header.as_slice().len() + payload.len() <= connection.room();
        if is_at_once {
            return connection.put_all(header.as_slice()) && connection.put_all(payload);
        }
        pending.push(message_frame(message))
    }
}

/// The number of frames that an empty queue keeps room for.
const FRAMES_KEPT: usize = 4;

impl Pending {
    /// Returns the number of bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Returns the bytes of the bound that the waiting frames take.
    fn held(&self) -> usize {
        self.bytes + FRAME * self.frames.len()
    }

    /// Returns the bytes that the hold counts.
    pub(super) fn memory(&self) -> usize {
        self.hold.bytes()
    }

    fn has_room(&self, len: usize) -> bool {
        self.bytes == 0 || self.held() + len + FRAME <= self.bytes_max
    }

    fn push(&mut self, bytes: Bytes) -> bool {
        if !matches!(self.state, State::Open) {
            return false;
        }
        let fits =
            self.has_room(bytes.len()) && self.hold.resize(self.hold.bytes() + bytes.len() + FRAME);
        if !fits {
            self.cut_if_stalled();
            return false;
        }
        self.add(Frame { bytes, shared: None });
        true
    }

    /// Returns whether a message of a group with `len` bytes can be put. Without room for it, a slow
    /// client is cut, and the loop finds out whether any other one is slow.
    pub(super) fn readiness(&mut self, len: usize) -> Readiness {
        if !matches!(self.state, State::Open) {
            return Readiness::Over;
        }
        if self.has_room(len) {
            return Readiness::Ready;
        }
        match self.cut_if_stalled() {
            true => Readiness::Over,
            false => {
                self.wake();
                Readiness::Full
            }
        }
    }

    /// Returns whether senders should wait for room. If so, the loop finds out whether the client is
    /// slow.
    pub(super) fn is_waited_for(&self) -> bool {
        if self.is_pressing {
            self.wake();
        }
        self.is_pressing
    }

    /// Has the loop find out whether the client is slow, if messages wait for it.
    pub(super) fn judge(&self) {
        if !self.frames.is_empty() {
            self.wake();
        }
    }

    /// Puts a message of a group after [`readiness`](Pending::readiness), unless the socket has been
    /// cut since. Returns whether the message was put.
    pub(super) fn push_shared(&mut self, bytes: Bytes, hold: Arc<Hold>) -> bool {
        let is_open = matches!(self.state, State::Open);
        if is_open {
            self.add(Frame { bytes, shared: Some(hold) });
            self.wake();
        }
        is_open
    }

    /// Adds a frame without a bound: a control frame, of which few can wait.
    pub(super) fn push_control(&mut self, bytes: Bytes) {
        self.add(Frame { bytes, shared: None });
    }

    fn add(&mut self, frame: Frame) {
        self.bytes += frame.bytes.len();
        if frame.shared.is_none() {
            self.own_bytes += frame.bytes.len();
        }
        self.frames.push_back(frame);
        self.settle();
    }

    /// Brings the hold and the groups up to date.
    fn settle(&mut self) {
        self.hold.set(self.own_bytes + FRAME * self.frames.len());
        let is_pressing = !self.is_stalled && self.held() > self.bytes_max / 2;
        if is_pressing == self.is_pressing {
            return;
        }
        self.is_pressing = is_pressing;
        for count in self.groups.iter().filter_map(Weak::upgrade) {
            note_pressing(&count, is_pressing);
        }
    }

    /// Notifies a group from now on whether the queue is pressing.
    pub(super) fn join(&mut self, count: &Arc<AtomicUsize>) {
        self.groups.retain(|group| group.strong_count() > 0);
        self.groups.push(Arc::downgrade(count));
        if self.is_pressing {
            note_pressing(count, true);
        }
    }

    /// Whether messages of this socket have to wait, because a group that it has joined is full.
    pub(super) fn is_held_up(&self) -> bool {
        let is_full = |group: &Weak<AtomicUsize>| {
            group.upgrade().is_some_and(|count| count.load(Ordering::Relaxed) > 0)
        };
        self.groups.iter().any(is_full)
    }

    /// Notes whether the client is slow.
    pub(super) fn set_stalled(&mut self, is_stalled: bool) {
        self.is_stalled = is_stalled;
        self.settle();
    }

    /// Returns the bytes that a slow client holds up.
    pub(super) fn stalled_bytes(&self) -> Option<usize> {
        let is_open = matches!(self.state, State::Open);
        (is_open && self.is_stalled && !self.frames.is_empty()).then(|| self.held())
    }

    pub(super) fn cut_if_stalled(&mut self) -> bool {
        if self.is_stalled {
            self.end(State::Cut);
            self.wake();
        }
        self.is_stalled
    }

    pub(super) fn ask_to_close(&mut self, code: u16, reason: &str) {
        if matches!(self.state, State::Open) {
            self.state = State::Close(code, reason.to_owned());
        }
    }

    /// Drops the frames that wait.
    pub(super) fn end(&mut self, state: State) {
        self.frames = VecDeque::new();
        (self.bytes, self.own_bytes) = (0, 0);
        self.state = state;
        self.settle();
    }

    /// Puts the frames that wait, as far as there is room. Returns whether all of them were put.
    pub(super) fn flush(&mut self, connection: &mut Connection<'_>) -> bool {
        if self.frames.is_empty() {
            return true;
        }
        let is_all = self.put_frames(connection);
        if is_all {
            // The room for many frames is given back.
            self.frames.shrink_to(FRAMES_KEPT);
        }
        self.settle();
        is_all
    }

    fn put_frames(&mut self, connection: &mut Connection<'_>) -> bool {
        while let Some(frame) = self.frames.front_mut() {
            let put = connection.put(&frame.bytes);
            frame.bytes.advance(put);
            self.bytes -= put;
            if frame.shared.is_none() {
                self.own_bytes -= put;
            }
            if !frame.bytes.is_empty() {
                return false;
            }
            self.frames.pop_front();
        }
        true
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

fn note_pressing(count: &AtomicUsize, is_pressing: bool) {
    match is_pressing {
        true => count.fetch_add(1, Ordering::Relaxed),
        false => count.fetch_sub(1, Ordering::Relaxed),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::upgrade::{Turn, Wish};
    use crate::waker::Wake;

    /// A loop that ignores its wake-ups.
    struct Deaf;

    impl Wake for Deaf {
        fn wake(&self) {}
    }

    fn flush(pending: &mut Pending) -> usize {
        let (mut out, mut wish, waker) = (Vec::new(), Wish::default(), Waker::new(Deaf));
        let turn = Turn { messages: &mut 0, messages_max: 32, is_overdue: false };
        pending.flush(&mut Connection::new(&mut out, 64 << 10, &waker, &mut wish, turn));
        out.len()
    }

    #[test]
    fn a_long_queue_gives_its_memory_back_when_it_is_empty() {
        let account = Account::new(1 << 20);
        let queue = SendQueue::new(256 << 10, &account);
        let mut pending = queue.lock();
        for _ in 0..2000 {
            assert!(pending.push(Bytes::from_static(b"...")));
        }
        assert!(pending.frames.capacity() * std::mem::size_of::<Frame>() <= pending.held());
        assert_eq!(account.held(), 2000 * (FRAME + 3));
        assert_eq!((flush(&mut pending), pending.held(), account.held()), (6000, 0, 0));
        assert!(pending.frames.capacity() <= FRAMES_KEPT);
    }

    #[test]
    fn a_full_queue_is_cut_only_if_its_client_does_not_read() {
        let account = Account::new(1 << 20);
        let queue = SendQueue::new(10_000, &account);
        let mut pending = queue.lock();
        while pending.push(Bytes::from_static(b"...")) {}
        assert!(matches!(pending.state, State::Open) && pending.is_pressing);
        assert!(pending.held() > 10_000 - 2 * FRAME);
        assert!(flush(&mut pending) > 200 && !pending.is_pressing);
        while pending.push(Bytes::from_static(b"...")) {}
        pending.set_stalled(true);
        assert!(!pending.is_pressing && !pending.push(Bytes::from_static(b"...")));
        assert!(matches!(pending.state, State::Cut));
        assert_eq!(account.held(), 0);
    }

    #[test]
    fn a_budget_that_is_used_is_a_full_queue() {
        let account = Account::new(1000);
        let queue = SendQueue::new(10_000, &account);
        let mut pending = queue.lock();
        assert!(pending.push(Bytes::from_static(&[b'.'; 500])));
        assert!(!pending.push(Bytes::from_static(&[b'.'; 500])));
        assert!(matches!(pending.state, State::Open));
        pending.set_stalled(true);
        assert!(!pending.push(Bytes::from_static(&[b'.'; 500])));
        assert!(matches!(pending.state, State::Cut));
    }

    #[test]
    fn a_group_counts_the_members_whose_queues_press() {
        let (account, count) = (Account::new(1 << 20), Arc::default());
        let queues = [SendQueue::new(1000, &account), SendQueue::new(1000, &account)];
        for queue in &queues {
            let mut pending = queue.lock();
            assert!(pending.push(Bytes::from_static(&[b'.'; 500])));
            pending.join(&count);
        }
        assert!(count.load(Ordering::Relaxed) == 2 && queues[0].lock().is_held_up());
        queues[0].lock().end(State::Over);
        flush(&mut queues[1].lock());
        assert!(count.load(Ordering::Relaxed) == 0 && !queues[0].lock().is_held_up());
    }
}
