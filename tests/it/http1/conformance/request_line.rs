//! Vectors of the request line and the bytes before it (RFC 9112, sections 2.2, 2.3 and 3).

use super::vector::{exactly, get, post, refused, served, Vector, NEXT};

pub(crate) fn table() -> Vec<Vector> {
    let mut table = Vec::new();
    versions(&mut table);
    methods(&mut table);
    shapes(&mut table);
    before(&mut table);
    table
}

fn versions(table: &mut Vec<Vector>) {
    let head = |version: &str| format!("GET / {version}\r\nHost: a\r\n\r\n");
    for (name, version) in [
        ("v3_http_1_9_is_served_as_1_1", "HTTP/1.9"),
        ("seed_42_http_1_2_is_served_as_1_1", "HTTP/1.2"),
    ] {
        table.push(served(name, head(version), "GET /"));
    }
    for (name, version) in [
        ("seed_42_http_2_0", "HTTP/2.0"),
        ("t51_http_3_0", "HTTP/3.0"),
        ("t51_http_0_9", "HTTP/0.9"),
        ("t58_http_0_0", "HTTP/0.0"),
        ("v3_http_9_1", "HTTP/9.1"),
    ] {
        table.push(refused(name, head(version), 505));
    }
    for (name, version) in [
        ("seed_42_http_1_32", "HTTP/1.32"),
        ("b30_major_that_wraps_to_1", "HTTP/4294967297.1"),
        ("b30_minor_that_wraps_to_1", "HTTP/1.4294967297"),
        ("v2_http_1_10", "HTTP/1.10"),
        ("v2_version_with_a_plus", "HTTP/+1.1"),
        ("v2_http_3_14", "HTTP/3.14"),
        ("v2_lower_case_http", "http/1.1"),
        ("v2_mixed_case_http", "HtTP/1.1"),
        ("t58_version_with_a_comma", "HTTP/1,1"),
        ("t58_version_without_a_minor", "HTTP/1."),
        ("t58_version_without_a_major", "HTTP/.1"),
        ("t58_version_without_a_dot", "HTTP/11"),
        ("t58_version_without_a_number", "HTTP/"),
        ("t58_version_without_a_slash", "HTTP 1.1"),
        ("t58_version_with_a_minus", "HTTP/-1.1"),
        ("t58_version_of_words", "HTTP/one.one"),
        ("t58_version_with_a_leading_zero", "HTTP/01.1"),
        ("t58_version_with_a_zero_before_the_minor", "HTTP/1.01"),
        ("t58_another_protocol", "HTTPS/1.1"),
        ("t58_a_letter_is_missing", "HTP/1.1"),
        ("v2_space_inside_the_version", "HTTP/ 1.1"),
        ("v2_space_after_the_version", "HTTP/1.1 "),
        ("v2_tab_after_the_version", "HTTP/1.1\t"),
        ("v2_junk_after_the_version", "HTTP/1.1x"),
        ("v2_a_nul_after_the_version", "HTTP/1.1\0"),
    ] {
        table.push(refused(name, head(version), 400));
    }
    // Go calls a handler with this preface; a server without HTTP/2 cannot serve it.
    table.push(refused("v4_http_2_preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505));
    table.push(refused("v4_pri_with_a_path", "PRI / HTTP/2.0\r\nHost: a\r\n\r\n", 505));
    // Go responds with 501, as it judges the coding first. Here an unknown major version comes
    // first.
    table.push(refused(
        "v3_the_version_is_judged_before_the_coding",
        "GET / HTTP/2.0\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
        505,
    ));
}

fn methods(table: &mut Vec<Vector>) {
    let head = |method: &str| format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
    table.push(served("t53_get", get(""), "GET /"));
    for (name, method) in [
        ("t54_methods_keep_their_case", "get"),
        ("v1_unknown_methods_reach_the_handler", "FROBNICATE"),
        ("v1_every_byte_that_a_token_may_have", "!#$%&'*+-.^_`|~09AZaz"),
        ("v1_a_method_of_one_letter", "G"),
        ("h3_a_method_of_32_bytes", "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM"),
    ] {
        table.push(served(name, head(method), &format!("{method} /")));
    }
    table.push(refused("h3_a_method_of_33_bytes", head(&"M".repeat(33)), 501));
    table.push(refused("h3_a_method_of_5000_bytes", head(&"M".repeat(5000)), 501));
    for (name, method) in [
        ("t53_parenthesis_in_the_method", "GE(T"),
        ("v1_no_method", ""),
        ("v1_colon_in_the_method", "GE:T"),
        ("v1_quote_in_the_method", "\"GET\""),
        ("v1_slash_in_the_method", "GE/T"),
        ("v1_control_byte_in_the_method", "GE\u{1}T"),
        ("v1_del_in_the_method", "GE\u{7f}T"),
        ("v1_high_byte_in_the_method", "GE\u{c3}T"),
        ("v1_at_sign_in_the_method", "@GET"),
    ] {
        table.push(refused(name, head(method), 400));
    }
    // The LF cuts the method off, so it must not be read as a longer one.
    table.push(refused("v1_line_feed_in_the_method", "GE\nT / HTTP/1.1\r\nHost: a\r\n\r\n", 400));
}

fn shapes(table: &mut Vec<Vector>) {
    let rest = "\r\nHost: a\r\n\r\n";
    for (name, line) in [
        ("seed_40_two_spaces_before_the_target", "GET  / HTTP/1.1"),
        ("seed_40_tab_before_the_version", "GET /\tHTTP/1.1"),
        ("seed_41_space_in_the_target", "GET /a b HTTP/1.1"),
        ("h6_two_spaces_before_the_version", "GET /  HTTP/1.1"),
        ("h6_tab_before_the_target", "GET\t/ HTTP/1.1"),
        ("h6_space_before_the_method", " GET / HTTP/1.1"),
        ("h6_no_target", "GET HTTP/1.1"),
        ("h6_empty_target", "GET  HTTP/1.1"),
        ("h6_nothing_but_a_method", "GET"),
        ("h6_no_version", "GET /"),
        ("h6_four_words", "GET / HTTP/1.1 HTTP/1.1"),
        ("b22_vertical_tab_before_the_target", "GET\u{b}/ HTTP/1.1"),
        ("b22_form_feed_before_the_version", "GET /\u{c}HTTP/1.1"),
        ("b22_no_break_space_before_the_target", "GET\u{a0}/ HTTP/1.1"),
        ("h7_bare_cr_in_the_request_line", "GET /\rHTTP/1.1"),
        ("h7_bare_cr_before_the_method", "\rGET / HTTP/1.1"),
        ("h7_two_crs_after_the_version", "GET / HTTP/1.1\r"),
        ("b57_proxy_protocol_line", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2"),
        ("h6_a_response_is_not_a_request", "HTTP/1.1 200 OK"),
    ] {
        table.push(refused(name, format!("{line}{rest}"), 400));
    }
    for (name, bytes) in [
        ("seed_35_line_feeds_only", "GET / HTTP/1.1\nHost: a\n\n"),
        ("h7_line_feed_after_the_request_line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        ("e9_tls_client_hello", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}"),
        ("b57_proxy_protocol_version_2", "\r\n\r\n\0\r\nQUIT\n"),
        ("b31_line_feed_in_the_target", "GET /a\nb HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        table.push(refused(name, bytes, 400));
    }
    let cut = |name, bytes| exactly(name, bytes, " | 400 close | ended").and_ends();
    table.push(cut("d13_end_in_the_method", "G"));
    table.push(cut("t57_end_in_the_version", "GET / HTTP/1"));
    table.push(cut("t57_end_in_a_field_name", "GET / HTTP/1.1\r\nHo"));
    table.push(cut("t57_end_before_the_blank_line", "GET / HTTP/1.1\r\nHost: a\r\n"));
    table.push(cut("d13_end_inside_the_blank_line", "GET / HTTP/1.1\r\nHost: a\r\n\r"));
}

fn before(table: &mut Vec<Vector>) {
    table.push(served(
        "seed_38_one_empty_line_before_a_request",
        format!("\r\n{}", get("")),
        "GET /",
    ));
    for (name, bytes) in [
        ("seed_39_two_empty_lines_and_a_nul", "\r\n\r\n\0"),
        ("h5_two_empty_lines", "\r\n\r\n"),
        ("b29_nul_before_the_request_line", "\0"),
        ("b29_control_bytes_before_the_request_line", "\u{1}\u{2}\u{1f}"),
        ("h5_line_feed_before_the_request_line", "\n"),
        ("h5_empty_line_with_two_crs", "\r\r\n"),
        ("h5_empty_line_with_a_space", " \r\n"),
        ("h5_empty_line_and_a_line_feed", "\r\n\n"),
        ("h5_tab_before_the_request_line", "\t"),
        ("b22_byte_order_mark", "\u{ef}\u{bb}\u{bf}"),
    ] {
        table.push(refused(name, format!("{bytes}{}", get("")), 400));
    }
    // Go allows two empty lines, but only after a POST; the RFC allows one anywhere.
    let body = post("Content-Length: 3\r\n\r\nabc");
    table.push(served(
        "t25_one_empty_line_after_content",
        format!("{body}\r\n{}", get("")),
        "POST / \"abc\", GET /",
    ));
    // `served` expects one response per request.
    table.last_mut().unwrap().expected =
        "POST / \"abc\", GET /, GET /next | 200 keep, 200 keep, 200 keep | open".to_owned();
    table.push(exactly(
        "t25_two_empty_lines_after_content",
        format!("{body}\r\n\r\n{NEXT}"),
        "POST / \"abc\" | 200 keep, 400 close | ended",
    ));
    table.push(exactly(
        "h5_one_empty_line_after_a_get",
        format!("{}\r\n{NEXT}", get("")),
        "GET /, GET /next | 200 keep, 200 keep | open",
    ));
    table.push(exactly("t59_end_before_any_byte", "", " |  | ended").and_ends());
    table.push(exactly("d13_end_after_an_empty_line", "\r\n", " |  | ended").and_ends());
    table.push(exactly("d13_end_inside_an_empty_line", "\r", " |  | ended").and_ends());
    table.push(exactly("d13_end_after_a_request", get(""), "GET / | 200 keep | ended").and_ends());
}
