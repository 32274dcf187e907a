//! The resources that can be short, for which a connection gives way (`evict.rs`).

use std::fmt;

use crate::reactor::addresses::AddressKey;

/// The resource that is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Memory,
    Slot,
    /// A slot of those that this address may have.
    SlotOf(AddressKey),
}

impl Need {
    /// The address whose connections alone can give way, if it is the share of one.
    pub(super) fn address(self) -> Option<AddressKey> {
        match self {
            Need::SlotOf(address) => Some(address),
            Need::Memory | Need::Slot => None,
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Need::Memory => "memory",
            Need::Slot => "slot",
            Need::SlotOf(_) => "share of the slots",
        })
    }
}
