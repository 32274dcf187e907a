//! Opens TCP listeners: on every address of a name, and on the same port of all of them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::failed;
use crate::error::Error;
use crate::logging::warn;
use crate::reactor::mio_kernel;

/// The system takes the smaller one of this and its own limit (`somaxconn`).
pub(super) const BACKLOG: i32 = 65_535;

/// The number of ports that are tried for a name with several addresses and port 0. Another process
/// may have taken the port of the first address on the second one.
const PORTS_TRIED: usize = 16;

/// Opens a listener for each address that `address` stands for.
pub(super) fn open(address: &str, is_shared: bool) -> Result<Vec<mio_kernel::Listener>, Error> {
    let malformed = || Error::Address { address: address.to_owned() };
    let (host, port) = split(address).ok_or_else(malformed)?;
    if host.is_empty() {
        return Ok(vec![open_everywhere(port, is_shared).map_err(failed(address))?]);
    }
    let mut found: Vec<SocketAddr> = Vec::new();
    for one in (host, port).to_socket_addrs().map_err(|_| malformed())? {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    if found.is_empty() {
        return Err(malformed());
    }
    open_all(&found, is_shared).map_err(failed(address))
}

/// Splits `HOST:PORT`, and takes the brackets of an address of IPv6 away. The host may be empty.
fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(inner) => inner.contains(':').then_some((inner, port)),
        None => Some((host, port)),
    }
}

/// Listens on every address of the machine. A machine without IPv6 has only those of IPv4.
fn open_everywhere(port: u16, is_shared: bool) -> io::Result<mio_kernel::Listener> {
    let of_both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match open_one(of_both, is_shared, Some(false)) {
        Err(error) if is_missing(&error) => {
            open_one(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), is_shared, None)
        }
        result => result,
    }
}

/// Listens on all `addresses`, which have the same port.
fn open_all(addresses: &[SocketAddr], is_shared: bool) -> io::Result<Vec<mio_kernel::Listener>> {
    let is_chosen_by_system = addresses[0].port() == 0 && addresses.len() > 1;
    let mut tries_left = if is_chosen_by_system { PORTS_TRIED } else { 1 };
    loop {
        tries_left -= 1;
        match open_on_one_port(addresses, is_shared) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries_left > 0 => {}
            result => return result,
        }
    }
}

fn open_on_one_port(
    addresses: &[SocketAddr],
    is_shared: bool,
) -> io::Result<Vec<mio_kernel::Listener>> {
    let mut port = addresses[0].port();
    let (mut opened, mut missing) = (Vec::new(), None);
    for address in addresses {
        let mut address = *address;
        address.set_port(port);
        match open_one(address, is_shared, None) {
            Ok(listener) => {
                if let mio_kernel::Listener::Tcp(tcp) = &listener {
                    port = tcp.local_addr()?.port();
                }
                opened.push(listener);
            }
            Err(error) if is_missing(&error) => missing = Some((address, error)),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some((_, error)) if opened.is_empty() => Err(error),
        Some((address, error)) => {
            warn!("an address of the host is left out, {address}: {error}");
            Ok(opened)
        }
        None => Ok(opened),
    }
}

/// Whether the error says that this machine does not have the address, or its family.
fn is_missing(error: &io::Error) -> bool {
    let number = Errno::from_io_error(error);
    matches!(number, Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT))
}

fn open_one(
    address: SocketAddr,
    is_shared: bool,
    is_only_v6: Option<bool>,
) -> io::Result<mio_kernel::Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    if let Some(is_only_v6) = is_only_v6 {
        socket.set_only_v6(is_only_v6)?;
    }
    socket.set_nonblocking(true)?;
    set_options(&SockRef::from(&socket));
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(mio_kernel::Listener::Tcp(mio::net::TcpListener::from_std(socket.into())))
}

/// Takes a listener that was opened elsewhere.
pub(super) fn adopt(listener: TcpListener) -> io::Result<mio_kernel::Listener> {
    check_listens(&SockRef::from(&listener))?;
    listener.set_nonblocking(true)?;
    set_options(&SockRef::from(&listener));
    Ok(mio_kernel::Listener::Tcp(mio::net::TcpListener::from_std(listener)))
}

/// Refuses a connection in place of a listener: every `accept` on it would fail.
pub(super) fn check_listens(socket: &SockRef<'_>) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if !socket.is_listener()? {
        let problem = "the socket does not listen: if systemd hands it over, set Accept=no";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let _ = socket;
    Ok(())
}

/// Sets the options that accepted sockets inherit on Linux. A missing option is not an error.
fn set_options(socket: &SockRef<'_>) {
    const KEEP_ALIVE: Duration = Duration::from_secs(15);
    /// Bytes that the kernel takes beyond those on their way: bounds the memory of a slow reader.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const NOT_SENT_LOWAT: u32 = 64 << 10;

    let _ = socket.set_tcp_nodelay(true);
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
    let _ = socket.set_tcp_keepalive(&keep_alive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_notsent_lowat(NOT_SENT_LOWAT);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses of opened listeners.
    fn addresses(opened: &[mio_kernel::Listener]) -> Vec<SocketAddr> {
        let address = |listener: &mio_kernel::Listener| match listener {
            mio_kernel::Listener::Tcp(tcp) => tcp.local_addr().unwrap(),
            mio_kernel::Listener::Unix(..) => unreachable!("only TCP is opened"),
        };
        opened.iter().map(address).collect()
    }

    #[test]
    fn a_host_and_a_port_are_split_at_the_last_colon_and_brackets_are_taken_away() {
        for (address, expected) in [
            ("localhost:80", Some(("localhost", 80))),
            (":80", Some(("", 80))),
            ("[::1]:80", Some(("::1", 80))),
            ("[fe80::1%eth0]:80", Some(("fe80::1%eth0", 80))),
            ("::1:80", Some(("::1", 80))),
            ("[127.0.0.1]:80", None),
            ("a:", None),
            ("a:+1", None),
            ("a:65536", None),
            ("a", None),
        ] {
            assert_eq!(split(address), expected, "{address}");
        }
    }

    #[test]
    fn all_addresses_of_a_host_are_opened_on_the_port_that_the_system_chose_for_the_first() {
        let two = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];
        let two = two.map(|ip| SocketAddr::from((ip, 0)));
        for _ in 0..20 {
            let opened = addresses(&open_all(&two, false).unwrap());
            assert_eq!(opened.len(), 2);
            assert_eq!(opened[0].port(), opened[1].port());
        }
    }

    #[test]
    fn an_address_that_the_machine_lacks_is_left_out_unless_it_is_the_only_one() {
        let lacks = SocketAddr::from(([192, 0, 2, 1], 0));
        let has = SocketAddr::from(([127, 0, 0, 1], 0));
        for both in [[lacks, has], [has, lacks]] {
            let opened = addresses(&open_all(&both, false).unwrap());
            assert_eq!(opened.len(), 1);
            assert!(opened[0].ip().is_loopback());
        }
        assert!(is_missing(&open_all(&[lacks], false).unwrap_err()));
    }

    #[test]
    fn an_address_that_is_in_use_is_an_error_even_if_another_one_is_free() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let free = SocketAddr::from(([127, 0, 0, 2], port));
        let error = open_all(&[free, taken.local_addr().unwrap()], false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
