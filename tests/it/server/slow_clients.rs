//! Slow peers are cut off by their deadline, one test for each deadline on a real socket. The exact
//! times are tested in the simulator; here the test only waits for the end. Only the deadline under
//! test is short, so that a slow machine does not meet another one.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use wheelhouse::content::{Flow, Receive};
use wheelhouse::runtime::ConnectionState;
use wheelhouse::{Failure, Limits, Reply, Request, Response, Server, StatusCode};

use super::running::{Running, PATIENCE};

const SHORT: Duration = Duration::from_millis(200);

static BIG: [u8; 32 << 20] = [b'.'; 32 << 20];

fn handler(req: &Request<'_>) -> Reply {
    match req.path() {
        "/big" => Response::ok("application/octet-stream", &BIG[..]).into(),
        "/collect" => Reply::collect(1 << 20, |(), _, _| "collected"),
        "/refuse" => Response::status_page(StatusCode::UNAUTHORIZED).into(),
        _ => "hello".into(),
    }
}

#[test]
fn a_head_that_never_ends_gets_a_408_however_steadily_it_arrives() {
    // Long enough to begin the head, even on a machine that stalls.
    let limits = Limits { head_timeout: SHORT * 5, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut slow = server.connect();
    slow.send("GET / HTTP/1.1\r\nHost: here\r\n");
    // The read timeout sets the pace at which the client sends.
    slow.stream().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut first = [0];
    for _ in 0..1000 {
        slow.send("X: y\r\n");
        match slow.stream().peek(&mut first) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => {
                assert_eq!(result.unwrap(), 1);
                break;
            }
        }
    }
    assert!(slow.head().starts_with("HTTP/1.1 408 "));
}

#[test]
fn a_connection_that_sends_nothing_is_closed_silently() {
    let limits = Limits { head_timeout: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    assert_eq!(server.connect().rest(), b"");
}

#[test]
fn an_idle_connection_is_closed_silently() {
    let limits = Limits { idle_timeout: SHORT, idle_timeout_min: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut idle = server.connect();
    idle.get("/").assert(200, "hello");
    assert_eq!(idle.rest(), b"");
}

#[test]
fn content_that_stops_arriving_gets_a_408() {
    let limits = Limits { content_window: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut slow = server.connect();
    slow.send("POST /collect HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx");
    let response = slow.response();
    assert!(response.head.starts_with("HTTP/1.1 408 "), "{}", response.head);
    assert_eq!(response.field("connection"), Some("close"));
    assert_eq!(slow.rest(), b"");
}

#[test]
fn a_peer_that_does_not_read_is_reset() {
    let limits = Limits { response_window: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut slow = server.connect();
    slow.send("GET /big HTTP/1.1\r\nHost: here\r\n\r\n");
    server.wait_for(ConnectionState::Closed);
    let (read, end) = slow.rest_or_error();
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(read.len() < BIG.len(), "the client must not receive the whole content");
}

#[test]
fn the_server_closes_when_a_peer_never_does() {
    let limits = Limits { linger_quiet_timeout: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut stays = server.connect();
    stays.send("POST /refuse HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\nx");
    let response = stays.response();
    response.assert(401, "401 Unauthorized\n");
    assert_eq!(response.field("connection"), Some("close"));
    assert_eq!(stays.rest(), b"", "the server ends its side after the response");
    server.wait_for(ConnectionState::Closed);
}

#[test]
fn the_server_closes_when_a_peer_never_stops_sending_after_a_refusal() {
    let limits = Limits { linger_timeout: SHORT, linger_quiet_timeout: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut sends = server.connect();
    sends.send("no request at all\r\n\r\n");
    assert!(sends.response().head.starts_with("HTTP/1.1 400 "));
    let mut stream = sends.stream();
    let piece = [b'x'; 1000];
    // The bytes and the deadline of the linger bound this: writing fails in the end.
    let failed = (0..1_000_000).find_map(|_| io::Write::write_all(&mut stream, &piece).err());
    assert!(failed.is_some(), "the server read a gigabyte after its end");
}

/// Becomes slow once its peer has sent much at once.
struct Dawdles(u32);

impl Receive<()> for Dawdles {
    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow, Failure> {
        self.0 += 1;
        if self.0 > 1000 {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        "all of it".into()
    }
}

/// There is something to read in every turn, which postpones a deadline once, but not for ever.
#[test]
fn a_client_that_sends_faster_than_the_server_reads_gets_no_extra_time() {
    let limits = Limits { linger_bytes_max: 64 << 10, ..Limits::default() };
    let server = Running::with_limits(limits, |_: &Request<'_>| {
        Reply::receive(u64::MAX, Dawdles(0)).with_content_timeout(SHORT)
    });
    let mut quick = server.connect();
    quick.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9000000000000\r\n\r\n");
    let piece = vec![b'x'; 1 << 20];
    let is_cut = (0..300).any(|_| quick.stream().write_all(&piece).is_err());
    assert!(is_cut, "the server read 300 MiB");
}

/// A read stops before an urgent byte, although more bytes are in the socket, and no event comes for
/// those. The urgent byte itself is not a part of the stream.
#[test]
fn a_request_with_an_urgent_byte_in_it_gets_its_response_at_the_latest_at_its_deadline() {
    let limits = Limits {
        head_timeout: Duration::from_millis(200),
        content_window: Duration::from_millis(200),
        ..Limits::default()
    };
    let echo =
        |_: &Request<'_>| Reply::collect(100, |(), _, content| format!("{} B", content.len()));
    for [first, last] in [
        ["GET / HT", "TP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"],
        ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", "llo"],
    ] {
        let server = Server::new().limits(limits.clone()).listen("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(server.local_addrs()[0]).unwrap();
        let mut event_loop = server.build(echo).unwrap();
        client.write_all(first.as_bytes()).unwrap();
        socket2::SockRef::from(&client).send_out_of_band(b"!").unwrap();
        client.write_all(last.as_bytes()).unwrap();
        client.set_nonblocking(true).unwrap();
        let (started, mut response) = (Instant::now(), Vec::new());
        while response.is_empty() && started.elapsed() < PATIENCE {
            let _ = event_loop.turn(Some(Duration::from_millis(10))).unwrap();
            let _ = client.read_to_end(&mut response);
        }
        assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", response.escape_ascii());
    }
}
