//! The bytes of a connection to handlers of every kind: the responses must be well-formed, in
//! order, and the same however the bytes are cut, whatever faults the kernel shows, and however
//! slowly the client reads.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use wheelhouse::sim::{Client, Sim};
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{
    Body, Handler, Informational, Later, Limits, Reply, Request, Response, Server, StatusCode,
};

use super::server::{cuts, fingerprint, NEXT};
use crate::http1::reference::response::Response as Parsed;
use crate::http1::reference::Stop;
use crate::support::random::Random;
use crate::support::{later_to, sim_of, Count, Echo, Lines};

const INPUT_MAX: usize = 8 << 10;

/// The requests that have been seen, and the rights to respond later.
#[derive(Default)]
struct State {
    seen: Vec<String>,
    laters: Vec<Later<Shared>>,
}

type Shared = Rc<RefCell<State>>;

/// One path for each kind of reply.
struct Site;

impl Handler<Shared> for Site {
    fn handle(&mut self, state: &mut Shared, req: &Request<'_>) -> Reply<Shared> {
        state.borrow_mut().seen.push(format!("{} {}", req.method(), req.target()));
        let status = |code| Response::new(StatusCode::from_u16(code).unwrap());
        match req.path() {
            "/ignore" => "ignored".into(),
            "/deny" => status(401).into(),
            "/204" => status(204).with_body("never sent").into(),
            "/close" => Response::text("last").with_close().into(),
            "/big" => Response::ok("a/b", "0123456789".repeat(3000)).into(),
            "/lines" => Response::ok("a/b", Body::produce(Lines(500))).into(),
            "/receive" => Reply::receive(u64::MAX, Count(0)),
            "/echo" => Reply::transform(Response::text(""), Echo { len: req.content_length() }),
            "/small" => Reply::collect(4, |_, _, content| format!("{content:?}")),
            "/later" => later_to(|later| state.borrow_mut().laters.push(later)),
            "/inform" => Reply::inform(Informational::early_hints(), "informed"),
            "/upgrade" => Reply::upgrade("echo", Repeat),
            _ => Reply::collect(1000, |_, _, content| format!("{}", content.len())),
        }
    }
}

#[cfg(test)]
const PATHS: [&str; 14] = [
    "/",
    "/ignore",
    "/deny",
    "/204",
    "/close",
    "/big",
    "/lines",
    "/receive",
    "/echo",
    "/small",
    "/later",
    "/inform",
    "/upgrade",
    "/echo?a=b",
];

/// Sends back the bytes that come after an upgrade.
struct Repeat;

impl Protocol<Shared> for Repeat {
    fn receive(
        &mut self,
        _: &mut Shared,
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        Ok(connection.put(input))
    }
}

/// The results of one connection. Chunks of an echo depend on the segments, so the responses are
/// compared, and not their bytes.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    seen: Vec<String>,
    /// Those that are complete.
    responses: Vec<Parsed>,
    /// Bytes after an upgrade.
    rest: Vec<u8>,
    end: &'static str,
}

impl Outcome {
    /// Whether two runs had the same results. A reset may overtake responses, so how many arrive
    /// before it depends on the segments.
    fn agrees(&self, other: &Outcome) -> bool {
        if self.end != "reset" {
            return self == other;
        }
        let both = self.responses.iter().zip(&other.responses);
        self.seen == other.seen && self.end == other.end && both.into_iter().all(|(a, b)| a == b)
    }
}

/// How the client behaves.
enum Way {
    Reads,
    /// It reads a little now and then, as these numbers say, until all is sent.
    Stalls(Random),
    /// The kernel shows faults.
    Faults(u64),
}

pub(crate) fn target(data: &[u8]) {
    let input = &data[..data.len().min(INPUT_MAX)];
    let whole = run(&[input], Way::Reads);
    let same = |outcome: Outcome, way: &str| {
        assert!(outcome.agrees(&whole), "{way}\nwhole {whole:#?}\nother {outcome:#?}");
    };
    let number = fingerprint(input);
    for segments in cuts(input) {
        same(run(&segments, Way::Reads), "cut");
        if whole.end != "reset" {
            // The bytes that a reset cuts off depend on how much has been read.
            same(run(&segments, Way::Stalls(Random::new(number))), "slow");
        }
    }
    same(run(&[input], Way::Faults(number)), "faults");
}

