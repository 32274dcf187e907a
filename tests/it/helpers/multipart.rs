//! Forms with files over the wire: each part goes to its place, and bad forms get their status.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::support::*;
use wheelhouse::content::Lost;
use wheelhouse::multipart::{self, Form, Part, Sink, PARTS_MAX};
use wheelhouse::sim::Sim;
use wheelhouse::{Failure, Limits, Reply, Request, Server, StatusCode};

/// A file without a name.
fn new_file() -> io::Result<File> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("form-{}-{}", process::id(), COUNT.fetch_add(1, Relaxed));
    let path = std::env::temp_dir().join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

/// Notes in the state what happens to a form. The name of a part chooses its place.
struct Noted(Option<File>);

impl Form<Vec<String>> for Noted {
    fn part(&mut self, notes: &mut Vec<String>, part: &Part<'_>) -> Result<Sink, Failure> {
        let kind = part.content_type().map_or("-", |kind| kind.essence()).to_owned();
        notes.push(format!("{} {} {kind}", part.name(), part.file_name().unwrap_or("-")));
        Ok(match part.name() {
            "file" => {
                let file = new_file()?;
                self.0 = Some(file.try_clone()?);
                Sink::File(file)
            }
            "pieces" => Sink::Pieces,
            "refused" => return Err(Failure::new(StatusCode::FORBIDDEN, "no such field")),
            "discard" => Sink::Discard,
            _ => Sink::Memory(100_000),
        })
    }

    fn piece(&mut self, notes: &mut Vec<String>, piece: &[u8]) -> Result<(), Failure> {
        let piece = String::from_utf8_lossy(piece).into_owned();
        // Pieces are joined, so that the notes do not depend on the cuts.
        match notes.last_mut() {
            Some(last) if last.starts_with("piece ") => last.push_str(&piece),
            _ => notes.push(format!("piece {piece}")),
        }
        Ok(())
    }

    fn end_of_part(&mut self, notes: &mut Vec<String>, content: Vec<u8>) -> Result<(), Failure> {
        let mut text = String::from_utf8_lossy(&content).into_owned();
        if let Some(mut file) = self.0.take() {
            file.seek(SeekFrom::Start(0))?;
            file.read_to_string(&mut text)?;
        }
        notes.push(format!("end {text}"));
        Ok(())
    }

    fn end(self: Box<Self>, notes: &mut Vec<String>) -> Reply<Vec<String>> {
        notes.push("complete".to_owned());
        "stored".into()
    }

    fn lost(self: Box<Self>, notes: &mut Vec<String>, why: Lost) {
        notes.push(format!("{why:?}"));
    }
}

fn site(req: &Request<'_>) -> Reply<Vec<String>> {
    multipart::receive(req, 1 << 20, Noted(None))
}

fn forms() -> Sim<Vec<String>> {
    Sim::with_state(Vec::new(), site)
}

fn post(kind: &str, form: &[u8]) -> Vec<u8> {
    let head =
        format!("POST / HTTP/1.1\r\nHost: a\r\n{kind}\r\nContent-Length: {}\r\n\r\n", form.len());
    [head.as_bytes(), form].concat()
}

fn part(head: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
}

/// The type of the forms that the tests put together.
const KIND: &str = "Content-Type: multipart/form-data; boundary=b";

/// Sends a form whole, byte by byte and cut once at each byte: the notes are always the same. Returns
/// the status and the notes.
fn send(form: &str) -> (u16, Vec<String>) {
    send_as(KIND, form)
}

