//! Producers that wait until their time is over or until they are woken.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::support::*;
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Request, Response, Waker};

type Shared = (Option<Waker>, Vec<&'static str>, u32);

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap()
}

/// Sends the words in the box, then waits for four seconds.
struct Slot(Arc<Mutex<Shared>>);

impl Produce for Slot {
    fn start(&mut self, waker: Waker) {
        lock(&self.0).0 = Some(waker);
    }

    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        for word in lock(&self.0).1.drain(..) {
            if word == "end" {
                return Ok(Produced::End);
            }
            out.put(word.as_bytes());
        }
        Ok(Produced::Wait(4 * SECOND))
    }

    fn expire(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        lock(&self.0).2 += 1;
        out.put(b".");
        Ok(Produced::Wait(4 * SECOND))
    }
}

/// Its next bytes would be lost, so it is not asked for them.
#[test]
fn a_reset_ends_the_connection_of_a_producer_that_waits() {
    let shared = Arc::new(Mutex::new((None, vec!["a"], 0)));
    let slot = Arc::clone(&shared);
    let mut sim = Sim::new(move |_: &Request<'_>| {
        Response::ok("x/y", Body::produce(Slot(Arc::clone(&slot))))
    });
    let client = sim.connect_and_send(GET);
    sim.end(client);
    assert!(sim.is_open(client), "a half-closed client still reads");
    sim.reset(client);
    assert!(!sim.is_open(client));
    assert_eq!(Arc::strong_count(&shared), 2, "the producer is dropped");
}

#[test]
fn a_producer_that_waits_is_called_when_it_is_woken_and_when_its_time_is_over() {
    let shared = Arc::new(Mutex::new((None, vec!["a"], 0)));
    let slot = Arc::clone(&shared);
    let mut sim = Sim::new(move |_: &Request<'_>| {
        Response::ok("x/y", Body::produce(Slot(Arc::clone(&slot))))
    });
    let client = sim.connect_and_send(GET);
    assert!(
        text(&mut sim, client).ends_with("\r\n\r\n1\r\na\r\n"),
        "the words so far have been sent"
    );
    sim.advance(3 * SECOND);
    lock(&shared).1.push("bc");
    lock(&shared).0.as_ref().unwrap().wake();
    turn(&mut sim);
    assert_eq!(text(&mut sim, client), "2\r\nbc\r\n");
    sim.advance(3 * SECOND);
    assert_eq!(lock(&shared).2, 0, "the wait starts again with the word");
    sim.advance(6 * SECOND);
    assert_eq!((text(&mut sim, client).as_str(), lock(&shared).2), ("1\r\n.\r\n1\r\n.\r\n", 2));
    lock(&shared).1.push("end");
    lock(&shared).0.as_ref().unwrap().wake();
    turn(&mut sim);
    assert_eq!(text(&mut sim, client), "0\r\n\r\n");
    sim.send(client, GET);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 200 OK"), "the connection is kept alive");
}

/// Waits for the time that the test sets.
struct Patient(Arc<Mutex<(Option<Waker>, Duration)>>);

impl Produce for Patient {
    fn start(&mut self, waker: Waker) {
        lock(&self.0).0 = Some(waker);
    }

    fn produce(&mut self, _: &mut Out<'_>) -> io::Result<Produced> {
        Ok(Produced::Wait(lock(&self.0).1))
    }

    fn expire(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        out.put(b"late");
        Ok(Produced::End)
    }
}

#[test]
fn a_producer_may_change_the_length_of_its_wait() {
    for (before, then) in [(100, 2), (2, 100)] {
        let shared = Arc::new(Mutex::new((None, SECOND * before)));
        let own = Arc::clone(&shared);
        let patient =
            move |_: &Request<'_>| Response::ok("x/y", Body::produce(Patient(Arc::clone(&own))));
        let mut sim = Sim::new(patient);
        let client = sim.connect_and_send(GET);
        sim.advance(SECOND);
        lock(&shared).1 = SECOND * then;
        lock(&shared).0.as_ref().unwrap().wake();
        turn(&mut sim);
        happens_after(&mut sim, SECOND * then, |sim| sim.received(client).ends_with(b"0\r\n\r\n"));
    }
}

