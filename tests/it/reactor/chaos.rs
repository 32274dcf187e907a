//! Everything at once and in any order: clients that send, stall, leave and come back, a program
//! that responds, wakes, publishes and forgets, and time that passes. The loop must not panic, its
//! invariants are checked after every turn, and at the end all memory has been given back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::reactor::witness::Witness;
use crate::support::random::{seed, Random};
use crate::support::{
    later_to, set_keep_alive, shut_down_within, sim_of, stop_now, Echo, Lines, Watched,
};
use wheelhouse::body::Sender;
use wheelhouse::content::{Flow, Receive};
use wheelhouse::events::{Slow, Topic, TopicOptions};
use wheelhouse::runtime::{ConnectionId, ConnectionState};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{
    Body, Failure, Informational, Later, Limits, Reply, Request, Response, Server, Waker,
};

/// Handles that the program keeps and may use later.
#[derive(Default)]
struct Outside {
    laters: Vec<Later>,
    senders: Vec<Sender>,
    wakers: Vec<Waker>,
    /// Clients that have reset their connections.
    reset: Vec<Client>,
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
            "/upgrade" => Reply::upgrade("moody", moody),
            "/hijack" => Reply::hijack(|(), hijacked| drop(hijacked)),
            "/panic" => panic!("a handler panics"),
            _ => "plain".into(),
        }
    }
}

const PATHS: [&str; 11] = [
    "/later", "/collect", "/channel", "/events", "/receive", "/echo", "/lines", "/upgrade",
    "/hijack", "/panic", "/",
];

/// A request with a target that no other has.
fn request(random: &mut Random, witness: &Witness) -> Vec<u8> {
    let path = PATHS[random.below(PATHS.len())];
    let target = format!("{path}?{:x}", random.next());
    let length = [0, 0, 5, 3000, 40_000][random.below(5)];
    let length = if path == "/upgrade" { 0 } else { length };
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

/// The address of a client.
fn address(n: usize) -> SocketAddr {
    ([192, 0, 2, 1], n as u16).into()
}

/// Compares the records of exchanges with the bytes that clients have received. Clients that read,
/// and that have not broken their connections, have received all of them.
fn check_wires(
    sim: &mut Sim<()>,
    clients: &[Client],
    shared: &Shared,
    witness: &Witness,
    is_quiet: bool,
) {
    for (n, &client) in clients.iter().enumerate() {
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

/// Lets a client or the program do one thing, or lets time pass.
fn stir<S: 'static>(
    random: &mut Random,
    sim: &mut Sim<S>,
    clients: &mut Vec<Client>,
    shared: &Shared,
    topic: &Topic,
    witness: &Witness,
) {
    if clients.is_empty() || random.below(6) == 0 {
        clients.push(sim.connect_from(address(clients.len())));
    }
    let n = random.below(clients.len());
    let client = clients[n];
    match random.below(12) {
        0..=3 => {
            let mut bytes = request(random, witness);
            // Most often one, sometimes more than one visit serves.
            let more = match random.below(60) {
                0 => 40,
                1..=20 => 1,
                _ => 0,
            };
            for _ in 0..more {
                bytes.extend(request(random, witness));
            }
            let cut = random.below(bytes.len() + 1);
            sim.send(client, &bytes[..cut]);
            if random.below(8) > 0 {
                sim.send(client, &bytes[cut..]);
            } else {
                witness.note_cut(address(n).port());
            }
        }
        4 => sim.end(client),
        5 => {
            sim.reset(client);
            shared.borrow_mut().reset.push(client);
        }
        6 => sim.stall(client, 1 + random.below(3000)),
        7 => sim.read(client, random.below(5000)),
        8 => sim.unstall(client),
        9 => sim.advance(Duration::from_millis(random.below(9000) as u64)),
        _ => act(random, shared, topic),
    }
    if random.below(60) == 0 {
        set_keep_alive(sim, random.below(2) == 0);
    }
}

fn play(seed: u64) {
    let mut random = Random::new(seed);
    let slow = if seed % 2 == 0 { Slow::Cut } else { Slow::Skip };
    let topic = Topic::with_options(TopicOptions::new(3).slow(slow));
    let shared = Shared::default();
    let limits = Limits { memory_bytes_max: 1 << 20, ..Limits::default() };
    let histories = Watched::<BTreeMap<ConnectionId, Vec<ConnectionState>>>::default();
    let note = histories.clone();
    let witness = Witness::default();
    let of_states = witness.clone();
    let server = Server::new().limits(limits).on_connection_state(move |_, id, state| {
        note.borrow_mut().entry(id).or_default().push(state);
        of_states.note_state(id, state);
    });
    // Without the hook, responses take shorter ways.
    let is_observed = seed % 8 < 6;
    let server = if is_observed { witness.watch(server) } else { server };
    let (of_handler, mut site) = (witness.clone(), site(&shared, &topic));
    let mut sim = sim_of(server, move |req: &Request<'_>| {
        of_handler.note_handled(req);
        site(req)
    });
    if seed % 4 < 2 {
        sim.set_faults(seed);
    }
    // The server keeps the room for slots and wheel nodes, so `base` allows for more clients than
    // there will be.
    let crowd: Vec<Client> = (0..60).map(|_| sim.connect()).collect();
    let base = sim.memory();
    crowd.into_iter().for_each(|client| sim.reset(client));
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..150 {
        stir(&mut random, &mut sim, &mut clients, &shared, &topic, &witness);
    }
    for &client in clients.iter().filter(|_| seed % 5 == 0) {
        sim.unstall(client);
    }
    sim.advance(Duration::ZERO);
    if is_observed {
        check_wires(&mut sim, &clients, &shared, &witness, seed % 5 == 0);
    }
    let open = clients.iter().filter(|&&client| sim.is_open(client)).count();
    match seed % 3 {
        0 => stop_now(&mut sim),
        1 => {
            shut_down_within(&mut sim, Duration::from_secs(5));
            // Other events continue meanwhile, and perhaps a client does not wait.
            for _ in 0..random.below(40) {
                stir(&mut random, &mut sim, &mut clients, &shared, &topic, &witness);
            }
            if random.below(4) == 0 {
                stop_now(&mut sim);
            }
            sim.advance(Duration::from_secs(6));
        }
        _ => {
            topic.close();
            shared.borrow_mut().laters.clear();
            shared.borrow_mut().senders.clear();
            shared.borrow_mut().wakers.clear();
            for &client in &clients {
                sim.reset(client);
            }
            for _ in 0..60 {
                sim.advance(Duration::from_secs(15));
            }
        }
    }
    assert!(clients.iter().all(|&client| !sim.is_open(client)), "seed {seed}");
    if is_observed {
        witness.check_records();
        witness.check_all_ended();
        check_wires(&mut sim, &clients, &shared, &witness, false);
    }
    let (histories, report) = (histories.borrow(), sim.report());
    assert_eq!(report.accepted, histories.len() as u64, "seed {seed}");
    for states in histories.values() {
        assert!(is_in_order(states), "seed {seed}: {states:?}");
    }
    if seed % 3 < 2 {
        assert!(!sim.is_running(), "seed {seed}");
        assert_eq!(report.drained + report.reset, open, "seed {seed}: {report:?}");
    }
    assert_eq!(topic.readers(), 0, "seed {seed}");
    assert!(sim.memory() <= base, "seed {seed}: {} more than {base}", sim.memory());
}

#[test]
fn nothing_breaks_whatever_clients_and_program_do_in_whatever_order() {
    for n in 0..400 {
        play(seed().wrapping_add(n));
    }
}
