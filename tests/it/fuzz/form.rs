//! A form with files: its parts are those that a slow reader of the whole text finds, however the
//! content is cut.

use wheelhouse::multipart::{self, Form, Part, Sink};
use wheelhouse::sim::Sim;
use wheelhouse::{Failure, Reply, Request};

use crate::support::random::Random;

/// A head that every reader accepts.
const HEAD: &[u8] = b"Content-Disposition: form-data; name=a\r\n\r\n";
const HEAD_BYTES_MAX: usize = 8 << 10;

/// The bytes are the content of a form with the boundary `b`.
pub(crate) fn target(data: &[u8]) {
    let data = &data[..data.len().min(20_000)];
    let whole = read(data, &[data]);
    let mut ends = Random::of(data).cuts(data.len(), 8);
    ends.push(data.len());
    let mut begin = 0;
    let pieces: Vec<&[u8]> =
        ends.into_iter().map(|end| &data[std::mem::replace(&mut begin, end)..end]).collect();
    assert_eq!(read(data, &pieces), whole, "cut");
    match (whole, model(data)) {
        (Ok(contents), model) => {
            let parts = model.expect("a form that is accepted is well formed");
            assert_eq!(contents, parts.into_iter().map(|(_, content)| content).collect::<Vec<_>>());
        }
        (Err(400), Some(parts)) => {
            assert!(parts.iter().any(|(head, _)| head != HEAD), "a well-formed form is refused");
        }
        (Err(status), _) => assert_eq!(status, 400),
    }
}

/// The contents of the parts, or the status of the refusal.
fn read(data: &[u8], pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, u16> {
    let mut sim = Sim::with_state(Vec::new(), |req: &Request<'_>| -> Reply<Vec<Vec<u8>>> {
        multipart::receive(req, 1 << 20, Contents)
    });
    let kind = "Content-Type: multipart/form-data; boundary=b";
    let head =
        format!("POST / HTTP/1.1\r\nHost: a\r\n{kind}\r\nContent-Length: {}\r\n\r\n", data.len());
    let client = sim.connect_and_send(head);
    for piece in pieces {
        sim.send(client, piece);
    }
    let status = sim.response(client).expect("a response").status();
    match status.as_u16() {
        200 => Ok(std::mem::take(sim.state())),
        status => Err(status),
    }
}

struct Contents;

impl Form<Vec<Vec<u8>>> for Contents {
    fn part(&mut self, contents: &mut Vec<Vec<u8>>, _: &Part<'_>) -> Result<Sink, Failure> {
        contents.push(Vec::new());
        Ok(Sink::Pieces)
    }

    fn piece(&mut self, contents: &mut Vec<Vec<u8>>, piece: &[u8]) -> Result<(), Failure> {
        assert!(!piece.is_empty());
        contents.last_mut().expect("a part has begun").extend_from_slice(piece);
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut Vec<Vec<u8>>) -> Reply<Vec<Vec<u8>>> {
        "stored".into()
    }
}

/// The heads and contents of the parts (RFC 2046, section 5.1.1); `None` for a malformed form.
fn model(data: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    // The first delimiter may be the first line.
    let text = [b"\r\n", data].concat();
    let mut parts: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let (mut at, mut begin) = (0, 0);
    loop {
        let line = at + find(&text[at..], b"\r\n--b")?;
        let after = &text[line + 5..];
        let padding = after.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
        let is_last = after.starts_with(b"--");
        match after.get(padding)? {
            b'-' if is_last => {}
            b'\r' if after.get(padding + 1)? == &b'\n' => {}
            b'-' | b'\r' => return None,
            _ if padding > 0 => return None,
            _ => {
                at = line + 5;
                continue;
            }
        }
        if let Some((_, content)) = parts.last_mut() {
            *content = text[begin..line].to_vec();
        }
        if is_last {
            return Some(parts);
        }
        let head = line + 5 + padding + 2;
        let len = match text[head..].starts_with(b"\r\n") {
            true => 2,
            false => find(&text[head..], b"\r\n\r\n")? + 4,
        };
        let lines = &text[head..head + len];
        let has_bare = (0..len).any(|n| lines[n] == b'\n' && (n == 0 || lines[n - 1] != b'\r'));
        if len > HEAD_BYTES_MAX || has_bare {
            return None;
        }
        parts.push((lines.to_vec(), Vec::new()));
        (at, begin) = (head + len, head + len);
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
#[test]
fn forms_have_the_parts_that_the_model_finds() {
    const WORDS: [&[u8]; 15] = [
        b"\r\n--b",
        b"--b",
        b"\r\n",
        b"\r",
        b"\n",
        b"--",
        b"-",
        b" ",
        b"\t",
        b"b",
        b"x",
        HEAD,
        b"\r\n--b\r\nContent-Disposition: form-data; name=a\r\n\r\n",
        b"\r\n--b--",
        b"Content-Type: text/plain\r\n",
    ];
    let make = |random: &mut Random| {
        let mut form = [b"--b\r\n", HEAD].concat();
        for _ in 0..random.below(24) {
            form.extend_from_slice(random.pick::<[u8]>(&WORDS));
        }
        form.extend_from_slice(b"\r\n--b--\r\n");
        form
    };
    super::run::check("form", 2000, &WORDS, make, target);
}
