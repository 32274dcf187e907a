//! The memory that the server allocates under attacks with content, copies of buffers that grow
//! included. It stays within `memory_bytes_max` and a small base. So whatever the process takes beyond
//! that is up to the allocator: `tests/process/programs/attack.rs` measures both.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use wheelhouse::runtime::EventLoop;
use wheelhouse::{Limits, Server};

use super::{site, ALONE, COUNTS, HELD, PEAK};

/// The memory that is not counted: wakers, and the loop's own for the system.
const BASE: usize = 64 << 10;
const HOST: &str = " HTTP/1.1\r\nHost: a\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

/// The bytes that a client sends first, and those that it repeats until the server ends it.
type Script = (Vec<u8>, Vec<u8>);

struct Attack {
    name: &'static str,
    limits: Limits,
    clients: usize,
    script: fn(usize) -> Script,
}

fn one_byte_chunks(_: usize) -> Script {
    (format!("POST /collect{HOST}{CHUNKED}").into(), b"1\r\nx\r\n".repeat(10_000))
}

fn extensions(n: usize) -> Script {
    let (path, size) = (["/collect", "/"][n % 2], [1, 200][n / 2 % 2]);
    let chunk = format!("{size:x};a={}\r\n{}\r\n", "e".repeat(190), "x".repeat(size));
    (format!("POST {path}{HOST}{CHUNKED}").into(), chunk.repeat(200).into())
}

/// The first chunk has the size that makes a buffer of `len` bytes full.
fn framing(len: usize) -> Script {
    let first = format!("POST /collect{HOST}{CHUNKED}{len:x}\r\n{}\r\n", "x".repeat(len));
    (first.into(), b"1;aaaaaaaaaaaaa\r\nX\r\n".repeat(54))
}

fn mixture(n: usize) -> Script {
    let get = format!("GET /{HOST}\r\n");
    match n % 6 {
        0 => (format!("GET /{HOST}X: {}", "a".repeat(4170)).into(), Vec::new()),
        1 => {
            let head = format!("POST /collect{HOST}Content-Length: 1000000\r\n\r\n");
            (format!("{head}{}", "x".repeat(64 << 10)).into(), vec![b'x'; 1100])
        }
        2 => one_byte_chunks(n),
        3 => (format!("GET /produce{HOST}\r\n").into(), Vec::new()),
        4 => {
            let head = format!("POST /collect{HOST}{CHUNKED}1\r\nx\r\n0\r\nX: ");
            (format!("{head}{}", "a".repeat(3900)).into(), Vec::new())
        }
        _ => (get.repeat(1500).into(), get.repeat(1500).into()),
    }
}

fn attacks() -> [Attack; 5] {
    let small = || Limits { connections_per_address_max: usize::MAX, ..Limits::small() };
    let usual = || Limits { memory_bytes_max: 8 << 20, ..Limits::default() };
    let attack = |name, limits, clients, script| Attack { name, limits, clients, script };
    [
        attack("one-byte chunks", small(), 40, one_byte_chunks),
        attack("chunk extensions", small(), 40, extensions),
        attack("mixture of content", small(), 60, mixture),
        attack("slow uploads, framing", usual(), 16, |_| framing(960 << 10)),
        attack("mixture of content by default", usual(), 150, mixture),
    ]
}

/// A client that is opened again when the server has ended it.
struct Attacker {
    number: usize,
    address: SocketAddr,
    script: fn(usize) -> Script,
    stream: TcpStream,
    output: Vec<u8>,
    repeated: Vec<u8>,
}

impl Attacker {
    fn new(number: usize, address: SocketAddr, script: fn(usize) -> Script) -> Attacker {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (output, repeated) = script(number);
        Attacker { number, address, script, stream, output, repeated }
    }

    /// Sends as much as the server takes.
    fn act(&mut self) {
        if self.output.is_empty() {
            self.output = self.repeated.clone();
        }
        match self.stream.write(&self.output) {
            Ok(sent) => drop(self.output.drain(..sent)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return self.come_again(),
        }
        // Readers of responses read nothing.
        let has_ended = matches!(self.stream.peek(&mut [0]), Ok(0) | Ok(1));
        if has_ended && !self.repeated.is_empty() && self.stream.read(&mut [0; 512]).is_ok() {
            self.come_again();
        }
    }

    fn come_again(&mut self) {
        *self = Attacker::new(self.number, self.address, self.script);
    }
}

fn turn(events: &mut EventLoop<()>) {
    COUNTS.set(true);
    let _ = events.turn(Some(Duration::ZERO)).unwrap();
    COUNTS.set(false);
}

#[test]
fn under_attack_no_more_is_allocated_than_the_budget() {
    let _alone = ALONE.lock().unwrap();
    for Attack { name, limits, clients, script } in attacks() {
        let budget = limits.memory_bytes_max;
        let server = Server::new().limits(limits).listen("127.0.0.1:0").unwrap();
        let address = server.local_addrs()[0];
        HELD.store(0, Ordering::SeqCst);
        COUNTS.set(true);
        let mut events = server.build(site()).unwrap();
        COUNTS.set(false);
        let rest = HELD.load(Ordering::SeqCst);
        PEAK.store(0, Ordering::SeqCst);
        let mut attackers: Vec<_> =
            (0..clients).map(|n| Attacker::new(n, address, script)).collect();
        for _ in 0..30 {
            attackers.iter_mut().for_each(Attacker::act);
            turn(&mut events);
        }
        let peak = PEAK.load(Ordering::SeqCst) as usize;
        drop(attackers);
        let most = rest + BASE as isize;
        let is_over = (0..10_000).any(|_| {
            turn(&mut events);
            HELD.load(Ordering::SeqCst) <= most
        });
        let held = HELD.load(Ordering::SeqCst);
        println!("{name}: at most {peak} B of {budget} B, then {held} B");
        assert!(peak > budget / 2, "{name}: no attack: {peak} B");
        assert!(peak <= budget + BASE, "{name}: {peak} B of {budget} B");
        assert!(is_over, "{name}: {held} B are left");
    }
}
