//! The name of a connection in the log.

use std::fmt;
use std::net::SocketAddr;

use crate::message::id::RequestId;
use crate::message::request::Transport;
use crate::reactor::token::Token;

/// How log lines name a connection: its number, the address of its client, and the request under
/// way.
///
/// The client has no address on a Unix socket, and none after it has reset its connection.
pub(super) struct LogName {
    token: Token,
    client: Option<SocketAddr>,
    request: Option<RequestId>,
}

impl LogName {
    /// Names a connection without its request.
    pub(super) fn of(token: Token, stream: &impl Transport) -> LogName {
        LogName { token, client: stream.client_addr(), request: None }
    }

    /// Adds the last of the requests that have begun.
    pub(super) fn with_request(mut self, requests: u32) -> LogName {
        let connection = self.token.connection_id();
        self.request = requests.checked_sub(1).map(|index| RequestId { connection, index });
        self
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.token)?;
        if let Some(client) = self.client {
            write!(f, ", client {client}")?;
        }
        if let Some(request) = self.request {
            write!(f, ", request {request}")?;
        }
        Ok(())
    }
}
