//! Deadlines: armed from the state after each visit, judged when they pass.
//!
//! A deadline is of one kind, for one message, since one point in time. As long as kind and
//! message stay, it is not moved, so dripping bytes never prolongs a head. Rates are judged at
//! the end of a window, so they cost an addition per read and nothing else.

use std::time::Duration;

use timers::Wheel;

use crate::handler::Handler;
use crate::limits::{Limits, TIMEOUT_MAX};
use crate::reactor::clock::{self, Millis};
use crate::reactor::kernel::{Kernel, EVENTS_MAX};
use crate::reactor::shutdown::NEW_GRACE;
use crate::reactor::slot::{Armed, Flags, Intake, Life, Slot, Source, Timer};
use crate::reactor::visit::Visit;
use crate::reactor::{tenant, Reactor, Token, EXPIRE_MAX};

/// When the deadlines that are armed in a turn will be due: computed once for all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// What they were computed from.
    basis: Basis,
    pub(super) head: u32,
    /// For the first byte of a new connection, while the server drains.
    grace: Option<u32>,
    idle: u32,
    content: u32,
    response: u32,
    handler: u32,
    linger_quiet: u32,
    /// For a linger that begins now, however much comes.
    linger: u32,
}

/// What deadlines depend on, beside the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    now: Millis,
    connections: usize,
    is_draining: bool,
}

impl Basis {
    pub(super) fn at_start(now: Millis) -> Basis {
        Basis { now, connections: 0, is_draining: false }
    }
}

/// The limits that become deadlines, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    head: Millis,
    idle: Millis,
    idle_min: Millis,
    content: Millis,
    response: Millis,
    handler: Millis,
    linger_quiet: Millis,
    linger: Millis,
}

impl Spans {
    pub(super) fn of(limits: &Limits) -> Spans {
        Spans {
            head: clock::millis_up(limits.head_timeout),
            idle: clock::millis_up(limits.idle_timeout),
            idle_min: clock::millis_up(limits.idle_timeout_min),
            content: clock::millis_up(first_window(limits.content_window)),
            response: clock::millis_up(limits.response_window),
            handler: clock::millis_up(limits.handler_timeout),
            linger_quiet: clock::millis_up(limits.linger_quiet_timeout),
            linger: clock::millis_up(limits.linger_timeout),
        }
    }

    /// The idle time-out, shrunk linearly while connections go from 50 % to 90 % of their limit.
    fn idle(&self, connections: usize, connections_max: usize) -> Millis {
        let (used, max) = (connections as u64, connections_max as u64);
        let over = (used * 10).saturating_sub(max * 5).min(max * 4);
        if over == 0 {
            return self.idle;
        }
        let (shrink, whole) = (self.idle - self.idle_min, max * 4);
        self.idle - (shrink / whole * over + shrink % whole * over / whole)
    }
}

impl Timeouts {
    pub(super) fn at(basis: Basis, spans: &Spans, connections_max: usize) -> Timeouts {
        let Basis { now, connections, is_draining } = basis;
        Timeouts {
            basis,
            head: clock::due_in(now, spans.head),
            grace: is_draining.then(|| clock::due(now, NEW_GRACE)),
            idle: clock::due_in(now, spans.idle(connections, connections_max)),
            content: clock::due_in(now, spans.content),
            response: clock::due_in(now, spans.response),
            handler: clock::due_in(now, spans.handler),
            linger_quiet: clock::due_in(now, spans.linger_quiet),
            linger: clock::due_in(now, spans.linger),
        }
    }
}

/// Whether more events wait than the last polls could tell of: they may be bytes that save a client
/// from its deadline. The system tells in the order in which things happened, so once as many
/// events have been told as there are connections, whatever was there has been heard. A crowd
/// that fills every batch puts deadlines off by that much, and not for ever.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Events of full batches in a row.
    told: usize,
    is_unheard: bool,
}

impl Backlog {
    #[inline(always)]
    pub(super) fn note(&mut self, batch_is_full: bool, connections: usize) {
        if !batch_is_full {
            (self.told, self.is_unheard) = (0, false);
            return;
        }
        self.told += EVENTS_MAX;
        // Listeners and wakers have events, too.
        self.is_unheard = self.told <= connections;
        if !self.is_unheard {
            self.told = 0;
        }
    }
}

