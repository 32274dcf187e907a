//! Accepting: until no client waits, within the limits, with pauses when descriptors run out. No
//! error of `accept` ends it.
//!
//! The kernel reports the readiness of a listener once, and not again when descriptors become free.
//! So it is remembered until an `accept` finds no client.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::logging::{debug, warn};
use crate::reactor::clock::{self, Millis};
use crate::reactor::kernel::{Accepted, Kernel};
use crate::reactor::quiet::Quiet;
use crate::reactor::Token;

/// Connections accepted in one turn: connections that are served already go first.
pub(super) const ACCEPT_MAX: usize = 64;
/// The first and the longest pause after an error, as in Go.
const BACK_OFF_MIN: Duration = Duration::from_millis(5);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// The listeners of one loop.
pub(crate) struct Acceptor<K: Kernel> {
    listeners: Vec<Watched<K::Listener>>,
    /// The listener that is asked first: each in its turn, so that a crowd at one does not keep the
    /// clients of another waiting.
    first: usize,
    /// The pause of all listeners, if the last `accept` found no free descriptor.
    back_off: Option<BackOff>,
    quiet: Quiet,
    errors: u64,
}

struct Watched<L> {
    listener: L,
    is_ready: bool,
    /// Its own pause after an error of its own: the other listeners go on.
    back_off: Option<BackOff>,
    /// Errors of single clients since the last client was accepted, none was waiting, or the
    /// listener paused for them.
    failed_clients: usize,
}

impl<L> Watched<L> {
    fn may_accept(&self, now: Millis) -> bool {
        self.is_ready && self.back_off.as_ref().is_none_or(|back_off| now >= back_off.ends)
    }

    /// Notes an error of one client. After as many of them as a turn has attempts, the listener
    /// pauses: the error is probably not theirs, and would keep the loop busy for ever. The pause
    /// does not grow, because clients that leave early must not keep others waiting.
    fn note_failed_client(&mut self, now: Millis) -> Option<Duration> {
        self.failed_clients += 1;
        if self.failed_clients < ACCEPT_MAX {
            return None;
        }
        self.failed_clients = 0;
        Some(self.back_off.insert(BackOff::after(None, now)).pause)
    }
}

struct BackOff {
    pause: Duration,
    ends: Millis,
}

impl BackOff {
    /// The pause after another error: the first one, or twice the one before.
    fn after(before: Option<&BackOff>, now: Millis) -> BackOff {
        let pause = before.map_or(BACK_OFF_MIN, |back_off| (back_off.pause * 2).min(BACK_OFF_MAX));
        BackOff { pause, ends: now + clock::millis(pause) }
    }
}

/// The outcome of one step of a batch.
pub(crate) enum Next<S> {
    /// A connection was accepted by the listener with this number.
    Connection(Accepted<S>, u8),
    /// No client is waiting, or the budget is used.
    None,
    /// There are no descriptors: a pause has begun, and freeing a descriptor ends it.
    Exhausted(Shortage),
}

/// Where descriptors are short.
#[derive(Clone, Copy)]
pub(crate) enum Shortage {
    /// In the table of this process: a connection that closes frees one.
    OfProcess,
    /// In the system, or it has no memory: other processes take what one connection frees.
    OfSystem,
}

/// The outcome of one call of `accept`.
enum Outcome<S> {
    Stream(Accepted<S>),
    /// No client is waiting.
    Empty,
    /// This client has gone, or its network has failed: the next client may be well.
    Next(io::Error),
    /// The process is out of descriptors, or the system out of files or memory.
    Exhausted(io::Error),
    /// An error that may come again at once: this listener pauses, so that the loop does not spin.
    Unknown(io::Error),
}

impl<K: Kernel> Acceptor<K> {
    pub(crate) fn new(
        kernel: &mut K,
        listeners: impl IntoIterator<Item = K::Listener>,
    ) -> io::Result<Self> {
        let mut acceptor = Acceptor {
            listeners: Vec::new(),
            first: 0,
            back_off: None,
            quiet: Quiet::default(),
            errors: 0,
        };
        for listener in listeners {
            acceptor.add(kernel, listener)?;
        }
        Ok(acceptor)
    }

    /// Watches one more listener.
    pub(crate) fn add(&mut self, kernel: &mut K, mut listener: K::Listener) -> io::Result<()> {
        kernel.watch_listener(&mut listener, Token::listener(self.listeners.len()))?;
        self.listeners.push(Watched {
            listener,
            is_ready: true,
            back_off: None,
            failed_clients: 0,
        });
        Ok(())
    }

    /// Notes an event, if its token is that of a listener.
    pub(crate) fn note_ready(&mut self, token: Token) {
        let watched = token.listener_number().and_then(|n| self.listeners.get_mut(n));
        if let Some(watched) = watched {
            watched.is_ready = true;
        }
    }

    /// Makes every listener ready, without a pause: the listeners close before the next poll could
    /// report the clients that wait.
    pub(crate) fn note_all_ready(&mut self) {
        for watched in &mut self.listeners {
            (watched.is_ready, watched.back_off) = (true, None);
        }
    }

    /// The number of calls of `accept` that have failed.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// Whether a client may be waiting.
    pub(crate) fn is_ready(&self) -> bool {
        self.listeners.iter().any(|watched| watched.is_ready)
    }

    /// Closes the listeners: from now on clients cannot connect.
    pub(crate) fn close(&mut self, kernel: &mut K) {
        for watched in self.listeners.drain(..) {
            kernel.unlisten(watched.listener);
        }
        self.back_off = None;
    }

