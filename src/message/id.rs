//! The numbers by which a program identifies connections and requests. They are types of their own,
//! so that neither can be mistaken for another number.

use std::fmt;

/// The number of a connection, unique within one loop.
///
/// Each loop of [`Cores`](crate::runtime::Cores) counts for itself, so two connections of different
/// loops may have the same number. Within a loop a number is used again only after four billion
/// more connections have been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub(crate) u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a request, unique within one loop: the number of its connection, and the number of
/// requests before it on that connection.
///
/// `Display` writes both with a hyphen between them, such as `17-0`, for logs, file names and the
/// field `X-Request-Id`. A program with several loops ([`Cores`](crate::runtime::Cores)) or several
/// runs adds something that sets them apart, such as the number of the core or the time of its
/// start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId {
    pub(crate) connection: ConnectionId,
    pub(crate) index: u32,
}

impl RequestId {
    /// Returns the number of the connection.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Returns the number of requests before this one on the same connection.
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connection, self.index)
    }
}
