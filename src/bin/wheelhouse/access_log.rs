//! The access log: a line on standard output for every exchange, among them those that the server
//! refused and those whose client left. A request that could not be parsed is shown as a hyphen.
//!
//! All text from the client is escaped, so that no request can forge a line, end one early or
//! control a terminal. The number of bytes is that of the content sent, with the framing of chunks.
//! The client is the one that a trusted proxy reports, or else the peer.

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use wheelhouse::runtime::{Exchange, RequestId};
use wheelhouse::Version;

use crate::clock;
use crate::output::Output;

/// The header fields that lines show.
pub(crate) const HEADERS: [&str; 3] = ["Host", "Referer", "User-Agent"];

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The Common Log Format of NCSA httpd.
    Common,
    /// The Common Log Format with referrer and user agent.
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

/// The access log, which may be off. It is the state of the server.
#[derive(Debug, Default)]
pub(crate) struct AccessLog {
    to: Option<(Format, Output)>,
    /// The facts about requests under way that their ends do not have.
    notes: HashMap<RequestId, Note>,
    /// The buffer for a line, which is kept for its capacity.
    line: Vec<u8>,
}

#[derive(Debug, Default)]
struct Note {
    user: Option<String>,
    client: Option<IpAddr>,
}

impl AccessLog {
    pub(crate) fn new(to: Option<(Format, Output)>) -> AccessLog {
        AccessLog { to, ..AccessLog::default() }
    }

    /// Notes the user of a request.
    pub(crate) fn note_user(&mut self, id: RequestId, user: &str) {
        if self.to.is_some() {
            self.notes.entry(id).or_default().user = Some(user.to_owned());
        }
    }

    /// Notes the client of a request that came through a proxy.
    pub(crate) fn note_client(&mut self, id: RequestId, client: IpAddr) {
        if self.to.is_some() {
            self.notes.entry(id).or_default().client = Some(client);
        }
    }

    /// Writes the line of one exchange.
    pub(crate) fn note(&mut self, exchange: &Exchange<'_>) {
        let Some((format, output)) = &self.to else { return };
        let note = exchange.id().and_then(|id| self.notes.remove(&id)).unwrap_or_default();
        let [host, referrer, agent] = HEADERS.map(|name| exchange.header(name));
        let entry = Entry {
            peer: exchange.peer_addr(),
            client: note.client.or(exchange.peer_addr().map(|peer| peer.ip())),
            user: note.user.as_deref(),
            time: SystemTime::now(),
            method: exchange.method().map(|method| method.as_str()),
            target: exchange.target(),
            version: exchange.version(),
            status: exchange.status().map(|status| status.as_u16()),
            bytes: exchange.content_sent(),
            duration: exchange.duration(),
            outcome: format!("{:?}", exchange.outcome()),
            host,
            referrer,
            agent,
        };
        self.line.clear();
        entry.write(*format, &mut self.line);
        output.push(&self.line);
    }
}

struct Entry<'a> {
    peer: Option<SocketAddr>,
    client: Option<IpAddr>,
    user: Option<&'a str>,
    time: SystemTime,
    method: Option<&'a str>,
    target: Option<&'a str>,
    version: Option<Version>,
    status: Option<u16>,
    bytes: u64,
    duration: Duration,
    outcome: String,
    host: Option<&'a str>,
    referrer: Option<&'a str>,
    agent: Option<&'a str>,
}

