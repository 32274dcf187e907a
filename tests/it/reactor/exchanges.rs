//! The hook for the end of each exchange: once for each, with its bytes, time and outcome.

use std::time::Duration;

use crate::support::panics::expect_panics;
use crate::support::random::Random;
use crate::support::{
    chunk, content, later_to, never, post, post_chunked, shut_down_within, site, Count, Lines, BIG,
    HOUR, MS, SECOND,
};
use wheelhouse::runtime::{Exchange, Outcome};
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{
    Body, Handler, Limits, Reply, Request, Response, Router, Routes, Server, StatusCode,
};

/// One exchange as the hook saw it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    line: String,
    status: u16,
    outcome: Outcome,
    received: u64,
    sent: u64,
    content: u64,
    duration: Duration,
}

impl Seen {
    fn of(exchange: &Exchange<'_>) -> Seen {
        let method = exchange.method().map_or("-", |method| method.as_str());
        let (received, sent) = exchange.bytes();
        Seen {
            line: format!("{method} {}", exchange.target().unwrap_or("-")),
            status: exchange.status().map_or(0, |status| status.as_u16()),
            outcome: exchange.outcome(),
            received,
            sent,
            content: exchange.content_sent(),
            duration: exchange.duration(),
        }
    }

    fn brief(&self) -> String {
        format!("{} {} {:?}", self.line, self.status, self.outcome)
    }
}

type Log = Vec<Seen>;

struct Silent;

impl Protocol<Log> for Silent {
    fn receive(
        &mut self,
        _: &mut Log,
        input: &[u8],
        _: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        Ok(input.len())
    }
}

fn routes() -> Routes<Log> {
    let router = Router::<Log>::new()
        .any("/{$}", |_, _| "Hello, World!")
        .collect("POST /collect", 10, |_, _, content| format!("{}\n", content.len()))
        .get("/lines/{count}", |_, req| {
            let count = req.parse_param("count")?;
            Ok::<_, wheelhouse::Failure>(Response::ok("text/plain", Body::produce(Lines(count))))
        })
        .post("/receive", |_, _| Reply::receive(100, Count(0)))
        .get("/panic", |_, _| -> Reply<Log> { panic!("a handler of a test panics") })
        .get("/never", |_, _| never())
        .get("/dropped", |_, _| later_to(drop))
        .get("/late-upgrade", |_, _| {
            later_to(|later| later.respond_with(|_| Reply::hijack(|_, _| {})))
        })
        .get("/later", |_, _| later_to(|later| later.respond("later")))
        .get("/switch", |_, _| Reply::upgrade("silent", Silent))
        .get("/hijack", |_, _| Reply::hijack(|_, _| {}))
        .get("/short", |_, _| Response::ok("text/plain", Body::produce_exactly(1 << 20, Lines(1))));
    router.build().unwrap()
}

fn observed() -> Sim<Log> {
    observed_with(routes())
}

fn observed_with(handler: impl Handler<Log> + 'static) -> Sim<Log> {
    let server = Server::with_state(Log::new())
        .limits(Limits { handler_timeout: 5 * SECOND, ..Limits::default() })
        .on_exchange(|log, exchange| log.push(Seen::of(exchange)));
    Sim::of(server, handler).unwrap()
}

fn take(sim: &mut Sim<Log>) -> Log {
    std::mem::take(sim.state())
}

