//! Counts the connections of each client address, so that no address can have all slots.
//!
//! An IPv4 address counts by itself. Of an IPv6 address the first 64 bits count, because a client
//! usually has all addresses that share them (RFC 6177).

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::net::IpAddr;

/// An address in the counts: a hash with a key of this process, so that no client can choose it.
/// Two of 10,000 addresses share one with a probability of 1 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AddressKey(u32);

/// The number of connections of each address.
///
/// A sorted array takes 8 B for each address, and at most twice as many after it has grown. To insert
/// one moves those after it: 160 KB at the worst with 20,000 addresses.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    hasher: RandomState,
    counts: Vec<(AddressKey, u32)>,
}

/// The most bytes for one address.
pub(super) const BYTES_MAX: usize = 2 * mem::size_of::<(AddressKey, u32)>();

impl Addresses {
    pub(super) fn key(&self, ip: IpAddr) -> AddressKey {
        let hash = match ip.to_canonical() {
            IpAddr::V4(ip) => self.hasher.hash_one(ip),
            IpAddr::V6(ip) => self.hasher.hash_one(ip.to_bits() >> 64),
        };
        AddressKey(hash as u32)
    }

    /// Counts a new connection. Returns whether there was memory to count it.
    pub(super) fn enter(&mut self, key: AddressKey) -> bool {
        match self.place(key) {
            Ok(n) => self.counts[n].1 += 1,
            Err(n) => {
                if self.counts.try_reserve(1).is_err() {
                    return false;
                }
                self.counts.insert(n, (key, 1));
            }
        }
        true
    }

    pub(super) fn leave(&mut self, key: AddressKey) {
        let place = self.place(key);
        debug_assert!(place.is_ok(), "a connection leaves that has entered");
        let Ok(n) = place else { return };
        self.counts[n].1 -= 1;
        if self.counts[n].1 == 0 {
            self.counts.remove(n);
        }
    }

    pub(super) fn count(&self, key: AddressKey) -> usize {
        self.place(key).map_or(0, |n| self.counts[n].1 as usize)
    }

    fn place(&self, key: AddressKey) -> Result<usize, usize> {
        self.counts.binary_search_by_key(&key, |&(key, _)| key)
    }

    /// The number of addresses.
    pub(super) fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// The sum of all counts.
    pub(super) fn total(&self) -> usize {
        self.counts.iter().map(|&(_, count)| count as usize).sum()
    }

    pub(super) fn memory(&self) -> usize {
        self.counts.capacity() * mem::size_of::<(AddressKey, u32)>()
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
