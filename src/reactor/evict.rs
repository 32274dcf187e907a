//! Making room: whoever causes pressure pays for it. When slots, descriptors or memory are short, a
//! connection gives way: the one that holds most of it and gives least back.
//!
//! | short of | when | which connection gives way | its end |
//! |---|---|---|---|
//! | memory | 80 % of the budget are used, until fewer are | any that holds something: the more bytes it holds, and the fewer it moves | 503 if no response has begun, else a reset |
//! | slots | a client waits and none is free | one that waits for its client: the longer it does, and the fewer bytes it moves | closed; in the middle of a request after a 503, if one can be sent |
//! | slots of an address | its next client has been accepted, above its share | the same as for slots, among its own connections | the same |
//! | descriptors of the process | `accept` finds none | as for slots | the same |
//! | files or memory of the system | `accept` finds none | none: other processes would take what it frees | – |
//!
//! The middle of content or of a response is spared for a while, as far as clients wait for a moment only:
//! after 20 ms of waiting, the oldest of a sample gives way, however new it is. One whose client is
//! behind the least rate of a response counts as older by that time.
//!
//! In a shutdown, only connections between two requests give way to new clients. A request that has begun keeps
//! its slot.
//!
//! A connection whose record for the program's hook has texts loses them first.
//!
//! In each case, the more connections an address has, the sooner one of them gives way. So a crowd
//! from one address displaces itself before it displaces others.
//!
//! A list of all connections in this order would cost every request something. So the one that gives
//! way is the first of a sample.

use std::mem;

use crate::handler::Handler;
use crate::http1::{Farewell, Input, Rest};
use crate::logging::debug;
use crate::reactor::addresses::AddressKey;
use crate::reactor::clock::{self, Millis};
use crate::reactor::deadlines;
use crate::reactor::kernel::Kernel;
use crate::reactor::need::Need;
use crate::reactor::slot::{Flags, Life, Slot};
use crate::reactor::task::Timer;
use crate::reactor::work::Work;
use crate::reactor::{Reactor, Token};
use crate::stats::Event;

/// Connections that are compared to find the one that gives way.
const SAMPLE: usize = 32;
/// Slots searched for them, so that the search is bounded when few connections can give way.
const LOOKED_AT: usize = 1024;
/// Connections that are looked at once more in one search.
const LAST_LOOKS: usize = 4;
/// Connections that give way to memory in one turn.
const EVICTED_MAX: usize = 32;
/// The time until the next search after one that found none. A client that waits is served that
/// late.
const RETRY: Millis = 64;
/// The time for which a client waits while all that could give way are spared.
const WAIT_MAX: Millis = 20;
/// A client that moves as many bytes in a second is not slow: it keeps its slot.
const FAST: u64 = 8 << 10;
/// The time for which a slow client may keep its slot, while others wait.
#[derive(Clone, Copy)]
struct Patience {
    /// Before the head of a request is complete.
    head: Millis,
    /// In the middle of content or of a response.
    exchange: Millis,
}

impl Patience {
    const USUAL: Patience = Patience { head: 1, exchange: 500 };
    /// For an address that has more than an equal share of the slots.
    const WITH_CROWD: Patience = Patience { head: 1, exchange: 1 };
    /// While clients come faster than slots become free, or one has waited for [`WAIT_MAX`]. None is
    /// spared, and the oldest of a sample goes first, so each keeps its slot while about as many others
    /// come as there are slots.
    const IN_FLOOD: Patience = Patience { head: 0, exchange: 0 };
}

/// Milliseconds of a window that tell how fast a client is.
const TELLING: Millis = 2000;
/// Movement up to which rates make no difference, in bytes per second.
const SLOW: u64 = 1 << 10;
/// Bytes that count as moved in the first second of a wait, in which a client shows little. In a later
/// rate window, the one before shows more.
const HEAD_START: u64 = 64 << 10;

