//! [`Response`]: status and header fields (RFC 9110, sections 6, 8 and 15). Its content is a
//! [`Body`], in a file of its own.
//!
//! A [`Response`] is a plain value that owns all its parts. The server sets the fields that frame
//! the message (`Content-Length`, `Transfer-Encoding`, `Connection`, `Trailer`, ...) and `Date`. A
//! program cannot set them, so two layers can never disagree about framing.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

pub use http::StatusCode;

use crate::limits::TIMEOUT_MAX;
use crate::message::body::{Body, Source};
use crate::message::field_lines::{
    check_name, check_value, line_len, FieldError, FieldLines, RESPONSE_FIELD_BYTES_MAX,
    TRAILER_BYTES_MAX,
};
use crate::message::fields::Fields;
use crate::message::trailers::check_trailer_name;
use crate::message::unlogged::Unlogged;

/// A response to one request: status, header fields and content.
///
/// It is `Send`, so that another thread can make one.
///
/// ```
/// use wheelhouse::{Response, StatusCode};
///
/// let mut page = Response::html("<h1>It turns</h1>").with_header("Cache-Control", "max-age=60");
/// page.append_header("Vary", "Accept-Language")?;
/// page.append_header("Vary", "Cookie")?;
/// assert_eq!(page.status(), StatusCode::OK);
/// assert_eq!(page.headers().get("Content-Type"), Some("text/html; charset=utf-8"));
/// assert!(page.headers().has_member("vary", "cookie"));
/// # Ok::<(), wheelhouse::FieldError>(())
/// ```
#[doc(alias("ResponseWriter", "HttpResponse"))]
#[derive(Debug)]
#[must_use = "a response does nothing unless the handler returns it"]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) close: bool,
    pub(crate) content_type: Option<Cow<'static, str>>,
    pub(crate) body: Body,
    /// The parts that most responses do not have. The responses of one `Template` share theirs.
    pub(crate) extra: Option<Arc<Extra>>,
}

/// The parts of a response beyond the usual ones.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) lines: FieldLines,
    /// The names of the announced trailer fields, as the value of `Trailer`.
    pub(crate) trailer: Vec<u8>,
    /// The time in which the whole response must have left.
    pub(crate) send_timeout: Option<Duration>,
    /// The first reason why fields or content of the program cannot be sent: the response becomes a
    /// 500 with a log line.
    fault: Option<String>,
    /// The error of the program that this response reports.
    pub(crate) failure: Option<Unlogged>,
}

/// A copy reports no failure, so each is logged once. Only shared parts are copied, and these have
/// none.
impl Clone for Extra {
    fn clone(&self) -> Extra {
        Extra {
            lines: self.lines.clone(),
            trailer: self.trailer.clone(),
            send_timeout: self.send_timeout,
            fault: self.fault.clone(),
            failure: None,
        }
    }
}

/// Creates a 200 without content.
impl Default for Response {
    fn default() -> Response {
        Response::new(StatusCode::OK)
    }
}

/// As [`Response::text`].
impl From<&'static str> for Response {
    fn from(text: &'static str) -> Response {
        Response::text(text)
    }
}

/// As [`Response::text`].
impl From<String> for Response {
    fn from(text: String) -> Response {
        Response::text(text)
    }
}

/// As [`Response::status_page`].
impl From<StatusCode> for Response {
    fn from(status: StatusCode) -> Response {
        Response::status_page(status)
    }
}

impl Response {
    /// Creates a response with `status` and no content.
    ///
    /// An informational status (1xx) cannot be a final response: it becomes a 500 with a log line.
    pub fn new(status: StatusCode) -> Response {
        Response { status, close: false, content_type: None, body: Body::empty(), extra: None }
    }

