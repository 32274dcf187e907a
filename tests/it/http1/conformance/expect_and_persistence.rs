//! Vectors of `Expect` (RFC 9110, section 10.1.1), of persistence (RFC 9112, section 9.3), and of
//! content that no handler reads.

use super::vector::{exactly, get, post, refused, served, Vector, NEXT, SECOND};

pub(crate) fn table() -> Vec<Vector> {
    let mut table = Vec::new();
    expectations(&mut table);
    persistence(&mut table);
    unread(&mut table);
    table
}

fn expectations(table: &mut Vec<Vector>) {
    let body = "Content-Length: 3\r\n\r\nabc";
    for (name, value) in [
        ("t85_continue_is_sent_when_content_is_asked_for", "100-continue"),
        ("t85_continue_in_mixed_case", "100-Continue"),
        ("x1_continue_twice_in_a_list", "100-continue, 100-continue"),
        ("x1_continue_with_empty_members", ", 100-continue,"),
    ] {
        table.push(exactly(
            name,
            format!("{}{NEXT}", post(&format!("Expect: {value}\r\n{body}"))),
            "POST / \"abc\", GET /next | 100, 200 keep, 200 keep | open",
        ));
    }
    table.push(exactly(
        "t85_continue_for_chunks",
        format!(
            "{}{NEXT}",
            post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        ),
        "POST / \"abc\", GET /next | 100, 200 keep, 200 keep | open",
    ));
    table.push(exactly(
        "x3_continue_when_content_has_not_come",
        post("Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
        "POST / ... | 100 | open",
    ));
    table.push(exactly(
        "x3_continue_before_content_piece_by_piece",
        format!("POST /receive HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{body}{NEXT}"),
        "POST /receive \"abc\", GET /next | 100, 200 keep, 200 keep | open",
    ));
    for (name, path, status) in [
        ("seed_46_denied_without_a_continue", "/deny", 401),
        ("x5_ignored_without_a_continue", "/ignore", 200),
        ("b33_ignored_and_the_content_comes_anyway", "/ignore", 200),
    ] {
        let sent = if name.starts_with("b33") { "abc" } else { "" };
        table.push(exactly(
            name,
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n{sent}{SECOND}"),
            format!("POST {path} | {status} close | ended"),
        ));
    }
    table.push(exactly(
        "t87_no_bytes_are_read_after_a_denied_expectation",
        format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{body}\
             PUT /deny HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n{SECOND}"
        ),
        "PUT / \"abc\", PUT /deny | 100, 200 keep, 401 close | ended",
    ));
    table.push(served(
        "t85_continue_without_content_is_nothing",
        post("Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"),
        "POST /",
    ));
    table.push(served("x2_continue_on_a_get_is_nothing", get("Expect: 100-continue\r\n"), "GET /"));
    table.push(exactly(
        "t85_continue_without_content_denied",
        format!("POST /deny HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n{NEXT}"),
        "POST /deny, GET /next | 401 keep, 200 keep | open",
    ));
    table.push(served("t85_read_without_an_expectation", post(body), "POST / \"abc\""));
    table.push(exactly(
        "t85_denied_without_an_expectation",
        format!("POST /deny HTTP/1.1\r\nHost: a\r\n{body}{NEXT}"),
        "POST /deny, GET /next | 401 keep, 200 keep | open",
    ));
    table.push(exactly(
        "x2_continue_in_1_0_is_nothing",
        format!("POST / HTTP/1.0\r\nExpect: 100-continue\r\n{body}"),
        "POST / \"abc\" | 200 close | ended",
    ));
    table.push(served(
        "t86_expect_is_shown",
        "GET /show HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "GET /show host=a [Expect=100-continue]",
    ));
    table.push(served("x6_empty_expectation", get("Expect:\r\n"), "GET /"));
    for (name, value) in [
        ("t85_a_pony", "a-pony"),
        ("x6_a_pony_beside_continue", "100-continue, a-pony"),
        ("x6_continue_with_a_parameter", "100-continue; x"),
        ("x6_continue_and_more", "100-continue2"),
        ("x6_a_list_that_begins_with_a_pony", "pony, 100-continue"),
    ] {
        table.push(refused(
            name,
            post(&format!("Expect: {value}\r\nContent-Length: 0\r\n\r\n")),
            417,
        ));
    }
    table.push(refused(
        "x6_two_expect_lines",
        post("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 0\r\n\r\n"),
        417,
    ));
    table.push(refused("x6_a_pony_in_1_0", "GET / HTTP/1.0\r\nExpect: pony\r\n\r\n", 417));
    table.push(refused("x7_a_pony_with_content", post(&format!("Expect: pony\r\n{body}")), 417));
    table.push(exactly(
        "b33_too_much_content_gets_no_continue",
        format!("{}{SECOND}", post("Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n")),
        "POST / ... | 413 close | ended",
    ));
}

