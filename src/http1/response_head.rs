//! The head of a response as a value, between the decision and the encoder.

use std::borrow::Cow;

use http::StatusCode;

use crate::http1::framing::Outgoing;
use crate::message::fields::Fields;
use crate::message::request::Version;

const TEXT_PLAIN: &str = "text/plain";

/// Everything that goes into the head of a final response, except the date.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseHead<'a> {
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<&'a Cow<'static, str>>,
    /// Further field lines, each checked and ended by CRLF.
    pub(crate) lines: &'a [u8],
    pub(crate) outgoing: Outgoing,
    pub(crate) connection: ConnectionField,
    /// Content that is sent with the head if the framing allows any.
    pub(crate) content: Content<'a>,
}

impl ResponseHead<'_> {
    /// Whether the head forbids browsers to take plain text for anything else. It does for an error, whose
    /// text may repeat a part of the request, unless the program has set the field.
    pub(super) fn is_text_only(&self) -> bool {
        let is_error = self.status.is_client_error() || self.status.is_server_error();
        let start = self.content_type.and_then(|media_type| media_type.get(..TEXT_PLAIN.len()));
        let is_text = start.is_some_and(|start| start.eq_ignore_ascii_case(TEXT_PLAIN));
        is_error && is_text && !Fields::encoded(None, self.lines).contains("x-content-type-options")
    }
}

/// Small content that is at hand when the head is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    /// None, or it follows later.
    None,
    /// Bytes that are part of the program.
    Static(&'static [u8]),
    Shared(&'a [u8]),
}

/// The value of the `Connection` field, if there must be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionField {
    Unsaid,
    Close,
    KeepAlive,
}
