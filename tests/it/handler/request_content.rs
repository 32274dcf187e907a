//! The content of requests: collected, received piece by piece, transformed, or not read; and the
//! memory that it takes.

use std::io::{self};

use crate::support::*;
use wheelhouse::body::Out;
use wheelhouse::content::{Flow, Lost, Receive, Transform};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Failure, Reply, Request, Response, StatusCode};

/// The bytes that one connection may hold in addition to the base: a few blocks.
const FLAT: usize = 256 << 10;

fn in_pieces<S: 'static>(sim: &mut Sim<S>, client: Client, bytes: &[u8], len: usize) {
    for piece in bytes.chunks(len) {
        sim.send(client, piece);
    }
}

/// One byte more than the limit is an error (t153, t154, t155).
#[test]
fn collected_content_may_be_exactly_as_long_as_the_limit() {
    for (len, expected) in [(0, 200), (1, 200), (999, 200), (1000, 200), (1001, 413)] {
        for piece in [1 << 20, 7] {
            for is_chunked in [false, true] {
                let mut sim = Sim::new(site);
                let base = base(&mut sim);
                let client = sim.connect();
                let text = vec![b'x'; len];
                let bytes = if is_chunked {
                    let mut bytes = post_chunked("/collect");
                    for part in text.chunks(100) {
                        bytes.extend(chunk(part));
                    }
                    bytes.extend(b"0\r\n\r\n");
                    bytes
                } else {
                    post("/collect", len, &text)
                };
                in_pieces(&mut sim, client, &bytes, piece);
                assert_eq!(statuses(sim.received(client)), [expected], "{len} {is_chunked}");
                if expected == 200 {
                    assert_eq!(content(sim.received(client)), format!("{len}\n").as_bytes());
                }
                sim.end(client);
                assert!(!sim.is_open(client) && !sim.was_reset(client));
                assert_eq!(sim.memory(), base);
            }
        }
    }
}

/// No 100 invites the content (t153).
#[test]
fn announced_content_over_the_limit_is_413_before_its_first_byte() {
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut sim = Sim::new(site);
        let head =
            format!("POST /collect HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: 1001\r\n\r\n");
        let client = sim.connect_and_send(head.as_bytes());
        assert_eq!(statuses(sim.received(client)), [413]);
        assert!(sim.has_ended(client));
    }
}

/// A peer that continues to send after a 413 can still read it.
#[test]
fn a_refused_upload_is_read_until_the_refusal_has_arrived() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(post("/collect", 100_000, &[b'x'; 1000]));
    assert_eq!(statuses(sim.received(client)), [413]);
    sim.send(client, vec![b'x'; 99_000]);
    assert_eq!(sim.unread(client), 0);
    sim.end(client);
    assert!(!sim.was_reset(client));
}

#[test]
fn memory_grows_with_arrived_content_and_not_with_the_announced_length() {
    let mut sim = Sim::new(site);
    let silent: Vec<_> = (0..50).map(|_| sim.connect()).collect();
    for client in silent {
        sim.reset(client);
    }
    let base = sim.memory();
    let clients: Vec<_> =
        (0..50).map(|_| sim.connect_and_send(post("/collect-much", 1 << 30, b"x"))).collect();
    assert!(sim.memory() < base + 50 * 4096, "{}", sim.memory() - base);
    for client in clients {
        sim.reset(client);
    }
    assert_eq!(sim.memory(), base);
}

/// Responds as soon as it has seen an `!`.
struct Early;