    /// The time at which the next `accept` is due, if a listener is ready: 0 without a pause.
    pub(crate) fn resumes_at(&self) -> Option<Millis> {
        let ready = self.listeners.iter().filter(|watched| watched.is_ready);
        let first = ready.map(|watched| watched.back_off.as_ref().map_or(0, |own| own.ends)).min();
        first.map(|first| self.back_off.as_ref().map_or(first, |of_all| first.max(of_all.ends)))
    }

    /// A descriptor has become free, so the pause of all listeners ends.
    pub(crate) fn descriptor_freed(&mut self, now: Millis) {
        if let Some(back_off) = &mut self.back_off {
            back_off.ends = now;
        }
    }

    /// Begins a pause of all listeners: there is no memory for another connection.
    pub(crate) fn pause_for_memory(&mut self, now: Millis) {
        self.pause_all(now, &io::ErrorKind::OutOfMemory.into());
    }

    fn pause_all(&mut self, now: Millis, error: &io::Error) {
        let back_off = BackOff::after(self.back_off.as_ref(), now);
        let pause = back_off.pause;
        self.back_off = Some(back_off);
        self.note_error(now, error, pause);
    }

    /// Whether a pause of all listeners has not ended yet.
    pub(crate) fn is_paused(&self, now: Millis) -> bool {
        self.back_off.as_ref().is_some_and(|back_off| now < back_off.ends)
    }

    /// The next connection of a batch. Each call of `accept` costs one of `budget`.
    pub(crate) fn next(
        &mut self,
        kernel: &mut K,
        now: Millis,
        budget: &mut usize,
    ) -> Next<K::Stream> {
        let count = self.listeners.len();
        for step in 0..count {
            let n = (self.first + step) % count;
            let watched = &mut self.listeners[n];
            while watched.may_accept(now) && *budget > 0 {
                *budget -= 1;
                match outcome(kernel.accept(&watched.listener)) {
                    Outcome::Stream(stream) => {
                        (self.back_off, watched.back_off) = (None, None);
                        watched.failed_clients = 0;
                        return Next::Connection(stream, n as u8);
                    }
                    Outcome::Empty => (watched.is_ready, watched.failed_clients) = (false, 0),
                    Outcome::Next(error) => match watched.note_failed_client(now) {
                        None => {
                            self.errors += 1;
                            debug!("accept failed for one client: {error}");
                        }
                        Some(pause) => {
                            self.note_error(now, &error, pause);
                            break;
                        }
                    },
                    Outcome::Exhausted(error) => {
                        self.pause_all(now, &error);
                        let is_own = error.raw_os_error() == Some(Errno::MFILE.raw_os_error());
                        return Next::Exhausted(match is_own {
                            true => Shortage::OfProcess,
                            false => Shortage::OfSystem,
                        });
                    }
                    Outcome::Unknown(error) => {
                        let back_off = BackOff::after(watched.back_off.as_ref(), now);
                        let pause = back_off.pause;
                        watched.back_off = Some(back_off);
                        self.note_error(now, &error, pause);
                        break;
                    }
                }
            }
        }
        Next::None
    }

    /// Ends a batch: another listener is asked first in the next one. `asks_again`: the batch ended
    /// after a connection, because there was no room for another one, so the next poll reports
    /// whether more clients wait. Without that, the loop would look for room for no client.
    pub(crate) fn end_batch(&mut self, kernel: &mut K, asks_again: bool) {
        self.first = (self.first + 1) % self.listeners.len().max(1);
        if asks_again {
            self.watch_anew(kernel);
        }
    }

    fn watch_anew(&mut self, kernel: &mut K) {
        for (n, watched) in self.listeners.iter_mut().enumerate() {
            if watched.is_ready {
                let result = kernel.rewatch_listener(&mut watched.listener, Token::listener(n));
                watched.is_ready = result.is_err();
            }
        }
    }

    fn note_error(&mut self, now: Millis, error: &io::Error, pause: Duration) {
        self.errors += 1;
        if let Some(unsaid) = self.quiet.speaks(now) {
            warn!("accept failed: {error}; next try in {pause:?}; {unsaid} failures not logged");
        }
    }

    /// Accepts and drops one waiting client, so that it notices that there is no room for it.
    pub(crate) fn shed(&mut self, kernel: &mut K) {
        let waiting = self.listeners.iter().filter(|watched| watched.is_ready);
        for watched in waiting {
            if kernel.shed(&watched.listener) {
                debug!("one waiting client accepted and dropped: no descriptor is free");
                return;
            }
        }
    }
}

/// Sorts the errors of `accept`. On Linux these include errors of the network (accept(2)).
fn outcome<S>(result: io::Result<Accepted<S>>) -> Outcome<S> {
    const OF_ONE_PEER: [Errno; 12] = [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::PROTO,
        Errno::PERM,
        Errno::TIMEDOUT,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
        Errno::CONNRESET,
    ];
    const OF_THE_SYSTEM: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let error = match result {
        Ok(stream) => return Outcome::Stream(stream),
        Err(error) => error,
    };
    let errno = Errno::from_io_error(&error);
    let is_among = |errors: &[Errno]| errno.is_some_and(|errno| errors.contains(&errno));
    match error.kind() {
        io::ErrorKind::WouldBlock => Outcome::Empty,
        _ if is_among(&OF_ONE_PEER) => Outcome::Next(error),
        _ if is_among(&OF_THE_SYSTEM) => Outcome::Exhausted(error),
        _ => Outcome::Unknown(error),
    }
}
