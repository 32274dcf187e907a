//! What other threads tell the loop: a mailbox, a bell, and calls to one connection.
//!
//! ```text
//! sender: push under the lock;            if !rung.swap(true)  { wake }
//! loop:   after every poll, if rung:      rung.swap(false), then take all under the lock
//! ```
//!
//! The order on the loop's side is load-bearing. Cleared first, a push that comes after the take
//! finds `false` and wakes; taken first, a push between the two would find `true`, not wake, and
//! be forgotten by a loop that sleeps. A burst costs one wake-up, and a loop that was rung does
//! not sleep.
//!
//! A message never carries an answer: what a thread has for a connection lies where both sides
//! can see it ([`Later`](crate::Later), [`channel`](mod@crate::helpers::channel)), and the message says only
//! "look". So the mailbox holds at most one message for each waker, however often it is woken.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::reactor::Token;
use crate::waker::Wake;

/// What the loop can be told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Visit this connection: there is news for it.
    Wake(Called),
    /// Drain, within this time.
    Shutdown(Option<Duration>),
    /// Keep connections from now on, or close each after its answer.
    KeepAlive(bool),
    /// Reset everything and return.
    Stop,
}

/// Shared by the loop and all that may write to it.
pub(crate) struct Mailbox {
    rung: AtomicBool,
    messages: Mutex<Vec<Message>>,
    bell: Arc<dyn Wake>,
}

impl Mailbox {
    pub(crate) fn new(bell: Arc<dyn Wake>) -> Mailbox {
        Mailbox { rung: AtomicBool::new(false), messages: Mutex::default(), bell }
    }

    pub(crate) fn send(&self, message: Message) {
        self.lock().push(message);
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.bell.wake();
        }
    }

    /// All messages so far; costs one atomic when there are none.
    pub(crate) fn take(&self) -> Vec<Message> {
        if !self.rung.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.rung.swap(false, Ordering::AcqRel);
        mem::take(&mut *self.lock())
    }

    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Message>> {
        // A push does not panic half-way: what a poisoned lock guards is whole.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls the loop to one connection: what a [`Waker`](crate::Waker) rings. At most one message of
/// it is under way.
pub(crate) struct Call {
    token: Token,
    is_under_way: Arc<AtomicBool>,
    mailbox: Arc<Mailbox>,
}

impl Call {
    pub(crate) fn new(token: Token, mailbox: Arc<Mailbox>) -> Call {
        Call { token, is_under_way: Arc::default(), mailbox }
    }
}

impl Wake for Call {
    fn wake(&self) {
        if !self.is_under_way.swap(true, Ordering::AcqRel) {
            let called = Called { token: self.token, is_under_way: self.is_under_way.clone() };
            self.mailbox.send(Message::Wake(called));
        }
    }
}

/// A call that has reached the mailbox.
#[derive(Debug)]
pub(crate) struct Called {
    token: Token,
    is_under_way: Arc<AtomicBool>,
}

impl Called {
    /// The connection to visit. Whoever wakes from here on calls anew; what was stored before is
    /// seen by the visit that follows.
    pub(crate) fn answer(self) -> Token {
        self.is_under_way.swap(false, Ordering::AcqRel);
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waker::Waker;
    use std::collections::HashSet;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_burst_of_messages_rings_once_and_is_taken_whole() {
        let bell = Arc::new(Bell::default());
        let mailbox = Mailbox::new(bell.clone());
        assert!(mailbox.take().is_empty());
        mailbox.send(Message::Shutdown(None));
        mailbox.send(Message::Stop);
        assert_eq!(bell.0.load(Ordering::SeqCst), 1);
        assert!(matches!(mailbox.take()[..], [Message::Shutdown(None), Message::Stop]));
        mailbox.send(Message::Stop);
        assert_eq!(bell.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_waker_has_one_message_under_way_however_often_it_is_woken() {
        let bell = Arc::new(Bell::default());
        let mailbox = Arc::new(Mailbox::new(bell.clone()));
        let token = Token::new(3, 7);
        let waker = Waker::new(Call::new(token, mailbox.clone()));
        for _ in 0..1000 {
            waker.clone().wake();
        }
        let mut messages = mailbox.take();
        assert_eq!(messages.len(), 1);
        let Some(Message::Wake(called)) = messages.pop() else { panic!("{messages:?}") };
        assert_eq!(called.answer(), token);
        waker.wake();
        assert_eq!(mailbox.take().len(), 1);
        assert_eq!(bell.0.load(Ordering::SeqCst), 2);
    }

    /// The protocol above as a model, each line one atomic step.
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Model {
        rung: bool,
        queued: u8,
        woken: bool,
        senders: Vec<Sender>,
        consumer: u8,
        taken: u8,
    }

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Sender {
        left: u8,
        pushed: bool,
        must_wake: bool,
    }

    /// Explores every interleaving; how many states there are and how many of them are stuck: the
    /// consumer asleep with a message queued and nobody left to wake it.
    fn explore(clear_first: bool) -> (usize, usize) {
        let sender = Sender { left: 2, pushed: false, must_wake: false };
        let start = Model {
            rung: false,
            queued: 0,
            woken: false,
            senders: vec![sender; 3],
            consumer: 0,
            taken: 0,
        };
        let (mut seen, mut todo, mut stuck) = (HashSet::new(), vec![start], 0);
        while let Some(state) = todo.pop() {
            if !seen.insert(state.clone()) {
                continue;
            }
            let next = successors(&state, clear_first);
            if next.is_empty() && state.queued > 0 {
                stuck += 1;
            }
            todo.extend(next);
        }
        (seen.len(), stuck)
    }

    fn successors(state: &Model, clear_first: bool) -> Vec<Model> {
        let mut next = Vec::new();
        for n in 0..state.senders.len() {
            let mut after = state.clone();
            let sender = &mut after.senders[n];
            if sender.must_wake {
                sender.must_wake = false;
                after.woken = true;
            } else if sender.pushed {
                sender.pushed = false;
                sender.must_wake = !std::mem::replace(&mut after.rung, true);
            } else if sender.left > 0 {
                sender.left -= 1;
                sender.pushed = true;
                after.queued += 1;
            } else {
                continue;
            }
            next.push(after);
        }
        let mut after = state.clone();
        match (state.consumer, clear_first) {
            // Asleep: only a wake-up goes on.
            (0, _) if !state.woken => return next,
            (0, _) => after.woken = false,
            (1, true) | (2, false) => after.rung = false,
            _ => after.taken += std::mem::take(&mut after.queued),
        }
        after.consumer = (state.consumer + 1) % 3;
        next.push(after);
        next
    }

    #[test]
    fn no_interleaving_of_three_senders_loses_a_wake_up() {
        let (states, stuck) = explore(true);
        assert!(states > 1000, "{states} states");
        assert_eq!(stuck, 0);
    }

    #[test]
    fn the_other_order_of_the_two_steps_would_lose_one() {
        assert!(explore(false).1 > 0);
    }
}
