//! Edge cases one by one, and checks of private parts. Random operations are in `tests/model.rs`.

use crate::Wheel;
use std::format;
use std::vec;
use std::vec::Vec;

fn wheel(slots: usize, now: u32, ids: usize) -> Wheel {
    let mut wheel = Wheel::new(slots, now);
    wheel.grow(ids);
    wheel
}

fn drain(wheel: &mut Wheel) -> Vec<u32> {
    let mut popped: Vec<u32> = core::iter::from_fn(|| wheel.pop()).collect();
    popped.sort_unstable();
    wheel.check();
    popped
}

#[test]
fn an_empty_wheel_sleeps_for_ever() {
    let mut wheel = wheel(64, 7, 10);
    assert_eq!(wheel.next_wake(), None);
    wheel.arm(3, 9);
    assert!(wheel.disarm(3));
    assert_eq!(wheel.next_wake(), None);
    wheel.advance(1_000);
    assert_eq!(wheel.pop(), None);
    assert_eq!(wheel.next_wake(), None);
    assert!(wheel.is_empty());
    wheel.check();
}

#[test]
fn a_deadline_in_the_past_expires_at_the_next_tick() {
    for due in [0, 99, 100, 100_u32.wrapping_sub(1_000_000)] {
        let mut wheel = wheel(64, 100, 1);
        wheel.arm(0, due);
        assert_eq!(wheel.due(0), Some(101));
        wheel.advance(100);
        assert_eq!(wheel.pop(), None, "it does not expire in this tick");
        assert_eq!(wheel.next_wake(), Some(101));
        wheel.advance(101);
        assert_eq!(wheel.pop(), Some(0));
    }
}

#[test]
fn a_deadline_beyond_the_range_counts_as_past() {
    let mut wheel = wheel(64, 100, 2);
    wheel.arm(0, 100 + i32::MAX as u32);
    wheel.arm(1, 101 + i32::MAX as u32);
    assert_eq!(wheel.due(0), Some(100 + i32::MAX as u32));
    assert_eq!(wheel.due(1), Some(101));
    wheel.check();
}

#[test]
fn an_id_can_be_used_again_after_disarm() {
    let mut wheel = wheel(64, 0, 1);
    wheel.arm(0, 5);
    assert!(wheel.disarm(0));
    wheel.arm(0, 8);
    wheel.advance(5);
    assert_eq!(drain(&mut wheel), vec![]);
    wheel.advance(8);
    assert_eq!(drain(&mut wheel), vec![0]);
    assert!(!wheel.disarm(0), "a popped id is disarmed");
}

#[test]
fn ids_can_be_armed_and_disarmed_between_pops() {
    let mut wheel = wheel(64, 0, 5);
    for id in 0..4 {
        wheel.arm(id, 10);
    }
    wheel.advance(10);
    assert_eq!(wheel.pop(), Some(0));
    wheel.arm(1, 12); // waits in pending, is postponed
    assert!(wheel.disarm(2)); // waits in pending, is taken out
    wheel.arm(4, 12); // was not armed
    wheel.check();
    assert_eq!(wheel.next_wake(), Some(10), "pending is not empty");
    assert_eq!(drain(&mut wheel), vec![3]);
    wheel.advance(12);
    assert_eq!(drain(&mut wheel), vec![1, 4]);
}

#[test]
fn the_popped_id_can_be_armed_at_once() {
    let mut wheel = wheel(64, 0, 1);
    wheel.arm(0, 1);
    for now in 1..200 {
        wheel.advance(now);
        assert_eq!(wheel.pop(), Some(0));
        wheel.arm(0, now); // moved to the next tick, so this loop ends
        assert_eq!(wheel.pop(), None);
    }
}

#[test]
fn a_forward_jump_of_any_size_expires_exactly_the_due_timers() {
    for jump in [1, 63, 64, 65, 640, 1_000_003, i32::MAX as u32] {
        for start in [0, u32::MAX - 70, i32::MAX as u32 - 5] {
            let mut wheel = wheel(64, start, 200);
            for id in 0..200 {
                wheel.arm(id, start.wrapping_add(1 + id * 7));
            }
            wheel.advance(start.wrapping_add(jump));
            let due = (0..200).filter(|id| id * 7 < jump).collect::<Vec<u32>>();
            assert_eq!(drain(&mut wheel), due, "jump {jump} from {start}");
        }
    }
}

