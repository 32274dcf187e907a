//! The errors of a program that sets up a server: mistakes of the program, and refusals of the
//! system.
//!
//! The faults of a client are not here. They become a status or a close (`http1::Reject`). A broken
//! socket ends its connection, with a debug line in the log.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::LimitsError;

/// An error while a server is set up, started or run.
///
/// Every function that a program calls before it serves returns this type, so `main` can return it:
///
/// ```no_run
/// use wheelhouse::{files::Files, Error, Server};
///
/// fn main() -> Result<(), Error> {
///     let files = Files::new("public")?;
///     Server::new().listen("127.0.0.1:8080")?.run(files)?;
///     Ok(())
/// }
/// ```
///
/// `{}` prints a sentence with the problem and the expected value. The error of the system is in
/// [`source`](std::error::Error::source). `{:?}`, which prints the error that `main` returns, adds
/// the source.
#[non_exhaustive]
pub enum Error {
    /// An address is malformed, or its host was not found.
    Address {
        /// The address as it was given.
        address: String,
    },
    /// A listener could not be opened.
    Listen {
        /// The address as it was given.
        address: String,
        /// The error of the system.
        source: io::Error,
    },
    /// A [`Listener`](crate::runtime::Listener) has an option that its address cannot have.
    ListenerOption {
        /// The address as it was given, or that of the open socket.
        address: String,
        /// The method of `Listener` that sets the option.
        option: &'static str,
        /// A description of the expected value, or of another way.
        expected: &'static str,
    },
    /// There are more listeners than one loop can have. Use several
    /// [`Cores`](crate::runtime::Cores), or one wildcard address in place of many addresses.
    TooManyListeners {
        /// The greatest number of listeners.
        max: usize,
    },
    /// The service manager did not hand over a socket (`LISTEN_FDS`).
    NothingInherited,
    /// The server has no listener: call [`Server::listen`](crate::Server::listen) before it runs.
    NoListener,
    /// A limit is out of bounds.
    Limits(LimitsError),
    /// A pattern of a route is malformed, or it conflicts with another one.
    Route(RouteError),
    /// A header field of the configuration cannot be sent.
    Field(FieldError),
    /// A directory or a file cannot be opened, so it cannot be served.
    Files {
        /// The path as it was given.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A trusted or allowed origin is malformed.
    Origin {
        /// The text as it was given.
        origin: String,
    },
    /// A rate is not one: [`RateLimit::per_address`](crate::guards::RateLimit::per_address).
    Rate {
        /// The number of requests as it was given.
        requests: u32,
        /// The period as it was given.
        period: Duration,
    },
    /// The threads of a [`Pool`](crate::Pool) cannot be started.
    Pool {
        /// The name as it was given.
        name: String,
        /// The error of the system, or the mistake in the arguments.
        source: io::Error,
    },
    /// The settings of [`Cors`](crate::guards::Cors) are malformed, or browsers refuse them.
    Cors {
        /// The part that is refused: `*`, or a name as it was given.
        value: String,
        /// A description of the expected value.
        expected: &'static str,
    },
    /// A network of trusted proxies is malformed.
    Network {
        /// The text as it was given.
        network: String,
    },
    /// The system refused a resource that the loop needs: its poll, its waker, a thread.
    Loop(io::Error),
    /// A function was given to a loop that has ended:
    /// [`RemoteClosed`](crate::runtime::RemoteClosed).
    Ended,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address { address } => {
                let form = "write HOST:PORT, with a host that can be found, :PORT or unix:PATH";
                write!(f, "cannot understand the address {address:?}: {form}")
            }
            Error::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Error::ListenerOption { address, option, expected } => {
                write!(f, "the listener {address} cannot have this `{option}`: {expected}")
            }
            Error::TooManyListeners { max } => {
                write!(f, "more than {max} listeners: use several cores, or a wildcard address")
            }
            Error::NothingInherited => f.write_str(
                "no socket was inherited: start the program by socket activation, which sets \
                 LISTEN_FDS, and LISTEN_PID to the id of this process",
            ),
            Error::Ended => f.write_str("the server has ended: a remote needs a loop that runs"),
            Error::NoListener => f.write_str("nothing to listen on: call `listen` before `run`"),
            Error::Limits(error) => error.fmt(f),
            Error::Route(error) => fmt::Display::fmt(error, f),
            Error::Field(error) => error.fmt(f),
            Error::Files { path, .. } => {
                let expected = "it must be a directory or a file that this process can open";
                write!(f, "cannot serve {}: {expected}", path.display())
            }
            Error::Origin { origin } => write!(
                f,
                "{origin:?} is not an origin: write a scheme, ://, a host and perhaps a port, such \
                 as https://app.example"
            ),
            Error::Rate { requests, period } => write!(
                f,
                "a rate of {requests} requests in {period:?}: it needs at least one request, and a \
                 period above 0 and of at most a year"
            ),
            Error::Pool { name, .. } => write!(f, "the pool {name:?} cannot start its threads"),
            Error::Cors { value, expected } => {
                write!(f, "{value:?} cannot be allowed to other origins: expected {expected}")
            }
            Error::Network { network } => write!(
                f,
                "{network:?} is not a network: write an address, such as 127.0.0.1 or ::1, a \
                 network, such as 10.0.0.0/8, or unix"
            ),
            Error::Loop(_) => f.write_str("the event loop failed"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self {
            Error::Listen { source, .. }
            | Error::Files { source, .. }
            | Error::Pool { source, .. }
            | Error::Loop(source) => {
                write!(f, ": {source}")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    /// Returns the error of the system, if there is one. The errors of single values
    /// ([`LimitsError`], [`RouteError`], [`FieldError`]) are not sources, because `{}` prints them
    /// in full.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Listen { source, .. }
            | Error::Files { source, .. }
            | Error::Pool { source, .. }
            | Error::Loop(source) => Some(source),
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

/// The reason why routes cannot be built. `{:?}` prints the same sentence as `{}`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// A pattern is invalid.
    Pattern {
        /// The pattern as it was given.
        pattern: String,
        /// The index of the byte in the pattern where the mistake is.
        at: usize,
        /// A description of the mistake.
        reason: &'static str,
    },
    /// Two patterns match the same request and neither is more specific than the other.
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

/// The reason why a header or trailer field of a response is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is empty, or has a byte that a token cannot have (RFC 9110, section 5.6.2).
    Name {
        /// The name as given.
        name: String,
    },
    /// The value has a control byte, such as CR or LF, which would split the response. Or the field
    /// is `Content-Type` and its value is not UTF-8.
    Value {
        /// The name of the field.
        name: String,
    },
    /// The server sets this field itself. A [`Body`](crate::Body) decides the length, and
    /// [`Response::with_close`](crate::Response::with_close) closes the connection.
    Reserved {
        /// The name as given.
        name: String,
    },
    /// The field cannot be in a trailer section. A client must have fields about framing, routing,
    /// authentication and the format of the content before the content. Set the field on the
    /// [`Response`](crate::Response).
    Trailer {
        /// The name as given.
        name: String,
    },
    /// The header fields of a response have more than 61,440 bytes (60 KiB). Or its trailer
    /// section, or the announcement of that, has more than 4,096 bytes (4 KiB). Each field counts
    /// with its colon, space, CR and LF, and the trailer section with the empty line at its end.
    /// `Content-Type` is counted by itself and may have 61,440 bytes. The fields that the server
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
                let problem = "has a control byte, or is a media type and not UTF-8";
                write!(f, "the value of field {name:?} {problem}: remove or encode it")
            }
            FieldError::Reserved { name } => write!(
                f,
                "field {name:?} is set by the server: leave it out (a Body decides the length, \
                 `with_close` closes the connection)"
            ),
            FieldError::Trailer { name } => {
                write!(f, "field {name:?} cannot be in a trailer section: set it on the Response")
            }
            FieldError::TooLarge { name } => write!(
                f,
                "field {name:?} is too large: a response can have 61,440 bytes of header fields \
                 and 4,096 of trailer fields"
            ),
        }
    }
}

impl std::error::Error for FieldError {}

/// Makes `?` work in [`Produce::put_trailers`](crate::body::Produce::put_trailers).
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
