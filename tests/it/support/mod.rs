//! Parts that the behaviour tests share: a site with one path per behaviour, requests as bytes, and
//! the measurement of deadlines. They use only the public surface of the server.

pub(crate) mod panics;
pub(crate) mod random;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Lost, Receive, Transform};
use wheelhouse::runtime::ConnectionId;
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Body, Failure, Handler, Later, Limits, Reply, Request, Response, Server};

/// The most that a deadline may be late: one tick of the wheel and a millisecond.
pub(crate) const LATE: Duration = Duration::from_millis(65);
pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
pub(crate) const GET_CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

pub(crate) static BIG: [u8; 8 << 20] = [b'.'; 8 << 20];

/// One path per behaviour.
pub(crate) fn site(req: &Request<'_>) -> Reply {
    match req.path() {
        "/" => "Hello, World!".into(),
        "/echo" => Reply::transform(Response::text(""), Echo { len: req.content_length() }),
        "/collect" => Reply::collect(1000, |(), _, content| format!("{}\n", content.len())),
        "/collect-much" => Reply::collect(1 << 30, |(), _, content| format!("{}\n", content.len())),
        "/noread" => "not read".into(),
        "/receive" => Reply::receive(u64::MAX, Count(0)),
        "/big" => Response::ok("application/octet-stream", &BIG[..]).into(),
        "/stream" => Response::ok("text/plain", Body::produce(Lines(100_000))).into(),
        "/never" => never(),
        "/panic" => panic!("a handler of a test panics"),
        _ => Response::not_found().into(),
    }
}

/// A response that comes later: `keep` gets the right to respond.
pub(crate) fn later_to<S: 'static>(keep: impl FnOnce(Later<S>)) -> Reply<S> {
    let (later, reply) = Reply::later();
    keep(later);
    reply
}

/// A response that never comes.
pub(crate) fn never<S: 'static>() -> Reply<S> {
    later_to(std::mem::forget)
}

/// Sends the content back as it arrives.
pub(crate) struct Echo {
    pub(crate) len: Option<u64>,
}

impl<S> Transform<S> for Echo {
    fn piece(&mut self, _: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        Ok(out.put(piece))
    }

    fn content_length(&self) -> Option<u64> {
        self.len
    }
}

/// Counts the bytes of the content.
pub(crate) struct Count(pub(crate) u64);

impl<S: 'static> Receive<S> for Count {
    fn piece(&mut self, _: &mut S, piece: &[u8]) -> Result<Flow<S>, Failure> {
        assert!(!piece.is_empty());
        self.0 += piece.len() as u64;
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, _: &mut S) -> Reply<S> {
        format!("{}\n", self.0).into()
    }

    fn lost(self: Box<Self>, _: &mut S, _: Lost) {}
}

/// Notes the reason for the loss of the content.
pub(crate) struct Noted(pub(crate) Rc<Cell<Option<Lost>>>);

impl<S: 'static> Receive<S> for Noted {
    fn piece(&mut self, _: &mut S, _: &[u8]) -> Result<Flow<S>, Failure> {
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, _: &mut S) -> Reply<S> {
        "whole".into()
    }

    fn lost(self: Box<Self>, _: &mut S, why: Lost) {
        self.0.set(Some(why));
    }
}

/// Produces this number of lines of eight bytes each, without an announced length.
pub(crate) struct Lines(pub(crate) u32);

impl Produce for Lines {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        while self.0 > 0 && out.room() >= 8 {
            out.put(format!("{:07}\n", self.0).as_bytes());
            self.0 -= 1;
        }
        Ok(if self.0 == 0 { Produced::End } else { Produced::More })
    }
}

/// A request with an announced length. `content` may be only the first part of its content.
pub(crate) fn post(path: &str, length: usize, content: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(content);
    bytes
}

/// The head of a request with chunked content.
pub(crate) fn post_chunked(path: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes()
}

/// One chunk with its framing.
pub(crate) fn chunk(content: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", content.len()).into_bytes();
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// The statuses of the responses in `bytes`, whose contents must not hold a status line.
pub(crate) fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &*text;
    let mut found = Vec::new();
    while let Some(at) = rest.find("HTTP/1.") {
        rest = &rest[at + 9..];
        found.push(rest[..3].parse().expect("three digits of a status"));
    }
    found
}

/// The bytes after the first head.
pub(crate) fn content(bytes: &[u8]) -> &[u8] {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    &bytes[head + 4..]
}

