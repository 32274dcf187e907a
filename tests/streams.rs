//! Content that comes when it comes: producers that wait, channels from other threads, and
//! server-sent events.

mod support;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use support::{happens_after, GET, MS, SECOND};
use wheelhouse::events::{Event, Slow, Topic};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{
    channel, Body, Handler, Out, Produce, Produced, Reply, Request, Response, Sender, Waker,
};

fn turn<H: Handler>(sim: &mut Sim<H>) {
    sim.advance(Duration::ZERO);
}

fn text<H: Handler>(sim: &mut Sim<H>, client: Client) -> String {
    String::from_utf8(sim.take_received(client)).unwrap()
}

type Shared = (Option<Waker>, Vec<&'static str>, u32);

/// Says what lies in the box, then waits for four seconds.
struct Slot(Rc<RefCell<Shared>>);

impl Produce for Slot {
    fn start(&mut self, waker: Waker) {
        self.0.borrow_mut().0 = Some(waker);
    }

    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        for word in self.0.borrow_mut().1.drain(..) {
            if word == "end" {
                return Ok(Produced::End);
            }
            out.put(word.as_bytes());
        }
        Ok(Produced::Wait(4 * SECOND))
    }

    fn expire(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        self.0.borrow_mut().2 += 1;
        out.put(b".");
        Ok(Produced::Wait(4 * SECOND))
    }
}

#[test]
fn a_producer_that_waits_is_asked_when_it_is_woken_and_when_its_time_is_over() {
    let shared = Rc::new(RefCell::new((None, vec!["a"], 0)));
    let slot = Rc::clone(&shared);
    let mut sim =
        Sim::new(move |_: &Request<'_>| Response::ok("x/y", Body::produce(Slot(Rc::clone(&slot)))));
    let client = sim.connect_and_send(GET);
    assert!(text(&mut sim, client).ends_with("\r\n\r\n1\r\na\r\n"), "what there was has left");
    sim.advance(3 * SECOND);
    shared.borrow_mut().1.push("bc");
    shared.borrow().0.as_ref().unwrap().wake();
    turn(&mut sim);
    assert_eq!(text(&mut sim, client), "2\r\nbc\r\n");
    sim.advance(3 * SECOND);
    assert_eq!(shared.borrow().2, 0, "the wait began anew with the word");
    sim.advance(6 * SECOND);
    assert_eq!((text(&mut sim, client).as_str(), shared.borrow().2), ("1\r\n.\r\n1\r\n.\r\n", 2));
    shared.borrow_mut().1.push("end");
    shared.borrow().0.as_ref().unwrap().wake();
    turn(&mut sim);
    assert_eq!(text(&mut sim, client), "0\r\n\r\n");
    sim.send(client, GET);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 200 OK"), "the connection is kept");
}

/// Waits for as long as it is told.
struct Patient(Rc<RefCell<(Option<Waker>, Duration)>>);

impl Produce for Patient {
    fn start(&mut self, waker: Waker) {
        self.0.borrow_mut().0 = Some(waker);
    }

    fn produce(&mut self, _: &mut Out<'_>) -> io::Result<Produced> {
        Ok(Produced::Wait(self.0.borrow().1))
    }

    fn expire(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        out.put(b"late");
        Ok(Produced::End)
    }
}

#[test]
fn a_producer_may_wait_longer_or_shorter_than_it_said_before() {
    for (before, then) in [(100, 2), (2, 100)] {
        let shared = Rc::new(RefCell::new((None, SECOND * before)));
        let own = Rc::clone(&shared);
        let patient =
            move |_: &Request<'_>| Response::ok("x/y", Body::produce(Patient(Rc::clone(&own))));
        let mut sim = Sim::new(patient);
        let client = sim.connect_and_send(GET);
        sim.advance(SECOND);
        shared.borrow_mut().1 = SECOND * then;
        shared.borrow().0.as_ref().unwrap().wake();
        turn(&mut sim);
        happens_after(&mut sim, SECOND * then, |sim| sim.received(client).ends_with(b"0\r\n\r\n"));
    }
}

#[test]
fn while_a_producer_waits_no_system_call_is_made() {
    let shared = Rc::new(RefCell::new((None, Vec::new(), 0)));
    let mut sim = Sim::new(move |_: &Request<'_>| {
        Response::ok("x/y", Body::produce(Slot(Rc::clone(&shared))))
    });
    let client = sim.connect_and_send(GET);
    let polls = sim.polls();
    sim.advance(3 * SECOND);
    assert!(sim.polls() - polls <= 1);
    assert!(sim.is_open(client));
}

