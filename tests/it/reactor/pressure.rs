//! Whoever causes pressure pays for it: when memory or slots are short, those that hold most and move
//! least give way, and a client that asks for something small is served.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::support::*;
use crate::support::{limited, sim_of};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Later, Limits, Reply, Request, Server};

const TICK: Duration = Duration::from_millis(64);
const MIB: usize = 1 << 20;

fn with_memory(memory_bytes_max: usize) -> Limits {
    Limits { memory_bytes_max, ..Limits::default() }
}

fn at_most(connections_max: usize) -> Limits {
    Limits { connections_max, ..Limits::default() }
}

/// A client that connects now and asks for something small gets it, at once.
fn serves_a_newcomer<S: 'static>(sim: &mut Sim<S>) -> bool {
    let client = sim.connect_and_send(GET_CLOSE);
    statuses(sim.received(client)) == [200]
}

fn is_refused_for_now<S: 'static>(sim: &mut Sim<S>, client: Client) -> bool {
    let received = sim.received(client);
    let text = String::from_utf8_lossy(received);
    text.starts_with("HTTP/1.1 503 ") && text.contains("\r\nRetry-After: 1\r\n")
}

fn count<S: 'static>(
    sim: &mut Sim<S>,
    clients: &[Client],
    is: impl Fn(&mut Sim<S>, Client) -> bool,
) -> usize {
    clients.iter().filter(|&&client| is(sim, client)).count()
}

/// The head of an upload in chunks that is collected.
fn upload_in_chunks() -> Vec<u8> {
    b"POST /collect-much HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()
}

/// Half a head, for which the server needs a block of 16 KiB.
fn half_head() -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec(), vec![b'y'; 4200]].concat()
}

#[test]
fn half_heads_give_way_to_each_other_and_not_to_clients_that_ask_for_something_small() {
    let mut sim = limited(site, with_memory(4 * MIB));
    let kept = sim.connect_and_send(GET);
    let mut clients = Vec::new();
    for n in 0..2000 {
        clients.push(sim.connect_and_send(half_head()));
        assert!(sim.memory() <= 4 * MIB / 100 * 80 + (16 << 10), "{}", sim.memory());
        if n % 100 == 0 {
            assert!(serves_a_newcomer(&mut sim), "after {n} half heads");
        }
    }
    assert!(sim.is_open(kept), "an idle connection holds nothing");
    let refused = count(&mut sim, &clients, is_refused_for_now);
    assert!(refused > 1500, "{refused}");
    assert_eq!(sim.report().totals.evicted, refused as u64);
}

#[test]
fn slow_uploads_give_way_to_fast_ones() {
    let mut sim = limited(site, with_memory(8 * MIB));
    let slow: Vec<_> = (0..10)
        .map(|_| {
            let client = sim.connect_and_send(upload_in_chunks());
            sim.send(client, chunk(256 << 10));
            client
        })
        .collect();
    let go_on = |sim: &mut Sim<()>| {
        slow.iter().for_each(|&client| sim.send(client, chunk(1100)));
        sim.advance(SECOND);
    };
    (0..30).for_each(|_| go_on(&mut sim));
    assert_eq!(sim.report().totals.evicted, 0);
    let fast = sim.connect_and_send(upload_in_chunks());
    for _ in 0..60 {
        sim.send(fast, chunk(64 << 10));
        go_on(&mut sim);
        assert!(serves_a_newcomer(&mut sim));
    }
    sim.send(fast, b"0\r\n\r\n");
    assert_eq!(statuses(sim.received(fast)), [200]);
    let refused = count(&mut sim, &slow, is_refused_for_now);
    assert!((3..10).contains(&refused), "some give way, the others go on: {refused}");
}

fn chunk(len: usize) -> Vec<u8> {
    [format!("{len:x}\r\n").into_bytes(), vec![b'x'; len], b"\r\n".to_vec()].concat()
}

/// 21 bytes on the wire for each byte of content, at 1.1 KB/s.
#[test]
fn framing_does_not_count_as_content_for_its_least_rate() {
    let mut sim = limited(site, Limits::default());
    let client = sim.connect_and_send(upload_in_chunks());
    sim.send(client, chunk(960 << 10));
    let mut seconds = 0;
    while sim.received(client).is_empty() {
        (0..52).for_each(|_| sim.send(client, b"1;aaaaaaaaaaaaa\r\nX\r\n"));
        sim.advance(SECOND);
        seconds += 1;
    }
    assert_eq!(statuses(sim.received(client)), [408]);
    assert!((15..=26).contains(&seconds), "after the first or the second window: {seconds}");
}

