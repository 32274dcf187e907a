//! Keeps the hundreds of panics that a test causes on purpose out of the output of a failure.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static EXPECTED: Cell<&'static [&'static str]> = const { Cell::new(&[]) };
}

/// Silences panics of this thread with one of these messages from now on.
pub(crate) fn expect_panics(messages: &'static [&'static str]) {
    static ONCE: Once = Once::new();
    EXPECTED.set(messages);
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let message = info.payload().downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| info.payload().downcast_ref().copied());
            if !message.is_some_and(|message| EXPECTED.get().contains(&message)) {
                usual(info);
            }
        }));
    });
}
