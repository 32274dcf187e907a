//! Messages of other threads to the loop: a mailbox, a bell, and calls to one connection.
//!
//! ```text
//! sender: push under the lock;            if !rung.swap(true)  { wake }
//! loop:   after every poll, if rung:      rung.swap(false), then take all under the lock
//! ```
//!
//! The order on the loop's side matters. If `rung` is cleared first, a push after the take finds
//! `false` and wakes the loop. If the messages were taken first, a push between the two steps would
//! find `true` and not wake a loop that goes to sleep. A burst costs one wake-up, and a loop that
//! was rung does not sleep.
//!
//! A message never carries a response. The data of a thread for a connection lies where both sides
//! see it ([`Later`](crate::Later), [`Body::channel`](crate::Body::channel)), and the message only
//! asks for a visit. So the mailbox holds at most one message for each waker, however often it is
//! woken.

use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use crate::account::Account;
use crate::reactor::token::Token;
use crate::sync::{AtomicBool, Mutex, MutexGuard};
use crate::waker::Wake;

/// A message to the loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// Visit this connection: the program has something new for it.
    Wake(Called),
    /// Drain, within this time.
    Shutdown(Option<Duration>),
    /// Keep connections from now on, or close each after its response.
    KeepAlive(bool),
    /// Call the functions that other threads have left.
    Calls,
    /// Reset everything and return.
    Stop,
}

/// Shared by the loop and all that may write to it.
pub(crate) struct Mailbox {
    rung: AtomicBool,
    messages: Mutex<Vec<Message>>,
    /// Set when the loop is built. Messages may come before: the loop reads them in its first turn.
    bell: Mutex<Option<Arc<dyn Wake>>>,
    /// The account of the loop. Set when the loop is built, before there is a call.
    account: OnceLock<Account>,
}

impl Mailbox {
    pub(crate) fn new() -> Mailbox {
        let (messages, bell) = (Mutex::default(), Mutex::default());
        Mailbox { rung: AtomicBool::new(false), messages, bell, account: OnceLock::new() }
    }

    /// Sets the account of the loop, once.
    pub(crate) fn set_account(&self, account: Account) {
        let _ = self.account.set(account);
    }

    /// Sets the bell that wakes the loop. The loop must look at [`is_rung`](Mailbox::is_rung)
    /// afterwards, before it sleeps: a sender that found no bell has set it.
    pub(crate) fn set_bell(&self, bell: Arc<dyn Wake>) {
        *lock(&self.bell) = Some(bell);
    }

    pub(crate) fn send(&self, message: Message) {
        lock(&self.messages).push(message);
        if !self.rung.swap(true, Ordering::AcqRel) {
            if let Some(bell) = &*lock(&self.bell) {
                bell.wake();
            }
        }
    }

    /// Takes all messages. Costs one atomic load when there are none.
    pub(crate) fn take(&self) -> Vec<Message> {
        if !self.rung.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.rung.swap(false, Ordering::AcqRel);
        mem::take(&mut *lock(&self.messages))
    }

    /// The two steps of [`take`](Mailbox::take) in the wrong order, which the model checks must
    /// find.
    #[cfg(all(test, loom))]
    pub(crate) fn take_before_clearing(&self) -> Vec<Message> {
        let messages = mem::take(&mut *lock(&self.messages));
        self.rung.swap(false, Ordering::AcqRel);
        messages
    }

    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics half-way through a change, so the data of a poisoned lock is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the loop to visit one connection, for a [`Waker`](crate::Waker). At most one message of a
/// call is under way.
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

    fn account(&self) -> Option<&Account> {
        self.mailbox.account.get()
    }
}

/// A call that has reached the mailbox.
#[derive(Debug)]
pub(crate) struct Called {
    token: Token,
    is_under_way: Arc<AtomicBool>,
}

impl Called {
    /// Returns the connection to visit. A wake from now on sends another message. A visit after
    /// this call sees all data that was stored before an earlier wake.
    pub(crate) fn take(self) -> Token {
        self.is_under_way.swap(false, Ordering::AcqRel);
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waker::Waker;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_burst_of_messages_wakes_the_loop_once_and_is_taken_whole() {
        let bell = Arc::new(Bell::default());
        let mailbox = Mailbox::new();
        mailbox.set_bell(bell.clone());
        assert!(mailbox.take().is_empty());
        mailbox.send(Message::Shutdown(None));
        mailbox.send(Message::Stop);
        assert_eq!(bell.0.load(Ordering::SeqCst), 1);
        assert!(matches!(mailbox.take()[..], [Message::Shutdown(None), Message::Stop]));
        mailbox.send(Message::Stop);
        assert_eq!(bell.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_waker_has_at_most_one_message_in_the_mailbox() {
        let bell = Arc::new(Bell::default());
        let mailbox = Arc::new(Mailbox::new());
        mailbox.set_bell(bell.clone());
        let token = Token::new(3, 7);
        let waker = Waker::new(Call::new(token, mailbox.clone()));
        for _ in 0..1000 {
            waker.clone().wake();
        }
        let mut messages = mailbox.take();
        assert_eq!(messages.len(), 1);
        let Some(Message::Wake(called)) = messages.pop() else { panic!("{messages:?}") };
        assert_eq!(called.take(), token);
        waker.wake();
        assert_eq!(mailbox.take().len(), 1);
        assert_eq!(bell.0.load(Ordering::SeqCst), 2);
    }
}
