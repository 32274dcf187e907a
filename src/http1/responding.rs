//! The output of a connection: informational responses, the final one and its content, a refusal,
//! or the response after which HTTP is over.
//!
//! Each request gets exactly one final response, and each way to send it asserts that none has
//! begun.

use std::borrow::Cow;

use http::StatusCode;

use crate::http1::chunked;
use crate::http1::connection::{Connection, Rest, State, Upgraded};
use crate::http1::encode::Encoder;
use crate::http1::exchange::{Asked, Outbound, ResponseParts, Taker};
use crate::http1::framing::{self, AskedBy, Framing, Outgoing};
use crate::http1::head::Head;
use crate::http1::persistence::Circumstances;
use crate::http1::response_head::{ConnectionField, Content, ResponseHead};
use crate::http1::Reject;
use crate::message::informational::Informational;
use crate::message::request::Version;

impl Connection {
    /// Writes an informational response. It comes before the final one and is never sent to an
    /// HTTP/1.0 client (RFC 9110, section 15.2).
    ///
    /// # Panics
    ///
    /// If the final response has begun.
    pub(crate) fn inform(&mut self, out: &mut Vec<u8>, informational: &Informational) {
        let exchange = self.exchange();
        assert!(matches!(exchange.outbound, Outbound::Awaited), "the final response has begun");
        if exchange.asked.version == Version::Http11 {
            informational.encode(out);
        }
    }

    /// Returns how a response with this status and content of this length would be framed.
    pub(crate) fn outgoing(&mut self, status: StatusCode, length: Option<u64>) -> Outgoing {
        let asked = &self.exchange().asked;
        framing::outgoing(asked.by, asked.version, status, length)
    }

