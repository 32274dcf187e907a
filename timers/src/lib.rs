//! A hashed timing wheel with lazy postponement: one deadline for each of up to millions of ids, in
//! 16 bytes each. To move a deadline further away is one store.
//!
//! It is made for the deadlines of a server's connections. There are many of them, each is moved at
//! every request, and nearly all are cancelled or moved before they pass. So arming must be cheap,
//! and expiry may be a tick late.
//!
//! # Limits of its purpose
//!
//! * It is not a clock: time is a tick number that the caller passes in, and the caller sleeps. So
//!   a test does not have to sleep.
//! * It is not a callback registry: [`Wheel::pop`] returns expired ids, one by one, for as long as
//!   the caller likes.
//! * It is not hierarchical: there is one level, nothing cascades, and a far deadline is visited
//!   once in a revolution.
//! * It is not a container: the caller stores its values elsewhere, by the same ids, for instance
//!   in a slab.
//! * It is not shared: one wheel belongs to one thread. It has no lock and no atomic.
//!
//! The crate has no `unsafe` and no dependency, is `no_std` with `alloc`, and allocates only in
//! [`Wheel::new`], [`Wheel::grow`] and [`Wheel::try_grow_exact`].
//!
//! # How it works
//!
//! ```text
//!                    now
//!                     v
//! slots    | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |      tick t belongs to slot t mod N (here N = 8, now = 2)
//! bitmap     0   0   0   1   0   0   1   0        1: the list is not empty
//!                        |           |
//!                       [A]         [C]           node: next, prev, queued, due
//!                        |
//!                       [B]
//!
//! arm(B, 6)      B is queued at 3. 6 is later, so this is one store: due = 6. No list is touched.
//! arm(C, 4)      C is queued at 6. 4 is earlier: unlink from slot 6, link into slot 4.
//! arm(D, 500)    beyond one revolution: linked into the farthest slot, the one of tick now + N = 10.
//!
//! advance(3)     slot 3 came up: its whole list goes to `pending` in one splice.
//!
//! pending  [A]-[B]
//!
//! pop()          A was due at 3: disarmed, handed out.
//! pop()          B is due at 6, it was postponed: linked into slot 6. Nothing else: None.
//! ```
//!
//! So a node has two ticks: `queued`, the tick of its slot, and `due`, which is never before that.
//! A postponed deadline and a far one are the same case: the slot comes up, the node is not due,
//! and it moves on. A connection that is served a thousand times in a timeout of 75 s is thus moved
//! once, not a thousand times. The price is an occasional wake-up that expires nothing.
//!
//! This is scheme 6 of George Varghese and Tony Lauck, *Hashed and Hierarchical Timing Wheels*
//! (SOSP 1987), with absolute ticks in place of their count of rounds. The laziness is an addition;
//! libev's manual recommends it for a single timer.
//!
//! # Costs
//!
//! The wheel has N slots. The cache lines are those of the wheel alone, 64 bytes each.
//!
//! | operation | work | cache lines touched |
//! |---|---|---|
//! | [`arm`](Wheel::arm), not earlier than queued | one store | 1: the node |
//! | [`arm`](Wheel::arm) of an unarmed id | link | 4: node, slot, its last node, bitmap |
//! | [`arm`](Wheel::arm), earlier | unlink, link | up to 7: two neighbours and an emptied slot's bit more |
//! | [`disarm`](Wheel::disarm) | unlink | up to 4: node, two neighbours, bitmap |
//! | [`advance`](Wheel::advance) | min(jump, N) / 64 words, one splice for each list that came up | 4 for each splice |
//! | [`pop`](Wheel::pop) | unlink from the front | 3: list, node, the next one |
//! | [`pop`](Wheel::pop), for each postponed node met | the same, and a link | 6 |
//! | [`next_wake`](Wheel::next_wake) | scan of at most N / 64 + 1 words | N / 512 + 1 |
//! | memory | 16 bytes for each id and for each slot, one bit for each slot | |
//!
//! # Precision
//!
//! Counting from the same start, tick `t` begins at `t * TICK`. If the caller computes
//!
//! ```text
//! now = floor(elapsed / TICK)        due = floor((elapsed + timeout) / TICK) + 1
//! ```
//!
//! a deadline never expires early, not even by the fraction of a unit that the clock cut off. It
//! expires at most one tick late, and a whole tick only if the deadline falls exactly on the start
//! of a tick, provided that the caller wakes in time.
//!
//! ```
//! use wheelhouse_timers::Wheel;
//!
//! const TICK: u64 = 64; // milliseconds
//! fn tick(elapsed: u64) -> u32 {
//!     (elapsed / TICK) as u32 // wraps, as it should
//! }
//! fn due(elapsed: u64, timeout: u64) -> u32 {
//!     tick(elapsed + timeout).wrapping_add(1)
//! }
//!
//! let mut wheel = Wheel::new(2048, 0);
//! wheel.grow(1);
//! for (elapsed, timeout) in [(0, 1), (63, 1), (100, 10_000), (12_345, 64), (20_000, 300_000)] {
//!     wheel.advance(tick(elapsed));
//!     wheel.arm(0, due(elapsed, timeout));
//!
//!     // The loop of a server: sleep until `next_wake`, turn, pop.
//!     let mut clock = elapsed;
//!     let expired_at = loop {
//!         let ticks = wheel.next_wake().expect("one is armed").wrapping_sub(tick(clock));
//!         clock = (clock / TICK + u64::from(ticks)) * TICK; // poll(events, clock - before)
//!         wheel.advance(tick(clock));
//!         if wheel.pop().is_some() {
//!             break clock;
//!         }
//!     };
//!     let deadline = elapsed + timeout;
//!     assert!(deadline < expired_at && expired_at <= deadline + TICK);
//! }
//! ```
//!
//! # Range
//!
//! * *Beyond one revolution:* any deadline up to `i32::MAX` ticks ahead is exact. Its node is
//!   queued one revolution ahead and again from there, one relink for each revolution. Clamp a
//!   longer one to `now + i32::MAX`; that is 4.3 years at 64 ms.
//! * *Wrap-around:* ticks are compared by the sign of their wrapping difference, so a wheel may
//!   start at any tick and run across `u32::MAX`. Turn it at least once in `i32::MAX` ticks, unless
//!   it is empty: then it takes any time.
//! * *In the past:* a deadline that is not after `now` expires at the next tick.
//! * *Jumps:* after a long stop each slot is visited once. A clock that steps back is ignored until
//!   it has caught up, or the wheel is empty.
//!
//! # When to use another structure
//!
//! | you need | use |
//! |---|---|
//! | exact order or sub-tick precision, few timers | a `BinaryHeap` or `BTreeMap` of `(due, id)` |
//! | one timeout for all, never moved | a FIFO queue; its front is the next to expire |
//! | most timers do expire, with delays from milliseconds to days | a hierarchical wheel: it moves a far timer a few times, not once a revolution |
//! | ids that are sparse or not numbers | a wheel with a map, or give out dense ids with a slab first |
//! | timers of many threads | one of these for each thread, or a runtime's timer |
//!
//! # Reading order
//!
//! `wheel.rs` (the type and its operations), `lists.rs` (the moves of a node), `check.rs` (the
//! invariants), `occupied.rs` (the bitmap), `node.rs`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod check;
mod lists;
mod node;
mod occupied;
#[cfg(test)]
mod tests;
mod wheel;

pub use wheel::Wheel;

/// Runs the example of the README with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
