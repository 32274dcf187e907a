//! The heads of responses: length, type, and responses that consist of a status.

use crate::support::*;
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Request, Response, Router, StatusCode};

/// A status without content needs no length if its responses never have any (t98, t99, t103).
#[test]
fn a_response_without_content_has_the_length_zero_unless_its_status_excludes_content() {
    for (status, has_length) in [(200, true), (404, true), (204, false), (304, false)] {
        for version in ["1.0", "1.1"] {
            let mut sim = Sim::new(move |_: &Request<'_>| {
                Response::new(StatusCode::from_u16(status).unwrap())
            });
            let request =
                format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
            let client = sim.connect_and_send(request.as_bytes());
            let response = sim.take_received(client);
            assert_eq!(statuses(&response), [status]);
            assert_eq!(has_field(&response, "content-length"), has_length, "{status} {version}");
            assert!(!has_field(&response, "transfer-encoding") && response.ends_with(b"\r\n\r\n"));
            assert!(sim.is_open(client));
        }
    }
}

/// The type is never guessed, whatever the content and its coding are (t98, t120, t126).
#[test]
fn a_response_has_a_type_only_if_the_program_sets_one() {
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
            let response = sim.take_received(client);
            assert_eq!(has_field(&response, "content-type"), media_type.is_some(), "{coding:?}");
            assert_eq!(has_field(&response, "content-encoding"), coding.is_some(), "{coding:?}");
            assert_eq!(content(&response), b"<html><head>");
        }
    }
}

/// An error page is plain text with a length (t133).
#[test]
fn an_error_page_is_a_line_of_text_that_browsers_do_not_interpret() {
    let mut sim = Sim::new(|req: &Request<'_>| {
        Response::error(StatusCode::NOT_FOUND, format!("no {}", req.path()))
    });
    let client = sim.connect_and_send(b"GET /&lt; HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = String::from_utf8_lossy(sim.received(client)).into_owned();
    let (status, rest) = response.split_once("\r\nDate: ").unwrap();
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    assert_eq!(
        rest.split_once("\r\n").unwrap().1,
        "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: 9\r\n\r\nno /&lt;\n"
    );
}

/// An empty type is sent as it is, with content and without (t123).
#[test]
fn an_empty_type_stays_empty() {
    for body in ["<html>", ""] {
        let mut sim = Sim::new(move |_: &Request<'_>| Response::ok("", body));
        let client = sim.connect_and_send(GET);
        let response = String::from_utf8_lossy(sim.received(client)).into_owned();
        assert!(response.contains("\r\nContent-Type: \r\n"), "{response}");
        assert_eq!(response.matches("ontent-").count(), 2, "there is only the type and the length");
    }
}

/// A 204 may have a type, but not a length (t111).
#[test]
fn a_response_without_content_keeps_its_type() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Response::new(StatusCode::NO_CONTENT)
            .with_header("Content-Type", "text/x")
            .with_body("dropped")
    });
    let client = sim.connect_and_send(GET);
    let response = sim.take_received(client);
    assert!(has_field(&response, "content-type") && !has_field(&response, "content-length"));
    assert!(response.ends_with(b"\r\n\r\n") && sim.is_open(client));
}

/// Go does not keep a connection of HTTP/1.0 after a response over 2 KiB without a length.
#[test]
fn a_connection_of_http_1_0_is_kept_after_a_large_text() {
    let mut sim = Sim::new(|_: &Request<'_>| "x".repeat(100_000));
    let client = sim.connect_and_send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = sim.take_received(client);
    assert_eq!(content(&response).len(), 100_000);
    assert!(has_field(&response, "content-length") && sim.is_open(client));
    assert!(!sim.has_ended(client));
}

#[test]
fn a_status_without_content_has_no_media_type() {
    let mut sim = Sim::new(|req: &Request<'_>| match req.path() {
        "/204" => StatusCode::NO_CONTENT,
        "/304" => StatusCode::NOT_MODIFIED,
        _ => StatusCode::CONFLICT,
    });
    assert_eq!(sim.get("/204").header("content-type"), None);
    assert_eq!(sim.get("/304").header("content-type"), None);
    assert_eq!(sim.get("/409").header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn only_content_in_memory_can_be_read_back() {
    assert_eq!(Body::empty().as_bytes(), Some(&b""[..]));
    assert_eq!(Response::text("static").body().as_bytes(), Some(&b"static"[..]));
    assert_eq!(Response::text(String::from("owned")).body().as_bytes(), Some(&b"owned"[..]));
    assert_eq!(Body::from_reader(&b"reader"[..]).as_bytes(), None);
}

#[test]
fn errors_about_a_request_are_responses_with_their_status_and_text() {
    let routes = Router::<()>::new()
        .get("/{id}", |_, req| -> Result<String, Response> {
            Ok(req.parse_param::<u8>("id")?.to_string())
        })
        .collect("POST /form", 99, |_, req, content| -> Result<String, Response> {
            Ok(req.form(content)?.iter().count().to_string())
        });
    let mut sim = Sim::new(routes.build().unwrap());
    assert_eq!(sim.get("/7").text(), "7");
    let missing = sim.get("/x");
    assert_eq!(missing.status(), 404);
    assert!(missing.text().contains("id"), "{}", missing.text());
    assert_eq!(sim.request("POST", "/form").body("a=b").send().status(), 415);
}

#[test]
fn a_205_has_no_content_and_says_so() {
    let mut sim = Sim::new(|req: &Request<'_>| {
        let response = match req.path() {
            "/text" => Response::text("text"),
            "/stream" => Response::ok("text/plain", Body::produce(Lines(9))),
            "/large" => Response::ok("text/plain", &BIG[..]),
            _ => Response::new(StatusCode::OK),
        };
        response.with_status(StatusCode::RESET_CONTENT)
    });
    let client = sim.connect();
    for path in ["/text", "/stream", "/large", "/none", "/text"] {
        sim.send(client, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = sim.take_received(client);
        assert_eq!(statuses(&response), [205], "{path}");
        assert!(response.ends_with(b"\r\n\r\n"), "{path}: no content");
        let head = String::from_utf8(response).unwrap();
        assert!(head.contains("\r\nContent-Length: 0\r\n"), "{path}: {head}");
        assert!(sim.is_open(client), "{path}");
    }
}
