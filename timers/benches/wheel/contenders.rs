//! The structures that are compared, each used in the way that suits it, with one trait in common.

use hierarchical_hash_wheel_timer::wheels::cancellable::{
    CancellableTimerEntry, QuadWheelWithOverflow,
};
use hierarchical_hash_wheel_timer::wheels::Skip;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;
use wheelhouse_timers::Wheel;

/// Deadlines for dense ids, in ticks that do not wrap here.
pub(crate) trait Timers {
    const NAME: &'static str;

    fn new() -> Self;
    /// Arms an id that is not armed.
    fn arm(&mut self, id: u32, due: u32);
    /// Moves the deadline of an armed id.
    fn rearm(&mut self, id: u32, due: u32);
    fn cancel(&mut self, id: u32);
    /// Turns the clock to `now`, which is one tick ahead, and returns the number of expired timers.
    fn turn(&mut self, now: u32) -> usize;
}

impl Timers for Wheel {
    const NAME: &'static str = "wheelhouse-timers";

    fn new() -> Wheel {
        Wheel::new(2048, 0)
    }

    #[inline]
    fn arm(&mut self, id: u32, due: u32) {
        if id as usize >= self.capacity() {
            self.grow(id as usize + 1);
        }
        Wheel::arm(self, id, due);
    }

    #[inline]
    fn rearm(&mut self, id: u32, due: u32) {
        Wheel::arm(self, id, due);
    }

    fn cancel(&mut self, id: u32) {
        assert!(self.disarm(id));
    }

    fn turn(&mut self, now: u32) -> usize {
        self.advance(now);
        std::iter::from_fn(|| self.pop()).count()
    }
}

/// An ordered set of `(due, id)`, with the deadlines by id, which are needed to find an entry
/// again.
pub(crate) struct Ordered {
    set: BTreeSet<(u32, u32)>,
    due: Vec<u32>,
}

impl Timers for Ordered {
    const NAME: &'static str = "BTreeSet<(due, id)>";

    fn new() -> Ordered {
        Ordered { set: BTreeSet::new(), due: Vec::new() }
    }

    fn arm(&mut self, id: u32, due: u32) {
        remember(&mut self.due, id, due);
        self.set.insert((due, id));
    }

    fn rearm(&mut self, id: u32, due: u32) {
        self.cancel(id);
        self.arm(id, due);
    }

    fn cancel(&mut self, id: u32) {
        assert!(self.set.remove(&(self.due[id as usize], id)));
    }

    fn turn(&mut self, now: u32) -> usize {
        let mut expired = 0;
        while self.set.first().is_some_and(|&(due, _)| due <= now) {
            self.set.pop_first();
            expired += 1;
        }
        expired
    }
}

/// A heap of `(due, id)`; an entry that is no longer the deadline of its id is dropped when it
/// reaches the top.
pub(crate) struct Heap {
    heap: BinaryHeap<Reverse<(u32, u32)>>,
    due: Vec<u32>,
}

impl Timers for Heap {
    const NAME: &'static str = "BinaryHeap, lazy deletion";

    fn new() -> Heap {
        Heap { heap: BinaryHeap::new(), due: Vec::new() }
    }

    fn arm(&mut self, id: u32, due: u32) {
        remember(&mut self.due, id, due);
        self.heap.push(Reverse((due, id)));
    }

    fn rearm(&mut self, id: u32, due: u32) {
        self.arm(id, due);
    }

    fn cancel(&mut self, id: u32) {
        self.due[id as usize] = 0;
    }

    fn turn(&mut self, now: u32) -> usize {
        let mut expired = 0;
        while let Some(&Reverse((due, id))) = self.heap.peek() {
            if due > now {
                break;
            }
            self.heap.pop();
            if self.due[id as usize] == due {
                self.due[id as usize] = 0;
                expired += 1;
            }
        }
        expired
    }
}

/// `hierarchical_hash_wheel_timer`, four wheels of 256 and a hash map to cancel with. Its unit of
/// one millisecond stands for one tick.
pub(crate) struct Hierarchical {
    wheel: QuadWheelWithOverflow<Entry>,
    now: u32,
}

#[derive(Debug)]
struct Entry(u32);

impl CancellableTimerEntry for Entry {
    type Id = u32;

    fn id(&self) -> &u32 {
        &self.0
    }
}

impl Timers for Hierarchical {
    const NAME: &'static str = "hierarchical_hash_wheel_timer";

    fn new() -> Hierarchical {
        Hierarchical { wheel: QuadWheelWithOverflow::new(), now: 0 }
    }

    fn arm(&mut self, id: u32, due: u32) {
        let delay = Duration::from_millis(u64::from(due - self.now));
        assert!(self.wheel.insert_ref_with_delay(Rc::new(Entry(id)), delay).is_ok());
    }

    fn rearm(&mut self, id: u32, due: u32) {
        self.cancel(id);
        self.arm(id, due);
    }

    fn cancel(&mut self, id: u32) {
        assert!(self.wheel.cancel(&id).is_ok());
    }

    fn turn(&mut self, now: u32) -> usize {
        self.now = now;
        match self.wheel.can_skip() {
            Skip::Empty | Skip::Millis(_) => {
                self.wheel.skip(1);
                0
            }
            Skip::None => self.wheel.tick().len(),
        }
    }
}

/// Stores the deadline of an id that may be new.
fn remember(all: &mut Vec<u32>, id: u32, due: u32) {
    if id as usize >= all.len() {
        all.resize(id as usize + 1, 0);
    }
    all[id as usize] = due;
}
