//! The client of the simulator: it composes requests, reads responses and waits for workers.

use std::thread;
use std::time::Duration;

use wheelhouse::body::Sender;
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Reply, Request, Response, Server, StatusCode};

use crate::support::{post, site, GET, SECOND};

fn shown(req: &Request<'_>) -> Reply {
    let head = format!("{} {} {}", req.method(), req.target(), req.header("X-A").unwrap_or("-"));
    Reply::collect(100, move |(), req, content| {
        format!("{head} {} {}", req.host().unwrap_or("-"), content.len())
    })
}

#[test]
fn a_simulated_request_has_its_fields_and_content() {
    let mut sim = Sim::new(shown);
    assert_eq!(sim.get("/a?b").text(), "GET /a?b - localhost 0");
    let request = sim.request("PUT", "/x").header("X-A", "1").header("host", "me").body("four");
    assert_eq!(request.send().text(), "PUT /x 1 me 4");
}

#[test]
fn a_simulated_response_to_head_has_no_content() {
    let mut sim = Sim::new(|_: &Request<'_>| "hello");
    let response = sim.request("HEAD", "/").send();
    assert_eq!((response.header("Content-Length"), response.body()), (Some("5"), &b""[..]));
}

#[test]
fn a_simulated_request_comes_from_its_given_address() {
    let mut sim = Sim::new(|req: &Request<'_>| format!("{:?}", req.peer_addr()));
    let peer = ([198, 51, 100, 7], 4711).into();
    assert_eq!(sim.request("GET", "/").from(peer).send().text(), "Some(198.51.100.7:4711)");
}

#[test]
fn the_next_response_is_returned_when_it_is_complete() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    assert!(sim.response(client).is_none());
    sim.send(client, [GET, GET].concat());
    assert_eq!(sim.response(client).map(|first| first.status()), Some(StatusCode::OK));
    assert!(sim.response(client).is_some());
    assert!(sim.response(client).is_none());
}

/// Virtual time does not advance while the test waits for a worker.
#[test]
fn the_simulator_waits_in_real_time_for_the_response_of_a_worker() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        let (later, reply) = Reply::<()>::later();
        thread::spawn(move || later.respond("done"));
        reply
    });
    assert_eq!(sim.get("/").text(), "done");
    let client = sim.connect_and_send(GET);
    sim.settle();
    assert_eq!(sim.response(client).unwrap().text(), "done");
    assert_eq!(sim.now(), Duration::ZERO);
}

#[test]
fn the_simulator_waits_in_real_time_for_content_of_a_channel() {
    fn feed(sender: &Sender) {
        for piece in ["a", "b", "c"] {
            sender.send(piece).unwrap();
        }
    }
    let mut sim = Sim::new(|_: &Request<'_>| {
        let (sender, body) = Body::channel(1);
        thread::spawn(move || {
            feed(&sender);
            sender.finish();
        });
        Response::ok("text/plain", body)
    });
    assert_eq!(sim.get("/").text(), "abc");
}

#[test]
fn a_simulation_has_the_state_limits_and_timers_of_the_server() {
    let server = Server::with_state(0_u32).every(SECOND, |seconds| *seconds += 1);
    let mut sim = Sim::of(server, |_: &Request<'_>| "hello").unwrap();
    sim.advance(5 * SECOND + SECOND / 2);
    assert_eq!(*sim.state(), 5);
}

#[test]
#[should_panic(expected = "no complete response")]
fn a_connection_that_closes_without_a_response_is_a_panic_that_says_so() {
    let mut sim = Sim::new(|_: &Request<'_>| Reply::<()>::hijack(|(), taken| drop(taken)));
    sim.get("/");
}

/// The run on the page about debugging.
#[test]
fn the_story_of_a_run_is_the_one_in_the_docs() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        Reply::collect(1000, |(), _, content| format!("{}\n", content.len()))
    });
    sim.set_story(true);
    let client = sim.connect();
    sim.stall(client, 100);
    sim.send(client, post("/collect", 5, b"ab"));
    sim.send(client, b"cde");
    sim.unstall(client);
    let page = include_str!("../../../docs/debugging.md");
    assert!(page.contains(&format!("```text\n{}```\n", sim.story())), "{}", sim.story());
    sim.set_story(false);
    sim.send(client, GET);
    assert_eq!(sim.story(), "");
}
