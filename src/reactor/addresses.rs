//! Counts the connections of each client address, so that no address can have all slots.
//!
//! An IPv4 address counts by itself. Of an IPv6 address the first 64 bits count, because a client
//! usually has all addresses that share them (RFC 6177).

use std::collections::hash_map::RandomState;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::mem;
use std::net::IpAddr;
use std::num::NonZeroU32;

/// Bytes of an entry: key, count, and the control byte of the map.
const ENTRY: usize = mem::size_of::<(AddressKey, u32)>() + 1;
/// The most bytes for one address, when the map has just doubled.
pub(super) const BYTES_MAX: usize = 2 * ENTRY * 8 / 7 + 1;

/// An address in the counts: a hash with a key of this process, so that no client can choose it.
/// Two of 10,000 addresses share one with a probability of 1 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AddressKey(NonZeroU32);

/// The number of connections of each address.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    hasher: RandomState,
    counts: HashMap<AddressKey, u32>,
}

impl Addresses {
    pub(super) fn key(&self, ip: IpAddr) -> AddressKey {
        let hash = match ip.to_canonical() {
            IpAddr::V4(ip) => self.hasher.hash_one(ip),
            IpAddr::V6(ip) => self.hasher.hash_one(ip.to_bits() >> 64),
        };
        AddressKey(NonZeroU32::new(hash as u32).unwrap_or(NonZeroU32::MIN))
    }

    /// Counts a new connection. Returns whether there was memory to count it.
    pub(super) fn enter(&mut self, key: AddressKey) -> bool {
        if self.counts.try_reserve(1).is_err() {
            return false;
        }
        *self.counts.entry(key).or_insert(0) += 1;
        true
    }

    pub(super) fn leave(&mut self, key: AddressKey) {
        let count = self.counts.get_mut(&key);
        debug_assert!(count.is_some(), "a connection leaves that has entered");
        match count {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.counts.remove(&key)),
        }
    }

    pub(super) fn count(&self, key: AddressKey) -> usize {
        self.counts.get(&key).map_or(0, |&count| count as usize)
    }

    /// The number of addresses.
    pub(super) fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// The sum of all counts.
    pub(super) fn total(&self) -> usize {
        self.counts.values().map(|&count| count as usize).sum()
    }

    pub(super) fn memory(&self) -> usize {
        // The map keeps one place in eight free.
        self.counts.capacity().div_ceil(7) * 8 * ENTRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(addresses: &Addresses, ip: &str) -> AddressKey {
        addresses.key(ip.parse().unwrap())
    }

    #[test]
    fn an_ipv6_network_of_64_bits_counts_as_one_address_and_an_ipv4_client_as_itself() {
        let addresses = Addresses::default();
        let key = |ip| key_of(&addresses, ip);
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:0:9"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("192.0.2.7"), key("::ffff:192.0.2.7"));
        assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
    }

    #[test]
    fn a_count_goes_with_its_last_connection() {
        let mut addresses = Addresses::default();
        let (one, other) = (key_of(&addresses, "192.0.2.7"), key_of(&addresses, "192.0.2.8"));
        assert!(addresses.enter(one) && addresses.enter(one) && addresses.enter(other));
        assert_eq!((addresses.count(one), addresses.count(other)), (2, 1));
        addresses.leave(one);
        addresses.leave(other);
        assert_eq!((addresses.count(one), addresses.count(other)), (1, 0));
        assert_eq!((addresses.counts.len(), addresses.total()), (1, 1));
    }
}