/// Has its last word when its time is over.
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
fn a_producer_that_ends_when_its_time_is_over_lets_the_connection_go() {
    let mut sim = Sim::new(|_: &Request<'_>| Response::ok("x/y", Body::produce(Last)));
    let kept = sim.connect_and_send(GET);
    let closed = sim.connect_and_send(b"GET / HTTP/1.0\r\n\r\n");
    sim.advance(3 * SECOND);
    assert!(text(&mut sim, kept).ends_with("4\r\nlast\r\n0\r\n\r\n"));
    assert!(text(&mut sim, closed).ends_with("\r\n\r\nlast"));
    assert!(sim.is_open(kept) && sim.has_ended(closed));
    sim.advance(61 * SECOND);
    assert!(!sim.is_open(kept) && !sim.is_open(closed));
}

#[test]
fn a_peer_that_drips_content_does_not_prolong_the_silence_of_a_producer() {
    let mut sim = Sim::new(|_: &Request<'_>| Response::ok("x/y", Body::produce(Last)));
    let client = sim.connect_and_send(&support::post("/", 1000, b""));
    for _ in 0..3 {
        sim.advance(SECOND);
        sim.send(client, b"x");
    }
    assert!(text(&mut sim, client).ends_with("4\r\nlast\r\n0\r\n\r\n"));
}

/// A site whose content comes through channels that the test holds.
fn channels() -> (impl Handler<State = ()>, mpsc::Receiver<Sender>) {
    let (give, take) = mpsc::channel();
    let handler = move |_: &Request<'_>| -> Response {
        let (sender, body) = channel(1000);
        give.send(sender).unwrap();
        Response::ok("text/plain", body)
    };
    (handler, take)
}

/// t137, t30: what was sent leaves at once, however long the silence before it.
#[test]
fn each_piece_of_a_channel_leaves_when_it_is_sent() {
    let (site, senders) = channels();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    assert!(text(&mut sim, client).ends_with("\r\n\r\n"), "the head does not wait for content");
    let sender = senders.recv().unwrap();
    for (piece, chunk) in [("one", "3\r\none\r\n"), ("four", "4\r\nfour\r\n")] {
        sender.send(piece).unwrap();
        turn(&mut sim);
        assert_eq!(text(&mut sim, client), chunk);
        sim.advance(60 * SECOND);
    }
    sender.finish();
    turn(&mut sim);
    assert_eq!(text(&mut sim, client), "0\r\n\r\n");
    assert!(sim.is_open(client));
}

#[test]
fn a_sender_that_is_dropped_or_silent_ends_in_a_reset_and_not_in_a_lie() {
    let (site, senders) = channels();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    senders.recv().unwrap().send("half").unwrap();
    turn(&mut sim);
    assert!(sim.was_reset(client) && !text(&mut sim, client).ends_with("0\r\n\r\n"));
    let client = sim.connect_and_send(GET);
    let sender = senders.recv().unwrap();
    sim.advance(299 * SECOND);
    assert!(sim.is_open(client));
    sim.advance(2 * SECOND);
    assert!(sim.was_reset(client));
    assert!(sender.send("to nobody").is_err());
}

#[test]
fn a_sender_is_held_up_by_the_window_of_its_peer_and_sees_it_leave() {
    let (site, senders) = channels();
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.stall(client, 5000);
    sim.send(client, GET);
    let sender = senders.recv().unwrap();
    let mut sent = 0;
    while sender.try_send(vec![b'x'; 500]).is_ok() {
        sent += 500;
        turn(&mut sim);
        assert!(sent < 20_000, "nothing holds the sender up");
    }
    assert!(sent >= 5000);
    sim.unstall(client);
    assert!(sender.try_send("y").is_ok() && !sender.peer_has_left());
    sim.end(client);
    assert!(sender.peer_has_left());
    sender.finish();
    turn(&mut sim);
    assert!(text(&mut sim, client).ends_with("1\r\ny\r\n0\r\n\r\n"), "a half-closed peer reads on");
    let client = sim.connect_and_send(GET);
    let sender = senders.recv().unwrap();
    sim.reset(client);
    sender.send("found out by writing").unwrap();
    turn(&mut sim);
    assert!(sender.send("gone").is_err());
}

fn site(topic: &Topic) -> impl FnMut(&Request<'_>) -> Response {
    let topic = topic.clone();
    move |req| match req.path() {
        "/events" => topic.subscribe(req),
        _ => Response::text("plain"),
    }
}

const EVENTS: &[u8] = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n";

/// The events of a stream, without the framing.
fn events(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("data:") || line.starts_with(": ")).collect()
}

