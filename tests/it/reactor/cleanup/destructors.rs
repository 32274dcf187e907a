//! A destructor of the program that panics costs one connection, as a panic elsewhere in it does.

use crate::support::panics::expect_panics;
use crate::support::{later_to, never, sim_of, stop_now, Count, GET, SECOND};
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Receive, Transform};
use wheelhouse::runtime::Admission;
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Body, Failure, Fields, Reply, Request, Response, Server, Waker};

/// The messages of the panics in this file.
const PANICS: &[&str] = &["a destructor panics", "it does not start", "the trailers are not taken"];

/// Panics when it is dropped, unless that would end the process. If the flag is set, it also panics
/// earlier, in the calls that do not return a failure.
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a destructor panics");
        }
    }
}

impl Produce for Bomb {
    fn start(&mut self, _: Waker) {
        assert!(!self.0, "it does not start");
    }

    fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
        out.put(b"x");
        Ok(Produced::End)
    }
}

impl Receive<()> for Bomb {
    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow, Failure> {
        match self.0 {
            true => Ok(Flow::Continue),
            false => Ok(Flow::Respond("enough".into())),
        }
    }

    fn trailers(&mut self, (): &mut (), _: Fields<'_>) {
        panic!("the trailers are not taken");
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
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        connection.close();
        Ok(input.len())
    }
}

fn site(req: &Request<'_>) -> Reply {
    let bomb = Bomb(false);
    match req.path() {
        "/produce" => Response::ok("x/y", Body::produce(bomb)).into(),
        "/receive" => Reply::receive(u64::MAX, bomb),
        "/transform" => Reply::transform(Response::text(""), bomb),
        "/upgrade" => Reply::upgrade("bomb", bomb),
        "/hijack" => Reply::hijack(move |(), _| drop(bomb)),
        "/collect" => Reply::collect(10, move |(), _, _| {
            let _bomb = bomb;
            "collected"
        }),
        "/later" => later_to(move |later| {
            later.respond_with(move |()| {
                std::mem::forget(bomb);
                "later"
            });
        }),
        _ => {
            std::mem::forget(bomb);
            Reply::receive(u64::MAX, Count(0))
        }
    }
}

#[test]
fn a_destructor_that_panics_costs_its_connection_and_no_other() {
    expect_panics(PANICS);
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
                let mut sim = sim_of(
                    Server::new().on_connect(|_, _| Admission::accept_with(Bomb(false))),
                    site,
                );
                let (other, client) = (sim.connect(), sim.connect_and_send(&all[..cut]));
                sim.reset(client);
                sim.advance(60 * SECOND);
                assert!(!sim.is_open(client), "{method} {path} {cut}");
                sim.reset(other);
                sim.advance(SECOND);
                let last = sim.connect_and_send(GET);
                assert!(sim.received(last).ends_with(b"\r\n\r\n0\n"), "{method} {path} {cut}");
                // Values that are dropped with the simulation would panic in the test itself.
                stop_now(&mut sim);
            }
        }
    }
    stop(Sim::new(site));
}

/// The values are dropped at the moment at which they would have been used.
#[test]
fn a_destructor_of_an_unused_value_that_panics_costs_at_most_its_connection() {
    expect_panics(PANICS);
    fn content() -> Response {
        Response::ok("x/y", Body::produce(Bomb(false)))
    }
    fn late<R: Into<Reply> + 'static>(give: fn() -> R) -> Reply {
        later_to(move |later| later.respond_with(move |()| give()))
    }
    let site = |req: &Request<'_>| -> Reply {
        match req.path() {
            "/start" => Response::ok("x/y", Body::produce(Bomb(true))).into(),
            "/trailers" => Reply::receive(u64::MAX, Bomb(true)),
            "/transform" => Reply::transform(content(), Bomb(false)),
            "/again" => late(|| Reply::<()>::receive(u64::MAX, Bomb(false))),
            "/collect" => Reply::collect(10, |(), _, _| {
                Reply::<()>::transform(Response::text(""), Bomb(false))
            }),
            "/upgrade" => late(|| Reply::<()>::upgrade("bomb", Bomb(false))),
            "/unsent" => content().with_header("A", "\n").into(),
            "/late" => never().with_handler_timeout(SECOND).with_timeout_response(content()),
            "/in-time" => {
                late(|| "in time").with_handler_timeout(SECOND).with_timeout_response(content())
            }
            _ => Reply::receive(u64::MAX, Count(0)),
        }
    };
    for path in [
        "/start",
        "/trailers",
        "/transform",
        "/again",
        "/collect",
        "/upgrade",
        "/unsent",
        "/late",
        "/in-time",
    ] {
        for method in ["POST", "HEAD"] {
            let mut sim = Sim::new(site);
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let client = sim.connect_and_send(head.as_bytes());
            sim.send(client, b"5\r\nhello\r\n0\r\nA: b\r\n\r\n");
            sim.advance(60 * SECOND);
            let last = sim.connect_and_send(GET);
            assert!(sim.received(last).ends_with(b"\r\n\r\n0\n"), "{method} {path}");
        }
    }
}

