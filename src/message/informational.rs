//! Informational responses (RFC 9110, section 15.2), sent before the final one. The server sends
//! `100 Continue` and `101` itself.

use http::StatusCode;

use crate::message::field_lines::{
    check_name, check_value, FieldError, FieldLines, RESPONSE_FIELD_BYTES_MAX,
};

/// The most informational responses that are sent before one final response.
pub(crate) const INFORMATIONAL_MAX: usize = 16;

/// An informational response: a status 1xx and fields. [`Reply::inform`](crate::Reply::inform)
/// sends it ahead of the final response.
///
/// ```
/// use wheelhouse::Informational;
///
/// let hints = Informational::early_hints()
///     .with_appended_header("Link", "</style.css>; rel=preload; as=style")
///     .with_appended_header("Link", "</script.js>; rel=preload; as=script");
/// # let _ = hints;
/// ```
#[doc(alias("Early Hints", "103", "1xx"))]
#[derive(Clone, Debug)]
#[must_use = "an informational response is sent with `Reply::inform` or `Later::inform`"]
pub struct Informational {
    status: StatusCode,
    lines: FieldLines,
    /// The first field that cannot be sent.
    fault: Option<FieldError>,
}

impl Informational {
    /// Creates a 103 Early Hints: its fields, such as `Link`, are those that the final response
    /// will probably have, so that the client can begin to load (RFC 8297).
    pub fn early_hints() -> Informational {
        Informational::of(StatusCode::EARLY_HINTS)
    }

    /// Creates a 102 Processing: the request was understood and will take a while (RFC 2518). Some
    /// clients then wait longer.
    pub fn processing() -> Informational {
        Informational::of(StatusCode::PROCESSING)
    }

    /// Creates a response with another informational status. Returns `None` for any other status,
    /// and for `100` and `101`: the server sends those itself, when content is wanted and for an
    /// upgrade.
    pub fn new(status: StatusCode) -> Option<Informational> {
        let is_own = matches!(status, StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS);
        (status.is_informational() && !is_own).then(|| Informational::of(status))
    }

    fn of(status: StatusCode) -> Informational {
        Informational { status, lines: FieldLines::default(), fault: None }
    }

    /// Returns the response with one more field. With a field that cannot be sent, the whole
    /// informational response is left out and the reason is logged as an error. The final response
    /// is sent all the same.
    pub fn with_appended_header(
        mut self,
        name: impl AsRef<str>,
        value: impl AsRef<[u8]>,
    ) -> Informational {
        if let Err(error) = self.append_header(name, value) {
            self.fault.get_or_insert(error);
        }
        self
    }

    /// Adds one field.
    ///
    /// # Errors
    ///
    /// [`FieldError`] as for [`Response::append_header`](crate::Response::append_header).
    pub fn append_header(
        &mut self,
        name: impl AsRef<str>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), FieldError> {
        let name = name.as_ref();
        check_name(name)?;
        let value = check_value(name, value.as_ref())?;
        self.lines.append(name, value, RESPONSE_FIELD_BYTES_MAX)
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the reason why the response cannot be sent, if there is one.
    pub(crate) fn fault(&self) -> Option<&FieldError> {
        self.fault.as_ref()
    }

    /// Appends the response to `out`. The caller has asked for its [`fault`](Informational::fault),
    /// and knows that an informational response may be sent to this peer now.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.status.canonical_reason().unwrap_or("").as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.lines.bytes);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(informational: &Informational) -> String {
        let mut out = Vec::new();
        informational.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_informational_response_is_a_status_line_with_fields_and_is_send() {
        fn is_send<T: Send>(_: &T) {}
        let hints = Informational::early_hints()
            .with_appended_header("Link", "</a>")
            .with_appended_header("Link", " </b> ");
        is_send(&hints);
        assert_eq!(encode(&hints), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n");
        assert_eq!(encode(&Informational::processing()), "HTTP/1.1 102 Processing\r\n\r\n");
        let unknown = Informational::new(StatusCode::from_u16(104).unwrap()).unwrap();
        assert_eq!(encode(&unknown), "HTTP/1.1 104 \r\n\r\n");
    }

    #[test]
    fn statuses_of_the_server_and_final_ones_are_not_informational() {
        for status in [100, 101, 200, 404] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(Informational::new(status).is_none(), "{status}");
        }
    }

    /// t129.
    #[test]
    fn an_informational_response_that_cannot_be_sent_is_left_out_completely() {
        for (name, value) in [("A", "b\r\nC: d"), ("", "x"), ("Content-Length", "123")] {
            assert!(Informational::early_hints().append_header(name, value).is_err());
            let hints = Informational::early_hints().with_appended_header(name, value);
            assert!(hints.with_appended_header("A", "b").fault().is_some());
        }
    }
}
