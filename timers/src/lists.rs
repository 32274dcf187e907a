//! The moves between lists: into a slot, out of any list, and from a slot to `pending`.
//!
//! All lists are circular and share one array with their sentinels, so each move is a fixed number
//! of stores and has no special case for the ends. The invariants that the moves keep are those of
//! [`Wheel`].

use crate::node::Node;
use crate::wheel::{is_before, Wheel};

impl Wheel {
    /// Does [`advance`](Wheel::advance) and returns the number of its steps (words read, lists
    /// spliced), which a test compares with the promised bound.
    pub(crate) fn turn(&mut self, now: u32) -> usize {
        if now == self.now {
            return 0;
        }
        if self.len == 0 {
            // No deadline lies between the two ticks, however far they are apart.
            self.now = now;
            self.nearest.set(None);
            return 0;
        }
        if is_before(now, self.now) {
            return 0;
        }
        if self.nearest.get().is_some_and(|nearest| is_before(now, nearest)) {
            // No slot on the way is occupied.
            self.now = now;
            return 0;
        }
        self.nearest.set(None);
        let first = self.slot(self.now.wrapping_add(1));
        let jump = now.wrapping_sub(self.now).min(self.slots);
        self.now = now;

        // The slots that came up are `jump` neighbours from `first` on, around the end. Word by
        // word:
        let mut steps = 0;
        let (mut at, mut left) = (first, jump as usize);
        while left > 0 {
            let (mut came_up, seen) = self.occupied.take(at, left);
            steps += 1;
            while came_up != 0 {
                self.splice((at & !63) + came_up.trailing_zeros() as usize);
                came_up &= came_up - 1;
                steps += 1;
            }
            at = (at + seen) & (self.slots as usize - 1);
            left -= seen;
        }
        steps
    }

    /// Moves the list of a slot, which must not be empty, to the end of `pending`. The caller
    /// clears the slot's bit.
    fn splice(&mut self, slot: usize) {
        let pending = self.slots as usize;
        let list = self.nodes[slot];
        let last_pending = self.nodes[pending].prev;
        self.nodes[last_pending as usize].next = list.next;
        self.nodes[list.next as usize].prev = last_pending;
        self.nodes[list.prev as usize].next = self.slots;
        self.nodes[pending].prev = list.prev;
        self.nodes[slot] = Node::empty_list(slot as u32);
    }

    /// Does the slow half of [`arm`](Wheel::arm): the node is unarmed, or must come up earlier than
    /// it is queued.
    pub(crate) fn relink(&mut self, at: usize, due: u32) {
        if self.nodes[at].is_armed() {
            self.unlink(at);
        } else {
            self.len += 1;
        }
        self.link(at, due);
    }

    /// Links a node that is in no list. `due` must be after `now`.
    pub(crate) fn link(&mut self, at: usize, due: u32) {
        let ahead = due.wrapping_sub(self.now);
        debug_assert!(0 < ahead && ahead <= i32::MAX as u32);
        // Beyond one revolution: the farthest slot, and again from there when it comes up.
        let queued = self.now.wrapping_add(ahead.min(self.slots));
        let slot = self.slot(queued);
        let last = self.nodes[slot].prev;
        self.nodes[at] = Node { next: slot as u32, prev: last, queued, due };
        self.nodes[last as usize].next = at as u32;
        self.nodes[slot].prev = at as u32;
        self.occupied.set(slot);
        if self.nearest.get().is_some_and(|nearest| is_before(queued, nearest)) {
            self.nearest.set(Some(queued));
        }
    }

    /// Takes an armed node out of whichever list it is in. The caller links or unarms it.
    pub(crate) fn unlink(&mut self, at: usize) {
        let Node { next, prev, queued, .. } = self.nodes[at];
        self.nodes[prev as usize].next = next;
        self.nodes[next as usize].prev = prev;
        // Both neighbours are one and the same only if it is the sentinel: the list is empty now.
        // `pending` has no bit.
        if prev == next && next < self.slots {
            self.occupied.clear(next as usize);
            if self.nearest.get() == Some(queued) {
                self.nearest.set(None);
            }
        }
    }
}
