//! Trailer sections (RFC 9110, section 6.5): the code that reads the content of a request sees its
//! trailers, those of responses are sent after the last chunk, and neither is lost silently.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use crate::support::*;
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Receive, Transform};
use wheelhouse::sim::Sim;
use wheelhouse::{Body, Failure, FieldError, Fields, Reply, Request, Response, Trailers};

const UPLOAD: &str = "POST /PATH HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
    Trailer: A, Host\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nA: 1\r\nHost: evil\r\nb:\t2 \r\n\
    Content-Length: 9\r\nAuthorization: x\r\na: 3\r\n\r\n";

fn shown(fields: Fields<'_>) -> String {
    let lines = fields.iter().map(|(name, value)| format!("{name}={}", value.escape_ascii()));
    lines.collect::<Vec<_>>().join(",")
}

/// Responds with its pieces, its trailers and its end, in their order.
#[derive(Default)]
struct Shown(String);

impl Receive<()> for Shown {
    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow<()>, Failure> {
        self.0.push_str(&String::from_utf8_lossy(piece));
        Ok(Flow::Continue)
    }

    fn trailers(&mut self, (): &mut (), trailers: Fields<'_>) {
        self.0 += &format!(";{}", shown(trailers));
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply<()> {
        format!("{};end", self.0).into()
    }
}

impl Transform<()> for Shown {
    fn piece(&mut self, (): &mut (), piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        Ok(out.put(piece))
    }

    fn trailers(&mut self, (): &mut (), trailers: Fields<'_>) {
        self.0 = shown(trailers);
    }

    fn end(&mut self, (): &mut (), out: &mut Out<'_>) -> io::Result<()> {
        out.put(format!(";{};end", self.0).as_bytes());
        Ok(())
    }

    fn put_trailers(&mut self, (): &mut (), trailers: &mut Trailers) -> io::Result<()> {
        Ok(trailers.append("Seen", &self.0)?)
    }
}

fn upload_site(req: &Request<'_>) -> Reply {
    assert!(req.trailers().is_empty(), "the content has not arrived yet");
    match req.path() {
        "/collect" => Reply::collect(100, |(), req, content| {
            assert!(!req.headers().contains("a"), "trailers are never merged into the head");
            assert_eq!(req.host(), Some("a"));
            format!("{};{};end", String::from_utf8_lossy(content), shown(req.trailers()))
        }),
        "/receive" => Reply::receive(u64::MAX, Shown::default()),
        "/transform" => Reply::transform(Response::text(""), Shown::default()),
        _ => "not asked for".into(),
    }
}

/// The content of the response to a request that is sent as these pieces.
fn responses(pieces: &[&[u8]]) -> String {
    let mut sim = Sim::new(upload_site);
    let client = sim.connect();
    for piece in pieces {
        sim.send(client, piece);
    }
    assert!(sim.is_open(client) && !sim.has_ended(client));
    let received = String::from_utf8(sim.take_received(client)).unwrap();
    sim.end(client);
    // Only the content, chunked or not, and however the chunks are cut.
    let response = content(received.as_bytes());
    match received.contains("chunked") {
        true => String::from_utf8(dechunk_until_trailers(response)).unwrap(),
        false => String::from_utf8(response.to_vec()).unwrap(),
    }
}

/// The content of a chunked body, followed by the trailer section and its end.
fn dechunk_until_trailers(mut bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n").expect("a size line");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        bytes = &bytes[line + 2..];
        if size == 0 {
            content.extend_from_slice(b"|");
            content.extend_from_slice(bytes);
            return content;
        }
        content.extend_from_slice(&bytes[..size]);
        bytes = &bytes[size + 2..];
    }
}

/// The code that reads the content sees the allowed fields of its trailer section, whether they
/// were announced or not (t81).
#[test]
fn trailers_of_a_request_are_the_same_however_they_are_cut() {
    for (path, expected) in [
        ("collect", "abcde;A=1,b=2,a=3;end"),
        ("receive", "abcde;A=1,b=2,a=3;end"),
        ("transform", "abcde;A=1,b=2,a=3;end|Seen: A=1,b=2,a=3\r\n\r\n"),
        ("nobody", "not asked for"),
    ] {
        let request = UPLOAD.replace("PATH", path).into_bytes();
        assert_eq!(responses(&[&request]), expected, "whole");
        let bytes: Vec<&[u8]> = request.chunks(1).collect();
        assert_eq!(responses(&bytes), expected, "byte by byte");
        for cut in 1..request.len() {
            let (first, second) = request.split_at(cut);
            assert_eq!(responses(&[first, second]), expected, "{path} cut at {cut}");
        }
    }
}

/// This holds for an empty trailer section and for content with a length.
#[test]
fn without_trailers_the_callback_is_not_called() {
    for (path, expected) in
        [("collect", "abc;;end"), ("receive", "abc;end"), ("transform", "abc;;end|Seen: \r\n\r\n")]
    {
        let head = format!("POST /{path} HTTP/1.1\r\nHost: a\r\n");
        let length = format!("{head}Content-Length: 3\r\n\r\nabc");
        let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let forbidden = chunks.replace("0\r\n\r\n", "0\r\nHost: b\r\n\r\n");
        for request in [length, chunks, forbidden] {
            assert_eq!(responses(&[request.as_bytes()]), expected);
        }
    }
}

