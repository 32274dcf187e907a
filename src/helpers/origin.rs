//! [`OriginGuard`]: a guard against cross-site request forgery, that is, against requests that a
//! page of another site makes a browser send. It reads fields that browsers add and pages cannot
//! forge, so it needs neither tokens nor cookies.
//!
//! `Sec-Fetch-Site` (Fetch Metadata) has the relation of the two sites. Older browsers send only
//! `Origin` (RFC 6454). The guard does not know users: a request that passes may still be
//! anonymous.

use http::{Method, StatusCode};

use crate::error::Error;
use crate::message::fields::Fields;
use crate::message::redirect::is_scheme;
use crate::message::request::Request;
use crate::message::response::Response;
use crate::router::Patterns;

/// A guard that passes only requests from pages of this site and from clients that are not
/// browsers.
///
/// `GET`, `HEAD` and `OPTIONS` always pass, so handlers must not change anything for them. A
/// request with another method passes in three cases:
///
/// * `Sec-Fetch-Site` is `same-origin` or `none`, which is that of an address that the user typed;
/// * that field is missing, and `Origin` has the host of the request;
/// * both fields are missing. Browsers send at least one of them.
///
/// Every other request gets a 403, also one with `same-site`, unless it is
/// [trusted](OriginGuard::trust) or [exempt](OriginGuard::exempt).
///
/// A server does not know the scheme of a request if a proxy ends TLS, so only the host and port of
/// `Origin` are compared. Send `Strict-Transport-Security`, so that an attacker cannot serve a page
/// under your name without TLS.
///
/// ```
/// use wheelhouse::guards::OriginGuard;
/// use wheelhouse::{sim::Sim, Router};
///
/// let origins = OriginGuard::new().trust("https://app.example")?.exempt("POST /hooks/")?;
/// let routes = Router::<()>::new()
///     .post("/notes", |_, _| "saved\n")
///     .guard(move |_, req| origins.check(req))
///     .build()?;
/// let mut sim = Sim::new(routes);
/// let foreign = sim.request("POST", "/notes").header("Sec-Fetch-Site", "cross-site");
/// assert_eq!(foreign.send().status(), 403);
/// # Ok::<(), wheelhouse::Error>(())
/// ```
///
/// For another response, replace the error: `origins.check(req).map_err(|_| Response::..)`.
#[doc(alias("CSRF", "XSRF", "CrossOriginProtection"))]
#[derive(Debug)]
#[must_use = "an origin guard does nothing until its `check` is called"]
pub struct OriginGuard {
    /// In lower case, as browsers write them.
    trusted: Vec<String>,
    exempt: Patterns,
}

impl Default for OriginGuard {
    fn default() -> OriginGuard {
        OriginGuard::new()
    }
}

impl OriginGuard {
    /// Creates a guard that trusts no other origin.
    pub fn new() -> OriginGuard {
        OriginGuard { trusted: Vec::new(), exempt: Patterns::default() }
    }

    /// Returns the guard with a trusted origin, whose pages may send every request. An origin has
    /// the form of the field `Origin`: scheme, `://`, host, and the port unless it is that of the
    /// scheme.
    ///
    /// # Errors
    ///
    /// [`Error::Origin`] for any other text, which browsers never send.
    pub fn trust(mut self, origin: &str) -> Result<OriginGuard, Error> {
        if !is_origin(origin) {
            return Err(Error::Origin { origin: origin.to_owned() });
        }
        self.trusted.push(origin.to_ascii_lowercase());
        Ok(self)
    }

    /// Returns the guard with an exception: all requests that `pattern` matches pass. It is for
    /// paths to which other sites send requests on purpose. The pattern is one of
    /// [`Router`](crate::router). A request that a router would redirect there does not match.
    ///
    /// # Errors
    ///
    /// [`Error::Route`] if the pattern is malformed or conflicts with an earlier one.
    pub fn exempt(mut self, pattern: &str) -> Result<OriginGuard, Error> {
        self.exempt.add(pattern)?;
        Ok(self)
    }

    /// Checks that a request may pass.
    ///
    /// # Errors
    ///
    /// A plain 403 if the request came from a page of another site.
    pub fn check(&self, req: &Request<'_>) -> Result<(), Response> {
        let is_safe = matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if is_safe || self.is_own_or_trusted(req) || self.exempt.contain(req) {
            return Ok(());
        }
        Err(Response::error(StatusCode::FORBIDDEN, "403 a page of another site sent this"))
    }

    /// Returns whether `req` may pass if its method could change something.
    pub(crate) fn is_own_or_trusted(&self, req: &Request<'_>) -> bool {
        is_our_own(req) || self.is_trusted(&req.headers())
    }

    fn is_trusted(&self, fields: &Fields<'_>) -> bool {
        match the_only(fields, "origin") {
            One(origin) => {
                self.trusted.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin))
            }
            Nothing | Many => false,
        }
    }
}

fn is_our_own(req: &Request<'_>) -> bool {
    let fields = req.headers();
    match (the_only(&fields, "sec-fetch-site"), the_only(&fields, "origin")) {
        (One(site), _) => matches!(site, b"same-origin" | b"none"),
        (Nothing, Nothing) => true,
        (Nothing, One(origin)) => {
            let at = origin.windows(3).position(|three| three == b"://");
            let host = at.map(|at| &origin[at + 3..]);
            matches!((host, req.host()), (Some(theirs), Some(ours))
                if theirs.eq_ignore_ascii_case(ours.as_bytes()))
        }
        (Many, _) | (_, Many) => false,
    }
}

