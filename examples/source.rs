//! A UDP socket on the loop of the server: one thread receives packets and shows the last one over
//! HTTP, with one state and without a lock.
//!
//! ```text
//! cargo run --release --example source -- 127.0.0.1:8080
//! echo -n 21.5 >/dev/udp/127.0.0.1/8080      # in bash
//! curl http://127.0.0.1:8080/
//! ```
//!
//! It prints `packets are received on 127.0.0.1:8080`, and curl shows `21.5 (packet 1)`.

use std::io::ErrorKind;
use std::net::UdpSocket;

use wheelhouse::runtime::{Interest, Next, Readiness};
use wheelhouse::{Router, Server};

#[derive(Default)]
struct Readings {
    count: u64,
    last: String,
}

/// The packets of one call, so that a fast sender does not keep the connections waiting.
const PACKETS_MAX: usize = 32;

/// Takes packets. The loop calls this when there are some, and again if some are left.
fn receive(readings: &mut Readings, socket: &mut UdpSocket, _: Readiness) -> Next {
    let mut packet = [0; 100];
    for _ in 0..PACKETS_MAX {
        match socket.recv(&mut packet) {
            Ok(len) => {
                readings.count += 1;
                readings.last = String::from_utf8_lossy(&packet[..len]).into_owned();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Keep,
            Err(error) => {
                eprintln!("no more packets: {error}");
                return Next::Remove;
            }
        }
    }
    Next::Keep
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let routes = Router::<Readings>::new()
        .get("/{$}", |readings, _| format!("{} (packet {})\n", readings.last, readings.count))
        .build()?;
    let mut events = Server::with_state(Readings::default()).listen(&address)?.build(routes)?;
    let socket = UdpSocket::bind(events.local_addrs()[0])?;
    socket.set_nonblocking(true)?;
    println!("packets are received on {}", socket.local_addr()?);
    events.add_source(socket, Interest::Read, receive)?;
    events.run()?;
    Ok(())
}
