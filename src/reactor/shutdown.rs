//! The end of a loop: graceful shutdown with a deadline and a report, and the stop at once.

use std::time::Duration;

use crate::handler::Handler;
use crate::limits::TIMEOUT_MAX;
use crate::reactor::clock::{self, Millis};
use crate::reactor::kernel::Kernel;
use crate::reactor::shared::{Drain, DrainPhase, Service};
use crate::reactor::slot::{Flags, Life};
use crate::reactor::{enqueue, Reactor, Token};
use crate::stats::Report;

/// The rounds in which a drain accepts, 64 connections in each: more than the queue of a listener
/// holds, and a bound for clients that connect as fast as they are refused.
const ROUNDS_MAX: usize = 1024;

impl<K: Kernel, S: 'static, H: Handler<S>> Reactor<K, S, H> {
    /// Begins a graceful shutdown, after calling the hooks for it.
    pub(super) fn shut_down(&mut self, timeout: Option<Duration>) {
        if !self.shared.is_draining() {
            let timeout = self.group.as_ref().map_or(timeout, |group| group.shut_down(timeout));
            let shared = &mut self.shared;
            shared.hooks.report_shutdown(&mut shared.state);
            shared.count_panics_of_hooks();
            self.begin_drain(timeout);
        }
    }

    /// Stops this loop and its group at once.
    pub(super) fn stop_now(&mut self) {
        if let Some(group) = &self.group {
            group.stop();
        }
        self.stop();
    }

    /// Lets every connection finish the requests that it has received, with `Connection: close` in
    /// the last response. Idle connections end at once, and then the listeners close.
    fn begin_drain(&mut self, timeout: Option<Duration>) {
        if self.shared.is_draining() {
            return;
        }
        let timeout = timeout.unwrap_or(self.shared.site.limits.shutdown_timeout).min(TIMEOUT_MAX);
        self.published.note_draining();
        self.shared.service = Service::Draining(Drain {
            ends: self.shared.now + clock::millis(timeout),
            open_at_start: self.slots.len(),
            accepted_at_start: self.shared.counters.accepted(),
            reset: 0,
            phase: DrainPhase::Listening,
        });
        self.look_once_more(|_| true);
    }

    /// Accepts the clients that connected before the shutdown, however many they are, and closes
    /// the listeners. Idle connections have left their slots and descriptors to clients that
    /// waited. The clients of a batch are served before the next batch is accepted, so most slots are free
    /// again by then.
    fn accept_the_last(&mut self, ends: Millis) {
        self.acceptor.note_all_ready();
        self.acceptor.descriptor_freed(self.shared.now);
        for _ in 0..ROUNDS_MAX {
            self.serve_ready();
            let goes_on = self.accept() || !self.ready.is_empty();
            if !goes_on || self.shared.now >= ends {
                break;
            }
        }
        self.clear_waiting_room();
        self.acceptor.close(&mut self.kernel);
    }

    /// Sets whether connections are kept from now on. If not, idle ones end at once and the others
    /// after their response.
    pub(crate) fn set_keep_alive(&mut self, keeps: bool) {
        if self.shared.is_draining() {
            return;
        }
        if keeps {
            self.shared.service = Service::Normal;
        } else {
            self.shared.service = Service::KeepAliveOff;
            self.look_once_more(Life::is_idle);
        }
    }

    /// Queues connections for one more read before they end: a request that is already in the
    /// socket counts as begun.
    fn look_once_more(&mut self, at: impl Fn(&Life<S>) -> bool) {
        for (key, slot) in &mut self.slots {
            if at(&slot.life) {
                slot.facts.flags.set(Flags::READABLE);
                let token = Token::new(key, slot.facts.generation);
                enqueue(&mut self.ready, &mut self.unfinished, slot, token);
            }
        }
    }

    /// Resets every connection.
    fn stop(&mut self) {
        self.begin_drain(None);
        self.clear_waiting_room();
        self.acceptor.close(&mut self.kernel);
        let token =
            |(key, slot): (usize, &super::Slot<K, S>)| Token::new(key, slot.facts.generation);
        let open: Vec<Token> = self.slots.iter().map(token).collect();
        if let Service::Draining(drain) = &mut self.shared.service {
            drain.reset += open.len();
        }
        for token in open {
            let verdict = self.begin_visit(token).abort();
            self.conclude(token, verdict);
        }
    }

    /// Stops the loop at once, unless it has ended.
    pub(super) fn end(&mut self) {
        if !self.has_ended() {
            self.stop_now();
            self.goes_on();
            self.publish();
        }
    }

    /// Whether a drain has come to its end. From then on a turn does nothing.
    pub(super) fn has_ended(&self) -> bool {
        match &self.shared.service {
            Service::Draining(drain) => {
                drain.phase != DrainPhase::Listening && self.slots.is_empty()
            }
            Service::Normal | Service::KeepAliveOff => false,
        }
    }

    /// Takes a drain one step on, if there is one. Returns false when it has come to its end, by
    /// itself or by its deadline.
    #[inline(always)]
    pub(super) fn goes_on(&mut self) -> bool {
        match self.shared.service {
            Service::Draining(_) => self.drain_goes_on(),
            _ => true,
        }
    }

    #[inline(never)]
    fn drain_goes_on(&mut self) -> bool {
        let Service::Draining(drain) = &mut self.shared.service else { return true };
        let is_over = self.shared.now >= drain.ends;
        match drain.phase {
            DrainPhase::Listening => {
                drain.phase = DrainPhase::Closing;
                let ends = drain.ends;
                self.accept_the_last(ends);
                self.give_back();
            }
            // As with other deadlines, clients that came in time are heard.
            DrainPhase::Closing if is_over => {
                drain.phase = DrainPhase::LastLook;
                self.look_once_more(|_| true);
            }
            DrainPhase::Closing => {}
            DrainPhase::LastLook => {
                self.stop();
                self.give_back();
            }
        }
        if self.has_ended() {
            self.drop_functions();
        }
        !self.has_ended()
    }

    /// Drops the functions of the program that wait for their turn, their time or their source, and
    /// refuses further ones.
    #[cold]
    fn drop_functions(&mut self) {
        self.sources.drop_all(&mut self.kernel);
        self.calls.end();
        self.program_timers.drop_all();
    }

    /// The numbers so far.
    pub(crate) fn report(&self) -> Report {
        let totals = self.totals();
        let (open, reset) = match &self.shared.service {
            Service::Draining(drain) => {
                let later = (totals.accepted - drain.accepted_at_start) as usize;
                (drain.open_at_start + later, drain.reset)
            }
            Service::Normal | Service::KeepAliveOff => (0, 0),
        };
        Report { totals, drained: open.saturating_sub(reset), reset }
    }
}
