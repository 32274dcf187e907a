//! The other promises, one test for each. P5 is in `model.rs`, P6 in `src/tests.rs`, P7 in
//! `allocation.rs`.

mod common;

use common::Random;
use wheelhouse_timers::Wheel;

const SLOTS: u32 = 128;
const IDS: u32 = 300;

fn wheel(start: u32) -> Wheel {
    let mut wheel = Wheel::new(SLOTS as usize, start);
    wheel.grow(IDS as usize);
    wheel
}

/// Arms every id anywhere in four revolutions, some twice, and returns the final deadlines.
fn arm_all(wheel: &mut Wheel, random: &mut Random) -> Vec<u32> {
    let mut due = vec![0; IDS as usize];
    for _ in 0..2 {
        for id in 0..IDS {
            due[id as usize] = wheel.now().wrapping_add(1 + random.below(4 * SLOTS));
            wheel.arm(id, due[id as usize]);
        }
    }
    due
}

fn has_passed(due: u32, now: u32) -> bool {
    now.wrapping_sub(due) as i32 >= 0
}

#[test]
fn p1_no_timer_expires_early() {
    let mut random = Random::new();
    let mut wheel = wheel(u32::MAX - 2 * SLOTS);
    let due = arm_all(&mut wheel, &mut random);
    while !wheel.is_empty() {
        wheel.advance(wheel.now().wrapping_add(random.below(5)));
        while let Some(id) = wheel.pop() {
            assert!(has_passed(due[id as usize], wheel.now()));
        }
    }
}

#[test]
fn p2_after_advance_and_drain_no_deadline_in_the_past_remains() {
    let mut random = Random::new();
    let mut wheel = wheel(u32::MAX - 2 * SLOTS);
    let due = arm_all(&mut wheel, &mut random);
    while !wheel.is_empty() {
        wheel.advance(wheel.now().wrapping_add(random.one_of(&[0, 1, 7, SLOTS, 2 * SLOTS])));
        while wheel.pop().is_some() {}
        for (id, &due) in due.iter().enumerate() {
            assert_eq!(wheel.due(id as u32).is_none(), has_passed(due, wheel.now()));
        }
    }
}

#[test]
fn p3_each_arming_expires_at_most_once() {
    let mut random = Random::new();
    let mut wheel = wheel(9);
    let mut expired = vec![0; IDS as usize];
    arm_all(&mut wheel, &mut random);
    for _ in 0..10 * SLOTS {
        wheel.advance(wheel.now() + 1);
        while let Some(id) = wheel.pop() {
            expired[id as usize] += 1;
        }
    }
    assert!(expired.iter().all(|&times| times == 1));
}

#[test]
fn p4_the_last_of_two_arms_counts() {
    let mut random = Random::new();
    for _ in 0..2_000 {
        let (mut once, mut twice) = (wheel(1_000), wheel(1_000));
        let (first, last) = (1_001 + random.below(3 * SLOTS), 1_001 + random.below(3 * SLOTS));
        twice.arm(0, first);
        twice.arm(0, last);
        once.arm(0, last);
        assert_eq!(once.due(0), twice.due(0));
        for now in [last - 1, last] {
            once.advance(now);
            twice.advance(now);
            assert_eq!(once.pop(), twice.pop(), "arm at {first}, then at {last}, at {now}");
        }
        assert!(once.is_empty() && twice.is_empty());
    }
}

#[test]
fn p8_a_reused_id_does_not_keep_its_former_deadline() {
    let mut random = Random::new();
    for _ in 0..2_000 {
        let mut wheel = wheel(0);
        let (old, new) = (1 + random.below(2 * SLOTS), 1 + random.below(2 * SLOTS));
        wheel.arm(5, old);
        wheel.advance(random.below(old)); // may be queued again meanwhile
        assert_eq!(wheel.pop(), None);
        assert!(wheel.disarm(5));
        let due = wheel.now() + new;
        wheel.arm(5, due);
        wheel.advance(due - 1);
        assert_eq!(wheel.pop(), None);
        wheel.advance(due);
        assert_eq!(wheel.pop(), Some(5));
        assert!(wheel.is_empty());
        wheel.check();
    }
}

#[test]
fn a_timer_that_is_always_postponed_moves_on_the_wheel_once_in_a_timeout() {
    // A request each tick for a hundred thousand ticks and a timeout of a hundred ticks: the case
    // for lazy moves.
    let mut wheel = wheel(0);
    let mut wakes = 0;
    for now in 0..100_000 {
        wheel.arm(0, now + 100);
        if wheel.next_wake() == Some(now + 1) {
            wakes += 1;
        }
        wheel.advance(now + 1);
        assert_eq!(wheel.pop(), None);
    }
    assert!(wakes <= 1_011, "{wakes} wake-ups"); // each time the timer is queued 99 ticks ahead
}
