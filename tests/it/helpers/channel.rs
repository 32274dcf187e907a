//! Content of a channel: another thread sends it, a slow client holds it up, and a cut is never
//! silent.

use std::sync::mpsc;

use crate::support::*;
use wheelhouse::body::{SendError, Sender};
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Handler, Limits, Request, Response};

/// A site whose content comes through channels that the test holds.
fn channels() -> (impl Handler, mpsc::Receiver<Sender>) {
    let (give, take) = mpsc::channel();
    let handler = move |_: &Request<'_>| -> Response {
        let (sender, body) = Body::channel(1000);
        give.send(sender).unwrap();
        Response::ok("text/plain", body)
    };
    (handler, take)
}

/// The silence before a piece may be long (t137, t30).
#[test]
fn each_piece_of_a_channel_is_written_at_once() {
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
fn a_sender_that_is_dropped_or_silent_causes_a_reset_and_not_a_clean_end() {
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
fn a_sender_waits_for_the_window_of_its_peer_and_sees_the_peer_leave() {
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
        assert!(sent < 20_000, "the sender never has to wait");
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
    assert!(sender.send("gone").is_err() && !sim.is_open(client));
}

/// The request and the end of the client's side come in one segment, as `nc -N` sends them.
#[test]
fn a_sender_notices_a_client_that_left_before_the_first_piece() {
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

/// A client that does not read cannot make channels hold more than the budget.
#[test]
fn content_in_channels_counts_against_the_budget_and_a_used_budget_is_a_full_channel() {
    let (give, senders) = mpsc::channel();
    let site = move |_: &Request<'_>| -> Response {
        let (sender, body) = Body::channel(1 << 20);
        // What waits before the response begins counts from then on.
        sender.try_send(vec![b'.'; 10_000]).unwrap();
        give.send(sender).unwrap();
        Response::ok("text/plain", body)
    };
    let limits = Limits { memory_bytes_max: 2 << 20, ..Limits::default() };
    let mut sim = limited(site, limits);
    let clients: Vec<_> = (0..10).map(|_| sim.connect()).collect();
    for &client in &clients {
        sim.stall(client, 1000);
        sim.send(client, GET);
    }
    let senders: Vec<Sender> = senders.try_iter().collect();
    let before = sim.memory();
    let mut taken = 0;
    for _ in 0..100 {
        taken +=
            senders.iter().filter(|sender| sender.try_send(vec![b'.'; 10_000]).is_ok()).count();
    }
    assert!((80..190).contains(&taken), "{taken} of 10 kB each in 2 MiB");
    assert!(sim.memory() <= 2 << 20 && sim.memory() >= before + (taken - 10) * 10_000);
    // The pieces of a client that has left are dropped at once, though its sender stays.
    for &client in &clients {
        sim.reset(client);
    }
    assert!(senders[0].try_send("x").is_err());
    assert!(sim.memory() <= before);
}

/// A site whose content has `len` announced bytes, and comes through channels that the test holds.
fn announced(len: u64) -> (Sim, mpsc::Receiver<Sender>) {
    let (give, take) = mpsc::channel();
    let site = move |_: &Request<'_>| -> Response {
        let (sender, body) = Body::channel_exactly(len, 1000);
        give.send(sender).unwrap();
        Response::ok("text/plain", body)
    };
    (Sim::new(site), take)
}

#[test]
fn a_channel_with_an_announced_length_is_sent_with_it_and_needs_no_finish() {
    for drops_early in [true, false] {
        let (mut sim, senders) = announced(8);
        let client = sim.connect_and_send(GET);
        let sender = senders.recv().unwrap();
        sender.send("half").unwrap();
        if !drops_early {
            turn(&mut sim);
        }
        sender.send("half").unwrap();
        drop(sender);
        turn(&mut sim);
        let received = text(&mut sim, client);
        assert!(received.contains("\r\nContent-Length: 8\r\n"), "{received}");
        assert!(received.ends_with("\r\n\r\nhalfhalf"), "{received}");
        sim.send(client, GET);
        assert!(sim.is_open(client), "the connection is kept alive");
    }
}

#[test]
fn a_channel_that_ends_short_of_its_announced_length_resets_the_connection() {
    for finishes in [true, false] {
        let (mut sim, senders) = announced(8);
        let client = sim.connect_and_send(GET);
        let sender = senders.recv().unwrap();
        sender.send("seven..").unwrap();
        match finishes {
            true => sender.finish(),
            false => drop(sender),
        }
        turn(&mut sim);
        assert!(sim.was_reset(client));
    }
}

/// The bytes over its length are not sent, and the next response begins where it should.
#[test]
fn a_channel_that_has_more_than_its_announced_length_is_cut_off_there() {
    for more in ["four, and more", "four"] {
        let (mut sim, senders) = announced(4);
        let client = sim.connect_and_send(GET.repeat(2));
        let first = senders.recv().unwrap();
        first.send(more).unwrap();
        turn(&mut sim);
        assert_eq!(first.send("and more"), Err(SendError::Closed("and more".into())));
        senders.recv().unwrap().send("next").unwrap();
        turn(&mut sim);
        let received = text(&mut sim, client);
        assert!(received.contains("\r\n\r\nfourHTTP/1.1 200 OK\r\n"), "{received}");
        assert!(received.ends_with("\r\n\r\nnext"), "{received}");
    }
}

#[test]
fn a_channel_is_closed_at_once_if_the_response_has_no_content() {
    for len in [0, 8] {
        let (mut sim, senders) = announced(len);
        let method = if len == 0 { "GET" } else { "HEAD" };
        let response = sim.request(method, "/").send();
        assert_eq!(response.header("Content-Length"), Some(&*len.to_string()));
        let sender = senders.recv().unwrap();
        assert_eq!(sender.send("x"), Err(SendError::Closed("x".into())));
    }
}
