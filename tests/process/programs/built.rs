//! The paths of examples, which cargo builds beside the tests, and free addresses for them.

use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) fn built(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let path = profile.join("examples").join(example);
    assert!(path.exists(), "{example} is not built: run `cargo test` or `cargo build --examples`");
    path
}

/// Returns an address with a free port. The socket does not listen, because another test may be
/// starting a process. Until that process executes its program it has a copy of every open socket,
/// and a copy that listens would accept connections that are meant for the example.
pub(crate) fn free_address() -> SocketAddr {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.local_addr().unwrap().as_socket().unwrap()
}
