//! Frames that wait to be sent on one socket: bounded, and open to other threads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};

use crate::handler::upgrade::Connection;
use crate::waker::Waker;
use crate::websocket::frames::message_frame;
use crate::websocket::message::Message;

/// Sends on one socket from anywhere: other sockets, other threads, a [`Group`](super::Group).
///
/// Clones send on the same socket. Messages are put into the socket's queue and leave with the next
/// turn of the loop, in the order of sending.
#[derive(Clone)]
pub struct Sender(pub(super) Arc<SendQueue>);

impl Sender {
    /// Sends text. Returns `false` if the socket is closing or has ended, or if its queue is full,
    /// which cuts the socket.
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

    pub(super) fn send_frame(&self, frame: Bytes) -> bool {
        let mut pending = self.0.lock();
        let is_taken = pending.push(frame, self.0.bytes_max);
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
const FRAME: usize = 128;

/// The queue of one socket, shared with its senders.
pub(super) struct SendQueue {
    pending: Mutex<Pending>,
    bytes_max: usize,
}

#[derive(Default)]
pub(super) struct Pending {
    frames: VecDeque<Bytes>,
    bytes: usize,
    pub(super) state: State,
    /// `None` until the socket is open.
    waker: Option<Waker>,
}

/// Whether a socket still takes messages.
#[derive(Default)]
pub(super) enum State {
    #[default]
    Open,
    /// A sender has asked for the end, with this code and reason.
    Close(u16, String),
    /// The queue was full when a message was to be sent.
    Cut,
    /// No more messages are taken.
    Over,
}

impl SendQueue {
    pub(super) fn new(bytes_max: usize) -> Arc<SendQueue> {
        Arc::new(SendQueue { pending: Mutex::default(), bytes_max })
    }

    pub(super) fn open(&self, waker: Waker) {
        self.lock().waker = Some(waker);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends from within the loop: at once if no frame waits and there is room.
    pub(super) fn send(&self, message: Message<'_>, connection: &mut Connection<'_>) -> bool {
        let mut pending = self.lock();
        let frame = message_frame(message);
        let is_at_once = matches!(pending.state, State::Open)
            && pending.frames.is_empty()
            && frame.len() <= connection.room();
        if is_at_once {
            return connection.put_all(&frame);
        }
        pending.push(frame, self.bytes_max)
    }
}

/// The number of frames that an empty queue keeps room for.
const FRAMES_KEPT: usize = 4;

impl Pending {
    /// Returns the number of bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the memory in bytes that the waiting frames take.
    pub(super) fn held(&self) -> usize {
        self.bytes + FRAME * self.frames.len()
    }

    fn push(&mut self, frame: Bytes, bytes_max: usize) -> bool {
        if !matches!(self.state, State::Open) {
            return false;
        }
        if self.bytes > 0 && self.held() + frame.len() + FRAME > bytes_max {
            self.end(State::Cut);
            return false;
        }
        self.push_control(frame);
        true
    }

    /// Adds a frame without a bound: a control frame, of which few can wait.
    pub(super) fn push_control(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    pub(super) fn ask_to_close(&mut self, code: u16, reason: &str) {
        if matches!(self.state, State::Open) {
            self.state = State::Close(code, reason.to_owned());
        }
    }

    /// Drops the frames that wait.
    pub(super) fn end(&mut self, state: State) {
        self.frames = VecDeque::new();
        self.bytes = 0;
        self.state = state;
    }

    /// Puts the frames that wait, as far as there is room. Returns whether all of them were put.
    pub(super) fn flush(&mut self, connection: &mut Connection<'_>) -> bool {
        while let Some(frame) = self.frames.front_mut() {
            let put = connection.put(frame);
            frame.advance(put);
            self.bytes -= put;
            if !frame.is_empty() {
                return false;
            }
            self.frames.pop_front();
        }
        // The room for many frames is given back.
        self.frames.shrink_to(FRAMES_KEPT);
        true
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
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

    #[test]
    fn a_long_queue_gives_its_memory_back_when_it_is_empty() {
        let mut pending = Pending::default();
        while pending.push(Bytes::from_static(b"..."), 256 << 10) {}
        assert!(pending.held() == 0, "it was cut");
        pending = Pending::default();
        for _ in 0..2000 {
            assert!(pending.push(Bytes::from_static(b"..."), 256 << 10));
        }
        assert!(pending.frames.capacity() * std::mem::size_of::<Bytes>() <= pending.held());
        let (mut out, mut wish, waker) = (Vec::new(), Wish::default(), Waker::new(Deaf));
        let turn = Turn { messages: &mut 0, messages_max: 32, is_overdue: false };
        assert!(pending.flush(&mut Connection::new(&mut out, 64 << 10, &waker, &mut wish, turn)));
        assert_eq!((out.len(), pending.held()), (6000, 0));
        assert!(pending.frames.capacity() <= FRAMES_KEPT);
    }
}
