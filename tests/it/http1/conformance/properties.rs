//! Properties over random streams. Each case has a seed of its own, which a failure prints, and
//! `WHEELHOUSE_SEED=n` begins with that case.

use super::run::{sum, Bench, COLLECT_MAX, PANIC};
use super::vector::Vector;
use crate::support::panics::expect_panics;
use crate::support::random::{seed, Random};

use wheelhouse::Limits;

/// The number of cases of each property.
const VALID: u64 = 4_096;
const DAMAGED: u64 = 20_480;

/// A random valid request: its bytes and the entry that the handler must record.
fn request(random: &mut Random) -> (Vec<u8>, String) {
    const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE", "m"];
    const TARGETS: [&str; 9] = [
        "/",
        "/a/b?c=d",
        "/show",
        "/show?q",
        "/receive",
        "/ignore",
        "/deny",
        "http://b:81/show",
        "/204",
    ];
    let (method, target) = (random.pick(&METHODS), random.pick(&TARGETS));
    let mut bytes = Vec::new();
    if random.one_in(8) {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("{method} {target} HTTP/1.1\r\n").as_bytes());
    let mut saw = format!("{method} {target}");
    let shows = target.contains("/show");
    if shows {
        saw += if target.starts_with("http") { " host=b:81" } else { " host=a" };
        if target.ends_with("?q") {
            saw += " query=q";
        }
    }
    let mut lines = fields(random);
    let content = content(random);
    let has_content = content.is_some();
    let framing = match &content {
        None => Vec::new(),
        Some((content, true)) => {
            lines.insert(
                random.below(lines.len() + 1),
                ("Transfer-Encoding".into(), b"chunked".to_vec()),
            );
            chunked(random, content)
        }
        Some((content, false)) => {
            let length = content.len().to_string().into_bytes();
            lines.insert(random.below(lines.len() + 1), ("content-LENGTH".into(), length));
            content.clone()
        }
    };
    let host_at = random.below(lines.len() + 1);
    for n in 0..=lines.len() {
        if n == host_at {
            bytes.extend_from_slice(b"Host: a\r\n");
        }
        let Some((name, value)) = lines.get(n) else { break };
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b':');
        bytes.extend_from_slice(random.pick::<str>(&["", " ", "\t", "  "]).as_bytes());
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(random.pick::<str>(&["", "", " ", "\t "]).as_bytes());
        bytes.extend_from_slice(b"\r\n");
        if shows {
            saw += &format!(" [{name}={}]", value.escape_ascii());
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&framing);
    // A length of 0 means no content; an empty chunked body is empty content.
    let is_seen =
        content.as_ref().is_some_and(|(bytes, in_chunks)| *in_chunks || !bytes.is_empty());
    if is_seen
        && has_content
        && !["/ignore", "/deny", "/204", "/echo", "/first", "/big"].contains(&target)
    {
        saw += &seen_content(&content.unwrap().0);
    }
    (bytes, saw)
}

fn seen_content(content: &[u8]) -> String {
    match content.len() {
        0..=40 => format!(" \"{}\"", content.escape_ascii()),
        len => format!(" {len} bytes of sum {}", sum(content)),
    }
}

/// Field lines that the server does not interpret.
fn fields(random: &mut Random) -> Vec<(String, Vec<u8>)> {
    const NAMES: [&str; 6] = ["Accept", "x-Y", "cookie", "User-Agent", "!#$%&'*+-.^_`|~", "N"];
    (0..random.below(6))
        .map(|_| {
            let mut value: Vec<u8> = (0..random.below(24))
                .map(|_| match random.below(8) {
                    0 => b' ',
                    1 => b'\t',
                    2 => 0x80 + random.below(0x80) as u8,
                    _ => b'!' + random.below(94) as u8,
                })
                .collect();
            // White space at the ends is not part of the value.
            while value.last().is_some_and(|byte| b" \t".contains(byte)) {
                value.pop();
            }
            let start = value.iter().position(|byte| !b" \t".contains(byte)).unwrap_or(0);
            (random.pick(&NAMES).to_owned(), value.split_off(start))
        })
        .collect()
}