impl Receive<()> for Early {
    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow<()>, Failure> {
        match piece.contains(&b'!') {
            true => Ok(Flow::Respond("early".into())),
            false => Ok(Flow::Continue),
        }
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply<()> {
        "late".into()
    }

    fn lost(self: Box<Self>, (): &mut (), why: Lost) {
        panic!("the receiver has responded or the peer stays: {why:?}");
    }
}

/// Go: TestServerRequestBodyCloseAfterPartialRead (t152).
#[test]
fn a_receiver_may_respond_before_the_content_is_complete() {
    for (text, wanted) in [("ab!cd", "early"), ("abcd!", "early"), ("abcde", "late")] {
        for piece in [1, 2, 1000] {
            let mut sim = Sim::new(|_: &Request<'_>| Reply::receive(u64::MAX, Early));
            let base = base(&mut sim);
            let client = sim.connect();
            for is_chunked in [false, true] {
                let bytes = match is_chunked {
                    true => {
                        let end = b"0\r\n\r\n".to_vec();
                        [post_chunked("/"), chunk(text.as_bytes()), end].concat()
                    }
                    false => post("/", 5, text.as_bytes()),
                };
                in_pieces(&mut sim, client, &bytes, piece);
                let received = sim.take_received(client);
                assert_eq!(content(&received), wanted.as_bytes(), "{text} {piece}");
                assert!(sim.is_open(client), "the rest is small: the connection is kept");
            }
            sim.end(client);
            assert_eq!(sim.memory(), base);
        }
    }
}

/// Go: TestServerUnreadRequestBodyLarge (t146), TestHandlerFinishSkipBigContentLengthRead (t148).
#[test]
fn an_early_response_with_much_content_left_closes_the_connection() {
    let mut sim = Sim::new(|_: &Request<'_>| Reply::receive(u64::MAX, Early));
    let client = sim.connect_and_send(post("/", 1 << 20, b"a!"));
    assert!(String::from_utf8_lossy(sim.received(client)).contains("Connection: close\r\n"));
    assert!(sim.has_ended(client) && sim.is_open(client));
}

/// With more unread content the connection closes (t27, t145, t146, t147).
#[test]
fn unread_content_is_dropped_up_to_64_kibibytes() {
    let all = [(20 << 10, true), (64 << 10, true), ((64 << 10) + 1, false), (1 << 20, false)];
    for (len, is_little) in all {
        for (is_chunked, closes) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut sim = Sim::new(site);
            let client = sim.connect();
            let text = vec![b'x'; len];
            let head = match is_chunked {
                true => post_chunked("/noread"),
                false => post("/noread", len, b""),
            };
            let wish = if closes { "\r\nConnection: close\r\n\r\n" } else { "\r\n\r\n" };
            let head = String::from_utf8(head).unwrap().replace("\r\n\r\n", wish);
            sim.send(client, head.as_bytes());
            assert_eq!(statuses(sim.received(client)), [200], "before a byte of the content");
            if is_chunked {
                for part in text.chunks(4096) {
                    sim.send(client, chunk(part));
                }
                sim.send(client, b"0\r\n\r\n");
            } else {
                sim.send(client, &text);
            }
            sim.send(client, GET);
            let expected = if is_little && !closes { vec![200, 200] } else { vec![200] };
            assert_eq!(statuses(sim.received(client)), expected, "{len} {is_chunked} {closes}");
            assert!(!sim.was_reset(client) || len == 1 << 20);
        }
    }
}

/// The response is sent at once, and content is drained for the time of a linger (t148).
#[test]
fn endless_unread_content_is_drained_for_a_time_and_in_pieces() {
    const SENT: usize = 1 << 20;
    let mut sim = Sim::new(|_: &Request<'_>| Response::not_found());
    let client = sim.connect();
    sim.pause();
    sim.send(client, post("/", u32::MAX as usize, &[b'x'; SENT]));
    let polls = sim.polls();
    sim.resume();
    assert_eq!(statuses(sim.received(client)), [404]);
    assert!(sim.is_open(client) && sim.unread(client) == 0);
    assert!(sim.polls() - polls >= SENT as u64 / (64 << 10), "other connections come between");
    sim.advance(2 * SECOND);
    assert!(!sim.is_open(client));
}

/// Two pipelined requests whose content no handler reads (t14).
#[test]
fn the_next_request_is_found_after_unread_content() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(post("/noread", 11, b"hello world").repeat(2));
    assert_eq!(statuses(sim.received(client)), [200, 200]);
}

#[test]
fn an_echo_of_megabytes_returns_every_byte() {
    let text: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
    for is_chunked in [false, true] {
        for piece in [1 << 20, 100_003, 4096] {
            let mut sim = Sim::new(site);
            let base = base(&mut sim);
            let client = sim.connect();
            if is_chunked {
                sim.send(client, post_chunked("/echo"));
                for part in text.chunks(piece) {
                    sim.send(client, chunk(part));
                }
                sim.send(client, b"0\r\n\r\n");
                assert!(dechunk(content(sim.received(client))) == text, "{piece}");
            } else {
                in_pieces(&mut sim, client, &post("/echo", text.len(), &text), piece);
                assert!(content(sim.received(client)) == text, "{piece}");
            }
            assert!(sim.is_open(client));
            sim.end(client);
            assert_eq!(sim.memory(), base);
        }
    }
}

/// While output waits the server does not read, so the content stays in the peer's window.
#[test]
fn an_echo_to_a_stalled_client_takes_no_memory() {
    let text: Vec<u8> = (0..4 << 20).map(|n: u32| (n % 251) as u8).collect();
    for is_chunked in [false, true] {
        let mut sim = Sim::new(site);
        let base = base(&mut sim);
        let client = sim.connect();
        sim.stall(client, 64 << 10);
        let bytes = match is_chunked {
            true => [post_chunked("/echo"), chunk(&text), b"0\r\n\r\n".to_vec()].concat(),
            false => post("/echo", text.len(), &text),
        };
        sim.send(client, &bytes);
        assert!(sim.unread(client) > 3 << 20, "reading pauses");
        let mut before = usize::MAX;
        while before != sim.received(client).len() {
            assert!(sim.memory() < base + FLAT, "{}", sim.memory() - base);
            before = sim.received(client).len();
            sim.read(client, 48 << 10);
        }
        assert_eq!(sim.unread(client), 0, "the server does not read");
        sim.unstall(client);
        let received = sim.take_received(client);
        match is_chunked {
            true => assert!(dechunk(content(&received)) == text),
            false => assert!(content(&received) == text),
        }
        sim.send(client, GET);
        assert_eq!(statuses(sim.received(client)), [200]);
        sim.end(client);
        assert_eq!(sim.memory(), base);
    }
}

/// Content of no length, announced or not, costs nothing and keeps the connection (t24).
#[test]
fn requests_and_responses_of_length_zero_follow_each_other() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Reply::collect(10, |(), _: &Request<'_>, content: &[u8]| {
            assert!(content.is_empty());
            Response::new(StatusCode::OK)
        })
    });
    let client = sim.connect();
    for _ in 0..5 {
        sim.send(client, post("/", 0, b""));
        let response = sim.take_received(client);
        assert_eq!(statuses(&response), [200]);
        assert!(String::from_utf8_lossy(&response).contains("\r\nContent-Length: 0\r\n"));
    }
    assert!(sim.is_open(client));
}

