//! Vectors of the limits of a head and of content, and of the deadlines (part B.3 of the
//! catalogue). Default limits throughout.

use super::run::sum;
use super::vector::{exactly, get, post, refused, served, Vector, SECOND};

pub(crate) fn table() -> Vec<Vector> {
    let mut table = Vec::new();
    heads(&mut table);
    counts(&mut table);
    contents(&mut table);
    deadlines(&mut table);
    table
}

/// A `GET /` of exactly `len` bytes.
fn head_of(len: usize) -> String {
    let around = get("X: \r\n").len();
    get(&format!("X: {}\r\n", "y".repeat(len - around)))
}

fn heads(table: &mut Vec<Vector>) {
    table.push(served("b43_a_head_of_16_kib", head_of(16 << 10), "GET /"));
    table.push(refused("seed_48_a_head_of_16_kib_and_a_byte", head_of((16 << 10) + 1), 431));
    table.push(refused(
        "b43_a_value_of_20_kib",
        get(&format!("X: {}\r\n", "y".repeat(20_000))),
        431,
    ));
    table.push(refused(
        "b43_a_name_of_20_kib",
        get(&format!("{}: y\r\n", "X".repeat(20_000))),
        431,
    ));
    table.push(refused(
        "b43_a_line_without_an_end",
        format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(17_000)),
        431,
    ));
    table.push(served(
        "b42_a_head_of_many_lines_in_tiny_segments",
        get(&"X: 0123456789\r\n".repeat(90)),
        "GET /",
    ));
    table.push(refused("h2_spaces_count_too", get(&format!("X:{}\r\n", " ".repeat(17_000))), 431));
    // The empty line before a request is part of its head.
    table.push(refused(
        "h2_an_empty_line_counts_too",
        format!("\r\n{}", head_of((16 << 10) - 1)),
        431,
    ));
    let target = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(len - 1));
    table.push(served(
        "h3_a_target_of_8_kib",
        target(8 << 10),
        &format!("GET /{}", "t".repeat(8191)),
    ));
    table.push(refused("h3_a_target_of_8_kib_and_a_byte", target((8 << 10) + 1), 414));
    table.push(refused("h3_a_target_of_100_kb", target(100_000), 414));
    // The first fault decides the response, whatever comes after it.
    table.push(refused(
        "h2_a_bad_line_before_the_limit",
        get(&format!("Bad Line\r\nX: {}\r\n", "y".repeat(20_000))),
        400,
    ));
    table.push(refused(
        "h3_a_bad_byte_before_the_limit_of_a_target",
        format!("GET /\u{1}{} HTTP/1.1\r\n\r\n", "t".repeat(9000)),
        400,
    ));
}

fn counts(table: &mut Vec<Vector>) {
    // `Host` counts, too.
    table.push(served("t49_one_hundred_lines", get(&"A: b\r\n".repeat(99)), "GET /"));
    table.push(refused("t49_one_hundred_and_one_lines", get(&"A: b\r\n".repeat(100)), 431));
    table.push(refused("b44_a_thousand_tiny_lines", get(&"a:\r\n".repeat(1000)), 431));
    table.push(served(
        "t49_one_line_of_a_thousand_members",
        get(&format!("A: {}\r\n", "b,".repeat(1000))),
        "GET /",
    ));
    // The names in a `Trailer` field are not kept, so they do not count.
    let names: String = (0..110).map(|n| format!("A{n},")).collect();
    table.push(served(
        "t49_a_hundred_and_ten_announced_trailers",
        post(&format!("Transfer-Encoding: chunked\r\nTrailer: {names}\r\n\r\n0\r\n\r\n")),
        "POST / \"\"",
    ));
    let distinct: String = (0..110).map(|n| format!("A{n}: b\r\n")).collect();
    table.push(refused("t49_one_hundred_and_ten_names", get(&distinct), 431));
    table.push(refused("b54_a_hundred_colliding_names", get(&"__proto__: x\r\n".repeat(101)), 431));
}

fn contents(table: &mut Vec<Vector>) {
    let full = "x".repeat(64 << 10);
    table.push(served(
        "t154_content_up_to_the_limit",
        post(&format!("Content-Length: 65536\r\n\r\n{full}")),
        &format!("POST / 65536 bytes of sum {}", sum(full.as_bytes())),
    ));
    table.push(exactly(
        "b59_too_much_content_is_refused_before_it_is_read",
        format!("{}{SECOND}", post(&format!("Content-Length: 65537\r\n\r\n{full}x"))),
        "POST / ... | 413 close | ended",
    ));
    // The rest of the content is read and dropped.
    table.push(exactly(
        "b59_a_response_survives_content_that_is_still_sent",
        post(&format!("Content-Length: 1000000\r\n\r\n{full}{full}")),
        "POST / ... | 413 close | ended",
    ));
    let mib = "0123456789abcdef".repeat(16 << 10);
    table.push(served(
        "t153_content_piece_by_piece_has_no_limit",
        format!("POST /receive HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{mib}", mib.len()),
        &format!("POST /receive {} bytes of sum {}", mib.len(), sum(mib.as_bytes())),
    ));
}

fn deadlines(table: &mut Vec<Vector>) {
    table.push(exactly("b40_a_silent_peer", "", " |  | ended").and_waits(20));
    table.push(exactly("b40_a_head_that_stops", "GET / HT", " | 408 close | ended").and_waits(20));
    table.push(
        exactly(
            "b40_a_second_head_that_stops",
            format!("{}GET", get("")),
            "GET / | 200 keep, 408 close | ended",
        )
        .and_waits(20),
    );
    table.push(exactly("b40_an_empty_line_that_stops", "\r\n", " |  | ended").and_waits(20));
    table.push(exactly("d12_a_head_in_time", "GET / HT", " |  | open").and_waits(5));
    table
        .push(exactly("d7_an_idle_connection", get(""), "GET / | 200 keep | ended").and_waits(110));
    table.push(
        exactly("d7_a_connection_idle_for_a_while", get(""), "GET / | 200 keep | open")
            .and_waits(90),
    );
    table.push(
        exactly("b57_a_preamble_without_an_end", "PROXY", " | 408 close | ended").and_waits(20),
    );
    table.push(
        exactly(
            "b41_chunks_that_stop",
            post("Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
            "POST / ... | 408 close | ended",
        )
        .and_waits(30),
    );
}
