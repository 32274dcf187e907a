//! Request targets (RFC 9112, section 3.2), hosts (RFC 9110, section 7.2) and the parts of URIs
//! that they are made of (RFC 3986, sections 2 and 3, and appendix A).

use super::differences::{Difference, Differences};
use super::reader::{is_vchar, Match, BAD};

/// A well-formed target.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// The authority of an absolute target, or of CONNECT.
    pub(crate) authority: Option<&'a [u8]>,
}

/// The form of a target follows from its method and its first bytes.
pub(crate) fn target<'a>(
    method: &[u8],
    target: &'a [u8],
    differences: &Differences,
) -> Match<Target<'a>> {
    let is_asterisk = target == b"*"
        && (method == b"OPTIONS" || differences.has(Difference::AsteriskForAnyMethod));
    if method == b"CONNECT" {
        // authority-form = uri-host ":" port, with a port (RFC 9110, section 9.3.6).
        let has_port = split_port(target).is_some_and(|(_, port)| port.is_some_and(is_port_number));
        let is_good = has_port && is_authority(target, differences);
        return is_good.then_some(Target { authority: Some(target) }).ok_or(BAD);
    }
    if is_asterisk || is_origin_form(target, differences) {
        return Ok(Target { authority: None });
    }
    absolute_form(target, differences).ok_or(BAD)
}

/// A port that can be connected to.
fn is_port_number(port: &[u8]) -> bool {
    let number = std::str::from_utf8(port).ok().and_then(|text| text.parse::<u32>().ok());
    number.is_some_and(|number| number <= 65_535)
}

/// `origin-form = absolute-path [ "?" query ]`, `absolute-path = 1*( "/" segment )`.
fn is_origin_form(target: &[u8], differences: &Differences) -> bool {
    target.starts_with(b"/") && is_path_and_query(target, differences)
}

/// `path-abempty [ "?" query ]`.
fn is_path_and_query(text: &[u8], differences: &Differences) -> bool {
    let (path, query) = match text.iter().position(|&byte| byte == b'?') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let is_path_byte = |byte: u8| {
        is_pchar(byte)
            || byte == b'/'
            || b"[]|\"<>^`{}".contains(&byte) && differences.has(Difference::PathBytes)
    };
    let is_query_byte = |byte: u8| {
        let is_wide = is_vchar(byte) && byte != b'#';
        is_pchar(byte)
            || b"/?".contains(&byte)
            || is_wide && differences.has(Difference::QueryBytes)
    };
    let is_path = path.is_empty() || path.starts_with(b"/") && escaped(path, is_path_byte);
    let is_query = |query: &[u8]| match differences.has(Difference::QueryBytes) {
        true => query.iter().all(|&byte| is_query_byte(byte)),
        false => escaped(query, is_query_byte),
    };
    is_path && query.is_none_or(is_query)
}

/// `absolute-form = absolute-URI` (RFC 3986, section 4.3). User information in it is an error
/// (RFC 9110, section 4.2.4), and http and https URIs have a host (section 4.2.1).
fn absolute_form<'a>(target: &'a [u8], differences: &Differences) -> Option<Target<'a>> {
    let colon = target.iter().position(|&byte| byte == b':')?;
    let (scheme, rest) = (&target[..colon], &target[colon + 1..]);
    if scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https") {
        let rest = rest.strip_prefix(b"//")?;
        let end = rest.iter().position(|&b| b == b'/' || b == b'?').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let has_host = !authority.is_empty() && !authority.starts_with(b":");
        let is_good = has_host
            && is_authority(authority, differences)
            && is_path_and_query(path, differences);
        return is_good.then_some(Target { authority: Some(authority) });
    }
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|&b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let is_good = is_scheme && escaped(rest, |byte| is_pchar(byte) || b"/?[]".contains(&byte));
    // A server that is not a proxy can do nothing with its authority.
    (is_good && !differences.has(Difference::OtherScheme)).then_some(Target { authority: None })
}

/// `Host = uri-host [ ":" port ]`. The host, and so the field, may be empty.
pub(crate) fn is_host_field(value: &[u8], differences: &Differences) -> bool {
    value.is_empty() || is_authority(value, differences)
}

/// `uri-host [ ":" port ]`.
fn is_authority(text: &[u8], differences: &Differences) -> bool {
    let Some((host, port)) = split_port(text) else { return false };
    let port = port.unwrap_or_default();
    // port = *DIGIT
    let is_port = port.iter().all(u8::is_ascii_digit)
        && (port.is_empty() || is_port_number(port) || !differences.has(Difference::LargePort));
    is_port && is_host(host, differences)
}

