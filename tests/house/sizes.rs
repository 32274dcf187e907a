//! The memory of a connection in each state, as `docs/sizing.md` gives it, and the allocations of a
//! request. The tests open real connections to a server in this process, and an allocator counts the
//! bytes that the server's thread holds. The simulator gives the part of them that counts against the
//! budget.
//!
//! This is a process of its own, because it replaces the allocator. `GlobalAlloc` is an unsafe
//! trait, so this is the only `unsafe` of the package, and it is not shipped.

mod allocations;
mod attacked;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{mpsc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Receive};
use wheelhouse::events::Topic;
use wheelhouse::runtime::EventLoop;
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Body, Failure, Handle, Handler, Reply, Request, Response, Server, Waker};
use wheelhouse_timers::Wheel;

/// Together with the probe a size to which the slab grows, so that it is full to the last slot.
const CONNECTIONS: usize = 139;
/// The longest time for which a test waits before it fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// The size from which on allocators of Linux map a piece for itself.
const MAPPED_FROM: usize = (128 << 10) - 16;
/// The factor by which a figure on the page may exceed the measured one. The page is for 64 bits;
/// on 32 bits pointers and lengths are half as long.
const FACTOR: usize = if usize::BITS == 64 { 2 } else { 4 };

static BIG: [u8; 1 << 20] = [b'.'; 1 << 20];

struct Counting;

/// Held by a test that counts.
static ALONE: Mutex<()> = Mutex::new(());

/// Bytes that the thread of the server holds.
static HELD: AtomicIsize = AtomicIsize::new(0);
/// The most of them so far.
static PEAK: AtomicIsize = AtomicIsize::new(0);
/// The number of pieces that the thread of the server has asked for.
static CALLS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether the allocations of this thread are counted.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    /// The size from which allocations of this thread fail while they are counted.
    static FAILS_FROM: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn fails(size: usize) -> bool {
    COUNTS.with(Cell::get) && size >= FAILS_FROM.with(Cell::get)
}

fn count(bytes: isize) {
    if COUNTS.with(Cell::get) {
        let held = HELD.fetch_add(bytes, Ordering::SeqCst) + bytes;
        PEAK.fetch_max(held, Ordering::SeqCst);
        CALLS.fetch_add(usize::from(bytes > 0), Ordering::SeqCst);
    }
}

// SAFETY: every call is passed on to the system's allocator as it came, or fails as an allocator may;
// counting touches only an atomic and thread-locals that need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails(layout.size()) {
            return ptr::null_mut();
        }
        count(layout.size() as isize);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        System.dealloc(block, layout);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if fails(size) {
            return ptr::null_mut();
        }
        // A small piece is copied, so that both are there for a moment. A large one is mapped, and
        // grows where it is.
        let old = if layout.size() < MAPPED_FROM { 0 } else { layout.size() as isize };
        count(size as isize - old);
        count(old - layout.size() as isize);
        System.realloc(block, layout, size)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_connection_takes_at_most_the_memory_that_the_page_gives_for_its_state() {
    let _alone = ALONE.lock().unwrap();
    let rows = table();
    let named: Vec<&str> = rows.iter().map(|row| &*row.state).collect();
    let states = states();
    let known: Vec<&str> = states.iter().map(|state| state.name).collect();
    assert_eq!(named, known, "each state has a row");
    let page = page();
    let parts = [("B\n(", " + "), ("48 + ", " + "), ("16 + ", ")")];
    let [slot, node, address] = parts.map(|(words, end)| number(&page, words, end));
    assert_eq!(slot + node + address, number(&page, "the address of its client: ", " B"));
    let queues = number(&page, "queues take up to ", " B");
    for (state, row) in states.iter().zip(&rows) {
        let (rests, held) = measure(state, row.bytes);
        println!("{held:>8} B of {:>8} B: {}", row.bytes, state.name);
        assert!(held <= row.bytes + queues, "{}: {held} B, not {}", state.name, row.bytes);
        assert!(
            held * FACTOR >= row.bytes,
            "{}: {held} B, the figure on the page is too high",
            state.name
        );
        let counted = budget(state);
        let is_counted = counted <= row.counted && counted * FACTOR >= row.counted;
        assert!(is_counted, "{}: {counted} B are counted", state.name);
        let rest = slot + node + address;
        assert!(rests <= rest, "a slot with its node and address has {rests} B, not {rest}");
    }
    let mut wheel = Wheel::new(64, 0);
    let before = wheel.memory();
    wheel.grow(1 << 20);
    assert!((wheel.memory() - before) >> 20 <= node, "a node has {} B", wheel.memory() >> 20);
}

