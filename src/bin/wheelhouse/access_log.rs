//! The access log: a line on standard output for every request that reached the files.
//!
//! Everything that the peer chose is escaped, so that no request can forge a line, end one early
//! or talk to a terminal. What the server refuses by itself (a malformed head, a time-out) has no
//! line: its counts are in the report at the end. The number of bytes is the length of the
//! content that was answered with; whether the peer took all of it is not known yet.
//!
//! Lines are written at once and on the loop: a reader that stops reading stops the server.

use std::io::Write;
use std::net::SocketAddr;
use std::time::SystemTime;

use wheelhouse::{Method, Request, Response, StatusCode, Version};

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The Common Log Format of NCSA httpd.
    Common,
    /// The same with referrer and user agent.
    Combined,
    /// One JSON object.
    Json,
}

impl Format {
    pub(crate) fn called(name: &str) -> Option<Format> {
        match name {
            "common" => Some(Format::Common),
            "combined" => Some(Format::Combined),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// The log, or none.
#[derive(Debug)]
pub(crate) struct AccessLog {
    format: Option<Format>,
    /// Kept for its capacity.
    line: Vec<u8>,
}

impl AccessLog {
    pub(crate) fn new(format: Option<Format>) -> AccessLog {
        AccessLog { format, line: Vec::new() }
    }

    /// Writes the line of one request.
    pub(crate) fn note(&mut self, req: &Request<'_>, answer: &Response, user: Option<&str>) {
        let Some(format) = self.format else { return };
        let entry = Entry {
            peer: req.peer_addr(),
            user,
            time: httpdate::fmt_http_date(SystemTime::now()),
            method: req.method().as_str(),
            target: req.target(),
            version: match req.version() {
                Version::HTTP_10 => "HTTP/1.0",
                _ => "HTTP/1.1",
            },
            status: answer.status().as_u16(),
            bytes: match (req.method(), answer.status()) {
                (&Method::HEAD, _) | (_, StatusCode::NOT_MODIFIED) => Some(0),
                _ => answer.body().content_length(),
            },
            host: req.host(),
            referrer: req.headers().get_bytes("referer"),
            agent: req.headers().get_bytes("user-agent"),
        };
        self.line.clear();
        entry.write(format, &mut self.line);
        // A log that nobody reads any more must not end the service.
        let _ = std::io::stdout().lock().write_all(&self.line);
    }
}

struct Entry<'a> {
    peer: Option<SocketAddr>,
    user: Option<&'a str>,
    /// As in `Date`.
    time: String,
    method: &'a str,
    target: &'a str,
    version: &'a str,
    status: u16,
    bytes: Option<u64>,
    host: Option<&'a str>,
    referrer: Option<&'a [u8]>,
    agent: Option<&'a [u8]>,
}

impl Entry<'_> {
    /// Appends the line. Writing to a `Vec` does not fail.
    fn write(&self, format: Format, out: &mut Vec<u8>) {
        match format {
            Format::Json => self.json(out),
            Format::Common => self.common(out),
            Format::Combined => {
                self.common(out);
                for value in [self.referrer, self.agent] {
                    out.extend_from_slice(b" \"");
                    escape(out, value.unwrap_or(b"-"));
                    out.push(b'"');
                }
            }
        }
        out.push(b'\n');
    }

    fn common(&self, out: &mut Vec<u8>) {
        match self.peer {
            Some(peer) => drop(write!(out, "{}", peer.ip())),
            None => out.push(b'-'),
        }
        out.extend_from_slice(b" - ");
        match self.user {
            Some(user) => escape_name(out, user.as_bytes()),
            None => out.push(b'-'),
        }
        // `Sun, 06 Nov 1994 08:49:37 GMT` becomes `06/Nov/1994:08:49:37 +0000`.
        let time = &self.time;
        let (day, month, year, clock) = (&time[5..7], &time[8..11], &time[12..16], &time[17..25]);
        let _ = write!(out, " [{day}/{month}/{year}:{clock} +0000] \"");
        escape(out, self.method.as_bytes());
        out.push(b' ');
        escape(out, self.target.as_bytes());
        let _ = write!(out, " {}\" {} ", self.version, self.status);
        match self.bytes {
            Some(bytes) => drop(write!(out, "{bytes}")),
            None => out.push(b'-'),
        }
    }

    fn json(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "{{\"time\":\"{}\",\"status\":{}", self.time, self.status);
        match self.bytes {
            Some(bytes) => drop(write!(out, ",\"bytes\":{bytes}")),
            None => out.extend_from_slice(b",\"bytes\":null"),
        }
        let peer = self.peer.map(|peer| peer.to_string());
        let texts = [
            ("peer", peer.as_deref().map(str::as_bytes)),
            ("user", self.user.map(str::as_bytes)),
            ("method", Some(self.method.as_bytes())),
            ("target", Some(self.target.as_bytes())),
            ("version", Some(self.version.as_bytes())),
            ("host", self.host.map(str::as_bytes)),
            ("referer", self.referrer),
            ("user_agent", self.agent),
        ];
        for (name, value) in texts {
            let _ = write!(out, ",\"{name}\":");
            match value {
                Some(value) => json_string(out, value),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
    }
}

/// Visible ASCII as it is, but for quotes and backslashes; anything else as `\xHH`.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            byte => drop(write!(out, "\\x{byte:02x}")),
        }
    }
}

