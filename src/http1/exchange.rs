//! One request and its response: the progress of the content in both directions, and the demands of
//! the request on its response (RFC 9112, sections 6 and 9.3).
//!
//! [`connection`](super::connection) decides when an exchange begins, and how the connection goes
//! on after it.

use std::borrow::Cow;
use std::ops::Range;

use http::StatusCode;

use crate::http1::chunked::{Decoded, Decoder};
use crate::http1::encode::Encoder;
use crate::http1::framing::{self, AskedBy, Framing, Outgoing};
use crate::http1::head::Head;
use crate::http1::persistence::{self, Circumstances, CloseReason, Facts, PeerKeeps, Then};
use crate::http1::response_head::{ConnectionField, Content, ResponseHead};
use crate::http1::Reject;
use crate::message::request::Version;

/// One request and its response: two halves, each with its own progress.
///
/// Invariant: `then` is decided exactly when `outbound` is not `Awaited`.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    pub(super) asked: Asked,
    pub(super) taker: Taker,
    pub(super) then: Then,
    /// The number of bytes of content that may still be discarded.
    pub(super) discard_left: u64,
}

/// The taker of the content of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    /// None: the content is read and dropped once the response is under way.
    Discard,
    Handler,
    /// The handler, which takes no more for the time being.
    PausedHandler,
}

/// The taker of the client's bytes while the state stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The parser of heads.
    Head,
    /// The handler, or the discard: content of the request.
    Content,
    /// The handler takes no content for now, although it may come or has come.
    Paused,
    /// The protocol after an upgrade.
    Protocol,
    /// The discard: the connection lingers, until more than so many bytes have come.
    Linger { bytes_left: u32 },
    /// None: nothing is read.
    None,
}

/// The demands of the request on its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) by: AskedBy,
    peer_keeps: PeerKeeps,
    /// `100 Continue` is expected and was not sent.
    pub(super) continue_pending: bool,
}

#[derive(Debug)]
pub(super) enum Inbound {
    /// So many bytes are still to come: at least one.
    Length(u64),
    Chunked(Decoder),
    Done,
}

#[derive(Debug)]
pub(super) enum Outbound {
    Awaited,
    /// So many bytes are still to be sent: at least one.
    Length(u64),
    Chunked,
    UntilClose,
    Done,
}

/// The meaning of bytes that were received.
#[derive(Debug)]
pub(crate) enum Step {
    /// A piece of content, at this place in the input that was given; empty where only framing was
    /// taken. [`Connection::has_all_content`](super::Connection::has_all_content) says whether it
    /// was the last.
    Content(Range<usize>),
    /// Content in chunks is complete, and this is its trailer section.
    End(Range<usize>),
    /// More input is needed. Bytes that were not used must be passed again, with more after them.
    More,
    /// The rest of the content is malformed, and was only to be discarded. The response is finished
    /// and the connection closes after it.
    Abandoned(Reject),
}

/// A handler's response, as far as its head shows it.
#[derive(Debug)]
pub(crate) struct ResponseParts<'a> {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<&'a Cow<'static, str>>,
    pub(crate) lines: &'a [u8],
    /// The length of the content, if it is known.
    pub(crate) length: Option<u64>,
    pub(crate) close: bool,
    /// The content, if it goes out with the head.
    pub(crate) content: Content<'a>,
}

impl Exchange {
    pub(super) fn begin(head: &Head) -> Exchange {
        Exchange {
            inbound: match head.framing {
                Framing::Length(0) => Inbound::Done,
                Framing::Length(length) => Inbound::Length(length),
                Framing::Chunked => Inbound::Chunked(Decoder::new()),
            },
            outbound: Outbound::Awaited,
            asked: Asked::by(head),
            taker: Taker::Discard,
            then: Then::Close(CloseReason::Refused),
            discard_left: 0,
        }
    }

    /// Returns the taker of the client's bytes. Content that the handler has not asked for waits
    /// until the response has begun.
    pub(super) fn input(&self) -> Input {
        match (self.taker, &self.inbound, &self.outbound) {
            (Taker::PausedHandler, ..) => Input::Paused,
            (_, Inbound::Done, _) | (Taker::Discard, _, Outbound::Awaited) => Input::None,
            _ => Input::Content,
        }
    }

