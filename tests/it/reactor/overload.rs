//! Overload by connections, memory, descriptors and pipelined requests; and the opposite: an idle
//! server sleeps.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::support::*;
use crate::support::{limited, number, sim_of};
use wheelhouse::runtime::{Admission, ConnectionId, ConnectionState};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Later, Limits, Reply, Request, Response, Server};

const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const ENOBUFS: i32 = 105;
const ENOMEM: i32 = 12;
const ECONNABORTED: i32 = 103;
const EPROTO: i32 = 71;
const EPERM: i32 = 1;
const ENETDOWN: i32 = 100;

fn at_most(connections_max: usize) -> Limits {
    Limits { connections_max, ..Limits::default() }
}

/// A request that keeps its connection busy: the program responds later.
const WORK: &[u8] = b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n";

fn is_served<S: 'static>(sim: &mut Sim<S>, client: Client) -> bool {
    !statuses(sim.received(client)).is_empty()
}

#[test]
fn connections_over_the_limit_wait_and_are_served_when_there_is_room() {
    let laters = Watched::<Vec<Later>>::default();
    let keep = laters.clone();
    let site = move |req: &Request<'_>| match req.path() {
        "/never" => later_to(|later| keep.borrow_mut().push(later)),
        _ => site(req),
    };
    let mut sim = limited(site, at_most(3));
    let busy: Vec<_> = (0..3).map(|_| sim.connect_and_send(WORK)).collect();
    let waiting: Vec<_> = (0..2).map(|_| sim.connect_and_send(GET)).collect();
    assert_eq!(sim.report().totals.accepted, 3);
    for client in &waiting {
        assert!(!is_served(&mut sim, *client));
    }
    let polls = sim.polls();
    sim.advance(SECOND);
    assert!(sim.polls() <= polls + 20, "the server looks for room once in a tick");
    laters.borrow_mut().remove(0).respond(Response::text("").with_close());
    sim.end(busy[0]);
    assert!(is_served(&mut sim, waiting[0]));
    assert!(is_served(&mut sim, waiting[1]), "the first became idle and made room");
    assert!(sim.is_open(busy[1]) && sim.is_open(busy[2]));
}

#[test]
fn the_limit_of_connections_may_be_as_large_as_any_number() {
    for connections_max in [usize::MAX, usize::MAX / 2, usize::MAX / 8] {
        let mut sim = limited(site, at_most(connections_max));
        let clients: Vec<_> = (0..100).map(|_| sim.connect_and_send(GET)).collect();
        assert!(clients.iter().all(|&client| is_served(&mut sim, client)));
    }
}

#[test]
fn the_connection_that_has_been_idle_for_longest_is_closed_for_a_client_that_waits() {
    let mut sim = limited(site, at_most(4));
    let mut idle = Vec::new();
    for _ in 0..2 {
        idle.push(sim.connect_and_send(GET));
        sim.advance(SECOND);
    }
    let busy = sim.connect_and_send(WORK);
    let silent = sim.connect();
    let late = sim.connect_and_send(GET);
    assert!(is_served(&mut sim, late));
    assert!(!sim.is_open(idle[0]), "the connection that was idle for longest is closed");
    assert!(sim.is_open(idle[1]) && sim.is_open(busy) && sim.is_open(silent));
}

#[test]
fn a_full_server_keeps_idle_connections_while_no_client_waits() {
    let mut sim = limited(site, at_most(3));
    let clients: Vec<_> = (0..3).map(|_| sim.connect_and_send(GET)).collect();
    sim.advance(SECOND);
    for client in &clients {
        assert!(sim.is_open(*client));
    }
    let late = sim.connect_and_send(GET);
    assert!(is_served(&mut sim, late));
    assert_eq!(clients.iter().filter(|&&client| sim.is_open(client)).count(), 2);
}

