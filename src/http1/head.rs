//! A request head: request line, target, field lines, and what they decide (RFC 9112, sections
//! 2 to 5). The only file that names httparse.
//!
//! A head that came whole is parsed in one pass: the request line here, the field lines by
//! httparse, which is more lenient than we are in one point, checked here: bare LF. Whatever the
//! fast path does not like, and whatever comes in pieces, goes to [`Scan`], which decides.

use std::net::Ipv6Addr;

use crate::fields::{list_members, trim_ows, FieldSpan};
use crate::http1::framing::{self, Framing, Line};
use crate::http1::scan::{Scan, METHOD_BYTES_MAX};
use crate::http1::{HeadLimits, Reject};
use crate::limits::FIELDS_CEILING;
use crate::request::{Method, RequestLine, Span, TargetForm, Version};

/// A complete and acceptable head, as positions in the input that it was parsed from.
///
/// One of these serves a whole loop: it is overwritten by the next head and allocates nothing.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) line: RequestLine,
    pub(crate) spans: Vec<FieldSpan>,
    pub(crate) framing: Framing,
    /// Whether the peer wants the connection kept (RFC 9112, section 9.3).
    pub(crate) peer_keeps: bool,
    /// Whether the peer waits for `100 Continue` before it sends content.
    pub(crate) expects_continue: bool,
    /// Bytes up to and with the blank line.
    pub(crate) len: usize,
}

impl Head {
    pub(crate) fn new() -> Head {
        let nothing = Span::new(0, 0);
        Head {
            line: RequestLine {
                method: Method::GET,
                version: Version::Http11,
                form: TargetForm::Origin,
                target: nothing,
                path: nothing,
                authority: None,
                content_length: None,
            },
            spans: Vec::new(),
            framing: Framing::Length(0),
            peer_keeps: false,
            expects_continue: false,
            len: 0,
        }
    }

