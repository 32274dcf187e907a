//! A script of clients, time and faults of the kernel against handlers of every kind: the work and
//! the memory are bounded at every step, each client gets well-formed responses, and at the end
//! the server serves as before, its memory is given back, and a shutdown ends.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use wheelhouse::content::{Flow, Receive};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{
    Body, Failure, Handler, Informational, Later, Limits, Reply, Request, Response, Server, Waker,
};

use crate::http1::reference::response::Response as Parsed;
use crate::support::random::Random;
use crate::support::{later_to, sim_of, Echo, Lines};

const CLIENTS_MAX: usize = 12;
const STEPS_MAX: usize = 200;
/// ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, ENETDOWN, EBADF.
const ERRORS: [i32; 10] = [103, 4, 24, 23, 105, 12, 1, 71, 100, 9];
const PATHS: [&str; 12] = [
    "/", "/collect", "/receive", "/moody", "/echo", "/lines", "/long", "/big", "/later", "/never",
    "/upgrade", "/close",
];

#[derive(Default)]
struct State {
    laters: Vec<Later<Shared>>,
    /// Rights to respond that are not used.
    nevers: Vec<Later<Shared>>,
    wakers: Vec<Waker>,
    /// For each client, whether its requests were HEAD.
    heads: BTreeMap<u16, Vec<bool>>,
    calls: usize,
}

type Shared = Rc<RefCell<State>>;

struct Site;

impl Handler<Shared> for Site {
    fn handle(&mut self, state: &mut Shared, req: &Request<'_>) -> Reply<Shared> {
        let mut state = state.borrow_mut();
        state.calls += 1;
        let port = req.peer_addr().map_or(0, |address| address.port());
        state.heads.entry(port).or_default().push(*req.method() == "HEAD");
        let moody = Moody { calls: state.calls };
        match req.path() {
            "/collect" => Reply::collect(3000, |_, _, content| format!("{}", content.len())),
            "/receive" => Reply::receive(100_000, moody),
            "/moody" => Reply::receive(u64::MAX, moody),
            "/echo" => Reply::transform(Response::text(""), Echo { len: req.content_length() }),
            "/lines" => Response::ok("a/b", Body::produce(Lines(3000))).into(),
            "/long" => {
                let reader = io::Read::take(io::repeat(b'.'), 500_000);
                Response::ok("a/b", Body::from_reader(reader)).into()
            }
            "/big" => Response::ok("a/b", vec![b'b'; 300_000]).into(),
            "/later" => {
                let reply = later_to(|later| state.laters.push(later));
                Reply::inform(Informational::processing(), reply)
            }
            "/never" => later_to(|later| state.nevers.push(later)),
            "/upgrade" => Reply::upgrade("moody", moody),
            "/close" => Response::text("last").with_close().into(),
            _ => "plain".into(),
        }
    }
}

/// Pauses now and then, and takes a part of its input as a protocol.
struct Moody {
    calls: usize,
}

impl Receive<Shared> for Moody {
    fn start(&mut self, state: &mut Shared, waker: Waker) -> Result<(), Failure> {
        state.borrow_mut().wakers.push(waker);
        Ok(())
    }

    fn piece(&mut self, _: &mut Shared, _: &[u8]) -> Result<Flow<Shared>, Failure> {
        self.calls += 1;
        Ok(match self.calls % 7 {
            0 => Flow::Pause,
            3 if self.calls % 5 == 0 => Flow::Respond("enough".into()),
            _ => Flow::Continue,
        })
    }

    fn end(self: Box<Self>, _: &mut Shared) -> Reply<Shared> {
        "received".into()
    }
}

impl Protocol<Shared> for Moody {
    fn start(&mut self, state: &mut Shared, connection: &mut Connection<'_>) -> io::Result<()> {
        state.borrow_mut().wakers.push(connection.waker());
        Ok(())
    }

    fn receive(
        &mut self,
        _: &mut Shared,
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        self.calls += 1;
        match self.calls % 11 {
            0 => connection.close(),
            5 => return Err(io::Error::other("a bad day")),
            _ => {}
        }
        Ok(connection.put(&input[..input.len().div_ceil(2)]))
    }

    fn wake(&mut self, _: &mut Shared, connection: &mut Connection<'_>) -> io::Result<()> {
        connection.put(&vec![b'w'; self.calls * 997 % 20_000]);
        Ok(())
    }
}

/// A server with its clients.
struct Play {
    sim: Sim<Shared>,
    state: Shared,
    clients: Vec<Client>,
    memory_max: usize,
    is_paused: bool,
    /// The number of calls of `accept` that were to fail.
    errors: usize,
}

