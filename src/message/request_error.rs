//! The errors that have a response of their own: if a handler returns one, the client gets this
//! response and nothing is logged, because the program has done nothing wrong. Most of them describe
//! a request. The mistake is the client's.

use std::error::Error;
use std::fmt;

use http::StatusCode;

use crate::message::params::ParamError;
use crate::message::response::Response;

/// The response that reports `error`, if it is one of these.
pub(crate) fn response_of(error: &(dyn Error + 'static)) -> Option<Response> {
    if let Some(error) = error.downcast_ref::<ParamError>() {
        return Some(Response::error(error.status(), error));
    }
    if let Some(error) = error.downcast_ref::<FormError>() {
        return Some(Response::from(*error));
    }
    #[cfg(feature = "json")]
    if let Some(error) = error.downcast_ref::<JsonError>() {
        return Some(error.response());
    }
    error.downcast_ref::<PoolFull>().map(|_| Response::busy())
}

/// The queue of a [`Pool`](crate::Pool) is full, or the pool takes no more jobs.
///
/// If a handler returns this error, the client gets a 503 with `Retry-After`, and nothing is logged:
/// clients ask for more than the threads can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolFull;

impl fmt::Display for PoolFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool is full or ended: it takes no job now")
    }
}

impl Error for PoolFull {}

/// The response that a handler sends if it returns the error.
impl From<PoolFull> for Response {
    fn from(_: PoolFull) -> Response {
        Response::busy()
    }
}

/// The reason why content or a query could not be read as a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormError {
    /// `Content-Type` names another media type, or none.
    MediaType,
    /// A part has a semicolon that is not encoded.
    Semicolon,
    /// There is a percent sign without two hexadecimal digits after it.
    Escape,
    /// There are more pairs than [`Limits::pairs_max`](crate::Limits::pairs_max).
    TooMany,
}

impl FormError {
    /// The status of a response that reports the error: 415 or 400.
    pub fn status(&self) -> StatusCode {
        match self {
            FormError::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            FormError::Semicolon | FormError::Escape | FormError::TooMany => {
                StatusCode::BAD_REQUEST
            }
        }
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FormError::MediaType => {
                "not a form: content of type application/x-www-form-urlencoded was expected"
            }
            FormError::Semicolon => "a semicolon in a query or form: %3B was expected",
            FormError::Escape => {
                "a bad escape in a query or form: two hexadecimal digits were expected after %"
            }
            FormError::TooMany => "too many pairs in a query or form: at most `pairs_max` are read",
        })
    }
}

impl Error for FormError {}

/// The response that a handler sends if it returns the error.
impl From<FormError> for Response {
    fn from(error: FormError) -> Response {
        Response::error(error.status(), error)
    }
}

/// The response that a handler sends if it returns the error.
impl From<ParamError> for Response {
    fn from(error: ParamError) -> Response {
        Response::error(error.status(), error)
    }
}

/// The reason why content could not be read as JSON.
#[cfg(feature = "json")]
#[derive(Debug)]
#[non_exhaustive]
pub enum JsonError {
    /// `Content-Type` names another media type, or none.
    MediaType,
    /// It is not JSON, or not the JSON that the program asked for.
    Syntax(serde_json::Error),
}

#[cfg(feature = "json")]
impl JsonError {
    /// Returns a 415 or 400 with the reason as text.
    pub fn response(&self) -> Response {
        Response::error(self.status(), self)
    }

    /// The status of a response that reports the error: 415 or 400.
    pub fn status(&self) -> StatusCode {
        match self {
            JsonError::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            JsonError::Syntax(_) => StatusCode::BAD_REQUEST,
        }
    }
}

#[cfg(feature = "json")]
impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::MediaType => {
                f.write_str("not JSON: content of type application/json was expected")
            }
            JsonError::Syntax(error) => write!(f, "bad JSON: {error}"),
        }
    }
}

/// The response that a handler sends if it returns the error.
#[cfg(feature = "json")]
impl From<JsonError> for Response {
    fn from(error: JsonError) -> Response {
        error.response()
    }
}

#[cfg(feature = "json")]
impl Error for JsonError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            JsonError::MediaType => None,
            JsonError::Syntax(error) => Some(error),
        }
    }
}
