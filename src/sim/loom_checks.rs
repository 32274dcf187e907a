//! Checks of real mailboxes, calls and tickets in every interleaving of their threads: see
//! `src/sync.rs`. A lost wake-up leaves the loop asleep for ever, which loom reports as a deadlock.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::Notify;
use loom::thread;

use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::handler::{Hold, Later, Place};
use crate::message::informational::Informational;
use crate::reactor::mailbox::{Call, Called, Mailbox, Message};
use crate::reactor::Token;
use crate::waker::{Wake, Waker};

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
        let mailbox = Arc::new(Mailbox::new());
        mailbox.set_bell(bell.clone());
        Loop { mailbox, bell }
    }

    fn waker(&self) -> Waker {
        Waker::new(Call::new(Token::new(3, 7), self.mailbox.clone()))
    }

    /// Polls. Does not sleep if the bell was rung.
    fn poll(&self) {
        if !self.mailbox.is_rung() {
            self.bell.0.wait();
        }
    }

    /// Returns whether the one connection was called.
    fn read_mail(&self) -> bool {
        let mail = self.mailbox.take();
        assert!(mail.len() <= 1, "at most one message is under way");
        mail.into_iter().map(called).map(Called::take).count() > 0
    }
}

fn called(message: Message) -> Called {
    match message {
        Message::Wake(called) => called,
        other => panic!("{other:?} was not sent"),
    }
}

/// The most preemptions of a thread in the interleavings that are tried. There are too many
/// interleavings of three threads to try all. Switches where a thread waits do not count.
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
    receive_all(Mailbox::take_before_clearing);
}

/// Two threads add one to a number and wake the connection, and a visit reads the number. Loads and
/// stores of the number are relaxed, so only the wake makes the visit see it.
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
fn a_wake_would_be_lost_if_the_visit_came_before_the_call_is_taken() {
    see_all(|lp, number| {
        lp.poll();
        let mut seen = 0;
        for message in lp.mailbox.take() {
            seen = number.load(Ordering::Relaxed);
            called(message).take();
        }
        seen
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Worker {
    Responds,
    GivesUp,
}

/// A worker sends an informational response and then responds or gives up. Before that, meanwhile
/// or after it, the loop takes the reply with `install`. It visits the connection when called and
/// when the deadline passes, if there is one. `end` ends the wait of the loop.
fn race(
    worker: Worker,
    has_deadline: bool,
    install: fn(&Hold<usize>, Waker),
    end: fn(Hold<usize>),
) {
    loom::model(move || {
        let lp = Loop::new();
        let (later, hold) = Later::new();
        // A destructor that locks must not run while loom unwinds from a deadlock.
        let hold = ManuallyDrop::new(hold);
        let ticket = Arc::clone(&hold);
        let worker_thread = thread::spawn(move || {
            later.inform(Informational::processing());
            match worker {
                Worker::Responds => later.respond_with(|responses: &mut usize| {
                    *responses += 1;
                    "done"
                }),
                Worker::GivesUp => drop(later),
            }
        });
        install(&hold, lp.waker());
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
        end(ManuallyDrop::into_inner(hold));
        worker_thread.join().unwrap();
        if let Place::Given(give) = ticket.take().0 {
            drop(give(&mut responses));
        }
        assert_eq!(responses, 1, "final responses");
    });
}

fn install(hold: &Hold<usize>, waker: Waker) {
    hold.install(waker);
}

#[test]
fn a_response_is_seen_after_the_informational_response_before_it_also_if_it_is_early() {
    race(Worker::Responds, false, install, drop);
    race(Worker::GivesUp, false, install, drop);
}

#[test]
#[should_panic(expected = "deadlock")]
fn an_early_response_would_be_lost_if_the_loop_installed_its_waker_without_a_look() {
    race(Worker::Responds, false, |hold, waker| hold.install_without_a_look(waker), drop);
}

#[test]
fn response_and_deadline_race_to_one_final_response() {
    race(Worker::Responds, true, install, drop);
    race(Worker::GivesUp, true, install, drop);
}

#[test]
#[should_panic(expected = "final responses")]
fn there_would_be_two_final_responses_if_the_deadline_did_not_close_the_ticket() {
    race(Worker::Responds, true, install, std::mem::forget);
}
