//! Scenarios of Go's tests that stand nowhere else, by their ids in the catalogue
//! (`docs/go-parity.md`).

mod support;

use std::io::{self, Read};
use std::time::Duration;

use support::*;
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Out, Produce, Produced, Reply, Request, Response, StatusCode, Transform};

fn has_field(bytes: &[u8], name: &str) -> bool {
    String::from_utf8_lossy(bytes).to_lowercase().contains(&format!("\r\n{name}:"))
}

/// t19: a reader that stops where the value ends finds the end of the content behind it already.
#[test]
fn the_last_chunk_leaves_in_the_same_write_as_the_data_before_it() {
    let value = br#"{"a": 1}"#;
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::ok("application/json", Body::reader(&value[..])));
    let client = sim.connect();
    for requests in 1..=3 {
        sim.send(client, GET);
        let answer = sim.take_received(client);
        assert_eq!(content(&answer), b"8\r\n{\"a\": 1}\r\n0\r\n\r\n");
        // The head, asked for what follows when it has left; then all of that.
        assert_eq!(sim.writes(), 2 * requests);
    }
}

/// t21: a crowd of requests without content, each answered whole and once.
#[test]
fn twenty_requests_at_once_run_the_handler_twenty_times() {
    let mut sim = Sim::new(|req: &Request<'_>| format!("{:?}", req.content_length()));
    sim.pause();
    let clients: Vec<_> = (0..20).map(|_| sim.connect_and_send(GET)).collect();
    sim.resume();
    for client in clients {
        assert_eq!(statuses(sim.received(client)), [200]);
        assert!(sim.is_open(client));
    }
    assert_eq!(sim.report().requests, 20);
}

/// t24: content of no length, announced or not, costs nothing and keeps the connection.
#[test]
fn requests_and_answers_of_length_zero_follow_each_other() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Reply::collect(10, |(), _: &Request<'_>, content: &[u8]| {
            assert!(content.is_empty());
            Response::new(StatusCode::OK)
        })
    });
    let client = sim.connect();
    for _ in 0..5 {
        sim.send(client, &post("/", 0, b""));
        let answer = sim.take_received(client);
        assert_eq!(statuses(&answer), [200]);
        assert!(String::from_utf8_lossy(&answer).contains("\r\nContent-Length: 0\r\n"));
    }
    assert!(sim.is_open(client));
}

/// t42: bytes that come after the deadline of a content are no request, whoever wanted it.
#[test]
fn what_comes_behind_late_content_is_never_a_request() {
    for path in ["/collect", "/receive", "/noread", "/echo"] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(&post(path, 10_000, b"hello world"));
        sim.advance(Duration::from_secs(16));
        sim.send(client, b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n");
        sim.advance(Duration::from_secs(16));
        assert!(!sim.is_open(client), "{path}");
        assert_eq!(sim.report().requests, 1, "{path}");
    }
}

/// t82: a length that is known, known to be zero, and not known.
#[test]
fn a_handler_is_told_the_length_of_the_content_if_it_is_known() {
    let mut sim = Sim::new(|req: &Request<'_>| format!("{:?}", req.content_length()));
    for (request, expected) in [
        (post("/", 4, b"four"), "Some(4)"),
        (post("/", 0, b""), "Some(0)"),
        ([post_chunked("/"), b"0\r\n\r\n".to_vec()].concat(), "None"),
    ] {
        let client = sim.connect_and_send(&request);
        assert_eq!(content(sim.received(client)), expected.as_bytes());
    }
}

/// t98, t99, t103: an answer of a status alone says that it is empty, unless the status does.
#[test]
fn a_status_alone_has_the_length_zero_unless_it_never_has_content() {
    for (status, has_length) in [(200, true), (404, true), (204, false), (304, false)] {
        for version in ["1.0", "1.1"] {
            let mut sim = Sim::new(move |_: &Request<'_>| {
                Response::new(StatusCode::from_u16(status).unwrap())
            });
            let request =
                format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
            let client = sim.connect_and_send(request.as_bytes());
            let answer = sim.take_received(client);
            assert_eq!(statuses(&answer), [status]);
            assert_eq!(has_field(&answer, "content-length"), has_length, "{status} {version}");
            assert!(!has_field(&answer, "transfer-encoding") && answer.ends_with(b"\r\n\r\n"));
            assert!(sim.is_open(client));
        }
    }
}

