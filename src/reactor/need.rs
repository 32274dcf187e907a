//! The resources that can be short, for which a connection gives way (`evict.rs`).

use std::fmt;

use crate::reactor::addresses::AddressKey;
use crate::stats::Eviction;

/// The resource that is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Memory,
    Slot,
    /// A slot of those that this address may have.
    SlotOf(AddressKey),
    /// A descriptor, which frees a slot as well.
    Descriptor,
}

impl Need {
    /// The address whose connections alone can give way, if it is the share of one.
    pub(super) fn address(self) -> Option<AddressKey> {
        match self {
            Need::SlotOf(address) => Some(address),
            Need::Memory | Need::Slot | Need::Descriptor => None,
        }
    }

    /// The cause as which it is counted.
    pub(super) fn cause(self) -> Eviction {
        match self {
            Need::Memory => Eviction::Memory,
            Need::Slot => Eviction::Connections,
            Need::SlotOf(_) => Eviction::Address,
            Need::Descriptor => Eviction::Descriptors,
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Need::Memory => "memory",
            Need::Slot => "slot",
            Need::SlotOf(_) => "share of the slots",
            Need::Descriptor => "descriptor",
        })
    }
}