#[test]
fn readers_that_read_nothing_give_way_and_those_that_read_do_not() {
    let mut sim = limited(site, with_memory(MIB));
    let reader = sim.connect();
    sim.stall(reader, 4 << 10);
    sim.send(reader, b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut lost = 0;
    for _ in 0..100 {
        let client = sim.connect();
        sim.stall(client, 100);
        sim.send(client, GET.repeat(500));
        sim.read(reader, 64 << 10);
        sim.advance(100 * MS);
        lost += usize::from(!sim.is_open(client));
        assert!(sim.memory() <= MIB / 100 * 90, "{}", sim.memory());
        assert!(serves_a_newcomer(&mut sim));
    }
    assert!(sim.is_open(reader));
    assert!(sim.report().totals.evicted > 50, "{} {lost}", sim.report().totals.evicted);
}

/// A protocol that holds a lot.
struct Hoard(usize);

impl Protocol<()> for Hoard {
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        _: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        self.0 += 100 * input.len();
        Ok(input.len())
    }

    fn memory(&self) -> usize {
        self.0
    }

    fn timeout(&self) -> Duration {
        HOUR
    }
}

fn with_hoards(req: &Request<'_>) -> Reply {
    match req.path() {
        "/hoard" => Reply::upgrade("hoard", Hoard(0)),
        _ => site(req),
    }
}

const HOARD: &[u8] =
    b"GET /hoard HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: hoard\r\n\r\n";

#[test]
fn protocols_that_hold_most_give_way_first() {
    let mut sim = limited(with_hoards, with_memory(4 * MIB));
    let modest = sim.connect_and_send(HOARD);
    sim.send(modest, [b'x'; 10]);
    for n in 0..100 {
        let client = sim.connect_and_send(HOARD);
        sim.send(client, [b'x'; 1000]);
        sim.advance(SECOND);
        assert!(sim.memory() <= 4 * MIB / 100 * 80, "{n}: {}", sim.memory());
        assert!(serves_a_newcomer(&mut sim));
    }
    assert!(sim.is_open(modest));
}

/// Responses that come later hold little, but every client can have one.
#[test]
fn requests_that_wait_for_the_program_hold_no_more_than_the_budget() {
    let limits = Limits { memory_bytes_max: 512 << 10, ..Limits::default() };
    let mut sim = limited(site, limits);
    for n in 0..3000 {
        sim.connect_and_send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(sim.memory() <= 512 << 10, "{n}: {}", sim.memory());
        if n % 100 == 0 {
            assert!(serves_a_newcomer(&mut sim), "{n}");
        }
    }
}

#[test]
fn pipelines_held_after_a_request_that_waits_give_way() {
    let mut sim = limited(site, with_memory(2 * MIB));
    let waits = sim.connect_and_send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    for n in 0..200 {
        let mut bytes = b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        bytes.extend(GET.repeat(300));
        sim.connect_and_send(bytes);
        sim.advance(MS);
        assert!(sim.memory() <= 2 * MIB / 100 * 80, "{n}: {}", sim.memory());
        assert!(serves_a_newcomer(&mut sim));
    }
    assert!(sim.is_open(waits), "a request without a pipeline holds little");
}

