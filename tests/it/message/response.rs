//! The heads of responses: length, type, and what a status alone says.

use crate::support::*;
use wheelhouse::sim::Sim;
use wheelhouse::{Request, Response, StatusCode};

/// A response of a status alone says that it is empty, unless the status does (t98, t99, t103).
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

/// No type is guessed, whatever the content and its coding are (t98, t120, t126).
#[test]
fn there_is_a_type_where_the_program_has_set_one() {
    for coding in [None, Some("gzip"), Some("zlib"), Some("phony"), Some("")] {
        for media_type in [None, Some("text/html")] {
            let mut sim = Sim::new(move |_: &Request<'_>| {
                let page = Response::new(StatusCode::OK).with_body("<html><head>");
                let page = media_type
                    .into_iter()
                    .fold(page, |page, media_type| page.with_header("Content-Type", media_type));
                coding.into_iter().fold(page, |page, coding| {
                    page.with_appended_header("Content-Encoding", coding)
                })
            });
            let client = sim.connect_and_send(GET);
            let answer = sim.take_received(client);
            assert_eq!(has_field(&answer, "content-type"), media_type.is_some(), "{coding:?}");
            assert_eq!(has_field(&answer, "content-encoding"), coding.is_some(), "{coding:?}");
            assert_eq!(content(&answer), b"<html><head>");
        }
    }
}

/// An error is a page of its own: text and nothing else, with its length (t133).
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

/// A type that is set and empty is sent so, with content and without (t123).
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

/// A type may stand beside 204, a length may not (t111).
#[test]
fn a_type_is_kept_without_content() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Response::new(StatusCode::NO_CONTENT)
            .with_header("Content-Type", "text/x")
            .with_body("dropped")
    });
    let client = sim.connect_and_send(GET);
    let answer = sim.take_received(client);
    assert!(has_field(&answer, "content-type") && !has_field(&answer, "content-length"));
    assert!(answer.ends_with(b"\r\n\r\n") && sim.is_open(client));
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
