//! Test vectors for the length of content (RFC 9112, section 6): every class of request smuggling.

use super::vector::{broken, chunks, exactly, post, refused, served, Vector, NEXT, SECOND};

pub(crate) fn table() -> Vec<Vector> {
    let mut table = Vec::new();
    both(&mut table);
    lengths(&mut table);
    codings(&mut table);
    methods(&mut table);
    cut_short(&mut table);
    table
}

fn both(table: &mut Vec<Vector>) {
    let body = "\r\n0\r\n\r\n";
    for (name, lines) in [
        ("seed_01_length_and_coding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("b01_coding_and_length", "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"),
        ("t55_coding_and_a_long_length", "Transfer-Encoding: chunked\r\nContent-Length: 9999\r\n"),
        (
            "t52_coding_and_a_length_of_letters",
            "Transfer-Encoding: chunked\r\nContent-Length: no\r\n",
        ),
        ("b08_coding_and_an_empty_length", "Transfer-Encoding: chunked\r\nContent-Length:\r\n"),
        ("b11_unknown_coding_and_length", "Transfer-Encoding: foo\r\nContent-Length: 5\r\n"),
        ("b11_empty_coding_and_length", "Transfer-Encoding:\r\nContent-Length: 5\r\n"),
        ("seed_14_coding_twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        (
            "b09_chunked_and_identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ),
        (
            "b09_identity_and_chunked",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("b09_chunked_and_nothing", "Transfer-Encoding: chunked\r\ntransfer-encoding:\r\n"),
    ] {
        table.push(refused(name, post(&format!("{lines}{body}")), 400));
    }
    let old = |lines: &str| {
        format!("POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n{lines}{body}")
    };
    for (name, lines) in [
        ("seed_02_length_and_coding_in_1_0", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("b02_chunked_in_1_0", "Transfer-Encoding: chunked\r\n"),
        ("b02_identity_in_1_0", "Transfer-Encoding: identity\r\n"),
    ] {
        table.push(refused(name, old(lines), 400));
    }
}

fn lengths(table: &mut Vec<Vector>) {
    for (name, lines) in [
        ("seed_03_equal_lengths", "Content-Length: 5\r\nContent-Length: 5\r\n"),
        ("seed_04_different_lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("b03_one_and_zero", "Content-Length: 1\r\nContent-Length: 0\r\n"),
        ("t57_ten_and_zero", "Content-Length: 10\r\nContent-Length: 0\r\n"),
        ("t57_zero_twice", "Content-Length: 0\r\nContent-Length: 0\r\n"),
        (
            "t57_three_equal_with_odd_spaces",
            "Content-Length: 0\r\nContent-Length:0 \r\nContent-Length:\t0\r\n",
        ),
        ("t57_empty_and_three", "Content-Length:\r\nContent-Length: 3\r\n"),
        ("b03_in_different_letters", "Content-Length: 5\r\ncONTENT-lENGTH: 5\r\n"),
        ("b03_far_apart", "Content-Length: 5\r\nA: b\r\nC: d\r\nContent-Length: 5\r\n"),
        ("seed_05_list_of_equal_lengths", "Content-Length: 5, 5\r\n"),
        ("b03_list_of_different_lengths", "Content-Length: 5, 6\r\n"),
        ("b03_list_with_an_empty_member", "Content-Length: 5,\r\n"),
        ("b03_list_that_begins_with_a_comma", "Content-Length: ,5\r\n"),
        ("seed_06_length_with_a_plus", "Content-Length: +5\r\n"),
        ("seed_07_negative_length", "Content-Length: -5\r\n"),
        ("b06_length_that_takes_back_the_request", "Content-Length: -52\r\n"),
        ("t64_minus_zero", "Content-Length: -0\r\n"),
        ("seed_08_hexadecimal_length", "Content-Length: 0x5\r\n"),
        ("seed_09_length_with_an_underscore", "Content-Length: 5_0\r\n"),
        ("b04_one_underscore_zero", "Content-Length: 1_0\r\n"),
        ("b04_length_and_a_semicolon", "Content-Length: 10;\r\n"),
        ("b04_length_and_a_vertical_tab", "Content-Length: 10\u{b}\r\n"),
        ("b04_length_with_a_point", "Content-Length: 5.0\r\n"),
        ("b04_length_with_an_exponent", "Content-Length: 5e0\r\n"),
        ("b04_quoted_length", "Content-Length: \"5\"\r\n"),
        ("b22_length_and_a_no_break_space", "Content-Length: 5\u{a0}\r\n"),
        ("b04_length_in_other_digits", "Content-Length: \u{d9}\u{a5}\r\n"),
        ("seed_10_empty_length", "Content-Length:\r\n"),
        ("b07_length_of_spaces", "Content-Length:   \t\r\n"),
        ("seed_11_space_inside_a_length", "Content-Length: 1 2\r\n"),
        ("b05_tab_inside_a_length", "Content-Length: 1\t2\r\n"),
        ("seed_12_length_of_two_to_the_64", "Content-Length: 18446744073709551616\r\n"),
        ("b04_length_that_wraps_to_5", "Content-Length: 18446744073709551621\r\n"),
        ("t64_length_of_two_to_the_63", "Content-Length: 9223372036854775808\r\n"),
        ("b04_length_of_20_digits", "Content-Length: 00000000000000000005\r\n"),
        ("t52_length_of_letters", "Content-Length: notdigits\r\n"),
        ("b18_cr_inside_a_length", "Content-Length: 5\r5\r\n"),
    ] {
        table.push(refused(name, post(&format!("{lines}\r\nabcde")), 400));
    }
    for (name, length, content) in [
        ("seed_13_length_with_leading_zeros", "0000000000000000005", "abcde"),
        ("t64_plain_length", "3", "abc"),
        ("b3_spaces_around_a_length", " \t 3 \t ", "abc"),
        ("b5_content_that_looks_like_a_request", "16", "GET / HTTP/1.1\\r\\n"),
        ("b5_content_of_line_ends", "4", "\\r\\n\\r\\n"),
    ] {
        let raw = content.replace("\\r", "\r").replace("\\n", "\n");
        let input = post(&format!("Content-Length: {length}\r\n\r\n{raw}"));
        table.push(served(name, input, &format!("POST / \"{content}\"")));
    }
    table.push(served("t55_length_zero", post("Content-Length: 0\r\n\r\n"), "POST /"));
    // The announced length is over the limit, so the content is refused before it is read.
    table.push(exactly(
        "b58_the_longest_length_that_there_is",
        format!("{}{SECOND}", post("Content-Length: 9223372036854775807\r\n\r\n")),
        "POST / ... | 413 close | ended",
    ));
}

fn codings(table: &mut Vec<Vector>) {
    for (name, value, status) in [
        ("seed_15_xchunked", "xchunked", 501),
        ("t62_fugazi", "fugazi", 501),
        ("t62_foo_bar", "foo-bar", 501),
        ("t62_unknown", "unknown", 501),
        ("t62_quoted_with_a_space", "\" chunked\"", 400),
        ("t63_identity", "identity", 501),
        ("b1_gzip", "gzip", 501),
        ("b10_chunkedx", "chunkedx", 501),
        ("b10_chunked_cut_short", "chunke", 501),
        ("seed_16_chunked_identity", "chunked, identity", 400),
        ("seed_16_identity_chunked", "identity, chunked", 400),
        ("w27_gzip_chunked", "gzip, chunked", 400),
        ("t63_chunked_chunked", "chunked, chunked", 400),
        ("b10_comma_before", ",chunked", 400),
        ("b10_comma_after", "chunked,", 400),
        ("b10_comma_alone", ",", 400),
        ("seed_17_quoted", "\"chunked\"", 400),
        ("seed_17_vertical_tab_before", "\u{b}chunked", 400),
        ("seed_17_no_break_space_before", "\u{a0}chunked", 400),
        ("b10_no_break_space_after", "chunked\u{a0}", 400),
        ("b10_parameter", "chunked;x", 400),
        ("b10_parameter_with_a_value", "chunked;q=0", 400),
        ("b10_two_words", "chunked identity", 400),
        ("b10_nul_after", "chunked\0", 400),
        ("b10_form_feed_after", "chunked\u{c}", 400),
        ("b10_in_parentheses", "(x)chunked", 400),
        ("t63_empty", "", 400),
    ] {
        let input = post(&format!("Transfer-Encoding: {value}\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"));
        table.push(refused(&format!("{name}_as_coding"), input, status));
    }
    let body = "\r\n5\r\nabcde\r\n0\r\n\r\n";
    for (name, line) in [
        ("seed_18_chunked_in_upper_case", "Transfer-Encoding: CHUNKED"),
        ("t63_chunked", "Transfer-Encoding: chunked"),
        ("b10_spaces_around_chunked", "Transfer-Encoding: \t chunked \t "),
        ("b10_no_space_before_chunked", "tRANSFER-eNCODING:chunked"),
    ] {
        table.push(served(name, post(&format!("{line}\r\n{body}")), "POST / \"abcde\""));
    }
}

fn methods(table: &mut Vec<Vector>) {
    let with = |method: &str, rest: &str| format!("{method} / HTTP/1.1\r\nHost: a\r\n{rest}");
    for method in ["GET", "HEAD", "DELETE", "PUT", "OPTIONS"] {
        table.push(served(
            &format!("b7_{}_with_a_length", method.to_lowercase()),
            with(method, "Content-Length: 3\r\n\r\nabc"),
            &format!("{method} / \"abc\""),
        ));
        table.push(served(
            &format!("t83_{}_with_chunks", method.to_lowercase()),
            with(method, "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            &format!("{method} / \"abc\""),
        ));
    }
    for method in ["GET", "HEAD"] {
        let all = [
            with(method, "Content-Length: 0\r\n\r\n"),
            with(method, "Content-Length: 3\r\n\r\nabc"),
            with(method, "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            with(method, "Transfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n"),
        ];
        let saw = ["", " \"abc\"", " \"\"", " \"def\""].map(|saw| format!("{method} /{saw}"));
        table.push(exactly(
            &format!("t83_{}_with_and_without_content_in_turn", method.to_lowercase()),
            all.concat(),
            format!("{} | 4 x 200 keep | open", saw.join(", ")),
        ));
    }
    for method in ["GET", "POST", "PUT", "PATCH"] {
        table.push(exactly(
            &format!("b27_{}_without_framing_has_no_content", method.to_lowercase()),
            format!("{}{NEXT}", with(method, "\r\n")),
            format!("{method} /, GET /next | 200 keep, 200 keep | open"),
        ));
    }
    // Bytes without an announced length are the next request, which is malformed.
    table.push(exactly(
        "b27_content_without_framing_is_no_content",
        format!("{}{SECOND}", with("GET", "\r\n{\"a\": 1}")),
        "GET / | 200 keep, 400 close | ended",
    ));
    table.push(served(
        "t55_head_with_length_zero",
        with("HEAD", "Content-Length: 0\r\n\r\n"),
        "HEAD /",
    ));
    table.push(refused(
        "t56_head_with_two_lengths",
        with("HEAD", "Content-Length: 4\r\nContent-Length: 5\r\n\r\n1234"),
        400,
    ));
    table.push(served(
        "b5_content_piece_by_piece",
        "POST /receive HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /receive \"abcde\"",
    ));
}

fn cut_short(table: &mut Vec<Vector>) {
    for (name, input) in [
        ("b12_end_inside_content", post("Content-Length: 5\r\n\r\nabc")),
        ("b12_end_before_content", post("Content-Length: 5\r\n\r\n")),
        ("b53_end_inside_a_chunk", chunks("5\r\nabc")),
        ("b53_end_between_chunks", chunks("3\r\nabc\r\n")),
        ("t79_end_before_the_trailer", chunks("3\r\nabc\r\n0\r\n")),
        ("b53_end_inside_a_trailer", chunks("0\r\nX: y\r\n")),
    ] {
        table.push(exactly(name, input, "POST / ... | 400 close | ended").and_ends());
    }
    table.push(
        exactly(
            "t163_end_after_content",
            post("Content-Length: 3\r\n\r\nabc"),
            "POST / \"abc\" | 200 keep | ended",
        )
        .and_ends(),
    );
    table.push(
        exactly(
            "b12_end_inside_ignored_content",
            "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
            "POST /ignore | 200 keep | ended",
        )
        .and_ends(),
    );
    // The rate is measured over a first window of 15 s.
    table.push(
        exactly(
            "b41_content_that_stops",
            post("Content-Length: 5\r\n\r\nabc"),
            "POST / ... | 408 close | ended",
        )
        .and_waits(30),
    );
    table.push(broken("b53_a_chunk_that_never_was", chunks("{\"a\":1}"), "POST / ..."));
}