type Attack = (&'static str, fn(&mut Sim, Client));

/// Ways to hold a slot without giving anything back.
const HOLDERS: [Attack; 6] = [
    ("silent", |_, _| {}),
    ("half a head", |sim, client| sim.send(client, b"GET / HT")),
    ("an upload that stalls", |sim, client| sim.send(client, post("/collect", 900, b"x"))),
    ("an upload to a receiver that stalls", |sim, client| {
        sim.send(client, post("/receive", 900, b"x"));
    }),
    ("a response that is not read", |sim, client| {
        sim.stall(client, 10);
        sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    }),
    ("a protocol", |sim, client| sim.send(client, HOARD)),
];

#[test]
fn a_slot_whose_client_gives_nothing_back_is_freed_for_a_client_that_waits() {
    for (name, attack) in HOLDERS {
        let site: fn(&Request<'_>) -> Reply = with_hoards;
        let mut sim = limited(site, at_most(8));
        let holders: Vec<_> = (0..8).map(|_| sim.connect()).collect();
        holders.iter().for_each(|&client| attack(&mut sim, client));
        sim.advance(600 * MS);
        for n in 0..50 {
            let client = sim.connect_and_send(GET_CLOSE);
            sim.advance(600 * MS);
            assert_eq!(statuses(sim.received(client)), [200], "{name}: {n}");
            // The attackers come back.
            let again = sim.connect();
            attack(&mut sim, again);
        }
        assert!(sim.report().totals.evicted > 0, "{name}");
    }
}

#[test]
fn requests_that_wait_for_the_program_and_fast_transfers_keep_their_slots() {
    let mut sim = limited(site, at_most(3));
    let waits = sim.connect_and_send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    let upload = sim.connect_and_send(upload_in_chunks());
    let download = sim.connect();
    sim.stall(download, 64 << 10);
    sim.send(download, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    let newcomer = sim.connect_and_send(GET);
    for _ in 0..200 {
        sim.send(upload, chunk(2000));
        sim.read(download, 2000);
        sim.advance(100 * MS);
    }
    assert!([waits, upload, download].iter().all(|&client| sim.is_open(client)));
    assert!(sim.received(newcomer).is_empty());
    sim.send(upload, b"0\r\n\r\n");
    assert_eq!(statuses(sim.received(newcomer)), [200], "an idle connection gives way");
}

/// Far more silent clients than slots, each of another address: they displace each other.
#[test]
fn a_client_after_a_flood_from_many_addresses_is_served_soon() {
    for (name, attack) in HOLDERS {
        let site: fn(&Request<'_>) -> Reply = with_hoards;
        let mut sim = limited(site, at_most(64));
        sim.pause();
        let crowd: Vec<_> = (0..2000).map(|_| sim.connect()).collect();
        crowd.iter().for_each(|&client| attack(&mut sim, client));
        let client = sim.connect_and_send(GET_CLOSE);
        sim.resume();
        sim.advance(TICK);
        assert_eq!(statuses(sim.received(client)), [200], "{name}");
    }
}

/// A client of the address `ip`, with a port of its own.
fn from(ip: &str, port: u16) -> SocketAddr {
    (ip.parse::<IpAddr>().unwrap(), port).into()
}

#[test]
fn one_address_cannot_keep_the_slots_from_others() {
    let networks: [fn(u16) -> String; 3] = [
        |_| "198.51.100.7".to_owned(),
        |n| format!("2001:db8::{n:x}"),
        |_| "::ffff:198.51.100.7".to_owned(),
    ];
    for ip in networks {
        let mut sim = limited(site, at_most(8));
        let crowd: Vec<_> = (0..20).map(|n| sim.connect_from(from(&ip(n), n))).collect();
        assert_eq!(sim.report().totals.accepted, 6);
        assert_eq!(count(&mut sim, &crowd, |sim, client| sim.is_open(client)), 20, "they wait");
        let others = ["192.0.2.7", "192.0.2.8"].map(|ip| sim.connect_from(from(ip, 1)));
        others.iter().for_each(|&client| sim.send(client, GET));
        // The crowd waits before them, and displaces itself.
        sim.advance(SECOND);
        for client in others {
            assert_eq!(statuses(sim.received(client)), [200]);
        }
        // A new connection of the crowd displaces one of the crowd.
        sim.advance(3 * TICK);
        let late = sim.connect_from(from(&ip(50), 50));
        sim.send(late, GET);
        assert_eq!(statuses(sim.received(late)), [200]);
        assert!(others.iter().all(|&client| sim.is_open(client)));
    }
}

#[test]
fn the_limit_of_connections_per_address_can_be_set_and_switched_off() {
    let open_of = |limits, count: u16| {
        let mut sim = limited(site, limits);
        let all: Vec<_> = (0..count).map(|n| sim.connect_from(from("192.0.2.7", n))).collect();
        // All wait for the program, so none of them gives way.
        all.iter().for_each(|&client| sim.send(client, b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n"));
        // For a moment, those for whom there is no place wait in the queue of the kernel.
        sim.advance(HOLD);
        self::count(&mut sim, &all, |sim, client| sim.is_open(client))
    };
    let of_one = |n| Limits { connections_per_address_max: n, ..at_most(40) };
    // Up to 16 connections have no slot and wait.
    assert_eq!(open_of(of_one(3), 40), 3 + 16);
    assert_eq!(open_of(of_one(0), 60), 30 + 16);
    assert_eq!(open_of(of_one(usize::MAX), 40), 40);
    assert_eq!(open_of(Limits { connections_max: 1, ..of_one(0) }, 1), 1);
}

/// The time for which nobody is accepted after a crowd from one address has filled the waiting room. It
/// does not come again for 20 seconds.
const HOLD: Duration = Duration::from_millis(100);

/// The crowd holds its share of the slots with connections that are silent, idle, or in the middle of a
/// head, and comes again and again. After a moment, others do not wait for it.
#[test]
fn during_a_flood_from_one_address_clients_of_others_are_served_at_once() {
    for limits in [Limits::small(), at_most(8)] {
        let mut sim = limited(site, limits);
        let mut ports = 0..;
        for round in 0..50 {
            sim.pause();
            let crowd: Vec<_> = ports.by_ref().take(200).collect();
            for n in crowd {
                let client = sim.connect_from(from("198.51.100.7", n));
                sim.send(client, [b"", GET, &GET[..9]][usize::from(n % 3)]);
            }
            let other = sim.connect_from(from("192.0.2.7", round));
            sim.send(other, GET_CLOSE);
            sim.resume();
            if round == 0 {
                sim.advance(HOLD);
            }
            assert_eq!(statuses(sim.received(other)), [200], "{round}");
            sim.advance(MS);
        }
    }
}

/// More clients come from one address than may wait, as behind a proxy, and all are served soon.
#[test]
fn a_crowd_that_is_served_soon_waits_for_its_turn_and_none_is_refused() {
    let waiting = Watched::<Vec<Later>>::default();
    let laters = waiting.clone();
    let site = move |_: &Request<'_>| later_to(|later| laters.borrow_mut().push(later));
    let mut sim = limited(site, at_most(8));
    let get = |sim: &mut Sim, n| {
        let client = sim.connect_from(from("198.51.100.7", n));
        sim.send(client, GET_CLOSE);
        client
    };
    let crowd: Vec<_> = (0..60).map(|n| get(&mut sim, n)).collect();
    for (n, client) in crowd.into_iter().enumerate() {
        let first = waiting.borrow_mut().remove(0);
        first.respond("served");
        sim.advance(MS);
        assert_eq!(statuses(sim.received(client)), [200], "{n}");
    }
    assert_eq!(sim.report().totals.evicted, 0);
}

/// They come one by one, and hold all slots: each has just begun.
#[test]
fn a_client_waits_for_a_moment_only_while_slow_readers_and_uploads_hold_all_slots() {
    for (name, attack) in &HOLDERS[2..] {
        let site: fn(&Request<'_>) -> Reply = with_hoards;
        let mut sim = limited(site, Limits::small());
        let mut attackers = Vec::new();
        for round in 0..30 {
            attackers.retain(|&client| sim.is_open(client));
            while attackers.len() < 70 {
                let client = sim.connect();
                attack(&mut sim, client);
                attackers.push(client);
            }
            let client = sim.connect_and_send(GET_CLOSE);
            sim.advance(25 * MS);
            assert_eq!(statuses(sim.received(client)), [200], "{name}: {round}");
        }
    }
}

/// A client that paused for longer than a part of its window gives way before one that has just begun.
#[test]
fn a_reader_that_pauses_gives_way_first() {
    let mut sim = limited(site, at_most(3));
    let download = |sim: &mut Sim| {
        let client = sim.connect();
        sim.stall(client, 64 << 10);
        sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
        sim.read(client, 1 << 20);
        client
    };
    let paused = download(&mut sim);
    // In the middle of the next part.
    sim.advance(Duration::from_millis(20_300));
    let others = [download(&mut sim), download(&mut sim)];
    let newcomer = sim.connect_and_send(GET_CLOSE);
    sim.advance(TICK);
    assert_eq!(statuses(sim.received(newcomer)), [200]);
    assert!(!sim.is_open(paused));
    assert!(others.iter().all(|&client| sim.is_open(client)));
}

/// All connections of a crowd wait for the program, so none of them gives way.
fn with_busy_crowd() -> Sim {
    let site: fn(&Request<'_>) -> Reply = site;
    let mut sim = limited(site, at_most(8));
    for n in 0..6 {
        let client = sim.connect_from(from("198.51.100.7", n));
        sim.send(client, b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    sim
}

#[test]
fn a_crowd_that_cannot_give_way_does_not_keep_others_waiting() {
    let mut sim = with_busy_crowd();
    for round in 0..20 {
        sim.pause();
        let crowd: Vec<_> =
            (0..30).map(|n| sim.connect_from(from("198.51.100.7", 100 + n))).collect();
        let other = sim.connect_from(from("192.0.2.7", 1));
        sim.send(other, GET_CLOSE);
        sim.resume();
        if round == 0 {
            sim.advance(HOLD);
        }
        assert_eq!(statuses(sim.received(other)), [200], "{round}");
        let refused = count(&mut sim, &crowd, |sim, client| sim.was_reset(client));
        assert_eq!(refused, 30 - 16, "the others wait");
        sim.advance(300 * MS);
        assert!(crowd.iter().all(|&client| sim.was_reset(client)));
    }
}

#[test]
fn a_shutdown_serves_the_clients_that_wait_after_a_crowd() {
    // One waits, or so many that nobody else is accepted for a moment.
    for crowd in [1, 40] {
        let mut sim = with_busy_crowd();
        sim.pause();
        (0..crowd).for_each(|n| _ = sim.connect_from(from("198.51.100.7", 100 + n)));
        let other = sim.connect_from(from("192.0.2.7", 1));
        sim.send(other, GET);
        shut_down_within(&mut sim, SECOND);
        sim.resume();
        sim.advance(2 * SECOND);
        assert_eq!(statuses(sim.received(other)), [200], "{crowd}");
    }
}

#[test]
fn clients_are_accepted_again_as_soon_as_a_crowd_has_had_its_moment() {
    let mut sim = with_busy_crowd();
    (0..30).for_each(|n| _ = sim.connect_from(from("198.51.100.7", 100 + n)));
    let other = sim.connect_from(from("192.0.2.7", 1));
    sim.send(other, GET_CLOSE);
    sim.set_story(true);
    sim.advance(SECOND);
    let story = sim.story();
    let turn = story.split("turn ").find(|turn| turn.contains("accept")).unwrap();
    assert!(turn.contains(" at 0.100 s\n"), "{story}");
}

/// Between the poll and the accept of a turn, a request may come.
#[test]
fn an_idle_connection_whose_request_comes_after_the_poll_is_served_and_not_closed() {
    let mut sim = limited(site, at_most(2));
    let idle: Vec<_> = (0..2).map(|_| sim.connect_and_send(GET)).collect();
    sim.advance(SECOND);
    sim.pause();
    let waiting = sim.connect_and_send(GET_CLOSE);
    sim.stop_after_poll(MS, idle[0], GET);
    sim.resume();
    assert_eq!(statuses(sim.received(idle[0])).len(), 2);
    assert_eq!(statuses(sim.received(waiting)), [200]);
    assert!(!sim.is_open(idle[1]));
}

/// Its own connections come first, so an idle client of another address keeps its own.
#[test]
fn a_crowd_from_one_address_displaces_itself_first() {
    let mut sim = limited(site, at_most(20));
    let idle = sim.connect_from(from("192.0.2.7", 1));
    sim.send(idle, GET);
    for n in 0..1000 {
        sim.connect_from(from("198.51.100.7", n));
        if n % 4 == 0 {
            sim.connect_from(from(&format!("198.51.100.{}", 8 + n / 4 % 16), n));
        }
        sim.advance(30 * MS);
    }
    assert!(sim.is_open(idle));
}

#[test]
fn a_server_with_a_hook_of_exchanges_gives_up_their_texts_before_it_resets_connections() {
    let server = Server::new()
        .limits(with_memory(MIB))
        .exchange_headers(&["X-Long"])
        .on_exchange(|(), _| {});
    let mut sim = sim_of(server, site);
    let long = "t".repeat(6000);
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let head = format!("GET /never?{long} HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n");
            let client = sim.connect_and_send(head);
            assert!(sim.memory() <= MIB / 100 * 81, "{}", sim.memory());
            client
        })
        .collect();
    assert_eq!(count(&mut sim, &clients, |sim, client| sim.is_open(client)), 200);
}
