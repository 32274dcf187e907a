//! What the loop asks of the operating system: a trait, so that nothing above knows whether the
//! real kernel (`mio_kernel.rs`) or the simulated one (`sim/kernel.rs`) stands behind it.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use crate::handler::source::Interest;
use crate::handler::upgrade::HijackedStream;
use crate::message::request::Transport;
use crate::reactor::clock::Millis;
use crate::reactor::Token;
use crate::waker::Wake;

/// The calls that the loop makes. All are non-blocking but [`poll`](Kernel::poll); each may fail
/// at any time, and the errors are those of the system.
pub(crate) trait Kernel {
    type Stream: Transport;
    type Listener;

    /// Monotonic time since the start.
    fn now(&self) -> Millis;
    /// The same, not cut to milliseconds.
    fn elapsed(&self) -> Duration;
    /// Time since 1970.
    fn wall(&self) -> Duration;
    /// Waits for readiness, at most `timeout`, and notes what there is; whether there may be more
    /// than was noted.
    fn poll(&mut self, timeout: Option<Duration>, note: impl FnMut(Event)) -> io::Result<bool>;
    /// What other threads ring to end a poll.
    fn waker(&self) -> Arc<dyn Wake>;
    /// How many signals that ask for shutdown came since the last call.
    fn signals(&mut self) -> usize;

    fn watch_listener(&mut self, listener: &mut Self::Listener, token: Token) -> io::Result<()>;
    /// Asks to be told anew if somebody waits now.
    fn rewatch_listener(&mut self, listener: &mut Self::Listener, token: Token) -> io::Result<()>;
    fn accept(&mut self, listener: &Self::Listener) -> io::Result<Self::Stream>;
    /// Out of descriptors: accepts one connection with the reserve descriptor and drops it, so
    /// that the peer learns it. Whether that was possible.
    fn shed(&mut self, listener: &Self::Listener) -> bool;

    /// Closes a listener: connecting to it fails from here on.
    fn unlisten(&mut self, listener: Self::Listener);

    /// Edge-triggered: each readiness is told once. Registering tells the present one anew.
    fn watch(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()>;
    fn watch_writing(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()>;
    fn read(&mut self, stream: &mut Self::Stream, room: &mut [u8]) -> io::Result<usize>;
    /// Writes `first` and `second` as one.
    fn write(
        &mut self,
        stream: &mut Self::Stream,
        first: &[u8],
        second: &[u8],
    ) -> io::Result<usize>;
    /// Sends a part of a file; `Ok(0)` if there is nothing at `offset`.
    fn send_file(
        &mut self,
        stream: &mut Self::Stream,
        file: &File,
        offset: u64,
        len: usize,
    ) -> io::Result<usize>;
    fn shutdown_write(&mut self, stream: &mut Self::Stream) -> io::Result<()>;
    /// Forgets a stream, which goes on to live outside the loop.
    fn release(&mut self, stream: Self::Stream) -> io::Result<HijackedStream>;
    /// Closes by dropping, or with a reset, which frees what the kernel holds at once.
    fn close(&mut self, stream: Self::Stream, with_reset: bool);

    /// Watches a descriptor of the program, edge-triggered.
    fn watch_source(
        &mut self,
        source: BorrowedFd<'_>,
        interest: Interest,
        token: Token,
    ) -> io::Result<()>;
    fn unwatch_source(&mut self, source: BorrowedFd<'_>) -> io::Result<()>;
    /// Whether a descriptor of the program has input now. Its end and an error count as input.
    fn has_input(&mut self, source: BorrowedFd<'_>) -> bool;
}

/// Readiness of one token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) token: Token,
    /// There may be bytes to read, or an end or an error, which a read tells too.
    pub(crate) readable: bool,
    /// There is room to write, or an error, which a write returns too. Not set for a connection that
    /// is readable.
    pub(crate) writable: bool,
    /// The peer has ended its side, or the connection is broken. A hint: only a read tells.
    pub(crate) read_closed: bool,
}

/// Whether a read that fills less than its buffer has drained the socket: true of epoll and
/// kqueue, not of mio's other back ends.
pub(crate) const SHORT_READ_DRAINS: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
));

/// Events taken in one turn. A full batch means that more are waiting.
pub(crate) const EVENTS_MAX: usize = 256;

/// Whether sending from a file failed because of the peer or the way to it; else it is the file's
/// fault, or that of who opened it.
pub(crate) fn is_of_socket(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        None | Some(
            Errno::PIPE
                | Errno::CONNRESET
                | Errno::CONNABORTED
                | Errno::NOTCONN
                | Errno::SHUTDOWN
                | Errno::TIMEDOUT
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NETRESET
        )
    )
}
