//! Connections that have left HTTP: a protocol is called with the client's bytes and puts its own.
//! It has the visits, buffers and deadlines that HTTP has.

use std::io;
use std::mem;
use std::time::Duration;

use super::{
    clock, guard, let_go, Break, Continue, Handler, Kernel, Lost, OnTrial, Panic, Progress, Stop,
    Task, Visit, REQUESTS_MAX, SCRATCH,
};
use crate::handler::exchange::Outcome;
use crate::handler::guard::message_of;
use crate::handler::hooks::ConnectionState;
use crate::handler::upgrade::{Connection, Protocol, Turn, Upgrade, Wish, ROOM_MAX};
use crate::http1::Farewell;
use crate::limits::TIMEOUT_MAX;
use crate::logging::{debug, error};
use crate::message::response::{Response, StatusCode};
use crate::reactor::memory::Ledger;
use crate::reactor::task::Speaking;
use crate::reactor::visit::response::parts;
use crate::reactor::work::End;

/// Bytes that a protocol may leave unused. If it uses none of so many, it is not expected to use
/// any.
const HELD_MAX: usize = SCRATCH;
/// The part of the memory that is short, in a log line.
const OF_PROTOCOL: &str = "the data of its protocol";

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Switches to a protocol, unless there is a `refusal`: the response to a request that does not
    /// ask for it.
    pub(super) fn upgrade(
        &mut self,
        upgrade: &Upgrade,
        protocol: Box<dyn Protocol<S>>,
        refusal: Result<Option<Response>, Panic>,
    ) -> Progress {
        let protocol = OnTrial::new(protocol);
        if let Some(refusal) = self.unless_panicked(refusal)? {
            return self.respond(refusal);
        }
        if let Some(fault) = upgrade.response.fault() {
            error!("{}: upgrade replaced by a 500: {fault}", self.log_name());
            self.decide_outcome(Outcome::Failed);
            return self.respond(Response::status_page(StatusCode::INTERNAL_SERVER_ERROR));
        }
        let parts = parts(&upgrade.response, None);
        let is_upgraded = self.encode(|visit| {
            let shared = &mut *visit.shared;
            visit.work.conn.upgrade(&mut shared.out, &parts, &mut shared.encoder)
        });
        if !is_upgraded {
            let reason = "an upgrade with content is not understood here";
            return self.respond(Response::error(StatusCode::BAD_REQUEST, reason).with_close());
        }
        self.record_status(upgrade.response.status);
        self.end_record(Outcome::Upgraded);
        // There is no content to be timed, and the protocol has its own timeout.
        self.work.end = None;
        let speaking = Speaking {
            timeout: self.shared.site.limits.idle_timeout,
            protocol: protocol.take(),
            waker: self.waker(),
            wish: Wish::default(),
            is_owed: false,
            has_begun: false,
            is_stalled: false,
            charged: 0,
            knows_of_shutdown: false,
        };
        self.set_task(Task::Protocol(Box::new(speaking)));
        self.report(ConnectionState::Hijacked);
        self.speak(|protocol, state, connection| protocol.start(state, connection))?;
        self.hear_protocol(false)
    }

    /// Calls the protocol, if there is one, and carries out its wishes.
    pub(super) fn speak<T>(
        &mut self,
        call: impl FnOnce(&mut dyn Protocol<S>, &mut S, &mut Connection<'_>) -> io::Result<T>,
    ) -> Progress<Option<T>> {
        self.speak_at(false, call)
    }

    /// Calls a protocol because a time is over: its silence, or its deadline if `is_overdue`.
    pub(super) fn expire_protocol(&mut self, is_overdue: bool) -> Progress {
        if is_overdue {
            self.work.end = None;
        }
        self.speak_at(is_overdue, |protocol, state, connection| protocol.expire(state, connection))
            .map_continue(drop)
    }

    fn speak_at<T>(
        &mut self,
        is_overdue: bool,
        call: impl FnOnce(&mut dyn Protocol<S>, &mut S, &mut Connection<'_>) -> io::Result<T>,
    ) -> Progress<Option<T>> {
        let mut speaking = match self.take_task() {
            Task::Protocol(speaking) => speaking,
            task => {
                self.put_back(task);
                return Continue(None);
            }
        };
        self.spent.has_worked = true;
        let Speaking { protocol, waker, wish, .. } = &mut *speaking;
        *wish = Wish::default();
        let out = &mut self.shared.out;
        let room = ROOM_MAX.saturating_sub(out.len());
        let state = &mut self.shared.state;
        let messages = &mut self.spent.requests;
        let called = guard(|| {
            let turn = Turn { messages, messages_max: REQUESTS_MAX, is_overdue };
            let mut connection = Connection::new(out, room, waker, wish, turn);
            let result = call(&mut **protocol, state, &mut connection);
            (result, (protocol.timeout(), protocol.is_owed(), protocol.memory()))
        });
        let fits = self.note_manner(&mut speaking, called.as_ref().ok().map(|(_, manner)| manner));
        self.put_back(Task::Protocol(speaking));
        match called {
            Ok((Ok(_), _)) if !fits => Break(self.no_memory(OF_PROTOCOL)),
            Ok((Ok(value), _)) => {
                self.end_if_closed();
                Continue(Some(value))
            }
            Ok((Err(error), _)) => {
                let message = message_of(error);
                error!("{}: its protocol failed: {message}", self.log_name());
                Break(self.over(Farewell::Reset, Lost::Stopped))
            }
            Err(panic) => Break(self.panicked(panic)),
        }
    }

    /// Notes the timeout, the debt and the memory that the protocol reported after a call, unless
    /// the call panicked. Returns whether the memory is within the budget.
    fn note_manner(
        &mut self,
        speaking: &mut Speaking<S>,
        manner: Option<&(Duration, bool, usize)>,
    ) -> bool {
        let has_waited = speaking.waits_for_client();
        let mut fits = true;
        if let Some(&(timeout, is_owed, held)) = manner {
            (speaking.timeout, speaking.is_owed) = (timeout, is_owed);
            fits = recharge(&mut speaking.charged, held, &mut self.shared.ledger);
        }
        if let Some(timeout) = speaking.wish.deadline {
            self.work.end = timeout.map(|timeout| {
                let timeout = timeout.min(TIMEOUT_MAX);
                End::at(clock::due(self.shared.now, timeout))
            });
        }
        // Each call is a sign of life, unless the client still owes bytes.
        let has_new_end = speaking.wish.deadline.is_some();
        if has_new_end || !speaking.waits_for_client() || !has_waited {
            self.end_silence();
        }
        fits
    }

    /// Ends the connection after the bytes that were put, if the protocol has closed it.
    fn end_if_closed(&mut self) {
        if matches!(&self.work.task, Task::Protocol(speaking) if speaking.wish.close) {
            self.shared.ledger.release(self.work.task.memory());
            let_go(self.take_task());
            self.work.end = None;
            self.work.conn.end_upgraded();
        }
    }

    /// Reports to a protocol that its client is slow, and charges its memory: while its output waits,
    /// it may have been given more to hold from elsewhere.
    #[cold]
    pub(super) fn stall_protocol(&mut self, is_slow: bool) -> Stop {
        let Task::Protocol(speaking) = &mut self.work.task else { return Stop::Blocked };
        let Speaking { protocol, charged, is_stalled, .. } = &mut **speaking;
        *is_stalled |= is_slow;
        let called = guard(|| {
            if is_slow {
                protocol.stalled(true);
            }
            protocol.memory()
        });
        match called {
            Ok(held) if recharge(charged, held, &mut self.shared.ledger) => Stop::Blocked,
            Ok(_) => self.no_memory(OF_PROTOCOL),
            Err(panic) => self.panicked(panic),
        }
    }

    /// Gives the protocol bytes of the client. Returns the number of bytes that it has used.
    pub(super) fn hand_to_protocol(&mut self, input: &[u8]) -> Progress<usize> {
        if input.is_empty() {
            return Continue(0);
        }
        let counted = self.spent.requests;
        let used =
            self.speak(|protocol, state, connection| protocol.receive(state, input, connection))?;
        let used = used.unwrap_or(0);
        if used > input.len() {
            error!(
                "{}: reset, because its protocol returned more bytes than it was given",
                self.log_name()
            );
            return Break(self.over(Farewell::Reset, Lost::Stopped));
        }
        // A protocol that has ended the visit may use the bytes in a later one.
        let has_yielded = self.spent.requests >= REQUESTS_MAX;
        if used == 0 && input.len() >= HELD_MAX && !has_yielded && !self.protocol_wants_room() {
            debug!("{}: reset, because its protocol used none of 64 KiB", self.log_name());
            return Break(self.over(Farewell::Reset, Lost::Malformed));
        }
        if used > 0 {
            // A protocol that does not count its messages is called once for each.
            self.spent.requests = self.spent.requests.max(counted + 1);
        }
        self.note_used(used, input.len(), has_yielded);
        Continue(used)
    }

    /// Notes that the protocol has used some bytes of `len`, which is progress, or has left the
    /// first ones of a message.
    fn note_used(&mut self, used: usize, len: usize, has_yielded: bool) {
        let Task::Protocol(speaking) = &mut self.work.task else { return };
        // Bytes that wait for the server, or for room for the response, are not the client's debt.
        speaking.has_begun = used < len && !speaking.wish.room && !has_yielded;
        if used > 0 {
            self.end_silence();
        }
    }

    /// Calls a protocol that was woken, has room again, or has to end with the server.
    pub(super) fn hear_protocol(&mut self, is_woken: bool) -> Progress {
        self.end_stall()?;
        if is_woken || self.protocol_wants_room() {
            self.speak(|protocol, state, connection| protocol.wake(state, connection))?;
        }
        let ends = match &mut self.work.task {
            Task::Protocol(speaking) if self.shared.is_draining() => {
                !mem::replace(&mut speaking.knows_of_shutdown, true)
            }
            _ => false,
        };
        if ends {
            self.speak(|protocol, state, connection| protocol.shutdown(state, connection))?;
        }
        Continue(())
    }

    /// Reports to a protocol that all of its output has left after a stall.
    fn end_stall(&mut self) -> Progress {
        let Task::Protocol(speaking) = &mut self.work.task else { return Continue(()) };
        if !mem::take(&mut speaking.is_stalled) {
            return Continue(());
        }
        match guard(|| speaking.protocol.stalled(false)) {
            Ok(()) => Continue(()),
            Err(panic) => Break(self.panicked(panic)),
        }
    }

    /// Whether the protocol has more to put as soon as there is room.
    pub(super) fn protocol_wants_room(&self) -> bool {
        matches!(&self.work.task, Task::Protocol(speaking) if speaking.wish.room)
    }

    /// Reports to the protocol, if there is one, that the client has ended its side.
    pub(super) fn end_protocol_input(&mut self) -> Stop {
        let ended =
            self.speak(|protocol, state, connection| protocol.end_of_input(state, connection));
        ended.break_value().unwrap_or(Stop::Done)
    }
}

/// Charges the memory of a protocol, if the budget has room for it. Returns whether it has.
fn recharge(charged: &mut usize, held: usize, ledger: &mut Ledger) -> bool {
    if held > *charged && !ledger.has_room(held - *charged) {
        return false;
    }
    ledger.release(*charged);
    ledger.charge(held);
    *charged = held;
    true
}
