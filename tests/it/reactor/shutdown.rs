//! The graceful end: received requests get responses, idle connections end at once, silent ones
//! have a second, the deadline resets the rest, and the report counts all of them.

use std::time::Duration;

use crate::support::*;
use crate::support::{limited, shut_down, shut_down_within, sim_of, stop_now};
use wheelhouse::runtime::{Admission, ConnectionState};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Body, Limits, Reply, Request, Response, Server};

const GET_BIG: &[u8] = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n";

fn says_close<S: 'static>(sim: &mut Sim<S>, client: Client) -> bool {
    String::from_utf8_lossy(sim.received(client)).contains("\r\nConnection: close\r\n")
}

#[test]
fn a_server_without_connections_ends_at_once() {
    let mut sim = Sim::new(site);
    shut_down(&mut sim);
    assert!(!sim.is_running());
    assert_eq!(sim.now(), Duration::ZERO);
    let late = sim.connect();
    assert!(sim.was_reset(late), "a new connection is refused");
}

#[test]
fn a_shutdown_ends_idle_connections_at_once_and_silently() {
    let mut sim = Sim::new(site);
    let clients: Vec<_> = (0..5).map(|_| sim.connect_and_send(GET)).collect();
    for client in &clients {
        sim.take_received(*client);
    }
    shut_down(&mut sim);
    assert!(!sim.is_running());
    for client in clients {
        assert!(closed_silently(&mut sim, client) && !sim.was_reset(client));
    }
    let report = sim.report();
    assert_eq!(
        (report.totals.accepted, report.totals.requests, report.drained, report.reset),
        (5, 5, 5, 0)
    );
}

/// A request that lies in the socket when the shutdown begins counts as begun.
#[test]
fn a_request_that_arrives_with_the_shutdown_gets_a_response_that_announces_the_close() {
    for is_kept in [false, true] {
        let mut sim = Sim::new(site);
        let client = sim.connect();
        if is_kept {
            sim.send(client, GET);
            sim.take_received(client);
        }
        sim.pause();
        sim.send(client, GET);
        shut_down(&mut sim);
        sim.resume();
        assert_eq!(statuses(sim.received(client)), [200]);
        assert!(says_close(&mut sim, client));
        sim.end(client);
        assert!(!sim.is_running() && !sim.was_reset(client));
        assert_eq!((sim.report().drained, sim.report().reset), (1, 0));
    }
}

/// A crowd that connects in the meantime may fill all slots, or those of its address, but it displaces
/// no request that has begun. Its own requests are served as slots become free.
#[test]
fn a_crowd_that_connects_before_a_shutdown_displaces_no_request_that_has_begun() {
    let address = |port| ([127, 0, 0, 1], port).into();
    for connections_per_address_max in [0, 12] {
        let limits =
            Limits { connections_max: 16, connections_per_address_max, ..Limits::default() };
        let mut sim = limited(site, limits);
        let begun: Vec<_> = (0..8)
            .map(|port| {
                let client = sim.connect_from(address(port));
                sim.send(client, &GET[..20]);
                client
            })
            .collect();
        sim.advance(SECOND);
        sim.pause();
        let crowd: Vec<_> = (0..500)
            .map(|port| {
                let client = sim.connect_from(address(100 + port));
                match port % 5 {
                    0 => sim.send(client, GET),
                    _ => sim.end(client),
                }
                client
            })
            .collect();
        shut_down(&mut sim);
        sim.resume();
        for client in begun {
            sim.send(client, &GET[20..]);
            assert_eq!(statuses(sim.received(client)), [200]);
        }
        for (n, client) in crowd.into_iter().enumerate().step_by(5) {
            assert_eq!(statuses(sim.received(client)), [200], "{connections_per_address_max} {n}");
        }
        assert_eq!(sim.report().reset, 0);
    }
}

/// Clients that connected before the listeners closed are served, however many there are.
#[test]
fn clients_that_wait_to_be_accepted_when_a_shutdown_begins_are_served() {
    let mut sim = Sim::new(site);
    sim.pause();
    let clients: Vec<_> = (0..200).map(|_| sim.connect_and_send(GET)).collect();
    shut_down(&mut sim);
    sim.resume();
    for client in clients {
        assert_eq!(statuses(sim.received(client)), [200]);
        assert!(!sim.was_reset(client));
    }
    sim.advance(SECOND + LATE);
    assert!(!sim.is_running());
    assert_eq!((sim.report().totals.accepted, sim.report().reset), (200, 0));
}

