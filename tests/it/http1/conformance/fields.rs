//! Vectors of field lines (RFC 9112, section 5; RFC 9110, section 5).

use super::vector::{broken, chunks, exactly, get, post, refused, served, show, Vector, NEXT};

pub(crate) fn table() -> Vec<Vector> {
    let mut table = Vec::new();
    names(&mut table);
    line_ends(&mut table);
    values(&mut table);
    responses(&mut table);
    table
}

fn names(table: &mut Vec<Vector>) {
    for (name, line) in [
        ("seed_22_empty_name", ": x"),
        ("b20_empty_name_that_hides_the_rest", ": \r\nX: y"),
        ("seed_23_high_byte_in_a_name", "X\u{85}: 1"),
        ("seed_23_parentheses_in_a_name", "X(y): 1"),
        ("t52_space_in_a_name", "Foo bar: x"),
        ("t52_high_byte_in_a_name", "Foo\u{ff}: x"),
        ("t52_nul_in_a_name", "Foo\0Bar: x"),
        ("t52_space_before_the_colon", "Foo : x"),
        ("t52_tab_before_the_colon", "Foo\t: x"),
        ("v11_tab_in_a_name", "Foo\tbar: x"),
        ("v11_no_colon", "Foo"),
        ("v11_no_colon_but_spaces", "Foo bar baz"),
        ("v11_quote_in_a_name", "\"Foo\": x"),
        ("v11_slash_in_a_name", "Fo/o: x"),
        ("v11_at_sign_in_a_name", "Fo@o: x"),
        ("v11_bracket_in_a_name", "Fo[o: x"),
        ("v11_equals_sign_in_a_name", "Fo=o: x"),
        ("v11_del_in_a_name", "Fo\u{7f}o: x"),
        ("v11_cr_in_a_name", "Fo\ro: x"),
        ("b18_line_feed_in_a_name", "Fo\no: x"),
        ("b22_vertical_tab_before_the_colon", "Foo\u{b}: x"),
        ("b22_no_break_space_before_the_colon", "Foo\u{a0}: x"),
        ("seed_20_space_before_the_colon_of_a_length", "Content-Length : 5"),
        ("b19_space_before_the_colon_of_a_coding", "Transfer-Encoding : chunked"),
    ] {
        table.push(refused(name, get(&format!("{line}\r\n")), 400));
    }
    for (name, before) in [
        ("seed_21_first_line_begins_with_a_space", " Content-Length: 5\r\n"),
        ("t56_first_line_begins_with_a_tab", "\tX: y\r\n"),
        ("b19_space_alone_on_the_first_line", " \r\n"),
    ] {
        let head = format!("POST / HTTP/1.1\r\n{before}Host: a\r\n\r\n");
        table.push(refused(name, head, 400));
    }
    for (name, line, saw) in [
        ("b23_underscore_is_no_hyphen", "X-Forwarded_For: 1", "[X-Forwarded_For=1]"),
        ("b39_proxy_is_a_name_like_others", "Proxy: evil:80", "[Proxy=evil:80]"),
        ("b54_names_that_are_magic_elsewhere", "__proto__: 1", "[__proto__=1]"),
        ("v11_every_byte_of_a_token", "!#$%&'*+-.^_`|~: 1", "[!#$%&'*+-.^_`|~=1]"),
        ("h9_names_keep_their_case", "x-lOwEr: 1", "[x-lOwEr=1]"),
        ("h9_equal_names_stay_in_order", "A: 1\r\nb: 2\r\na: 3", "[A=1] [b=2] [a=3]"),
        ("h10_pragma_adds_nothing", "Pragma: no-cache", "[Pragma=no-cache]"),
    ] {
        table.push(served(name, show(&format!("{line}\r\n")), &format!("GET /show host=a {saw}")));
    }
    // A name with an underscore is not a framing field.
    table.push(served(
        "b23_an_underscore_makes_no_length",
        get("Content_Length: 500\r\nTransfer_Encoding: chunked\r\n"),
        "GET /",
    ));
    let long = "n".repeat(270);
    table.push(served(
        "b08_name_of_270_bytes",
        show(&format!("{long}: 1\r\n")),
        &format!("GET /show host=a [{long}=1]"),
    ));
}

