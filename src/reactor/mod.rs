//! The event loop: one thread, one slab of connections, one timing wheel. The only code that
//! touches sockets and clocks; it knows no rule of HTTP.
//!
//! # One turn
//!
//! [`Reactor::turn`] is the loop's whole life, always in this order:
//!
//! 1. sleep until something is ready or the nearest deadline; then take the time, once; events
//!    only set flags and put their slot into the ready queue;
//! 2. what other threads, wakers and signals have said is done;
//! 3. the ready queue is served, each connection within the budget of one [`visit`];
//! 4. deadlines expire: after the input of the same poll, so that a slow handler does not cost
//!    the clients that were on time;
//! 5. what is rare, if it is due: timers of the program, a look at the age of connections;
//! 6. new connections are accepted: work in hand goes first;
//! 7. slots that were closed are free again; a drain accepts for the last time, or ends.
//!
//! # Tokens, and when a slot may be reused
//!
//! A [`Token`] is the slot's key and its generation. A slot that is closed in a turn is removed
//! from the slab at the end of it, so no event of the same batch can meet its next tenant; one of
//! a later batch finds another generation and is ignored.

mod token;
mod slot;
mod shared;
mod memory;
mod deadlines;
mod visit;
mod connections;
mod acceptor;
mod age;
mod program_timers;
mod shutdown;
pub(crate) mod loop_group;
pub(crate) mod hooks;
pub(crate) mod mailbox;
#[cfg(feature = "signals")]
mod signals;
pub(crate) mod clock;
pub(crate) mod kernel;
pub(crate) mod mio_kernel;

use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;
use timers::Wheel;

use crate::handler::Handler;
use crate::http1::{Encoder, Head, HeadLimits};
use crate::limits::Limits;
use crate::message::request::{ListenerNames, REQUESTS_CEILING};
use crate::reactor::acceptor::Acceptor;
use crate::reactor::age::Ages;
use crate::reactor::clock::{DateClock, Millis};
use crate::reactor::connections::tenant;
use crate::reactor::deadlines::{arm, rearm, Backlog, Basis, Spans, Timeouts};
use crate::reactor::hooks::Hooks;
use crate::reactor::kernel::{Event, Kernel};
use crate::reactor::mailbox::{Mailbox, Message};
use crate::reactor::memory::{Ledger, Pool};
use crate::reactor::program_timers::Agenda;
use crate::reactor::shared::{Counters, Desk};
use crate::reactor::shutdown::Drain;
use crate::reactor::slot::{Flags, Life, Slot, Timer, Work};
use crate::reactor::visit::{Verdict, Visit, SCRATCH};

pub(crate) use crate::reactor::token::Token;

/// One loop.
pub(crate) struct Reactor<K: Kernel, H: Handler> {
    kernel: K,
    desk: Desk<H>,
    slots: Slab<Slot<K, H::State>>,
    wheel: Wheel,
    /// When deadlines that are armed in this turn will be due.
    timeouts: Timeouts,
    spans: Spans,
    /// The keys of the connections to be visited in the next turn: those marked as queued.
    ready: Vec<u32>,
    /// Those of the present turn; empty between turns.
    serving: Vec<u32>,
    acceptor: Acceptor<K>,
    /// The timers of the program, if there are any.
    agenda: Option<Box<Agenda<H::State>>>,
    /// When connections are looked at for their age, if that is limited.
    ages: Option<Ages>,
    /// When the agenda, the ages or the end of a drain want a turn; `MAX` is never. What is rare
    /// costs a turn one comparison.
    alarm: Millis,
    drain: Option<Drain>,
    /// Bytes just read. Requests are parsed in place and borrow from it.
    scratch: Vec<u8>,
    /// Whether more events wait than the last polls could tell of.
    backlog: Backlog,
    /// Closed in this turn: their keys are still taken.
    closed: Vec<usize>,
    next_generation: u32,
    /// What the ledger has been charged for what is not lent: scratch buffers, slots, wheel.
    charged: usize,
    connections_max: usize,
    /// Where the search for an idle connection to close goes on.
    sample_from: usize,
}

/// Slots of the wheel: with ticks of 64 ms a turn of it is 131 s, longer than every default.
const WHEEL_SLOTS: usize = 2048;
/// Listeners of one loop, whose numbers fit the byte that a slot has for them.
pub(crate) const LISTENERS_MAX: usize = Token::LISTENERS_MAX;
/// Deadlines that expire in one turn.
const EXPIRE_MAX: usize = 4096;