impl Entry<'_> {
    /// Appends the line. A write to a `Vec` does not fail.
    fn write(&self, format: Format, out: &mut Vec<u8>) {
        match format {
            Format::Json => self.json(out),
            Format::Common => self.common(out),
            Format::Combined => {
                self.common(out);
                for value in [self.referrer, self.agent] {
                    out.extend_from_slice(b" \"");
                    escape(out, value.unwrap_or("-").as_bytes());
                    out.push(b'"');
                }
            }
        }
        out.push(b'\n');
    }

    fn common(&self, out: &mut Vec<u8>) {
        match self.client {
            Some(client) => drop(write!(out, "{client}")),
            None => out.push(b'-'),
        }
        out.extend_from_slice(b" - ");
        match self.user {
            Some(user) => escape_name(out, user.as_bytes()),
            None => out.push(b'-'),
        }
        let _ = write!(out, " [{}] \"", clock::common(self.time));
        match (self.method, self.target) {
            (Some(method), Some(target)) => {
                escape(out, method.as_bytes());
                out.push(b' ');
                escape(out, target.as_bytes());
                let _ = write!(out, " {}", name_of(self.version));
            }
            _ => out.push(b'-'),
        }
        match self.status {
            Some(status) => drop(write!(out, "\" {status} {}", self.bytes)),
            None => drop(write!(out, "\" - {}", self.bytes)),
        }
    }

    fn json(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "{{\"time\":\"{}\",\"status\":", clock::rfc3339(self.time));
        match self.status {
            Some(status) => drop(write!(out, "{status}")),
            None => out.extend_from_slice(b"null"),
        }
        let seconds = self.duration.as_secs_f64();
        let _ = write!(out, ",\"bytes\":{},\"seconds\":{seconds:.6}", self.bytes);
        let peer = self.peer.map(|peer| peer.to_string());
        let client = self.client.map(|client| client.to_string());
        let texts = [
            ("outcome", Some(self.outcome.as_str())),
            ("client", client.as_deref()),
            ("peer", peer.as_deref()),
            ("user", self.user),
            ("method", self.method),
            ("target", self.target),
            ("version", self.version.map(|version| name_of(Some(version)))),
            ("host", self.host),
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

fn name_of(version: Option<Version>) -> &'static str {
    match version {
        Some(Version::HTTP_10) => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// Appends `bytes` with a backslash before quotes and backslashes, and `\xHH` in place of each byte
/// that is not visible ASCII.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            byte => drop(write!(out, "\\x{byte:02x}")),
        }
    }
}

/// Appends the name of a user as [`escape`] does. Spaces are escaped, too, because the name stands
/// without quotes.
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

/// Appends a JSON string (RFC 8259, section 7) in ASCII.
fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for unit in text.encode_utf16() {
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
            client: Some([203, 0, 113, 7].into()),
            user: None,
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_042),
            method: Some("GET"),
            target: Some("/a?b"),
            version: Some(Version::HTTP_11),
            status: Some(206),
            bytes: 7,
            duration: Duration::from_micros(1500),
            outcome: "Complete".to_owned(),
            host: Some("here"),
            referrer: None,
            agent: Some("x\"\\\x1b[2J\r\n\u{fffd}1"),
        }
    }

    fn line(entry: &Entry<'_>, format: Format) -> String {
        let mut out = Vec::new();
        entry.write(format, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn common_and_combined_lines_have_the_columns_that_log_readers_know() {
        let common = r#"203.0.113.7 - - [06/Nov/1994:08:49:37 +0000] "GET /a?b HTTP/1.1" 206 7"#;
        assert_eq!(line(&entry(), Format::Common), format!("{common}\n"));
        let agent = r#" "-" "x\"\\\x1b[2J\x0d\x0a\xef\xbf\xbd1""#;
        assert_eq!(line(&entry(), Format::Combined), format!("{common}{agent}\n"));
    }

    #[test]
    fn a_line_without_address_or_with_a_spaced_user_keeps_its_columns() {
        let entry = Entry { client: None, user: Some("a b\n"), ..entry() };
        let want = "- - a\\x20b\\x0a [06/Nov/1994:08:49:37 +0000] \"GET /a?b HTTP/1.1\" 206 7\n";
        assert_eq!(line(&entry, Format::Common), want);
    }

    #[test]
    fn a_request_that_could_not_be_read_and_a_response_that_never_came_are_hyphens() {
        let nothing = Entry { method: None, target: None, version: None, status: None, ..entry() };
        let want = "203.0.113.7 - - [06/Nov/1994:08:49:37 +0000] \"-\" - 7\n";
        assert_eq!(line(&nothing, Format::Common), want);
        let json = line(&nothing, Format::Json);
        assert!(json.contains("\"status\":null,") && json.contains("\"target\":null,"), "{json}");
    }

    #[test]
    fn a_json_line_is_one_object_in_ascii() {
        let want = "{\"time\":\"1994-11-06T08:49:37.042Z\",\"status\":206,\"bytes\":7,\
                    \"seconds\":0.001500,\"outcome\":\"Complete\",\
                    \"client\":\"203.0.113.7\",\"peer\":\"192.0.2.1:4711\",\"user\":null,\"method\":\"GET\",\
                    \"target\":\"/a?b\",\"version\":\"HTTP/1.1\",\"host\":\"here\",\
                    \"referer\":null,\"user_agent\":\
                    \"x\\\"\\\\\\u001b[2J\\u000d\\u000a\\ufffd1\"}\n";
        assert_eq!(line(&entry(), Format::Json), want);
    }
}
