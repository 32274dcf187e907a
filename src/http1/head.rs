//! A request head: request line, target, field lines, and what they decide (RFC 9112, sections
//! 2 to 5). The only file that names httparse.
//!
//! A head that came whole is parsed in one pass. httparse is more lenient than we are in three
//! points, which are checked here: bare LF, several empty lines before the request, and targets.
//! Whatever it does not like, and whatever comes in pieces, goes to [`Scan`], which decides.

use std::mem::MaybeUninit;
use std::net::Ipv6Addr;

use crate::fields::{is_token_byte, list_members, trim_ows, FieldSpan};
use crate::http1::framing::{self, Framing, Line};
use crate::http1::scan::{Scan, METHOD_BYTES_MAX};
use crate::http1::{HeadLimits, Reject};
use crate::limits::FIELDS_CEILING;
use crate::request::{Method, RequestLine, Span, TargetForm, Version};

/// A complete and acceptable head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) line: RequestLine,
    pub(crate) framing: Framing,
    /// Whether the peer wants the connection kept (RFC 9112, section 9.3).
    pub(crate) peer_keeps: bool,
    /// Whether the peer waits for `100 Continue` before it sends content.
    pub(crate) expects_continue: bool,
    /// Bytes up to and with the blank line.
    pub(crate) len: usize,
}

/// Parses the head at the start of `input`. `None`: it is not complete yet; `scan` remembers how
/// far it was looked at, and the next call begins with the same bytes and more behind them.
///
/// `spans` is filled with the field lines of a complete head.
pub(crate) fn parse(
    input: &[u8],
    scan: &mut Scan,
    limits: &HeadLimits,
    spans: &mut Vec<FieldSpan>,
) -> Result<Option<Head>, Reject> {
    if *scan == Scan::new() {
        if let Some(raw) = split(input, limits, spans) {
            return decide(input, raw, spans).map(Some);
        }
    }
    if !scan.advance(input, limits)? {
        return Ok(None);
    }
    let head = &input[..scan.len()];
    let raw = split(head, limits, spans).or_else(|| split_newer_minor(head, limits, spans));
    match raw {
        Some(raw) => decide(head, raw, spans).map(Some),
        // Not reached as far as known: the scanner accepts less than httparse does.
        None => Err(Reject::RequestLine),
    }
}

/// A head cut into its parts.
struct Raw {
    method: Method,
    target: Span,
    version: Version,
    len: usize,
}

/// Cuts a complete, well-formed head into its parts; `None` for anything else.
fn split(input: &[u8], limits: &HeadLimits, spans: &mut Vec<FieldSpan>) -> Option<Raw> {
    const UNINIT: MaybeUninit<httparse::Header<'_>> = MaybeUninit::uninit();
    let mut lines = [UNINIT; FIELDS_CEILING];

    let skipped = if input.starts_with(b"\r\n") { 2 } else { 0 };
    let bytes = &input[skipped..];
    if !is_token_byte(*bytes.first()?) {
        return None;
    }
    let mut request = httparse::Request::new(&mut []);
    let Ok(httparse::Status::Complete(len)) =
        request.parse_with_uninit_headers(bytes, &mut lines[..limits.fields_max])
    else {
        return None;
    };
    let (method, target) = (request.method?, request.path?);
    let is_within_limits = method.len() <= METHOD_BYTES_MAX
        && target.len() <= limits.target_bytes_max
        && skipped + len <= limits.head_bytes_max;
    if !is_within_limits || !bytes[..len].ends_with(b"\r\n\r\n") {
        return None;
    }
    // All parts lie in `input`, so their addresses differ by their positions.
    let position = |part: &[u8]| part.as_ptr() as usize - input.as_ptr() as usize;
    spans.clear();
    for line in request.headers.iter() {
        let name = position(line.name.as_bytes());
        // The byte before a name is the LF of the line above: it must have its CR.
        if input[name - 2] != b'\r' {
            return None;
        }
        let value = trim_ows(line.value);
        spans.push(FieldSpan {
            name: name as u16,
            name_len: line.name.len() as u16,
            value: if value.is_empty() { name as u16 } else { position(value) as u16 },
            value_len: value.len() as u16,
        });
    }
    Some(Raw {
        method: Method::from_bytes(method.as_bytes()).ok()?,
        target: Span::new(position(target.as_bytes()), target.len()),
        version: if request.version == Some(0) { Version::Http10 } else { Version::Http11 },
        len: skipped + len,
    })
}

/// HTTP/1.2 to 1.9, which httparse does not know: served as 1.1 (RFC 9110, section 2.5). Nobody
/// sends it, so it may cost a copy.
fn split_newer_minor(head: &[u8], limits: &HeadLimits, spans: &mut Vec<FieldSpan>) -> Option<Raw> {
    let mut copy = head.to_vec();
    let line_end = copy.windows(2).skip(2).position(|pair| pair == b"\r\n")? + 2;
    *copy.get_mut(line_end - 1)? = b'1';
    split(&copy, limits, spans)
}

