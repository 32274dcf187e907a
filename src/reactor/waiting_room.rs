//! Connections that were accepted and wait for a slot, because their address has its share of them.
//!
//! They wait here and not in the queue of the kernel, where the clients of all addresses wait one after
//! another. When the room is full, nobody is accepted for a moment: often the slots become free soon,
//! and then all are served. After that, the next ones of a crowd are closed at once: however many come
//! from one address, they keep no other client waiting.

use std::collections::VecDeque;

use crate::handler::Handler;
use crate::logging::debug;
use crate::message::id::ConnectionId;
use crate::reactor::addresses::AddressKey;
use crate::reactor::clock::Millis;
use crate::reactor::kernel::{Accepted, Kernel};
use crate::reactor::log_name::LogName;
use crate::reactor::origins::canonical;
use crate::reactor::Reactor;
use crate::stats::{Event, Eviction};

/// The most connections that wait. Each has a descriptor, but no slot.
const ROOM: usize = 16;
/// The time for which a connection waits. After two ticks, others of its address that give nothing back
/// give way to it.
const WAIT_MAX: Millis = 200;
/// The time between two searches for connections that give way to them.
const SEARCH_EVERY: Millis = 64;
/// The time for which nobody is accepted when the room is full.
const HOLD_MAX: Millis = 100;
/// The time after which that may happen again. So a crowd that does not pass keeps the clients of other
/// addresses waiting for a two-hundredth of the time at most.
const HOLD_EVERY: Millis = 200 * HOLD_MAX;

/// The connections that wait, the first one first.
pub(super) struct WaitingRoom<S> {
    waiting: VecDeque<Waiting<S>>,
    search_at: Millis,
    /// Nobody is accepted before this time, if the room is full.
    held_until: Millis,
    holds_again_at: Millis,
    /// The address whose connections did not give way in this turn. No further search is made for it.
    searched: Option<AddressKey>,
}

struct Waiting<S> {
    accepted: Accepted<S>,
    listener: u8,
    until: Millis,
}

impl<S> WaitingRoom<S> {
    pub(super) fn new() -> WaitingRoom<S> {
        WaitingRoom {
            waiting: VecDeque::new(),
            search_at: 0,
            held_until: 0,
            holds_again_at: 0,
            searched: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The time until which nobody is accepted, because the room is full and may have room soon.
    pub(super) fn held_until(&self, now: Millis) -> Option<Millis> {
        (self.waiting.len() >= ROOM && now < self.held_until).then_some(self.held_until)
    }

    /// The time of the next search for slots, if a connection waits.
    pub(super) fn search_at(&self) -> Option<Millis> {
        (!self.waiting.is_empty()).then_some(self.search_at)
    }

    /// A turn has begun: connections may give way that did not in the last one.
    pub(super) fn begin_turn(&mut self) {
        self.searched = None;
    }

    /// No connection of `address` gives way in this turn.
    pub(super) fn note_searched(&mut self, address: AddressKey) {
        self.searched = Some(address);
    }

    pub(super) fn is_searched(&self, address: AddressKey) -> bool {
        self.searched == Some(address)
    }

    /// Lets a connection wait, unless the room is full.
    fn enter(
        &mut self,
        accepted: Accepted<S>,
        listener: u8,
        now: Millis,
    ) -> Result<(), Accepted<S>> {
        if self.waiting.len() >= ROOM || self.waiting.try_reserve(1).is_err() {
            return Err(accepted);
        }
        if self.waiting.is_empty() {
            self.search_at = now + SEARCH_EVERY;
        }
        self.waiting.push_back(Waiting { accepted, listener, until: now + WAIT_MAX });
        if self.waiting.len() == ROOM && now >= self.holds_again_at {
            self.held_until = now + HOLD_MAX;
            self.holds_again_at = now + HOLD_EVERY;
        }
        Ok(())
    }
}

impl<K: Kernel, S: 'static, H: Handler<S>> Reactor<K, S, H> {
    /// Lets a connection wait, whose address has its share of the slots, or closes it if too many wait.
    /// Returns whether it is the last one for which there is room.
    pub(super) fn let_wait(&mut self, accepted: Accepted<K::Stream>, listener: u8) -> bool {
        match self.waiting_room.enter(accepted, listener, self.shared.now) {
            Ok(()) => self.waiting_room.len() == ROOM,
            Err(accepted) => {
                self.refuse_new(accepted);
                false
            }
        }
    }

    /// The time at which connections that wait may get slots: 0 if the first one can have a slot now.
    pub(super) fn seats_at(&self) -> Option<Millis> {
        let first = self.waiting_room.waiting.front()?;
        let has_share = |ip| self.has_its_share(self.addresses.key(ip));
        let is_seat_free =
            !self.is_full() && !first.accepted.1.is_some_and(|peer| has_share(peer.ip()));
        if is_seat_free {
            Some(0)
        } else {
            self.waiting_room.search_at()
        }
    }

    /// Gives slots to the connections that wait, as far as there are any, and closes those that have
    /// waited in vain.
    pub(super) fn seat_waiting(&mut self) {
        let now = self.shared.now;
        let is_due = self.seats_at().is_some_and(|at| at <= now);
        if !is_due && !self.shared.is_draining() {
            return;
        }
        self.waiting_room.search_at = now + SEARCH_EVERY;
        for _ in 0..self.waiting_room.len() {
            let Some(waiting) = self.waiting_room.waiting.pop_front() else { return };
            let Waiting { accepted, listener, until } = waiting;
            let address = accepted.1.map(|peer| self.addresses.key(peer.ip()));
            if self.makes_room_for_waiting(address) {
                self.admit(accepted, address, listener);
            } else if now >= until {
                self.refuse_new(accepted);
            } else {
                self.waiting_room.waiting.push_back(Waiting { accepted, listener, until });
            }
        }
    }

    /// Makes room for a connection that waits. Returns whether there is room.
    fn makes_room_for_waiting(&mut self, address: Option<AddressKey>) -> bool {
        if !self.is_full() || address.is_some_and(|address| self.has_its_share(address)) {
            return self.makes_room_for(address, None);
        }
        let gives_way = self.slot_to_free();
        // A last look may have ended a connection.
        !self.is_full() || gives_way.is_some() && self.makes_room_for(address, gives_way)
    }

    /// Closes the connections that wait.
    pub(super) fn clear_waiting_room(&mut self) {
        while let Some(waiting) = self.waiting_room.waiting.pop_front() {
            self.kernel.close(waiting.accepted.0, true);
        }
    }

    /// Closes a new connection, because its address has its share of the slots and none of its other
    /// connections gives way.
    fn refuse_new(&mut self, (stream, peer): Accepted<K::Stream>) {
        self.next_generation = self.next_generation.wrapping_add(1);
        let id = ConnectionId(u64::from(self.next_generation));
        let name = LogName::of(id, peer.map(canonical));
        debug!("{name}: closed: its address has too many connections");
        self.shared.counters.count(Event::GaveWay(Eviction::Address));
        self.kernel.close(stream, true);
    }
}
