//! [`Waker`]: how anything outside the loop has one connection looked at again.
//!
//! What it rings is not known here; the loop's side is `reactor/mailbox.rs`.

use std::fmt;
use std::sync::Arc;

/// Makes the loop look at one connection again, from any thread.
///
/// Who waits for something outside the loop is given one: a paused [`Receive`](crate::Receive), a
/// [`Produce`](crate::body::Produce) with nothing to say, a [`Protocol`](crate::Protocol). Store what
/// there is to say where both sides see it, then wake. Waking is cheap, may be done too often, and
/// does nothing once the connection has gone.
#[derive(Clone)]
pub struct Waker(Arc<dyn Wake>);

/// What can be woken.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

impl Waker {
    pub(crate) fn new(wake: impl Wake + 'static) -> Waker {
        Waker(Arc::new(wake))
    }

    /// Has the connection visited soon.
    pub fn wake(&self) {
        self.0.wake();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}
