//! The error of a handler is one line in the log, with the connection, the client and, where it is
//! known, the request. An error about the request is not logged.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use wheelhouse::content::{Flow, Receive};
use wheelhouse::cookies::SetCookie;
use wheelhouse::sim::Sim;
use wheelhouse::{Failure, Later, Reply, Request, Response, StatusCode};

use crate::lines;

struct Full;

impl Receive for Full {
    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow, Failure> {
        Err(full())?
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        unreachable!("it has failed")
    }
}

fn full() -> io::Error {
    io::Error::other("disk full")
}

fn site(req: &Request<'_>) -> Reply {
    match req.path() {
        "/plain" => Err::<&str, _>(full()).into(),
        "/collect" => Reply::collect(10, |(), _, _| Err::<Response, _>(full())),
        "/receive" => Reply::receive(10, Full),
        "/later" => {
            let (later, reply) = Reply::later();
            later.respond(Err::<Response, _>(full()));
            reply
        }
        "/replaced" => Reply::failed(full()).map_response(|(), response| {
            *response = Response::text("all is well");
        }),
        "/about-the-request" => req.form(b"").map(|_| "a form").into(),
        "/known" => Reply::failed(Failure::new(StatusCode::CONFLICT, "twice")),
        _ => StatusCode::NOT_FOUND.into(),
    }
}

#[test]
fn a_failed_handler_is_one_line_in_the_log_with_its_connection_client_and_request() {
    let lines = lines();
    for (path, status, expected) in [
        ("/plain", 500, Some("handler failed: POST /plain: disk full")),
        ("/collect", 500, Some("handler failed: POST /collect: disk full")),
        ("/receive", 500, Some("handler failed: disk full")),
        ("/later", 500, Some("handler failed: disk full")),
        ("/replaced", 200, Some("handler failed: POST /replaced: disk full")),
        ("/about-the-request", 415, None),
        ("/known", 409, None),
        ("/none", 404, None),
    ] {
        let mut sim = Sim::new(site);
        let bytes = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
        let client = sim.connect_and_send(bytes);
        let received = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(received.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {received}");
        let errors: Vec<_> =
            lines.take().into_iter().filter(|line| line.starts_with("ERROR ")).collect();
        let line = |end| format!("ERROR connection 1, client 192.0.2.1:1024, request 1-0: {end}");
        assert_eq!(errors, expected.map(line).into_iter().collect::<Vec<_>>(), "{path}");
    }
}

#[test]
fn a_log_line_has_an_ipv4_client_in_its_own_form_on_a_listener_for_both_families() {
    let lines = lines();
    let mut sim = Sim::new(site);
    let client = sim.connect_from("[::ffff:192.0.2.1]:7".parse().unwrap());
    sim.send(client, b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    let client = "connection 1, client 192.0.2.1:7, request 1-0";
    let line = format!("ERROR {client}: handler failed: GET /plain: disk full");
    assert_eq!(lines.take().last().map(String::as_str), Some(&*line));
}

#[test]
fn a_response_that_cannot_be_sent_is_one_line_in_the_log_with_its_connection_and_client() {
    let lines = lines();
    let mut sim = Sim::new(|req: &Request<'_>| match req.path() {
        "/field" => Response::text("x").with_header("A", "\n"),
        _ => Response::text("x").with_cookie(&SetCookie::new("a b", "c")),
    });
    for (path, reason) in [("/field", "the value of field \"A\" "), ("/cookie", "cookie \"a b\" ")]
    {
        let client = sim.connect();
        sim.send(client, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let errors: Vec<_> =
            lines.take().into_iter().filter(|line| line.starts_with("ERROR ")).collect();
        let expected = format!(": response replaced by a 500: {reason}");
        assert!(
            matches!(&errors[..], [line] if line.starts_with("ERROR connection ")
            && line.contains(", client 192.0.2.") && line.contains(&expected)),
            "{errors:?}"
        );
    }
}

#[test]
fn a_failure_is_in_the_log_although_a_change_of_its_response_panics() {
    let mapped = |_: &Request<'_>| -> Reply {
        Reply::failed(full()).map_response(|(), _| panic!("in the change"))
    };
    let collected = |_: &Request<'_>| {
        let reply = Reply::collect(10, |(), _, _| Err::<Response, _>(full()));
        reply.map_response(|(), _| panic!("in the change"))
    };
    let unsent = "ERROR handler failed, and the response was not sent: disk full";
    let named =
        "ERROR connection 1, client 192.0.2.1:1024, request 1-0: handler failed: GET /: disk full";
    for (mut sim, expected) in [(Sim::new(mapped), named), (Sim::new(collected), unsent)] {
        let lines = lines();
        let client = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(sim.received(client).starts_with(b"HTTP/1.1 500 "));
        let failures: Vec<_> =
            lines.take().into_iter().filter(|line| line.contains("disk full")).collect();
        assert_eq!(failures, [expected]);
    }
}

#[test]
fn the_error_in_a_response_that_is_never_sent_is_one_line_in_the_log() {
    let lines = lines();
    let expected = "ERROR handler failed, and the response was not sent: disk full";
    let kept: Rc<RefCell<Option<Later>>> = Rc::default();
    let to_handler = Rc::clone(&kept);
    let mut sim = Sim::new(move |_: &Request<'_>| -> Reply {
        let (later, reply) = Reply::later();
        to_handler.replace(Some(later));
        reply.with_handler_timeout(Duration::from_secs(1))
    });
    sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.advance(Duration::from_secs(2));
    let later = kept.take().unwrap();
    assert!(later.is_over());
    lines.take();
    later.respond(Err::<Response, _>(full()));
    assert_eq!(lines.take(), [expected], "the client has received a 504");
    drop(Failure::from(full()));
    assert_eq!(lines.take(), [expected], "the program has dropped it");
    drop(Failure::from(full()).into_response().into_http());
    assert_eq!(lines.take(), [expected], "another library sends it");
    drop(Failure::new(StatusCode::CONFLICT, "twice"));
    assert_eq!(lines.take(), Vec::<String>::new(), "an error about the request");
}

#[cfg(feature = "websocket")]
#[test]
fn a_close_code_that_must_not_be_sent_is_logged_with_the_connection_of_its_socket() {
    use wheelhouse::websocket::{accept, on_message, Options};

    let lines = lines();
    let options = Options::new();
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        accept(req, &options, on_message(|(): &mut (), _, socket| socket.close(1006, "")))
    });
    sim.connect_and_send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
          \x81\x82\0\0\0\0hi",
    );
    let errors: Vec<_> =
        lines.take().into_iter().filter(|line| line.starts_with("ERROR ")).collect();
    let expected = "ERROR connection 1, client 192.0.2.1:1024: close code 1006 replaced by 1011: \
                    expected a code that may be sent";
    assert_eq!(errors, [expected]);
}
