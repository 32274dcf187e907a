//! The content of responses: produced, read or sent from a file; its framing, and the memory that
//! it takes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::Arc;

use crate::support::*;
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Request, Response, StatusCode};

/// The bytes that one connection may hold in addition to the base: a few blocks.
const FLAT: usize = 256 << 10;

/// Produces this many bytes in pieces of at most this size.
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

/// Go: TestChunkedResponseHeaders (t100), TestH12_SmallBody and others (t104),
/// TestH12_FlushBeforeBody and others (t105), TestSniffWriteSize (t125).
#[test]
fn produced_content_arrives_whole_with_and_without_an_announced_length() {
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
                    assert!(!sim.received(client).is_empty(), "the connection is kept alive");
                    sim.end(client);
                    assert_eq!(sim.memory(), base);
                }
            }
        }
    }
}

/// HTTP/1.0 has no chunks, so the end of the connection is the end of the content (t84).
#[test]
fn produced_content_of_unknown_length_ends_with_the_connection_for_http_1_0() {
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::ok("text/plain", produced(9, 4, None, false)));
    let client = sim.connect_and_send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(content(sim.received(client)), b"ppppppppp");
    assert!(sim.has_ended(client) && !sim.was_reset(client));
}

/// The client must not mistake a part for the whole content (t101, t107).
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

/// Go: TestIdentityResponse (t101), TestHandlerWritesTooMuch (t108), TestReaderFromTooLong (t114).
#[test]
fn a_producer_is_held_to_its_announced_length() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Response::ok("text/plain", produced(1_000_000, 300, Some(1000), false))
    });
    let client = sim.connect_and_send(GET.repeat(2));
    let received = sim.take_received(client);
    assert_eq!(statuses(&received), [200, 200]);
    assert!(received.ends_with(&[&b"\r\n\r\n"[..], &[b'p'; 1000]].concat()));
}

#[test]
fn a_producer_that_returns_more_without_putting_bytes_does_not_make_the_loop_spin() {
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

/// Puts a byte in each call, for ever.
struct Drips(Arc<AtomicU32>);

impl Produce for Drips {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        let asked = self.0.fetch_add(1, Relaxed) + 1;
        out.put(b".");
        Ok(if asked == 10_000 { Produced::End } else { Produced::More })
    }
}

/// Each piece costs a call and a write, however small it is.
#[test]
fn a_producer_of_small_pieces_does_not_delay_other_clients() {
    let (asked, when_another_came) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
    let (count, noted) = (Arc::clone(&asked), Arc::clone(&when_another_came));
    let mut sim = Sim::new(move |req: &Request<'_>| match req.path() {
        "/drips" => Response::ok("x/y", Body::produce(Drips(Arc::clone(&count)))),
        _ => {
            noted.store(count.load(Relaxed), Relaxed);
            Response::text("served")
        }
    });
    let (slow, other) = (sim.connect(), sim.connect());
    sim.pause();
    sim.send(slow, b"GET /drips HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.send(other, GET);
    sim.resume();
    assert!(sim.received(other).ends_with(b"served"));
    assert!((1..=300).contains(&when_another_came.load(Relaxed)), "{when_another_came:?}");
    assert_eq!(dechunk(content(sim.received(slow))), [b'.'; 10_000]);
}

/// A file that is removed when the test ends.
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
fn a_file_is_sent_whole_or_in_part_even_to_a_slow_reader() {
    let bytes: Vec<u8> = (0..2 << 20).map(|n: u32| (n % 253) as u8).collect();
    let file = Temporary::new("whole", &bytes);
    let path = file.0.clone();
    for (offset, len) in [(0, 2 << 20), (5, 1), (1 << 20, 1 << 20), (7, 0)] {
        for window in [256 << 10, 3000] {
            let path = path.clone();
            let mut sim = Sim::new(move |_: &Request<'_>| {
                File::open(&path).map(|file| {
                    Response::ok(
                        "text/plain",
                        Body::file_range(file, offset as u64..(offset + len) as u64),
                    )
                })
            });
            let base = base(&mut sim);
            let client = sim.connect();
            sim.stall(client, window);
            sim.send(client, GET.repeat(2));
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
        File::open(&path).map(|file| Response::ok("text/plain", Body::file_range(file, 0..200_000)))
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

/// The fault lies with the program or its disk, and must not look like a peer that has left.
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
                .map(|file| Response::ok("text/plain", Body::file_range(file, 0..9000)))
        });
        let client = sim.connect_and_send(GET);
        assert!(sim.received(client).starts_with(b"HTTP/1.1 200 "));
        assert!(sim.was_reset(client));
        assert_eq!(sim.report().totals.cut_off, 1);
    }
}

/// A reader that stops at the end of the value already has the end of the content (t19).
#[test]
fn the_last_chunk_is_sent_in_the_same_write_as_the_data_before_it() {
    let value = br#"{"a": 1}"#;
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::ok("application/json", Body::from_reader(&value[..])));
    let client = sim.connect();
    for requests in 1..=3 {
        sim.send(client, GET);
        let response = sim.take_received(client);
        assert_eq!(content(&response), b"8\r\n{\"a\": 1}\r\n0\r\n\r\n");
        // The head is sent first, and then all of the content.
        assert_eq!(sim.writes(), 2 * requests);
    }
}

