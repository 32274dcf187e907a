//! The numbers of servers that run: in a thread, in a loop of the program, on several cores.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use wheelhouse::runtime::{Cores, Stats, Totals};
use wheelhouse::{Limits, Request, Server};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn get(address: SocketAddr) {
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(GET).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
}

/// Waits until the numbers show this: the response leaves a moment before the end of its turn.
fn until(stats: &Stats, holds: impl Fn(&Totals) -> bool) -> Totals {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let totals = stats.totals();
        if holds(&totals) {
            return totals;
        }
        assert!(Instant::now() < end, "{totals:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_thread_reads_the_numbers_of_a_server_in_another_one_and_still_after_its_end() {
    let server = Server::new().listen("127.0.0.1:0").unwrap();
    let server = server.spawn(|| Ok(|_: &Request<'_>| "hello\n")).unwrap();
    let stats = server.stats();
    assert_eq!((stats.totals().accepted, stats.is_draining()), (0, false));
    (0..3).for_each(|_| get(server.local_addrs()[0]));
    let totals = until(&stats, |totals| totals.requests == 3 && totals.connections.sum() == 0);
    assert_eq!((totals.accepted, totals.responses, totals.loops), (3, [0, 3, 0, 0, 0], 1));
    assert_eq!(totals.bytes_received, 3 * GET.len() as u64);
    server.handle().shutdown();
    let report = server.join().unwrap();
    assert_eq!(report.totals, stats.totals());
    assert!(stats.is_draining());
}

#[test]
fn numbers_that_are_first_asked_for_while_the_server_runs_have_all_that_came_before() {
    let server = Server::new().listen("127.0.0.1:0").unwrap();
    let mut events = server.build(|_: &Request<'_>| "hello\n").unwrap();
    let address = events.local_addrs()[0];
    let client = thread::spawn(move || get(address));
    while !client.is_finished() {
        let _ = events.turn(Some(Duration::from_millis(10))).unwrap();
    }
    let totals = events.stats().totals();
    assert_eq!((totals.accepted, totals.requests, totals.turns.count()), (1, 1, 0));
    let _ = events.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(events.stats().totals().turns.count(), 1, "turns are timed from now on");
}

#[test]
fn the_numbers_of_cores_are_added_up_wherever_they_are_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, of_core) = mpsc::channel();
    let cores = Cores::start(2, move |core| {
        let server = Server::new().listen(listener.try_clone().unwrap())?;
        if core == 0 {
            send.send(server.stats()).unwrap();
        }
        server.build(|_: &Request<'_>| "well")
    });
    let cores = cores.unwrap();
    let of_one = of_core.recv().unwrap();
    (0..9).for_each(|_| get(address));
    for stats in [cores.stats(), of_one] {
        let totals = until(&stats, |totals| totals.requests == 9);
        let one = Limits::default().memory_bytes_max as u64;
        assert_eq!((totals.loops, totals.memory_bytes_max), (2, 2 * one));
        let each: Vec<_> = stats.per_core().iter().map(|core| core.requests).collect();
        assert_eq!((each.len(), each.iter().sum::<u64>()), (2, 9));
    }
    let stats = cores.stats();
    cores.handle().shutdown();
    let reports = cores.join().unwrap();
    assert_eq!(reports.into_iter().sum::<wheelhouse::runtime::Report>().totals, stats.totals());
}
