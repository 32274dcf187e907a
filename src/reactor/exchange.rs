//! One exchange inside a visit: the handler is asked, what it answered is done, content goes to
//! whoever takes it.

use std::mem;

use bytes::Bytes;

use crate::handler::{Action, Collect, Flow, Gone, Handler, Receive, Reply, Transform};
use crate::http1::{Answer, Content, Farewell, Reject, Settled, CHUNK_ROOM, LAST_CHUNK};
use crate::reactor::guard;
use crate::reactor::hooks::ConnState;
use crate::reactor::kernel::Kernel;
use crate::reactor::slot::{Flags, Gather, Intake, Source};
use crate::reactor::visit::{Desk, Stop, Visit, SCRATCH};
use crate::request::{Peer, Request};
use crate::response::{Body, Out, Response};

/// Content up to this size is copied behind its head, so that both leave in one `write`; above
/// it, copying costs more than the second part of a `writev`.
const INLINE_MAX: usize = 4 << 10;

/// What a transform is given at least, so that it can always make progress.
const TRANSFORM_ROOM_MIN: usize = (4 << 10) + CHUNK_ROOM + LAST_CHUNK.len();

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
    fn answer_after_content(&mut self, reply: Result<Reply<H::State>, ()>) -> Result<(), Stop> {
        match self.unless_panicked(reply)?.0 {
            Action::Respond(mut response) => self.respond(&mut response),
            Action::Collect(_) | Action::Receive(_) | Action::Transform(_) => {
                log::error!("a reply asks for content a second time: answer with a Response");
                self.respond(&mut Response::status_page(http::StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }

    #[inline(always)]
    fn with_request<R>(
        &mut self,
        input: &[u8],
        call: impl FnOnce(&mut H, &Request<'_>) -> R,
    ) -> Result<R, ()> {
        let transport = self.slot.stream.as_ref().expect("a slot that is visited has its stream");
        let peer = Peer {
            transport,
            value: self.slot.value.as_ref().map(|value| &***value),
            id: self.token.connection_id(),
            requests_before: self.slot.requests - 1,
            has_left: self.slot.flags.has(Flags::READ_CLOSED),
        };
        let Desk { head, handler, .. } = &mut *self.desk;
        let request = Request::new(&head.line, &input[..head.len], &head.spans, &peer);
        guard(|| call(handler, &request))
    }

    #[inline(always)]
    fn unless_panicked<T>(&mut self, result: Result<T, ()>) -> Result<T, Stop> {
        result.map_err(|()| self.refuse(Reject::Internal, Gone::Stopped))
    }

    fn collect(
        &mut self,
        collect: Collect<H::State>,
        input: &[u8],
        used: &mut usize,
    ) -> Result<(), Stop> {
        let Collect { limit, then } = collect;
        let announced = self.desk.head.line.content_length;
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(self.refuse(Reject::ContentTooLarge, Gone::Stopped));
        }
        self.admit_content()?;
        let content = &input[self.desk.head.len..];
        // The usual case: all of it came with the head and is handed on where it lies.
        if let Some(length) = announced.map(|length| length as usize) {
            if content.len() >= length {
                self.desk.work.conn.skip_content(length as u64);
                *used += length;
                let content = &content[..length];
                let reply = self.with_request(input, |handler, request| {
                    then(handler.state(), request, content)
                });
                return self.answer_after_content(reply);
            }
        }
        let head = &self.desk.head;
        let gather = Gather {
            limit,
            then,
            line: head.line.clone(),
            head: input[..head.len].to_vec(),
            spans: head.spans.clone(),
            content: Vec::new(),
            charged: 0,
        };
        let charge = mem::size_of_val(&gather)
            + gather.head.capacity()
            + mem::size_of_val(gather.spans.as_slice());
        self.desk.ledger.charge(charge);
        self.desk.work.intake = Intake::Collect(Box::new(Gather { charged: charge, ..gather }));
        Ok(())
    }

    fn receive(&mut self, receiver: Box<dyn Receive<H::State>>) -> Result<(), Stop> {
        self.admit_content()?;
        self.desk.work.intake = Intake::Receive(receiver);
        self.end_if_complete()
    }

    fn transform(
        &mut self,
        response: &Response,
        transform: Box<dyn Transform<H::State>>,
    ) -> Result<(), Stop> {
        self.admit_content()?;
        let length = guard(|| transform.content_length());
        let length = self.unless_panicked(length)?;
        self.respond_with_length(response, length);
        if !self.desk.work.conn.sends_content() {
            // HEAD, or a status without content: there is nothing to make.
            if self.desk.work.conn.is_in_exchange() {
                self.desk.work.conn.discard_content();
            }
            return Ok(());
        }
        self.desk.work.source = Source::Transform(transform, None);
        self.end_if_complete()
    }

    /// Asks the peer for content, if memory allows any.
    fn admit_content(&mut self) -> Result<(), Stop> {
        if !self.desk.work.conn.has_all_content() && !self.desk.ledger.has_room(1) {
            return Err(self.refuse(Reject::Overloaded, Gone::Stopped));
        }
        self.desk.work.conn.want_content(&mut self.desk.out);
        Ok(())
    }

    /// Hands a piece of content to whoever takes it.
    pub(super) fn take_in(&mut self, piece: &[u8]) -> Result<(), Stop> {
        if !piece.is_empty() {
            match &mut self.desk.work.intake {
                Intake::Nobody => self.transform_piece(piece)?,
                Intake::Collect(_) => self.gather(piece)?,
                Intake::Receive(receiver) => {
                    let state = self.desk.handler.state();
                    let flow = guard(|| receiver.piece(state, piece));
                    match self.unless_panicked(flow)? {
                        Flow::Continue => {}
                        Flow::Answer(reply) => {
                            self.desk.work.intake = Intake::Nobody;
                            self.desk.work.conn.discard_content();
                            return self.answer_after_content(Ok(reply));
                        }
                    }
                }
            }
        }
        self.end_if_complete()
    }

    /// Adds to the collected content, within its limit and the budget of memory.
    fn gather(&mut self, piece: &[u8]) -> Result<(), Stop> {
        let Intake::Collect(gather) = &mut self.desk.work.intake else { return Ok(()) };
        if piece.len() > gather.limit - gather.content.len() {
            return Err(self.refuse(Reject::ContentTooLarge, Gone::Stopped));
        }
        let ledger = &mut self.desk.ledger;
        let before = gather.content.capacity();
        let needed = gather.content.len() + piece.len();
        if needed > before {
            // Doubling, by what has come and not by what is announced.
            let wanted = needed.max((before * 2).max(256).min(gather.limit));
            if !ledger.has_room(wanted - before)
                || gather.content.try_reserve_exact(wanted - gather.content.len()).is_err()
            {
                return Err(self.refuse(Reject::Overloaded, Gone::Stopped));
            }
            let grown = gather.content.capacity() - before;
            gather.charged += grown;
            ledger.charge(grown);
        }
        gather.content.extend_from_slice(piece);
        Ok(())
    }

    /// Answers where the content is complete and somebody waited for it.
    fn end_if_complete(&mut self) -> Result<(), Stop> {
        if !self.desk.work.conn.has_all_content() {
            return Ok(());
        }
        match mem::replace(&mut self.desk.work.intake, Intake::Nobody) {
            Intake::Nobody => self.end_transform(),
            Intake::Receive(receiver) => {
                let state = self.desk.handler.state();
                let reply = guard(|| receiver.end(state));
                self.answer_after_content(reply)
            }
            Intake::Collect(gather) => {
                let Gather { then, line, head, spans, content, charged, .. } = *gather;
                let transport =
                    self.slot.stream.as_ref().expect("a slot that is visited has its stream");
                let peer = Peer {
                    transport,
                    value: self.slot.value.as_ref().map(|value| &***value),
                    id: self.token.connection_id(),
                    requests_before: self.slot.requests - 1,
                    has_left: self.slot.flags.has(Flags::READ_CLOSED),
                };
                let request = Request::new(&line, &head, &spans, &peer);
                let state = self.desk.handler.state();
                let reply = guard(|| then(state, &request, &content));
                self.desk.ledger.release(charged);
                self.answer_after_content(reply)
            }
        }
    }

    /// Puts a piece through the transform, whose output leaves as room is needed.
    fn transform_piece(&mut self, piece: &[u8]) -> Result<(), Stop> {
        let mut rest = piece;
        while let Source::Transform(transform, pending) = &mut self.desk.work.source {
            let out = &mut self.desk.out;
            let free = SCRATCH.saturating_sub(out.len());
            let room = self.desk.work.conn.content_room(free);
            if !self.desk.work.conn.sends_content() || rest.is_empty() {
                break;
            }
            if free < TRANSFORM_ROOM_MIN && !out.is_empty() {
                match self.flush() {
                    Ok(true) => continue,
                    Ok(false) => {
                        let Desk { pool, ledger, work, .. } = &mut *self.desk;
                        if !pool.can_lend(rest.len(), ledger) {
                            return Err(self.broken("no memory for content on its way"));
                        }
                        let Source::Transform(_, pending) = &mut work.source else { break };
                        *pending = Some(pool.keep(rest, ledger));
                        return Err(Stop::Blocked);
                    }
                    Err(stop) => return Err(stop),
                }
            }
            debug_assert!(pending.is_none(), "what was held comes first");
            let start = out.len();
            let state = self.desk.handler.state();
            let taken = guard(|| transform.piece(state, rest, &mut Out::new(out, room)));
            let put = out.len() - start;
            self.desk.work.conn.transmit(out, start);
            match taken {
                Ok(Ok(taken)) if taken <= rest.len() && taken + put > 0 => rest = &rest[taken..],
                Ok(Ok(_)) => return Err(self.broken("a transform made no progress")),
                Ok(Err(error)) => return Err(self.broken(&error.to_string())),
                Err(()) => return Err(self.over(Farewell::Reset, Gone::Stopped)),
            }
        }
        Ok(())
    }

    /// Goes on with the piece that was held back when the socket was full.
    pub(super) fn transform_held(&mut self) -> Result<(), Stop> {
        let Source::Transform(_, pending) = &mut self.desk.work.source else { return Ok(()) };
        let Some(block) = pending.take() else { return Ok(()) };
        let result = self.transform_piece(block.bytes());
        self.desk.pool.take_back(block, &mut self.desk.ledger);
        result?;
        self.end_if_complete()
    }

    fn end_transform(&mut self) -> Result<(), Stop> {
        let Source::Transform(transform, None) = &mut self.desk.work.source else { return Ok(()) };
        let out = &mut self.desk.out;
        if self.desk.work.conn.sends_content() {
            let free = SCRATCH.saturating_sub(out.len()).max(TRANSFORM_ROOM_MIN);
            let room = self.desk.work.conn.content_room(free);
            let start = out.len();
            let state = self.desk.handler.state();
            let ended = guard(|| transform.end(state, &mut Out::new(out, room)));
            self.desk.work.conn.transmit(out, start);
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.broken(&error.to_string())),
                Err(()) => return Err(self.over(Farewell::Reset, Gone::Stopped)),
            }
        }
        self.desk.work.source = Source::Nothing;
        self.end_content()
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
    fn respond_with_length(&mut self, response: &Response, length: Option<u64>) {
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