/// Stops the server hard while connections hold a bomb in every state.
fn stop(mut sim: Sim) {
    for path in ["/receive", "/transform", "/upgrade", "/collect"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: bomb\r\n\
             Content-Length: {}\r\n\r\n",
            if path == "/upgrade" { 0 } else { 5 }
        );
        sim.connect_and_send(head.as_bytes());
    }
    stop_now(&mut sim);
    assert!(!sim.is_running());
}

/// Content of a response whose owner panics when it is dropped.
struct Owned;

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &[b'x'; 5000]
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        drop(Bomb(false));
    }
}

#[test]
fn the_owner_of_sent_bytes_may_panic() {
    expect_panics(PANICS);
    for len in [10, 5000] {
        let mut sim = Sim::new(move |_: &Request<'_>| {
            Response::ok("text/plain", bytes::Bytes::from_owner(Owned).slice(..len))
        });
        let client = sim.connect_and_send(GET.repeat(2));
        assert!(sim.received(client).ends_with(b"xxxxxxxxxx"), "{len}");
        assert!(sim.is_open(client) && sim.is_running(), "{len}");
    }
}

/// An error that panics when it is dropped and, if the flag is set, when it is shown.
#[derive(Debug)]
struct Unshown(bool);

impl std::fmt::Display for Unshown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        assert!(!self.0, "it is not shown");
        f.write_str("shown")
    }
}

impl std::error::Error for Unshown {}

impl Drop for Unshown {
    fn drop(&mut self) {
        drop(Bomb(false));
    }
}

/// Fails in its first call.
struct Fails(bool);

impl Produce for Fails {
    fn produce(&mut self, _: &mut Out<'_>) -> std::io::Result<Produced> {
        Err(std::io::Error::other(Unshown(self.0)))
    }
}

impl Protocol<()> for Fails {
    fn start(&mut self, (): &mut (), _: &mut Connection<'_>) -> std::io::Result<()> {
        Err(std::io::Error::other(Unshown(self.0)))
    }

    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        _: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        Ok(input.len())
    }
}

#[test]
fn an_error_of_the_program_may_panic_when_it_is_shown_or_dropped() {
    expect_panics(&["a destructor panics", "it is not shown"]);
    const UPGRADE: &[u8] =
        b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    for is_unshown in [false, true] {
        for request in [GET, UPGRADE] {
            let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
                match req.path() {
                    "/up" => Reply::upgrade("x", Fails(is_unshown)),
                    _ => Response::ok("x/y", Body::produce(Fails(is_unshown))).into(),
                }
            });
            let client = sim.connect_and_send(request);
            assert!(sim.was_reset(client) && sim.is_running());
        }
    }
}

#[test]
fn the_payload_of_a_panic_may_panic_when_it_is_dropped() {
    expect_panics(PANICS);
    let mut sim =
        Sim::new(|_: &Request<'_>| -> Reply { std::panic::resume_unwind(Box::new(Bomb(false))) });
    let client = sim.connect_and_send(GET);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 500 ") && sim.is_running());
    assert_eq!(sim.report().totals.panics, 1);
}
