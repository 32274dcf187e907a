//! Everything at once and in any order: clients that send, stall, leave and come back, a program
//! that responds, wakes, publishes and forgets, a kernel that shows faults, and time that passes.
//! The loop must not panic, its invariants are checked after every turn, and at the end all memory
//! has been given back. In many runs the faults end before the clients do: then every connection
//! must come to its end by itself, and an honest client must be served.
//!
//! A seed decides everything. A seed that fails prints the command that plays it again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::time::Duration;

use crate::reactor::witness::Witness;
use crate::support::panics::expect_panics;
use crate::support::random::{seed, Random};
use crate::support::{
    later_to, set_keep_alive, shut_down_within, sim_of, statuses, stop_now, Echo, Lines, Watched,
    BIG, SECOND,
};
use wheelhouse::body::{Out, Produce, Produced, Sender};
use wheelhouse::content::{Flow, Receive};
use wheelhouse::events::{Slow, Topic, TopicOptions};
use wheelhouse::runtime::{ConnectionId, ConnectionState, Totals};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::upgrade::{Connection, Protocol, Upgrade};
use wheelhouse::{
    Body, Failure, Informational, Later, Limits, Reply, Request, Response, Server, Waker,
};

/// Seeds in a usual run; `WHEELHOUSE_SEEDS` sets another number.
const SEEDS: u64 = 2000;
/// Things that happen in one run.
const STEPS: usize = 50;

/// The options of a run, which follow from its seed. A failure prints them.
#[derive(Debug)]
struct Options {
    faults: Faults,
    ending: Ending,
    memory_bytes_max: usize,
    connections_max: usize,
    descriptors_max: usize,
    slow: Slow,
    /// Whether hooks watch the exchanges. Without them, responses take shorter ways.
    is_observed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    None,
    /// Those that do not change a result.
    Mild,
    /// All.
    Hard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Stop,
    ShutDown,
    /// All clients leave.
    Leave,
    /// All clients read what comes, and wait.
    Stay,
}

impl Options {
    fn of(random: &mut Random) -> Options {
        use Faults::{Hard, Mild};
        let roomy = 64 << 20;
        Options {
            faults: [Faults::None, Mild, Hard, Hard][random.below(4)],
            ending: [Ending::Stop, Ending::ShutDown, Ending::Leave, Ending::Stay, Ending::Stay]
                [random.below(5)],
            memory_bytes_max: [384 << 10, 1 << 20, 1 << 20, roomy][random.below(4)],
            connections_max: [4, 10, 1000, 1000][random.below(4)],
            descriptors_max: [5, usize::MAX, usize::MAX][random.below(3)],
            slow: if random.below(2) == 0 { Slow::Cut } else { Slow::Skip },
            is_observed: random.below(4) > 0,
        }
    }

    /// Whether each client is accepted at once.
    fn accepts_all(&self) -> bool {
        self.faults != Faults::Hard
            && self.connections_max == 1000
            && self.memory_bytes_max > 1 << 20
            && self.descriptors_max == usize::MAX
    }
}

/// Handles that the program keeps and may use later.
#[derive(Default)]
struct Outside {
    laters: Vec<Later>,
    senders: Vec<Sender>,
    wakers: Vec<Waker>,
    /// Clients that have reset their connections.
    reset: Vec<Client>,
}

/// A client, and the bytes that it sends slowly.
struct Peer {
    client: Client,
    pending: Vec<u8>,
}

/// Speaks now and then, and is silent in between.
struct Silent(u32);

impl Produce for Silent {
    fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
        self.0 += 1;
        match self.0 % 3 {
            0 if self.0 > 9 => Ok(Produced::End),
            0 => Ok(Produced::Wait(SECOND * (self.0 % 7 + 1))),
            _ => {
                out.put(b"a few words");
                Ok(Produced::More)
            }
        }
    }
}

type Shared = Rc<RefCell<Outside>>;

/// Pauses now and then; echoes lines after an upgrade, and fails now and then.
struct Moody {
    shared: Shared,
    calls: u32,
}

