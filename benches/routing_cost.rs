//! Measures the cost of finding a route. It is counted in instructions, which do not depend on the
//! load of the machine: for the same requests with 102 routes and without a router, in a short and
//! a long run, so that everything that happens once cancels out. Needs valgrind. These are the last
//! figures (x86-64, rustc 1.95, its default target): the instructions per request that a router
//! adds.
//!
//! | compared with | literal | param | rest | deep | host | miss | method |
//! |---|---|---|---|---|---|---|---|
//! | the same function through a pointer (`boxed`) | 360 | 455 | 458 | 629 | 553 | 376 | 2,977 |
//! | a closure that the compiler can inline (`without`) | 482 | 577 | 580 | 751 | 674 | 498 | 3,105 |
//!
//! The difference between the rows is not part of the search. It is the cost of every handler whose
//! response is not a constant. (`deep` has five literal segments and two wildcards. `miss` is a
//! 404. `method` is a 405, whose head is encoded for each response. A few instructions depend on
//! decisions of the compiler.)
//!
//! ```text
//! bin=$(cargo bench --no-run --bench routing_cost 2>&1 | sed -n "s/.*Executable.*(\(.*\))/\1/p")
//! for kind in literal param rest deep host miss method; do
//!   for table in boxed without with; do
//!     for requests in 1600 11200; do
//!       valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!         $bin $kind $table $requests 2>&1 |
//!         awk -v k=$kind -v t=$table -v r=$requests '/Collected/ { print k, t, r, $4 }'
//!     done
//!   done
//! done | awk '{ if (NR % 2) n = $4; else { cost[$2] = ($4 - n) / 9600
//!   if ($2 == "with") printf "%s: %.0f more than boxed, %.0f more than without\n", $1,
//!     cost["with"] - cost["boxed"], cost["with"] - cost["without"] } }'
//! ```

use wheelhouse::sim::Sim;
use wheelhouse::{Handler, Reply, Request, Response, Router};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |index: usize| args.get(index).map_or("", String::as_str);
    let kind = arg(0);
    let target = match kind {
        "literal" | "method" => "/api/v1/thing57",
        "deep" => "/api/v1/thing57/12345/parts/678/notes",
        "rest" => "/static/css/site.css",
        "miss" => "/nothing/here",
        _ => "/api/v1/thing57/12345",
    };
    let requests = arg(2).parse().unwrap_or(1_600);
    // Only other methods have a route for this literal.
    let method = if kind == "method" { "PUT" } else { "GET" };
    match (arg(1), kind) {
        ("boxed", _) => run(boxed(), method, target, requests),
        ("without", _) => run(|_: &Request<'_>| respond(), method, target, requests),
        (_, "host") => run(routes("example.com"), method, target, requests),
        _ => run(routes(""), method, target, requests),
    }
}

/// Creates a router with 102 routes.
fn routes(host: &str) -> impl Handler {
    let mut router =
        Router::<()>::new().mount(&format!("{host}/static"), |_: &Request<'_>| respond());
    for index in 0..33 {
        let index = index * 2 + 1;
        router = router
            .get(&format!("{host}/api/v1/thing{index}"), |_, _| respond())
            .get(&format!("{host}/api/v1/thing{index}/{{id}}"), |_, _| respond())
            .put(&format!("/api/v1/thing{index}/{{id}}"), |_, _| respond());
        if index == 57 {
            let pattern = format!("{host}/api/v1/thing{index}/{{id}}/parts/{{part}}/notes");
            router = router.get(&pattern, |_, _| respond());
        }
    }
    router.build().expect("patterns that do not conflict")
}

/// A handler without routes, whose function the compiler cannot inline, like that of a route.
fn boxed() -> impl Handler {
    let function: Box<dyn FnMut(&Request<'_>) -> Reply> = Box::new(|_| respond().into());
    std::hint::black_box(function)
}

fn respond() -> Response {
    Response::text("Hello, World!")
}

/// Sends `requests` requests, sixteen at a time, as a pipelining client does.
fn run(handler: impl Handler + 'static, method: &str, target: &str, requests: usize) {
    let mut sim = Sim::new(handler);
    let client = sim.connect();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: example.com\r\n\r\n");
    let burst = request.repeat(16);
    for _ in 0..requests / 16 {
        sim.send(client, burst.as_bytes());
        assert!(sim.take_received(client).starts_with(b"HTTP/1.1 "));
    }
}
