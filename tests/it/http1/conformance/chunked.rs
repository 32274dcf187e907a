//! Vectors of the chunked transfer coding (RFC 9112, section 7.1).

use super::run::sum;
use super::vector::{broken, chunks, exactly, post, served, Vector, SECOND};

pub(crate) fn table() -> Vec<Vector> {
    let mut table = Vec::new();
    sizes(&mut table);
    extensions(&mut table);
    data(&mut table);
    trailers(&mut table);
    overhead(&mut table);
    ignored(&mut table);
    echoed(&mut table);
    table
}

const ASKED: &str = "POST / ...";

fn sizes(table: &mut Vec<Vector>) {
    for (name, size) in [
        ("seed_24_size_with_an_underscore", "0_2e"),
        ("seed_24_size_with_0x", "0x5"),
        ("seed_24_size_with_a_plus", "+5"),
        ("seed_24_negative_size", "-5"),
        ("b14_minus_zero", "-0"),
        ("seed_30_size_of_18_digits", "000000000000000005"),
        ("b13_chunk_size_with_17_digits", "00000000000000005"),
        ("b13_size_that_wraps", "f000000000000000f"),
        ("b13_size_that_wraps_to_5", "10000000000000005"),
        ("seed_31_size_of_two_to_the_64_less_one", "ffffffffffffffff"),
        ("b13_negative_when_signed", "8000000000000000"),
        ("k1_not_hexadecimal", "g"),
        ("k1_hexadecimal_and_more", "5g"),
        ("k2_space_before_the_size", " 5"),
        ("k2_space_after_the_size", "5 "),
        ("k2_tab_after_the_size", "5\t"),
        ("b22_no_break_space_after_the_size", "5\u{a0}"),
        ("k1_nul_after_the_size", "5\0"),
        ("k1_size_with_a_point", "5.0"),
        ("k1_size_with_a_comma", "5,5"),
        ("k1_quoted_size", "\"5\""),
        ("k1_size_of_percent_codes", "%35"),
    ] {
        table.push(broken(name, chunks(&format!("{size}\r\nabcde\r\n0\r\n\r\n")), ASKED));
    }
    table.push(broken("seed_32_empty_size", chunks("\r\n\r\n"), ASKED));
    // It must not be taken for the last chunk.
    table.push(broken("k1_no_size_before_an_extension", chunks(";a\r\n\r\n"), ASKED));
    table.push(broken("k1_empty_size_after_a_chunk", chunks("1\r\nx\r\n\r\n\r\n"), ASKED));
    for (name, size) in
        [("k1_size_with_leading_zeros", "0005"), ("t71_size_of_16_digits", "0000000000000005")]
    {
        let body = chunks(&format!("{size}\r\nabcde\r\n0\r\n\r\n"));
        table.push(served(name, body, "POST / \"abcde\""));
    }
    let ten = "0123456789";
    table.push(served(
        "k1_size_in_upper_case",
        chunks(&format!("A\r\n{ten}\r\n0\r\n\r\n")),
        &format!("POST / \"{ten}\""),
    ));
    table.push(served(
        "k1_size_in_lower_case",
        chunks(&format!("a\r\n{ten}\r\n0\r\n\r\n")),
        &format!("POST / \"{ten}\""),
    ));
    table.push(served(
        "t71_last_chunk_of_16_zeros",
        chunks("1\r\nx\r\n0000000000000000\r\n\r\n"),
        "POST / \"x\"",
    ));
    table.push(served("k1_no_content_at_all", chunks("0\r\n\r\n"), "POST / \"\""));
    // A chunk whose size is one more than the largest content that is collected.
    table.push(exactly(
        "b13_the_largest_size",
        format!("{}{}", chunks("7fffffffffffffff\r\n"), "x".repeat(100)),
        "POST / ... |  | open",
    ));
}

