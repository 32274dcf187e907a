//! Deadlines that a handler sets for one request: for its content, and for its response. Those of
//! the whole server are in `reactor/deadlines.rs`.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use crate::support::*;
use wheelhouse::content::Lost;
use wheelhouse::events::Topic;
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Body, Reply, Request, Response};

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";

/// The receiver is notified, and the client gets its response (t46, t47).
#[test]
fn content_that_is_incomplete_at_the_deadline_of_its_handler_is_408_however_fast_it_arrives() {
    let why = Rc::new(Cell::new(None));
    let noted = Rc::clone(&why);
    let mut sim = Sim::new(move |_: &Request<'_>| -> Reply {
        Reply::<()>::receive(u64::MAX, Noted(Rc::clone(&noted))).with_content_timeout(3 * SECOND)
    });
    let client = sim.connect_and_send(POST);
    happens_after(&mut sim, 3 * SECOND, |sim| !sim.received(client).is_empty());
    assert!(sim.received(client).starts_with(b"HTTP/1.1 408 "));
    assert_eq!(why.take(), Some(Lost::TooSlow));
    let client = sim.connect_and_send(POST);
    for _ in 0..3 {
        assert_eq!(sim.received(client), b"");
        sim.send(client, vec![b'x'; 20_000]);
        sim.advance(SECOND);
    }
    sim.advance(LATE);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 408 "));
}

/// The deadline ends with the content and does not cancel the work after it (w33).
#[test]
fn the_content_deadline_ends_when_the_content_is_complete() {
    let mut sim = Sim::new(|req: &Request<'_>| -> Reply {
        let reply = match req.path() {
            "/later" => Reply::collect(10, |(), _, _| never()),
            _ => Reply::<()>::collect(10, |(), _, _| Response::ok("x/y", &BIG[..])),
        };
        reply.with_content_timeout(SECOND)
    });
    for path in ["/", "/later"] {
        for cut in [0, 3] {
            let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
            let bytes = [head.as_bytes(), b"hello"].concat();
            let client = sim.connect();
            sim.stall(client, 100_000);
            sim.send(client, &bytes[..bytes.len() - cut]);
            sim.send(client, &bytes[bytes.len() - cut..]);
            for _ in 0..5 {
                sim.read(client, 50_000);
                sim.advance(SECOND);
            }
            assert!(sim.is_open(client), "{path} {cut}");
            sim.advance(70 * SECOND);
            assert_eq!(sim.was_reset(client), path == "/", "after that the usual deadlines count");
        }
    }
    let client = sim.connect_and_send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.advance(20 * SECOND);
    assert!(
        sim.is_open(client) && sim.received(client).is_empty(),
        "a request without content has no content deadline"
    );
}

/// Only a reset can show that the response is cut off (t38, t44, t45).
#[test]
fn a_response_that_is_unsent_at_the_deadline_of_its_handler_is_reset_however_fast_it_is_read() {
    let mut sim = Sim::new(|req: &Request<'_>| {
        let body = match req.path() {
            "/produced" => Body::produce(Lines(u32::MAX)),
            _ => Body::from(&BIG[..]),
        };
        Response::ok("text/plain", body).with_send_timeout(4 * SECOND)
    });
    for path in ["/", "/produced"] {
        let client = sim.connect();
        sim.stall(client, 64 << 10);
        sim.send(client, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        happens_after(&mut sim, 4 * SECOND, |sim| {
            sim.read(client, 60_000);
            sim.was_reset(client)
        });
    }
    // A response that is sent at once has no deadline any more.
    let mut sim = Sim::new(|_: &Request<'_>| Response::text("x").with_send_timeout(SECOND));
    let client = sim.connect_and_send(GET);
    sim.advance(5 * SECOND);
    assert!(sim.is_open(client));
    sim.send(client, GET);
    assert_eq!(statuses(sim.received(client)), [200, 200]);
}

/// There is always something to do for the client, so it gets one more tick, but not two.
#[test]
fn a_client_that_keeps_the_server_busy_gets_no_extra_time() {
    let mut sim = Sim::new(|req: &Request<'_>| -> Reply {
        match req.path() {
            "/lines" => Response::ok("text/plain", Body::produce(Lines(1_000_000)))
                .with_send_timeout(4 * SECOND)
                .into(),
            _ => Reply::<()>::receive(u64::MAX, Count(0)).with_content_timeout(4 * SECOND),
        }
    });
    let reader = sim.connect();
    sim.stall(reader, 2 << 20);
    sim.send(reader, b"GET /lines HTTP/1.1\r\nHost: a\r\n\r\n");
    let writer = sim.connect_and_send(post("/", 100_000_000, b""));
    for _ in 0..4 {
        sim.advance(SECOND);
        assert!(sim.is_open(reader) && sim.received(writer).is_empty());
    }
    // From before the deadline until after it there is more work than one turn can do.
    for is_over in [false, true] {
        sim.pause();
        sim.advance(100 * MS);
        sim.send(writer, vec![b'x'; 1_000_000]);
        sim.read(reader, 1_500_000);
        sim.resume();
        assert_eq!(sim.was_reset(reader), is_over);
        assert_eq!(sim.received(writer).starts_with(b"HTTP/1.1 408 "), is_over);
    }
    assert_eq!(sim.report().totals.too_slow, 2);
}

#[test]
fn a_stream_that_waits_is_cut_off_too() {
    let topic = Topic::new(1);
    let mut sim =
        Sim::new(move |req: &Request<'_>| topic.subscribe(req).with_send_timeout(60 * SECOND));
    let client = sim.connect_and_send(GET);
    happens_after(&mut sim, 60 * SECOND, |sim| sim.was_reset(client));
}

#[test]
fn the_deadline_of_one_response_does_not_limit_the_next_request() {
    let mut sim = Sim::new(|req: &Request<'_>| match req.path() {
        "/cut" => Response::text("cut").with_send_timeout(SECOND).into(),
        _ => Reply::<()>::receive(u64::MAX, Count(0)),
    });
    let first = sim.connect_and_send(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.received(first).ends_with(b"cut"));
    let second = sim.connect_and_send(POST);
    for _ in 0..5 {
        sim.advance(SECOND);
        sim.send(second, vec![b'x'; 20_000]);
    }
    assert!(sim.received(second).ends_with(b"100000\n"));
}

/// Counts the silences that are reported to it.
struct Quiet(Rc<Cell<u32>>);

impl Protocol<()> for Quiet {
    fn receive(&mut self, (): &mut (), input: &[u8], _: &mut Connection<'_>) -> io::Result<usize> {
        Ok(input.len())
    }

    fn expire(&mut self, (): &mut (), _: &mut Connection<'_>) -> io::Result<()> {
        self.0.set(self.0.get() + 1);
        Ok(())
    }
}

/// A program may set the timeout for all its replies.
#[test]
fn an_upgraded_connection_has_no_content_deadline() {
    let silences = Rc::new(Cell::new(0));
    let quiet = Rc::clone(&silences);
    let mut sim = Sim::new(move |_: &Request<'_>| {
        Reply::upgrade("quiet", Quiet(Rc::clone(&quiet))).with_content_timeout(SECOND)
    });
    sim.connect_and_send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: quiet\r\n\r\n",
    );
    sim.advance(59 * SECOND);
    assert_eq!(silences.get(), 0);
    sim.advance(2 * SECOND);
    assert_eq!(silences.get(), 1);
}
