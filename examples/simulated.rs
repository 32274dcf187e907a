//! A test with neither socket nor sleep: the real loop on a simulated kernel and a virtual clock.
//!
//! ```text
//! cargo run --release --example simulated
//! ```
//!
//! Prints the responses to a patient attacker and to an honest client, in a minute that takes no
//! time. In a program of your own this stands in a `#[test]`, with `assert!` where this prints.

use std::time::{Duration, Instant};

use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Request, Response};

fn main() {
    let begun = Instant::now();
    let mut sim = Sim::new(|req: &Request<'_>| Response::text(format!("hello {}\n", req.path())));
    let (slow, honest) = (sim.connect(), sim.connect());
    for second in 0..60 {
        sim.send(slow, b"x"); // A head that never ends, a byte a second.
        if second % 20 == 0 {
            sim.send(honest, b"GET /there HTTP/1.1\r\nHost: here\r\n\r\n");
        }
        sim.advance(Duration::from_secs(1));
    }
    print("the attacker", &mut sim, slow);
    print("the client", &mut sim, honest);
    println!("60 s of theirs were {} ms of ours", begun.elapsed().as_millis());
}

fn print(who: &str, sim: &mut Sim, client: Client) {
    let text = String::from_utf8_lossy(sim.received(client)).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/")).collect();
    println!("{who}: {lines:?}, open: {}", sim.is_open(client));
}
