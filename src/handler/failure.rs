//! [`Failure`]: an error that ends a handler: a response for the client and a line for the log.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

use http::StatusCode;

use crate::message::params::ParamError;
#[cfg(feature = "json")]
use crate::message::request_error::JsonError;
use crate::message::request_error::{response_of, FormError, PoolFull};
use crate::message::response::Response;
use crate::message::unlogged::Unlogged;

/// The error of a handler: a response for the client, and a line for the log.
///
/// `?` makes a failure of any error. The errors of this crate that describe the request
/// ([`ParamError`], [`FormError`], `JsonError`) have their own status and are not logged. A full
/// [`Pool`](crate::Pool) ([`PoolFull`]) is a 503 with `Retry-After`, and is not logged either. Every
/// other error becomes a 500 without details and a line in the log. The line has the error with its
/// chain of sources, and the connection. It also has the request if the handler or the function of
/// [`Reply::collect`](crate::Reply::collect) returned the failure.
///
/// ```
/// use std::fs;
/// use wheelhouse::{sim::Sim, Failure, Request, Response, StatusCode};
///
/// fn page(req: &Request<'_>) -> Result<Response, Failure> {
///     if req.path() != "/" {
///         return Err(Failure::new(StatusCode::NOT_FOUND, "only / is here"));
///     }
///     Ok(Response::html(fs::read_to_string("/this/file/does/not/exist")?))
/// }
///
/// let mut sim = Sim::new(page);
/// assert_eq!(sim.get("/").text(), "500 Internal Server Error\n");
/// assert_eq!(sim.get("/a").text(), "only / is here\n");
/// ```
///
/// A closure with `?` needs the type of its error: `|_, req| -> Result<_, Failure> { .. }`.
///
/// A handler may also return a `Result` with another error: a `StatusCode` keeps its status,
/// `anyhow::Error` and `String` are a 500. For errors of your own with a status of their own,
/// implement `From<MyError>` for [`Response`] and return `Result<_, Response>`: `?` then converts
/// them.
///
/// The chain of sources is in the log for a `Box<dyn Error>`, an [`io::Error`] and any error that
/// shows it with `{:#}`, as `anyhow::Error` does.
#[doc(alias("ResponseError", "IntoResponse", "anyhow", "http.Error"))]
#[must_use = "a failure does nothing unless it is returned"]
pub struct Failure(Box<Response>);

impl Failure {
    /// Creates a failure with a plain response: `status` and `text`. Nothing is logged.
    pub fn new(status: StatusCode, text: impl fmt::Display) -> Failure {
        Failure::from(Response::error(status, text))
    }

    /// Creates a failure with a 500, and `error` in the log in its form `{:#}`. It is for errors
    /// that are not [`std::error::Error`], such as `anyhow::Error`.
    pub fn internal(error: impl fmt::Display) -> Failure {
        let mut response = Response::status_page(StatusCode::INTERNAL_SERVER_ERROR);
        response.keep_failure(Unlogged::new(format!("{error:#}")));
        Failure::from(response)
    }

    /// Returns the failure with another response for the client. The line for the log stays.
    pub fn with_response(mut self, response: impl Into<Response>) -> Failure {
        let error = self.0.take_failure();
        *self.0 = response.into();
        if let Some(error) = error {
            self.0.keep_failure(error);
        }
        self
    }

    /// Returns the response for the client. The line for the log is written when the response is
    /// sent, or when it is dropped without being sent.
    pub fn into_response(self) -> Response {
        *self.0
    }

    /// Creates the failure of a handler that returns `error`.
    pub(crate) fn of<E: fmt::Display + 'static>(error: E) -> Failure {
        let any: &dyn Any = &error;
        if let Some(status) = any.downcast_ref::<StatusCode>() {
            return Failure::from(Response::status_page(*status));
        }
        match known_error(any) {
            Some(known) => Failure::of_error(known),
            None => Failure::internal(error),
        }
    }

    fn of_error(error: &(dyn Error + 'static)) -> Failure {
        match response_of(error) {
            Some(response) => Failure::from(response),
            None => Failure::internal(chain(error)),
        }
    }
}

