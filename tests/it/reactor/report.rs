//! Each failure is counted under its cause, and the final report holds the counts.

use std::io;

use crate::support::*;
use crate::support::{number, sim_of};
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::Lost;
use wheelhouse::runtime::{Admission, ConnectionState};
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Body, Reply, Request, Response, Server, Waker};

#[test]
fn a_client_that_is_slow_in_a_message_is_counted_as_too_slow_and_an_idle_one_is_not() {
    let mut sim = Sim::new(site);
    sim.connect();
    sim.connect_and_send(GET);
    sim.advance(HOUR);
    assert_eq!(sim.report().totals.too_slow, 0, "silence and idleness are not faults");
    sim.connect_and_send(b"GET / HT");
    sim.connect_and_send(post("/collect", 900, b"abc"));
    let reader = sim.connect();
    sim.stall(reader, 1000);
    sim.send(reader, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.advance(HOUR);
    let report = sim.report();
    assert_eq!((report.totals.too_slow, report.totals.refused, report.totals.cut_off), (3, 2, 0));
    assert!(sim.was_reset(reader));
}

struct Fails;

impl Produce for Fails {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        out.put(b"some");
        Err(io::Error::other("no more"))
    }
}

struct Panics;

impl Produce for Panics {
    fn produce(&mut self, _: &mut Out<'_>) -> io::Result<Produced> {
        panic!("a producer of a test panics");
    }
}

/// Panics when it starts, or when its peer leaves.
struct PanicsElsewhere(bool);

impl Produce for PanicsElsewhere {
    fn start(&mut self, _: Waker) {
        assert!(!self.0, "a producer of a test does not start");
    }

    fn produce(&mut self, _: &mut Out<'_>) -> io::Result<Produced> {
        Ok(Produced::Wait(SECOND))
    }

    fn peer_left(&mut self) {
        panic!("a producer of a test is left");
    }
}

impl Protocol<()> for PanicsElsewhere {
    fn receive(&mut self, (): &mut (), input: &[u8], _: &mut Connection<'_>) -> io::Result<usize> {
        Ok(input.len())
    }

    fn lost(self: Box<Self>, (): &mut (), _: Lost) {
        panic!("a protocol of a test is gone");
    }
}

#[test]
fn a_panic_is_counted_in_whichever_call_of_the_program_it_happens() {
    for (path, end, counts) in [
        ("/start", false, (1, 1)),
        ("/left", true, (1, 1)),
        ("/protocol", true, (0, 1)),
        ("/hijack", false, (0, 1)),
    ] {
        let mut sim = Sim::new(|req: &Request<'_>| -> Reply {
            let body = |panics| Body::produce(PanicsElsewhere(panics));
            match req.path() {
                "/start" => Response::ok("text/plain", body(true)).into(),
                "/left" => Response::ok("text/plain", body(false)).into(),
                "/protocol" => Reply::upgrade("panics", PanicsElsewhere(false)),
                _ => Reply::hijack(|(), _| panic!("a stream of a test is not taken")),
            }
        });
        let client = sim.connect_and_send(
            format!(
                "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: panics\r\n\r\n"
            )
            .as_bytes(),
        );
        match path {
            "/protocol" => sim.reset(client),
            _ if end => sim.end(client),
            _ => {}
        }
        let report = sim.report();
        assert_eq!((report.totals.cut_off, report.totals.panics), counts, "{path}");
        assert!(!sim.is_open(client), "{path}");
    }
}

#[test]
fn responses_that_are_cut_off_and_panics_are_counted() {
    let mut sim = sim_of(
        Server::new()
            .on_connect(|_, accepted| match number(accepted.id()) {
                6 => panic!("a hook of a test panics"),
                _ => Admission::accept(),
            })
            .on_connection_state(|_, id, state| {
                assert!((number(id), state) != (5, ConnectionState::Idle), "a hook of a test");
            }),
        |req: &Request<'_>| match req.path() {
            "/fails" => Response::ok("text/plain", Body::produce(Fails)),
            "/panics" => Response::ok("text/plain", Body::produce(Panics)),
            "/handler" => panic!("a handler of a test panics"),
            _ => Response::text("well"),
        },
    );
    let counts = |sim: &mut Sim, path: &str| {
        sim.connect_and_send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let report = sim.report();
        (report.totals.cut_off, report.totals.panics)
    };
    assert_eq!(counts(&mut sim, "/"), (0, 0));
    assert_eq!(counts(&mut sim, "/fails"), (1, 0));
    assert_eq!(counts(&mut sim, "/panics"), (2, 1));
    assert_eq!(counts(&mut sim, "/handler"), (2, 2));
    assert_eq!(counts(&mut sim, "/"), (2, 3), "the state hook");
    assert_eq!(counts(&mut sim, "/"), (2, 4), "the connection hook");
    assert_eq!(sim.report().totals.accepted, 5);
}

/// `refused` counts only clients that were sent a refusal.
#[test]
fn a_refusal_that_cannot_be_sent_is_not_counted() {
    let mut sim = Sim::new(site);
    let refused = sim.connect_and_send([post_chunked("/collect"), b"x\r\n".to_vec()].concat());
    assert_eq!((statuses(sim.received(refused)), sim.report().totals.refused), (vec![400], 1));
    let reset = sim.connect_and_send([post_chunked("/echo"), chunk(b"ab")].concat());
    sim.send(reset, b"x\r\n");
    assert_eq!((statuses(sim.received(reset)), sim.report().totals.refused), (vec![200], 1));
    assert!(sim.was_reset(reset));
}

#[test]
fn errors_of_accept_are_counted() {
    const EMFILE: i32 = 24;
    let mut sim = Sim::new(site);
    sim.fail_accepts([EMFILE, EMFILE]);
    let client = sim.connect();
    sim.advance(SECOND);
    sim.send(client, GET);
    assert_eq!(sim.report().totals.accept_errors, 2);
}
