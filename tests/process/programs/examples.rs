//! Every example behaves as its first lines describe: each is started as a process and gets a
//! request on a real socket.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{kill_process, waitpid, Pid, Signal, WaitOptions};

use crate::built::{built, free_address};
use crate::reading::read_some;

/// The longest time for which a test waits before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// All of `examples/`: one that is not started here fails the test below.
const STARTED: [&str; 31] = [
    "album",
    "around",
    "channel",
    "cores",
    "dashboard",
    "download",
    "events",
    "foreign_loop",
    "front",
    "guards",
    "hello",
    "hijack",
    "later",
    "line",
    "listeners",
    "metrics",
    "packed",
    "pool",
    "portal",
    "probe",
    "routes",
    "shutdown",
    "simulated",
    "source",
    "spool",
    "thread",
    "timers",
    "trailers",
    "upload",
    "webhook",
    "websocket",
];

#[test]
fn every_example_is_started_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut examples: Vec<String> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    examples.sort();
    assert_eq!(examples, STARTED, "a new example needs a test here and its name in STARTED");
}

#[test]
fn hello_responds_with_thirteen_bytes_of_text() {
    let hello = Example::start("hello", &[]);
    let response = hello.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(response.status, "HTTP/1.1 200 OK");
    assert!(response.field("Content-Type").unwrap().starts_with("text/plain"));
    assert_eq!(response.content, b"Hello, World!");
    let head = hello.ask("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(head.field("Content-Length"), Some("13"));
    assert_eq!(head.content, b"");
    let missing = hello.ask("GET /missing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(missing.status, "HTTP/1.1 404 Not Found");
}

#[test]
fn probe_echoes_content() {
    let probe = Example::start("probe", &["--header-timeout", "2"]);
    let response = probe.ask(
        "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nagain",
    );
    assert_eq!(
        (response.status.as_str(), response.content),
        ("HTTP/1.1 200 OK", b"again".to_vec())
    );
    let refused = probe.ask("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(refused.status, "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(refused.field("Allow"), Some("POST, PUT"));
}

/// The process stops within the deadlines of all clients and continues after them. On the way, a
/// signal interrupts its poll.
#[test]
fn probe_hears_clients_that_sent_while_it_was_stopped() {
    let probe = Example::start(
        "probe",
        &["--header-timeout", "4", "--idle-timeout", "4", "--content-timeout", "4"],
    );
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut half = probe.send(&get[..20]);
    let mut idle = probe.send(get);
    read_until(&mut idle, "World!");
    let head = b"POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let mut upload = probe.send(&[&head[..], b"ab"].concat());
    let id = Pid::from_child(&probe.process);
    kill_process(id, Signal::STOP).unwrap();
    let stopped = waitpid(Some(id), WaitOptions::UNTRACED).unwrap();
    assert!(stopped.is_some_and(|(_, status)| status.stopped()));
    half.write_all(&get[20..]).unwrap();
    idle.write_all(get).unwrap();
    upload.write_all(b"cde").unwrap();
    // Deadlines are those of the real clock here.
    thread::sleep(Duration::from_secs(5));
    kill_process(id, Signal::CONT).unwrap();
    for (client, end) in [(&mut half, "World!"), (&mut idle, "World!"), (&mut upload, "5\n")] {
        let response = read_until(client, end);
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    }
}

#[test]
fn upload_counts_and_keeps_chunked_content() {
    let inbox = Scratch::new("upload");
    let upload = Example::start("upload", &[inbox.0.to_str().unwrap()]);
    let response = upload.ask(
        "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n6\r\n again\r\n0\r\n\r\n",
    );
    assert_eq!(
        (response.status.as_str(), response.content),
        ("HTTP/1.1 200 OK", b"11 bytes\n".to_vec())
    );
    assert_eq!(fs::read(only_file(&inbox)).unwrap(), b"hello again");
    let page = upload.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(page.content.ends_with(b"</html>\n"));
}

#[test]
fn upload_removes_an_incomplete_file() {
    let inbox = Scratch::new("incomplete");
    let upload = Example::start("upload", &[inbox.0.to_str().unwrap()]);
    let client = upload.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello");
    let files = || fs::read_dir(&inbox.0).unwrap().count();
    until("the part is created", || files() > 0);
    drop(client);
    until("the part is removed", || files() == 0);
}

#[test]
fn spool_responds_when_all_content_is_on_disk() {
    let inbox = Scratch::new("spool");
    let spool = Example::start("spool", &[inbox.0.join("spooled").to_str().unwrap()]);
    // Many pieces.
    let content = vec![b'x'; 5 << 20];
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    let response = Response::parse(&spool.exchange(&[head.as_bytes(), &content].concat()));
    assert_eq!(response.status, "HTTP/1.1 201 Created");
    let file = only_file(&inbox);
    assert!(fs::read(file).unwrap() == content, "all of it is in the file");
}

#[test]
fn around_counts_requests_in_work_and_logs_all_exchanges() {
    let around = Example::start("around", &[]);
    let get = |path: &str| {
        around.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    };
    let first = get("/");
    assert_eq!(first.content, b"1 requests in work\n");
    assert!(first.field("X-Request-Id").is_some_and(|id| id.ends_with("-0")));
    let unfinished = around.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    until("both are in work", || get("/").content == b"2 requests in work\n");
    drop(unfinished);
    until("one has ended", || get("/").content == b"1 requests in work\n");
    assert_eq!(around.ask("GET / HTTP/1.1\r\n\r\n").status, "HTTP/1.1 400 Bad Request");
    let log = String::from_utf8(get("/log").content).unwrap();
    assert!(log.contains("200 GET \"/\" 19 B Complete\n"), "{log}");
    assert!(log.contains("400 POST \"/\" 16 B PeerLeft\n"), "{log}");
    assert!(log.ends_with("400 - \"-\" 16 B Refused\n"), "{log}");
}

#[test]
fn guards_refuses_foreign_pages_wrong_passwords_and_then_the_address() {
    let guards = Example::start("guards", &["secret"]);
    let head = "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let order = format!("POST /order {head}Content-Length: 0\r\n");
    assert_eq!(guards.ask(&format!("{order}\r\n")).content, b"thank you\n");
    let foreign = guards.ask(&format!("{order}Origin: https://evil.example\r\n\r\n"));
    assert_eq!(foreign.status, "HTTP/1.1 403 Forbidden");
    let trusted = guards.ask(&format!("{order}Origin: https://shop.example\r\n\r\n"));
    assert_eq!(trusted.content, b"thank you\n");
    // `admin:secret` and `admin:guess`.
    let admin = |password: &str| {
        format!("GET /%61dmin/guesses {head}Authorization: Basic {password}\r\n\r\n")
    };
    assert_eq!(guards.ask(&admin("YWRtaW46c2VjcmV0")).content, b"0\n");
    let kept = guards.send(b"");
    for _ in 0..3 {
        assert_eq!(guards.ask(&admin("YWRtaW46Z3Vlc3M=")).status, "HTTP/1.1 401 Unauthorized");
    }
    // A reset may come before the end, or while the request is sent.
    let mut refused = TcpStream::connect(&guards.address).unwrap();
    let _ = refused.write_all(admin("YWRtaW46c2VjcmV0").as_bytes());
    let mut bytes = Vec::new();
    let _ = refused.read_to_end(&mut bytes);
    assert_eq!(bytes, b"");
    let text = finish(kept, &admin("YWRtaW46c2VjcmV0"));
    assert!(text.starts_with("HTTP/1.1 401 "), "also on a connection from before: {text}");
}

#[cfg(feature = "json")]
#[test]
fn simulated_passes_an_hour_at_once() {
    let output = Command::new(built("simulated")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.starts_with("3621s of the server took "), "{text}");
}

#[test]
fn events_can_be_read_and_resumed() {
    let events = Example::start("events", &[]);
    let page = events.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(page.content.ends_with(b"</html>\n"));
    let text =
        events.read_until("GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 0\r\n\r\n", "id: 2\n");
    assert!(text.contains("Content-Type: text/event-stream\r\n"), "{text}");
    assert!(text.contains("\nid: 1\nevent: temperature\ndata: 20.1\n"), "{text}");
    let text =
        events.read_until("GET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 1\r\n\r\n", "id: 3\n");
    assert!(text.contains("id: 2\n") && !text.contains("id: 1\n"), "{text}");
}

#[test]
fn events_ends_its_streams_when_a_signal_ends_it() {
    let mut events = Example::start("events", &[]);
    let mut reader = events.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(read_some(&mut reader, &mut [0; 4096]).unwrap() > 0);
    let pid = Pid::from_raw(events.process.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    assert!(events.process.wait().unwrap().success());
}

#[test]
fn line_responds_to_lines_after_an_upgrade() {
    let line = Example::start("line", &[]);
    let response = line.ask(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: line\r\n\r\n\
         hello\ncount\nbye\n",
    );
    assert_eq!(response.status, "HTTP/1.1 101 Switching Protocols");
    let expected = b"hello, say count or bye\nyou said hello\n1 lines\nbye\n";
    assert_eq!(response.content, expected);
    let refused = line.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(refused.status, "HTTP/1.1 426 Upgrade Required");
}

#[test]
fn later_counts_on_another_thread_and_gives_up_in_time() {
    let later = Example::start("later", &[]);
    let count = |last: &str| {
        let get = format!("GET /primes/{last} HTTP/1.1");
        later.ask(&format!("{get}\r\nHost: a\r\nConnection: close\r\n\r\n"))
    };
    assert_eq!(count("100").content, b"25 primes up to 100\n");
    assert_eq!(count("999999999999").status, "HTTP/1.1 504 Gateway Timeout");
    assert_eq!(count("10").content, b"4 primes up to 10\n", "the worker has given up, too");
    assert_eq!(count("ten").status, "HTTP/1.1 404 Not Found");
}

#[test]
fn later_sends_the_result_also_to_a_client_that_waits() {
    let later = Example::start("later", &[]);
    let ask = |path| {
        later.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).content
    };
    thread::scope(|scope| {
        let next = scope.spawn(|| ask("/next"));
        // A result that comes before the client waits is not for it.
        while !next.is_finished() {
            assert_eq!(ask("/primes/10"), b"4 primes up to 10\n");
        }
        assert_eq!(next.join().unwrap(), b"4 primes up to 10\n");
    });
}

#[test]
fn album_stores_the_files_of_a_form_and_removes_those_of_a_broken_one() {
    let folder = Scratch::new("album");
    let album = Example::start("album", &[folder.0.to_str().unwrap()]);
    let part = |head: &str, content: &str| {
        format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    };
    let post = |form: &str| {
        let kind = "Content-Type: multipart/form-data; boundary=b\r\nConnection: close";
        let len = form.len();
        album.ask(&format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{kind}\r\nContent-Length: {len}\r\n\r\n{form}"
        ))
    };
    let title = part("name=title", "Holidays");
    let photo = part("name=photo; filename=\"../../a.jpg\"", "first\r\n--\r\n");
    let broken = post(&format!("{title}{photo}"));
    assert_eq!(broken.status, "HTTP/1.1 400 Bad Request");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
    let whole = post(&format!("{title}{photo}--b--\r\n"));
    assert_eq!(whole.content, b"\"Holidays\" has 1 photos\n");
    assert_eq!(fs::read(only_file(&folder)).unwrap(), b"first\r\n--\r\n");
}

#[test]
fn packed_serves_pages_of_the_program() {
    let packed = Example::start("packed", &[]);
    let ask = |path: &str, fields: &str| {
        packed.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"))
    };
    let page = ask("/album.html", "");
    assert_eq!(page.content, include_bytes!("../../../examples/album.html"));
    assert_eq!(page.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(ask("/album.html", "Range: bytes=0-14\r\n").content, b"<!doctype html>");
    let missing = ask("/missing", "");
    assert_eq!(missing.status, "HTTP/1.1 404 Not Found");
    assert!(missing.content.ends_with(b"<p>Nothing here."));
    let started = ask("/api/started", "");
    let condition = format!("If-None-Match: {}\r\n", started.field("ETag").unwrap());
    assert_eq!(ask("/api/started", &condition).status, "HTTP/1.1 304 Not Modified");
}

#[test]
fn pool_reads_and_writes_notes_in_threads() {
    let folder = Scratch::new("pool");
    let pool = Example::start("pool", &[folder.0.to_str().unwrap()]);
    let ask = |line: &str, content: &str| {
        let fields = format!("Host: a\r\nConnection: close\r\nContent-Length: {}", content.len());
        pool.ask(&format!("{line} HTTP/1.1\r\n{fields}\r\n\r\n{content}"))
    };
    assert_eq!(ask("GET /notes/today", "").status, "HTTP/1.1 404 Not Found");
    assert_eq!(ask("PUT /notes/today", "buy milk").status, "HTTP/1.1 201 Created");
    assert_eq!(ask("GET /notes/today", "").content, b"buy milk");
    assert_eq!(ask("POST /count", "").content, b"1 notes, 0 before\n");
    assert_eq!(ask("POST /count", "").content, b"1 notes, 1 before\n");
    assert_eq!(fs::read(folder.0.join("today")).unwrap(), b"buy milk");
}

#[test]
fn channel_sends_the_content_of_a_thread() {
    let channel = Example::start("channel", &[]);
    let response = channel.ask("GET /countdown/2 HTTP/1.0\r\n\r\n");
    assert_eq!(response.content, b"2\n1\nlift-off\n");
    let flood = channel.read_until("GET /flood HTTP/1.0\r\n\r\n", &".".repeat(200_000));
    assert!(flood.starts_with("HTTP/1.0 200 OK\r\n"));
}

#[test]
fn hijack_hands_the_stream_to_a_thread() {
    let hijack = Example::start("hijack", &[]);
    let text =
        hijack.read_until("GET /raw HTTP/1.1\r\nHost: a\r\n\r\nand more\n", "said and more\n");
    assert_eq!(text, "this is not HTTP any more\nyou said and more\n");
}

#[cfg(feature = "websocket")]
#[test]
fn websocket_sends_the_message_of_one_client_to_all() {
    let websocket = Example::start("websocket", &[]);
    let page = websocket.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(page.content.ends_with(b"</html>\n"));
    let text = websocket.read_until(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "guest 1 has come",
    );
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    let foreign = websocket.ask(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Origin: http://evil.example\r\n\r\n",
    );
    assert_eq!(foreign.status, "HTTP/1.1 403 Forbidden");
}

#[test]
fn download_sends_a_file_and_a_count_of_unknown_length() {
    let me = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/download.rs");
    let download = Example::start("download", &[me.to_str().unwrap()]);
    let file = download.ask("GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(file.status, "HTTP/1.1 200 OK");
    assert!(file.content == fs::read(&me).unwrap(), "the file arrives unchanged");
    let count = download.ask("GET /count/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(count.field("Transfer-Encoding"), Some("chunked"));
    assert_eq!(count.content, b"6\r\n1\n2\n3\n\r\n0\r\n\r\n");
    let many = download.ask("GET /count/many HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(many.status, "HTTP/1.1 404 Not Found");
}

#[cfg(feature = "json")]
#[test]
fn routes_stores_notes_of_forms_and_of_json_and_shows_them_again() {
    let routes = Example::start("routes", &[]);
    let ask = |line: &str, lines: &str, content: &str| {
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}");
        routes.ask(&format!("{head}Content-Length: {}\r\n\r\n{content}", content.len()))
    };
    let text = |path: &str, lines: &str| {
        String::from_utf8(ask(&format!("GET {path}"), lines, "").content).unwrap()
    };
    assert_eq!(text("/hello/ann", ""), "hello ann\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let signed = ask("POST /sign", form, "author=ann&text=hi+you");
    assert_eq!(
        (signed.status.as_str(), signed.field("Location")),
        ("HTTP/1.1 303 See Other", Some("/"))
    );
    assert_eq!(signed.field("Set-Cookie"), Some("last=0; HttpOnly; SameSite=Lax"));
    assert_eq!(text("/", "Cookie: last=0\r\n"), "you wrote note 0\n");
    assert_eq!(ask("POST /sign", form, "author=ann").status, "HTTP/1.1 400 Bad Request");
    let bob = r#"{"author":"bob","text":"ho"}"#;
    let json = "Content-Type: application/json\r\n";
    assert_eq!(ask("POST /notes", json, bob).status, "HTTP/1.1 201 Created");
    assert_eq!(ask("POST /notes", form, bob).status, "HTTP/1.1 415 Unsupported Media Type");
    assert_eq!(text("/notes", ""), format!(r#"[{{"author":"ann","text":"hi you"}},{bob}]"#));
    assert_eq!(text("/notes/1", ""), bob);
    assert_eq!(ask("GET /notes/7", "", "").status, "HTTP/1.1 404 Not Found");
    assert_eq!(ask("DELETE /notes", "", "").field("Allow"), Some("GET, HEAD, OPTIONS, POST"));
}

#[test]
fn trailers_checks_the_sum_of_an_upload_and_signs_its_response() {
    let trailers = Example::start("trailers", &[]);
    let response = trailers.ask(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 532\r\n\r\n",
    );
    assert_eq!(response.status, "HTTP/1.1 103 Early Hints");
    assert!(response.field("Link").is_some());
    let page = Response::parse(&response.content);
    assert_eq!((page.status.as_str(), page.field("Trailer")), ("HTTP/1.1 200 OK", Some("X-Sum")));
    let text = "the sum is 532, you said 532\n";
    let sum: u32 = text.bytes().map(u32::from).sum();
    let content = format!("1d\r\n{text}\r\n0\r\nX-Sum: {sum}\r\n\r\n");
    assert_eq!(String::from_utf8_lossy(&page.content), content);
}

#[test]
fn listeners_serves_its_operators_on_other_listeners() {
    let scratch = Scratch::new("listeners");
    let socket = scratch.0.join("admin.sock");
    let listeners = Example::start("listeners", &[&format!("unix:{}", socket.display())]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(listeners.ask(&get("/")).content, b"welcome\n");
    assert_eq!(listeners.ask(&get("/stats")).status, "HTTP/1.1 404 Not Found");
    let mut admin = UnixStream::connect(&socket).unwrap();
    admin.write_all(get("/stats").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    admin.read_to_end(&mut bytes).unwrap();
    assert_eq!(Response::parse(&bytes).content, b"2 public requests\n");
}

#[test]
fn metrics_shows_the_numbers_of_the_server_and_of_the_program_to_its_operator() {
    let operator = free_address().to_string();
    let metrics = Example::start("metrics", &[&operator]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(metrics.ask(&get("/?n=100")).content, b"25\n");
    assert_eq!(metrics.ask(&get("/metrics")).status, "HTTP/1.1 404 Not Found");
    let ask = |path: &str| {
        let mut admin = TcpStream::connect(&operator).unwrap();
        admin.write_all(get(path).as_bytes()).unwrap();
        let mut bytes = Vec::new();
        admin.read_to_end(&mut bytes).unwrap();
        String::from_utf8(Response::parse(&bytes).content).unwrap()
    };
    assert_eq!((ask("/ready").as_str(), ask("/health").as_str()), ("ready\n", "well\n"));
    let text = ask("/metrics");
    // The connection that saw that the example is up has sent nothing.
    for line in ["wheelhouse_requests_total 4", "primes_counted_total 25", "wheelhouse_draining 0"]
    {
        assert!(text.contains(&format!("\n{line}\n")), "{text}");
    }
    assert!(text.contains("\nwheelhouse_responses_total{class=\"4xx\"} 1\n"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn cores_counts_requests_for_each_core() {
    let cores = Example::start("cores", &["2"]);
    let mut responses = BTreeSet::new();
    for _ in 0..20 {
        let response = cores.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        responses.insert(String::from_utf8(response.content).unwrap());
    }
    assert_eq!(responses.len(), 20, "each core counts its own requests: {responses:?}");
}

#[test]
fn timers_removes_a_value_after_its_time() {
    let timers = Example::start("timers", &["0.7"]);
    let put = "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(timers.ask(put).content, b"kept\n");
    let get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    until("the value is removed", || timers.ask(get).content == b"0 kept, 1 forgotten\n");
}

#[test]
fn shutdown_closes_kept_connections_and_ends_on_request() {
    let mut shutdown = Example::start("shutdown", &[]);
    let ask = |line: &str| shutdown.ask(&format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let lame = shutdown.ask("POST /lame HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(lame.content, b"no connection is kept\n");
    assert_eq!(ask("GET /").field("Connection"), Some("close"));
    assert_eq!(ask("POST /quit").content, b"good-bye\n");
    assert!(shutdown.process.wait().unwrap().success());
}

/// An example that runs until this is dropped.
pub(crate) struct Example {
    process: Child,
    pub(crate) address: String,
}

/// Reads until `end` has arrived.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&bytes).contains(end) {
        let len = read_some(stream, &mut buffer).unwrap();
        assert!(len > 0, "the connection ended early: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&buffer[..len]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Example {
    /// Starts the example on a port that was free a moment ago, since examples do not report their
    /// port. If another process has taken it, tries another port.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Example {
        Example::start_with(name, arguments, &[])
    }

    /// Starts the example with variables of the environment.
    pub(crate) fn start_with(name: &str, arguments: &[&str], set: &[(&str, &str)]) -> Example {
        for _ in 0..5 {
            let address = free_address().to_string();
            let process = Command::new(built(name))
                .arg(&address)
                .args(arguments)
                .envs(set.iter().copied())
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let mut example = Example { process, address };
            if example.is_up() {
                return example;
            }
        }
        panic!("{name} does not start");
    }

    /// Waits until the example accepts; `false` if it has ended instead.
    fn is_up(&mut self) -> bool {
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(&self.address).is_ok() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Sends a request that asks to close, and reads until the end.
    pub(crate) fn ask(&self, request: &str) -> Response {
        Response::parse(&self.exchange(request.as_bytes()))
    }

    pub(crate) fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.send(request).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Sends a request and reads until `end` has arrived; then the client disconnects.
    pub(crate) fn read_until(&self, request: &str, end: &str) -> String {
        read_until(&mut self.send(request.as_bytes()), end)
    }

    pub(crate) fn send(&self, request: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request).unwrap();
        stream
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Response {
    pub(crate) status: String,
    lines: Vec<String>,
    pub(crate) content: Vec<u8>,
}

impl Response {
    pub(crate) fn parse(bytes: &[u8]) -> Response {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n").map(str::to_owned);
        Response {
            status: lines.next().unwrap(),
            lines: lines.collect(),
            content: bytes[end + 4..].to_vec(),
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends a request that asks to close, and returns the bytes up to the end.
fn finish(mut stream: TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Waits for a condition, for at most as long as every wait of these tests.
pub(crate) fn until(condition: &str, is_met: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_met() {
        assert!(Instant::now() < give_up, "not in time: {condition}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The file in a directory that has one.
pub(crate) fn only_file(scratch: &Scratch) -> PathBuf {
    let files = fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// A directory that is removed at the end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn foreign_loop_serves_and_shows_packets_in_one_thread() {
    let running = Example::start("foreign_loop", &[]);
    let get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(running.ask(get).content, b"\n");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"a packet", &running.address).unwrap();
    // The packet may still be on its way.
    until("the packet is shown", || running.ask(get).content == b"a packet\n");
}

#[test]
fn source_shows_the_last_packet_over_http() {
    let running = Example::start("source", &[]);
    let get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(running.ask(get).content, b" (packet 0)\n");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"21.5", &running.address).unwrap();
    // The packet may be on its way still.
    until("the packet is shown", || running.ask(get).content == b"21.5 (packet 1)\n");
}

#[test]
fn thread_does_jobs_beside_its_server_and_ends_with_it() {
    let mut running = Example::start("thread", &[]);
    let get = "GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let status = || String::from_utf8(running.ask(get).content).unwrap();
    assert!(status().ends_with(" jobs done, 0 requests served\n"));
    assert!(status().ends_with(" jobs done, 1 requests served\n"));
    until("a job is done", || !status().starts_with("0 jobs done"));
    let stop = "POST /stop HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(running.ask(stop).content, b"stopping\n");
    assert!(running.process.wait().unwrap().success());
}
