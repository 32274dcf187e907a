//! The head of a response as a value, between the decision and the encoder.

use std::borrow::Cow;

use http::StatusCode;

use crate::http1::framing::Outgoing;
use crate::message::request::Version;

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