    /// Returns whether the response has been sent, and the content is complete or not waited for. A
    /// handler that takes content gets all of it; content to be discarded only matters to a next
    /// request.
    pub(super) fn is_complete(&self) -> bool {
        let is_awaited = self.taker != Taker::Discard || self.then == Then::Reuse;
        matches!(self.outbound, Outbound::Done)
            && (matches!(self.inbound, Inbound::Done) || !is_awaited)
    }

    /// Gives up content that cannot be read to its end, if the response has begun and the content
    /// is only discarded. The response is finished, and is the last one. Returns `false`, and does
    /// nothing, if the content is needed.
    pub(super) fn abandon_content(&mut self) -> bool {
        if self.taker != Taker::Discard || matches!(self.outbound, Outbound::Awaited) {
            return false;
        }
        self.inbound = Inbound::Done;
        self.then = Then::Close(CloseReason::ContentUnread);
        true
    }

    pub(super) fn content_left(&self) -> u64 {
        match &self.inbound {
            Inbound::Length(left) => *left,
            Inbound::Chunked(decoder) => decoder.left(),
            Inbound::Done => 0,
        }
    }

    /// Takes content from the start of `input`. Returns the number of bytes used, and their
    /// meaning.
    pub(super) fn receive(&mut self, input: &[u8]) -> Result<(usize, Step), Reject> {
        debug_assert!(self.input() == Input::Content);
        let (used, decoded) = match &mut self.inbound {
            Inbound::Done => return Ok((0, Step::More)),
            Inbound::Length(_) if input.is_empty() => return Ok((0, Step::More)),
            Inbound::Length(left) => {
                let len = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= len as u64;
                if *left == 0 {
                    self.inbound = Inbound::Done;
                }
                (len, Decoded::Piece(0..len))
            }
            Inbound::Chunked(decoder) => match decoder.decode(input) {
                Ok(decoded) => decoded,
                Err(reject) if self.abandon_content() => {
                    return Ok((0, Step::Abandoned(reject)));
                }
                Err(reject) => return Err(reject),
            },
        };
        let step = match decoded {
            Decoded::More => Step::More,
            Decoded::End(section) => {
                self.inbound = Inbound::Done;
                Step::End(section)
            }
            Decoded::Piece(piece) => {
                if self.taker == Taker::Discard {
                    self.discard(piece.len() as u64);
                }
                Step::Content(piece)
            }
        };
        Ok((used, step))
    }

    /// Counts discarded content. Too much of it ends the connection after the response.
    fn discard(&mut self, len: u64) {
        match self.discard_left.checked_sub(len) {
            Some(left) => self.discard_left = left,
            None => self.then = Then::Close(CloseReason::ContentUnread),
        }
    }
}

impl Asked {
    #[inline(always)]
    pub(super) fn by(head: &Head) -> Asked {
        Asked {
            version: head.line.version,
            by: AskedBy::of(&head.line.method),
            peer_keeps: head.peer_keeps,
            continue_pending: head.expects_continue,
        }
    }

    /// Decides how the response is framed and whether the connection is kept, and writes the head.
    #[inline(always)]
    pub(super) fn respond(
        &self,
        out: &mut Vec<u8>,
        content_left: u64,
        parts: &ResponseParts<'_>,
        encoder: &mut Encoder,
        circumstances: &Circumstances,
    ) -> (Outgoing, Then) {
        let outgoing = framing::outgoing(self.by, self.version, parts.status, parts.length);
        let then = persistence::decide(&Facts {
            circumstances: *circumstances,
            peer_keeps: self.peer_keeps,
            handler_closes: parts.close,
            ends_by_close: matches!(outgoing, Outgoing::UntilClose | Outgoing::Tunnel),
            continue_pending: self.continue_pending,
            content_left,
        });
        let connection = match (then, self.version) {
            (Then::Reuse, _) if self.peer_keeps == PeerKeeps::Asked => ConnectionField::KeepAlive,
            (Then::Reuse, _) | (Then::Close(_), Version::Http10) => ConnectionField::Unsaid,
            (Then::Close(_), Version::Http11) => ConnectionField::Close,
        };
        let head = ResponseHead {
            version: self.version,
            status: parts.status,
            content_type: parts.content_type,
            lines: parts.lines,
            outgoing,
            connection,
            content: parts.content,
        };
        encoder.head(out, &head);
        (outgoing, then)
    }
}