    /// Parses the head at the start of `input`. `false`: it is not complete yet; `scan` remembers
    /// how far it was looked at, and the next call begins with the same bytes and more behind
    /// them.
    #[inline(always)]
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        scan: &mut Scan,
        limits: &HeadLimits,
    ) -> Result<bool, Reject> {
        if scan.is_new() {
            if let Some(verdict) = self.parse_whole(input, limits) {
                return verdict.map(|()| true);
            }
        }
        if !scan.advance(input, limits)? {
            return Ok(false);
        }
        let head = &input[..scan.len()];
        let verdict = self.parse_whole(head, limits);
        match verdict.or_else(|| self.parse_newer_minor(head, limits)) {
            Some(verdict) => verdict.map(|()| true),
            // Not reached as far as known: the scanner accepts no more than the fast path.
            None => Err(Reject::RequestLine),
        }
    }

    /// Parses a head that is complete and well-formed; `None` for anything else. What is said of
    /// it then is what its parts mean together; the first fault in this order wins: target, Host,
    /// framing, expectation.
    #[inline(always)]
    fn parse_whole(&mut self, input: &[u8], limits: &HeadLimits) -> Option<Result<(), Reject>> {
        let (target, fields_start) = self.split_line(input, limits)?;
        let notable = self.split_fields(input, fields_start, limits)?;
        Some(target.and_then(|()| self.decide(input, &notable)))
    }

    /// Cuts the request line into its parts and checks the target, in one pass over its bytes.
    /// Says where the field lines begin.
    #[inline(always)]
    fn split_line(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
    ) -> Option<(Result<(), Reject>, usize)> {
        let start = if input.starts_with(b"\r\n") { 2 } else { 0 };
        let (method, target_start) = match &input[start..] {
            [b'G', b'E', b'T', b' ', ..] => (Method::GET, start + 4),
            [b'P', b'O', b'S', b'T', b' ', ..] => (Method::POST, start + 5),
            rest => {
                let most = rest.len().min(METHOD_BYTES_MAX + 1);
                let len = rest[..most].iter().position(|&byte| byte == b' ')?;
                (Method::from_bytes(&rest[..len]).ok()?, start + len + 1)
            }
        };
        let target = self.parse_target(input, target_start, &method);
        let after = self.line.target.end();
        self.line.version = match input.get(after..after + 11)? {
            b" HTTP/1.1\r\n" => Version::Http11,
            b" HTTP/1.0\r\n" => Version::Http10,
            _ => return None,
        };
        self.line.method = method;
        let len = after - target_start;
        (len > 0 && len <= limits.target_bytes_max).then_some((target, after + 11))
    }

    /// Cuts the field lines apart and notes those that the server itself reads.
    fn split_fields(&mut self, input: &[u8], start: usize, limits: &HeadLimits) -> Option<Notable> {
        let lines = &input[start..];
        let mut few = [httparse::EMPTY_HEADER; FIELDS_USUAL];
        match httparse::parse_headers(lines, &mut few) {
            Ok(httparse::Status::Complete((len, found))) => {
                self.note_fields(input, start + len, found, limits)
            }
            Err(httparse::Error::TooManyHeaders) => {
                let mut many = [httparse::EMPTY_HEADER; FIELDS_CEILING];
                let many = &mut many[..limits.fields_max];
                match httparse::parse_headers(lines, many) {
                    Ok(httparse::Status::Complete((len, found))) => {
                        self.note_fields(input, start + len, found, limits)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn note_fields(
        &mut self,
        input: &[u8],
        len: usize,
        lines: &[httparse::Header<'_>],
        limits: &HeadLimits,
    ) -> Option<Notable> {
        let is_within_limits = len <= limits.head_bytes_max && lines.len() <= limits.fields_max;
        if !is_within_limits || !input[..len].ends_with(b"\r\n\r\n") {
            return None;
        }
        self.len = len;
        self.spans.clear();
        // All parts lie in `input`, so their addresses differ by their positions.
        let position = |part: &[u8]| part.as_ptr() as usize - input.as_ptr() as usize;
        let mut notable = Notable::default();
        for line in lines {
            let name = position(line.name.as_bytes());
            // The byte before a name is the LF of the line above: it must have its CR.
            if input[name - 2] != b'\r' {
                return None;
            }
            let value = trim_ows(line.value);
            let span = FieldSpan {
                name: name as u16,
                name_len: line.name.len() as u16,
                value: if value.is_empty() { name as u16 } else { position(value) as u16 },
                value_len: value.len() as u16,
            };
            // The length tells nearly all other names apart without a look at the bytes.
            let name = line.name.as_bytes();
            let seen = match name.len() {
                4 if is_lower(name, b"host") => Some(&mut notable.host),
                6 if is_lower(name, b"expect") => Some(&mut notable.expect),
                10 if is_lower(name, b"connection") => Some(&mut notable.connection),
                14 if is_lower(name, b"content-length") => Some(&mut notable.content_length),
                17 if is_lower(name, b"transfer-encoding") => Some(&mut notable.transfer_encoding),
                _ => None,
            };
            if let Some(seen) = seen {
                if seen.count == 0 {
                    seen.first = self.spans.len() as u16;
                }
                seen.count += 1;
            }
            self.spans.push(span);
        }
        Some(notable)
    }

    /// HTTP/1.2 to 1.9, which only differ in a digit: served as 1.1 (RFC 9110, section 2.5).
    /// Nobody sends it, so it may cost a copy.
    fn parse_newer_minor(
        &mut self,
        head: &[u8],
        limits: &HeadLimits,
    ) -> Option<Result<(), Reject>> {
        let mut copy = head.to_vec();
        let line_end = copy.windows(2).skip(2).position(|pair| pair == b"\r\n")? + 2;
        *copy.get_mut(line_end - 1)? = b'1';
        self.parse_whole(&copy, limits)
    }

    #[inline(always)]
    fn decide(&mut self, input: &[u8], notable: &Notable) -> Result<(), Reject> {
        let version = self.line.version;
        check_host(self.seen(input, notable.host), version)?;
        self.framing = if notable.content_length.count + notable.transfer_encoding.count == 0 {
            Framing::Length(0)
        } else {
            framing::incoming(
                version,
                self.seen(input, notable.transfer_encoding),
                self.seen(input, notable.content_length),
            )?
        };
        self.line.content_length = match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let expects = notable.expect.count > 0 && check_expectations(input, &self.spans)?;
        // An HTTP/1.0 peer cannot expect it, and without content there is nothing to continue
        // (RFC 9110, section 10.1.1).
        self.expects_continue =
            expects && version == Version::Http11 && self.line.content_length != Some(0);
        self.peer_keeps = match notable.connection.count {
            0 => version == Version::Http11,
            _ => peer_keeps(input, &self.spans, version),
        };
        Ok(())
    }

    #[inline(always)]
    fn seen<'a>(&self, input: &'a [u8], seen: Seen) -> Line<'a> {
        match seen.count {
            0 => Line::default(),
            count => Line {
                count: usize::from(count),
                value: self.spans[usize::from(seen.first)].value(input),
            },
        }
    }

    /// Finds the end of the target and checks that it has one of the four forms of RFC 9112,
    /// section 3.2. A target that has not is still cut off at its end, so that syntax errors
    /// behind it are found first.
    #[inline(always)]
    fn parse_target(&mut self, input: &[u8], start: usize, method: &Method) -> Result<(), Reject> {
        let line = &mut self.line;
        (line.form, line.authority) = (TargetForm::Origin, None);
        if input.get(start) == Some(&b'/') && *method != Method::CONNECT {
            // The usual form: path, query and end in one pass.
            let path_end = path_end(input, start);
            let end = match input.get(path_end) {
                Some(b'?') => query_end(input, path_end),
                _ => path_end,
            };
            if input.get(end) == Some(&b' ') && end <= usize::from(u16::MAX) {
                line.path = Span::new(start, path_end - start);
                line.target = Span::new(start, end - start);
                return Ok(());
            }
        }
        let rest = &input[start..input.len().min(usize::from(u16::MAX))];
        let len = rest.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len());
        line.target = Span::new(start, len);
        line.path = line.target;
        let other = parse_other_form(&rest[..len], method)?;
        line.form = other.form;
        line.path = Span::new(start + other.path.0, other.path.1);
        line.authority = other.authority.map(|(at, len)| Span::new(start + at, len));
        Ok(())
    }
}

/// Field lines that are cut apart without a second attempt: what browsers send.
const FIELDS_USUAL: usize = 16;

/// The field lines that the server itself reads.
#[derive(Default)]
struct Notable {
    host: Seen,
    content_length: Seen,
    transfer_encoding: Seen,
    connection: Seen,
    expect: Seen,
}

/// How often a field came, and where first.
#[derive(Clone, Copy, Default)]
struct Seen {
    count: u16,
    first: u16,
}

/// Whether a field name is `lower`, without regard to case. Both are tokens, and setting the bit
/// that tells cases apart makes no two bytes of tokens alike but the two cases of a letter, `^`
/// and `~`, which `lower` does not have.
#[inline]
fn is_lower<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    name.len() == N && name.iter().zip(lower).fold(0, |odd, (a, b)| odd | ((a | 0x20) ^ b)) == 0
}

/// Exactly one valid `Host` in HTTP/1.1, also beside an absolute target; at most one in HTTP/1.0
/// (RFC 9112, section 3.2). It may be empty.
#[inline(always)]
fn check_host(host: Line<'_>, version: Version) -> Result<(), Reject> {
    let is_right_count = host.count == 1 || (host.count == 0 && version == Version::Http10);
    if is_right_count && (host.value.is_empty() || is_authority(host.value)) {
        return Ok(());
    }
    Err(Reject::Host)
}

/// Whether `100-continue` is expected; any other expectation is refused.
fn check_expectations(input: &[u8], spans: &[FieldSpan]) -> Result<bool, Reject> {
    let mut expects = false;
    for span in spans.iter().filter(|span| span.is_named(input, "expect")) {
        for member in list_members(span.value(input)) {
            if !member.eq_ignore_ascii_case(b"100-continue") {
                return Err(Reject::Expectation);
            }
            expects = true;
        }
    }
    Ok(expects)
}

/// `close` wins over `keep-alive`, wherever it stands.
fn peer_keeps(input: &[u8], spans: &[FieldSpan], version: Version) -> bool {
    let mut keeps = version == Version::Http11;
    for span in spans.iter().filter(|span| span.is_named(input, "connection")) {
        for member in list_members(span.value(input)) {
            if member.eq_ignore_ascii_case(b"close") {
                return false;
            }
            keeps |= member.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keeps
}

/// A target in a form other than `/path?query`; positions and lengths are within it.
struct OtherForm {
    form: TargetForm,
    path: (usize, usize),
    authority: Option<(usize, usize)>,
}

/// `host:port` of CONNECT, `*`, or an absolute URI of http or https; nothing else.
fn parse_other_form(bytes: &[u8], method: &Method) -> Result<OtherForm, Reject> {
    if *method == Method::CONNECT {
        let has_port = bytes.iter().rposition(|&byte| byte == b':').is_some_and(|colon| {
            colon > 0 && colon + 1 < bytes.len() && !bytes[colon..].contains(&b']')
        });
        if !has_port || !is_authority(bytes) {
            return Err(Reject::Target);
        }
        let (path, authority) = ((bytes.len(), 0), Some((0, bytes.len())));
        return Ok(OtherForm { form: TargetForm::Authority, path, authority });
    }
    if bytes == b"*" {
        return Ok(OtherForm { form: TargetForm::Asterisk, path: (0, 1), authority: None });
    }
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        bytes.len() > scheme.len() && bytes[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
    });
    let Some(scheme) = scheme else { return Err(Reject::Target) };
    let start = scheme.len();
    let rest = &bytes[start..];
    let len = rest.iter().position(|&byte| byte == b'/' || byte == b'?').unwrap_or(rest.len());
    if !is_authority(&rest[..len]) {
        return Err(Reject::Target);
    }
    let path_start = start + len;
    let path_end = path_end(bytes, path_start);
    let end = match bytes.get(path_end) {
        Some(b'?') => query_end(bytes, path_end),
        _ => path_end,
    };
    if end != bytes.len() {
        return Err(Reject::Target);
    }
    Ok(OtherForm {
        form: TargetForm::Absolute,
        path: (path_start, path_end - path_start),
        authority: Some((start, len)),
    })
}

/// Where a path that begins at `at` ends: at the first byte that cannot belong to it.
#[inline(always)]
fn path_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let is_escape = bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit)
                && bytes.get(at + 2).is_some_and(u8::is_ascii_hexdigit);
            if !is_escape {
                return at;
            }
        } else if !PATH_BYTES[usize::from(byte)] {
            return at;
        }
        at += 1;
    }
    at
}