fn briefs(sim: &mut Sim<Log>) -> Vec<String> {
    take(sim).iter().map(Seen::brief).collect()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn each_way_to_end_an_exchange_is_reported_once() {
    expect_panics(&["a handler of a test panics"]);
    let switch =
        "GET /switch HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: silent\r\n\r\n";
    let chunked = [post_chunked("/receive"), chunk(b"abc"), chunk(b"")].concat();
    for (request, expected) in [
        (get("/").into_bytes(), "GET / 200 Complete"),
        (get("/none").into_bytes(), "GET /none 404 Complete"),
        (get("/lines/100000").into_bytes(), "GET /lines/100000 200 Complete"),
        (get("/later").into_bytes(), "GET /later 200 Complete"),
        (post("/collect", 3, b"abc"), "POST /collect 200 Complete"),
        (chunked, "POST /receive 200 Complete"),
        (get("/switch").into_bytes(), "GET /switch 426 Complete"),
        (switch.as_bytes().to_vec(), "GET /switch 101 Upgraded"),
        (get("/hijack").into_bytes(), "GET /hijack 0 Upgraded"),
        (get("/panic").into_bytes(), "GET /panic 500 Failed"),
        (get("/dropped").into_bytes(), "GET /dropped 500 Failed"),
        (get("/late-upgrade").into_bytes(), "GET /late-upgrade 500 Failed"),
        (get("/short").into_bytes(), "GET /short 200 Failed"),
        (post("/collect", 11, b"abc"), "POST /collect 413 Refused"),
        (b"GET\r\n\r\n".to_vec(), "- - 400 Refused"),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n", "x".repeat(20_000)).into(), "- - 431 Refused"),
        (
            [post_chunked("/receive"), b"nonsense\r\n".to_vec()].concat(),
            "POST /receive 400 Refused",
        ),
    ] {
        let mut sim = observed();
        let client = sim.connect_and_send(&request);
        sim.settle();
        assert_eq!(briefs(&mut sim), [expected]);
        sim.reset(client);
        sim.advance(HOUR);
        assert_eq!(briefs(&mut sim), [""; 0], "{expected}: once");
    }
}

#[test]
fn deadlines_and_clients_that_leave_are_reported_with_the_time_that_they_took() {
    let half = &post("/receive", 50, b"abc")[..];
    for (request, reset, expected, after) in [
        (&b"GET / HTTP/1.1\r\n"[..], false, "- - 408 TooSlow", 10),
        (&b"GET / HTTP/1.1\r\n"[..], true, "- - 0 PeerLeft", 2),
        (half, true, "POST /receive 0 PeerLeft", 2),
        (get("/never").as_bytes(), false, "GET /never 504 TooSlow", 5),
        (get("/never").as_bytes(), true, "GET /never 0 PeerLeft", 2),
    ] {
        let mut sim = observed();
        let client = sim.connect_and_send(request);
        sim.advance(2 * SECOND);
        if reset {
            sim.reset(client);
        }
        sim.advance(HOUR);
        let [seen] = &take(&mut sim)[..] else { panic!("{expected}: not once") };
        assert_eq!(seen.brief(), expected);
        let late = seen.duration.checked_sub(after * SECOND).expect("not early");
        assert!(late <= 65 * MS, "{expected}: {late:?}");
    }
}

#[test]
fn a_stopped_server_reports_the_exchanges_that_it_cuts_off() {
    let mut sim = observed();
    sim.connect_and_send(get("/never"));
    sim.connect_and_send(get("/"));
    take(&mut sim);
    sim.handle().stop();
    sim.advance(SECOND);
    assert_eq!(briefs(&mut sim), ["GET /never 0 Stopped"]);
}

/// The sums are those on the wire, however the bytes of client and server are cut.
#[test]
fn bytes_are_those_on_the_wire() {
    let requests: [Vec<u8>; 6] = [
        get("/").into_bytes(),
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        post("/collect", 3, b"abc"),
        get("/lines/70000").into_bytes(),
        [post_chunked("/receive"), chunk(b"abc"), chunk(b"de"), chunk(b"")].concat(),
        get("/none").into_bytes(),
    ];
    let all = requests.concat();
    let mut random = Random::new(7);
    let mut lines = Vec::new();
    for round in 0..40 {
        let mut sim = observed();
        let client = sim.connect();
        let pieces: Vec<&[u8]> = match round {
            0 => vec![&all],
            1 => all.chunks(1).collect(),
            _ => {
                let size = 1 + random.below(200);
                all.chunks(size).collect()
            }
        };
        if round % 2 == 1 {
            sim.set_faults(round);
            sim.stall(client, 10_000);
        }
        for piece in pieces {
            sim.send(client, piece);
        }
        sim.unstall(client);
        sim.advance(SECOND);
        let log = take(&mut sim);
        let sent: u64 = log.iter().map(|seen| seen.sent).sum();
        assert_eq!(sent, sim.received(client).len() as u64, "round {round}");
        let received: Vec<u64> = log.iter().map(|seen| seen.received).collect();
        assert_eq!(received, requests.each_ref().map(|bytes| bytes.len() as u64));
        let contents: Vec<u64> = log.iter().map(|seen| seen.content).collect();
        assert_eq!([contents[0], contents[1], contents[2]], [13, 0, 2], "round {round}");
        assert!(contents[3] > 560_000, "with the framing of chunks");
        let brief: Vec<String> = log.iter().map(Seen::brief).collect();
        lines.push(brief);
    }
    assert!(lines.iter().all(|brief| *brief == lines[0]), "the same however bytes are cut");
}

#[test]
fn a_record_has_the_route_the_address_and_the_fields_that_were_asked_for() {
    let server = Server::with_state(Vec::new())
        .exchange_headers(&["User-Agent", "X-Trace"])
        .guard(|_: &mut Vec<String>, req| match req.path() {
            "/no" => Err(StatusCode::FORBIDDEN),
            _ => Ok(()),
        })
        .on_exchange(|log, exchange| {
            log.push(format!(
                "{:?} {:?} {:?} {:?} {:?} {} {:?}",
                exchange.pattern(),
                exchange.header("user-agent"),
                exchange.header("x-trace"),
                exchange.header("host"),
                exchange.peer_addr().map(|addr| addr.ip().to_string()),
                exchange.id().map_or("-".to_owned(), |id| id.index().to_string()),
                exchange.version(),
            ));
        });
    let routes = Router::new()
        .get("/{name}", |_, _| "named")
        .mount("/in", Router::new().get("/{deep}", |_: &mut Vec<String>, _| "").build().unwrap());
    let mut sim = Sim::of(server, routes.build().unwrap()).unwrap();
    let client = sim.connect_from("[::ffff:192.0.2.9]:7".parse().unwrap());
    for target in ["/a", "/in/b", "/no"] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nUser-Agent: x\u{ff}\r\n\r\n");
        let bytes: Vec<u8> = head.chars().map(|c| c as u8).collect();
        sim.send(client, bytes);
    }
    let of = |pattern: &str, index: u32| {
        let agent = "Some(\"x\u{fffd}\")";
        format!("{pattern} {agent} None None Some(\"192.0.2.9\") {index} Some(HTTP/1.1)")
    };
    let expected = [of("Some(\"GET /{name}\")", 0), of("Some(\"/in/\")", 1), of("None", 2)];
    assert_eq!(*sim.state(), expected);
}

