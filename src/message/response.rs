//! An answer: status and field lines (RFC 9110, sections 6, 8 and 15). Its content is a
//! [`Body`], which has a file of its own.
//!
//! A [`Response`] is a plain value that owns what it holds. The fields that decide where a
//! message ends (`Content-Length`, `Transfer-Encoding`, `Connection`, `Trailer`, ...) and `Date`
//! belong to the server and cannot be set, so two layers can never disagree about framing.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use http::StatusCode;

use crate::limits::TIMEOUT_MAX;
use crate::message::body::Body;
use crate::message::field_lines::{
    check_name, check_value, line_len, FieldError, FieldLines, RESPONSE_FIELD_BYTES_MAX,
    TRAILER_BYTES_MAX,
};
use crate::message::trailers::check_trailer_name;

/// An answer to one request.
///
/// ```
/// use wheelhouse::{Response, StatusCode};
///
/// let page = Response::html("<h1>It turns</h1>").with("Cache-Control", "max-age=60");
/// assert_eq!(page.status(), StatusCode::OK);
/// let gone = Response::new(StatusCode::GONE);
/// # let _ = gone;
/// ```
#[derive(Debug)]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) close: bool,
    pub(crate) content_type: Option<Cow<'static, str>>,
    pub(crate) body: Body,
    /// What most answers do not have.
    pub(crate) extra: Option<Box<Extra>>,
}

/// Field lines beyond the usual ones.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// A fault in them turns the response into a 500 with a log line.
    pub(crate) lines: FieldLines,
    /// The names of trailer fields to come, as the value of `Trailer`.
    pub(crate) trailer: Vec<u8>,
    /// The time in which the whole response must have left.
    pub(crate) cut_after: Option<Duration>,
}

impl Response {
    /// An answer with `status` and no content.
    ///
    /// An informational status (1xx) cannot be a final answer: it becomes a 500 with a log line.
    pub fn new(status: StatusCode) -> Response {
        Response { status, close: false, content_type: None, body: Body::Empty, extra: None }
    }

