//! The name of a connection in the log.

use std::fmt;
use std::net::SocketAddr;

use crate::message::id::{ConnectionId, RequestId};

/// How log lines name a connection: its number, the address of its client, and the request under
/// way.
///
/// The client has no address on a Unix socket.
pub(super) struct LogName {
    connection: ConnectionId,
    client: Option<SocketAddr>,
    request: Option<RequestId>,
}

impl LogName {
    /// Names a connection without its request.
    pub(super) fn of(connection: ConnectionId, client: Option<SocketAddr>) -> LogName {
        LogName { connection, client, request: None }
    }

    /// Adds the last of the requests that have begun.
    pub(super) fn with_request(mut self, requests: u32) -> LogName {
        let connection = self.connection;
        self.request = requests.checked_sub(1).map(|index| RequestId { connection, index });
        self
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.connection)?;
        if let Some(client) = self.client {
            write!(f, ", client {client}")?;
        }
        if let Some(request) = self.request {
            write!(f, ", request {request}")?;
        }
        Ok(())
    }
}
