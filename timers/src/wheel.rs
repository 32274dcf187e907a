//! The wheel: its fields, its invariants and its operations.
//!
//! This file must not know a clock (ticks are numbers) nor the meaning of an id.

use crate::node::{Node, UNARMED};
use crate::occupied::Occupied;
use alloc::collections::TryReserveError;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

/// A hashed timing wheel: one deadline, in ticks, for each of a dense range of ids.
///
/// Ids are small numbers that the caller already has, such as the slots of its slab of connections.
/// The wheel keeps an array indexed by them, so it does not hash, box or return a handle for
/// cancelling. An id has at most one deadline. An id that was disarmed or popped may be armed again
/// at once, also for another purpose.
///
/// Ticks are `u32`, wrap around, and are compared by the sign of their difference. That is sound as
/// long as a deadline lies at most `i32::MAX` ticks ahead (4.3 years at 64 ms), and as long as
/// [`advance`](Wheel::advance) is called and the wheel drained at least once in that span; both are
/// up to the caller. An empty wheel may stand still for any time.
///
/// The wheel never calls out, so a panic of the caller between any two calls leaves it valid.
///
/// # Invariants
///
/// `check.rs` visits all nodes and asserts these lines. `now` is the tick of the last
/// `advance`, and N the number of slots.
///
/// * I1: a node is in exactly one circular list, or in none and unarmed.
/// * I2: a node listed in a slot has `now < queued <= now + N`, and the slot is `queued mod N`.
/// * I3: a node listed in `pending` has `queued <= now`.
/// * I4: every listed node has `queued <= due`.
/// * I5: the bit of a slot is set exactly if its list is not empty.
/// * I6: `len` is the number of listed nodes.
/// * I7: `next_wake <= max(now, the earliest due)`, and it is `None` exactly if nothing is listed.
///
/// # Examples
///
/// ```
/// use wheelhouse_timers::Wheel;
///
/// let mut wheel = Wheel::new(64, 0);
/// wheel.grow(2);
/// wheel.arm(0, 5);
/// wheel.arm(1, 5);
/// wheel.arm(1, 9); // later: one store
/// assert_eq!(wheel.next_wake(), Some(5));
///
/// wheel.advance(5);
/// assert_eq!(wheel.pop(), Some(0));
/// assert_eq!(wheel.pop(), None); // 1 was met and queued again, for 9
/// assert_eq!(wheel.next_wake(), Some(9));
/// ```
pub struct Wheel {
    /// First one sentinel for each slot, then that of `pending`, then the nodes of ids 0, 1, ...
    ///
    /// With the sentinels in the same array a list needs no special case for its ends, and a node
    /// can be unlinked without knowing which list it is in. They come first, so that `grow` does
    /// not change an index.
    pub(crate) nodes: Vec<Node>,
    /// The slots whose list is not empty.
    pub(crate) occupied: Occupied,
    /// The number of slots, a power of two; also the index of the sentinel of `pending`.
    pub(crate) slots: u32,
    /// The tick of the last `advance`.
    pub(crate) now: u32,
    /// The number of armed ids.
    pub(crate) len: usize,
    /// The tick of the nearest occupied slot, if it is known: the last result of the scan of the
    /// bitmap. Every move keeps it right or forgets it, so that a caller that asks in every turn
    /// does not pay for a scan in every turn.
    pub(crate) nearest: Cell<Option<u32>>,
}

impl Wheel {
    /// The fewest slots that a wheel can have: one word of the bitmap.
    pub const SLOTS_MIN: usize = 64;

    /// The most slots that a wheel can have. More slots would cost a scan of over 1,024 words in
    /// [`next_wake`](Wheel::next_wake), and gain little, since a deadline beyond one revolution
    /// costs only one relink for each revolution.
    pub const SLOTS_MAX: usize = 65_536;

    /// The most ids that a wheel can have, so that sentinels and ids together fit the 32-bit links.
    pub const IDS_MAX: usize = 1 << 31;

