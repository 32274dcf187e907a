//! Content in both directions: collected, received, transformed, produced, sent from a file; how
//! much memory it takes, and when a peer is invited to send it.

mod support;

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;

use support::*;
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{
    Body, Flow, Gone, Handler, Out, Produce, Produced, Receive, Reply, Request, Response,
    StatusCode,
};

/// What one connection may hold beyond the base: a few blocks.
const FLAT: usize = 256 << 10;

fn in_pieces<H: Handler>(sim: &mut Sim<H>, client: Client, bytes: &[u8], len: usize) {
    for piece in bytes.chunks(len) {
        sim.send(client, piece);
    }
}

/// t153, t154, t155: exactly the limit is no error, one byte more is.
#[test]
fn collected_content_may_be_as_long_as_the_limit_and_no_longer() {
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

/// t153: the refusal comes before the content, and does not invite it.
#[test]
fn announced_content_over_the_limit_is_413_before_a_byte_of_it() {
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut sim = Sim::new(site);
        let head =
            format!("POST /collect HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: 1001\r\n\r\n");
        let client = sim.connect_and_send(head.as_bytes());
        assert_eq!(statuses(sim.received(client)), [413]);
        assert!(sim.has_ended(client));
    }
}

/// The peer that goes on sending after a 413 still gets to read it.
#[test]
fn a_refused_upload_is_read_on_until_the_refusal_has_arrived() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(&post("/collect", 100_000, &[b'x'; 1000]));
    assert_eq!(statuses(sim.received(client)), [413]);
    sim.send(client, &[b'x'; 99_000]);
    assert_eq!(sim.unread(client), 0);
    sim.end(client);
    assert!(!sim.was_reset(client));
}

#[test]
fn memory_follows_what_has_arrived_and_not_what_is_announced() {
    let mut sim = Sim::new(site);
    let silent: Vec<_> = (0..50).map(|_| sim.connect()).collect();
    for client in silent {
        sim.reset(client);
    }
    let base = sim.memory();
    let clients: Vec<_> =
        (0..50).map(|_| sim.connect_and_send(&post("/collect-much", 1 << 30, b"x"))).collect();
    assert!(sim.memory() < base + 50 * 4096, "{}", sim.memory() - base);
    for client in clients {
        sim.reset(client);
    }
    assert_eq!(sim.memory(), base);
}

/// Answers as soon as it has seen an `!`.
struct Early;

impl Receive<()> for Early {
    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Flow<()> {
        match piece.contains(&b'!') {
            true => Flow::Answer("early".into()),
            false => Flow::Continue,
        }
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply<()> {
        "late".into()
    }

    fn gone(self: Box<Self>, (): &mut (), why: Gone) {
        panic!("it has answered or the peer stays: {why:?}");
    }
}

/// t152.
#[test]
fn a_receiver_may_answer_before_the_content_is_complete() {
    for (text, wanted) in [("ab!cd", "early"), ("abcd!", "early"), ("abcde", "late")] {
        for piece in [1, 2, 1000] {
            let mut sim = Sim::new(|_: &Request<'_>| Reply::receive(Early));
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
                assert!(sim.is_open(client), "what is left is little: the connection is kept");
            }
            sim.end(client);
            assert_eq!(sim.memory(), base);
        }
    }
}

/// t146, t148.
#[test]
fn an_early_answer_with_much_content_left_closes_behind_it() {
    let mut sim = Sim::new(|_: &Request<'_>| Reply::receive(Early));
    let client = sim.connect_and_send(&post("/", 1 << 20, b"a!"));
    assert!(String::from_utf8_lossy(sim.received(client)).contains("Connection: close\r\n"));
    assert!(sim.has_ended(client) && sim.is_open(client));
}

/// t27, t145, t146, t147: what nobody asked for is dropped within 64 KiB, beyond that the
/// connection closes.
#[test]
fn unasked_content_is_dropped_up_to_64_kibibytes() {
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
                    sim.send(client, &chunk(part));
                }
                sim.send(client, b"0\r\n\r\n");
            } else {
                sim.send(client, &text);
            }
            sim.send(client, GET);
            let answered = if is_little && !closes { vec![200, 200] } else { vec![200] };
            assert_eq!(statuses(sim.received(client)), answered, "{len} {is_chunked} {closes}");
            assert!(!sim.was_reset(client) || len == 1 << 20);
        }
    }
}

