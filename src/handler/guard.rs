//! The border to the program's code: handlers, receivers, producers, protocols, hooks, and the
//! destructors of what they own. A panic in any of them costs one connection and not the loop.

use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};

/// Runs code of the program. The panic hook has printed the message of a panic by then.
pub(crate) fn guard<T>(call: impl FnOnce() -> T) -> Result<T, ()> {
    panic::catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        log::error!("a function of the program panicked");
        // Dropping the payload is the program's code, too. Should that panic, its payload is
        // leaked.
        if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(second);
        }
    })
}

/// The message of an error that the program has returned, and the end of that error.
pub(crate) fn message_of(error: io::Error) -> String {
    let message = guard(|| error.to_string());
    let_go(error);
    message.unwrap_or_else(|()| "an error that cannot be shown".to_owned())
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
