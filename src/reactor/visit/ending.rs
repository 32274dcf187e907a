//! Early ends of an exchange: refusals, resets, and the end of the task.

use std::io;
use std::mem;

use super::{
    guard, let_go, Break, Continue, Handler, Kernel, Lost, Panic, Progress, Shared, Stop, Task,
    Visit,
};
use crate::handler::exchange::Outcome;
use crate::handler::guard::message_of;
use crate::handler::hooks::ConnectionState;
use crate::http1::{Farewell, Reject};
use crate::logging::{debug, error};
use crate::reactor::gathered::Gathered;
use crate::reactor::visit::observe::{outcome_of, outcome_of_refusal};
use crate::stats::Event;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Refuses the client if a status can still be sent, else ends the connection.
    pub(super) fn refuse(&mut self, reject: Reject, why: Lost) -> Stop {
        debug!("{}: refused: {reject:?}", self.log_name());
        self.drop_task(why);
        self.end_record_if_complete();
        let is_observed = self.work.record.is_some();
        self.begin_record();
        self.decide_outcome(outcome_of_refusal(reject, why));
        let can_refuse = self.encode(|visit| {
            let shared = &mut *visit.shared;
            visit.work.conn.refuse(&mut shared.out, reject, &mut shared.encoder)
        });
        if !can_refuse {
            if !is_observed {
                self.discard_record();
            }
            return Stop::Over(Farewell::Reset);
        }
        self.record_status(reject.status());
        self.shared.counters.count(Event::Refused(reject));
        self.report(ConnectionState::Active);
        Stop::Done
    }

    /// Ends the connection, because others need its resources: with a 503 if no output waits and a
    /// status can still be sent. If it ends `at_once`, the socket must take the 503 now.
    pub(super) fn turn_away(&mut self, at_once: bool) -> Stop {
        if self.work.has_output() {
            self.decide_end(Outcome::Refused);
            return self.over(Farewell::Reset, Lost::Stopped);
        }
        match self.refuse(Reject::Overloaded, Lost::Stopped) {
            Stop::Done if at_once => Stop::Over(Farewell::Close),
            stop => stop,
        }
    }

    /// Ends the connection without sending another byte.
    pub(super) fn over(&mut self, farewell: Farewell, why: Lost) -> Stop {
        self.drop_task(why);
        self.decide_end(outcome_of(why));
        Stop::Over(farewell)
    }

    /// Resets the connection, because there is no memory for `part` of it.
    pub(super) fn no_memory(&mut self, part: &str) -> Stop {
        debug!("{}: reset, because memory is short for {part}", self.log_name());
        self.decide_end(Outcome::Refused);
        self.over(Farewell::Reset, Lost::Stopped)
    }

    /// Resets the connection, because the program cannot finish a response that has begun.
    pub(super) fn broken(&mut self, reason: &str) -> Stop {
        error!("{}: response cut off: {reason}", self.log_name());
        self.shared.counters.count(Event::CutOff);
        self.decide_outcome(Outcome::Failed);
        self.over(Farewell::Reset, Lost::Stopped)
    }

    /// Resets the connection, because the program panicked in the middle of a response.
    #[cold]
    #[inline(never)]
    pub(super) fn panicked(&mut self, panic: Panic) -> Stop {
        let message = panic.into_message();
        error!("{}: response cut off: the program panicked: {message}", self.log_name());
        self.shared.counters.count(Event::Panicked);
        self.shared.counters.count(Event::CutOff);
        self.decide_outcome(Outcome::Failed);
        self.over(Farewell::Reset, Lost::Stopped)
    }

    /// Unwraps the result of a call before the response has begun. A panic is a 500.
    pub(super) fn unless_panicked<T>(&mut self, result: Result<T, Panic>) -> Progress<T> {
        match result {
            Ok(value) => Continue(value),
            Err(panic) => Break(self.refuse_after_panic(panic)),
        }
    }

    /// Logs a panic and sends a 500. As a function of its own it saves each request 22
    /// instructions.
    #[cold]
    #[inline(never)]
    fn refuse_after_panic(&mut self, panic: Panic) -> Stop {
        self.note_panic(panic);
        self.refuse(Reject::Internal, Lost::Stopped)
    }

    /// Counts and logs a panic that does not cut off a response.
    #[cold]
    fn note_panic(&mut self, panic: Panic) {
        error!("{}: the program panicked: {}", self.log_name(), panic.into_message());
        self.shared.counters.count(Event::Panicked);
    }

    /// Unwraps the result of a call after the response has begun. An error or a panic is a reset.
    pub(super) fn unless_broken<T>(&mut self, result: Result<io::Result<T>, Panic>) -> Progress<T> {
        match result {
            Ok(Ok(value)) => Continue(value),
            Ok(Err(error)) => Break(self.broken(&message_of(error))),
            Err(panic) => Break(self.panicked(panic)),
        }
    }

    /// Drops the task, and reports the reason to the program.
    pub(super) fn drop_task(&mut self, why: Lost) {
        match self.take_task() {
            Task::None => {}
            Task::Collect(mut collecting) => {
                let Shared { pool, ledger, .. } = &mut *self.shared;
                ledger.release(collecting.charged);
                mem::replace(&mut collecting.content, Gathered::new()).give_back(pool, ledger);
                let_go(collecting);
            }
            Task::Receive(receiving) => {
                self.shared.ledger.release(receiving.size());
                let state = &mut self.shared.state;
                if let Err(panic) = guard(|| receiving.receiver.lost(state, why)) {
                    self.note_panic(panic);
                }
            }
            Task::Later(deferred) => {
                self.shared.ledger.release(deferred.size());
                let_go(deferred);
            }
            Task::Bytes(bytes) => let_go(bytes),
            Task::File(file) => drop(file),
            Task::Produce(producer) | Task::Silent(producer, _) => let_go(producer),
            Task::Transform(transform, pending) => {
                if let Some(block) = pending {
                    self.shared.pool.take_back(block, &mut self.shared.ledger);
                }
                let_go(transform);
            }
            Task::Protocol(speaking) => {
                self.shared.ledger.release(speaking.charged);
                let state = &mut self.shared.state;
                if let Err(panic) = guard(|| speaking.protocol.lost(state, why)) {
                    self.note_panic(panic);
                }
            }
            Task::HandOut(take) => let_go(take),
        }
    }
}
