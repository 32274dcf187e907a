//! Operations on a timing wheel, against an ordered map without slots, wrap-around or postponed
//! work.

use std::collections::BTreeMap;

use wheelhouse_timers::Wheel;

use crate::support::random::Random;

const IDS: usize = 20;

/// A wheel and its model, whose clock has 64 bits.
struct Pair {
    wheel: Wheel,
    now: u64,
    due: BTreeMap<u32, u64>,
}

pub(crate) fn target(data: &[u8]) {
    let data = &data[..data.len().min(4000)];
    let mut random = Random::of(data);
    let slots = [64, 128, 512][random.below(3)];
    let start = [0, u32::MAX - 100, i32::MAX as u32 - 100, 12_345][random.below(4)];
    let mut wheel = Wheel::new(slots, start);
    wheel.grow(IDS);
    // A revolution of 2^32 up front, so that a deadline in the past is not negative.
    let mut pair = Pair { wheel, now: (1 << 32) + u64::from(start), due: BTreeMap::new() };
    while !random.is_over() {
        pair.operate(&mut random, slots);
        pair.compare();
    }
    pair.wheel.check();
    pair.run_out(slots);
}

impl Pair {
    fn operate(&mut self, random: &mut Random, slots: usize) {
        let id = random.below(IDS) as u32;
        match random.below(8) {
            0..=2 => {
                let far = [0, 1, slots as u64 - 1, slots as u64, slots as u64 * 3, i32::MAX as u64];
                let near = random.below(256) as u64;
                let ahead = *far.get(random.below(12)).unwrap_or(&near);
                self.arm(id, self.now + ahead);
            }
            3 => self.arm(id, self.now - random.below(256) as u64),
            4 => {
                let was_armed = self.due.remove(&id).is_some();
                assert_eq!(self.wheel.disarm(id), was_armed);
            }
            5 => self.advance(random.below(4) as u64),
            6 => self.advance(random.below(2000) as u64),
            _ => {
                let back = random.below(9) as u64;
                match self.due.is_empty() {
                    // An empty wheel takes any time; to the model it is a later one.
                    true => self.advance((1 << 32) - back),
                    // Else a clock that steps back is ignored.
                    false => self.wheel.advance((self.now - back) as u32),
                }
            }
        }
        while random.one_in(2) && !random.is_over() {
            if !self.pop() {
                return;
            }
        }
    }

    fn arm(&mut self, id: u32, due: u64) {
        self.wheel.arm(id, due as u32);
        // A deadline in the past expires at the next tick.
        self.due.insert(id, due.max(self.now + 1));
    }

    fn advance(&mut self, ticks: u64) {
        self.now += ticks;
        self.wheel.advance(self.now as u32);
    }

    /// Pops an expired id, if there is one.
    fn pop(&mut self) -> bool {
        let Some(id) = self.wheel.pop() else {
            let lost: Vec<_> = self.due.iter().filter(|(_, due)| **due <= self.now).collect();
            assert!(lost.is_empty(), "{lost:?} are due at {}", self.now);
            return false;
        };
        let due = self.due.remove(&id).expect("an id that is armed");
        assert!(due <= self.now, "{id} expires at {} for {due}", self.now);
        true
    }

    fn compare(&self) {
        assert_eq!(self.wheel.len(), self.due.len());
        assert_eq!(self.wheel.now(), self.now as u32);
        for id in 0..IDS as u32 {
            assert_eq!(self.wheel.due(id), self.due.get(&id).map(|due| *due as u32), "{id}");
        }
        let wake = self.wheel.next_wake().map(|wake| wake.wrapping_sub(self.now as u32));
        match (wake, self.due.values().min()) {
            (None, None) => {}
            (Some(ticks), Some(first)) => {
                assert!(self.now + u64::from(ticks) <= *first.max(&self.now), "too late");
            }
            other => panic!("the wake-up and the first deadline: {other:?}"),
        }
    }

    /// Sleeps from wake-up to wake-up. All deadlines that are near expire, each in its tick.
    fn run_out(&mut self, slots: usize) {
        let end = self.now + 40 * slots as u64;
        while self.pop() {}
        while let Some(wake) = self.wheel.next_wake() {
            let ticks = u64::from(wake.wrapping_sub(self.now as u32));
            assert!(ticks > 0, "a wake-up repeats");
            if self.now + ticks > end {
                break;
            }
            self.advance(ticks);
            while self.pop() {}
            self.compare();
        }
        assert!(self.due.values().all(|due| *due > end.min(self.now)));
        self.wheel.check();
    }
}

#[cfg(test)]
#[test]
fn a_wheel_is_an_ordered_map_of_deadlines() {
    let make = |random: &mut Random| {
        let len = random.below(600);
        (0..len).map(|_| random.next() as u8).collect()
    };
    super::run::check("wheel", 2000, &[], make, target);
}
