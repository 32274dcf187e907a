//! The server inside an event loop that the program has already, here one of mio that also watches
//! a UDP socket. One thread does both, so handlers share the values of the program, `Send` or not.
//!
//! ```text
//! cargo run --release --example foreign_loop -- 127.0.0.1:8080
//! echo -n hello >/dev/udp/127.0.0.1/8080      # in bash: the program prints it
//! curl http://127.0.0.1:8080/                 # hello
//! ```

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::Duration;

use mio::{net::UdpSocket, unix::SourceFd, Events, Interest, Poll, Token};
use wheelhouse::runtime::Turn;
use wheelhouse::{Request, Server};

const SERVER: Token = Token(0);
const SOCKET: Token = Token(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    // The value of the program, such as a window: here the last packet.
    let window = Rc::new(RefCell::new(String::new()));
    let shown = window.clone();
    let handler = move |_: &Request<'_>| format!("{}\n", shown.borrow());
    let mut events = Server::new().listen(&address)?.build(handler)?;
    let mut socket = UdpSocket::bind(events.local_addrs()[0])?;

    let (mut poll, mut ready) = (Poll::new()?, Events::with_capacity(16));
    let descriptor = events.as_fd().as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), SERVER, Interest::READABLE)?;
    poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
    loop {
        poll.poll(&mut ready, events.next_timeout())?;
        if ready.iter().any(|event| event.token() == SOCKET) {
            let mut packet = [0; 1500];
            while let Ok(len) = socket.recv(&mut packet) {
                println!("{}", packet[..len].escape_ascii());
                *window.borrow_mut() = String::from_utf8_lossy(&packet[..len]).into_owned();
            }
        }
        // It does all that is due, and does not sleep.
        if events.turn(Some(Duration::ZERO))? == Turn::Ended {
            return Ok(());
        }
    }
}