/// Idle connections end first, so their slots and descriptors are free for the clients that wait.
#[test]
fn clients_that_wait_for_room_at_a_shutdown_get_the_room_of_idle_connections() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let mut sim = limited(site, limits);
    let idle = [(); 2].map(|()| sim.connect_and_send(GET));
    sim.pause();
    let waiting = [(); 2].map(|()| sim.connect_and_send(GET));
    shut_down(&mut sim);
    sim.resume();
    assert!(idle.iter().all(|&client| !sim.is_open(client) && !sim.was_reset(client)));
    for client in waiting {
        assert_eq!(statuses(sim.received(client)), [200]);
        sim.end(client);
    }
    assert!(!sim.is_running());
    assert_eq!((sim.report().totals.accepted, sim.report().drained, sim.report().reset), (4, 4, 0));
}

#[test]
fn a_shutdown_ends_a_pause_of_the_acceptor() {
    const EMFILE: i32 = 24;
    let mut sim = Sim::new(site);
    sim.pause();
    let waiting = [(); 3].map(|()| sim.connect_and_send(GET));
    sim.fail_accepts([EMFILE]);
    sim.resume();
    assert!(!sim.is_open(waiting[0]), "dropped, so that the client sees that there is no room");
    shut_down(&mut sim);
    for &client in &waiting[1..] {
        assert_eq!(statuses(sim.received(client)), [200]);
    }
}

/// Go drops such a request (n3).
#[test]
fn a_shutdown_lets_a_half_received_request_finish() {
    let requests = [
        GET.to_vec(),
        post("/collect", 10, b"0123456789"),
        post("/receive", 10, b"0123456789"),
        post("/echo", 10, b"0123456789"),
    ];
    for request in requests {
        for cut in [1, 20, request.len() - 1] {
            let mut sim = Sim::new(site);
            let client = sim.connect_and_send(&request[..cut]);
            shut_down(&mut sim);
            assert!(sim.is_running());
            sim.advance(Duration::from_secs(5));
            sim.send(client, &request[cut..]);
            assert_eq!(statuses(sim.received(client)), [200], "{cut}");
            sim.end(client);
            assert!(!sim.is_running() && !sim.was_reset(client));
            assert_eq!((sim.report().drained, sim.report().reset), (1, 0));
        }
    }
}

/// Only after that second does the server end (t173).
#[test]
fn a_silent_new_connection_has_one_second_after_a_shutdown_begins() {
    for phase in [0, 1, 63] {
        let mut sim = Sim::new(site);
        sim.advance(Duration::from_millis(phase));
        let client = sim.connect();
        sim.advance(SECOND);
        shut_down(&mut sim);
        happens_after(&mut sim, SECOND, |sim| !sim.is_running());
        assert!(closed_silently(&mut sim, client) && !sim.was_reset(client));
    }
}

#[test]
fn a_shutdown_does_not_give_a_silent_connection_more_time_than_it_had() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.advance(Duration::from_millis(9500));
    shut_down(&mut sim);
    happens_after(&mut sim, Duration::from_millis(500), |sim| !sim.is_open(client));
}

/// The second is for the first byte; a head that has begun has the usual time of a head.
#[test]
fn a_head_that_begins_within_that_second_may_take_longer() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    shut_down(&mut sim);
    sim.advance(Duration::from_millis(900));
    sim.send(client, b"GET / HTTP/1.1\r\n");
    sim.advance(Duration::from_secs(4));
    sim.send(client, b"Host: a\r\n\r\n");
    assert_eq!(statuses(sim.received(client)), [200]);
}

/// Go: TestServerShutdown (t172).
#[test]
fn a_shutdown_lets_a_response_that_is_being_sent_finish() {
    for path in ["/big", "/stream"] {
        let mut sim = Sim::new(site);
        let client = sim.connect();
        sim.stall(client, 100_000);
        sim.send(client, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        shut_down(&mut sim);
        assert!(sim.is_running() && sim.is_open(client));
        sim.advance(Duration::from_secs(5));
        let mut before = usize::MAX;
        while before != sim.received(client).len() {
            before = sim.received(client).len();
            sim.read(client, 50_000);
        }
        let received = sim.take_received(client);
        match path {
            "/big" => assert!(content(&received) == &BIG[..]),
            _ => assert_eq!(dechunk(content(&received)).len(), 800_000),
        }
        assert!(!sim.is_running() && !sim.was_reset(client));
        assert_eq!((sim.report().drained, sim.report().reset), (1, 0));
    }
}

#[test]
fn a_client_can_read_the_rest_of_a_response_after_the_server_has_ended() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.stall(client, 1000);
    sim.send(client, GET_CLOSE);
    shut_down(&mut sim);
    sim.end(client);
    assert!(!sim.is_running());
    sim.unstall(client);
    assert!(sim.received(client).ends_with(b"Hello, World!"));
}