    /// Creates an empty wheel of `slots` slots at tick `now`, without ids: see
    /// [`grow`](Wheel::grow).
    ///
    /// It costs 16 bytes and one bit for each slot. Choose `slots` such that one revolution is at
    /// least the usual timeout: 2,048 slots of 64 ms are 131 s.
    ///
    /// # Panics
    ///
    /// If `slots` is not a power of two from [`SLOTS_MIN`](Wheel::SLOTS_MIN) to
    /// [`SLOTS_MAX`](Wheel::SLOTS_MAX).
    ///
    /// # Examples
    ///
    /// ```
    /// let wheel = wheelhouse_timers::Wheel::new(2048, 0);
    /// assert_eq!(wheel.next_wake(), None); // sleep for ever
    /// ```
    #[must_use]
    pub fn new(slots: usize, now: u32) -> Wheel {
        assert!(
            slots.is_power_of_two() && (Self::SLOTS_MIN..=Self::SLOTS_MAX).contains(&slots),
            "a wheel has a power of two from 64 to 65536 slots, not {slots}"
        );
        let slots_u32 = slots as u32; // at most SLOTS_MAX, asserted above
        let mut nodes = vec![Node::UNARMED; slots + 1];
        for (list, at) in nodes.iter_mut().zip(0..) {
            *list = Node::empty_list(at);
        }
        Wheel {
            nodes,
            occupied: Occupied::new(slots),
            slots: slots_u32,
            now,
            len: 0,
            nearest: Cell::new(None),
        }
    }

    /// Makes the ids `0..ids` usable. Never shrinks: fewer ids than before change nothing.
    ///
    /// It allocates 16 bytes for each id, in one array. Like a `Vec`, the array at least doubles
    /// when it must move, so growth by one id at a time is affordable. One call with the final
    /// number allocates exactly the memory that it needs.
    ///
    /// # Panics
    ///
    /// If `ids` is more than [`IDS_MAX`](Wheel::IDS_MAX), or if memory runs out.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut wheel = wheelhouse_timers::Wheel::new(64, 0);
    /// wheel.grow(100);
    /// wheel.grow(10);
    /// assert_eq!(wheel.capacity(), 100);
    /// ```
    pub fn grow(&mut self, ids: usize) {
        assert!(ids <= Self::IDS_MAX, "a wheel has at most 2^31 ids, not {ids}");
        if ids > self.capacity() {
            self.nodes.resize(self.base() + ids, Node::UNARMED);
        }
    }

    /// Makes the ids `0..ids` usable as [`grow`](Wheel::grow) does, but takes exactly the memory
    /// that they need, and reports a lack of it.
    ///
    /// It is for a caller with a budget of memory. Growth by one id at a time moves the array each
    /// time.
    ///
    /// # Panics
    ///
    /// If `ids` is more than [`IDS_MAX`](Wheel::IDS_MAX).
    ///
    /// # Errors
    ///
    /// If the system has not enough memory. The wheel is as before then.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut wheel = wheelhouse_timers::Wheel::new(64, 0);
    /// let before = wheel.memory();
    /// wheel.try_grow_exact(100)?;
    /// wheel.try_grow_exact(101)?;
    /// assert_eq!(wheel.memory() - before, 101 * 16);
    /// # Ok::<(), std::collections::TryReserveError>(())
    /// ```
    pub fn try_grow_exact(&mut self, ids: usize) -> Result<(), TryReserveError> {
        assert!(ids <= Self::IDS_MAX, "a wheel has at most 2^31 ids, not {ids}");
        if ids > self.capacity() {
            self.nodes.try_reserve_exact(ids - self.capacity())?;
            self.grow(ids);
        }
        Ok(())
    }

    /// Makes the ids from `ids` on unusable, and gives their memory back. Fewer ids than that change
    /// nothing.
    ///
    /// # Panics
    ///
    /// If one of them is armed.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut wheel = wheelhouse_timers::Wheel::new(64, 0);
    /// let before = wheel.memory();
    /// wheel.grow(1_000_000);
    /// wheel.shrink(0);
    /// assert_eq!((wheel.capacity(), wheel.memory()), (0, before));
    /// ```
    pub fn shrink(&mut self, ids: usize) {
        if ids < self.capacity() {
            let rest = &self.nodes[self.base() + ids..];
            assert!(!rest.iter().any(Node::is_armed), "an armed id keeps its node");
            // A copy, because an array that shrinks stays where it is: often at the end of the heap.
            self.nodes = self.nodes[..self.base() + ids].to_vec();
        }
    }

