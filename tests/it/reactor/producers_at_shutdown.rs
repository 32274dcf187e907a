//! Producers at a graceful shutdown: each is notified once, and its response ends well or is reset
//! at the deadline.

use std::io;
use std::sync::{Arc, Mutex};

use crate::support::*;
use crate::support::{shut_down, shut_down_within};
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::events::Topic;
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Request, Response};

/// The calls of a producer.
type Calls = Arc<Mutex<Vec<&'static str>>>;

/// The reaction of a producer to a shutdown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reaction {
    /// Puts a last word and ends.
    Ends,
    /// Ignores the notice.
    None,
    Panics,
}

/// Puts a byte and waits for a minute; or, if it is large, always has more.
struct Stream {
    calls: Calls,
    reaction: Reaction,
    is_large: bool,
    ends: bool,
}

impl Produce for Stream {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        self.calls.lock().unwrap().push("produce");
        if self.ends {
            out.put(b"bye");
            return Ok(Produced::End);
        }
        if self.is_large {
            out.put(&vec![b'.'; out.room()]);
            return Ok(Produced::More);
        }
        out.put(b".");
        Ok(Produced::Wait(60 * SECOND))
    }

    fn shutdown(&mut self) {
        self.calls.lock().unwrap().push("shutdown");
        assert!(self.reaction != Reaction::Panics, "shutdown of a test");
        self.ends = self.reaction == Reaction::Ends;
    }
}

fn stream(calls: &Calls, reaction: Reaction) -> impl FnMut(&Request<'_>) -> Response {
    let calls = Arc::clone(calls);
    move |req| {
        let (calls, is_large) = (Arc::clone(&calls), req.path() == "/large");
        Response::ok("x/y", Body::produce(Stream { calls, reaction, is_large, ends: false }))
    }
}

const LARGE: &[u8] = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_producer_that_waits_is_notified_of_a_shutdown_and_may_end() {
    let calls = Calls::default();
    let mut sim = Sim::new(stream(&calls, Reaction::Ends));
    let client = sim.connect_and_send(GET);
    sim.advance(SECOND);
    assert_eq!(*calls.lock().unwrap(), ["produce"], "not before the shutdown");
    sim.take_received(client);
    shut_down(&mut sim);
    assert_eq!(sim.take_received(client), b"3\r\nbye\r\n0\r\n\r\n");
    assert_eq!(*calls.lock().unwrap(), ["produce", "shutdown", "produce"]);
    sim.advance(2 * SECOND);
    assert!(!sim.is_running() && !sim.was_reset(client));
    assert_eq!((sim.report().drained, sim.report().reset), (1, 0));
}

#[test]
fn a_producer_is_notified_once_and_reset_at_the_deadline_if_it_continues() {
    let calls = Calls::default();
    let mut sim = Sim::new(stream(&calls, Reaction::None));
    let client = sim.connect_and_send(GET);
    shut_down_within(&mut sim, 10 * SECOND);
    sim.end(client);
    sim.advance(9 * SECOND);
    assert!(sim.is_running());
    let notices = calls.lock().unwrap().iter().filter(|&&call| call == "shutdown").count();
    assert_eq!(notices, 1);
    sim.advance(2 * SECOND);
    assert!(!sim.is_running() && sim.was_reset(client));
    assert_eq!((sim.report().drained, sim.report().reset), (0, 1));
}

/// The output waits for the client, so the producer is notified when there is room again.
#[test]
fn a_producer_whose_reader_is_slow_ends_when_the_reader_continues() {
    let calls = Calls::default();
    let mut sim = Sim::new(stream(&calls, Reaction::Ends));
    let client = sim.connect();
    sim.stall(client, 1000);
    sim.send(client, LARGE);
    shut_down(&mut sim);
    assert!(!calls.lock().unwrap().contains(&"shutdown"));
    sim.unstall(client);
    sim.advance(2 * SECOND);
    assert!(sim.received(client).ends_with(b"3\r\nbye\r\n0\r\n\r\n"));
    assert_eq!(calls.lock().unwrap()[1..], ["shutdown", "produce"]);
    assert!(!sim.is_running() && !sim.was_reset(client));
}

/// A request that arrives with the shutdown is served, and its producer should end soon, too.
#[test]
fn a_producer_that_begins_in_a_shutdown_is_notified_before_its_first_call() {
    let calls = Calls::default();
    let mut sim = Sim::new(stream(&calls, Reaction::Ends));
    let client = sim.connect();
    sim.pause();
    sim.send(client, GET);
    shut_down(&mut sim);
    sim.resume();
    let received = sim.take_received(client);
    assert!(received.ends_with(b"3\r\nbye\r\n0\r\n\r\n"), "{}", String::from_utf8_lossy(&received));
    assert_eq!(*calls.lock().unwrap(), ["shutdown", "produce"]);
}

#[test]
fn a_producer_that_panics_at_the_shutdown_costs_one_connection() {
    let calls = Calls::default();
    let mut sim = Sim::new(stream(&calls, Reaction::Panics));
    let client = sim.connect_and_send(GET);
    let idle = sim.connect();
    shut_down(&mut sim);
    assert!(sim.was_reset(client) && !sim.was_reset(idle));
    assert_eq!(sim.report().totals.panics, 1);
}

#[test]
fn streams_of_events_end_after_the_last_event_and_do_not_hold_the_shutdown_up() {
    let topic = Topic::new(8);
    let events = topic.clone();
    let mut sim = Sim::new(move |req: &Request<'_>| events.subscribe(req));
    let readers = [(); 3].map(|()| sim.connect_and_send(GET));
    for &reader in &readers {
        sim.take_received(reader);
    }
    sim.pause();
    topic.publish("last");
    shut_down(&mut sim);
    sim.resume();
    for &reader in &readers {
        let received = String::from_utf8(sim.take_received(reader)).unwrap();
        assert!(received.contains("id: 1\ndata: last\n\n"), "{received}");
        assert!(received.ends_with("0\r\n\r\n") && !sim.was_reset(reader), "{received}");
    }
    assert_eq!(topic.readers(), 0);
    sim.advance(2 * SECOND);
    assert!(!sim.is_running());
    assert_eq!((sim.report().drained, sim.report().reset), (3, 0));
}
