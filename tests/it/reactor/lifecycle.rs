//! The life of a connection: the states that hooks see, the reasons to keep or close it, and that a
//! fault of a peer or a handler costs only this one connection.

use std::collections::HashSet;

use crate::support::*;
use crate::support::{number, shut_down, sim_of};
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Receive, Transform};
use wheelhouse::runtime::ConnectionState::{Active, Closed, Idle, New};
use wheelhouse::runtime::{Admission, ConnectionId, ConnectionState};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Body, Failure, Limits, Reply, Request, Response, Server, StatusCode};

type States = Watched<Vec<ConnectionState>>;

/// The site, with the states that its hook reports.
fn observed() -> (Sim, States) {
    let states = States::default();
    let sink = states.clone();
    let sim = sim_of(
        Server::new().on_connection_state(move |_, _, state| sink.borrow_mut().push(state)),
        site,
    );
    (sim, states)
}

/// Connect and close (t13, t12).
#[test]
fn a_silent_connection_goes_from_new_to_closed() {
    let (mut sim, states) = observed();
    let client = sim.connect();
    assert_eq!(*states.borrow(), [New], "as soon as it is accepted");
    sim.end(client);
    assert_eq!(*states.borrow(), [New, Closed]);
}

/// A line that is not a request (t13).
#[test]
fn a_malformed_line_makes_the_connection_active_before_it_closes() {
    let (mut sim, states) = observed();
    let client = sim.connect();
    sim.send(client, b"b");
    assert_eq!(*states.borrow(), [New, Active], "at the first byte");
    sim.send_and_end(client, b"ogus\r\n\r\n");
    assert_eq!(*states.borrow(), [New, Active, Closed]);
}

/// One request, then the client closes (t13).
#[test]
fn a_kept_connection_is_idle_until_the_client_closes_it() {
    let (mut sim, states) = observed();
    let client = sim.connect_and_send(GET);
    assert_eq!(*states.borrow(), [New, Active, Idle]);
    sim.end(client);
    assert_eq!(*states.borrow(), [New, Active, Idle, Closed]);
}

/// The second of two requests asks to close (t13).
#[test]
fn the_last_request_goes_from_active_to_closed() {
    let (mut sim, states) = observed();
    let client = sim.connect_and_send(GET);
    sim.send(client, GET_CLOSE);
    assert!(!sim.is_open(client));
    assert_eq!(*states.borrow(), [New, Active, Idle, Active, Closed]);
}

/// The server closes after the second of two requests (t13).
#[test]
fn at_the_request_limit_the_last_response_announces_the_close() {
    let states = States::default();
    let sink = states.clone();
    let mut sim = sim_of(
        Server::new()
            .limits(Limits { requests_max: 2, ..Limits::default() })
            .on_connection_state(move |_, _, state| sink.borrow_mut().push(state)),
        site,
    );
    let client = sim.connect_and_send(GET);
    assert!(!has_line(sim.received(client), "connection"));
    sim.take_received(client);
    sim.send(client, GET.repeat(2));
    assert_eq!(statuses(sim.received(client)), [200], "the third request is not served");
    assert!(has_line(sim.received(client), "connection: close"));
    sim.end(client);
    assert_eq!(*states.borrow(), [New, Active, Idle, Active, Closed]);
}

/// L3: a connection is idle once the content of the request has been drained, too.
#[test]
fn a_connection_is_idle_only_after_unread_content_has_arrived() {
    let (mut sim, states) = observed();
    let client = sim.connect_and_send(post("/noread", 4, b"ab"));
    assert_eq!(statuses(sim.received(client)), [200]);
    assert_eq!(*states.borrow(), [New, Active]);
    sim.send(client, b"cd");
    assert_eq!(*states.borrow(), [New, Active, Idle]);
}

/// Only the requests of a connection see the value that the hook attached to it (t8, t9).
#[test]
fn all_requests_of_a_connection_see_its_value_and_the_next_connection_in_its_slot_does_not() {
    let mut sim = sim_of(
        Server::new().on_connect(|_, new| match number(new.id()) {
            n if n % 3 == 0 => Admission::refuse(),
            n if n % 3 == 1 => Admission::accept_with(format!("value {n}")),
            _ => Admission::accept(),
        }),
        |req: &Request<'_>| {
            req.connection_value::<String>().cloned().unwrap_or_else(|| "none".to_owned())
        },
    );
    for n in 1..30 {
        let client = sim.connect();
        if n % 3 == 0 {
            assert!(closed_silently(&mut sim, client));
            continue;
        }
        for _ in 0..2 {
            sim.send(client, GET);
            let wanted = if n % 3 == 1 { format!("value {n}") } else { "none".to_owned() };
            assert_eq!(content(&sim.take_received(client)), wanted.as_bytes());
        }
        sim.reset(client);
    }
}