/// t148: of all the content that was announced, no more is read than a linger reads.
#[test]
fn of_endless_content_that_nobody_wants_256_kibibytes_are_read() {
    const SENT: usize = 1 << 20;
    let mut sim = Sim::new(|_: &Request<'_>| Response::not_found());
    let client = sim.connect();
    sim.pause();
    sim.send(client, &post("/", u32::MAX as usize, &[b'x'; SENT]));
    sim.resume();
    assert_eq!(statuses(sim.received(client)), [404]);
    let read = SENT - sim.unread(client);
    assert!(!sim.is_open(client) && read <= (256 << 10) + (64 << 10), "{read} bytes read");
}

/// t14: two pipelined requests whose content nobody reads.
#[test]
fn the_next_request_is_found_behind_unasked_content() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(&post("/noread", 11, b"hello world").repeat(2));
    assert_eq!(statuses(sim.received(client)), [200, 200]);
}

#[test]
fn an_echo_of_megabytes_gives_every_byte_back() {
    let text: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
    for is_chunked in [false, true] {
        for piece in [1 << 20, 100_003, 4096] {
            let mut sim = Sim::new(site);
            let base = base(&mut sim);
            let client = sim.connect();
            if is_chunked {
                sim.send(client, &post_chunked("/echo"));
                for part in text.chunks(piece) {
                    sim.send(client, &chunk(part));
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

/// While output waits nothing is read: the peer's own window is the queue.
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
        assert_eq!(sim.unread(client), 0, "it stands still");
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

/// Produces so many bytes in pieces of at most some.
struct Some_ {
    left: usize,
    piece: usize,
    fails: bool,
}

impl Produce for Some_ {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        assert!(out.room() > 0);
        let len = self.piece.min(self.left);
        self.left -= out.put(&vec![b'p'; len]);
        match self.left {
            0 if self.fails => Err(io::Error::other("a producer of a test fails")),
            0 => Ok(Produced::End),
            _ => Ok(Produced::More),
        }
    }
}

fn produced(left: usize, piece: usize, announced: Option<usize>, fails: bool) -> Body {
    let produce = Some_ { left, piece, fails };
    match announced {
        Some(len) => Body::produce_exactly(len as u64, produce),
        None => Body::produce(produce),
    }
}

/// t100, t104, t105, t125.
#[test]
fn produced_content_arrives_whole_with_and_without_a_known_length() {
    for len in [0, 1, 100, 65_000, 65_536, 1 << 20] {
        for piece in [1000, 1 << 20] {
            for announced in [None, Some(len)] {
                for window in [None, Some(10_000)] {
                    let mut sim = Sim::new(move |_: &Request<'_>| {
                        Response::ok("text/plain", produced(len, piece, announced, false))
                    });
                    let base = base(&mut sim);
                    let client = sim.connect();
                    if let Some(window) = window {
                        sim.stall(client, window);
                    }
                    sim.send(client, GET);
                    let mut last = usize::MAX;
                    while window.is_some() && last != sim.received(client).len() {
                        assert!(sim.memory() <= base + FLAT);
                        last = sim.received(client).len();
                        sim.read(client, 5000);
                    }
                    let received = sim.take_received(client);
                    let text = match announced {
                        Some(_) => content(&received).to_vec(),
                        None => dechunk(content(&received)),
                    };
                    assert!(text == vec![b'p'; len], "{len} {piece} {announced:?} {window:?}");
                    sim.unstall(client);
                    sim.send(client, GET);
                    assert!(!sim.received(client).is_empty(), "the connection is kept");
                    sim.end(client);
                    assert_eq!(sim.memory(), base);
                }
            }
        }
    }
}

/// t84.
/// HTTP/1.0 knows no chunks: the end of the connection is the end of the content.
#[test]
fn produced_content_of_unknown_length_ends_with_the_connection_for_http_1_0() {
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::ok("text/plain", produced(9, 4, None, false)));
    let client = sim.connect_and_send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(content(sim.received(client)), b"ppppppppp");
    assert!(sim.has_ended(client) && !sim.was_reset(client));
}

/// t101, t107.
/// The peer must never take a part for the whole.
#[test]
fn a_producer_that_fails_or_stops_short_resets_the_connection() {
    for (announced, fails) in [(Some(1001), false), (Some(5000), false), (None, true)] {
        for piece in [10, 100_000] {
            let mut sim = Sim::new(move |_: &Request<'_>| {
                Response::ok("text/plain", produced(1000, piece, announced, fails))
            });
            let base = base(&mut sim);
            let client = sim.connect_and_send(GET);
            assert!(sim.was_reset(client), "{announced:?} {piece}");
            assert!(!sim.received(client).ends_with(b"\r\n0\r\n\r\n"));
            assert_eq!(sim.memory(), base);
        }
    }
}

/// t101, t108, t114.
#[test]
fn a_producer_is_held_to_its_announced_length() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Response::ok("text/plain", produced(1_000_000, 300, Some(1000), false))
    });
    let client = sim.connect_and_send(&GET.repeat(2));
    let received = sim.take_received(client);
    assert_eq!(statuses(&received), [200, 200]);
    assert!(received.ends_with(&[&b"\r\n\r\n"[..], &[b'p'; 1000]].concat()));
}