impl Moody {
    fn mood(&mut self) -> u32 {
        self.calls = self.calls.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.calls >> 24
    }
}

impl Receive<()> for Moody {
    fn start(&mut self, (): &mut (), waker: Waker) -> Result<(), Failure> {
        self.shared.borrow_mut().wakers.push(waker);
        Ok(())
    }

    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow, Failure> {
        self.calls = self.calls.wrapping_add(piece.len() as u32);
        match self.mood() {
            0..=90 => Ok(Flow::Pause),
            91..=110 => Ok(Flow::Respond("enough\n".into())),
            _ => Ok(Flow::Continue),
        }
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        "received\n".into()
    }
}

impl Protocol<()> for Moody {
    fn start(&mut self, (): &mut (), connection: &mut Connection<'_>) -> std::io::Result<()> {
        self.shared.borrow_mut().wakers.push(connection.waker());
        Ok(())
    }

    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        match self.mood() {
            0..=9 => connection.close(),
            10..=14 => return Err(std::io::Error::other("a bad day")),
            15..=60 => return Ok(0),
            _ => {}
        }
        Ok(connection.put(&input[..input.len().div_ceil(2)]))
    }

    fn wake(&mut self, (): &mut (), connection: &mut Connection<'_>) -> std::io::Result<()> {
        connection.put(&[b'w'; 30_000][..self.calls as usize % 30_000]);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.calls as usize % 50_000
    }
}

fn site(shared: &Shared, topic: &Topic) -> impl FnMut(&Request<'_>) -> Reply {
    let (shared, topic) = (Rc::clone(shared), topic.clone());
    let mut calls = 0;
    move |req| {
        calls += 77;
        let moody = Moody { shared: Rc::clone(&shared), calls };
        let keep = Rc::clone(&shared);
        match req.path() {
            "/later" => Reply::inform(
                Informational::processing(),
                later_to(move |later| keep.borrow_mut().laters.push(later)),
            ),
            "/collect" => Reply::collect(5000, move |(), _, content| {
                let len = content.len();
                later_to(move |later| {
                    if len % 2 == 0 {
                        keep.borrow_mut().laters.push(later);
                    }
                })
            })
            .with_content_timeout(Duration::from_secs(7)),
            "/channel" => {
                let (sender, body) = Body::channel(3000);
                shared.borrow_mut().senders.push(sender);
                Response::ok("x/y", body).with_send_timeout(Duration::from_secs(20)).into()
            }
            "/events" => topic.subscribe(req).into(),
            "/receive" => Reply::receive(u64::MAX, moody),
            "/echo" => Reply::transform(Response::text(""), Echo { len: req.content_length() }),
            "/lines" => Response::ok("x/y", Body::produce(Lines(3000))).into(),
            "/bytes" => Response::ok("x/y", &BIG[..300_000]).into(),
            "/file" => Response::ok("x/y", Body::file(file()).unwrap()).into(),
            "/silent" => Response::ok("x/y", Body::produce(Silent(calls % 5))).into(),
            "/upgrade" => Reply::upgrade("moody", moody),
            "/tunnel" => Reply::upgrade(Upgrade::tunnel(), moody),
            "/hijack" => Reply::hijack(|(), hijacked| drop(hijacked)),
            "/panic" => panic!("a handler panics"),
            #[cfg(feature = "websocket")]
            "/socket" => socket(req),
            _ => "plain".into(),
        }
    }
}

fn file() -> File {
    File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap()
}

#[cfg(feature = "websocket")]
fn socket(req: &Request<'_>) -> Reply {
    use wheelhouse::websocket::{accept, on_message, Message, Options, Socket};
    let echo = |(): &mut (), message: Message<'_>, socket: &mut Socket<'_>| {
        let _ = match message {
            Message::Text(text) => socket.send_text(text),
            Message::Binary(bytes) => socket.send_binary(bytes),
        };
    };
    accept(req, &Options::default(), on_message(echo))
}

