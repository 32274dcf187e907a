//! Runs vectors: the handler that records, the transcript of the responses, and the ways to cut the
//! input.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;

use crate::support::sim_of;
use wheelhouse::body::Out;
use wheelhouse::content::{Flow, Receive, Transform};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Failure, Handler, Limits, Reply, Request, Response, Server, StatusCode};

use super::response::ParsedResponse;
use super::vector::Vector;
use crate::support::panics::expect_panics;
use crate::support::random::{seed, Random};

/// The most bytes that the handler collects.
pub(crate) const COLLECT_MAX: usize = 64 << 10;
/// The most bytes that `/small` collects.
pub(crate) const SMALL_MAX: usize = 20;
/// The connections of one simulated kernel, which visits every connection it ever had in each turn.
const CONNECTIONS_PER_SIM: u32 = 24;
/// Up to this length every pair of cuts is tried, and up to the next one every other pair.
const ALL_PAIRS_MAX: usize = 50;
const PAIRS_MAX: usize = 80;
/// Up to this length an input is sent byte by byte.
const BYTES_MAX: usize = 20 << 10;
/// Above this length single cuts are tried at this many places.
const SINGLES_MAX: usize = 512;
const RANDOM_RUNS: usize = 16;
const SLOW_RUNS: usize = 8;

/// The message of the panic that a vector requests from the handler.
pub(crate) const PANIC: &str = "a handler panics, as a vector wants";

/// The requests that the handler has seen, one entry for each.
pub(crate) type Seen = Rc<RefCell<Vec<String>>>;

/// Responds by path and records the requests.
pub(crate) struct Recorder;

impl Handler<Seen> for Recorder {
    fn handle(&mut self, seen: &mut Seen, req: &Request<'_>) -> Reply<Seen> {
        let mut saw = format!("{} {}", req.method(), req.target());
        if req.path() == "/show" {
            show(&mut saw, req);
        }
        let takes_content =
            !["/ignore", "/deny", "/204", "/304", "/split", "/first", "/echo", "/big"]
                .contains(&req.path());
        let has_content = req.content_length() != Some(0);
        // Replaced when the content is complete.
        let pending = if takes_content && has_content { " ..." } else { "" };
        seen.borrow_mut().push(saw + pending);
        let status = |code| Response::new(StatusCode::from_u16(code).unwrap());
        match req.path() {
            "/ignore" => Response::text("ignored").into(),
            "/deny" => status(401).into(),
            "/204" => status(204).with_body("never sent").into(),
            "/304" => status(304).with_body("never sent").into(),
            "/split" => Response::text("x").with_header("X-Copied", "a\r\nSet-Cookie: b=c").into(),
            "/close" => Response::text("last").with_close().into(),
            "/panic" => panic!("{PANIC}"),
            "/big" => Response::ok("text/plain", big()).into(),
            "/receive" => Reply::receive(u64::MAX, Joined(Vec::new())),
            "/first" => Reply::receive(u64::MAX, First),
            "/echo" => Reply::transform(Response::text(""), Echo),
            "/small" => collect(SMALL_MAX),
            _ => collect(COLLECT_MAX),
        }
    }
}

fn collect(limit: usize) -> Reply<Seen> {
    Reply::collect(limit, |seen: &mut Seen, req, content| {
        if req.content_length() != Some(0) {
            complete(seen, content);
        }
        "ok\n"
    })
}

