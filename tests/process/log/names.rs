//! Lines about a connection name it, its client and the request under way.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Receive};
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Failure, Reply, Request, Response};

use crate::{lines, panics_in_hook_and_timer};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn site(req: &Request<'_>) -> Reply {
    match req.path() {
        "/panic" => panic!("a handler of a test panics"),
        "/never" => {
            let (later, reply) = Reply::later();
            std::mem::forget(later);
            reply
        }
        _ => "".into(),
    }
}

#[test]
fn a_line_names_the_connection_the_client_and_the_request_that_has_begun() {
    let lines = lines();
    let idle = "connection 1, client 192.0.2.1:1024";
    for (bytes, named, text) in [
        ("GET /\n".to_owned(), idle.to_owned(), "refused: "),
        (format!("{GET}GET /\n"), idle.to_owned(), "refused: "),
        (GET.to_owned(), idle.to_owned(), "its deadline has passed: Idle"),
        (GET.replacen('/', "/panic", 1), format!("{idle}, request 1-0"), "the program panicked"),
        (GET.replacen('/', "/panic", 1), format!("{idle}, request 1-0"), "refused: Internal"),
        (
            format!("{GET}{}", GET.replacen('/', "/never", 1)),
            format!("{idle}, request 1-1"),
            "no response came in time",
        ),
    ] {
        let mut sim = Sim::new(site);
        lines.take();
        let client = sim.connect_and_send(&bytes);
        sim.advance(Duration::from_secs(200));
        assert!(!sim.is_open(client));
        let lines = lines.take();
        let expected = format!("{named}: {text}");
        assert!(lines.iter().any(|line| line.contains(&expected)), "{expected} in {lines:#?}");
    }
}

struct Panics;

impl Produce for Panics {
    fn produce(&mut self, _: &mut Out<'_>) -> io::Result<Produced> {
        panic!("in the producer")
    }
}

impl<S> Receive<S> for Panics {
    fn piece(&mut self, _: &mut S, _: &[u8]) -> Result<Flow<S>, Failure> {
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, _: &mut S) -> Reply<S> {
        panic!("{}", "in the receiver")
    }
}

fn panicking(req: &Request<'_>) -> Reply {
    match req.path() {
        "/produce" => Response::ok("text/plain", Body::produce(Panics)).into(),
        "/receive" => Reply::receive(10, Panics),
        "/other" => std::panic::panic_any(7),
        _ => panic!("in the handler"),
    }
}

#[test]
fn a_panic_is_one_line_in_the_log_with_its_message_connection_client_and_request() {
    let lines = lines();
    for (path, expected) in [
        ("/", "the program panicked: in the handler"),
        ("/other", "the program panicked: without a message"),
        ("/receive", "the program panicked: in the receiver"),
        ("/produce", "response cut off: the program panicked: in the producer"),
    ] {
        let mut sim = Sim::new(panicking);
        sim.connect_and_send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
        ));
        assert_eq!(sim.report().totals.panics, 1, "{path}");
        let name = "ERROR connection 1, client 192.0.2.1:1024, request 1-0";
        assert_eq!(errors(&lines), [format!("{name}: {expected}")], "{path}");
    }
}

#[test]
fn a_panic_of_a_hook_has_its_connection_and_that_of_a_timer_has_none() {
    let lines = lines();
    let mut sim = panics_in_hook_and_timer(site);
    let hook = errors(&lines);
    assert!(
        matches!(&hook[..], [line] if line.starts_with("ERROR connection 1: a hook panicked: ")
            && line.contains("in the hook")),
        "{hook:?}"
    );
    sim.advance(Duration::from_secs(2));
    assert_eq!(errors(&lines), ["ERROR a function of the program panicked: in the timer"]);
    assert_eq!(sim.report().totals.panics, 2);
}

fn errors(lines: &RefCell<Vec<String>>) -> Vec<String> {
    lines.take().into_iter().filter(|line| line.starts_with("ERROR ")).collect()
}
