//! How peers end a connection, and what the operating system makes of it: half-close, the end in
//! the same segment as the request, urgent bytes, resets (reactor traps of edge triggers).

use std::sync::mpsc::{self, Receiver, Sender};

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Lost, Receive};
use wheelhouse::runtime::ConnectionState;
use wheelhouse::{Body, Failure, Reply, Request, Response};

use super::running::{Running, PATIENCE};

const GET: &str = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";

fn hello(_: &Request<'_>) -> &'static str {
    "hello"
}

#[test]
fn a_peer_that_has_ended_its_side_is_still_answered() {
    let server = Running::new(hello);
    let mut client = server.connect();
    client.send(GET);
    client.end();
    client.answer().assert(200, "hello");
    assert_eq!(client.rest(), b"");
}

/// The trap: the request fills less than the buffer, which looks drained, and the end that came
/// along is never told again. The connection would stay until its idle deadline.
#[cfg(target_os = "linux")]
#[test]
fn a_request_and_the_end_in_one_segment_are_both_seen() {
    let server = Running::new(hello);
    let mut client = server.connect();
    client.send_and_end(GET);
    client.answer().assert(200, "hello");
    assert_eq!(client.rest(), b"");
    server.wait_for(ConnectionState::Closed);

    // Once more on a connection that has long been watched.
    let mut client = server.connect();
    client.get("/").assert(200, "hello");
    client.send_and_end([GET, GET].concat());
    client.answer().assert(200, "hello");
    client.answer().assert(200, "hello");
    assert_eq!(client.rest(), b"");
    server.wait_for(ConnectionState::Closed);
}

#[cfg(target_os = "linux")]
#[test]
fn content_and_the_end_in_one_segment_are_both_seen() {
    let server = Running::new(|_: &Request<'_>| {
        Reply::collect(100, |(), _, content: &[u8]| String::from_utf8_lossy(content).into_owned())
    });
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n");
    client.send("Expect: 100-continue\r\n\r\n");
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send_and_end("bytes");
    client.answer().assert(200, "bytes");
    assert_eq!(client.rest(), b"");
}

/// A read stops at the urgent mark and comes back short although more is queued. That may cost
/// the sender its connection; it must cost nobody else anything.
#[test]
fn an_urgent_byte_wedges_nobody_else() {
    let server = Running::new(hello);
    let mut urgent = server.connect();
    urgent.send("GET / HT");
    socket2::SockRef::from(urgent.stream()).send_out_of_band(b"!").unwrap();
    urgent.send("TP/1.1\r\nHost: here\r\n\r\n");

    let mut other = server.connect();
    for _ in 0..10 {
        other.get("/").assert(200, "hello");
    }
    // Served or cut by its deadline: either way it is over for the sender, too.
    urgent.end();
    let (answer, _) = urgent.rest_or_error();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
}

#[test]
fn a_reset_while_nothing_happens_in_a_head_or_between_requests_costs_one_connection() {
    let server = Running::new(hello);
    let mut stays = server.connect();
    for sent in ["", "GET / HT", GET] {
        let mut client = server.connect();
        client.send(sent);
        if sent == GET {
            client.answer().assert(200, "hello");
        }
        client.reset();
        server.wait_for(ConnectionState::Closed);
        stays.get("/").assert(200, "hello");
    }
}

/// Tells what becomes of the content.
struct Told(Sender<Result<usize, Lost>>);

impl Receive<()> for Told {
    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow, Failure> {
        self.0.send(Ok(piece.len())).unwrap();
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        "all of it".into()
    }

    fn lost(self: Box<Self>, (): &mut (), why: Lost) {
        self.0.send(Err(why)).unwrap();
    }
}

fn receiving_server() -> (Running, Receiver<Result<usize, Lost>>) {
    let (sender, told) = mpsc::channel();
    (Running::new(move |_: &Request<'_>| Reply::receive(u64::MAX, Told(sender.clone()))), told)
}

const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nhalf.";

/// Go: TestChunkEndReadError (t75).
#[test]
fn a_reset_in_the_content_is_told_to_the_receiver() {
    let (server, told) = receiving_server();
    let mut client = server.connect();
    client.send(UPLOAD);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Ok(5)));
    client.reset();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Err(Lost::PeerLeft)));
    server.wait_for(ConnectionState::Closed);
}

#[test]
fn an_end_in_the_content_is_no_answer_but_told_to_the_receiver() {
    let (server, told) = receiving_server();
    let mut client = server.connect();
    client.send(UPLOAD);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Ok(5)));
    client.end();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Err(Lost::PeerLeft)));
    let (answer, _) = client.rest_or_error();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "half a content is not the whole");
}

/// Endless content; dropped when nobody takes it any more.
struct Endless(Sender<&'static str>);

impl Produce for Endless {
    fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
        out.put(&[b'.'; 16 << 10]);
        Ok(Produced::More)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// Go: TestCancelRequestMidBody (t97).
#[test]
fn a_reset_in_the_answer_drops_its_producer() {
    let (sender, told) = mpsc::channel();
    let server = Running::new(move |_: &Request<'_>| {
        Response::ok("text/plain", Body::produce(Endless(sender.clone())))
    });
    let mut client = server.connect();
    client.send(GET);
    assert!(client.head().starts_with("HTTP/1.1 200 "));
    client.reset();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
    server.wait_for(ConnectionState::Closed);
}
