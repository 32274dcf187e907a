//! SIGINT and SIGTERM, as bytes of a socket that the poll watches: one for each signal.
//!
//! A flag for each would not do, because two signals must not become one. A core that hears of the
//! shutdown from another core may get the second signal before it has read the first.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use mio::net::UnixStream;
use mio::{Interest, Registry};
use rustix::process::Signal;
use signal_hook::low_level::{pipe, unregister};
use signal_hook::SigId;

use crate::reactor::Token;

/// The signals that ask for an end, taken from their default action. That action does not come
/// back: once this is dropped, the signals do nothing unless the program handles them.
#[derive(Debug)]
pub(crate) struct Signals {
    heard: UnixStream,
    registered: Vec<SigId>,
}

impl Signals {
    pub(crate) fn catch(registry: &Registry) -> io::Result<Signals> {
        let (mut heard, said) = UnixStream::pair()?;
        let said = OwnedFd::from(said);
        registry.register(&mut heard, Token::SIGNALS.into(), Interest::READABLE)?;
        let mut signals = Signals { heard, registered: Vec::new() };
        for signal in [Signal::INT, Signal::TERM] {
            signals.registered.push(pipe::register(signal.as_raw(), said.try_clone()?)?);
        }
        Ok(signals)
    }

    /// The number of signals since the last call.
    pub(crate) fn count(&mut self) -> usize {
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
    use super::*;

    #[test]
    fn two_signals_count_as_two_even_if_they_are_read_together() {
        let poll = mio::Poll::new().unwrap();
        let mut signals = Signals::catch(poll.registry()).unwrap();
        for signal in [Signal::TERM, Signal::TERM, Signal::INT] {
            signal_hook::low_level::raise(signal.as_raw()).unwrap();
        }
        assert_eq!((signals.count(), signals.count()), (3, 0));
    }
}