#[test]
fn a_refused_connection_is_reported_to_no_hook_and_costs_nothing() {
    let states = States::default();
    let sink = states.clone();
    let mut sim = sim_of(
        Server::new()
            .on_connect(|_, _| Admission::refuse())
            .on_connection_state(move |_, _, state| sink.borrow_mut().push(state)),
        site,
    );
    let base = base(&mut sim);
    for _ in 0..200 {
        let client = sim.connect_and_send(GET);
        assert!(closed_silently(&mut sim, client));
    }
    assert_eq!((states.borrow().len(), sim.memory(), sim.report().totals.accepted), (0, base, 0));
}

/// Covers the wishes of both sides and the field of the response (t15, t16, t17, t20, t61, n9).
#[test]
fn version_and_connection_field_decide_whether_a_connection_is_kept() {
    for (version, field, keeps, expected_line) in [
        ("1.1", "", true, None),
        ("1.1", "Connection: close\r\n", false, Some("connection: close\r\n")),
        ("1.1", "Connection: CLOSE\r\n", false, Some("connection: close\r\n")),
        ("1.1", "Connection: x, close\r\n", false, Some("connection: close\r\n")),
        ("1.1", "Connection: keep-alive, close\r\n", false, Some("connection: close\r\n")),
        ("1.1", "Connection: keep-alive\r\n", true, Some("connection: keep-alive\r\n")),
        ("1.1", "Connection: closed\r\n", true, None),
        ("1.0", "", false, None),
        ("1.0", "Connection: keep-alive\r\n", true, Some("connection: keep-alive\r\n")),
        ("1.0", "Connection: keep-alive, close\r\n", false, None),
        ("1.0", "Connection: close\r\n", false, None),
    ] {
        let mut sim = Sim::new(site);
        let request = format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n");
        let client = sim.connect_and_send(request.as_bytes());
        assert_eq!(sim.is_open(client), keeps, "{request}");
        assert!(!sim.was_reset(client));
        let received = sim.take_received(client);
        assert_eq!(statuses(&received), [200]);
        // The time that the connection may be idle follows for clients that ask to keep it.
        let asked = expected_line == Some("connection: keep-alive\r\n");
        assert_eq!(has_line(&received, "keep-alive: timeout=100\r\n"), asked, "{request}");
        match expected_line {
            Some(line) => assert!(has_line(&received, line), "{request}"),
            None => assert!(!has_line(&received, "connection"), "{request}"),
        }
        if keeps {
            sim.send(client, request.as_bytes());
            assert_eq!(statuses(sim.received(client)), [200]);
        }
    }
}