    /// 200 with `text/plain; charset=utf-8`.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Response {
        Response::typed("text/plain; charset=utf-8", text.into())
    }

    /// 200 with `text/html; charset=utf-8`.
    pub fn html(text: impl Into<Cow<'static, str>>) -> Response {
        Response::typed("text/html; charset=utf-8", text.into())
    }

    /// 200 with `application/json`; the text is sent as it is.
    pub fn json(text: impl Into<Cow<'static, str>>) -> Response {
        Response::typed("application/json", text.into())
    }

    #[inline(always)]
    fn typed(content_type: &'static str, text: Cow<'static, str>) -> Response {
        Response {
            status: StatusCode::OK,
            close: false,
            content_type: Some(Cow::Borrowed(content_type)),
            body: text.into(),
            extra: None,
        }
    }

    /// 200 with content of the given type.
    pub fn ok(content_type: impl Into<Cow<'static, str>>, body: impl Into<Body>) -> Response {
        Response::new(StatusCode::OK).with_content_type(content_type).with_body(body)
    }

    /// The plain page for a status: its number and standard phrase as one line of text.
    pub fn status_page(status: StatusCode) -> Response {
        let page = match status {
            // What scanners ask for all day costs no allocation.
            StatusCode::NOT_FOUND => Cow::Borrowed("404 Not Found\n"),
            StatusCode::METHOD_NOT_ALLOWED => Cow::Borrowed("405 Method Not Allowed\n"),
            _ => {
                let phrase = status.canonical_reason().unwrap_or("status");
                Cow::Owned(format!("{} {phrase}\n", status.as_u16()))
            }
        };
        Response::text(page).with_status(status)
    }

    /// A plain page that says `text`, for a status that went wrong: text and nothing else, told to
    /// the browser too (`X-Content-Type-Options: nosniff`), so that a part of the request in it
    /// cannot become markup.
    pub fn error(status: StatusCode, text: impl fmt::Display) -> Response {
        let mut response = Response::text(format!("{text}\n"));
        response.status = status;
        response.with("X-Content-Type-Options", "nosniff")
    }

    /// 404 with a one-line page.
    pub fn not_found() -> Response {
        Response::status_page(StatusCode::NOT_FOUND)
    }

    /// 405 with the `Allow` field that RFC 9110, section 15.5.6 requires; `allow` is its value,
    /// such as `"GET, HEAD"`.
    pub fn method_not_allowed(allow: &str) -> Response {
        Response::status_page(StatusCode::METHOD_NOT_ALLOWED).with("Allow", allow)
    }

    /// The same answer with another status.
    pub fn with_status(mut self, status: StatusCode) -> Response {
        self.status = status;
        self
    }

    /// The same answer with other content.
    pub fn with_body(mut self, body: impl Into<Body>) -> Response {
        self.body = body.into();
        self
    }

    /// The same answer with another `Content-Type`.
    pub fn with_content_type(mut self, content_type: impl Into<Cow<'static, str>>) -> Response {
        let content_type = content_type.into();
        match check_value("content-type", content_type.as_bytes()) {
            Ok(_) => self.content_type = Some(content_type),
            Err(error) => self.keep_fault(error),
        }
        self
    }

    /// The same answer with one more field line; `Content-Type` takes the place of the one there.
    ///
    /// A field that cannot be sent (see [`FieldError`]) does not vanish: the answer becomes a
    /// 500 and the reason is logged. Use [`try_set`](Response::try_set) for values that you do
    /// not control.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Response {
        if let Err(error) = self.try_set(name, value) {
            self.keep_fault(error);
        }
        self
    }

    /// Adds one field line; `Content-Type` takes the place of the one there.
    ///
    /// # Errors
    ///
    /// [`FieldError`] if the name is no token, the value has a byte that no field value may have
    /// (the response splitting of many advisories) or is a type and no UTF-8, the field is the
    /// server's own, or there are more than [`RESPONSE_FIELD_BYTES_MAX`] bytes of field lines.
    pub fn try_set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), FieldError> {
        check_name(name)?;
        let value = check_value(name, value.as_ref())?;
        if name.eq_ignore_ascii_case("content-type") {
            // One line: two would be read in two ways.
            if line_len(name, value) > RESPONSE_FIELD_BYTES_MAX {
                return Err(FieldError::TooLarge { name: name.to_owned() });
            }
            let text = std::str::from_utf8(value);
            let text = text.map_err(|_| FieldError::Value { name: name.to_owned() })?;
            self.content_type = Some(text.to_owned().into());
            return Ok(());
        }
        self.lines_mut().append(name, value, RESPONSE_FIELD_BYTES_MAX)
    }

    /// The same answer, which announces that a trailer field called `name` will follow its
    /// content (the `Trailer` field): a producer gives it in
    /// [`Produce::put_trailers`](crate::Produce::put_trailers), a transform in
    /// [`Transform::put_trailers`](crate::Transform::put_trailers).
    ///
    /// Said only where it can be true: in chunks, see [`Trailers`](crate::Trailers). A name that
    /// cannot be sent turns the answer into a 500, as with [`with`](Response::with).
    pub fn with_trailer(mut self, name: &str) -> Response {
        let checked = check_trailer_name(name);
        let trailer = &mut self.extra.get_or_insert_with(Box::default).trailer;
        let is_too_long = trailer.len() + name.len() + 2 > TRAILER_BYTES_MAX;
        match checked {
            Err(error) => self.keep_fault(error),
            Ok(()) if is_too_long => {
                self.keep_fault(FieldError::TooLarge { name: name.to_owned() });
            }
            Ok(()) => {
                if !trailer.is_empty() {
                    trailer.extend_from_slice(b", ");
                }
                trailer.extend_from_slice(name.as_bytes());
            }
        }
        self
    }

    /// Adds a line that only the server may set.
    pub(crate) fn push_line(&mut self, name: &str, value: &str) {
        self.lines_mut().push(name, value.as_bytes());
    }

    fn lines_mut(&mut self) -> &mut FieldLines {
        &mut self.extra.get_or_insert_with(Box::default).lines
    }

    /// The same answer with a time in which all of it must have left, at most a year; then the
    /// connection is reset, whatever is still to be sent. The rate of
    /// [`Limits::response_rate_min`](crate::Limits::response_rate_min) counts beside it. By default
    /// there is none: a long download is not a slow one.
    pub fn and_cut_after(mut self, timeout: Duration) -> Response {
        let timeout = timeout.min(TIMEOUT_MAX);
        self.extra.get_or_insert_with(Box::default).cut_after = Some(timeout);
        self
    }

    #[inline(always)]
    pub(crate) fn cut_after(&self) -> Option<Duration> {
        self.extra.as_ref()?.cut_after
    }

    /// The same answer, after which the connection is closed.
    pub fn and_close(mut self) -> Response {
        self.close = true;
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The content.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Whether all of it is part of the program, so that dropping it does nothing.
    #[inline(always)]
    pub(crate) fn owns_nothing(&self) -> bool {
        matches!(self.body, Body::Empty | Body::Static(_))
            && matches!(self.content_type, None | Some(Cow::Borrowed(_)))
            && self.extra.is_none()
    }

    pub(crate) fn lines(&self) -> &[u8] {
        self.extra.as_ref().map_or(&[], |extra| &extra.lines.bytes)
    }

    /// The names of trailer fields to come, if any.
    pub(crate) fn announced_trailers(&self) -> Option<&[u8]> {
        Some(&*self.extra.as_ref()?.trailer).filter(|names| !names.is_empty())
    }

    #[cfg(test)]
    pub(crate) fn has_fault(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.lines.fault.is_some())
    }

    pub(crate) fn keep_fault(&mut self, error: FieldError) {
        self.lines_mut().keep_fault(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// t140.
    #[test]
    fn a_field_that_would_split_the_response_is_refused() {
        let mut response = Response::text("x");
        for value in ["x\r\nSet-Cookie: a=b", "x\ny", "x\ry", "x\0y", "x\x7f"] {
            let refused = response.try_set("X-Name", value);
            assert_eq!(refused, Err(FieldError::Value { name: "X-Name".into() }), "{value:?}");
        }
        assert!(response.lines().is_empty());
        let refused = response.try_set("X-Name: a\r\nX", "b");
        assert!(matches!(refused, Err(FieldError::Name { .. })));
    }

    /// t140.
    #[test]
    fn fields_are_trimmed_and_stay_in_the_order_in_which_they_were_set() {
        let response = Response::text("x").with("B", " \t2 3 ").with("A", "1").with("b", "");
        assert_eq!(response.lines(), b"B: 2 3\r\nA: 1\r\nb: \r\n");
    }

    #[test]
    fn an_answer_has_one_type_however_it_is_set() {
        let response = Response::text("{}").with("content-type", " application/x; a=\u{e4} ");
        assert_eq!(response.content_type.as_deref(), Some("application/x; a=\u{e4}"));
        assert!(response.lines().is_empty());
        let refused = Response::text("x").try_set("Content-Type", b"text/\xff");
        assert_eq!(refused, Err(FieldError::Value { name: "Content-Type".into() }));
        let mut response = Response::text("x");
        let refused = response.try_set("Content-Type", vec![b'x'; RESPONSE_FIELD_BYTES_MAX]);
        assert_eq!(refused, Err(FieldError::TooLarge { name: "Content-Type".into() }));
        assert!(response.content_type.is_some(), "what is refused changes nothing");
        let response = Response::text("x").with("Content-Type", "a\r\nb");
        assert!(response.has_fault());
    }

    /// t84, t100, t117, t118, t119, t121, n9, n17.
    #[test]
    fn framing_fields_belong_to_the_server_in_any_case_of_letters() {
        for name in ["Content-Length", "transfer-encoding", "CONNECTION", "date", "Trailer"] {
            let refused = Response::text("x").try_set(name, "1");
            assert_eq!(refused, Err(FieldError::Reserved { name: name.into() }));
        }
    }

    #[test]
    fn a_refused_field_of_the_builder_is_remembered() {
        let response = Response::text("x").with("X-A", "1").with("X-B", "\0").with("X-C", "\n");
        let lines = response.extra.unwrap().lines;
        assert_eq!(lines.fault, Some(FieldError::Value { name: "X-B".into() }));
        assert_eq!(lines.bytes, b"X-A: 1\r\n");
    }
}
