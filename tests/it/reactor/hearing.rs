//! Clients that came in time are heard before their deadlines are judged, however time passes
//! without the loop looking: in a signal, in a stop of the process, in a function of the program
//! that blocks, or in a crowd.

use crate::support::*;
use wheelhouse::runtime::{Admission, ConnectionState, NewConnection};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Later, Limits, Request, Server};

/// A client with a wait that ends after a second, and the rest of its request.
struct Waiting {
    client: Client,
    rest: Vec<u8>,
    expected: u16,
}

fn short() -> Limits {
    Limits {
        head_timeout: SECOND,
        idle_timeout: SECOND,
        idle_timeout_min: SECOND,
        content_window: SECOND,
        ..Limits::default()
    }
}

/// Clients in every wait in which the server owes them an ear.
fn waiting<S: 'static>(sim: &mut Sim<S>) -> Vec<Waiting> {
    let wait = |client, rest: &[u8]| Waiting { client, rest: rest.to_vec(), expected: 200 };
    let idle = sim.connect();
    sim.send(idle, GET);
    sim.take_received(idle);
    let new = sim.connect();
    let half = sim.connect_and_send(&GET[..20]);
    let collected = sim.connect_and_send(post("/collect", 5, b"ab"));
    let received = sim.connect_and_send(post("/receive", 5, b"ab"));
    let echoed = sim.connect_and_send(post("/echo", 5, b"ab"));
    let chunked = sim.connect_and_send(post_chunked("/collect"));
    let chunks = [chunk(b"ab"), chunk(b"")].concat();
    let discarded = sim.connect_and_send(post("/noread", 5, b"ab"));
    vec![
        wait(idle, GET),
        wait(new, GET),
        wait(half, &GET[20..]),
        wait(collected, b"cde"),
        wait(received, b"cde"),
        wait(echoed, b"cde"),
        wait(chunked, &chunks),
        wait(discarded, &[b"cde", GET].concat()),
    ]
}

fn assert_served<S: 'static>(sim: &mut Sim<S>, all: &[Waiting], how: &str) {
    for (n, waiting) in all.iter().enumerate() {
        let statuses = statuses(sim.received(waiting.client));
        assert_eq!(statuses.last(), Some(&waiting.expected), "{how}: client {n}: {statuses:?}");
        assert!(!sim.was_reset(waiting.client), "{how}: client {n}");
    }
}

/// The process stops before the clients send the rest, and goes on after their deadlines. The
/// signal that continues it interrupts the poll.
#[test]
fn clients_that_sent_during_a_stop_are_heard_although_a_signal_interrupts_the_poll() {
    for interrupts in 0..4 {
        let mut sim = limited(site, short());
        let all = waiting(&mut sim);
        sim.pause();
        sim.advance(300 * MS);
        for waiting in &all {
            sim.send(waiting.client, &waiting.rest);
        }
        sim.advance(20 * SECOND);
        sim.interrupt_polls(interrupts);
        sim.resume();
        assert_served(&mut sim, &all, &format!("{interrupts} interrupts"));
        // From then on each waits for the next request, and has its whole time for it.
        sim.advance(SECOND - MS);
        for waiting in &all {
            sim.send(waiting.client, GET);
        }
        for waiting in &all {
            let statuses = statuses(&sim.take_received(waiting.client));
            assert_eq!(statuses.last(), Some(&200));
            assert!(sim.is_open(waiting.client));
        }
    }
}

/// The poll has looked already, and the clock is read after the stop.
#[test]
fn a_client_that_sends_between_the_poll_and_the_reading_of_the_clock_is_heard() {
    for n in 0..8 {
        let mut sim = limited(site, short());
        let waiting = waiting(&mut sim).swap_remove(n);
        sim.stop_after_poll(20 * SECOND, waiting.client, &waiting.rest);
        turn(&mut sim);
        assert_served(&mut sim, &[waiting], "stopped after the poll");
    }
}

#[test]
fn clients_that_did_not_send_in_time_lose_their_connections_after_a_stop() {
    let mut sim = limited(site, short());
    let all = waiting(&mut sim);
    sim.pause();
    sim.advance(20 * SECOND);
    sim.interrupt_polls(1);
    sim.resume();
    for (n, waiting) in all.iter().enumerate() {
        assert!(sim.has_ended(waiting.client), "client {n}");
    }
    sim.advance(10 * SECOND);
    assert!(all.iter().all(|waiting| !sim.is_open(waiting.client)));
}

/// One batch has events of 256 connections, the others are reported later.
#[test]
fn a_crowd_that_sends_in_time_is_heard_although_it_takes_many_batches() {
    let mut sim = limited(site, short());
    let crowd: Vec<Client> = (0..1000).map(|_| sim.connect_and_send(&GET[..20])).collect();
    sim.pause();
    for &client in &crowd {
        sim.send(client, &GET[20..]);
    }
    sim.advance(20 * SECOND);
    sim.resume();
    for &client in &crowd {
        assert_eq!(statuses(sim.received(client)), [200]);
    }
}

/// The handler of one client blocks for longer than all deadlines.
#[test]
fn clients_that_sent_while_a_handler_blocked_are_heard() {
    for interrupts in 0..3 {
        let blocker = Blocker::default();
        let of_handler = blocker.clone();
        let handler = move |req: &Request<'_>| {
            if req.path() == "/block" {
                of_handler.block(20 * SECOND);
            }
            site(req)
        };
        let mut sim = limited(handler, short());
        blocker.attach(&mut sim);
        let all = waiting(&mut sim);
        let blocking = sim.connect();
        sim.pause();
        sim.send(blocking, b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n");
        for waiting in &all {
            sim.send(waiting.client, &waiting.rest);
        }
        sim.interrupt_polls(interrupts);
        sim.resume();
        assert_served(&mut sim, &all, "a handler that blocks");
    }
}

