//! A server that receives everything, its transcript, and the comparison with the reader that was
//! written from the RFC.

use std::cell::RefCell;
use std::rc::Rc;

use wheelhouse::content::{Flow, Receive};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Failure, Handler, Limits, Reply, Request, Server, Version};

use crate::http1::reference::differences::Differences;
use crate::http1::reference::response::Response;
use crate::http1::reference::{self, HeadLimits, Transcript};
use crate::support::random::Random;
use crate::support::sim_of;

/// The requests that a handler has seen.
pub(super) type Seen = Rc<RefCell<Vec<String>>>;

/// A good request, which must not be served after the end of a connection.
pub(super) const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// Receives the content of every request to its end, and records everything.
struct ReceiveAll;

impl Handler<Seen> for ReceiveAll {
    fn handle(&mut self, seen: &mut Seen, req: &Request<'_>) -> Reply<Seen> {
        let version = if req.version() == Version::HTTP_10 { "1.0" } else { "1.1" };
        let host = req.host().unwrap_or("none");
        let mut saw = format!("{} {} {version} host={host}", req.method(), req.target());
        for (name, value) in req.headers().iter() {
            saw += &format!(" [{name}={}]", value.escape_ascii());
        }
        saw += &match req.content_length() {
            Some(length) => format!(" length={length}"),
            None => " chunked".to_owned(),
        };
        seen.borrow_mut().push(saw + " ...");
        Reply::receive(u64::MAX, Content(Vec::new()))
    }
}

struct Content(Vec<u8>);

impl Receive<Seen> for Content {
    fn piece(&mut self, _: &mut Seen, piece: &[u8]) -> Result<Flow<Seen>, Failure> {
        assert!(!piece.is_empty(), "a piece is empty");
        self.0.extend_from_slice(piece);
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, seen: &mut Seen) -> Reply<Seen> {
        let mut seen = seen.borrow_mut();
        let saw = seen.last_mut().unwrap();
        saw.truncate(saw.len() - " ...".len());
        if !self.0.is_empty() {
            saw.push_str(&format!(" \"{}\"", self.0.escape_ascii()));
        }
        "ok\n".into()
    }
}

/// The results of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) seen: Vec<String>,
    pub(super) output: Vec<u8>,
    pub(super) has_ended: bool,
}

/// The memory that one connection may hold beyond its slot: one block of each size up to that of
/// the longest head, and its box.
const HELD_MAX: usize = (16 + 4 + 1 + 1) << 10;

/// Sends `segments` on a new connection of a new server, and then the end if `ends`.
pub(super) fn receive_all(limits: &Limits, segments: &[&[u8]], ends: bool) -> Outcome {
    let seen = Seen::default();
    let server = Server::with_state(Rc::clone(&seen)).limits(limits.clone());
    let mut sim = sim_of(server, ReceiveAll);
    let client = sim.connect();
    let (base, polls) = (sim.memory(), sim.polls());
    for segment in segments {
        sim.send(client, segment);
        assert!(sim.memory() - base <= HELD_MAX, "{} bytes held", sim.memory() - base);
    }
    if ends {
        sim.end(client);
    }
    let (polls, served) = (sim.polls() - polls, sim.report().totals.requests as usize);
    let allowed = 8 + 4 * segments.len() + 2 * served;
    assert!(polls as usize <= allowed, "{polls} turns for {} segments", segments.len());
    let outcome = Outcome {
        seen: seen.borrow().clone(),
        output: sim.received(client).to_vec(),
        has_ended: sim.has_ended(client),
    };
    assert!(!sim.was_reset(client), "the response is lost in a reset");
    stays_ended(&mut sim, client, &outcome, &seen);
    sim.reset(client);
    assert!(sim.memory() <= base, "{} bytes are not given back", sim.memory() - base);
    outcome
}

/// After the end no byte is parsed, and none is sent.
fn stays_ended(sim: &mut Sim<Seen>, client: Client, outcome: &Outcome, seen: &Seen) {
    if outcome.has_ended {
        sim.send(client, NEXT);
        assert_eq!(*seen.borrow(), outcome.seen, "a request is served after the end");
        assert!(sim.received(client) == outcome.output, "bytes are sent after the end");
    }
}

/// Reads the responses, which must be well-formed. Each is `100` or its status and `keep` or
/// `close`.
pub(super) fn responses(outcome: &Outcome) -> Vec<String> {
    let (mut summaries, mut finals, mut rest) = (Vec::new(), 0, &outcome.output[..]);
    while !rest.is_empty() {
        let is_head = outcome.seen.get(finals).is_some_and(|saw| saw.starts_with("HEAD "));
        let response = Response::read(rest, is_head, outcome.has_ended)
            .unwrap_or_else(|stop| panic!("{stop:?} in a response: {}", rest.escape_ascii()));
        rest = &rest[response.len..];
        if response.status == 100 {
            summaries.push("100".to_owned());
            continue;
        }
        finals += 1;
        let keeps = if response.keeps { "keep" } else { "close" };
        summaries.push(format!("{} {keeps}", response.status));
    }
    summaries
}

/// The transcript of the server, in the words of the reader.
fn transcript(outcome: &Outcome) -> Transcript {
    Transcript {
        seen: outcome.seen.clone(),
        responses: responses(outcome),
        has_ended: outcome.has_ended,
    }
}

/// Sends `input` whole, byte by byte, and cut at random places: the server must do the same each
/// time, and the reader from the RFC must come to the same result.
pub(crate) fn compare(input: &[u8], ends: bool, limits: &Limits) {
    let whole = receive_all(limits, &[input], ends);
    let expected = reference::read(input, ends, HeadLimits::of(limits), &Differences::all());
    assert_eq!(transcript(&whole), expected, "left: the server, right: the RFC");
    for cuts in cuts(input) {
        let cut = receive_all(limits, &cuts, ends);
        let at: Vec<usize> = cuts.iter().map(|piece| piece.len()).take(40).collect();
        assert!(cut == whole, "whole {whole:?}\ncut   {cut:?}\nsegments of {at:?} bytes");
    }
}

/// Ways to cut `input`, which follow from its bytes: byte by byte, or into as many pieces as are
/// affordable, and two random ones.
pub(super) fn cuts(input: &[u8]) -> Vec<Vec<&[u8]>> {
    let step = input.len() / 100 + 1;
    let mut all = vec![input.chunks(step).collect()];
    let mut random = Random::new(fingerprint(input));
    for most in [3, 12] {
        let mut from = 0;
        let mut pieces = Vec::new();
        for cut in random.cuts(input.len(), most) {
            pieces.push(&input[from..cut]);
            from = cut;
        }
        pieces.push(&input[from..]);
        all.push(pieces);
    }
    all
}

/// FNV-1a.
pub(super) fn fingerprint(input: &[u8]) -> u64 {
    input.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
