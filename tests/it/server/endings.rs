//! The ways in which peers end a connection on real sockets: half-close, the end in the same
//! segment as the request, urgent bytes, resets. Some of them are traps for edge-triggered polling.

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
fn a_peer_that_has_ended_its_side_still_gets_its_response() {
    let server = Running::new(hello);
    let mut client = server.connect();
    client.send(GET);
    client.end();
    client.response().assert(200, "hello");
    assert_eq!(client.rest(), b"");
}

/// The trap: the request fills less than the buffer, so the socket looks drained, and the kernel
/// reports the end that came along only once. The connection would stay until its idle deadline.
#[cfg(target_os = "linux")]
#[test]
fn a_request_and_the_end_in_one_segment_are_both_seen() {
    let server = Running::new(hello);
    let mut client = server.connect();
    client.send_and_end(GET);
    client.response().assert(200, "hello");
    assert_eq!(client.rest(), b"");
    server.wait_for(ConnectionState::Closed);

    // The same on a connection that is already registered.
    let mut client = server.connect();
    client.get("/").assert(200, "hello");
    client.send_and_end([GET, GET].concat());
    client.response().assert(200, "hello");
    client.response().assert(200, "hello");
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
    client.response().assert(200, "bytes");
    assert_eq!(client.rest(), b"");
}

/// A read stops at the urgent mark and returns early although more bytes are queued. That may cost
/// the sender its connection, but must not affect other clients.
#[test]
fn an_urgent_byte_does_not_affect_other_clients() {
    let server = Running::new(hello);
    let mut urgent = server.connect();
    urgent.send("GET / HT");
    socket2::SockRef::from(urgent.stream()).send_out_of_band(b"!").unwrap();
    urgent.send("TP/1.1\r\nHost: here\r\n\r\n");

    let mut other = server.connect();
    for _ in 0..10 {
        other.get("/").assert(200, "hello");
    }
    // The sender is served or cut off by its deadline; either way its connection ends, too.
    urgent.end();
    let (response, _) = urgent.rest_or_error();
    assert!(response.is_empty() || response.starts_with(b"HTTP/1.1 "), "{response:?}");
}

#[test]
fn a_reset_on_a_new_connection_in_a_head_or_between_requests_costs_one_connection() {
    let server = Running::new(hello);
    let mut stays = server.connect();
    for sent in ["", "GET / HT", GET] {
        let mut client = server.connect();
        client.send(sent);
        if sent == GET {
            client.response().assert(200, "hello");
        }
        client.reset();
        server.wait_for(ConnectionState::Closed);
        stays.get("/").assert(200, "hello");
    }
}

/// Reports each piece of the content, or why the content was lost.
struct Reports(Sender<Result<usize, Lost>>);

impl Receive<()> for Reports {
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
    let (sender, reports) = mpsc::channel();
    (
        Running::new(move |_: &Request<'_>| Reply::receive(u64::MAX, Reports(sender.clone()))),
        reports,
    )
}

const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nhalf.";

/// Go: TestChunkEndReadError (t75).
#[test]
fn a_receiver_is_notified_of_a_reset_in_its_content() {
    let (server, reports) = receiving_server();
    let mut client = server.connect();
    client.send(UPLOAD);
    assert_eq!(reports.recv_timeout(PATIENCE), Ok(Ok(5)));
    client.reset();
    assert_eq!(reports.recv_timeout(PATIENCE), Ok(Err(Lost::PeerLeft)));
    server.wait_for(ConnectionState::Closed);
}

#[test]
fn a_receiver_is_notified_of_an_end_in_its_content_and_its_reply_is_not_sent() {
    let (server, reports) = receiving_server();
    let mut client = server.connect();
    client.send(UPLOAD);
    assert_eq!(reports.recv_timeout(PATIENCE), Ok(Ok(5)));
    client.end();
    assert_eq!(reports.recv_timeout(PATIENCE), Ok(Err(Lost::PeerLeft)));
    let (response, _) = client.rest_or_error();
    assert!(!response.starts_with(b"HTTP/1.1 200"), "content that is cut off is not complete");
}

/// Endless content, which is dropped when the client no longer reads it.
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
fn a_reset_during_the_response_drops_its_producer() {
    let (sender, reports) = mpsc::channel();
    let server = Running::new(move |_: &Request<'_>| {
        Response::ok("text/plain", Body::produce(Endless(sender.clone())))
    });
    let mut client = server.connect();
    client.send(GET);
    assert!(client.head().starts_with("HTTP/1.1 200 "));
    client.reset();
    assert_eq!(reports.recv_timeout(PATIENCE), Ok("dropped"));
    server.wait_for(ConnectionState::Closed);
}
