//! What goes out: informational answers, the final one and its content, a refusal, or the word after
//! which HTTP is over.
//!
//! Each request gets exactly one final answer, and each way to give it asserts that none has begun.

use std::borrow::Cow;

use http::StatusCode;

use crate::http1::chunked;
use crate::http1::connection::{Connection, Rest, Settled, State, Upgraded};
use crate::http1::encode::{ConnectionField, Content, Encoder, ResponseHead};
use crate::http1::exchange::{Answer, Asked, Circumstances, Outbound};
use crate::http1::framing::{self, AskedBy, Framing, Outgoing};
use crate::http1::head::Head;
use crate::http1::Reject;
use crate::message::informational::Informational;
use crate::message::request::Version;

impl Connection {
    /// Writes an informational answer, which comes before the final one and never goes to
    /// HTTP/1.0 (RFC 9110, section 15.2).
    pub(crate) fn inform(&mut self, out: &mut Vec<u8>, informational: &Informational) {
        let exchange = self.exchange();
        assert!(matches!(exchange.outbound, Outbound::Awaited), "the final answer has begun");
        if exchange.asked.version == Version::Http11 {
            informational.encode(out);
        }
    }

    /// Writes the head of the answer and decides about reuse. The content follows with
    /// [`content_room`](Connection::content_room) and [`transmit`](Connection::transmit), if
    /// [`sends_content`](Connection::sends_content).
    pub(crate) fn respond(
        &mut self,
        out: &mut Vec<u8>,
        answer: &Answer<'_>,
        encoder: &mut Encoder,
        circumstances: &Circumstances,
    ) {
        let exchange = self.exchange();
        assert!(matches!(exchange.outbound, Outbound::Awaited), "one final response per request");
        let content_left = if exchange.is_wanted { 0 } else { exchange.content_left() };
        let (outgoing, then) =
            exchange.asked.respond(out, content_left, answer, encoder, circumstances);
        exchange.then = then;
        exchange.discard_left = circumstances.discard_bytes_max;
        exchange.outbound = match outgoing {
            Outgoing::None | Outgoing::Announced(_) | Outgoing::Length(0) | Outgoing::Tunnel => {
                Outbound::Done
            }
            Outgoing::Length(length) => Outbound::Length(length),
            Outgoing::Chunked => Outbound::Chunked,
            Outgoing::UntilClose => Outbound::UntilClose,
        };
    }

    /// The usual exchange in one step: a request without content, answered with content that is
    /// small and at hand. The same decisions as elsewhere, without the states in between.
    #[inline(always)]
    pub(crate) fn answer_at_once(
        &mut self,
        head: &Head,
        out: &mut Vec<u8>,
        answer: &Answer<'_>,
        encoder: &mut Encoder,
        circumstances: &Circumstances,
    ) -> Settled {
        debug_assert!(self.awaits_head() && head.framing == Framing::Length(0));
        let (_, then) = Asked::by(head).respond(out, 0, answer, encoder, circumstances);
        self.settle_as(then, true, circumstances.linger_bytes_max)
    }

    /// Whether content of the answer is still to be sent.
    #[inline(always)]
    pub(crate) fn sends_content(&self) -> bool {
        matches!(&self.state, State::Exchange(exchange)
            if !matches!(exchange.outbound, Outbound::Awaited | Outbound::Done))
    }

    /// How much content may be put where `room` bytes are free, its framing included.
    pub(crate) fn content_room(&self, room: usize) -> usize {
        let State::Exchange(exchange) = &self.state else { return 0 };
        match exchange.outbound {
            Outbound::Awaited | Outbound::Done => 0,
            Outbound::Length(left) => usize::try_from(left).map_or(room, |left| left.min(room)),
            Outbound::Chunked => {
                room.saturating_sub(chunked::CHUNK_ROOM + chunked::LAST_CHUNK.len())
            }
            Outbound::UntilClose => room,
        }
    }

    /// Frames the content that was put into `out` from `start` on.
    #[inline(always)]
    pub(crate) fn transmit(&mut self, out: &mut Vec<u8>, start: usize) {
        let sent = out.len() - start;
        match self.exchange().outbound {
            Outbound::Chunked => chunked::close_chunk(out, start),
            _ => self.transmit_elsewhere(sent as u64),
        }
    }

    /// Counts content that goes to the socket by another way: shared bytes, a file. Its length
    /// was announced, or closing ends it.
    pub(crate) fn transmit_elsewhere(&mut self, sent: u64) {
        let outbound = &mut self.exchange().outbound;
        match outbound {
            Outbound::Length(left) if *left > sent => *left -= sent,
            Outbound::Length(left) => {
                assert_eq!(*left, sent, "`content_room` bounds what is sent");
                *outbound = Outbound::Done;
            }
            Outbound::UntilClose => {}
            Outbound::Awaited | Outbound::Chunked | Outbound::Done => {
                assert_eq!(sent, 0, "content is sent where there is some");
            }
        }
    }

