//! The operating system as a [`Kernel`], through mio: each call is passed on.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::unix::SourceFd;
use mio::{Interest, Poll};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

use crate::handler::source::Interest as SourceInterest;
use crate::handler::upgrade::HijackedStream;
use crate::logging::error;
use crate::message::request::Transport;
use crate::reactor::clock::{Millis, SystemClock};
use crate::reactor::kernel::{Accepted, Event, Kernel, EVENTS_MAX};
#[cfg(feature = "signals")]
use crate::reactor::signals::Signals;
use crate::reactor::Token;
use crate::waker::Wake;

/// The operating system, through mio.
pub(crate) struct MioKernel {
    poll: Poll,
    events: mio::Events,
    clock: SystemClock,
    waker: Arc<mio::Waker>,
    /// A descriptor in reserve, for a client that waits when no other is free.
    reserve: Option<File>,
    #[cfg(feature = "signals")]
    signals: Option<Signals>,
    /// Whether the last poll reported signals. To count them costs a read, which a usual turn
    /// saves.
    #[cfg(feature = "signals")]
    has_signals: bool,
}

impl MioKernel {
    pub(crate) fn new() -> io::Result<MioKernel> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), Token::WAKER.into())?;
        Ok(MioKernel {
            events: mio::Events::with_capacity(EVENTS_MAX),
            clock: SystemClock::new(),
            waker: Arc::new(waker),
            reserve: reserve(),
            poll,
            #[cfg(feature = "signals")]
            signals: None,
            #[cfg(feature = "signals")]
            has_signals: false,
        })
    }

    /// The descriptor of the poll: readable when there are events.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }

    /// Takes SIGINT and SIGTERM from their default action.
    #[cfg(feature = "signals")]
    pub(crate) fn catching_signals(mut self) -> io::Result<MioKernel> {
        self.signals = Some(Signals::catch(self.poll.registry())?);
        Ok(self)
    }
}

impl Kernel for MioKernel {
    type Stream = Stream;
    type Listener = Listener;

