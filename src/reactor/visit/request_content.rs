//! The content of a request inside a visit: who asked for it gets it, collected, piece by piece,
//! or through a transform whose output leaves as room is needed.

use std::io;
use std::mem;

use crate::handler::{Collect, Flow, Gone, Handler, Receive, Transform};
use crate::http1::{Reject, TrailerSection, CHUNK_ROOM, LAST_CHUNK};
use crate::message::body::Out;
use crate::message::fields::Fields;
use crate::message::request::{Message, Request};
use crate::message::response::Response;
use crate::message::trailers::Trailers;
use crate::reactor::kernel::Kernel;
use crate::reactor::shared::Desk;
use crate::reactor::slot::{Gather, Intake, Source};
use crate::reactor::visit::reply::Guest;
use crate::reactor::visit::{Stop, Visit, SCRATCH};
use crate::reactor::{guard, let_go, OnTrial};

/// What a transform is given at least, so that it can always make progress.
const TRANSFORM_ROOM_MIN: usize = (4 << 10) + CHUNK_ROOM + LAST_CHUNK.len();

impl<K: Kernel, H: Handler> Visit<'_, K, H> {
    pub(super) fn collect(
        &mut self,
        collect: Collect<H::State>,
        input: &[u8],
        used: &mut usize,
    ) -> Result<(), Stop> {
        let Collect { limit, then } = collect;
        let then = OnTrial(Some(then));
        let announced = self.desk.head.line.content_length;
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(self.refuse(Reject::ContentTooLarge, Gone::Stopped));
        }
        self.admit_content()?;
        let then = then.take();
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

    pub(super) fn receive(&mut self, receiver: Box<dyn Receive<H::State>>) -> Result<(), Stop> {
        let mut receiver = OnTrial(Some(receiver));
        self.admit_content()?;
        let (waker, state) = (self.waker(), self.desk.handler.state());
        let started = guard(|| receiver.get().start(state, waker));
        self.unless_panicked(started)?;
        self.desk.work.intake = Intake::Receive(receiver.take());
        self.end_if_complete()
    }

    pub(super) fn transform(
        &mut self,
        response: &Response,
        transform: Box<dyn Transform<H::State>>,
    ) -> Result<(), Stop> {
        let mut transform = OnTrial(Some(transform));
        let length = guard(|| transform.get().content_length());
        let length = self.unless_panicked(length)?;
        if !self.desk.work.conn.would_send_content(response.status, length) {
            // HEAD, or a status without content: there is nothing to make, and nothing wanted.
            self.respond_with_length(response, length);
            return Ok(());
        }
        self.admit_content()?;
        self.respond_with_length(response, length);
        if !self.desk.work.conn.is_in_exchange() {
            // Its head cannot be sent, and a refusal went instead.
            return Ok(());
        }
        self.desk.work.source = Source::Transform(transform.take(), None);
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
                    let flow = self.unless_panicked(flow)?;
                    self.follow(flow)?;
                }
                Intake::Later(_) | Intake::Protocol(_) | Intake::Hijack(_) => {
                    panic!("content is received where it was asked for")
                }
            }
        }
        self.end_if_complete()
    }

    /// Goes on as a receiver says.
    pub(super) fn follow(&mut self, flow: Flow<H::State>) -> Result<(), Stop> {
        match flow {
            Flow::Continue => Ok(()),
            Flow::Pause => {
                self.desk.work.conn.pause_content(true);
                Ok(())
            }
            Flow::Answer(reply) => {
                let_go(mem::replace(&mut self.desk.work.intake, Intake::Nobody));
                self.desk.work.conn.discard_content();
                self.answer_after_content(Ok(reply))
            }
        }
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
    pub(super) fn end_if_complete(&mut self) -> Result<(), Stop> {
        let conn = &self.desk.work.conn;
        if !conn.has_all_content() || conn.is_paused() {
            return Ok(());
        }
        self.end(Fields::new(&[], &[]))
    }

    /// Content in chunks has ended with these trailer lines: who took it sees them where they lie.
    #[inline(never)]
    pub(super) fn take_trailers(&mut self, section: &[u8]) -> Result<(), Stop> {
        self.end(TrailerSection::new(section).fields())
    }

    #[inline(never)]
    fn end(&mut self, trailers: Fields<'_>) -> Result<(), Stop> {
        match mem::replace(&mut self.desk.work.intake, Intake::Nobody) {
            // An answer that comes later, given instead of the rest of the content.
            later @ (Intake::Later(_) | Intake::Protocol(_) | Intake::Hijack(_)) => {
                self.desk.work.intake = later;
                Ok(())
            }
            Intake::Nobody => self.end_transform(trailers),
            Intake::Receive(receiver) => {
                let mut receiver = OnTrial(Some(receiver));
                let state = self.desk.handler.state();
                if !trailers.is_empty() {
                    let shown = guard(|| receiver.get().trailers(state, trailers));
                    self.unless_panicked(shown)?;
                }
                let (receiver, state) = (receiver.take(), self.desk.handler.state());
                let reply = guard(|| receiver.end(state));
                self.answer_after_content(reply)
            }
            Intake::Collect(gather) => {
                let Gather { then, line, head, spans, content, charged, .. } = *gather;
                let Desk { handler, listeners, limits, .. } = &mut *self.desk;
                let peer = &Guest { slot: self.slot, token: self.token, listeners, limits };
                let trailers = Some(&trailers);
                let message = Message { line: &line, bytes: &head, spans: &spans, trailers, peer };
                let request = Request::new(&message);
                let state = handler.state();
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
            match self.unless_broken(taken)? {
                taken if taken <= rest.len() && taken + put > 0 => rest = &rest[taken..],
                _ => return Err(self.broken("a transform made no progress")),
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

    fn end_transform(&mut self, shown: Fields<'_>) -> Result<(), Stop> {
        let Source::Transform(transform, None) = &mut self.desk.work.source else { return Ok(()) };
        let out = &mut self.desk.out;
        let mut trailers = Trailers::default();
        let free = SCRATCH.saturating_sub(out.len()).max(TRANSFORM_ROOM_MIN);
        let room = self.desk.work.conn.content_room(free);
        let start = out.len();
        let state = self.desk.handler.state();
        let ended = guard(|| {
            if !shown.is_empty() {
                transform.trailers(state, shown);
            }
            transform.end(state, &mut Out::new(out, room))?;
            transform.put_trailers(state, &mut trailers);
            Ok::<_, io::Error>(())
        });
        self.desk.work.conn.transmit(out, start);
        self.unless_broken(ended)?;
        let_go(mem::replace(&mut self.desk.work.source, Source::Nothing));
        self.end_content(&trailers)
    }
}