#[test]
fn a_clock_that_steps_back_is_ignored() {
    let mut wheel = wheel(64, 50, 1);
    wheel.arm(0, 60);
    wheel.advance(40);
    assert_eq!(wheel.now(), 50);
    wheel.advance(50);
    assert_eq!(wheel.next_wake(), Some(60));
    wheel.check();
}

/// A server without connections may sleep for years.
#[test]
fn an_empty_wheel_takes_any_time() {
    for jump in [1, 100, i32::MAX as u32, 1 << 31, (1 << 31) + 1, u32::MAX - 5] {
        let mut wheel = wheel(64, 50, 1);
        wheel.arm(0, 55);
        assert!(wheel.disarm(0));
        let now = 50_u32.wrapping_add(jump);
        wheel.advance(now);
        wheel.arm(0, now.wrapping_add(3));
        wheel.advance(now.wrapping_add(2));
        assert_eq!((wheel.pop(), wheel.next_wake()), (None, Some(now.wrapping_add(3))));
        wheel.advance(now.wrapping_add(3));
        assert_eq!(wheel.pop(), Some(0), "after a jump of {jump}");
        wheel.check();
    }
}

#[test]
fn a_later_deadline_does_not_change_a_link() {
    let mut wheel = wheel(64, 0, 3);
    for id in 0..3 {
        wheel.arm(id, 10);
    }
    let links =
        |wheel: &Wheel| wheel.nodes.iter().map(|n| (n.next, n.prev, n.queued)).collect::<Vec<_>>();
    let before = links(&wheel);
    for due in [10, 11, 74, 75, 100_000, 11, 10] {
        wheel.arm(1, due);
        assert_eq!(links(&wheel), before);
        assert_eq!(wheel.due(1), Some(due));
    }
}

#[test]
fn an_earlier_deadline_moves_the_node_and_clears_the_bit_of_its_former_slot() {
    let mut wheel = wheel(64, 0, 1);
    wheel.arm(0, 40);
    wheel.arm(0, 20);
    assert_eq!(wheel.next_wake(), Some(20));
    wheel.disarm(0);
    assert_eq!(wheel.next_wake(), None);
    assert!((0..64).all(|slot| !wheel.occupied.contains(slot)));
}

#[test]
fn a_far_deadline_wakes_once_in_a_revolution() {
    let mut wheel = wheel(64, 0, 1);
    wheel.arm(0, 64 * 5 + 1);
    let mut wakes = vec![];
    while let Some(wake) = wheel.next_wake() {
        wakes.push(wake);
        wheel.advance(wake);
        if wheel.pop().is_some() {
            break;
        }
    }
    assert_eq!(wakes, [64, 128, 192, 256, 320, 321]);
}

/// P6. `turn` is `advance` and counts its steps.
#[test]
fn p6_advance_takes_at_most_one_step_for_each_slot_of_the_jump_and_each_list() {
    for slots in [64, 512, 2048_u32] {
        for armed in [0, 1, 10, 5_000] {
            for jump in [1, 2, 63, 64, 65, slots - 1, slots, slots + 1, 10 * slots, i32::MAX as u32]
            {
                let mut wheel = wheel(slots as usize, 17, 5_000);
                for id in 0..armed {
                    wheel.arm(id, 18 + id * 31);
                }
                let lists = |wheel: &Wheel| {
                    (0..slots as usize).filter(|&slot| wheel.occupied.contains(slot)).count()
                };
                let before = lists(&wheel);
                let steps = wheel.turn(17 + jump);
                assert!(
                    steps <= jump.min(slots) as usize + before,
                    "{steps} steps for a jump of {jump} over {before} lists"
                );
                let moved = before - lists(&wheel);
                assert!(steps > moved || (steps, moved) == (0, 0), "{steps} count {moved} lists");
                assert_eq!(wheel.turn(17 + jump), 0);
            }
        }
    }
}