#[test]
fn all_readers_get_what_is_published_after_they_came() {
    let topic = Topic::new(8);
    let mut sim = Sim::new(site(&topic));
    topic.publish("before");
    let readers: Vec<Client> = (0..50).map(|_| sim.connect_and_send(EVENTS)).collect();
    assert_eq!(topic.readers(), 50);
    let first = text(&mut sim, readers[0]);
    assert!(first.contains("Content-Type: text/event-stream\r\n"), "{first}");
    assert_eq!(events(&first), [": here"]);
    assert_eq!(topic.publish(Event::data("after").named("tick")), 2);
    turn(&mut sim);
    for &reader in &readers {
        let got = text(&mut sim, reader);
        assert!(got.contains("id: 2\nevent: tick\ndata: after\n\n"), "{got}");
    }
}

#[test]
fn a_reader_that_comes_back_goes_on_where_it_was() {
    let topic = Topic::new(3);
    let mut sim = Sim::new(site(&topic));
    for n in 1..=5 {
        topic.publish(format!("event {n}"));
    }
    for (last, wanted) in [
        ("4", vec![": here", "data: event 5"]),
        (
            "1",
            vec![": here", ": 1 events missed", "data: event 3", "data: event 4", "data: event 5"],
        ),
        ("5", vec![": here"]),
        ("99", vec![": here"]),
        ("x", vec![": here"]),
    ] {
        let head = format!("GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: {last}\r\n\r\n");
        let client = sim.connect_and_send(head.as_bytes());
        assert_eq!(events(&text(&mut sim, client)), wanted, "{last}");
    }
}

#[test]
fn a_slow_reader_skips_or_is_cut_off_and_costs_no_memory() {
    for slow in [Slow::Skip, Slow::Cut] {
        let topic = Topic::new(4).with_slow(slow);
        let mut sim = Sim::new(site(&topic));
        let (quick, stalled) = (sim.connect_and_send(EVENTS), sim.connect_and_send(EVENTS));
        sim.stall(stalled, 2000);
        let memory = sim.memory();
        for n in 0..100 {
            topic.publish(format!("{n:0>500}"));
            turn(&mut sim);
            assert!(sim.memory() <= memory + (64 << 10));
        }
        assert_eq!(events(&text(&mut sim, quick)).len(), 101);
        sim.unstall(stalled);
        sim.advance(SECOND);
        let got = text(&mut sim, stalled);
        let last = events(&got).last().unwrap().trim_start_matches(['d', 'a', 't', ':', ' ', '0']);
        match slow {
            Slow::Skip => {
                assert!(got.contains(" events missed\n\n") && last == "99", "{last}");
                assert!(!got.ends_with("\r\n0\r\n\r\n"));
            }
            Slow::Cut => assert!(got.ends_with("\r\n0\r\n\r\n")),
        }
    }
}

#[test]
fn a_stream_has_a_heartbeat_and_ends_with_its_reader() {
    let topic = Topic::new(4);
    let mut sim = Sim::new(site(&topic));
    let client = sim.connect_and_send(EVENTS);
    text(&mut sim, client);
    sim.advance(31 * SECOND);
    assert_eq!(text(&mut sim, client), "3\r\n:\n\n\r\n3\r\n:\n\n\r\n");
    sim.advance(3600 * SECOND);
    assert!(sim.is_open(client));
    sim.end(client);
    assert!(!sim.is_open(client));
    assert_eq!(topic.readers(), 0);
    let silent = sim.connect_and_send(EVENTS);
    sim.reset(silent);
    sim.advance(16 * SECOND);
    assert_eq!(topic.readers(), 0);
}

