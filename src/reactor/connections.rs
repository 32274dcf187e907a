//! Connections come and go: each gets a slot when it is accepted, and the slot is freed when the
//! connection is closed or handed out.
//!
//! A slot is removed at once. No event of the same poll can reach the next connection of that slot:
//! events are noted before any slot is removed. The ready queue and wakers name a connection by its
//! [`Token`], and the next connection has another generation.

use std::mem;

use slab::Slab;
use wheelhouse_timers::Wheel;

use crate::handler::guard::{guard, let_go};
use crate::handler::hooks::{ConnectionState, NewConnection};
use crate::handler::upgrade::Hijacked;
use crate::handler::{HandOut, Handler};
use crate::http1::{Farewell, Rest};
use crate::logging::{error, warn};
use crate::message::id::ConnectionId;
use crate::reactor::acceptor::{Next, ACCEPT_MAX};
use crate::reactor::clock;
use crate::reactor::kernel::{Accepted, Kernel};
use crate::reactor::log_name::LogName;
use crate::reactor::origins::{canonical, Origins};
use crate::reactor::slot::{Facts, Flags, Life, Slot};
use crate::reactor::task::Timer;
use crate::reactor::visit::SCRATCH;
use crate::reactor::work::Work;
use crate::reactor::{enqueue, Reactor, Token, WHEEL_SLOTS};

/// Slots kept while there are no connections.
const SLOTS_KEPT: usize = 64;
/// Bytes of a node of the wheel.
const WHEEL_NODE: usize = 16;

/// The slot that `token` names, if it still belongs to the same connection.
pub(super) fn connection<K: Kernel, S>(
    slots: &mut Slab<Slot<K, S>>,
    token: Token,
) -> Option<&mut Slot<K, S>> {
    slots.get_mut(token.key()).filter(|slot| token.is_generation(slot.facts.generation))
}

impl<K: Kernel, S: 'static, H: Handler<S>> Reactor<K, S, H> {
    /// Whether another connection may be accepted now.
    pub(super) fn wants_connections(&self) -> bool {
        self.acceptor.is_ready()
            && self.slots.len() < self.connections_max
            && !self.shared.ledger.is_exhausted()
    }

    /// Accepts waiting connections, at most [`ACCEPT_MAX`], after making room for them. Returns
    /// whether `accept` was called.
    #[inline(always)]
    pub(super) fn accept(&mut self) -> bool {
        // Most turns have nothing to accept. The call would cost each of them 40 instructions.
        if !self.acceptor.is_ready() && !self.shared.ledger.is_short() {
            return false;
        }
        self.accept_waiting()
    }

    #[inline(never)]
    fn accept_waiting(&mut self) -> bool {
        self.take_time();
        self.relieve();
        if !self.wants_connections() || self.acceptor.is_paused(self.shared.now) {
            return false;
        }
        let room = (self.connections_max - self.slots.len()).min(self.slots_within_budget());
        let mut budget = ACCEPT_MAX.min(room);
        let ran_out = loop {
            match self.acceptor.next(&mut self.kernel, self.shared.now, &mut budget) {
                Next::Connection(accepted, listener) => self.admit(accepted, listener),
                Next::None => break false,
                Next::Exhausted => break true,
            }
        };
        let has_tried = budget < ACCEPT_MAX.min(room);
        if ran_out {
            self.free_descriptor();
        } else {
            let is_full = room <= ACCEPT_MAX && budget == 0;
            self.acceptor.end_batch(&mut self.kernel, is_full);
        }
        has_tried
    }

    /// Gives a new connection its slot, if the program's hook does not refuse it.
    fn admit(&mut self, (mut stream, peer): Accepted<K::Stream>, listener: u8) {
        self.next_generation = self.next_generation.wrapping_add(1);
        let (generation, key) = (self.next_generation, self.slots.vacant_key());
        let (token, id) = (Token::new(key, generation), ConnectionId(u64::from(generation)));
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
            self.take_time();
        }
        let Ok(value) = admitted else { return self.kernel.close(stream, true) };
        let shared = &mut self.shared;
        shared.counters.accepted += 1;
        shared.report(id, ConnectionState::New);
        if let Err(error) = self.kernel.watch(&mut stream, token) {
            warn!(
                "{}: closed: it cannot be watched: {error}",
                LogName::of(id, peer.map(canonical))
            );
            self.kernel.close(stream, true);
            let_go(value);
            return shared.report(id, ConnectionState::Closed);
        }
        let age_max = shared.site.limits.connection_age_max;
        if self.slots.len() == self.slots.capacity() {
            self.grow_slots();
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
        self.shared.timeouts.adapt(self.slots.len(), self.connections_max);
        let due = clock::due_in(self.shared.now, self.shared.timeouts.head);
        self.wheel.arm(key as u32, due);
        if self.shared.is_draining() {
            // It connected before the listeners closed: the bytes that it has sent are read now.
            let slot = &mut self.slots[key];
            slot.facts.flags.set(Flags::READABLE);
            enqueue(&mut self.ready, slot, token);
        }
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
        let mut read = Vec::new();
        if let Some(block) = input {
            read.extend_from_slice(block.bytes());
            self.shared.pool.take_back(block, &mut self.shared.ledger);
        }
        match self.kernel.release(slot.stream) {
            Ok(stream) => {
                self.shared.report(id, ConnectionState::Hijacked);
                let state = &mut self.shared.state;
                if let Err(panic) = guard(|| take(state, Hijacked { read, stream })) {
                    error!("{name}: the program panicked: {}", panic.into_message());
                    self.shared.counters.panics += 1;
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
        self.wheel.disarm(token.key() as u32);
        let slot = self.slots.remove(token.key());
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
        if self.slots.capacity() > SLOTS_KEPT {
            self.slots = Slab::new();
            self.wheel = Wheel::new(WHEEL_SLOTS, clock::tick(self.shared.now));
            self.shared.origins.clear();
            let fixed = 2 * SCRATCH + self.wheel.memory();
            self.shared.ledger.release(self.charged - fixed);
            self.charged = fixed;
        }
    }

    /// The number of connections that have a slot or can be given one before the budget is
    /// exhausted.
    fn slots_within_budget(&self) -> usize {
        self.slots.capacity() - self.slots.len() + self.slots_to_add_at_most()
    }

    fn slots_to_add_at_most(&self) -> usize {
        let slot = mem::size_of::<Slot<K, S>>() + WHEEL_NODE + Origins::PEER;
        (self.shared.ledger.until_exhausted() / slot).max(1)
    }

    /// Doubles the slots, with their wheel nodes and addresses, or adds fewer so that the budget is
    /// not exhausted. Without this, the vectors would double beyond the budget at once.
    fn grow_slots(&mut self) {
        let (capacity, at_most) = (self.slots.capacity(), self.slots_to_add_at_most());
        let mut more = capacity.max(4).min(self.connections_max - capacity);
        while more > at_most {
            more /= 2;
        }
        self.slots.reserve_exact(more);
        self.wheel.grow_exact(self.slots.capacity());
        self.shared.origins.grow_exact(self.slots.capacity());
        self.charge_slots();
    }

    /// Keeps the ledger's share for slots, wheel nodes and addresses up to date.
    fn charge_slots(&mut self) {
        let slots = self.slots.capacity() * mem::size_of::<Slot<K, S>>();
        let bytes = 2 * SCRATCH + slots + self.wheel.memory() + self.shared.origins.memory();
        if bytes > self.charged {
            self.shared.ledger.charge(bytes - self.charged);
            self.charged = bytes;
        }
    }
}