/// Bytes of a client, and the response that it gets within a few turns.
fn exchange(events: &mut EventLoop<()>, client: &mut TcpStream, bytes: &[u8]) -> String {
    client.set_nonblocking(true).unwrap();
    let (_, mut response) = (client.write_all(bytes), vec![0; 512]);
    for _ in 0..20 {
        COUNTS.set(true);
        let _ = events.turn(Some(Duration::from_millis(1))).unwrap();
        COUNTS.set(false);
        if let Ok(len @ 1..) = client.read(&mut response) {
            response.truncate(len);
            return String::from_utf8_lossy(&response).into_owned();
        }
    }
    String::new()
}

/// The budget may be larger than the memory that the system gives, under a limit on the address
/// space for example. Then a failed allocation must not end the process.
#[test]
fn the_loop_goes_on_although_the_system_has_no_memory_for_slots_and_blocks() {
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let _alone = ALONE.lock().unwrap();
    let server = Server::new().listen("127.0.0.1:0").unwrap();
    let address = server.local_addrs()[0];
    let mut events = server.build(site()).unwrap();
    // All of the first slots.
    let mut clients: Vec<_> = (0..4).map(|_| TcpStream::connect(address).unwrap()).collect();
    for client in &mut clients {
        assert!(exchange(&mut events, client, GET).ends_with("ok"));
    }
    // Enough for the box of a connection at work, and for no vector.
    FAILS_FROM.set(300);
    let mut newcomer = TcpStream::connect(address).unwrap();
    assert_eq!(exchange(&mut events, &mut newcomer, GET), "");
    clients.retain_mut(|client| exchange(&mut events, client, GET).ends_with("ok"));
    assert_eq!(clients.len(), 3, "an idle connection made room for the next client");
    let half = exchange(&mut events, &mut clients[0], b"GET / HTTP/1.1\r\n");
    assert!(half.starts_with("HTTP/1.1 503 "), "{half}");
    let content = b"POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n".to_vec();
    let content = [content, vec![b'x'; 10_000]].concat();
    let half = exchange(&mut events, &mut clients[1], &content);
    assert!(half.starts_with("HTTP/1.1 503 "), "{half}");
    assert!(exchange(&mut events, &mut clients[2], GET).ends_with("ok"));
    FAILS_FROM.set(usize::MAX);
    for _ in 0..20 {
        let mut client = TcpStream::connect(address).unwrap();
        assert!(exchange(&mut events, &mut client, GET).ends_with("ok"));
        clients.push(client);
    }
}

/// A few vectors grow with the connections that are ready in one turn. One that stays keeps the top
/// of the heap from the system.
#[test]
fn after_a_crowd_the_loop_holds_no_more_than_before() {
    let _alone = ALONE.lock().unwrap();
    let counted = |call: &mut dyn FnMut()| {
        COUNTS.set(true);
        call();
        COUNTS.set(false);
    };
    let server = Server::new().listen("127.0.0.1:0").unwrap();
    let address = server.local_addrs()[0];
    let mut events = server.build(site()).unwrap();
    HELD.store(0, Ordering::SeqCst);
    // The bytes that are held after all clients have left.
    let mut after_crowd = |size: usize| {
        let mut crowd: Vec<_> = (0..size).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut turns = |count: usize| {
            for _ in 0..count {
                counted(&mut || _ = events.turn(Some(Duration::from_millis(1))).unwrap());
            }
        };
        turns(10);
        for client in &mut crowd {
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
        }
        turns(10);
        drop(crowd);
        turns(10);
        HELD.load(Ordering::SeqCst)
    };
    let small = after_crowd(1);
    let large = after_crowd(200);
    assert!(large <= small, "{large} B after a crowd, {small} B after one client");
}

