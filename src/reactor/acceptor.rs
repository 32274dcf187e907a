//! Accepting: until there is nobody left, within the caps, backing off when descriptors run out.
//! It cannot die: no error of `accept` ends it.
//!
//! Readiness of a listener is told once, and not again when descriptors become free, so each
//! listener's is remembered until an `accept` finds nobody.

use std::io;
use std::time::Duration;

use crate::reactor::clock::{self, Millis};
use crate::reactor::kernel::Kernel;
use crate::reactor::Token;

/// Connections accepted in one turn: work in hand goes first.
pub(super) const ACCEPT_MAX: usize = 64;
/// The first and the longest pause of the back-off, as in Go.
const BACK_OFF_MIN: Duration = Duration::from_millis(5);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// The listeners of one loop.
pub(crate) struct Acceptor<K: Kernel> {
    listeners: Vec<Watched<K::Listener>>,
    /// The one that is asked first: each in its turn, so that a crowd at one keeps nobody out of
    /// another.
    first: usize,
    /// How long the next pause of all is, and when the present one ends.
    back_off: Option<BackOff>,
    quiet: Quiet,
    errors: u64,
}

/// Keeps the log readable while descriptors are short: a line a second, with what it stands for.
#[derive(Default)]
struct Quiet {
    until: Millis,
    unsaid: u32,
}

impl Quiet {
    /// How many times nothing was said before, if now is a time to speak.
    fn speaks(&mut self, now: Millis) -> Option<u32> {
        if now < self.until {
            self.unsaid += 1;
            return None;
        }
        self.until = now + 1000;
        Some(std::mem::take(&mut self.unsaid))
    }
}

struct Watched<L> {
    listener: L,
    is_ready: bool,
    /// It has an error that is its own: the others go on.
    back_off: Option<BackOff>,
}

