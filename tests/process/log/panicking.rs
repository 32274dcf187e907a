//! A logger that panics costs its line, and neither a connection nor the loop.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Body, Failure, Later, Reply, Request, Response, StatusCode};

use crate::{listen, panics_in_hook_and_timer};

/// The payload of a panic that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a destructor panics");
        }
    }
}

/// Makes the logger panic at every line of this thread. Returns the count of the lines.
fn panic_at_every_line() -> Rc<Cell<u32>> {
    let lines = Rc::new(Cell::new(0));
    let count = Rc::clone(&lines);
    listen(move |_| {
        count.set(count.get() + 1);
        std::panic::panic_any(Bomb);
    });
    lines
}

struct Fails;

impl Produce for Fails {
    fn produce(&mut self, _: &mut Out<'_>) -> io::Result<Produced> {
        Err(io::Error::other("a producer fails"))
    }
}

impl Protocol<()> for Fails {
    fn start(&mut self, (): &mut (), _: &mut Connection<'_>) -> io::Result<()> {
        Err(io::Error::other("a protocol fails"))
    }

    fn receive(&mut self, (): &mut (), input: &[u8], _: &mut Connection<'_>) -> io::Result<usize> {
        Ok(input.len())
    }
}

fn site(req: &Request<'_>) -> Reply {
    match req.path() {
        "/panic" => panic!("a handler panics"),
        "/error" => Failure::internal("an error").into_response().into(),
        "/unsent" => {
            let _unsent = Failure::internal("an error that is dropped while the handler panics");
            panic!("a handler panics")
        }
        "/fault" => Response::text("").with_header("a", "\n").into(),
        "/produce" => Response::ok("x/y", Body::produce(Fails)).into(),
        "/upgrade" => Reply::upgrade("x", Fails),
        "/forget" => {
            let (later, reply): (Later, Reply) = Reply::later();
            drop(later);
            reply
        }
        _ => "ok".into(),
    }
}

#[test]
fn a_logger_that_panics_costs_its_line_and_nothing_else() {
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    };
    for (request, status) in [
        ("GET  / HTTP/1.1\r\n\r\n".to_owned(), Some(400)),
        ("GET / HTTP/1.1\r\n".to_owned(), Some(408)),
        (get("/panic"), Some(500)),
        (get("/error"), Some(500)),
        (get("/unsent"), Some(500)),
        (get("/fault"), Some(500)),
        (get("/forget"), Some(500)),
        (get("/produce"), Some(200)),
        (get("/upgrade"), Some(101)),
    ] {
        let lines = panic_at_every_line();
        let mut sim = Sim::new(site);
        let client = sim.connect();
        sim.send(client, &request);
        sim.advance(Duration::from_secs(15));
        let received = String::from_utf8(sim.received(client).to_vec()).unwrap();
        let got = received.get(9..12).map(|digits| digits.parse().unwrap());
        assert_eq!(got, status, "{request}");
        assert!(lines.get() > 0, "{request}");
        assert_eq!(sim.get("/").status(), StatusCode::OK, "{request}");
    }
}

#[test]
fn a_logger_may_panic_at_the_panic_of_a_hook_or_a_timer() {
    let lines = panic_at_every_line();
    let mut sim = panics_in_hook_and_timer(site);
    sim.advance(Duration::from_secs(2));
    assert!(lines.get() >= 2 && sim.report().totals.panics == 2, "{lines:?}");
    assert_eq!(sim.get("/").text(), "ok");
}
