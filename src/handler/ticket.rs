//! [`Ticket`]: one result that the loop awaits and a worker on any thread supplies.
//!
//! ```text
//!   handler, loop                             worker
//!   ─────────────                             ──────
//!   new, gives the worker its end ──────────►  works
//!   install: the loop takes the reply,
//!   and waits with a deadline
//!   woken: take, goes on waiting      ◄─────   inform: adds an informational response, wakes
//!   woken: take, has the result       ◄─────   put: stores the result, wakes
//! ```
//!
//! The worker may be first. Then its result waits in the ticket, and `install` wakes the loop.
//!
//! One lock protects the result, the informational responses and the waker. So one
//! [`take`](Ticket::take) returns a result together with everything that the worker sent before it.
//! And either the worker finds a waker, or `install` finds a result. If the deadline comes first,
//! the loop [closes](Ticket::close) the ticket, and a later result is dropped.

use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::message::informational::{Informational, INFORMATIONAL_MAX};
use crate::sync::{AtomicBool, Mutex, MutexGuard};
use crate::waker::Waker;

/// The state that both ends share. `T` is the result.
pub(crate) struct Ticket<T> {
    inner: Mutex<Inner<T>>,
    peer_has_left: AtomicBool,
}

struct Inner<T> {
    place: Place<T>,
    informational: Vec<Informational>,
    /// The number of informational responses so far, with those already taken.
    informational_count: usize,
    /// Wakes the loop. Present while the loop waits.
    waker: Option<Waker>,
}

/// The place of the result. The worker changes only an `Empty` place; only the loop sets `Over`.
pub(crate) enum Place<T> {
    Empty,
    Given(T),
    /// The worker dropped its end without a result.
    Forgotten,
    /// The result was taken, or the loop no longer waits for it.
    Over,
}

impl<T> Ticket<T> {
    pub(crate) fn new() -> Arc<Ticket<T>> {
        let inner = Inner {
            place: Place::Empty,
            informational: Vec::new(),
            informational_count: 0,
            waker: None,
        };
        Arc::new(Ticket { inner: Mutex::new(inner), peer_has_left: AtomicBool::new(false) })
    }

    /// Begins the wait of the loop, which `waker` wakes: at once if the worker was first.
    pub(crate) fn install(&self, waker: Waker) {
        let mut inner = self.lock();
        inner.waker = Some(waker);
        if !matches!(inner.place, Place::Empty) || !inner.informational.is_empty() {
            wake(inner);
        }
    }

    /// Does only the first half of [`install`](Ticket::install). The model checks must find that
    /// fault.
    #[cfg(all(loom, test))]
    pub(crate) fn install_without_a_look(&self, waker: Waker) {
        self.lock().waker = Some(waker);
    }

    /// Stores the result, unless there is one or the loop no longer waits.
    pub(crate) fn put(&self, result: T) {
        self.fill(Place::Given(result));
    }

    /// Notes that no result will come, unless there is one.
    pub(crate) fn forget(&self) {
        self.fill(Place::Forgotten);
    }

    fn fill(&self, place: Place<T>) {
        let mut inner = self.lock();
        if !matches!(inner.place, Place::Empty) {
            // The lock is released before `place` is dropped with a result that comes too late.
            return;
        }
        inner.place = place;
        wake(inner);
    }

    /// Adds an informational response. Returns `false` if there have been too many.
    pub(crate) fn inform(&self, informational: Informational) -> bool {
        let mut inner = self.lock();
        if inner.informational_count == INFORMATIONAL_MAX {
            return false;
        }
        inner.informational_count += 1;
        inner.informational.push(informational);
        wake(inner);
        true
    }

    /// Takes the result, if it is there, and the informational responses that were sent before it.
    /// A result can be taken only once.
    pub(crate) fn take(&self) -> (Place<T>, Vec<Informational>) {
        let mut inner = self.lock();
        let place = match inner.place {
            Place::Empty => Place::Empty,
            _ => mem::replace(&mut inner.place, Place::Over),
        };
        (place, mem::take(&mut inner.informational))
    }

    /// Ends the wait: a result that comes from now on is dropped.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.waker = None;
        let given = mem::replace(&mut inner.place, Place::Over);
        // The destructor of a result is code of the program, so it runs after the lock is released.
        drop(inner);
        drop(given);
    }

    /// Returns whether a result would come too late.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.lock().place, Place::Over)
    }

    pub(crate) fn note_peer_left(&self) {
        self.peer_has_left.store(true, Ordering::Release);
    }

    pub(crate) fn peer_has_left(&self) -> bool {
        self.peer_has_left.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // No code of the program runs under the lock, so the value is whole even if it is poisoned.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the loop, if it waits, after the lock is released.
fn wake<T>(inner: MutexGuard<'_, Inner<T>>) {
    let waker = inner.waker.clone();
    drop(inner);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_taken_once_together_with_the_informational_responses_before_it() {
        let ticket = Ticket::new();
        assert!(matches!(ticket.take(), (Place::Empty, informational) if informational.is_empty()));
        assert!(ticket.inform(Informational::processing()));
        ticket.put("done");
        ticket.put("too late");
        ticket.forget();
        assert!(
            matches!(ticket.take(), (Place::Given("done"), informational) if informational.len() == 1)
        );
        assert!(matches!(ticket.take(), (Place::Over, informational) if informational.is_empty()));
    }

    #[test]
    fn informational_responses_are_kept_only_up_to_the_limit() {
        let ticket = Ticket::<()>::new();
        for _ in 0..INFORMATIONAL_MAX {
            assert!(ticket.inform(Informational::processing()));
            ticket.take();
        }
        assert!(!ticket.inform(Informational::processing()));
    }

    #[test]
    fn a_result_after_the_end_of_the_wait_is_dropped() {
        let ticket = Ticket::new();
        let result = Arc::new(());
        assert!(!ticket.is_over());
        ticket.close();
        assert!(ticket.is_over());
        ticket.put(Arc::clone(&result));
        assert!(matches!(ticket.take().0, Place::Over));
        assert_eq!(Arc::strong_count(&result), 1);
    }
}

/// Checks real tickets in every interleaving: see `src/sync.rs`. `src/sim/loom_checks.rs` checks
/// the whole way of a response, through calls and the mailbox.
#[cfg(all(loom, test))]
mod loom_checks {
    use super::*;

    type Take = fn(&Ticket<()>) -> (Place<()>, Vec<Informational>);

    /// A worker sends an informational response and then the result; the loop takes twice.
    fn race(take: Take) {
        loom::model(move || {
            let ticket = Ticket::new();
            let worker_end = Arc::clone(&ticket);
            let worker = loom::thread::spawn(move || {
                worker_end.inform(Informational::processing());
                worker_end.put(());
            });
            let mut count = 0;
            for _ in 0..2 {
                let (place, informational) = take(&ticket);
                count += informational.len();
                if let Place::Given(()) = place {
                    assert_eq!(count, 1, "informational responses before the result");
                }
            }
            worker.join().unwrap();
        });
    }

    #[test]
    fn a_result_is_taken_together_with_the_informational_response_before_it() {
        race(Ticket::take);
    }

    #[test]
    #[should_panic(expected = "informational responses before the result")]
    fn two_locks_one_after_the_other_would_take_a_result_without_it() {
        race(|ticket| {
            let informational = mem::take(&mut ticket.lock().informational);
            let place = mem::replace(&mut ticket.lock().place, Place::Empty);
            (place, informational)
        });
    }
}
