//! A request that arrives in two pieces gets the same response as one that arrives whole, wherever
//! it is cut: the loop holds the first piece, counts it, and gives its block back (the simulator
//! checks the ledger after each turn).

use std::time::Duration;

use wheelhouse::{sim::Sim, Reply, Request};

fn length(_: &Request<'_>) -> Reply {
    Reply::collect(100, |(), _, content: &[u8]| format!("{} bytes", content.len()))
}

/// The responses to the requests in these pieces.
fn responses(pieces: &[&str]) -> String {
    let mut sim = Sim::new(length);
    let client = sim.connect();
    for piece in pieces {
        sim.send(client, piece.as_bytes());
    }
    let responses = String::from_utf8(sim.take_received(client)).unwrap();
    sim.advance(Duration::from_secs(9));
    assert!(
        sim.is_open(client) && sim.received(client).is_empty(),
        "no deadline is armed for the request"
    );
    responses
}

#[test]
fn a_request_gets_the_same_response_wherever_it_is_cut() {
    for requests in [
        "GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nnine here",
        "POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: here\r\n\r\nGET /two HTTP/1.1\r\nHost: here\r\n\r\n",
    ] {
        let whole = responses(&[requests]);
        assert!(whole.starts_with("HTTP/1.1 200 OK\r\n"), "{whole}");
        for cut in 1..requests.len() {
            let (first, second) = requests.split_at(cut);
            assert_eq!(responses(&[first, second]), whole, "cut at {cut}: {requests:?}");
        }
    }
}
