//! [`Remote`]: functions for the loop, from any thread.

use std::error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::limits::TIMEOUT_MAX;
use crate::reactor::mailbox::{Mailbox, Message};
use crate::reactor::remote::{Calls, Put};

/// Runs functions on the loop, with its state, from any thread or handler.
///
/// This is how a thread of the program changes the state of a running server, without a lock.
/// Clones serve the same loop.
///
/// ```
/// use wheelhouse::{sim::Sim, Request, Server};
///
/// let server = Server::with_state(Vec::new());
/// let remote = server.remote();
/// let mut sim = Sim::of(server, |_: &Request<'_>| "hello\n")?;
/// std::thread::spawn(move || remote.run(|news| news.push("from a thread"))).join().unwrap()?;
/// sim.settle();
/// assert_eq!(*sim.state(), ["from a thread"]);
/// # Ok::<(), wheelhouse::Error>(())
/// ```
///
/// The function returns nothing. To read the state from a thread, send the value through a channel:
/// `remote.run(move |news| drop(sender.send(news.len())))?`, and then `receiver.recv()`. A handler
/// that is to steer a thread of the program sends to it in the same way.
#[doc(alias("call_soon_threadsafe", "post", "defer"))]
pub struct Remote<S = ()> {
    calls: Arc<Calls<S>>,
    mailbox: Arc<Mailbox>,
}

impl<S: 'static> Remote<S> {
    /// Runs `function` in the next turn of the loop, after the functions of earlier calls. It must
    /// not block. A panic in it is logged and counted, and the loop goes on.
    ///
    /// A function that is given before the server runs is called in the first turn. Functions that
    /// have not been called when the loop ends are dropped.
    ///
    /// # Errors
    ///
    /// [`RemoteClosed`] if the loop has ended, or if the server was dropped before it ran.
    pub fn run(&self, function: impl FnOnce(&mut S) + Send + 'static) -> Result<(), RemoteClosed> {
        self.after(Duration::ZERO, function)
    }

    /// Runs `function` on the loop after `delay`, at most a year: a timer that is started while the
    /// server runs (Go's `time.AfterFunc`). The rules are those of
    /// [`Server::after`](crate::Server::after), except that a delay of zero means the next turn. A
    /// function that waits cannot be called back: let it look at the state whether it is still
    /// wanted. Its memory is the program's, and not counted in
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max).
    ///
    /// # Errors
    ///
    /// As for [`run`](Remote::run).
    pub fn after(
        &self,
        delay: Duration,
        function: impl FnOnce(&mut S) + Send + 'static,
    ) -> Result<(), RemoteClosed> {
        match self.calls.put((delay.min(TIMEOUT_MAX), Box::new(function))) {
            Put::First => self.mailbox.send(Message::Calls),
            Put::Next => {}
            Put::Refused => return Err(RemoteClosed),
        }
        Ok(())
    }
}

impl<S> Remote<S> {
    pub(crate) fn new(calls: Arc<Calls<S>>, mailbox: Arc<Mailbox>) -> Remote<S> {
        Remote { calls, mailbox }
    }
}

impl<S> Clone for Remote<S> {
    fn clone(&self) -> Remote<S> {
        Remote::new(self.calls.clone(), self.mailbox.clone())
    }
}

impl<S> fmt::Debug for Remote<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

/// The error of a [`Remote`] whose loop has ended, or never began, and calls no further function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteClosed;

impl fmt::Display for RemoteClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::Ended.fmt(f)
    }
}

impl error::Error for RemoteClosed {}

/// So that `?` works in a `main` that returns [`wheelhouse::Error`](Error).
impl From<RemoteClosed> for Error {
    fn from(_: RemoteClosed) -> Error {
        Error::Ended
    }
}
