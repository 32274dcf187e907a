//! The bytes of a connection, with default limits and with tight ones.

use wheelhouse::Limits;

use super::compare;

/// The longest input. It is more than the longest head.
const INPUT_MAX: usize = 20 << 10;

pub(crate) fn target(data: &[u8]) {
    let input = &data[..data.len().min(INPUT_MAX)];
    // The client ends its side in half of the cases.
    let ends = input.len() % 2 == 1;
    compare(input, ends, &Limits::default());
    compare(input, ends, &tight());
}

/// Limits that short inputs reach.
fn tight() -> Limits {
    Limits { head_bytes_max: 256, target_bytes_max: 20, fields_max: 5, ..Limits::default() }
}

/// Words of the grammar, for heads.
#[cfg(test)]
pub(super) const WORDS: [&[u8]; 24] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"%2f",
    b"\0",
    b"\x80",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"http://a/",
    b"CONNECT a:1",
    b"[::1]",
    b"0\r\n\r\n",
    b";a=b",
    b"\"",
];

#[cfg(test)]
#[test]
fn requests_are_read_as_the_rfc_says_however_they_are_cut() {
    super::run::check("head", 400, &WORDS, super::message, target);
}