/// Decodes chunked content that must be complete.
pub(crate) fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n").expect("a size line");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        bytes = &bytes[line + 2..];
        content.extend_from_slice(&bytes[..size]);
        assert_eq!(&bytes[size..size + 2], b"\r\n");
        bytes = &bytes[size + 2..];
        if size == 0 {
            assert!(bytes.is_empty(), "nothing follows the last chunk");
            return content;
        }
    }
}

/// Lets time pass and asserts that `condition` becomes true after `timeout`: not a millisecond
/// earlier, and at most a tick and a millisecond later.
#[track_caller]
pub(crate) fn happens_after<S: 'static>(
    sim: &mut Sim<S>,
    timeout: Duration,
    mut condition: impl FnMut(&mut Sim<S>) -> bool,
) {
    assert!(!condition(sim), "the condition holds already");
    sim.advance(timeout - MS);
    assert!(!condition(sim), "the condition holds too early");
    sim.advance(MS + LATE);
    assert!(condition(sim), "the condition does not hold in time");
}

/// Whether the server has closed without sending a byte.
pub(crate) fn closed_silently<S: 'static>(sim: &mut Sim<S>, client: Client) -> bool {
    sim.received(client).is_empty() && !sim.is_open(client)
}

/// The memory that the server counts when its only client has left. The room for slots and wheel
/// nodes is kept.
pub(crate) fn base<S: 'static>(sim: &mut Sim<S>) -> usize {
    let client = sim.connect();
    sim.reset(client);
    sim.memory()
}

/// Whether a line of the head begins with `line`, which is in lower case.
pub(crate) fn has_line(bytes: &[u8], line: &str) -> bool {
    String::from_utf8_lossy(bytes).to_lowercase().contains(&format!("\r\n{line}"))
}

/// Whether a head has a field with this name, which must be in lower case.
pub(crate) fn has_field(bytes: &[u8], name: &str) -> bool {
    String::from_utf8_lossy(bytes).to_lowercase().contains(&format!("\r\n{name}:"))
}

/// Runs one turn of the loop, in which no time passes.
pub(crate) fn turn<S: 'static>(sim: &mut Sim<S>) {
    sim.advance(Duration::ZERO);
}

/// Takes the bytes that the client has received since the last call, as text.
pub(crate) fn text<S: 'static>(sim: &mut Sim<S>, client: Client) -> String {
    String::from_utf8(sim.take_received(client)).unwrap()
}

/// A simulated server without state, with other limits.
pub(crate) fn limited(handler: impl Handler + 'static, limits: Limits) -> Sim {
    Sim::of(Server::new().limits(limits), handler).unwrap()
}

/// Shuts the server down gracefully within the time of its limits.
pub(crate) fn shut_down<S: 'static>(sim: &mut Sim<S>) {
    sim.handle().shutdown();
    turn(sim);
}

/// Shuts the server down gracefully within `timeout`.
pub(crate) fn shut_down_within<S: 'static>(sim: &mut Sim<S>, timeout: Duration) {
    sim.handle().shutdown_within(timeout);
    turn(sim);
}

/// Stops the server at once.
pub(crate) fn stop_now<S: 'static>(sim: &mut Sim<S>) {
    sim.handle().stop();
    turn(sim);
}

pub(crate) fn set_keep_alive<S: 'static>(sim: &mut Sim<S>, keeps: bool) {
    sim.handle().set_keep_alive(keeps);
    turn(sim);
}

/// Blocks functions of the program: virtual time passes while the loop does not look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocker(Arc<AtomicU64>);

impl Blocker {
    pub(crate) fn block(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Makes the clock of `sim` the one that passes.
    pub(crate) fn attach<S: 'static>(&self, sim: &mut Sim<S>) {
        sim.set_blocked(Arc::clone(&self.0));
    }
}

/// A value that the test shares with hooks and timers, which are `Send`.
#[derive(Debug, Default)]
pub(crate) struct Watched<T>(Arc<Mutex<T>>);

impl<T> Watched<T> {
    pub(crate) fn borrow(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn borrow_mut(&self) -> MutexGuard<'_, T> {
        self.borrow()
    }
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Watched<T> {
        Watched(Arc::clone(&self.0))
    }
}

/// The simulation of `server`.
pub(crate) fn sim_of<S: 'static>(server: Server<S>, handler: impl Handler<S> + 'static) -> Sim<S> {
    Sim::of(server, handler).unwrap()
}

/// The number in an id: connections are counted from 1.
pub(crate) fn number(id: ConnectionId) -> u64 {
    id.to_string().parse().unwrap()
}