/// Arms the deadline of a connection's state, if it is not the one that is armed.
pub(super) fn rearm<K: Kernel, S>(
    wheel: &mut Wheel,
    slot: &mut Slot<K, S>,
    key: usize,
    timeouts: &Timeouts,
) {
    let kind = timer(slot, timeouts);
    arm(wheel, slot, key, timeouts, kind);
}

/// The same, where the kind of the deadline is known.
#[inline(always)]
pub(super) fn arm<K: Kernel, S>(
    wheel: &mut Wheel,
    slot: &mut Slot<K, S>,
    key: usize,
    timeouts: &Timeouts,
    kind: Timer,
) {
    let wanted = Armed { kind, message: slot.requests as u8 };
    if slot.armed != wanted {
        slot.armed = wanted;
        match (kind, &mut slot.life) {
            (Timer::Linger, _) => slot.ends = timeouts.linger,
            (Timer::Content | Timer::Response | Timer::Silence, Life::Busy(work)) => {
                (work.received, work.moved) = (0, 0);
            }
            _ => {}
        }
    } else if !is_moved(kind, &mut slot.life) {
        return;
    }
    let due = match kind {
        Timer::None => {
            wheel.disarm(key as u32);
            return;
        }
        Timer::Head => timeouts.head,
        Timer::Grace => {
            let grace = timeouts.grace.unwrap_or(timeouts.head);
            wheel.due(key as u32).map_or(grace, |due| earlier(due, grace))
        }
        Timer::Idle => timeouts.idle,
        Timer::Content => at_most(timeouts.content, &slot.life),
        Timer::Response => at_most(timeouts.response, &slot.life),
        Timer::Handler => own_due(&slot.life, timeouts).unwrap_or(timeouts.handler),
        Timer::Silence => {
            at_most(own_due(&slot.life, timeouts).unwrap_or(timeouts.idle), &slot.life)
        }
        Timer::Linger => earlier(timeouts.linger_quiet, slot.ends),
    };
    wheel.arm(key as u32, due);
}

/// Whether a deadline that is armed is put off by what has happened in the visit.
#[inline(always)]
fn is_moved<S>(kind: Timer, life: &mut Life<S>) -> bool {
    match (kind, life) {
        (Timer::Linger, _) => true,
        // Something was said or heard: the silence begins anew.
        (Timer::Silence, Life::Busy(work)) => {
            // To a producer nothing is said: content that nobody asked for is no sign of it.
            let heard = match work.source {
                Source::Waiting(..) => 0,
                _ => work.received,
            };
            let said = match &work.intake {
                Intake::Protocol(speaking) if speaking.is_owed => 0,
                _ => work.moved,
            };
            let moved = said + heard;
            (work.moved, work.received) = (0, 0);
            moved > 0
        }
        _ => false,
    }
}

/// `due`, or the end that the program has set if that comes first.
fn at_most<S>(due: u32, life: &Life<S>) -> u32 {
    match life {
        Life::Busy(work) => work.ends.map_or(due, |ends| earlier(due, ends.tick)),
        Life::Rest(_) => due,
    }
}

/// When a deadline of the work's own is due, if it has one.
fn own_due<S>(life: &Life<S>, timeouts: &Timeouts) -> Option<u32> {
    let Life::Busy(work) = life else { return None };
    let timeout = work.own_timeout()?.min(TIMEOUT_MAX);
    Some(clock::due(timeouts.basis.now, timeout))
}

impl<K: Kernel, H: Handler> Reactor<K, H> {
    /// Expires what has come due. Not while bytes that would save a client may be waiting for the
    /// next poll.
    pub(super) fn expire_deadlines(&mut self) {
        if self.backlog.is_unheard {
            return;
        }
        self.wheel.advance(clock::tick(self.desk.now));
        for _ in 0..EXPIRE_MAX {
            let Some(key) = self.wheel.pop() else { return };
            self.expire(key as usize);
        }
    }

