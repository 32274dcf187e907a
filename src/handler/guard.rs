//! The boundary to the program's code: handlers, receivers, producers, protocols, hooks, and the
//! destructors of their values. A panic in this code costs one connection and not the loop.
//!
//! The rule: the loop calls a function of the program only through [`guard`], and drops a value of
//! the program only with [`let_go`] or within a guarded call. The logger of the program is called
//! through [`logging`](crate::logging).

use crate::logging::{error, forget};
use std::any::Any;
use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};

/// Runs code of the program. Returns its panic, if there is one, after the panic hook has run.
pub(crate) fn guard<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    panic::catch_unwind(AssertUnwindSafe(call)).map_err(Panic::of)
}

/// A panic of the program on its way to the log. A caller that knows the connection logs it.
/// Otherwise it is logged when it is dropped.
///
/// It is a thin pointer, because the result of every call of the program has room for it.
#[derive(Debug)]
pub(crate) struct Panic(Box<Message>);

#[derive(Debug, Default)]
struct Message(String);

impl Panic {
    #[cold]
    #[inline(never)]
    fn of(payload: Box<dyn Any + Send>) -> Panic {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = text.filter(|text| !text.is_empty()).unwrap_or("without a message");
        let message = Message(message.to_owned());
        forget(payload);
        Panic(Box::new(message))
    }

    /// Returns the message, for a caller that logs it.
    pub(crate) fn into_message(mut self) -> String {
        mem::take(&mut self.0 .0)
    }
}

impl Drop for Panic {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        if !self.0 .0.is_empty() {
            error!("a function of the program panicked: {}", self.0 .0);
        }
    }
}

/// Returns the message of an error of the program, and drops that error.
pub(crate) fn message_of(error: io::Error) -> String {
    let message = guard(|| error.to_string());
    let_go(error);
    message.unwrap_or_else(|_| "an error that cannot be shown".to_owned())
}

/// Drops a value of the program: its destructor may panic, too.
pub(crate) fn let_go<T>(value: T) {
    let _ = guard(|| drop(value));
}

/// A value of the program on its way to its place. If it does not get there, it is dropped with
/// [`let_go`].
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