/// The number of pieces does not matter (t116).
#[test]
fn pieces_of_one_call_of_a_producer_are_one_chunk() {
    struct Letters(bool);
    impl Produce for Letters {
        fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
            if !std::mem::replace(&mut self.0, true) {
                out.put(b"first");
                return Ok(Produced::More);
            }
            for letter in [b"x", b"y", b"z"] {
                out.put(letter);
            }
            Ok(Produced::End)
        }
    }
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::ok("text/plain", Body::produce(Letters(false))));
    let client = sim.connect_and_send(GET);
    let expected = b"5\r\nfirst\r\n3\r\nxyz\r\n0\r\n\r\n";
    assert_eq!(content(sim.received(client)), expected);
}

/// The type is that of the program, and the bytes are the same for every source (t124).
#[test]
fn a_page_is_the_same_from_every_source() {
    const PAGE: &str = "<html>\n<head></head>\n<body>\nHello\n</body></html>\n";
    /// A reader that returns one byte at a time.
    struct Bytewise(&'static [u8]);
    impl Read for Bytewise {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let len = 1.min(buf.len());
            self.0.read(&mut buf[..len])
        }
    }
    let sources: [fn() -> Body; 6] = [
        || PAGE.into(),
        || PAGE.as_bytes().into(),
        || PAGE.to_owned().into(),
        || PAGE.as_bytes().to_vec().into(),
        || Body::from_reader(PAGE.as_bytes()),
        || Body::from_reader(Bytewise(PAGE.as_bytes())),
    ];
    for (number, source) in sources.into_iter().enumerate() {
        let mut sim = Sim::new(move |_: &Request<'_>| Response::ok("text/html", source()));
        let client = sim.connect_and_send(GET);
        let response = sim.take_received(client);
        assert!(String::from_utf8_lossy(&response).contains("\r\nContent-Type: text/html\r\n"));
        let has_length = has_field(&response, "content-length");
        let page =
            if has_length { content(&response).to_vec() } else { dechunk(content(&response)) };
        assert_eq!((page, has_length), (PAGE.as_bytes().to_vec(), number < 4), "{number}");
    }
}

/// For HEAD the reader is not read (t113).
#[test]
fn content_from_a_reader_is_sent_for_get_and_not_for_head() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Response::ok("text/plain", Body::from_reader(io::repeat(b'r').take(4096)))
    });
    let client = sim.connect_and_send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.take_received(client).ends_with(b"\r\n\r\n"));
    sim.send(client, GET);
    assert_eq!(dechunk(content(sim.received(client))), [b'r'; 4096]);
}

/// RFC 9110, section 9.3.2: HEAD may be responded to without making the content.
#[test]
fn a_response_to_head_announces_the_length_of_content_that_is_not_made() {
    for length in [Some(0), Some(8 << 30), None] {
        let mut sim =
            Sim::new(move |_: &Request<'_>| Response::ok("video/mp4", Body::omitted(length)));
        let client = sim.connect_and_send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2));
        let received = text(&mut sim, client);
        let fields = length.map(|length| format!("\r\nContent-Length: {length}\r\n"));
        assert_eq!(
            received.matches("Content-Length").count(),
            if length.is_some() { 2 } else { 0 }
        );
        assert!(received.contains(&fields.unwrap_or_default()), "{received}");
        assert_eq!(statuses(received.as_bytes()), [200, 200]);
        assert!(sim.is_open(client) && !has_field(received.as_bytes(), "Transfer-Encoding"));
    }
}

/// The client could not see that content is missing, or the next response would be taken for it.
#[test]
fn omitted_content_is_a_500_for_a_request_that_would_get_it() {
    for length in [Some(0), Some(5), None] {
        for status in [200, 204, 304] {
            let mut sim = Sim::new(move |_: &Request<'_>| {
                let status = StatusCode::from_u16(status).unwrap();
                Response::new(status).with_body(Body::omitted(length))
            });
            let client = sim.connect_and_send(GET);
            let expected = if status == 200 { 500 } else { status };
            assert_eq!(statuses(&sim.take_received(client)), [expected]);
        }
    }
}

/// RFC 9110, section 8.6: a length in a response to HEAD is that of the response to GET.
#[test]
fn a_response_to_head_never_has_another_length_than_that_to_get() {
    let folder = std::env::temp_dir();
    let routes = wheelhouse::Router::<()>::new()
        .get("/redirect", |_, req| Response::redirect(req, StatusCode::FOUND, "/a"))
        .get("/status", |_, _| StatusCode::FORBIDDEN)
        .get("/tree/", |_, _| "a")
        .post("/post", |_, _| "a")
        .mount("/files", wheelhouse::files::Files::new(folder).unwrap())
        .build()
        .unwrap();
    let mut sim = Sim::new(routes);
    let targets =
        ["/redirect", "/status", "/tree", "/tree/../b", "/post", "/missing", "/files", "/files/"];
    for target in targets {
        let get = sim.get(target);
        let head = sim.request("HEAD", target).send();
        assert_eq!(head.status(), get.status(), "{target}");
        let length = head.header("Content-Length");
        assert!(length.is_none() || length == get.header("Content-Length"), "{target}: {length:?}");
    }
}
