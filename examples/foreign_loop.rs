//! The server inside an event loop that the program has already, here one of mio that also watches a
//! UDP socket. One thread does both.
//!
//! ```text
//! cargo run --release --example foreign_loop -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/
//! ```
//!
//! A packet to the UDP socket of the same address is counted.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use wheelhouse::runtime::Turn;
use wheelhouse::{Router, Server};

const SERVER: Token = Token(0);
const SOCKET: Token = Token(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let routes =
        Router::<u64>::new().get("/", |packets, _| format!("{packets} packets\n")).build()?;
    let mut events = Server::with_state(0).listen(&address)?.build(routes)?;
    let mut socket = mio::net::UdpSocket::bind(events.local_addrs()[0])?;

    let (mut poll, mut ready) = (Poll::new()?, Events::with_capacity(16));
    let descriptor = events.as_fd().as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), SERVER, Interest::READABLE)?;
    poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
    loop {
        poll.poll(&mut ready, events.next_timeout())?;
        if ready.iter().any(|event| event.token() == SOCKET) {
            while socket.recv(&mut [0; 1500]).is_ok() {
                *events.state() += 1;
            }
        }
        // It does all that is due, and does not sleep.
        if events.turn(Some(Duration::ZERO))? == Turn::Ended {
            return Ok(());
        }
    }
}