#[test]
fn the_deadline_of_a_shutdown_resets_and_counts_busy_connections() {
    for (timeout, expected) in [(None, 10), (Some(Duration::from_secs(3)), 3)] {
        let mut sim = Sim::new(site);
        let slow = sim.connect();
        sim.stall(slow, 1000);
        sim.send(slow, GET_BIG);
        let sender = sim.connect_and_send(post("/collect", 900, b"abc"));
        let idle = sim.connect_and_send(GET);
        match timeout {
            Some(timeout) => shut_down_within(&mut sim, timeout),
            None => shut_down(&mut sim),
        }
        assert!(!sim.is_open(idle));
        let start = sim.now();
        while sim.is_running() {
            sim.read(slow, 100);
            sim.send(sender, b"x");
            sim.advance(Duration::from_millis(50));
            sim.read(slow, 1100);
        }
        assert_eq!(sim.now() - start, Duration::from_secs(expected));
        assert!(sim.was_reset(slow) && sim.was_reset(sender));
        assert_eq!((sim.report().drained, sim.report().reset), (1, 2));
    }
}

#[test]
fn a_shutdown_with_an_endless_deadline_ends_after_a_year() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(b"GET");
    shut_down_within(&mut sim, Duration::MAX);
    assert!(sim.is_running() && sim.is_open(client));
    sim.send(client, &GET[3..]);
    assert_eq!(statuses(sim.received(client)), [200]);
    sim.end(client);
    assert!(!sim.is_running());
}

#[test]
fn a_second_shutdown_changes_nothing() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(b"GET");
    shut_down_within(&mut sim, Duration::from_secs(5));
    sim.advance(Duration::from_secs(4));
    shut_down_within(&mut sim, Duration::from_secs(5));
    shut_down(&mut sim);
    happens_after(&mut sim, SECOND, |sim| !sim.is_running());
    assert!(sim.was_reset(client));
    shut_down(&mut sim);
    stop_now(&mut sim);
    assert!(!sim.is_running());
}

/// Go: TestServerCloseDeadlock (t174).
#[test]
fn a_stop_resets_every_connection_at_once() {
    for drains_first in [false, true] {
        let mut sim = Sim::new(site);
        let base = base(&mut sim);
        let slow = sim.connect();
        sim.stall(slow, 1000);
        sim.send(slow, GET_BIG);
        let sender = sim.connect_and_send(post("/collect", 900, b"abc"));
        let head = sim.connect_and_send(b"GET /");
        if drains_first {
            shut_down(&mut sim);
        }
        stop_now(&mut sim);
        assert!(!sim.is_running());
        for client in [slow, sender, head] {
            assert!(sim.was_reset(client));
        }
        assert_eq!((sim.report().drained, sim.report().reset), (0, 3));
        assert!(sim.memory() <= base);
        stop_now(&mut sim);
    }
}

#[test]
fn a_shutdown_lets_a_lingering_connection_end_in_its_own_time() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(b"BAD\r\n\r\n");
    shut_down(&mut sim);
    happens_after(&mut sim, SECOND, |sim| !sim.is_running());
    assert!(!sim.was_reset(client));
}

#[test]
fn pipelined_requests_after_the_last_response_are_not_served() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.pause();
    sim.send(client, GET.repeat(3));
    shut_down(&mut sim);
    sim.resume();
    assert_eq!(statuses(sim.received(client)), [200]);
    assert!(says_close(&mut sim, client));
}

#[test]
fn a_shutdown_reports_every_connection_as_closed() {
    for stops in [false, true] {
        let open = Watched::<i32>::default();
        let count = open.clone();
        let mut sim = sim_of(
            Server::new()
                .limits(Limits { shutdown_timeout: SECOND, ..Limits::default() })
                .on_connection_state(move |_, _, state| match state {
                    ConnectionState::New => *count.borrow_mut() += 1,
                    ConnectionState::Closed => *count.borrow_mut() -= 1,
                    _ => {}
                }),
            site,
        );
        sim.connect_and_send(GET);
        sim.connect_and_send(post("/collect", 900, b"abc"));
        sim.connect();
        assert_eq!(*open.borrow(), 3);
        match stops {
            true => stop_now(&mut sim),
            false => shut_down(&mut sim),
        }
        sim.advance(SECOND + LATE);
        assert!(!sim.is_running());
        assert_eq!(*open.borrow(), 0);
    }
}

