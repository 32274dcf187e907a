//! A destructor of the program that panics costs one connection, like its other code.

mod support;

use std::panic;

use support::{Count, GET, SECOND};
use wheelhouse::sim::{Sim, SimBuilder};
use wheelhouse::{
    Admission, Body, Flow, Io, Out, Produce, Produced, Protocol, Receive, Reply, Request, Response,
    Transform,
};

/// Panics when it is dropped, unless that would end the process.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a destructor panics");
        }
    }
}

impl Produce for Bomb {
    fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
        out.put(b"x");
        Ok(Produced::End)
    }
}

impl Receive<()> for Bomb {
    fn piece(&mut self, (): &mut (), _: &[u8]) -> Flow {
        Flow::Answer("enough".into())
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        "received".into()
    }
}

impl Transform<()> for Bomb {
    fn piece(&mut self, (): &mut (), piece: &[u8], out: &mut Out<'_>) -> std::io::Result<usize> {
        Ok(out.put(piece))
    }
}

impl Protocol<()> for Bomb {
    fn receive(&mut self, (): &mut (), input: &[u8], io: &mut Io<'_>) -> std::io::Result<usize> {
        io.close();
        Ok(input.len())
    }
}

fn site(req: &Request<'_>) -> Reply {
    let bomb = Bomb;
    match req.path() {
        "/produce" => Response::ok("x/y", Body::produce(bomb)).into(),
        "/receive" => Reply::receive(bomb),
        "/transform" => Reply::transform(Response::text(""), bomb),
        "/upgrade" => Reply::upgrade("bomb", bomb),
        "/hijack" => Reply::hijack(move |_| drop(bomb)),
        "/collect" => Reply::collect(10, move |(), _, _| {
            let _bomb = bomb;
            "collected"
        }),
        "/later" => Reply::later(move |later| {
            later.answer(move |()| {
                std::mem::forget(bomb);
                "later"
            });
        }),
        _ => {
            std::mem::forget(bomb);
            Reply::receive(Count(0))
        }
    }
}

#[test]
fn a_destructor_that_panics_costs_its_connection_and_nobody_else() {
    panic::set_hook(Box::new(|_| {}));
    let paths = ["/produce", "/receive", "/transform", "/upgrade", "/hijack", "/collect", "/later"];
    for path in paths {
        for method in ["POST", "HEAD"] {
            let length = if path == "/upgrade" { 0 } else { 5 };
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: bomb\r\n\
                 Content-Length: {length}\r\n\r\n"
            );
            let all = [head.as_bytes(), b"hello and more"].concat();
            for cut in [head.len(), head.len() + 2, all.len()] {
                let mut sim =
                    SimBuilder::new().on_connect(|_| Admission::accept_with(Bomb)).build(site);
                let (other, client) = (sim.connect(), sim.connect_and_send(&all[..cut]));
                sim.reset(client);
                sim.advance(60 * SECOND);
                assert!(!sim.is_open(client), "{method} {path} {cut}");
                sim.reset(other);
                sim.advance(SECOND);
                let last = sim.connect_and_send(GET);
                assert!(sim.received(last).ends_with(b"\r\n\r\n0\n"), "{method} {path} {cut}");
                // What is left when the simulation is dropped is the test's own.
                sim.stop();
            }
        }
    }
    stop(Sim::new(site));
    drop(panic::take_hook());
}

/// The hard stop with a bomb in every state.
fn stop(mut sim: Sim<impl wheelhouse::Handler>) {
    for path in ["/receive", "/transform", "/upgrade", "/collect"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: bomb\r\n\
             Content-Length: {}\r\n\r\n",
            if path == "/upgrade" { 0 } else { 5 }
        );
        sim.connect_and_send(head.as_bytes());
    }
    sim.stop();
    assert!(!sim.is_running());
}
