//! The handshake (RFC 6455, section 4.2).

use data_encoding::BASE64;
use http::{Method, StatusCode};
use sha1_smol::Sha1;

use crate::handler::upgrade::Upgrade;
use crate::handler::Reply;
use crate::message::request::Request;
use crate::message::response::Response;
use crate::websocket::connection::{Origin, SocketProtocol};
use crate::websocket::handler::SocketHandler;
use crate::websocket::options::Options;

/// The text that is hashed after the key of the client (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Opens a socket and gives it to `handler`, or refuses a request that is not a handshake.
///
/// The refusal is a 426 for a request without a WebSocket upgrade or with a version other than 13,
/// a 405 for a method other than GET, a 400 for a malformed key, and a 403 for a page of another
/// site.
///
/// The check of the page is on by default, since a browser lets any page open a socket to any host
/// and sends the cookies of that host (cross-site WebSocket hijacking). A request passes if
/// `Origin` names the host of the request, or is absent, since no browser leaves it out. See
/// [`OriginGuard`](crate::guards::OriginGuard) for the rule, and [`Options::trust`] for exceptions.
/// A proxy in front must pass `Host` on unchanged.
#[doc(alias("Upgrader", "ws", "WebSocketUpgrade"))]
pub fn accept<S: 'static>(
    req: &Request<'_>,
    options: &Options,
    handler: impl SocketHandler<S> + 'static,
) -> Reply<S> {
    let key = match key(req, options) {
        Ok(key) => key,
        Err(response) => return (*response).into(),
    };
    let protocol = options.choose(req);
    let mut upgrade = Upgrade::to("websocket").with_header("Sec-WebSocket-Accept", accept_key(key));
    if let Some(protocol) = &protocol {
        upgrade = upgrade.with_header("Sec-WebSocket-Protocol", protocol);
    }
    let origin = Origin { connection: req.connection_id(), client: req.peer_addr() };
    let account = req.account();
    Reply::upgrade(upgrade, SocketProtocol::new(handler, options.bounds, protocol, origin, account))
}

/// Returns the key of a handshake, or the refusal of a request that is not one.
fn key<'a>(req: &Request<'a>, options: &Options) -> Result<&'a [u8], Box<Response>> {
    if *req.method() != Method::GET {
        return Err(Box::new(Response::method_not_allowed("GET")));
    }
    if let Some(refusal) = Upgrade::to("websocket").refusal(req) {
        return Err(Box::new(refusal));
    }
    let fields = req.headers();
    if fields.only("sec-websocket-version") != Some(b"13") {
        return Err(Box::new(unsupported_version()));
    }
    let is_key = |key: &&[u8]| BASE64.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    let Some(key) = fields.only("sec-websocket-key").filter(is_key) else {
        let what = "bad Sec-WebSocket-Key: 16 bytes in base64 were expected";
        return Err(Box::new(Response::error(StatusCode::BAD_REQUEST, what)));
    };
    if !options.admits_origin(req) {
        let what = "request from a page of another site: the same origin was expected";
        return Err(Box::new(Response::error(StatusCode::FORBIDDEN, what)));
    }
    Ok(key)
}

/// The 426 that names the supported version (RFC 6455, section 4.4).
fn unsupported_version() -> Response {
    let mut response = Response::status_page(StatusCode::UPGRADE_REQUIRED);
    response.push_line("Connection", "Upgrade");
    response.push_line("Upgrade", "websocket");
    response.push_line("Sec-WebSocket-Version", "13");
    response
}

/// Returns the response to a key, which proves that the server understood the handshake.
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
    fn the_example_of_the_rfc_gets_the_response_of_the_rfc() {
        assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
