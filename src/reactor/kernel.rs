//! The calls that the loop makes to the operating system, as a trait. So no other part of the loop
//! knows whether it runs on the real kernel (`mio_kernel.rs`) or on the simulated one
//! (`sim/kernel.rs`).

use std::fs::File;
use std::io;
use std::net::SocketAddr;
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

/// The calls that the loop makes. None blocks but [`poll`](Kernel::poll). Each may fail at any time
/// with an error of the system.
pub(crate) trait Kernel {
    type Stream: Transport;
    type Listener;

    /// Monotonic time since the start.
    fn now(&self) -> Millis;
    /// The same, not cut to milliseconds.
    fn elapsed(&self) -> Duration;
    /// Time since 1970.
    fn wall(&self) -> Duration;
    /// Waits for readiness, at most for `timeout`, and notes at most [`EVENTS_MAX`] events. A signal
    /// may end it before it has looked.
    fn poll(&mut self, timeout: Option<Duration>, note: impl FnMut(Event)) -> io::Result<()>;
    /// The bell by which other threads end a poll.
    fn waker(&self) -> Arc<dyn Wake>;
    /// The number of signals that asked for a shutdown since the last call.
    fn signals(&mut self) -> usize;

    fn watch_listener(&mut self, listener: &mut Self::Listener, token: Token) -> io::Result<()>;
    /// Lets the next poll report the listener anew if a client waits.
    fn rewatch_listener(&mut self, listener: &mut Self::Listener, token: Token) -> io::Result<()>;
    /// Accepts a connection. Returns it with the address of its client; `None` on a Unix socket.
    fn accept(&mut self, listener: &Self::Listener) -> io::Result<Accepted<Self::Stream>>;
    /// Accepts one connection with the reserve descriptor and drops it, so that its client notices
    /// that the server is out of descriptors. Returns whether that was possible.
    fn shed(&mut self, listener: &Self::Listener) -> bool;

    /// Closes a listener: from now on clients cannot connect to it.
    fn unlisten(&mut self, listener: Self::Listener);

    /// Watches a stream, edge-triggered: each readiness is reported once. Watching it again reports
    /// the present one anew.
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
    /// Hands out a stream, which leaves the loop.
    fn release(&mut self, stream: Self::Stream) -> io::Result<HijackedStream>;
    /// Closes a stream, ordinarily or with a reset. A reset frees the buffers of the kernel at
    /// once.
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

/// A connection that was accepted, and the address of its client.
pub(crate) type Accepted<S> = (S, Option<SocketAddr>);

/// Readiness of one token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) token: Token,
    /// There may be bytes to read, or an end or an error, which a read returns too.
    pub(crate) readable: bool,
    /// There is room to write, or an error, which a write returns too. Not set for a connection
    /// that is readable.
    pub(crate) writable: bool,
    /// The client has ended its side, or the connection is broken.
    pub(crate) read_closed: bool,
    /// The connection is broken: nothing that is sent arrives. Set only beside `read_closed`.
    pub(crate) broken: bool,
}

/// Whether a read that fills less than its buffer has drained the socket: true of epoll and
/// kqueue, not of mio's other back ends.
///
/// The exceptions are urgent bytes of TCP, and descriptors that come with bytes on a Unix socket. A
/// client that sends these gets its response with the next event, or at the deadline of its request,
/// before which the socket is read once more. No client of HTTP sends them.
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

/// Events taken in one turn. After a full batch, more may be waiting.
pub(crate) const EVENTS_MAX: usize = 256;

/// Whether sending from a file failed because of the client or the network. Any other error is one
/// of the file.
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