/// A builder with a shutdown hook for each name, which writes it into `log`.
fn hooked(names: &[&'static str], log: &Watched<Vec<&'static str>>) -> Server {
    names.iter().fold(Server::new(), |builder, &name| {
        let log = log.clone();
        builder.on_shutdown(move |_| {
            log.borrow_mut().push(name);
            assert_ne!(name, "panics", "a hook of a test panics");
        })
    })
}

/// A hook that panics does not keep the next one from running (t172).
#[test]
fn each_shutdown_hook_runs_once_in_order_when_the_shutdown_begins() {
    let log = Watched::default();
    let mut sim = sim_of(hooked(&["first", "panics", "last"], &log), site);
    let client = sim.connect_and_send(b"GET");
    assert!(log.borrow().is_empty());
    shut_down(&mut sim);
    assert_eq!(*log.borrow(), ["first", "panics", "last"]);
    assert!(sim.is_running() && sim.is_open(client));
    shut_down(&mut sim);
    stop_now(&mut sim);
    assert_eq!(log.borrow().len(), 3);
}

#[test]
fn a_stop_calls_no_shutdown_hook() {
    let log = Watched::default();
    let mut sim = sim_of(hooked(&["never"], &log), site);
    sim.connect();
    stop_now(&mut sim);
    assert!(!sim.is_running() && log.borrow().is_empty());
}

/// Go: TestServerShutdown (t172), TestServerContext_ServerContextKey (t10).
#[test]
fn a_handler_may_shut_its_own_server_down_and_its_response_arrives() {
    let log = Watched::default();
    let builder = hooked(&["told"], &log);
    let handle = builder.handle();
    let mut sim = sim_of(builder, move |_: &Request<'_>| {
        handle.shutdown();
        "going down"
    });
    let (idle, client) = (sim.connect(), sim.connect_and_send(GET));
    assert_eq!(content(sim.received(client)), b"going down");
    assert_eq!(*log.borrow(), ["told"]);
    let late = sim.connect();
    assert!(sim.was_reset(late), "a new connection is refused");
    sim.end(client);
    sim.end(idle);
    assert!(!sim.is_running() && !sim.was_reset(client));
    assert_eq!((sim.report().totals.requests, sim.report().reset), (1, 0));
}

/// The clients that the connection hook refuses do not keep later ones from being served.
#[test]
fn clients_that_connected_before_the_end_are_served_however_many_were_refused_first() {
    let builder = Server::new().on_connect(|_, accepted| match accepted.peer_addr() {
        Some(peer) if peer.ip().is_loopback() => Admission::accept(),
        _ => Admission::refuse(),
    });
    let mut sim = sim_of(builder, site);
    sim.pause();
    for _ in 0..200 {
        sim.connect();
    }
    let client = sim.connect_from(([127, 0, 0, 1], 4711).into());
    sim.send(client, GET);
    shut_down(&mut sim);
    sim.resume();
    assert_eq!(statuses(sim.received(client)), [200]);
}

/// In the turn in which the shutdown begins, a connection with work in hand ends and one of the
/// last clients takes its slot. The simulator's invariants after every turn check the rest.
#[test]
fn the_last_accepted_clients_take_the_slots_of_connections_that_end_in_the_same_turn() {
    let mut sim = Sim::new(|_: &Request<'_>| -> Reply {
        Response::ok("text/plain", Body::produce(Lines(1_000_000)))
            .with_send_timeout(4 * SECOND)
            .into()
    });
    let reader = sim.connect();
    sim.stall(reader, 2 << 20);
    sim.send(reader, GET);
    sim.advance(4 * SECOND);
    for shuts_down in [false, true] {
        sim.pause();
        sim.advance(100 * MS);
        sim.read(reader, 1_500_000);
        if shuts_down {
            (0..70).for_each(|_| _ = sim.connect());
            shut_down(&mut sim);
        }
        sim.resume();
        assert_eq!(sim.was_reset(reader), shuts_down);
    }
    sim.advance(2 * SECOND);
    assert!(!sim.is_running());
    assert_eq!((sim.report().drained, sim.report().reset), (71, 0));
}

#[test]
fn clients_that_wait_at_a_paused_listener_are_served_before_the_end() {
    const IO: i32 = 5;
    for errors in [1, 12] {
        let mut sim = Sim::new(site);
        sim.fail_accepts([IO].repeat(errors));
        let client = sim.connect_and_send(GET);
        // The pause is longest after the last error.
        while sim.report().totals.accept_errors < errors as u64 {
            sim.advance(MS);
        }
        shut_down(&mut sim);
        assert!(says_close(&mut sim, client) && !sim.was_reset(client), "{errors}");
        assert_eq!((sim.report().drained, sim.report().reset), (1, 0));
    }
}
