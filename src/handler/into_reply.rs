//! The values that a handler may return in place of a [`Reply`].

use std::fmt;

use http::StatusCode;

use crate::handler::failure::Failure;
use crate::handler::reply::{Action, Reply};
use crate::message::response::Response;

impl<S> From<Response> for Reply<S> {
    fn from(response: Response) -> Reply<S> {
        Reply(Action::Respond(response))
    }
}

impl<S> From<&'static str> for Reply<S> {
    fn from(text: &'static str) -> Reply<S> {
        Response::text(text).into()
    }
}

impl<S> From<String> for Reply<S> {
    fn from(text: String) -> Reply<S> {
        Response::text(text).into()
    }
}

impl<S> From<StatusCode> for Reply<S> {
    fn from(status: StatusCode) -> Reply<S> {
        Response::status_page(status).into()
    }
}

impl<S> From<Failure> for Reply<S> {
    fn from(failure: Failure) -> Reply<S> {
        failure.into_response().into()
    }
}

impl<S, R: Into<Reply<S>>> From<Result<R, Failure>> for Reply<S> {
    fn from(result: Result<R, Failure>) -> Reply<S> {
        result.map_or_else(Into::into, Into::into)
    }
}

impl<S, R: Into<Reply<S>>> From<Result<R, Response>> for Reply<S> {
    fn from(result: Result<R, Response>) -> Reply<S> {
        result.map_or_else(Into::into, Into::into)
    }
}

impl<S, R: Into<Reply<S>>> From<Result<R, Reply<S>>> for Reply<S> {
    fn from(result: Result<R, Reply<S>>) -> Reply<S> {
        result.map_or_else(|reply| reply, Into::into)
    }
}

/// Makes a reply of an error of any kind: see [`Failure`].
impl<S, R: Into<Reply<S>>, E: fmt::Display + 'static> From<Result<R, E>> for Reply<S> {
    fn from(result: Result<R, E>) -> Reply<S> {
        result.map_or_else(|error| Failure::of(error).into(), Into::into)
    }
}
