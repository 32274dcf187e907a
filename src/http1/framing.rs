//! Where a message ends (RFC 9112, section 6): the rule for requests, with every refusal that keeps
//! requests from being smuggled, and the rule for responses.

use http::{Method, StatusCode};

use crate::http1::Reject;
use crate::message::fields::{is_token, trim_ows, FieldSpan};
use crate::message::request::Version;

/// How the content of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This many bytes follow.
    Length(u64),
    /// Chunks follow.
    Chunked,
}

/// How the content of a response is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// None, and no field describes it: 204, 304, HEAD without a known length.
    None,
    /// `Content-Length`, but no content: HEAD, 205.
    Announced(u64),
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Until the connection closes: HTTP/1.0 with an unknown length.
    UntilClose,
    /// None, and HTTP ends here: 2xx to CONNECT (RFC 9110, section 9.3.6). The bytes that the peer
    /// sends after it are not for this server and must not be read as a request.
    Tunnel,
}

impl Outgoing {
    /// Returns whether content goes out at all.
    pub(crate) fn has_content(self) -> bool {
        !matches!(self, Outgoing::None | Outgoing::Announced(_) | Outgoing::Tunnel)
    }
}

/// All lines of one field: how many there are, and the value of the last one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FieldCount<'a> {
    pub(crate) count: usize,
    pub(crate) value: &'a [u8],
}

impl<'a> FieldCount<'a> {
    pub(crate) fn find(head: &'a [u8], spans: &[FieldSpan], name: &str) -> FieldCount<'a> {
        let mut lines = FieldCount::default();
        for span in spans.iter().filter(|span| span.is_named(head, name)) {
            lines.add(span.value(head));
        }
        lines
    }

    pub(crate) fn add(&mut self, value: &'a [u8]) {
        self.count += 1;
        self.value = value;
    }
}

/// Decides how the content of a request is delimited (RFC 9112, section 6.3, steps 3 to 7),
/// and refuses everything that two parsers could read in two ways.
///
/// Stricter than the RFC: repeated `Content-Length` lines are refused even if they are equal, and
/// so is `Transfer-Encoding` together with `Content-Length`.
pub(crate) fn incoming(
    version: Version,
    transfer_encoding: FieldCount<'_>,
    content_length: FieldCount<'_>,
) -> Result<Framing, Reject> {
    if transfer_encoding.count + content_length.count > 1 {
        return Err(Reject::AmbiguousFraming);
    }
    if transfer_encoding.count == 1 {
        if version == Version::Http10 {
            return Err(Reject::TransferEncoding);
        }
        return chunked_only(transfer_encoding.value);
    }
    if content_length.count == 1 {
        return Ok(Framing::Length(parse_length(content_length.value)?));
    }
    Ok(Framing::Length(0))
}

/// Accepts `chunked` alone. Another single coding is unknown (501). A list, parameters, quotes or
/// an empty value counts as malformed (400).
fn chunked_only(value: &[u8]) -> Result<Framing, Reject> {
    let value = trim_ows(value);
    if value.eq_ignore_ascii_case(b"chunked") {
        Ok(Framing::Chunked)
    } else if is_token(value) {
        Err(Reject::UnknownCoding)
    } else {
        Err(Reject::TransferEncoding)
    }
}

/// Parses 1 to 19 digits and nothing else, below 2^63: no sign, no inner space, no list.
fn parse_length(value: &[u8]) -> Result<u64, Reject> {
    let value = trim_ows(value);
    if value.is_empty() || value.len() > 19 {
        return Err(Reject::ContentLength);
    }
    let mut length: u64 = 0;
    for &byte in value {
        if !byte.is_ascii_digit() {
            return Err(Reject::ContentLength);
        }
        // 19 digits fit into 64 bits.
        length = length * 10 + u64::from(byte - b'0');
    }
    if length > i64::MAX as u64 {
        return Err(Reject::ContentLength);
    }
    Ok(length)
}

/// Decides how the content of a response is delimited (RFC 9112, section 6.3, steps 1, 2 and 8;
/// RFC 9110, section 8.6).
#[inline(always)]
pub(crate) fn outgoing(
    asked: AskedBy,
    version: Version,
    status: StatusCode,
    length: Option<u64>,
) -> Outgoing {
    if asked == AskedBy::Connect && status.is_success() {
        return Outgoing::Tunnel;
    }
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Outgoing::None;
    }
    if status == StatusCode::RESET_CONTENT {
        // It has no content and says so (RFC 9110, section 15.3.6).
        return Outgoing::Announced(0);
    }
    match (asked, length, version) {
        (AskedBy::Head, Some(length), _) => Outgoing::Announced(length),
        (AskedBy::Head, None, _) => Outgoing::None,
        (_, Some(length), _) => Outgoing::Length(length),
        (_, None, Version::Http11) => Outgoing::Chunked,
        (_, None, Version::Http10) => Outgoing::UntilClose,
    }
}

