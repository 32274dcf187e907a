//! A response that a handler makes by the decisions in the bytes: a careful client must read back
//! the parts that the handler set, and nothing else.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Request, Response, StatusCode, Trailers};

use crate::http1::reference::response::Response as Parsed;
use crate::support::random::Random;

/// The fields that the server sets itself.
const RESERVED: [&str; 8] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const NAMES: [&str; 16] = [
    "X",
    "x",
    "Set-Cookie",
    "Vary",
    "Content-Type",
    "content-type",
    "Content-Length",
    "Date",
    "Connection",
    "Transfer-Encoding",
    "Upgrade",
    "X Y",
    "X:",
    "",
    "X\r\nY",
    "\u{e9}",
];

/// The most bytes of fields in one response.
const FIELD_BYTES_MAX: usize = 60 << 10;

/// The request, and everything that was said about the response.
#[derive(Clone, Debug)]
struct Plan {
    request: String,
    is_1_0: bool,
    is_head: bool,
    peer_keeps: bool,
    status: u16,
    content_type: Option<Vec<u8>>,
    fields: Vec<(String, Vec<u8>)>,
    content: Content,
    trailers: Vec<(String, Vec<u8>)>,
    closes: bool,
}

/// The content and the way in which it is given.
#[derive(Clone, Debug)]
enum Content {
    None,
    Text(String),
    Bytes(Vec<u8>),
    Static(&'static [u8]),
    /// In pieces of so many bytes; whether the length is announced.
    Produced {
        content: Vec<u8>,
        piece: usize,
        is_exact: bool,
    },
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Content::None => &[],
            Content::Text(text) => text.as_bytes(),
            Content::Bytes(bytes) | Content::Produced { content: bytes, .. } => bytes,
            Content::Static(bytes) => bytes,
        }
    }

    fn has_length(&self) -> bool {
        !matches!(self, Content::Produced { is_exact: false, .. })
    }

    fn body(&self, trailers: &[(String, Vec<u8>)]) -> Body {
        match self.clone() {
            Content::None => Body::default(),
            Content::Text(text) => text.into(),
            Content::Bytes(bytes) => bytes.into(),
            Content::Static(bytes) => bytes.into(),
            Content::Produced { content, piece, is_exact } => {
                let len = content.len() as u64;
                let producer = Pieces { content, piece, at: 0, trailers: trailers.to_vec() };
                match is_exact {
                    true => Body::produce_exactly(len, producer),
                    false => Body::produce(producer),
                }
            }
        }
    }
}

struct Pieces {
    content: Vec<u8>,
    piece: usize,
    at: usize,
    trailers: Vec<(String, Vec<u8>)>,
}

impl Produce for Pieces {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        let end = (self.at + self.piece).min(self.content.len());
        self.at += out.put(&self.content[self.at..end]);
        Ok(if self.at == self.content.len() { Produced::End } else { Produced::More })
    }

    fn put_trailers(&mut self, trailers: &mut Trailers) -> io::Result<()> {
        for (name, value) in &self.trailers {
            trailers.append(name, value)?;
        }
        Ok(())
    }
}

pub(crate) fn target(data: &[u8]) {
    let mut random = Random::of(data);
    let count = 1 + random.below(3);
    let plans: Vec<Plan> = (0..count).map(|_| plan(&mut random)).collect();
    let made = Rc::new(RefCell::new(Vec::new()));
    let (queue, sink) = (plans.clone(), Rc::clone(&made));
    let mut sim = Sim::new(move |_: &Request<'_>| {
        let mut made = sink.borrow_mut();
        let (response, expected) = make(&queue[made.len()]);
        made.push(expected);
        response
    });
    let client = sim.connect();
    let window = random.below(4000);
    if window > 0 {
        sim.stall(client, window);
    }
    let input: String = plans.iter().map(|plan| &*plan.request).collect();
    sim.send(client, input);
    for _ in 0..if window > 0 { random.below(8) } else { 0 } {
        sim.read(client, random.below(4000));
    }
    sim.unstall(client);
    let (has_ended, output) = (sim.has_ended(client), sim.take_received(client));
    assert!(!sim.was_reset(client), "a complete response ends in a reset");
    let mut rest = &output[..];
    for (at, expected) in made.borrow().iter().enumerate() {
        let parsed = Parsed::read(rest, plans[at].is_head, has_ended)
            .unwrap_or_else(|stop| panic!("{stop:?} in {}", rest.escape_ascii()));
        rest = &rest[parsed.len..];
        expected.check(&plans[at], &parsed, has_ended && rest.is_empty());
        assert!(parsed.keeps || rest.is_empty(), "bytes after the last response");
    }
    assert!(rest.is_empty(), "bytes without a request: {}", rest.escape_ascii());
    assert!(has_ended || made.borrow().len() == count, "a request got no response");
}

