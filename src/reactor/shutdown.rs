//! Ending well and making room: graceful shutdown with a deadline and a report, the hard stop,
//! and closing idle connections when slots or memory are short.

use std::mem;
use std::time::Duration;

use crate::handler::Handler;
use crate::http1::{CloseReason, Farewell};
use crate::limits::TIMEOUT_MAX;
use crate::reactor::clock::{self, Millis};
use crate::reactor::kernel::Kernel;
use crate::reactor::memory::Pressure;
use crate::reactor::slot::{Flags, Life};
use crate::reactor::visit::Visit;
use crate::reactor::{enqueue, Reactor, Token};
use crate::report::Report;

/// A graceful shutdown under way.
#[derive(Debug)]
pub(crate) struct Drain {
    ends: Millis,
    open_at_start: usize,
    /// Connections accepted before it began.
    accepted_at_start: u64,
    killed: usize,
    /// Whether the listeners are still open: until the end of the turn in which it began.
    is_listening: bool,
}

impl Drain {
    pub(crate) fn ends(&self) -> Millis {
        self.ends
    }
}

/// How long a connection that has sent nothing yet may still begin a request while draining.
pub(super) const NEW_GRACE: Duration = Duration::from_secs(1);

/// Idle connections looked at to find the one to close: the oldest of a sample, since keeping
/// them all sorted would cost every request something.
const SAMPLE: usize = 32;

/// How often a drain accepts, 64 at a time: more than a queue holds, and an end to those who come
/// and are refused faster than that.
const ROUNDS_MAX: usize = 1024;

/// Slots looked at in one turn to find them: a full house of busy connections costs no more.
const LOOKED_AT: usize = 1024;

impl<K: Kernel, H: Handler> Reactor<K, H> {
    /// The graceful end: the hooks are told, then it begins.
    pub(super) fn shut_down(&mut self, timeout: Option<Duration>) {
        if self.drain.is_none() {
            let timeout = self.desk.hooks.tell_group(timeout);
            self.desk.hooks.tell_shutdown();
            self.begin_drain(timeout);
        }
    }

    /// The hard end that somebody asked for.
    pub(super) fn stop_now(&mut self) {
        self.desk.hooks.tell_group_to_stop();
        self.stop();
    }

    /// Lets every connection finish what it began: whatever has been received is answered, with
    /// `Connection: close`; idle connections end at once, and then the listeners close.
    fn begin_drain(&mut self, timeout: Option<Duration>) {
        if self.drain.is_some() {
            return;
        }
        let timeout = timeout.unwrap_or(self.desk.limits.shutdown_timeout).min(TIMEOUT_MAX);
        self.desk.is_draining = true;
        self.keep_none(CloseReason::ShuttingDown);
        self.renew_timeouts();
        self.drain = Some(Drain {
            ends: self.desk.now + clock::millis(timeout),
            open_at_start: self.slots.len() - self.closed.len(),
            accepted_at_start: self.desk.counters.accepted,
            killed: 0,
            is_listening: true,
        });
        self.set_alarm();
        self.look_once_more(|_| true);
    }

    /// Who connected before the end is served, however many they are: those who waited for a slot
    /// or a descriptor have those of the idle connections now. Then nobody can connect any more.
    fn accept_the_last(&mut self) {
        // What was closed in this turn has been recycled: who takes such a slot is queued anew.
        let slots = &self.slots;
        self.ready.retain(|&key| slots.contains(key as usize));
        self.acceptor.note_all_ready();
        self.acceptor.descriptor_freed(self.desk.now);
        for _ in 0..ROUNDS_MAX {
            // Those whom the hook refuses and those who have gone stood before others, too.
            let before = (self.next_generation, self.acceptor.errors());
            self.accept();
            if (self.next_generation, self.acceptor.errors()) == before {
                break;
            }
        }
        self.acceptor.close(&mut self.kernel);
    }

    /// Connections are kept from now on, or none is: idle ones end at once, the others after
    /// their answer.
    pub(crate) fn set_keep_alive(&mut self, keeps: bool) {
        if self.desk.is_draining {
            return;
        }
        if keeps {
            self.desk.keeps_none = None;
            self.desk.closes = self.desk.reason_to_close();
            return;
        }
        self.keep_none(CloseReason::KeepAliveOff);
        self.look_once_more(Life::is_idle);
    }

    fn keep_none(&mut self, reason: CloseReason) {
        self.desk.keeps_none = Some(reason);
        self.desk.closes = self.desk.reason_to_close();
    }

