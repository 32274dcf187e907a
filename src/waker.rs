//! [`Waker`]: makes the loop visit a connection, from any thread. The loop's side is in
//! `reactor/mailbox.rs`.

use std::fmt;
use std::sync::Arc;

use crate::account::Account;

/// A handle that makes the loop visit one connection again, from any thread.
///
/// A paused [`Receive`](crate::content::Receive), a [`Produce`](crate::body::Produce) with nothing
/// to send and a [`Protocol`](crate::upgrade::Protocol) get a waker, so that they can wait for
/// something outside the loop. Store the result in a place that both sides share, and then wake. A
/// wake is cheap. It may come more often than needed, and does nothing after the connection has
/// ended.
///
/// It converts into a [`std::task::Waker`], so a producer can poll a future:
///
/// ```
/// use std::future::Future;
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
/// use std::time::Duration;
/// use wheelhouse::body::{Out, Produce, Produced};
/// use wheelhouse::Waker;
///
/// struct Page<F>(Pin<Box<F>>, Option<Waker>);
///
/// impl<F: Future<Output = String> + Send> Produce for Page<F> {
///     fn start(&mut self, waker: Waker) {
///         self.1 = Some(waker);
///     }
///
///     fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
///         let waker = self.1.clone().expect("it was started").into();
///         match self.0.as_mut().poll(&mut Context::from_waker(&waker)) {
///             Poll::Pending => Ok(Produced::Wait(Duration::from_secs(30))),
///             Poll::Ready(text) if out.put_all(text.as_bytes()) => Ok(Produced::End),
///             Poll::Ready(_) => Err(std::io::Error::other("page too long: expected 64 KiB")),
///         }
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Waker(Arc<dyn Wake>);

/// A target of a [`Waker`].
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);

    /// The account of the loop that is woken.
    fn account(&self) -> Option<&Account> {
        None
    }
}

impl Waker {
    pub(crate) fn new(wake: impl Wake + 'static) -> Waker {
        Waker(Arc::new(wake))
    }

    /// Makes the loop visit the connection soon.
    pub fn wake(&self) {
        self.0.wake();
    }

    /// Returns the account for memory that is held for clients of this loop.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.0.account()
    }
}

impl From<Waker> for std::task::Waker {
    fn from(waker: Waker) -> std::task::Waker {
        Arc::new(Task(waker)).into()
    }
}

/// A [`Waker`] in the form that futures use.
struct Task(Waker);

impl std::task::Wake for Task {
    fn wake(self: Arc<Task>) {
        self.0.wake();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Bell(AtomicUsize);

    impl Wake for Arc<Bell> {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_waker_of_a_future_wakes_the_same_connection() {
        let bell = Arc::new(Bell(AtomicUsize::new(0)));
        let waker = std::task::Waker::from(Waker::new(Arc::clone(&bell)));
        waker.wake_by_ref();
        waker.wake();
        assert_eq!(bell.0.load(Ordering::SeqCst), 2);
    }
}