/// t115: the answer has begun, and its content waits for the end of a long upload.
#[test]
fn an_answer_under_way_may_wait_for_the_end_of_the_content() {
    struct Hi(usize);
    impl Transform<()> for Hi {
        fn piece(&mut self, (): &mut (), piece: &[u8], _: &mut Out<'_>) -> io::Result<usize> {
            self.0 += piece.len();
            Ok(piece.len())
        }
        fn end(&mut self, (): &mut (), out: &mut Out<'_>) -> io::Result<()> {
            assert_eq!(self.0, 3 << 20);
            out.put(b"hi");
            Ok(())
        }
    }
    let mut sim = Sim::new(|_: &Request<'_>| Reply::transform(Response::text(""), Hi(0)));
    let client = sim.connect_and_send(&post("/", 3 << 20, &[b'x'; 1 << 20]));
    assert_eq!(
        (statuses(sim.received(client)), content(sim.received(client))),
        (vec![200], &[][..])
    );
    sim.send(client, &[b'x'; 2 << 20]);
    assert_eq!(dechunk(content(sim.received(client))), b"hi");
    sim.send(client, &post("/", 3 << 20, &[b'x'; 3 << 20]));
    assert!(sim.received(client).ends_with(b"2\r\nhi\r\n0\r\n\r\n"));
}

/// t116: what a producer puts when it is asked once is one chunk, in however many pieces.
#[test]
fn what_is_put_together_is_one_chunk() {
    struct Letters(bool);
    impl Produce for Letters {
        fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
            if !std::mem::replace(&mut self.0, true) {
                out.put(b"first");
                return Ok(Produced::More);
            }
            for letter in [b"x", b"y", b"z"] {
                out.put(letter);
            }
            Ok(Produced::End)
        }
    }
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::ok("text/plain", Body::produce(Letters(false))));
    let client = sim.connect_and_send(GET);
    let expected = b"5\r\nfirst\r\n3\r\nxyz\r\n0\r\n\r\n";
    assert_eq!(content(sim.received(client)), expected);
}

/// t73, t138: each byte comes back as it arrives, and not when its chunk or the content is
/// complete.
#[test]
fn what_is_echoed_comes_back_before_the_rest_of_the_content_is_there() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(&post("/echo", 10, b""));
    assert!(sim.take_received(client).ends_with(b"\r\n\r\n"), "the head is there already");
    for byte in b"0123456789" {
        sim.send(client, &[*byte]);
        assert_eq!(sim.take_received(client), [*byte]);
    }
    sim.send(client, &post_chunked("/echo"));
    sim.take_received(client);
    sim.send(client, b"7\r\n1234");
    assert_eq!(sim.take_received(client), b"4\r\n1234\r\n");
    sim.send(client, b"567");
    assert_eq!(sim.take_received(client), b"3\r\n567\r\n");
    sim.send(client, b"xx");
    assert!(sim.was_reset(client), "no end of a chunk");
}

/// t98, t120, t126: no type is guessed, whatever the content and its coding are.
#[test]
fn there_is_a_type_where_the_program_has_set_one() {
    for coding in [None, Some("gzip"), Some("zlib"), Some("phony"), Some("")] {
        for media_type in [None, Some("text/html")] {
            let mut sim = Sim::new(move |_: &Request<'_>| {
                let page = Response::new(StatusCode::OK).with_body("<html><head>");
                let page = media_type.into_iter().fold(page, Response::with_content_type);
                coding.into_iter().fold(page, |page, coding| page.with("Content-Encoding", coding))
            });
            let client = sim.connect_and_send(GET);
            let answer = sim.take_received(client);
            assert_eq!(has_field(&answer, "content-type"), media_type.is_some(), "{coding:?}");
            assert_eq!(has_field(&answer, "content-encoding"), coding.is_some(), "{coding:?}");
            assert_eq!(content(&answer), b"<html><head>");
        }
    }
}

/// t124: the type is what the program says, and the bytes are the same, whatever they are made of.
#[test]
fn a_page_is_the_same_from_every_source() {
    const PAGE: &str = "<html>\n<head></head>\n<body>\nHello\n</body></html>\n";
    /// A reader that gives a byte at a time.
    struct Bytewise(&'static [u8]);
    impl Read for Bytewise {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let len = 1.min(buf.len());
            self.0.read(&mut buf[..len])
        }
    }
    let sources: [fn() -> Body; 6] = [
        || PAGE.into(),
        || PAGE.as_bytes().into(),
        || PAGE.to_owned().into(),
        || PAGE.as_bytes().to_vec().into(),
        || Body::reader(PAGE.as_bytes()),
        || Body::reader(Bytewise(PAGE.as_bytes())),
    ];
    for (number, source) in sources.into_iter().enumerate() {
        let mut sim = Sim::new(move |_: &Request<'_>| Response::ok("text/html", source()));
        let client = sim.connect_and_send(GET);
        let answer = sim.take_received(client);
        assert!(String::from_utf8_lossy(&answer).contains("\r\nContent-Type: text/html\r\n"));
        let is_told = has_field(&answer, "content-length");
        let page = if is_told { content(&answer).to_vec() } else { dechunk(content(&answer)) };
        assert_eq!((page, is_told), (PAGE.as_bytes().to_vec(), number < 4), "{number}");
    }
}

/// t133: an error is a page of its own: text and nothing else, with its length.
#[test]
fn an_error_is_a_line_of_text_that_no_browser_takes_for_more() {
    let mut sim = Sim::new(|req: &Request<'_>| {
        Response::error(StatusCode::NOT_FOUND, format!("no {}", req.path()))
    });
    let client = sim.connect_and_send(b"GET /&lt; HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = String::from_utf8_lossy(sim.received(client)).into_owned();
    let (status, rest) = answer.split_once("\r\nDate: ").unwrap();
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    assert_eq!(
        rest.split_once("\r\n").unwrap().1,
        "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: 9\r\n\r\nno /&lt;\n"
    );
}

/// w48, w49: a refusal is an answer like others, and says nothing that its peer has sent.
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
        let answer = String::from_utf8(sim.take_received(client)).unwrap();
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {line}\r\nDate: ")), "{answer}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", page.len())), "{answer}");
        assert!(head.contains("\r\nConnection: close"), "{answer}");
        assert_eq!(page, format!("{line}\n"));
        assert_eq!(sim.report().refused, 1);
    }
}

