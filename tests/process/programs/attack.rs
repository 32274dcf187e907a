//! A short form of `benches/attack.py`: attackers take all that the small limits allow, and an
//! honest client that opens a new connection for each request is served all the same. The memory of
//! the process stays within `memory_bytes_max` and the base of `docs/under-attack.md`.
//!
//! The attackers hold on, because the deadlines of the server are far away or, in the tests with
//! files, longer than the patience of the client. So the deadlines do not help the client. Nothing
//! here measures time.
#![cfg(all(target_os = "linux", feature = "cli"))]

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use wheelhouse::Limits;

use crate::built::{built, free_address};

/// The private memory of the process beside that of its clients.
const BASE: usize = 1 << 20;
/// The longest wait of the honest client. It is below the minute in which a slow reader of a file is
/// reset, so that the client does not depend on that.
const PATIENCE: Duration = Duration::from_secs(8);
const REQUESTS: usize = 20;
const HOST: &str = " HTTP/1.1\r\nHost: x\r\n";
const HONEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A server with the small limits: 64 connections, 1 MiB.
struct Server {
    child: Child,
    address: SocketAddr,
    _directory: Option<Directory>,
    _turn: MutexGuard<'static, ()>,
}

/// One attack at a time, so that this process needs descriptors only for one.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    fn probe() -> Server {
        let turn = turn();
        let address = free_address();
        let far = ["--header-timeout", "3600", "--idle-timeout", "3600"];
        let child = Command::new(built("probe"))
            .args([&address.to_string(), "--limits", "small", "--content-timeout", "3600"])
            .args(far)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child, address, _directory: None, _turn: turn };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < PATIENCE, "probe does not start");
            std::thread::yield_now();
        }
        server
    }

    fn files() -> Server {
        let turn = turn();
        let directory = Directory::new();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wheelhouse"))
            .arg(&directory.0)
            .args(["--listen", "127.0.0.1:0", "--limits", "small"])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().rsplit(' ').next().unwrap();
        let address = address.trim_start_matches("http://").trim_end_matches('/');
        let address = address.parse().unwrap();
        Server { child, address, _directory: Some(directory), _turn: turn }
    }

    /// Returns the bytes of private memory.
    fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let line = line.expect("the server is alive");
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
    }

    fn connect(&self, from: Ipv4Addr) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        socket.into()
    }

    /// Opens connections, and sends `bytes` on each as far as the server takes them. The
    /// connections stay open and read nothing.
    fn attack(&self, count: usize, sources: Sources, bytes: &[u8]) -> Vec<TcpStream> {
        let mut attackers: Vec<_> = (0..count).map(|n| self.connect(sources.of(n))).collect();
        for attacker in &mut attackers {
            attacker.set_nonblocking(true).unwrap();
            // The server may have ended it already, and may not take everything.
            let _ = attacker.write(bytes);
        }
        attackers
    }

    /// Makes the honest requests, and asserts that each is served and memory is as promised.
    fn assert_serves(&self, attack: &str) {
        (0..REQUESTS).for_each(|n| self.assert_serves_once(attack, n));
    }

    fn assert_serves_once(&self, attack: &str, n: usize) {
        let promise = Limits::small().memory_bytes_max + BASE;
        let mut client = self.connect(HONEST);
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET /{HOST}Connection: close\r\n\r\n");
        let mut response = Vec::new();
        let served =
            client.write_all(request.as_bytes()).and_then(|()| client.read_to_end(&mut response));
        served.unwrap_or_else(|error| panic!("{attack}: request {n}: {error}"));
        assert!(response.starts_with(b"HTTP/1.1 200 "), "{attack}: request {n}: no 200");
        assert!(response.ends_with(b"Hello, World!"), "{attack}: request {n}: cut off");
        let memory = self.memory();
        assert!(memory <= promise, "{attack}: {memory} B of memory, at most {promise} expected");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The addresses of the attackers. All of 127/8 is this machine.
#[derive(Clone, Copy)]
enum Sources {
    One,
    Many,
}

impl Sources {
    fn of(self, n: usize) -> Ipv4Addr {
        match self {
            Sources::One => Ipv4Addr::LOCALHOST,
            Sources::Many => Ipv4Addr::new(127, 1, (n >> 8) as u8, n as u8),
        }
    }
}

/// A directory with an index file, a large file without blocks, and a folder of 2,000 names.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let name = format!("wheelhouse-attack-{}-{}", std::process::id(), free_address().port());
        let directory = Directory(std::env::temp_dir().join(name));
        let many = directory.0.join("many");
        fs::create_dir_all(&many).unwrap();
        fs::write(directory.0.join("index.html"), "Hello, World!").unwrap();
        fs::File::create(directory.0.join("large")).unwrap().set_len(1 << 30).unwrap();
        for n in 0..2000 {
            fs::File::create(many.join(format!("a name of an ordinary length {n:04}"))).unwrap();
        }
        directory
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns a request for 16 ranges of the large file.
fn ranges() -> String {
    let ranges: Vec<String> =
        (0..16).map(|n| format!("{}-{}", n << 20, (n << 20) + 500_000)).collect();
    format!("GET /large{HOST}Range: bytes={}\r\n\r\n", ranges.join(","))
}

#[test]
fn silent_connections_of_one_address_do_not_keep_others_out() {
    let server = Server::probe();
    let _attackers = server.attack(150, Sources::One, b"");
    server.assert_serves("silence");
}

#[test]
fn half_heads_of_many_addresses_do_not_keep_others_out() {
    let server = Server::probe();
    let half = format!("GET /{HOST}X: {}", "a".repeat(4170));
    let _attackers = server.attack(150, Sources::Many, half.as_bytes());
    server.assert_serves("half heads");
}

#[test]
fn half_uploads_do_not_keep_others_out() {
    let server = Server::probe();
    let head = format!("POST /collect{HOST}Content-Length: 1000000\r\n\r\n");
    let half = format!("{head}{}", "x".repeat(50_000));
    let _attackers = server.attack(100, Sources::Many, half.as_bytes());
    server.assert_serves("half uploads");
}

/// Many buffers grow, in small steps when memory is short, and come and go. So freed memory must fit
/// the next ones.
#[test]
fn floods_of_chunks_leave_no_holes_in_memory() {
    let one_byte = "1\r\nx\r\n".repeat(10_000);
    let extension = format!("c8;a={}\r\n{}\r\n", "e".repeat(190), "x".repeat(200)).repeat(200);
    let large = format!("2000\r\n{}\r\n", "x".repeat(8192)).repeat(8);
    for (attack, chunks) in
        [("one-byte chunks", one_byte), ("extensions", extension), ("large chunks", large)]
    {
        let server = Server::probe();
        let head = format!("POST /collect{HOST}Transfer-Encoding: chunked\r\n\r\n");
        let open = |n| {
            let mut client = server.connect(Sources::Many.of(n));
            client.set_nonblocking(true).unwrap();
            // The server may have ended it already.
            let _ = client.write_all(head.as_bytes());
            (client, 0)
        };
        let mut attackers: Vec<_> = (0..30).map(open).collect();
        for round in 0..200 {
            for (n, (client, sent)) in attackers.iter_mut().enumerate() {
                *sent += client.write(&chunks.as_bytes()[*sent..]).unwrap_or(0);
                *sent %= chunks.len();
                if !matches!(client.peek(&mut [0]), Err(error) if is_wait(&error)) {
                    (*client, *sent) = open(n);
                }
            }
            if round % 10 == 0 {
                server.assert_serves_once(attack, round);
            }
        }
    }
}

fn is_wait(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

#[test]
fn chunks_of_one_byte_do_not_keep_others_out() {
    let server = Server::probe();
    let head = format!("POST /collect{HOST}Transfer-Encoding: chunked\r\n\r\n");
    let tiny = format!("{head}{}", "1\r\nx\r\n".repeat(10_000));
    let _attackers = server.attack(100, Sources::Many, tiny.as_bytes());
    server.assert_serves("chunks of one byte");
}

#[test]
fn trailers_that_do_not_end_do_not_keep_others_out() {
    let server = Server::probe();
    let head = format!("POST /collect{HOST}Transfer-Encoding: chunked\r\n\r\n");
    let half = format!("{head}1\r\nx\r\n0\r\nX: {}", "a".repeat(3900));
    let _attackers = server.attack(150, Sources::Many, half.as_bytes());
    server.assert_serves("trailers");
}

#[test]
fn pipelines_whose_responses_are_not_read_do_not_keep_others_out() {
    let server = Server::probe();
    for path in ["/", "/stream", "/big"] {
        let requests = format!("GET {path}{HOST}\r\n").repeat(1000);
        let _attackers = server.attack(100, Sources::Many, requests.as_bytes());
        server.assert_serves(path);
    }
}

#[cfg(feature = "websocket")]
#[test]
fn half_messages_do_not_keep_others_out() {
    let server = Server::probe();
    let mut half = format!(
        "GET /ws{HOST}Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    // The first fragment of a text, with its mask of zeros.
    half.extend_from_slice(b"\x01\xfe\xfd\xe8\0\0\0\0");
    half.resize(half.len() + 65_000, b'a');
    let _attackers = server.attack(100, Sources::Many, &half);
    server.assert_serves("half messages");
}

#[test]
fn connections_that_are_reset_at_once_do_not_keep_others_out() {
    let server = Server::probe();
    for _ in 0..10 {
        for attacker in server.attack(100, Sources::One, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") {
            Socket::from(attacker).set_linger(Some(Duration::ZERO)).unwrap();
        }
        server.assert_serves("resets");
    }
}

#[test]
fn slow_readers_of_ranges_do_not_keep_others_out() {
    let server = Server::files();
    let _attackers = server.attack(100, Sources::Many, ranges().repeat(4).as_bytes());
    server.assert_serves("ranges");
}

#[test]
fn listings_do_not_keep_others_out() {
    let server = Server::files();
    for method in ["HEAD", "GET"] {
        let requests = format!("{method} /many/{HOST}\r\n").repeat(50);
        let _attackers = server.attack(20, Sources::Many, requests.as_bytes());
        server.assert_serves(method);
    }
}