#[test]
fn next_wake_finds_the_only_bit_from_any_slot() {
    for slots in [64, 128, 1024] {
        for now in 0..slots {
            for ahead in [1, 2, 63, 64, 65, slots - 1, slots] {
                let mut wheel = wheel(slots as usize, now, 1);
                wheel.arm(0, now + ahead.min(slots));
                assert_eq!(wheel.next_wake(), Some(now + ahead.min(slots)));
            }
        }
    }
}

#[test]
fn growing_keeps_deadlines_and_memory_returns_its_cost() {
    let mut wheel = wheel(64, 0, 1);
    wheel.arm(0, 5);
    wheel.grow(100_000);
    wheel.arm(99_999, 5);
    wheel.grow(3);
    assert_eq!(wheel.capacity(), 100_000);
    assert_eq!(wheel.memory(), (65 + 100_000) * 16 + 8);
    wheel.advance(5);
    assert_eq!(drain(&mut wheel), vec![0, 99_999]);
}

#[test]
fn exact_growth_takes_16_bytes_for_each_id_and_keeps_deadlines() {
    let mut wheel = Wheel::new(64, 0);
    for ids in [1, 100, 150, 151, 151, 3] {
        wheel.try_grow_exact(ids).unwrap();
        assert_eq!(wheel.memory(), (65 + wheel.capacity()) * 16 + 8);
        wheel.arm(0, 5);
    }
    assert_eq!((wheel.capacity(), wheel.due(0), wheel.len()), (151, Some(5), 1));
}

#[test]
fn a_wheel_shows_its_state_in_one_line() {
    let mut wheel = wheel(64, 3, 2);
    wheel.arm(1, 9);
    let line = "Wheel { slots: 64, now: 3, len: 1, capacity: 2, next_wake: Some(9) }";
    assert_eq!(format!("{wheel:?}"), line);
}

#[test]
fn an_id_beyond_the_capacity_has_no_deadline() {
    let mut wheel = wheel(64, 0, 2);
    for id in [2, u32::MAX] {
        assert_eq!(wheel.due(id), None);
        assert!(!wheel.disarm(id));
    }
}

#[test]
#[should_panic(expected = "timer id 2 is not below the wheel's capacity of 2")]
fn arming_an_id_beyond_the_capacity_panics() {
    wheel(64, 0, 2).arm(2, 5);
}

#[test]
#[should_panic(expected = "a wheel has a power of two from 64 to 65536 slots, not 100")]
fn an_odd_number_of_slots_panics() {
    let _wheel = Wheel::new(100, 0);
}

#[test]
#[should_panic(expected = "slots, not 32")]
fn too_few_slots_panic() {
    let _wheel = Wheel::new(32, 0);
}

#[test]
#[should_panic(expected = "slots, not 131072")]
fn too_many_slots_panic() {
    let _wheel = Wheel::new(131_072, 0);
}

/// A check that cannot fail proves nothing, so each invariant is broken on purpose and must be
/// named.
#[test]
fn check_names_the_broken_invariant() {
    let broken = |invariant: &str, by: fn(&mut Wheel)| {
        let mut wheel = wheel(64, 0, 3);
        wheel.arm(0, 10);
        wheel.arm(1, 10);
        wheel.check();
        by(&mut wheel);
        let outcome = std::panic::catch_unwind(move || wheel.check());
        let panic = outcome.expect_err("check found nothing");
        let message = panic.downcast_ref::<std::string::String>().expect("a message");
        assert!(message.contains(invariant), "expected {invariant}, found {message}");
    };
    // The slots 0 to 63, `pending` at 64, then the ids: 0 is at 65 and 1 at 66, both in slot 10.
    broken("I1:", |wheel| wheel.nodes[66].prev = 3);
    broken("I1:", |wheel| wheel.nodes[65].next = 65);
    broken("I1:", |wheel| wheel.nodes[66].next = 1_000);
    broken("I2:", |wheel| wheel.nodes[65].queued = 11);
    broken("I2:", |wheel| wheel.nodes[65].queued = 10 + 64);
    broken("I3:", |wheel| {
        wheel.advance(10);
        wheel.now = 9;
    });
    broken("I4:", |wheel| wheel.nodes[66].due = 9);
    broken("I5:", |wheel| wheel.occupied.set(11));
    broken("I5:", |wheel| wheel.occupied.clear(10));
    broken("I6:", |wheel| wheel.len = 3);
}
