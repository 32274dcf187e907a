//! A request that comes in two pieces is answered like one that comes whole, wherever it is cut:
//! the loop holds the first piece, counts it, and gives its block back (the simulator checks the
//! ledger after each turn).

use std::time::Duration;

use wheelhouse::{sim::Sim, Reply, Request};

fn length(_: &Request<'_>) -> Reply {
    Reply::collect(100, |(), _, content: &[u8]| format!("{} bytes", content.len()))
}

/// What the requests get, sent as these pieces.
fn answers(pieces: &[&str]) -> String {
    let mut sim = Sim::new(length);
    let client = sim.connect();
    for piece in pieces {
        sim.send(client, piece.as_bytes());
    }
    let answers = String::from_utf8(sim.take_received(client)).unwrap();
    sim.advance(Duration::from_secs(9));
    assert!(sim.is_open(client) && sim.received(client).is_empty(), "nothing is left to wait for");
    answers
}

#[test]
fn a_request_is_answered_alike_wherever_it_is_cut() {
    for requests in [
        "GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nnine here",
        "POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: here\r\n\r\nGET /two HTTP/1.1\r\nHost: here\r\n\r\n",
    ] {
        let whole = answers(&[requests]);
        assert!(whole.starts_with("HTTP/1.1 200 OK\r\n"), "{whole}");
        for cut in 1..requests.len() {
            let (first, second) = requests.split_at(cut);
            assert_eq!(answers(&[first, second]), whole, "cut at {cut}: {requests:?}");
        }
    }
}