/// The methods whose responses are framed in a way of their own, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskedBy {
    Head,
    Connect,
    Other,
}

impl AskedBy {
    #[inline(always)]
    pub(crate) fn of(method: &Method) -> AskedBy {
        // One comparison for nearly all requests.
        if *method == Method::GET {
            return AskedBy::Other;
        }
        match *method {
            Method::HEAD => AskedBy::Head,
            Method::CONNECT => AskedBy::Connect,
            _ => AskedBy::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &str) -> FieldCount<'_> {
        FieldCount { count: 1, value: value.as_bytes() }
    }

    fn length(value: &str) -> Result<Framing, Reject> {
        incoming(Version::Http11, FieldCount::default(), line(value))
    }

    fn coding(value: &str) -> Result<Framing, Reject> {
        incoming(Version::Http11, line(value), FieldCount::default())
    }

    #[test]
    fn a_request_without_either_field_has_no_content() {
        let none = incoming(Version::Http11, FieldCount::default(), FieldCount::default());
        assert_eq!(none, Ok(Framing::Length(0)));
    }

    #[test]
    fn a_length_is_one_to_nineteen_digits_below_two_to_the_63() {
        assert_eq!(length("5"), Ok(Framing::Length(5)));
        assert_eq!(length("0000000000000000005"), Ok(Framing::Length(5)));
        assert_eq!(length("9223372036854775807"), Ok(Framing::Length(i64::MAX as u64)));
        for bad in [
            "",
            "+5",
            "-5",
            "0x5",
            "5_0",
            "1 2",
            "5, 5",
            "5;",
            "5\x0b",
            "a",
            "00000000000000000005",
            "9223372036854775808",
            "18446744073709551616",
        ] {
            assert_eq!(length(bad), Err(Reject::ContentLength), "{bad:?}");
        }
    }

    #[test]
    fn chunked_is_the_only_known_coding_and_its_case_does_not_matter() {
        assert_eq!(coding("chunked"), Ok(Framing::Chunked));
        assert_eq!(coding(" CHUNKED\t"), Ok(Framing::Chunked));
        for unknown in ["xchunked", "gzip", "identity"] {
            assert_eq!(coding(unknown), Err(Reject::UnknownCoding), "{unknown}");
        }
        for bad in ["", "chunked, identity", ",chunked", "\"chunked\"", "\x0bchunked", "chunked;x"]
        {
            assert_eq!(coding(bad), Err(Reject::TransferEncoding), "{bad:?}");
        }
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        let twice = FieldCount { count: 2, value: b"5" };
        let chunked = line("chunked");
        for (te, cl) in
            [(chunked, line("5")), (FieldCount::default(), twice), (twice, FieldCount::default())]
        {
            assert_eq!(incoming(Version::Http11, te, cl), Err(Reject::AmbiguousFraming));
            assert_eq!(incoming(Version::Http10, te, cl), Err(Reject::AmbiguousFraming));
        }
        let in_1_0 = incoming(Version::Http10, chunked, FieldCount::default());
        assert_eq!(in_1_0, Err(Reject::TransferEncoding));
    }

    #[test]
    fn the_framing_of_a_response_suits_the_version_of_its_client() {
        use Version::{Http10, Http11};
        let ok = StatusCode::OK;
        use AskedBy::{Connect, Head, Other};
        assert_eq!(outgoing(Other, Http11, ok, Some(3)), Outgoing::Length(3));
        assert_eq!(outgoing(Other, Http11, ok, None), Outgoing::Chunked);
        assert_eq!(outgoing(Other, Http10, ok, None), Outgoing::UntilClose);
        assert_eq!(outgoing(Head, Http11, ok, Some(3)), Outgoing::Announced(3));
        assert_eq!(outgoing(Head, Http11, ok, None), Outgoing::None);
        assert_eq!(outgoing(Connect, Http11, ok, Some(3)), Outgoing::Tunnel);
        let refused = StatusCode::FORBIDDEN;
        assert_eq!(outgoing(Connect, Http11, refused, Some(3)), Outgoing::Length(3));
        for bodiless in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
            assert_eq!(outgoing(Other, Http11, bodiless, Some(3)), Outgoing::None);
        }
    }
}
