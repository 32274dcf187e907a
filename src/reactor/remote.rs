//! Functions that other threads leave for the loop, which calls them with the state. One message in
//! the mailbox announces all that wait.

use std::mem;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::handler::guard::let_go;

/// A function for the loop, and the delay after which it is due.
pub(crate) type RemoteCall<S> = (Duration, Box<dyn FnOnce(&mut S) + Send>);

/// The functions that wait for the next turn; `None` once the loop has ended, or can never begin.
pub(crate) struct Calls<S>(Mutex<Option<Vec<RemoteCall<S>>>>);

/// The loop's end of the calls. Dropping it [ends](CallsOwner::end) them: with the server if that
/// never ran, or else with the loop.
pub(crate) struct CallsOwner<S>(Arc<Calls<S>>);

impl<S> CallsOwner<S> {
    pub(crate) fn new() -> CallsOwner<S> {
        CallsOwner(Arc::new(Calls(Mutex::new(Some(Vec::new())))))
    }

    /// Drops the functions that wait, and refuses further ones.
    pub(crate) fn end(&self) {
        self.close().into_iter().for_each(let_go);
    }
}

impl<S> Deref for CallsOwner<S> {
    type Target = Arc<Calls<S>>;

    fn deref(&self) -> &Arc<Calls<S>> {
        &self.0
    }
}

impl<S> Drop for CallsOwner<S> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The outcome of [`Calls::put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is the first one that waits: a message must announce it.
    First,
    /// A message that announces it is under way.
    Next,
    /// The loop has ended, or can never begin.
    Refused,
}

impl<S> Calls<S> {
    /// Leaves a function, unless no loop will take it.
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
    fn close(&self) -> Vec<RemoteCall<S>> {
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

    fn call() -> RemoteCall<()> {
        (Duration::ZERO, Box::new(|()| ()))
    }

    #[test]
    fn only_the_first_function_that_waits_needs_a_message() {
        let calls = CallsOwner::new();
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
        let calls = CallsOwner::new();
        calls.end();
        let leaves = Leaves(Arc::clone(&calls));
        let refused = calls.put((Duration::ZERO, Box::new(move |()| drop(leaves))));
        assert_eq!(refused, Put::Refused);
    }
}