    /// Writes the head of the response and decides about reuse. If
    /// [`output`](Connection::output) is `Content` afterwards, the caller writes the content with
    /// [`content_room`](Connection::content_room) and [`frame`](Connection::frame).
    pub(crate) fn respond(
        &mut self,
        out: &mut Vec<u8>,
        parts: &ResponseParts<'_>,
        encoder: &mut Encoder,
        circumstances: &Circumstances,
    ) {
        let exchange = self.exchange();
        assert!(matches!(exchange.outbound, Outbound::Awaited), "one final response per request");
        let content_left = match exchange.taker {
            Taker::Discard => exchange.content_left(),
            Taker::Handler | Taker::PausedHandler => 0,
        };
        let (outgoing, then) =
            exchange.asked.respond(out, content_left, parts, encoder, circumstances);
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

    /// Does [`begin`](Connection::begin), [`respond`](Connection::respond) and
    /// [`settle`](Connection::settle) in one step, for a request without content and a response
    /// whose content is at hand. The decisions are the same, without the states in between. Returns
    /// whether the connection is idle now.
    #[inline(always)]
    pub(crate) fn respond_fast(
        &mut self,
        head: &Head,
        out: &mut Vec<u8>,
        parts: &ResponseParts<'_>,
        encoder: &mut Encoder,
        circumstances: &Circumstances,
        is_all_used: bool,
    ) -> bool {
        debug_assert!(head.framing == Framing::Length(0));
        let (_, then) = Asked::by(head).respond(out, 0, parts, encoder, circumstances);
        self.settle_as(then, is_all_used)
    }

    /// Returns the number of bytes of content that fit into `free` bytes together with their
    /// framing.
    pub(crate) fn content_room(&self, free: usize) -> usize {
        let State::Exchange(exchange) = &self.state else { return 0 };
        match exchange.outbound {
            Outbound::Awaited | Outbound::Done => 0,
            Outbound::Length(left) => usize::try_from(left).map_or(free, |left| left.min(free)),
            Outbound::Chunked => {
                free.saturating_sub(chunked::CHUNK_ROOM + chunked::LAST_CHUNK.len())
            }
            Outbound::UntilClose => free,
        }
    }

    /// Frames the content that was put into `out` from `start` on.
    pub(crate) fn frame(&mut self, out: &mut Vec<u8>, start: usize) {
        let len = out.len() - start;
        match self.exchange().outbound {
            Outbound::Chunked => chunked::close_chunk(out, start),
            _ => self.count_sent(len as u64),
        }
    }

    /// Counts content that goes to the socket without passing through `out`: shared bytes, a file.
    /// Its length was announced, or closing ends it.
    pub(crate) fn count_sent(&mut self, sent: u64) {
        let outbound = &mut self.exchange().outbound;
        match outbound {
            Outbound::Length(left) if *left > sent => *left -= sent,
            Outbound::Length(left) => {
                assert_eq!(*left, sent, "`content_room` bounds the bytes sent");
                *outbound = Outbound::Done;
            }
            Outbound::UntilClose => {}
            Outbound::Awaited | Outbound::Chunked | Outbound::Done => {
                assert_eq!(sent, 0, "no content is sent in this state");
            }
        }
    }

    /// Ends the content of the response. Returns `false` if less was sent than announced. The lines
    /// of the trailer section are written after chunks, and nowhere else.
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

    /// Sends the status of the refusal as the last response. Not one more byte is parsed. Returns
    /// `false` if that is too late: a final response has begun, or HTTP is over.
    #[must_use]
    pub(crate) fn refuse(
        &mut self,
        out: &mut Vec<u8>,
        reject: Reject,
        encoder: &mut Encoder,
    ) -> bool {
        let (by, version) = match &self.state {
            State::Rest(Rest::New | Rest::Idle) | State::Head(_) => {
                (AskedBy::Other, Version::Http11)
            }
            State::Exchange(exchange) if matches!(exchange.outbound, Outbound::Awaited) => {
                (exchange.asked.by, exchange.asked.version)
            }
            State::Rest(_) | State::Exchange(_) | State::Upgraded(_) => return false,
        };
        let status = reject.status();
        let page = format!("{} {}\n", status.as_u16(), status.canonical_reason().unwrap_or(""));
        let length = page.len() as u64;
        let head = ResponseHead {
            version,
            status,
            content_type: Some(&TEXT),
            lines: reject.field_lines(),
            outgoing: framing::outgoing(by, version, status, Some(length)),
            connection: ConnectionField::Close,
            content: Content::Shared(page.as_bytes()),
        };
        encoder.head(out, &head);
        self.state = State::Rest(Rest::Ending { is_clean: false });
        true
    }

    /// Writes the response after which HTTP is over, with neither framing nor a `Connection` field
    /// about reuse: a 101, or the 2xx of a CONNECT. A protocol takes the bytes from here on.
    /// Returns `false`, and does nothing, if content of the request is still to come.
    #[must_use]
    pub(crate) fn upgrade(
        &mut self,
        out: &mut Vec<u8>,
        parts: &ResponseParts<'_>,
        encoder: &mut Encoder,
    ) -> bool {
        if !self.has_all_content() {
            return false;
        }
        let exchange = self.exchange();
        assert!(matches!(exchange.outbound, Outbound::Awaited), "one final response per request");
        let head = ResponseHead {
            version: exchange.asked.version,
            status: parts.status,
            content_type: None,
            lines: parts.lines,
            outgoing: Outgoing::None,
            connection: ConnectionField::Unsaid,
            content: Content::None,
        };
        encoder.head(out, &head);
        self.state = State::Upgraded(Upgraded::Open);
        true
    }

    /// Ends the connection of a protocol that has sent its last bytes: our side is shut down after
    /// them.
    pub(crate) fn end_upgraded(&mut self) {
        assert!(matches!(self.state, State::Upgraded(_)));
        self.state = State::Rest(Rest::Ending { is_clean: false });
    }

    /// Hands the stream to the program without a response. The bytes after the head belong to it.
    pub(crate) fn hand_out(&mut self) {
        let exchange = self.exchange();
        assert!(matches!(exchange.outbound, Outbound::Awaited), "nothing of a response was sent");
        self.state = State::Upgraded(Upgraded::HandedOut);
    }
}

/// The media type of the pages of refusals.
static TEXT: Cow<'static, str> = Cow::Borrowed("text/plain; charset=utf-8");
