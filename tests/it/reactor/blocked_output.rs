//! Connections whose output is blocked: held input is processed once the output has been sent, and
//! a slow reader is judged by its rate, whatever the program sends or does meanwhile.

use std::io;
use std::sync::{Arc, Mutex};

use crate::support::{limited, statuses, GET, SECOND};
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::Transform;
use wheelhouse::sim::{Client, Sim};
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Body, Handler, Limits, Reply, Request, Response, Waker};

/// Connects a client with a small window that reads too little for the kernel to report room, until
/// the server writes by itself at the end of the response window. Then the client reads everything.
fn read_late(
    handler: impl Handler + 'static,
    request: &[u8],
    meanwhile: impl FnOnce(),
) -> (Sim, Client) {
    let mut sim = Sim::new(handler);
    let client = sim.connect();
    sim.stall(client, 45_000);
    sim.send(client, request);
    meanwhile();
    sim.advance(SECOND);
    sim.read(client, 14_000);
    sim.advance(10 * SECOND);
    sim.unstall(client);
    (sim, client)
}

/// Puts 50,000 bytes for each piece.
struct Swells;

impl<S> Transform<S> for Swells {
    fn piece(&mut self, _: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        out.put(&[piece[0]; 50_000]);
        Ok(piece.len())
    }
}

#[test]
fn content_held_during_blocked_output_goes_through_its_transform() {
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        1\r\na\r\n1\r\nb\r\n0\r\n\r\n";
    let site = |_: &Request<'_>| Reply::<()>::transform(Response::text(""), Swells);
    let (mut sim, client) = read_late(site, request, || {});
    assert!(sim.received(client).ends_with(b"b\r\n0\r\n\r\n"));
    assert_eq!((sim.is_open(client), sim.report().totals.too_slow), (true, 0));
}

#[test]
fn a_request_held_during_blocked_output_is_served() {
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
        GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    let site = |req: &Request<'_>| match req.path() {
        "/next" => Response::text("next"),
        _ => Response::ok("text/plain", vec![b'.'; 50_000]),
    };
    let (mut sim, client) = read_late(site, request, || {});
    assert_eq!(statuses(sim.received(client)), [200, 200]);
    assert!(sim.received(client).ends_with(b"\r\n\r\nnext") && sim.is_open(client));
}

/// Puts 50,000 bytes for each byte of the client.
struct Multiplies;

impl<S> Protocol<S> for Multiplies {
    fn receive(
        &mut self,
        _: &mut S,
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        Ok(usize::from(connection.put_all(&[input[0]; 50_000])))
    }
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";

#[test]
fn bytes_held_during_blocked_output_reach_their_protocol() {
    let site = |_: &Request<'_>| Reply::<()>::upgrade("x", Multiplies);
    let (mut sim, client) = read_late(site, &[UPGRADE, b"abc"].concat(), || {});
    assert!(sim.received(client).ends_with(b"ccc"));
}

/// Puts 50,000 bytes, is woken while they wait, and ends.
struct Twice(Arc<Mutex<Option<Waker>>>, u32);

impl Produce for Twice {
    fn start(&mut self, waker: Waker) {
        *self.0.lock().unwrap() = Some(waker);
    }

    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        self.1 += 1;
        if self.1 > 1 {
            return Ok(Produced::End);
        }
        out.put(&[b'.'; 50_000]);
        Ok(Produced::Wait(60 * SECOND))
    }
}

#[test]
fn a_wake_while_output_is_blocked_takes_effect_when_the_output_has_been_sent() {
    let waker = Arc::new(Mutex::new(None));
    let shared = waker.clone();
    let site =
        move |_: &Request<'_>| Response::ok("text/plain", Body::produce(Twice(shared.clone(), 0)));
    let wake = || waker.lock().unwrap().as_ref().map(Waker::wake).expect("it has started");
    let (mut sim, client) = read_late(site, GET, wake);
    assert!(sim.received(client).ends_with(b".\r\n0\r\n\r\n") && sim.is_open(client));
}

/// Returns `More`, then `Wait`, and is woken at once: it always has something to send.
struct Alternates(Option<Waker>, bool);

impl Produce for Alternates {
    fn start(&mut self, waker: Waker) {
        self.0 = Some(waker);
    }

    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        out.put(&[b'.'; 230]);
        self.1 = !self.1;
        if self.1 {
            return Ok(Produced::More);
        }
        self.0.as_ref().expect("it has started").wake();
        Ok(Produced::Wait(60 * SECOND))
    }
}

/// Puts more than the client's window at a time.
impl<S> Protocol<S> for Alternates {
    fn start(&mut self, _: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        connection.put(&[b'.'; 700]);
        connection.waker().wake();
        Ok(())
    }

    fn receive(&mut self, _: &mut S, input: &[u8], _: &mut Connection<'_>) -> io::Result<usize> {
        Ok(input.len())
    }

    fn wake(&mut self, state: &mut S, connection: &mut Connection<'_>) -> io::Result<()> {
        Protocol::start(self, state, connection)
    }
}

/// 500 bytes in 9 seconds are far below the response rate of 1 KiB a second.
#[test]
fn a_slow_reader_keeps_its_window_whatever_its_producer_or_protocol_returns() {
    let site = |req: &Request<'_>| -> Reply {
        match req.path() {
            "/produce" => Response::ok("text/plain", Body::produce(Alternates(None, false))).into(),
            _ => Reply::upgrade("x", Alternates(None, false)),
        }
    };
    for request in [b"GET /produce HTTP/1.1\r\nHost: a\r\n\r\n", UPGRADE] {
        let window = Limits { response_window: 10 * SECOND, ..Limits::default() };
        let mut sim = limited(site, window);
        let client = sim.connect();
        sim.stall(client, 500);
        sim.send(client, request);
        for _ in 0..5 {
            sim.advance(9 * SECOND);
            sim.read(client, 500);
        }
        assert!(sim.was_reset(client), "{}", String::from_utf8_lossy(request));
        assert_eq!(sim.report().totals.too_slow, 1);
    }
}

/// After a close, bytes that are still on their way would cause a reset, which could destroy the
/// response (RFC 9112, section 9.6).
#[test]
fn malformed_content_that_no_handler_reads_makes_the_connection_linger() {
    let mut sim = Sim::new(|_: &Request<'_>| "done");
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nmore";
    let client = sim.connect_and_send(request);
    assert!(sim.received(client).ends_with(b"done") && sim.has_ended(client));
    assert!(sim.is_open(client), "the connection lingers");
    sim.advance(30 * SECOND);
    assert!(!sim.is_open(client));
}