const PATHS: [&str; 16] = [
    "/later", "/collect", "/channel", "/events", "/receive", "/echo", "/lines", "/bytes", "/file",
    "/silent", "/upgrade", "/tunnel", "/socket", "/hijack", "/panic", "/",
];

/// A request with a target that no other has.
fn request(random: &mut Random, witness: &Witness) -> Vec<u8> {
    let path = PATHS[random.below(PATHS.len())];
    let target = format!("{path}?{:x}", random.next());
    let length = [0, 0, 5, 3000, 40_000][random.below(5)];
    if path == "/socket" {
        return handshake(random, &target, witness);
    }
    let length = if matches!(path, "/upgrade" | "/tunnel") { 0 } else { length };
    let waits = length > 0 && random.below(3) == 0;
    let expect = if waits { "Expect: 100-continue\r\n" } else { "" };
    let mut bytes = match random.below(4) {
        0 if length > 0 => format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\n{expect}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n"
        ),
        1 => format!("PUT {target} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n"),
        _ => format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: moody\r\n\
             {expect}Content-Length: {length}\r\n\r\n"
        ),
    }
    .into_bytes();
    let ends = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let head = ends.map_or(0, |at| at + 4);
    bytes.resize(bytes.len() + length, b'x');
    if bytes.windows(7).any(|part| part == b"chunked") {
        bytes.extend_from_slice(b"\r\n0\r\nX-Sum: 1\r\n\r\n");
    }
    witness.note_request(target, head, bytes.len());
    bytes
}