/// The timer comes after the service in a turn, so the clients send between two polls.
#[test]
fn clients_that_sent_while_a_timer_blocked_are_heard() {
    for interrupts in 0..3 {
        let blocker = Blocker::default();
        let of_timer = blocker.clone();
        let server = Server::new().limits(short()).after(500 * MS, move |()| {
            of_timer.block(20 * SECOND);
        });
        let mut sim = sim_of(server, site);
        blocker.attach(&mut sim);
        let all = waiting(&mut sim);
        sim.advance(300 * MS);
        sim.pause();
        sim.advance(300 * MS);
        for waiting in &all {
            sim.send(waiting.client, &waiting.rest);
        }
        sim.interrupt_polls(interrupts);
        sim.resume();
        assert_served(&mut sim, &all, "a timer that blocks");
    }
}

/// A connection waits from its own accept on, and not from the beginning of the turn.
#[test]
fn a_client_that_is_accepted_after_a_hook_has_blocked_has_its_whole_time() {
    let blocker = Blocker::default();
    let of_hook = blocker.clone();
    let server = Server::new().limits(short()).on_connect(move |(), _: &NewConnection<'_>| {
        of_hook.block(5 * SECOND);
        Admission::accept()
    });
    let mut sim = sim_of(server, site);
    blocker.attach(&mut sim);
    sim.pause();
    let clients: Vec<Client> = (0..3).map(|_| sim.connect()).collect();
    sim.resume();
    let last = clients[2];
    assert!(sim.is_open(last));
    happens_after(&mut sim, SECOND, |sim| !sim.is_open(last));
}

/// A read ends at the mark, and no event reports the bytes after it.
#[test]
fn a_request_with_an_urgent_byte_in_it_gets_its_response_at_its_deadline_at_the_latest() {
    let mut sim = limited(site, short());
    let client = sim.connect();
    sim.pause();
    sim.send(client, &GET[..20]);
    sim.send_urgent(client);
    sim.send(client, &GET[20..]);
    sim.resume();
    assert_eq!(sim.unread(client), GET.len() - 20);
    sim.advance(SECOND + LATE);
    assert_eq!(statuses(sim.received(client)), [200]);
}

/// Its first read ends between two requests, so the connection looks idle when room is made for the
/// client that waits.
#[test]
fn a_connection_with_a_request_in_its_socket_is_not_closed_to_make_room() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let mut sim = limited(|_: &Request<'_>| "served", limits);
    let client = sim.connect();
    sim.send(client, GET);
    let busy = sim.connect_and_send(&GET[..20]);
    // Half of what one read takes where a head is expected.
    let mut request = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
    request.resize((8 << 10) - 4, b'x');
    request.extend_from_slice(b"\r\n\r\n");
    sim.pause();
    sim.send(client, [&request[..], &request, GET].concat());
    let waiting = sim.connect();
    sim.send(waiting, GET_CLOSE);
    sim.resume();
    assert_eq!(statuses(sim.received(client)), [200; 4]);
    assert!(!sim.was_reset(client));
    sim.send(busy, &GET[20..]);
    sim.advance(SECOND);
    assert_eq!(statuses(sim.received(busy)), [200]);
    assert_eq!(statuses(sim.received(waiting)), [200]);
}

/// The responses of the program count as well: they lie in the mailbox.
#[test]
fn a_response_that_was_made_during_a_stop_is_sent_although_its_deadline_has_passed() {
    let laters = Watched::<Vec<Later>>::default();
    let keep = laters.clone();
    let limits = Limits { handler_timeout: SECOND, ..short() };
    let handler = move |_: &Request<'_>| later_to(|later| keep.borrow_mut().push(later));
    let mut sim = limited(handler, limits);
    let client = sim.connect_and_send(GET);
    sim.pause();
    laters.borrow_mut().pop().unwrap().respond("in time");
    sim.advance(20 * SECOND);
    sim.interrupt_polls(1);
    sim.resume();
    assert_eq!(statuses(sim.received(client)), [200]);
}

#[test]
fn a_shutdown_whose_deadline_has_passed_in_a_stop_looks_once_more_before_it_resets() {
    let mut sim = limited(site, short());
    let clients = [
        sim.connect_and_send(post("/collect", 5, b"ab")),
        sim.connect_and_send(post("/echo", 5, b"ab")),
    ];
    shut_down_within(&mut sim, 5 * SECOND);
    sim.pause();
    for client in clients {
        sim.send(client, b"cde");
    }
    sim.advance(20 * SECOND);
    sim.interrupt_polls(1);
    sim.resume();
    for client in clients {
        assert_eq!(statuses(sim.received(client)), [200]);
        assert!(!sim.was_reset(client));
    }
    assert!(!sim.is_running());
    assert_eq!(sim.report().reset, 0);
}

/// The budget of a turn. Clients that are served already do not wait for a crowd to be accepted.
#[test]
fn at_most_64_connections_are_accepted_before_the_clients_that_exist_are_served() {
    let order = Watched::<Vec<ConnectionState>>::default();
    let note = order.clone();
    let server =
        Server::new().on_connection_state(move |(), _, state| note.borrow_mut().push(state));
    let mut sim = sim_of(server, site);
    sim.pause();
    for _ in 0..200 {
        let client = sim.connect();
        sim.send(client, GET);
    }
    sim.resume();
    let order = order.borrow();
    let new = |states: &[ConnectionState]| {
        states.iter().take_while(|state| **state == ConnectionState::New).count()
    };
    assert_eq!(new(&order), 64);
    let active = order.iter().filter(|state| **state == ConnectionState::Active).count();
    assert_eq!(active, 200);
}
