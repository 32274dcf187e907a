//! Inputs: requests that follow the grammar of RFC 9112 and near misses of each of its rules, and
//! damage that knows nothing of HTTP.

use crate::support::random::Random;

/// Values of the fields that have a meaning for the server, right and wrong.
const FIELDS: [&str; 42] = [
    "Content-Length: 0",
    "Content-Length: 3",
    "content-LENGTH:3 ",
    "Content-Length: 03",
    "Content-Length: +3",
    "Content-Length: 3, 3",
    "Content-Length:",
    "Content-Length: 9223372036854775807",
    "Content-Length: 9223372036854775808",
    "Content-Length: 00000000000000000003",
    "Transfer-Encoding: chunked",
    "transfer-encoding:\tCHUNKED",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;a=b",
    "Transfer-Encoding:",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: x, Close ,,y",
    "connection: keep-alive, close",
    "Expect: 100-continue",
    "Expect: 100-Continue, 100-continue",
    "Expect: pony",
    "Expect:",
    "Host: a",
    "host:b:80",
    "Host: ",
    "X: y",
    "X:",
    "A-long-name-of-a-field: \t a value with spaces \t",
    "X: \u{e9}",
    "X : y",
    " X: y",
    ": y",
    "X",
    "X: a\rb",
    "X: a\nb",
    "Upgrade: websocket",
    "Trailer: X",
];

const TARGETS: [&str; 36] = [
    "/",
    "/",
    "/a/b?c=d",
    "/%41%2f%c3%a9",
    "/%4",
    "/%zz",
    "/a|b[]",
    "/a{b}",
    "/?a={b}|^`\\%",
    "/a\\b",
    "/a#b",
    "/a\"b",
    "/\u{e9}",
    "*",
    "*a",
    "a",
    "a:80",
    "[::1]:80",
    "[::1]",
    "a:",
    ":80",
    "a:65536",
    "http://a",
    "HTTPS://a:80/b?c",
    "http://a?b",
    "http://[::1]:80/",
    "http://[fe80::1%25x]/",
    "http://[v1.a]/",
    "http://[1:2:3:4:5:6:7::]/",
    "http://[::1.2.3.4]/",
    "http://u@a/",
    "http:///a",
    "http://a,b/",
    "http://a%zz/",
    "ftp://a/b",
    "mailto:a@b",
];

const HOSTS: [&str; 21] = [
    "a",
    "a",
    "a",
    "a",
    "a",
    "a:80",
    "",
    "a:",
    ":80",
    "a b",
    "a,b",
    "a%zz",
    "[::1]",
    "[::1]:80",
    "[v1.a]",
    "[::1%25a]",
    "[::1%]",
    "[::1",
    "a:65535",
    "a:65536",
    "127.0.0.1",
];

/// The bytes of a connection: a few requests with their content, mostly good ones.
pub(crate) fn message(random: &mut Random) -> Vec<u8> {
    message_to(random, &TARGETS[..3])
}

/// Requests, most of them to one of `targets`.
pub(super) fn message_to(random: &mut Random, targets: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let oddity = [2, 8, 40, 400][random.below(4)];
    for _ in 0..1 + random.below(4) {
        request(random, targets, oddity, &mut bytes);
    }
    bytes
}