/// The handshake of a WebSocket, and a few frames, which the witness cannot tell from content.
fn handshake(random: &mut Random, target: &str, witness: &Witness) -> Vec<u8> {
    let mut bytes = format!(
        "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    let head = bytes.len();
    for _ in 0..random.below(6) {
        let frame: &[&[u8]] = &[
            b"\x81\x82\0\0\0\0hi",
            b"\x02\x82\0\0\0\0hi",
            b"\x80\x82\0\0\0\0hi",
            b"\x89\x82\0\0\0\0hi",
            b"\x88\x80\0\0\0\0",
            b"\xff",
        ];
        bytes.extend_from_slice(frame[random.below(frame.len())]);
    }
    witness.note_request(target.to_owned(), head, bytes.len());
    bytes
}

/// Makes the program do one thing that no request caused.
fn act(random: &mut Random, shared: &Shared, topic: &Topic) {
    let mut outside = shared.borrow_mut();
    match random.below(6) {
        0 if !outside.laters.is_empty() => {
            let n = random.below(outside.laters.len());
            let later = outside.laters.swap_remove(n);
            match random.below(4) {
                0 => drop(later),
                1 => later.respond_with(|()| -> &'static str { panic!("an answer panics") }),
                2 => later.respond_with(|()| later_to(drop)),
                _ => later.respond("answered\n"),
            }
        }
        1 if !outside.senders.is_empty() => {
            let n = random.below(outside.senders.len());
            match random.below(4) {
                0 => outside.senders.swap_remove(n).finish(),
                1 => drop(outside.senders.swap_remove(n)),
                _ => drop(outside.senders[n].try_send(vec![b'c'; random.below(2000)])),
            }
        }
        2 | 3 if !outside.wakers.is_empty() => {
            let n = random.below(outside.wakers.len());
            outside.wakers[n].wake();
        }
        4 => drop(topic.publish("e".repeat(random.below(3000)))),
        _ => {
            if let Some(later) = outside.laters.first() {
                later.inform(Informational::processing());
            }
        }
    }
}

/// The address of a client. Each has one of its own.
fn address(n: usize) -> SocketAddr {
    ([10, 0, (n >> 8) as u8, n as u8], n as u16).into()
}

/// Compares the records of exchanges with the bytes that clients have received. Clients that read,
/// and that have not broken their connections, have received all of them.
fn check_wires(
    sim: &mut Sim<()>,
    peers: &[Peer],
    shared: &Shared,
    witness: &Witness,
    is_quiet: bool,
) {
    for (n, &Peer { client, .. }) in peers.iter().enumerate() {
        let is_broken = shared.borrow().reset.contains(&client) || sim.was_reset(client);
        witness.check_wire(address(n).port(), sim.received(client), is_quiet && !is_broken);
    }
}

/// Whether the states of a connection followed one another as documented, to its end.
fn is_in_order(states: &[ConnectionState]) -> bool {
    use ConnectionState::{Active, Closed, Hijacked, Idle, New};
    let follows = |pair: &[ConnectionState]| match pair {
        [New, next] => matches!(next, Active | Closed),
        [Active, next] => matches!(next, Idle | Hijacked | Closed),
        [Idle, next] => matches!(next, Active | Closed),
        [Hijacked, next] => *next == Closed,
        _ => false,
    };
    states.first() == Some(&New)
        && states.windows(2).all(follows)
        && matches!(states.last(), Some(Closed | Hijacked))
}

/// The parts of a run.
struct Run<'a> {
    random: Random,
    sim: &'a mut Sim<()>,
    peers: Vec<Peer>,
    shared: Shared,
    topic: Topic,
    witness: Witness,
}

impl Run<'_> {
    /// Lets a client or the program do one thing, or lets time pass.
    fn stir(&mut self) {
        if self.peers.is_empty() || self.random.one_in(6) {
            let client = self.sim.connect_from(address(self.peers.len()));
            self.peers.push(Peer { client, pending: Vec::new() });
        }
        let n = self.random.below(self.peers.len());
        let client = self.peers[n].client;
        match self.random.below(16) {
            0..=3 => self.send(n),
            4 => {
                let bytes = request(&mut self.random, &self.witness);
                self.peers[n].pending.extend(bytes);
                // The next request may come before the end of this one.
                self.witness.note_cut(address(n).port());
            }
            5 | 6 => self.drip(n),
            7 => self.sim.end(client),
            8 if self.random.one_in(2) => {
                self.sim.reset(client);
                self.shared.borrow_mut().reset.push(client);
            }
            8 => self.send_noise(n),
            9 => self.sim.stall(client, 1 + self.random.below(3000)),
            10 => self.sim.read(client, self.random.below(5000)),
            11 => self.swizzle(),
            12 => self.sim.advance(Duration::from_millis(self.random.below(9000) as u64)),
            13 if self.random.one_in(4) => self.sim.send_urgent(client),
            _ => act(&mut self.random, &self.shared, &self.topic),
        }
        if self.random.one_in(60) {
            let keeps = self.random.one_in(2);
            set_keep_alive(self.sim, keeps);
        }
    }

    /// Sends one or several requests. The last one may stay incomplete.
    fn send(&mut self, n: usize) {
        let client = self.peers[n].client;
        let mut bytes = std::mem::take(&mut self.peers[n].pending);
        bytes.extend(request(&mut self.random, &self.witness));
        // Most often one, sometimes more than one visit serves.
        let more = match self.random.below(60) {
            0 => 40,
            1..=20 => 1,
            _ => 0,
        };
        for _ in 0..more {
            bytes.extend(request(&mut self.random, &self.witness));
        }
        let cut = self.random.below(bytes.len() + 1);
        self.sim.send(client, &bytes[..cut]);
        if self.random.below(8) > 0 {
            self.sim.send(client, &bytes[cut..]);
        } else {
            self.witness.note_cut(address(n).port());
        }
    }

    /// Sends a few of the bytes that a slow client has left.
    fn drip(&mut self, n: usize) {
        let Peer { client, pending } = &mut self.peers[n];
        let most = pending.len().min(1 + self.random.below(200));
        let bytes: Vec<u8> = pending.drain(..most).collect();
        self.sim.send(*client, bytes);
    }

    /// Sends bytes of any value, or a request with a byte that was changed.
    fn send_noise(&mut self, n: usize) {
        self.witness.note_cut(address(n).port());
        let mut bytes = match self.random.below(2) {
            0 => (0..self.random.below(300)).map(|_| self.random.next() as u8).collect(),
            _ => request(&mut self.random, &self.witness),
        };
        if !bytes.is_empty() {
            let at = self.random.below(bytes.len());
            bytes[at] = self.random.next() as u8;
        }
        self.sim.send(self.peers[n].client, bytes);
    }

    /// Stalls some clients, or lets some that stall go on, in any order.
    fn swizzle(&mut self) {
        for _ in 0..self.random.below(4) {
            let n = self.random.below(self.peers.len());
            match self.random.one_in(3) {
                true => self.sim.stall(self.peers[n].client, 1 + self.random.below(3000)),
                false => self.sim.unstall(self.peers[n].client),
            }
        }
    }

    fn check_wires(&mut self, is_quiet: bool) {
        check_wires(self.sim, &self.peers, &self.shared, &self.witness, is_quiet);
    }

    /// The program gives up all that it has kept.
    fn forget(&mut self) {
        self.topic.close();
        *self.shared.borrow_mut() = Outside::default();
    }

    fn leave(&mut self) {
        self.forget();
        for peer in &self.peers {
            self.sim.reset(peer.client);
        }
        self.pass();
    }

    /// All clients read, and wait. An honest client is served, whatever the others have left behind,
    /// and then all connections end by themselves.
    fn stay(&mut self) {
        for peer in &self.peers {
            self.sim.unstall(peer.client);
        }
        self.sim.advance(120 * SECOND);
        let honest = self.sim.connect_from(([10, 1, 0, 0], 60_001).into());
        let bytes = b"GET /?honest HTTP/1.1\r\nHost: a\r\n\r\n";
        self.witness.note_request("/?honest".to_owned(), bytes.len(), bytes.len());
        self.sim.send(honest, bytes);
        self.sim.advance(2 * SECOND);
        assert_eq!(statuses(self.sim.received(honest)), [200], "an honest client");
        self.forget();
        self.pass();
        assert!(!self.sim.is_open(honest));
    }

    /// Lets all deadlines pass.
    fn pass(&mut self) {
        for _ in 0..60 {
            self.sim.advance(15 * SECOND);
        }
    }

    fn shut_down(&mut self) {
        shut_down_within(self.sim, 5 * SECOND);
        // Other events continue meanwhile, and perhaps a client does not wait.
        for _ in 0..self.random.below(40) {
            self.stir();
        }
        if self.random.one_in(4) {
            stop_now(self.sim);
        }
        self.sim.advance(6 * SECOND);
        // The sleep before the end is too long by the time in which the loop could not look.
        self.sim.end_faults();
        self.sim.advance(6 * SECOND);
    }
}

