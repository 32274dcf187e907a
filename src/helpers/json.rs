//! JSON in requests and responses (feature `json`).

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::handler::Reply;
use crate::message::media_type::MediaType;
use crate::message::request::Request;
use crate::message::request_error::JsonError;
use crate::message::response::{Response, StatusCode};
use crate::router::Router;

impl Response {
    /// Creates a 200 with `value` as JSON.
    ///
    /// If the value cannot be written as JSON, the response becomes a 500 and the reason is logged.
    /// That is an error of its `Serialize`, or a map with keys that are not text. Use `serde_json`
    /// and [`json_text`](Response::json_text) to handle that error.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request, Response};
    /// # let mut sim = Sim::new(|_: &Request<'_>| {
    /// Response::json(&[1, 2, 3])
    /// # });
    /// # let c = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\n[1,2,3]"));
    /// ```
    pub fn json(value: &(impl Serialize + ?Sized)) -> Response {
        match serde_json::to_vec(value) {
            Ok(text) => Response::ok("application/json", text),
            Err(error) => {
                let mut response = Response::new(StatusCode::INTERNAL_SERVER_ERROR);
                response.keep_fault(format_args!("the value cannot be JSON: {error}"));
                response
            }
        }
    }
}

impl Request<'_> {
    /// Parses `content` as JSON. [Collect](crate::Reply::collect) the content first.
    ///
    /// # Errors
    ///
    /// [`JsonError`], which becomes a 415 or 400 if a handler returns it.
    ///
    /// ```
    /// # use wheelhouse::{JsonError, Response, Router};
    /// let routes = Router::<()>::new().collect("POST /sum", 4096, |_, req, content| {
    ///     let numbers = req.json::<Vec<i64>>(content)?;
    ///     Ok::<_, JsonError>(Response::json(&numbers.iter().sum::<i64>()))
    /// });
    /// # let mut sim = wheelhouse::sim::Sim::new(routes.build()?);
    /// # let c = sim.connect_and_send(b"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
    /// #     Content-Type: application/json\r\n\r\n[2,5]");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\n7"));
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn json<T: DeserializeOwned>(&self, content: &[u8]) -> Result<T, JsonError> {
        // The check also keeps out forms of other sites, which cannot have such a type.
        if !self.content_type().is_some_and(is_json) {
            return Err(JsonError::MediaType);
        }
        serde_json::from_slice(content).map_err(JsonError::Syntax)
    }
}

impl<S: 'static> Router<S> {
    /// Adds a route for a whole pattern, with a function that gets the content as JSON: at most
    /// `limit` bytes of it (feature `json`).
    ///
    /// A request with more content gets a 413, and one without a JSON type in `Content-Type` a 415.
    /// If the content is not a `T`, the client gets a 400 with the place of the fault.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Response, Router};
    /// let routes = Router::<i64>::new().json("POST /add", 4096, |sum, _, numbers: Vec<i64>| {
    ///     *sum += numbers.iter().sum::<i64>();
    ///     Response::json(sum)
    /// });
    /// let mut sim = Sim::with_state(0, routes.build()?);
    /// let post = sim.request("POST", "/add").header("Content-Type", "application/json");
    /// assert_eq!(post.body("[2,5]").send().text(), "7");
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn json<T: DeserializeOwned, R: Into<Reply<S>>>(
        self,
        pattern: &str,
        limit: usize,
        mut function: impl FnMut(&mut S, &Request<'_>, T) -> R + 'static,
    ) -> Router<S> {
        self.collect(pattern, limit, move |state, req, content| match req.json(content) {
            Ok(value) => function(state, req, value).into(),
            Err(error) => Reply::failed(error),
        })
    }
}

/// Returns whether a media type is JSON, by its name or its suffix (RFC 6839, section 3.1).
fn is_json(media_type: MediaType<'_>) -> bool {
    let suffix = media_type.essence().rsplit_once('+').map(|(_, suffix)| suffix);
    media_type.is("application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Sim;

    #[test]
    fn malformed_json_is_a_400_and_another_content_type_a_415() {
        let mut sim = Sim::new(|_: &Request<'_>| {
            Reply::collect(64, |_: &mut (), req: &Request<'_>, content: &[u8]| {
                match req.json::<Vec<u8>>(content) {
                    Ok(bytes) => Response::text(format!("{bytes:?}")),
                    Err(error) => error.response(),
                }
            })
        });
        let mut ask = |media_type: &str, content: &str| {
            let len = content.len();
            let request = format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\n\
                 Content-Length: {len}\r\n\r\n{content}"
            );
            let client = sim.connect_and_send(request.as_bytes());
            let response = String::from_utf8_lossy(sim.received(client)).into_owned();
            (response[9..12].to_owned(), response.split_once("\r\n\r\n").unwrap().1.to_owned())
        };
        assert_eq!(ask("application/json", "[1]").1, "[1]");
        assert_eq!(ask("Application/Problem+JSON; charset=utf-8", "[1]").1, "[1]");
        assert_eq!(ask("text/plain", "[1]").0, "415");
        let (status, text) = ask("application/json", "[1");
        assert_eq!(status, "400");
        assert!(text.starts_with("bad JSON: EOF"), "{text}");
        assert_eq!(ask("application/json", "[256]").0, "400");
    }

    #[test]
    fn a_json_value_has_its_content_type_and_an_unserializable_one_is_a_500() {
        use std::collections::BTreeMap;

        let mut sim = Sim::new(|req: &Request<'_>| match req.path() {
            "/list" => Response::json(&["a", "b"]),
            _ => Response::json(&BTreeMap::from([(vec![1], 2)])).with_status(StatusCode::CREATED),
        });
        let client = sim.connect_and_send(b"GET /list HTTP/1.1\r\nHost: a\r\n\r\n");
        let list = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(list.contains("\r\nContent-Type: application/json\r\n"), "{list}");
        assert!(list.ends_with("\r\n\r\n[\"a\",\"b\"]"), "{list}");
        sim.send(client, b"GET /map HTTP/1.1\r\nHost: a\r\n\r\n");
        let map = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(map.starts_with("HTTP/1.1 500 "), "{map}");
    }
}
