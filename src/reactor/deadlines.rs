//! Deadlines: armed by the state after each visit, judged when they pass.
//!
//! Invariant: a connection is judged only after a visit that began when its deadline had passed, and
//! that looked at its socket. So a client that came in time is heard, however the time passed: in a
//! signal that interrupted the poll, in a stop of the process, in a handler that blocked, or because
//! the events of a crowd took many batches. Events do not matter for this, so it also holds for
//! bytes after an urgent mark, for which there is no event.
//!
//! A deadline counts from the time of its turn. A handler that blocks takes its time from the waits
//! that begin later in its turn; after all other functions of the program the time is taken anew.
//!
//! A deadline belongs to one wait. As long as the wait lasts, the deadline stays where it is, so
//! bytes that come one by one never prolong a head. A new request, a new task, the end of a pause,
//! a call of a protocol and an expiry each end a wait: they call
//! [`end_wait`](crate::reactor::visit::Visit::end_wait). Rates are judged at the end of a window,
//! so a rate costs one addition for each read.

use wheelhouse_timers::Wheel;

use crate::handler::Handler;
use crate::http1::Rest;
use crate::logging::debug;
use crate::reactor::clock::{self, Millis};
use crate::reactor::connections::connection;
use crate::reactor::kernel::Kernel;
use crate::reactor::shared::Shared;
use crate::reactor::slot::{Facts, Flags, Life, Slot};
use crate::reactor::task::Timer;
use crate::reactor::visit::Visit;
use crate::reactor::{Reactor, Token};
use crate::stats::Event;

/// Deadlines that expire in one turn.
const EXPIRE_MAX: usize = 4096;

/// Arms the deadline of a connection's state, unless the one that is armed belongs to the same
/// wait.
pub(super) fn arm<K: Kernel, S: 'static, H: Handler<S>>(
    wheel: &mut Wheel,
    slot: &mut Slot<K, S>,
    token: Token,
    shared: &Shared<S, H>,
) {
    let timer = timer(slot, shared);
    if slot.facts.armed != timer {
        slot.facts.armed = timer;
        begin_window(&mut slot.life);
        if let Life::Busy(work) = &mut slot.life {
            work.behind = 0;
        }
    } else if timer != Timer::None && !take_signs_of_life(timer, &mut slot.life) {
        return;
    }
    let key = token.key() as u32;
    match due(timer, slot, shared, wheel.due(key)) {
        Some(due) => wheel.arm(key, due),
        None => {
            wheel.disarm(key);
        }
    }
}

/// [`arm`] for a connection that has got its responses and rests again. Saves 92 of 1,070
/// instructions per GET.
#[inline(always)]
pub(super) fn arm_idle_fast<K: Kernel, S: 'static, H: Handler<S>>(
    wheel: &mut Wheel,
    slot: &mut Slot<K, S>,
    token: Token,
    shared: &Shared<S, H>,
) {
    slot.facts.armed = Timer::Idle;
    wheel.arm(token.key() as u32, idle_due(&slot.facts, shared));
}

/// The deadline that a connection must have.
fn timer<K: Kernel, S: 'static, H: Handler<S>>(slot: &Slot<K, S>, shared: &Shared<S, H>) -> Timer {
    match &slot.life {
        Life::Busy(work) => work.timer(),
        Life::Rest(Rest::New) if shared.is_draining() => Timer::Grace,
        Life::Rest(Rest::New) => Timer::Head,
        Life::Rest(Rest::Idle) => Timer::Idle,
        Life::Rest(Rest::Linger(_)) => Timer::Linger,
        Life::Rest(Rest::Ending { .. } | Rest::Closed) => Timer::None,
    }
}

/// The tick of the new deadline; `armed` is the tick of the old one.
fn due<K: Kernel, S: 'static, H: Handler<S>>(
    timer: Timer,
    slot: &Slot<K, S>,
    shared: &Shared<S, H>,
    armed: Option<u32>,
) -> Option<u32> {
    let timeouts = &shared.timeouts;
    let after = |timeout| clock::due_in(shared.now, timeout);
    let own = |timeout| own_timeout(&slot.life).unwrap_or(timeout);
    Some(match timer {
        Timer::None => return None,
        Timer::Head => after(timeouts.head),
        Timer::Grace => {
            let grace = after(timeouts.grace);
            armed.map_or(grace, |armed| earlier(armed, grace))
        }
        Timer::Idle => idle_due(&slot.facts, shared),
        Timer::Content => at_most(after(timeouts.content), &slot.life),
        Timer::Response => at_most(after(timeouts.response), &slot.life),
        Timer::Handler => after(own(timeouts.handler)),
        Timer::Silence => at_most(after(own(timeouts.idle)), &slot.life),
        Timer::Linger => match slot.life {
            Life::Rest(Rest::Linger(linger)) => earlier(after(timeouts.linger_quiet), linger.ends),
            _ => after(timeouts.linger_quiet),
        },
    })
}

