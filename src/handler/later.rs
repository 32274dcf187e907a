//! [`Later`]: an answer that comes from somewhere else, usually another thread.
//!
//! The handler gives the request away and the loop goes on. What comes back is a function that
//! the loop runs with the state, so nothing of the state is ever shared.
//!
//! ```text
//!   loop                                      worker
//!   ────                                      ──────
//!   Reply::later(start) ── Later ───────────►  works
//!   waits, handler_timeout armed               later.answer(|state| ..)
//!   woken: takes the function, runs it  ◄────  stores it, wakes
//! ```
//!
//! Whichever comes first wins, the answer or the deadline; the other finds the ticket used.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::handler::{Reply, INFORMATIONAL_MAX};
use crate::message::informational::Informational;
use crate::message::response::Response;
use crate::waker::Waker;

/// The right to answer one request, from any thread.
///
/// Made by [`Reply::later`]. Dropping it without an answer is a 500 with a log line, so a worker
/// that panics does not leave its client waiting.
///
/// ```
/// use std::thread;
/// use wheelhouse::{Reply, Request, Response};
///
/// fn slow(req: &Request<'_>) -> Reply {
///     let path = req.path().to_owned();
///     Reply::later(|later| {
///         thread::spawn(move || {
///             // Here it may block as long as it likes, within `Limits::handler_timeout`.
///             later.answer(move |_state| Response::text(format!("counted {path}\n")));
///         });
///     })
/// }
/// # let mut sim = wheelhouse::sim::Sim::new(slow);
/// # let c = sim.connect_and_send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
/// # for _ in 0..5000 {
/// #     if !sim.received(c).is_empty() { break }
/// #     thread::sleep(std::time::Duration::from_millis(1));
/// #     sim.advance(std::time::Duration::ZERO);
/// # }
/// # assert!(sim.received(c).ends_with(b"counted /a\n"));
/// ```
pub struct Later<S = ()> {
    ticket: Arc<Ticket<S>>,
    waker: Waker,
}

impl<S: 'static> Later<S> {
    /// Answers with what `give` returns. It is run on the loop, where the state is: let it only
    /// put together what has been worked out before. If nobody waits any more
    /// ([`is_over`](Later::is_over)) it is dropped without being run.
    pub fn answer<R: Into<Reply<S>>>(self, give: impl FnOnce(&mut S) -> R + Send + 'static) {
        // `drop` wakes the loop.
        self.ticket.put(Place::Given(Box::new(move |state: &mut S| give(state).into())));
    }

    /// Tells the peer something before the answer, such as that it is being worked on
    /// ([`Informational::processing`]). As with [`Reply::inform`], HTTP/1.0 gets none, and what is
    /// above 16 is left out.
    pub fn inform(&self, informational: Informational) {
        let mut told = self.ticket.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.count == INFORMATIONAL_MAX {
            log::error!("more than {INFORMATIONAL_MAX} informational answers: left out");
            return;
        }
        told.count += 1;
        told.waiting.push(informational);
        drop(told);
        self.waker.wake();
    }

    /// Whether the peer has ended or broken its side of the connection. Ending it is no
    /// cancellation, a half-closed peer still reads; but for work that is dear it is a good
    /// reason to stop.
    pub fn peer_has_left(&self) -> bool {
        self.ticket.peer_has_left.load(Ordering::Acquire)
    }

    /// Whether an answer would come too late: the deadline has passed, the connection is gone, or
    /// the server has stopped.
    pub fn is_over(&self) -> bool {
        matches!(*self.ticket.lock(), Place::Over)
    }
}

impl<S> Drop for Later<S> {
    fn drop(&mut self) {
        self.ticket.put(Place::Forgotten);
        self.waker.wake();
    }
}

impl<S> fmt::Debug for Later<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}

/// What both sides see of one answer.
pub(crate) struct Ticket<S> {
    place: Mutex<Place<S>>,
    told: Mutex<Told>,
    peer_has_left: AtomicBool,
}

/// What is told before the answer.
#[derive(Default)]
struct Told {
    waiting: Vec<Informational>,
    /// How many there were in all.
    count: usize,
}

type Give<S> = Box<dyn FnOnce(&mut S) -> Reply<S> + Send>;

/// Where the answer is. Only `Empty` can be changed into something else by a worker, and only the
/// loop changes anything into `Over`.
pub(crate) enum Place<S> {
    Empty,
    Given(Give<S>),
    /// The `Later` was dropped.
    Forgotten,
    /// Nobody waits any more.
    Over,
}

