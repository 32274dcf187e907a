//! Refusals, which the server writes itself.

use std::io;

use crate::support::{post, site};
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol, Upgrade};
use wheelhouse::{Reply, Request, Response, StatusCode};

/// A refusal is a response like any other, and does not repeat bytes of its client (w48, w49).
#[test]
fn a_refusal_has_the_phrase_of_its_status_a_date_and_a_length() {
    for (request, line) in [
        ("evil\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: evil evil\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nevil : x\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: evil\r\n\r\n", "417 Expectation Failed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: evil\r\n\r\n", "501 Not Implemented"),
        ("GET /evil HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported"),
    ] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(request.as_bytes());
        let response = String::from_utf8(sim.take_received(client)).unwrap();
        let (head, page) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {line}\r\nDate: ")), "{response}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", page.len())), "{response}");
        assert!(head.contains("\r\nConnection: close"), "{response}");
        assert_eq!(page, format!("{line}\n"));
        assert_eq!(sim.report().totals.refused, 1);
    }
}

/// Some clients take a 1.1 status line for permission to use 1.1. A head that is refused has no
/// version yet.
#[test]
fn every_response_to_an_http_1_0_request_says_http_1_0() {
    struct Silent;
    impl Protocol<()> for Silent {
        fn receive(
            &mut self,
            (): &mut (),
            input: &[u8],
            _: &mut Connection<'_>,
        ) -> io::Result<usize> {
            Ok(input.len())
        }
    }
    let more = |req: &Request<'_>| match req.path() {
        "" => Reply::upgrade(Upgrade::tunnel(), Silent),
        "/split" => Response::text("").with_header("X", "\n").into(),
        "/processing" => Response::new(StatusCode::PROCESSING).into(),
        _ => site(req),
    };
    let request = |head: &str| format!("{head} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    for (input, status) in [
        (request("GET /"), "200"),
        (request("HEAD /panic"), "500"),
        (request("GET /split"), "500"),
        (request("GET /processing"), "500"),
        (request("CONNECT a:1"), "200"),
        (post("/collect", 2000, b""), "413"),
        (post("/collect", 20, b"x"), "400"),
        (post("/receive", 20, b"x"), "400"),
    ] {
        let input = String::from_utf8(input).unwrap();
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let mut sim = Sim::new(more);
            let client = sim.connect();
            sim.send_and_end(client, input.replace("HTTP/1.1", version));
            let response = String::from_utf8(sim.take_received(client)).unwrap();
            assert!(response.starts_with(&format!("{version} {status} ")), "{input}: {response}");
        }
    }
}