#[test]
fn a_panic_in_the_hook_is_counted_and_the_response_is_sent() {
    expect_panics(&["a hook of a test panics"]);
    let server = Server::new().on_exchange(|_, _| panic!("a hook of a test panics"));
    let mut sim = Sim::of(server, |_: &Request<'_>| "well").unwrap();
    let client = sim.connect_and_send(get("/").repeat(2));
    assert_eq!(sim.response(client).unwrap().text(), "well");
    assert_eq!(sim.response(client).unwrap().text(), "well");
    assert_eq!(sim.report().totals.panics, 2);
}

/// The records of requests that wait are counted, so clients cannot hold more with them.
#[test]
fn records_are_in_the_ledger_and_leave_it() {
    let mut sim = observed();
    let base = sim.memory();
    let target = format!("/never?{}", "x".repeat(4000));
    let clients: Vec<_> = (0..10).map(|_| sim.connect_and_send(get(&target))).collect();
    assert!(sim.memory() >= base + 10 * target.len(), "{} {base}", sim.memory());
    let waiting = sim.memory();
    for client in clients {
        sim.reset(client);
    }
    sim.advance(6 * SECOND);
    assert!(sim.memory() + 10 * target.len() <= waiting, "{} {waiting}", sim.memory());
    assert_eq!(take(&mut sim).len(), 10);
}

#[test]
fn the_bytes_of_a_head_that_is_refused_are_counted() {
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n", "x".repeat(20_000));
    for request in ["GET\r\n\r\n", "GET / HTTP/1.1\r\nHost", "GET / HTTP/1.1\r\n\r\n", &long] {
        let mut sim = observed();
        let client = sim.connect();
        for piece in request.as_bytes().chunks(7000) {
            sim.send(client, piece);
        }
        sim.end(client);
        let [seen] = &take(&mut sim)[..] else { panic!("{request}: not once") };
        assert_eq!(seen.received, request.len().min(16 << 10) as u64, "{request}");
        assert_eq!(seen.sent, sim.received(client).len() as u64, "{request}");
    }
}

/// `100 Continue` is a response of its own, not content of the next one.
#[test]
fn informational_responses_are_not_content() {
    for path in ["/collect", "/receive"] {
        let mut sim = observed();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        );
        let client = sim.connect_and_send(&head);
        assert_eq!(sim.received(client), b"HTTP/1.1 100 Continue\r\n\r\n");
        sim.send(client, "abc");
        let received = sim.received(client).len() as u64;
        let [seen] = &take(&mut sim)[..] else { panic!("not once") };
        assert_eq!((seen.content, seen.sent), (2, received), "{path}");
    }
}

/// All of the response is made, but the client does not take its last bytes.
#[test]
fn a_response_whose_end_does_not_leave_is_not_complete() {
    let request = get("/lines/3000");
    let mut sim = observed();
    let client = sim.connect_and_send(&request);
    let whole = sim.take_received(client).len();
    assert_eq!(briefs(&mut sim), ["GET /lines/3000 200 Complete"]);
    for is_reset in [false, true] {
        let client = sim.connect();
        sim.stall(client, 4000);
        sim.send(client, &request);
        assert_eq!(briefs(&mut sim), [""; 0], "the end waits");
        if is_reset {
            sim.reset(client);
        }
        sim.advance(HOUR);
        let outcome = if is_reset { "PeerLeft" } else { "TooSlow" };
        let [seen] = &take(&mut sim)[..] else { panic!("{outcome}: not once") };
        assert_eq!(seen.brief(), format!("GET /lines/3000 200 {outcome}"));
        assert!(seen.sent < whole as u64, "{} of {whole}", seen.sent);
    }
}

