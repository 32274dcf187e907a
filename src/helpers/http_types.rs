//! Conversions from and to the types of the crate `http`, for code that uses them.

use http::header::{
    HeaderMap, HeaderName, HeaderValue, CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use crate::logging::error;
use crate::message::body::Body;
use crate::message::field_lines::FieldError;
use crate::message::fields::list_members;
use crate::message::percent::encode_target;
use crate::message::request::Request;
use crate::message::response::{Response, StatusCode};

impl Request<'_> {
    /// Returns the head as an [`http::Request`], which owns its parts and has no content.
    ///
    /// # Errors
    ///
    /// [`http::Error`] if the parser of `http` does not accept the target, or if `http` does not
    /// have room for all fields.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request};
    /// # let mut sim = Sim::new(|req: &Request<'_>| {
    /// req.to_http().map(|owned| owned.uri().path().to_owned())
    /// # });
    /// # let c = sim.connect_and_send(b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\n/a"));
    /// ```
    pub fn to_http(&self) -> Result<http::Request<()>, http::Error> {
        let mut request = self.head_for(self.target())?;
        *request.version_mut() = self.version();
        Ok(request)
    }

    /// Returns the head with another target, and the newest version.
    fn head_for(&self, target: &str) -> Result<http::Request<()>, http::Error> {
        let request = http::Request::builder().method(self.method().clone());
        let mut request = request.uri(target).body(())?;
        for (name, value) in self.headers().iter() {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            let value = HeaderValue::from_bytes(value)?;
            // `append` would panic if `http` does not have room for all fields.
            request.headers_mut().try_append(name, value).map_err(http::Error::from)?;
        }
        Ok(request)
    }

    /// Returns the head as an [`http::Request`] to another server, for a program that stands before
    /// that server and forwards requests to it. The URI has the path and the query, in which the few
    /// bytes that `http` does not accept are escaped. It always begins with a slash: the path of
    /// `OPTIONS *` and `CONNECT` is `/`.
    ///
    /// The fields that hold for this connection only are left out (RFC 9110, section 7.6.1):
    /// `Connection` and those that it names, `TE`, `Upgrade`, `Proxy-Authorization` and the like. So
    /// are those that frame the content, because the program sends the content anew, and `Expect`.
    /// `Host` is the [host](Request::host) that the client asked for.
    ///
    /// `X-Forwarded-For` is the [address of the client](Request::peer_addr). `Forwarded`, `X-Real-IP`
    /// and all other fields that begin with `X-Forwarded-` are left out, because any client can send
    /// them. If a proxy that you trust stands before the program, copy its fields from
    /// [`headers`](Request::headers).
    ///
    /// # Errors
    ///
    /// [`http::Error`] if `http` does not have room for all fields.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request};
    /// # let mut sim = Sim::new(|req: &Request<'_>| -> Result<String, wheelhouse::Failure> {
    /// let mut request = req.to_forward()?;
    /// *request.uri_mut() = format!("http://127.0.0.1:9000{}", request.uri()).parse()?;
    /// assert!(!request.headers().contains_key("Connection"));
    /// # Ok(request.uri().to_string())
    /// # });
    /// # let c = sim.connect_and_send(b"GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: a\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\nhttp://127.0.0.1:9000/a?b"));
    /// ```
    #[doc(alias("ReverseProxy", "proxy_pass"))]
    pub fn to_forward(&self) -> Result<http::Request<()>, http::Error> {
        // Without a slash, `*` would become a part of the host and port before it.
        let path = Some(self.raw_path()).filter(|path| path.starts_with('/')).unwrap_or("/");
        let query = self.raw_query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut request = self.head_for(&encode_target(&format!("{path}{query}")))?;
        let headers = request.headers_mut();
        remove_all(headers, self.headers().members("connection"));
        for name in NOT_FORWARDED {
            headers.remove(name);
        }
        let names = self.headers().iter().map(|(name, _)| name);
        remove_all(headers, names.filter(|name| has_proxy_prefix(name)).map(str::as_bytes));
        if let Some(peer) = self.peer_addr() {
            headers.insert(X_FORWARDED_FOR, HeaderValue::from_str(&peer.ip().to_string())?);
        }
        if let Some(host) = self.host() {
            headers.insert(HOST, HeaderValue::from_str(host)?);
        }
        Ok(request)
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The fields of a request that a program does not forward: those that hold for one connection, and
/// those with which a client could pretend to be a proxy. See also [`has_proxy_prefix`].
const NOT_FORWARDED: [HeaderName; 12] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    FORWARDED,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("x-real-ip"),
];

/// Whether proxies use the name of this field to describe the client, as `X-Forwarded-Port`.
fn has_proxy_prefix(name: &str) -> bool {
    const PREFIX: &str = "x-forwarded-";
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Removes the fields with these names. Those that cannot be names are skipped.
fn remove_all<'n>(headers: &mut HeaderMap, names: impl Iterator<Item = &'n [u8]>) {
    for name in names.filter_map(|name| HeaderName::from_bytes(name).ok()) {
        headers.remove(name);
    }
}

/// Converts a response with its status, fields and content. The version, the extensions and the
/// fields that the server sets itself (`Content-Length`, `Connection`, `Date` and others) are left
/// out. So are the fields that `Connection` names, because they hold for the connection of the other
/// server (RFC 9110, section 7.6.1). If there are several `Content-Type` fields, the last one is kept.
///
/// ```
/// let response = http::Response::builder().header("X-A", "1").body("hello").unwrap();
/// let response = wheelhouse::Response::from(response);
/// # let _ = response;
/// ```
impl<B: Into<Body>> From<http::Response<B>> for Response {
    fn from(response: http::Response<B>) -> Response {
        let (mut parts, body) = response.into_parts();
        if parts.headers.contains_key(CONNECTION) {
            let lines: Vec<_> = parts.headers.get_all(CONNECTION).iter().cloned().collect();
            let names = lines.iter().flat_map(|line| list_members(line.as_bytes()));
            remove_all(&mut parts.headers, names);
        }
        let mut converted = Response::new(parts.status).with_body(body);
        for (name, value) in &parts.headers {
            match converted.append_header(name.as_str(), value.as_bytes()) {
                Ok(()) | Err(FieldError::Reserved { .. }) => {}
                Err(error) => converted.keep_fault(error),
            }
        }
        converted
    }
}

impl Response {
    /// Returns the response as an [`http::Response`], for example for a test that checks fields. It
    /// does not have the fields that the server adds to a response when it sends it.
    ///
    /// A response that cannot be sent becomes a 500 here, too, and the reason is logged: see
    /// [`with_header`](Response::with_header).
    pub fn into_http(self) -> http::Response<Body> {
        if let Some(fault) = self.fault() {
            error!("response replaced by a 500: {fault}");
            return Response::status_page(StatusCode::INTERNAL_SERVER_ERROR).into_http();
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers().iter() {
            let name = HeaderName::from_bytes(name.as_bytes());
            // Each field was checked when it was set.
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        }
        let mut response = http::Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Sim;

    #[test]
    fn a_request_keeps_method_target_version_and_every_field_line() {
        let mut sim = Sim::new(|req: &Request<'_>| {
            let owned = req.to_http().unwrap();
            let many: Vec<_> = owned.headers().get_all("x-a").iter().collect();
            format!("{} {} {:?} {many:?}", owned.method(), owned.uri(), owned.version())
        });
        let request = b"PUT /a/%2F?b HTTP/1.0\r\nHost: h\r\nX-A: 1\r\nx-a: 2\xff\r\n\r\n";
        let client = sim.connect_and_send(request);
        let response = String::from_utf8_lossy(sim.received(client)).into_owned();
        assert!(response.ends_with("PUT /a/%2F?b HTTP/1.0 [\"1\", \"2\\xff\"]"), "{response}");
    }

    #[test]
    fn a_request_is_forwarded_without_the_fields_of_its_connection() {
        let mut sim = Sim::new(|req: &Request<'_>| {
            let request = req.to_forward().unwrap();
            let fields = request.headers().iter().map(|(name, value)| format!("{name}: {value:?}"));
            let peer = req.peer_addr().unwrap().ip().to_string();
            let fields = fields.collect::<Vec<_>>().join(", ").replace(&peer, "PEER");
            format!("{} {:?} {fields}", request.uri(), request.version())
        });
        for (target, host) in [("/a/%2F?b", "h:1"), ("http://h:1/a/%2F?b", "other")] {
            let client = sim.connect_and_send(format!(
                "POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: x-a, keep-alive, host\r\n\
                 Keep-Alive: timeout=5\r\nX-A: 1\r\nX-B: 2\r\nx-b: 3\r\nTE: trailers\r\n\
                 X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n\
                 X-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\nx-forwarded-port: 2\r\n\
                 X-FORWARDED-PREFIX: /a\r\nProxy-Authorization: Basic YTpi\r\n\
                 Proxy-Connection: close\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
            ));
            let response = String::from_utf8_lossy(sim.received(client)).into_owned();
            let expected = "/a/%2F?b HTTP/1.1 x-b: \"2\", x-b: \"3\", x-forwarded-for: \"PEER\", host: \"h:1\"";
            assert!(response.ends_with(expected), "{response}");
        }
        let client = sim.connect_and_send(
            "POST /c HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\nTrailer: y\r\n\r\n",
        );
        assert!(sim.received(client).ends_with(b"\r\n\r\n/c HTTP/1.1 x-forwarded-for: \"PEER\""));
        let chunked = "POST /d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        let client = sim.connect_and_send(chunked);
        assert!(sim
            .received(client)
            .ends_with(b"/d HTTP/1.1 host: \"h\", x-forwarded-for: \"PEER\""));
    }

    /// RFC 9112, section 3.3: the path of `*` is empty. After a host and a port, it would be a part of
    /// them.
    #[test]
    fn a_request_about_the_whole_server_is_forwarded_to_the_server_that_the_program_names() {
        let mut sim = Sim::new(|req: &Request<'_>| {
            let uri = format!("http://h:9000{}", req.to_forward().unwrap().uri());
            let uri: http::Uri = uri.parse().unwrap();
            let to = format!("{:?} {}", uri.port_u16(), uri.path());
            Response::not_found().with_header("X-To", to)
        });
        for line in
            ["OPTIONS * HTTP/1.1", "OPTIONS http://other HTTP/1.1", "CONNECT other:1 HTTP/1.1"]
        {
            let client = sim.connect_and_send(format!("{line}\r\nHost: other\r\n\r\n"));
            let response = String::from_utf8_lossy(sim.received(client)).into_owned();
            assert!(response.contains("X-To: Some(9000) /\r\n"), "{response}");
        }
    }

    /// Clients send them, and a request is not refused here that was not refused before.
    #[test]
    fn bytes_that_a_uri_may_not_have_are_escaped_when_a_request_is_forwarded() {
        let mut sim = Sim::new(|req: &Request<'_>| req.to_forward().unwrap().uri().to_string());
        for place in ["/x", "/?x"] {
            for byte in (b'!'..=b'~').filter(|byte| !b"#%\\".contains(byte)) {
                let (target, byte) = (format!("{place}{}y", byte as char), byte as char);
                let client = sim.connect_and_send(format!("GET {target} HTTP/1.0\r\n\r\n"));
                let response = String::from_utf8_lossy(sim.received(client)).into_owned();
                let escaped = format!("{place}%{:02X}y", byte as u8);
                let is_kept = response.ends_with(&target);
                assert!(is_kept != response.ends_with(&escaped), "{byte} in {response}");
                assert!(is_kept || "\"<>`^{|}".contains(byte), "{byte} is kept");
            }
        }
    }

    #[test]
    fn a_response_is_converted_both_ways_without_the_fields_of_the_server() {
        let response = http::Response::builder()
            .status(404)
            .header("Content-Type", "text/x")
            .header("Content-Length", "99")
            .header("Connection", "close")
            .header("X-A", "1")
            .header("x-a", "2")
            .body("gone")
            .unwrap();
        let response = Response::from(response);
        assert!(!response.has_fault() && !response.close);
        assert_eq!(response.lines(), b"x-a: 1\r\nx-a: 2\r\n");
        let response = response.into_http();
        assert_eq!((response.status().as_u16(), response.body().content_length()), (404, Some(4)));
        assert_eq!(response.headers()["content-type"], "text/x");
        assert_eq!(response.headers().get_all("x-a").iter().count(), 2);
        assert_eq!(response.headers().len(), 3);
    }

    /// RFC 9110, section 7.6.1.
    #[test]
    fn a_response_is_converted_without_the_fields_that_its_connection_names() {
        let response = http::Response::builder()
            .header("Connection", "x-a, close,X-B")
            .header("x-a", "1")
            .header("x-a", "2")
            .header("x-b", "3")
            .header("connection", "content-type")
            .header("content-type", "text/x")
            .header("x-c", "4")
            .body("");
        let response = Response::from(response.unwrap());
        assert_eq!(response.lines(), b"x-c: 4\r\n");
        assert!(response.content_type.is_none() && !response.has_fault());
    }

    #[test]
    fn a_response_that_cannot_be_sent_is_a_500_for_another_library_too() {
        let response = Response::text("x").with_status(StatusCode::CREATED).with_header("A", "\n");
        let response = response.into_http();
        assert_eq!((response.status().as_u16(), response.body().content_length()), (500, Some(26)));
    }
}
