//! Faults of the simulated kernel: drawn from a seed at printed rates, or a single one at the n-th
//! call.
//!
//! The mild faults are those that a system may show at any time and that must not change a result.
//! The hard ones break connections, files and calls.

use std::io;

use rustix::io::Errno;

/// The calls that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Poll,
    Accept,
    Watch,
    Rewatch,
    WatchWriting,
    Read,
    Write,
    SendFile,
    Shutdown,
    Release,
}

impl Call {
    /// The errors that Linux documents for the call, as far as a correct program can get them.
    /// `IO` of a read stands for any error that nobody has thought of.
    pub(super) fn errors(self) -> &'static [Errno] {
        match self {
            Call::Poll => &[Errno::INTR],
            Call::Accept => &[
                Errno::INTR,
                Errno::AGAIN,
                Errno::CONNABORTED,
                Errno::PROTO,
                Errno::PERM,
                Errno::NETDOWN,
                Errno::MFILE,
                Errno::NFILE,
                Errno::NOBUFS,
                Errno::NOMEM,
                Errno::IO,
            ],
            Call::Watch => &[Errno::NOMEM, Errno::NOSPC],
            Call::Rewatch => &[Errno::NOMEM],
            Call::WatchWriting => &[Errno::NOMEM],
            Call::Read => &[
                Errno::INTR,
                Errno::AGAIN,
                Errno::CONNRESET,
                Errno::TIMEDOUT,
                Errno::HOSTUNREACH,
                Errno::NOMEM,
                Errno::IO,
            ],
            Call::Write => &[
                Errno::INTR,
                Errno::AGAIN,
                Errno::PIPE,
                Errno::CONNRESET,
                Errno::TIMEDOUT,
                Errno::NOBUFS,
                Errno::NOMEM,
            ],
            Call::SendFile => {
                &[Errno::INTR, Errno::AGAIN, Errno::PIPE, Errno::CONNRESET, Errno::IO, Errno::NOMEM]
            }
            Call::Shutdown => &[Errno::NOTCONN],
            Call::Release => &[Errno::NOMEM],
        }
    }
}

/// A fault that is planned for one call: the error, at the call with this number from now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) calls_before: usize,
    pub(super) error: i32,
}

/// How often each fault happens: once in so many occasions on average, or never if 0. A failing run
/// prints them.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    /// A call is interrupted by a signal.
    interrupted: u64,
    /// A read or a write moves only a part.
    partial: u64,
    /// A socket is full for a moment.
    full: u64,
    /// A poll reports an event without a cause.
    spurious: u64,
    /// A poll reports its events in another order.
    shuffled: u64,
    /// A poll does not report an event that has just happened, but the next one does.
    delayed: u64,
    /// A poll reports an event of a connection that is closed.
    stale: u64,
    /// A read ends at a mark for urgent data, and no event reports the bytes after it.
    urgent: u64,
    /// The client breaks the connection just before a read, a write or an accept.
    reset: u64,
    /// The call fails.
    accept: u64,
    watch: u64,
    shutdown: u64,
    release: u64,
    /// A read or a write fails with any error.
    transfer: u64,
    /// A file is shorter than announced, or cannot be read.
    file: u64,
    /// Time passes while the loop does not look, up to 4 s: a handler blocks, or the process stops.
    jump: u64,
}

/// A source of faults. By default there are none.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) rates: Rates,
    state: u64,
}

impl Faults {
    pub(super) fn mild(seed: u64) -> Faults {
        let rates = Rates {
            interrupted: 7,
            partial: 3,
            full: 9,
            spurious: 5,
            shuffled: 3,
            delayed: 9,
            stale: 9,
            ..Rates::default()
        };
        Faults { rates, state: seed }
    }

    /// Any of the faults, at rates that follow from the seed. Half of the kinds do not happen.
    pub(super) fn hard(seed: u64) -> Faults {
        let mut faults = Faults { rates: Rates::default(), state: seed };
        let mut rate = |often: u64, seldom: u64| match faults.next() % 2 {
            0 => 0,
            _ => often + faults.next() % (seldom - often),
        };
        let rates = Rates {
            interrupted: rate(3, 40),
            partial: rate(2, 20),
            full: rate(3, 40),
            spurious: rate(2, 20),
            shuffled: rate(2, 10),
            delayed: rate(3, 40),
            stale: rate(3, 40),
            urgent: rate(10, 200),
            reset: rate(20, 400),
            accept: rate(3, 60),
            watch: rate(5, 100),
            shutdown: rate(2, 20),
            release: rate(2, 10),
            transfer: rate(30, 400),
            file: rate(5, 50),
            jump: rate(20, 400),
        };
        Faults { rates, ..faults }
    }

    /// Returns true once in `n` times on average; never if `n` is 0.
    fn happens(&mut self, n: u64) -> bool {
        n > 0 && self.next() % n == 0
    }

    pub(super) fn interrupts(&mut self) -> bool {
        self.happens(self.rates.interrupted)
    }

    pub(super) fn is_full(&mut self) -> bool {
        self.happens(self.rates.full)
    }

    pub(super) fn shuffles(&mut self) -> bool {
        self.happens(self.rates.shuffled)
    }

    pub(super) fn delays(&mut self) -> bool {
        self.happens(self.rates.delayed)
    }

    pub(super) fn is_urgent(&mut self) -> bool {
        self.happens(self.rates.urgent)
    }

    pub(super) fn resets(&mut self) -> bool {
        self.happens(self.rates.reset)
    }

    pub(super) fn shortens_file(&mut self) -> bool {
        self.happens(self.rates.file)
    }

    /// Returns the milliseconds that pass now although the loop does not look.
    pub(super) fn jump(&mut self) -> u64 {
        match self.happens(self.rates.jump) {
            true => self.next() % 4000,
            false => 0,
        }
    }

    /// Returns the part of `most` that a call does: at least 1, unless `most` is 0.
    pub(super) fn part_of(&mut self, most: usize) -> usize {
        match most > 1 && self.happens(self.rates.partial) {
            true => 1 + self.below(most),
            false => most,
        }
    }

    /// Returns the number of one of `n` for an event without a cause.
    pub(super) fn spurious(&mut self, n: usize) -> Option<usize> {
        (n > 0 && self.happens(self.rates.spurious)).then(|| self.below(n))
    }

    /// The same for an event of a connection that is closed.
    pub(super) fn stale(&mut self, n: usize) -> Option<usize> {
        (n > 0 && self.happens(self.rates.stale)).then(|| self.below(n))
    }

    /// Returns an error for a call that fails at its rate.
    pub(super) fn error_of(&mut self, call: Call) -> Option<io::Error> {
        let rate = match call {
            Call::Poll => return None,
            Call::Accept => self.rates.accept,
            Call::Watch | Call::Rewatch | Call::WatchWriting => self.rates.watch,
            Call::Read | Call::Write | Call::SendFile => self.rates.transfer,
            Call::Shutdown => self.rates.shutdown,
            Call::Release => self.rates.release,
        };
        let errors = call.errors();
        self.happens(rate).then(|| errors[self.below(errors.len())].into())
    }

    /// Returns a number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Draws a number with SplitMix64 (Steele, Lea and Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