#[test]
fn a_crowd_that_connects_at_once_is_served_one_after_another() {
    let mut sim = limited(site, at_most(10));
    sim.pause();
    let crowd: Vec<_> = (0..500).map(|_| sim.connect_and_send(GET)).collect();
    sim.resume();
    assert!(crowd.iter().all(|&client| is_served(&mut sim, client)));
    assert_eq!(crowd.iter().filter(|&&client| sim.is_open(client)).count(), 10);
}

type Site = fn(&Request<'_>) -> Reply;

/// A server whose budget is `extra` bytes more than it uses before the first client connects.
fn scarce(extra: usize) -> (Sim, usize) {
    let site: Site = site;
    let mut sim = Sim::new(site);
    let base = base(&mut sim);
    let limits = Limits { memory_bytes_max: base + extra, ..Limits::default() };
    (limited(site, limits), base)
}

#[test]
fn collected_content_over_the_budget_is_503_and_gives_its_memory_back() {
    let (mut sim, base) = scarce(256 << 10);
    let budget = base + (256 << 10);
    let client = sim.connect_and_send(post("/collect-much", 1 << 30, b""));
    let mut sent = 0;
    while sim.received(client).is_empty() {
        assert!(sim.memory() <= budget);
        sim.send(client, vec![b'x'; 4096]);
        sent += 4096;
        assert!(sent < 1 << 20);
    }
    assert_eq!(statuses(sim.received(client)), [503]);
    sim.end(client);
    assert_eq!(sim.memory(), base);
}

/// Incomplete heads are held in blocks, which count (w53).
#[test]
fn many_half_heads_hold_no_more_than_the_budget() {
    let (mut sim, base) = scarce(1 << 20);
    let budget = base + (1 << 20);
    let head = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec(), vec![b'y'; 12 << 10]].concat();
    let clients: Vec<_> = (0..200).map(|_| sim.connect()).collect();
    for client in &clients {
        sim.send(*client, &head);
        assert!(sim.memory() <= budget, "{} of {budget}", sim.memory());
    }
    for client in &clients {
        for piece in 0..3 {
            sim.send(*client, [b'z'; 700]);
            assert!(sim.memory() <= budget, "{} of {budget}: {piece}", sim.memory());
        }
    }
    for client in clients {
        sim.reset(client);
    }
    let client = sim.connect_and_send(GET);
    assert_eq!(statuses(sim.received(client)), [200], "the server still serves");
}

/// A head that grows asks for each larger block, and content that no handler takes waits in blocks,
/// too.
#[test]
fn input_that_grows_in_small_pieces_holds_no_more_than_the_budget() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ";
    for begin in [&head[..], &post_chunked("/collect")] {
        let (mut sim, base) = scarce(512 << 10);
        let budget = base + (512 << 10);
        let clients: Vec<_> = (0..100).map(|_| sim.connect_and_send(begin)).collect();
        // The trailer section of chunked content is held until it is complete, as a head is.
        let rest: &[u8] = if begin == head { b"yyyyyyy" } else { b"0\r\nX: y" };
        for round in 0..40 {
            for client in &clients {
                let piece = if round == 0 { rest.to_vec() } else { vec![b'z'; 390] };
                sim.send(*client, piece);
                assert!(sim.memory() <= budget, "{} of {budget} in round {round}", sim.memory());
            }
        }
        let refused = |client: &&Client| statuses(sim.received(**client)) == [503];
        let refused = clients.iter().filter(refused).count();
        assert!(begin != head || refused > 0, "the budget was never used up");
        for client in clients {
            sim.reset(client);
        }
        let client = sim.connect_and_send(GET);
        assert_eq!(statuses(sim.received(client)), [200], "the server still serves");
    }
}

