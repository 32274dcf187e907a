//! Lines about a connection name it, its client and the request under way.

use std::time::Duration;

use wheelhouse::sim::Sim;
use wheelhouse::{Reply, Request};

use crate::lines;

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
        (GET.replacen('/', "/panic", 1), format!("{idle}, request 1-0"), "the program panicked: "),
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
        sim.advance(Duration::from_secs(100));
        assert!(!sim.is_open(client));
        let lines = lines.take();
        let expected = format!("{named}: {text}");
        assert!(lines.iter().any(|line| line.contains(&expected)), "{expected} in {lines:#?}");
    }
}
