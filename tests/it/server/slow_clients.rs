//! Peers that dawdle are cut by their deadline, each once on a real socket. The exact times are the
//! simulator's business; here only the cut is waited for. What is short is that one deadline alone,
//! so that a machine that stalls meets no other.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use wheelhouse::content::{Flow, Receive};
use wheelhouse::runtime::ConnectionState;
use wheelhouse::{Failure, Limits, Reply, Request, Response, StatusCode};

use super::running::Running;

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
fn a_head_that_never_ends_is_answered_with_408_however_steadily_it_drips() {
    // Time enough to begin it, even where the machine stalls.
    let limits = Limits { head_timeout: SHORT * 5, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut slow = server.connect();
    slow.send("GET / HTTP/1.1\r\nHost: here\r\n");
    // The read time-out is the pace of the drip.
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
fn a_connection_that_never_says_anything_is_closed_without_a_word() {
    let limits = Limits { head_timeout: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    assert_eq!(server.connect().rest(), b"");
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let limits = Limits { idle_timeout: SHORT, idle_timeout_min: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut idle = server.connect();
    idle.get("/").assert(200, "hello");
    assert_eq!(idle.rest(), b"");
}

#[test]
fn content_that_stops_coming_is_answered_with_408() {
    let limits = Limits { content_window: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut slow = server.connect();
    slow.send("POST /collect HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nx");
    let answer = slow.answer();
    assert!(answer.head.starts_with("HTTP/1.1 408 "), "{}", answer.head);
    assert_eq!(answer.field("connection"), Some("close"));
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
    assert!(read.len() < BIG.len(), "the part must not pass for the whole");
}

#[test]
fn a_peer_that_never_closes_is_closed_on() {
    let limits = Limits { linger_quiet_timeout: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut stays = server.connect();
    stays.send("POST /refuse HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\nx");
    let answer = stays.answer();
    answer.assert(401, "401 Unauthorized\n");
    assert_eq!(answer.field("connection"), Some("close"));
    assert_eq!(stays.rest(), b"", "our side is ended behind the answer");
    server.wait_for(ConnectionState::Closed);
}

#[test]
fn a_peer_that_never_stops_sending_after_a_refusal_is_closed_on() {
    let limits = Limits { linger_timeout: SHORT, linger_quiet_timeout: SHORT, ..Limits::default() };
    let server = Running::with_limits(limits, handler);
    let mut sends = server.connect();
    sends.send("no request at all\r\n\r\n");
    assert!(sends.answer().head.starts_with("HTTP/1.1 400 "));
    let mut stream = sends.stream();
    let piece = [b'x'; 1000];
    // Bounded by the linger's bytes and by its deadline: writing fails in the end.
    let failed = (0..1_000_000).find_map(|_| io::Write::write_all(&mut stream, &piece).err());
    assert!(failed.is_some(), "a gigabyte was taken after the end");
}

/// Takes its time when it has seen how quick its peer is.
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

/// There is something to read in every turn, which puts a deadline off once and not for ever.
#[test]
fn a_client_that_sends_faster_than_the_server_reads_has_no_more_time() {
    let server = Running::new(|_: &Request<'_>| {
        Reply::receive(u64::MAX, Dawdles(0)).with_content_timeout(SHORT)
    });
    let mut quick = server.connect();
    quick.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9000000000000\r\n\r\n");
    let piece = vec![b'x'; 1 << 20];
    let is_cut = (0..300).any(|_| quick.stream().write_all(&piece).is_err());
    assert!(is_cut, "300 MiB were taken");
}
