//! Signals, heard by a thread: SIGINT and SIGTERM end the server, SIGHUP reloads, and SIGUSR1 and
//! SIGUSR2 do nothing.
//!
//! The thread serves the signals also when a loop hangs, and it removes the files of Unix sockets
//! before a signal ends the process. Reloads have a thread of their own, because to open a file can
//! take for ever: a FIFO without a reader, a network file system whose server is down.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::{error, info};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::Signal;
use signal_hook::low_level::{emulate_default_handler, pipe};
use wheelhouse::Handle;

/// The time after the second signal in which the server must have ended, 3 s: it stops at once,
/// and the end of its output may take one second.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// The stack of each thread: 64 KiB, more than it needs.
const STACK_BYTES: usize = 64 << 10;

/// The signals that are heard, in the order of [`Heard`].
const SIGNALS: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::QUIT, Signal::HUP];
/// The signals that do nothing. Other servers use them, so scripts may send them.
const HARMLESS: [Signal; 2] = [Signal::USR1, Signal::USR2];

/// The parts of the server that signals need. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// `None` until the server is built.
    handle: Option<Handle>,
    files: Vec<SocketFile>,
}

/// The file of a Unix socket that the server has made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: another server may have put a file of its own in its place.
    id: (u64, u64),
}

impl Ending {
    /// Lets signals end the server from now on. Before that they end the process.
    pub(crate) fn set_handle(&self, handle: Handle) {
        self.lock().handle = Some(handle);
    }

    /// Opens a Unix socket with its file. No signal is served between the two.
    pub(crate) fn open_file<T, E>(
        &self,
        path: &Path,
        open: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.lock();
        let opened = open()?;
        let path = path.to_owned();
        state.files.extend(file_id(&path).map(|id| SocketFile { path, id }));
        Ok(opened)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process by a signal, without the files of its sockets.
    fn die(&self, signal: Signal) {
        for file in &self.lock().files {
            if file_id(&file.path) == Some(file.id) {
                let _ = fs::remove_file(&file.path);
            }
        }
        let _ = emulate_default_handler(signal.as_raw());
    }
}

fn file_id(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Takes the signals from their default action, and starts the threads. `reload` is called for
/// SIGHUP; an error goes to the log.
///
/// # Errors
///
/// The error of the system if it refuses a signal or a thread.
pub(crate) fn start(
    ending: Ending,
    reload: impl Fn() -> Result<(), String> + Send + 'static,
) -> io::Result<()> {
    let heard = Heard::catch()?;
    let reloads = start_reloads(reload)?;
    let has_terminal = io::stdin().is_terminal();
    let mut thread = Thread { heard, ending, count: 0, ends_at: None, last: Signal::TERM };
    thread::Builder::new().name("signals".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        loop {
            for signal in thread.wait() {
                let lost_terminal = || has_terminal && !io::stdin().is_terminal();
                match signal {
                    // The terminal in which the server was started has been closed.
                    Signal::HUP if lost_terminal() => thread.end(signal),
                    // If one waits already, that one has not begun, and serves this signal, too.
                    Signal::HUP => drop(reloads.try_send(())),
                    signal => thread.end(signal),
                }
            }
        }
    })?;
    Ok(())
}

/// Starts the thread that reloads. Each message asks for a reload.
fn start_reloads(
    reload: impl Fn() -> Result<(), String> + Send + 'static,
) -> io::Result<SyncSender<()>> {
    let (reloads, asked) = sync_channel(1);
    thread::Builder::new().name("reloads".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        for () in asked {
            match reload() {
                Ok(()) => info!("SIGHUP: the log file and the users are read anew"),
                Err(error) => error!("SIGHUP: {error}"),
            }
        }
    })?;
    Ok(reloads)
}

/// The signals that have come, as bytes of sockets: one for each signal.
struct Heard([UnixStream; 4]);

impl Heard {
    fn catch() -> io::Result<Heard> {
        for signal in HARMLESS {
            signal_hook::flag::register(signal.as_raw(), Arc::default())?;
        }
        let catch = |signal: Signal| {
            let (heard, said) = UnixStream::pair()?;
            heard.set_nonblocking(true)?;
            pipe::register(signal.as_raw(), OwnedFd::from(said))?;
            Ok::<_, io::Error>(heard)
        };
        let [int, term, quit, hup] = SIGNALS;
        Ok(Heard([catch(int)?, catch(term)?, catch(quit)?, catch(hup)?]))
    }

    /// Waits for signals, for at most `timeout`.
    fn wait(&mut self, timeout: Option<Duration>) -> Vec<Signal> {
        let mut watched = self.0.each_ref().map(|heard| PollFd::new(heard, PollFlags::IN));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // After an error the sockets are read in vain.
        let _ = poll(&mut watched, timeout.as_ref());
        let mut signals = Vec::new();
        for (heard, signal) in self.0.iter_mut().zip(SIGNALS) {
            let mut some = [0; 16];
            if let Ok(count) = heard.read(&mut some) {
                signals.extend(vec![signal; count]);
            }
        }
        signals
    }
}

struct Thread {
    heard: Heard,
    ending: Ending,
    /// The number of signals that ask for an end.
    count: usize,
    /// When the server must have ended, after the second one.
    ends_at: Option<Instant>,
    last: Signal,
}

impl Thread {
    /// Waits for signals. Ends the process if the server has not ended in time.
    fn wait(&mut self) -> Vec<Signal> {
        let left = self.ends_at.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            self.ending.die(self.last);
        }
        self.heard.wait(left)
    }

    /// Serves a signal that asks for an end.
    fn end(&mut self, signal: Signal) {
        self.count += 1;
        self.last = signal;
        let handle = self.ending.lock().handle.clone();
        match handle {
            Some(handle) if self.count == 1 && signal != Signal::QUIT => {
                info!("signal: the server shuts down gracefully; a second signal stops it at once");
                handle.shutdown();
            }
            Some(handle) if self.count == 2 && signal != Signal::QUIT => {
                handle.stop();
                self.ends_at = Some(Instant::now() + STOP_TIMEOUT);
            }
            _ => self.ending.die(signal),
        }
    }
}
