//! The numbers of a running server: each moves by exactly the thing that happened, and gauges return to
//! zero. Every simulation that is watched asserts after each turn that the published numbers are those
//! of the loop, and that its connections are counted in the phases in which they are.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::support::panics::expect_panics;
use crate::support::*;
use wheelhouse::runtime::{Deadline, Memory, Phase, Refusal, Totals};
use wheelhouse::sim::Sim;
use wheelhouse::{Limits, Request, Response, Server};

/// All numbers by name, except those of memory and time.
fn by_name(totals: &Totals) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let mut add = |name: &str, number| all.insert(name.to_owned(), number);
    add("accepted", totals.accepted);
    add("requests", totals.requests);
    add("received", totals.bytes_received);
    add("sent", totals.bytes_sent);
    add("refused", totals.refused);
    add("too slow", totals.too_slow);
    add("evicted", totals.evicted);
    add("cut off", totals.cut_off);
    add("panics", totals.panics);
    add("accept errors", totals.accept_errors);
    add("waiting", totals.waiting);
    add("ready", totals.ready);
    for (n, count) in (1..).zip(totals.responses) {
        add(&format!("responses {n}xx"), count);
    }
    for (phase, count) in totals.connections.iter() {
        add(&format!("connections {phase:?}"), count);
    }
    for (reason, count) in totals.refusals.iter() {
        add(&format!("refusal {reason:?}"), count);
    }
    for (deadline, count) in totals.deadlines.iter() {
        add(&format!("deadline {deadline:?}"), count);
    }
    for (cause, count) in totals.evictions.iter() {
        add(&format!("eviction {cause:?}"), count);
    }
    all
}

/// The numbers that `act` moves, in words. Bytes are left out, unless they are lost.
fn moved<S: 'static>(sim: &mut Sim<S>, act: impl FnOnce(&mut Sim<S>)) -> String {
    let stats = sim.stats();
    let before = by_name(&stats.totals());
    act(sim);
    let after = by_name(&stats.totals());
    let is_of_bytes = |name: &str| matches!(name, "received" | "sent");
    let changes = after.iter().filter(|(name, _)| !is_of_bytes(name));
    let changes = changes.map(|(name, now)| (name, *now as i64 - before[name] as i64));
    let words = changes.filter(|(_, change)| *change != 0);
    words.map(|(name, change)| format!("{name} {change:+}")).collect::<Vec<_>>().join(", ")
}

const EMFILE: i32 = 24;
const POST: &str = "POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";

#[test]
fn each_event_moves_its_own_numbers_and_no_other() {
    expect_panics(&["a handler of a test panics"]);
    let mut sim = Sim::new(site);
    assert_eq!(moved(&mut sim, |sim| _ = sim.connect()), "accepted +1, connections New +1");
    let client = sim.connect();
    let first = moved(&mut sim, |sim| sim.send(client, GET));
    assert_eq!(first, "connections Idle +1, connections New -1, requests +1, responses 2xx +1");
    let next = moved(&mut sim, |sim| sim.send(client, [GET, GET].concat()));
    assert_eq!(next, "requests +2, responses 2xx +2");
    let begun = moved(&mut sim, |sim| sim.send(client, "GET / HT"));
    assert_eq!(begun, "connections Head +1, connections Idle -1");
    let late = moved(&mut sim, |sim| sim.advance(10 * SECOND + LATE));
    // The first client sends nothing: that is no fault.
    assert_eq!(
        late,
        "connections Head -1, connections Linger +1, connections New -1, deadline Head +1, \
         deadline Idle +1, refusal HeadTimeout +1, refused +1, responses 4xx +1, too slow +1"
    );
    let ended = moved(&mut sim, |sim| sim.advance(HOUR));
    assert_eq!(ended, "connections Linger -1, deadline Linger +1");
}

#[test]
fn each_phase_of_a_connection_is_counted_and_left_again() {
    let mut sim = Sim::new(site);
    for (request, phase) in [
        ("", Phase::New),
        ("GET / HT", Phase::Head),
        (POST, Phase::Content),
        ("GET /never HTTP/1.1\r\nHost: a\r\n\r\n", Phase::Handler),
        ("GET /big HTTP/1.1\r\nHost: a\r\n\r\n", Phase::Response),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Phase::Idle),
        ("GET / HTTP/9\r\n\r\n", Phase::Linger),
    ] {
        let client = sim.connect();
        sim.stall(client, 500);
        sim.send(client, request);
        let connections = sim.stats().totals().connections;
        assert_eq!((connections.get(phase), connections.sum()), (1, 1), "{connections:?}");
        sim.reset(client);
        assert_eq!(sim.stats().totals().connections.sum(), 0, "{phase:?}");
    }
}