/// The request is in HTTP/1.0 (t20).
#[test]
fn a_response_to_http_1_0_has_no_connection_field_unless_the_client_asked_to_keep_it() {
    let mut sim = Sim::new(|_: &Request<'_>| "well");
    let client = sim.connect_and_send(b"OPTIONS * HTTP/1.0\r\n\r\n");
    assert_eq!(statuses(sim.received(client)), [200]);
    assert!(!has_line(sim.received(client), "connection") && sim.has_ended(client));
}

/// Go: TestHandlersCanSetConnectionClose11 and others (t17).
#[test]
fn a_handler_can_close_the_connection_in_both_versions() {
    for version in ["1.1", "1.0"] {
        let mut sim = Sim::new(|_: &Request<'_>| Response::text("bye").with_close());
        let request =
            format!("GET / HTTP/{version}\r\nConnection: keep-alive\r\nHost: a\r\n\r\n\r\n");
        let client = sim.connect_and_send(request.as_bytes());
        assert!(sim.has_ended(client));
        assert_eq!(has_line(sim.received(client), "connection: close"), version == "1.1");
    }
}

/// The head is that of GET, with its length, and no content follows (t102, t106, t112).
#[test]
fn a_response_to_head_has_the_head_of_get_and_no_content() {
    let handler = |req: &Request<'_>| match req.path() {
        "/none" => Response::new(StatusCode::OK),
        "/large" => Response::html("x".repeat(5 << 20)),
        "/told" => Response::ok("text/html", Body::produce_exactly(1235, Lines(9))),
        "/untold" => Response::ok("text/html", Body::produce(Lines(9))),
        _ => Response::html("0123456789"),
    };
    for (path, length) in
        [("/", "10"), ("/none", "0"), ("/large", "5242880"), ("/told", "1235"), ("/untold", "")]
    {
        let mut sim = Sim::new(handler);
        let client =
            sim.connect_and_send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let response = sim.take_received(client);
        assert_eq!((statuses(&response), content(&response)), (vec![200], &[][..]), "{path}");
        assert_eq!(has_line(&response, "content-length"), !length.is_empty(), "{path}");
        assert!(has_line(&response, &format!("content-length: {length}")) || path == "/untold");
        assert!(path == "/none" || has_line(&response, "content-type: text/html"), "{path}");
        assert!(!has_line(&response, "transfer-encoding") && !has_field(&response, "connection"));
        sim.send(client, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(statuses(sim.received(client)), [200], "the connection is kept alive");
    }
}

/// This holds in both versions, and for HEAD (t18).
#[test]
fn responses_without_content_keep_the_connection() {
    let handler = |req: &Request<'_>| -> Reply {
        match req.path() {
            "/204" => StatusCode::NO_CONTENT.into(),
            "/304" => StatusCode::NOT_MODIFIED.into(),
            "/stream" => Response::ok("text/plain", Body::produce(Lines(10))).into(),
            _ => "Hello".into(),
        }
    };
    for (method, path) in
        [("GET", "/204"), ("GET", "/304"), ("HEAD", "/"), ("HEAD", "/204"), ("HEAD", "/stream")]
    {
        for version in ["1.1", "1.0"] {
            let mut sim = Sim::new(handler);
            let request = format!(
                "{method} {path} HTTP/{version}\r\nConnection: keep-alive\r\nHost: a\r\n\r\n"
            );
            let client = sim.connect_and_send(request.repeat(2).as_bytes());
            let received = sim.take_received(client);
            assert_eq!(statuses(&received).len(), 2, "{request}");
            assert!(received.ends_with(b"\r\n\r\n"), "{request}");
            assert_eq!(has_line(&received, "content-length: 5"), method == "HEAD" && path == "/");
            assert!(sim.is_open(client));
        }
    }
}

/// Go sends no response; here a request whose head has arrived gets one, whatever happens to its
/// content (n7).
#[test]
fn a_small_response_is_sent_at_once_although_announced_content_never_arrives() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(post("/noread", 3, b""));
    assert!(sim.received(client).ends_with(b"not read"));
}

/// Go: TestClientWriteShutdown (t59).
#[test]
fn a_half_close_before_any_byte_gets_no_response() {
    for bytes in ["", "\r\n"] {
        let mut sim = Sim::new(site);
        let client = sim.connect();
        sim.send_and_end(client, bytes.as_bytes());
        assert!(closed_silently(&mut sim, client) && !sim.was_reset(client));
    }
}

/// Five clients at once send more than one visit, one read and one turn can take (t26).
#[test]
fn five_peers_that_pipeline_two_thousand_requests_get_two_thousand_responses_each() {
    let mut sim = Sim::new(site);
    sim.pause();
    let clients: Vec<_> = (0..5).map(|_| sim.connect_and_send(GET.repeat(2000))).collect();
    sim.resume();
    for client in clients {
        assert_eq!(statuses(sim.received(client)).len(), 2000);
        assert!(sim.is_open(client));
    }
    assert_eq!(sim.report().totals.requests, 10_000);
}

/// There are more requests than one visit serves and more bytes than one read returns (n13).
#[test]
fn every_request_before_a_half_close_gets_a_response() {
    for count in [1, 2, 31, 32, 33, 40, 64, 65, 1000, 2000] {
        let mut sim = Sim::new(site);
        let base = base(&mut sim);
        let client = sim.connect();
        sim.send_and_end(client, GET.repeat(count));
        assert_eq!(statuses(sim.received(client)).len(), count);
        assert!(!sim.is_open(client) && !sim.was_reset(client), "{count}");
        assert_eq!(sim.memory(), base);
    }
}

