//! Deadlines that a handler sets for one request: for its content, and for its answer. Those of
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
fn content_that_is_not_whole_in_the_time_of_its_handler_is_408_however_fast_it_comes() {
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

/// The time ends with the content, and cancels nothing after it (w33).
#[test]
fn the_time_for_content_is_over_when_it_is_whole() {
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
            sim.advance(40 * SECOND);
            assert_eq!(sim.was_reset(client), path == "/", "then the usual deadlines count");
        }
    }
    let client = sim.connect_and_send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.advance(20 * SECOND);
    assert!(sim.is_open(client) && sim.received(client).is_empty(), "there is no content at all");
}

/// The response is cut off, and only a reset can show that (t38, t44, t45).
#[test]
fn an_answer_that_has_not_left_in_the_time_of_its_handler_is_reset_however_fast_it_is_read() {
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
    // One that leaves at once has no end any more.
    let mut sim = Sim::new(|_: &Request<'_>| Response::text("x").with_send_timeout(SECOND));
    let client = sim.connect_and_send(GET);
    sim.advance(5 * SECOND);
    assert!(sim.is_open(client));
    sim.send(client, GET);
    assert_eq!(statuses(sim.received(client)), [200, 200]);
}

/// There is always something to do for it: it is given one more tick, and no more.
#[test]
fn a_client_that_keeps_the_server_busy_has_no_more_time_than_others() {
    let mut sim = Sim::new(|req: &Request<'_>| -> Reply {
        match req.path() {
            "/answer" => Response::ok("text/plain", Body::produce(Lines(1_000_000)))
                .with_send_timeout(4 * SECOND)
                .into(),
            _ => Reply::<()>::receive(u64::MAX, Count(0)).with_content_timeout(4 * SECOND),
        }
    });
    let reader = sim.connect();
    sim.stall(reader, 2 << 20);
    sim.send(reader, b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n");
    let writer = sim.connect_and_send(post("/", 100_000_000, b""));
    for _ in 0..4 {
        sim.advance(SECOND);
        assert!(sim.is_open(reader) && sim.received(writer).is_empty());
    }
    // From before the end until behind it, what is there to do is never all done in one turn.
    for is_over in [false, true] {
        sim.pause();
        sim.advance(100 * MS);
        sim.send(writer, vec![b'x'; 1_000_000]);
        sim.read(reader, 1_500_000);
        sim.resume();
        assert_eq!(sim.was_reset(reader), is_over);
        assert_eq!(sim.received(writer).starts_with(b"HTTP/1.1 408 "), is_over);
    }
    assert_eq!(sim.report().too_slow, 2);
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
fn the_time_of_one_answer_is_not_that_of_the_next_request() {
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

/// Counts its silences.
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

/// It may be set for all replies alike.
#[test]
fn the_time_for_content_is_none_of_an_upgraded_connection() {
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
