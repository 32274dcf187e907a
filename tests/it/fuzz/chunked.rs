//! A chunked body: any bytes after a good head, and a valid body that the bytes decide.

use wheelhouse::Limits;

use super::compare;
use super::server::{cuts, receive_all, NEXT};
use crate::support::random::Random;

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
/// The record of the handler.
const SAW: &str = "POST / 1.1 host=a [Host=a] [Transfer-Encoding=chunked] chunked";

pub(crate) fn target(data: &[u8]) {
    let data = &data[..data.len().min(20 << 10)];
    let input = [HEAD, data].concat();
    compare(&input, data.len() % 2 == 1, &Limits::default());
    content_comes_out_again(data);
}

/// Encodes content in chunks with extensions and a trailer section, and reads it back.
fn content_comes_out_again(data: &[u8]) {
    let mut random = Random::of(data);
    let (mut content, mut input) = (Vec::new(), HEAD.to_vec());
    for _ in 0..random.below(12) {
        let len = if random.one_in(20) { random.below(5000) } else { 1 + random.below(40) };
        let piece: Vec<u8> = (0..len).map(|n| (n as u8) ^ random.below(256) as u8).collect();
        if piece.is_empty() {
            continue;
        }
        let zeros = "0".repeat(random.below(8));
        input.extend_from_slice(format!("{zeros}{len:x}").as_bytes());
        extension(&mut random, &mut input);
        input.extend_from_slice(b"\r\n");
        input.extend_from_slice(&piece);
        input.extend_from_slice(b"\r\n");
        content.extend_from_slice(&piece);
    }
    input.extend_from_slice(b"0");
    extension(&mut random, &mut input);
    input.extend_from_slice(b"\r\n");
    for _ in 0..random.below(4) {
        input.extend_from_slice(b"X: \xe9 y\r\nContent-Length: 5\r\n");
    }
    input.extend_from_slice(b"\r\n");
    input.extend_from_slice(NEXT);
    let first = match content.is_empty() {
        true => SAW.to_owned(),
        false => format!("{SAW} \"{}\"", content.escape_ascii()),
    };
    let mut ways = cuts(&input);
    ways.push(vec![&input]);
    for segments in ways {
        let outcome = receive_all(&Limits::default(), &segments, false);
        assert_eq!(outcome.seen, [&*first, "GET /next 1.1 host=a [Host=a] length=0"]);
    }
}

fn extension(random: &mut Random, input: &mut Vec<u8>) {
    for _ in 0..random.below(4) {
        input.extend_from_slice(random.pick::<[u8]>(&[
            b";a",
            b";b=c",
            b";d=\"e\\\" ;\"",
            b";f=\"\"",
        ]));
    }
}

#[cfg(test)]
#[test]
fn chunks_are_read_as_the_rfc_says_however_they_are_cut() {
    let make = |random: &mut Random| {
        let mut body = Vec::new();
        for _ in 0..random.below(5) {
            let len = 1 + random.below(30);
            body.extend_from_slice(format!("{len:x}").as_bytes());
            extension(random, &mut body);
            body.extend_from_slice(format!("\r\n{}\r\n", "x".repeat(len)).as_bytes());
        }
        body.extend_from_slice(b"0\r\nX: y\r\n\r\n");
        body
    };
    super::run::check("chunked", 300, &super::head::WORDS, make, target);
}
