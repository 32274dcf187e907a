//! Vectors of several requests in a row (RFC 9112, section 9.3.2).

use super::run::{list, sum};
use super::vector::{exactly, get, post, Vector, NEXT, SECOND};

pub(crate) fn table() -> Vec<Vector> {
    let mut table = Vec::new();
    in_order(&mut table);
    after_a_fault(&mut table);
    with_an_end(&mut table);
    table
}

/// The same entries `n` times, in the form of a transcript.
fn repeated(n: usize, entries: &str) -> String {
    list(&entries.split(", ").cycle().take(n).map(str::to_owned).collect::<Vec<_>>())
}

fn in_order(table: &mut Vec<Vector>) {
    for (name, n) in [
        ("seed_47_a_hundred_heads_in_one_segment", 100),
        ("b47_as_many_as_one_visit_serves", 32),
        ("b47_one_more_than_a_visit_serves", 33),
        ("t92_two_heads", 2),
        ("b46_a_thousand_heads", 1000),
    ] {
        let expected = format!("{} | {} | open", repeated(n, "GET /"), repeated(n, "200 keep"));
        table.push(exactly(name, get("").repeat(n), expected));
    }
    table.push(exactly(
        "b26_responses_are_sent_in_the_order_of_requests",
        format!(
            "GET /204 HTTP/1.1\r\nHost: a\r\n\r\n{}HEAD / HTTP/1.1\r\nHost: a\r\n\r\n\
             GET /deny HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}",
            post("Content-Length: 3\r\n\r\nabc")
        ),
        "GET /204, POST / \"abc\", HEAD /, GET /deny, GET /next \
         | 204 keep, 200 keep, 200 keep, 401 keep, 200 keep | open",
    ));
    let mixed = format!(
        "{}{}{}{}",
        post("Content-Length: 3\r\n\r\nabc"),
        post("Transfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n"),
        post("Content-Length: 0\r\n\r\n"),
        get("")
    );
    table.push(exactly(
        "l11_every_framing_after_every_other",
        mixed.repeat(3),
        format!(
            "{} | {} | open",
            repeated(12, "POST / \"abc\", POST / \"def\", POST /, GET /"),
            repeated(12, "200 keep")
        ),
    ));
    let content = "x".repeat(20_000);
    table.push(exactly(
        "r10_content_longer_than_a_read_between_heads",
        format!("{0}{1}{0}{1}", get(""), post(&format!("Content-Length: 20000\r\n\r\n{content}"))),
        format!(
            "{} | {} | open",
            repeated(4, &format!("GET /, POST / 20000 bytes of sum {}", sum(content.as_bytes()))),
            repeated(4, "200 keep")
        ),
    ));
    // The head of the second request ends after the first read.
    let long = get(&format!("X: {}\r\n", "y".repeat(12_000)));
    table.push(exactly(
        "r10_long_heads_across_reads",
        long.repeat(4),
        format!("{} | {} | open", repeated(4, "GET /"), repeated(4, "200 keep")),
    ));
    let big = "GET /big HTTP/1.1\r\nHost: a\r\n\r\n";
    table.push(exactly(
        "b46_twenty_responses_of_20_kb",
        big.repeat(20),
        format!("{} | {} | open", repeated(20, "GET /big"), repeated(20, "200 keep")),
    ));
    table.push(exactly(
        "b26_big_and_small_responses_in_turn",
        format!("{big}{}", get("")).repeat(10),
        format!("{} | {} | open", repeated(20, "GET /big, GET /"), repeated(20, "200 keep")),
    ));
    let echo = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n{content}");
    table.push(exactly(
        "l11_five_echoes_of_20_kb",
        echo.repeat(5),
        format!("{} | {} | open", repeated(5, "POST /echo"), repeated(5, "200 keep")),
    ));
    table.push(exactly(
        "t25_an_empty_line_between_all",
        format!("\r\n{}", get("")).repeat(5),
        format!("{} | {} | open", repeated(5, "GET /"), repeated(5, "200 keep")),
    ));
}

