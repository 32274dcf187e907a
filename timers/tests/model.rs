//! P5: under any sequence of operations the wheel behaves like an ordered set of `(due, id)`.
//!
//! The model counts ticks in 64 bits, so it has no wrap-around, slots or postponed work. After
//! every operation the test compares the parts that are cheap to compare; the wheel's own `check`
//! runs now and then.

mod common;

use common::Random;
use std::collections::BTreeSet;
use wheelhouse_timers::Wheel;

/// The number for each start below, so three times this for the whole file, spread over the sizes
/// of wheels.
const OPERATIONS: u32 = 2_000_000;
const SLOTS: [u32; 5] = [64, 128, 256, 512, 2048];

#[test]
fn p5_a_wheel_equals_an_ordered_set_from_tick_zero() {
    compare(0);
}

#[test]
fn p5_a_wheel_equals_an_ordered_set_across_the_wrap_of_u32() {
    compare(u32::MAX - 3_000);
}

#[test]
fn p5_a_wheel_equals_an_ordered_set_across_the_change_of_sign() {
    compare(i32::MAX as u32 - 3_000);
}

fn compare(start: u32) {
    let mut random = Random::new();
    // Several short lives for each size cross the wrap more often than one long one.
    let lives = 10;
    for slots in SLOTS {
        for _ in 0..lives {
            let mut pair = Pair::new(slots, start - random.below(2_000).min(start));
            for count in 1..=OPERATIONS / lives / SLOTS.len() as u32 {
                pair.operate(&mut random);
                pair.compare(&mut random);
                if count % 1_000 == 0 {
                    pair.wheel.check();
                }
            }
            pair.drain_to_the_last();
        }
    }
}

/// A wheel and its model.
struct Pair {
    wheel: Wheel,
    slots: u32,
    /// The model: its clock (the wheel's is the low half), deadlines in order, and deadlines by id.
    now: u64,
    order: BTreeSet<(u64, u32)>,
    due: Vec<Option<u64>>,
}

impl Pair {
    fn new(slots: u32, start: u32) -> Pair {
        let ids = 50;
        let mut wheel = Wheel::new(slots as usize, start);
        wheel.grow(ids);
        // A revolution of 2^32 up front, so that deadlines in the past are not negative.
        let now = (1 << 32) + u64::from(start);
        Pair { wheel, slots, now, order: BTreeSet::new(), due: vec![None; ids] }
    }

    fn operate(&mut self, random: &mut Random) {
        let id = random.below(self.due.len() as u32);
        match random.below(100) {
            0..=34 => {
                let ahead = self.any_distance(random);
                self.arm(id, self.now + ahead);
            }
            35..=39 => self.arm(id, self.now - u64::from(random.below(1_000))),
            // The usual case of the server: always later.
            40..=54 => self.arm(
                id,
                self.due[id as usize].unwrap_or(self.now) + u64::from(random.below(self.slots)),
            ),
            55..=64 => self.disarm(id),
            65..=79 => {
                let n = self.slots;
                let near = random.below(20);
                let jump = random.one_of(&[0, 1, 1, 1, near, near, near, n - 1, n, n + 1, 10 * n]);
                self.now += u64::from(jump);
                self.wheel.advance(self.now as u32);
            }
            80..=82 => {
                let back = random.one_of(&[1, 2, self.slots, 1_000_000]);
                if self.order.is_empty() {
                    // An empty wheel takes any time.
                    self.now += (1 << 32) - u64::from(back);
                    self.wheel.advance(self.now as u32);
                } else {
                    self.wheel.advance((self.now as u32).wrapping_sub(back));
                }
            }
            83..=93 => {
                for _ in 0..=random.below(5) {
                    self.pop();
                }
            }
            94..=98 => while self.pop() {},
            _ => {
                let ids = self.due.len() + random.below(3) as usize;
                self.due.resize(ids.min(1_000), None);
                self.wheel.grow(ids.min(1_000));
            }
        }
    }

    /// Near, at the edges of a revolution, several revolutions away, or as far as possible.
    fn any_distance(&self, random: &mut Random) -> u64 {
        let n = self.slots;
        let (near, within, beyond) = (random.below(30), random.below(n), random.below(12 * n));
        let far = random.one_of(&[1_000_000, i32::MAX as u32]);
        u64::from(random.one_of(&[
            0,
            1,
            2,
            near,
            near,
            within,
            within,
            n - 1,
            n,
            n + 1,
            2 * n,
            beyond,
            far,
        ]))
    }

    fn arm(&mut self, id: u32, due: u64) {
        self.wheel.arm(id, due as u32);
        // The wheel takes half of its range for the past, and moves deadlines in the past to the
        // next tick.
        let in_range = due <= self.now + i32::MAX as u64;
        let due = if in_range { due.max(self.now + 1) } else { self.now + 1 };
        if let Some(old) = self.due[id as usize].replace(due) {
            self.order.remove(&(old, id));
        }
        self.order.insert((due, id));
    }

    fn disarm(&mut self, id: u32) {
        let old = self.due[id as usize].take();
        assert_eq!(self.wheel.disarm(id), old.is_some(), "disarm({id})");
        if let Some(due) = old {
            self.order.remove(&(due, id));
        }
    }

    /// Pops an expired id. Returns false if there is none; then no deadline in the past may remain.
    fn pop(&mut self) -> bool {
        let Some(id) = self.wheel.pop() else {
            let first = self.order.first();
            assert!(
                first.is_none_or(|&(due, _)| due > self.now),
                "{first:?} was lost at {}",
                self.now
            );
            return false;
        };
        let due = self.due[id as usize].take().unwrap_or_else(|| panic!("{id} expired unarmed"));
        assert!(due <= self.now, "{id} expired at {} for {due}", self.now);
        assert!(self.order.remove(&(due, id)));
        true
    }

    fn compare(&self, random: &mut Random) {
        assert_eq!(self.wheel.len(), self.order.len());
        assert_eq!(self.wheel.now(), self.now as u32);
        let id = random.below(self.due.len() as u32);
        assert_eq!(self.wheel.due(id), self.due[id as usize].map(|due| due as u32), "due({id})");

        let earliest = self.order.first().map(|&(due, _)| due);
        let wake = self
            .wheel
            .next_wake()
            .map(|wake| self.now + u64::from(wake.wrapping_sub(self.now as u32)));
        match (wake, earliest) {
            (None, None) => {}
            (Some(wake), Some(due)) => {
                assert!(wake <= due.max(self.now), "wakes at {wake} for {due}");
            }
            other => panic!("wake and earliest: {other:?}"),
        }
    }

    /// Sleeps from wake-up to wake-up until no deadline within a thousand revolutions remains.
    fn drain_to_the_last(&mut self) {
        let end = self.now + u64::from(self.slots) * 1_000;
        while let Some(wake) = self.wheel.next_wake() {
            self.now += u64::from(wake.wrapping_sub(self.now as u32));
            if self.now > end {
                break;
            }
            self.wheel.advance(wake);
            while self.pop() {}
            assert_ne!(self.wheel.next_wake(), Some(wake), "a wake-up must not repeat");
        }
        self.wheel.check();
    }
}
