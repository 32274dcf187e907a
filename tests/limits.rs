//! Limits of what handlers and helpers look at: all in `Limits`, like those of the protocol.

mod support;

use support::{happens_after, SECOND};
use wheelhouse::files::Files;
use wheelhouse::sim::{Sim, SimBuilder};
use wheelhouse::{ConnState, Limits, Request};

use std::cell::RefCell;
use std::rc::Rc;

/// w52.
#[test]
fn pairs_cookies_and_ranges_are_bounded_by_the_limits_of_the_server() {
    let limits = Limits { pairs_max: 2, cookies_max: 2, ranges_max: 2, ..Limits::default() };
    let files = Files::new(env!("CARGO_MANIFEST_DIR")).unwrap();
    let site = move |req: &Request<'_>| match req.path() {
        "/asked" => {
            let pairs = req.query_pairs();
            wheelhouse::Response::text(format!(
                "{} {:?} {}",
                pairs.iter().count(),
                pairs.check().is_ok(),
                req.cookies().count()
            ))
        }
        _ => files.answer(req),
    };
    let mut sim = Sim::with_limits(site, limits).unwrap();
    let client = sim.connect();
    for (query, cookie, answer) in
        [("a=1&b=2", "a=1; b=2", "2 true 2"), ("a=1&b=2&c=3", "a=1; b=2; c=3", "2 false 0")]
    {
        let head = format!("GET /asked?{query} HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
        sim.send(client, head.as_bytes());
        assert!(sim.take_received(client).ends_with(answer.as_bytes()), "{answer}");
    }
    for (ranges, status) in [("0-0,2-2", "206"), ("0-0,2-2,4-4", "200")] {
        let head = format!("GET /Cargo.toml HTTP/1.1\r\nHost: a\r\nRange: bytes={ranges}\r\n\r\n");
        sim.send(client, head.as_bytes());
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    }
}

/// w53: a limiter that counts states sees who is slow with a head.
#[test]
fn a_connection_is_active_from_the_first_bytes_of_a_head_on() {
    use ConnState::{Active, Closed, Idle, New};
    let states = Rc::new(RefCell::new(Vec::new()));
    let hook = Rc::clone(&states);
    let mut sim = SimBuilder::new()
        .on_state(move |_, state| hook.borrow_mut().push(state))
        .build(|_: &Request<'_>| "hello");
    let client = sim.connect();
    sim.send(client, b"\r\n");
    assert_eq!(*states.borrow(), [New], "an empty line is no beginning");
    sim.send(client, b"G");
    assert_eq!(*states.borrow(), [New, Active]);
    sim.send(client, b"ET / HTTP/1.1\r\nHost: a\r\n");
    sim.send(client, b"\r\n");
    assert_eq!(*states.borrow(), [New, Active, Idle], "it is told once");
    sim.send(client, b"GET / HT");
    assert_eq!(*states.borrow(), [New, Active, Idle, Active]);
    happens_after(&mut sim, 10 * SECOND, |sim| sim.has_ended(client));
    sim.end(client);
    assert_eq!(*states.borrow(), [New, Active, Idle, Active, Closed]);
}