#[test]
fn a_half_close_does_not_cancel_a_long_response_or_the_requests_after_it() {
    let mut sim = Sim::new(site);
    let base = base(&mut sim);
    let client = sim.connect();
    sim.stall(client, 64 << 10);
    sim.send_and_end(client, [b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n", GET].concat());
    while sim.is_open(client) {
        let before = sim.received(client).len();
        sim.read(client, 64 << 10);
        assert!(sim.received(client).len() > before, "the response makes no progress");
    }
    sim.unstall(client);
    assert!(sim.received(client).ends_with(b"Hello, World!"));
    assert!(!sim.was_reset(client));
    assert_eq!(sim.memory(), base);
}

#[test]
fn the_end_of_input_inside_a_head_or_content_is_400() {
    for (bytes, expected) in [
        (b"G".to_vec(), 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec(), 400),
        (post("/collect", 10, b"123456789"), 400),
        (post("/receive", 10, b""), 400),
        ([post_chunked("/collect"), b"5\r\nabc".to_vec()].concat(), 400),
        ([post_chunked("/collect"), b"0\r\n".to_vec()].concat(), 400),
    ] {
        for at_once in [true, false] {
            let mut sim = Sim::new(site);
            let base = base(&mut sim);
            let client = sim.connect();
            if at_once {
                sim.send_and_end(client, &bytes);
            } else {
                sim.send(client, &bytes);
                sim.end(client);
            }
            assert_eq!(statuses(sim.received(client)), [expected]);
            assert!(!sim.is_open(client) && !sim.was_reset(client));
            assert_eq!(sim.memory(), base);
        }
    }
}

/// No handler reads the content, so its fault must not destroy the response.
#[test]
fn broken_or_cut_content_that_no_handler_reads_does_not_destroy_the_response() {
    for broken in [&b"zz\r\n"[..], b"3\r\nabcXX0\r\n\r\n", b"3\r\na"] {
        for together in [true, false] {
            let mut sim = Sim::new(site);
            let base = base(&mut sim);
            let client = sim.connect();
            let head = post_chunked("/noread");
            if together {
                sim.send_and_end(client, [&head, broken].concat());
            } else {
                sim.send(client, &head);
                sim.send_and_end(client, broken);
            }
            assert_eq!(statuses(sim.received(client)), [200], "{broken:?} {together}");
            assert!(sim.received(client).ends_with(b"not read"));
            assert!(!sim.is_open(client) && !sim.was_reset(client), "{broken:?} {together}");
            assert_eq!(sim.memory(), base);
        }
    }
}

/// Bytes after broken content are not parsed (n16).
#[test]
fn no_request_after_broken_content_is_served() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.send(client, [&post_chunked("/noread"), &b"zz\r\n"[..], GET].concat());
    assert_eq!(statuses(sim.received(client)), [200]);
    sim.send(client, GET);
    assert_eq!(statuses(sim.received(client)), [200]);
    assert_eq!(sim.report().totals.requests, 1);
}

/// Pipelined requests with every kind of content.
fn exchange() -> Vec<u8> {
    let mut bytes = GET.to_vec();
    bytes.extend(post("/collect", 5, b"hello"));
    bytes.extend(post("/receive", 5, b"hello"));
    bytes.extend(post("/noread", 5, b"hello"));
    for path in ["/echo", "/collect", "/receive", "/noread"] {
        bytes.extend(post_chunked(path));
        bytes.extend(chunk(b"some"));
        bytes.extend(chunk(b"content"));
        bytes.extend(b"0\r\n\r\n");
    }
    bytes.extend(post("/echo", 5, b"hello"));
    bytes.extend(GET);
    bytes
}

#[test]
fn after_a_reset_at_any_byte_all_memory_is_given_back() {
    let bytes = exchange();
    let mut sim = Sim::new(site);
    let base = base(&mut sim);
    for at in 0..=bytes.len() {
        for stalls in [false, true] {
            let client = sim.connect();
            if stalls {
                sim.stall(client, 100);
            }
            sim.send(client, &bytes[..at / 2]);
            sim.send(client, &bytes[at / 2..at]);
            sim.reset(client);
            assert!(!sim.is_open(client), "{at}");
            assert_eq!(sim.memory(), base, "{at}");
        }
    }
}

#[test]
fn after_an_end_at_any_byte_all_memory_is_given_back_and_every_whole_request_is_served() {
    let bytes = exchange();
    let mut sim = Sim::new(site);
    let base = base(&mut sim);
    for at in 0..=bytes.len() {
        let client = sim.connect();
        sim.send_and_end(client, &bytes[..at]);
        sim.advance(SECOND + LATE);
        assert!(!sim.is_open(client), "{at}");
        assert_eq!(sim.memory(), base, "{at}");
    }
    assert_eq!(sim.report().reset, 0);
}

#[test]
fn an_exchange_gets_the_same_responses_however_it_is_cut() {
    let bytes = exchange();
    let mut sim = Sim::new(site);
    let whole = sim.connect_and_send(&bytes);
    // The chunks of an echo follow the pieces that arrived, so only their content can be compared.
    let expected = statuses(sim.received(whole));
    assert_eq!(expected, [200; 10]);
    for at in 1..bytes.len() {
        let client = sim.connect_and_send(&bytes[..at]);
        sim.send(client, &bytes[at..]);
        assert_eq!(statuses(sim.received(client)), expected, "{at}");
        sim.reset(client);
    }
    let client = sim.connect();
    for byte in &bytes {
        sim.send(client, [*byte]);
    }
    assert_eq!(statuses(sim.received(client)), expected);
}

/// Panics in the named call of the program's code.
struct Panics(&'static str);

impl Produce for Panics {
    fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
        assert!(self.0 != "late" || out.room() == 0, "a producer of a test panics");
        out.put(b"some");
        self.0 = "late";
        Ok(Produced::More)
    }
}

impl Receive<()> for Panics {
    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow<()>, Failure> {
        assert!(self.0 != "piece", "a receiver of a test panics");
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply<()> {
        panic!("a receiver of a test panics at the end")
    }

    fn lost(self: Box<Self>, (): &mut (), _: wheelhouse::content::Lost) {
        panic!("a receiver of a test panics when the content is gone")
    }
}

impl Transform<()> for Panics {
    fn piece(&mut self, (): &mut (), piece: &[u8], out: &mut Out<'_>) -> std::io::Result<usize> {
        assert!(self.0 != "piece", "a transform of a test panics");
        Ok(out.put(piece))
    }

    fn end(&mut self, (): &mut (), _: &mut Out<'_>) -> std::io::Result<()> {
        panic!("a transform of a test panics at the end")
    }

    fn content_length(&self) -> Option<u64> {
        assert!(self.0 != "length", "a transform of a test panics about its length");
        None
    }
}

fn panicking(req: &Request<'_>) -> Reply {
    match req.path() {
        "/handler" => panic!("a handler of a test panics"),
        "/collect" => {
            Reply::collect(100, |(), _, _| -> Response { panic!("panics after content") })
        }
        "/receive-piece" => Reply::receive(u64::MAX, Panics("piece")),
        "/receive-end" => Reply::receive(u64::MAX, Panics("end")),
        "/transform-piece" => Reply::transform(Response::text(""), Panics("piece")),
        "/transform-end" => Reply::transform(Response::text(""), Panics("end")),
        "/transform-length" => Reply::transform(Response::text(""), Panics("length")),
        "/produce" => Response::ok("text/plain", Body::produce(Panics("early"))).into(),
        _ => "well".into(),
    }
}

/// The client receives the bytes already sent; the reset after them shows that more is missing
/// (t170, n10).
#[test]
fn a_panic_in_the_middle_of_a_response_resets_after_the_bytes_already_sent() {
    struct HelloAndPanic(bool);
    impl Produce for HelloAndPanic {
        fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
            assert!(!std::mem::replace(&mut self.0, true), "a producer of a test panics");
            out.put(b"hello");
            Ok(Produced::More)
        }
    }
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::ok("text/plain", Body::produce(HelloAndPanic(false))));
    let client = sim.connect_and_send(GET);
    assert!(sim.received(client).ends_with(b"\r\n\r\n5\r\nhello\r\n"));
    assert!(sim.was_reset(client));
    assert_eq!((sim.report().totals.panics, sim.report().totals.cut_off), (1, 1));
}

