//! Single faults: each scenario is run once to count the calls of the loop that may fail, and then
//! once for every call and every error that the system may return there. Whatever fails, the server
//! serves the next client, no memory is lost, and the connection is served as in the clean run or
//! ends.

use std::fs::File;
use std::time::Duration;

use crate::support::panics::expect_panics;
use crate::support::*;
use wheelhouse::body::{Out, Produce, Produced, Sender};
use wheelhouse::content::{Flow, Receive};
use wheelhouse::events::Topic;
use wheelhouse::sim::{Client, Sim};
use wheelhouse::upgrade::{Connection, Protocol, Upgrade};
use wheelhouse::{
    Body, Failure, Informational, Later, Limits, Reply, Request, Response, Server, Waker,
};

/// One step of a scenario. All clients but the first are added by `Connect`; the last one acts.
enum Step {
    Connect,
    Send(Vec<u8>),
    End,
    Reset,
    Stall(usize),
    Read(usize),
    Unstall,
    Pass(u64),
    /// The program responds to all requests that wait.
    Respond,
    /// The program gives up the requests that wait.
    Forget,
    Inform,
    Wake,
    /// The program sends content, and ends it.
    Push(usize),
    Finish,
    Publish,
    KeepAliveOff,
    ShutDown,
}

use Step::*;

struct Scenario {
    name: &'static str,
    limits: Limits,
    steps: Vec<Step>,
}

/// The handles that the program keeps.
#[derive(Default)]
struct Outside {
    laters: Vec<Later>,
    senders: Vec<Sender>,
    wakers: Vec<Waker>,
}

type Kept = Watched<Outside>;

/// Pauses after each piece, and echoes lines after an upgrade.
struct Pausing(Kept);

impl Receive<()> for Pausing {
    fn start(&mut self, (): &mut (), waker: Waker) -> Result<(), Failure> {
        self.0.borrow_mut().wakers.push(waker);
        Ok(())
    }

    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow, Failure> {
        Ok(match piece {
            b"enough" => Flow::Respond("enough\n".into()),
            _ => Flow::Pause,
        })
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        "received\n".into()
    }
}

impl Protocol<()> for Pausing {
    fn start(&mut self, (): &mut (), connection: &mut Connection<'_>) -> std::io::Result<()> {
        self.0.borrow_mut().wakers.push(connection.waker());
        Ok(())
    }

    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        if input == b"bye" {
            connection.close();
        }
        Ok(connection.put(input))
    }

    fn wake(&mut self, (): &mut (), connection: &mut Connection<'_>) -> std::io::Result<()> {
        connection.put(b"woken");
        Ok(())
    }
}

/// Has nothing to say after its first bytes.
struct Quiet(bool);

impl Produce for Quiet {
    fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
        if !std::mem::replace(&mut self.0, true) {
            out.put(b"first");
        }
        Ok(Produced::Wait(5 * SECOND))
    }
}

fn file() -> File {
    File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap()
}

