//! Messages of other threads to the loop: a mailbox, a bell, and calls to one connection.
//!
//! ```text
//! sender: push under the lock;            if !rung.swap(true)  { wake }
//! loop:   after every poll, if rung:      rung.swap(false), then take all under the lock
//! ```
//!
//! The order on the loop's side is load-bearing. If `rung` is cleared first, a push that comes after
//! the take finds `false` and wakes. If the messages were taken first, a push between the two would
//! find `true`, not wake, and be forgotten by a loop that sleeps. A burst costs one wake-up, and a
//! loop that was rung does not sleep.
//!
//! A message never carries a response: the data of a thread for a connection lies where both sides
//! can see it ([`Later`](crate::Later), [`channel`](mod@crate::helpers::channel)), and the message says only
//! "look". So the mailbox holds at most one message for each waker, however often it is woken.

use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

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

    fn lock(&self) -> MutexGuard<'_, Vec<Message>> {
        // A push does not panic half-way: what a poisoned lock guards is whole.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls the loop to one connection, for a [`Waker`](crate::Waker). At most one message of a call
/// is under way.
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
    /// The connection to visit. A wake from here on sends another message. Everything stored before
    /// an earlier wake is seen by a visit that follows this.
    pub(crate) fn answer(self) -> Token {
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
}

/// Real mailboxes, calls and tickets in every interleaving: see `src/sync.rs`. A wake-up that is
/// lost leaves the loop asleep for ever, which loom reports as a deadlock.
#[cfg(all(loom, test))]
mod loom_checks {
    use loom::sync::atomic::AtomicUsize;
    use loom::sync::Notify;
    use loom::thread;

    use super::*;
    use crate::handler::{Hold, Place, Ticket};
    use crate::message::informational::Informational;
    use crate::waker::Waker;

    struct Bell(Notify);

    impl Wake for Bell {
        fn wake(&self) {
            self.0.notify();
        }
    }

    /// The parts of a loop that other threads can see.
    struct Loop {
        mailbox: Arc<Mailbox>,
        bell: Arc<Bell>,
    }

    impl Loop {
        fn new() -> Loop {
            let bell = Arc::new(Bell(Notify::new()));
            Loop { mailbox: Arc::new(Mailbox::new(bell.clone())), bell }
        }

        fn waker(&self) -> Waker {
            Waker::new(Call::new(Token::new(3, 7), self.mailbox.clone()))
        }

        /// A poll, which does not sleep if the loop was rung.
        fn poll(&self) {
            if !self.mailbox.is_rung() {
                self.bell.0.wait();
            }
        }

        /// Returns whether the one connection was called.
        fn read_mail(&self) -> bool {
            let mail = self.mailbox.take();
            assert!(mail.len() <= 1, "one message at most is under way");
            mail.into_iter().map(called).map(Called::answer).count() > 0
        }
    }

    fn called(message: Message) -> Called {
        match message {
            Message::Wake(called) => called,
            other => panic!("{other:?} was not sent"),
        }
    }

    /// The interleavings of three threads are too many to try all: those are tried in which a thread
    /// is preempted at most this often, besides the switches where it waits.
    const PREEMPTIONS_MAX: usize = 3;

    fn check_three_threads(test: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(PREEMPTIONS_MAX);
        builder.check(test);
    }

    /// Three messages of two senders.
    fn receive_all(take: fn(&Mailbox) -> Vec<Message>) {
        check_three_threads(move || {
            let lp = Loop::new();
            let senders = [2, 1].map(|count| {
                let mailbox = lp.mailbox.clone();
                thread::spawn(move || (0..count).for_each(|_| mailbox.send(Message::Stop)))
            });
            let mut received = 0;
            while received < 3 {
                lp.poll();
                received += take(&lp.mailbox).len();
            }
            for sender in senders {
                sender.join().unwrap();
            }
        });
    }