/// Requests that wait hold their targets. When there is no memory for those, the records go on without
/// them, so that clients with long targets cannot take more than the limit.
#[test]
fn records_lose_their_texts_when_memory_is_used_up() {
    const MAX: usize = 1 << 20;
    let server = Server::with_state(Log::new())
        .limits(Limits { memory_bytes_max: MAX, ..Limits::default() })
        .exchange_headers(&["X-Long"])
        .on_exchange(|log, exchange| log.push(Seen::of(exchange)));
    let mut sim = Sim::of(server, |_: &Request<'_>| never()).unwrap();
    let clients: Vec<_> = (0..300).map(|_| sim.connect()).collect();
    for &client in &clients {
        let (target, field) = ("t".repeat(6000), "x".repeat(6000));
        sim.send(client, format!("GET /{target} HTTP/1.1\r\nHost: a\r\nX-Long: {field}\r\n\r\n"));
        assert!(sim.memory() <= MAX + clients.len() * 1000, "{}", sim.memory());
    }
    sim.advance(HOUR);
    let log = take(&mut sim);
    assert_eq!(log.len(), clients.len());
    let without = log.iter().filter(|seen| seen.brief() == "- - 504 TooSlow").count();
    assert!((220..290).contains(&without), "{without}");
}

#[test]
fn a_response_that_is_cut_off_since_memory_is_short_is_refused() {
    const MAX: usize = 1 << 20;
    let server = Server::with_state(Log::new())
        .limits(Limits { memory_bytes_max: MAX, ..Limits::default() })
        .on_exchange(|log, exchange| log.push(Seen::of(exchange)));
    let mut sim = Sim::of(server, routes()).unwrap();
    let clients: Vec<_> = (0..40).map(|_| sim.connect()).collect();
    for &client in &clients {
        // The head leaves, and the content waits.
        sim.stall(client, 500);
        sim.send(client, get("/lines/70000"));
    }
    let log = briefs(&mut sim);
    assert!(log.len() > 20, "{log:?}");
    assert!(log.iter().all(|brief| brief.ends_with(" 200 Refused")), "{log:?}");
}

/// More requests than one visit serves, and more bytes than one write takes.
#[test]
fn each_request_of_a_long_pipeline_has_its_own_bytes() {
    let (small, large) = (get("/"), get("/lines/2000"));
    let pipeline = [small.repeat(150), large.repeat(5), small.repeat(40)].concat();
    for window in [usize::MAX, 100, 5000, 70_000] {
        let mut sim = observed();
        let client = sim.connect();
        sim.stall(client, window);
        sim.send(client, &pipeline);
        for _ in 0..20 {
            sim.read(client, 3000);
        }
        sim.unstall(client);
        let log = take(&mut sim);
        assert_eq!(log.len(), 195, "{window}");
        let sum: u64 = log.iter().map(|seen| seen.sent).sum();
        assert_eq!(sum, sim.received(client).len() as u64, "{window}");
        for (n, seen) in log.iter().enumerate() {
            let (line, content) = match n {
                150..155 => ("GET /lines/2000 200 Complete", seen.content.max(16_000)),
                _ => ("GET / 200 Complete", 13),
            };
            assert_eq!((seen.brief().as_str(), seen.content), (line, content), "{window} {n}");
            let alike =
                if (150..155).contains(&n) { (&log[150], &large) } else { (&log[0], &small) };
            assert_eq!((seen.sent, seen.received), (alike.0.sent, alike.1.len() as u64));
        }
    }
}

#[test]
fn a_shutdown_reports_responses_in_time_as_complete_and_the_others_as_stopped() {
    let mut sim = observed();
    let slow = sim.connect();
    sim.stall(slow, 1000);
    sim.send(slow, get("/lines/70000"));
    let quick = sim.connect();
    sim.stall(quick, 1000);
    sim.send(quick, get("/lines/70000"));
    sim.connect_and_send("GET / HTT");
    assert_eq!(briefs(&mut sim), [""; 0]);
    shut_down_within(&mut sim, 5 * SECOND);
    sim.advance(SECOND);
    sim.unstall(quick);
    sim.advance(9 * SECOND);
    let mut log = briefs(&mut sim);
    log.sort();
    let lines = "GET /lines/70000 200";
    let ends =
        ["- - 0 Stopped".to_owned(), format!("{lines} Complete"), format!("{lines} Stopped")];
    assert_eq!(log, ends);
}

/// The socket would take all of it at once. The budget of a visit is 256 KiB, so that the other
/// clients are served between the writes.
#[test]
fn a_large_content_leaves_in_pieces_although_the_socket_has_room_for_all_of_it() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.stall(client, 16 << 20);
    sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.writes() >= 32, "{} writes of 8 MiB", sim.writes());
    sim.unstall(client);
    assert!(content(sim.received(client)) == BIG);
}
