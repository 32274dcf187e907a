//! The event loop: one thread, one slab of connections, one timing wheel. It is the only code that
//! touches sockets and clocks, and it knows no rule of HTTP.
//!
//! # One turn
//!
//! [`Reactor::turn`] does the following, always in this order:
//!
//! 1. sleep until something is ready or the nearest deadline, then take the time, once. Events only
//!    set flags and put their connection into the ready queue;
//! 2. read the mail: messages from other threads, wakers and signals;
//! 3. serve the ready queue, each connection within the budget of one [`visit`]. Then serve those
//!    that have used up the budget of their last visit, and those whose last visit took long, for a
//!    few milliseconds;
//! 4. expire deadlines: after another look at the socket of each connection whose time is over, so
//!    that no client that was on time suffers from a loop that could not look;
//! 5. call the functions of the program that are due: those of its sources, then its timers;
//! 6. accept new connections, after the service of those that exist;
//! 7. give surplus memory back. During a drain, accept and serve the last clients, or end the loop. Publish the
//!    numbers of the loop, if the program can read them.

mod token;
mod task;
mod work;
mod slot;
mod log_name;
mod shared;
mod gathered;
mod memory;
mod origins;
mod timeouts;
mod deadlines;
mod visit;
mod connections;
mod acceptor;
mod waiting_room;
mod addresses;
mod need;
mod quiet;
mod evict;
mod shutdown;
mod publish;
mod program_timers;
mod sources;
pub(crate) mod owner;
pub(crate) mod loop_group;
pub(crate) mod remote;
pub(crate) mod mailbox;
#[cfg(feature = "signals")]
mod signals;
pub(crate) mod clock;
pub(crate) mod kernel;
pub(crate) mod mio_kernel;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;
use wheelhouse_timers::Wheel;

use crate::handler::guard::guard;
use crate::handler::hooks::Hooks;
use crate::handler::layers::Layers;
use crate::handler::timers::{Call, Timers};
use crate::handler::Handler;
use crate::http1::{Encoder, Head, HeadLimits, Rest};
use crate::limits::Limits;
use crate::logging::info;
use crate::message::request::{ListenerNames, Site, TurnTime};
use crate::reactor::acceptor::Acceptor;
use crate::reactor::addresses::Addresses;
use crate::reactor::clock::{DateClock, Millis};
use crate::reactor::connections::{connection, connections_within, memory_of_loop};
use crate::reactor::kernel::{Event, Kernel};
use crate::reactor::loop_group::Group;
use crate::reactor::mailbox::{Mailbox, Message};
use crate::reactor::memory::{Ledger, Pool};
use crate::reactor::origins::Origins;
use crate::reactor::program_timers::ProgramTimers;
use crate::reactor::remote::CallsOwner;
use crate::reactor::shared::{Service, Shared};
use crate::reactor::slot::{Flags, Life, Slot};
use crate::reactor::sources::Sources;
use crate::reactor::timeouts::Timeouts;
use crate::reactor::visit::{SlowHandlers, Verdict, Visit, LOOK_EVERY, SCRATCH, TIME_MAX};
use crate::reactor::waiting_room::WaitingRoom;
use crate::reactor::work::Work;
use crate::stats::{Counters, Published};

pub(crate) use crate::reactor::token::Token;

/// Everything that a program plugs into a loop.
pub(crate) struct Program<S, H> {
    pub(crate) state: S,
    /// The layers around the handler.
    pub(crate) layers: Layers<S>,
    pub(crate) handler: H,
    pub(crate) hooks: Hooks<S>,
    pub(crate) timers: Timers<S>,
    /// The functions that other threads leave.
    pub(crate) calls: CallsOwner<S>,
    /// The time from which on a handler is slow, if the program wants to know.
    pub(crate) slow_after: Option<Duration>,
}

