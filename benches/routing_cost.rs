//! What finding a route costs, in instructions, which do not depend on the machine's mood: the
//! same requests with 100 routes and with none, counted at two lengths, so that what happens once
//! drops out. Needs valgrind. Last seen (x86-64, rustc's default target), more than without a
//! router:
//!
//! | | literal | param | rest | deep | host | miss | method |
//! |---|---|---|---|---|---|---|---|
//! | the same function behind a pointer (`boxed`) | 210 | 283 | 298 | 399 | 388 | 521 | 2,868 |
//! | a closure whose answer the compiler sees ahead of time (`without`) | 325 | 398 | 413 | 514 | 503 | 636 | 2,990 |
//!
//! The difference of the rows is no search: it is what any handler costs that is not a constant.
//! (`deep` has five segments and two wildcards, `miss` is a 404, `method` a 405, whose head is made
//! anew for each. What the compiler inlines makes a few instructions come and go.)
//!
//! ```text
//! bin=$(cargo bench --no-run --bench routing_cost 2>&1 | sed -n "s/.*Executable.*(\(.*\))/\1/p")
//! for kind in literal param deep rest host miss method; do
//!   for table in without with; do
//!     for requests in 1600 11200; do
//!       valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!         $bin $kind $table $requests 2>&1 |
//!         awk -v k=$kind -v t=$table -v r=$requests '/Collected/ { print k, t, r, $4 }'
//!     done
//!   done
//! done | awk '{ if (NR % 2) n = $4; else { d = ($4 - n) / 9600
//!   if ($2 == "with") printf "%s: %.0f more\n", $1, d - without; else without = d } }'
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
    // A literal that there is for another method.
    let method = if kind == "method" { "PUT" } else { "GET" };
    match (arg(1), kind) {
        ("boxed", _) => run(boxed(), method, target, requests),
        ("without", _) => run(|_: &Request<'_>| answer(), method, target, requests),
        (_, "host") => run(routes("example.com"), method, target, requests),
        _ => run(routes(""), method, target, requests),
    }
}

/// A hundred and two routes.
fn routes(host: &str) -> impl Handler {
    let mut router = Router::new(()).mount(&format!("{host}/static"), |_, _| answer());
    for index in 0..33 {
        let index = index * 2 + 1;
        router = router
            .get(&format!("{host}/api/v1/thing{index}"), |_, _| answer())
            .get(&format!("{host}/api/v1/thing{index}/{{id}}"), |_, _| answer())
            .put(&format!("/api/v1/thing{index}/{{id}}"), |_, _| answer());
        if index == 57 {
            let pattern = format!("{host}/api/v1/thing{index}/{{id}}/parts/{{part}}/notes");
            router = router.get(&pattern, |_, _| answer());
        }
    }
    router.build().expect("patterns that do not conflict")
}

/// No routes, but the compiler cannot see what is answered, as it cannot behind a route.
fn boxed() -> impl Handler {
    let function: Box<dyn FnMut(&Request<'_>) -> Reply> = Box::new(|_| answer().into());
    std::hint::black_box(function)
}

fn answer() -> Response {
    Response::text("Hello, World!")
}

/// Sixteen requests at a time, as a pipelining client sends them.
fn run(handler: impl Handler, method: &str, target: &str, requests: usize) {
    let mut sim = Sim::new(handler);
    let client = sim.connect();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: example.com\r\n\r\n");
    let burst = request.repeat(16);
    for _ in 0..requests / 16 {
        sim.send(client, burst.as_bytes());
        assert!(sim.take_received(client).starts_with(b"HTTP/1.1 "));
    }
}