/// Content and whether it is chunked; mostly short, sometimes longer than one read.
fn content(random: &mut Random) -> Option<(Vec<u8>, bool)> {
    if random.one_in(3) {
        return None;
    }
    let most = if random.one_in(50) { COLLECT_MAX } else { 60 };
    let len = random.below(most + 1);
    let text = b"GET / HTTP/1.1\r\n\r\n0\r\n\r\nabc";
    let start = random.below(text.len());
    let content = (0..len).map(|n| text[(start + n) % text.len()]).collect();
    Some((content, random.one_in(2)))
}

/// Encodes content in chunks of random sizes, sometimes with extensions and a trailer section.
fn chunked(random: &mut Random, content: &[u8]) -> Vec<u8> {
    const EXTENSIONS: [&str; 6] = ["", "", "", ";a", ";a=b;c", ";q=\"a\\\"; \t\u{7e}\""];
    const TRAILERS: [&str; 4] = ["", "", "X: y\r\n", "A:\r\nContent-Length: 5\r\n"];
    let mut bytes = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let most = if random.one_in(2) { 8 } else { 40_000 };
        let len = 1 + random.below(rest.len().min(most));
        let zeros = "0".repeat(random.below(4));
        let size = if random.one_in(2) { format!("{len:x}") } else { format!("{len:X}") };
        let line = format!("{zeros}{size}{}\r\n", random.pick(&EXTENSIONS));
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(&rest[..len]);
        bytes.extend_from_slice(b"\r\n");
        rest = &rest[len..];
    }
    let last = format!("0{}\r\n{}\r\n", random.pick(&EXTENSIONS), random.pick(&TRAILERS));
    bytes.extend_from_slice(last.as_bytes());
    bytes
}

/// Pipelined requests: mostly up to four, sometimes more than one visit serves.
fn stream(random: &mut Random) -> (Vec<u8>, Vec<String>) {
    let (mut input, mut saw) = (Vec::new(), Vec::new());
    let most = if random.one_in(100) { 80 } else { 4 };
    for _ in 0..1 + random.below(most) {
        let (bytes, seen) = request(random);
        input.extend_from_slice(&bytes);
        saw.push(seen);
    }
    (input, saw)
}

fn vector(name: &str, input: Vec<u8>) -> Vector {
    Vector { name: name.to_owned(), input, ends: false, waits: None, expected: String::new() }
}

/// The beginning of an input, for a failure message.
fn start(input: &[u8]) -> String {
    input[..input.len().min(1500)].escape_ascii().to_string()
}

#[test]
fn random_valid_requests_are_received_exactly() {
    let mut bench = Bench::new();
    let first = seed();
    for case in first..first + VALID {
        let mut random = Random::new(case);
        let (input, saw) = stream(&mut random);
        let vector = vector("valid", input);
        let cuts = random.cuts(vector.input.len(), 12);
        let outcome = bench.run(&vector, &cuts);
        let context =
            || format!("WHEELHOUSE_SEED={case}, cuts {cuts:?}, input {}", start(&vector.input));
        assert_eq!(outcome.seen, saw, "{}", context());
        let responses =
            outcome.responses().unwrap_or_else(|fault| panic!("{fault}: {}", context()));
        assert_eq!(responses.len(), saw.len(), "{}", context());
        assert!(responses.iter().all(|response| response.ends_with(" keep")), "{}", context());
        assert_eq!(outcome.end, "open", "{}", context());
        let slow = bench.run_slowly(&vector, &cuts, &mut random);
        assert!(slow.is_same(&outcome), "a slow reader received other bytes: {}", context());
    }
}

