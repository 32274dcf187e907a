//! [`Mixed`]: bytes mixed into one number, for entity tags.

/// Bytes mixed into one number (FNV-1a), so that a tag does not reveal the number of an inode.
pub(super) struct Mixed(pub(super) u64);

impl Mixed {
    pub(super) fn new() -> Mixed {
        Mixed(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
