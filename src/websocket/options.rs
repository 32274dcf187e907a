//! [`Options`]: the pages that may open sockets, and the bounds of the sockets.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::helpers::origin::OriginGuard;
use crate::message::request::Request;

/// The pages that may open a socket, and the bounds that it is held to. Made once, used for every
/// [`accept`](super::accept).
#[must_use]
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
    /// Pages of the same origin only, messages of up to 64 KiB, a queue of 256 KiB, a ping after
    /// 30 s of silence with 10 s to answer it.
    pub fn new() -> Options {
        let bounds = Bounds {
            message_bytes_max: 64 << 10,
            queue_bytes_max: 256 << 10,
            ping_after: Duration::from_secs(30),
            peer_timeout: Duration::from_secs(10),
        };
        Options { bounds, protocols: Vec::new(), origins: Some(OriginGuard::new()) }
    }

    /// The longest message that is taken, and the longest frame; a longer one closes the socket
    /// with 1009 as soon as it is known to be. Default 64 KiB.
    pub fn message_bytes_max(mut self, bytes: usize) -> Options {
        self.bounds.message_bytes_max = bytes;
        self
    }

    /// How many bytes may wait for a slow peer, counting 128 B for each message besides its content;
    /// one more, and the socket is cut. A longer message goes if nothing else waits. Default
    /// 256 KiB.
    pub fn queue_bytes_max(mut self, bytes: usize) -> Options {
        self.bounds.queue_bytes_max = bytes;
        self
    }

    /// The silence, in both directions, after which a ping asks whether the peer is there. Default
    /// 30 s, well within what proxies keep.
    pub fn ping_after(mut self, silence: Duration) -> Options {
        self.bounds.ping_after = silence;
        self
    }

    /// How long the peer may be silent when it owes the response to a ping or a close frame; then
    /// the connection is closed without it. Anything else that it sends shows that it is there, but
    /// a close frame is awaited for 256 reads at most. Default 10 s.
    pub fn peer_timeout(mut self, timeout: Duration) -> Options {
        self.bounds.peer_timeout = timeout;
        self
    }

    /// The subprotocols that are spoken, the best one first. The first of them that the client
    /// offers is chosen, and returned by
    /// [`Socket::protocol`](crate::websocket::Socket::protocol). If it offers none of them, none is
    /// chosen.
    pub fn protocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Options {
        self.protocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Lets pages of `origin` open sockets too, as [`OriginGuard::trust`].
    ///
    /// # Errors
    ///
    /// A text that is not an origin.
    pub fn trust(mut self, origin: &str) -> Result<Options, Error> {
        let origins = self.origins.unwrap_or_default();
        self.origins = Some(origins.trust(origin)?);
        Ok(self)
    }

    /// Lets pages of every site open sockets: for public data, or where more than a cookie is
    /// required.
    pub fn any_origin(mut self) -> Options {
        self.origins = None;
        self
    }

    /// The subprotocol for `req`.
    pub(super) fn choose(&self, req: &Request<'_>) -> Option<String> {
        let offers = |name: &str| {
            let fields = req.headers();
            let mut offered = fields.members("sec-websocket-protocol");
            offered.any(|offer| offer == name.as_bytes())
        };
        self.protocols.iter().find(|name| offers(name)).cloned()
    }

    /// Whether the page that sent `req` may open a socket.
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
