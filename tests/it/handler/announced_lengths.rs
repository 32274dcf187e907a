//! Announced lengths hold in both directions. A side that sends less or more gets a refusal or a
//! reset or is cut off there, and the start of the next message never moves.
//!
//! Producers and files are in `message/body.rs`.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::Arc;

use crate::support::*;
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Lost, Receive, Transform};
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Failure, Fields, Reply, Request, Response};

/// An echo that announces its own idea of a length.
struct Announces(u64);

impl Transform<()> for Announces {
    fn piece(&mut self, (): &mut (), piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        Ok(out.put(piece))
    }

    fn content_length(&self) -> Option<u64> {
        Some(self.0)
    }
}

fn announces(length: u64) -> Sim {
    Sim::new(move |_: &Request<'_>| Reply::transform(Response::text(""), Announces(length)))
}

#[test]
fn a_transform_that_ends_short_of_its_length_resets_the_connection() {
    for request in [
        post("/", 5, b"12345"),
        [post_chunked("/"), chunk(b"12345"), b"0\r\n\r\n".to_vec()].concat(),
    ] {
        for piece in [1, 1000] {
            let mut sim = announces(6);
            let base = base(&mut sim);
            let client = sim.connect();
            request.chunks(piece).for_each(|bytes| sim.send(client, bytes));
            assert!(sim.was_reset(client));
            assert_eq!(sim.memory(), base);
        }
    }
}

/// The bytes over its length are not sent, and the next response begins where it should.
#[test]
fn a_transform_that_has_more_than_its_length_is_cut_off_there() {
    for length in [0, 1, 4] {
        for piece in [1, 1000] {
            let mut sim = announces(length);
            let client = sim.connect();
            let request = post("/", 5, b"12345").repeat(2);
            request.chunks(piece).for_each(|bytes| sim.send(client, bytes));
            let received = sim.take_received(client);
            assert_eq!(statuses(&received), [200, 200], "{length} in pieces of {piece}");
            assert!(received.ends_with(&[b"\r\n\r\n", &b"12345"[..length as usize]].concat()));
            assert!(sim.is_open(client) && !sim.has_ended(client));
        }
    }
}

/// Notes the calls other than those for pieces.
struct Notes(Rc<RefCell<Vec<&'static str>>>, Announces);

impl Transform<()> for Notes {
    fn piece(&mut self, (): &mut (), piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        self.1.piece(&mut (), piece, out)
    }

    fn trailers(&mut self, (): &mut (), _: Fields<'_>) {
        self.0.borrow_mut().push("trailers");
    }

    fn end(&mut self, (): &mut (), out: &mut Out<'_>) -> io::Result<()> {
        assert_eq!(out.room(), 0);
        self.0.borrow_mut().push("end");
        Ok(())
    }

    fn content_length(&self) -> Option<u64> {
        self.1.content_length()
    }
}

/// A transform that counts or checks content does so there, even if the response has no more room.
#[test]
fn a_transform_that_has_sent_its_length_still_gets_the_end_of_the_content() {
    for (length, closes) in
        [(5, ""), (5, "Connection: close\r\n"), (0, ""), (3, "Connection: close\r\n")]
    {
        for piece in [1, 1000] {
            let calls = Rc::new(RefCell::new(Vec::new()));
            let shared = calls.clone();
            let mut sim = Sim::new(move |_: &Request<'_>| {
                Reply::transform(Response::text(""), Notes(shared.clone(), Announces(length)))
            });
            let head =
                format!("POST / HTTP/1.1\r\nHost: a\r\n{closes}Transfer-Encoding: chunked\r\n\r\n");
            let request = [head.as_bytes(), &chunk(b"12345"), b"0\r\nA: b\r\n\r\n"].concat();
            let client = sim.connect();
            request.chunks(piece).for_each(|bytes| sim.send(client, bytes));
            assert_eq!(calls.take(), ["trailers", "end"], "{length} in pieces of {piece}");
            assert_eq!(content(sim.received(client)).len() as u64, length);
            assert_eq!(sim.has_ended(client), !closes.is_empty());
        }
    }
}

/// A producer that has put its announced length is not called again.
#[test]
fn a_producer_is_not_called_after_it_has_put_its_length() {
    struct Asked(Arc<AtomicU32>);
    impl Produce for Asked {
        fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
            self.0.fetch_add(1, Relaxed);
            assert_eq!(out.put(b"more than three"), 3);
            Ok(Produced::More)
        }
    }
    let asked = Arc::new(AtomicU32::new(0));
    let shared = asked.clone();
    let mut sim = Sim::new(move |_: &Request<'_>| {
        Response::ok("text/plain", Body::produce_exactly(3, Asked(shared.clone())))
    });
    let client = sim.connect_and_send(GET);
    assert_eq!(content(sim.received(client)), b"mor");
    assert_eq!(asked.load(Relaxed), 1);
}

/// Notes its pieces and the reason why the content was lost.
struct Keeps(Rc<RefCell<Vec<String>>>);

impl Receive<()> for Keeps {
    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow<()>, Failure> {
        self.0.borrow_mut().push(String::from_utf8_lossy(piece).into_owned());
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply<()> {
        self.0.borrow_mut().push("end".to_owned());
        "all of it".into()
    }

    fn lost(self: Box<Self>, (): &mut (), why: Lost) {
        self.0.borrow_mut().push(format!("{why:?}"));
    }
}

/// Bytes after the length are the next request, or are refused as malformed.
#[test]
fn content_longer_than_announced_begins_the_next_request() {
    for path in ["/collect", "/receive", "/echo", "/noread"] {
        for (more, expected) in [(GET, [200, 200]), (&b"xyz\r\n\r\n"[..], [200, 400])] {
            for piece in [1, 1000] {
                let mut sim = Sim::new(site);
                let client = sim.connect();
                let bytes = [post(path, 3, b"abc"), more.to_vec()].concat();
                bytes.chunks(piece).for_each(|bytes| sim.send(client, bytes));
                assert_eq!(statuses(sim.received(client)), expected, "{path} by {piece}");
                assert_eq!(sim.has_ended(client), expected[1] == 400);
            }
        }
    }
}

/// The end of input inside content is 400 as long as the response has not begun, and the receiver
/// is notified that its content will never be complete.
#[test]
fn content_shorter_than_announced_is_400_and_lost() {
    for request in [post("/", 5, b"abc"), [post_chunked("/"), chunk(b"abc")].concat()] {
        let calls = Rc::new(RefCell::new(Vec::new()));
        let shared = calls.clone();
        let mut sim =
            Sim::new(move |_: &Request<'_>| Reply::receive(u64::MAX, Keeps(shared.clone())));
        let base = base(&mut sim);
        let client = sim.connect();
        sim.send_and_end(client, &request);
        assert_eq!(statuses(sim.received(client)), [400]);
        assert_eq!(*calls.borrow(), ["abc", "PeerLeft"]);
        assert!(!sim.is_open(client) && !sim.was_reset(client));
        assert_eq!(sim.memory(), base);
    }
    for (path, expected) in [("/collect", vec![400]), ("/noread", vec![200])] {
        let mut sim = Sim::new(site);
        let client = sim.connect();
        sim.send_and_end(client, post(path, 5, b"abc"));
        assert_eq!(statuses(sim.received(client)), expected, "{path}");
        assert!(!sim.is_open(client) && !sim.was_reset(client));
    }
    // The response has begun, so only a reset can report the error to the client.
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.send_and_end(client, post("/echo", 5, b"abc"));
    assert_eq!(statuses(sim.received(client)), [200]);
    assert!(sim.was_reset(client));
}
