//! Functions that other threads leave for the loop, which calls them with the state. One message in
//! the mailbox announces all that wait.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A function for the loop, and the delay after which it is due.
pub(crate) type RemoteCall<S> = (Duration, Box<dyn FnOnce(&mut S) + Send>);

/// The functions that wait for the next turn; `None` once the loop has ended.
pub(crate) struct Calls<S>(Mutex<Option<Vec<RemoteCall<S>>>>);

/// The outcome of [`Calls::put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is the first one that waits: a message must announce it.
    First,
    /// A message that announces it is under way.
    Next,
    /// The loop has ended.
    Refused,
}

impl<S> Calls<S> {
    pub(crate) fn new() -> Calls<S> {
        Calls(Mutex::new(Some(Vec::new())))
    }

    /// Leaves a function, if the loop has not ended.
    pub(crate) fn put(&self, call: RemoteCall<S>) -> Put {
        let mut calls = self.lock();
        let Some(waiting) = &mut *calls else {
            // The destructor of the function may call here, so the lock is freed before it runs.
            drop(calls);
            return Put::Refused;
        };
        waiting.push(call);
        match waiting.len() {
            1 => Put::First,
            _ => Put::Next,
        }
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
        // A push does not panic half-way, so the data of a poisoned lock is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn call() -> RemoteCall<()> {
        (Duration::ZERO, Box::new(|()| ()))
    }

    #[test]
    fn only_the_first_function_that_waits_needs_a_message() {
        let calls = Calls::new();
        for _ in 0..2 {
            assert_eq!([(); 3].map(|()| calls.put(call())), [Put::First, Put::Next, Put::Next]);
            assert_eq!(calls.take().len(), 3);
        }
        calls.put(call());
        assert_eq!(calls.close().len(), 1);
        assert_eq!(calls.put(call()), Put::Refused);
    }

    #[test]
    fn the_destructor_of_a_refused_function_may_leave_another() {
        struct Leaves(Arc<Calls<()>>);
        impl Drop for Leaves {
            fn drop(&mut self) {
                assert_eq!(self.0.put(call()), Put::Refused);
            }
        }
        let calls = Arc::new(Calls::new());
        calls.close();
        let leaves = Leaves(calls.clone());
        let refused = calls.put((Duration::ZERO, Box::new(move |()| drop(leaves))));
        assert_eq!(refused, Put::Refused);
    }
}
