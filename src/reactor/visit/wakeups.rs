//! What the program does outside of a visit and the loop hears of in one: an answer given later, a
//! pause that ends, a producer that has something to say again.

use std::mem;
use std::sync::Arc;

use http::StatusCode;

use crate::handler::{Finish, Gone, Handler, Hold, Place, Reply, Start, Ticket};
use crate::message::response::Response;
use crate::reactor::kernel::Kernel;
use crate::reactor::mailbox::Call;
use crate::reactor::slot::{Flags, Intake, Source, Waiting};
use crate::reactor::visit::{Stop, Visit};
use crate::reactor::{guard, let_go};
use crate::waker::Waker;

impl<K: Kernel, H: Handler> Visit<'_, K, H> {
    /// What wakes this connection from anywhere.
    pub(super) fn waker(&self) -> Waker {
        Waker::new(Call::new(self.token, Arc::clone(&self.desk.mailbox)))
    }

    /// A producer that had nothing to say may have something now: visits come for many reasons,
    /// and asking is cheap.
    #[inline(always)]
    pub(super) fn ask_again(&mut self) {
        if matches!(self.desk.work.source, Source::Waiting(..)) {
            self.ask_producer_again();
        }
    }

    #[inline(never)]
    fn ask_producer_again(&mut self) {
        let source = mem::replace(&mut self.desk.work.source, Source::Nothing);
        let Source::Waiting(producer, timeout) = source else { return };
        self.waited = Some(timeout);
        self.desk.work.source = Source::Produce(producer);
    }

    /// Does what the program has to say, if anything waits for that.
    pub(super) fn hear_program(&mut self) -> Result<(), Stop> {
        let is_woken = self.slot.flags.has(Flags::WOKEN);
        self.slot.flags.clear(Flags::WOKEN);
        match &self.desk.work.intake {
            Intake::Nobody | Intake::Collect(_) | Intake::Hijack(_) => Ok(()),
            Intake::Receive(_) if is_woken && self.desk.work.conn.is_paused() => self.resume(),
            Intake::Receive(_) => Ok(()),
            Intake::Later(_) => self.hear_worker(),
            Intake::Protocol(_) => self.hear_protocol(is_woken),
        }
    }

    /// Gives the right to answer away.
    pub(super) fn later(&mut self, start: Start<H::State>) -> Result<(), Stop> {
        let Start { start, timeout, late, finish } = start;
        let ticket = Hold::new(Ticket::new());
        let later = ticket.later(self.waker());
        self.desk.work.intake = Intake::Later(Box::new(Waiting { ticket, timeout, late, finish }));
        // Behind a pause or another `Later` the deadline is of the same kind, and yet another.
        self.slot.forget_deadline();
        self.note_peer_left();
        // An answer that is given right here wakes the loop like any other.
        let started = guard(|| start(later));
        self.unless_panicked(started)
    }

    fn note_peer_left(&mut self) {
        if let (Intake::Later(waiting), true) =
            (&self.desk.work.intake, self.slot.flags.has(Flags::READ_CLOSED))
        {
            waiting.ticket.note_peer_left();
        }
    }

    /// Answers, if the worker has.
    fn hear_worker(&mut self) -> Result<(), Stop> {
        self.note_peer_left();
        let Intake::Later(waiting) = &mut self.desk.work.intake else { return Ok(()) };
        let (place, informational) = waiting.ticket.take();
        for informational in informational {
            self.desk.work.conn.inform(&mut self.desk.out, &informational);
        }
        if matches!(place, Place::Empty) {
            return Ok(());
        }
        let finish = waiting.finish.take();
        let_go(mem::replace(&mut self.desk.work.intake, Intake::Nobody));
        if !matches!(place, Place::Given(_)) {
            log::error!("connection {}: a Later was dropped unanswered", self.token);
        }
        self.answer_finished(finish, move |state| match place {
            Place::Given(give) => give(state),
            _ => Response::status_page(StatusCode::INTERNAL_SERVER_ERROR).into(),
        })
    }

    fn answer_finished(
        &mut self,
        finish: Option<Finish<H::State>>,
        give: impl FnOnce(&mut H::State) -> Reply<H::State>,
    ) -> Result<(), Stop> {
        let state = self.desk.handler.state();
        let reply = guard(|| {
            let reply = give(state);
            match finish {
                Some(finish) => finish(state, reply),
                None => reply,
            }
        });
        self.answer_after_content(reply)
    }

    /// The time of the worker is over. Nothing is wrong with the connection: it is kept.
    pub(super) fn answer_late(&mut self) -> Stop {
        let Intake::Later(waiting) = &self.desk.work.intake else { return Stop::More };
        let ticket = Arc::clone(&waiting.ticket);
        if let Err(stop) = self.hear_worker() {
            return stop;
        }
        let intake = mem::replace(&mut self.desk.work.intake, Intake::Nobody);
        if let Intake::Later(waiting) = intake {
            if !Arc::ptr_eq(&ticket, &waiting.ticket) {
                // In the last moment it was put off again, with a time of its own.
                self.desk.work.intake = Intake::Later(waiting);
                return Stop::More;
            }
            log::debug!("connection {}: no answer within its time", self.token);
            let_go(waiting.ticket);
            let page = || Response::status_page(StatusCode::GATEWAY_TIMEOUT);
            let late = waiting.late.unwrap_or_else(page);
            if let Err(stop) = self.answer_finished(waiting.finish, |_| late.into()) {
                return stop;
            }
        } else {
            self.desk.work.intake = intake;
        }
        // What was held behind the request is served by the next visit.
        Stop::Spent
    }

    /// Goes on with a receiver that has paused.
    fn resume(&mut self) -> Result<(), Stop> {
        let Intake::Receive(receiver) = &mut self.desk.work.intake else { return Ok(()) };
        let state = self.desk.handler.state();
        let flow = guard(|| receiver.resume(state));
        let flow = self.unless_panicked(flow)?;
        self.desk.work.conn.pause_content(false);
        // If it pauses again, that is another pause.
        self.slot.forget_deadline();
        self.follow(flow)?;
        self.end_if_complete()
    }

    /// A producer has been silent for as long as it said.
    pub(super) fn break_silence(&mut self) -> Stop {
        let source = mem::replace(&mut self.desk.work.source, Source::Nothing);
        let Source::Waiting(producer, _) = source else {
            self.desk.work.source = source;
            return Stop::More;
        };
        self.desk.work.source = Source::Produce(producer);
        match self.produce_by(|producer, out| producer.expire(out)) {
            Ok(()) => Stop::More,
            Err(stop) => stop,
        }
    }

    /// Why a content ends that the program has kept waiting.
    pub(super) fn why_expired(&self) -> Gone {
        match self.desk.work.conn.is_paused() {
            true => Gone::Expired,
            false => Gone::TooSlow,
        }
    }
}
