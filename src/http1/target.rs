//! Request targets and authorities (RFC 9112, section 3.2; RFC 3986, section 3): the four forms of
//! a target, the bytes that are allowed in a path and in a query, and the syntax of a `Host`.

use std::net::Ipv6Addr;

use crate::message::percent::begins_with_escape;
use crate::message::request::{Method, RequestLine, Span, TargetForm};

/// Parses the target at `start` in `input`, up to a space, into `line`. Returns `None` if it has
/// none of the four forms of RFC 9112, section 3.2.
#[inline(always)]
pub(super) fn parse(input: &[u8], start: usize, line: &mut RequestLine) -> Option<()> {
    if line.method == Method::CONNECT || input.get(start) != Some(&b'/') {
        return parse_other_form(input, start, line);
    }
    let (path_end, end) = origin_ends(input, start, &mut line.has_escapes);
    line.form = TargetForm::Origin;
    line.target = Span::new(start, end - start);
    line.path = Span::new(start, path_end - start);
    line.authority = None;
    (input.get(end) == Some(&b' ')).then_some(())
}

/// Parses `host:port` of CONNECT, `*`, or an absolute URI of http or https.
fn parse_other_form(input: &[u8], start: usize, line: &mut RequestLine) -> Option<()> {
    let rest = &input[start..];
    let len = rest.iter().position(|&byte| byte == b' ')?;
    let target = &rest[..len];
    line.has_escapes = false;
    line.target = Span::new(start, len);
    if line.method == Method::CONNECT {
        line.form = TargetForm::Authority;
        line.path = Span::new(start + len, 0);
        line.authority = Some(line.target);
        return (has_port(target) && is_authority(target)).then_some(());
    }
    if target == b"*" {
        line.form = TargetForm::Asterisk;
        line.path = line.target;
        line.authority = None;
        return Some(());
    }
    let authority_start = scheme_len(target)?;
    let rest = &target[authority_start..];
    let is_end = |byte: &u8| matches!(byte, b'/' | b'?');
    let authority_len = rest.iter().position(is_end).unwrap_or(rest.len());
    let (path_end, end) = origin_ends(rest, authority_len, &mut line.has_escapes);
    let authority = Span::new(start + authority_start, authority_len);
    line.form = TargetForm::Absolute;
    line.path = Span::new(authority.end(), path_end - authority_len);
    line.authority = Some(authority);
    (end == rest.len() && is_authority(&rest[..authority_len])).then_some(())
}

/// Returns the length of `http://` or `https://` at the start of a target.
fn scheme_len(target: &[u8]) -> Option<usize> {
    let begins = |scheme: &&[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    [&b"http://"[..], b"https://"].iter().find(|scheme| begins(scheme)).map(|scheme| scheme.len())
}

/// Returns whether an authority ends in a port that is not empty.
fn has_port(authority: &[u8]) -> bool {
    let colon = authority.iter().rposition(|&byte| byte == b':');
    colon.is_some_and(|colon| colon + 1 < authority.len() && !authority[colon..].contains(&b']'))
}

/// Returns the end of the path that begins at `at`, and the end of its query.
fn origin_ends(bytes: &[u8], at: usize, has_escapes: &mut bool) -> (usize, usize) {
    let path_end = path_end(bytes, at, has_escapes);
    match bytes.get(path_end) {
        Some(b'?') => (path_end, query_end(bytes, path_end)),
        _ => (path_end, path_end),
    }
}

/// Returns the end of the path that begins at `at`: the first byte that is not allowed in a path.
fn path_end(bytes: &[u8], mut at: usize, has_escapes: &mut bool) -> usize {
    *has_escapes = false;
    loop {
        match bytes.get(at) {
            Some(&byte) if is_in(PATH, byte) => at += 1,
            Some(b'%') if begins_with_escape(&bytes[at..]) => {
                *has_escapes = true;
                at += 3;
            }
            _ => return at,
        }
    }
}

/// Returns the end of the query whose `?` is at `at`.
fn query_end(bytes: &[u8], at: usize) -> usize {
    let len = bytes[at..].iter().position(|&byte| !is_in(QUERY, byte));
    len.map_or(bytes.len(), |len| at + len)
}

/// Sets of bytes, as bits of [`SETS`].
const PATH: u8 = 1;
const QUERY: u8 = 2;
const NAME: u8 = 4;

/// The sets that each byte belongs to. Saves 51 of 780 instructions per pipelined GET.
static SETS: [u8; 256] = {
    let mut sets = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        sets[at] = if is_path_byte(byte) { PATH } else { 0 }
            | if is_query_byte(byte) { QUERY } else { 0 }
            | if is_name_byte(byte) { NAME } else { 0 };
        at += 1;
    }
    sets
};

fn is_in(set: u8, byte: u8) -> bool {
    SETS[usize::from(byte)] & set != 0
}

/// The visible bytes, which clients send in a path without escapes. RFC 3986 allows fewer, but no part
/// of the server gives the others a meaning. Not `?`, which ends a path, and not `%`, which is only
/// allowed before two hex digits. Not `#`: a fragment is never sent. Not the backslash, since browsers
/// and some proxies read it as a slash.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'%' | b'?' | b'#' | b'\\')
}

/// The visible bytes but `#`.
const fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

/// Returns whether `bytes` are `host [":" port]` (RFC 3986, section 3.2, without user information),
/// where the host is a name, an IPv4 address, or an IPv6 address in brackets. Stricter than the RFC
/// in one point: a comma is refused, since it is the sign of two merged `Host` lines.
#[inline(always)]
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    let name_len = bytes.iter().position(|&byte| !is_in(NAME, byte)).unwrap_or(bytes.len());
    match &bytes[name_len..] {
        [] => name_len > 0,
        [b':', port @ ..] => name_len > 0 && is_port(port),
        [b'[', rest @ ..] => name_len == 0 && is_bracketed(rest),
        _ => false,
    }
}

/// Returns whether the bytes after `[` are an address, `]` and an optional port.
fn is_bracketed(rest: &[u8]) -> bool {
    let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
    let is_port = match &rest[end + 1..] {
        [] => true,
        [b':', port @ ..] => is_port(port),
        _ => false,
    };
    is_port && is_ip_literal(&rest[..end])
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

/// Returns whether a port is empty, as RFC 3986 allows, or a number up to 65,535.
fn is_port(port: &[u8]) -> bool {
    let number = port.iter().try_fold(0u32, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(number * 10 + digit).filter(|&number| number <= 65_535)
    });
    number.is_some()
}

/// Returns whether `bytes` are an IPv6 address with an optional zone (RFC 6874).
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
    use crate::http1::scan::Scan;
    use crate::http1::{Head, HeadLimits, Reject};

    /// Parses a whole head, which decides whether a target is accepted.
    fn parse(input: &[u8]) -> Result<RequestLine, Reject> {
        let limits =
            HeadLimits { head_bytes_max: 16 << 10, target_bytes_max: 8 << 10, fields_max: 100 };
        let mut head = Head::new();
        assert!(head.parse(input, Scan::new(), &limits)?.is_none(), "the head is complete");
        Ok(head.line)
    }

    fn target(method: &str, target: &str) -> Result<TargetForm, Reject> {
        let input = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        parse(input.as_bytes()).map(|line| line.form)
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
        assert_eq!(target("GET", "/\"<a>^`{b|c}[d]?\"<e>"), Ok(TargetForm::Origin));
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
        let line = parse(input).unwrap();
        assert_eq!(line.path.of(input), b"/p/q");
        assert_eq!(line.authority.unwrap().of(input), b"h:1");
    }
}