/// The tick at which a connection at rest is closed: after the idle timeout, or when it is too old.
fn idle_due<S: 'static, H: Handler<S>>(facts: &Facts, shared: &Shared<S, H>) -> u32 {
    let due = clock::due_in(shared.now, shared.timeouts.idle);
    match shared.site.limits.connection_age_max {
        Some(_) => earlier(due, facts.too_old_at),
        None => due,
    }
}

/// Starts to count bytes for a rate.
fn begin_window<S>(life: &mut Life<S>) {
    if let Life::Busy(work) = life {
        (work.received, work.written, work.last_rate) = (0, 0, 0);
    }
}

/// Takes the signs of life of the visit. Returns whether they put off the deadline that is armed:
/// each begins a linger anew, and bytes written begin most silences anew.
fn take_signs_of_life<S>(timer: Timer, life: &mut Life<S>) -> bool {
    match (timer, &*life) {
        (Timer::Linger, _) => true,
        (Timer::Silence, Life::Busy(work)) => {
            let is_put_off = work.written > 0 && work.task.is_put_off_by_writes();
            begin_window(life);
            is_put_off
        }
        _ => false,
    }
}

/// Returns the time for which a connection has been in its wait, if `left` ticks are left of it: for an
/// idle one and for content an estimate, because their timeouts change. It is 0 while a time that the
/// program has set bounds the wait.
pub(super) fn waited<K: Kernel, S: 'static, H: Handler<S>>(
    slot: &Slot<K, S>,
    left: u32,
    shared: &Shared<S, H>,
) -> Millis {
    // A time that the program has set may come first.
    if matches!(&slot.life, Life::Busy(work) if work.end.is_some()) {
        return 0;
    }
    let timeouts = &shared.timeouts;
    let own = |timeout| own_timeout(&slot.life).unwrap_or(timeout);
    let (whole, left) = match (slot.facts.armed, &slot.life) {
        (Timer::None, _) => return 0,
        (Timer::Head, _) => (timeouts.head, left),
        (Timer::Grace, _) => (timeouts.grace, left),
        (Timer::Idle, _) => (timeouts.idle_when_armed(left), left),
        (Timer::Content, _) => (timeouts.content_when_armed(left), left),
        (Timer::Response, Life::Busy(work)) => (timeouts.response + u64::from(work.behind), left),
        (Timer::Response, Life::Rest(_)) => (timeouts.response, left),
        (Timer::Handler, _) => (own(timeouts.handler), left),
        (Timer::Silence, _) => (own(timeouts.idle_max), left),
        (Timer::Linger, Life::Rest(Rest::Linger(linger))) => {
            (timeouts.linger, linger.ends.wrapping_sub(clock::tick(shared.now)))
        }
        (Timer::Linger, _) => (timeouts.linger_quiet, left),
    };
    whole.saturating_sub(u64::from(left) << clock::TICK_LOG2)
}

/// The timeout that the program has set for the wait, if it has.
fn own_timeout<S>(life: &Life<S>) -> Option<Millis> {
    match life {
        Life::Busy(work) => work.task.timeout().map(clock::millis_up),
        Life::Rest(_) => None,
    }
}

/// Returns `due`, or the time that the program has set if that comes first.
fn at_most<S>(due: u32, life: &Life<S>) -> u32 {
    match life {
        Life::Busy(work) => work.end.map_or(due, |end| earlier(due, end.tick)),
        Life::Rest(_) => due,
    }
}

fn earlier(a: u32, b: u32) -> u32 {
    if (a.wrapping_sub(b) as i32) < 0 {
        a
    } else {
        b
    }
}

