//! Informational responses (RFC 9110, section 15.2): before the final one, never after it, and
//! never to HTTP/1.0.

use crate::support::*;
use wheelhouse::content::{Flow, Lost, Receive};
use wheelhouse::sim::Sim;
use wheelhouse::{Failure, Informational, Reply, Request, Response, Router, StatusCode};

fn hints(links: usize) -> Informational {
    let links = ["</style.css>; rel=preload; as=style", "</script.js>; rel=preload; as=script"]
        .into_iter()
        .take(links);
    links.fold(Informational::early_hints(), |hints, link| hints.with_appended_header("Link", link))
}

fn page() -> Response {
    Response::text("page").with_appended_header("Link", "</style.css>; rel=preload; as=style")
}

/// The bytes received, without the date.
fn received(sim_received: &[u8]) -> String {
    let text = String::from_utf8_lossy(sim_received).into_owned();
    match text.split_once("Date: ") {
        Some((before, after)) => format!("{before}{}", after.split_once("\r\n").unwrap().1),
        None => text,
    }
}

const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Link: </style.css>; rel=preload; as=style\r\nContent-Length: 4\r\n\r\npage";

/// The page is ready, so both are sent in the same write (t127).
#[test]
fn early_hints_are_sent_before_the_page_in_one_write() {
    let mut sim =
        Sim::new(|_: &Request<'_>| Reply::inform(hints(1), Reply::inform(hints(2), page())));
    let client = sim.connect_and_send(GET);
    let one = "Link: </style.css>; rel=preload; as=style\r\n";
    let two = "Link: </script.js>; rel=preload; as=script\r\n";
    assert_eq!(
        received(&sim.take_received(client)),
        format!(
            "HTTP/1.1 103 Early Hints\r\n{one}\r\nHTTP/1.1 103 Early Hints\r\n{one}{two}\r\n{PAGE}"
        )
    );
    assert_eq!(sim.writes(), 1);
}

/// Go: TestProcessing (t128).
#[test]
fn processing_needs_no_fields() {
    let mut sim = Sim::new(|_: &Request<'_>| Reply::inform(Informational::processing(), page()));
    let client = sim.connect_and_send(GET);
    assert_eq!(received(sim.received(client)), format!("HTTP/1.1 102 Processing\r\n\r\n{PAGE}"));
}

/// Framing belongs to the final response; hints with a framing field are not sent (t129).
#[test]
fn only_the_final_head_has_a_length() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        let wrong = hints(1).with_appended_header("Content-Length", "123");
        Reply::inform(wrong, Reply::inform(hints(1), "x".repeat(123)))
    });
    let client = sim.connect_and_send(GET);
    let response = received(sim.received(client));
    assert_eq!(statuses(response.as_bytes()), [103, 200]);
    let (hints, last) = response.split_once("\r\n\r\n").unwrap();
    assert!(!hints.contains("Content-Length") && last.contains("\r\nContent-Length: 123\r\n"));
}

/// Go: 103 to HTTP/1.0 (n11), 1xx to HTTP/1.0 (w37).
#[test]
fn http_1_0_gets_no_informational_response() {
    let mut sim = Sim::new(|_: &Request<'_>| Reply::inform(hints(2), page()));
    for keep in ["", "Connection: keep-alive\r\n"] {
        let client = sim.connect_and_send(format!("GET / HTTP/1.0\r\n{keep}\r\n").as_bytes());
        assert!(sim.received(client).starts_with(b"HTTP/1.0 200 OK\r\n"));
        assert_eq!(statuses(sim.received(client)), [200]);
    }
}

/// The hints are sent before the invitation and before the server waits for content.
#[test]
fn hints_are_sent_while_the_server_waits_for_content() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        let then = Reply::collect(9, |(), _, _| Reply::inform(Informational::processing(), page()));
        Reply::inform(hints(1), then)
    });
    let client = sim.connect();
    sim.send(
        client,
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    );
    assert_eq!(statuses(&sim.take_received(client)), [103, 100]);
    sim.send(client, b"abc");
    assert_eq!(statuses(&sim.take_received(client)), [102, 200]);
    sim.send(client, post("/", 3, b"abc"));
    assert_eq!(statuses(sim.received(client)), [103, 102, 200]);
    assert!(sim.is_open(client));
}

struct Impatient;

impl Receive<()> for Impatient {
    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow<()>, Failure> {
        Ok(Flow::Respond(Reply::inform(hints(1), page())))
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply<()> {
        Reply::inform(hints(2), "end")
    }

    fn lost(self: Box<Self>, (): &mut (), why: Lost) {
        panic!("the receiver responds: {why:?}");
    }
}

#[test]
fn a_receiver_may_send_an_informational_response_before_its_final_one() {
    let mut sim = Sim::new(|_: &Request<'_>| Reply::receive(u64::MAX, Impatient));
    let client = sim.connect_and_send(post("/", 10, b"abc"));
    assert_eq!(statuses(&sim.take_received(client)), [103, 200]);
    sim.send(client, b"defghij");
    sim.send(client, post("/", 0, b""));
    assert_eq!(statuses(sim.received(client)), [103, 200]);
}

/// Too many hints are dropped, and the final response is sent in any case.
#[test]
fn at_most_sixteen_informational_responses_are_sent() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        (0..100)
            .fold(Reply::from(page()), |then, _| Reply::inform(Informational::processing(), then))
    });
    let client = sim.connect_and_send(GET.repeat(2));
    let one = [&[102; 16][..], &[200]].concat();
    assert_eq!(statuses(sim.received(client)), one.repeat(2));
}

/// A refusal is a final response like any other.
#[test]
fn hints_may_be_sent_before_a_refusal_or_a_panic() {
    let mut sim = Sim::new(|req: &Request<'_>| -> Reply {
        let then = match req.path() {
            "/informational" => Response::new(StatusCode::PROCESSING).into(),
            _ => Reply::collect(2, |(), _, _| -> Reply { panic!("a handler of a test panics") }),
        };
        Reply::inform(hints(1), then)
    });
    for (path, text, expected) in [
        ("/informational", "", [103, 500]),
        ("/panic", "ab", [103, 500]),
        ("/long", "abc", [103, 413]),
    ] {
        let client = sim.connect_and_send(post(path, text.len(), text.as_bytes()));
        assert_eq!(statuses(sim.received(client)), expected, "{path}");
    }
}

/// The content comes with the route of its request.
#[test]
fn a_route_may_inform_the_client_before_it_collects() {
    let routes = Router::<()>::new()
        .post("/{id}", |_, _| {
            let then = Reply::collect(9, |_: &mut (), req: &Request<'_>, content: &[u8]| {
                format!("{}:{}", req.param("id").unwrap(), content.len())
            });
            Reply::inform(hints(1), then)
        })
        .build()
        .unwrap();
    let mut sim = Sim::new(routes);
    let client = sim.connect_and_send(post("/seven", 3, b"abc"));
    assert!(sim.received(client).ends_with(b"\r\n\r\nseven:3"));
    assert_eq!(statuses(sim.received(client)), [103, 200]);
}
