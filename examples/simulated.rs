//! A test with neither socket nor sleep: the server of a program, with its limits, timers and
//! threads, on a simulated kernel with a virtual clock.
//!
//! ```text
//! cargo run --release --features json --example simulated
//! ```
//!
//! It prints `3621s of the server took 1 ms`. In a program of your own, `main` adds a listener to
//! the server, and the lines of this `main` are in functions with `#[test]`.

use std::thread;
use std::time::{Duration, Instant};

use wheelhouse::router::Routes;
use wheelhouse::{sim::Sim, Error, Limits, Reply, Router, Server, StatusCode};

fn server() -> Server<Vec<String>> {
    Server::with_state(Vec::new())
        .limits(Limits { idle_timeout: Duration::from_secs(20), ..Limits::default() })
        .every(Duration::from_secs(3600), |notes| notes.clear())
}

fn routes() -> Result<Routes<Vec<String>>, Error> {
    Router::<Vec<String>>::new()
        .get("/notes", |notes, _| notes.join(","))
        .json("POST /notes", 4096, |notes, _, note: String| {
            notes.push(note);
            StatusCode::CREATED
        })
        .get("/slow", |_, _| {
            let (later, reply) = Reply::later();
            thread::spawn(|| later.respond("done\n"));
            reply
        })
        .build()
}

fn main() -> Result<(), Error> {
    let begin = Instant::now();
    let mut sim = Sim::of(server(), routes()?)?;
    assert_eq!(sim.request("POST", "/notes").json(&"milk").send().status(), StatusCode::CREATED);
    assert_eq!(sim.get("/notes").text(), "milk");
    assert_eq!(*sim.state(), ["milk"]);
    assert_eq!(sim.get("/slow").text(), "done\n"); // It waits for the thread.

    let (slow, idle) = (sim.connect(), sim.connect());
    sim.send(idle, "GET /notes HTTP/1.1\r\nHost: here\r\n\r\n");
    for _ in 0..21 {
        sim.send(slow, "x"); // A head that never ends, a byte a second.
        sim.advance(Duration::from_secs(1));
    }
    assert!(sim.received(slow).starts_with(b"HTTP/1.1 408 "));
    assert!(sim.received(idle).starts_with(b"HTTP/1.1 200 ") && !sim.is_open(idle));
    sim.advance(Duration::from_secs(3600));
    assert!(sim.state().is_empty(), "the timer has run");
    println!("{:?} of the server took {} ms", sim.now(), begin.elapsed().as_millis());
    Ok(())
}