fn line_ends(table: &mut Vec<Vector>) {
    for (name, lines) in [
        ("seed_36_bare_cr_in_a_value", "A: b\rC: d\r\n"),
        ("h7_line_feed_after_a_field", "A: b\nC: d\r\n"),
        ("b18_line_feed_hides_a_length", "A: b\nContent-Length: 5\r\n"),
        ("b18_cr_lf_cr_and_a_letter", "A: b\r\n\rX"),
        ("b18_cr_cr_lf", "A: b\r\r\n"),
        ("h8_folded_value", "A: b\r\n c\r\n"),
        ("h8_value_folded_with_a_tab", "A: b\r\n\tc\r\n"),
        ("h8_fold_of_nothing", "A: b\r\n \r\n"),
        ("h8_folded_empty_value", "A:\r\n b\r\n"),
        ("seed_19_folded_coding", "Transfer-Encoding:\r\n chunked\r\n"),
        ("b12_folded_second_coding", "Transfer-Encoding: chunked\r\n , identity\r\n"),
        ("b12_folded_length", "Content-Length:\r\n 5\r\n"),
    ] {
        table.push(refused(name, post(&format!("{lines}\r\n")), 400));
    }
    table.push(refused("h7_blank_line_of_a_line_feed", post("A: b\r\n\n"), 400));
    table.push(refused("h7_line_feed_then_cr_lf_as_blank_line", post("A: b\n\r\n"), 400));
    table.push(refused("h8_folded_host", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400));
}

fn values(table: &mut Vec<Vector>) {
    for (name, value, saw) in [
        ("h9_spaces_and_tabs_around_a_value", " \t b c \t ", "b c"),
        ("t57_no_space_after_the_colon", "b", "b"),
        ("t52_space_inside_a_value", " b c", "b c"),
        ("t52_tab_inside_a_value", " b\tc", "b\\tc"),
        ("t52_high_byte_in_a_value", " b\u{ff}", "b\\xff"),
        ("b22_next_line_is_no_space", " \u{85}b\u{a0}", "\\x85b\\xa0"),
        ("h9_empty_value", "", ""),
        ("h9_value_of_spaces", "  \t ", ""),
        ("h9_colons_in_a_value", " a:b: c", "a:b: c"),
        ("b38_percent_codes_stay_codes", " %0d%0aX:%20y", "%0d%0aX:%20y"),
    ] {
        let input = show(&format!("A:{value}\r\n"));
        table.push(served(name, input, &format!("GET /show host=a [A={saw}]")));
    }
    for (name, value) in [
        ("seed_37_nul_in_a_value", "b\0c"),
        ("t52_del_in_a_value", "b\u{7f}"),
        ("v12_control_byte_in_a_value", "b\u{1}c"),
        ("b22_vertical_tab_in_a_value", "\u{b}b"),
        ("b22_form_feed_at_the_end_of_a_value", "b\u{c}"),
        ("b38_escape_sequence_in_a_value", "\u{1b}[31mred"),
        ("b21_backspace_in_a_value", "b\u{8}"),
    ] {
        table.push(refused(name, get(&format!("A: {value}\r\n")), 400));
    }
    table.push(served(
        "b45_a_cookie_of_4000_pairs",
        get(&format!("Cookie: {}\r\n", "a=;".repeat(4000))),
        "GET /",
    ));
    table.push(served(
        "b50_long_list_of_nothing",
        get(&format!("Connection: {}\r\n", ",".repeat(8000))),
        "GET /",
    ));
    table.push(served("b49_list_with_empty_members", get("Connection: a,,b\r\n"), "GET /"));
    table.push(served(
        "b55_overlapping_ranges_are_a_matter_of_files",
        get("Range: bytes=0-,5-0,0-0,-1\r\n"),
        "GET /",
    ));
    // Trailer fields are dropped, so announcing any is harmless (Go refuses some names).
    table.push(served(
        "v13_trailer_announces_a_length",
        chunks("1\r\nx\r\n0\r\nContent-Length: 5\r\n\r\n")
            .replace("Host", "Trailer: Content-Length\r\nHost"),
        "POST / \"x\"",
    ));
    table.push(served("v13_trailer_without_chunks", get("Trailer: Host\r\n"), "GET /"));
}

/// Responses whose fields come from the program (part B.2 of the catalogue).
fn responses(table: &mut Vec<Vector>) {
    table.push(exactly(
        "b35_a_field_that_would_split_the_response",
        format!("GET /split HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"),
        "GET /split | 500 close | ended",
    ));
    table.push(broken(
        "b36_a_trailer_field_with_a_bare_line_feed",
        chunks("0\r\nX: y\nSet-Cookie: a=b\r\n\r\n"),
        "POST / ...",
    ));
    for (name, head, saw, status) in [
        ("b37_content_of_a_204_is_not_sent", "GET /204", "GET /204", 204),
        ("b37_content_of_a_304_is_not_sent", "GET /304", "GET /304", 304),
        ("b37_content_of_a_head_is_not_sent", "HEAD /", "HEAD /", 200),
    ] {
        table.push(exactly(
            name,
            format!("{head} HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"),
            format!("{saw}, GET /next | {status} keep, 200 keep | open"),
        ));
    }
    table.push(refused(
        "b38_escape_sequence_in_the_target",
        "GET /\u{1b}[31m HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
    ));
}