#[test]
fn each_class_of_status_is_counted_whoever_sends_it() {
    expect_panics(&["a handler of a test panics"]);
    let mut sim = Sim::new(|req: &Request<'_>| match req.path().trim_start_matches('/') {
        "panic" => panic!("a handler of a test panics"),
        status => Response::status_page(status.parse().unwrap()),
    });
    for status in [200, 204, 302, 404, 404, 500, 299, 200, 600, 999] {
        sim.get(&format!("/{status}"));
    }
    assert_eq!(sim.stats().totals().responses, [0, 4, 1, 2, 3]);
    sim.get("/panic");
    let totals = sim.stats().totals();
    assert_eq!((totals.responses[4], totals.panics), (4, 1));
    assert_eq!(totals.refusals.get(Refusal::Internal), 1);
    let client = sim.connect_and_send("GET / HTTP/2.0\r\n\r\n");
    assert_eq!(statuses(sim.received(client)), [505]);
    assert_eq!(sim.stats().totals().responses[4], 5);
}

#[test]
fn all_bytes_that_were_read_and_written_are_counted() {
    let mut sim = Sim::new(site);
    let requests =
        [GET, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n", &post("/echo", 5, b"hello")].concat();
    let client = sim.connect();
    sim.stall(client, 1000);
    sim.send(client, &requests);
    assert_eq!(
        sim.stats().totals().bytes_sent,
        1000,
        "of a response that the client does not take"
    );
    sim.unstall(client);
    let totals = sim.stats().totals();
    assert_eq!(totals.bytes_received, requests.len() as u64);
    assert_eq!(totals.bytes_sent, sim.received(client).len() as u64);
}

#[test]
fn each_deadline_is_counted_under_its_kind() {
    let limits = Limits { handler_timeout: 5 * SECOND, ..Limits::default() };
    let mut sim = limited(site, limits);
    let requests =
        [POST, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"];
    for request in requests {
        sim.connect_and_send(request);
    }
    let reader = sim.connect();
    sim.stall(reader, 10);
    sim.send(reader, GET);
    sim.advance(HOUR);
    let totals = sim.stats().totals();
    let counts: Vec<_> = totals.deadlines.iter().filter(|(_, count)| *count > 0).collect();
    let kinds = [Deadline::Content, Deadline::Response, Deadline::Handler];
    assert_eq!(counts[..3], kinds.map(|kind| (kind, 1)));
    assert_eq!(counts[3..], [(Deadline::Idle, 2), (Deadline::Linger, 1)], "after 200, 504 and 408");
    let refused = totals.refusals.get(Refusal::ContentTimeout);
    assert_eq!((totals.too_slow, totals.refused, refused), (2, 1, 1));
    assert_eq!(totals.responses[3..], [1, 1], "the 504 is the late response of the request");
}

#[test]
fn a_connection_that_gives_way_is_counted_under_the_cause() {
    let at_most = |connections_max| Limits { connections_max, ..Limits::default() };
    let mut sim = limited(site, at_most(1));
    sim.connect_and_send(GET);
    let slots = moved(&mut sim, |sim| _ = sim.connect());
    let replaced = "accepted +1, connections Idle -1, connections New +1, evicted +1, eviction ";
    assert_eq!(slots, format!("{replaced}Connections +1"));

    let mut sim = Sim::new(site);
    sim.connect_and_send(GET);
    sim.fail_accepts([EMFILE]);
    let descriptors = moved(&mut sim, |sim| {
        sim.connect();
        sim.advance(LATE);
    });
    assert_eq!(descriptors, format!("accept errors +1, {replaced}Descriptors +1"));

    let mut sim = limited(site, Limits { connections_per_address_max: 1, ..at_most(9) });
    let client = ([10, 0, 0, 1], 1).into();
    let first = sim.connect_from(client);
    sim.send(first, GET);
    let address = moved(&mut sim, |sim| _ = sim.connect_from(client));
    assert_eq!(address, format!("{}eviction Address +1", replaced.trim_end_matches("eviction ")));
}

#[test]
fn clients_that_wait_for_their_share_are_counted_until_they_are_accepted_or_refused() {
    let limits = Limits { connections_per_address_max: 1, ..Limits::default() };
    let mut sim = limited(site, limits);
    let client = ([10, 0, 0, 1], 1).into();
    let first = sim.connect_from(client);
    sim.send(first, b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(moved(&mut sim, |sim| _ = sim.connect_from(client)), "waiting +1");
    let refused = moved(&mut sim, |sim| sim.advance(SECOND));
    assert_eq!(refused, "evicted +1, eviction Address +1, waiting -1");
}

#[test]
fn memory_is_counted_by_its_holder_and_its_sum_is_the_ledger() {
    let mut sim = Sim::new(site);
    let (stats, base) = (sim.stats(), sim.memory() as u64);
    let memory = stats.totals().memory;
    assert_eq!((memory.get(Memory::Loop), memory.sum()), (base, base), "{memory:?}");
    let client = sim.connect_and_send("GET / HT");
    let memory = stats.totals().memory;
    assert!(memory.get(Memory::Connections) > 1 << 10, "a block and a box: {memory:?}");
    assert_eq!(memory.sum(), sim.memory() as u64);
    sim.send(client, "TP/1.1\r\nHost: a\r\n\r\n");
    let memory = stats.totals().memory;
    assert_eq!((memory.get(Memory::Connections), memory.get(Memory::Free)), (0, 1 << 10));
    assert_eq!(memory.sum(), sim.memory() as u64);
    assert_eq!(stats.totals().memory_bytes_max, Limits::default().memory_bytes_max as u64);
}

#[test]
fn a_turn_is_timed_without_its_sleep() {
    let blocked = Blocker::default();
    let of_handler = blocked.clone();
    let mut sim = Sim::new(move |_: &Request<'_>| {
        of_handler.block(3 * MS);
        "well"
    });
    blocked.attach(&mut sim);
    let stats = sim.stats();
    sim.advance(HOUR);
    let before = stats.totals().turns;
    assert_eq!(before.sum(), Duration::ZERO, "{before:?}");
    sim.get("/");
    sim.advance(HOUR);
    let turns = stats.totals().turns;
    assert_eq!(turns.sum(), 3 * MS);
    let bucket = turns.buckets().find(|(bound, _)| *bound >= 3 * MS).unwrap();
    assert_eq!(bucket, (Duration::from_micros(4096), 1));
    let quick = turns.buckets().next().unwrap();
    assert_eq!(quick.1 + 1, turns.count());
}

/// The numbers of a handler are those after the last turn, and it sees how many others wait.
#[test]
fn a_handler_reads_the_numbers_of_the_last_turn_and_the_connections_that_are_ready_in_this_one() {
    let server = Server::new();
    let stats = server.stats();
    let mut sim = sim_of(server, move |_: &Request<'_>| {
        let totals = stats.totals();
        format!("{} {}", totals.requests, totals.ready)
    });
    let clients: Vec<_> = (0..3).map(|_| sim.connect()).collect();
    sim.pause();
    clients.iter().for_each(|&client| sim.send(client, GET));
    sim.resume();
    for &client in &clients {
        assert!(sim.received(client).ends_with(b"\r\n\r\n0 3"));
    }
    assert_eq!(sim.stats().totals().ready, 0);
    assert!(sim.get("/").text().starts_with("3 "));
}

#[test]
fn a_shutdown_shows_in_the_numbers_as_soon_as_it_has_begun() {
    let mut sim = Sim::new(site);
    let stats = sim.stats();
    sim.connect_and_send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!stats.is_draining());
    shut_down(&mut sim);
    assert!(stats.is_draining());
    sim.advance(HOUR);
    assert_eq!((sim.is_running(), stats.totals().connections.sum()), (false, 0));
    drop(sim);
    assert_eq!(stats.totals().requests, 1, "the numbers outlive the server");
}

/// The sum of two numbers that change together is the same in whatever moment they are read.
#[test]
fn another_thread_reads_numbers_that_fit_together_while_the_server_works() {
    let mut sim = Sim::new(site);
    let stats = sim.stats();
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    let reader = thread::spawn(move || {
        let mut seen = 0;
        while !ends.load(SeqCst) || seen == 0 {
            let totals = stats.totals();
            assert_eq!(totals.requests, totals.responses.iter().sum::<u64>(), "{totals:?}");
            assert_eq!(totals.bytes_received, totals.requests * GET.len() as u64, "{totals:?}");
            seen = totals.requests;
        }
        seen
    });
    let client = sim.connect();
    (0..2000).for_each(|_| sim.send(client, GET.repeat(3)));
    is_over.store(true, SeqCst);
    assert!(reader.join().unwrap() <= 6000);
}