fn play(seed: u64, options: &Options, mut random: Random, place: &mut Option<Sim>, is_told: bool) {
    let topic = Topic::with_options(TopicOptions::new(3).slow(options.slow));
    let shared = Shared::default();
    let limits = Limits {
        memory_bytes_max: options.memory_bytes_max,
        connections_max: options.connections_max,
        ..Limits::default()
    };
    let histories = Watched::<BTreeMap<ConnectionId, Vec<ConnectionState>>>::default();
    let note = histories.clone();
    let witness = Witness::default();
    let of_states = witness.clone();
    let server = Server::new().limits(limits).on_connection_state(move |_, id, state| {
        note.borrow_mut().entry(id).or_default().push(state);
        of_states.note_state(id, state);
    });
    let server = if options.is_observed { witness.watch(server) } else { server };
    let (of_handler, mut site) = (witness.clone(), site(&shared, &topic));
    let sim = place.insert(sim_of(server, move |req: &Request<'_>| {
        of_handler.note_handled(req);
        site(req)
    }));
    sim.set_story(is_told);
    // The server keeps the room for slots and wheel nodes, so `base` allows for more clients than
    // there will be.
    let crowd = (0..40).map(|n| sim.connect_from(([10, 2, 0, n as u8], 50_000 + n).into()));
    let crowd: Vec<Client> = crowd.collect();
    let base = sim.memory();
    crowd.into_iter().for_each(|client| sim.reset(client));
    sim.set_descriptors_max(options.descriptors_max);
    // From now on each turn asserts that the published numbers are right.
    let stats = sim.stats();
    match options.faults {
        Faults::None => {}
        Faults::Mild => sim.set_faults(seed),
        Faults::Hard => drop(sim.set_hard_faults(seed)),
    }
    let is_quiet = options.faults != Faults::Hard && random.one_in(5);
    let mut run = Run { random, sim, peers: Vec::new(), shared, topic, witness };
    for _ in 0..STEPS {
        run.stir();
    }
    for n in 0..run.peers.len() {
        if is_quiet {
            run.sim.unstall(run.peers[n].client);
        }
    }
    run.sim.advance(Duration::ZERO);
    if options.is_observed {
        run.check_wires(is_quiet);
    }
    let open = run.peers.iter().filter(|peer| run.sim.is_open(peer.client)).count();
    if matches!(options.ending, Ending::Leave | Ending::Stay) {
        run.sim.end_faults();
    }
    match options.ending {
        Ending::Stop => stop_now(run.sim),
        Ending::ShutDown => run.shut_down(),
        Ending::Leave => run.leave(),
        Ending::Stay => run.stay(),
    }
    assert!(run.peers.iter().all(|peer| !run.sim.is_open(peer.client)), "still open");
    if options.is_observed {
        run.witness.check_records();
        run.witness.check_all_ended();
        run.check_wires(false);
    }
    let (histories, report) = (histories.borrow(), run.sim.report());
    assert_eq!(report.totals.accepted, histories.len() as u64);
    check_numbers(&stats.totals(), &histories);
    for states in histories.values() {
        assert!(is_in_order(states), "{states:?}");
    }
    if matches!(options.ending, Ending::Stop | Ending::ShutDown) {
        assert!(!run.sim.is_running());
        if options.accepts_all() {
            assert_eq!(report.drained + report.reset, open, "{report:?}");
        }
    }
    assert_eq!(run.topic.readers(), 0);
    let memory = run.sim.memory();
    assert!(memory <= base, "{memory} B are held, more than {base}");
}