impl<L> Watched<L> {
    fn may_accept(&self, now: Millis) -> bool {
        self.is_ready && self.back_off.as_ref().is_none_or(|back_off| now >= back_off.ends)
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

/// What the next step of a batch came to.
pub(crate) enum Next<S> {
    /// A connection, and the number of its listener.
    Connection(S, u8),
    /// No client is waiting, or the budget is used.
    None,
    /// The system is out of descriptors: a pause has begun, and freeing a descriptor ends it.
    Exhausted,
}

/// What one call of `accept` came to.
enum Outcome<S> {
    Stream(S),
    /// Nobody is waiting.
    Empty,
    /// This peer has gone, or its network is in trouble: the next one may be well.
    Next(io::Error),
    /// The system is out of descriptors or memory.
    Exhausted(io::Error),
    /// It might come again at once, so this listener pauses rather than spins.
    Unknown(io::Error),
}

impl<K: Kernel> Acceptor<K> {
    pub(crate) fn new(
        kernel: &mut K,
        listeners: impl IntoIterator<Item = K::Listener>,
    ) -> io::Result<Self> {
        let (back_off, quiet) = (None, Quiet::default());
        let mut acceptor = Acceptor { listeners: Vec::new(), first: 0, back_off, quiet, errors: 0 };
        for listener in listeners {
            acceptor.add(kernel, listener)?;
        }
        Ok(acceptor)
    }

    /// Watches one more listener.
    pub(crate) fn add(&mut self, kernel: &mut K, mut listener: K::Listener) -> io::Result<()> {
        kernel.watch_listener(&mut listener, Token::listener(self.listeners.len()))?;
        self.listeners.push(Watched { listener, is_ready: true, back_off: None });
        Ok(())
    }

    /// Notes an event, if its token is that of a listener.
    pub(crate) fn note_ready(&mut self, token: Token) {
        let watched = token.listener_number().and_then(|n| self.listeners.get_mut(n));
        if let Some(watched) = watched {
            watched.is_ready = true;
        }
    }

    /// The next poll would be too late to learn who waits, and the end of a pause to accept them.
    pub(crate) fn note_all_ready(&mut self) {
        for watched in &mut self.listeners {
            (watched.is_ready, watched.back_off) = (true, None);
        }
    }

    /// How often `accept` has failed.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// Whether somebody may be waiting.
    pub(crate) fn is_ready(&self) -> bool {
        self.listeners.iter().any(|watched| watched.is_ready)
    }

    /// Closes the listeners: from here on connecting fails.
    pub(crate) fn close(&mut self, kernel: &mut K) {
        for watched in self.listeners.drain(..) {
            kernel.unlisten(watched.listener);
        }
        self.back_off = None;
    }

    /// When a pause ends, if there is one and nobody can be accepted before.
    pub(crate) fn resumes_at(&self) -> Option<Millis> {
        let ready = self.listeners.iter().filter(|watched| watched.is_ready);
        let first = ready.map(|watched| watched.back_off.as_ref().map_or(0, |own| own.ends)).min();
        first.map(|first| self.back_off.as_ref().map_or(first, |of_all| first.max(of_all.ends)))
    }

    /// A descriptor has become free: no reason to wait for one any longer.
    pub(crate) fn descriptor_freed(&mut self, now: Millis) {
        if let Some(back_off) = &mut self.back_off {
            back_off.ends = now;
        }
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
                        return Next::Connection(stream, n as u8);
                    }
                    Outcome::Empty => watched.is_ready = false,
                    Outcome::Next(error) => {
                        self.errors += 1;
                        log::debug!("accept failed for one client: {error}");
                    }
                    Outcome::Exhausted(error) => {
                        let back_off = BackOff::after(self.back_off.as_ref(), now);
                        let pause = back_off.pause;
                        self.back_off = Some(back_off);
                        self.note_error(now, &error, pause);
                        return Next::Exhausted;
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

    /// Ends a batch: another listener is asked first in the next one. `is_full`: the batch ended
    /// because there was no room for another connection.
    pub(crate) fn end_batch(&mut self, kernel: &mut K, is_full: bool) {
        self.first = (self.first + 1) % self.listeners.len().max(1);
        if is_full {
            self.ask_who_waits(kernel);
        }
    }

    /// There is no room left, and whether anybody still waits is not known. If so, an idle
    /// connection must go, and only then: the next poll tells.
    fn ask_who_waits(&mut self, kernel: &mut K) {
        for (n, watched) in self.listeners.iter_mut().enumerate() {
            if watched.is_ready {
                let asked = kernel.rewatch_listener(&mut watched.listener, Token::listener(n));
                watched.is_ready = asked.is_err();
            }
        }
    }

    fn note_error(&mut self, now: Millis, error: &io::Error, pause: Duration) {
        self.errors += 1;
        if let Some(unsaid) = self.quiet.speaks(now) {
            log::warn!(
                "accept failed: {error}; next try in {pause:?}; {unsaid} failures not logged"
            );
        }
    }

    /// Drops one of those who wait, so that it learns that there is no room for it.
    pub(crate) fn shed(&mut self, kernel: &mut K) {
        let waiting = self.listeners.iter().filter(|watched| watched.is_ready);
        for watched in waiting {
            if kernel.shed(&watched.listener) {
                log::debug!("one waiting client accepted and dropped: no descriptor is free");
                return;
            }
        }
    }
}

/// Sorts the errors of `accept`. On Linux those of the network come through it (accept(2)).
fn outcome<S>(result: io::Result<S>) -> Outcome<S> {
    use rustix::io::Errno;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_logged_a_second_with_the_number_of_suppressed_lines() {
        let mut quiet = Quiet::default();
        assert_eq!(quiet.speaks(5), Some(0));
        assert_eq!(quiet.speaks(6), None);
        assert_eq!(quiet.speaks(1004), None);
        assert_eq!(quiet.speaks(1005), Some(2));
        assert_eq!(quiet.speaks(9000), Some(0));
    }
}