fn extensions(table: &mut Vec<Vector>) {
    for (name, extension) in [
        ("seed_27_extension", ";a=b"),
        ("t72_extension_without_a_value", ";a"),
        ("t72_quoted_extension", ";a=\"b; c\\\" d\""),
        ("t72_several_extensions", ";a=b;c;d=\"e\""),
        ("k3_empty_quoted_value", ";a=\"\""),
        ("k3_tab_in_a_quoted_value", ";a=\"\t\""),
        ("k3_high_byte_in_a_quoted_value", ";a=\"\u{ff}\""),
    ] {
        let body = chunks(&format!("5{extension}\r\nabcde\r\n0{extension}\r\n\r\n"));
        table.push(served(name, body, "POST / \"abcde\""));
    }
    for (name, extension) in [
        ("seed_28_line_feed_in_a_quoted_extension", ";a=\"\n\""),
        ("seed_29_space_before_the_semicolon", " ;x"),
        ("k3_space_after_the_semicolon", "; x"),
        ("k3_extension_without_a_name", ";"),
        ("k3_value_without_a_name", ";=b"),
        ("k3_empty_value", ";a="),
        ("k3_quote_is_not_closed", ";a=\"b"),
        ("k3_bytes_after_the_quote", ";a=\"b\"c"),
        ("k3_nul_in_an_extension", ";a\0"),
        ("k3_control_byte_in_a_quoted_extension", ";a=\"\u{1}\""),
        ("k3_escaped_line_feed", ";a=\"\\\n\""),
        ("k3_space_inside_an_extension", ";a =b"),
        ("t78_line_feed_inside_an_extension", ";a\nb"),
        ("b15_line_feed_ends_an_extension", ";a\n0\r\n\r\n"),
        ("k4_cr_inside_an_extension", ";a\rb"),
    ] {
        table.push(broken(name, chunks(&format!("5{extension}\r\nabcde\r\n0\r\n\r\n")), ASKED));
    }
}

