//! Vectors of the request target and of `Host` (RFC 9112, section 3.2).

use super::vector::{exactly, refused, served, Vector, NEXT};

pub(crate) fn table() -> Vec<Vector> {
    let mut table = Vec::new();
    hosts(&mut table);
    origin_form(&mut table);
    absolute_form(&mut table);
    other_forms(&mut table);
    table
}

fn hosts(table: &mut Vec<Vector>) {
    let head = |host: &str| format!("GET /show HTTP/1.1\r\nHost:{host}\r\n\r\n");
    for (name, host) in [
        ("t51_empty_host", ""),
        ("t51_ipv4_host", "127.0.0.1"),
        ("t51_host_with_underscore_and_hyphen", "a_b-c.example"),
        ("t51_host_with_a_port", "a:8080"),
        ("t51_ipv6_host", "[::1]"),
        ("t51_ipv6_host_with_a_port", "[::1]:80"),
        ("t51_ipv6_host_with_a_zone", "[fe80::1%25en0]"),
        ("v10_host_with_an_empty_port", "a:"),
        ("v10_host_with_the_largest_port", "a:65535"),
        ("v10_host_with_a_percent_code", "a%20b"),
    ] {
        table.push(served(name, head(&format!(" {host}")), &format!("GET /show host={host}")));
    }
    for (name, host) in [
        ("seed_43_space_in_the_host", "a b"),
        ("b32_path_in_the_host", "a/../b"),
        ("t51_ipv6_host_without_brackets", "::1"),
        ("t51_control_byte_in_the_host", "\u{6}"),
        ("t51_high_byte_in_the_host", "\u{ff}"),
        ("t51_opening_brace_in_the_host", "{"),
        ("t51_closing_brace_in_the_host", "}"),
        ("v10_comma_in_the_host", "a,b"),
        ("v10_two_ports", "a:b:c"),
        ("v10_opening_brackets", "[[["),
        ("v10_slash_in_the_host", "a/"),
        ("v10_user_in_the_host", "u@a"),
        ("v10_query_in_the_host", "a?b"),
        ("v10_fragment_in_the_host", "a#b"),
        ("v10_backslash_in_the_host", "a\\b"),
        ("v10_port_of_letters", "a:x"),
        ("v10_port_above_65535", "a:65536"),
        ("v10_port_without_a_host", ":80"),
        ("v10_bracket_is_not_closed", "[::1"),
        ("v10_bytes_after_the_bracket", "[::1]x"),
        ("v10_name_in_brackets", "[a]"),
        ("v10_tab_in_the_host", "a\tb"),
        ("b22_no_break_space_after_the_host", "a\u{a0}"),
        ("v10_scheme_in_the_host", "http://a"),
    ] {
        table.push(refused(name, head(&format!(" {host}")), 400));
    }
    for (name, lines) in [
        ("seed_43_no_host", ""),
        ("seed_43_two_hosts", "Host: a\r\nHost: b\r\n"),
        ("v9_two_equal_hosts", "Host: a\r\nhost: a\r\n"),
        ("v9_host_twice_and_empty", "Host: a\r\nHost:\r\n"),
        ("v8_a_name_that_begins_like_host", "Hosts: a\r\n"),
    ] {
        table.push(refused(name, format!("GET / HTTP/1.1\r\n{lines}\r\n"), 400));
    }
    let old = |lines: &str| format!("GET /show HTTP/1.0\r\n{lines}\r\n");
    table.push(exactly("t51_no_host_in_1_0", old(""), "GET /show host=none | 200 close | ended"));
    table.push(refused("t51_two_hosts_in_1_0", old("Host: a\r\nHost: a\r\n"), 400));
    table.push(refused("t51_high_byte_in_the_host_in_1_0", old("Host: \u{ff}\r\n"), 400));
    table.push(refused(
        "v8_no_host_beside_an_absolute_target",
        "GET http://a/ HTTP/1.1\r\n\r\n",
        400,
    ));
}

