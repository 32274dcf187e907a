//! Out of descriptors: a process with 64 of them and 200 clients. Every client is served in the
//! end, the server does not spin, and service resumes as descriptors become free. (The trap: after
//! EMFILE an edge-triggered listener reports nothing more.)
//!
//! `sh` sets the limit for a process of its own: the `hello` or `probe` example that cargo has
//! built beside this test. A limit cannot apply to a part of this process.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wheelhouse::{sim::Sim, Request};

use crate::built::{built, free_address};
use crate::reading::read_some;

const PATIENCE: Duration = Duration::from_secs(30);
const CLIENTS: usize = 200;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";

/// An example in a process with a limit on its descriptors.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(example: &str, descriptors: u32, arguments: &[&str]) -> Process {
        // The port was free a moment ago. Examples cannot use port 0, since they do not report
        // their port.
        let address = free_address();
        let child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")])
            .arg(built(example))
            .arg(address.to_string())
            .args(arguments)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process { child, address };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < PATIENCE, "{example} does not start");
            thread::yield_now();
        }
        process
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The processor time that the process has used, in the system's ticks of 10 ms.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request and waits for the response; `false` if the connection was dropped instead.
fn is_served(stream: &mut TcpStream) -> bool {
    if stream.write_all(REQUEST).is_err() {
        return false;
    }
    let (mut response, mut piece) = (Vec::new(), [0; 1024]);
    while !response.ends_with(b"Hello, World!") {
        match read_some(stream, &mut piece) {
            Ok(0) => return false,
            Ok(read) => response.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            Err(error) => panic!("neither served nor dropped: {error}"),
        }
    }
    true
}

/// Connects far more clients than there are descriptors. Those over the limit wait in the kernel's
/// queue while the others stay silent.
fn crowd(process: &Process) -> Vec<TcpStream> {
    (0..CLIENTS).map(|_| process.connect()).collect()
}

fn assert_no_spinning(process: &Process) {
    const WHILE: Duration = Duration::from_secs(2);
    let (start, before) = (Instant::now(), process.cpu());
    // The only real wait of these tests: spinning shows only over time.
    thread::sleep(WHILE);
    let (elapsed, used) = (start.elapsed(), process.cpu() - before);
    println!("exhausted for {elapsed:?}: {used:?} of processor time");
    assert!(used < elapsed / 4, "spinning: {used:?} in {elapsed:?}");
}

/// All clients send a request at once and leave after the response; a dropped client connects
/// again.
fn assert_all_are_served(process: &Process, clients: Vec<TcpStream>) {
    let dropped = AtomicUsize::new(0);
    thread::scope(|scope| {
        for mut client in clients {
            let dropped = &dropped;
            scope.spawn(move || {
                while !is_served(&mut client) {
                    let dropped = dropped.fetch_add(1, Ordering::Relaxed);
                    assert!(dropped < 10 * CLIENTS, "dropped again and again");
                    client = process.connect();
                }
            });
        }
    });
    println!("{CLIENTS} clients were served; {dropped:?} times a client had to connect again");
}

/// The server knows its limit: it counts its descriptors and leaves the other clients in the queue.
/// It does not drop a client that could have waited.
#[test]
fn two_hundred_clients_share_sixty_four_descriptors() {
    let process = Process::start("hello", 64, &[]);
    let clients = crowd(&process);
    assert_no_spinning(&process);
    assert_all_are_served(&process, clients);
    assert!(is_served(&mut process.connect()), "service resumes");
}

/// The server does not know its limit: it is configured for 1,000 connections and runs into EMFILE.
#[test]
fn a_server_that_expects_more_descriptors_than_it_has_backs_off_and_recovers() {
    let process = Process::start("probe", 64, &["--max-connections", "1000"]);
    let clients = crowd(&process);
    assert_no_spinning(&process);
    assert_all_are_served(&process, clients);
    assert!(is_served(&mut process.connect()), "service resumes");
}

/// An idle connection makes room, whether the server knows its limit or runs into it.
#[test]
fn a_client_in_the_queue_is_served_although_no_client_leaves() {
    for (example, arguments) in [("hello", &[][..]), ("probe", &["--max-connections", "1000"])] {
        let process = Process::start(example, 64, arguments);
        let mut clients: Vec<TcpStream> = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = process.connect();
            assert!(is_served(&mut client), "{example}: dropped after {}", clients.len());
            clients.push(client);
        }
    }
}

const EMFILE: i32 = 24;
const EIO: i32 = 5;

fn hello(_: &Request<'_>) -> &'static str {
    "Hello, World!"
}

#[test]
fn an_idle_connection_is_closed_to_free_its_descriptor_for_a_client_that_waits() {
    let mut sim = Sim::new(hello);
    let idle = sim.connect_and_send(REQUEST);
    let busy = sim.connect_and_send(&REQUEST[..10]);
    sim.fail_accepts([EMFILE]);
    let waits = sim.connect_and_send(REQUEST);
    assert!(sim.received(waits).ends_with(b"Hello, World!"));
    assert!(!sim.is_open(idle) && sim.is_open(busy));
}

#[test]
fn without_an_idle_connection_a_client_that_waits_is_dropped_and_the_next_is_served() {
    let mut sim = Sim::new(hello);
    let busy = sim.connect_and_send(&REQUEST[..10]);
    sim.fail_accepts([EMFILE]);
    let dropped = sim.connect_and_send(REQUEST);
    assert!(!sim.is_open(dropped) && sim.received(dropped).is_empty());
    let next = sim.connect_and_send(REQUEST);
    sim.advance(Duration::from_millis(5));
    assert!(sim.received(next).ends_with(b"Hello, World!"));
    assert!(sim.is_open(busy));
}

#[test]
fn an_accept_error_that_a_free_descriptor_would_not_solve_closes_no_idle_connection() {
    let mut sim = Sim::new(hello);
    let idle = sim.connect_and_send(REQUEST);
    sim.fail_accepts([EIO]);
    let waits = sim.connect_and_send(REQUEST);
    assert!(sim.is_open(waits) && sim.received(waits).is_empty());
    sim.advance(Duration::from_millis(5));
    assert!(sim.received(waits).ends_with(b"Hello, World!"));
    assert!(sim.is_open(idle));
}
