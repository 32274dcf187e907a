//! The head of a response as bytes (RFC 9112, sections 4 and 5). Nothing is decided here: see
//! [`framing`](super::framing) and [`persistence`](super::persistence).

use std::mem;

use http::StatusCode;

use crate::http1::framing::Outgoing;
use crate::http1::last_head::{Key, LastHead};
use crate::http1::response_head::{ConnectionField, Content, ResponseHead};
use crate::message::request::Version;

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` with its CRLF. The reactor makes it once a second.
pub(crate) type DateLine = [u8; 37];

/// Writes heads, with the current date, and counts them by the class of their status.
#[derive(Debug)]
pub(crate) struct Encoder {
    date: DateLine,
    keep_alive: KeepAliveLines,
    last: LastHead,
    /// The heads that were encoded, by class from 1xx to 5xx.
    encoded: [u64; 5],
    /// The copies of `last`, and its class.
    copied: u64,
    class_of_last: usize,
}

impl Encoder {
    pub(crate) fn new() -> Encoder {
        let date = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        Encoder {
            date,
            keep_alive: KeepAliveLines::new(0),
            last: LastHead::new(),
            encoded: [0; 5],
            copied: 0,
            class_of_last: 0,
        }
    }

    /// The number of heads so far, by class from 1xx to 5xx.
    #[inline(always)]
    pub(crate) fn heads(&self) -> [u64; 5] {
        let mut heads = self.encoded;
        heads[self.class_of_last] += self.copied;
        heads
    }

    /// Sets what changes with time: the date, and the seconds that connections may now be idle.
    pub(crate) fn set_time(&mut self, date: DateLine, idle_seconds: u64) {
        self.date = date;
        self.keep_alive = KeepAliveLines::new(idle_seconds);
        self.last.forget();
    }

    /// Frees the head that was encoded last.
    pub(crate) fn forget_last(&mut self) {
        self.last = LastHead::new();
    }

    /// Appends the head, with its blank line and the content at hand, to `out`.
    #[inline(always)]
    pub(crate) fn head(&mut self, out: &mut Vec<u8>, head: &ResponseHead<'_>) {
        match self.last.get_fast(&Key::of(head)) {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                self.copied += 1;
            }
            None => self.encode(out, *head),
        }
        if let (Content::Shared(content), Outgoing::Length(_)) = (head.content, head.outgoing) {
            out.extend_from_slice(content);
        }
    }

    // By value, so that the fast path does not write the head to memory.
    #[inline(never)]
    fn encode(&mut self, out: &mut Vec<u8>, head: ResponseHead<'_>) {
        let start = out.len();
        response_head(out, &head, &self.date, &self.keep_alive);
        if let (Content::Static(content), Outgoing::Length(_)) = (head.content, head.outgoing) {
            out.extend_from_slice(content);
        }
        let class = class(head.status);
        self.encoded[class] += 1;
        if let Some(key) = Key::of(&head) {
            self.encoded[self.class_of_last] += mem::take(&mut self.copied);
            self.class_of_last = class;
            self.last.put(key, &out[start..]);
        }
    }
}

/// The place of the class of a status. Clients take a status from 600 on for a 5xx (RFC 9110,
/// section 15).
fn class(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100).min(5) - 1
}

/// `Connection: keep-alive`, with the time in `Keep-Alive` (RFC 2068, section 19.7.1.1), and the end of
/// the head.
#[derive(Debug)]
struct KeepAliveLines {
    bytes: [u8; KeepAliveLines::LEN_MAX],
    len: usize,
}

impl KeepAliveLines {
    /// The length with the longest time.
    const LEN_MAX: usize = 24 + 20 + 20 + 4;

    /// A client would not keep a connection for 0 seconds at all, so it gets no time then.
    fn new(idle_seconds: u64) -> KeepAliveLines {
        let mut number = itoa::Buffer::new();
        let parts: [&[u8]; 3] = match idle_seconds {
            0 => [b"Connection: keep-alive\r\n", b"", b"\r\n"],
            _ => [
                b"Connection: keep-alive\r\nKeep-Alive: timeout=",
                number.format(idle_seconds).as_bytes(),
                b"\r\n\r\n",
            ],
        };
        let mut lines = KeepAliveLines { bytes: [0; Self::LEN_MAX], len: 0 };
        for part in parts {
            lines.bytes[lines.len..lines.len + part.len()].copy_from_slice(part);
            lines.len += part.len();
        }
        lines
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn response_head(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_>,
    date: &DateLine,
    keep_alive: &KeepAliveLines,
) {
    status_line(out, head.version, head.status);
    out.extend_from_slice(date);
    // A 304 has no content and does not describe it, as RFC 9110, section 15.4.5, recommends.
    if let (Some(content_type), true) = (head.content_type, head.status != StatusCode::NOT_MODIFIED)
    {
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(content_type.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(head.lines);
    if head.is_text_only() {
        out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
    }
    match head.outgoing {
        Outgoing::Length(length) | Outgoing::Announced(length) => {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Outgoing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Outgoing::None | Outgoing::UntilClose | Outgoing::Tunnel => {}
    }
    out.extend_from_slice(match head.connection {
        ConnectionField::Unsaid => b"\r\n".as_slice(),
        ConnectionField::Close => b"Connection: close\r\n\r\n",
        ConnectionField::KeepAlive => keep_alive.bytes(),
    });
}

/// The interim response that invites content (RFC 9110, section 15.2.1).
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Writes the status line. An HTTP/1.0 peer gets a response in its own version, as in Go: some
/// peers take a 1.1 status line for permission to use 1.1.
fn status_line(out: &mut Vec<u8>, version: Version, status: StatusCode) {
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
    use std::borrow::Cow;

    const DATE: &DateLine = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    const TEXT: Cow<'static, str> = Cow::Borrowed("text/plain");

    fn plain(
        status: u16,
        outgoing: Outgoing,
        connection: ConnectionField,
    ) -> ResponseHead<'static> {
        ResponseHead {
            version: Version::Http11,
            status: StatusCode::from_u16(status).unwrap(),
            content_type: Some(&TEXT),
            lines: b"",
            outgoing,
            connection,
            content: Content::None,
        }
    }

    fn encode(status: u16, outgoing: Outgoing, connection: ConnectionField) -> String {
        let mut out = Vec::new();
        let head = ResponseHead { lines: b"X-A: b\r\n", ..plain(status, outgoing, connection) };
        response_head(&mut out, &head, DATE, &KeepAliveLines::new(100));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_cached_head_equals_a_newly_encoded_one() {
        let mut encoder = Encoder::new();
        let owned = Cow::Owned("text/html".to_owned());
        let ok = || plain(200, Outgoing::Length(13), ConnectionField::Unsaid);
        let heads = [
            ok(),
            ok(),
            ResponseHead { status: StatusCode::NOT_FOUND, ..ok() },
            ResponseHead { version: Version::Http10, ..ok() },
            ResponseHead { outgoing: Outgoing::Length(14), ..ok() },
            ResponseHead { connection: ConnectionField::Close, ..ok() },
            ResponseHead { connection: ConnectionField::KeepAlive, ..ok() },
            ResponseHead { content_type: None, ..ok() },
            ResponseHead { content_type: Some(&owned), ..ok() },
            ResponseHead { lines: b"X-A: b\r\n", ..ok() },
            ResponseHead { content: Content::Static(b"Hello, World!"), ..ok() },
            ResponseHead { content: Content::Static(b"Hello, Again!"), ..ok() },
            ResponseHead { content: Content::Shared(b"Hello, Owner!"), ..ok() },
            ResponseHead {
                content: Content::Static(b"Hello, World!"),
                outgoing: Outgoing::Announced(13),
                ..ok()
            },
            ok(),
        ];
        let later = b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n";
        for (date, idle_seconds) in [(DATE, 100), (DATE, 99), (later, 99), (later, 0)] {
            encoder.set_time(*date, idle_seconds);
            for _ in 0..2 {
                for head in &heads {
                    let (mut made, mut expected) = (b"x".to_vec(), b"x".to_vec());
                    encoder.head(&mut made, head);
                    response_head(&mut expected, head, date, &KeepAliveLines::new(idle_seconds));
                    if let (
                        Content::Static(content) | Content::Shared(content),
                        Outgoing::Length(_),
                    ) = (head.content, head.outgoing)
                    {
                        expected.extend_from_slice(content);
                    }
                    assert_eq!(made, expected);
                }
            }
        }
        // Twice for each of the four times; one of the heads is a 404.
        let (rounds, others) = (2 * 4, heads.len() as u64 - 1);
        assert_eq!(encoder.heads(), [0, rounds * others, 0, rounds, 0]);
    }

    /// t98, t120.
    #[test]
    fn a_head_has_status_date_type_own_fields_framing_and_connection_in_order() {
        assert_eq!(
            encode(200, Outgoing::Length(13), ConnectionField::Unsaid),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n\
             X-A: b\r\nContent-Length: 13\r\n\r\n"
        );
        assert_eq!(
            encode(404, Outgoing::Chunked, ConnectionField::Close),
            "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: text/plain\r\nX-A: b\r\nX-Content-Type-Options: nosniff\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_status_without_a_standard_phrase_still_has_a_space_after_it() {
        let head = encode(299, Outgoing::None, ConnectionField::Unsaid);
        assert!(head.starts_with("HTTP/1.1 299 \r\n"));
    }

    #[test]
    fn plain_text_of_an_error_is_nothing_but_text_unless_the_program_says_otherwise() {
        let line = "X-Content-Type-Options: nosniff\r\n";
        let own = "x-content-type-options: own\r\n";
        for (status, content_type, lines, added) in [
            (400, Some("text/plain; charset=utf-8"), "", true),
            (404, Some("Text/Plain"), "X-A: b\r\n", true),
            (599, Some("text/plain"), "", true),
            (500, Some("text/plain"), own, false),
            (404, Some("text/html"), "", false),
            (404, Some("text"), "", false),
            (404, None, "", false),
            (399, Some("text/plain"), "", false),
            (200, Some("text/plain"), "", false),
        ] {
            let content_type = content_type.map(Cow::Borrowed);
            let plain = plain(status, Outgoing::Length(0), ConnectionField::Unsaid);
            let lines = lines.as_bytes();
            let head = ResponseHead { content_type: content_type.as_ref(), lines, ..plain };
            let mut out = Vec::new();
            response_head(&mut out, &head, DATE, &KeepAliveLines::new(100));
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.contains(line), added, "{text}");
            assert_eq!(text.contains(own), lines == own.as_bytes(), "{text}");
        }
    }

    #[test]
    fn the_longest_time_has_room() {
        let lines = format!("Connection: keep-alive\r\nKeep-Alive: timeout={}\r\n\r\n", u64::MAX);
        assert_eq!(KeepAliveLines::new(u64::MAX).bytes(), lines.as_bytes());
        assert_eq!(lines.len(), KeepAliveLines::LEN_MAX);
    }

    /// t110.
    #[test]
    fn a_304_has_no_content_type() {
        assert!(!encode(304, Outgoing::None, ConnectionField::Unsaid).contains("Content-Type"));
    }
}