/// One loop.
pub(crate) struct Reactor<K: Kernel, S: 'static, H: Handler<S>> {
    shared: Shared<S, H>,
    slots: Slab<Slot<K, S>>,
    /// The work of a connection that rests, while it is visited. It holds nothing between visits.
    spare: Work<S>,
    wheel: Wheel,
    /// The connections to visit in the next turn. Between turns, exactly those with the flag `QUEUED`
    /// are in `ready` or in `unfinished`. `serve_ready` takes out those that it has visited when
    /// it ends.
    ready: Vec<Token>,
    /// The connections that have more to do right away, after a visit that has used its budget, and
    /// those that are ready and yield to others. Each turn serves those that are ready first, and then
    /// these, for [`UNFINISHED_MAX`].
    unfinished: VecDeque<Token>,
    acceptor: Acceptor<K>,
    waiting_room: WaitingRoom<K::Stream>,
    /// The functions that other threads leave.
    calls: CallsOwner<S>,
    /// The descriptors of the program.
    sources: Sources<S>,
    program_timers: ProgramTimers<S>,
    /// Bytes just read. Requests are parsed in place and borrow from it.
    scratch: Vec<u8>,
    /// The loops that end with this one.
    group: Option<Arc<Group>>,
    /// The numbers, where other threads see them.
    published: Arc<Published>,
    /// The time at which the turn under way began, if it is timed.
    turn_began: Option<Duration>,
    /// The number of signals so far.
    signals: u32,
    next_generation: u32,
    /// The part of the ledger that is for the loop itself: scratch buffers, slots and wheel.
    charged: usize,
    connections_max: usize,
    connections_per_address_max: usize,
    addresses: Addresses,
    /// Until this time, clients come faster than slots become free.
    flooded_until: Millis,
    /// The generation of the first connection of the present batch.
    batch_began: u32,
    /// The slot from which the next search for a connection that gives way begins.
    sample_from: usize,
    /// The time of the next search for a slot, and for memory: the last one found none.
    slot_search_at: Millis,
    memory_search_at: Millis,
    /// The time since which a client waits for a slot, while none gives way.
    full_since: Option<Millis>,
    /// The time at which the last visit ended whose time was taken, or the first one of the queue began.
    visits_since: Duration,
    /// The last field, so that signals are still caught while the state and the handler are
    /// dropped: a destructor that hangs must not keep them from ending the process.
    kernel: K,
}

/// The time in a turn for connections that have used up the budget of their last visit, beyond one
/// visit: a client that asks for little waits that long for them, however many they are.
const UNFINISHED_MAX: Duration = Duration::from_millis(4);
/// The same while clients wait to be accepted and slots are free: each turn accepts a batch of them, so
/// turns must be short.
const UNFINISHED_IN_CROWD: Duration = Duration::from_millis(1);
/// A visit that takes as long is long: twenty times as long as a usual one.
const LONG_VISIT: Duration = Duration::from_micros(100);
/// Slots of the wheel: with ticks of 64 ms a rotation takes 131 s, longer than every default.
const WHEEL_SLOTS: usize = 2048;
/// The most listeners of one loop: their numbers fit the byte that a slot has for them.
pub(crate) const LISTENERS_MAX: usize = Token::LISTENERS_MAX;