    /// Creates a 200 with `text` as `text/plain; charset=utf-8`.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Response {
        Response::typed("text/plain; charset=utf-8", text.into())
    }

    /// Creates a 200 with `text` as `text/html; charset=utf-8`.
    pub fn html(text: impl Into<Cow<'static, str>>) -> Response {
        Response::typed("text/html; charset=utf-8", text.into())
    }

    /// Creates a 200 with `text` as `application/json`. The text is not checked.
    pub fn json_text(text: impl Into<Cow<'static, str>>) -> Response {
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

    /// Creates a 200 with content of the given media type. A type that cannot be sent turns the
    /// response into a 500, as with [`with_header`](Response::with_header).
    pub fn ok(content_type: impl Into<Cow<'static, str>>, body: impl Into<Body>) -> Response {
        Response::new(StatusCode::OK).with_content_type(content_type).with_body(body)
    }

    /// Creates the plain page for a status: its number and standard phrase as one line of text. A
    /// status whose response has no content (204, 304) gets no page and no `Content-Type`.
    ///
    /// As with every plain text that has an error status, the server adds
    /// `X-Content-Type-Options: nosniff`.
    pub fn status_page(status: StatusCode) -> Response {
        let page = match status {
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => return Response::new(status),
            // The responses that scanners ask for all day cost no allocation.
            StatusCode::NOT_FOUND => Cow::Borrowed("404 Not Found\n"),
            StatusCode::METHOD_NOT_ALLOWED => Cow::Borrowed("405 Method Not Allowed\n"),
            _ => {
                let phrase = status.canonical_reason().unwrap_or("status");
                Cow::Owned(format!("{} {phrase}\n", status.as_u16()))
            }
        };
        Response::text(page).with_status(status)
    }

    /// Creates a plain page that says `text`, for an error status. Browsers treat it as nothing but
    /// text, because the server adds `X-Content-Type-Options: nosniff` to every plain text with an
    /// error status (Go's `http.Error`). So a part of the request in it cannot become markup.
    pub fn error(status: StatusCode, text: impl fmt::Display) -> Response {
        let mut response = Response::text(format!("{text}\n"));
        response.status = status;
        response
    }

    /// Creates a 404 with a page of one line.
    #[doc(alias("NotFound", "404"))]
    pub fn not_found() -> Response {
        Response::status_page(StatusCode::NOT_FOUND)
    }

    /// Creates a 405 with the `Allow` field that RFC 9110, section 15.5.6, requires. `allow` is its
    /// value, such as `"GET, HEAD"`.
    pub fn method_not_allowed(allow: &str) -> Response {
        Response::status_page(StatusCode::METHOD_NOT_ALLOWED).with_header("Allow", allow)
    }

    /// Creates the response to `OPTIONS` (RFC 9110, section 9.3.7): a 204 with `Allow`.
    pub(crate) fn options(allow: &str) -> Response {
        Response::new(StatusCode::NO_CONTENT).with_header("Allow", allow)
    }

    /// Creates a 503 for a client that may ask again in a few seconds: others hold the memory, the
    /// descriptor or the place that its response needs, and have to give them back in time.
    pub(crate) fn busy() -> Response {
        Response::status_page(StatusCode::SERVICE_UNAVAILABLE).with_header("Retry-After", "5")
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the header fields that were set so far, in the order in which they will be sent,
    /// with `Content-Type` first. The fields that the server adds when it sends the response
    /// (`Content-Length`, `Date`, ...) are not among them.
    pub fn headers(&self) -> Fields<'_> {
        Fields::encoded(self.content_type.as_deref(), self.lines())
    }

    /// Returns the content.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Changes the status.
    pub fn set_status(&mut self, status: StatusCode) {
        self.status = status;
    }

    /// Sets a header field in place of all fields of that name. It takes the place of the first of
    /// them, or the last place if there was none.
    ///
    /// ```
    /// # use wheelhouse::Response;
    /// let mut page = Response::text("{}");
    /// page.set_header("Content-Type", "application/json")?;
    /// assert_eq!(page.headers().len(), 1);
    /// # Ok::<(), wheelhouse::FieldError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`FieldError`] if the name is not a token, the value has a byte that no field value may have
    /// (such as the line end of response splitting), the value of `Content-Type` is not UTF-8, the
    /// server sets the field itself, or the fields of the response would become too large. Then
    /// nothing has changed.
    pub fn set_header(
        &mut self,
        name: impl AsRef<str>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), FieldError> {
        self.put(name.as_ref(), value.as_ref(), FieldLines::set)
    }

    /// Adds a header field after all others, also after fields of the same name (`Set-Cookie`,
    /// `Vary`, `Link`). A second `Content-Type` takes the place of the first, since clients would
    /// disagree about two.
    ///
    /// # Errors
    ///
    /// As for [`set_header`](Response::set_header).
    pub fn append_header(
        &mut self,
        name: impl AsRef<str>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), FieldError> {
        self.put(name.as_ref(), value.as_ref(), FieldLines::append)
    }

    /// Removes all header fields of that name, without regard to case. Returns whether there was
    /// one.
    pub fn remove_header(&mut self, name: impl AsRef<str>) -> bool {
        let name = name.as_ref();
        if is_content_type(name) {
            return self.content_type.take().is_some();
        }
        self.extra.is_some() && self.lines_mut().remove(name).is_some()
    }

    /// Replaces the content and returns the content that was there. The header fields stay as they
    /// are.
    pub fn replace_body(&mut self, body: impl Into<Body>) -> Body {
        mem::replace(&mut self.body, body.into())
    }

    /// Returns the response with another status.
    #[doc(alias = "WriteHeader")]
    pub fn with_status(mut self, status: StatusCode) -> Response {
        self.status = status;
        self
    }

    /// Returns the response with a header field in place of all fields of that name: see
    /// [`set_header`](Response::set_header).
    ///
    /// A field that cannot be sent (see [`FieldError`]) turns the response into a 500, and the
    /// reason is logged. Use [`set_header`](Response::set_header) for values that you do not
    /// control.
    #[doc(alias = "Header.Set")]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Response {
        if let Err(error) = self.set_header(name, value) {
            self.keep_fault(error);
        }
        self
    }

    /// Returns the response with one more header field: see
    /// [`append_header`](Response::append_header). A field that cannot be sent turns the response
    /// into a 500, as with [`with_header`](Response::with_header).
    #[doc(alias = "Header.Add")]
    pub fn with_appended_header(
        mut self,
        name: impl AsRef<str>,
        value: impl AsRef<[u8]>,
    ) -> Response {
        if let Err(error) = self.append_header(name, value) {
            self.keep_fault(error);
        }
        self
    }

    /// Returns the response with other content.
    pub fn with_body(mut self, body: impl Into<Body>) -> Response {
        self.body = body.into();
        self
    }

    /// Returns the response with another media type of its content, without a copy of it.
    pub(crate) fn with_content_type(
        mut self,
        content_type: impl Into<Cow<'static, str>>,
    ) -> Response {
        let content_type = content_type.into();
        match check_content_type("Content-Type", content_type.as_bytes()) {
            Ok(_) => self.content_type = Some(content_type),
            Err(error) => self.keep_fault(error),
        }
        self
    }

    /// Checks a field of the program, and lets `put` set or add its line.
    fn put(
        &mut self,
        name: &str,
        value: &[u8],
        put: fn(&mut FieldLines, &str, &[u8], usize) -> Result<(), FieldError>,
    ) -> Result<(), FieldError> {
        if is_content_type(name) {
            self.content_type = Some(check_content_type(name, value)?.to_owned().into());
            return Ok(());
        }
        check_name(name)?;
        put(self.lines_mut(), name, check_value(name, value)?, RESPONSE_FIELD_BYTES_MAX)
    }

    /// Returns the response with the announcement that a trailer field called `name` will follow
    /// its content (the `Trailer` field). A producer puts the field in
    /// [`Produce::put_trailers`](crate::body::Produce::put_trailers), a transform in
    /// [`Transform::put_trailers`](crate::content::Transform::put_trailers).
    ///
    /// The announcement is sent only with content in chunks, as the fields are: see
    /// [`Trailers`](crate::Trailers). A name that cannot be sent turns the response into a 500, as
    /// with [`with_header`](Response::with_header).
    pub fn with_trailer(mut self, name: &str) -> Response {
        let checked = check_trailer_name(name);
        let trailer = &mut self.extra_mut().trailer;
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
        &mut self.extra_mut().lines
    }

    fn extra_mut(&mut self) -> &mut Extra {
        Arc::make_mut(self.extra.get_or_insert_with(Arc::default))
    }

    /// Returns the response with a time in which all of it must be sent, at most a year. If it is
    /// not, the connection is reset. The rate of
    /// [`Limits::response_rate_min`](crate::Limits::response_rate_min) holds as well. By default
    /// there is no such time, since a long download is not a slow one.
    #[doc(alias("SetWriteDeadline", "WriteTimeout"))]
    pub fn with_send_timeout(mut self, timeout: Duration) -> Response {
        let timeout = timeout.min(TIMEOUT_MAX);
        self.extra_mut().send_timeout = Some(timeout);
        self
    }

    #[inline(always)]
    pub(crate) fn send_timeout(&self) -> Option<Duration> {
        self.extra.as_ref()?.send_timeout
    }

    /// Returns the response with the connection to be closed after it.
    pub fn with_close(mut self) -> Response {
        self.close = true;
        self
    }

    /// Returns whether all of it is part of the program, so that dropping it does nothing.
    #[inline(always)]
    pub(crate) fn owns_nothing(&self) -> bool {
        matches!(self.body.0, Source::Empty | Source::Omitted(_) | Source::Static(_))
            && matches!(self.content_type, None | Some(Cow::Borrowed(_)))
            && self.extra.is_none()
    }

    pub(crate) fn lines(&self) -> &[u8] {
        self.extra.as_ref().map_or(&[], |extra| &extra.lines.bytes)
    }

    /// Returns the names of the announced trailer fields, if there are any.
    pub(crate) fn announced_trailers(&self) -> Option<&[u8]> {
        Some(&*self.extra.as_ref()?.trailer).filter(|names| !names.is_empty())
    }

    /// Returns whether [`fault`](Response::fault) is to be asked.
    #[inline(always)]
    pub(crate) fn has_fault(&self) -> bool {
        matches!(&self.extra, Some(extra) if extra.fault.is_some())
    }

    /// Returns the reason why the program's fields or content cannot be sent.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.extra.as_ref()?.fault.as_deref()
    }

    /// Turns the response into a 500 with `reason` in the log. Of several reasons the first counts.
    pub(crate) fn keep_fault(&mut self, reason: impl fmt::Display) {
        let extra = self.extra_mut();
        extra.fault.get_or_insert_with(|| reason.to_string());
    }

    /// Keeps the error of the program that this response reports, for the log.
    pub(crate) fn keep_failure(&mut self, error: Unlogged) {
        self.extra_mut().failure = Some(error);
    }

    /// Returns the error of the program that this response reports.
    pub(crate) fn failure(&self) -> Option<&str> {
        Some(self.extra.as_ref()?.failure.as_ref()?.text())
    }

    /// Takes that error, for a caller that logs it or gives it to another response.
    pub(crate) fn take_failure(&mut self) -> Option<Unlogged> {
        Arc::get_mut(self.extra.as_mut()?)?.failure.take()
    }
}

