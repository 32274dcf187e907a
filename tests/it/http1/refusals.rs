//! Refusals, which the server writes itself.

use crate::support::site;
use wheelhouse::sim::Sim;

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
        assert_eq!(sim.report().refused, 1);
    }
}
