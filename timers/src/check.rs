//! The invariants of [`Wheel`], asserted one by one, in the words of its documentation.

use crate::node::Node;
use crate::wheel::{is_before, Wheel};

impl Wheel {
    /// Walks every list and every node and asserts the invariants I1 to I7, see [`Wheel`].
    ///
    /// It is for tests and debug builds: it takes time in proportion to slots and ids. It allocates
    /// nothing and ends on any state, also a corrupt one.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold, with its name. A sequence of calls that leads there is a bug
    /// of this crate.
    #[doc(hidden)]
    pub fn check(&self) {
        let armed = self.nodes[self.base()..].iter().filter(|node| node.is_armed()).count();
        assert_eq!(armed, self.len, "I6: len is not the number of armed nodes");

        // Links that agree in both directions cannot bring one node into two lists or twice into
        // one; so when as many nodes are listed as are armed, each armed one is listed exactly
        // once.
        let mut listed = 0;
        let mut earliest = None;
        for list in 0..=self.slots {
            let before = listed;
            let mut at = list;
            loop {
                let next = self.nodes[at as usize].next;
                let Some(node) = self.nodes.get(next as usize) else {
                    panic!("I1: node {at} links to {next}, which does not exist");
                };
                assert_eq!(node.prev, at, "I1: node {next} does not link back to {at}");
                if next == list {
                    break;
                }
                assert!(next > self.slots, "I1: list {list} runs into list {next}");
                listed += 1;
                assert!(listed <= self.len, "I1: more nodes are listed than armed");
                self.check_listed(list, node);
                let later = |due: u32| is_before(node.due, due);
                if earliest.is_none_or(later) {
                    earliest = Some(node.due);
                }
                at = next;
            }
            if list < self.slots {
                assert_eq!(
                    self.occupied.contains(list as usize),
                    listed > before,
                    "I5: wrong bit of slot {list}"
                );
            }
        }
        assert_eq!(listed, self.len, "I1: an armed node is in no list");

        if let Some(nearest) = self.nearest.get() {
            assert_eq!(
                Some(nearest),
                self.scan(),
                "I7: the remembered nearest slot is not the nearest"
            );
        }
        match (self.next_wake(), earliest) {
            (None, None) => {}
            (Some(wake), Some(due)) => {
                let limit = if is_before(due, self.now) { self.now } else { due };
                assert!(
                    !is_before(limit, wake),
                    "I7: wakes at {wake}, but {due} is due and it is {}",
                    self.now
                );
            }
            (wake, due) => panic!("I7: wakes at {wake:?} for {due:?}"),
        }
    }

    /// I2 to I4, for a node found in `list`.
    fn check_listed(&self, list: u32, node: &Node) {
        if list == self.slots {
            assert!(
                !is_before(self.now, node.queued),
                "I3: {node:?} is pending before its tick, {}",
                self.now
            );
        } else {
            let ahead = node.queued.wrapping_sub(self.now);
            assert!(
                0 < ahead && ahead <= self.slots,
                "I2: {node:?} is not within a revolution of {}",
                self.now
            );
            assert_eq!(node.queued & (self.slots - 1), list, "I2: {node:?} is in the wrong slot");
        }
        assert!(!is_before(node.due, node.queued), "I4: {node:?} comes up after it is due");
    }
}