/// The content of a response, as far as it follows from the calls that succeeded.
#[derive(Debug)]
struct Expected {
    status: u16,
    content_type: Option<Vec<u8>>,
    fields: Vec<(String, Vec<u8>)>,
}

fn make(plan: &Plan) -> (Response, Expected) {
    let mut response = Response::new(StatusCode::from_u16(plan.status).unwrap());
    let mut expected = Expected { status: plan.status, content_type: None, fields: Vec::new() };
    let fields = plan.content_type.iter().map(|value| ("Content-Type".to_owned(), value.clone()));
    for (at, (name, value)) in fields.chain(plan.fields.iter().cloned()).enumerate() {
        let replaces = at % 3 == 0;
        let result = match replaces {
            true => response.set_header(&name, &value),
            false => response.append_header(&name, &value),
        };
        assert_eq!(result.is_ok(), expected.put(&name, &value, replaces), "{name:?} {value:?}");
    }
    if plan.closes {
        response = response.with_close();
    }
    (response.with_body(plan.content.body(&plan.trailers)), expected)
}

impl Expected {
    /// Adds a field, if it can be sent. Returns whether it can.
    fn put(&mut self, name: &str, value: &[u8], replaces: bool) -> bool {
        let is_tchar =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_control = |byte: &u8| *byte < 0x20 && *byte != b'\t' || *byte == 0x7f;
        let is_name = !name.is_empty() && name.bytes().all(is_tchar);
        if !is_name || value.iter().any(is_control) {
            return false;
        }
        let start = value.iter().take_while(|byte| b" \t".contains(byte)).count();
        let end = value.len() - value.iter().rev().take_while(|byte| b" \t".contains(byte)).count();
        let value = value.get(start..end).unwrap_or_default().to_vec();
        let size = |name: &str, value: &[u8]| name.len() + value.len() + 4;
        let name = name.to_owned();
        if name.eq_ignore_ascii_case("content-type") {
            let is_good =
                std::str::from_utf8(&value).is_ok() && size(&name, &value) <= FIELD_BYTES_MAX;
            if is_good {
                self.content_type = Some(value);
            }
            return is_good;
        }
        if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            return false;
        }
        let is_named = |field: &(String, Vec<u8>)| field.0.eq_ignore_ascii_case(&name);
        let kept = self.fields.iter().filter(|field| !replaces || !is_named(field));
        let sum: usize = kept.map(|(name, value)| size(name, value)).sum();
        if sum + size(&name, &value) > FIELD_BYTES_MAX {
            return false;
        }
        let place = self.fields.iter().position(is_named).filter(|_| replaces);
        if replaces {
            self.fields.retain(|field| !is_named(field));
        }
        let place = place.unwrap_or(self.fields.len());
        self.fields.insert(place, (name, value));
        true
    }

    /// Compares a response with everything that was said about it (RFC 9110, sections 6.4, 8.6, 9.3.2
    /// and 15; RFC 9112, sections 6.3 and 9.3).
    fn check(&self, plan: &Plan, parsed: &Parsed, ends: bool) {
        let has_no_content = matches!(plan.status, 204 | 205 | 304);
        let is_fault = plan.status < 200;
        let status = if is_fault { 500 } else { self.status };
        assert_eq!(parsed.status, status);
        assert_eq!(parsed.is_1_1, !plan.is_1_0, "the version of the client");
        assert_eq!(parsed.all("date").len(), 1);
        if is_fault {
            return;
        }
        let content = plan.content.bytes();
        let sent: &[u8] = if plan.is_head || has_no_content { &[] } else { content };
        assert!(parsed.content == sent, "{} bytes of {}", parsed.content.len(), sent.len());
        let length = parsed.all("content-length").first().map(|length| length.to_vec());
        let expected_length = match (plan.status, plan.content.has_length()) {
            (205, _) => Some(b"0".to_vec()),
            (204 | 304, _) | (_, false) => None,
            (_, true) => Some(content.len().to_string().into_bytes()),
        };
        assert_eq!(length, expected_length);
        let in_chunks = length.is_none() && !has_no_content && !plan.is_head && !plan.is_1_0;
        assert_eq!(parsed.is_chunked, in_chunks);
        let until_close =
            plan.is_1_0 && !plan.content.has_length() && !plan.is_head && !has_no_content;
        let keeps = plan.peer_keeps && !plan.closes && !until_close;
        assert_eq!(parsed.keeps, keeps, "{plan:?}");
        assert!(keeps || ends, "the connection is open after the last response");
        let is_own = |field: &&(String, Vec<u8>)| {
            let is_any_of = |names: &[&str]| names.iter().any(|n| field.0.eq_ignore_ascii_case(n));
            !is_any_of(&RESERVED) && !is_any_of(&["content-type"])
        };
        let own: Vec<_> = parsed.fields.iter().filter(is_own).cloned().collect();
        let mut expected = self.fields.clone();
        if self.is_text_of_an_error() {
            expected.push(("X-Content-Type-Options".to_owned(), b"nosniff".to_vec()));
        }
        assert_eq!(own, expected);
        let content_type = parsed.all("content-type").first().map(|value| value.to_vec());
        // A 304 has no type of its own, and content of no kind needs none.
        if !has_no_content {
            assert_eq!(content_type, self.content_type);
        }
    }

    /// Browsers take it for nothing else, unless the program decides about that itself.
    fn is_text_of_an_error(&self) -> bool {
        let name = "x-content-type-options";
        let is_text = |value: &Vec<u8>| value.to_ascii_lowercase().starts_with(b"text/plain");
        (400..600).contains(&self.status)
            && self.content_type.as_ref().is_some_and(is_text)
            && !self.fields.iter().any(|field| field.0.eq_ignore_ascii_case(name))
    }
}