    /// Whether content of this length, which may be none, goes out with an answer of this status.
    pub(crate) fn would_send_content(&mut self, status: StatusCode, length: Option<u64>) -> bool {
        let outgoing = self.outgoing(status, length);
        !matches!(outgoing, Outgoing::None | Outgoing::Announced(_) | Outgoing::Tunnel)
    }

    /// Whether an answer with this status and content of unknown length goes out in chunks, so
    /// that trailer fields can follow it.
    pub(crate) fn would_send_chunks(&mut self, status: StatusCode) -> bool {
        self.outgoing(status, None) == Outgoing::Chunked
    }

    /// How an answer would be framed.
    fn outgoing(&mut self, status: StatusCode, length: Option<u64>) -> Outgoing {
        let asked = &self.exchange().asked;
        framing::outgoing(asked.by, asked.version, status, length)
    }

    /// Whether content goes out in chunks.
    pub(crate) fn sends_chunks(&self) -> bool {
        matches!(&self.state, State::Exchange(exchange)
            if matches!(exchange.outbound, Outbound::Chunked))
    }

    /// The content of the answer is complete; `false` if less was sent than announced. The lines
    /// of the trailer section are written behind chunks, and nowhere else.
    #[must_use]
    pub(crate) fn end_content(&mut self, out: &mut Vec<u8>, trailer_lines: &[u8]) -> bool {
        let outbound = &mut self.exchange().outbound;
        match outbound {
            Outbound::Length(_) => return false,
            Outbound::Chunked => chunked::end_body(out, trailer_lines),
            Outbound::Awaited | Outbound::UntilClose | Outbound::Done => {}
        }
        *outbound = Outbound::Done;
        true
    }

    /// Whether a refusal can still be told: no final answer has begun.
    pub(crate) fn can_refuse(&self) -> bool {
        match &self.state {
            State::Rest(Rest::New | Rest::Idle) | State::Head(_) => true,
            State::Exchange(exchange) => matches!(exchange.outbound, Outbound::Awaited),
            State::Rest(Rest::Linger(_) | Rest::Closed) | State::Upgraded(_) => false,
        }
    }

    /// Answers with the refusal's status and lingers. Not one more byte is parsed.
    pub(crate) fn refuse(
        &mut self,
        out: &mut Vec<u8>,
        reject: Reject,
        encoder: &mut Encoder,
        linger_bytes_max: u32,
    ) {
        assert!(self.can_refuse(), "one final response per request");
        let by = match &self.state {
            State::Exchange(exchange) => exchange.asked.by,
            State::Rest(_) | State::Head(_) | State::Upgraded(_) => AskedBy::Other,
        };
        let status = reject.status();
        let page = format!("{} {}\n", status.as_u16(), status.canonical_reason().unwrap_or(""));
        let length = page.len() as u64;
        let head = ResponseHead {
            version: Version::Http11,
            status,
            content_type: Some(&TEXT),
            lines: b"",
            outgoing: framing::outgoing(by, Version::Http11, status, Some(length)),
            connection: ConnectionField::Close,
            content: Content::Shared(page.as_bytes()),
        };
        encoder.head(out, &head);
        self.state = State::Rest(Rest::Linger(linger_bytes_max));
    }

    /// Whether the request may be answered by leaving HTTP: its content, if it has any, is there.
    pub(crate) fn can_upgrade(&self) -> bool {
        self.can_refuse() && self.has_all_content()
    }

    /// Writes the answer after which HTTP is over, with neither framing nor a word about reuse: a
    /// 101, or the 2xx of a CONNECT. Bytes belong to a protocol from here on.
    pub(crate) fn upgrade(
        &mut self,
        out: &mut Vec<u8>,
        answer: &Answer<'_>,
        encoder: &mut Encoder,
    ) {
        assert!(self.can_upgrade(), "one final response per request");
        let head = ResponseHead {
            version: Version::Http11,
            status: answer.status,
            content_type: None,
            lines: answer.lines,
            outgoing: Outgoing::None,
            connection: ConnectionField::Unsaid,
            content: Content::None,
        };
        encoder.head(out, &head);
        self.state = State::Upgraded(Upgraded::Spoken);
    }

    /// The protocol has said its last word: our side is ended behind it.
    pub(crate) fn end_upgraded(&mut self, linger_bytes_max: u32) {
        assert!(self.is_upgraded());
        self.state = State::Rest(Rest::Linger(linger_bytes_max));
    }

    /// No answer: what follows the head is somebody else's.
    pub(crate) fn hand_out(&mut self) {
        assert!(self.can_refuse(), "nothing of an answer has been sent");
        self.state = State::Upgraded(Upgraded::HandedOut);
    }
}

/// The type of the pages that refusals have.
static TEXT: Cow<'static, str> = Cow::Borrowed("text/plain; charset=utf-8");
