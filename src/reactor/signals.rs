//! SIGINT and SIGTERM, as bytes of a socket that the poll watches: one for each signal.
//!
//! A flag for each would not do, because two signals must not become one. A core that hears of the
//! shutdown from another core may get the second signal before it has read the first.
//!
//! A loop that hangs reads no socket. So a signal that follows one that the loop has not read takes
//! its default action, which ends the process, and so does each signal after the second.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use mio::net::UnixStream;
use mio::{Interest, Registry};
use rustix::process::Signal;
use signal_hook::low_level::{pipe, unregister};
use signal_hook::{flag, SigId};

use crate::reactor::Token;

/// The signals that ask for an end, taken from their default action. That action does not come
/// back: once this is dropped, the signals do nothing unless the program handles them.
#[derive(Debug)]
pub(crate) struct Signals {
    heard: UnixStream,
    /// The number of signals that the loop has heard.
    count: usize,
    /// Whether the next signal takes its default action. Every signal sets this, and the loop
    /// clears it when it hears the first one: then the second is its own to hear.
    next_is_final: Arc<AtomicBool>,
    registered: Vec<SigId>,
}

impl Signals {
    pub(crate) fn catch(registry: &Registry) -> io::Result<Signals> {
        let (mut heard, said) = UnixStream::pair()?;
        let said = OwnedFd::from(said);
        registry.register(&mut heard, Token::SIGNALS.into(), Interest::READABLE)?;
        let next_is_final = Arc::new(AtomicBool::new(false));
        let mut signals = Signals { heard, count: 0, next_is_final, registered: Vec::new() };
        for signal in [Signal::INT, Signal::TERM] {
            signals.register(signal.as_raw(), &said)?;
        }
        Ok(signals)
    }

    /// Registers the actions of a signal, which are called in this order: the loop can hear a
    /// signal only after the flag is set, so a later signal finds it set or cleared by the loop.
    fn register(&mut self, signal: i32, said: &OwnedFd) -> io::Result<()> {
        let is_final = || Arc::clone(&self.next_is_final);
        let end = flag::register_conditional_default(signal, is_final())?;
        self.registered.push(end);
        let set = flag::register(signal, is_final())?;
        self.registered.push(set);
        self.registered.push(pipe::register(signal, said.try_clone()?)?);
        Ok(())
    }

    /// The number of signals since the last call.
    pub(crate) fn count(&mut self) -> usize {
        // Cleared before the read, so that a signal between the two sets it again: the third one may
        // then be final although the second was heard, but no signal passes unheard and unmarked.
        self.next_is_final.store(false, Ordering::SeqCst);
        let count = self.read();
        self.count += count;
        if self.count > 1 {
            // The loop stops at once. If that hangs, the next signal must not wait for it.
            self.next_is_final.store(true, Ordering::SeqCst);
        }
        count
    }

    fn read(&mut self) -> usize {
        let mut count = 0;
        let mut some = [0; 16];
        loop {
            match self.heard.read(&mut some) {
                Ok(read @ 1..) => count += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return count,
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            unregister(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A signal is for the whole process, so one test at a time may raise signals.
    static ONE: Mutex<()> = Mutex::new(());

    fn catch(poll: &mio::Poll) -> Signals {
        Signals::catch(poll.registry()).unwrap()
    }

    fn raise(signal: Signal) {
        signal_hook::low_level::raise(signal.as_raw()).unwrap();
    }

    #[test]
    fn two_signals_count_as_two_even_if_they_are_read_together() {
        let _one = ONE.lock().unwrap();
        let poll = mio::Poll::new().unwrap();
        let mut signals = catch(&poll);
        raise(Signal::TERM);
        // As if the loop had begun to read: the second signal must not end the process of the
        // test.
        signals.next_is_final.store(false, Ordering::SeqCst);
        raise(Signal::TERM);
        signals.next_is_final.store(false, Ordering::SeqCst);
        raise(Signal::INT);
        assert_eq!((signals.count(), signals.count()), (3, 0));
    }

    #[test]
    fn a_signal_is_final_if_the_one_before_was_not_heard_or_two_were() {
        let _one = ONE.lock().unwrap();
        let poll = mio::Poll::new().unwrap();
        let mut signals = catch(&poll);
        let is_final = |signals: &Signals| signals.next_is_final.load(Ordering::SeqCst);
        assert!(!is_final(&signals), "the first signal is for the loop");
        raise(Signal::TERM);
        assert!(is_final(&signals), "the loop has not heard the first");
        assert_eq!(signals.count(), 1);
        assert!(!is_final(&signals), "the loop has heard it, so the second is for the loop");
        raise(Signal::INT);
        assert_eq!(signals.count(), 1);
        assert!(is_final(&signals), "the loop was asked twice");
    }
}