/// What the parts mean together; the first fault in this order wins: target, Host, framing,
/// expectation.
fn decide(input: &[u8], raw: Raw, spans: &[FieldSpan]) -> Result<Head, Reject> {
    let lines = Notable::of(input, spans);
    let target = parse_target(input, raw.target, &raw.method)?;
    check_host(&lines.host, raw.version)?;
    let framing = framing::incoming(raw.version, lines.transfer_encoding, lines.content_length)?;
    let expects = lines.expect.count > 0 && check_expectations(input, spans)?;
    let content_length = match framing {
        Framing::Length(length) => Some(length),
        Framing::Chunked => None,
    };
    Ok(Head {
        peer_keeps: match lines.connection.count {
            0 => raw.version == Version::Http11,
            _ => peer_keeps(input, spans, raw.version),
        },
        // An HTTP/1.0 peer cannot expect it, and without content there is nothing to continue
        // (RFC 9110, section 10.1.1).
        expects_continue: expects && raw.version == Version::Http11 && content_length != Some(0),
        framing,
        len: raw.len,
        line: RequestLine {
            method: raw.method,
            version: raw.version,
            form: target.form,
            target: raw.target,
            path: target.path,
            authority: target.authority,
            content_length,
        },
    })
}

/// The field lines that the server itself reads.
#[derive(Default)]
struct Notable<'a> {
    host: Line<'a>,
    content_length: Line<'a>,
    transfer_encoding: Line<'a>,
    connection: Line<'a>,
    expect: Line<'a>,
}

impl<'a> Notable<'a> {
    fn of(input: &'a [u8], spans: &[FieldSpan]) -> Notable<'a> {
        let mut notable = Notable::default();
        for span in spans {
            // The length tells nearly all other names apart without a look at the bytes.
            let (line, name) = match span.name_len {
                4 => (&mut notable.host, "host"),
                6 => (&mut notable.expect, "expect"),
                10 => (&mut notable.connection, "connection"),
                14 => (&mut notable.content_length, "content-length"),
                17 => (&mut notable.transfer_encoding, "transfer-encoding"),
                _ => continue,
            };
            if span.is_named(input, name) {
                if line.count == 0 {
                    line.value = span.value(input);
                }
                line.count += 1;
            }
        }
        notable
    }
}

/// Exactly one valid `Host` in HTTP/1.1, also beside an absolute target; at most one in HTTP/1.0
/// (RFC 9112, section 3.2). It may be empty.
fn check_host(host: &Line<'_>, version: Version) -> Result<(), Reject> {
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

struct Target {
    form: TargetForm,
    path: Span,
    authority: Option<Span>,
}

/// The four forms of RFC 9112, section 3.2, and nothing else.
fn parse_target(input: &[u8], span: Span, method: &Method) -> Result<Target, Reject> {
    let bytes = span.of(input);
    let start = usize::from(span.start);
    if *method == Method::CONNECT {
        let has_port = bytes.iter().rposition(|&byte| byte == b':').is_some_and(|colon| {
            colon > 0 && colon + 1 < bytes.len() && !bytes[colon..].contains(&b']')
        });
        if !has_port || !is_authority(bytes) {
            return Err(Reject::Target);
        }
        let path = Span::new(span.end(), 0);
        return Ok(Target { form: TargetForm::Authority, path, authority: Some(span) });
    }
    if bytes == b"*" {
        return Ok(Target { form: TargetForm::Asterisk, path: span, authority: None });
    }
    if bytes.first() == Some(&b'/') {
        let path = Span::new(start, path_len(bytes)?);
        return Ok(Target { form: TargetForm::Origin, path, authority: None });
    }
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        bytes.len() > scheme.len() && bytes[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
    });
    let Some(scheme) = scheme else { return Err(Reject::Target) };
    let rest = &bytes[scheme.len()..];
    let authority_len =
        rest.iter().position(|&byte| byte == b'/' || byte == b'?').unwrap_or(rest.len());
    if !is_authority(&rest[..authority_len]) {
        return Err(Reject::Target);
    }
    let path_start = scheme.len() + authority_len;
    Ok(Target {
        form: TargetForm::Absolute,
        path: Span::new(start + path_start, path_len(&bytes[path_start..])?),
        authority: Some(Span::new(start + scheme.len(), authority_len)),
    })
}

/// Checks path and query and says where the path ends.
fn path_len(bytes: &[u8]) -> Result<usize, Reject> {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'?' {
            let is_query = bytes[at..].iter().all(|&byte| is_query_byte(byte));
            return if is_query { Ok(at) } else { Err(Reject::Target) };
        }
        if byte == b'%' {
            let is_escape = bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit)
                && bytes.get(at + 2).is_some_and(u8::is_ascii_hexdigit);
            if !is_escape {
                return Err(Reject::Target);
            }
        } else if !is_path_byte(byte) {
            return Err(Reject::Target);
        }
        at += 1;
    }
    Ok(at)
}

/// RFC 3986's path bytes, and `|`, which browsers leave raw.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'}')
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
        parse(input, &mut Scan::new(), &LIMITS, &mut Vec::new())
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
        let (mut scan, mut spans) = (Scan::new(), Vec::new());
        for end in 0..=input.len() {
            if let Some(head) = parse(&input[..end], &mut scan, &LIMITS, &mut spans)? {
                return Ok(Some(head.len));
            }
        }
        Ok(None)
    }
}