/// Checks the value of `Content-Type`, which is text and has the bound of all other fields together
/// for itself. `name` is its name as given.
fn check_content_type<'v>(name: &str, value: &'v [u8]) -> Result<&'v str, FieldError> {
    let value = check_value(name, value)?;
    if line_len(name, value) > RESPONSE_FIELD_BYTES_MAX {
        return Err(FieldError::TooLarge { name: name.to_owned() });
    }
    std::str::from_utf8(value).map_err(|_| FieldError::Value { name: name.to_owned() })
}

fn is_content_type(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-type")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// t140.
    #[test]
    fn a_field_that_would_split_the_response_is_refused() {
        let mut response = Response::text("x");
        for value in ["x\r\nSet-Cookie: a=b", "x\ny", "x\ry", "x\0y", "x\x7f"] {
            let refused = response.append_header("X-Name", value);
            assert_eq!(refused, Err(FieldError::Value { name: "X-Name".into() }), "{value:?}");
        }
        assert!(response.lines().is_empty());
        let refused = response.append_header("X-Name: a\r\nX", "b");
        assert!(matches!(refused, Err(FieldError::Name { .. })));
    }

    /// t140.
    #[test]
    fn fields_are_trimmed_and_stay_in_the_order_in_which_they_were_set() {
        let response = Response::text("x")
            .with_header("B", " \t2 3 ")
            .with_header("A", "1")
            .with_appended_header("b", "");
        assert_eq!(response.lines(), b"B: 2 3\r\nA: 1\r\nb: \r\n");
    }

    #[test]
    fn a_response_has_one_type_however_it_is_set() {
        let response =
            Response::text("{}").with_header("content-type", " application/x; a=\u{e4} ");
        assert_eq!(response.content_type.as_deref(), Some("application/x; a=\u{e4}"));
        assert!(response.lines().is_empty());
        let refused = Response::text("x").append_header("Content-Type", b"text/\xff");
        assert_eq!(refused, Err(FieldError::Value { name: "Content-Type".into() }));
        let mut response = Response::text("x");
        let refused = response.append_header("Content-Type", vec![b'x'; RESPONSE_FIELD_BYTES_MAX]);
        assert_eq!(refused, Err(FieldError::TooLarge { name: "Content-Type".into() }));
        assert!(response.content_type.is_some(), "a refused field does not change the response");
        let response = Response::text("x").with_header("Content-Type", "a\r\nb");
        assert!(response.has_fault());
        let longest = "x".repeat(RESPONSE_FIELD_BYTES_MAX - line_len("Content-Type", b""));
        assert!(!Response::ok(longest.clone(), "").has_fault());
        assert!(Response::ok(longest + "x", "").has_fault());
    }

    /// t84, t100, t117, t118, t119, t121, n9, n17.
    #[test]
    fn framing_fields_belong_to_the_server_whatever_their_case() {
        for name in ["Content-Length", "transfer-encoding", "CONNECTION", "date", "Trailer"] {
            let refused = Response::text("x").append_header(name, "1");
            assert_eq!(refused, Err(FieldError::Reserved { name: name.into() }));
        }
    }

    #[test]
    fn the_error_of_a_refused_field_is_kept_by_the_builder() {
        let response = Response::text("x")
            .with_header("X-A", "1")
            .with_header("X-B", "\0")
            .with_header("X-C", "\n");
        let fault = FieldError::Value { name: "X-B".into() };
        assert_eq!(response.fault(), Some(&*fault.to_string()));
        assert_eq!(response.lines(), b"X-A: 1\r\n");
    }

    #[test]
    fn setting_a_field_replaces_the_first_of_its_name() {
        let mut response = Response::text("x").with_header("A", "1").with_header("B", "2");
        response.append_header("a", "3").unwrap();
        response.append_header(http::header::VARY, "4").unwrap();
        assert_eq!(response.lines(), b"A: 1\r\nB: 2\r\na: 3\r\nvary: 4\r\n");
        response.set_header("a", "longer").unwrap();
        assert_eq!(response.lines(), b"a: longer\r\nB: 2\r\nvary: 4\r\n");
        response.set_header("vary", "").unwrap();
        response.set_header("C", "5").unwrap();
        assert_eq!(response.lines(), b"a: longer\r\nB: 2\r\nvary: \r\nC: 5\r\n");
        assert!(response.set_header("a", "\n").is_err());
        assert!(response.set_header("B", vec![b'x'; RESPONSE_FIELD_BYTES_MAX - 4]).is_err());
        assert_eq!(response.lines(), b"a: longer\r\nB: 2\r\nvary: \r\nC: 5\r\n", "as before");
    }

    /// A large field can be replaced by another one of the same size.
    #[test]
    fn a_field_that_is_replaced_counts_once() {
        let large = vec![b'x'; RESPONSE_FIELD_BYTES_MAX - line_len("A", b"")];
        let mut response = Response::default().with_header("A", &large).with_header("A", &large);
        assert!(!response.has_fault());
        assert!(response.append_header("B", "").is_err());
        response.set_header("a", "").unwrap();
        response.append_header("B", "").unwrap();
    }

    #[test]
    fn fields_are_removed_by_name_and_the_others_are_kept() {
        let mut response = Response::text("x").with_header("A", "1").with_header("AB", "2");
        response.append_header("a", "3").unwrap();
        assert!(response.remove_header("a") && !response.remove_header("A"));
        assert!(!response.remove_header("") && !response.remove_header("2"));
        assert_eq!(response.lines(), b"AB: 2\r\n");
        assert!(response.remove_header(http::header::CONTENT_TYPE));
        assert!(!response.remove_header("Content-Type") && !Response::default().remove_header("a"));
        assert_eq!(response.headers().iter().collect::<Vec<_>>(), [("AB", &b"2"[..])]);
    }

    #[test]
    fn the_fields_can_be_read_and_include_the_type() {
        let response = Response::html("x").with_header("X-A", "1").with_appended_header("x-a", "2");
        let fields: Vec<_> = response.headers().iter().collect();
        let html = &b"text/html; charset=utf-8"[..];
        assert_eq!(fields, [("Content-Type", html), ("X-A", &b"1"[..]), ("x-a", &b"2"[..])]);
        assert_eq!(response.headers().get("content-type"), Some("text/html; charset=utf-8"));
        assert!(Response::default().headers().is_empty());
    }

    #[test]
    fn replacing_content_returns_the_former_content() {
        fn is_send<T: Send>(_: &T) {}
        let mut response = Response::from("first");
        is_send(&response);
        assert_eq!(response.replace_body("2nd").content_length(), Some(5));
        assert_eq!(response.body().content_length(), Some(3));
        response.set_status(StatusCode::CREATED);
        assert_eq!((response.status(), response.headers().len()), (StatusCode::CREATED, 1));
        assert_eq!(Response::from(StatusCode::GONE).body().content_length(), Some(9));
        assert_eq!(Response::from(String::from("four")).body().content_length(), Some(4));
    }
}