/// One request, whose parts are odd once in `oddity` times each.
fn request(random: &mut Random, targets: &[&str], oddity: usize, bytes: &mut Vec<u8>) {
    let mut put = |text: &str| bytes.extend(text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')));
    let odd = |random: &mut Random| random.one_in(oddity);
    if odd(random) {
        put(random.pick(&["\r\n", "\r\n\r\n", "\n", " ", "\0"]));
    }
    let methods: &[&str] = match odd(random) {
        false => &["GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "m"],
        true => &["CONNECT", "CONNECT", "", "G(T", "!#$%&'*+-.^_`|~", "PRI", "M-SEARCH"],
    };
    put(random.pick(methods));
    if odd(random) && random.one_in(4) {
        put(&"M".repeat(28 + random.below(6)));
    }
    put(if odd(random) { random.pick(&["  ", "\t", ""]) } else { " " });
    put(if odd(random) { random.pick(&TARGETS) } else { random.pick(targets) });
    if odd(random) && random.one_in(4) {
        put(&"t".repeat(random.below(60)));
    }
    put(if odd(random) { random.pick(&["  ", "\t", ""]) } else { " " });
    put(match odd(random) {
        false => random.pick(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]),
        true => random.pick(&["HTTP/1.2", "HTTP/2.0", "HTTP/1.10", "http/1.1", "HTTP/0.9", "HTTP"]),
    });
    line_end(random, oddity, &mut put);
    let host_at = random.below(3);
    let count = if odd(random) { random.below(12) } else { random.below(4) };
    for n in 0..count.max(host_at + 1) {
        if n == host_at && !odd(random) {
            put("Host: ");
            put(if odd(random) { random.pick(&HOSTS) } else { "a" });
            line_end(random, oddity, &mut put);
        }
        if n < count {
            put(if odd(random) { random.pick(&FIELDS) } else { "X: y" });
            line_end(random, oddity, &mut put);
        }
    }
    let kind = random.below(6);
    match kind {
        0 => put("Content-Length: 3"),
        1 | 2 => put("Transfer-Encoding: chunked"),
        3 => put("Expect: 100-continue\r\nContent-Length: 3"),
        _ => {}
    }
    if kind < 4 {
        line_end(random, oddity, &mut put);
    }
    line_end(random, oddity, &mut put);
    match kind {
        0 | 3 => put(random.pick(&["abc", "\r\n\r", "GET"])),
        1 | 2 => body(random, oddity, &mut put),
        _ => {}
    }
}

fn line_end(random: &mut Random, oddity: usize, put: &mut impl FnMut(&str)) {
    put(match random.one_in(oddity * 4) {
        false => "\r\n",
        true => random.pick(&["\n", "\r", "\r\r\n", " \r\n", "\r\n ", ""]),
    });
}

/// A chunked body.
fn body(random: &mut Random, oddity: usize, put: &mut impl FnMut(&str)) {
    for _ in 0..random.below(4) {
        let len = 1 + random.below(20);
        put(&"0".repeat(if random.one_in(oddity) { random.below(18) } else { 0 }));
        put(&if random.one_in(2) { format!("{len:x}") } else { format!("{len:X}") });
        extension(random, oddity, put);
        line_end(random, oddity, put);
        put(&"x".repeat(if random.one_in(oddity * 4) { len + 1 } else { len }));
        line_end(random, oddity, put);
    }
    put("0");
    extension(random, oddity, put);
    line_end(random, oddity, put);
    for _ in 0..if random.one_in(oddity) { random.below(70) } else { 0 } {
        put(if random.one_in(4) { random.pick(&FIELDS) } else { "X: y" });
        line_end(random, oddity, put);
    }
    line_end(random, oddity, put);
}

fn extension(random: &mut Random, oddity: usize, put: &mut impl FnMut(&str)) {
    const EXTENSIONS: [&str; 14] = [
        ";a",
        ";a=b",
        ";a=\"b \\\" \u{e9}\"",
        ";a=\"\"",
        ";a=b;c;d=\"e\"",
        " ;a",
        "; a",
        ";a =b",
        ";",
        ";a=",
        ";a=\"",
        ";=b",
        ";a=\"\\\u{1}\"",
        " ",
    ];
    while random.one_in(oddity) && random.one_in(2) {
        put(random.pick(&EXTENSIONS));
        if random.one_in(4) {
            put(";e=");
            put(&"e".repeat(1 + random.below(300)));
        }
    }
}

/// Damages bytes in a few places: `words` are put between them, too.
pub(crate) fn mutate(random: &mut Random, bytes: &mut Vec<u8>, words: &[&[u8]]) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => bytes.insert(at, random.next() as u8),
            3 if at < end => drop(bytes.drain(at..end)),
            4 if at < end => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece.repeat(1 + random.below(4)));
            }
            5 if at < end => {
                let piece: Vec<u8> = bytes.drain(at..end).collect();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            6 => bytes.truncate(at),
            _ if !words.is_empty() => {
                let word = words[random.below(words.len())];
                let end = if random.one_in(2) { at } else { (at + word.len()).min(bytes.len()) };
                bytes.splice(at..end, word.iter().copied());
            }
            _ => {}
        }
    }
}