/// Every connection was accepted, has ended, and is in no phase; a request got at most one response.
fn check_numbers(totals: &Totals, histories: &BTreeMap<ConnectionId, Vec<ConnectionState>>) {
    let last = histories.values().filter_map(|states| states.last());
    let is_end = |state: &&ConnectionState| {
        matches!(state, ConnectionState::Closed | ConnectionState::Hijacked)
    };
    assert_eq!(last.filter(is_end).count() as u64, totals.accepted);
    assert_eq!((totals.connections.sum(), totals.waiting, totals.ready), (0, 0, 0), "{totals:?}");
    let responses: u64 = totals.responses.iter().sum();
    assert!(responses <= totals.requests + totals.refused, "{totals:?}");
}

/// Plays one seed. If it fails, prints everything that is needed to play it again.
fn try_seed(seed: u64) {
    let is_told = std::env::var_os("WHEELHOUSE_STORY").is_some();
    let mut random = Random::new(seed);
    let options = Options::of(&mut random);
    let mut sim = None;
    let played = AssertUnwindSafe(|| play(seed, &options, random, &mut sim, is_told));
    let Err(panic) = catch_unwind(played) else { return };
    println!("{}", sim.as_mut().map_or("", |sim| sim.story()));
    println!("seed {seed} fails with {options:?}");
    if options.faults == Faults::Hard {
        println!("rates: {}", Sim::new(|_: &Request<'_>| "").set_hard_faults(seed));
    }
    println!(
        "to play it again, with its story:\n\
         WHEELHOUSE_SEED={seed} WHEELHOUSE_SEEDS=1 WHEELHOUSE_STORY=1 \
         cargo test --all-features --test it -- reactor::chaos"
    );
    resume_unwind(panic);
}

#[test]
fn nothing_breaks_whatever_clients_program_and_system_do_in_whatever_order() {
    expect_panics(&["a handler panics", "an answer panics"]);
    let count = std::env::var("WHEELHOUSE_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    for n in 0..count {
        try_seed(seed().wrapping_add(n));
    }
}
