//! Server-sent events: readers that connect, reconnect, are slow, and leave.

use crate::support::*;
use wheelhouse::events::{Event, Slow, Topic, TopicOptions};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Reply, Request, Response};

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
fn all_readers_get_the_events_published_after_they_connected() {
    let topic = Topic::new(8);
    let mut sim = Sim::new(site(&topic));
    topic.publish("before");
    let readers: Vec<Client> = (0..50).map(|_| sim.connect_and_send(EVENTS)).collect();
    assert_eq!(topic.readers(), 50);
    let first = text(&mut sim, readers[0]);
    assert!(first.contains("Content-Type: text/event-stream\r\n"), "{first}");
    assert_eq!(events(&first), [": here"]);
    assert_eq!(topic.publish(Event::new("after").named("tick")), 2);
    turn(&mut sim);
    for &reader in &readers {
        let got = text(&mut sim, reader);
        assert!(got.contains("id: 2\nevent: tick\ndata: after\n\n"), "{got}");
    }
}

/// Two readers take all that they are sent, one takes nothing. Only the last misses events.
#[test]
fn a_publisher_of_many_events_at_once_sees_that_a_topic_is_full() {
    let topic = Topic::new(16);
    let mut sim = Sim::new(site(&topic));
    let readers: Vec<Client> = (0..3).map(|_| sim.connect_and_send(EVENTS)).collect();
    sim.stall(readers[2], 300);
    let (mut published, mut turns) = (0, 0);
    while published < 100 {
        assert!(turns < 20, "a reader that does not read does not keep a topic full");
        while published < 100 && !topic.is_full() {
            published = topic.publish(format!("an event with some text {published}"));
        }
        sim.advance(10 * MS);
        turns += 1;
    }
    for &reader in &readers[..2] {
        let text = text(&mut sim, reader);
        assert!(!text.contains("missed") && events(&text).len() == 101, "{text}");
    }
    sim.unstall(readers[2]);
    assert!(text(&mut sim, readers[2]).contains("events missed"));
}

#[test]
fn a_reader_counts_against_the_budget_while_it_is_connected() {
    let topic = Topic::new(16);
    let mut sim = Sim::new(site(&topic));
    let base = base(&mut sim);
    let reader = sim.connect_and_send(EVENTS);
    assert!(sim.memory() >= base + 320, "{} more", sim.memory() - base);
    // An event that it does not take is its memory, too: the ring may drop it.
    sim.stall(reader, 1000);
    topic.publish("x".repeat(200_000));
    turn(&mut sim);
    assert!(sim.memory() >= base + 190_000);
    sim.reset(reader);
    assert_eq!((topic.readers(), sim.memory()), (0, base));
}

#[test]
fn a_reader_that_reconnects_continues_after_its_last_event() {
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
fn a_slow_reader_skips_events_or_is_cut_off_and_costs_no_memory() {
    for slow in [Slow::Skip, Slow::Cut] {
        let topic = Topic::with_options(TopicOptions::new(4).slow(slow));
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
            _ => assert!(got.ends_with("\r\n0\r\n\r\n")),
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

/// The request and the end of the peer's side come in one segment, as `nc -N` sends them.
#[test]
fn the_end_of_a_reader_that_left_before_its_stream_began_is_noticed_while_it_waits() {
    let topic = Topic::new(4);
    topic.publish("missed");
    let mut sim = Sim::new(site(&topic));
    let client = sim.connect();
    sim.send_and_end(client, b"GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 0\r\n\r\n");
    let got = text(&mut sim, client);
    assert!(got.contains("data: missed\n\n") && got.ends_with("\r\n0\r\n\r\n"), "{got}");
    assert_eq!(topic.readers(), 0);
}

/// The reader names the last event it saw each time, and must make progress.
#[test]
fn a_reader_that_was_cut_off_continues_with_the_oldest_event_that_is_kept() {
    let topic = Topic::with_options(TopicOptions::new(2).slow(Slow::Cut));
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
fn readers_are_capped_and_closing_a_topic_ends_their_streams() {
    let topic = Topic::with_options(TopicOptions::new(4).readers_max(1));
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
fn a_head_request_does_not_start_a_stream() {
    let topic = Topic::new(4);
    let mut sim = Sim::new(site(&topic));
    let client = sim.connect_and_send(b"HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(text(&mut sim, client).ends_with("\r\n\r\n"));
    assert_eq!(topic.readers(), 0);
    sim.send(client, GET);
    assert!(text(&mut sim, client).ends_with("plain"));
    sim.advance(MS);
}

/// Code inside the loop may publish, too.
#[test]
fn a_handler_may_publish_events() {
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
