//! What the embedding program can get back from the server.
//!
//! Faults of a peer are never here: they become a status or a close (`http1::Reject`), and one
//! broken socket is that connection's end and a debug line in the log.

use std::fmt;
use std::io;

use crate::limits::LimitsError;

/// Why a server could not start, or had to stop.
///
/// `{:?}` is the same sentence as `{}`: it is what a `main` that returns the error prints.
#[non_exhaustive]
pub enum Error {
    /// An address could not be understood, or its host not be found.
    Address {
        /// As given.
        address: String,
    },
    /// A listener could not be opened.
    Listen {
        /// The address that was asked for.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// More listeners than one loop can have: use several [`Cores`](crate::Cores), or a wildcard
    /// address in place of many.
    TooManyListeners {
        /// The most there can be.
        max: usize,
    },
    /// No socket was handed over by the parent process (`LISTEN_FDS`).
    NothingInherited,
    /// A limit is out of bounds.
    Limits(LimitsError),
    /// There is nothing to listen on: call `listen` before `run`.
    NoListener,
    /// The system refused what the loop cannot do without: its poll, its waker.
    Loop(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address { address } => {
                let form = "write HOST:PORT, with a host that can be found, or unix:PATH";
                write!(f, "cannot understand the address {address:?}: {form}")
            }
            Error::Listen { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Error::TooManyListeners { max } => {
                write!(f, "more than {max} listeners: one loop cannot have so many")
            }
            Error::NothingInherited => f.write_str(
                "no socket was inherited: start it by socket activation, which sets LISTEN_FDS, \
                 and LISTEN_PID to the number of this process",
            ),
            Error::Limits(error) => error.fmt(f),
            Error::NoListener => f.write_str("nothing to listen on: call `listen` before `run`"),
            Error::Loop(source) => write!(f, "the event loop failed: {source}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Listen { source, .. } | Error::Loop(source) => Some(source),
            Error::Limits(error) => Some(error),
            Error::Address { .. }
            | Error::TooManyListeners { .. }
            | Error::NothingInherited
            | Error::NoListener => None,
        }
    }
}

impl From<LimitsError> for Error {
    fn from(error: LimitsError) -> Error {
        Error::Limits(error)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Response, Router, Server};

    #[test]
    fn a_main_that_returns_an_error_prints_what_to_do() {
        let address = Server::new().listen("nonsense").unwrap_err();
        assert!(format!("{address:?}").contains("write HOST:PORT"), "{address:?}");
        let limits = Limits { memory_bytes_max: 1, ..Limits::default() };
        let limits = Server::new().limits(limits).listen("127.0.0.1:0").unwrap();
        let limits = limits.serve(|_| "").unwrap_err();
        assert_eq!(format!("{limits:?}"), limits.to_string());
        assert!(!format!("{limits:?}").contains("LimitsError"), "{limits:?}");
        let routes =
            Router::<()>::new().get("a", |_, _| Response::not_found()).build().unwrap_err();
        assert_eq!(format!("{routes:?}"), routes.to_string());
    }
}
