//! Every reason for which a request is refused, and the status of each.
//!
//! A refusal is an ordinary transition of the state machine: the response is written, the
//! connection lingers and closes, and no further byte of it is parsed. The reason is logged. The
//! peer gets the status and its standard phrase, never its own bytes.

use http::StatusCode;

/// The reason why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reject {
    /// The request line is not `method SP target SP version CRLF` (RFC 9112, section 3).
    RequestLine,
    /// A field line is not `name ":" OWS value OWS CRLF`: obs-fold, bare LF, space before the
    /// colon, a control byte (RFC 9112, section 5).
    FieldLine,
    /// The method is longer than any that exists (RFC 9112, section 3, recommends 501).
    MethodTooLong,
    /// The target has none of the four forms, or a byte that is not allowed in a target.
    Target,
    /// The target is longer than `target_bytes_max`.
    TargetTooLong,
    /// The head is longer than `head_bytes_max`.
    HeadTooLarge,
    /// The head has more than `fields_max` lines.
    TooManyFields,
    /// A major version other than 1.
    Version,
    /// No `Host` in HTTP/1.1, or more than one, or not `host[:port]` (RFC 9112, section 3.2).
    Host,
    /// Both `Content-Length` and `Transfer-Encoding`, or either of them twice (RFC 9112, section
    /// 6.3).
    AmbiguousFraming,
    /// `Content-Length` is not 1 to 19 digits below 2^63.
    ContentLength,
    /// `Transfer-Encoding` in HTTP/1.0, or with a list, or without a coding.
    TransferEncoding,
    /// One well-formed transfer coding, but not `chunked`.
    UnknownCoding,
    /// An expectation other than `100-continue` (RFC 9110, section 10.1.1).
    Expectation,
    /// A malformed chunk or trailer section (RFC 9112, section 7.1).
    Chunk,
    /// The peer ended its side in the middle of a head or of content.
    CutShort,
    /// The head did not arrive within `head_timeout`.
    HeadTimeout,
    /// Content arrived slower than `content_rate_min`.
    ContentTimeout,
    /// There is more content than the handler wants to collect.
    ContentTooLarge,
    /// Memory is exhausted: there is no room for new content.
    Overloaded,
    /// The program did not respond, or paused the content, for longer than `handler_timeout`.
    HandlerTimeout,
    /// The handler panicked, or returned a response that cannot be sent.
    Internal,
}

impl Reject {
    /// Returns the status of the response to the peer.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Reject::RequestLine
            | Reject::FieldLine
            | Reject::Target
            | Reject::Host
            | Reject::AmbiguousFraming
            | Reject::ContentLength
            | Reject::TransferEncoding
            | Reject::Chunk
            | Reject::CutShort => StatusCode::BAD_REQUEST,
            Reject::HeadTimeout | Reject::ContentTimeout => StatusCode::REQUEST_TIMEOUT,
            Reject::ContentTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reject::TargetTooLong => StatusCode::URI_TOO_LONG,
            Reject::Expectation => StatusCode::EXPECTATION_FAILED,
            Reject::HeadTooLarge | Reject::TooManyFields => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Reject::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Reject::HandlerTimeout => StatusCode::GATEWAY_TIMEOUT,
            Reject::MethodTooLong | Reject::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Reject::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Reject::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }

    /// Returns the field lines that the response has for this reason. An overload is over when those
    /// that cause it have given way, which takes a second at most (RFC 9110, section 10.2.3).
    pub(crate) fn field_lines(self) -> &'static [u8] {
        match self {
            Reject::Overloaded => b"Retry-After: 1\r\n",
            _ => b"",
        }
    }
}