fn after_a_fault(table: &mut Vec<Vector>) {
    table.push(exactly(
        "b25_a_bad_request_between_good_ones",
        format!("{}GE(T / HTTP/1.1\r\n\r\n{SECOND}", get("")),
        "GET / | 200 keep, 400 close | ended",
    ));
    table.push(exactly(
        "b25_a_request_that_closes_between_others",
        format!("{}{}{SECOND}{SECOND}", get(""), get("Connection: close\r\n")),
        "GET /, GET / | 200 keep, 200 close | ended",
    ));
    table.push(exactly(
        "b25_forty_good_ones_and_a_bad_one",
        format!("{}Bad\r\n\r\n{SECOND}", get("").repeat(40)),
        format!("{} | {}, 400 close | ended", repeated(40, "GET /"), repeated(40, "200 keep")),
    ));
    table.push(exactly(
        "p1_a_panic_costs_one_connection_but_not_an_earlier_response",
        format!("{}GET /panic HTTP/1.1\r\nHost: a\r\n\r\n{SECOND}", get("")),
        "GET /, GET /panic | 200 keep, 500 close | ended",
    ));
    table.push(exactly(
        "b37_a_fault_of_the_program_does_not_lose_an_earlier_response",
        format!("{}GET /split HTTP/1.1\r\nHost: a\r\n\r\n{SECOND}", get("")),
        "GET /, GET /split | 200 keep, 500 close | ended",
    ));
    table.push(exactly(
        "b25_broken_chunks_after_good_requests",
        format!("{}{}{SECOND}", get(""), post("Transfer-Encoding: chunked\r\n\r\nx\r\n")),
        "GET /, POST / ... | 200 keep, 400 close | ended",
    ));
}

/// The end of the peer's side does not cancel requests (promise 7).
fn with_an_end(table: &mut Vec<Vector>) {
    for (name, n) in [
        ("n13_two_heads_and_the_end", 2),
        ("n13_forty_heads_and_the_end", 40),
        ("n13_a_hundred_heads_and_the_end", 100),
    ] {
        let expected = format!("{} | {} | ended", repeated(n, "GET /"), repeated(n, "200 keep"));
        table.push(exactly(name, get("").repeat(n), expected).and_ends());
    }
    let big = "GET /big HTTP/1.1\r\nHost: a\r\n\r\n";
    table.push(
        exactly(
            "n13_forty_big_responses_and_the_end",
            big.repeat(40),
            format!("{} | {} | ended", repeated(40, "GET /big"), repeated(40, "200 keep")),
        )
        .and_ends(),
    );
    table.push(
        exactly(
            "t16_a_big_last_response",
            format!(
                "{}GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{SECOND}",
                big.repeat(3)
            ),
            format!(
                "{} | 200 keep, 200 keep, 200 keep, 200 close | ended",
                repeated(4, "GET /big")
            ),
        )
        .and_ends(),
    );
    table.push(
        exactly(
            "n13_forty_heads_and_a_half_and_the_end",
            format!("{}GET", get("").repeat(40)),
            format!("{} | {}, 400 close | ended", repeated(40, "GET /"), repeated(40, "200 keep")),
        )
        .and_ends(),
    );
    table.push(
        exactly(
            "n13_forty_heads_and_content_cut_short",
            format!("{}{}", get("").repeat(40), post("Content-Length: 5\r\n\r\nabc")),
            format!(
                "{}, POST / ... | {}, 400 close | ended",
                repeated(40, "GET /"),
                repeated(40, "200 keep")
            ),
        )
        .and_ends(),
    );
    table.push(
        exactly(
            "n13_forty_heads_and_ignored_content_cut_short",
            format!(
                "{}POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
                get("").repeat(40)
            ),
            format!(
                "{}, POST /ignore | {} | ended",
                repeated(40, "GET /"),
                repeated(41, "200 keep")
            ),
        )
        .and_ends(),
    );
}
