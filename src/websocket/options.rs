//! [`Options`]: the pages that may open sockets, and the bounds of the sockets.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::helpers::origin::OriginGuard;
use crate::message::request::Request;

/// The pages that may open a socket, and the bounds of the socket. They are made once and used for
/// every [`accept`](super::accept).
#[must_use = "options have an effect only through `accept`"]
pub struct Options {
    pub(super) bounds: Bounds,
    protocols: Vec<String>,
    /// `None` admits every page.
    origins: Option<OriginGuard>,
}

/// The bounds of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) message_bytes_max: usize,
    pub(super) message_timeout: Duration,
    pub(super) queue_bytes_max: usize,
    pub(super) ping_after: Duration,
    pub(super) peer_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl Options {
    /// Creates the defaults: only pages of the same origin, messages of up to 64 KiB in up to 30 s, a
    /// queue of 256 KiB, a ping after 30 s of silence, and 10 s for its pong.
    pub fn new() -> Options {
        let bounds = Bounds {
            message_bytes_max: 64 << 10,
            message_timeout: Duration::from_secs(30),
            queue_bytes_max: 256 << 10,
            ping_after: Duration::from_secs(30),
            peer_timeout: Duration::from_secs(10),
        };
        Options { bounds, protocols: Vec::new(), origins: Some(OriginGuard::new()) }
    }

    /// Sets the most bytes of a message, and of a frame. A longer one closes the socket with 1009
    /// as soon as its length is known. Default 64 KiB.
    pub fn message_bytes_max(mut self, bytes: usize) -> Options {
        self.bounds.message_bytes_max = bytes;
        self
    }

    /// Sets the time in which a message must be complete, from its first byte, whatever comes in
    /// it: fragments, pings, or the bytes of a frame head one by one. Longer messages close the
    /// socket with 1008, since a half message takes memory. Default 30 s: the longest message by
    /// default takes that long at 2 KiB/s. A program with longer messages sets a longer time.
    pub fn message_timeout(mut self, timeout: Duration) -> Options {
        self.bounds.message_timeout = timeout;
        self
    }

    /// Sets the most bytes that may wait for a client. Each message counts 128 B besides its
    /// content. A longer message is accepted if no other one waits. Default 256 KiB.
    ///
    /// Beyond them a slow client is cut: one that has not taken what was sent to it for a tenth of a
    /// second. For any other client the sender only sends too much before the loop can pass it on, or
    /// the client can read it: a message is not
    /// taken ([`Sender::send_text`](super::Sender::send_text) returns `false`), and a
    /// [`Group`](super::Group) holds its members up while more than half of the bytes wait.
    pub fn queue_bytes_max(mut self, bytes: usize) -> Options {
        self.bounds.queue_bytes_max = bytes;
        self
    }

    /// Sets the silence, in both directions, after which a ping asks whether the client is there.
    /// Default 30 s, well below the idle timeout of proxies.
    pub fn ping_after(mut self, silence: Duration) -> Options {
        self.bounds.ping_after = silence;
        self
    }

    /// Sets the longest silence of a client that owes the response to a ping, and the time that it
    /// has for its close frame after ours has left; then the connection is closed. Any other frame
    /// shows that the client is there, too, but does not put off the time for the close frame.
    /// Default 10 s.
    pub fn peer_timeout(mut self, timeout: Duration) -> Options {
        self.bounds.peer_timeout = timeout;
        self
    }

    /// Sets the subprotocols that the program speaks, the preferred one first. The first of them
    /// that the client offers is chosen, and
    /// [`Socket::protocol`](crate::websocket::Socket::protocol) returns it. If the client offers
    /// none of them, none is chosen.
    pub fn protocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Options {
        self.protocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Lets pages of `origin` open sockets, too: see [`OriginGuard::trust`].
    ///
    /// # Errors
    ///
    /// An error if `origin` is not an origin, as for [`OriginGuard::trust`].
    pub fn trust(mut self, origin: &str) -> Result<Options, Error> {
        let origins = self.origins.unwrap_or_default();
        self.origins = Some(origins.trust(origin)?);
        Ok(self)
    }

    /// Lets pages of every site open sockets: for public data, or if the program requires more than
    /// a cookie.
    pub fn any_origin(mut self) -> Options {
        self.origins = None;
        self
    }

    /// Returns the subprotocol for `req`.
    pub(super) fn choose(&self, req: &Request<'_>) -> Option<String> {
        let offers = |name: &str| {
            let fields = req.headers();
            let mut offered = fields.members("sec-websocket-protocol");
            offered.any(|offer| offer == name.as_bytes())
        };
        self.protocols.iter().find(|name| offers(name)).cloned()
    }

    /// Returns whether the page that sent `req` may open a socket.
    pub(super) fn admits_origin(&self, req: &Request<'_>) -> bool {
        self.origins.as_ref().is_none_or(|guard| guard.is_own_or_trusted(req))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("bounds", &self.bounds)
            .field("protocols", &self.protocols)
            .field("origins", &self.origins)
            .finish()
    }
}
