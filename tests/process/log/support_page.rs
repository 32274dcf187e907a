//! `docs/support.md` is correct: the bytes that it shows get the status and, in the log, the
//! refusal that it names, and every refusal has a row.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use wheelhouse::content::{Flow, Receive};
use wheelhouse::files::Files;
use wheelhouse::runtime::{Refusal, Tally};
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Failure, Handler, Limits, Reply, Request, Router, Routes, Server};

#[test]
fn the_bytes_in_each_row_of_the_support_page_cause_its_refusal() {
    let lines = crate::lines();
    let rows = rows(&page(), "| refusal |");
    assert!(rows.len() > 30, "{} rows", rows.len());
    for row in &rows {
        let [refusal, bytes, then, status, _] = row.as_slice() else {
            panic!("five cells: {row:?}")
        };
        lines.take();
        assert_eq!(exchange(bytes, then).status, *status, "{bytes}");
        let lines = lines.take();
        let refused: Vec<_> =
            lines.iter().filter_map(|line| Some(line.split_once(": refused: ")?.1)).collect();
        assert_eq!(refused.join(" "), refusal.trim_matches('`'), "{bytes}");
    }
    let shown: BTreeSet<_> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let known =
        Tally::<Refusal>::default().iter().map(|(reason, _)| format!("{reason:?}")).collect();
    assert_eq!(shown, known, "each refusal has a row, and nothing else");
}

#[test]
fn each_status_on_the_support_page_occurs_and_keeps_or_closes_the_connection_as_described() {
    let rows = rows(&page(), "| status | when |");
    assert!(rows.len() > 25, "{} rows", rows.len());
    for row in &rows {
        let [status, _, bytes, then, connection] = row.as_slice() else {
            panic!("five cells: {row:?}")
        };
        let got = exchange(bytes, then);
        assert_eq!((&got.status, got.connection), (status, connection.as_str()), "{bytes}");
    }
}

/// The result of one connection.
struct Outcome {
    status: String,
    connection: &'static str,
}

/// Sends the bytes of a cell to the site of the page.
fn exchange(cell: &str, then: &str) -> Outcome {
    let limits = Limits { memory_bytes_max: 512 << 10, ..Limits::default() };
    let mut sim = Sim::of(Server::new().limits(limits), site()).unwrap();
    let client = sim.connect_and_send(unescape(cell.trim_matches('`')));
    match then {
        "" => {}
        "end" => sim.end(client),
        "silence" => sim.advance(Duration::from_secs(31)),
        other => panic!("unknown event: {other:?}"),
    }
    let response = String::from_utf8_lossy(sim.received(client)).into_owned();
    let status = response.strip_prefix("HTTP/1.1 ").or(response.strip_prefix("HTTP/1.0 "));
    let status = status.map_or("", |rest| &rest[..3]).to_owned();
    let is_closed = response.contains("\r\nConnection: close\r\n") || sim.has_ended(client);
    let connection = match is_closed {
        true => "closed",
        false if status == "101" => "upgraded",
        false => "kept",
    };
    Outcome { status, connection }
}

/// The site that the page describes.
fn site() -> impl Handler {
    let files = Files::new(root().join("docs")).unwrap();
    let mut routes: Routes<()> = Router::<()>::new()
        .get("/{$}", |(), _| "ok")
        .get("/user/{id}", |(), _| "a user")
        .get("/folder/", |(), _| "a folder")
        .build()
        .unwrap();
    move |req: &Request<'_>| -> Reply {
        match req.path() {
            "/small" => Reply::collect(16, |(), _, _| "small"),
            "/large" => Reply::collect(1 << 20, |(), _, _| "large"),
            "/later" => {
                let (later, reply) = Reply::later();
                std::mem::forget(later);
                reply
            }
            "/forget" => Reply::later().1,
            "/pause" => Reply::receive(u64::MAX, Paused),
            "/panic" => panic!("the page wants a panic"),
            "/error" => Reply::failed(Failure::internal("the page wants an error")),
            "/shout" => Reply::upgrade("shout", Shout),
            path => match path.strip_prefix("/files/") {
                Some(path) => files.respond_at(req, path).into(),
                None => routes.handle(&mut (), req),
            },
        }
    }
}

struct Paused;

impl Receive<()> for Paused {
    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow, Failure> {
        Ok(Flow::Pause)
    }

    fn wake(&mut self, (): &mut ()) -> Result<Flow, Failure> {
        Ok(Flow::Pause)
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        "never".into()
    }
}

struct Shout;

impl Protocol<()> for Shout {
    fn receive(&mut self, (): &mut (), input: &[u8], _: &mut Connection<'_>) -> io::Result<usize> {
        Ok(input.len())
    }
}

/// The cells of all rows of the tables whose first line begins with `first`.
fn rows(page: &str, first: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for table in page.split("\n\n").filter(|text| text.starts_with(first)) {
        for line in table.lines().skip(2) {
            let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            rows.push(cells.collect());
        }
    }
    rows
}

/// Bytes as the page writes them: `\r`, `\n`, `\x00`, and `{3×ab}` for repetition.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let len = if rest.starts_with('x') { 3 } else { 1 };
                bytes.push(match &rest[..1] {
                    "r" => b'\r',
                    "n" => b'\n',
                    "x" => u8::from_str_radix(&rest[1..3], 16).expect("two digits"),
                    other => panic!("unknown escape: \\{other}"),
                });
                rest = &rest[len..];
            }
            '{' => {
                let (count, more) = rest.split_once('×').expect("a count and the bytes to repeat");
                let (repeated, more) = more.split_once('}').expect("an end of the repeated bytes");
                bytes.extend(unescape(repeated).repeat(count.parse().expect("a number")));
                rest = more;
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

fn page() -> String {
    fs::read_to_string(root().join("docs/support.md")).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
