//! The conformance table: input bytes and the expected results.
//!
//! Each vector is a name, the bytes of one connection and a transcript: the requests that the
//! handler saw, the responses in their order, and the end of the connection. Each is sent whole,
//! byte by byte, cut in two at every place, cut in three, and cut at random, and must give the same
//! transcript and the same bytes every time: the segments of a stream must not change its meaning.
//!
//! Names begin with the source of a vector: `bNN` a class of advisories, `seed_NN` one of the first
//! 48 vectors, `tNN`, `vN`, `kN`, ... a row of the behaviour of Go's server. Wheelhouse differs
//! from Go on purpose where it is stricter: it refuses bytes that two parsers could read in two
//! ways.
//!
//! `WHEELHOUSE_SEED=n cargo test --test it conformance` repeats the random parts of a failure.

mod chunked;
mod expect_and_persistence;
mod fields;
mod framing;
mod host_and_target;
mod message_limits;
mod pipelining;
mod properties;
mod request_line;
mod response;
mod run;
mod vector;

use std::collections::HashSet;

use wheelhouse::sim::Sim;
use wheelhouse::{Request, Response};

use vector::Vector;

/// The table must not shrink unnoticed.
const VECTORS_MIN: usize = 600;

/// All vectors.
pub(crate) fn vectors() -> Vec<Vector> {
    let tables = [
        request_line::table(),
        fields::table(),
        host_and_target::table(),
        framing::table(),
        chunked::table(),
        expect_and_persistence::table(),
        message_limits::table(),
        pipelining::table(),
    ];
    tables.into_iter().flatten().collect()
}

/// Go: TestServerHandlersCanHandleH2PRI and others (t181).
#[test]
fn request_lines_give_the_same_result_however_they_are_cut() {
    run::check(&request_line::table());
}

/// Go: Test304Responses (t109), TestCodesPreventingContentTypeAndBody (t110).
#[test]
fn field_lines_give_the_same_result_however_they_are_cut() {
    run::check(&fields::table());
}

/// Go: TestOptionsHandler (t179), TestStarRequestMethod (t180).
#[test]
fn hosts_and_targets_give_the_same_result_however_they_are_cut() {
    run::check(&host_and_target::table());
}

/// Go: HTTP/1.0 with chunked and keep-alive (n5), length and chunked on a kept connection (n6).
#[test]
fn framing_gives_the_same_result_however_it_is_cut() {
    run::check(&framing::table());
}

/// Go: bare line feeds at the end of a trailer section (n4), full duplex, a bad trailer, a request
/// after it (n16).
#[test]
fn chunked_content_gives_the_same_result_however_it_is_cut() {
    run::check(&chunked::table());
}

#[test]
fn expectations_and_persistence_do_not_depend_on_how_requests_are_cut() {
    run::check(&expect_and_persistence::table());
}

/// Go: the bounds of lines and bytes of a head (n15), TestRequestLimit (t48).
#[test]
fn limits_apply_at_the_same_byte_however_requests_are_cut() {
    run::check(&message_limits::table());
}

#[test]
fn pipelined_requests_get_the_same_responses_however_they_are_cut() {
    run::check(&pipelining::table());
}

/// Vector 47 of the first 48: the server reads only as much as the client reads back.
#[test]
fn the_server_soon_stops_reading_from_a_peer_that_never_reads() {
    let mut sim = Sim::new(|_: &Request<'_>| Response::text("x".repeat(1000)));
    let client = sim.connect();
    sim.stall(client, 4 << 10);
    let before = sim.memory();
    let requests = vector::get("").repeat(100);
    sim.send(client, requests.as_bytes());
    let (served, held) = (sim.report().totals.requests, sim.memory() - before);
    for _ in 0..100 {
        sim.send(client, requests.as_bytes());
    }
    assert!(served < 100, "{served} responses while the client does not read");
    assert_eq!(sim.report().totals.requests, served, "no request is served while output waits");
    assert_eq!(sim.memory() - before, held, "unread requests take no memory");
    assert_eq!(sim.unread(client), 100 * requests.len());
    sim.unstall(client);
    assert_eq!(
        sim.report().totals.requests,
        101 * 100,
        "all requests are served when the client reads again"
    );
}

/// Vector 48: the memory of a head depends on its length, not on the number of its segments.
#[test]
fn a_head_in_tiny_segments_holds_one_block() {
    let mut sim = Sim::new(|_: &Request<'_>| "ok");
    let client = sim.connect();
    let before = sim.memory();
    let head = vector::get(&format!("X: {}\r\n", "y".repeat(17_000)));
    let mut most = 0;
    for byte in head.as_bytes().iter().take((16 << 10) - 1) {
        sim.send(client, [*byte]);
        most = most.max(sim.memory() - before);
    }
    // The block of 16 KiB, the smaller ones that the head outgrew, and the box of work.
    assert!(most <= (16 + 4 + 1 + 1) << 10, "{most} bytes held");
    assert!(sim.received(client).is_empty());
    sim.send(client, b"y");
    assert!(sim.received(client).starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn the_table_has_the_promised_size_and_every_name_is_used_once() {
    let vectors = vectors();
    let names: Vec<&str> = vectors.iter().map(|vector| vector.name.as_str()).collect();
    println!("{} vectors", names.len());
    assert!(names.len() >= VECTORS_MIN, "only {} vectors", names.len());
    let mut seen = HashSet::new();
    for name in &names {
        assert!(seen.insert(name), "{name} is used twice");
    }
    for seed in 1..=48 {
        let prefix = format!("seed_{seed:02}_");
        assert!(names.iter().any(|name| name.starts_with(&prefix)), "{prefix} is missing");
    }
}