impl<K: Kernel, S: 'static, H: Handler<S>> Reactor<K, S, H> {
    /// Takes memory back while it is short: free blocks first, then the largest holders that move
    /// least.
    pub(super) fn relieve(&mut self) {
        if !self.shared.ledger.is_short() {
            return;
        }
        self.shared.pool.trim(&mut self.shared.ledger);
        for _ in 0..EVICTED_MAX {
            // The account has been given back what clients have taken in this turn, and what the
            // last connection to give way held there.
            self.shared.ledger.settle();
            if !self.shared.ledger.is_short() {
                return;
            }
            let Some(token) = self.choose(Need::Memory) else {
                self.memory_search_at = self.shared.now + RETRY;
                return;
            };
            self.give_way(token, Need::Memory);
        }
    }

    /// Chooses the connection whose slot a client that waits would get.
    pub(super) fn slot_to_free(&mut self) -> Option<Token> {
        self.choose(Need::Slot)
    }

    /// Makes room for a client from `address` that was accepted: another connection of its address
    /// gives way if that has its share of the slots, or the one that was chosen before. Returns whether
    /// there is room.
    pub(super) fn makes_room_for(
        &mut self,
        address: Option<AddressKey>,
        chosen: Option<Token>,
    ) -> bool {
        let full = address.filter(|&key| self.has_its_share(key));
        let (token, need) = match (full, chosen) {
            (Some(address), _) if self.waiting_room.is_searched(address) => return false,
            (Some(address), _) => (self.choose(Need::SlotOf(address)), Need::SlotOf(address)),
            (None, Some(token)) => (Some(token), Need::Slot),
            (None, None) => return true,
        };
        match (token, need.address()) {
            (Some(token), _) => self.give_way(token, need),
            (None, Some(address)) => self.waiting_room.note_searched(address),
            (None, None) => {}
        }
        token.is_some()
    }

    /// Whether an address has as many connections as it may have.
    pub(super) fn has_its_share(&self, address: AddressKey) -> bool {
        self.addresses.count(address) >= self.connections_per_address_max
    }

    /// The process has no descriptor left for the clients that wait: a connection gives way, and the
    /// next turn accepts. If none can, a client that waits is dropped.
    pub(super) fn free_descriptor(&mut self) {
        match self.choose(Need::Descriptor) {
            Some(token) => self.give_way(token, Need::Descriptor),
            None => self.acceptor.shed(&mut self.kernel),
        }
    }

    /// Chooses the connection that gives way. It gets a last look, because bytes may have come since
    /// the poll, and only a write shows how much a slow reader has read.
    fn choose(&mut self, need: Need) -> Option<Token> {
        for _ in 0..LAST_LOOKS {
            let token = self.find(need)?;
            if !self.has_moved(token) {
                return Some(token);
            }
        }
        None
    }

    /// Finds the connection of a sample that ought to give way.
    fn find(&mut self, need: Need) -> Option<Token> {
        let capacity = self.slots.capacity().max(1);
        let start = self.sample_from % capacity;
        let mut best: Option<((u64, u32), Token)> = None;
        let mut seen = 0;
        for key in (start..capacity).chain(0..start).take(LOOKED_AT) {
            self.sample_from = key + 1;
            let Some(slot) = self.slots.get(key) else { continue };
            let Some(claim) = self.claim(key, slot, need) else { continue };
            // Among equals, the oldest connection.
            let age = self.next_generation.wrapping_sub(slot.facts.generation);
            if best.is_none_or(|(first, _)| first < (claim, age)) {
                best = Some(((claim, age), Token::new(key, slot.facts.generation)));
            }
            seen += 1;
            if seen == SAMPLE {
                break;
            }
        }
        best.map(|(_, token)| token)
    }

    /// No connection gives way now, though another client waits, or may be waiting if one `was_accepted`.
    /// The loop looks again soon. A client that waits for long is the last of a flood.
    pub(super) fn note_full(&mut self, was_accepted: bool) {
        if was_accepted {
            // The next poll reports whether another one waits.
            self.full_since = None;
            return;
        }
        let now = self.shared.now;
        let patience_ends = *self.full_since.get_or_insert(now) + WAIT_MAX;
        let is_flood = now < self.flooded_until;
        if now >= patience_ends && !is_flood {
            self.note_flood();
            self.slot_search_at = now;
            return;
        }
        if is_flood {
            // It lasts until the next search.
            self.flooded_until = now + RETRY + 1;
        }
        self.slot_search_at = if is_flood { now + RETRY } else { patience_ends };
    }

    /// Clients come faster than slots become free: a batch of accepts has ended before the queue of a
    /// listener was empty, or a client has waited for too long.
    pub(super) fn note_flood(&mut self) {
        self.flooded_until = self.shared.now + RETRY;
    }

    /// Returns how strongly the others claim the resources of a connection; `None` if it keeps
    /// them.
    fn claim(&self, key: usize, slot: &Slot<K, S>, need: Need) -> Option<u64> {
        if need != Need::Memory && slot.facts.flags.has(Flags::QUEUED) {
            return None;
        }
        let left = match self.wheel.due(key as u32) {
            Some(due) => due.wrapping_sub(clock::tick(self.shared.now)) as i32,
            None => i32::MAX,
        };
        let waited = deadlines::waited(slot, left.max(0) as u32, &self.shared);
        let address = self.address(key);
        let crowd = address.map_or(1, |address| self.addresses.count(address));
        let fair_share = self.connections_max / self.addresses.distinct().max(1);
        let is_crowd = crowd > fair_share || crowd >= self.connections_per_address_max;
        let patience = match (self.shared.now < self.flooded_until, is_crowd) {
            (true, _) => Patience::IN_FLOOD,
            (false, true) => Patience::WITH_CROWD,
            (false, false) => Patience::USUAL,
        };
        let base = match need {
            Need::Memory => claim_on_memory(&slot.life, waited)?,
            Need::SlotOf(_) if need.address() != address => return None,
            // It was accepted in this turn, and its bytes have not been looked for.
            Need::Slot | Need::SlotOf(_) | Need::Descriptor
                if slot.facts.generation.wrapping_sub(self.batch_began) as i32 >= 0 =>
            {
                return None;
            }
            // In a shutdown, a request that has begun keeps its slot.
            Need::Slot | Need::SlotOf(_) | Need::Descriptor
                if self.shared.is_draining() && matches!(slot.life, Life::Busy(_)) =>
            {
                return None;
            }
            Need::Slot | Need::SlotOf(_) | Need::Descriptor => {
                claim_on_slot(slot, waited, patience)?
            }
        };
        Some(base.saturating_mul(crowd as u64))
    }

    /// Ends a connection, because others need its resources.
    fn give_way(&mut self, token: Token, need: Need) {
        let name = self.log_name(token);
        let slot = &mut self.slots[token.key()];
        if let (Need::Memory, Life::Busy(work)) = (need, &mut slot.life) {
            // Its record can lose its texts first: only the hook of the program misses them.
            if work.shrink_record(&mut self.shared.ledger) {
                return;
            }
        }
        debug!("{name}: gives way, because others need its {need}");
        self.shared.counters.count(Event::GaveWay(need.cause()));
        match slot.life {
            Life::Rest(_) => {
                self.shared.counters.leave(slot.life.phase());
                self.close(token, Farewell::Close);
            }
            Life::Busy(_) => {
                let verdict = self.begin_visit(token).give_way(need != Need::Memory);
                self.conclude(token, verdict);
            }
        }
    }
}