fn data(table: &mut Vec<Vector>) {
    for (name, body) in [
        ("seed_25_two_other_bytes_after_data", "5\r\nabcdeXX0\r\n\r\n"),
        ("seed_26_line_feed_after_the_size", "5\nabcde\r\n0\r\n\r\n"),
        ("t78_cr_cr_lf_after_the_size", "5\r\r\nabcde\r\n0\r\n\r\n"),
        ("t78_line_feed_after_data", "5\r\nabcde\n0\r\n\r\n"),
        ("b17_cr_and_a_letter_after_data", "5\r\nabcde\rX0\r\n\r\n"),
        ("b17_lf_cr_after_data", "5\r\nabcde\n\r0\r\n\r\n"),
        ("k7_data_one_byte_longer", "5\r\nabcdef\r\n0\r\n\r\n"),
        ("k7_data_one_byte_shorter", "5\r\nabcd\r\n0\r\n\r\n"),
        ("t73_data_and_two_letters", "7\r\n1234567xx"),
        ("t66_no_chunk_at_all", "hax\r\n"),
        ("t65_line_feed_after_the_last_size", "1\r\nx\r\n0\n\r\n"),
        ("t65_line_feed_after_the_only_size", "1\nx\r\n0\r\n\r\n"),
        ("k4_cr_alone_after_the_size", "5\rabcde\r\n0\r\n\r\n"),
    ] {
        table.push(broken(name, chunks(body), ASKED));
    }
    let content = "I am some content that is longer than forty bytes.";
    table.push(served(
        "t69_several_chunks",
        chunks("3\r\nfoo\r\n1\r\nb\r\n2\r\nar\r\n0\r\n\r\n"),
        "POST / \"foobar\"",
    ));
    table.push(served(
        "k7_line_ends_inside_data",
        chunks("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        "POST / \"\\r\\n0\\r\\n\\r\\n\"",
    ));
    table.push(served(
        "t68_longer_content",
        chunks(&format!("{:x}\r\n{content}\r\n0\r\n\r\n", content.len())),
        &format!("POST / {} bytes of sum {}", content.len(), sum(content.as_bytes())),
    ));
    table.push(served(
        "t80_piece_by_piece",
        chunks("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").replace("POST /", "POST /receive"),
        "POST /receive \"abcde\"",
    ));
    table.push(broken(
        "k10_piece_by_piece_and_broken",
        chunks("3\r\nabc\r\nx\r\n").replace("POST /", "POST /receive"),
        "POST /receive ...",
    ));
    // A whole request inside a chunk is content, and one after a broken chunk is not parsed.
    table.push(served(
        "b24_a_request_inside_a_chunk",
        chunks("12\r\nGET /x HTTP/1.1\r\n\r\n\r\n0\r\n\r\n").replace("12\r\n", "13\r\n"),
        "POST / \"GET /x HTTP/1.1\\r\\n\\r\\n\"",
    ));
}

fn trailers(table: &mut Vec<Vector>) {
    for (name, trailer) in [
        ("seed_33_length_as_a_trailer", "Content-Length: 9\r\n"),
        ("b28_host_as_a_trailer", "Host: evil\r\nAuthorization: x\r\n"),
        ("b28_coding_as_a_trailer", "Transfer-Encoding: chunked\r\n"),
        ("t81_two_trailer_fields", "A: b\r\nC:d\r\n"),
        ("k12_empty_trailer_value", "A:\r\n"),
        ("t50_sixty_four_trailer_fields", &"A: b\r\n".repeat(64)),
        ("t50_a_trailer_field_of_a_thousand_members", &format!("A: {}\r\n", "b,".repeat(1000))),
    ] {
        let body = chunks(&format!("1\r\nx\r\n0\r\n{trailer}\r\n"));
        table.push(served(name, body, "POST / \"x\""));
    }
    // The fields of a trailer are not among those of the head.
    table.push(served(
        "b28_trailer_fields_are_not_shown",
        "POST /show HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Late: y\r\n\r\n",
        "POST /show host=a [Transfer-Encoding=chunked] \"\"",
    ));
    for (name, trailer) in [
        ("t67_no_colon_in_a_trailer", "bad\r\n\r\n"),
        ("k12_space_in_a_trailer_name", "Bad Name: x\r\n\r\n"),
        ("k12_folded_trailer", "A: b\r\n c\r\n\r\n"),
        ("k12_trailer_begins_with_a_space", " A: b\r\n\r\n"),
        ("k12_empty_trailer_name", ": b\r\n\r\n"),
        ("k12_space_before_the_colon_of_a_trailer", "A : b\r\n\r\n"),
        ("k12_nul_in_a_trailer", "A: \0\r\n\r\n"),
        ("k13_line_feed_ends_the_trailer", "\n"),
        ("k13_line_feed_after_a_trailer_field", "A: b\n\n"),
        ("k13_trailer_field_and_two_line_feeds", "Foo: bar\n\nGET /secret HTTP/1.1\r\n\r\n"),
        ("k13_cr_and_a_letter_for_the_end", "\rX"),
        ("k12_a_chunk_after_the_last", "5\r\nabcde\r\n0\r\n\r\n"),
    ] {
        table.push(broken(name, chunks(&format!("1\r\nx\r\n0\r\n{trailer}")), ASKED));
    }
}

fn overhead(table: &mut Vec<Vector>) {
    let with_extension = |len: usize| format!("1;{}\r\nx\r\n", "e".repeat(len));
    table.push(broken(
        "seed_34_one_byte_chunks_with_long_extensions",
        chunks(&format!("{}0\r\n\r\n", with_extension(200).repeat(120))),
        ASKED,
    ));
    table.push(broken(
        "b16_an_extension_of_300_bytes",
        chunks(&format!("{}0\r\n\r\n", with_extension(300))),
        ASKED,
    ));
    table.push(served(
        "b16_a_size_line_of_256_bytes",
        chunks(&format!("{}0\r\n\r\n", with_extension(254))),
        "POST / \"x\"",
    ));
    table.push(broken(
        "b16_a_size_line_of_257_bytes",
        chunks(&format!("{}0\r\n\r\n", with_extension(255))),
        ASKED,
    ));
    table.push(broken(
        "t76_chunks_with_extensions_of_100_bytes",
        chunks(&with_extension(100).repeat(250)),
        ASKED,
    ));
    let many = "x".repeat(3000);
    table.push(served(
        "t77_three_thousand_chunks_of_one_byte",
        chunks(&format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(3000))),
        &format!("POST / 3000 bytes of sum {}", sum(many.as_bytes())),
    ));
    let trailer = |len: usize| chunks(&format!("0\r\nX:{}\r\n\r\n", "y".repeat(len)));
    table.push(served("k11_a_trailer_of_4_kib", trailer(4090), "POST / \"\""));
    table.push(broken("k11_a_trailer_of_5_kib", trailer(5000), ASKED));
    table.push(broken(
        "t50_sixty_five_trailer_fields",
        chunks(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(65))),
        ASKED,
    ));
    let distinct: String = (0..65).map(|n| format!("A{n}: b\r\n")).collect();
    table.push(broken(
        "t50_sixty_five_trailer_names",
        chunks(&format!("0\r\n{distinct}\r\n")),
        ASKED,
    ));
    let full = 64 << 10;
    let body = |len: usize| {
        chunks(&format!(
            "8000\r\n{0}\r\n{1:x}\r\n{2}\r\n0\r\n\r\n",
            "x".repeat(0x8000),
            len - 0x8000,
            "x".repeat(len - 0x8000)
        ))
    };
    table.push(served(
        "b56_chunks_up_to_the_limit",
        body(full),
        &format!("POST / {full} bytes of sum {}", sum("x".repeat(full).as_bytes())),
    ));
    table.push(exactly(
        "b56_chunks_over_the_limit",
        format!("{}{SECOND}", body(full + 1)),
        "POST / ... | 413 close | ended",
    ));
}

