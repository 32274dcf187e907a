//! A visit ends after a millisecond of work that takes long, so that clients who cause much of it
//! take turns with all others.

use std::io;
use std::time::Duration;

use crate::support::*;
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Lost, Receive, Transform};
use wheelhouse::runtime::ConnectionId;
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Body, Failure, Limits, Reply, Request, Response};

/// The time after which a visit ends.
const BUDGET: Duration = MS;

/// The calls of the program, in their order: whose they were, and how long each took.
#[derive(Clone, Default)]
struct Calls {
    made: std::sync::Arc<Watched<Vec<(ConnectionId, Duration)>>>,
    blocker: Blocker,
}

/// Work for one client that takes `time` at each call.
#[derive(Clone)]
struct Task {
    calls: Calls,
    of: ConnectionId,
    time: Duration,
    left: u32,
}

impl Task {
    fn work(&self) {
        self.calls.blocker.block(self.time);
        self.calls.made.borrow_mut().push((self.of, self.time));
    }
}

impl Produce for Task {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        self.work();
        self.left -= 1;
        out.put(b"piece");
        Ok(if self.left == 0 { Produced::End } else { Produced::More })
    }
}

impl<S: 'static> Receive<S> for Task {
    fn piece(&mut self, _: &mut S, _: &[u8]) -> Result<Flow<S>, Failure> {
        self.work();
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, _: &mut S) -> Reply<S> {
        self.work();
        "received".into()
    }

    fn lost(self: Box<Self>, _: &mut S, _: Lost) {}
}

impl<S> Transform<S> for Task {
    fn piece(&mut self, _: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        self.work();
        Ok(out.put(piece))
    }
}

impl Calls {
    /// A server whose work takes `time` at each call, except for `/`.
    fn sim(&self, time: Duration) -> Sim {
        self.limited(time, Limits::default())
    }

    fn limited(&self, time: Duration, limits: Limits) -> Sim {
        let calls = self.clone();
        let site = move |req: &Request<'_>| -> Reply {
            let time = if req.path() == "/" { Duration::ZERO } else { time };
            let task = Task { calls: calls.clone(), of: req.connection_id(), time, left: 3 };
            match req.path() {
                "/produced" => return Body::produce(task).into_reply(),
                "/received" => return Reply::receive(u64::MAX, task),
                "/transformed" => return Reply::transform(Response::text(""), task),
                "/collected" => {
                    return Reply::collect(1000, move |(), _, _| {
                        task.work();
                        "collected"
                    })
                }
                _ => task.work(),
            }
            match req.path() {
                "/large" => Response::text("x".repeat(5_000)).into(),
                _ => "small".into(),
            }
        };
        let mut sim = limited(site, limits);
        self.blocker.attach(&mut sim);
        sim
    }

    /// The work that one client got done in one go, while others waited: the longest.
    fn longest_run(&self) -> Duration {
        let made = self.made.borrow();
        let (mut longest, mut run) = (Duration::ZERO, Duration::ZERO);
        let mut last = None;
        for (n, &(of, time)) in made.iter().enumerate() {
            if !made[n..].iter().any(|&(other, _)| other != of) {
                break;
            }
            run = if last == Some(of) { run + time } else { time };
            last = Some(of);
            longest = longest.max(run);
        }
        longest
    }

    /// The number of calls for other clients before the first one for the client that came last.
    fn calls_before_the_last(&self) -> usize {
        let made = self.made.borrow();
        let last = made.iter().map(|&(of, _)| of).max().expect("calls");
        made.iter().position(|&(of, _)| of == last).expect("a call for it")
    }
}

trait IntoReply {
    fn into_reply(self) -> Reply;
}

impl IntoReply for Body {
    fn into_reply(self) -> Reply {
        Response::ok("text/plain", self).into()
    }
}

/// A request for `path`, with content in eight chunks if the program wants content.
fn request(path: &str) -> Vec<u8> {
    match path {
        "/received" | "/transformed" | "/collected" => {
            let mut bytes = post_chunked(path);
            (0..8).for_each(|_| bytes.extend(chunk(b"piece")));
            bytes.extend(b"0\r\n\r\n");
            bytes
        }
        path => format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(),
    }
}

/// Lets eight clients send 32 requests at once, in turns for each of `paths`, and then another one a
/// request for `/`. Returns them in this order.
fn attack(sim: &mut Sim, paths: &[&str]) -> Vec<Client> {
    let clients: Vec<_> = (0..9).map(|_| sim.connect()).collect();
    sim.pause();
    for &client in &clients[..8] {
        let requests: Vec<u8> = paths.iter().cycle().take(32).flat_map(|it| request(it)).collect();
        assert!(requests.len() < 16 << 10, "they come with one read");
        sim.send(client, requests);
    }
    sim.send(clients[8], request("/"));
    sim.resume();
    clients
}

#[test]
fn a_visit_takes_no_more_than_a_millisecond_and_one_slow_call() {
    for time in [5 * MS, MS * 3 / 10] {
        let lists: &[&[&str]] = &[
            &["/large"],
            &["/produced"],
            &["/received"],
            &["/transformed"],
            &["/collected"],
            &["/large", "/produced", "/", "/transformed", "/collected", "/", "/received"],
        ];
        for paths in lists {
            let calls = Calls::default();
            let mut sim = calls.sim(time);
            let clients = attack(&mut sim, paths);
            // The clock is not read after each piece of content that is quick to take.
            let most = BUDGET + time.max(MS);
            let longest = calls.longest_run();
            assert!(longest <= most, "{paths:?}, {time:?}: {longest:?}");
            let before = calls.calls_before_the_last();
            let at_most = 8 * (most.as_micros() / time.as_micros()) as usize;
            // Calls for `/` take no time.
            let free = 8 * 2 * paths.len().min(2);
            assert!(before <= at_most + free, "{paths:?}, {time:?}: {before} calls");
            for client in clients {
                let all = statuses(sim.received(client));
                assert!(matches!(all.len(), 1 | 32) && all.iter().all(|&it| it == 200), "{all:?}");
            }
        }
    }
}

