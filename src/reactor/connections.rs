//! Connections come and go: each gets a slot when it is accepted, and the slot is freed when the
//! connection is closed or handed out.
//!
//! A slot is removed at once. No event of the same poll can reach the next connection of that slot:
//! events are noted before any slot is removed. The two queues and wakers name a connection by its
//! [`Token`], and the next connection has another generation.

use std::collections::VecDeque;
use std::mem;

use slab::Slab;
use wheelhouse_timers::Wheel;

use crate::handler::guard::{guard, let_go};
use crate::handler::hooks::{ConnectionState, NewConnection};
use crate::handler::upgrade::Hijacked;
use crate::handler::{HandOut, Handler};
use crate::heap;
use crate::http1::{Farewell, Head, Rest};
use crate::logging::{error, warn};
use crate::message::id::ConnectionId;
use crate::reactor::acceptor::{Next, Shortage, ACCEPT_MAX};
use crate::reactor::addresses::{self, AddressKey, Addresses};
use crate::reactor::clock::{self, Millis};
use crate::reactor::kernel::{Accepted, Kernel};
use crate::reactor::log_name::LogName;
use crate::reactor::memory::has_memory;
use crate::reactor::origins::{canonical, Origins};
use crate::reactor::slot::{Facts, Flags, Life, Slot};
use crate::reactor::task::Timer;
use crate::reactor::visit::{SCRATCH, TIME_IN_CROWD, TIME_MAX};
use crate::reactor::work::Work;
use crate::reactor::{enqueue, Reactor, Token, WHEEL_SLOTS};
use crate::stats::{Event, Phase};

/// The most connections among which a slot to free is looked for in every turn.
const SEARCHED_OFTEN: usize = 256;
/// Calls of `accept` in one batch that count as a flood, if there is no room for another one.
const FLOOD_MIN: usize = 8;
/// Slots kept while there are no connections.
const SLOTS_KEPT: usize = 64;
/// Bytes of a node of the wheel.
const WHEEL_NODE: usize = 16;

/// The end of a batch of accepts.
enum Batch {
    /// No client waits, or the budget of the turn is used.
    Done,
    /// All slots are taken, and no connection gives way.
    Full,
    /// The waiting room is full: the next clients wait in the queue of the kernel for a moment.
    Held,
    /// This process is out of descriptors, or has no memory for another slot.
    OutOfDescriptors,
    /// The system is out of files or memory, which no connection of this process can change.
    Paused,
}

/// The slot that `token` names, if it still belongs to the same connection.
pub(super) fn connection<K: Kernel, S>(
    slots: &mut Slab<Slot<K, S>>,
    token: Token,
) -> Option<&mut Slot<K, S>> {
    slots.get_mut(token.key()).filter(|slot| token.is_generation(slot.facts.generation))
}