/// As [`escape`], and spaces too: a name stands without quotes.
fn escape_name(out: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.split_inclusive(|&byte| byte == b' ') {
        match part {
            [name @ .., b' '] => {
                escape(out, name);
                out.extend_from_slice(b"\\x20");
            }
            name => escape(out, name),
        }
    }
}

/// A string of JSON (RFC 8259, section 7), ASCII only; bytes that are no UTF-8 become U+FFFD.
fn json_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for unit in String::from_utf8_lossy(bytes).encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
            Ok(byte @ b' '..=b'~') => out.push(byte),
            _ => drop(write!(out, "\\u{unit:04x}")),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            peer: Some(([192, 0, 2, 1], 4711).into()),
            user: None,
            time: "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(),
            method: "GET",
            target: "/a?b",
            version: "HTTP/1.1",
            status: 206,
            bytes: Some(7),
            host: Some("here"),
            referrer: None,
            agent: Some(b"x\"\\\x1b[2J\r\n\xff1"),
        }
    }

    fn line(entry: &Entry<'_>, format: Format) -> String {
        let mut out = Vec::new();
        entry.write(format, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn common_and_combined_lines_are_what_log_readers_know() {
        let common = r#"192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] "GET /a?b HTTP/1.1" 206 7"#;
        assert_eq!(line(&entry(), Format::Common), format!("{common}\n"));
        let agent = r#" "-" "x\"\\\x1b[2J\x0d\x0a\xff1""#;
        assert_eq!(line(&entry(), Format::Combined), format!("{common}{agent}\n"));
    }

    #[test]
    fn a_line_without_address_length_or_with_a_spaced_user_keeps_its_columns() {
        let entry = Entry { peer: None, bytes: None, user: Some("a b\n"), ..entry() };
        let want = "- - a\\x20b\\x0a [06/Nov/1994:08:49:37 +0000] \"GET /a?b HTTP/1.1\" 206 -\n";
        assert_eq!(line(&entry, Format::Common), want);
    }

    #[test]
    fn a_json_line_is_one_object_in_ascii() {
        let want = "{\"time\":\"Sun, 06 Nov 1994 08:49:37 GMT\",\"status\":206,\"bytes\":7,\
                    \"peer\":\"192.0.2.1:4711\",\"user\":null,\"method\":\"GET\",\
                    \"target\":\"/a?b\",\"version\":\"HTTP/1.1\",\"host\":\"here\",\
                    \"referer\":null,\"user_agent\":\
                    \"x\\\"\\\\\\u001b[2J\\u000d\\u000a\\ufffd1\"}\n";
        assert_eq!(line(&entry(), Format::Json), want);
    }
}