impl<K: Kernel, S: 'static, H: Handler<S>> Reactor<K, S, H> {
    /// Expires the deadlines that are due.
    pub(super) fn expire_deadlines(&mut self) {
        self.wheel.advance(clock::tick(self.shared.now));
        for n in 0..EXPIRE_MAX {
            let Some(key) = self.wheel.pop() else { return };
            self.expire(key as usize);
            // Each is a visit, so many of them at once take long. The others wait for a turn.
            if n % 16 == 15 && self.is_late() {
                return;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn expire(&mut self, key: usize) {
        let token = Token::new(key, self.slots[key].facts.generation);
        if self.grants_one_more_turn(token) || self.hears(token) {
            return;
        }
        if let Some(next) = self.next_window(token) {
            return self.wheel.arm(key as u32, next);
        }
        self.run_out(token);
    }

    /// Extends the deadline of a connection that has unread bytes, or room for its output, unless
    /// it was extended before. Returns whether it was.
    fn grants_one_more_turn(&mut self, token: Token) -> bool {
        let now = clock::tick(self.shared.now);
        let slot = &mut self.slots[token.key()];
        let is_queued = slot.facts.flags.has(Flags::QUEUED);
        let is_granted = is_queued
            && match &mut slot.life {
                Life::Busy(work) => work.grants_one_more_turn(now),
                // However much a client sends, the whole time of a linger is not extended.
                Life::Rest(Rest::Linger(linger)) => earlier(now, linger.ends) != linger.ends,
                Life::Rest(_) => true,
            };
        if is_granted {
            self.wheel.arm(token.key() as u32, now.wrapping_add(1));
        }
        is_granted
    }

    /// Visits a connection that waits for its client, before the client is judged: reads bytes that no
    /// event has reported yet, or writes. Returns false if the connection waits for the program.
    ///
    /// The kernel reports room in a socket only when much of it is free, which takes a slow reader of
    /// a large buffer longer than a window: only a write shows how much it has read. And a read stops
    /// before an urgent byte and after bytes that came with a descriptor, so a short read may leave
    /// bytes of a request in the socket, of which no event comes.
    fn looks(&mut self, token: Token) -> bool {
        let slot = &mut self.slots[token.key()];
        let armed = slot.facts.armed;
        let is_for_client = match armed {
            Timer::Head | Timer::Grace | Timer::Idle | Timer::Content => true,
            Timer::Response | Timer::Linger => true,
            Timer::Silence => slot.life.is_protocol(),
            Timer::None | Timer::Handler => false,
        };
        if !is_for_client {
            return false;
        }
        let visit = Visit::begin(&mut self.shared, &mut self.kernel, &mut self.spare, slot, token);
        let verdict = match armed {
            Timer::Response => visit.serve(&mut self.scratch),
            _ => visit.hear(&mut self.scratch),
        };
        self.conclude(token, verdict);
        true
    }

    /// Looks at a connection whose deadline has passed. Returns whether it has another deadline now, or
    /// is gone.
    fn hears(&mut self, token: Token) -> bool {
        let slot = &self.slots[token.key()];
        let (armed, linger) = (slot.facts.armed, slot.life.linger());
        if !self.looks(token) {
            return false;
        }
        let Some(slot) = connection(&mut self.slots, token) else { return true };
        // Each visit begins the quiet time of a linger anew, even if nothing has come.
        let has_lingered = linger.is_some() && slot.life.linger() == linger;
        let is_armed = self.wheel.due(token.key() as u32).is_some();
        if has_lingered || !is_armed && slot.facts.armed == armed {
            return self.grants_one_more_turn(token);
        }
        true
    }

    /// Looks at a connection that is about to give way. Returns whether its client has sent or read
    /// something meanwhile, or the connection is gone.
    pub(super) fn has_moved(&mut self, token: Token) -> bool {
        let slot = &self.slots[token.key()];
        let (armed, before) = (slot.facts.armed, slot.progress());
        // Bytes that are dropped are no reason to stay.
        if armed == Timer::Linger {
            return false;
        }
        // It has more to do, and its turn comes.
        if slot.facts.flags.has(Flags::QUEUED) {
            return true;
        }
        if !self.looks(token) {
            return false;
        }
        connection(&mut self.slots, token).is_none_or(|slot| {
            let is_queued = slot.facts.flags.has(Flags::QUEUED);
            is_queued || slot.facts.armed != armed || slot.progress() != before
        })
    }

    /// Returns the end of the next rate window, if the deadline is the end of a window in which
    /// enough bytes moved. The window of a response has parts: a client may be behind the rate for as
    /// long as the window, and make up for it.
    fn next_window(&mut self, token: Token) -> Option<u32> {
        let (now, limits) = (self.shared.now, &self.shared.site.limits);
        let timeouts = &self.shared.timeouts;
        let slot = &mut self.slots[token.key()];
        let Life::Busy(work) = &slot.life else { return None };
        if work.has_ended(clock::tick(now)) {
            return None;
        }
        let (window, rate, moved) = match slot.facts.armed {
            Timer::Content => {
                (clock::millis_up(limits.content_window), limits.content_rate_min, work.received)
            }
            Timer::Response => (timeouts.response, limits.response_rate_min, work.written),
            _ => return None,
        };
        let least = (u64::from(rate).saturating_mul(window) / 1000).max(1);
        let behind = match slot.facts.armed {
            Timer::Response => {
                let made_up = u128::from(moved) * u128::from(window) / u128::from(least);
                let behind = u128::from(u64::from(work.behind) + window).saturating_sub(made_up);
                // The next part would end after the window.
                u32::try_from(behind)
                    .ok()
                    .filter(|&behind| u64::from(behind) + window <= timeouts.response_window)?
            }
            _ if moved < least => return None,
            _ => 0,
        };
        begin_window(&mut slot.life);
        if let Life::Busy(work) = &mut slot.life {
            let rate = moved.saturating_mul(1000) / window.max(1);
            work.last_rate = rate.try_into().unwrap_or(u32::MAX);
            work.behind = behind;
        }
        Some(at_most(clock::due_in(now, window), &slot.life))
    }

    /// Ends the wait of a connection whose time is over.
    fn run_out(&mut self, token: Token) {
        let Some(slot) = connection(&mut self.slots, token) else { return };
        let armed = slot.facts.armed;
        let is_busy = matches!(slot.life, Life::Busy(_));
        if let Some(deadline) = armed.deadline(is_busy) {
            self.shared.counters.count(Event::Expired(deadline));
        }
        debug!(
            "{}: its deadline has passed: {armed:?}",
            slot.log_name(self.shared.origins.peer(token.key()))
        );
        let verdict = self.begin_visit(token).expire();
        self.conclude(token, verdict);
    }
}
