//! The call of the handler, and its reply.

use std::mem;
use std::time::Duration;

use http::StatusCode;

use super::{clock, guard, let_go, Continue, Cursor, Handler, Kernel, Progress, Task, Visit};
use crate::handler::exchange::Outcome;
use crate::handler::hooks::ConnectionState;
use crate::handler::layers::Layers;
use crate::handler::{Action, Change, Reply};
use crate::logging::error;
use crate::message::informational::{Informational, INFORMATIONAL_MAX};
use crate::message::request::Request;
use crate::message::response::Response;
use crate::reactor::visit::request::name_request;
use crate::reactor::visit::request_content::LateReply;
use crate::reactor::work::End;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Calls the handler for a request and carries out its reply. `input` begins with the head.
    /// Returns whether the exchange is over and the connection idle. `OBSERVED`: hooks may follow
    /// the state of the connection, and the handler may be timed.
    #[inline(always)]
    pub(super) fn call_handler<const OBSERVED: bool>(
        &mut self,
        input: &mut Cursor<'_>,
    ) -> Progress<bool> {
        let bytes = self.begin_request::<OBSERVED>(input);
        let handle =
            |handler: &mut H, state: &mut S, request: &Request<'_>| handler.handle(state, request);
        let reply = match OBSERVED {
            true => self.with_observed_request(bytes, handle),
            false => self.with_request(bytes, handle),
        };
        if let Ok(Reply(Action::Respond(response))) = &reply {
            if let Some(is_idle) = self.respond_fast(response, input.is_all_used()) {
                match response.owns_nothing() {
                    // The destructor has nothing to do. Saves 21 instructions per GET.
                    true => mem::forget(reply),
                    false => let_go(reply),
                }
                if OBSERVED && is_idle {
                    self.report(ConnectionState::Idle);
                }
                return Continue(is_idle);
            }
        }
        self.work.conn.begin(&self.shared.head);
        let reply = self.unless_panicked(reply)?;
        self.carry_out(reply, bytes, input).map_continue(|()| false)
    }

    /// [`call_handler`](Visit::call_handler) for a server with layers, or with a hook for exchanges.
    /// The handler must not be called in two branches of one function: its reply would be moved,
    /// which costs 150 instructions per GET.
    #[inline(always)]
    pub(super) fn call_layers(&mut self, input: &mut Cursor<'_>) -> Progress {
        let bytes = self.begin_request::<true>(input);
        self.record_head(bytes);
        let layers = mem::replace(&mut self.shared.layers, Layers::new());
        let reply = self.timed(|visit| {
            visit.with_observed_request(bytes, |handler, state, request| {
                layers.handle(state, request, &mut |state| handler.handle(state, request))
            })
        });
        self.shared.layers = layers;
        self.work.conn.begin(&self.shared.head);
        let reply = self.unless_panicked(reply)?;
        self.carry_out(reply, bytes, input)
    }

    /// Counts a request, and takes its head out of `input`. Returns the bytes that begin with it.
    #[inline(always)]
    fn begin_request<'a, const OBSERVED: bool>(&mut self, input: &mut Cursor<'a>) -> &'a [u8] {
        if OBSERVED {
            self.report(ConnectionState::Active);
        }
        self.shared.counters.requests += 1;
        self.spent.requests += 1;
        // This cannot overflow: after `u32::MAX` requests none is left, whatever the limit.
        self.facts.requests += 1;
        self.end_wait();
        // A time that the program has set holds for one exchange.
        self.work.end = None;
        let bytes = input.rest();
        input.used += self.shared.head.len;
        bytes
    }

    /// Carries out the reply of the handler. `bytes` begin with the head, and `input` comes after
    /// it.
    #[inline(never)]
    fn carry_out(&mut self, mut reply: Reply<S>, bytes: &[u8], input: &mut Cursor<'_>) -> Progress {
        self.spent.has_worked = true;
        if let Some(response) = reply.response_mut().filter(|response| response.failure().is_some())
        {
            let _ = self.with_request(bytes, |_, _, request| name_request(response, request));
        }
        let mut informed = 0;
        let late = loop {
            reply = match reply.0 {
                Action::Respond(response) => return self.respond(response),
                Action::Collect(collect) => break self.collect(collect, bytes, input)?,
                Action::Receive(receiving) => break self.receive(receiving)?,
                Action::Transform(both) => {
                    let (mut response, transform) = *both;
                    self.log_failure(&mut response);
                    let begun = self.begin_transform(&response, transform);
                    let_go(response);
                    return begun;
                }
                Action::Later(deferred) => return self.defer(deferred),
                Action::Upgrade(both) => {
                    let (upgrade, protocol) = *both;
                    let refusal =
                        self.with_request(bytes, |_, _, request| upgrade.refusal(request));
                    let begun = self.upgrade(&upgrade, protocol, refusal);
                    let_go(upgrade);
                    return begun;
                }
                Action::Hijack(take) => {
                    self.work.conn.hand_out();
                    self.end_record(Outcome::Upgraded);
                    self.set_task(Task::HandOut(take));
                    return Continue(());
                }
                Action::Inform(both) => self.inform_first(*both, &mut informed),
                Action::ContentWithin(both) => self.limit_content(*both),
                Action::Map(both) => self.map(*both)?,
            };
        };
        self.carry_out_late(late)
    }

    /// Carries out a reply that was given after the head of the request: only a response can
    /// follow, now or later.
    pub(super) fn carry_out_late(&mut self, late: LateReply<S>) -> Progress {
        let Some(mut reply) = late else { return Continue(()) };
        self.spent.has_worked = true;
        let mut informed = 0;
        let fault = loop {
            reply = match reply.0 {
                Action::Respond(response) => return self.respond(response),
                Action::Later(deferred) => return self.defer(deferred),
                Action::Inform(both) => self.inform_first(*both, &mut informed),
                Action::ContentWithin(both) => self.limit_content(*both),
                Action::Map(both) => self.map(*both)?,
                action @ (Action::Collect(_) | Action::Receive(_) | Action::Transform(_)) => {
                    let_go(action);
                    break "asks for request content that was already consumed";
                }
                action @ (Action::Upgrade(_) | Action::Hijack(_)) => {
                    let_go(action);
                    break "leaves HTTP after the head";
                }
            };
        };
        error!(
            "{}: replaced by a 500: a reply {fault}, where only a Response is possible",
            self.log_name()
        );
        self.decide_outcome(Outcome::Failed);
        self.respond(Response::status_page(StatusCode::INTERNAL_SERVER_ERROR))
    }

    /// Sends an informational response. Returns the rest of the reply.
    fn inform_first(
        &mut self,
        (informational, then): (Informational, Reply<S>),
        informed: &mut usize,
    ) -> Reply<S> {
        *informed += 1;
        if *informed <= INFORMATIONAL_MAX {
            self.inform(&informational);
        } else {
            error!(
                "{}: informational response left out: at most {INFORMATIONAL_MAX} are sent",
                self.log_name()
            );
        }
        then
    }

    /// Changes the response to which the rest of the reply leads. Returns the rest.
    fn map(&mut self, (change, mut reply): (Change<S>, Reply<S>)) -> Progress<Reply<S>> {
        // Logged before the change, which may panic.
        if let Some(response) = reply.response_mut() {
            self.log_failure(response);
        }
        let state = &mut self.shared.state;
        let changed = guard(|| reply.map_now(state, change));
        self.unless_panicked(changed)
    }

    /// Sets the time in which the content must be complete. Returns the rest of the reply.
    fn limit_content(&mut self, (time, then): (Duration, Reply<S>)) -> Reply<S> {
        self.work.end = Some(End::at(clock::due(self.shared.now, time)));
        then
    }
}
