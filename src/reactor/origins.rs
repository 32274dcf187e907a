//! Where connections come from: the names of the listeners, and the addresses of the clients as
//! `accept` returned them.
//!
//! The system forgets the address of a client that resets its connection, even if its request is
//! still to be read. So the address is kept, beside the slots: no request touches it unless its
//! handler asks for it.

use std::mem;
use std::net::{Ipv6Addr, SocketAddr};

use crate::message::request::ListenerNames;

/// The origins of the connections of one loop.
pub(super) struct Origins {
    pub(super) listeners: ListenerNames,
    /// One for each slot that has been used, by its key. That of a free slot means nothing.
    peers: Vec<Peer>,
}

/// The address of a client, in 18 bytes. One on a Unix socket has the unspecified address, which no
/// client of TCP has.
#[derive(Clone, Copy)]
struct Peer {
    /// That of an IPv4 client is mapped (RFC 4291, section 2.5.5.2).
    ip: Ipv6Addr,
    port: u16,
}

impl Peer {
    const NONE: Peer = Peer { ip: Ipv6Addr::UNSPECIFIED, port: 0 };

    fn of(addr: SocketAddr) -> Peer {
        let ip = match addr {
            SocketAddr::V4(addr) => addr.ip().to_ipv6_mapped(),
            SocketAddr::V6(addr) => *addr.ip(),
        };
        Peer { ip, port: addr.port() }
    }

    fn addr(self) -> Option<SocketAddr> {
        (!self.ip.is_unspecified()).then(|| SocketAddr::new(self.ip.to_canonical(), self.port))
    }
}

impl Origins {
    /// The bytes for the address of each slot.
    pub(super) const PEER: usize = mem::size_of::<Peer>();

    pub(super) fn new(listeners: ListenerNames) -> Origins {
        Origins { listeners, peers: Vec::new() }
    }

    /// Makes room for the slots with the keys `0..slots`. Nothing is written there: the pages of unused
    /// room take no memory.
    pub(super) fn try_grow_exact(&mut self, slots: usize) -> bool {
        self.peers.try_reserve_exact(slots.saturating_sub(self.peers.len())).is_ok()
    }

    /// Gives all room back. There must be no connection.
    pub(super) fn clear(&mut self) {
        self.peers = Vec::new();
    }

    /// Bytes on the heap that grow with the slots.
    pub(super) fn memory(&self) -> usize {
        self.peers.capacity() * Origins::PEER
    }

    /// Keeps the address of the client whose connection gets the slot `key`.
    pub(super) fn set_peer(&mut self, key: usize, addr: Option<SocketAddr>) {
        if key >= self.peers.len() {
            self.peers.resize(key + 1, Peer::NONE);
        }
        self.peers[key] = addr.map_or(Peer::NONE, Peer::of);
    }

    /// The address of the client of the connection in the slot `key`; `None` on a Unix socket.
    pub(super) fn peer(&self, key: usize) -> Option<SocketAddr> {
        self.peers.get(key).copied().and_then(Peer::addr)
    }
}

/// Returns an address in its own family: a listener for both families reports a client of IPv4 as
/// `::ffff:192.0.2.1`.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_18_bytes_and_comes_back_in_its_own_family() {
        assert_eq!(Origins::PEER, 18);
        let mut origins = Origins::new(ListenerNames(Vec::new()));
        assert!(origins.try_grow_exact(2));
        for (given, kept) in [
            ("192.0.2.7:80", "192.0.2.7:80"),
            ("[::ffff:192.0.2.7]:65535", "192.0.2.7:65535"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1"),
            ("[::1]:0", "[::1]:0"),
            ("0.0.0.0:7", "0.0.0.0:7"),
        ] {
            origins.set_peer(1, Some(given.parse().unwrap()));
            assert_eq!(origins.peer(1), Some(kept.parse().unwrap()));
            assert_eq!(canonical(given.parse().unwrap()), kept.parse().unwrap());
        }
        origins.set_peer(1, None);
        assert_eq!((origins.peer(0), origins.peer(1), origins.peer(2)), (None, None, None));
    }
}