/// The values of a field that browsers send once. An empty value does not count.
enum Only<'a> {
    Nothing,
    One(&'a [u8]),
    Many,
}
use Only::{Many, Nothing, One};

fn the_only<'a>(fields: &Fields<'a>, name: &str) -> Only<'a> {
    let mut values = fields.all(name).filter(|value| !value.is_empty());
    match (values.next(), values.next()) {
        (None, _) => Nothing,
        (Some(value), None) => One(value),
        (Some(_), Some(_)) => Many,
    }
}

/// Returns whether `text` is a scheme, `://`, a host and perhaps a port, and has nothing else.
pub(crate) fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let is_host_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    let is_host = !host.is_empty() && !host.starts_with(':') && host.bytes().all(is_host_byte);
    is_scheme(scheme) && is_host
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;
    use crate::sim::Sim;

    fn guarded(origins: OriginGuard) -> Sim {
        let server = Server::new().guard(move |_, req| origins.check(req));
        Sim::of(server, |_: &Request<'_>| "done").unwrap()
    }

    fn status(sim: &mut Sim, line: &str, fields: &str) -> u16 {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: hub.example:8080\r\nContent-Length: 0\r\n{fields}\r\n"
        );
        let client = sim.connect_and_send(request.as_bytes());
        String::from_utf8_lossy(&sim.received(client)[9..12]).parse().unwrap()
    }

    /// Go: t238 (the fields), over the wire.
    #[test]
    fn requests_that_other_sites_make_a_browser_send_are_refused() {
        let mut sim = guarded(OriginGuard::new());
        let table = [
            ("", 200),
            ("Sec-Fetch-Site: same-origin\r\n", 200),
            ("Sec-Fetch-Site: none\r\n", 200),
            ("Sec-Fetch-Site: same-origin\r\nOrigin: https://evil.example\r\n", 200),
            ("Sec-Fetch-Site: cross-site\r\n", 403),
            ("Sec-Fetch-Site: same-site\r\n", 403),
            ("Sec-Fetch-Site: something\r\n", 403),
            ("Sec-Fetch-Site: cross-site\r\nOrigin: http://hub.example:8080\r\n", 403),
            ("Sec-Fetch-Site:\r\nOrigin: https://evil.example\r\n", 403),
            ("Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", 403),
            ("Origin:\r\n", 200),
            ("Origin: http://hub.example:8080\r\n", 200),
            ("Origin: https://HUB.example:8080\r\n", 200),
            ("Origin: https://hub.example\r\n", 403),
            ("Origin: https://evil.example\r\n", 403),
            ("Origin: https://evil.example/hub.example:8080\r\n", 403),
            ("Origin: null\r\n", 403),
            ("Origin: hub.example:8080\r\n", 403),
            ("Origin: http://hub.example:8080\r\nOrigin: https://evil.example\r\n", 403),
        ];
        for (fields, expected) in table {
            for method in ["POST", "PUT", "DELETE", "PATCH", "get", "QUERY"] {
                assert_eq!(status(&mut sim, &format!("{method} /"), fields), expected, "{fields}");
            }
            for method in ["GET", "HEAD", "OPTIONS"] {
                assert_eq!(status(&mut sim, &format!("{method} /"), fields), 200, "{fields}");
            }
        }
    }

    /// Go: t238 (trusted origins, exempt patterns).
    #[test]
    fn trusted_origins_and_exempt_paths_pass() {
        let guard = OriginGuard::new().trust("https://App.example").unwrap();
        let guard = guard.exempt("POST /hooks/").unwrap().exempt("/open/{id}").unwrap();
        let mut sim = guarded(guard);
        let (foreign, trusted) = ("Sec-Fetch-Site: cross-site\r\n", "https://app.example");
        let table = [
            ("POST /", format!("{foreign}Origin: {trusted}\r\n"), 200),
            ("POST /", format!("Origin: {trusted}\r\n"), 200),
            ("POST /", format!("Origin: {trusted}:444\r\n"), 403),
            ("POST /", format!("Origin: {trusted}.evil.example\r\n"), 403),
            ("POST /", "Origin: http://app.example\r\n".to_owned(), 403),
            ("POST /hooks/a/b", foreign.to_owned(), 200),
            ("PUT /hooks/a", foreign.to_owned(), 403),
            ("POST /hooks", foreign.to_owned(), 403),
            ("POST /x/../hooks/a", foreign.to_owned(), 403),
            ("POST /%68ooks/a", foreign.to_owned(), 200),
            ("DELETE /open/7", foreign.to_owned(), 200),
            ("DELETE /open/7/8", foreign.to_owned(), 403),
        ];
        for (line, fields, expected) in table {
            assert_eq!(status(&mut sim, line, &fields), expected, "{line} {fields}");
        }
    }

    /// Go: t238 (bad origins).
    #[test]
    fn only_an_origin_can_be_trusted() {
        let origins = [
            "",
            "null",
            "a.example",
            "//a.example",
            "://a.example",
            "1http://a.example",
            "https://",
            "https://:443",
            "https://a.example/",
            "https://a.example/path",
            "https://a.example?q",
            "https://a.example#f",
            "https://ann@a.example",
            "https://a example",
        ];
        for origin in origins {
            let error = OriginGuard::new().trust(origin).unwrap_err();
            assert!(matches!(error, Error::Origin { .. }), "{origin}: {error}");
        }
        assert!(OriginGuard::new().trust("http://[::1]:8080").is_ok());
        assert!(OriginGuard::new().exempt("POST").is_err());
        assert!(OriginGuard::new().exempt("/{a}/b").unwrap().exempt("/b/{a}").is_err());
    }
}
