//! What is put around a handler sees every answer, whenever it comes.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::support::{later_to, never, Count, SECOND};
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{around, Body, Enter, Reply, Request, Response, StatusCode};

struct Silent;

impl Protocol<()> for Silent {
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        _: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        Ok(input.len())
    }
}

fn site(req: &Request<'_>) -> Reply {
    match req.path() {
        "/collect" => Reply::collect(10, |(), _, content| format!("{}", content.len())),
        "/receive" => Reply::receive(u64::MAX, Count(0)),
        "/later" => later_to(|later| later.respond("later")),
        "/late" => never(),
        "/dropped" => later_to(drop),
        "/collect-later" => Reply::collect(10, |(), _, _| {
            later_to(|later| later.respond_with(|()| StatusCode::IM_A_TEAPOT))
        }),
        "/stream" => {
            let (sender, body) = Body::channel(10);
            sender.send("x").unwrap();
            sender.finish();
            Response::ok("text/plain", body).into()
        }
        "/switch" => Reply::upgrade("silent", Silent),
        _ => "at once".into(),
    }
}

#[test]
fn every_answer_goes_through_it_at_once_or_whenever_it_comes() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    let handler = around(site, move |(), req: &Request<'_>| {
        if req.path() == "/forbidden" {
            return Enter::Answer(StatusCode::FORBIDDEN.into());
        }
        let (path, log) = (req.path().to_owned(), Rc::clone(&log));
        Enter::Pass(move |_: &mut (), answer: &mut Response| {
            log.borrow_mut().push((path, answer.status().as_u16()));
            answer.append_header("X-Seen", "yes").unwrap();
        })
    });
    let mut sim = Sim::new(handler);
    for (path, status) in [
        ("/", 200),
        ("/collect", 200),
        ("/receive", 200),
        ("/later", 200),
        ("/late", 504),
        ("/dropped", 500),
        ("/collect-later", 418),
        ("/stream", 200),
        ("/switch", 101),
    ] {
        let length = if path == "/switch" { 0 } else { 2 };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: silent\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let client = sim.connect_and_send(head.as_bytes());
        sim.send(client, &b"ab"[..length]);
        sim.advance(Duration::ZERO);
        if path == "/late" {
            sim.advance(31 * SECOND);
        }
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {text}");
        assert!(text.contains("\r\nX-Seen: yes\r\n"), "{path}: {text}");
        assert_eq!(seen.borrow_mut().pop(), Some((path.to_owned(), status)));
        assert!(seen.borrow().is_empty(), "once for each");
    }
    let client = sim.connect_and_send(b"GET /forbidden HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.received(client).starts_with(b"HTTP/1.1 403 "));
    assert!(seen.borrow().is_empty(), "the handler was not asked");
}