pub(crate) fn target(data: &[u8]) {
    let mut random = Random::of(&data[..data.len().min(3000)]);
    let state = Shared::default();
    let limits = Limits {
        memory_bytes_max: [512 << 10, 1 << 20, 64 << 20][random.below(3)],
        connections_max: [4, 9, 100][random.below(3)],
        requests_max: [3, u32::MAX][random.below(2)],
        connection_age_max: random.one_in(3).then(|| Duration::from_secs(30)),
        ..Limits::default()
    };
    let memory_max = limits.memory_bytes_max;
    let server = Server::with_state(Rc::clone(&state)).limits(limits);
    let mut sim = sim_of(server, Site);
    // The server keeps the room for as many connections as it had.
    let crowd: Vec<Client> = (0..CLIENTS_MAX + 2).map(|_| sim.connect()).collect();
    let base = sim.memory();
    crowd.into_iter().for_each(|client| sim.reset(client));
    let mut play =
        Play { sim, state, clients: Vec::new(), memory_max, is_paused: false, errors: 0 };
    for _ in 0..STEPS_MAX {
        if random.is_over() {
            break;
        }
        play.step(&mut random);
    }
    play.end(random.below(3), base);
}

impl Play {
    fn step(&mut self, random: &mut Random) {
        let polls = self.sim.polls();
        let mut allowed = 100;
        if self.clients.is_empty() || self.clients.len() < CLIENTS_MAX && random.one_in(8) {
            let address: SocketAddr = ([192, 0, 2, 1], self.clients.len() as u16).into();
            self.clients.push(self.sim.connect_from(address));
        }
        let client = self.clients[random.below(self.clients.len())];
        match random.below(29) {
            0..=4 => {
                let bytes = request(random);
                let cut =
                    if random.one_in(3) { random.below(bytes.len() + 1) } else { bytes.len() };
                allowed += bytes.len() / 10;
                self.sim.send(client, &bytes[..cut]);
            }
            5 => {
                let bytes = request(random).repeat(1 + random.below(70));
                allowed += bytes.len() / 10;
                self.sim.send(client, bytes);
            }
            6 => {
                let len = random.below(32);
                let bytes: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
                self.sim.send(client, bytes);
            }
            7 => self.sim.end(client),
            8 => self.sim.reset(client),
            9 | 10 => self.sim.stall(client, 1 + random.below(5000)),
            11 => self.sim.read(client, random.below(9000)),
            12 => self.sim.unstall(client),
            13 => {
                let millis = random.below(40_000) as u64;
                allowed += 20 * millis as usize;
                self.sim.advance(Duration::from_millis(millis));
            }
            14 => {
                let laters = &mut self.state.borrow_mut().laters;
                if !laters.is_empty() {
                    let later = laters.swap_remove(random.below(laters.len()));
                    if random.one_in(2) {
                        later.respond("later");
                    }
                }
            }
            15 => {
                let wakers = &self.state.borrow().wakers;
                if !wakers.is_empty() {
                    wakers[random.below(wakers.len())].wake();
                }
            }
            16 => {
                let count = 1 + random.below(4);
                let errors: Vec<i32> =
                    (0..count).map(|_| ERRORS[random.below(ERRORS.len())]).collect();
                self.errors += count;
                self.sim.fail_accepts(errors);
            }
            17 => self.sim.fail_watches(random.below(3)),
            18 => self.sim.set_faults(random.below(256) as u64),
            19 => drop(self.sim.set_hard_faults(random.below(256) as u64)),
            20 => self.sim.end_faults(),
            21 => self.sim.handle().set_keep_alive(random.one_in(2)),
            22 => self.sim.send_urgent(client),
            23 => self.sim.interrupt_polls(random.below(4)),
            24 => {
                let time = Duration::from_millis(random.below(40_000) as u64);
                allowed += 20 * time.as_millis() as usize;
                self.sim.stop_after_poll(time, client, request(random));
            }
            25 => self.sim.set_descriptors_max(random.below(CLIENTS_MAX)),
            26 => {
                let error = ERRORS[random.below(ERRORS.len())];
                self.sim.fail_call(random.below(8), error);
            }
            _ if self.is_paused => self.resume(),
            _ => {
                self.sim.pause();
                self.is_paused = true;
            }
        }
        // The news of workers and handles arrive, too.
        self.sim.advance(Duration::ZERO);
        let received: usize = self.received();
        let polls = (self.sim.polls() - polls) as usize;
        allowed += received / 20;
        assert!(polls <= allowed, "{polls} turns in one step, {allowed} are allowed");
        assert!(self.sim.memory() <= self.memory_max, "{} bytes", self.sim.memory());
    }

