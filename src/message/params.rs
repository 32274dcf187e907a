//! The parameters of a route: the parts of the path that its wildcards match, decoded, as sent, or
//! parsed.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::StatusCode;
use percent_encoding::percent_decode_str;

use crate::message::request::{Request, Span};

impl<'a> Request<'a> {
    /// Returns the part of the path that the wildcard `{name}` or `{name...}` of the
    /// [route](crate::router::Router) matches, percent-decoded; `None` if the route has no such
    /// wildcard. Allocates only where an escape stayed in [`path`](Request::path).
    ///
    /// Every escape is decoded, also that of a slash. So never use the value as the name of a file
    /// without a check, and split the [`raw_param`](Request::raw_param) of a `{name...}` instead.
    /// Bytes that are not UTF-8 become U+FFFD here; `raw_param` has them.
    #[doc(alias = "PathValue")]
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        let text = self.path_text(self.span_of_param(name)?);
        Some(percent_decode_str(text).decode_utf8_lossy())
    }

    /// Returns the part of the path that the wildcard `name` matches, percent-encoded as it was
    /// sent; `None` if the route has no such wildcard.
    pub fn raw_param(&self, name: &str) -> Option<&'a str> {
        Some(self.raw_path_text(self.span_of_param(name)?))
    }

    /// Returns the value of the wildcard `name`, decoded and parsed, for example as a number.
    ///
    /// # Errors
    ///
    /// [`ParamError`] if the value cannot be parsed, or the route has no wildcard of this name. A
    /// handler that returns it responds with 404: the path names nothing that exists.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Failure, Request, Router};
    /// fn item(_: &mut (), req: &Request<'_>) -> Result<String, Failure> {
    ///     let id: u32 = req.parse_param("id")?;
    ///     Ok(format!("item {id}"))
    /// }
    ///
    /// let routes = Router::new().get("/item/{id}", item);
    /// # let mut sim = Sim::new(routes.build()?);
    /// # let c = sim.connect_and_send(b"GET /item/%37 HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.take_received(c).ends_with(b"\r\n\r\nitem 7"));
    /// # sim.send(c, b"GET /item/x HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).starts_with(b"HTTP/1.1 404 "));
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn parse_param<T: FromStr>(&self, name: &str) -> Result<T, ParamError> {
        let parsed = self.span_of_param(name).and_then(|span| {
            // U+FFFD in place of a byte would be another value.
            let text = percent_decode_str(self.path_text(span)).decode_utf8().ok()?;
            text.parse().ok()
        });
        parsed.ok_or_else(|| ParamError { name: name.to_owned() })
    }

    /// Returns the pattern of the [route](crate::router::Router) that was found, as it was
    /// registered; `None` without a router.
    pub fn pattern(&self) -> Option<&'a str> {
        self.route().map(|route| &*route.names.pattern)
    }

    fn span_of_param(&self, name: &str) -> Option<Span> {
        let route = self.route()?;
        let index = route.names.wildcards.iter().position(|known| **known == *name)?;
        Some(route.spans[index])
    }
}

/// The error of [`Request::parse_param`]: the path parameter is not of the type that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamError {
    name: String,
}

impl ParamError {
    /// Returns the status of a response that reports the error: 404.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::NOT_FOUND
    }
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path parameter {:?}: another kind of value was expected", self.name)
    }
}

impl std::error::Error for ParamError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::Router;
    use crate::sim::Sim;

    #[test]
    fn a_parameter_is_available_decoded_raw_or_parsed() {
        let routes = Router::<()>::new().get("/{x}/{rest...}", |_, req| {
            let number = req.parse_param::<i8>("x").map_err(|error| error.status().as_u16());
            let all = [req.param("x"), req.param("rest"), req.param("none")];
            format!("{all:?} {:?} {:?} {number:?}", req.raw_param("x"), req.raw_param("rest"))
        });
        let mut sim = Sim::new(routes.build().unwrap());
        for (target, expected) in [
            ("/7/a/b", r#"[Some("7"), Some("a/b"), None] Some("7") Some("a/b") Ok(7)"#),
            ("/%37/", r#"[Some("7"), Some(""), None] Some("%37") Some("") Ok(7)"#),
            (
                "/%c3%a4/a%2F/%25%c3%A4",
                r#"[Some("ä"), Some("a//%ä"), None] Some("%c3%a4") Some("a%2F/%25%c3%A4") Err(404)"#,
            ),
            ("/128/%61?b", r#"[Some("128"), Some("a"), None] Some("128") Some("%61") Err(404)"#),
            ("/%ff/", "[Some(\"\u{fffd}\"), Some(\"\"), None] Some(\"%ff\") Some(\"\") Err(404)"),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            let client = sim.connect_and_send(request.as_bytes());
            let response = String::from_utf8_lossy(sim.received(client)).into_owned();
            let content = response.split_once("\r\n\r\n").unwrap().1;
            assert_eq!(content, expected, "{target}");
        }
    }

    #[test]
    fn the_error_names_the_parameter_and_the_problem() {
        let error = ParamError { name: "id".into() };
        assert_eq!(error.to_string(), "path parameter \"id\": another kind of value was expected");
    }
}