    /// One more read before an end: a request that is already in the socket counts as begun.
    fn look_once_more(&mut self, at: impl Fn(&Life<H::State>) -> bool) {
        for (key, slot) in &mut self.slots {
            if slot.stream.is_some() && at(&slot.life) {
                slot.flags.set(Flags::READABLE);
                enqueue(&mut self.ready, slot, Token::new(key, slot.generation));
            }
        }
    }

    /// Resets every connection.
    fn stop(&mut self) {
        self.begin_drain(None);
        self.acceptor.close(&mut self.kernel);
        let open: Vec<Token> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.stream.is_some())
            .map(|(key, slot)| Token::new(key, slot.generation))
            .collect();
        for token in open {
            if let Some(drain) = &mut self.drain {
                drain.killed += 1;
            }
            self.abort(token);
        }
    }

    /// Takes a drain one step on, if there is one; `false` when it has come to its end, by itself
    /// or by its deadline.
    pub(super) fn goes_on(&mut self) -> bool {
        let Some(drain) = &mut self.drain else { return true };
        let ends = drain.ends;
        if mem::take(&mut drain.is_listening) {
            self.accept_the_last();
            self.recycle();
        }
        if !self.slots.is_empty() && self.desk.now >= ends {
            self.stop();
            self.recycle();
        }
        !self.slots.is_empty()
    }

    /// What has been done so far.
    pub(crate) fn report(&self) -> Report {
        let counters = &self.desk.counters;
        let (open, killed) = self.drain.as_ref().map_or((0, 0), |drain| {
            let later = (counters.accepted - drain.accepted_at_start) as usize;
            (drain.open_at_start + later, drain.killed)
        });
        Report {
            accepted: counters.accepted,
            requests: counters.requests,
            refused: counters.refused,
            too_slow: counters.too_slow,
            cut_off: counters.cut_off,
            panics: counters.panics + self.desk.hooks.panics,
            accept_errors: self.acceptor.errors(),
            drained: open.saturating_sub(killed),
            killed,
        }
    }

    /// Closes an old idle connection where somebody waits for its slot, or several where memory
    /// is short. Never one that is at work.
    pub(super) fn relieve(&mut self) {
        let is_full = self.acceptor.is_ready() && self.slots.len() >= self.connections_max;
        let memory_is_short = self.desk.ledger.pressure() >= Pressure::High;
        if memory_is_short {
            self.desk.pool.trim(&mut self.desk.ledger);
        }
        if is_full || memory_is_short {
            if let Some(token) = self.oldest_idle() {
                log::debug!("connection {token}: idle, closed to make room");
                self.close(token, Farewell::Close);
            }
        }
    }

    /// The system has no descriptor left for those who wait: an idle connection gives its own,
    /// and the next turn accepts. Without an idle one, somebody who waits is dropped.
    pub(super) fn free_descriptor(&mut self) {
        match self.oldest_idle() {
            Some(token) => {
                log::debug!("connection {token}: idle, closed to free its descriptor");
                self.close(token, Farewell::Close);
            }
            None => self.acceptor.shed(&mut self.kernel),
        }
    }

    /// The idle connection of a sample whose deadline is nearest.
    fn oldest_idle(&mut self) -> Option<Token> {
        let capacity = self.slots.capacity().max(1);
        let now = clock::tick(self.desk.now);
        let start = self.sample_from % capacity;
        let mut best: Option<(i32, Token)> = None;
        let mut seen = 0;
        let keys = (start..capacity).chain(0..start).take(LOOKED_AT);
        for key in keys {
            self.sample_from = key + 1;
            let Some(slot) = self.slots.get(key) else { continue };
            let is_candidate = slot.stream.is_some()
                && slot.life.is_idle()
                && !slot.flags.has(Flags::READABLE)
                && !slot.flags.has(Flags::QUEUED);
            if !is_candidate {
                continue;
            }
            let left = self.wheel.due(key as u32).map_or(0, |due| due.wrapping_sub(now) as i32);
            if best.map_or(true, |(least, _)| left < least) {
                best = Some((left, Token::new(key, slot.generation)));
            }
            seen += 1;
            if seen == SAMPLE {
                break;
            }
        }
        best.map(|(_, token)| token)
    }

    fn abort(&mut self, token: Token) {
        let Some(slot) = super::tenant(&mut self.slots, token) else { return };
        let verdict = Visit::begin(&mut self.desk, &mut self.kernel, slot, token).abort();
        self.conclude(token, verdict);
    }
}
