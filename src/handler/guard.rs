//! The border to the program's code: handlers, receivers, producers, protocols, hooks, and the
//! destructors of what they own. A panic in any of them costs one connection and not the loop.

use std::panic::{self, AssertUnwindSafe};

/// Runs code of the program. The panic hook has printed the message of a panic by then.
pub(crate) fn guard<T>(call: impl FnOnce() -> T) -> Result<T, ()> {
    panic::catch_unwind(AssertUnwindSafe(call))
        .map_err(|_| log::error!("a function of the program panicked"))
}

/// Drops a value of the program: its destructor may panic, too.
pub(crate) fn let_go<T>(value: T) {
    let _ = guard(|| drop(value));
}

/// A value of the program on its way to its place. If it does not get there it is
/// [let go](let_go).
pub(crate) struct OnTrial<T>(Option<T>);

impl<T> OnTrial<T> {
    pub(crate) fn new(value: T) -> OnTrial<T> {
        OnTrial(Some(value))
    }

    pub(crate) fn get(&mut self) -> &mut T {
        self.0.as_mut().expect("it has not been taken")
    }

    pub(crate) fn take(mut self) -> T {
        self.0.take().expect("it is taken once")
    }
}

impl<T> Drop for OnTrial<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            let_go(value);
        }
    }
}