/// Where a query ends, with its `?` at `at`.
fn query_end(bytes: &[u8], at: usize) -> usize {
    let len = bytes[at..].iter().position(|&byte| !is_query_byte(byte));
    len.map_or(bytes.len(), |len| at + len)
}

static PATH_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_path_byte(byte as u8);
        byte += 1;
    }
    table
};

/// RFC 3986's path bytes, and `|`, which browsers leave raw; not the `?` that ends a path.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'?' | b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'}')
}

/// What browsers leave raw in a query: visible, but no quote, fragment or angle bracket.
const fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>')
}

/// `host [":" port]` (RFC 3986, section 3.2, without user information): a name or IPv4 address,
/// or an IPv6 address in brackets. Stricter than the RFC in one point: no comma, which is what
/// two merged `Host` lines look like.
pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    if let [b'[', rest @ ..] = bytes {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
        let is_port = match &rest[end + 1..] {
            [] => true,
            [b':', port @ ..] => is_port(port),
            _ => false,
        };
        return is_port && is_ip_literal(&rest[..end]);
    }
    let name_len = bytes.iter().position(|&byte| byte == b':').unwrap_or(bytes.len());
    let (name, port) = bytes.split_at(name_len);
    !name.is_empty()
        && name.iter().all(|&byte| is_name_byte(byte))
        && (port.is_empty() || is_port(&port[1..]))
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b';'
                | b'='
        )
}