fn persistence(table: &mut Vec<Vector>) {
    for (name, version, connection, keeps) in [
        ("b10_1_1_is_kept", "1.1", "", true),
        ("t16_close_closes", "1.1", "close", false),
        ("b10_close_in_upper_case", "1.1", "CLOSE", false),
        ("b10_close_in_a_list", "1.1", "x, close", false),
        ("b10_close_without_a_space", "1.1", "keep-alive,close", false),
        ("b10_something_else", "1.1", "upgrade", true),
        ("b10_a_word_that_contains_close", "1.1", "closed", true),
        ("b10_quoted_close_is_no_close", "1.1", "\"close\"", true),
        ("t15_1_0_is_closed", "1.0", "", false),
        ("t20_1_0_with_keep_alive_is_kept", "1.0", "keep-alive", true),
        ("b10_1_0_with_keep_alive_in_mixed_case", "1.0", "Keep-Alive", true),
        ("b11_1_0_with_both_is_closed", "1.0", "keep-alive, close", false),
        ("b11_1_0_with_both_the_other_way", "1.0", "close, keep-alive", false),
        ("b10_1_0_with_something_else", "1.0", "keep-alives", false),
    ] {
        let line = if connection.is_empty() {
            String::new()
        } else {
            format!("Connection: {connection}\r\n")
        };
        let expected = match keeps {
            true => "GET /, GET /next | 200 keep, 200 keep | open",
            false => "GET / | 200 close | ended",
        };
        let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{line}\r\n{NEXT}");
        table.push(exactly(name, input, expected));
    }
    table.push(exactly(
        "b10_close_on_a_second_connection_line",
        format!("{}{SECOND}", get("Connection: x\r\nConnection: close\r\n")),
        "GET / | 200 close | ended",
    ));
    table.push(exactly(
        "t17_the_handler_closes",
        format!("GET /close HTTP/1.1\r\nHost: a\r\n\r\n\r\n{SECOND}"),
        "GET /close | 200 close | ended",
    ));
    table.push(exactly(
        "t17_the_handler_closes_1_0",
        "GET /close HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /close | 200 close | ended",
    ));
    for (name, status) in [("t18_a_204_is_kept", 204), ("t18_a_304_is_kept", 304)] {
        for version in ["1.0", "1.1"] {
            let request = format!(
                "GET /{status} HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
            );
            table.push(exactly(
                &format!("{name}_in_{}", version.replace('.', "_")),
                request.repeat(2),
                format!("GET /{status}, GET /{status} | {status} keep, {status} keep | open"),
            ));
        }
    }
    table.push(exactly(
        "t20_options_star_in_1_0",
        "OPTIONS * HTTP/1.0\r\n\r\n",
        "OPTIONS * | 200 close | ended",
    ));
}

fn unread(table: &mut Vec<Vector>) {
    let ignore = |rest: &str| format!("POST /ignore HTTP/1.1\r\nHost: a\r\n{rest}");
    table.push(served(
        "seed_45_ignored_content_of_a_get",
        "GET /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "GET /ignore",
    ));
    table.push(served(
        "b24_ignored_content_that_is_a_request",
        ignore(&format!("Content-Length: {}\r\n\r\n{SECOND}", SECOND.len())),
        "POST /ignore",
    ));
    table.push(exactly(
        "b34_an_early_response_does_not_make_content_a_request",
        ignore(&format!("Content-Length: 100\r\n\r\n{SECOND}")),
        "POST /ignore | 200 keep | open",
    ));
    table.push(exactly(
        "t14_two_ignored_contents",
        format!("{0}{0}{NEXT}", ignore("Content-Length: 11\r\n\r\nhello world")),
        "POST /ignore, POST /ignore, GET /next | 200 keep, 200 keep, 200 keep | open",
    ));
    table.push(served(
        "r2_as_much_as_is_discarded",
        ignore(&format!("Content-Length: 65536\r\n\r\n{}", "x".repeat(65_536))),
        "POST /ignore",
    ));
    table.push(exactly(
        "r2_more_than_is_discarded",
        format!(
            "{}{SECOND}",
            ignore(&format!("Content-Length: 65537\r\n\r\n{}", "x".repeat(65_537)))
        ),
        "POST /ignore | 200 close | ended",
    ));
    table.push(exactly(
        "t27_much_content_that_never_comes",
        ignore("Content-Length: 300000\r\n\r\n"),
        "POST /ignore | 200 close | ended",
    ));
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    table.push(served(
        "r2_as_many_chunks_as_are_discarded",
        ignore(&format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(4))),
        "POST /ignore",
    ));
    table.push(exactly(
        "r4_more_chunks_than_are_discarded",
        format!(
            "{}{SECOND}",
            ignore(&format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(5)))
        ),
        "POST /ignore | 200 keep | ended",
    ));
    table.push(exactly(
        "r9_close_and_unread_content",
        format!("{}{SECOND}", ignore("Connection: close\r\nContent-Length: 3\r\n\r\nabc")),
        "POST /ignore | 200 close | ended",
    ));
    table.push(exactly(
        "x9_bytes_after_an_uninvited_head_are_not_parsed",
        format!("{}{SECOND}{SECOND}", ignore("Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")),
        "POST /ignore | 200 close | ended",
    ));
}