/// A request and the end of the peer's side in one segment, as `nc -N` sends them.
#[test]
fn who_left_before_the_stream_began_is_seen_when_it_waits() {
    let topic = Topic::new(4);
    topic.publish("missed");
    let mut sim = Sim::new(site(&topic));
    let client = sim.connect();
    sim.send_and_end(client, b"GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 0\r\n\r\n");
    let got = text(&mut sim, client);
    assert!(got.contains("data: missed\n\n") && got.ends_with("\r\n0\r\n\r\n"), "{got}");
    assert_eq!(topic.readers(), 0);
    let (site, senders) = channels();
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.send_and_end(client, GET);
    let sender = senders.recv().unwrap();
    assert!(sender.peer_has_left());
    sender.send("all the same").unwrap();
    sender.finish();
    turn(&mut sim);
    assert!(text(&mut sim, client).ends_with("all the same\r\n0\r\n\r\n"));
}

/// It names the last event it saw each time, and must get beyond it.
#[test]
fn a_reader_that_was_cut_off_comes_back_to_the_oldest_event_there_is() {
    let topic = Topic::new(2).with_slow(Slow::Cut);
    let mut sim = Sim::new(site(&topic));
    for n in 1..=5 {
        topic.publish(format!("event {n}"));
    }
    let again = b"GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 1\r\n\r\n";
    let client = sim.connect_and_send(again);
    let wanted = [": here", ": 2 events missed", "data: event 4", "data: event 5"];
    assert_eq!(events(&text(&mut sim, client)), wanted);
    assert!(sim.is_open(client) && topic.readers() == 1);
}

#[test]
fn readers_are_capped_and_a_closed_topic_sends_them_home() {
    let topic = Topic::new(4).with_readers_max(1);
    let mut sim = Sim::new(site(&topic));
    let first = sim.connect_and_send(EVENTS);
    let second = sim.connect_and_send(EVENTS);
    assert!(text(&mut sim, second).starts_with("HTTP/1.1 503 "));
    topic.publish("last words");
    topic.close();
    turn(&mut sim);
    let got = text(&mut sim, first);
    assert!(got.contains("data: last words\n\n") && got.ends_with("\r\n0\r\n\r\n"), "{got}");
    sim.send(first, EVENTS);
    assert!(text(&mut sim, first).starts_with("HTTP/1.1 204 "));
}

#[test]
fn a_head_request_begins_no_stream() {
    let topic = Topic::new(4);
    let mut sim = Sim::new(site(&topic));
    let client = sim.connect_and_send(b"HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(text(&mut sim, client).ends_with("\r\n\r\n"));
    assert_eq!(topic.readers(), 0);
    sim.send(client, GET);
    assert!(text(&mut sim, client).ends_with("plain"));
    sim.advance(MS);
}

#[test]
fn a_drain_waits_for_a_stream_until_its_deadline() {
    let topic = Topic::new(4);
    let mut sim = Sim::new(site(&topic));
    let client = sim.connect_and_send(EVENTS);
    sim.shutdown(Some(5 * SECOND));
    sim.advance(SECOND);
    topic.publish("still on");
    turn(&mut sim);
    assert!(text(&mut sim, client).contains("data: still on"));
    sim.advance(5 * SECOND);
    assert!(!sim.is_running() && sim.was_reset(client));
}

/// Answers from inside the loop may publish too.
#[test]
fn a_handler_may_publish_to_the_readers() {
    let topic = Topic::new(4);
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        match req.path() {
            "/events" => topic.subscribe(req).into(),
            _ => {
                topic.publish("from a handler");
                "published".into()
            }
        }
    });
    let reader = sim.connect_and_send(EVENTS);
    sim.connect_and_send(GET);
    assert!(text(&mut sim, reader).contains("data: from a handler"));
}