impl<K: Kernel, H: Handler> Reactor<K, H> {
    pub(crate) fn new(
        mut kernel: K,
        mailbox: Arc<Mailbox>,
        listeners: Vec<(Box<str>, K::Listener)>,
        mut handler: H,
        mut hooks: Hooks,
        mut limits: Limits,
        connections_max: usize,
    ) -> io::Result<Self> {
        let (names, listeners): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
        let acceptor = Acceptor::new(&mut kernel, listeners)?;
        let now = kernel.now();
        let timers = handler.timers().and(mem::take(&mut hooks.timers));
        let agenda = Agenda::new(timers, now);
        let mut ledger = Ledger::new(limits.memory_bytes_max);
        // Both scratch buffers, the wheel's ring: what the loop has before anybody connects.
        let wheel = Wheel::new(WHEEL_SLOTS, clock::tick(now));
        let fixed = 2 * SCRATCH + wheel.memory();
        ledger.charge(fixed);
        let ages = limits.connection_age_max.map(Ages::new);
        limits.requests_max = limits.requests_max.min(REQUESTS_CEILING);
        let spans = Spans::of(&limits);
        let timeouts = Timeouts::at(Basis::at_start(now), &spans, connections_max);
        Ok(Reactor {
            desk: Desk {
                handler,
                hooks,
                listeners: ListenerNames(names),
                head_limits: HeadLimits {
                    head_bytes_max: limits.head_bytes_max,
                    target_bytes_max: limits.target_bytes_max,
                    fields_max: limits.fields_max,
                },
                limits,
                work: Work::new(),
                out: Vec::with_capacity(SCRATCH),
                head: Head::new(),
                mailbox,
                pool: Pool::default(),
                ledger,
                encoder: Encoder::new(),
                date: DateClock::default(),
                now,
                is_draining: false,
                keeps_none: None,
                closes: None,
                counters: Counters::default(),
            },
            slots: Slab::new(),
            wheel,
            timeouts,
            spans,
            ready: Vec::new(),
            serving: Vec::new(),
            acceptor,
            agenda,
            ages,
            alarm: 0,
            drain: None,
            scratch: vec![0; SCRATCH],
            backlog: Backlog::default(),
            closed: Vec::new(),
            next_generation: 0,
            charged: fixed,
            connections_max,
            sample_from: 0,
            kernel,
        })
    }

    /// One turn; `false` when the loop has nothing left to do.
    pub(crate) fn turn(&mut self) -> io::Result<bool> {
        let timeout = self.timeout();
        self.poll(timeout)?;
        self.read_mail();
        self.serve_ready();
        self.expire_deadlines();
        if self.desk.now >= self.alarm {
            self.ring();
        }
        self.accept();
        self.recycle();
        Ok(self.goes_on())
    }

    /// How long the poll may sleep; `None` is for ever.
    fn timeout(&self) -> Option<Duration> {
        let now = self.desk.now;
        let mut wake: Option<Millis> = self.wheel.next_wake().map(|tick| clock::until(now, tick));
        let mut at_most = |wait: Millis| wake = Some(wake.map_or(wait, |wake| wake.min(wait)));
        if !self.ready.is_empty() || self.desk.mailbox.is_rung() {
            at_most(0);
        }
        if self.wants_connections() {
            at_most(self.acceptor.resumes_at().map_or(0, |at| at.saturating_sub(now)));
        }
        if self.alarm != Millis::MAX {
            at_most(self.alarm.saturating_sub(now));
        }
        wake.map(Duration::from_millis)
    }

