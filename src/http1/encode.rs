//! The head of a response as bytes (RFC 9112, sections 4 and 5). Dumb on purpose: what is sent
//! was decided in [`framing`](super::framing) and [`persistence`](super::persistence).

use http::StatusCode;

use crate::http1::framing::Outgoing;
use crate::request::Version;

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` with its CRLF, made once a second by the clock's owner.
pub(crate) type DateLine = [u8; 37];

/// All that goes into the head of a final response.
#[derive(Debug)]
pub(crate) struct ResponseHead<'a> {
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    pub(crate) date: &'a DateLine,
    pub(crate) content_type: Option<&'a str>,
    /// More field lines, each ended by CRLF, each checked.
    pub(crate) lines: &'a [u8],
    pub(crate) outgoing: Outgoing,
    pub(crate) connection: ConnectionField,
}

/// What the `Connection` field says, if anything must be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionField {
    Unsaid,
    Close,
    KeepAlive,
}

/// Appends the head, with its blank line, to `out`.
#[inline(always)]
pub(crate) fn response_head(out: &mut Vec<u8>, head: &ResponseHead<'_>) {
    status_line(out, head.version, head.status);
    out.extend_from_slice(head.date);
    // A bodiless 304 says nothing about content, as RFC 9110, section 15.4.5 recommends.
    if let (Some(content_type), true) = (head.content_type, head.status != StatusCode::NOT_MODIFIED)
    {
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(content_type.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !head.lines.is_empty() {
        out.extend_from_slice(head.lines);
    }
    match head.outgoing {
        Outgoing::Length(length) | Outgoing::Announced(length) => {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Outgoing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Outgoing::None | Outgoing::UntilClose => {}
    }
    out.extend_from_slice(match head.connection {
        ConnectionField::Unsaid => b"\r\n".as_slice(),
        ConnectionField::Close => b"Connection: close\r\n\r\n",
        ConnectionField::KeepAlive => b"Connection: keep-alive\r\n\r\n",
    });
}

/// The interim answer that invites content (RFC 9110, section 15.2.1).
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// An HTTP/1.0 peer is answered in its own version, as Go does: some take a 1.1 status line for
/// permission to use 1.1.
#[inline(always)]
fn status_line(out: &mut Vec<u8>, version: Version, status: StatusCode) {
    if status == StatusCode::OK && version == Version::Http11 {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(match version {
        Version::Http10 => b"HTTP/1.0 ",
        Version::Http11 => b"HTTP/1.1 ",
    });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("").as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &DateLine = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

    fn encode(status: u16, outgoing: Outgoing, connection: ConnectionField) -> String {
        let mut out = Vec::new();
        let head = ResponseHead {
            version: Version::Http11,
            status: StatusCode::from_u16(status).unwrap(),
            date: DATE,
            content_type: Some("text/plain"),
            lines: b"X-A: b\r\n",
            outgoing,
            connection,
        };
        response_head(&mut out, &head);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_is_status_date_type_own_fields_framing_connection() {
        assert_eq!(
            encode(200, Outgoing::Length(13), ConnectionField::Unsaid),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n\
             X-A: b\r\nContent-Length: 13\r\n\r\n"
        );
        assert_eq!(
            encode(404, Outgoing::Chunked, ConnectionField::Close),
            "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: text/plain\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_status_without_a_standard_phrase_still_has_its_space() {
        let head = encode(299, Outgoing::None, ConnectionField::Unsaid);
        assert!(head.starts_with("HTTP/1.1 299 \r\n"));
    }

    #[test]
    fn a_304_has_no_content_type() {
        assert!(!encode(304, Outgoing::None, ConnectionField::Unsaid).contains("Content-Type"));
    }
}