/// The claim of the others on the memory of a connection.
fn claim_on_memory<S>(life: &Life<S>, waited: Millis) -> Option<u64> {
    let Life::Busy(work) = life else { return None };
    // Messages that wait for the loop, and not for the client, leave in the next turn.
    let queued = if work.backlog.is_some() { work.task.memory_elsewhere() } else { 0 };
    let held = work.memory() + queued + mem::size_of::<Work<S>>();
    let head_start = if waited < 1000 && work.last_rate == 0 { HEAD_START } else { 0 };
    Some(held as u64 * SLOW / (SLOW + rate(work, waited) + head_start))
}

/// The claim of the others on the slot of a connection.
fn claim_on_slot<K: Kernel, S>(
    slot: &Slot<K, S>,
    waited: Millis,
    patience: Patience,
) -> Option<u64> {
    let flags = slot.facts.flags;
    if flags.has(Flags::QUEUED) || flags.has(Flags::READABLE) && slot.life.linger().is_none() {
        return None;
    }
    match &slot.life {
        // Nothing is lost.
        Life::Rest(Rest::Idle | Rest::Linger(_)) => Some(2 * weight(waited)),
        // Its bytes may be on their way.
        Life::Rest(Rest::New) if waited < patience.head => None,
        Life::Rest(Rest::New) => Some(4 * weight(waited)),
        Life::Rest(Rest::Ending { .. } | Rest::Closed) => None,
        // The program must respond, and the client can do nothing about it.
        Life::Busy(_) if slot.facts.armed == Timer::Handler => None,
        Life::Busy(work) if work.conn.input() == Input::Head => {
            (waited >= patience.head).then_some(2 * weight(waited))
        }
        Life::Busy(_) if waited < patience.exchange => None,
        Life::Busy(work) => {
            let rate = rate(work, waited);
            (rate < FAST).then_some(weight(waited) * SLOW / (SLOW + rate))
        }
    }
}

/// The weight of a wait: each millisecond of its first second, and less of the time after it, so that
/// the size of a crowd counts more.
fn weight(waited: Millis) -> u64 {
    match waited {
        0..=1000 => 1 + waited,
        _ => 1001 + (waited - 1000) / 256,
    }
}

/// The bytes per second that a connection moves: since its wait or its window began, or in the window
/// before, while the present one is too short to tell.
fn rate<S>(work: &Work<S>, waited: Millis) -> u64 {
    let moved = work.received + work.written;
    let present = moved.saturating_mul(1000) / waited.max(1 << clock::TICK_LOG2);
    match waited < TELLING && work.last_rate > 0 {
        true => u64::from(work.last_rate),
        false => present,
    }
}