/// Returns `value` as an error, if it is of one of the types that are known to be errors.
fn known_error(value: &dyn Any) -> Option<&(dyn Error + 'static)> {
    if let Some(error) = value.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**error);
    }
    if let Some(error) = value.downcast_ref::<Box<dyn Error>>() {
        return Some(&**error);
    }
    #[cfg(feature = "json")]
    if let Some(error) = as_error::<JsonError>(value) {
        return Some(error);
    }
    as_error::<io::Error>(value)
        .or_else(|| as_error::<ParamError>(value))
        .or_else(|| as_error::<FormError>(value))
        .or_else(|| as_error::<PoolFull>(value))
}

fn as_error<E: Error + 'static>(value: &dyn Any) -> Option<&(dyn Error + 'static)> {
    value.downcast_ref::<E>().map(|error| error as _)
}

/// Returns an error and its sources in one line. A source whose text the error before it already
/// has is left out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = source.source();
    }
    line
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::of_error(&error)
    }
}

impl From<Response> for Failure {
    fn from(response: Response) -> Failure {
        Failure(Box::new(response))
    }
}

impl From<Failure> for Response {
    fn from(failure: Failure) -> Response {
        failure.into_response()
    }
}

impl<R: Into<Response>> From<Result<R, Failure>> for Response {
    fn from(result: Result<R, Failure>) -> Response {
        result.map_or_else(Failure::into_response, Into::into)
    }
}

/// Makes a response of an error: see [`Failure`].
impl<R: Into<Response>, E: fmt::Display + 'static> From<Result<R, E>> for Response {
    fn from(result: Result<R, E>) -> Response {
        result.map_or_else(|error| Failure::of(error).into_response(), Into::into)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("status", &self.0.status())
            .field("error", &self.0.failure())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with a source, which it may quote.
    #[derive(Debug)]
    struct Outer(&'static str, io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    fn shown(failure: Failure) -> (u16, Option<String>) {
        let mut response = failure.into_response();
        (response.status().as_u16(), response.take_failure().map(Unlogged::into_text))
    }

    fn fails(error: impl Error + 'static) -> Result<(), Failure> {
        Err(error)?
    }

    #[test]
    fn an_error_is_a_500_and_the_log_has_its_sources_once() {
        let error = |text| Outer(text, io::Error::other("disk full"));
        let logged = |text: &str| (500, Some(text.to_owned()));
        assert_eq!(shown(fails(error("not saved")).unwrap_err()), logged("not saved: disk full"));
        let quotes = error("not saved: disk full");
        assert_eq!(shown(Failure::from(quotes)), logged("not saved: disk full"));
        assert_eq!(shown(Failure::of(io::Error::other(error("a")))), logged("a: disk full"));
        let boxed: Box<dyn Error> = Box::new(error("b"));
        assert_eq!(shown(Failure::of(boxed)), logged("b: disk full"));
        let boxed: Box<dyn Error + Send + Sync> = Box::new(error("c"));
        assert_eq!(shown(Failure::of(boxed)), logged("c: disk full"));
        assert_eq!(shown(Failure::of("text".to_owned())), logged("text"));
        assert_eq!(shown(Failure::internal("text")), logged("text"));
    }

    #[test]
    fn an_error_about_the_request_keeps_its_status_and_is_not_logged() {
        assert_eq!(shown(fails(FormError::MediaType).unwrap_err()), (415, None));
        assert_eq!(shown(Failure::of(FormError::Escape)), (400, None));
        let boxed: Box<dyn Error> = Box::new(FormError::Escape);
        assert_eq!(shown(Failure::of(boxed)), (400, None));
        assert_eq!(shown(Failure::of(StatusCode::CONFLICT)), (409, None));
        assert_eq!(shown(Failure::new(StatusCode::GONE, "it was here")), (410, None));
        #[cfg(feature = "json")]
        assert_eq!(shown(fails(JsonError::MediaType).unwrap_err()), (415, None));
    }

    #[test]
    fn another_response_keeps_the_line_for_the_log() {
        let failure = Failure::internal("why").with_response(StatusCode::BAD_GATEWAY);
        assert_eq!(format!("{failure:?}"), "Failure { status: 502, error: Some(\"why\"), .. }");
        assert_eq!(shown(failure), (502, Some("why".to_owned())));
    }

    #[test]
    fn a_result_is_a_response_under_the_same_rule() {
        let of = |result: Result<&'static str, io::Error>| Response::from(result).status().as_u16();
        assert_eq!((of(Ok("well")), of(Err(io::Error::other("no")))), (200, 500));
        let failed: Result<&str, Failure> = Err(Failure::new(StatusCode::GONE, "no"));
        assert_eq!(Response::from(failed).status(), StatusCode::GONE);
    }
}