impl<S> Ticket<S> {
    pub(crate) fn new() -> Arc<Ticket<S>> {
        Arc::new(Ticket {
            place: Mutex::new(Place::Empty),
            told: Mutex::default(),
            peer_has_left: AtomicBool::new(false),
        })
    }

    pub(crate) fn later(self: &Arc<Self>, waker: Waker) -> Later<S> {
        Later { ticket: Arc::clone(self), waker }
    }

    fn put(&self, given: Place<S>) {
        let mut place = self.lock();
        if matches!(*place, Place::Empty) {
            *place = given;
        }
    }

    /// The answer, if it is there. It can be had once.
    pub(crate) fn take(&self) -> Place<S> {
        let mut place = self.lock();
        match *place {
            Place::Empty => Place::Empty,
            _ => std::mem::replace(&mut *place, Place::Over),
        }
    }

    /// What is to be told now.
    pub(crate) fn take_told(&self) -> Vec<Informational> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut told.waiting)
    }

    /// Nobody waits any more.
    pub(crate) fn close(&self) {
        // What was given is dropped outside the lock.
        let _given = std::mem::replace(&mut *self.lock(), Place::Over);
    }

    pub(crate) fn note_peer_left(&self) {
        self.peer_has_left.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Place<S>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop's hold of a ticket. Let go, with the loop itself if not before, it is closed: no worker
/// works on for nobody.
pub(crate) struct Hold<S>(Arc<Ticket<S>>);

impl<S> Hold<S> {
    pub(crate) fn new(ticket: Arc<Ticket<S>>) -> Hold<S> {
        Hold(ticket)
    }
}

impl<S> Deref for Hold<S> {
    type Target = Arc<Ticket<S>>;

    fn deref(&self) -> &Arc<Ticket<S>> {
        &self.0
    }
}

impl<S> Drop for Hold<S> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What a handler asks for with [`Reply::later`].
pub(crate) struct Start<S> {
    pub(crate) start: Box<dyn FnOnce(Later<S>)>,
    /// Instead of `Limits::handler_timeout`.
    pub(crate) timeout: Option<Duration>,
    /// Instead of the one-line page of a 504.
    pub(crate) late: Option<Response>,
    /// What the answer goes through, whichever it is.
    pub(crate) finish: Option<Finish<S>>,
}

pub(crate) type Finish<S> = Box<dyn FnOnce(&mut S, Reply<S>) -> Reply<S>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waker::Wake;
    use std::collections::HashSet;
    use std::sync::atomic::AtomicUsize;

    struct Bell(Arc<AtomicUsize>);

    impl Wake for Bell {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn pair() -> (Arc<Ticket<()>>, Later, Arc<AtomicUsize>) {
        let (ticket, rung) = (Ticket::new(), Arc::default());
        let later = ticket.later(Waker::new(Bell(Arc::clone(&rung))));
        (ticket, later, rung)
    }

    #[test]
    fn an_answer_is_stored_before_the_loop_is_woken_and_taken_once() {
        let (ticket, later, rung) = pair();
        assert!(matches!(ticket.take(), Place::Empty));
        later.answer(|()| "done");
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        assert!(matches!(ticket.take(), Place::Given(_)));
        assert!(matches!(ticket.take(), Place::Over));
    }

    #[test]
    fn a_later_that_is_dropped_says_so() {
        let (ticket, later, rung) = pair();
        drop(later);
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        assert!(matches!(ticket.take(), Place::Forgotten));
    }

    #[test]
    fn who_comes_too_late_is_told_and_not_run() {
        let (ticket, later, _) = pair();
        assert!(!later.is_over());
        ticket.close();
        assert!(later.is_over());
        later.answer(|()| -> &'static str { panic!("nobody waits for this") });
        assert!(matches!(ticket.take(), Place::Over));
    }

    /// One answer as a model, each step atomic: a worker that tells something and then answers or
    /// gives up, the loop with its mailbox, an event of the connection, and the deadline.
    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct Model {
        order: Order,
        place: char,
        /// Something waits to be told.
        told: bool,
        /// The next step of the worker: tell, call, put, call. A call is three steps.
        worker: u8,
        answers: bool,
        under_way: bool,
        queued: bool,
        rung: bool,
        awake: bool,
        /// Asleep, cleared the bell, took the mail, answered the call, looked twice.
        consumer: u8,
        mail: bool,
        /// The peer has ended its side, and the loop does not know it yet.
        event: bool,
        visits: bool,
        /// What a visit has found.
        seen: char,
        deadline: Deadline,
        final_answers: u8,
        /// The worker's answer went ahead of what it had told before.
        is_lost: bool,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Deadline {
        None,
        Armed,
        Passed,
    }

    /// The order of the loop, and two that would be wrong.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Order {
        Ours,
        ToldBeforePlace,
        LookBeforeCallIsAnswered,
    }

    /// The worker's next step, if it has one.
    fn work(m: &Model) -> Option<Model> {
        let mut w = m.clone();
        w.worker += 1;
        match m.worker {
            0 => w.told = true,
            // A call: it is under way, or is pushed and rings.
            1 | 5 if std::mem::replace(&mut w.under_way, true) => w.worker += 2,
            1 | 5 => {}
            2 | 6 => assert!(!std::mem::replace(&mut w.queued, true), "one message at most"),
            3 | 7 => w.awake |= !std::mem::replace(&mut w.rung, true),
            4 if w.place == 'e' => w.place = if w.answers { 'g' } else { 'f' },
            4 => {}
            _ => return None,
        }
        Some(w)
    }

    /// The loop's next step, if it does not sleep.
    fn turn(m: &Model) -> Option<Model> {
        let mut c = m.clone();
        c.consumer = (c.consumer + 1) % 7;
        match (m.consumer, m.order) {
            (0, _) if m.awake => c.awake = false,
            (0, _) if m.event => (c.event, c.visits) = (false, true),
            // The poll ends by itself: the deadline is judged in that turn, behind the mail.
            (0, _) if m.deadline == Deadline::Armed => {
                (c.deadline, c.visits) = (Deadline::Passed, true);
            }
            (0, _) => return None,
            (1, _) => c.rung = false,
            (2, _) => c.mail = std::mem::take(&mut c.queued),
            (3, order) => {
                c.visits |= m.mail;
                c.under_way &= !m.mail || order == Order::LookBeforeCallIsAnswered;
            }
            (4, Order::ToldBeforePlace) if m.visits => c.told = false,
            (4, _) if m.visits => c.seen = m.place,
            (5, order) if m.visits => {
                match order {
                    Order::ToldBeforePlace => c.seen = m.place,
                    _ => c.told = false,
                }
                let is_given = matches!(c.seen, 'g' | 'f');
                if is_given || m.deadline == Deadline::Passed && m.place != 'o' {
                    c.place = 'o';
                    c.final_answers += 1;
                    c.is_lost = is_given && c.told;
                }
                if order == Order::LookBeforeCallIsAnswered {
                    c.under_way &= !m.mail;
                }
            }
            _ => (c.mail, c.visits, c.seen) = (false, false, 'e'),
        }
        Some(c)
    }

    /// Explores every interleaving: how many states there are, and how many of them are the end of
    /// one that went wrong.
    fn explore(order: Order, answers: bool, deadline: Deadline) -> (usize, usize) {
        let start = Model {
            order,
            place: 'e',
            told: false,
            worker: 0,
            answers,
            under_way: false,
            queued: false,
            rung: false,
            awake: false,
            consumer: 0,
            mail: false,
            event: true,
            visits: false,
            seen: 'e',
            deadline,
            final_answers: 0,
            is_lost: false,
        };
        let (mut seen, mut todo, mut wrong) = (HashSet::new(), vec![start], 0);
        while let Some(state) = todo.pop() {
            if !seen.insert(state.clone()) {
                continue;
            }
            assert!(state.final_answers <= 1, "{state:?}");
            let next: Vec<Model> = work(&state).into_iter().chain(turn(&state)).collect();
            let is_stuck = next.is_empty() && state.final_answers == 0;
            wrong += usize::from(is_stuck || state.is_lost);
            todo.extend(next);
        }
        (seen.len(), wrong)
    }

    /// Every interleaving of worker, mailbox and deadline ends with exactly one final answer, and
    /// what the worker told before it has gone ahead.
    #[test]
    fn however_worker_and_deadline_race_there_is_one_answer() {
        for answers in [true, false] {
            for deadline in [Deadline::None, Deadline::Armed] {
                let (states, wrong) = explore(Order::Ours, answers, deadline);
                assert!(states > 100, "{states} states");
                assert_eq!(wrong, 0);
            }
        }
    }

    #[test]
    fn other_orders_of_the_loops_steps_would_lose_an_answer_or_what_was_told() {
        assert!(explore(Order::LookBeforeCallIsAnswered, true, Deadline::None).1 > 0);
        assert!(explore(Order::ToldBeforePlace, true, Deadline::None).1 > 0);
    }
}
