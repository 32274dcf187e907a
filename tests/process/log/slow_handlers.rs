//! A handler that holds the loop for long is one line in the log, with its route and its time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Reply, Request, Response, Router, Server};

use crate::lines;

const MS: Duration = Duration::from_millis(1);

/// The time by which functions of the program have held the loop.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }
}

/// A server whose handlers hold the loop for the milliseconds in the query.
fn slow_server(server: Server, routes: impl FnOnce(Clock) -> Router) -> Sim {
    let clock = Clock::default();
    let mut sim = Sim::of(server, routes(clock.clone()).build().unwrap()).unwrap();
    sim.set_blocked(clock.0);
    sim
}

fn millis(req: &Request<'_>) -> Duration {
    MS * req.query().get("ms").map_or(0, |ms| ms.parse().unwrap())
}

fn routes(clock: Clock) -> Router {
    let (of_items, of_content, of_nest) = (clock.clone(), clock.clone(), clock);
    Router::new()
        .get("/items/{id}", move |(), req| {
            of_items.pass(millis(req));
            "an item"
        })
        .collect("POST /items", 100, move |(), req, _| {
            of_content.pass(millis(req));
            "kept"
        })
        .get("/later", |(), _| Reply::later().1)
        .not_found(move |(), req| {
            of_nest.pass(millis(req));
            Response::not_found()
        })
}

fn get(sim: &mut Sim, client: Client, target: &str) {
    sim.send(client, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
}

#[test]
fn a_slow_handler_is_one_line_with_its_route_and_its_time() {
    let warned = |request: &str, more: &str| {
        let mut sim = slow_server(Server::new().slow_handler_warning(100 * MS), routes);
        let lines = lines();
        let client = sim.connect_and_send(request);
        sim.send(client, more);
        let lines = lines.take().into_iter().filter(|line| line.starts_with("WARN"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let get = |target| warned(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    let named = |route: &str, time: &str| {
        format!(
            "WARN connection 1, client 192.0.2.1:1024, request 1-0: \
             slow handler: {route} held the loop for {time}; 0 such lines left out"
        )
    };
    assert_eq!(get("/items/7?ms=99"), "");
    assert_eq!(get("/items/7?ms=100"), named("GET /items/{id}", "100ms"));
    assert_eq!(get("/items/7?ms=2500"), named("GET /items/{id}", "2.5s"));
    assert_eq!(get("/else%20where?ms=200"), named("GET /else%20where", "200ms"));
    assert_eq!(get("/later"), "");
    let post = "POST /items?ms=300 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(warned(&format!("{post}ab"), ""), named("POST /items", "300ms"));
    assert_eq!(warned(post, "ab"), named("POST /items", "300ms"), "content that comes later");
}

#[test]
fn the_time_of_one_handler_is_not_blamed_on_another_one_of_its_turn_or_connection() {
    let mut sim = slow_server(Server::new().slow_handler_warning(100 * MS), routes);
    let clients = [sim.connect(), sim.connect(), sim.connect()];
    let lines = lines();
    sim.pause();
    get(&mut sim, clients[0], "/items/1?ms=60");
    let three = ["/items/2?ms=60", "/else?ms=150", "/items/3?ms=60"];
    three.iter().for_each(|target| get(&mut sim, clients[1], target));
    get(&mut sim, clients[2], "/items/4?ms=60");
    sim.resume();
    let lines: Vec<_> = lines.take().into_iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("request 2-1: slow handler: GET /else held the loop for 150ms;"));
}

#[test]
fn slow_handlers_are_logged_once_a_second_with_the_number_of_lines_left_out() {
    let mut sim = slow_server(Server::new().slow_handler_warning(10 * MS), routes);
    let client = sim.connect();
    let lines = lines();
    for _ in 0..205 {
        get(&mut sim, client, "/items/1?ms=10");
    }
    let lines: Vec<_> = lines.take().into_iter().filter(|line| line.starts_with("WARN")).collect();
    let ends: Vec<_> = lines.iter().map(|line| line.rsplit_once("; ").unwrap().1).collect();
    assert_eq!(ends[0], "0 such lines left out");
    assert!(ends[1..].iter().all(|end| *end == "99 such lines left out"), "{ends:?}");
    assert_eq!(ends.len(), 3);
}

#[test]
fn without_the_warning_a_slow_handler_has_no_line() {
    let mut sim = slow_server(Server::new(), routes);
    let client = sim.connect();
    let lines = lines();
    get(&mut sim, client, "/items/1?ms=10000");
    assert!(!lines.take().iter().any(|line| line.starts_with("WARN")));
}