impl<K: Kernel, S: 'static, H: Handler<S>> Reactor<K, S, H> {
    pub(crate) fn new(
        mut kernel: K,
        (mailbox, published): (Arc<Mailbox>, Arc<Published>),
        listeners: Vec<(Box<str>, K::Listener)>,
        program: Program<S, H>,
        limits: Limits,
        connections_max: usize,
    ) -> io::Result<Self> {
        let (names, listeners): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
        let acceptor = Acceptor::new(&mut kernel, listeners)?;
        let now = kernel.now();
        let Program { state, layers, handler, hooks, timers, calls, slow_after } = program;
        let is_plain = layers.is_empty() && hooks.are_silent() && slow_after.is_none();
        let program_timers = ProgramTimers::new(timers, now);
        let mut ledger = Ledger::new(limits.memory_bytes_max);
        let wheel = Wheel::new(WHEEL_SLOTS, clock::tick(now));
        let fixed = memory_of_loop(&wheel);
        ledger.charge(fixed);
        mailbox.set_account(ledger.account());
        let connections_max =
            connections_max.min(connections_within::<K, S>(limits.memory_bytes_max, fixed));
        let connections_per_address_max = limits.share_of_address(connections_max);
        published.set_bounds(ledger.account(), connections_max);
        let mut reactor = Reactor {
            shared: Shared {
                state,
                layers,
                handler,
                hooks,
                slow_handlers: slow_after.map(SlowHandlers::new),
                is_plain,
                origins: Origins::new(ListenerNames(names)),
                head_limits: HeadLimits {
                    head_bytes_max: limits.head_bytes_max,
                    target_bytes_max: limits.target_bytes_max,
                    fields_max: limits.fields_max,
                },
                timeouts: Timeouts::of(&limits),
                site: Site { limits, account: ledger.account(), time: TurnTime::default() },
                out: Vec::with_capacity(SCRATCH),
                head: Head::new(),
                mailbox,
                pool: Pool::default(),
                ledger,
                encoder: Encoder::new(),
                date: DateClock::default(),
                now,
                looked_at_clock: Duration::ZERO,
                look_every: LOOK_EVERY,
                visit_max: TIME_MAX,
                service: Service::Normal,
                counters: Counters::new(),
            },
            slots: Slab::new(),
            spare: Work::new(),
            wheel,
            ready: Vec::new(),
            unfinished: VecDeque::new(),
            acceptor,
            waiting_room: WaitingRoom::new(),
            calls,
            sources: Sources::new(),
            program_timers,
            scratch: vec![0; SCRATCH],
            group: None,
            published,
            turn_began: None,
            signals: 0,
            next_generation: 0,
            charged: fixed,
            connections_max,
            connections_per_address_max,
            addresses: Addresses::default(),
            flooded_until: 0,
            batch_began: 1,
            sample_from: 0,
            slot_search_at: 0,
            memory_search_at: 0,
            full_since: None,
            visits_since: Duration::ZERO,
            kernel,
        };
        reactor.reserve_for_slots();
        reactor.publish();
        Ok(reactor)
    }

    /// Makes one turn, which sleeps for at most `at_most` (`None`: until the next deadline).
    /// Returns whether the loop goes on. A turn of a loop that has ended does nothing.
    pub(crate) fn turn(&mut self, at_most: Option<Duration>) -> io::Result<bool> {
        if self.has_ended() {
            return Ok(false);
        }
        // The time counts from the last turn, so the sleep may be too long by the time that its
        // handlers took. To read the clock again would cost every turn.
        let until_next = self.timeout_from(self.shared.now);
        let timeout = shorter(until_next, at_most);
        self.poll(timeout)?;
        self.begin_timing();
        self.read_mail();
        let unfinished = self.unfinished.len();
        self.serve_ready();
        if unfinished > 0 {
            self.serve_unfinished(unfinished);
        }
        self.expire_deadlines();
        self.serve_sources();
        self.call_program_timers();
        self.accept();
        self.give_back();
        let goes_on = self.goes_on();
        self.publish();
        Ok(goes_on)
    }

    /// Returns the time from `now` for which the poll may sleep. `None` stands for ever.
    #[inline(always)]
    fn timeout_from(&self, now: Millis) -> Option<Duration> {
        let mut wake: Option<Millis> = self.wheel.next_wake().map(|tick| clock::until(now, tick));
        let mut at_most = |wait: Millis| wake = Some(wake.map_or(wait, |wake| wake.min(wait)));
        let is_queued = !self.ready.is_empty() || !self.unfinished.is_empty();
        if is_queued || self.sources.are_ready() || self.shared.mailbox.is_rung() {
            at_most(0);
        }
        if let Some(at) = self.accepts_at() {
            at_most(at.saturating_sub(now));
        }
        if let Some(due) = self.program_timers.due() {
            at_most(clock::until(now, due));
        }
        if let Service::Draining(drain) = &self.shared.service {
            at_most(drain.ends.saturating_sub(now));
        }
        wake.map(Duration::from_millis)
    }

    /// Sleeps, notes the events, and takes the time.
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let Reactor { kernel, slots, ready, unfinished, acceptor, sources, .. } = self;
        kernel.poll(timeout, |event| {
            if event.token.is_of_connection() {
                note_event(slots, ready, unfinished, &event);
            } else if let Some(key) = event.token.source_key() {
                sources.note(key, &event);
            } else {
                acceptor.note_ready(event.token);
            }
        })?;
        self.take_time();
        self.shared.site.time.now = self.shared.now;
        self.shared.ledger.settle();
        if let Some(line) = self.shared.date.refresh(self.shared.now, || self.kernel.wall()) {
            let idle_seconds = self.shared.timeouts.idle / 1000;
            self.shared.encoder.set_time(line, idle_seconds);
            let since_start = Duration::from_millis(self.shared.now);
            self.shared.site.time.start = self.kernel.wall().saturating_sub(since_start);
            self.give_heap_back();
        }
        Ok(())
    }

    fn read_mail(&mut self) {
        if self.shared.mailbox.is_rung() {
            self.read_messages();
        }
        let signals = self.kernel.signals();
        if signals > 0 {
            self.count_signals(signals);
        }
    }

    #[inline(never)]
    fn read_messages(&mut self) {
        for message in self.shared.mailbox.take() {
            match message {
                Message::Wake(called) => self.wake(called.take()),
                Message::Shutdown(timeout) => self.shut_down(timeout),
                Message::KeepAlive(keeps) => self.set_keep_alive(keeps),
                Message::Calls => self.run_calls(),
                Message::Stop => self.stop_now(),
            }
        }
    }

    #[inline(never)]
    fn count_signals(&mut self, signals: usize) {
        for _ in 0..signals {
            // The server may be draining already, because its program asked for that or another
            // loop of the group has read this signal first.
            self.signals += 1;
            if self.signals == 1 {
                info!("signal: the server shuts down gracefully; a second signal stops it at once");
                self.shut_down(None);
            } else {
                self.stop_now();
            }
        }
    }

    /// Queues a connection for which the program has news, if it is still there.
    fn wake(&mut self, token: Token) {
        if let Some(slot) = connection(&mut self.slots, token) {
            slot.facts.flags.set(Flags::WOKEN);
            enqueue(&mut self.ready, &mut self.unfinished, slot, token);
        }
    }

    /// Serves the connections that are ready now. Those that become ready meanwhile wait for a
    /// turn.
    fn serve_ready(&mut self) {
        self.visits_since = self.shared.looked_at_clock;
        let count = self.ready.len();
        for n in 0..count {
            let token = self.ready[n];
            self.serve(token);
        }
        if self.ready.len() == count {
            self.ready.clear();
        } else {
            self.forget_served(count);
        }
    }

    /// Serves the first `count` of the connections that have more to do, but not for long: clients that
    /// ask for less must not wait for them.
    #[inline(never)]
    fn serve_unfinished(&mut self, count: usize) {
        let began = self.kernel.elapsed();
        // The time of the first visit does not begin with the turn.
        self.shared.looked_at_clock = began;
        self.visits_since = began;
        let most = match self.acceptor.is_ready() && !self.is_full() {
            true => UNFINISHED_IN_CROWD,
            false => UNFINISHED_MAX,
        };
        for _ in 0..count {
            let Some(token) = self.unfinished.pop_front() else { return };
            self.serve(token);
            let is_over = self.kernel.elapsed().saturating_sub(began) >= most;
            if is_over && !self.shared.is_last_look() {
                return;
            }
        }
    }

    /// Whether the loop has not polled for longer than it may spend on unfinished connections.
    fn is_late(&self) -> bool {
        let now = self.kernel.elapsed();
        clock::millis(now) > self.shared.now + clock::millis(UNFINISHED_MAX)
    }

    /// Visits a connection that has been in a queue. It may have been closed meanwhile.
    #[inline(always)]
    fn serve(&mut self, token: Token) {
        let Some(slot) = connection(&mut self.slots, token) else { return };
        slot.facts.flags.clear(Flags::QUEUED);
        let visit = Visit::begin(&mut self.shared, &mut self.kernel, &mut self.spare, slot, token);
        let verdict = visit.serve(&mut self.scratch);
        if let Verdict::Idle = verdict {
            debug_assert!(self.spare.holds_nothing());
            slot.life = Life::Rest(Rest::Idle);
            deadlines::arm_idle_fast(&mut self.wheel, slot, token, &self.shared);
        } else {
            self.weigh(token);
            self.conclude(token, verdict);
        }
    }

    /// Notes whether a visit took long: at the next event of its connection, others go first.
    fn weigh(&mut self, token: Token) {
        let now = self.kernel.elapsed();
        self.shared.looked_at_clock = now;
        let began = mem::replace(&mut self.visits_since, now);
        if now.saturating_sub(began) >= LONG_VISIT {
            self.slots[token.key()].facts.flags.set(Flags::YIELDS);
        }
    }

    /// Takes the served connections out of the ready queue; those that came meanwhile stay.
    #[inline(never)]
    fn forget_served(&mut self, count: usize) {
        self.ready.drain(..count);
    }

    /// Begins a visit outside of the queues: because a deadline has passed, because the connection
    /// gives way, or at a stop.
    fn begin_visit(&mut self, token: Token) -> Visit<'_, K, S, H> {
        let slot = &mut self.slots[token.key()];
        Visit::begin(&mut self.shared, &mut self.kernel, &mut self.spare, slot, token)
    }

    /// Carries out the verdict of a visit.
    #[inline(never)]
    fn conclude(&mut self, token: Token, verdict: Verdict<S>) {
        let slot = &mut self.slots[token.key()];
        match verdict {
            Verdict::Close(farewell) => return self.close(token, farewell),
            Verdict::HandOut(take) => return self.hand_out(token, take),
            Verdict::Again => enqueue_unfinished(&mut self.unfinished, slot, token),
            Verdict::Idle | Verdict::Wait => {}
        }
        park(slot, &mut self.spare, &mut self.shared.ledger);
        self.shared.counters.enter(slot.life.phase());
        deadlines::arm(&mut self.wheel, slot, token, &self.shared);
    }

    /// Takes the time: once in each turn, and anew after functions of the program that may have
    /// blocked.
    #[inline(always)]
    pub(super) fn take_time(&mut self) {
        let time = self.kernel.elapsed();
        self.shared.looked_at_clock = time;
        self.shared.now = clock::millis(time);
    }

    /// Calls the functions that other threads have left, and keeps those for later as timers.
    fn run_calls(&mut self) {
        for (delay, call) in self.calls.take() {
            if delay.is_zero() {
                let result = guard(|| call(&mut self.shared.state));
                self.shared.counters.count_panics(u64::from(result.is_err()));
                continue;
            }
            self.program_timers.add(self.shared.now, delay, Call::After(call));
        }
        self.take_time();
    }

    /// Calls the functions of the sources that are ready.
    fn serve_sources(&mut self) {
        if self.sources.are_ready() {
            let panics = self.sources.serve(&mut self.kernel, &mut self.shared.state);
            self.shared.counters.count_panics(panics);
        }
    }

    /// Calls the timers of the program that are due.
    fn call_program_timers(&mut self) {
        if self.program_timers.are_due(self.shared.now) {
            let panics = self.program_timers.run(self.shared.now, &mut self.shared.state);
            self.shared.counters.count_panics(panics);
        }
    }

    /// Asserts the invariants between two turns.
    pub(crate) fn check(&self) {
        assert!(self.shared.out.is_empty());
        assert!(self.spare.holds_nothing());
        let mut lent = self.shared.pool.free_bytes();
        let sleeps = self.timeout_from(self.shared.now);
        for (key, slot) in &self.slots {
            let token = Token::new(key, slot.facts.generation);
            let queues = self.ready.iter().chain(&self.unfinished);
            let queued = queues.filter(|&&queued| queued == token).count();
            assert_eq!(queued, usize::from(slot.facts.flags.has(Flags::QUEUED)));
            let due = self.wheel.due(key as u32);
            assert!(due.is_some() || queued > 0, "every connection has a deadline");
            let until = due.map(|due| Duration::from_millis(clock::until(self.shared.now, due)));
            assert!(until.is_none() || sleeps.is_some_and(|sleeps| Some(sleeps) <= until));
            if let Life::Busy(work) = &slot.life {
                work.check();
                lent += mem::size_of::<Work<S>>() + work.memory();
            }
        }
        let counted = self.slots.iter().filter(|&(key, _)| self.address(key).is_some()).count();
        assert_eq!(self.addresses.total(), counted, "connections of all addresses");
        assert_eq!(self.shared.ledger.of_loop(), self.charged + lent, "the ledger");
        self.check_numbers();
    }

    /// The number of connections.
    pub(crate) fn connections(&self) -> usize {
        self.slots.len() + self.waiting_room.len()
    }

    /// The state and the deadline of each connection, in words.
    pub(crate) fn describe(&self) -> Vec<(&K::Stream, String)> {
        let state = |(key, slot): (usize, &Slot<K, S>)| match self.wheel.due(key as u32) {
            Some(tick) => {
                let (at, armed) = (clock::begins(tick), slot.facts.armed);
                let (secs, millis) = (at / 1000, at % 1000);
                format!("{}; {armed:?} deadline at {secs}.{millis:03} s", slot.life)
            }
            None => slot.life.to_string(),
        };
        self.slots.iter().map(|entry| (&entry.1.stream, state(entry))).collect()
    }

    /// Whether a connection waits for a response from elsewhere.
    pub(crate) fn has_laters(&self) -> bool {
        let lives = self.slots.iter().map(|(_, slot)| &slot.life);
        lives.into_iter().any(|life| matches!(life, Life::Busy(work) if work.waits_for_later()))
    }
}

