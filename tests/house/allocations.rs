//! The allocations of a request on a connection that stays open. A file in the program costs as few
//! as a response that is a constant.

use std::net::TcpStream;
use std::sync::atomic::Ordering;

use super::{exchange, ALONE, CALLS};
use wheelhouse::files::{Asset, Content, Files};
use wheelhouse::runtime::EventLoop;
use wheelhouse::{Reply, Request, Response, Server};

const ASSETS: [Asset; 4] = [
    Asset::new("index.html", b"<!doctype html><title>a page</title>"),
    Asset::new("css/site.css", b"a {}"),
    Asset::new("css/site.css.gz", b"not really"),
    Asset::new("picture.png", b"\x89PNG"),
];

fn server() -> (EventLoop<()>, TcpStream) {
    let files = Files::packed(ASSETS);
    let content = Content::new("text/csv", "day,sum\n1,20\n");
    let handler = move |req: &Request<'_>| -> Reply {
        match req.path() {
            "/hello" => Response::text("Hello, World!").into(),
            "/content" => content.respond(req).into(),
            _ => files.respond(req).into(),
        }
    };
    let server = Server::new().listen("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(server.local_addrs()[0]).unwrap();
    (server.build(handler).unwrap(), client)
}

/// The allocations of a request with these lines.
fn allocations(events: &mut EventLoop<()>, client: &mut TcpStream, lines: &str) -> (usize, String) {
    const REQUESTS: usize = 20;
    let request = format!("{lines}\r\nHost: a\r\n\r\n");
    let (mut before, mut status) = (0, String::new());
    for request_number in 0..REQUESTS + 5 {
        if request_number == 5 {
            before = CALLS.load(Ordering::SeqCst);
        }
        let response = exchange(events, client, request.as_bytes());
        assert!(response.starts_with("HTTP/1.1 "), "{lines}: {response}");
        status = response[9..12].to_owned();
    }
    ((CALLS.load(Ordering::SeqCst) - before) / REQUESTS, status)
}

#[test]
fn a_file_in_the_program_takes_no_more_allocations_than_a_constant_response() {
    let _alone = ALONE.lock().unwrap();
    let (mut events, mut client) = server();
    let mut count = |lines: &str| allocations(&mut events, &mut client, lines);
    let (hello, _) = count("GET /hello HTTP/1.1");
    assert_eq!(hello, 0);
    for (lines, status) in [
        ("GET / HTTP/1.1", "200"),
        ("GET /index.html HTTP/1.1", "200"),
        ("GET /picture.png HTTP/1.1", "200"),
        ("HEAD /picture.png HTTP/1.1", "200"),
        ("GET /css/site.css HTTP/1.1", "200"),
        ("GET /css/site.css HTTP/1.1\r\nAccept-Encoding: br, gzip", "200"),
        ("GET /picture.png HTTP/1.1\r\nIf-None-Match: \"x\"", "200"),
        ("GET /picture.png HTTP/1.1\r\nIf-None-Match: *", "304"),
        ("GET /content HTTP/1.1", "200"),
        ("HEAD /content HTTP/1.1", "200"),
        ("GET /content HTTP/1.1\r\nIf-None-Match: *", "304"),
    ] {
        assert_eq!(count(lines), (hello, status.to_owned()), "{}", lines.escape_debug());
    }
    // These are rare, and put together for each request.
    for lines in [
        "GET /picture.png HTTP/1.1\r\nRange: bytes=1-2",
        "GET /content HTTP/1.1\r\nRange: bytes=1-2",
        "GET /missing HTTP/1.1",
    ] {
        let (count, _) = count(lines);
        assert!((1..=12).contains(&count), "{count}: {}", lines.escape_debug());
    }
}
