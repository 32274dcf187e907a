//! [`Template`]: the head of a response that is sent again and again.

use std::borrow::Cow;
use std::sync::Arc;

use crate::message::body::Body;
use crate::message::response::{Extra, Response, StatusCode};

/// The head of a response that the program has made once. Its responses share the fields, so to make
/// one allocates nothing, unless its media type is a `String`. A field that is set later is set in a
/// copy.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    status: StatusCode,
    content_type: Option<Cow<'static, str>>,
    extra: Option<Arc<Extra>>,
}

impl Template {
    /// Takes the head of a response.
    pub(crate) fn of(response: Response) -> Template {
        let Response { status, content_type, extra, .. } = response;
        Template { status, content_type, extra }
    }

    /// Returns a response with this head.
    pub(crate) fn with(&self, body: impl Into<Body>) -> Response {
        Response {
            status: self.status,
            close: false,
            content_type: self.content_type.clone(),
            body: body.into(),
            extra: self.extra.clone(),
        }
    }
}