/// Splits at the colon before a port, which is after the bracket of an address.
fn split_port(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let host_end = match text.first() {
        Some(b'[') => text.iter().position(|&byte| byte == b']')? + 1,
        _ => text.iter().position(|&byte| byte == b':').unwrap_or(text.len()),
    };
    match &text[host_end..] {
        [] => Some((text, None)),
        [b':', port @ ..] => Some((&text[..host_end], Some(port))),
        _ => None,
    }
}

/// `host = IP-literal / IPv4address / reg-name`. Every IPv4 address is a name, too.
fn is_host(host: &[u8], differences: &Differences) -> bool {
    if let Some(rest) = host.strip_prefix(b"[") {
        return rest.strip_suffix(b"]").is_some_and(|literal| is_literal(literal, differences));
    }
    if host.is_empty() {
        return !differences.has(Difference::EmptyHostWithPort);
    }
    let is_name_byte = |byte: u8| {
        let is_comma = byte == b',' && differences.has(Difference::CommaInHost);
        (is_unreserved(byte) || is_sub_delim(byte)) && !is_comma
    };
    match differences.has(Difference::PercentInHost) {
        true => host.iter().all(|&byte| is_name_byte(byte) || byte == b'%'),
        false => escaped(host, is_name_byte),
    }
}

/// `IP-literal = "[" ( IPv6address / IPvFuture ) "]"`.
fn is_literal(literal: &[u8], differences: &Differences) -> bool {
    if let [b'v' | b'V', ..] = literal {
        return is_future(literal) && !differences.has(Difference::FutureAddress);
    }
    match literal.iter().position(|&byte| byte == b'%') {
        Some(at) if differences.has(Difference::AddressWithZone) => {
            let zone = &literal[at + 1..];
            let is_zone_byte = |byte: &u8| {
                *byte == b'%' || is_unreserved(*byte) || is_sub_delim(*byte) && *byte != b','
            };
            is_ipv6(&literal[..at]) && !zone.is_empty() && zone.iter().all(is_zone_byte)
        }
        _ => is_ipv6(literal),
    }
}

/// `IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`.
fn is_future(literal: &[u8]) -> bool {
    let Some(dot) = literal.iter().position(|&byte| byte == b'.') else { return false };
    let (version, address) = (&literal[1..dot], &literal[dot + 1..]);
    let is_address_byte = |byte: &u8| is_unreserved(*byte) || is_sub_delim(*byte) || *byte == b':';
    !version.is_empty()
        && version.iter().all(u8::is_ascii_hexdigit)
        && !address.is_empty()
        && address.iter().all(is_address_byte)
}

/// The nine lines of `IPv6address`: eight groups, or fewer with one `::` for at least one of them.
fn is_ipv6(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    match text.split_once("::") {
        None => groups(text, true) == Some(8),
        Some((before, after)) => {
            let before = if before.is_empty() { Some(0) } else { groups(before, false) };
            let after = if after.is_empty() { Some(0) } else { groups(after, true) };
            matches!((before, after), (Some(before), Some(after)) if before + after <= 7)
        }
    }
}

/// The number of 16-bit groups; the last two may be an IPv4 address at the end.
fn groups(text: &str, is_end: bool) -> Option<usize> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut count = 0;
    for (at, part) in parts.iter().enumerate() {
        let is_h16 = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        if is_h16 {
            count += 1;
        } else if is_end && at + 1 == parts.len() && is_ipv4(part) {
            count += 2;
        } else {
            return None;
        }
    }
    Some(count)
}

/// `IPv4address = dec-octet "." dec-octet "." dec-octet "." dec-octet`.
fn is_ipv4(text: &str) -> bool {
    let is_octet = |part: &str| {
        let is_number =
            !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
        is_number && (part == "0" || !part.starts_with('0')) && part.parse::<u32>().unwrap() <= 255
    };
    text.split('.').count() == 4 && text.split('.').all(is_octet)
}

/// Whether `text` is made of bytes of a set and of `pct-encoded = "%" HEXDIG HEXDIG`.
fn escaped(text: &[u8], is: impl Fn(u8) -> bool) -> bool {
    let mut at = 0;
    while at < text.len() {
        match &text[at..] {
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => at += 3,
            [byte, ..] if *byte != b'%' && is(*byte) => at += 1,
            _ => return false,
        }
    }
    true
}

/// `pchar`, without its escapes.
fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte) || is_sub_delim(byte) || byte == b':' || byte == b'@'
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_sub_delim(byte: u8) -> bool {
    b"!$&'()*+,;=".contains(&byte)
}
