//! How the task of a connection begins and ends: the one setter, and what becomes of the task when
//! the exchange is refused or the connection is reset.

use std::io;
use std::mem;

use super::{
    guard, let_go, Break, Continue, Flags, Gone, Handler, Kernel, Progress, Stop, Task, Visit,
};
use crate::handler::hooks::ConnState;
use crate::http1::{Farewell, Reject};
use crate::reactor::task::Timer;

impl<K: Kernel, H: Handler> Visit<'_, K, H> {
    /// Sets what is done for the request from now on: a wait of its own.
    pub(super) fn set_task(&mut self, task: Task<H::State>) {
        debug_assert!(matches!(self.work.task, Task::None), "it replaces none");
        self.begin_wait();
        self.work.task = task;
    }

    /// Takes the task out, to call the program with it.
    pub(super) fn take_task(&mut self) -> Task<H::State> {
        mem::replace(&mut self.work.task, Task::None)
    }

    /// Puts a task back that goes on, right after the call: its wait goes on, too.
    pub(super) fn put_back(&mut self, task: Task<H::State>) {
        self.work.task = task;
    }

    /// Ends the wait of the deadline that is armed: the next one begins anew, even if it is of
    /// the same kind.
    #[inline(always)]
    pub(super) fn begin_wait(&mut self) {
        self.facts.armed = Timer::None;
    }

    /// Refuses the client if a status can still be sent, else ends the connection.
    pub(super) fn refuse(&mut self, reject: Reject, why: Gone) -> Stop {
        log::debug!("connection {}: refused: {reject:?}", self.token);
        self.drop_task(why);
        let shared = &mut *self.shared;
        if !self.work.conn.refuse(&mut shared.out, reject, &mut shared.encoder) {
            return Stop::Over(Farewell::Reset);
        }
        self.shared.counters.refused += 1;
        self.report(ConnState::Active);
        Stop::Done
    }

    /// Ends the connection without another byte.
    pub(super) fn over(&mut self, farewell: Farewell, why: Gone) -> Stop {
        self.drop_task(why);
        Stop::Over(farewell)
    }

    /// A promise of the program was broken in the middle of a response: a reset tells the client.
    pub(super) fn broken(&mut self, what: &str) -> Stop {
        log::error!("connection {}: response cut off: {what}", self.token);
        self.shared.counters.cut_off += 1;
        self.over(Farewell::Reset, Gone::Stopped)
    }

    /// The program panicked in the middle of a response.
    pub(super) fn panicked(&mut self) -> Stop {
        self.shared.counters.panics += 1;
        self.shared.counters.cut_off += 1;
        self.over(Farewell::Reset, Gone::Stopped)
    }

    /// The result of a call before the response has begun: a panic is a 500.
    pub(super) fn unless_panicked<T>(&mut self, result: Result<T, ()>) -> Progress<T> {
        match result {
            Ok(value) => Continue(value),
            Err(()) => {
                self.shared.counters.panics += 1;
                Break(self.refuse(Reject::Internal, Gone::Stopped))
            }
        }
    }

    /// The result of a call after the response has begun: an error or a panic is a reset.
    pub(super) fn unless_broken<T>(&mut self, result: Result<io::Result<T>, ()>) -> Progress<T> {
        match result {
            Ok(Ok(value)) => Continue(value),
            Ok(Err(error)) => Break(self.broken(&error.to_string())),
            Err(()) => Break(self.panicked()),
        }
    }

    /// Drops the task, and reports to the program why it ends.
    pub(super) fn drop_task(&mut self, why: Gone) {
        match self.take_task() {
            Task::None => {}
            Task::Collect(collecting) => {
                self.shared.ledger.release(collecting.charged);
                let_go(collecting);
            }
            Task::Receive(receiver) => {
                let state = self.shared.handler.state();
                let result = guard(|| receiver.gone(state, why));
                self.shared.counters.panics += u64::from(result.is_err());
            }
            Task::Later(deferred) => let_go(deferred),
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
                let state = self.shared.handler.state();
                let result = guard(|| speaking.protocol.gone(state, why));
                self.shared.counters.panics += u64::from(result.is_err());
            }
            Task::HandOut(take) => let_go(take),
        }
    }

    /// Reports a state to the program's hook, once per change.
    #[inline(always)]
    pub(super) fn report(&mut self, state: ConnState) {
        if self.shared.hooks.on_state.is_none() {
            return;
        }
        let is_active = state == ConnState::Active;
        if is_active && self.facts.flags.has(Flags::REPORTED_ACTIVE) {
            return;
        }
        if is_active {
            self.facts.flags.set(Flags::REPORTED_ACTIVE);
        } else {
            self.facts.flags.clear(Flags::REPORTED_ACTIVE);
        }
        self.shared.hooks.report(self.token.connection_id(), state);
    }

    /// Moves on if the exchange is over.
    pub(super) fn settle(&mut self, is_all_used: bool) {
        if self.work.conn.settle(is_all_used) {
            self.report(ConnState::Idle);
        }
    }
}