#[test]
fn a_producer_that_says_more_and_gives_nothing_does_not_spin() {
    struct Nothing;
    impl Produce for Nothing {
        fn produce(&mut self, _: &mut Out<'_>) -> io::Result<Produced> {
            Ok(Produced::More)
        }
    }
    let mut sim = Sim::new(|_: &Request<'_>| Response::ok("text/plain", Body::produce(Nothing)));
    let client = sim.connect_and_send(GET);
    assert!(sim.was_reset(client));
}

/// A byte at a time, as long as anybody asks.
struct Drips(Rc<Cell<u32>>);

impl Produce for Drips {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        self.0.set(self.0.get() + 1);
        out.put(b".");
        Ok(if self.0.get() == 10_000 { Produced::End } else { Produced::More })
    }
}

/// Each piece is a call and a write, whatever it weighs.
#[test]
fn a_producer_of_small_pieces_holds_nobody_up() {
    let (asked, when_another_came) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (count, noted) = (Rc::clone(&asked), Rc::clone(&when_another_came));
    let mut sim = Sim::new(move |req: &Request<'_>| match req.path() {
        "/drips" => Response::ok("x/y", Body::produce(Drips(Rc::clone(&count)))),
        _ => {
            noted.set(count.get());
            Response::text("served")
        }
    });
    let (slow, other) = (sim.connect(), sim.connect());
    sim.pause();
    sim.send(slow, b"GET /drips HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.send(other, GET);
    sim.resume();
    assert!(sim.received(other).ends_with(b"served"));
    assert!((1..=300).contains(&when_another_came.get()), "{when_another_came:?}");
    assert_eq!(dechunk(content(sim.received(slow))), [b'.'; 10_000]);
}

/// A file that goes when the test does.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, bytes: &[u8]) -> Temporary {
        let path = std::env::temp_dir().join(format!("wheelhouse-{}-{name}", std::process::id()));
        File::create(&path).unwrap().write_all(bytes).unwrap();
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_file_is_sent_whole_or_in_part_also_to_a_slow_reader() {
    let bytes: Vec<u8> = (0..2 << 20).map(|n: u32| (n % 253) as u8).collect();
    let file = Temporary::new("whole", &bytes);
    let path = file.0.clone();
    for (offset, len) in [(0, 2 << 20), (5, 1), (1 << 20, 1 << 20), (7, 0)] {
        for window in [256 << 10, 3000] {
            let path = path.clone();
            let mut sim = Sim::new(move |_: &Request<'_>| {
                File::open(&path).map(|file| {
                    Response::ok("text/plain", Body::file(file, offset as u64, len as u64))
                })
            });
            let base = base(&mut sim);
            let client = sim.connect();
            sim.stall(client, window);
            sim.send(client, &GET.repeat(2));
            let mut last = usize::MAX;
            while last != sim.received(client).len() {
                assert!(sim.memory() <= base + FLAT);
                last = sim.received(client).len();
                sim.read(client, window / 2);
            }
            let received = sim.take_received(client);
            assert_eq!(statuses_of_heads(&received), 2);
            assert!(content(&received)[..len] == bytes[offset..offset + len]);
            assert!(received.ends_with(&bytes[offset..offset + len]));
            sim.reset(client);
            assert_eq!(sim.memory(), base);
        }
    }
}