fn run(segments: &[&[u8]], mut way: Way) -> Outcome {
    let state = Shared::default();
    let limits = Limits { memory_bytes_max: 2 << 20, ..Limits::default() };
    let server = Server::with_state(Rc::clone(&state)).limits(limits.clone());
    let mut sim = sim_of(server, Site);
    let client = sim.connect();
    let (base, polls) = (sim.memory(), sim.polls());
    match &mut way {
        Way::Reads => {}
        Way::Stalls(random) => sim.stall(client, 1 + random.below(3000)),
        Way::Faults(seed) => sim.set_faults(*seed),
    }
    let mut steps = 0;
    for segment in segments {
        sim.send(client, segment);
        if let Way::Stalls(random) = &mut way {
            sim.read(client, random.below(2000));
        }
        steps += 1 + respond(&mut sim, &state);
        assert!(sim.memory() <= limits.memory_bytes_max);
    }
    sim.end(client);
    if let Way::Stalls(_) = way {
        sim.unstall(client);
    }
    while respond(&mut sim, &state) > 0 {
        steps += 1;
    }
    let polls = (sim.polls() - polls) as usize;
    let work = sim.report().totals.requests as usize + sim.received(client).len() / 1000;
    if matches!(way, Way::Reads) {
        assert!(polls <= 16 + 6 * (steps + work), "{polls} turns for {steps} steps and {work}");
    }
    let outcome = outcome(&mut sim, client, &state);
    if outcome.end == "ended" {
        let length = sim.received(client).len();
        sim.send(client, NEXT);
        assert_eq!(sim.received(client).len(), length, "bytes after the end");
    }
    sim.reset(client);
    drop(std::mem::take(&mut state.borrow_mut().laters));
    assert!(sim.memory() <= base, "{} bytes are not given back", sim.memory() - base);
    outcome
}

/// Responds to the requests that wait. Returns their number.
fn respond(sim: &mut Sim<Shared>, state: &Shared) -> usize {
    let laters = std::mem::take(&mut state.borrow_mut().laters);
    let count = laters.len();
    for later in laters {
        later.respond("later");
        sim.advance(std::time::Duration::ZERO);
    }
    count
}

fn outcome(sim: &mut Sim<Shared>, client: Client, state: &Shared) -> Outcome {
    let end = match (sim.was_reset(client), sim.has_ended(client)) {
        (true, _) => "reset",
        (false, true) => "ended",
        (false, false) => "open",
    };
    let seen = state.borrow().seen.clone();
    let output = sim.received(client).to_vec();
    let (mut rest, mut responses, mut finals) = (&output[..], Vec::new(), 0);
    let mut keeps = true;
    while !rest.is_empty() {
        assert!(keeps, "bytes after the last response: {}", rest.escape_ascii());
        let is_head = seen.get(finals).is_some_and(|saw| saw.starts_with("HEAD "));
        let mut parsed = match Parsed::read(rest, is_head, end != "open") {
            Ok(parsed) => parsed,
            // Only a reset may cut a response off.
            Err(Stop::End) if end == "reset" => {
                rest = &[];
                break;
            }
            Err(stop) => panic!("{stop:?} in a response: {}", rest.escape_ascii()),
        };
        rest = &rest[parsed.len..];
        let (is_final, is_upgrade) = (parsed.status >= 200, parsed.status == 101);
        finals += usize::from(is_final || is_upgrade);
        keeps = parsed.keeps || !is_final;
        // The number of chunks, and so the length on the wire, depends on the segments.
        parsed.len = 0;
        responses.push(parsed);
        if is_upgrade {
            break;
        }
    }
    assert!(finals <= seen.len() + 1, "{finals} responses to {seen:?}");
    assert!(keeps || end != "open", "the last response is sent, and the connection is open");
    Outcome { seen, responses, rest: rest.to_vec(), end }
}

#[cfg(test)]
#[test]
fn the_responses_do_not_depend_on_segments_faults_or_slow_reading() {
    let make = |random: &mut Random| super::generate::message_to(random, &PATHS);
    super::run::check("pipeline", 300, &super::head::WORDS, make, target);
}
