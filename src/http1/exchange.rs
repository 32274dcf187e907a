//! One request and its answer: how far content has come in and gone out, and what the request
//! said about its answer (RFC 9112, sections 6 and 9.3).
//!
//! When an exchange begins and what follows it is not known here: see
//! [`connection`](super::connection).

use std::borrow::Cow;
use std::ops::Range;

use http::StatusCode;

use crate::http1::chunked::{Decoded, Decoder};
use crate::http1::encode::{ConnectionField, Content, Encoder, ResponseHead};
use crate::http1::framing::{self, AskedBy, Framing, Outgoing};
use crate::http1::head::Head;
use crate::http1::persistence::{self, CloseReason, Facts, Then};
use crate::http1::Reject;
use crate::message::request::Version;

/// One request and its answer: two halves, each with its own progress.
///
/// Invariant: `then` is decided exactly when `outbound` is not `Awaited`.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    pub(super) asked: Asked,
    /// The handler takes the content; if not, it is discarded.
    pub(super) is_wanted: bool,
    /// The handler takes no more for the time being.
    pub(super) is_paused: bool,
    pub(super) then: Then,
    /// How much content may still be discarded.
    pub(super) discard_left: u64,
}

/// What the request says about its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) by: AskedBy,
    peer_keeps: bool,
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

/// What was found in the input.
#[derive(Debug)]
pub(crate) enum Step {
    /// A piece of content, at this place in the input that was given; empty where only framing
    /// was taken. Ask [`Connection::has_all_content`](super::Connection::has_all_content) after it.
    Content(Range<usize>),
    /// Content in chunks is complete, and this is its trailer section.
    End(Range<usize>),
    /// More is needed. What was not used must come again, with more behind it.
    More,
    /// Nothing is taken from the input now: the answer comes first.
    Busy,
}

/// What the handler answered, as far as the head shows it.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<&'a Cow<'static, str>>,
    pub(crate) lines: &'a [u8],
    /// The length of the content, if it is known.
    pub(crate) length: Option<u64>,
    pub(crate) close: bool,
    /// The content, if it goes out with the head.
    pub(crate) content: Content<'a>,
}

/// What the reactor knows and the decision about reuse needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) server_closes: Option<CloseReason>,
    pub(crate) requests_left: bool,
    pub(crate) discard_bytes_max: u64,
    pub(crate) linger_bytes_max: u32,
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
            is_wanted: false,
            is_paused: false,
            then: Then::Close(CloseReason::Refused),
            discard_left: 0,
        }
    }

    pub(super) fn wants_input(&self) -> bool {
        let is_taken = self.is_wanted || !matches!(self.outbound, Outbound::Awaited);
        is_taken && !self.is_paused && !matches!(self.inbound, Inbound::Done)
    }

    /// Whether the answer has been sent, and the content is there or not waited for: who takes it
    /// gets all of it, and what is to be discarded only matters to a next request.
    pub(super) fn is_complete(&self) -> bool {
        let is_awaited = self.is_wanted || self.then == Then::Reuse;
        matches!(self.outbound, Outbound::Done)
            && (matches!(self.inbound, Inbound::Done) || !is_awaited)
    }

    #[inline(always)]
    pub(super) fn abandon_content(&mut self) -> bool {
        let is_missed = self.is_wanted || matches!(self.outbound, Outbound::Awaited);
        if !is_missed {
            self.inbound = Inbound::Done;
            self.then = Then::Close(CloseReason::ContentUnread);
        }
        !is_missed
    }

    pub(super) fn content_left(&self) -> u64 {
        match &self.inbound {
            Inbound::Length(left) => *left,
            Inbound::Chunked(decoder) => decoder.left(),
            Inbound::Done => 0,
        }
    }

    pub(super) fn receive(&mut self, input: &[u8]) -> Result<(usize, Step), Reject> {
        if !self.wants_input() {
            return Ok((0, Step::Busy));
        }
        let (used, decoded) = match &mut self.inbound {
            Inbound::Length(left) => {
                let len = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= len as u64;
                if len == 0 {
                    return Ok((0, Step::More));
                }
                if *left == 0 {
                    self.inbound = Inbound::Done;
                }
                (len, Decoded::Piece(0..len))
            }
            Inbound::Chunked(decoder) => decoder.decode(input)?,
            Inbound::Done => (0, Decoded::End(0..0)),
        };
        let step = match decoded {
            Decoded::More => Step::More,
            Decoded::End(section) => {
                self.inbound = Inbound::Done;
                Step::End(section)
            }
            Decoded::Piece(piece) if self.is_wanted => Step::Content(piece),
            Decoded::Piece(piece) => {
                // Discarded. Too much of it ends the connection after the answer.
                match self.discard_left.checked_sub(piece.len() as u64) {
                    Some(left) => self.discard_left = left,
                    None => self.then = Then::Close(CloseReason::ContentUnread),
                }
                Step::Content(piece)
            }
        };
        Ok((used, step))
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

    /// Decides how the answer is framed and what comes after it, and writes its head.
    #[inline(always)]
    pub(super) fn respond(
        &self,
        out: &mut Vec<u8>,
        content_left: u64,
        answer: &Answer<'_>,
        encoder: &mut Encoder,
        circumstances: &Circumstances,
    ) -> (Outgoing, Then) {
        let outgoing = framing::outgoing(self.by, self.version, answer.status, answer.length);
        let then = persistence::decide(&Facts {
            peer_keeps: self.peer_keeps,
            handler_closes: answer.close,
            server_closes: circumstances.server_closes,
            requests_left: circumstances.requests_left,
            ends_by_close: matches!(outgoing, Outgoing::UntilClose | Outgoing::Tunnel),
            continue_pending: self.continue_pending,
            content_left,
            discard_max: circumstances.discard_bytes_max,
        });
        let connection = match (then, self.version) {
            (Then::Reuse, Version::Http11) | (Then::Close(_), Version::Http10) => {
                ConnectionField::Unsaid
            }
            (Then::Reuse, Version::Http10) => ConnectionField::KeepAlive,
            (Then::Close(_), Version::Http11) => ConnectionField::Close,
        };
        let head = ResponseHead {
            version: self.version,
            status: answer.status,
            content_type: answer.content_type,
            lines: answer.lines,
            outgoing,
            connection,
            content: answer.content,
        };
        encoder.head(out, &head);
        (outgoing, then)
    }
}