/// Responses that peers do not read are held in blocks, too.
#[test]
fn many_peers_that_do_not_read_hold_no_more_than_the_budget() {
    let (mut sim, base) = scarce(1 << 20);
    let budget = base + (1 << 20);
    let clients: Vec<_> = (0..200).map(|_| sim.connect()).collect();
    for client in &clients {
        sim.stall(*client, 16);
        sim.send(*client, GET.repeat(500));
        assert!(sim.memory() <= budget, "{} of {budget}", sim.memory());
    }
    for client in clients {
        sim.reset(client);
    }
    let client = sim.connect_and_send(GET);
    assert_eq!(statuses(sim.received(client)), [200], "the server still serves");
}

/// Slots are memory as well. A crowd may use the budget up, but only until it has left.
#[test]
fn after_a_crowd_has_left_the_server_accepts_again() {
    let limits = Limits { memory_bytes_max: 256 << 10, ..Limits::default() };
    let mut sim = limited(site, limits);
    let crowd: Vec<_> = (0..1500).map(|_| sim.connect()).collect();
    assert!(sim.memory() <= 256 << 10, "{}", sim.memory());
    for client in crowd {
        sim.reset(client);
    }
    sim.advance(SECOND);
    let client = sim.connect_and_send(GET);
    assert_eq!(statuses(sim.received(client)), [200]);
    sim.send(client, post("/collect", 3, b"abc"));
    assert_eq!(statuses(sim.received(client)).last(), Some(&200));
}

/// Slots and wheel nodes lie in arrays that double.
#[test]
fn a_crowd_that_holds_nothing_takes_at_most_half_of_the_budget() {
    for kibibytes in [256, 300, 512] {
        let budget = kibibytes << 10;
        let limits = Limits { memory_bytes_max: budget, ..Limits::default() };
        let mut sim = limited(site, limits);
        let base = sim.memory();
        for _ in 0..300 {
            sim.pause();
            for _ in 0..50 {
                sim.connect();
            }
            sim.resume();
            assert!(sim.memory() - base <= (budget - base) / 2, "{} of {budget}", sim.memory());
        }
        assert!(sim.memory() - base > (budget - base) / 8, "{} of {budget}", sim.memory());
    }
}

/// The pauses begin at 5 ms and double to a second; after a success they begin at 5 ms again (t1).
#[test]
fn out_of_descriptors_the_acceptor_pauses_longer_and_longer_and_recovers() {
    {
        let errno = EMFILE;
        let mut sim = Sim::new(site);
        sim.pause();
        let clients: Vec<_> = (0..20).map(|_| sim.connect_and_send(GET)).collect();
        sim.fail_accepts([errno; 12]);
        sim.resume();
        let mut pauses = Vec::new();
        let (mut shed, mut since) = (shed_so_far(&mut sim, &clients), sim.now());
        assert_eq!(shed, 1, "each attempt drops one client with the reserve descriptor");
        let polls = sim.polls();
        while pauses.len() < 11 {
            sim.advance(MS);
            let now = shed_so_far(&mut sim, &clients);
            if now > shed {
                pauses.push((sim.now() - since).as_millis());
                (shed, since) = (now, sim.now());
            }
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);
        let steps = pauses.iter().sum::<u128>() as u64;
        assert!(sim.polls() - polls <= 2 * steps, "the server does not spin");
        sim.advance(SECOND);
        assert!(clients[12..].iter().all(|&client| is_served(&mut sim, client)));
        // An idle connection would give up its descriptor, and there would be no pause.
        clients[12..].iter().for_each(|&client| sim.reset(client));

        sim.pause();
        let clients: Vec<_> = (0..3).map(|_| sim.connect_and_send(GET)).collect();
        sim.fail_accepts([errno; 1]);
        sim.resume();
        sim.advance(Duration::from_millis(4));
        assert!(!is_served(&mut sim, clients[2]));
        sim.advance(MS);
        assert!(is_served(&mut sim, clients[2]), "the pause is short again");
    }
}