fn statuses_of_heads(bytes: &[u8]) -> usize {
    bytes.windows(15).filter(|window| window == b"HTTP/1.1 200 OK").count()
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_resets_the_connection() {
    let file = Temporary::new("shrinks", &[b'f'; 200_000]);
    let path = file.0.clone();
    let mut sim = Sim::new(move |_: &Request<'_>| {
        File::open(&path).map(|file| Response::ok("text/plain", Body::file(file, 0, 200_000)))
    });
    let base = base(&mut sim);
    let client = sim.connect();
    sim.stall(client, 50_000);
    sim.send(client, GET);
    File::options().write(true).open(&file.0).unwrap().set_len(60_000).unwrap();
    sim.read(client, 50_000);
    sim.unstall(client);
    assert!(sim.was_reset(client));
    assert!(sim.received(client).len() < 61_000);
    assert_eq!(sim.memory(), base);
}

/// The program's fault, or its disk's: not to be taken for a peer that has gone.
#[test]
fn a_file_that_cannot_be_read_resets_the_connection_and_is_counted() {
    let file = Temporary::new("unreadable", &[b'f'; 9000]);
    let write_only = file.0.clone();
    for path in [write_only, std::env::temp_dir()] {
        let mut sim = Sim::new(move |_: &Request<'_>| {
            File::options()
                .read(path.is_dir())
                .write(!path.is_dir())
                .open(&path)
                .map(|file| Response::ok("text/plain", Body::file(file, 0, 9000)))
        });
        let client = sim.connect_and_send(GET);
        assert!(sim.received(client).starts_with(b"HTTP/1.1 200 "));
        assert!(sim.was_reset(client));
        assert_eq!(sim.report().cut_off, 1);
    }
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn expecting(method: &str, path: &str, version: &str, length: usize) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/{version}\r\nHost: a\r\nExpect: 100-Continue\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// t27, t85, t139.
#[test]
fn content_is_invited_exactly_when_somebody_wants_it() {
    for (path, version, length, invited) in [
        ("/collect", "1.1", 5, true),
        ("/receive", "1.1", 5, true),
        ("/echo", "1.1", 5, true),
        ("/collect", "1.1", 0, false),
        ("/receive", "1.1", 0, false),
        ("/collect", "1.1", 5000, false),
        ("/noread", "1.1", 5, false),
        ("/noread", "1.1", 300_000, false),
        ("/missing", "1.1", 5, false),
        ("/panic", "1.1", 5, false),
        ("/collect", "1.0", 5, false),
        ("/echo", "1.0", 5, false),
    ] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(&expecting("POST", path, version, length));
        assert_eq!(sim.received(client).starts_with(CONTINUE), invited, "{path} {version}");
        if !invited {
            let ends = version == "1.1" && length > 0;
            assert_eq!(sim.has_ended(client), ends, "{path} {version} {length}");
            continue;
        }
        sim.send(client, b"12345");
        let received = sim.take_received(client);
        assert_eq!(statuses(&received), [100, 200], "{path}");
        sim.send(client, GET);
        assert_eq!(statuses(sim.received(client)), [200], "the connection is kept");
    }
}

/// A transform has nothing to make there: it is not asked, and the peer need not send.
#[test]
fn nothing_is_invited_for_an_answer_without_content() {
    for (method, status) in [("HEAD", 200), ("POST", 204), ("POST", 304)] {
        let status = StatusCode::from_u16(status).unwrap();
        let mut sim = Sim::new(move |_: &Request<'_>| {
            Reply::transform(Response::new(status), Echo { len: None })
        });
        let client = sim.connect_and_send(&expecting(method, "/", "1.1", 1_000_000));
        let text = String::from_utf8_lossy(sim.received(client)).into_owned();
        assert_eq!(statuses(text.as_bytes()), [status.as_u16()], "{method}");
        assert!(text.ends_with("\r\nConnection: close\r\n\r\n"), "{text}");
    }
}

/// n8;
/// t27, t88, t89, t90.
/// Whether the content still comes is unknown, so nothing can follow.
#[test]
fn an_uninvited_content_ends_the_connection_after_the_answer() {
    for (path, status) in [("/noread", 200), ("/missing", 404)] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(&expecting("POST", path, "1.1", 5));
        assert!(String::from_utf8_lossy(sim.received(client)).contains("Connection: close\r\n"));
        assert!(sim.has_ended(client));
        sim.send(client, GET);
        assert_eq!(statuses(sim.received(client)), [status]);
        happens_after(&mut sim, SECOND, |sim| !sim.is_open(client));
        assert!(!sim.was_reset(client), "the linger ends it");
    }
}

#[test]
fn another_expectation_is_417() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n",
    );
    assert_eq!(statuses(sim.received(client)), [417]);
    assert_eq!(sim.report().requests, 0);
}
