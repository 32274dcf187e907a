//! One exchange inside a visit: the handler is asked, what it answered is done, content goes to
//! whoever takes it.

use std::mem;

use bytes::Bytes;

use crate::body::Body;
use crate::fields::FieldSpan;
use crate::handler::{Action, Gone, Handler, Reply};
use crate::http1::{Answer, Content, Farewell, Reject, Settled};
use crate::reactor::desk::Desk;
use crate::reactor::hooks::ConnState;
use crate::reactor::kernel::Kernel;
use crate::reactor::slot::{Flags, Slot, Source};
use crate::reactor::visit::{Stop, Visit};
use crate::reactor::{guard, Token};
use crate::request::{ListenerNames, Message, Request, RequestLine};
use crate::response::Response;

/// Content up to this size is copied behind its head, so that both leave in one `write`; above
/// it, copying costs more than the second part of a `writev`.
const INLINE_MAX: usize = 4 << 10;

impl<K: Kernel, H: Handler> Visit<'_, K, H> {
    /// Asks the handler about a request and does what it answers. `input` begins with the head;
    /// `used` moves on if content behind it is taken at once. Whether the connection is idle now,
    /// with nothing held.
    #[inline(always)]
    pub(super) fn answer(&mut self, input: &[u8], used: &mut usize) -> Result<bool, Stop> {
        self.tell(ConnState::Active);
        self.desk.counters.requests += 1;
        // It cannot overflow: at `u32::MAX` there are none left, whatever the limit.
        self.slot.requests += 1;
        let reply = self.with_request(input, |handler, request| handler.handle(request));
        if let Ok(Reply(Action::Respond(response))) = &reply {
            if let Some(settled) = self.answer_at_once(response, input) {
                if response.owns_nothing() {
                    // Its destructor has nothing to do, and is not asked.
                    mem::forget(reply);
                }
                return Ok(settled == Settled::Idle);
            }
        }
        self.desk.work.conn.begin(&self.desk.head);
        self.act(reply, input, used).map(|()| false)
    }

    /// Nearly always: no content came, and what goes is small and ready. How the exchange ended,
    /// if it was so.
    #[inline(always)]
    fn answer_at_once(&mut self, response: &Response, input: &[u8]) -> Option<Settled> {
        let (content, length) = match &response.body {
            Body::Empty => (Content::None, 0),
            Body::Static(bytes) if bytes.len() <= INLINE_MAX => {
                (Content::Static(bytes), bytes.len())
            }
            Body::Bytes(bytes) if bytes.len() <= INLINE_MAX => {
                (Content::Shared(bytes), bytes.len())
            }
            _ => return None,
        };
        if self.desk.head.line.content_length != Some(0) || fault(response).is_some() {
            return None;
        }
        let circumstances = self.circumstances();
        let answer = Answer { content, ..answer(response, Some(length as u64)) };
        let is_all_used = input.len() == self.desk.head.len;
        let Desk { work, head, out, encoder, .. } = &mut *self.desk;
        let settled = work.conn.answer_at_once(head, out, &answer, encoder, &circumstances);
        self.note_settled(settled, is_all_used);
        Some(settled)
    }

    /// Does what was answered, if that is more than a response.
    #[inline(never)]
    fn act(
        &mut self,
        reply: Result<Reply<H::State>, ()>,
        input: &[u8],
        used: &mut usize,
    ) -> Result<(), Stop> {
        match self.unless_panicked(reply)?.0 {
            Action::Respond(mut response) => self.respond(&mut response),
            Action::Collect(collect) => self.collect(collect, input, used),
            Action::Receive(receiver) => self.receive(receiver),
            Action::Transform(both) => self.transform(&both.0, both.1),
        }
    }

    /// A second answer, given when content was had: only a response can follow.
    pub(super) fn answer_after_content(
        &mut self,
        reply: Result<Reply<H::State>, ()>,
    ) -> Result<(), Stop> {
        match self.unless_panicked(reply)?.0 {
            Action::Respond(mut response) => self.respond(&mut response),
            Action::Collect(_) | Action::Receive(_) | Action::Transform(_) => {
                log::error!("a reply asks for content a second time: answer with a Response");
                self.respond(&mut Response::status_page(http::StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }

    #[inline(always)]
    pub(super) fn with_request<R>(
        &mut self,
        input: &[u8],
        call: impl FnOnce(&mut H, &Request<'_>) -> R,
    ) -> Result<R, ()> {
        let Desk { head, handler, listeners, .. } = &mut *self.desk;
        let bytes = &input[..head.len];
        let message = message(self.slot, self.token, listeners, &head.line, bytes, &head.spans);
        let request = Request::new(&message);
        guard(|| call(handler, &request))
    }

    #[inline(always)]
    pub(super) fn unless_panicked<T>(&mut self, result: Result<T, ()>) -> Result<T, Stop> {
        result.map_err(|()| {
            self.desk.counters.panics += 1;
            self.refuse(Reject::Internal, Gone::Stopped)
        })
    }

    /// Ends the content of the answer; short of what was announced, the peer must not take it
    /// for the whole.
    pub(super) fn end_content(&mut self) -> Result<(), Stop> {
        if self.desk.work.conn.end_content(&mut self.desk.out) {
            return Ok(());
        }
        Err(self.broken("less content than its announced length"))
    }

    /// The program broke a promise in the middle of an answer: a reset tells the peer.
    pub(super) fn broken(&mut self, what: &str) -> Stop {
        log::error!("connection {}: answer cut off: {what}", self.token);
        self.desk.counters.cut_off += 1;
        self.over(Farewell::Reset, Gone::Stopped)
    }

    /// The program panicked in the middle of an answer.
    pub(super) fn panicked(&mut self) -> Stop {
        self.desk.counters.panics += 1;
        self.desk.counters.cut_off += 1;
        self.over(Farewell::Reset, Gone::Stopped)
    }

    /// Encodes an answer, with its content if that is small; the rest becomes the source.
    fn respond(&mut self, response: &mut Response) -> Result<(), Stop> {
        self.respond_with_length(response, response.body.len());
        if !self.desk.work.conn.sends_content() {
            return Ok(());
        }
        let small: &[u8] = match &response.body {
            Body::Static(bytes) if bytes.len() <= INLINE_MAX => bytes,
            Body::Bytes(bytes) if bytes.len() <= INLINE_MAX => bytes,
            body => {
                debug_assert!(body.len() != Some(0), "nothing is no source");
                self.desk.work.source = source(mem::replace(&mut response.body, Body::Empty));
                return Ok(());
            }
        };
        // Its length was announced, so there is nothing to put around it.
        self.desk.out.extend_from_slice(small);
        self.desk.work.conn.transmit_elsewhere(small.len() as u64);
        Ok(())
    }

    /// Encodes the head of an answer, or of a 500 if it cannot be sent.
    pub(super) fn respond_with_length(&mut self, response: &Response, length: Option<u64>) {
        if let Some(fault) = fault(response) {
            log::error!("answer replaced by 500: {fault}");
            // Answered like a refusal, which needs no program to be right.
            self.refuse(Reject::Internal, Gone::Stopped);
            return;
        }
        let circumstances = self.circumstances();
        let Desk { work, out, encoder, .. } = &mut *self.desk;
        work.conn.respond(out, &answer(response, length), encoder, &circumstances);
    }
}

/// A head, with what a handler may ask about the connection that it came from.
#[inline(always)]
pub(super) fn message<'a, K: Kernel, S>(
    slot: &'a Slot<K, S>,
    token: Token,
    listeners: &'a ListenerNames,
    line: &'a RequestLine,
    bytes: &'a [u8],
    spans: &'a [FieldSpan],
) -> Message<'a> {
    Message {
        line,
        bytes,
        spans,
        transport: slot.stream.as_ref().expect("a slot that is visited has its stream"),
        value: slot.value.as_deref(),
        id: token.connection_id(),
        requests: slot.requests,
        listener: slot.listener,
        listeners,
        has_left: slot.flags.has(Flags::READ_CLOSED),
    }
}

/// What the head of the answer shows of a response.
#[inline(always)]
fn answer(response: &Response, length: Option<u64>) -> Answer<'_> {
    Answer {
        status: response.status,
        content_type: response.content_type.as_ref(),
        lines: response.lines(),
        length,
        close: response.close,
        content: Content::None,
    }
}

/// Why a response cannot be sent.
#[inline(always)]
fn fault(response: &Response) -> Option<String> {
    if response.status.is_informational() {
        return Some(format!("{} is no final status", response.status));
    }
    let fault = response.extra.as_ref()?.fault.as_ref()?;
    Some(fault.to_string())
}

fn source<S>(body: Body) -> Source<S> {
    match body {
        Body::Empty => Source::Nothing,
        Body::Static(bytes) => Source::Bytes(Bytes::from_static(bytes)),
        Body::Bytes(bytes) => Source::Bytes(bytes),
        Body::File(file) => Source::File(file),
        Body::Produce(produce) => Source::Produce(produce.producer),
    }
}