/// Puts a field line that the server interprets after a request line, or makes it HTTP/1.0.
fn vary(random: &mut Random, input: &mut Vec<u8>) {
    const LINES: [&str; 6] = [
        "Expect: 100-continue\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "connection:x, Keep-Alive\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 7\r\n",
    ];
    if random.one_in(3) {
        return;
    }
    let is_version = |window: &[u8]| window == b" HTTP/1.1\r\n";
    let versions: Vec<usize> =
        input.windows(11).enumerate().filter(|(_, w)| is_version(w)).map(|(at, _)| at).collect();
    let Some(&at) = versions.get(random.below(versions.len().clamp(1, 6))) else { return };
    if random.one_in(4) {
        input[at + 8] = b'0';
    }
    if random.one_in(2) {
        let line = random.pick(&LINES).bytes();
        input.splice(at + 11..at + 11, line);
    }
}

/// Flips, inserts, removes, repeats and exchanges a few bytes, mostly at significant places.
fn damage(random: &mut Random, input: &mut Vec<u8>) {
    const ODD: &[u8] = b"\r\n \t\0:;,/\"=0159afx-+_\x7f\x80\xffHC";
    // Half of the time after the first head, to damage content and framing.
    let end_of_head = input.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
    let from = if random.one_in(2) { end_of_head } else { 0 };
    for _ in 0..1 + random.below(3) {
        if from >= input.len() {
            return;
        }
        let at = from + random.below(input.len() - from);
        match random.below(7) {
            0 => input[at] ^= 1 << random.below(8),
            1 => input[at] = ODD[random.below(ODD.len())],
            2 => input.insert(at, ODD[random.below(ODD.len())]),
            3 => input.insert(at, random.next() as u8),
            4 if input.len() > 1 => drop(input.remove(at)),
            5 => {
                // Repeats a piece, such as a line or the end of a chunk.
                let end = (at + 1 + random.below(30)).min(input.len());
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            _ => {
                let other = random.below(input.len());
                input.swap(at, other);
            }
        }
    }
}

/// Runs half of the damaged cases, since the two tests run in parallel.
fn check_damaged(limits: Limits) {
    expect_panics(&[PANIC]);
    let mut bench = Bench::with_limits(limits);
    let first = seed();
    let mut refused = 0;
    for case in first..first + DAMAGED / 2 {
        let mut random = Random::new(case);
        let (mut input, _) = stream(&mut random);
        vary(&mut random, &mut input);
        damage(&mut random, &mut input);
        let mut vector = vector("damaged", input);
        vector.ends = random.one_in(4);
        let cuts = random.cuts(vector.input.len(), 12);
        let whole = bench.run(&vector, &[]);
        let context = || {
            let ends = if vector.ends { " and the end" } else { "" };
            let input = start(&vector.input);
            format!("WHEELHOUSE_SEED={case}, cuts {cuts:?}, input {input}{ends}")
        };
        let transcript =
            whole.transcript().unwrap_or_else(|fault| panic!("{fault}\n{}", context()));
        let cut = bench.run(&vector, &cuts);
        let differs = cut.transcript().unwrap_or_else(|fault| fault);
        assert!(cut.is_same(&whole), "whole {transcript}\ncut   {differs}\n{}", context());
        // If a reset cuts an echo off, a slow reader has received less of it.
        if random.one_in(4) && whole.end != "reset" {
            let slow = bench.run_slowly(&vector, &cuts, &mut random);
            let differs = slow.transcript().unwrap_or_else(|fault| fault);
            assert!(slow.is_same(&whole), "whole {transcript}\nslow  {differs}\n{}", context());
        }
        refused += u32::from(transcript.contains("400 close"));
    }
    println!("{} cases from seed {first}, {refused} refused with 400", DAMAGED / 2);
    // Otherwise the streams were hardly damaged, and the checks above have shown little.
    assert!(u64::from(refused) > DAMAGED / 20, "only {refused} were refused");
}

#[test]
fn damaged_streams_get_the_same_responses_however_they_are_cut() {
    check_damaged(Limits::default());
}

/// With tight limits, each limit is reached often and at every place.
#[test]
fn damaged_streams_reach_tight_limits_at_the_same_place_however_they_are_cut() {
    let limits = Limits {
        head_bytes_max: 256,
        target_bytes_max: 14,
        fields_max: 5,
        requests_max: 3,
        discard_bytes_max: 30,
        ..Limits::default()
    };
    check_damaged(limits);
}
