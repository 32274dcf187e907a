//! Who comes and who goes: a slot for each connection that is accepted, and what is freed when it
//! is closed. A slot is removed at the end of the turn, never within it.

use std::mem;

use slab::Slab;
use timers::Wheel;

use crate::handler::hooks::{Accepted, ConnState};
use crate::handler::upgrade::Hijacked;
use crate::handler::Handler;
use crate::http1::{Farewell, Rest};
use crate::reactor::clock;
use crate::reactor::kernel::Kernel;
use crate::reactor::memory::Pressure;
use crate::reactor::slot::{Armed, Flags, Intake, Life, Slot, Timer, Work};
use crate::reactor::visit::SCRATCH;
use crate::reactor::{enqueue, guard, let_go, Reactor, Token, WHEEL_SLOTS};

/// Slots kept while nobody is there.
const SLOTS_KEPT: usize = 64;

impl<K: Kernel, H: Handler> Reactor<K, H> {
    pub(super) fn close(&mut self, token: Token, farewell: Farewell) {
        let Some(slot) = tenant(&mut self.slots, token) else { return };
        let Some(stream) = slot.stream.take() else { return };
        self.kernel.close(stream, farewell == Farewell::Reset);
        if let Some(value) = slot.value.take() {
            let_go(value);
        }
        slot.flags.clear(Flags::QUEUED);
        self.wheel.disarm(token.key() as u32);
        self.closed.push(token.key());
        self.desk.hooks.tell(token.connection_id(), ConnState::Closed);
        self.acceptor.descriptor_freed(self.desk.now);
    }

    /// Lets a connection go to whoever asked for it. Its slot is freed with the turn.
    pub(super) fn hand_out(&mut self, token: Token) {
        let Some(slot) = tenant(&mut self.slots, token) else { return };
        let Some(stream) = slot.stream.take() else { return };
        let_go(slot.value.take());
        slot.flags.clear(Flags::QUEUED);
        self.wheel.disarm(token.key() as u32);
        self.closed.push(token.key());
        let Life::Busy(mut work) = mem::replace(&mut slot.life, Life::Rest(Rest::Closed)) else {
            return;
        };
        self.desk.ledger.release(mem::size_of::<Work<H::State>>());
        let mut read = Vec::new();
        if let Some(block) = work.input.take() {
            read.extend_from_slice(block.bytes());
            self.desk.pool.take_back(block, &mut self.desk.ledger);
        }
        let Intake::Hijack(take) = work.intake else { return };
        match self.kernel.release(stream) {
            Ok(stream) => {
                self.desk.hooks.tell(token.connection_id(), ConnState::Hijacked);
                let result = guard(|| take(Hijacked { read, stream }));
                self.desk.counters.panics += u64::from(result.is_err());
            }
            Err(error) => {
                log::error!("connection {token}: cannot be handed out: {error}");
                let_go(take);
                self.desk.hooks.tell(token.connection_id(), ConnState::Closed);
            }
        }
    }

    /// Whether another connection may be accepted now.
    pub(super) fn wants_connections(&self) -> bool {
        self.acceptor.is_ready()
            && self.slots.len() < self.connections_max
            && self.desk.ledger.pressure() < Pressure::Severe
    }

    #[inline(always)]
    pub(super) fn accept(&mut self) {
        if !self.acceptor.is_ready() && self.desk.closes.is_none() {
            return;
        }
        self.accept_waiting();
    }

    #[inline(never)]
    fn accept_waiting(&mut self) {
        self.relieve();
        if !self.wants_connections() {
            return;
        }
        let room = self.connections_max - self.slots.len();
        let now = self.desk.now;
        let due = self.timeouts.head;
        let age_ends = self.ages.as_ref().map_or(0, |ages| ages.due(now));
        let Reactor { acceptor, kernel, slots, desk, ready, next_generation, wheel, .. } = self;
        let ran_out = acceptor.accept(kernel, now, room, |kernel, mut stream, listener| {
            *next_generation = next_generation.wrapping_add(1);
            let entry = slots.vacant_entry();
            let token = Token::new(entry.key(), *next_generation);
            if entry.key() >= Token::KEYS_MAX {
                return kernel.close(stream, true);
            }
            let accepted = Accepted {
                transport: &stream,
                id: token.connection_id(),
                listener: desk.listeners.name(listener),
            };
            let Ok(value) = desk.hooks.admit(&accepted) else {
                return kernel.close(stream, true);
            };
            if let Err(error) = kernel.watch(&mut stream, token) {
                log::warn!("a connection cannot be watched and is closed: {error}");
                return kernel.close(stream, true);
            }
            desk.counters.accepted += 1;
            desk.hooks.tell(token.connection_id(), ConnState::New);
            let slot = entry.insert(Slot {
                stream: Some(stream),
                life: Life::Rest(Rest::New),
                value: value.map(Box::new),
                generation: *next_generation,
                requests: 0,
                ends: age_ends,
                armed: Armed { kind: Timer::Head, message: 0 },
                flags: Flags::default(),
                listener,
            });
            if desk.is_draining {
                // It connected before the listeners closed: what it has sent is looked at now.
                slot.flags.set(Flags::READABLE);
                enqueue(ready, slot, token);
            }
            let key = token.key();
            if key >= wheel.capacity() {
                wheel.grow(key + 1);
            }
            wheel.arm(key as u32, due);
        });
        self.charge_slots();
        self.begin_ageing();
        if ran_out {
            self.free_descriptor();
        }
    }

    /// Frees what was closed in this turn, and surplus memory when nobody is there.
    #[inline(always)]
    pub(super) fn recycle(&mut self) {
        if self.desk.out.capacity() > 2 * SCRATCH {
            self.desk.out = Vec::with_capacity(SCRATCH);
        }
        if !self.closed.is_empty() {
            self.remove_closed();
        }
    }

    #[inline(never)]
    fn remove_closed(&mut self) {
        for key in self.closed.drain(..) {
            self.slots.remove(key);
        }
        if self.slots.is_empty() && self.desk.pool.free_bytes() > 0 {
            self.desk.pool.trim(&mut self.desk.ledger);
        }
        if self.slots.is_empty() && self.slots.capacity() > SLOTS_KEPT {
            self.give_slots_back();
        }
    }

    /// After a crowd has gone, the room that its slots and wheel nodes took: were it kept, a
    /// crowd could use the budget up for ever, and no connection would be accepted again.
    fn give_slots_back(&mut self) {
        self.slots = Slab::new();
        self.wheel = Wheel::new(WHEEL_SLOTS, clock::tick(self.desk.now));
        let fixed = 2 * SCRATCH + self.wheel.memory();
        self.desk.ledger.release(self.charged - fixed);
        self.charged = fixed;
    }

    /// Keeps the ledger's share for slots and wheel nodes up to date.
    fn charge_slots(&mut self) {
        let slots = self.slots.capacity() * mem::size_of::<Slot<K, H::State>>();
        let bytes = 2 * SCRATCH + slots + self.wheel.memory();
        if bytes > self.charged {
            self.desk.ledger.charge(bytes - self.charged);
            self.charged = bytes;
        }
    }
}

/// The slot that `token` names, if its tenant is still the same and not closed.
pub(super) fn tenant<K: Kernel, S>(
    slots: &mut Slab<Slot<K, S>>,
    token: Token,
) -> Option<&mut Slot<K, S>> {
    let slot = slots.get_mut(token.key())?;
    (token.is_generation(slot.generation) && slot.stream.is_some()).then_some(slot)
}
