//! The entry of the wheel for one id: 16 bytes, four to a cache line.

/// The place and deadline of an id. Also the sentinel of a list, of which only the links have a
/// meaning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// The next node of the circular list, or `UNARMED`: then the node is in no list and the other
    /// fields have no meaning.
    pub(crate) next: u32,
    pub(crate) prev: u32,
    /// The tick whose slot the node was put in. Unlike `due` it changes only when the node moves.
    pub(crate) queued: u32,
    pub(crate) due: u32,
}

impl Node {
    pub(crate) const UNARMED: Node = Node { next: UNARMED, prev: UNARMED, queued: 0, due: 0 };

    /// Creates the sentinel at index `at`, with an empty list.
    pub(crate) fn empty_list(at: u32) -> Node {
        Node { next: at, prev: at, queued: 0, due: 0 }
    }

    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        self.next != UNARMED
    }
}

/// No node has this index: there are at most 2^31 ids and 65,537 sentinels.
pub(crate) const UNARMED: u32 = u32::MAX;

// The size is promised to callers that count bytes for each connection.
const _: () = assert!(core::mem::size_of::<Node>() == 16);
const _: () = assert!(crate::Wheel::IDS_MAX + crate::Wheel::SLOTS_MAX < UNARMED as usize);