    fn received(&mut self) -> usize {
        let Play { sim, clients, .. } = self;
        clients.iter().map(|&client| sim.received(client).len()).sum()
    }

    fn resume(&mut self) {
        self.is_paused = false;
        self.sim.resume();
    }

    /// Ends all clients, and shows that the server is as it was. Then it shuts down.
    fn end(&mut self, how: usize, base: usize) {
        self.resume();
        self.sim.end_faults();
        for n in 0..self.clients.len() {
            self.check_responses(n);
        }
        for &client in &self.clients {
            self.sim.reset(client);
        }
        drop(std::mem::take(&mut *self.state.borrow_mut()));
        self.sim.handle().set_keep_alive(true);
        self.sim.fail_watches(0);
        self.use_up_errors();
        // A connection whose program works is not read, so its reset is noticed at the deadline.
        self.sim.advance(Limits::default().handler_timeout);
        let memory = self.sim.memory();
        assert!(memory <= base, "{} bytes are not given back", memory - base);
        assert_eq!(self.sim.get("/").text(), "plain", "an honest client is served");
        let last = self.sim.connect();
        let handle = self.sim.handle();
        match how {
            0 => handle.stop(),
            1 => handle.shutdown(),
            _ => {
                self.sim.stall(last, 10);
                self.sim.send(last, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
                handle.shutdown();
            }
        }
        self.sim.advance(Duration::from_secs(11));
        assert!(!self.sim.is_running(), "a shutdown ends within its deadline");
    }

    /// Lets the calls of `accept` fail that are still to fail. Each of them costs at most a client
    /// and a pause of a second.
    fn use_up_errors(&mut self) {
        let mut client = self.sim.connect();
        for _ in 0..=self.errors {
            if !self.sim.is_open(client) {
                client = self.sim.connect();
            }
            self.sim.advance(Duration::from_secs(2));
        }
        self.sim.reset(client);
    }

    /// The bytes that a client has received are responses, of which the last may not be complete.
    fn check_responses(&mut self, n: usize) {
        let client = self.clients[n];
        let has_ended = self.sim.has_ended(client);
        let heads = self.state.borrow().heads.get(&(n as u16)).cloned().unwrap_or_default();
        let received = self.sim.received(client).to_vec();
        let (mut rest, mut finals) = (&received[..], 0);
        while !rest.is_empty() {
            let is_head = heads.get(finals).copied().unwrap_or(false);
            let parsed = match Parsed::read(rest, is_head, has_ended) {
                Ok(parsed) => parsed,
                Err(crate::http1::reference::Stop::End) => break,
                Err(stop) => panic!("{stop:?} in {}", rest.escape_ascii()),
            };
            rest = &rest[parsed.len..];
            if parsed.status == 101 {
                return;
            }
            finals += usize::from(parsed.status >= 200);
            assert!(parsed.status < 200 || parsed.keeps || rest.is_empty(), "bytes after the end");
        }
        assert!(finals <= heads.len() + 1, "{finals} responses to {} requests", heads.len());
    }
}

/// A good request, or the beginning of one.
fn request(random: &mut Random) -> Vec<u8> {
    let path = random.pick(&PATHS);
    let method = random.pick(&["GET", "POST", "HEAD"]);
    let version = if random.one_in(6) { "1.0" } else { "1.1" };
    let len = [0, 0, 3, 900, 20_000][random.below(5)];
    let mut bytes = format!("{method} {path} HTTP/{version}\r\nHost: a\r\n").into_bytes();
    bytes.extend_from_slice(match random.below(6) {
        0 => b"Expect: 100-continue\r\n",
        1 => b"Connection: close\r\n",
        _ => b"Connection: upgrade\r\nUpgrade: moody\r\n",
    });
    if random.one_in(3) && version == "1.1" {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        if len > 0 {
            bytes.extend_from_slice(format!("{len:x}\r\n{}\r\n", "x".repeat(len)).as_bytes());
        }
        bytes.extend_from_slice(b"0\r\nX: y\r\n\r\n");
    } else {
        let content = "x".repeat(len);
        bytes.extend_from_slice(format!("Content-Length: {len}\r\n\r\n{content}").as_bytes());
    }
    bytes
}

#[cfg(test)]
#[test]
fn whatever_clients_and_the_kernel_do_the_server_serves_afterwards() {
    let make = |random: &mut Random| {
        let len = random.below(400);
        (0..len).map(|_| random.next() as u8).collect()
    };
    super::run::check("script", 150, &[], make, target);
}
