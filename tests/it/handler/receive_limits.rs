//! A receiver gets at most as many bytes as its handler allows, and its failures are responses.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use crate::support::*;
use wheelhouse::content::{Flow, Lost, Receive};
use wheelhouse::sim::Sim;
use wheelhouse::{Failure, Reply, Request, StatusCode, Waker};

type Calls = Rc<RefCell<Vec<String>>>;

/// Notes each call.
struct Noting(Calls);

impl Noting {
    fn note(&self, call: impl Into<String>) {
        self.0.borrow_mut().push(call.into());
    }
}

impl Receive for Noting {
    fn start(&mut self, (): &mut (), _: Waker) -> Result<(), Failure> {
        self.note("start");
        Ok(())
    }

    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow, Failure> {
        self.note(format!("{} bytes", piece.len()));
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        self.note("end");
        "all".into()
    }

    fn lost(self: Box<Self>, (): &mut (), why: Lost) {
        self.note(format!("{why:?}"));
    }
}

/// A server whose receiver takes ten bytes, with or without a deadline around it.
fn ten_bytes(has_timeout: bool) -> (Sim, Calls) {
    let calls = Calls::default();
    let to_handler = Rc::clone(&calls);
    let sim = Sim::new(move |_: &Request<'_>| -> Reply {
        let reply = Reply::receive(10, Noting(Rc::clone(&to_handler)));
        match has_timeout {
            true => reply.with_handler_timeout(SECOND).map_response(|(), _| ()),
            false => reply,
        }
    });
    (sim, calls)
}

#[test]
fn content_whose_announced_length_is_over_the_limit_is_refused_before_a_byte_is_read() {
    for has_timeout in [false, true] {
        let (mut sim, calls) = ten_bytes(has_timeout);
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n";
        let client = sim.connect_and_send(head.as_bytes());
        assert_eq!(statuses(sim.received(client)), [413], "no 100 invites the content");
        assert_eq!(calls.take(), Vec::<String>::new());
        let client = sim.connect_and_send(post("/", 10, b"0123456789"));
        assert_eq!(statuses(sim.received(client)), [200]);
        assert_eq!(calls.take(), ["start", "10 bytes", "end"]);
    }
}

#[test]
fn chunked_content_is_refused_when_it_exceeds_the_limit() {
    for has_timeout in [false, true] {
        let (mut sim, calls) = ten_bytes(has_timeout);
        let base = base(&mut sim);
        let client = sim.connect_and_send(post_chunked("/"));
        sim.send(client, chunk(b"01234567"));
        assert_eq!(calls.take(), ["start", "8 bytes"]);
        sim.send(client, chunk(b"89a"));
        assert_eq!(statuses(sim.received(client)), [413]);
        assert_eq!(
            calls.take(),
            ["TooLarge"],
            "the receiver does not see the piece that exceeds the limit"
        );
        sim.reset(client);
        assert_eq!(sim.memory(), base);
        let client = sim.connect_and_send(post_chunked("/"));
        sim.send(client, [chunk(b"01234567"), chunk(b"89"), b"0\r\n\r\n".to_vec()].concat());
        assert_eq!(statuses(sim.received(client)), [200]);
        assert_eq!(calls.take(), ["start", "8 bytes", "2 bytes", "end"]);
    }
}

/// Fails at the first piece, or when it is woken.
struct Fails(Rc<RefCell<Option<Waker>>>, bool);

impl Receive for Fails {
    fn start(&mut self, (): &mut (), waker: Waker) -> Result<(), Failure> {
        self.0.replace(Some(waker));
        Ok(())
    }

    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow, Failure> {
        if self.1 {
            return Ok(Flow::Pause);
        }
        match piece {
            b"known" => Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "not this")),
            _ => Err(io::Error::other("disk full"))?,
        }
    }

    fn wake(&mut self, (): &mut ()) -> Result<Flow, Failure> {
        Err(Failure::internal("the disk does not come back"))
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        unreachable!("the receiver has failed")
    }

    fn lost(self: Box<Self>, (): &mut (), why: Lost) {
        panic!("the receiver has failed itself: {why:?}");
    }
}

#[test]
fn a_failure_of_a_receiver_is_the_response_and_the_connection_is_kept() {
    for (pauses, sent, expected) in
        [(false, "known", "422"), (false, "other", "500"), (true, "pause", "500")]
    {
        let waker = Rc::default();
        let to_handler = Rc::clone(&waker);
        let mut sim = Sim::new(move |_: &Request<'_>| -> Reply {
            let receiver = Fails(Rc::clone(&to_handler), pauses);
            Reply::receive(100, receiver).map_response(|(), response| {
                response.append_header("X-Seen", "yes").unwrap();
            })
        });
        let client = sim.connect_and_send(post("/", 7, sent.as_bytes()));
        if pauses {
            assert_eq!(sim.received(client), b"");
            waker.take().unwrap().wake();
            turn(&mut sim);
        }
        sim.send(client, b"ab");
        let received = text(&mut sim, client);
        assert!(received.starts_with(&format!("HTTP/1.1 {expected} ")), "{received}");
        assert!(received.contains("\r\nX-Seen: yes\r\n"), "{received}");
        assert!(!received.contains("disk"), "the details belong in the log: {received}");
        assert!(sim.is_open(client));
    }
}

/// Cannot begin, as if there were no disk.
struct NotReady(Calls);

impl Receive for NotReady {
    fn start(&mut self, (): &mut (), _: Waker) -> Result<(), Failure> {
        self.0.borrow_mut().push("start".to_owned());
        Err(Failure::new(StatusCode::INSUFFICIENT_STORAGE, "the disk is full"))
    }

    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow, Failure> {
        unreachable!("reception has not begun")
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        unreachable!("reception has not begun")
    }

    fn lost(self: Box<Self>, (): &mut (), _: Lost) {
        unreachable!("the receiver has ended itself")
    }
}

impl Drop for NotReady {
    fn drop(&mut self) {
        self.0.borrow_mut().push("drop".to_owned());
    }
}

#[test]
fn a_receiver_that_cannot_begin_responds_without_asking_for_the_content() {
    let expect = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    for (request, ends) in [
        (expect.as_bytes().to_vec(), true),
        (post("/", 9, b"abcdefghi"), false),
        ([post_chunked("/"), chunk(b"abc"), chunk(b"")].concat(), false),
    ] {
        let calls = Calls::default();
        let of_handler = Rc::clone(&calls);
        let handler = move |_: &Request<'_>| -> Reply {
            Reply::receive(100, NotReady(Rc::clone(&of_handler))).map_response(|(), response| {
                let _ = response.set_header("X-Changed", "yes");
            })
        };
        let mut sim = Sim::new(handler);
        let client = sim.connect_and_send(request);
        let response = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(response.starts_with("HTTP/1.1 507 "), "{response}");
        assert!(response.contains("\r\nX-Changed: yes\r\n"), "{response}");
        assert!(response.ends_with("the disk is full\n"), "{response}");
        assert_eq!(*calls.borrow(), ["start", "drop"]);
        assert_eq!(response.contains("Connection: close\r\n"), ends, "{response}");
    }
}