#[test]
fn while_a_producer_waits_no_system_call_is_made() {
    let shared = Arc::new(Mutex::new((None, Vec::new(), 0)));
    let mut sim = Sim::new(move |_: &Request<'_>| {
        Response::ok("x/y", Body::produce(Slot(Arc::clone(&shared))))
    });
    let client = sim.connect_and_send(GET);
    let polls = sim.polls();
    sim.advance(3 * SECOND);
    assert!(sim.polls() - polls <= 1);
    assert!(sim.is_open(client));
}

/// Ends when its time is over.
struct Last;

impl Produce for Last {
    fn produce(&mut self, _: &mut Out<'_>) -> io::Result<Produced> {
        Ok(Produced::Wait(2 * SECOND))
    }

    fn expire(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        out.put(b"last");
        Ok(Produced::End)
    }
}

#[test]
fn a_connection_ends_after_a_producer_that_ends_when_its_time_is_over() {
    let mut sim = Sim::new(|_: &Request<'_>| Response::ok("x/y", Body::produce(Last)));
    let kept = sim.connect_and_send(GET);
    let closed = sim.connect_and_send(b"GET / HTTP/1.0\r\n\r\n");
    sim.advance(3 * SECOND);
    assert!(text(&mut sim, kept).ends_with("4\r\nlast\r\n0\r\n\r\n"));
    assert!(text(&mut sim, closed).ends_with("\r\n\r\nlast"));
    assert!(sim.is_open(kept) && sim.has_ended(closed));
    sim.advance(101 * SECOND);
    assert!(!sim.is_open(kept) && !sim.is_open(closed));
}

#[test]
fn a_peer_that_sends_single_bytes_does_not_extend_the_wait_of_a_producer() {
    let mut sim = Sim::new(|_: &Request<'_>| Response::ok("x/y", Body::produce(Last)));
    let client = sim.connect_and_send(post("/", 1000, b""));
    for _ in 0..3 {
        sim.advance(SECOND);
        sim.send(client, b"x");
    }
    assert!(text(&mut sim, client).ends_with("4\r\nlast\r\n0\r\n\r\n"));
}

/// Each look of it takes longer than a visit may. Bytes that the client has sent meanwhile wait for the
/// end of the response, so they are no reason to look again.
#[test]
fn a_slow_producer_that_waits_is_not_asked_in_every_turn() {
    struct SlowLook(Blocker, Arc<Mutex<(u32, u32)>>);
    impl Produce for SlowLook {
        fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
            self.0.block(2 * MS);
            lock(&self.1).0 += 1;
            out.put(b"");
            Ok(Produced::Wait(4 * SECOND))
        }

        fn expire(&mut self, _: &mut Out<'_>) -> io::Result<Produced> {
            lock(&self.1).1 += 1;
            Ok(Produced::End)
        }
    }
    let counts = Arc::new(Mutex::new((0, 0)));
    let (blocker, of_producer) = (Blocker::default(), Arc::clone(&counts));
    let of_site = blocker.clone();
    let mut sim = Sim::new(move |_: &Request<'_>| {
        let producer = SlowLook(of_site.clone(), Arc::clone(&of_producer));
        Response::ok("x/y", Body::produce(producer))
    });
    blocker.attach(&mut sim);
    let client = sim.connect_and_send(GET);
    sim.send(client, GET);
    sim.end(client);
    let polls = sim.polls();
    sim.advance(3 * SECOND);
    assert!(sim.polls() - polls < 20, "{} turns", sim.polls() - polls);
    assert!(lock(&counts).0 < 8, "{} looks", lock(&counts).0);
    sim.advance(2 * SECOND);
    assert!(lock(&counts).1 > 0, "its time is over");
}
