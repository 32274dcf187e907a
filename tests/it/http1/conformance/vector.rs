//! The type of a vector, and short ways to write one. This module does not use the server.

use std::time::Duration;

/// A good request after one that must be refused, which must not be served.
pub(crate) const SECOND: &str = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
/// A good request after an accepted one. If it is not served, its bytes were taken for content.
pub(crate) const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// The bytes of one connection and the expected transcript.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) input: Vec<u8>,
    /// Whether the client ends its side with the last byte.
    pub(crate) ends: bool,
    /// The time that passes after that.
    pub(crate) waits: Option<Duration>,
    /// `requests that the handler saw | responses | state of the connection`.
    pub(crate) expected: String,
}

impl Vector {
    pub(crate) fn and_ends(self) -> Vector {
        Vector { ends: true, ..self }
    }

    pub(crate) fn and_waits(self, seconds: u64) -> Vector {
        Vector { waits: Some(Duration::from_secs(seconds)), ..self }
    }
}

/// Exactly this transcript. Each character of `input` is one byte, so that `\u{ff}` is 0xff.
pub(crate) fn exactly(name: &str, input: impl AsRef<str>, expected: impl Into<String>) -> Vector {
    Vector {
        name: name.to_owned(),
        input: input.as_ref().chars().map(|c| u8::try_from(c).expect("one byte each")).collect(),
        ends: false,
        waits: None,
        expected: expected.into(),
    }
}

/// A message that is served as `saw`, with 200; the request after it is served, too.
pub(crate) fn served(name: &str, input: impl AsRef<str>, saw: &str) -> Vector {
    let input = format!("{}{NEXT}", input.as_ref());
    exactly(name, input, format!("{saw}, GET /next | 200 keep, 200 keep | open"))
}

/// A message that is refused without calling a handler; bytes after it are not parsed.
pub(crate) fn refused(name: &str, input: impl AsRef<str>, status: u16) -> Vector {
    let input = format!("{}{SECOND}", input.as_ref());
    exactly(name, input, format!(" | {status} close | ended"))
}

/// A message whose content is refused while the handler reads it.
pub(crate) fn broken(name: &str, input: impl AsRef<str>, saw: &str) -> Vector {
    let input = format!("{}{SECOND}", input.as_ref());
    exactly(name, input, format!("{saw} | 400 close | ended"))
}

/// `POST /` up to and with its `Host`; `rest` begins with more field lines.
pub(crate) fn post(rest: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}")
}

/// A whole `GET /` with these field lines, each ended by CRLF.
pub(crate) fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// A whole `GET /show`, whose transcript has all field lines.
pub(crate) fn show(lines: &str) -> String {
    format!("GET /show HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// `POST /` whose content has the chunked coding.
pub(crate) fn chunks(body: &str) -> String {
    post(&format!("Transfer-Encoding: chunked\r\n\r\n{body}"))
}
