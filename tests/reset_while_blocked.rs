//! A peer that resets while output waits for it gives back all memory that it held.

use wheelhouse::sim::Sim;
use wheelhouse::{Body, Out, Produce, Produced, Request, Response};

/// Content without end, in whatever room there is.
struct Endless;

impl Produce for Endless {
    fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
        let room = out.room();
        out.put(&vec![b'x'; room]);
        Ok(Produced::More)
    }
}

#[test]
fn a_reset_while_produced_content_waits_gives_its_block_back() {
    let mut sim = Sim::new(|_: &Request<'_>| Response::ok("text/plain", Body::produce(Endless)));
    let warm = sim.connect();
    sim.reset(warm);
    let before = sim.memory();
    let client = sim.connect();
    sim.stall(client, 1_000);
    sim.send(client, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    assert!(sim.memory() > before, "what the socket did not take is held");
    sim.reset(client);
    assert!(!sim.is_open(client));
    assert_eq!(sim.memory(), before);
}