/// Content that no handler reads is parsed just as strictly, and the response is not lost.
fn ignored(table: &mut Vec<Vector>) {
    let ignored = |body: &str| chunks(body).replace("POST /", "POST /ignore");
    table.push(served(
        "b24_ignored_chunks",
        ignored("3\r\nabc\r\n0\r\nX: y\r\n\r\n"),
        "POST /ignore",
    ));
    for (name, body) in [
        ("t66_ignored_content_is_no_chunk", "hax\r\n"),
        ("t67_ignored_content_with_a_bad_trailer", "1\r\nx\r\n0\r\nbad\r\n\r\n"),
        ("k10_ignored_content_with_a_bad_size", "1\r\nx\r\n-1\r\n"),
        ("k10_ignored_content_with_bad_data", "1\r\nxyz"),
    ] {
        table.push(exactly(
            name,
            format!("{}{SECOND}", ignored(body)),
            "POST /ignore | 200 keep | ended",
        ));
    }
    table.push(exactly(
        "k14_a_response_before_broken_content_is_not_lost",
        format!("{}{}{SECOND}", post("Content-Length: 1\r\n\r\nx"), ignored("hax\r\n")),
        "POST / \"x\", POST /ignore | 200 keep, 200 keep | ended",
    ));
}

/// Content that is echoed while it arrives: a reset shows that it is malformed, and responses that
/// were complete before it are not lost.
fn echoed(table: &mut Vec<Vector>) {
    let echo = |body: &str| chunks(body).replace("POST /", "POST /echo");
    table.push(served("l11_echoed_chunks", echo("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "POST /echo"));
    table.push(served(
        "l11_echoed_length",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo",
    ));
    table.push(served(
        "l11_echoed_content_of_a_head",
        "HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "HEAD /echo",
    ));
    table.push(served("l11_echo_of_nothing", "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", "GET /echo"));
    table.push(exactly(
        "l11_echo_in_1_0_ends_by_closing",
        "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo | 200 close | ended",
    ));
    table.push(exactly(
        "k14_echoed_content_that_breaks",
        format!("{}{SECOND}", echo("3\r\nabc\r\nx\r\n")),
        "POST /echo | 200 cut | reset",
    ));
    table.push(exactly(
        "k14_echoed_content_with_a_bad_trailer",
        format!("{}{SECOND}", echo("3\r\nabc\r\n0\r\nbad\r\n\r\n")),
        "POST /echo | 200 cut | reset",
    ));
    table.push(exactly(
        "k14_a_response_before_a_broken_echo_is_not_lost",
        format!("{}{}{SECOND}", post("Content-Length: 1\r\n\r\nx"), echo("3\r\nabc\r\nx\r\n")),
        "POST / \"x\", POST /echo | 200 keep, 200 cut | reset",
    ));
    table.push(
        exactly(
            "b12_end_inside_echoed_content",
            echo("3\r\nabc\r\n"),
            "POST /echo | 200 cut | reset",
        )
        .and_ends(),
    );
    table.push(served(
        "r2_response_after_the_first_piece",
        chunks("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").replace("POST /", "POST /first"),
        "POST /first",
    ));
    table.push(exactly(
        "k14_response_after_the_first_piece_and_then_broken",
        format!("{}{SECOND}", chunks("3\r\nabc\r\nx\r\n").replace("POST /", "POST /first")),
        "POST /first | 200 keep | ended",
    ));
}
