//! The status of each refusal. The list of reasons is in `stats/kinds.rs`, because they are counted.
//!
//! A refusal is an ordinary transition of the state machine: the response is written, the
//! connection lingers and closes, and no further byte of it is parsed. The reason is logged. The
//! peer gets the status and its standard phrase, never its own bytes.

use http::StatusCode;

pub(crate) use crate::stats::Refusal as Reject;

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