impl<K: Kernel, S: 'static, H: Handler<S>> Reactor<K, S, H> {
    /// The time at which another connection may be accepted, if a client may be waiting: 0 for now.
    #[inline(always)]
    pub(super) fn accepts_at(&self) -> Option<Millis> {
        // Before most polls no client is waiting. The call would cost each turn 20 instructions.
        let may_wait = self.acceptor.is_ready() || !self.waiting_room.is_empty();
        if may_wait {
            self.next_accept()
        } else {
            None
        }
    }

    #[inline(never)]
    fn next_accept(&self) -> Option<Millis> {
        let waiting = self.seats_at();
        let Some(at) = self.acceptor.resumes_at() else { return waiting };
        let at = at.max(self.waiting_room.held_until(self.shared.now).unwrap_or(0));
        let needs_room = self.is_full() || self.shared.ledger.is_exhausted();
        let at = match needs_room {
            // A connection has to give way first.
            true => at.max(self.slot_search_at).max(self.memory_search_at),
            false => at,
        };
        Some(waiting.map_or(at, |waiting| at.min(waiting)))
    }

    /// Whether all slots are taken.
    pub(super) fn is_full(&self) -> bool {
        self.slots.len() >= self.connections_max
    }

    /// Accepts waiting connections, at most [`ACCEPT_MAX`], after making room for them. Returns
    /// whether `accept` was called.
    #[inline(always)]
    pub(super) fn accept(&mut self) -> bool {
        // Most turns have nothing to accept. The call would cost each of them 40 instructions.
        let is_needed = self.acceptor.is_ready()
            || self.shared.ledger.is_short()
            || !self.waiting_room.is_empty();
        is_needed && self.accept_waiting()
    }

    #[inline(never)]
    fn accept_waiting(&mut self) -> bool {
        self.shared.counters.note_change();
        self.take_time();
        self.batch_began = self.next_generation.wrapping_add(1);
        self.relieve();
        self.waiting_room.begin_turn();
        self.seat_waiting();
        self.may_accept() && self.accept_batch() > 0
    }

    /// Whether a client may be waiting, and it is time to accept it.
    fn may_accept(&self) -> bool {
        let now = self.shared.now;
        if !self.acceptor.is_ready()
            || self.shared.ledger.is_exhausted()
            || self.acceptor.is_paused(now)
        {
            return false;
        }
        // To look in every turn costs a small server little, and its clients wait for less.
        let is_too_early = self.slots.len() > SEARCHED_OFTEN && now < self.slot_search_at;
        !self.is_full() || !is_too_early || self.shared.is_draining()
    }

    /// Accepts a batch of connections. Returns the number of calls of `accept`.
    fn accept_batch(&mut self) -> usize {
        let mut budget = ACCEPT_MAX;
        let batch = loop {
            if let Some(end) = self.accept_one(&mut budget) {
                break end;
            }
        };
        let calls = ACCEPT_MAX - budget;
        let is_many = calls >= FLOOD_MIN.min(self.connections_max);
        if budget == 0 || is_many && matches!(batch, Batch::Full) {
            self.note_flood();
        }
        match batch {
            Batch::OutOfDescriptors => self.free_descriptor(),
            Batch::Paused => {}
            Batch::Full => {
                self.acceptor.end_batch(&mut self.kernel, calls > 0);
                self.note_full(calls > 0);
            }
            Batch::Held => self.acceptor.end_batch(&mut self.kernel, false),
            Batch::Done => {
                self.full_since = None;
                self.acceptor.end_batch(&mut self.kernel, false);
            }
        }
        // If the batch has taken the last slot, the next poll reports whether more clients wait.
        let is_crowd = budget == 0 && self.acceptor.is_ready();
        self.shared.visit_max = if is_crowd { TIME_IN_CROWD } else { TIME_MAX };
        calls
    }

    /// Accepts one connection, after making room for it. Returns the end of the batch, if it ends.
    fn accept_one(&mut self, budget: &mut usize) -> Option<Batch> {
        // It is found before the accept and closed after it: perhaps no client is waiting.
        let gives_way = if self.is_full() { self.slot_to_free() } else { None };
        // A last look may have ended a connection.
        let gives_way = gives_way.filter(|_| self.is_full());
        if self.is_full() && gives_way.is_none() {
            return Some(Batch::Full);
        }
        // In a shutdown, a client that is not accepted now is lost.
        let is_held = self.waiting_room.held_until(self.shared.now).is_some();
        if is_held && !self.shared.is_draining() {
            return Some(Batch::Held);
        }
        match self.acceptor.next(&mut self.kernel, self.shared.now, budget) {
            Next::Connection(accepted, listener) => {
                let address = accepted.1.map(|peer| self.addresses.key(peer.ip()));
                if !self.makes_room_for(address, gives_way) {
                    let is_last_seat = self.let_wait(accepted, listener);
                    if is_last_seat && self.shared.is_draining() {
                        // Before the next batch, clients are served and leave their slots.
                        return Some(Batch::Held);
                    }
                } else if self.has_slot() {
                    self.admit(accepted, address, listener);
                } else {
                    self.kernel.close(accepted.0, true);
                    self.acceptor.pause_for_memory(self.shared.now);
                    return Some(Batch::OutOfDescriptors);
                }
                None
            }
            Next::None => Some(Batch::Done),
            Next::Exhausted(Shortage::OfProcess) => Some(Batch::OutOfDescriptors),
            Next::Exhausted(Shortage::OfSystem) => Some(Batch::Paused),
        }
    }

    /// Gives a new connection its slot, if the program's hook does not refuse it.
    pub(super) fn admit(
        &mut self,
        (mut stream, peer): Accepted<K::Stream>,
        address: Option<AddressKey>,
        listener: u8,
    ) {
        self.next_generation = self.next_generation.wrapping_add(1);
        let (generation, key) = (self.next_generation, self.slots.vacant_key());
        let (token, id) = (Token::new(key, generation), ConnectionId(u64::from(generation)));
        let name = LogName::of(id, peer.map(canonical));
        if key >= Token::KEYS_MAX {
            return self.kernel.close(stream, true);
        }
        let has_hook = self.shared.hooks.on_connect.is_some();
        let shared = &mut self.shared;
        let new = NewConnection {
            peer: peer.map(canonical),
            transport: &stream,
            id,
            listener: shared.origins.listeners.name(listener),
        };
        let admitted = shared.hooks.admit(&mut shared.state, &new);
        if has_hook {
            shared.count_panics_of_hooks();
            self.take_time();
        }
        let Ok(value) = admitted else { return self.kernel.close(stream, true) };
        let shared = &mut self.shared;
        shared.counters.count(Event::Accepted);
        shared.report(id, ConnectionState::New);
        if let Err(error) = self.kernel.watch(&mut stream, token) {
            warn!("{name}: closed: it cannot be watched: {error}");
            self.kernel.close(stream, true);
            let_go(value);
            return shared.report(id, ConnectionState::Closed);
        }
        let age_max = shared.site.limits.connection_age_max;
        if !self.count_connection(address) {
            warn!("{name}: closed: no memory for its slot");
            self.kernel.close(stream, true);
            let_go(value);
            return self.shared.report(id, ConnectionState::Closed);
        }
        let shared = &mut self.shared;
        shared.origins.set_peer(key, peer);
        self.slots.insert(Slot {
            stream,
            life: Life::Rest(Rest::New),
            facts: Facts {
                value: value.map(Box::new),
                generation,
                requests: 0,
                too_old_at: age_max.map_or(0, |age_max| clock::due(shared.now, age_max)),
                armed: Timer::Head,
                flags: Flags::default(),
                listener,
            },
        });
        self.shared.counters.enter(Phase::New);
        self.shared.timeouts.adapt(self.slots.len(), self.connections_max);
        let due = clock::due_in(self.shared.now, self.shared.timeouts.head);
        self.wheel.arm(key as u32, due);
        if self.shared.is_draining() {
            // It connected before the listeners closed: the bytes that it has sent are read now.
            let slot = &mut self.slots[key];
            slot.facts.flags.set(Flags::READABLE);
            enqueue(&mut self.ready, &mut self.unfinished, slot, token);
        }
    }

    /// The address of the client in the slot `key`, as it is counted; none on a Unix socket.
    pub(super) fn address(&self, key: usize) -> Option<AddressKey> {
        self.shared.origins.peer(key).map(|peer| self.addresses.key(peer.ip()))
    }

    /// Makes room for the slot of a new connection, and counts its address. Returns whether there
    /// was memory for both.
    fn count_connection(&mut self, address: Option<AddressKey>) -> bool {
        let is_counted = self.has_slot() && address.is_none_or(|key| self.addresses.enter(key));
        self.charge_slots();
        is_counted
    }

    /// Closes a connection that holds nothing any more, and frees its slot.
    pub(super) fn close(&mut self, token: Token, farewell: Farewell) {
        let slot = self.remove(token);
        let id = slot.facts.id();
        self.kernel.close(slot.stream, farewell == Farewell::Reset);
        if let Some(value) = slot.facts.value {
            let_go(value);
        }
        self.shared.report(id, ConnectionState::Closed);
        self.acceptor.descriptor_freed(self.shared.now);
    }

    /// Hands the stream of a connection to the program, and frees its slot.
    pub(super) fn hand_out(&mut self, token: Token, take: HandOut<S>) {
        let slot = self.remove(token);
        let id = slot.facts.id();
        let name = LogName::of(id, self.shared.origins.peer(token.key()))
            .with_request(slot.facts.requests);
        if let Some(value) = slot.facts.value {
            let_go(value);
        }
        let input = match slot.life {
            Life::Busy(work) => work.input,
            Life::Rest(_) => self.spare.input.take(),
        };
        // The block itself, so that no memory is needed.
        let read = input.map(|block| block.give_away(&mut self.shared.ledger));
        let read = read.unwrap_or_default();
        match self.kernel.release(slot.stream) {
            Ok(stream) => {
                self.shared.report(id, ConnectionState::Hijacked);
                let state = &mut self.shared.state;
                if let Err(panic) = guard(|| take(state, Hijacked { read, stream })) {
                    error!("{name}: the program panicked: {}", panic.into_message());
                    self.shared.counters.count(Event::Panicked);
                }
            }
            Err(error) => {
                error!("{name}: closed: it cannot be handed out: {error}");
                let_go(take);
                self.shared.report(id, ConnectionState::Closed);
            }
        }
    }

    /// The name of a connection in the log.
    pub(super) fn log_name(&self, token: Token) -> LogName {
        self.slots[token.key()].log_name(self.shared.origins.peer(token.key()))
    }

    /// Frees the slot of a connection, and the box if it has one.
    fn remove(&mut self, token: Token) -> Slot<K, S> {
        self.shared.counters.note_change();
        self.wheel.disarm(token.key() as u32);
        let slot = self.slots.remove(token.key());
        if let Some(address) = self.address(token.key()) {
            self.addresses.leave(address);
        }
        self.shared.timeouts.adapt(self.slots.len(), self.connections_max);
        if let Life::Busy(_) = slot.life {
            self.shared.ledger.release(mem::size_of::<Work<S>>());
        }
        slot
    }

    /// Gives surplus memory back at the end of a turn.
    #[inline(always)]
    pub(super) fn give_back(&mut self) {
        if self.shared.out.capacity() > 2 * SCRATCH {
            self.give_output_back();
        }
        if self.slots.is_empty() {
            self.give_slots_back();
        }
    }

    #[cold]
    fn give_output_back(&mut self) {
        self.shared.out = Vec::with_capacity(SCRATCH);
    }

    /// Gives back the memory of slots, nodes and addresses after a crowd has gone. Otherwise a crowd
    /// could use up the budget for ever, and no connection would be accepted again.
    #[cold]
    fn give_slots_back(&mut self) {
        if self.shared.pool.free_bytes() > 0 {
            self.shared.pool.trim(&mut self.shared.ledger);
        }
        if self.ready.capacity() > SLOTS_KEPT {
            // Tokens of connections that were closed may be left in it.
            self.ready = Vec::new();
        }
        if self.unfinished.capacity() > SLOTS_KEPT {
            self.unfinished = VecDeque::new();
        }
        if self.slots.capacity() > SLOTS_KEPT {
            self.slots = Slab::new();
            self.wheel.shrink(0);
            self.shared.origins.clear();
            self.addresses = Addresses::default();
            let fixed = memory_of_loop(&self.wheel);
            self.shared.ledger.release(self.charged - fixed);
            self.charged = fixed;
            self.shared.counters.note_change();
            self.reserve_for_slots();
        }
        self.give_heap_back();
    }

    /// Lets the system have the memory that a crowd held: when the last connection has gone, and once a
    /// second while there are others.
    pub(super) fn give_heap_back(&mut self) {
        if let Some(held) = self.shared.ledger.take_shrunk() {
            // What is kept from one request to the next may lie at the end of the heap.
            self.shared.pool.trim(&mut self.shared.ledger);
            self.shared.encoder.forget_last();
            self.shared.head = Head::new();
            if self.ready.is_empty() {
                self.ready = Vec::new();
            }
            if self.unfinished.is_empty() {
                self.unfinished = VecDeque::new();
            }
            heap::give_back(held);
        }
    }

    /// Makes sure that there is a free slot. Returns false if the system has no memory for one.
    fn has_slot(&mut self) -> bool {
        self.slots.len() < self.slots.capacity() || self.grow_slots()
    }

    /// Adds a quarter to the slots, with their wheel nodes and addresses, up to `connections_max` of
    /// them, or adds as many as the system has memory for: a failure to allocate would end the process.
    fn grow_slots(&mut self) -> bool {
        let capacity = self.slots.capacity();
        let mut more = (capacity / 4).max(4).min(self.connections_max - capacity);
        while more > 0 && !self.makes_memory_for(capacity + more) {
            more /= 2;
        }
        if more == 0 {
            return false;
        }
        self.slots.reserve_exact(more);
        true
    }

    /// Grows the vectors beside the slots. Returns whether the system has memory for the slots, too. The
    /// slab can only be tested for: so it comes last, and nothing is allocated after the test.
    fn makes_memory_for(&mut self, slots: usize) -> bool {
        let bytes = slots * mem::size_of::<Slot<K, S>>();
        self.wheel.try_grow_exact(slots).is_ok()
            && self.shared.origins.try_grow_exact(slots)
            && (has_memory([heap::without_trace(bytes)]) || has_memory([bytes]))
    }

    /// Keeps the ledger's share for slots, wheel nodes and addresses up to date.
    fn charge_slots(&mut self) {
        let slots = self.slots.capacity() * mem::size_of::<Slot<K, S>>();
        let addresses = self.shared.origins.memory() + self.addresses.memory();
        let bytes = memory_of_loop(&self.wheel) + slots + addresses;
        if bytes > self.charged {
            self.shared.ledger.charge(bytes - self.charged);
            self.charged = bytes;
            self.reserve_for_slots();
        }
    }

    /// Keeps room for the slots that are still to come.
    pub(super) fn reserve_for_slots(&self) {
        let all = self.connections_max * bytes_per_connection::<K, S>();
        let ring = WHEEL_SLOTS * WHEEL_NODE;
        let charged_for_slots = self.charged.saturating_sub(2 * SCRATCH + ring);
        self.shared.ledger.reserve_for_slots(all.saturating_sub(charged_for_slots));
    }
}

/// Returns the memory of a loop beside slots and addresses: both shared buffers, and the wheel. It is
/// all that the loop has before any client connects.
pub(super) fn memory_of_loop(wheel: &Wheel) -> usize {
    2 * SCRATCH + wheel.memory()
}

/// The most bytes that a connection at rest takes.
fn bytes_per_connection<K: Kernel, S>() -> usize {
    mem::size_of::<Slot<K, S>>() + WHEEL_NODE + Origins::PEER + addresses::BYTES_MAX
}

/// Returns the most connections whose slots, wheel nodes and addresses fit into half of the budget
/// that is left after the `fixed` part, and with it into 70 % of the budget. So a crowd that holds
/// nothing else never makes memory short.
pub(super) fn connections_within<K: Kernel, S>(budget: usize, fixed: usize) -> usize {
    let each = bytes_per_connection::<K, S>();
    let half = budget.saturating_sub(fixed) / 2;
    let room = (budget / 100 * 70).saturating_sub(fixed).min(half);
    (room / each).max(1)
}