fn plan(random: &mut Random) -> Plan {
    let method = random.pick(&["GET", "GET", "HEAD", "POST", "OPTIONS"]);
    let is_1_0 = random.one_in(5);
    let connection = random.pick(&["", "", "Connection: close\r\n", "Connection: keep-alive\r\n"]);
    let version = if is_1_0 { "HTTP/1.0" } else { "HTTP/1.1" };
    let peer_keeps = match connection {
        "" => !is_1_0,
        connection => connection.contains("keep-alive"),
    };
    const STATUSES: [u16; 16] =
        [200, 200, 200, 201, 204, 205, 206, 301, 304, 400, 404, 500, 503, 299, 599, 102];
    Plan {
        request: format!("{method} / {version}\r\nHost: a\r\n{connection}\r\n"),
        is_1_0,
        is_head: method == "HEAD",
        peer_keeps,
        status: STATUSES[random.below(STATUSES.len())],
        content_type: random.one_in(2).then(|| value(random)),
        fields: (0..random.below(6)).map(|_| (name(random), value(random))).collect(),
        content: content(random),
        trailers: (0..random.below(3)).map(|n| (format!("T{n}"), b"v".to_vec())).collect(),
        closes: random.one_in(8),
    }
}

fn name(random: &mut Random) -> String {
    match random.one_in(4) {
        false => random.pick(&NAMES).to_owned(),
        true => (0..random.below(6)).map(|_| char::from(random.below(256) as u8)).collect(),
    }
}

fn value(random: &mut Random) -> Vec<u8> {
    const PIECES: [&[u8]; 12] = [
        b"a",
        b"text/plain",
        b" ",
        b"\t",
        b"\r\n",
        b"\n",
        b"\r\nX: y",
        b"\0",
        b"\xe9",
        b"\x7f",
        b"b",
        b",;=\"",
    ];
    if random.one_in(60) {
        return vec![b'v'; random.below(FIELD_BYTES_MAX + 20)];
    }
    (0..random.below(5)).flat_map(|_| random.pick(&PIECES).to_vec()).collect()
}

fn content(random: &mut Random) -> Content {
    let len = match random.below(8) {
        0 => 0,
        1..=5 => random.below(100),
        6 => random.below(5000),
        _ => random.below(200_000),
    };
    let salt = random.below(256);
    let bytes: Vec<u8> = (0..len).map(|n| b'a' + ((n + salt) % 26) as u8).collect();
    match random.below(7) {
        0 => Content::None,
        1 => Content::Text(String::from_utf8(bytes).unwrap()),
        2 => Content::Bytes(bytes),
        3 => Content::Static(b"Hello, World!"),
        _ => {
            let piece = 1 + random.below(if len > 1000 { 70_000 } else { 60 });
            let piece = piece.max(len / 500 + 1);
            Content::Produced { content: bytes, piece, is_exact: random.one_in(2) }
        }
    }
}

#[cfg(test)]
#[test]
fn a_client_reads_back_the_response_that_the_handler_made() {
    let make = |random: &mut Random| (0..random.below(80)).map(|_| random.next() as u8).collect();
    super::run::check("response", 1000, &[], make, target);
}
