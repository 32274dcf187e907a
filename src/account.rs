//! The account: memory that parts of the library hold for clients outside of the loop's own
//! structures, such as the pages of a listing. The loop counts it against the same budget
//! (`reactor/memory.rs`).
//!
//! The parts may drop their memory in any thread, so the totals are atomic. Both sides may be late
//! by one turn of the loop, and neither waits for the other.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;

/// The memory of one loop that is held outside of its own structures.
#[derive(Clone, Debug)]
pub(crate) struct Account(Arc<Totals>);

#[derive(Debug)]
struct Totals {
    /// The sum of all [`Hold`]s.
    held: AtomicUsize,
    /// The bytes that the loop itself holds, as of its last turn.
    of_loop: AtomicUsize,
    /// The bytes up to which both together may grow for a new hold.
    max: usize,
    /// The part of `max` that listings leave free.
    reserve: AtomicUsize,
}

impl Account {
    pub(crate) fn new(max: usize) -> Account {
        let (held, of_loop) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Account(Arc::new(Totals { held, of_loop, max, reserve: AtomicUsize::new(0) }))
    }

    /// Returns a hold of no bytes.
    pub(crate) fn empty(&self) -> Hold {
        Hold { account: self.clone(), bytes: 0 }
    }

    /// Counts `bytes` until the hold is dropped, if there is room for them.
    pub(crate) fn hold(&self, bytes: usize) -> Option<Hold> {
        let mut hold = self.empty();
        hold.resize(bytes).then_some(hold)
    }

    /// The most bytes that the loop and all holds together may have.
    pub(crate) fn max(&self) -> usize {
        self.0.max
    }

    /// The bytes of the budget that listings leave free.
    pub(crate) fn reserve(&self) -> usize {
        self.0.reserve.load(Relaxed)
    }

    /// Sets the bytes of the budget that listings leave free.
    pub(crate) fn set_reserve(&self, bytes: usize) {
        self.0.reserve.store(bytes, Relaxed);
    }

    /// The sum of all holds.
    pub(crate) fn held(&self) -> usize {
        self.0.held.load(Relaxed)
    }

    /// Notes the bytes that the loop itself holds. Returns the sum of all holds.
    #[inline(always)]
    pub(crate) fn settle(&self, of_loop: usize) -> usize {
        self.0.of_loop.store(of_loop, Relaxed);
        self.held()
    }
}

/// Whether both are the account of the same loop.
impl PartialEq for Account {
    fn eq(&self, other: &Account) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Bytes that are counted as long as this value lives.
#[derive(Debug)]
pub(crate) struct Hold {
    account: Account,
    bytes: usize,
}

impl Hold {
    /// Changes the number of bytes. Returns false, and changes nothing, if they grow and there is
    /// no room.
    pub(crate) fn resize(&mut self, bytes: usize) -> bool {
        let Totals { held, of_loop, max, .. } = &*self.account.0;
        if bytes <= self.bytes {
            held.fetch_sub(self.bytes - bytes, Relaxed);
        } else {
            let more = bytes - self.bytes;
            let room = max.saturating_sub(of_loop.load(Relaxed));
            let grown = |held: usize| held.checked_add(more).filter(|&sum| sum <= room);
            if held.fetch_update(Relaxed, Relaxed, grown).is_err() {
                return false;
            }
        }
        self.bytes = bytes;
        true
    }

    /// Changes the number of bytes, even beyond the budget: for memory that is held already.
    pub(crate) fn set(&mut self, bytes: usize) {
        let held = &self.account.0.held;
        if bytes <= self.bytes {
            held.fetch_sub(self.bytes - bytes, Relaxed);
        } else {
            held.fetch_add(bytes - self.bytes, Relaxed);
        }
        self.bytes = bytes;
    }

    /// The account that counts the bytes.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// The number of bytes.
    #[cfg(any(feature = "websocket", test))]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.account.0.held.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_are_refused_beyond_the_budget_and_given_back_when_they_are_dropped() {
        let account = Account::new(1000);
        assert_eq!(account.settle(300), 0);
        let mut first = account.hold(500).unwrap();
        assert!(account.hold(201).is_none());
        let second = account.hold(200).unwrap();
        assert!(!first.resize(501));
        assert!(first.resize(100));
        assert_eq!(account.held(), 300);
        drop(second);
        assert_eq!(account.settle(950), 100);
        assert!(!first.resize(101));
        assert!(first.resize(1));
        first.set(2000);
        assert_eq!((first.bytes(), account.held()), (2000, 2000));
        drop(first);
        assert_eq!(account.held(), 0);
    }
}