fn origin_form(table: &mut Vec<Vector>) {
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    for (name, target) in [
        ("t55_two_slashes_are_a_path", "//user@host/is/path"),
        ("v5_percent_codes", "/%41%7e%2F"),
        ("v5_every_byte_of_a_path", "/-._~!$&'()*+,;=:@|"),
        ("v5_broken_escape_in_a_query", "/?a=%zz"),
        ("v5_empty_query", "/?"),
        ("v5_question_marks_in_a_query", "/a?b?c"),
        ("v5_slashes_in_a_query", "/?a/../b"),
        ("v5_characters_that_browsers_leave_raw_in_a_query", "/?{a}[b]|^`\\"),
        ("v5_dot_segments_are_left_to_the_handler", "/a/../b/./c"),
        ("v5_brackets_in_a_path", "/a[0]"),
        ("v5_quote_in_the_path", "/\"a\""),
        ("v5_angle_bracket_in_the_path", "/<a>"),
        ("v5_brace_in_the_path", "/{a}"),
        ("v5_caret_in_the_path", "/^"),
        ("v5_backtick_in_the_path", "/`id`"),
        ("v5_quote_in_a_query", "/?\"a\""),
        ("v5_angle_bracket_in_a_query", "/?<script>"),
    ] {
        table.push(served(name, head(target), &format!("GET {target}")));
    }
    let shown = "GET /show?a=1&b=%20 host=a query=a=1&b=%20";
    table.push(served("v5_path_and_query", head("/show?a=1&b=%20"), shown));
    for (name, target) in [
        ("t55_relative_path", "../../x"),
        ("v5_no_slash", "x"),
        ("v5_query_alone", "?a"),
        ("v5_star_and_more", "*x"),
        ("v5_star_and_a_path", "*/"),
        ("v5_broken_escape", "/%zz"),
        ("v5_half_an_escape", "/%4"),
        ("v5_percent_at_the_end", "/%"),
        ("v5_control_byte_in_the_target", "/\u{1}"),
        ("v5_del_in_the_target", "/\u{7f}"),
        ("b31_nul_in_the_target", "/a\0b"),
        ("b31_tab_in_the_target", "/a\tb"),
        ("v6_fragment", "/a#b"),
        ("v6_fragment_in_a_query", "/a?b#c"),
        ("v6_high_byte_in_the_target", "/\u{c3}\u{a9}"),
        ("v6_high_byte_in_a_query", "/?\u{c3}\u{a9}"),
        ("v6_backslash_in_the_path", "/a\\..\\b"),
    ] {
        table.push(refused(name, head(target), 400));
    }
}

fn absolute_form(table: &mut Vec<Vector>) {
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    for (name, target, saw) in [
        ("seed_44_the_authority_of_the_target_wins", "http://b/show", " host=b"),
        ("h11_authority_with_a_port", "http://b:81/show?q", " host=b:81 query=q"),
        ("v5_scheme_in_upper_case", "HTTP://b/show", " host=b"),
        ("v5_https", "https://b/show", " host=b"),
        ("v5_ipv6_authority", "http://[::1]:80/show", " host=[::1]:80"),
        ("t60_no_path", "http://b", ""),
        ("v5_query_without_a_path", "http://b?q", ""),
    ] {
        table.push(served(name, head(target), &format!("GET {target}{saw}")));
    }
    for (name, target) in [
        ("v6_opaque_scheme", "mailto:x@y"),
        ("v6_user_in_the_authority", "http://u:p@b/"),
        ("v6_no_authority", "http:///x"),
        ("v6_scheme_alone", "http://"),
        ("v6_one_slash", "http:/b/"),
        ("v6_port_of_letters_in_the_target", "http://b:x/"),
        ("v6_another_scheme", "ftp://b/"),
        ("v6_fragment_after_the_authority", "http://b#c"),
        ("v6_comma_in_the_authority", "http://b,c/"),
        ("v6_backslash_in_the_authority", "http://b\\c/"),
        ("v6_broken_escape_in_an_absolute_path", "http://b/%zz"),
        ("b32_bad_brackets_in_the_target", "http://[::1/"),
    ] {
        table.push(refused(name, head(target), 400));
    }
    // The announced bytes are content, and the bytes after them are the next request.
    table.push(served(
        "t55_content_and_more_after_an_absolute_target",
        "POST http://b:80/show HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nabcdef\n",
        "POST http://b:80/show host=b:80 [Content-Length=7] \"abcdef\\n\"",
    ));
    table.push(refused(
        "b32_bad_host_beside_a_good_authority",
        "GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n",
        400,
    ));
}

fn other_forms(table: &mut Vec<Vector>) {
    for (name, line, saw) in [
        ("t55_options_star", "OPTIONS *", "OPTIONS *"),
        ("t55_notify_star", "NOTIFY *", "NOTIFY *"),
        ("t60_m_search_star", "M-SEARCH *", "M-SEARCH *"),
    ] {
        table.push(served(name, format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"), saw));
    }
    // A handler that grants a tunnel without taking it: the bytes after the head are not HTTP and
    // must not be served as a request (RFC 9110, section 9.3.6).
    for (name, line) in [
        ("t55_connect_name_and_port", "CONNECT www.example.com:443"),
        ("t55_connect_address_and_port", "CONNECT 127.0.0.1:6060"),
        ("v7_connect_ipv6", "CONNECT [::1]:443"),
    ] {
        let input = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}");
        table.push(exactly(name, input, format!("{line} | 200 close | ended")));
    }
    for (name, target) in [
        // Go allows a path and a missing port; no other server does.
        ("t55_connect_with_a_path", "/_goRPC_"),
        ("v7_connect_without_a_port", "a"),
        ("v7_connect_with_an_empty_port", "a:"),
        ("v7_connect_without_a_host", ":443"),
        ("v7_connect_ipv6_without_a_port", "[::1]"),
        ("v7_connect_absolute", "http://a:80/"),
        ("v7_connect_star", "*"),
        ("v7_connect_with_a_user", "u@a:443"),
        ("v7_connect_with_a_path", "a:443/"),
        ("t56_connect_with_a_request_in_brackets", "[]%20%48TTP/1.1%0a:443"),
    ] {
        table.push(refused(name, format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 400));
    }
    table.push(refused("t51_connect_without_host", "CONNECT a:443 HTTP/1.1\r\n\r\n", 400));
    table.push(refused("v5_a_get_of_an_authority", "GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400));
}
