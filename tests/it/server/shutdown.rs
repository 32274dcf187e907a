//! Ending a server from another thread: gracefully, at its deadline, and at once.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use wheelhouse::runtime::ConnectionState;
use wheelhouse::{Reply, Request, Router, Server};

use super::running::{Client, Running, PATIENCE};

fn length(_: &Request<'_>) -> Reply {
    Reply::collect(100, |(), _, content: &[u8]| format!("{} bytes", content.len()))
}

/// A client whose request has certainly begun: the server has invited its content.
fn client_in_flight(server: &Running) -> Client {
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n");
    client.send("Expect: 100-continue\r\n\r\n");
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("begun");
    client
}

fn wait_until_refused(server: &Running) {
    let start = Instant::now();
    while TcpStream::connect(server.addrs[0]).is_ok() {
        assert!(start.elapsed() < PATIENCE, "the listener does not close");
    }
}

#[test]
fn a_request_in_flight_gets_its_response_before_a_graceful_end() {
    let server = Running::new(length);
    let mut idle = server.connect();
    idle.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n");
    idle.response().assert(200, "0 bytes");
    let mut client = client_in_flight(&server);

    server.handle.shutdown();
    wait_until_refused(&server);
    assert_eq!(idle.rest(), b"", "idle connections end at once");
    client.send("done");
    let response = client.response();
    response.assert(200, "9 bytes");
    assert_eq!(response.field("connection"), Some("close"));
    assert_eq!(client.rest(), b"");
    let report = server.report();
    assert_eq!((report.totals.requests, report.reset), (2, 0));
    assert!(report.drained >= 2, "{report:?}");
}

/// Idle connections end with the server; those that were handed out are no longer its own (t246).
#[test]
fn connections_that_are_idle_or_handed_out_do_not_keep_a_server_from_ending() {
    let server = Running::new(|req: &Request<'_>| -> Reply {
        match req.path() {
            "/mine" => Reply::hijack(|(), hijacked| {
                let mut stream = hijacked.stream;
                thread::spawn(move || {
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).unwrap();
                    stream.write_all(&all).unwrap();
                });
            }),
            _ => "hello".into(),
        }
    });
    let (mut idle, mut taken) = (server.connect(), server.connect());
    idle.get("/").assert(200, "hello");
    taken.send("GET /mine HTTP/1.1\r\nHost: here\r\n\r\n");
    server.wait_for(ConnectionState::Hijacked);
    let report = server.finish();
    assert_eq!((report.totals.requests, report.reset), (2, 0));
    assert_eq!(idle.rest(), b"");
    taken.send("still here");
    taken.end();
    assert_eq!(taken.rest(), b"still here");
}

#[test]
fn unfinished_connections_are_reset_and_counted_at_the_deadline() {
    let server = Running::new(length);
    let mut client = client_in_flight(&server);
    server.handle.shutdown_within(Duration::from_millis(100));
    let (read, end) = client.rest_or_error();
    assert_eq!((read, end.unwrap_err().kind()), (vec![], io::ErrorKind::ConnectionReset));
    let report = server.report();
    assert_eq!((report.totals.accepted, report.totals.requests, report.reset), (1, 1, 1));
}

#[test]
fn a_stop_resets_connections_in_flight_at_once() {
    let server = Running::new(length);
    let mut client = client_in_flight(&server);
    server.handle.stop();
    let (read, end) = client.rest_or_error();
    assert_eq!((read, end.unwrap_err().kind()), (vec![], io::ErrorKind::ConnectionReset));
    assert_eq!(server.report().reset, 1);
}

#[test]
fn a_request_that_arrived_before_the_shutdown_gets_its_response() {
    let server = Running::new(length);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nsent");
    server.wait_for(ConnectionState::Active);
    server.handle.shutdown();
    client.response().assert(200, "4 bytes");
    assert_eq!(server.report().reset, 0);
}

#[test]
fn the_report_counts_connections_and_requests_of_the_whole_run() {
    let server = Running::new(length);
    for _ in 0..3 {
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\nhi");
        client.response().assert(200, "2 bytes");
        client.send("BAD\r\n\r\n");
        assert!(client.response().head.starts_with("HTTP/1.1 400 "));
        assert_eq!(client.rest(), b"");
    }
    let report = server.finish();
    assert_eq!((report.totals.accepted, report.totals.requests, report.totals.refused), (3, 3, 3));
}

#[test]
fn a_handle_outlives_its_server_and_then_has_no_effect() {
    let server = Running::new(length);
    let handle = server.handle.clone();
    assert_eq!(server.finish().totals.requests, 0);
    handle.shutdown();
    handle.stop();
}

/// A shutdown before the start takes effect, and the listener closes (t5).
#[test]
fn a_server_that_was_shut_down_before_it_runs_ends_at_once() {
    let server = Server::new().listen("127.0.0.1:0").unwrap();
    let addr = server.local_addrs()[0];
    server.handle().shutdown();
    let report = server.run(|_: &Request<'_>| "never").unwrap();
    assert_eq!((report.totals.accepted, report.totals.requests), (0, 0));
    assert!(TcpStream::connect(addr).is_err(), "the listener is closed");
}

/// A server holds only data until it runs, so one thread may set it up and another run it.
#[test]
fn a_server_moves_into_a_thread_with_its_state() {
    let server = Server::with_state(7).listen("127.0.0.1:0").unwrap();
    let (address, handle) = (server.local_addrs()[0], server.handle());
    let thread = thread::spawn(move || {
        let routes =
            Router::<i32>::new().get("/", |state, _| format!("{state}\n")).build().unwrap();
        server.run(routes).unwrap()
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(crate::support::GET_CLOSE).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\n7\n"), "{response}");
    handle.shutdown();
    assert_eq!(thread.join().unwrap().totals.requests, 1);
}