/// More than the socket of a slow client takes at once.
fn big() -> String {
    (0..20_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect()
}

/// Records every part of a head that a handler can read.
fn show(saw: &mut String, req: &Request<'_>) {
    write!(saw, " host={}", req.host().unwrap_or("none")).unwrap();
    if let Some(query) = req.raw_query() {
        write!(saw, " query={query}").unwrap();
    }
    for (name, value) in req.headers().iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
    {
        write!(saw, " [{name}={}]", value.escape_ascii()).unwrap();
    }
}

/// Records the complete content of the latest request.
fn complete(seen: &Seen, content: &[u8]) {
    let mut seen = seen.borrow_mut();
    let latest = seen.last_mut().unwrap();
    latest.truncate(latest.len() - " ...".len());
    match content.len() {
        0..=40 => write!(latest, " \"{}\"", content.escape_ascii()).unwrap(),
        len => write!(latest, " {len} bytes of sum {}", sum(content)).unwrap(),
    }
}

/// A checksum that distinguishes contents of the same length (FNV-1a).
pub(crate) fn sum(content: &[u8]) -> u32 {
    content.iter().fold(0x811c_9dc5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Receives content piece by piece.
struct Joined(Vec<u8>);

impl Receive<Seen> for Joined {
    fn piece(&mut self, _: &mut Seen, piece: &[u8]) -> Result<Flow<Seen>, Failure> {
        assert!(!piece.is_empty());
        self.0.extend_from_slice(piece);
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, seen: &mut Seen) -> Reply<Seen> {
        if seen.borrow().last().unwrap().ends_with(" ...") {
            complete(seen, &self.0);
        }
        "received\n".into()
    }
}

/// Responds after the first piece, before the rest has arrived.
struct First;

impl Receive<Seen> for First {
    fn piece(&mut self, _: &mut Seen, _: &[u8]) -> Result<Flow<Seen>, Failure> {
        Ok(Flow::Respond("enough\n".into()))
    }

    fn end(self: Box<Self>, _: &mut Seen) -> Reply<Seen> {
        "nothing\n".into()
    }
}

/// Sends content back while it arrives.
struct Echo;

impl Transform<Seen> for Echo {
    fn piece(&mut self, _: &mut Seen, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        Ok(out.put(piece))
    }
}

/// A simulated server that is renewed after some connections.
pub(crate) struct Bench {
    sim: Sim<Seen>,
    seen: Seen,
    limits: Limits,
    connections: u32,
}

/// The results of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) seen: Vec<String>,
    pub(crate) output: Vec<u8>,
    pub(crate) end: &'static str,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Bench {
        let seen = Seen::default();
        let server = Server::with_state(seen.clone()).limits(limits.clone());
        let sim = sim_of(server, Recorder);
        Bench { sim, seen, limits, connections: 0 }
    }

    fn renew(&mut self) {
        *self = Bench::with_limits(self.limits.clone());
    }

    /// Sends `vector` on a new connection in segments that end at `cuts`.
    pub(crate) fn run(&mut self, vector: &Vector, cuts: &[usize]) -> Outcome {
        // If time passes, the dates of responses change, so each run needs a new server.
        if self.connections >= CONNECTIONS_PER_SIM || vector.waits.is_some() {
            self.renew();
        }
        self.connections += 1;
        let client = self.sim.connect();
        let mut from = 0;
        for &cut in cuts {
            self.sim.send(client, &vector.input[from..cut]);
            from = cut;
        }
        match vector.ends {
            true => self.sim.send_and_end(client, &vector.input[from..]),
            false => self.sim.send(client, &vector.input[from..]),
        }
        if let Some(time) = vector.waits {
            self.sim.advance(time);
        }
        let outcome = self.outcome(client);
        self.sim.reset(client);
        if vector.waits.is_some() {
            self.renew();
        }
        outcome
    }

    /// Does the same with a client that reads little by little, so that bytes wait at both ends. No
    /// time passes.
    pub(crate) fn run_slowly(
        &mut self,
        vector: &Vector,
        cuts: &[usize],
        random: &mut Random,
    ) -> Outcome {
        if self.connections >= CONNECTIONS_PER_SIM {
            self.renew();
        }
        self.connections += 1;
        let client = self.sim.connect();
        self.sim.stall(client, 1 + random.below(3000));
        let mut from = 0;
        for &cut in cuts {
            self.sim.send(client, &vector.input[from..cut]);
            self.sim.read(client, random.below(2000));
            from = cut;
        }
        self.sim.send(client, &vector.input[from..]);
        for _ in 0..random.below(10) {
            self.sim.read(client, random.below(2000));
        }
        if vector.ends {
            self.sim.end(client);
        }
        for _ in 0..random.below(10) {
            self.sim.read(client, random.below(2000));
        }
        self.sim.unstall(client);
        let outcome = self.outcome(client);
        self.sim.reset(client);
        outcome
    }

    fn outcome(&mut self, client: Client) -> Outcome {
        let end = match (self.sim.was_reset(client), self.sim.has_ended(client)) {
            (true, _) => "reset",
            (false, true) => "ended",
            (false, false) => "open",
        };
        let output = self.sim.take_received(client);
        Outcome { seen: self.seen.take(), output, end }
    }
}

impl Outcome {
    /// The outcome as one line of text.
    ///
    /// # Errors
    ///
    /// A description of the fault, if the responses are not a sequence of well-formed messages.
    pub(crate) fn transcript(&self) -> Result<String, String> {
        let responses = self.responses()?;
        Ok(format!("{} | {} | {}", list(&self.seen), list(&responses), self.end))
    }

    /// Each response as its status and whether the connection may be used after it.
    pub(crate) fn responses(&self) -> Result<Vec<String>, String> {
        Ok(self.decoded()?.into_iter().map(|(response, _)| response).collect())
    }

    /// Whether two runs are equal byte for byte; of echoed content only the bytes are compared, as
    /// the chunks depend on how it arrived.
    pub(crate) fn is_same(&self, other: &Outcome) -> bool {
        if !self.seen.iter().any(|saw| saw.contains(" /echo")) {
            return self == other;
        }
        self.seen == other.seen && self.end == other.end && self.decoded() == other.decoded()
    }

    /// Each response and its content. Checks the rules for every connection: no response after the
    /// last one, at most one per request and one refusal, an end after a `close`, and no response
    /// cut off except by a reset.
    fn decoded(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut responses: Vec<(String, Vec<u8>)> = Vec::new();
        let mut finals = 0;
        let mut rest = &self.output[..];
        while !rest.is_empty() {
            if responses.last().is_some_and(|(response, _)| response.ends_with("close")) {
                return Err(format!("bytes after the last response: {}", rest.escape_ascii()));
            }
            let is_head = self.seen.get(finals).is_some_and(|saw| saw.starts_with("HEAD "));
            let response = ParsedResponse::parse(rest, is_head)?;
            if response.is_cut && self.end != "reset" {
                return Err(format!("cut off: {}", rest.escape_ascii()));
            }
            finals += usize::from(response.summary != "100");
            responses.push((response.summary, response.content));
            rest = &rest[response.len..];
        }
        if finals > self.seen.len() + 1 {
            return Err(format!("{finals} responses to {} requests", self.seen.len()));
        }
        let is_last = responses.last().is_some_and(|(response, _)| response.ends_with("close"));
        if is_last && self.end == "open" {
            return Err("the last response is sent and the connection is open".to_owned());
        }
        Ok(responses)
    }
}

/// Lists entries in order; more than three equal ones in a row become one with their number.
pub(crate) fn list(entries: &[String]) -> String {
    let mut list: Vec<String> = Vec::new();
    let mut from = 0;
    while let Some(entry) = entries.get(from) {
        let count = entries[from..].iter().take_while(|other| *other == entry).count();
        match count {
            0..=3 => list.extend_from_slice(&entries[from..from + count]),
            _ => list.push(format!("{count} x {entry}")),
        }
        from += count;
    }
    list.join(", ")
}

/// Checks a table: each vector whole, and then each way to cut it against that.
pub(crate) fn check(table: &[Vector]) {
    expect_panics(&[PANIC]);
    let seed = seed();
    let mut random = Random::new(seed);
    let mut bench = Bench::new();
    let mut faults = Vec::new();
    let mut runs = 0;
    for vector in table {
        let whole = bench.run(vector, &[]);
        let transcript = whole.transcript().unwrap_or_else(|fault| fault);
        if transcript != vector.expected {
            faults.push(format!(
                "{}\n  expected {}\n  got      {transcript}",
                vector.name, vector.expected
            ));
            continue;
        }
        let mut difference = |cut: &Outcome, cuts: &[usize], how: &str| {
            runs += 1;
            if !cut.is_same(&whole) {
                let differs = cut.transcript().unwrap_or_else(|fault| fault);
                faults.push(format!(
                    "{}\n  whole {transcript}\n  {how}   {differs}\n  at {:?} (seed {seed})",
                    vector.name,
                    &cuts[..cuts.len().min(20)]
                ));
                return true;
            }
            false
        };
        for cuts in all_cuts(vector.input.len(), &mut random) {
            if difference(&bench.run(vector, &cuts), &cuts, "cut") {
                break;
            }
        }
        // The bytes that a reset cuts off depend on how much has been read.
        if vector.waits.is_none() && whole.end != "reset" {
            for _ in 0..SLOW_RUNS {
                let cuts = random.cuts(vector.input.len(), 12);
                if difference(&bench.run_slowly(vector, &cuts, &mut random), &cuts, "slow") {
                    break;
                }
            }
        }
    }
    println!("{} vectors, {runs} ways to cut them, seed {seed}", table.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The ways to cut `len` bytes that are tried.
fn all_cuts(len: usize, random: &mut Random) -> Vec<Vec<usize>> {
    // Byte by byte, or by 61 bytes if that would be too many segments.
    let step = if len <= BYTES_MAX { 1 } else { 61 };
    let mut all = vec![(1..len).step_by(step).collect()];
    if len <= SINGLES_MAX {
        all.extend((1..len).map(|cut| vec![cut]));
    } else {
        // Both ends, where most decisions fall, and places in between.
        let edge = if len <= BYTES_MAX { 64 } else { 8 };
        all.extend((1..edge).chain(len - edge..len).map(|cut| vec![cut]));
        all.extend((0..edge).map(|_| vec![1 + random.below(len - 1)]));
    }
    if len <= PAIRS_MAX {
        for first in 1..len {
            let lasts = (first + 1..len).filter(|_| len <= ALL_PAIRS_MAX || random.one_in(2));
            all.extend(lasts.map(|last| vec![first, last]));
        }
    }
    all.extend((0..RANDOM_RUNS).map(|_| random.cuts(len, 12)));
    all
}
