//! Responses as a client reads them: a small parser for the output of a simulated server (RFC 9112,
//! sections 6 and 7). Malformed input is a fault of the server or of the test, so it panics.

use std::fmt;

use http::StatusCode;

/// A final response as a client reads it.
#[derive(Clone)]
pub struct Response {
    status: StatusCode,
    /// In the order of their arrival, without those of informational responses.
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the value of the first header field of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the content, without the framing of chunks.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the content as text.
    ///
    /// # Panics
    ///
    /// If the content is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the content is not UTF-8: use `body`")
    }

    /// The content, read as JSON (feature `json`).
    ///
    /// # Panics
    ///
    /// If the content is not JSON of this type.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).expect("the content is not this JSON: use `text`")
    }

    /// Parses the first final response of `input`, if it is complete. Returns it with the number of
    /// bytes used, those of informational responses before it included.
    ///
    /// `is_head` is whether the request was a HEAD, whose response has no content. `has_ended` is
    /// whether the server has ended its side, which completes content without a length.
    pub(super) fn parse(input: &[u8], is_head: bool, has_ended: bool) -> Option<(Response, usize)> {
        let mut used = 0;
        loop {
            let (mut response, head_len) = parse_head(&input[used..])?;
            used += head_len;
            if response.status.is_informational() && response.status != 101 {
                continue;
            }
            let (body, body_len) = response.parse_content(&input[used..], is_head, has_ended)?;
            response.body = body;
            return Some((response, used + body_len));
        }
    }

    /// Returns the content at the front of `rest`, and its number of bytes on the wire.
    fn parse_content(
        &self,
        rest: &[u8],
        is_head: bool,
        has_ended: bool,
    ) -> Option<(Vec<u8>, usize)> {
        let without_content = is_head || matches!(self.status.as_u16(), 101 | 204 | 304);
        if without_content {
            return Some((Vec::new(), 0));
        }
        if self.header("Transfer-Encoding").is_some() {
            return parse_chunks(rest);
        }
        if let Some(length) = self.header("Content-Length") {
            let len = length.parse().expect("Content-Length is a number");
            return rest.get(..len).map(|content| (content.to_vec(), len));
        }
        has_ended.then(|| (rest.to_vec(), rest.len()))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.fields)
            .field("body", &String::from_utf8_lossy(&self.body))
            .finish()
    }
}

/// Returns the head at the front of `input` and its length, if it is complete.
fn parse_head(input: &[u8]) -> Option<(Response, usize)> {
    let end = find(input, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&input[..end]);
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a field: {line:?}"));
        (name.to_owned(), value.trim().to_owned())
    });
    Some((Response { status, fields: fields.collect(), body: Vec::new() }, end + 4))
}

/// Returns the content of the chunks at the front of `rest`, and their number of bytes with the
/// trailer section, if all have arrived.
fn parse_chunks(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        let line = find(rest.get(at..)?, b"\r\n")?;
        let size = std::str::from_utf8(&rest[at..at + line]).ok();
        let size = size.and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.expect("a chunk begins with its size");
        if size == 0 {
            // The trailer section ends with an empty line. If it has no field, that is all of it.
            let end = find(&rest[at + line..], b"\r\n\r\n")?;
            return Some((content, at + line + end + 4));
        }
        at += line + 2;
        content.extend_from_slice(rest.get(at..at + size)?);
        at += size + 2;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(wire: &str, is_head: bool, has_ended: bool) -> Option<(Response, &str)> {
        let (response, used) = Response::parse(wire.as_bytes(), is_head, has_ended)?;
        Some((response, &wire[used..]))
    }

    #[test]
    fn bytes_after_a_response_with_a_length_are_kept_for_the_next_one() {
        let wire = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhiHTTP/1.1 204";
        let (response, rest) = take(wire, false, false).unwrap();
        assert_eq!((response.status(), response.text()), (StatusCode::OK, "hi"));
        assert_eq!(response.header("x-a"), Some("b"));
        assert_eq!(rest, "HTTP/1.1 204");
    }

    #[test]
    fn informational_responses_are_skipped() {
        let wire = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        let (response, rest) = take(wire, false, false).unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(rest, "");
    }

    #[test]
    fn chunks_are_joined_and_trailers_left_out() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let plain = format!("{head}2\r\nhi\r\n3\r\n yo\r\n0\r\n\r\nHTTP");
        let (response, rest) = take(&plain, false, false).unwrap();
        assert_eq!((response.text(), rest), ("hi yo", "HTTP"));
        let trailed = format!("{head}1\r\na\r\n0\r\nSum: 1\r\n\r\n");
        let (response, rest) = take(&trailed, false, false).unwrap();
        assert_eq!((response.text(), rest), ("a", ""));
    }

    #[test]
    fn a_response_is_taken_only_when_it_is_complete() {
        let wires = [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n",
        ];
        for wire in wires {
            for cut in 0..wire.len() {
                assert!(take(&wire[..cut], false, false).is_none(), "{:?}", &wire[..cut]);
            }
            assert_eq!(take(wire, false, false).unwrap().0.text(), "hi");
        }
    }

    #[test]
    fn a_head_response_has_no_content_and_the_end_completes_content_without_a_length() {
        let wire = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(take(wire, true, false).unwrap().0.body(), b"");
        let open = "HTTP/1.0 200 OK\r\n\r\nuntil the end";
        assert!(take(open, false, false).is_none());
        assert_eq!(take(open, false, true).unwrap().0.text(), "until the end");
    }
}