/// t123: a type that is set and empty is sent so, with content and without.
#[test]
fn an_empty_type_stays_empty() {
    for body in ["<html>", ""] {
        let mut sim = Sim::new(move |_: &Request<'_>| Response::ok("", body));
        let client = sim.connect_and_send(GET);
        let answer = String::from_utf8_lossy(sim.received(client)).into_owned();
        assert!(answer.contains("\r\nContent-Type: \r\n"), "{answer}");
        assert_eq!(answer.matches("ontent-").count(), 2, "its length and nothing made up");
    }
}

/// w29: content that nobody invited ends the connection wherever it is cut, even if all of it has
/// come: what lies behind such a head may be content, or the next request of a peer that did not
/// wait for an answer to its expectation.
#[test]
fn content_that_came_uninvited_closes_wherever_it_is_cut() {
    let head = b"POST /noread HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
        Content-Length: 28\r\n\r\n";
    for behind in [&b"0123456789012345678901234567"[..], &GET.repeat(2)] {
        let request = [head, behind].concat();
        for cut in 1..request.len() {
            let mut sim = Sim::new(site);
            let client = sim.connect_and_send(&request[..cut]);
            sim.send(client, &request[cut..]);
            assert_eq!(statuses(sim.received(client)), [200], "cut at {cut}");
            assert!(sim.has_ended(client) && sim.report().requests == 1, "cut at {cut}");
        }
    }
}

/// t166: who does not care for an upgrade answers as ever (RFC 9110, section 7.8).
#[test]
fn an_upgrade_that_nobody_wants_is_an_ordinary_request() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n",
    );
    let answer = sim.take_received(client);
    assert_eq!(statuses(&answer), [200]);
    assert!(!has_field(&answer, "upgrade") && !has_field(&answer, "connection"));
    sim.send(client, GET);
    assert_eq!(statuses(sim.received(client)), [200]);
}

/// t111: a type may stand beside 204, a length may not.
#[test]
fn a_type_is_kept_without_content() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Response::new(StatusCode::NO_CONTENT).with_content_type("text/x").with_body("dropped")
    });
    let client = sim.connect_and_send(GET);
    let answer = sim.take_received(client);
    assert!(has_field(&answer, "content-type") && !has_field(&answer, "content-length"));
    assert!(answer.ends_with(b"\r\n\r\n") && sim.is_open(client));
}

/// t113: what would be read for GET is not sent for HEAD.
#[test]
fn a_reader_is_sent_to_get_and_not_to_head() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Response::ok("text/plain", Body::reader(io::repeat(b'r').take(4096)))
    });
    let client = sim.connect_and_send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.take_received(client).ends_with(b"\r\n\r\n"));
    sim.send(client, GET);
    assert_eq!(dechunk(content(sim.received(client))), [b'r'; 4096]);
}

/// t134: behind the head of a granted CONNECT there is nothing that could be taken for content.
#[test]
fn a_granted_connect_that_is_no_tunnel_has_no_content_and_closes() {
    let mut sim = Sim::new(|_: &Request<'_>| "granted");
    let client = sim.connect_and_send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    let answer = sim.take_received(client);
    assert_eq!((statuses(&answer), content(&answer)), (vec![200], &[][..]));
    assert!(!has_field(&answer, "content-length") && !has_field(&answer, "transfer-encoding"));
    assert!(sim.has_ended(client));
}

/// t135: a refused CONNECT is an answer like any other.
#[test]
fn a_refused_connect_is_answered_with_its_length() {
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::text("no").with_status(StatusCode::CONFLICT));
    let client = sim.connect_and_send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    let answer = sim.take_received(client);
    assert_eq!((statuses(&answer), content(&answer)), (vec![409], &b"no"[..]));
    assert!(has_field(&answer, "content-length"));
    sim.send(client, GET);
    assert_eq!(statuses(sim.received(client)), [409], "it is kept, as no tunnel began");
}

/// Go forgets keep-alive of HTTP/1.0 above 2 KiB without a length.
#[test]
fn a_large_text_keeps_the_connection_of_http_1_0() {
    let mut sim = Sim::new(|_: &Request<'_>| "x".repeat(100_000));
    let client = sim.connect_and_send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = sim.take_received(client);
    assert_eq!(content(&answer).len(), 100_000);
    assert!(has_field(&answer, "content-length") && sim.is_open(client));
    assert!(!sim.has_ended(client));
}