fn answer(req: &Request<'_>, kept: &Kept, topic: &Topic) -> Reply {
    let keep = kept.clone();
    match req.path() {
        "/pausing" => Reply::receive(u64::MAX, Pausing(kept.clone())),
        "/later" => later_to(move |later| keep.borrow_mut().laters.push(later)),
        "/collect-later" => Reply::collect(1000, move |(), _, _| {
            later_to(move |later| keep.borrow_mut().laters.push(later))
        }),
        "/bytes" => Response::ok("x/y", &BIG[..300_000]).into(),
        "/file" => Response::ok("x/y", Body::file(file()).unwrap()).into(),
        "/lines" => Response::ok("x/y", Body::produce(Lines(1500))).into(),
        "/channel" => {
            let (sender, body) = Body::channel(5000);
            kept.borrow_mut().senders.push(sender);
            Response::ok("x/y", body).into()
        }
        "/events" => topic.subscribe(req).into(),
        "/quiet" => Response::ok("x/y", Body::produce(Quiet(false))).into(),
        "/upgrade" => Reply::upgrade("held", Pausing(kept.clone())),
        "/tunnel" => Reply::upgrade(Upgrade::tunnel(), Pausing(kept.clone())),
        "/hijack" => Reply::hijack(|(), hijacked| drop(hijacked)),
        "/204" => wheelhouse::StatusCode::NO_CONTENT.into(),
        #[cfg(feature = "websocket")]
        "/socket" => {
            use wheelhouse::websocket::{accept, on_message, Message, Options, Socket};
            let echo = |(): &mut (), message: Message<'_>, socket: &mut Socket<'_>| {
                if let Message::Text(text) = message {
                    let _ = socket.send(Message::Text(text));
                }
            };
            accept(req, &Options::default(), on_message(echo))
        }
        _ => site(req),
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

fn scenario(name: &'static str, steps: Vec<Step>) -> Scenario {
    Scenario { name, limits: Limits::default(), steps }
}

fn sends(name: &'static str, bytes: impl AsRef<[u8]>) -> Scenario {
    scenario(name, vec![Send(bytes.as_ref().to_vec())])
}

fn small_requests() -> Vec<Scenario> {
    let mut halves = vec![Send(GET[..9].to_vec()), Send(GET[9..].to_vec())];
    halves.extend([Pass(5000), Send(GET.to_vec())]);
    vec![
        sends("a GET", GET),
        sends("a HEAD", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
        sends("a path that is not found", get("/missing")),
        sends("40 pipelined requests", GET.repeat(40)),
        sends("a last request", GET_CLOSE),
        sends("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n"),
        sends("a response without content", get("/204")),
        sends("a handler that panics", get("/panic")),
        scenario("a head in two pieces, and another request later", halves),
        scenario("a client that ends its side", vec![Send(GET.to_vec()), End]),
        scenario("a client that resets", vec![Send(GET.to_vec()), Reset]),
        scenario("a silent client", vec![Pass(11_000)]),
        scenario("half a head", vec![Send(GET[..9].to_vec()), Pass(11_000)]),
        scenario("an idle connection", vec![Send(GET.to_vec()), Pass(61_000)]),
    ]
}

fn refusals() -> Vec<Scenario> {
    let field = |field: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    vec![
        sends("a malformed request line", b"GET  / HTTP/1.1\r\n\r\n"),
        sends("no Host", b"GET / HTTP/1.1\r\n\r\n"),
        sends("a head that is too large", field(&format!("A: {}", "a".repeat(17_000)))),
        sends("a target that is too long", get(&format!("/{}", "a".repeat(9000)))),
        sends("two framings", field("Content-Length: 1\r\nTransfer-Encoding: chunked")),
        sends("an unknown coding", field("Transfer-Encoding: gzip")),
        sends("an unknown expectation", field("Expect: more")),
        sends("an unknown version", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        sends("content that is too large", post("/collect", 1001, b"a")),
        sends("a malformed chunk", [post_chunked("/collect"), b"x\r\n".to_vec()].concat()),
    ]
}

fn contents() -> Vec<Scenario> {
    let chunked = |path| {
        let chunks = [chunk(b"hello"), b"0\r\nX-Sum: 1\r\n\r\n".to_vec()].concat();
        [post_chunked(path), chunks, GET.to_vec()].concat()
    };
    let expecting = b"POST /collect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
        Content-Length: 5\r\n\r\n";
    let two = |path, first: &[u8], second: &[u8]| {
        vec![Send(post(path, 10, first)), Send(second.to_vec())]
    };
    let paused = |then: Vec<Step>| {
        let mut steps = vec![Send(post("/pausing", 10, b"12345")), Send(b"67890".to_vec())];
        steps.extend(then);
        steps
    };
    vec![
        scenario("collected content", two("/collect", b"12345", b"67890")),
        sends("collected chunks", chunked("/collect")),
        scenario("an expectation", vec![Send(expecting.to_vec()), Send(b"12345".to_vec())]),
        scenario("content that stops", vec![Send(post("/collect", 5, b"1")), Pass(16_000)]),
        scenario("content that ends early", vec![Send(post("/collect", 5, b"1")), End]),
        scenario("a reset in content", vec![Send(post("/receive", 5, b"1")), Reset]),
        scenario("received content", two("/receive", b"12345", b"67890")),
        scenario("a pause that ends", paused(vec![Wake, Wake, Wake])),
        scenario("a pause that does not end", paused(vec![Pass(31_000)])),
        scenario("a response in content", vec![Send(post("/pausing", 9, b"enough")), Pass(9000)]),
        scenario("discarded content", two("/noread", b"12345", b"67890")),
        scenario("an echo", two("/echo", b"12345", b"67890")),
        sends("an echo of chunks", chunked("/echo")),
        scenario(
            "an echo to a client that stalls",
            vec![Stall(500), Send(post("/echo", 60_000, &[b'x'; 60_000])), Read(2000), Unstall],
        ),
    ]
}

fn responses() -> Vec<Scenario> {
    let later = |then: Vec<Step>| [vec![Send(get("/later"))], then].concat_steps();
    let channel = |then: Vec<Step>| [vec![Send(get("/channel"))], then].concat_steps();
    vec![
        scenario("a later response", later(vec![Respond, Send(GET.to_vec())])),
        scenario("a later response with news before", later(vec![Inform, Respond])),
        scenario("a later response that never comes", later(vec![Pass(31_000)])),
        scenario("a later response that is forgotten", later(vec![Forget])),
        scenario("a client that leaves a later response", later(vec![End, Reset, Respond])),
        scenario(
            "a later response to content",
            vec![Send(post("/collect-later", 5, b"12345")), Respond],
        ),
        sends("a large response", get("/bytes")),
        scenario("a slow reader", vec![Stall(9000), Send(get("/bytes")), Read(50_000), Unstall]),
        scenario("a client that reads nothing", vec![Stall(9), Send(get("/bytes")), Pass(21_000)]),
        sends("a file", [get("/file"), GET.to_vec()].concat()),
        scenario("a slow reader of a file", vec![Stall(9000), Send(get("/file")), Unstall]),
        sends("produced content", [get("/lines"), GET.to_vec()].concat()),
        sends("produced content for HTTP/1.0", b"GET /lines HTTP/1.0\r\n\r\n"),
        scenario("a slow reader of lines", vec![Stall(900), Send(get("/lines")), Read(9), Unstall]),
        scenario("a channel", channel(vec![Push(100), Push(4000), Finish, Send(GET.to_vec())])),
        scenario("a channel that is dropped", channel(vec![Push(100), Forget])),
        scenario("events", vec![Send(get("/events")), Publish, Publish, Pass(20_000), Reset]),
        scenario("a producer that stays silent", vec![Send(get("/quiet")), Pass(6000)]),
    ]
}

fn upgrades() -> Vec<Scenario> {
    let upgrade =
        b"GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: held\r\n\r\n";
    let hijack = get("/hijack");
    let tunnel = b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n";
    vec![
        scenario("an upgrade", vec![Send(upgrade.to_vec()), Send(b"hello".to_vec()), Wake, End]),
        scenario("an upgrade that ends", vec![Send(upgrade.to_vec()), Send(b"bye".to_vec())]),
        scenario("a silent upgrade", vec![Send(upgrade.to_vec()), Pass(61_000)]),
        scenario("a tunnel that is refused", vec![Send(tunnel.to_vec())]),
        sends("a stream that is handed out", hijack),
        #[cfg(feature = "websocket")]
        scenario(
            "a WebSocket",
            vec![
                Send(
                    b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
                    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                        .to_vec(),
                ),
                Send(b"\x81\x82\0\0\0\0hi".to_vec()),
                Send(b"\x88\x80\0\0\0\0".to_vec()),
            ],
        ),
    ]
}

fn ends() -> Vec<Scenario> {
    let full = Limits { connections_max: 2, ..Limits::default() };
    let crowd = || vec![Connect, Connect, Connect, Send(GET.to_vec())];
    vec![
        scenario("a crowd", crowd()),
        Scenario { limits: full, ..scenario("a full house", crowd()) },
        scenario("keep-alive off", vec![Send(GET.to_vec()), KeepAliveOff]),
        scenario("a shutdown with an idle connection", vec![Send(GET.to_vec()), ShutDown]),
        scenario(
            "a shutdown in a request",
            vec![Send(post("/collect", 5, b"12")), ShutDown, Send(b"345".to_vec())],
        ),
        scenario(
            "a shutdown with a later response",
            vec![Send(get("/later")), ShutDown, Pass(1000), Respond],
        ),
        scenario("a shutdown that resets", vec![Send(get("/later")), ShutDown, Pass(11_000)]),
    ]
}

trait Concat {
    fn concat_steps(self) -> Vec<Step>;
}

impl Concat for [Vec<Step>; 2] {
    fn concat_steps(self) -> Vec<Step> {
        self.into_iter().flatten().collect()
    }
}

/// A run of a scenario, with one fault or without.
struct Run {
    sim: Sim,
    clients: Vec<Client>,
    kept: Kept,
    topic: Topic,
    base: usize,
}

impl Run {
    fn of(scenario: &Scenario) -> Run {
        let (kept, topic) = (Kept::default(), Topic::new(4));
        let (of_handler, topics) = (kept.clone(), topic.clone());
        let handler = move |req: &Request<'_>| answer(req, &of_handler, &topics);
        let server = Server::new().limits(scenario.limits.clone());
        let mut sim = sim_of(server, handler);
        let crowd: Vec<Client> = (0..8).map(|_| sim.connect()).collect();
        let base = sim.memory();
        for client in crowd {
            sim.reset(client);
        }
        Run { sim, clients: Vec::new(), kept, topic, base }
    }

    fn play(&mut self, scenario: &Scenario) {
        self.step(&Connect);
        for step in &scenario.steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        let (sim, kept) = (&mut self.sim, &self.kept);
        if let Connect = step {
            return self.clients.push(sim.connect());
        }
        let &client = self.clients.last().unwrap();
        match step {
            Connect => {}
            Send(bytes) => sim.send(client, bytes),
            End => sim.end(client),
            Reset => sim.reset(client),
            Stall(window) => sim.stall(client, *window),
            Read(n) => sim.read(client, *n),
            Unstall => sim.unstall(client),
            Pass(millis) => sim.advance(Duration::from_millis(*millis)),
            Respond => {
                let laters = std::mem::take(&mut kept.borrow_mut().laters);
                laters.into_iter().for_each(|later| later.respond("later\n"));
            }
            Forget => *kept.borrow_mut() = Outside::default(),
            Inform => {
                for later in &kept.borrow().laters {
                    later.inform(Informational::processing());
                }
            }
            Wake => kept.borrow().wakers.iter().for_each(Waker::wake),
            Push(len) => {
                for sender in &kept.borrow().senders {
                    let _ = sender.try_send(vec![b'c'; *len]);
                }
            }
            Finish => {
                let senders = std::mem::take(&mut kept.borrow_mut().senders);
                senders.into_iter().for_each(Sender::finish);
            }
            Publish => drop(self.topic.publish("news")),
            KeepAliveOff => set_keep_alive(sim, false),
            ShutDown => shut_down(sim),
        }
        // Longer than the first pause of a listener after an error.
        self.sim.advance(10 * MS);
    }

    /// Lets all deadlines pass, and returns the statuses that the clients have got, with whether
    /// their connections are open.
    fn outcome(&mut self) -> Vec<(Vec<u16>, bool)> {
        self.sim.end_faults();
        for _ in 0..14 {
            self.sim.advance(10 * SECOND);
        }
        let clients = self.clients.clone();
        let sim = &mut self.sim;
        clients
            .into_iter()
            .map(|client| (statuses(sim.received(client)), sim.is_open(client)))
            .collect()
    }

    /// Serves an honest client, ends everything, and finds all memory given back.
    fn assert_healthy(mut self, case: &str) {
        let sim = &mut self.sim;
        if sim.is_running() {
            let honest = sim.connect();
            sim.send(honest, GET);
            sim.advance(2 * SECOND);
            assert_eq!(statuses(sim.received(honest)), [200], "{case}: the next client");
            self.clients.push(honest);
        }
        *self.kept.borrow_mut() = Outside::default();
        self.topic.close();
        for &client in &self.clients {
            self.sim.reset(client);
        }
        self.sim.advance(10 * SECOND);
        assert!(self.clients.iter().all(|&client| !self.sim.is_open(client)), "{case}: open");
        assert_eq!(self.topic.readers(), 0, "{case}");
        let (memory, base) = (self.sim.memory(), self.base);
        assert!(memory <= base, "{case}: {memory} B are held, more than {base}");
    }
}

/// Tortures the scenarios of a group, which needs at least so many faults.
fn torture_all(scenarios: &[Scenario], least: usize) {
    expect_panics(&["a handler of a test panics"]);
    let mut faults = 0;
    for scenario in scenarios {
        let mut clean = Run::of(scenario);
        clean.sim.record_calls();
        clean.play(scenario);
        let calls = clean.sim.recorded_calls();
        let expected = clean.outcome();
        clean.assert_healthy(scenario.name);
        for (n, (call, errors)) in calls.iter().enumerate() {
            for &error in errors {
                faults += 1;
                torture(scenario, (n, call, error), &expected);
            }
        }
    }
    assert!(faults >= least, "{faults}");
}

#[test]
fn every_single_fault_in_a_small_request_leaves_a_server_that_serves() {
    torture_all(&small_requests(), 500);
}

#[test]
fn every_single_fault_in_a_refusal_leaves_a_server_that_serves() {
    torture_all(&refusals(), 300);
}

#[test]
fn every_single_fault_in_content_leaves_a_server_that_serves() {
    torture_all(&contents(), 500);
}

#[test]
fn every_single_fault_in_a_long_response_leaves_a_server_that_serves() {
    torture_all(&responses(), 1000);
}

#[test]
fn every_single_fault_in_an_upgrade_leaves_a_server_that_serves() {
    torture_all(&upgrades(), 200);
}

#[test]
fn every_single_fault_in_a_crowd_or_a_shutdown_leaves_a_server_that_serves() {
    torture_all(&ends(), 300);
}

fn torture(scenario: &Scenario, fault: (usize, &str, i32), expected: &[(Vec<u16>, bool)]) {
    let (n, call, error) = fault;
    let error_text = std::io::Error::from_raw_os_error(error);
    let case = format!("{}: call {n}, {call}: {error_text}", scenario.name);
    let mut run = Run::of(scenario);
    run.sim.fail_call(n, error);
    run.play(scenario);
    let outcome = run.outcome();
    for ((statuses, is_open), (clean, was_open)) in outcome.iter().zip(expected) {
        if *is_open {
            assert!(was_open, "{case}: open, although it ends without the fault: {statuses:?}");
            assert_eq!(statuses, clean, "{case}");
        }
    }
    run.assert_healthy(&case);
}
