//! Functions that other threads leave for the loop, which calls them with the state. A message in the
//! mailbox only says that there are some.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A function for the loop, and the delay after which it is due.
pub(crate) type RemoteCall<S> = (Duration, Box<dyn FnOnce(&mut S) + Send>);

/// The functions that wait for the next turn; `None` once the loop has ended.
pub(crate) struct Calls<S>(Mutex<Option<Vec<RemoteCall<S>>>>);

impl<S> Calls<S> {
    pub(crate) fn new() -> Calls<S> {
        Calls(Mutex::new(Some(Vec::new())))
    }

    /// Leaves a function, if the loop has not ended. Returns whether it did.
    pub(crate) fn put(&self, call: RemoteCall<S>) -> bool {
        // A function that is refused is dropped after the lock is free: its destructor may call here.
        let refused = match &mut *self.lock() {
            Some(calls) => {
                calls.push(call);
                None
            }
            None => Some(call),
        };
        refused.is_none()
    }

    /// Takes the functions that were left so far.
    pub(crate) fn take(&self) -> Vec<RemoteCall<S>> {
        self.lock().as_mut().map(mem::take).unwrap_or_default()
    }

    /// Refuses further functions, and takes those that were left.
    pub(crate) fn close(&self) -> Vec<RemoteCall<S>> {
        self.lock().take().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<RemoteCall<S>>>> {
        // A push does not panic half-way, so the data behind a poisoned lock is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