fn send_as(kind: &str, form: &str) -> (u16, Vec<String>) {
    let request = post(kind, form.as_bytes());
    let run = |pieces: &[&[u8]]| {
        let mut sim = forms();
        let client = sim.connect();
        pieces.iter().for_each(|piece| sim.send(client, piece));
        turn(&mut sim);
        let status = sim.response(client).expect("a response").status().as_u16();
        (status, std::mem::take(sim.state()))
    };
    let whole = run(&[&request]);
    assert_eq!(run(&request.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    let head = request.len() - form.len();
    for at in (head..request.len()).step_by(1 + form.len() / 300) {
        assert_eq!(run(&[&request[..at], &request[at..]]), whole, "cut at {at}");
    }
    whole
}

#[test]
fn each_part_goes_to_its_place() {
    let form = [
        &part("name=\"text\"", "one\r\n--two"),
        &part("name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png", "\0\r\r\n-"),
        &part("name=pieces", "three"),
        &part("name=discard", "four"),
        &part("name=\"\"", ""),
        "--b--\r\n",
    ];
    let (status, notes) = send(&form.map(AsRef::as_ref).concat::<str>());
    assert_eq!(status, 200);
    let expected = [
        "text - -",
        "end one\r\n--two",
        "file a.png image/png",
        "end \0\r\r\n-",
        "pieces - -",
        "piece three",
        "end ",
        "discard - -",
        "end ",
        " - -",
        "end ",
        "complete",
    ];
    assert_eq!(notes, expected);
}

/// A form as a client has sent it, with the `Content-Type` of its request before it.
macro_rules! recorded {
    ($client:literal) => {
        ($client, include_bytes!(concat!("forms/", $client, ".form")))
    };
}

/// The bytes were recorded from these clients, and the number is their version. The form has text with
/// quotation marks, a field whose name has one, and two files with the same field: one whose name is
/// not ASCII and has quotation marks, and an empty one. Browsers also send a field for a file that was
/// not chosen, and a box. The names are those of t240.
#[test]
fn a_form_is_read_as_each_client_writes_it() {
    let forms: [(&str, &[u8]); 7] = [
        recorded!("chromium-156"),
        recorded!("firefox-153"),
        recorded!("curl-7.88"),
        recorded!("go-1.19"),
        recorded!("requests-2.34"),
        recorded!("httpx-0.28"),
        recorded!("node-20"),
    ];
    for (client, bytes) in forms {
        let text = std::str::from_utf8(bytes).unwrap();
        let (head, form) = text.split_once("\r\n\r\n").unwrap();
        let (status, notes) = send_as(head, form);
        assert_eq!(status, 200, "{client}");
        let is_browser = client.starts_with("chromium") || client.starts_with("firefox");
        let line_end = if is_browser || client.starts_with("node") { "\r\n" } else { "\n" };
        // Go has no type for each file, and requests none for a file without a known one.
        let [kind, of_empty] = match client {
            "go-1.19" => ["application/octet-stream"; 2],
            "requests-2.34" => ["text/plain", "-"],
            _ => ["text/plain", "application/octet-stream"],
        };
        let mut expected = vec![
            "title - -".to_owned(),
            "end Gr\u{fc}\u{df}e \"quoted\" \u{2615}".to_owned(),
            "no\"te - -".to_owned(),
            format!("end one{line_end}two"),
            format!("files \u{fc} \"x\".txt {kind}"),
            "end hello\r\n--no boundary\r\n".to_owned(),
            format!("files empty.bin {of_empty}"),
            "end ".to_owned(),
        ];
        if is_browser {
            let more = ["none  application/octet-stream", "end ", "box - -", "end on"];
            expected.extend(more.map(str::to_owned));
        }
        expected.push("complete".to_owned());
        assert_eq!(notes, expected, "{client}");
    }
}

#[test]
fn a_bad_form_is_the_clients_fault() {
    let many = part("name=discard", "").repeat(PARTS_MAX + 1);
    let long = part("name=text", &"x".repeat(100_001));
    for (form, status) in [
        ("", 400),
        ("no form", 400),
        ("--b\r\n\r\nx\r\n--b--", 400),
        (&part("name=text", "cut off"), 400),
        (&part("name=text; name=text", ""), 400),
        (&part("name=refused", ""), 403),
        (&many, 413),
        (&long, 413),
    ] {
        let request = post(KIND, form.as_bytes());
        let mut sim = forms();
        let client = sim.connect_and_send(request);
        assert_eq!(sim.response(client).unwrap().status(), status, "{form:.60}");
        assert!(!sim.state().contains(&"complete".to_owned()));
    }
    let mut sim = forms();
    for (kind, status) in [
        ("application/x-www-form-urlencoded", 415),
        ("multipart/mixed; boundary=b", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=\"\"", 400),
        ("Multipart/Form-Data; Boundary=b", 200),
    ] {
        let request = sim.request("POST", "/").header("Content-Type", kind);
        assert_eq!(request.body("--b--").send().status(), status, "{kind}");
    }
}

#[test]
fn a_form_over_its_limit_is_a_413_before_it_is_read() {
    let mut sim = forms();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n\
                Content-Length: 1048577\r\n\r\n";
    let client = sim.connect_and_send(head);
    assert_eq!(sim.response(client).unwrap().status(), 413);
    assert_eq!(sim.state().len(), 0);
}

/// Go removes its files after the response (t241); here the program does so when it loses the form.
#[test]
fn a_client_that_leaves_or_sends_too_much_loses_the_form() {
    let mut sim = forms();
    let request = post(KIND, (part("name=text", "") + "rest").as_bytes());
    let client = sim.connect_and_send(&request[..request.len() - 4]);
    sim.reset(client);
    turn(&mut sim);
    assert_eq!(sim.state().last().unwrap(), "PeerLeft");
    let chunks = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n\
                  Transfer-Encoding: chunked\r\n\r\n100001\r\n";
    let client = sim.connect_and_send([chunks.as_bytes(), &vec![b'x'; 0x10_0001]].concat());
    assert_eq!(sim.response(client).unwrap().status(), 413);
    assert_eq!(sim.state().last().unwrap(), "TooLarge");
}

/// A part in memory takes at most its limit, and it is in the budget.
#[test]
fn the_memory_of_parts_is_in_the_budget() {
    let limits = Limits { memory_bytes_max: 1 << 20, ..Limits::default() };
    let server = Server::with_state(Vec::new()).limits(limits);
    let mut sim = sim_of(server, |req: &Request<'_>| -> Reply<Vec<String>> {
        multipart::receive(req, 1 << 30, Big)
    });
    let base = base(&mut sim);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n\
                Content-Length: 10000000\r\n\r\n";
    let begin = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n";
    let client = sim.connect_and_send([head, begin, &"x".repeat(200_000)].concat());
    let held = sim.memory() - base;
    assert!((208_000..450_000).contains(&held), "{held}");
    sim.send(client, "x".repeat(2_000_000));
    turn(&mut sim);
    assert_eq!(sim.response(client).unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    sim.reset(client);
    turn(&mut sim);
    assert_eq!(sim.memory(), base);
}

/// `benches/forms.py` measures the same with files of 100 MiB, sent by a browser.
#[test]
fn files_of_any_size_take_no_more_memory_than_the_head_of_a_part() {
    const FILE: usize = 4 << 20;
    let server = Server::with_state(Vec::new());
    let mut sim = sim_of(server, |req: &Request<'_>| -> Reply<Vec<String>> {
        multipart::receive(req, 1 << 30, Sizes(Vec::new()))
    });
    let base = base(&mut sim);
    let file = "x".repeat(FILE);
    let parts = ["a", "b"].map(|name| part(&format!("name=file; filename={name}"), &file));
    let request = post(KIND, [&*parts.concat(), "--b--"].concat().as_bytes());
    let client = sim.connect();
    let mut peak = 0;
    for piece in request.chunks(100_000) {
        sim.send(client, piece);
        peak = peak.max(sim.memory() - base);
    }
    assert_eq!(sim.response(client).unwrap().text(), format!("{:?}", [FILE, FILE]));
    assert!(peak < 12 << 10, "{peak}");
}

/// Stores the parts in files, and responds with their lengths.
struct Sizes(Vec<File>);

impl Form<Vec<String>> for Sizes {
    fn part(&mut self, _: &mut Vec<String>, _: &Part<'_>) -> Result<Sink, Failure> {
        let file = new_file()?;
        self.0.push(file.try_clone()?);
        Ok(Sink::File(file))
    }

    fn end(self: Box<Self>, _: &mut Vec<String>) -> Reply<Vec<String>> {
        let len = |file: &File| file.metadata().map_or(0, |data| data.len());
        format!("{:?}", self.0.iter().map(len).collect::<Vec<_>>()).into()
    }
}

/// Puts a part of any length into memory.
struct Big;

impl Form<Vec<String>> for Big {
    fn part(&mut self, _: &mut Vec<String>, _: &Part<'_>) -> Result<Sink, Failure> {
        Ok(Sink::Memory(usize::MAX))
    }

    fn end(self: Box<Self>, _: &mut Vec<String>) -> Reply<Vec<String>> {
        "stored".into()
    }
}
