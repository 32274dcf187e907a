//! Mistakes of the embedding program, and the system's refusals: everything that stands between a
//! program and a running server.
//!
//! Faults of a client are never here. They become a status or a close (`http1::Reject`), and a broken
//! socket is the end of its connection and a debug line in the log.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::limits::LimitsError;

/// An error while setting up, starting or running a server.
///
/// `{:?}` prints the same sentence as `{}`, with the source of the error: that is what a `main`
/// prints which returns the error.
#[non_exhaustive]
pub enum Error {
    /// An address could not be understood, or its host not be found.
    Address {
        /// The address as given.
        address: String,
    },
    /// A listener could not be opened.
    Listen {
        /// The address as given.
        address: String,
        /// The error of the system.
        source: io::Error,
    },
    /// An option of a [`Listener`](crate::runtime::Listener) that its address cannot have.
    ListenerOption {
        /// The address as given, or that of the open socket.
        address: String,
        /// The method of `Listener`.
        option: &'static str,
        /// A description of the expected value, or of another way.
        expected: &'static str,
    },
    /// More listeners than one loop can have. Use several [`Cores`](crate::runtime::Cores), or a wildcard
    /// address in place of many.
    TooManyListeners {
        /// The greatest number.
        max: usize,
    },
    /// No socket was handed over by the parent process (`LISTEN_FDS`).
    NothingInherited,
    /// There is nothing to listen on: call `listen` before `run`.
    NoListener,
    /// A limit is out of bounds.
    Limits(LimitsError),
    /// A pattern is malformed, or in conflict with another.
    Route(RouteError),
    /// A header field of the configuration cannot be sent.
    Field(FieldError),
    /// A directory cannot be served.
    Files {
        /// The directory as given.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// An origin cannot be trusted, because it is not an origin.
    Origin {
        /// The origin as given.
        origin: String,
    },
    /// The system refused what the loop cannot do without: its poll, its waker, a thread.
    Loop(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address { address } => {
                let form = "write HOST:PORT, with a host that can be found, or unix:PATH";
                write!(f, "cannot understand the address {address:?}: {form}")
            }
            Error::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Error::ListenerOption { address, option, expected } => {
                write!(f, "the listener {address} cannot have this `{option}`: {expected}")
            }
            Error::TooManyListeners { max } => {
                write!(f, "more than {max} listeners: one loop cannot have so many")
            }
            Error::NothingInherited => f.write_str(
                "no socket was inherited: start the program by socket activation, which sets \
                 LISTEN_FDS, and LISTEN_PID to the number of this process",
            ),
            Error::NoListener => f.write_str("nothing to listen on: call `listen` before `run`"),
            Error::Limits(error) => error.fmt(f),
            Error::Route(error) => fmt::Display::fmt(error, f),
            Error::Field(error) => error.fmt(f),
            Error::Files { path, .. } => {
                write!(f, "cannot serve {}: a directory that can be opened is needed", path.display())
            }
            Error::Origin { origin } => write!(
                f,
                "{origin:?} is not an origin: write a scheme, ://, a host and perhaps a port, such as \
                 https://app.example"
            ),
            Error::Loop(_) => f.write_str("the event loop failed"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self {
            Error::Listen { source, .. } | Error::Files { source, .. } | Error::Loop(source) => {
                write!(f, ": {source}")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    /// The errors of single values ([`LimitsError`], [`RouteError`], [`FieldError`]) are printed in
    /// full by this error itself, so they are not its sources.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Listen { source, .. } | Error::Files { source, .. } | Error::Loop(source) => {
                Some(source)
            }
            _ => None,
        }
    }
}

impl From<LimitsError> for Error {
    fn from(error: LimitsError) -> Error {
        Error::Limits(error)
    }
}

impl From<RouteError> for Error {
    fn from(error: RouteError) -> Error {
        Error::Route(error)
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Error {
        Error::Field(error)
    }
}

/// The reason why routes could not be built. `{:?}` prints the same sentence as `{}`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// A pattern is invalid.
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// The index of the byte in the pattern where the mistake is.
        at: usize,
        /// A description of the mistake.
        reason: &'static str,
    },
    /// Two patterns match the same request and neither is more specific, so the order of
    /// registration would have to decide.
    Conflict {
        /// The pattern that was registered first.
        first: String,
        /// The pattern that was registered later.
        second: String,
        /// A path that both match.
        example: String,
    },
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteError::Pattern { pattern, at, reason } => {
                write!(f, "bad pattern {pattern:?} at byte {at}: {reason}")
            }
            RouteError::Conflict { first, second, example } => write!(
                f,
                "patterns {first:?} and {second:?} conflict: both match {example:?}, and neither \
                 is more specific than the other"
            ),
        }
    }
}

impl fmt::Debug for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for RouteError {}

/// The reason why a field of a response was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is empty or has a byte that no token has.
    Name {
        /// The name as given.
        name: String,
    },
    /// The value has a control byte, such as the CR or LF that would split the response, or is that
    /// of `Content-Type` and not UTF-8.
    Value {
        /// The name of the field.
        name: String,
    },
    /// The server sets this field itself: use a [`Body`](crate::Body) for the length and
    /// [`Response::with_close`](crate::Response::with_close) for closing.
    Reserved {
        /// The name as given.
        name: String,
    },
    /// The field may not stand in a trailer section: framing, routing, authentication and the
    /// description of the content must be known before the content. Set the field on the
    /// [`Response`](crate::Response).
    Trailer {
        /// The name as given.
        name: String,
    },
    /// The header fields of a response have more than 61,440 bytes (60 KiB), or its trailer section
    /// or the announcement of it has more than 4,096 (4 KiB). Each field counts with its colon,
    /// space, CR and LF, and the trailer section with the empty line at its end. `Content-Type` does
    /// not count among the others: it may have 61,440 bytes of its own. The fields that the server
    /// adds do not count.
    ///
    /// Clients and proxies accept less than a server can send: curl takes 300 KiB of header fields,
    /// nginx as a client 4 to 64 KiB.
    TooLarge {
        /// The field that did not fit.
        name: String,
    },
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldError::Name { name } => {
                write!(f, "{name:?} is not a field name: use letters, digits and hyphens")
            }
            FieldError::Value { name } => {
                let what = "has a control byte, or is a media type and not UTF-8";
                write!(f, "the value of field {name:?} {what}: remove or encode it")
            }
            FieldError::Reserved { name } => write!(
                f,
                "field {name:?} is set by the server: leave it out (a Body decides the length, \
                 `with_close` closes)"
            ),
            FieldError::Trailer { name } => write!(
                f,
                "field {name:?} may not stand in a trailer section: set it on the Response"
            ),
            FieldError::TooLarge { name } => write!(
                f,
                "field {name:?} is too large: a response has at most 61,440 bytes of header fields \
                 and 4,096 of trailer fields"
            ),
        }
    }
}

impl std::error::Error for FieldError {}

/// So that `?` works in [`Produce::put_trailers`](crate::body::Produce::put_trailers).
impl From<FieldError> for io::Error {
    fn from(error: FieldError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Response, Router, Server};

    #[test]
    fn a_main_that_returns_an_error_prints_the_remedy() {
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