/// The clock is not read after each of them, because that would cost other requests too much.
#[test]
fn slow_handlers_with_small_responses_take_turns_too() {
    let calls = Calls::default();
    let mut sim = calls.sim(5 * MS);
    let clients = attack(&mut sim, &["/small"]);
    assert_eq!(calls.longest_run(), 8 * 5 * MS, "the first visit is surprised");
    assert!(calls.calls_before_the_last() <= 8 + 7, "{}", calls.calls_before_the_last());
    for &client in &clients[..8] {
        assert_eq!(statuses(sim.received(client)), [200; 32]);
    }
}

#[test]
fn quick_requests_of_one_client_are_served_in_one_visit() {
    let calls = Calls::default();
    let mut sim = calls.sim(MS);
    let client = sim.connect();
    let (polls, writes) = (sim.polls(), sim.writes());
    sim.send(client, GET.repeat(32));
    assert_eq!(statuses(sim.received(client)), [200; 32]);
    assert_eq!(sim.writes() - writes, 1);
    assert!(sim.polls() - polls <= 3);
}

/// A crowd whose work never ends is accepted in one batch, and then another client: it is served before
/// any of them is visited again, and the loop looks for more such clients every few milliseconds.
#[test]
fn a_client_that_asks_for_little_is_served_before_those_that_have_more_to_do() {
    const CROWD: usize = 64;
    const REQUESTS: usize = 10;
    let calls = Calls::default();
    let mut sim = calls.sim(3 * MS);
    sim.pause();
    for _ in 0..CROWD {
        sim.connect_and_send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n".repeat(REQUESTS));
    }
    let modest = sim.connect_and_send(GET);
    let polls = sim.polls();
    sim.resume();
    assert_eq!(statuses(sim.received(modest)), [200]);
    let made = calls.made.borrow();
    let at = made.iter().position(|&(_, time)| time.is_zero()).unwrap();
    // The clock is read after the first eight small responses.
    assert!(at < CROWD + 8, "served after {at} calls for the crowd");
    assert_eq!(made.len(), CROWD * REQUESTS + 1);
    let turns = sim.polls() - polls;
    assert!(
        turns as usize >= CROWD * (REQUESTS - 1) / 2,
        "two slow calls in a turn: {turns} turns"
    );
}

/// Each of a crowd sends a little again and again, and each piece takes long. Another client comes in the
/// middle of it.
#[test]
fn a_client_is_served_within_a_few_visits_while_a_crowd_keeps_the_loop_busy() {
    const CROWD: usize = 300;
    let calls = Calls::default();
    let mut sim = calls.sim(MS);
    let crowd: Vec<_> =
        (0..CROWD).map(|_| sim.connect_and_send(post_chunked("/received"))).collect();
    for round in 0..5 {
        sim.pause();
        crowd.iter().for_each(|&client| sim.send(client, chunk(b"piece")));
        let modest = sim.connect_and_send(GET);
        calls.made.borrow_mut().clear();
        sim.resume();
        assert_eq!(statuses(sim.received(modest)), [200]);
        let made = calls.made.borrow();
        assert_eq!(made.len(), CROWD + 1);
        let at = made.iter().position(|&(_, time)| time.is_zero()).unwrap();
        // In the first round, nobody knows yet that their visits take long.
        assert!(round == 0 || at <= 12, "{round}: served after {at} calls for the crowd");
    }
}

/// Each client of the crowd has work for ten visits.
#[test]
fn first_visits_are_short_while_clients_come_faster_than_they_are_accepted() {
    const CROWD: usize = 200;
    let calls = Calls::default();
    let mut sim = calls.sim(MS * 3 / 10);
    sim.pause();
    for _ in 0..CROWD {
        sim.connect_and_send(request("/large").repeat(10));
    }
    let modest = sim.connect_and_send(GET);
    sim.resume();
    assert_eq!(statuses(sim.received(modest)), [200]);
    let made = calls.made.borrow();
    assert_eq!(made.len(), CROWD * 10 + 1);
    let at = made.iter().position(|&(_, time)| time.is_zero()).unwrap();
    assert!(at <= CROWD * 3 / 2, "served after {at} calls for the crowd");
}

/// A batch of accepts that was full, and took the last slot, is not followed by another one.
#[test]
fn visits_are_long_again_after_a_crowd_that_has_taken_all_slots() {
    let calls = Calls::default();
    let mut sim = calls.limited(MS * 3 / 10, Limits { connections_max: 64, ..Limits::default() });
    sim.pause();
    let crowd: Vec<_> = (0..64).map(|_| sim.connect_and_send(GET)).collect();
    sim.resume();
    calls.made.borrow_mut().clear();
    sim.pause();
    crowd[..2].iter().for_each(|&client| sim.send(client, request("/large").repeat(8)));
    sim.resume();
    assert_eq!(calls.longest_run(), MS * 12 / 10, "{:?}", calls.made.borrow());
}