/// Another process takes what a connection would give up, so none is closed and no client dropped.
#[test]
fn while_the_system_is_out_of_files_or_memory_the_acceptor_pauses_and_no_connection_gives_way() {
    for errno in [ENFILE, ENOBUFS, ENOMEM] {
        let mut sim = Sim::new(site);
        let idle: Vec<_> = (0..5).map(|_| sim.connect_and_send(GET)).collect();
        sim.advance(SECOND);
        sim.fail_accepts([errno; 9]);
        let polls = sim.polls();
        let waits = sim.connect_and_send(GET);
        // 635 ms have been spent on seven pauses; the eighth is 640 ms long.
        sim.advance(Duration::from_millis(1200));
        assert!(sim.polls() - polls < 30, "the server does not spin");
        assert!(!is_served(&mut sim, waits));
        sim.advance(2 * SECOND);
        assert!(is_served(&mut sim, waits), "{errno}");
        assert!(idle.iter().all(|&client| sim.is_open(client)), "{errno}");
        assert_eq!(
            (sim.report().totals.accept_errors, sim.report().totals.evicted),
            (9, 0),
            "{errno}"
        );
    }
}

fn shed_so_far<S: 'static>(sim: &mut Sim<S>, clients: &[Client]) -> usize {
    clients.iter().filter(|&&client| !sim.is_open(client)).count()
}

#[test]
fn a_connection_that_closes_ends_the_pause_of_the_acceptor() {
    let laters = Watched::<Vec<Later>>::default();
    let keep = laters.clone();
    let mut sim = Sim::new(move |req: &Request<'_>| match req.path() {
        "/never" => later_to(|later| keep.borrow_mut().push(later)),
        _ => site(req),
    });
    let first = sim.connect_and_send(WORK);
    sim.fail_accepts([EMFILE; 8]);
    sim.pause();
    let clients: Vec<_> = (0..10).map(|_| sim.connect_and_send(GET)).collect();
    sim.resume();
    // 635 ms have been spent on seven pauses; the eighth is 640 ms long.
    sim.advance(Duration::from_millis(700));
    assert!(!is_served(&mut sim, clients[9]));
    laters.borrow_mut().remove(0).respond(Response::text("").with_close());
    sim.end(first);
    assert!(is_served(&mut sim, clients[9]));
}

#[test]
fn an_accept_error_of_one_peer_does_not_delay_the_next() {
    let mut sim = Sim::new(site);
    sim.fail_accepts([ECONNABORTED, EPROTO, EPERM, ENETDOWN].repeat(15));
    let polls = sim.polls();
    let client = sim.connect_and_send(GET);
    assert!(is_served(&mut sim, client));
    assert_eq!(sim.now(), Duration::ZERO);
    assert!(sim.polls() - polls < 20);
}

/// Such an error may come for every client: from a filter of system calls that refuses `accept`, or
/// from a network that is down.
#[test]
fn errors_of_one_peer_after_another_do_not_keep_the_loop_busy() {
    for errno in [ECONNABORTED, EPERM, ENETDOWN] {
        let mut sim = Sim::new(site);
        sim.pause();
        sim.fail_accepts(std::iter::repeat_n(errno, 64 * 100));
        let polls = sim.polls();
        let client = sim.connect_and_send(GET);
        sim.resume();
        sim.advance(400 * MS);
        assert!(!is_served(&mut sim, client));
        assert!(sim.polls() - polls < 200, "{} polls in 0.4 s", sim.polls() - polls);
        sim.advance(200 * MS);
        assert!(is_served(&mut sim, client), "after 100 pauses of 5 ms");
        let other = sim.connect_and_send(GET);
        assert!(is_served(&mut sim, other), "the next client does not wait");
    }
}

