//! Faults that the operating system may cause at any time do not change the responses.

use crate::support::{chunk, post, post_chunked, site, GET, GET_CLOSE, SECOND};
use wheelhouse::sim::Sim;

/// The bytes that a client receives for `input`, which it sends in two parts; with faults if there
/// is a seed.
fn transcript(input: &[u8], seed: Option<u64>) -> (String, bool) {
    let mut sim = Sim::new(site);
    if let Some(seed) = seed {
        sim.set_faults(seed);
    }
    let client = sim.connect_and_send(&input[..input.len() / 2]);
    sim.send(client, &input[input.len() / 2..]);
    sim.advance(SECOND);
    sim.end(client);
    sim.advance(SECOND);
    let text = String::from_utf8_lossy(sim.received(client)).into_owned();
    (text, sim.was_reset(client))
}

/// Removes the chunk sizes, which depend on how the writes are cut and so differ between runs.
fn without_chunks(text: &str) -> String {
    text.lines().filter(|line| u64::from_str_radix(line.trim(), 16).is_err()).collect()
}

#[test]
fn interrupted_short_and_spurious_calls_do_not_change_a_response() {
    let chunked = [post_chunked("/collect"), chunk(b"hello"), chunk(b"world"), chunk(b"")].concat();
    let conversations = [
        [GET, GET, GET_CLOSE].concat(),
        [post("/collect", 900, &[b'x'; 900]), chunked].concat(),
        [post("/echo", 60_000, &[b'y'; 60_000]), GET.to_vec()].concat(),
        [post("/receive", 200_000, &[b'z'; 200_000]), GET.to_vec()].concat(),
        b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"GET /big HTTP/1.0\r\n\r\n".to_vec(),
        b"GET  / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    for input in conversations {
        let (expected, was_reset) = transcript(&input, None);
        assert!(expected.starts_with("HTTP/1."));
        for seed in 0..30 {
            let (text, is_reset) = transcript(&input, Some(seed));
            let line = input.split(|&byte| byte == b'\r').next().unwrap();
            let case = format!("seed {seed}: {}", String::from_utf8_lossy(line));
            assert_eq!(without_chunks(&text).len(), without_chunks(&expected).len(), "{case}");
            assert!(without_chunks(&text) == without_chunks(&expected), "{case}");
            assert_eq!(is_reset, was_reset, "{case}");
        }
    }
}
