//! One exchange inside a visit: the handler is asked, what it answered is done, content goes to
//! whoever takes it.

use std::any::Any;
use std::io;
use std::mem;

use bytes::Bytes;

use crate::handler::hooks::ConnState;
use crate::handler::{Action, Gone, Handler, Reply};
use crate::http1::{Answer, Content, Farewell, Reject, Settled};
use crate::limits::Limits;
use crate::message::body::Body;
use crate::message::informational::INFORMATIONAL_MAX;
use crate::message::request::{ListenerNames, Message, Peer, Request, Transport};
use crate::message::response::Response;
use crate::message::trailers::Trailers;
use crate::reactor::clock;
use crate::reactor::kernel::Kernel;
use crate::reactor::shared::Desk;
use crate::reactor::slot::{End, Flags, Intake, Slot, Source};
use crate::reactor::visit::{Stop, Visit};
use crate::reactor::{guard, let_go, OnTrial, Token};

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
        // That of the exchange before, perhaps of another connection.
        self.desk.work.ends = None;
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
        if self.desk.head.line.content_length != Some(0) || needs_care(response) {
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
        match self.told(reply)? {
            Action::Respond(response) => self.respond_and_let_go(response),
            Action::Collect(collect) => self.collect(collect, input, used),
            Action::Receive(receiver) => self.receive(receiver),
            Action::Transform(both) => {
                let (response, transform) = *both;
                let result = self.transform(&response, transform);
                let_go(response);
                result
            }
            Action::Later(start) => self.later(*start),
            Action::Upgrade(both) => {
                let (upgrade, protocol) = *both;
                let result = self.upgrade(&upgrade, protocol, input);
                let_go(upgrade);
                result
            }
            Action::Hijack(take) => {
                self.desk.work.conn.hand_out();
                self.desk.work.intake = Intake::Hijack(take);
                Ok(())
            }
            Action::Inform(_) | Action::ContentWithin(_) => unreachable!("`told` has seen to it"),
        }
    }

    /// Tells what comes before the final answer; what is left to do then.
    fn told(&mut self, reply: Result<Reply<H::State>, ()>) -> Result<Action<H::State>, Stop> {
        let mut action = self.unless_panicked(reply)?.0;
        let mut told = 0;
        loop {
            let (informational, then) = match action {
                Action::Inform(both) => *both,
                Action::ContentWithin(both) => {
                    self.desk.work.ends = Some(End::at(clock::due(self.desk.now, both.0)));
                    action = both.1 .0;
                    continue;
                }
                action => return Ok(action),
            };
            action = then.0;
            told += 1;
            if told <= INFORMATIONAL_MAX {
                self.desk.work.conn.inform(&mut self.desk.out, &informational);
            } else {
                log::error!("more than {INFORMATIONAL_MAX} informational answers: left out");
            }
        }
    }

    /// An answer that was given when the head had gone: only a response can follow, now or later.
    pub(super) fn answer_after_content(
        &mut self,
        reply: Result<Reply<H::State>, ()>,
    ) -> Result<(), Stop> {
        let action = match self.told(reply)? {
            Action::Respond(response) => return self.respond_and_let_go(response),
            Action::Later(start) => return self.later(*start),
            action => action,
        };
        let what = match action {
            Action::Collect(_) | Action::Receive(_) | Action::Transform(_) => {
                "asks for content where that has been had or given up"
            }
            Action::Upgrade(_) | Action::Hijack(_) => "leaves HTTP when the head has gone",
            Action::Respond(_) | Action::Later(_) => unreachable!("both have returned"),
            Action::Inform(_) | Action::ContentWithin(_) => unreachable!("`told` has seen to it"),
        };
        let_go(action);
        log::error!("a reply {what}: answer with a Response there");
        self.respond(&mut Response::status_page(http::StatusCode::INTERNAL_SERVER_ERROR))
    }

    #[inline(always)]
    pub(super) fn with_request<R>(
        &mut self,
        input: &[u8],
        call: impl FnOnce(&mut H, &Request<'_>) -> R,
    ) -> Result<R, ()> {
        let Desk { head, handler, listeners, limits, .. } = &mut *self.desk;
        let bytes = &input[..head.len];
        let peer = &Guest { slot: self.slot, token: self.token, listeners, limits };
        let (line, spans) = (&head.line, &head.spans);
        let message = Message { line, bytes, spans, trailers: None, peer };
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
    pub(super) fn end_content(&mut self, trailers: &Trailers) -> Result<(), Stop> {
        let Desk { work, out, .. } = &mut *self.desk;
        match (trailers.fault(), work.conn.sends_chunks()) {
            (Some(fault), true) => return Err(self.broken(&format!("in a trailer: {fault}"))),
            (None, true) => {}
            (None, false) if trailers.is_empty() => {}
            // What is announced by its length is complete without them.
            _ => log::debug!("connection {}: no chunks, trailers left out", self.token),
        }
        if work.conn.end_content(out, trailers.lines()) {
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

    /// What the program has made of an answer that has begun, unless it failed or panicked.
    pub(super) fn unless_broken<T>(&mut self, made: Result<io::Result<T>, ()>) -> Result<T, Stop> {
        match made {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(error)) => Err(self.broken(&error.to_string())),
            Err(()) => Err(self.panicked()),
        }
    }

    /// The program panicked in the middle of an answer.
    pub(super) fn panicked(&mut self) -> Stop {
        self.desk.counters.panics += 1;
        self.desk.counters.cut_off += 1;
        self.over(Farewell::Reset, Gone::Stopped)
    }

    fn respond_and_let_go(&mut self, mut response: Response) -> Result<(), Stop> {
        let result = self.respond(&mut response);
        // To a HEAD its content is not sent, and still there.
        let_go(response);
        result
    }

    /// Encodes an answer, with its content if that is small; the rest becomes the source.
    pub(super) fn respond(&mut self, response: &mut Response) -> Result<(), Stop> {
        self.respond_with_length(response, response.body.len());
        if !self.desk.work.conn.sends_content() {
            return Ok(());
        }
        let small: &[u8] = match &response.body {
            Body::Static(bytes) if bytes.len() <= INLINE_MAX => bytes,
            Body::Bytes(bytes) if bytes.len() <= INLINE_MAX => bytes,
            body => {
                debug_assert!(body.len() != Some(0), "nothing is no source");
                let body = mem::replace(&mut response.body, Body::Empty);
                return self.send_from(body);
            }
        };
        // Its length was announced, so there is nothing to put around it.
        self.desk.out.extend_from_slice(small);
        self.desk.work.conn.transmit_elsewhere(small.len() as u64);
        Ok(())
    }

    /// Makes content the source of what is sent.
    fn send_from(&mut self, body: Body) -> Result<(), Stop> {
        self.desk.work.source = match body {
            Body::Empty => Source::Nothing,
            Body::Static(bytes) => Source::Bytes(Bytes::from_static(bytes)),
            Body::Bytes(bytes) => Source::Bytes(bytes),
            Body::File(file) => Source::File(file),
            Body::Produce(produce) => {
                let waker = self.waker();
                let mut producer = OnTrial(Some(produce.producer));
                guard(|| producer.get().start(waker)).map_err(|()| self.panicked())?;
                Source::Produce(producer.take())
            }
        };
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
        let Desk { work, out, encoder, now, .. } = &mut *self.desk;
        let mut answer = answer(response, length);
        let lines;
        if let Some(names) = response.announced_trailers() {
            if length.is_none() && work.conn.would_send_chunks(response.status) {
                lines = [answer.lines, b"Trailer: ", names, b"\r\n"].concat();
                answer.lines = &lines;
            } else {
                log::debug!("connection {}: no chunks, hence no trailers", self.token);
            }
        }
        work.conn.respond(out, &answer, encoder, &circumstances);
        work.ends = response.cut_after().map(|timeout| End::at(clock::due(*now, timeout)));
    }
}

/// A connection as its handler may ask about it.
pub(super) struct Guest<'a, K: Kernel, S> {
    pub(super) slot: &'a Slot<K, S>,
    pub(super) token: Token,
    pub(super) listeners: &'a ListenerNames,
    pub(super) limits: &'a Limits,
}

impl<K: Kernel, S> Peer for Guest<'_, K, S> {
    fn transport(&self) -> &dyn Transport {
        self.slot.stream.as_ref().expect("a slot that is visited has its stream")
    }

    fn value(&self) -> Option<&dyn Any> {
        self.slot.value.as_ref().map(|value| &***value)
    }

    fn id(&self) -> u64 {
        self.token.connection_id()
    }

    fn requests(&self) -> u32 {
        self.slot.requests
    }

    fn listener(&self) -> &str {
        self.listeners.name(self.slot.listener)
    }

    fn limits(&self) -> &Limits {
        self.limits
    }

    fn has_left(&self) -> bool {
        self.slot.flags.has(Flags::READ_CLOSED)
    }
}

/// What the head of the answer shows of a response.
#[inline(always)]
pub(super) fn answer(response: &Response, length: Option<u64>) -> Answer<'_> {
    Answer {
        status: response.status,
        content_type: response.content_type.as_ref(),
        lines: response.lines(),
        length,
        close: response.close,
        content: Content::None,
    }
}

/// Whether there is something about the head that is looked at later.
#[inline(always)]
fn needs_care(response: &Response) -> bool {
    response.status.is_informational()
        || matches!(&response.extra, Some(extra)
            if extra.lines.fault.is_some() || !extra.trailer.is_empty() || extra.cut_after.is_some())
}

/// Why a response cannot be sent.
#[inline(always)]
fn fault(response: &Response) -> Option<String> {
    if response.status.is_informational() {
        return Some(format!("{} is no final status", response.status));
    }
    fault_of_fields(response)
}

#[inline(always)]
pub(super) fn fault_of_fields(response: &Response) -> Option<String> {
    let fault = response.extra.as_ref()?.lines.fault.as_ref()?;
    Some(fault.to_string())
}