#[test]
fn requests_of_a_pipeliner_that_never_reads_are_not_parsed_ahead() {
    let mut sim = Sim::new(site);
    let base = base(&mut sim);
    let client = sim.connect();
    sim.stall(client, 1000);
    sim.send(client, GET.repeat(10_000));
    let (requests, unread) = (sim.report().totals.requests, sim.unread(client));
    assert!(requests <= 32, "{requests}");
    assert!(unread > 200_000, "the bytes that were not read stay with the peer");
    assert!(sim.memory() < base + (64 << 10), "{}", sim.memory() - base);
    sim.send(client, GET);
    sim.advance(SECOND);
    assert_eq!((sim.report().totals.requests, sim.unread(client)), (requests, unread + GET.len()));
    sim.unstall(client);
    assert_eq!(statuses(sim.received(client)).len(), 10_001);
    sim.reset(client);
    assert_eq!(sim.memory(), base);
}

/// Connections that are served already go first: a crowd at the door does not keep them waiting for
/// longer than one batch.
#[test]
fn a_turn_accepts_at_most_64_clients_of_a_crowd() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&log);
    let count = Watched::<usize>::default();
    let counter = count.clone();
    let server = Server::new().on_connect(move |(), _| {
        *counter.borrow_mut() += 1;
        Admission::accept()
    });
    let mut sim = sim_of(server, move |_: &Request<'_>| {
        sink.borrow_mut().push(*count.borrow());
        "well"
    });
    let known = sim.connect();
    sim.pause();
    for _ in 0..300 {
        sim.connect_and_send(GET);
    }
    sim.send(known, GET);
    sim.resume();
    let log = log.borrow();
    assert_eq!(log.len(), 301);
    // The connection that was there, then each batch in the turn after it was accepted.
    assert_eq!(log[..65], [&[1][..], &[65; 64]].concat());
    assert_eq!(log[65..129], [129; 64]);
    assert_eq!(log[300], 301);
}

/// A server that notes the order in which it serves connections.
fn order() -> (Sim, Rc<RefCell<Vec<u64>>>) {
    let order = Rc::new(RefCell::new(Vec::new()));
    let sink = order.clone();
    let sim = Sim::new(move |req: &Request<'_>| {
        sink.borrow_mut().push(number(req.connection_id()));
        "well"
    });
    (sim, order)
}

#[test]
fn a_greedy_pipeliner_delays_others_by_at_most_one_visit() {
    let (mut sim, order) = order();
    let greedy: Vec<_> = (0..3).map(|_| sim.connect()).collect();
    let modest = sim.connect();
    sim.pause();
    for client in &greedy {
        sim.send(*client, GET.repeat(5000));
    }
    sim.send(modest, GET);
    sim.resume();
    let order = order.borrow();
    assert_eq!(order.len(), 15_001);
    let at = order.iter().position(|&id| id == 4).unwrap();
    assert!(at <= 3 * 32, "served as number {at}");
    let first_64 = order[..at + 65].iter().filter(|&&id| id == 1).count();
    assert!(first_64 <= 64, "greedy clients take turns");
}

#[test]
fn a_server_without_connections_makes_no_call_in_an_hour() {
    let mut sim = Sim::new(site);
    for _ in 0..2 {
        let polls = sim.polls();
        sim.advance(HOUR);
        assert_eq!(sim.polls(), polls + 1, "only the poll that sleeps");
        let client = sim.connect_and_send(GET_CLOSE);
        assert!(is_served(&mut sim, client));
    }
}

#[test]
fn an_idle_connection_costs_at_most_two_wake_ups() {
    let mut sim = Sim::new(site);
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let client = sim.connect_and_send(GET);
            sim.advance(Duration::from_millis(100));
            client
        })
        .collect();
    let polls = sim.polls();
    sim.advance(HOUR);
    // The deadline was postponed without moving its timer on the wheel, so the timer expires once
    // early.
    assert!(sim.polls() - polls <= 201, "{}", sim.polls() - polls);
    assert!(clients.iter().all(|&client| !sim.is_open(client)));
}

#[test]
fn postponed_deadlines_of_a_busy_connection_do_not_wake_the_loop() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    let polls = sim.polls();
    for _ in 0..1000 {
        sim.send(client, GET);
        sim.advance(SECOND);
    }
    // A send and its sleep, an advance, and now and then a deadline that is checked and postponed.
    assert!(sim.polls() - polls < 3200, "{}", sim.polls() - polls);
    assert!(sim.is_open(client));
}