    fn now(&self) -> Millis {
        self.clock.now()
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn wall(&self) -> Duration {
        self.clock.wall()
    }

    fn poll(&mut self, timeout: Option<Duration>, mut note: impl FnMut(Event)) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            // The next turn computes the timeout anew. No deadline relies on this look.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            let token = Token::from(event.token());
            #[cfg(feature = "signals")]
            if !token.is_of_connection() {
                self.has_signals |= is_of_signals(token);
            }
            let read_closed = event.is_read_closed() || event.is_error();
            let readable = read_closed || event.is_readable();
            // A connection that has input is read, and then written to without asking.
            let asks_for_room = !readable || !token.is_of_connection();
            let writable = asks_for_room && (event.is_writable() || event.is_write_closed());
            // A client on a Unix socket that has closed both directions causes no error.
            let broken = read_closed && (event.is_error() || event.is_write_closed());
            note(Event { token, readable, writable, read_closed, broken });
        }
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.waker.clone()
    }

    fn signals(&mut self) -> usize {
        #[cfg(feature = "signals")]
        if self.has_signals {
            self.has_signals = false;
            return self.signals.as_mut().map_or(0, Signals::count);
        }
        0
    }

    fn watch_listener(&mut self, listener: &mut Listener, token: Token) -> io::Result<()> {
        self.poll.registry().register(listener.source(), token.into(), Interest::READABLE)
    }

    fn rewatch_listener(&mut self, listener: &mut Listener, token: Token) -> io::Result<()> {
        self.poll.registry().reregister(listener.source(), token.into(), Interest::READABLE)
    }

    fn accept(&mut self, listener: &Listener) -> io::Result<Accepted<Stream>> {
        match listener {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok((Stream::Tcp(OwnedFd::from(stream).into()), Some(peer)))
            }
            Listener::Unix(listener, _) => {
                Ok((Stream::Unix(OwnedFd::from(listener.accept()?.0).into()), None))
            }
        }
    }

    fn shed(&mut self, listener: &Listener) -> bool {
        if self.reserve.take().is_none() {
            self.reserve = reserve();
            return false;
        }
        let was_shed = self.accept(listener).is_ok();
        self.reserve = reserve();
        was_shed
    }

    fn unlisten(&mut self, listener: Listener) {
        drop(listener);
    }

    fn watch(&mut self, stream: &mut Stream, token: Token) -> io::Result<()> {
        let fd = stream.as_fd().as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&fd), token.into(), Interest::READABLE)
    }

    fn watch_writing(&mut self, stream: &mut Stream, token: Token) -> io::Result<()> {
        const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
        let fd = stream.as_fd().as_raw_fd();
        self.poll.registry().reregister(&mut SourceFd(&fd), token.into(), BOTH)
    }

    #[inline(always)]
    fn read(&mut self, stream: &mut Stream, room: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(stream, room, RecvFlags::empty())?.0)
    }

    #[inline(always)]
    fn write(&mut self, stream: &mut Stream, first: &[u8], second: &[u8]) -> io::Result<usize> {
        if second.is_empty() {
            return Ok(rustix::net::send(stream, first, NO_SIGNAL)?);
        }
        let both = [IoSlice::new(first), IoSlice::new(second)];
        Ok(rustix::net::sendmsg(stream, &both, &mut SendAncillaryBuffer::default(), NO_SIGNAL)?)
    }

    fn send_file(
        &mut self,
        stream: &mut Stream,
        file: &File,
        offset: u64,
        len: usize,
    ) -> io::Result<usize> {
        send_file(stream, file, offset, len)
    }

    fn shutdown_write(&mut self, stream: &mut Stream) -> io::Result<()> {
        Ok(rustix::net::shutdown(stream, Shutdown::Write)?)
    }

    fn release(&mut self, stream: Stream) -> io::Result<HijackedStream> {
        self.poll.registry().deregister(&mut SourceFd(&stream.as_fd().as_raw_fd()))?;
        match stream {
            Stream::Tcp(stream) => {
                stream.set_nonblocking(false)?;
                Ok(HijackedStream::Tcp(stream))
            }
            Stream::Unix(stream) => {
                stream.set_nonblocking(false)?;
                Ok(HijackedStream::Unix(stream))
            }
        }
    }

    fn close(&mut self, stream: Stream, with_reset: bool) {
        if let (Stream::Tcp(stream), true) = (&stream, with_reset) {
            // A failure only means an ordinary close.
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    fn watch_source(
        &mut self,
        source: BorrowedFd<'_>,
        interest: SourceInterest,
        token: Token,
    ) -> io::Result<()> {
        let interest = match interest {
            SourceInterest::Read => Interest::READABLE,
            SourceInterest::Write => Interest::WRITABLE,
            SourceInterest::ReadWrite => Interest::READABLE.add(Interest::WRITABLE),
        };
        let fd = source.as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&fd), token.into(), interest)
    }

    fn unwatch_source(&mut self, source: BorrowedFd<'_>) -> io::Result<()> {
        self.poll.registry().deregister(&mut SourceFd(&source.as_raw_fd()))
    }

    fn has_input(&mut self, source: BorrowedFd<'_>) -> bool {
        let mut input = [PollFd::new(&source, PollFlags::IN)];
        // If this fails, the source counts as ready: a call too many does no harm, a lost one does.
        rustix::event::poll(&mut input, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
    }
}

impl Wake for mio::Waker {
    fn wake(&self) {
        if let Err(error) = mio::Waker::wake(self) {
            error!("cannot wake the loop: {error}");
        }
    }
}

/// An accepted connection, which does not block.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Transport for Stream {
    fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Unix(_) => None,
        }
    }
}

/// A listener, from which connections are accepted.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    /// With its file, if that is removed when the listener closes.
    Unix(UnixListener, Option<SocketFile>),
}

/// The file of a Unix socket that the server has made.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode: another server may have put a file of its own in its place.
    id: Option<(u64, u64)>,
}

impl SocketFile {
    pub(crate) fn at(path: &Path) -> SocketFile {
        SocketFile { path: path.to_owned(), id: file_id(path) }
    }
}

fn file_id(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

impl Listener {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Listener::Tcp(listener) => listener,
            Listener::Unix(listener, _) => listener,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Its inode is not given to another file before the socket is closed.
        if let Listener::Unix(_, Some(SocketFile { path, id: id @ Some(_) })) = self {
            if file_id(path) == *id {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

#[cfg(feature = "signals")]
#[cold]
fn is_of_signals(token: Token) -> bool {
    token == Token::SIGNALS
}

/// A write to a client that has gone returns an error, and sends no signal that ends the process.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
/// On these systems mio has set `SO_NOSIGPIPE` on each socket.
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn send_file(socket: impl AsFd, file: &File, mut offset: u64, len: usize) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), len)?)
}

/// Without `sendfile`: through the process, a piece at a time.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn send_file(socket: impl AsFd, file: &File, offset: u64, len: usize) -> io::Result<usize> {
    use std::os::unix::fs::FileExt;
    let mut piece = [0; 16 << 10];
    let most = len.min(piece.len());
    let read = file.read_at(&mut piece[..most], offset)?;
    Ok(rustix::io::write(socket, &piece[..read])?)
}
