//! `Expect: 100-continue` (RFC 9110, section 10.1.1): when the server invites a client to send its
//! content, and how the connection continues when it does not.

use crate::support::*;
use wheelhouse::sim::Sim;
use wheelhouse::{Reply, Request, Response, StatusCode};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn expecting(method: &str, path: &str, version: &str, length: usize) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/{version}\r\nHost: a\r\nExpect: 100-Continue\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// Go: TestServerConnectionReuse (t27), TestServerExpect (t85), TestConcurrentReadWriteReqBody
/// (t139).
#[test]
fn content_is_invited_exactly_when_the_handler_reads_it() {
    for (path, version, length, invited) in [
        ("/collect", "1.1", 5, true),
        ("/receive", "1.1", 5, true),
        ("/echo", "1.1", 5, true),
        ("/collect", "1.1", 0, false),
        ("/receive", "1.1", 0, false),
        ("/collect", "1.1", 5000, false),
        ("/noread", "1.1", 5, false),
        ("/noread", "1.1", 300_000, false),
        ("/missing", "1.1", 5, false),
        ("/panic", "1.1", 5, false),
        ("/collect", "1.0", 5, false),
        ("/echo", "1.0", 5, false),
    ] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(expecting("POST", path, version, length));
        assert_eq!(sim.received(client).starts_with(CONTINUE), invited, "{path} {version}");
        if !invited {
            let ends = version == "1.1" && length > 0;
            assert_eq!(sim.has_ended(client), ends, "{path} {version} {length}");
            continue;
        }
        sim.send(client, b"12345");
        let received = sim.take_received(client);
        assert_eq!(statuses(&received), [100, 200], "{path}");
        sim.send(client, GET);
        assert_eq!(statuses(sim.received(client)), [200], "the connection is kept alive");
    }
}

/// A transform cannot produce content there, so it is not called and the client need not send any.
#[test]
fn content_is_not_invited_for_a_transformed_response_without_content() {
    for (method, status) in [("HEAD", 200), ("POST", 204), ("POST", 304)] {
        let status = StatusCode::from_u16(status).unwrap();
        let mut sim = Sim::new(move |_: &Request<'_>| {
            Reply::transform(Response::new(status), Echo { len: None })
        });
        let client = sim.connect_and_send(expecting(method, "/", "1.1", 1_000_000));
        let text = String::from_utf8_lossy(sim.received(client)).into_owned();
        assert_eq!(statuses(text.as_bytes()), [status.as_u16()], "{method}");
        assert!(text.ends_with("\r\nConnection: close\r\n\r\n"), "{text}");
    }
}

/// The server cannot know whether the content still comes, so no request can follow (n8, t27, t88,
/// t89, t90).
#[test]
fn content_that_is_not_invited_ends_the_connection_after_the_response() {
    for (path, status) in [("/noread", 200), ("/missing", 404)] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(expecting("POST", path, "1.1", 5));
        assert!(String::from_utf8_lossy(sim.received(client)).contains("Connection: close\r\n"));
        assert!(sim.has_ended(client));
        sim.send(client, GET);
        assert_eq!(statuses(sim.received(client)), [status]);
        happens_after(&mut sim, SECOND, |sim| !sim.is_open(client));
        assert!(!sim.was_reset(client), "the linger ends it");
    }
}

#[test]
fn another_expectation_is_417() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n",
    );
    assert_eq!(statuses(sim.received(client)), [417]);
    assert_eq!(sim.report().totals.requests, 0);
}

/// The connection ends even if all of the content has arrived: the bytes after such a head may be
/// content, or the next request of a client that did not wait for a response to its expectation
/// (w29).
#[test]
fn content_that_arrives_uninvited_closes_the_connection_wherever_it_is_cut() {
    let head = b"POST /noread HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
        Content-Length: 28\r\n\r\n";
    for rest in [&b"0123456789012345678901234567"[..], &GET.repeat(2)] {
        let request = [head, rest].concat();
        for cut in 1..request.len() {
            let mut sim = Sim::new(site);
            let client = sim.connect_and_send(&request[..cut]);
            sim.send(client, &request[cut..]);
            assert_eq!(statuses(sim.received(client)), [200], "cut at {cut}");
            assert!(sim.has_ended(client) && sim.report().totals.requests == 1, "cut at {cut}");
        }
    }
}

#[test]
fn content_is_invited_once_wherever_the_head_is_cut() {
    let head = "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    for cut in 1..head.len() {
        let mut sim = Sim::new(|_: &Request<'_>| {
            Reply::collect(100, |(), _, content: &[u8]| format!("{} bytes", content.len()))
        });
        let client = sim.connect();
        let (first, second) = head.split_at(cut);
        sim.send(client, first.as_bytes());
        sim.send(client, second.as_bytes());
        assert_eq!(sim.take_received(client), b"HTTP/1.1 100 Continue\r\n\r\n", "cut at {cut}");
        sim.send(client, b"nine here");
        assert!(sim.received(client).ends_with(b"\r\n\r\n9 bytes"), "cut at {cut}");
    }
}
