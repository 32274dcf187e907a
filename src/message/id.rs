//! The numbers by which a program knows connections and requests. They are types of their own, so that
//! one cannot be mistaken for another number.

use std::fmt;

/// The number of a connection.
///
/// A number is not used again until four billion connections have been accepted (on 32-bit targets,
/// until 4,096 connections have been accepted). It is unique in one loop: the loops of
/// [`Cores`](crate::runtime::Cores) count for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub(crate) u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a request: that of its connection, and the number of requests before it there.
///
/// `Display` writes both with a hyphen between them, such as `17-0`. That is fit for logs, file
/// names and the field `X-Request-Id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId {
    pub(crate) connection: ConnectionId,
    pub(crate) index: u32,
}

impl RequestId {
    /// The connection.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The number of requests before this one on the same connection.
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connection, self.index)
    }
}