    /// Returns the number of usable ids: `0..capacity` may be armed.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.nodes.len() - self.base()
    }

    /// Sets the deadline of `id` to `due`, whether it had one or not.
    ///
    /// A deadline that is not before the tick at which the id is queued is one store and touches no
    /// list. So is every re-arm of a connection whose timeout stays the same. For an earlier one
    /// the node is unlinked and linked, both in constant time.
    ///
    /// A `due` that is not after [`now`](Wheel::now) means the next tick: `advance` must be called
    /// once more before the id expires, so a caller that arms while it drains cannot keep itself
    /// busy for ever. A `due` more than `i32::MAX` ticks ahead looks like the past and is treated
    /// like it: clamp it to `now + i32::MAX`.
    ///
    /// # Panics
    ///
    /// If `id` is not below [`capacity`](Wheel::capacity).
    ///
    /// # Examples
    ///
    /// ```
    /// let mut wheel = wheelhouse_timers::Wheel::new(64, 100);
    /// wheel.grow(1);
    /// wheel.arm(0, 160);
    /// wheel.arm(0, 170);
    /// assert_eq!(wheel.due(0), Some(170)); // the last arm counts
    /// wheel.arm(0, 3);
    /// assert_eq!(wheel.due(0), Some(101)); // in the past: the next tick
    /// ```
    #[inline]
    pub fn arm(&mut self, id: u32, due: u32) {
        let due = self.future(due);
        let at = self.place(id);
        match self.nodes.get_mut(at) {
            Some(node) if node.is_armed() && !is_before(due, node.queued) => node.due = due,
            Some(_) => self.relink(at, due),
            None => no_such_id(id, self.capacity()),
        }
    }

    /// Removes the deadline of `id`, in constant time. Returns whether there was one.
    ///
    /// An id that is not below [`capacity`](Wheel::capacity) has none.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut wheel = wheelhouse_timers::Wheel::new(64, 0);
    /// wheel.grow(1);
    /// wheel.arm(0, 7);
    /// assert!(wheel.disarm(0));
    /// assert!(!wheel.disarm(0));
    /// ```
    pub fn disarm(&mut self, id: u32) -> bool {
        let at = self.place(id);
        if !self.nodes.get(at).is_some_and(Node::is_armed) {
            return false;
        }
        self.unlink(at);
        self.nodes[at].next = UNARMED;
        self.len -= 1;
        true
    }

    /// Returns the deadline of `id`, if it has one.
    ///
    /// It may have passed: the id keeps it until [`pop`](Wheel::pop) returns the id. For a deadline
    /// in the past it is the tick after the call of [`arm`](Wheel::arm).
    #[must_use]
    #[inline]
    pub fn due(&self, id: u32) -> Option<u32> {
        let node = self.nodes.get(self.place(id))?;
        node.is_armed().then_some(node.due)
    }

    /// Turns the wheel to tick `now`: the lists of the slots that came up are spliced to the list
    /// that [`pop`](Wheel::pop) takes from.
    ///
    /// It visits no single node, so its cost depends on neither the number of armed ids nor the
    /// number that expire: it is at most one splice for each tick of the jump, and at most one for
    /// each slot.
    ///
    /// A `now` that is not after the last one has no effect, and a jump of more than `i32::MAX`
    /// ticks looks like one: see [`Wheel`]. An empty wheel takes any `now`, so its caller may sleep
    /// for as long as nothing is armed.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut wheel = wheelhouse_timers::Wheel::new(64, 0);
    /// wheel.grow(1);
    /// wheel.arm(0, 500); // several revolutions ahead
    /// wheel.advance(499);
    /// assert_eq!(wheel.pop(), None);
    /// wheel.advance(1_000_000);
    /// assert_eq!(wheel.pop(), Some(0));
    /// ```
    pub fn advance(&mut self, now: u32) {
        let _steps = self.turn(now);
    }

    /// Removes and returns one id whose deadline has passed, which is disarmed by that. Returns
    /// `None` if there are no more.
    ///
    /// Between two calls the caller may arm and disarm any id, also the popped one. It may also
    /// stop: the other ids stay for the next `pop`, before or after another `advance`. The order of
    /// ids is roughly, not strictly, that of their deadlines.
    ///
    /// Nodes that were postponed are queued again when they are met. One call can meet many of
    /// them, but a node is met at most once in a revolution or in its shortest recent timeout,
    /// whichever is less.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut wheel = wheelhouse_timers::Wheel::new(64, 0);
    /// wheel.grow(3);
    /// for id in 0..3 {
    ///     wheel.arm(id, 10);
    /// }
    /// wheel.advance(10);
    /// while let Some(id) = wheel.pop() {
    ///     if id == 0 {
    ///         wheel.arm(0, 20); // the popped one may be armed again
    ///         wheel.disarm(2); // and another one taken away
    ///     }
    /// }
    /// assert_eq!(wheel.len(), 1);
    /// ```
    pub fn pop(&mut self) -> Option<u32> {
        let pending = self.slots as usize;
        loop {
            let first = self.nodes[pending].next as usize;
            if first == pending {
                return None;
            }
            let node = self.nodes[first];
            self.nodes[pending].next = node.next;
            self.nodes[node.next as usize].prev = self.slots;
            if is_before(self.now, node.due) {
                self.link(first, node.due);
                continue;
            }
            self.nodes[first].next = UNARMED;
            self.len -= 1;
            return Some((first - self.base()) as u32); // fits: ids are u32 when they are armed
        }
    }

    /// Returns the tick at which to call [`advance`](Wheel::advance) next. `None` means that
    /// nothing is armed, and the caller may sleep for ever.
    ///
    /// It is never later than the earliest deadline, and it is [`now`](Wheel::now) while expired
    /// ids wait for [`pop`](Wheel::pop). It may be earlier than any deadline, if a slot has
    /// postponed nodes or one from beyond a revolution; such a wake-up only queues them again. It
    /// takes a scan of at most N/64 + 1 words of the bitmap, and the result is kept until the
    /// nearest timer moves.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut wheel = wheelhouse_timers::Wheel::new(64, 0);
    /// wheel.grow(1);
    /// wheel.arm(0, 1000);
    /// assert_eq!(wheel.next_wake(), Some(64)); // one revolution ahead
    /// wheel.arm(0, 3);
    /// assert_eq!(wheel.next_wake(), Some(3));
    /// wheel.advance(3);
    /// assert_eq!(wheel.next_wake(), Some(3)); // not popped yet
    /// ```
    #[must_use]
    pub fn next_wake(&self) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        if self.nodes[self.slots as usize].next != self.slots {
            return Some(self.now);
        }
        if self.nearest.get().is_none() {
            self.nearest.set(self.scan());
        }
        self.nearest.get()
    }

    /// The tick of the nearest occupied slot.
    pub(crate) fn scan(&self) -> Option<u32> {
        let first = self.now.wrapping_add(1);
        let ahead = self.occupied.first_from(self.slot(first))?;
        Some(first.wrapping_add(ahead as u32)) // fits: less than the number of slots
    }

    /// Returns the present tick of the wheel: the latest that was passed to [`new`](Wheel::new) or
    /// [`advance`](Wheel::advance).
    #[must_use]
    #[inline]
    pub fn now(&self) -> u32 {
        self.now
    }

    /// Returns the number of armed ids. Expired ones count until they are popped.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether no id is armed.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the number of bytes that the wheel holds on the heap, spare room included, for a
    /// caller with a budget.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut wheel = wheelhouse_timers::Wheel::new(2048, 0);
    /// wheel.grow(1_000_000);
    /// assert!(wheel.memory() < 16_100_000);
    /// ```
    #[must_use]
    pub fn memory(&self) -> usize {
        self.nodes.capacity() * core::mem::size_of::<Node>() + self.occupied.memory()
    }

    /// Returns `due`, but at least the next tick.
    #[inline]
    fn future(&self, due: u32) -> u32 {
        let ahead = due.wrapping_sub(self.now) as i32;
        self.now.wrapping_add(ahead.max(1) as u32)
    }

    /// Returns the slot of a tick.
    #[inline]
    pub(crate) fn slot(&self, tick: u32) -> usize {
        (tick & (self.slots - 1)) as usize
    }

    /// Returns the index of the node of id 0.
    #[inline]
    pub(crate) fn base(&self) -> usize {
        self.slots as usize + 1
    }

    /// Returns the index of the node of `id`, which need not exist. The addition saturates for
    /// 32-bit targets, where a wrong id must not wrap around to a sentinel; on 64 bits it cannot.
    #[inline]
    fn place(&self, id: u32) -> usize {
        (id as usize).saturating_add(self.base())
    }
}

impl fmt::Debug for Wheel {
    /// Shows the state in one line, without the nodes, of which there may be a million.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("slots", &self.slots)
            .field("now", &self.now)
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .field("next_wake", &self.next_wake())
            .finish()
    }
}

/// Returns whether tick `a` is before tick `b`, around the wrap.
#[inline]
pub(crate) fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

#[cold]
#[inline(never)]
fn no_such_id(id: u32, capacity: usize) -> ! {
    panic!("timer id {id} is not below the wheel's capacity of {capacity}: grow it first");
}