    /// Sleeps, notes what is ready, and takes the time.
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let Reactor { kernel, slots, ready, acceptor, .. } = self;
        let is_full = kernel.poll(timeout, |event| match event.token.is_of_connection() {
            true => note_event(slots, ready, &event),
            false => acceptor.note_ready(event.token),
        })?;
        self.backlog.note(is_full, self.slots.len());
        self.desk.now = self.kernel.now();
        self.desk.closes = self.desk.reason_to_close();
        if let Some(line) = self.desk.date.refresh(self.desk.now, || self.kernel.wall()) {
            self.desk.encoder.set_date(line);
        }
        self.renew_timeouts();
        Ok(())
    }

    fn read_mail(&mut self) {
        for message in self.desk.mailbox.take() {
            match message {
                Message::Wake(called) => self.wake(called.answer()),
                Message::Shutdown(timeout) => self.shut_down(timeout),
                Message::KeepAlive(keeps) => self.set_keep_alive(keeps),
                Message::Stop => self.stop_now(),
            }
        }
        for _ in 0..self.kernel.signals() {
            if self.desk.hooks.is_first_signal() {
                log::info!("signal: finishing what was begun, a second signal stops at once");
                self.shut_down(None);
            } else {
                self.stop_now();
            }
        }
    }

    /// The program has news for a connection, if that is still the same.
    fn wake(&mut self, token: Token) {
        if let Some(slot) = tenant(&mut self.slots, token) {
            slot.flags.set(Flags::WOKEN);
            enqueue(&mut self.ready, slot, token);
        }
    }

    /// Serves the connections that are ready now; what becomes ready meanwhile waits a turn.
    fn serve_ready(&mut self) {
        mem::swap(&mut self.ready, &mut self.serving);
        for n in 0..self.serving.len() {
            let key = self.serving[n];
            // One that was closed meanwhile is no longer marked as queued.
            let Some(slot) = self.slots.get_mut(key as usize) else { continue };
            if !slot.flags.has(Flags::QUEUED) {
                continue;
            }
            slot.flags.clear(Flags::QUEUED);
            let token = Token::new(key as usize, slot.generation);
            let visit = Visit::begin(&mut self.desk, &mut self.kernel, slot, token);
            match visit.serve(&mut self.scratch) {
                // Nearly always: it has been served and rests.
                Verdict::Idle => {
                    arm(&mut self.wheel, slot, token.key(), &self.timeouts, Timer::Idle);
                }
                verdict => self.conclude(token, verdict),
            }
        }
        self.serving.clear();
    }

    /// Does what a visit came to.
    fn conclude(&mut self, token: Token, verdict: Verdict) {
        let Some(slot) = tenant(&mut self.slots, token) else { return };
        match verdict {
            Verdict::Close(farewell) => return self.close(token, farewell),
            Verdict::HandOut => return self.hand_out(token),
            Verdict::Again => enqueue(&mut self.ready, slot, token),
            Verdict::Wait | Verdict::Idle => {}
        }
        rearm(&mut self.wheel, slot, token.key(), &self.timeouts);
    }

    /// Calls the timers of the program that are due, and ends connections that are too old.
    #[cold]
    fn ring(&mut self) {
        if let Some(agenda) = &mut self.agenda {
            let panics = agenda.run(self.desk.now, self.desk.handler.state());
            self.desk.counters.panics += panics;
        }
        self.look_at_ages();
        self.set_alarm();
    }

    /// Brings `alarm` up to date with what it stands for.
    fn set_alarm(&mut self) {
        let now = self.desk.now;
        let wake = self.agenda.as_ref().and_then(|agenda| agenda.next_wake());
        let wake = wake.map_or(Millis::MAX, |tick| now + clock::until(now, tick));
        let end = self.drain.as_ref().map_or(Millis::MAX, Drain::ends);
        let age = self.ages.as_ref().map_or(Millis::MAX, Ages::next);
        self.alarm = wake.min(end).min(age);
    }

    /// Asserts what must hold between two turns.
    pub(crate) fn check(&self) {
        assert!(self.closed.is_empty() && self.desk.out.is_empty());
        let mut lent = self.desk.pool.free_bytes();
        for (key, slot) in &self.slots {
            assert!(slot.stream.is_some(), "a closed slot is removed with its turn");
            let is_queued = self.ready.iter().filter(|&&ready| ready as usize == key).count();
            assert_eq!(is_queued, usize::from(slot.flags.has(Flags::QUEUED)));
            let is_armed = self.wheel.due(key as u32).is_some();
            assert!(is_armed || is_queued > 0, "every connection has a deadline");
            lent += slot.memory();
        }
        assert_eq!(self.desk.ledger.used(), self.charged + lent, "the ledger");
    }

    pub(crate) fn check_wheel(&self) {
        self.wheel.check();
    }

    pub(crate) fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    pub(crate) fn memory_used(&self) -> usize {
        self.desk.ledger.used()
    }
}

/// Notes what is ready in the flags of its slot, and puts that into the ready queue.
fn note_event<K: Kernel, S>(slots: &mut Slab<Slot<K, S>>, ready: &mut Vec<u32>, event: &Event) {
    let Some(slot) = tenant(slots, event.token) else { return };
    if event.readable {
        let flags = if event.read_closed { Flags::READ_CLOSED } else { Flags::READABLE };
        slot.flags.set(Flags::READABLE | flags);
        enqueue(ready, slot, event.token);
        return;
    }
    // Room to write is news only where output waits.
    let has_output = matches!(&slot.life, Life::Busy(work) if work.has_output());
    if event.writable && has_output {
        enqueue(ready, slot, event.token);
    }
}

/// Runs the program's code: handlers, producers, hooks. A panic costs one connection and not the
/// loop; its message has been printed by the panic hook.
#[inline(always)]
fn guard<T>(call: impl FnOnce() -> T) -> Result<T, ()> {
    panic::catch_unwind(AssertUnwindSafe(call))
        .map_err(|_| log::error!("a function of the program panicked"))
}

/// Drops what belongs to the program: its destructors are its code, too.
fn let_go<T>(value: T) {
    let _ = guard(|| drop(value));
}

/// A value of the program on its way to where it is kept: if it does not get there it is
/// [let go](let_go).
struct OnTrial<T>(Option<T>);

impl<T> OnTrial<T> {
    fn get(&mut self) -> &mut T {
        self.0.as_mut().expect("it has not been taken")
    }

    fn take(mut self) -> T {
        self.0.take().expect("it is taken once")
    }
}

impl<T> Drop for OnTrial<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            let_go(value);
        }
    }
}

/// Puts a slot into the ready queue, once.
fn enqueue<K: Kernel, S>(ready: &mut Vec<u32>, slot: &mut Slot<K, S>, token: Token) {
    if !slot.flags.has(Flags::QUEUED) {
        slot.flags.set(Flags::QUEUED);
        ready.push(token.key() as u32);
    }
}