/// Before the first byte was sent a panic is a 500, after it a reset; other connections are not
/// affected (t168, n10).
/// A token of a poll has room for 4,096 generations on 32-bit targets. The program keeps its own data
/// by the id, so ids must not repeat as tokens do.
#[test]
fn the_id_of_an_open_connection_is_given_to_no_other() {
    let builder = Server::with_state(HashSet::new()).on_connect(|ids: &mut HashSet<_>, new| {
        assert!(ids.insert(new.id()), "{} is used again", new.id());
        Admission::accept()
    });
    let mut sim = sim_of(builder, |req: &Request<'_>| req.connection_id().to_string());
    let first = sim.connect();
    for _ in 0..5_000 {
        let client = sim.connect();
        sim.reset(client);
    }
    sim.send(first, GET);
    assert_eq!(content(sim.received(first)), b"1");
    assert_eq!((sim.state().len(), sim.report().totals.panics), (5_001, 0));
}

#[test]
fn a_panic_costs_one_connection() {
    for (path, has_response) in [
        ("/handler", true),
        ("/collect", true),
        ("/receive-piece", true),
        ("/receive-end", true),
        ("/transform-length", true),
        ("/transform-piece", false),
        ("/transform-end", false),
        ("/produce", false),
    ] {
        for pieces in [1, 2] {
            let mut sim = Sim::new(panicking);
            let base = base(&mut sim);
            let neighbour = sim.connect_and_send(GET);
            let client = sim.connect();
            let bytes = post(path, 4, b"abcd");
            let cut = bytes.len() - 2 * (pieces - 1);
            sim.send(client, &bytes[..cut]);
            sim.send(client, &bytes[cut..]);
            if has_response {
                assert_eq!(statuses(sim.received(client)), [500], "{path}");
                assert!(has_line(sim.received(client), "connection: close"));
                sim.end(client);
                assert!(!sim.was_reset(client), "{path}");
            } else {
                assert!(sim.was_reset(client), "{path}");
            }
            assert!(!sim.is_open(client));
            sim.send(neighbour, GET);
            assert_eq!(statuses(sim.received(neighbour)), [200, 200], "{path}");
            sim.reset(neighbour);
            assert_eq!(sim.memory(), base, "{path}");
        }
    }
}

#[test]
fn a_receiver_that_panics_when_its_content_is_lost_costs_one_connection() {
    let mut sim = Sim::new(panicking);
    let base = base(&mut sim);
    let client: Client = sim.connect_and_send(post("/receive-end", 10, b"ab"));
    sim.reset(client);
    assert!(!sim.is_open(client));
    assert_eq!(sim.memory(), base);
}

#[test]
fn the_index_of_a_request_is_the_same_however_its_content_arrives() {
    let handler = |_: &Request<'_>| {
        Reply::collect(100, |(), req: &Request<'_>, _| req.id().index().to_string())
    };
    for cut in [0, 2] {
        let mut sim = Sim::new(handler);
        let client = sim.connect();
        for n in 0..3 {
            let bytes = post("/", 4, b"abcd");
            sim.send(client, &bytes[..bytes.len() - cut]);
            sim.send(client, &bytes[bytes.len() - cut..]);
            assert_eq!(content(&sim.take_received(client)), format!("{n}").as_bytes(), "{cut}");
        }
    }
}

#[test]
fn a_hook_that_panics_costs_at_most_its_connection() {
    let mut first = true;
    let server = Server::new()
        .on_connect(move |_, _| {
            assert!(!std::mem::take(&mut first), "the first connection is too much");
            Admission::accept()
        })
        .on_connection_state(|_, _, state| assert_ne!(state, Idle, "idle is too much"));
    let mut sim = sim_of(server, site);
    let refused = sim.connect_and_send(GET);
    assert!(!sim.is_open(refused) && sim.received(refused).is_empty());
    let served = sim.connect_and_send(GET);
    sim.send(served, GET);
    assert_eq!(statuses(sim.received(served)), [200, 200]);
}

#[test]
fn a_granted_connect_has_no_framing_and_the_bytes_after_it_are_not_a_request() {
    let mut sim = Sim::new(site);
    let bytes = [&b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"[..], GET].concat();
    let client = sim.connect_and_send(&bytes);
    // The site refuses an unknown path with a 404: an ordinary response, and the next request is
    // served.
    assert_eq!(statuses(sim.received(client)), [404, 200]);

    let mut sim = Sim::new(|_: &Request<'_>| Response::text("granted"));
    let client = sim.connect_and_send(&bytes);
    let response = String::from_utf8_lossy(sim.received(client)).to_lowercase();
    assert!(
        response.starts_with("http/1.1 200 ok\r\n") && response.ends_with("\r\n\r\n"),
        "{response}"
    );
    assert!(response.contains("connection: close\r\n"), "{response}");
    for field in ["content-length", "transfer-encoding"] {
        assert!(!response.contains(field), "{response}");
    }
    assert!(sim.has_ended(client));
}

#[test]
fn a_handler_and_the_connection_hook_see_the_listener() {
    let mut sim = sim_of(
        Server::new().on_connect(|_, accepted| match accepted.listener() {
            "closed" => Admission::refuse(),
            _ => Admission::accept(),
        }),
        |req: &Request<'_>| match req.method().as_str() {
            "POST" => Reply::collect(9, |(), req, _| req.listener().to_owned()),
            _ => Response::text(req.listener().to_owned()).into(),
        },
    );
    for name in ["admin", "public", "admin"] {
        let client = sim.connect_to(name);
        sim.send(client, GET);
        assert_eq!(content(&sim.take_received(client)), name.as_bytes());
        sim.send(client, post("/", 2, b"h"));
        sim.send(client, b"i");
        assert_eq!(content(sim.received(client)), name.as_bytes());
    }
    let refused = sim.connect_to("closed");
    assert!(sim.was_reset(refused));
    let first = sim.connect_and_send(GET);
    assert_eq!(content(sim.received(first)), b"192.0.2.80:80", "the default listener");
    shut_down(&mut sim);
    let late = sim.connect_to("admin");
    assert!(sim.was_reset(late), "all listeners are closed");
}

/// Each of the requests, which have no content, gets one whole response (t21).
#[test]
fn twenty_requests_at_once_call_the_handler_twenty_times() {
    let mut sim = Sim::new(|req: &Request<'_>| format!("{:?}", req.content_length()));
    sim.pause();
    let clients: Vec<_> = (0..20).map(|_| sim.connect_and_send(GET)).collect();
    sim.resume();
    for client in clients {
        assert_eq!(statuses(sim.received(client)), [200]);
        assert!(sim.is_open(client));
    }
    assert_eq!(sim.report().totals.requests, 20);
}

/// So a limiter that counts states sees the clients that are slow with a head (w53).
#[test]
fn a_connection_is_active_from_the_first_byte_of_a_head() {
    use ConnectionState::{Active, Closed, Idle, New};
    let states = States::default();
    let hook = states.clone();
    let mut sim = sim_of(
        Server::new().on_connection_state(move |_, _, state| hook.borrow_mut().push(state)),
        |_: &Request<'_>| "hello",
    );
    let client = sim.connect();
    sim.send(client, b"\r\n");
    assert_eq!(*states.borrow(), [New], "an empty line is not the beginning of a request");
    sim.send(client, b"G");
    assert_eq!(*states.borrow(), [New, Active]);
    sim.send(client, b"ET / HTTP/1.1\r\nHost: a\r\n");
    sim.send(client, b"\r\n");
    assert_eq!(*states.borrow(), [New, Active, Idle], "each state is reported once");
    sim.send(client, b"GET / HT");
    assert_eq!(*states.borrow(), [New, Active, Idle, Active]);
    happens_after(&mut sim, 10 * SECOND, |sim| sim.has_ended(client));
    sim.end(client);
    assert_eq!(*states.borrow(), [New, Active, Idle, Active, Closed]);
}

/// The program has admitted it, and may have made an entry for it. The value that the program
/// attached is dropped like any other, even if its destructor panics.
#[test]
fn an_admitted_connection_that_cannot_be_watched_is_reported_as_closed() {
    struct Value;
    impl Drop for Value {
        fn drop(&mut self) {
            panic!("a destructor of a test panics");
        }
    }
    let server = Server::with_state(Vec::new())
        .on_connect(|open: &mut Vec<ConnectionId>, new| {
            open.push(new.id());
            Admission::accept_with(Value)
        })
        .on_connection_state(|open, id, state| {
            if state == ConnectionState::Closed {
                open.retain(|&other| other != id);
            }
        });
    let mut sim = Sim::of(server, |_: &Request<'_>| "").unwrap();
    sim.fail_watches(1);
    let (first, second) = (sim.connect(), sim.connect());
    assert!(!sim.is_open(first) && sim.is_open(second));
    assert_eq!(sim.state().len(), 1);
}