/// Caps the connections of each peer, as the documentation of `Server::on_connect` shows.
fn at_most_of_one_peer(max: usize) -> Sim<HashMap<ConnectionId, IpAddr>> {
    let server = Server::with_state(HashMap::<ConnectionId, IpAddr>::new())
        .on_connect(move |open, new| {
            let Some(peer) = new.peer_addr() else { return Admission::accept() };
            if open.values().filter(|&&ip| ip == peer.ip()).count() >= max {
                return Admission::refuse();
            }
            open.insert(new.id(), peer.ip());
            Admission::accept()
        })
        .on_connection_state(|open, id, state| {
            if state == ConnectionState::Closed {
                open.remove(&id);
            }
        });
    sim_of(server, |_: &Request<'_>| "well")
}

#[test]
fn two_hooks_cap_the_connections_of_each_peer() {
    let mut sim = at_most_of_one_peer(2);
    let from = |ip: &str, port: u16| (ip.parse::<IpAddr>().unwrap(), port).into();
    let first = sim.connect_from(from("192.0.2.7", 1));
    let second = sim.connect_from(from("192.0.2.7", 2));
    let third = sim.connect_from(from("192.0.2.7", 3));
    assert!(sim.is_open(first) && sim.is_open(second));
    assert!(sim.was_reset(third) && sim.take_received(third).is_empty());
    let other = sim.connect_from(from("2001:db8::7", 1));
    sim.send(other, GET);
    assert!(is_served(&mut sim, other), "another peer has its own cap");
    sim.end(first);
    let fourth = sim.connect_from(from("192.0.2.7", 4));
    sim.send(fourth, GET);
    assert!(is_served(&mut sim, fourth), "a closed connection makes room");
    assert_eq!(sim.report().totals.accepted, 4);
}

/// A crowd at one listener does not keep clients out of another: the operators of a server must get
/// in when it is busiest.
#[test]
fn listeners_take_turns() {
    for limits in [Limits::default(), at_most(2)] {
        let order = Watched::<Vec<String>>::default();
        let note = order.clone();
        let builder = Server::new();
        let builder = builder.limits(limits).on_connect(move |_, accepted| {
            note.borrow_mut().push(accepted.listener().to_owned());
            Admission::accept()
        });
        let mut sim = sim_of(builder, site);
        sim.pause();
        for _ in 0..1000 {
            sim.connect_to("public");
        }
        let client = sim.connect_to("admin");
        sim.send(client, GET);
        sim.resume();
        sim.advance(60 * SECOND);
        let place = order.borrow().iter().position(|name| name == "admin");
        assert!(place.is_some_and(|place| place <= 128), "{place:?}");
        assert!(is_served(&mut sim, client));
    }
}

/// A listener whose socket another process has shut down fails for ever.
#[test]
fn a_listener_that_fails_does_not_keep_clients_out_of_another() {
    const EINVAL: i32 = 22;
    let mut sim = sim_of(Server::new(), site);
    for _ in 0..10 {
        sim.pause();
        let clients = ["one", "other"].map(|name| sim.connect_to(name));
        for client in clients {
            sim.send(client, GET);
        }
        // The listener that is tried first fails.
        sim.fail_accepts([EINVAL]);
        sim.resume();
        let served = clients.map(|client| is_served(&mut sim, client));
        assert_eq!(served.iter().filter(|&&is| is).count(), 1, "{served:?}");
        let polls = sim.polls();
        sim.advance(4 * MS);
        assert!(sim.polls() - polls < 5, "the server does not spin");
        sim.advance(MS);
        assert!(clients.iter().all(|&client| is_served(&mut sim, client)));
    }
    assert_eq!((sim.report().totals.accepted, sim.report().totals.accept_errors), (20, 10));
}
