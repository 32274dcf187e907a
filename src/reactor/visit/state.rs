//! How the state of a connection moves on: the task and its wait, the exchange, and the reports
//! about it.

use std::mem;

use crate::handler::hooks::ConnectionState;
use crate::http1::Input;
use crate::reactor::log_name::LogName;
use crate::reactor::task::Timer;

use super::{Flags, Handler, Kernel, Task, Visit};

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Sets the task of the request, which begins a wait of its own.
    pub(super) fn set_task(&mut self, task: Task<S>) {
        debug_assert!(matches!(self.work.task, Task::None), "a task was replaced");
        self.end_wait();
        self.work.task = task;
    }

    /// Takes the task out, to call the program with it.
    pub(super) fn take_task(&mut self) -> Task<S> {
        mem::replace(&mut self.work.task, Task::None)
    }

    /// Puts a task back after a call of the program. Its wait goes on.
    pub(super) fn put_back(&mut self, task: Task<S>) {
        self.work.task = task;
    }

    /// Ends the wait if it is one of silence. A slow reader keeps its window, however often the
    /// program is called.
    pub(super) fn end_silence(&mut self) {
        if self.facts.armed == Timer::Silence {
            self.end_wait();
        }
    }

    /// Ends the wait of the deadline that is armed. The next wait begins anew, even if it is of the
    /// same kind.
    #[inline(always)]
    pub(super) fn end_wait(&mut self) {
        self.facts.armed = Timer::None;
    }

    /// Whether bytes of the client are of use now.
    pub(super) fn wants_input(&self) -> bool {
        match self.work.conn.input() {
            Input::None | Input::Paused => false,
            Input::Head | Input::Content | Input::Protocol | Input::Linger { .. } => true,
        }
    }

    /// The name of the connection in the log.
    #[cold]
    pub(super) fn log_name(&self) -> LogName {
        let name = LogName::of(self.facts.id(), self.shared.origins.peer(self.token.key()));
        match self.work.is_in_exchange() {
            true => name.with_request(self.facts.requests),
            false => name,
        }
    }

    /// Reports a state to the program's hook, once per change.
    #[inline(always)]
    pub(super) fn report(&mut self, state: ConnectionState) {
        if self.shared.hooks.on_connection_state.is_some() {
            self.report_to_hook(state);
        }
    }

    #[cold]
    #[inline(never)]
    fn report_to_hook(&mut self, state: ConnectionState) {
        let is_active = state == ConnectionState::Active;
        if is_active && self.facts.flags.has(Flags::REPORTED_ACTIVE) {
            return;
        }
        if is_active {
            self.facts.flags.set(Flags::REPORTED_ACTIVE);
        } else {
            self.facts.flags.clear(Flags::REPORTED_ACTIVE);
        }
        self.shared.report(self.facts.id(), state);
    }

    /// Moves on if the exchange is over.
    pub(super) fn settle(&mut self, is_all_used: bool) {
        self.end_record_if_complete();
        if self.work.conn.settle(is_all_used) {
            self.report(ConnectionState::Idle);
        }
    }
}