/// The shorter of two times to sleep; `None` is for ever.
pub(crate) fn shorter(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Gives a slot its state back: as a state at rest or, if the work holds something, in a box.
fn park<K: Kernel, S>(slot: &mut Slot<K, S>, spare: &mut Work<S>, ledger: &mut Ledger) {
    let work = match &slot.life {
        Life::Rest(_) => &*spare,
        Life::Busy(work) => work,
    };
    if cfg!(debug_assertions) {
        work.check();
    }
    match (work.rest(), &slot.life) {
        (Some(rest), Life::Rest(_)) => slot.life = Life::Rest(rest),
        (Some(rest), Life::Busy(_)) => {
            ledger.release(mem::size_of::<Work<S>>());
            slot.life = Life::Rest(rest);
        }
        // Its box is still there.
        (None, Life::Busy(_)) => {}
        (None, Life::Rest(_)) => {
            ledger.charge(mem::size_of::<Work<S>>());
            slot.life = Life::Busy(Box::new(mem::replace(spare, Work::new())));
        }
    }
}

/// Notes an event in the flags of its slot, and puts the slot into the ready queue.
fn note_event<K: Kernel, S>(
    slots: &mut Slab<Slot<K, S>>,
    ready: &mut Vec<Token>,
    unfinished: &mut VecDeque<Token>,
    event: &Event,
) {
    let Some(slot) = connection(slots, event.token) else { return };
    if event.readable {
        slot.facts.flags.set(Flags::READABLE);
        if event.read_closed {
            slot.facts.flags.set(Flags::READ_CLOSED);
            if event.broken {
                slot.facts.flags.set(Flags::BROKEN);
            }
        }
        enqueue(ready, unfinished, slot, event.token);
        return;
    }
    // Room to write is news only where output waits.
    let has_output = matches!(&slot.life, Life::Busy(work) if work.has_output());
    if event.writable && has_output {
        enqueue(ready, unfinished, slot, event.token);
    }
}

/// Puts a slot into the ready queue, once; or into the other queue, if it yields to others.
fn enqueue<K: Kernel, S>(
    ready: &mut Vec<Token>,
    unfinished: &mut VecDeque<Token>,
    slot: &mut Slot<K, S>,
    token: Token,
) {
    if !slot.facts.flags.may_be_ready() {
        return enqueue_yielding(unfinished, slot, token);
    }
    if ready.len() < ready.capacity() || grow(ready) {
        slot.facts.flags.set(Flags::QUEUED);
        ready.push(token);
    }
}

#[cold]
#[inline(never)]
fn enqueue_yielding<K: Kernel, S>(
    unfinished: &mut VecDeque<Token>,
    slot: &mut Slot<K, S>,
    token: Token,
) {
    if slot.facts.flags.take(Flags::YIELDS) {
        enqueue_unfinished(unfinished, slot, token);
    }
}

/// Puts a slot into the queue of those that have more to do, once.
fn enqueue_unfinished<K: Kernel, S>(
    unfinished: &mut VecDeque<Token>,
    slot: &mut Slot<K, S>,
    token: Token,
) {
    if !slot.facts.flags.has(Flags::QUEUED) && unfinished.try_reserve(1).is_ok() {
        slot.facts.flags.set(Flags::QUEUED);
        unfinished.push_back(token);
    }
}

/// Makes room in the ready queue, if the system has the memory. A connection that cannot be queued is
/// visited at its next event or its deadline.
#[cold]
#[inline(never)]
fn grow(ready: &mut Vec<Token>) -> bool {
    ready.try_reserve(1).is_ok()
}