/// The incomplete section is held and counted, and the request after it is found.
#[test]
fn the_memory_of_an_incomplete_trailer_section_is_counted_and_given_back() {
    for path in ["collect", "receive", "transform", "nobody"] {
        let mut sim = Sim::new(upload_site);
        let base = base(&mut sim);
        let request = UPLOAD.replace("PATH", path);
        let half = request.len() - 10;
        let clients: Vec<_> = (0..40).map(|_| sim.connect()).collect();
        for &client in &clients {
            sim.send(client, &request.as_bytes()[..half]);
        }
        assert!(sim.memory() > base && sim.memory() < base + 40 * 8192, "{}", sim.memory());
        for &client in &clients {
            sim.send(client, [&request.as_bytes()[half..], GET].concat().as_slice());
            assert_eq!(statuses(sim.received(client)), [200, 200], "{path}");
            sim.reset(client);
        }
        // Free blocks of 1 KiB are kept for later use.
        assert!(sim.memory() <= base + (16 << 10), "{}", sim.memory() - base);
    }
}

/// Produces this many bytes and then these trailers.
struct Signed {
    left: usize,
    trailers: fn(&mut Trailers) -> Result<(), FieldError>,
}

impl Produce for Signed {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        self.left -= out.put(&vec![b's'; self.left.min(4)]);
        Ok(if self.left == 0 { Produced::End } else { Produced::More })
    }

    fn put_trailers(&mut self, trailers: &mut Trailers) -> io::Result<()> {
        Ok((self.trailers)(trailers)?)
    }
}

fn signed(trailers: fn(&mut Trailers) -> Result<(), FieldError>) -> Response {
    Response::ok("text/plain", Body::produce(Signed { left: 6, trailers }))
}

/// The bytes that are received after the date.
fn response_to(request: &[u8], site: impl FnMut(&Request<'_>) -> Response + 'static) -> String {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(request);
    let received = String::from_utf8(sim.take_received(client)).unwrap();
    let (status, rest) = received.split_once("\r\nDate: ").unwrap();
    format!("{status}{}", &rest[rest.find("\r\n").unwrap()..])
}

/// Trailers that were announced but not set are not sent, which RFC 9110, section 6.6.2, allows
/// (t143).
#[test]
fn trailers_of_a_response_follow_its_last_chunk() {
    let response = response_to(GET, |_| {
        signed(|trailers| {
            trailers.append("A", "1")?;
            trailers.append("C", "3")
        })
        .with_trailer("A")
        .with_trailer("B")
        .with_trailer("C")
    });
    assert_eq!(
        response,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTrailer: A, B, C\r\n\
         Transfer-Encoding: chunked\r\n\r\n4\r\nssss\r\n2\r\nss\r\n0\r\nA: 1\r\nC: 3\r\n\r\n"
    );
}

/// Trailers need neither an announcement nor a flush (t144, n12).
#[test]
fn trailers_that_were_not_announced_are_sent() {
    let response =
        response_to(GET, |_| signed(|t| t.append("A", "late")).with_header("A", "early"));
    assert!(response.contains("\r\nA: early\r\n") && !response.contains("Trailer"), "{response}");
    assert!(response.ends_with("2\r\nss\r\n0\r\nA: late\r\n\r\n"), "{response}");
}

#[test]
fn the_connection_is_kept_after_trailers() {
    let mut sim = Sim::new(|_: &Request<'_>| signed(|t| t.append("A", "1")).with_trailer("A"));
    let client = sim.connect_and_send(GET.repeat(3));
    assert_eq!(statuses(sim.received(client)), [200, 200, 200]);
    assert!(sim.received(client).ends_with(b"0\r\nA: 1\r\n\r\n"));
}

/// A field that is not allowed after content is neither announced nor sent (w39).
#[test]
fn announcing_a_trailer_that_is_not_allowed_is_an_error() {
    for name in ["Content-Length", "Set-Cookie", "no name", ""] {
        let response = response_to(GET, move |_| signed(|_| Ok(())).with_trailer(name));
        assert!(response.starts_with("HTTP/1.1 500 "), "{response}");
    }
}

/// The panic is in the callback for trailers, not in `end`.
#[test]
fn a_panic_at_the_trailers_of_a_request_costs_one_connection() {
    struct Panics;
    impl Receive<()> for Panics {
        fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow<()>, Failure> {
            Ok(Flow::Continue)
        }
        fn trailers(&mut self, (): &mut (), _: Fields<'_>) {
            panic!("trailers of a test panic");
        }
        fn end(self: Box<Self>, (): &mut ()) -> Reply<()> {
            "not reached".into()
        }
    }
    let mut sim = Sim::new(|_: &Request<'_>| Reply::receive(u64::MAX, Panics));
    let client = sim.connect_and_send(UPLOAD.as_bytes());
    assert_eq!(statuses(sim.received(client)), [500]);
}

/// The state is available where trailers are read and where they are put.
#[test]
fn a_transform_checks_and_signs_with_the_state_of_the_loop() {
    type Seen = Rc<RefCell<Vec<String>>>;
    struct Relay;
    impl Transform<Seen> for Relay {
        fn piece(&mut self, _: &mut Seen, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
            Ok(out.put(piece))
        }
        fn trailers(&mut self, seen: &mut Seen, trailers: Fields<'_>) {
            seen.borrow_mut().push(shown(trailers));
        }
        fn put_trailers(&mut self, seen: &mut Seen, trailers: &mut Trailers) -> io::Result<()> {
            Ok(trailers.append("Seen", seen.borrow().len().to_string())?)
        }
    }
    let seen = Seen::default();
    let site = |_: &Request<'_>| Reply::transform(Response::text("").with_trailer("Seen"), Relay);
    let mut sim = Sim::with_state(seen.clone(), site);
    let client = sim.connect_and_send(UPLOAD.repeat(2).as_bytes());
    assert!(sim.received(client).ends_with(b"\r\n0\r\nSeen: 2\r\n\r\n"));
    assert_eq!(*seen.borrow(), ["A=1,b=2,a=3", "A=1,b=2,a=3"]);
}