/// The page gives a figure for a server without connections.
#[test]
fn an_empty_server_counts_at_most_the_memory_that_the_page_gives() {
    let counted = Sim::new(|_: &Request<'_>| "ok").memory();
    let figure = number(&page(), "The loop itself counts at most ", " B");
    assert!(counted <= figure && counted * 10 >= figure * 9, "{counted} B");
}

/// The bytes that bring a connection into a state. After each part the test waits until the server
/// has read it.
struct State {
    name: &'static str,
    sends: Vec<Vec<u8>>,
}

fn states() -> Vec<State> {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    let head = |len: usize| format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(len - 19)).into_bytes();
    let post = |path: &str, field: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n").into_bytes()
    };
    let chunks = b"1\r\nx\r\n9c40\r\n".iter().copied().chain([b'x'; 20_000]).collect();
    let upgrade = b"GET /protocol HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let state = |name, sends| State { name, sends };
    vec![
        state("idle, between two requests", vec![get("/")]),
        state("lingering", vec![post("/", "Content-Length: 99999999")]),
        state("1,000 B of a head", vec![head(1_000)]),
        state("4,000 B of a head", vec![head(4_000)]),
        state("16,000 B of a head", vec![head(16_000)]),
        state(
            "10,000 B collected of 20,000",
            vec![post("/collect", "Content-Length: 20000"), vec![b'x'; 6_000], vec![b'x'; 4_000]],
        ),
        state(
            "content, piece by piece",
            vec![post("/receive", "Content-Length: 20000"), vec![b'x'; 10_000]],
        ),
        state(
            "a paused receiver",
            vec![post("/pause", "Content-Length: 20000"), vec![b'x'; 10_000]],
        ),
        state(
            "a paused receiver, in chunks",
            vec![post("/pause", "Transfer-Encoding: chunked"), chunks],
        ),
        state("a response that comes later", vec![get("/later")]),
        state("bytes that the peer does not read", vec![get("/bytes")]),
        state("a file that the peer does not read", vec![get("/file")]),
        state("a producer whose peer does not read", vec![get("/produce")]),
        state("a channel whose sender is silent", vec![get("/channel")]),
        state("a reader of events", vec![get("/events")]),
        state("a protocol that waits", vec![upgrade.to_vec()]),
    ]
}

fn site() -> impl Handler {
    let topic = Topic::new(16);
    let big = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sizing");
    fs::write(&big, BIG).unwrap();
    move |req: &Request<'_>| -> Reply {
        match req.path() {
            "/" => "ok".into(),
            "/collect" => Reply::collect(1 << 20, |(), _, _| "collected"),
            "/receive" => Reply::receive(u64::MAX, Endless),
            "/pause" => Reply::receive(u64::MAX, Paused(None)),
            "/later" => {
                let (later, reply) = Reply::later();
                mem::forget(later);
                reply
            }
            "/bytes" => Response::ok("text/plain", &BIG[..]).into(),
            "/file" => {
                let body = Body::file_range(File::open(&big).unwrap(), 0..BIG.len() as u64);
                Response::ok("text/plain", body).into()
            }
            "/produce" => Response::ok("text/plain", Body::produce(Endless)).into(),
            "/channel" => {
                let (sender, body) = Body::channel(16 << 10);
                mem::forget(sender);
                Response::ok("text/plain", body).into()
            }
            "/events" => topic.subscribe(req).into(),
            "/protocol" => Reply::upgrade("x", Endless),
            _ => Response::not_found().into(),
        }
    }
}

/// A producer without a size, so that all measured bytes are those of the server.
struct Endless;

impl Receive<()> for Endless {
    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow, Failure> {
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        "received".into()
    }
}

impl Produce for Endless {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        while out.room() > 0 {
            out.put(&BIG);
        }
        Ok(Produced::More)
    }
}

impl Protocol<()> for Endless {
    fn receive(&mut self, (): &mut (), input: &[u8], _: &mut Connection<'_>) -> io::Result<usize> {
        Ok(input.len())
    }
}

