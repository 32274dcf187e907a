//! Conversions from and to the types of the crate `http`, for code that uses them.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::logging::error;
use crate::message::body::Body;
use crate::message::field_lines::FieldError;
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
        let request = http::Request::builder();
        let request = request.version(self.version()).method(self.method().clone());
        let mut request = request.uri(self.target()).body(())?;
        for (name, value) in self.headers().iter() {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            let value = HeaderValue::from_bytes(value)?;
            // `append` would panic if `http` does not have room for all fields.
            request.headers_mut().try_append(name, value).map_err(http::Error::from)?;
        }
        Ok(request)
    }
}

/// Converts a response with its status, fields and content. The version, the extensions and the
/// fields that the server sets itself (`Content-Length`, `Connection`, `Date` and others) are left
/// out. If there are several `Content-Type` fields, the last one is kept.
///
/// ```
/// let response = http::Response::builder().header("X-A", "1").body("hello").unwrap();
/// let response = wheelhouse::Response::from(response);
/// # let _ = response;
/// ```
impl<B: Into<Body>> From<http::Response<B>> for Response {
    fn from(response: http::Response<B>) -> Response {
        let (parts, body) = response.into_parts();
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

    #[test]
    fn a_response_that_cannot_be_sent_is_a_500_for_another_library_too() {
        let response = Response::text("x").with_status(StatusCode::CREATED).with_header("A", "\n");
        let response = response.into_http();
        assert_eq!((response.status().as_u16(), response.body().content_length()), (500, Some(26)));
    }
}
