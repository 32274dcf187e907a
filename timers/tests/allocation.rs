//! P7: only `new` and `grow` allocate. This test has a file of its own because it replaces the
//! allocator.
//!
//! `GlobalAlloc` is an unsafe trait, so this is the only `unsafe` of the package, and it is not
//! shipped.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use wheelhouse_timers::Wheel;

struct Counting;

thread_local! {
    /// One count for each thread, since the test harness allocates, too.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches only a
// thread-local that needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        System.dealloc(block, layout);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        System.realloc(block, layout, size)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of calls of the allocator while `work` runs.
fn calls(work: impl FnOnce()) -> usize {
    let before = CALLS.with(Cell::get);
    work();
    CALLS.with(Cell::get) - before
}

#[test]
fn p7_only_new_and_grow_allocate() {
    const IDS: u32 = 10_000;
    let mut wheel = Wheel::new(256, u32::MAX - 1_000);
    assert_eq!(calls(|| wheel.grow(IDS as usize)), 1);
    assert_eq!(calls(|| wheel.grow(5)), 0);

    let mut popped = 0;
    let work = || {
        for round in 0..20 {
            for id in 0..IDS {
                wheel.arm(id, wheel.now().wrapping_add(id % 700 * (round % 3)));
            }
            for id in (0..IDS).step_by(3) {
                wheel.disarm(id);
            }
            let _ = (wheel.next_wake(), wheel.due(1), wheel.len(), wheel.memory());
            wheel.advance(wheel.now().wrapping_add(300));
            while wheel.pop().is_some() {
                popped += 1;
            }
            wheel.check();
        }
    };
    assert_eq!(calls(work), 0);
    assert!(popped > 10_000, "the test popped too few timers: {popped}");
}

#[test]
fn growing_one_by_one_allocates_a_logarithmic_number_of_times() {
    let mut wheel = Wheel::new(64, 0);
    let one_by_one = calls(|| (1..=100_000).for_each(|ids| wheel.grow(ids)));
    assert!(one_by_one <= 12, "{one_by_one} calls");
}