/// Keeps its waker, as a receiver that is to continue must.
struct Paused(Option<Waker>);

impl Receive<()> for Paused {
    fn start(&mut self, (): &mut (), waker: Waker) -> Result<(), Failure> {
        self.0 = Some(waker);
        Ok(())
    }

    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow, Failure> {
        Ok(Flow::Pause)
    }

    fn wake(&mut self, (): &mut ()) -> Result<Flow, Failure> {
        Ok(Flow::Pause)
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        "received".into()
    }
}

/// The bytes of the slot of each connection, and the additional bytes in `state`. Waits until at
/// least half of `bytes` are held.
fn measure(state: &State, bytes: usize) -> (usize, usize) {
    let (address, handle, thread) = start();
    let mut probe = Probe(TcpStream::connect(address).unwrap());
    let empty = probe.held();
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        clients.push(connect(address));
    }
    let silent = probe.held();
    let rests = (silent - empty) as usize / CONNECTIONS;
    for part in &state.sends {
        for client in &mut clients {
            client.write_all(part).unwrap();
        }
        probe.held();
    }
    let least = silent + (bytes / FACTOR * CONNECTIONS) as isize;
    let started = Instant::now();
    while probe.held() < least {
        assert!(started.elapsed() < PATIENCE, "{}: {} B", state.name, probe.held() - silent);
    }
    let held = (probe.held() - silent).max(0) as usize;
    handle.stop();
    thread.join().unwrap();
    (rests, held.div_ceil(CONNECTIONS))
}

/// A server whose thread is counted.
fn start() -> (SocketAddr, Handle, thread::JoinHandle<()>) {
    let (started, is_started) = mpsc::channel();
    let thread = thread::spawn(move || {
        let server = Server::new().listen("127.0.0.1:0").unwrap();
        let handler = site();
        HELD.store(0, Ordering::SeqCst);
        started.send((server.local_addrs()[0], server.handle())).unwrap();
        COUNTS.with(|counts| counts.set(true));
        server.run(handler).unwrap();
        COUNTS.with(|counts| counts.set(false));
    });
    let (address, handle) = is_started.recv_timeout(PATIENCE).unwrap();
    (address, handle, thread)
}

/// Connects with a small window, so that a peer that does not read soon makes the server wait.
fn connect(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// A connection that exchanges a request and a response; by then the server has read earlier bytes.
struct Probe(TcpStream);

impl Probe {
    /// The bytes that the server holds after it has read all bytes sent so far.
    fn held(&mut self) -> isize {
        // The second response comes in a later turn than the first.
        for _ in 0..3 {
            self.0.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let mut response = [0; 256];
            let mut len = 0;
            while !response[..len].ends_with(b"\r\n\r\nok") {
                match self.0.read(&mut response[len..]).unwrap() {
                    0 => panic!("the server has closed"),
                    more => len += more,
                }
            }
        }
        HELD.load(Ordering::SeqCst)
    }
}

/// The bytes of one connection in `state` that count against `memory_bytes_max`, without slot and
/// node.
fn budget(state: &State) -> usize {
    let mut sim = Sim::new(site());
    let client = sim.connect();
    sim.stall(client, 4 << 10);
    let before = sim.memory();
    for part in &state.sends {
        sim.send(client, part);
    }
    sim.memory() - before
}

/// One row of the page's table.
struct Row {
    state: String,
    bytes: usize,
    counted: usize,
}

fn table() -> Vec<Row> {
    let page = page();
    let table = page.split("\n\n").find(|text| text.starts_with("| state |")).expect("the table");
    let rows = table.lines().skip(2).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        Row { state: cells[0].to_owned(), bytes: digits(cells[1]), counted: digits(cells[2]) }
    });
    rows.collect()
}

/// The number between `words` and `end`.
fn number(page: &str, words: &str, end: &str) -> usize {
    let (_, rest) = page.split_once(words).unwrap_or_else(|| panic!("{words:?} is on the page"));
    digits(rest.split(end).next().unwrap())
}

fn digits(text: &str) -> usize {
    text.replace(',', "").parse().unwrap_or_else(|_| panic!("{text:?} is not a number"))
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sizing.md")).unwrap()
}