/// Empty, as RFC 3986 allows, or a number up to 65,535.
fn is_port(port: &[u8]) -> bool {
    let number = port.iter().try_fold(0u32, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(number * 10 + digit).filter(|&number| number <= 65_535)
    });
    number.is_some()
}

/// An IPv6 address with an optional zone (RFC 6874).
fn is_ip_literal(bytes: &[u8]) -> bool {
    let zone = bytes.iter().position(|&byte| byte == b'%');
    let (address, zone) = bytes.split_at(zone.unwrap_or(bytes.len()));
    let is_address =
        std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    let is_zone =
        zone.is_empty() || zone.len() > 1 && zone[1..].iter().all(|&byte| is_name_byte(byte));
    is_address && is_zone
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits =
        HeadLimits { head_bytes_max: 16 << 10, target_bytes_max: 8 << 10, fields_max: 100 };

    fn parse_whole(input: &[u8]) -> Result<Option<Head>, Reject> {
        let mut head = Head::new();
        let is_complete = head.parse(input, &mut Scan::new(), &LIMITS)?;
        Ok(is_complete.then_some(head))
    }

    fn target(method: &str, target: &str) -> Result<TargetForm, Reject> {
        let input = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        parse_whole(input.as_bytes()).map(|head| head.unwrap().line.form)
    }

    #[test]
    fn an_authority_is_a_host_with_an_optional_port() {
        for good in
            ["a", "a.b-c_d:80", "127.0.0.1", "a:", "[::1]", "[::1]:8080", "[fe80::1%25eth0]"]
        {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "", "a b", "a/b", "a@b", "a,b", "a:b", "a:1:2", "::1", "[::1", "[[[", "[a]", "a:65536",
            "[::1]x", "a\x06", "a\u{e9}", "{", "[::1%]", ":80",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn targets_have_one_of_four_forms() {
        assert_eq!(target("GET", "/"), Ok(TargetForm::Origin));
        assert_eq!(target("GET", "/a%20b|c?x={y}^\\`"), Ok(TargetForm::Origin));
        assert_eq!(target("OPTIONS", "*"), Ok(TargetForm::Asterisk));
        assert_eq!(target("GET", "HTTP://a:80?q"), Ok(TargetForm::Absolute));
        assert_eq!(target("CONNECT", "a:443"), Ok(TargetForm::Authority));
        assert_eq!(target("CONNECT", "[::1]:443"), Ok(TargetForm::Authority));
        let bad = [
            ("GET", "a"),
            ("GET", "?a"),
            ("GET", "*x"),
            ("GET", "../x"),
            ("GET", "mailto:x"),
            ("GET", "http://"),
            ("GET", "http:///x"),
            ("GET", "http://u@a/"),
            ("GET", "/a#b"),
            ("GET", "/a%2"),
            ("GET", "/a%zz"),
            ("GET", "/a\\b"),
            ("GET", "/a{b}"),
            ("GET", "/?a#"),
            ("CONNECT", "/"),
            ("CONNECT", "a"),
            ("CONNECT", ":443"),
            ("CONNECT", "a:"),
            ("CONNECT", "[::1]"),
        ];
        for (method, bad) in bad {
            assert_eq!(target(method, bad), Err(Reject::Target), "{method} {bad}");
        }
    }

    #[test]
    fn path_and_authority_are_cut_out_of_an_absolute_target() {
        let input = b"GET http://h:1/p/q?r HTTP/1.1\r\nHost: other\r\n\r\n";
        let line = parse_whole(input).unwrap().unwrap().line;
        assert_eq!(line.path.of(input), b"/p/q");
        assert_eq!(line.authority.unwrap().of(input), b"h:1");
    }

    #[test]
    fn newer_minor_versions_are_served_as_1_1_and_other_majors_refused() {
        for (version, verdict) in [
            ("1.0", Ok(Version::Http10)),
            ("1.1", Ok(Version::Http11)),
            ("1.2", Ok(Version::Http11)),
            ("1.9", Ok(Version::Http11)),
            ("2.0", Err(Reject::Version)),
            ("0.9", Err(Reject::Version)),
            ("1.10", Err(Reject::RequestLine)),
            ("+1.1", Err(Reject::RequestLine)),
        ] {
            for before in ["", "\r\n"] {
                let input = format!("{before}GET / HTTP/{version}\r\nHost: a\r\n\r\n");
                let got = parse_whole(input.as_bytes()).map(|head| head.unwrap().line.version);
                assert_eq!(got, verdict, "{input:?}");
            }
        }
    }

    /// The fast path and the scanner must judge every head alike, or the answer would depend on
    /// how the head was cut. Heads are made by damaging good ones.
    #[test]
    fn the_fast_path_and_the_scanner_judge_damaged_heads_alike() {
        let good: [&[u8]; 3] = [
            b"GET /a?b HTTP/1.1\r\nHost: a\r\nX-Y:  z \t\r\nEmpty:\r\n\r\n",
            b"\r\nPOST /p HTTP/1.0\r\nContent-Length: 5\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nhost: [::1]:80\r\nexpect: 100-continue\r\n\r\n",
        ];
        let damage = b"\r\n \t\0:/a1.\x7f\x80\xff\"";
        for head in good {
            for at in 0..head.len() {
                for &byte in damage {
                    let (mut changed, mut inserted) = (head.to_vec(), head.to_vec());
                    changed[at] = byte;
                    inserted.insert(at, byte);
                    let mut removed = head.to_vec();
                    removed.remove(at);
                    for input in [changed, inserted, removed] {
                        let whole = parse_whole(&input).map(|head| head.map(|head| head.len));
                        assert_eq!(
                            whole,
                            by_bytes(&input),
                            "{:?}",
                            String::from_utf8_lossy(&input)
                        );
                    }
                }
            }
        }
    }

    fn by_bytes(input: &[u8]) -> Result<Option<usize>, Reject> {
        let (mut scan, mut head) = (Scan::new(), Head::new());
        for end in 0..=input.len() {
            if head.parse(&input[..end], &mut scan, &LIMITS)? {
                return Ok(Some(head.len));
            }
        }
        Ok(None)
    }
}