    #[test]
    fn no_message_is_lost() {
        receive_all(Mailbox::take);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_message_would_be_lost_if_the_mail_were_taken_before_the_bell_is_cleared() {
        receive_all(|mailbox| {
            let messages = mem::take(&mut *mailbox.lock());
            mailbox.rung.swap(false, Ordering::AcqRel);
            messages
        });
    }

    /// Two threads add one to a number and wake the connection; a visit reads the number. The
    /// number itself orders nothing, so the visit sees it by way of the wake alone.
    fn see_all(visit: fn(&Loop, &AtomicUsize) -> usize) {
        check_three_threads(move || {
            let (lp, number) = (Loop::new(), Arc::new(AtomicUsize::new(0)));
            let waker = lp.waker();
            let workers = [(); 2].map(|()| {
                let (number, waker) = (number.clone(), waker.clone());
                thread::spawn(move || {
                    number.fetch_add(1, Ordering::Relaxed);
                    waker.wake();
                })
            });
            while visit(&lp, &number) < 2 {}
            for worker in workers {
                worker.join().unwrap();
            }
        });
    }

    #[test]
    fn a_wake_after_the_visit_is_not_lost() {
        see_all(|lp, number| {
            lp.poll();
            match lp.read_mail() {
                true => number.load(Ordering::Relaxed),
                false => 0,
            }
        });
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_wake_would_be_lost_if_the_visit_came_before_the_call_is_answered() {
        see_all(|lp, number| {
            lp.poll();
            let mut seen = 0;
            for message in lp.mailbox.take() {
                seen = number.load(Ordering::Relaxed);
                called(message).answer();
            }
            seen
        });
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Worker {
        Responds,
        GivesUp,
    }

    /// A worker sends an informational response and then responds or gives up, while the loop visits
    /// its connection when called and when the deadline passes, if there is one. `end` ends the wait
    /// of the loop.
    fn race(worker: Worker, has_deadline: bool, end: fn(Hold<usize>)) {
        loom::model(move || {
            let lp = Loop::new();
            let hold = Hold::new(Ticket::new());
            let (ticket, later) = (Arc::clone(&hold), hold.later(lp.waker()));
            let worker_thread = thread::spawn(move || {
                later.inform(Informational::processing());
                match worker {
                    Worker::Responds => later.answer(|responses: &mut usize| {
                        *responses += 1;
                        "done"
                    }),
                    Worker::GivesUp => drop(later),
                }
            });
            let (mut responses, mut informational) = (0, 0);
            while responses == 0 {
                // At the deadline the poll ends without the bell, wherever the worker is.
                if !has_deadline {
                    lp.poll();
                }
                if !lp.read_mail() && !has_deadline {
                    continue;
                }
                let (place, before) = hold.take();
                informational += before.len();
                let is_result = matches!(place, Place::Given(_) | Place::Forgotten);
                assert!(!is_result || informational == 1, "an informational response was lost");
                match place {
                    Place::Given(give) => drop(give(&mut responses)),
                    Place::Forgotten => responses += 1,
                    Place::Empty if has_deadline => responses += 1,
                    Place::Empty => {}
                    Place::Over => panic!("the loop still waits"),
                }
            }
            end(hold);
            worker_thread.join().unwrap();
            if let Place::Given(give) = ticket.take().0 {
                drop(give(&mut responses));
            }
            assert_eq!(responses, 1, "final responses");
        });
    }

    #[test]
    fn a_response_is_seen_after_the_informational_response_before_it() {
        race(Worker::Responds, false, drop);
        race(Worker::GivesUp, false, drop);
    }

    #[test]
    fn response_and_deadline_race_to_one_final_response() {
        race(Worker::Responds, true, drop);
        race(Worker::GivesUp, true, drop);
    }

    #[test]
    #[should_panic(expected = "final responses")]
    fn there_would_be_two_final_responses_if_the_deadline_did_not_close_the_ticket() {
        race(Worker::Responds, true, std::mem::forget);
    }
}
