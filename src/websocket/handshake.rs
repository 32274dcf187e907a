//! The handshake (RFC 6455, section 4.2), and the options of the sockets that it opens.

use std::fmt;
use std::time::Duration;

use data_encoding::BASE64;
use http::{Method, StatusCode};
use sha1_smol::Sha1;

use crate::handler::upgrade::Upgrade;
use crate::handler::Reply;
use crate::helpers::origin::{OriginError, OriginGuard};
use crate::message::request::Request;
use crate::message::response::Response;
use crate::websocket::connection::Speaker;
use crate::websocket::Handler;

/// Behind the key of the client, what is hashed (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Who may open a socket, and what it is held to. Made once, used for every [`accept`].
pub struct Options {
    pub(super) bounds: Bounds,
    protocols: Vec<String>,
    /// `None` lets every page in.
    origins: Option<OriginGuard>,
}

/// What a socket is held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) message_bytes_max: usize,
    pub(super) queue_bytes_max: usize,
    pub(super) ping_after: Duration,
    pub(super) answer_timeout: Duration,
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
            answer_timeout: Duration::from_secs(10),
        };
        Options { bounds, protocols: Vec::new(), origins: Some(OriginGuard::new()) }
    }

    /// The longest message that is taken, and the longest frame; a longer one closes the socket
    /// with 1009 as soon as it is known to be. Default 64 KiB.
    pub fn message_bytes_max(mut self, bytes: usize) -> Options {
        self.bounds.message_bytes_max = bytes;
        self
    }

    /// How much may wait for a peer that does not take it, 128 B for each message besides its
    /// bytes; one more, and the socket is cut. A longer message goes if nothing else waits. Default
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

    /// How long the peer may be silent when it owes the answer to a ping or a close frame; then
    /// the connection is closed without it. What else it sends shows that it is there, but a close
    /// frame is awaited for 256 reads at most. Default 10 s.
    pub fn answer_timeout(mut self, timeout: Duration) -> Options {
        self.bounds.answer_timeout = timeout;
        self
    }

    /// The subprotocols that are spoken, the best one first. The first of them that the client
    /// offers is chosen, and told by [`Socket::protocol`](crate::websocket::Socket::protocol); if
    /// it offers none of them, none is.
    pub fn protocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Options {
        self.protocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Lets pages of `origin` open sockets too, as [`OriginGuard::trust`].
    ///
    /// # Errors
    ///
    /// What is no origin.
    pub fn trust(mut self, origin: &str) -> Result<Options, OriginError> {
        let origins = self.origins.unwrap_or_default();
        self.origins = Some(origins.trust(origin)?);
        Ok(self)
    }

    /// Lets pages of every site open sockets: for what is public, or asks for more than a cookie.
    pub fn any_origin(mut self) -> Options {
        self.origins = None;
        self
    }

    /// The subprotocol for `req`.
    fn choose(&self, req: &Request<'_>) -> Option<String> {
        let offers = |name: &str| {
            let fields = req.fields();
            let mut offered = fields.members("sec-websocket-protocol");
            offered.any(|offer| offer == name.as_bytes())
        };
        self.protocols.iter().find(|name| offers(name)).cloned()
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

/// Opens a socket and gives it to `handler`; or, if `req` is no handshake, says what is wrong.
///
/// 426 for what asks for no WebSocket or for another version than 13, 405 for another method than
/// GET, 400 for a key that is none, 403 for a page of another site.
///
/// The last is on by default, since nothing else keeps such a page out: a browser lets any page
/// open a socket to any host and sends that host's cookies along (cross-site WebSocket hijacking).
/// A request passes if `Origin` names the host of the request, or is absent, since no browser
/// leaves it out; see [`OriginGuard`] for the rule, and [`Options::trust`] for exceptions. A proxy
/// in front must pass `Host` on as it came.
pub fn accept<S: 'static>(
    req: &Request<'_>,
    options: &Options,
    handler: impl Handler<S> + 'static,
) -> Reply<S> {
    let key = match key(req, options) {
        Ok(key) => key,
        Err(response) => return (*response).into(),
    };
    let protocol = options.choose(req);
    let mut upgrade = Upgrade::to("websocket").with("Sec-WebSocket-Accept", accept_key(key));
    if let Some(protocol) = &protocol {
        upgrade = upgrade.with("Sec-WebSocket-Protocol", protocol);
    }
    Reply::upgrade(upgrade, Speaker::new(handler, options.bounds, protocol))
}

/// The key of a handshake, or the refusal of what is none.
fn key<'a>(req: &Request<'a>, options: &Options) -> Result<&'a [u8], Box<Response>> {
    if *req.method() != Method::GET {
        return Err(Box::new(Response::method_not_allowed("GET")));
    }
    if let Some(refusal) = Upgrade::to("websocket").refusal(req) {
        return Err(Box::new(refusal));
    }
    let fields = req.fields();
    let only = |name| {
        let mut values = fields.all(name);
        values.next().filter(|_| values.next().is_none())
    };
    if only("sec-websocket-version") != Some(b"13") {
        let mut response = Response::status_page(StatusCode::UPGRADE_REQUIRED);
        response.push_line("Connection", "Upgrade");
        response.push_line("Upgrade", "websocket");
        response.push_line("Sec-WebSocket-Version", "13");
        return Err(Box::new(response));
    }
    let is_key = |key: &&[u8]| BASE64.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    let Some(key) = only("sec-websocket-key").filter(is_key) else {
        let what = "Sec-WebSocket-Key must be 16 bytes in base64";
        return Err(Box::new(Response::error(StatusCode::BAD_REQUEST, what)));
    };
    match &options.origins {
        Some(guard) if !guard.is_own_or_trusted(req) => {
            let what = "403 a page of another site opened this";
            Err(Box::new(Response::error(StatusCode::FORBIDDEN, what)))
        }
        _ => Ok(key),
    }
}

/// The answer to a key: proof that the server knows what it is being asked.
fn accept_key(key: &[u8]) -> String {
    let mut sha1 = Sha1::new();
    sha1.update(key);
    sha1.update(GUID);
    BASE64.encode(&sha1.digest().bytes())
}

#[cfg(test)]
mod tests {
    use super::accept_key;

    #[test]
    fn the_example_of_the_rfc_has_its_answer() {
        assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