    fn expire(&mut self, key: usize) {
        let now = self.desk.now;
        let Some(slot) = self.slots.get_mut(key) else { return };
        if slot.stream.is_none() {
            return;
        }
        let token = Token::new(key, slot.generation);
        let had_its_last_turn = match &mut slot.life {
            Life::Busy(work) => work.had_its_last_turn(clock::tick(now)),
            Life::Rest(_) => false,
        };
        if slot.flags.has(Flags::QUEUED) && !had_its_last_turn {
            // It has unread bytes, or room for its output: one more turn.
            self.wheel.arm(key as u32, clock::tick(now).wrapping_add(1));
            return;
        }
        if slot.armed.kind == Timer::Response {
            // Room in a socket is told when much of it is free, which for a slow reader of a
            // large buffer takes longer than a window: only a write tells what it has taken.
            let armed = slot.armed;
            let visit = Visit::begin(&mut self.desk, &mut self.kernel, slot, token);
            let verdict = visit.serve(&mut self.scratch);
            self.conclude(token, verdict);
            if !tenant(&mut self.slots, token).is_some_and(|slot| slot.armed == armed) {
                return;
            }
        }
        let Some(slot) = tenant(&mut self.slots, token) else { return };
        if let Some(window) = kept_pace(slot, clock::tick(now), &self.desk.limits) {
            self.wheel.arm(key as u32, at_most(clock::due(now, window), &slot.life));
            return;
        }
        let has_begun = matches!(slot.life, Life::Busy(_));
        if has_begun && matches!(slot.armed.kind, Timer::Head | Timer::Content | Timer::Response) {
            self.desk.counters.too_slow += 1;
        }
        log::debug!("connection {token}: {:?} deadline passed", slot.armed.kind);
        slot.forget_deadline();
        let verdict = Visit::begin(&mut self.desk, &mut self.kernel, slot, token).expire();
        self.conclude(token, verdict);
    }

    /// Brings the deadlines of what is armed from now on up to date.
    pub(super) fn renew_timeouts(&mut self) {
        let desk = &self.desk;
        let (now, is_draining) = (desk.now, desk.is_draining);
        let basis = Basis { now, connections: self.slots.len(), is_draining };
        // Many turns fall into one millisecond.
        if basis != self.timeouts.basis {
            self.timeouts = Timeouts::at(basis, &self.spans, self.connections_max);
        }
    }
}

/// Which deadline a slot must have.
fn timer<K: Kernel, S>(slot: &Slot<K, S>, timeouts: &Timeouts) -> Timer {
    use crate::http1::Rest;
    match &slot.life {
        Life::Busy(work) => work.timer(),
        Life::Rest(Rest::New) if timeouts.grace.is_some() => Timer::Grace,
        Life::Rest(Rest::New) => Timer::Head,
        Life::Rest(Rest::Idle) => Timer::Idle,
        Life::Rest(Rest::Linger(_)) => Timer::Linger,
        Life::Rest(Rest::Closed) => Timer::None,
    }
}

/// If the deadline is the end of a rate window in which enough bytes moved: the next window.
fn kept_pace<K: Kernel, S>(slot: &mut Slot<K, S>, now: u32, limits: &Limits) -> Option<Duration> {
    let Life::Busy(work) = &mut slot.life else { return None };
    if work.has_ended(now) {
        return None;
    }
    let (window, rate, moved) = match slot.armed.kind {
        Timer::Content => (limits.content_window, limits.content_rate_min, work.received),
        Timer::Response => (limits.response_window, limits.response_rate_min, work.moved),
        _ => return None,
    };
    (work.received, work.moved) = (0, 0);
    let least = (u128::from(rate) * window.as_millis() / 1000).max(1);
    (u128::from(moved) >= least).then_some(window)
}

/// The first window of content is half as long again: a round trip for `100 Continue`, a start.
fn first_window(window: Duration) -> Duration {
    window + window / 2
}

fn earlier(a: u32, b: u32) -> u32 {
    if (a.wrapping_sub(b) as i32) < 0 {
        a
    } else {
        b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_wait_for_full_batches_until_everybody_has_been_heard_and_no_longer() {
        let mut backlog = Backlog::default();
        let mut waits = |is_full, connections| {
            backlog.note(is_full, connections);
            backlog.is_unheard
        };
        for _ in 0..3 {
            assert!(!waits(false, 1000));
            assert_eq!(
                [(); 8].map(|()| waits(true, 1000)),
                [true, true, true, false].repeat(2)[..]
            );
            assert!(waits(true, 1000) && !waits(false, 1000));
        }
        assert!(!waits(true, 200), "a batch that is larger than the crowd");
    }
}