/// Covers a length that is known, known to be zero, and unknown (t82).
#[test]
fn a_handler_sees_the_length_of_the_content_if_it_is_announced() {
    let mut sim = Sim::new(|req: &Request<'_>| format!("{:?}", req.content_length()));
    for (request, expected) in [
        (post("/", 4, b"four"), "Some(4)"),
        (post("/", 0, b""), "Some(0)"),
        ([post_chunked("/"), b"0\r\n\r\n".to_vec()].concat(), "None"),
    ] {
        let client = sim.connect_and_send(&request);
        assert_eq!(content(sim.received(client)), expected.as_bytes());
    }
}

/// The response has begun, and its content waits for the end of a long upload (t115).
#[test]
fn a_response_that_has_begun_may_wait_for_the_end_of_the_content() {
    struct Hi(usize);
    impl Transform<()> for Hi {
        fn piece(&mut self, (): &mut (), piece: &[u8], _: &mut Out<'_>) -> io::Result<usize> {
            self.0 += piece.len();
            Ok(piece.len())
        }
        fn end(&mut self, (): &mut (), out: &mut Out<'_>) -> io::Result<()> {
            assert_eq!(self.0, 3 << 20);
            out.put(b"hi");
            Ok(())
        }
    }
    let mut sim = Sim::new(|_: &Request<'_>| Reply::transform(Response::text(""), Hi(0)));
    let client = sim.connect_and_send(post("/", 3 << 20, &[b'x'; 1 << 20]));
    assert_eq!(
        (statuses(sim.received(client)), content(sim.received(client))),
        (vec![200], &[][..])
    );
    sim.send(client, vec![b'x'; 2 << 20]);
    assert_eq!(dechunk(content(sim.received(client))), b"hi");
    sim.send(client, post("/", 3 << 20, &[b'x'; 3 << 20]));
    assert!(sim.received(client).ends_with(b"2\r\nhi\r\n0\r\n\r\n"));
}

/// Each byte is sent back as it arrives, not only when its chunk or the content is complete (t73,
/// t138).
#[test]
fn an_echo_is_sent_before_the_rest_of_the_content_arrives() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(post("/echo", 10, b""));
    assert!(sim.take_received(client).ends_with(b"\r\n\r\n"), "the head is sent already");
    for byte in b"0123456789" {
        sim.send(client, [*byte]);
        assert_eq!(sim.take_received(client), [*byte]);
    }
    sim.send(client, post_chunked("/echo"));
    sim.take_received(client);
    sim.send(client, b"7\r\n1234");
    assert_eq!(sim.take_received(client), b"4\r\n1234\r\n");
    sim.send(client, b"567");
    assert_eq!(sim.take_received(client), b"3\r\n567\r\n");
    sim.send(client, b"xx");
    assert!(sim.was_reset(client), "the bytes are not the end of a chunk");
}
