//! Connections that leave HTTP: protocols in the loop, tunnels, and streams that are handed out.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::support::*;
use crate::support::{limited, number, set_keep_alive, shut_down, sim_of, stop_now};
use wheelhouse::content::Lost;
use wheelhouse::runtime::ConnectionState;
use wheelhouse::sim::{Client, Sim};
use wheelhouse::upgrade::{Connection, Hijacked, HijackedStream, Protocol, Upgrade};
use wheelhouse::{Limits, Reply, Request, Response, Server, StatusCode, Waker};

const SWITCH: &[u8] =
    b"GET /line HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: line\r\n\r\n";

/// The calls of a protocol, in order.
type Log = Rc<RefCell<Vec<String>>>;

/// Responds to lines, and notes its calls.
struct Lines {
    log: Log,
    waker: Option<Waker>,
    /// The bytes that are still to be put.
    flood: usize,
}

impl Lines {
    fn note(&self, what: impl Into<String>) {
        self.log.borrow_mut().push(what.into());
    }
}

impl Protocol<()> for Lines {
    fn start(&mut self, (): &mut (), connection: &mut Connection<'_>) -> io::Result<()> {
        self.note("begin");
        self.waker = Some(connection.waker());
        connection.put(b"hello\n");
        Ok(())
    }

    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        let Some(len) = input.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
        let line = std::str::from_utf8(&input[..len]).unwrap_or("?");
        self.note(format!("line {line}"));
        match line {
            "bye" => connection.close(),
            "fail" => return Err(io::Error::other("a protocol of a test fails")),
            "panic" => panic!("a protocol of a test panics"),
            "wake" => self.waker.as_ref().unwrap().wake(),
            "flood" => {
                self.flood = 300_000;
                self.wake(&mut (), connection)?;
            }
            line => assert!(connection.put_all(format!("{line}!\n").as_bytes())),
        }
        Ok(len + 1)
    }

    fn wake(&mut self, (): &mut (), connection: &mut Connection<'_>) -> io::Result<()> {
        while self.flood > 0 {
            let put = connection.put(&vec![b'.'; self.flood.min(10_000)]);
            self.flood -= put;
            if put == 0 {
                return Ok(());
            }
        }
        self.note("woken");
        Ok(())
    }

    fn expire(&mut self, (): &mut (), connection: &mut Connection<'_>) -> io::Result<()> {
        self.note("silence");
        connection.put(b"ping\n");
        Ok(())
    }

    fn timeout(&self) -> Duration {
        20 * SECOND
    }

    fn end_of_input(&mut self, (): &mut (), connection: &mut Connection<'_>) -> io::Result<()> {
        self.note("end");
        connection.put(b"ended\n");
        connection.close();
        Ok(())
    }

    fn shutdown(&mut self, (): &mut (), connection: &mut Connection<'_>) -> io::Result<()> {
        self.note("shutdown");
        connection.put(b"going\n");
        connection.close();
        Ok(())
    }

    fn lost(self: Box<Self>, (): &mut (), why: Lost) {
        self.note(format!("gone {why:?}"));
    }
}

fn site(log: &Log) -> impl FnMut(&Request<'_>) -> Reply {
    let log = Rc::clone(log);
    move |req| match req.path() {
        "/line" => {
            let lines = Lines { log: Rc::clone(&log), waker: None, flood: 0 };
            Reply::upgrade(Upgrade::to("line").with_header("X-Lines", "yes"), lines)
        }
        "/tunnel" | "" => {
            let lines = Lines { log: Rc::clone(&log), waker: None, flood: 0 };
            Reply::upgrade(Upgrade::tunnel(), lines)
        }
        "/hijack" => {
            let log = Rc::clone(&log);
            Reply::hijack(move |(), hijacked: Hijacked| {
                assert!(matches!(hijacked.stream, HijackedStream::Simulated));
                let read = String::from_utf8(hijacked.read).unwrap();
                log.borrow_mut().push(format!("read {read}"));
            })
        }
        _ => "plain".into(),
    }
}

/// A client that has switched to [`Lines`], and their calls.
fn switched() -> (Log, Sim, Client) {
    let log = Log::default();
    let mut sim = Sim::new(site(&log));
    let client = sim.connect_and_send(SWITCH);
    (log, sim, client)
}

/// A client that has switched to a protocol.
fn switched_to<P: Protocol<()> + 'static>(mut make: impl FnMut() -> P + 'static) -> (Sim, Client) {
    let mut sim = Sim::new(move |_: &Request<'_>| Reply::<()>::upgrade("line", make()));
    let client = sim.connect_and_send(SWITCH);
    (sim, client)
}

fn calls(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.borrow_mut())
}

/// Go: TestWriteHeaderSwitchingProtocols (t130).
#[test]
fn an_upgrade_gets_a_101_without_framing_and_lines_go_both_ways() {
    let (log, mut sim, client) = switched();
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\nDate: "), "{text}");
    assert!(text.contains("\r\nUpgrade: line\r\nConnection: Upgrade\r\nX-Lines: yes\r\n\r\n"));
    assert!(text.ends_with("\r\n\r\nhello\n") && !text.contains("Content-"), "{text}");
    sim.send(client, b"one\ntw");
    sim.send(client, b"o\n");
    assert_eq!(sim.take_received(client), b"one!\ntwo!\n");
    assert_eq!(calls(&log), ["begin", "line one", "line two"]);
}

/// Bytes that arrived with the head are not lost (t161, t162).
#[test]
fn bytes_after_the_head_reach_the_protocol_however_they_are_cut() {
    let log = Log::default();
    let mut sim = Sim::new(site(&log));
    let all = [GET, SWITCH, b"one\ntwo\nthr", b"ee\n"].concat();
    for cut in 1..all.len() {
        let client = sim.connect_and_send(&all[..cut]);
        sim.send(client, &all[cut..]);
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(text.ends_with("\r\n\r\nhello\none!\ntwo!\nthree!\n"), "{cut}: {text}");
        assert!(text.contains("plain"), "the earlier response comes first: {text}");
        sim.reset(client);
    }
}

#[test]
fn the_refusal_of_a_request_without_the_upgrade_names_the_protocol() {
    let log = Log::default();
    let mut sim = Sim::new(site(&log));
    for head in [
        "GET /line HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /line HTTP/1.1\r\nHost: a\r\nUpgrade: line\r\n\r\n",
        "GET /line HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /line HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: line\r\n\r\n",
    ] {
        let client = sim.connect_and_send(head.as_bytes());
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(text.contains(" 426 Upgrade Required\r\n"), "{text}");
        assert!(text.contains("Upgrade: line\r\n"), "{text}");
    }
    let with_content = [&SWITCH[..SWITCH.len() - 2], b"Content-Length: 3\r\n\r\nabc"].concat();
    let client = sim.connect_and_send(&with_content);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 400 "));
    assert_eq!(calls(&log), Vec::<String>::new());
}

/// The name may come from a request, decoded.
#[test]
fn a_protocol_name_that_would_split_the_response_is_a_500_for_every_request() {
    const NAME: &str = "a\r\nSet-Cookie: evil=1";
    let log = Log::default();
    let lines = move |_: &Request<'_>| -> Reply {
        Reply::upgrade(NAME, Lines { log: Rc::clone(&log), waker: None, flood: 0 })
    };
    let mut sim = Sim::new(lines);
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
    ] {
        let client = sim.connect_and_send(head.as_bytes());
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert_eq!(statuses(text.as_bytes()), [500], "{text}");
        assert!(!text.contains("evil"), "{text}");
    }
}

/// Go: TestServerCONNECTSuccess (t134).
#[test]
fn only_a_granted_connect_is_a_tunnel() {
    let log = Log::default();
    let mut sim = Sim::new(site(&log));
    let connect = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nfirst\n";
    let client = sim.connect_and_send(connect);
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\nhello\nfirst!\n"), "{text}");
    assert!(!text.contains("Content-Length") && !text.contains("Transfer-Encoding"), "{text}");
    let client = sim.connect_and_send(b"GET /tunnel HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.received(client).starts_with(b"HTTP/1.1 405 "));
}

#[test]
fn a_protocol_that_closes_lingers_and_is_not_called_again() {
    let (log, mut sim, client) = switched();
    sim.take_received(client);
    sim.send(client, b"one\nbye\nignored\n");
    assert_eq!(sim.take_received(client), b"one!\n");
    assert!(sim.has_ended(client));
    sim.end(client);
    assert!(!sim.is_open(client) && !sim.was_reset(client));
    assert_eq!(calls(&log), ["begin", "line one", "line bye"]);
}

/// The loop still owns the connection, so it can reset it (t169).
#[test]
fn a_protocol_that_fails_or_panics_costs_its_connection() {
    for word in ["fail\n", "panic\n"] {
        let (log, mut sim, client) = switched();
        sim.send(client, word.as_bytes());
        assert!(sim.was_reset(client));
        assert_eq!(calls(&log).last().unwrap(), "gone Stopped");
        assert_eq!(sim.report().totals.accepted, 1);
    }
}

#[test]
fn a_protocol_is_notified_of_each_silence() {
    let (log, mut sim, client) = switched();
    sim.take_received(client);
    sim.advance(15 * SECOND);
    sim.send(client, b"x\n");
    sim.advance(19 * SECOND);
    assert_eq!(sim.take_received(client), b"x!\n");
    sim.advance(22 * SECOND);
    assert_eq!(sim.take_received(client), b"ping\nping\n");
    assert_eq!(calls(&log), ["begin", "line x", "silence", "silence"]);
}

/// The time for a line begins with its first byte, whatever comes or goes until it is complete.
#[test]
fn bytes_that_trickle_in_do_not_put_off_the_deadline_of_a_line() {
    let (log, mut sim, client) = switched();
    sim.advance(15 * SECOND);
    for _ in 0..19 {
        sim.send(client, b"x");
        sim.advance(SECOND);
    }
    assert_eq!(calls(&log), ["begin"]);
    sim.advance(SECOND + LATE);
    assert_eq!(calls(&log), ["silence"]);
    // The protocol has sent a ping, and has not closed. The line has another 20 s, and no more.
    for _ in 0..20 {
        sim.send(client, b"x");
        sim.advance(SECOND);
    }
    assert_eq!(calls(&log), ["silence"]);
    // A whole line is progress, and so is the first byte of the next.
    sim.send(client, b"\ny");
    sim.advance(19 * SECOND);
    sim.send(client, b"\n");
    sim.advance(19 * SECOND);
    sim.send(client, b"z");
    sim.advance(19 * SECOND);
    assert_eq!(calls(&log).len(), 2, "both lines, and no silence");
    sim.advance(SECOND + LATE);
    assert_eq!(calls(&log), ["silence"]);
}

/// The peer has begun a line, and news for it goes on.
#[test]
fn bytes_sent_to_a_peer_do_not_put_off_the_deadline_of_its_line() {
    let wakers = Rc::new(RefCell::new(Vec::new()));
    let all = Rc::clone(&wakers);
    let (mut sim, client) = switched_to(move || News(Rc::clone(&all)));
    let news = |sim: &mut Sim, seconds: u32| {
        for _ in 0..seconds {
            sim.advance(SECOND);
            wakers.borrow().iter().for_each(wheelhouse::Waker::wake);
            sim.advance(MS);
        }
    };
    news(&mut sim, 100);
    assert!(sim.is_open(client));
    sim.send(client, b"half a line");
    news(&mut sim, 59);
    assert!(sim.is_open(client) && !sim.has_ended(client));
    news(&mut sim, 2);
    assert!(sim.has_ended(client));
}

/// Sends a line whenever it is woken.
struct News(Rc<RefCell<Vec<wheelhouse::Waker>>>);

impl Protocol<()> for News {
    fn start(&mut self, (): &mut (), connection: &mut Connection<'_>) -> io::Result<()> {
        self.0.borrow_mut().push(connection.waker());
        Ok(())
    }

    fn receive(&mut self, (): &mut (), input: &[u8], _: &mut Connection<'_>) -> io::Result<usize> {
        Ok(input.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1))
    }

    fn wake(&mut self, (): &mut (), connection: &mut Connection<'_>) -> io::Result<()> {
        connection.put(b"news\n");
        Ok(())
    }
}

/// A deadline holds once. Whatever comes does not put it off, and the protocol learns its kind.
#[test]
fn a_deadline_of_a_protocol_comes_whatever_comes_and_goes() {
    let log = Log::default();
    let notes = Rc::clone(&log);
    let (mut sim, client) = switched_to(move || Timed(Rc::clone(&notes)));
    sim.send(client, b"set");
    for _ in 0..24 {
        sim.advance(SECOND);
        sim.send(client, b"tick");
    }
    assert_eq!(calls(&log), [""; 0]);
    sim.advance(SECOND + LATE);
    assert_eq!(calls(&log), ["overdue"]);
    sim.advance(10 * SECOND + LATE);
    assert_eq!(calls(&log), ["silence"], "10 s after the last call");
    // One that is removed does not come.
    sim.send(client, b"set");
    sim.advance(9 * SECOND);
    sim.send(client, b"end");
    for _ in 0..5 {
        sim.advance(9 * SECOND);
        sim.send(client, b"tick");
    }
    assert_eq!(calls(&log), [""; 0]);
}

/// Sets a deadline of 25 s and removes it, as the client says. Its silence is 10 s.
struct Timed(Log);

impl Protocol<()> for Timed {
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        match input {
            b"set" => connection.set_deadline(Some(25 * SECOND)),
            b"end" => connection.set_deadline(None),
            _ => {}
        }
        connection.put(b"ok\n");
        Ok(input.len())
    }

    fn expire(&mut self, (): &mut (), connection: &mut Connection<'_>) -> io::Result<()> {
        let what = if connection.is_overdue() { "overdue" } else { "silence" };
        self.0.borrow_mut().push(what.to_owned());
        Ok(())
    }

    fn timeout(&self) -> Duration {
        10 * SECOND
    }
}

/// A protocol that takes one message in each call, one that counts its messages, and one that
/// yields after each of them: none holds the loop up with all of its input.
#[test]
fn a_visit_ends_after_32_messages_of_a_protocol_or_when_it_yields() {
    for (counts, yields, run_max) in [(false, false, 32), (true, false, 32), (true, true, 1)] {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (notes, mut name) = (Rc::clone(&heard), 0);
        let mut sim = Sim::new(move |_: &Request<'_>| {
            name += 1;
            let bytes = Bytes { counts, yields, name, heard: Rc::clone(&notes) };
            Reply::<()>::upgrade("line", bytes)
        });
        let clients = [sim.connect_and_send(SWITCH), sim.connect_and_send(SWITCH)];
        sim.pause();
        for client in clients {
            sim.send(client, [b'x'; 200]);
        }
        sim.resume();
        let heard = heard.borrow();
        assert_eq!(heard.len(), 400);
        let runs: Vec<usize> = heard.chunk_by(|one, next| one == next).map(<[_]>::len).collect();
        assert!(runs.len() >= 12 && runs.iter().all(|&run| run <= run_max), "{runs:?}");
    }
}

/// Each byte is a message.
struct Bytes {
    counts: bool,
    yields: bool,
    name: u32,
    heard: Rc<RefCell<Vec<u32>>>,
}

impl Protocol<()> for Bytes {
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        for used in 1..=input.len() {
            self.heard.borrow_mut().push(self.name);
            if self.yields {
                connection.yield_now();
            }
            if !self.counts || self.yields || !connection.count_message() {
                return Ok(used);
            }
        }
        Ok(input.len())
    }
}

/// Waits for its destination, as long as that has no room.
struct Waits(Rc<RefCell<u32>>);

impl Protocol<()> for Waits {
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        let mut visits = self.0.borrow_mut();
        *visits += 1;
        if *visits <= 3 {
            connection.yield_now();
            return Ok(0);
        }
        Ok(input.len())
    }
}

/// However many bytes have come, it is not the client that keeps them waiting.
#[test]
fn a_protocol_that_ends_the_visit_may_leave_as_many_bytes_as_were_read() {
    let visits = Rc::new(RefCell::new(0));
    let of_protocol = Rc::clone(&visits);
    let (mut sim, client) = switched_to(move || Waits(Rc::clone(&of_protocol)));
    sim.send(client, [b'x'; 100_000]);
    assert!(sim.is_open(client) && *visits.borrow() > 3, "{}", visits.borrow());
    assert_eq!(sim.unread(client), 0);
}

/// The protocol learns that its output has waited for a tenth of a second, and that all of it has left.
#[test]
fn a_protocol_is_notified_of_a_slow_client_and_of_room() {
    let (log, wakers) = (Log::default(), Rc::<RefCell<Vec<Waker>>>::default());
    let (notes, all) = (Rc::clone(&log), Rc::clone(&wakers));
    let (mut sim, client) = switched_to(move || Full(Rc::clone(&notes), Rc::clone(&all)));
    sim.send(client, b"x");
    assert_eq!(calls(&log), [""; 0]);
    sim.stall(client, 1000);
    sim.send(client, b"x");
    sim.advance(99 * MS);
    wakers.borrow()[0].wake();
    sim.advance(MS);
    assert_eq!(calls(&log), [""; 0], "a client may be late for a moment");
    wakers.borrow()[0].wake();
    sim.advance(MS);
    assert_eq!(calls(&log), ["stalled"]);
    sim.unstall(client);
    let mut until_room = calls(&log);
    until_room.retain(|call| call != "stalled");
    assert_eq!(until_room, ["moves", "wake"]);
    sim.advance(SECOND);
    assert_eq!(calls(&log), [""; 0]);
}

/// A socket that is full all the time is not that of a slow client: what waits leaves soon enough.
#[test]
fn a_client_that_takes_what_waits_within_a_tenth_of_a_second_is_not_slow() {
    let (log, wakers) = (Log::default(), Rc::<RefCell<Vec<Waker>>>::default());
    let (notes, all) = (Rc::clone(&log), Rc::clone(&wakers));
    let (mut sim, client) = switched_to(move || Full(Rc::clone(&notes), Rc::clone(&all)));
    sim.stall(client, 1000);
    for _ in 0..50 {
        // 4,000 of 5,000 bytes wait.
        sim.send(client, b"x");
        sim.advance(50 * MS);
        sim.read(client, 1000);
        wakers.borrow()[0].wake();
        sim.advance(40 * MS);
        assert!(!calls(&log).contains(&"stalled".to_owned()));
        for _ in 0..5 {
            sim.read(client, 1000);
            sim.advance(MS);
        }
    }
}

/// Responds to each read with 5,000 bytes.
struct Full(Log, Rc<RefCell<Vec<Waker>>>);

impl Protocol<()> for Full {
    fn start(&mut self, (): &mut (), connection: &mut Connection<'_>) -> io::Result<()> {
        self.1.borrow_mut().push(connection.waker());
        Ok(())
    }

    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        connection.put(&[b'.'; 5000]);
        Ok(input.len())
    }

    fn wake(&mut self, (): &mut (), _: &mut Connection<'_>) -> io::Result<()> {
        self.0.borrow_mut().push("wake".to_owned());
        Ok(())
    }

    fn stalled(&mut self, is_stalled: bool) {
        let what = if is_stalled { "stalled" } else { "moves" };
        self.0.borrow_mut().push(what.to_owned());
    }
}

#[test]
fn a_waker_wakes_its_protocol() {
    let (log, mut sim, client) = switched();
    sim.send(client, b"wake\n");
    assert_eq!(calls(&log), ["begin", "line wake", "woken"]);
}

#[test]
fn a_peer_that_does_not_read_pauses_its_protocol_and_costs_no_memory() {
    let (log, mut sim, client) = switched();
    sim.take_received(client);
    let memory = sim.memory();
    sim.stall(client, 10_000);
    sim.send(client, b"flood\n");
    let mut read = 0;
    while calls(&log).last().map(String::as_str) != Some("woken") {
        sim.read(client, 10_000);
        sim.advance(SECOND);
        assert!(sim.memory() <= memory + (130 << 10), "{}", sim.memory() - memory);
        read += 1;
        assert!(read < 100);
    }
    sim.unstall(client);
    assert_eq!(sim.received(client).len(), 300_000);
}

#[test]
fn a_peer_that_never_reads_is_reset_by_the_response_rate() {
    let (log, mut sim, client) = switched();
    sim.stall(client, 1000);
    sim.send(client, b"flood\n");
    sim.advance(71 * SECOND);
    assert!(sim.was_reset(client));
    assert_eq!(calls(&log).last().unwrap(), "gone TooSlow");
}

#[test]
fn input_that_is_never_used_is_bounded() {
    let (log, mut sim, client) = switched();
    for _ in 0..5 {
        sim.send(client, vec![b'x'; 30_000]);
    }
    assert!(sim.was_reset(client));
    assert_eq!(calls(&log).last().unwrap(), "gone Malformed");
}

#[test]
fn a_protocol_sees_the_end_of_the_clients_side_and_may_respond() {
    let (log, mut sim, client) = switched();
    sim.take_received(client);
    sim.send_and_end(client, b"last\nhalf");
    assert_eq!(sim.take_received(client), b"last!\nended\n");
    assert!(!sim.is_open(client));
    assert_eq!(calls(&log), ["begin", "line last", "end"]);
}

/// Go's shutdown forgets upgraded connections (w43).
#[test]
fn a_shutdown_notifies_upgraded_connections_and_waits_for_their_end() {
    let (log, mut sim, client) = switched();
    sim.take_received(client);
    shut_down(&mut sim);
    assert_eq!(sim.take_received(client), b"going\n");
    sim.end(client);
    assert!(!sim.is_running());
    assert_eq!(calls(&log), ["begin", "shutdown"]);
    assert_eq!((sim.report().drained, sim.report().reset), (1, 0));
}

#[test]
fn a_stop_resets_upgraded_connections_and_notifies_their_protocols() {
    let (log, mut sim, client) = switched();
    stop_now(&mut sim);
    assert!(sim.was_reset(client));
    assert_eq!(calls(&log), ["begin", "gone Stopped"]);
}

/// This covers an upgrade and a stream that is handed out (t13).
#[test]
fn the_state_hook_sees_hijacked() {
    let states = Watched::<Vec<_>>::default();
    let hook = states.clone();
    let log = Log::default();
    let mut sim = sim_of(
        Server::new()
            .on_connection_state(move |_, id, state| hook.borrow_mut().push((number(id), state))),
        site(&log),
    );
    let client = sim.connect_and_send(SWITCH);
    sim.send(client, b"bye\n");
    sim.end(client);
    sim.connect_and_send(b"GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n");
    use ConnectionState::{Active, Closed, Hijacked, New};
    let seen: Vec<_> = states.borrow().iter().map(|&(_, state)| state).collect();
    assert_eq!(seen, [New, Active, Hijacked, Closed, New, Active, Hijacked]);
}

/// Unread content belongs to the code that takes the stream (t94).
#[test]
fn a_stream_is_handed_out_after_earlier_responses_with_the_bytes_already_read() {
    let log = Log::default();
    let mut sim = Sim::new(site(&log));
    let head = b"POST /hijack HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    let client = sim.connect_and_send([GET, head, b"content, and more"].concat());
    assert!(sim.received(client).ends_with(b"\r\n\r\nplain"));
    assert_eq!(calls(&log), ["read content, and more"]);
    assert!(!sim.is_open(client));
    let again = sim.connect_and_send(GET);
    assert!(sim.received(again).ends_with(b"plain"), "the slot is free again");
}

/// The end of the peer's side must not lose the bytes before it (t161, t162, t163).
#[test]
fn all_bytes_read_are_handed_out_even_if_the_peer_has_ended_its_side() {
    for len in [3, 8 << 10] {
        let log = Log::default();
        let mut sim = Sim::new(site(&log));
        let client = sim.connect();
        let all = [&b"GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n"[..], &vec![b'f'; len]].concat();
        sim.send_and_end(client, &all);
        assert!(calls(&log) == [format!("read {}", "f".repeat(len))], "{len}");
        assert_eq!(sim.received(client), b"", "the server adds nothing");
    }
}

/// The stream closes with the code that panicked, its last state was `Hijacked`, and the loop
/// continues to serve (t13, t169).
#[test]
fn a_panic_in_the_code_that_takes_a_stream_costs_only_that_stream() {
    let states = Watched::<Vec<_>>::default();
    let hook = states.clone();
    let mut sim = sim_of(
        Server::new()
            .on_connection_state(move |_, id, state| hook.borrow_mut().push((number(id), state))),
        |req: &Request<'_>| -> Reply {
            match req.path() {
                "/hijack" => Reply::hijack(|(), _| panic!("who takes a stream panics")),
                _ => "well".into(),
            }
        },
    );
    let client = sim.connect_and_send(b"GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(sim.received(client), b"");
    use ConnectionState::{Active, Hijacked, New};
    let seen: Vec<_> = states.borrow().iter().map(|&(_, state)| state).collect();
    assert_eq!(seen, [New, Active, Hijacked]);
    assert_eq!(sim.report().totals.panics, 1);
    let other = sim.connect_and_send(GET);
    assert!(sim.received(other).ends_with(b"well"));
}

/// Earlier responses are sent first, however slowly they are read (t160).
#[test]
fn a_stream_is_handed_out_only_after_all_output_has_been_sent() {
    let log = Log::default();
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        match req.path() {
            "/hijack" => {
                let log = Rc::clone(&log);
                Reply::hijack(move |(), _| log.borrow_mut().push("out".to_owned()))
            }
            _ => Response::text("x".repeat(3000)).into(),
        }
    });
    let client = sim.connect();
    sim.stall(client, 1000);
    sim.send(client, [GET, b"GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    assert!(sim.is_open(client));
    for _ in 0..4 {
        sim.read(client, 1000);
        sim.advance(MS);
    }
    assert!(!sim.is_open(client));
}

#[test]
fn an_upgrade_is_not_possible_after_content_or_in_a_deferred_reply() {
    let mut sim = Sim::new(|_: &Request<'_>| {
        later_to(|later| later.respond_with(|()| Reply::<()>::hijack(|(), _| ())))
    });
    let client = sim.connect_and_send(GET);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 500 "));
}

/// Neither side's wish to close the connection affects an upgrade (t165).
#[test]
fn an_upgrade_works_without_keep_alive() {
    let switch = String::from_utf8(SWITCH.to_vec()).unwrap();
    for request in [switch.clone(), switch.replace("keep-alive, Upgrade", "Upgrade, close")] {
        let log = Log::default();
        let mut sim = Sim::new(site(&log));
        set_keep_alive(&mut sim, false);
        let client = sim.connect_and_send(request.as_bytes());
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(text.contains("Connection: Upgrade\r\n") && !text.contains("close"), "{text}");
        sim.send(client, b"on\n");
        sim.advance(SECOND);
        assert_eq!(sim.take_received(client), b"on!\n");
        assert!(sim.is_open(client));
    }
}

/// Keeps all the bytes it receives.
struct Hoard(Vec<u8>);

impl Protocol<()> for Hoard {
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        self.0.extend_from_slice(input);
        if input.ends_with(b"\n") {
            self.0 = Vec::new();
            connection.put(b"dropped\n");
        }
        Ok(input.len())
    }

    fn memory(&self) -> usize {
        self.0.capacity()
    }
}

#[test]
fn memory_of_a_protocol_counts_against_the_budget() {
    let limits = Limits { memory_bytes_max: 1 << 20, ..Limits::default() };
    let hoard = |_: &Request<'_>| Reply::<()>::upgrade("line", Hoard(Vec::new()));
    let mut sim = limited(hoard, limits);
    let (good, bad) = (sim.connect_and_send(SWITCH), sim.connect_and_send(SWITCH));
    let base = sim.memory();
    sim.send(good, vec![b'x'; 100_000]);
    assert!(sim.memory() >= base + 100_000);
    sim.send(good, b"\n");
    assert_eq!(sim.memory(), base);
    for _ in 0..40 {
        sim.send(bad, vec![b'x'; 50_000]);
        assert!(sim.memory() <= 1 << 20);
    }
    assert!(sim.was_reset(bad) && sim.is_open(good));
    assert!(sim.memory() <= base);
}

/// Responds to a line with a longer one.
struct Longer(Rc<RefCell<usize>>);

impl Protocol<()> for Longer {
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> io::Result<usize> {
        *self.0.borrow_mut() += 1;
        assert!(*self.0.borrow() < 10, "the protocol is called for ever");
        let is_put = input.ends_with(b"\n") && connection.put_all(&[input, b"and more\n"].concat());
        Ok(if is_put { input.len() } else { 0 })
    }
}

#[test]
fn a_protocol_whose_output_never_fits_is_not_called_for_ever() {
    let asked = Rc::new(RefCell::new(0));
    let longer = Rc::clone(&asked);
    let (mut sim, client) = switched_to(move || Longer(Rc::clone(&longer)));
    let line = [vec![b'x'; (64 << 10) - 2], vec![b'\n']].concat();
    sim.send(client, &line[..30_000]);
    sim.send(client, &line[30_000..]);
    assert!(*asked.borrow() < 5 && sim.is_open(client));
    sim.advance(62 * SECOND);
    assert!(!sim.is_open(client), "the silence counts, and then the linger");
}

/// Takes whole lines, and holds as many bytes as the test sets.
struct Hog(Rc<RefCell<usize>>);

impl Protocol<()> for Hog {
    fn receive(&mut self, (): &mut (), input: &[u8], _: &mut Connection<'_>) -> io::Result<usize> {
        Ok(if input.ends_with(b"\n") { input.len() } else { 0 })
    }

    fn memory(&self) -> usize {
        *self.0.borrow()
    }
}

/// Go: TestServerConnState (t13).
#[test]
fn after_hijacked_the_state_hook_sees_only_closed_even_if_memory_is_short() {
    let (states, held) = (Watched::<Vec<_>>::default(), Rc::new(RefCell::new(0)));
    let (hook, hog) = (states.clone(), Rc::clone(&held));
    let limits = Limits { memory_bytes_max: 2 << 20, ..Limits::default() };
    let mut sim = sim_of(
        Server::new()
            .limits(limits)
            .on_connection_state(move |_, _, state| hook.borrow_mut().push(state)),
        move |_: &Request<'_>| Reply::<()>::upgrade("line", Hog(Rc::clone(&hog))),
    );
    let client = sim.connect_and_send(SWITCH);
    sim.send(client, b"a line\n");
    assert!(sim.is_open(client));
    *held.borrow_mut() = 2 << 20;
    sim.send(client, b"half");
    assert!(sim.was_reset(client));
    use ConnectionState::{Active, Closed, Hijacked, New};
    assert_eq!(*states.borrow(), [New, Active, Hijacked, Closed]);
}

/// A handler may ignore an upgrade and respond as usual (RFC 9110, section 7.8; t166).
#[test]
fn a_request_whose_upgrade_the_handler_ignores_is_an_ordinary_request() {
    let mut sim = Sim::new(crate::support::site);
    let client = sim.connect_and_send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n",
    );
    let response = sim.take_received(client);
    assert_eq!(statuses(&response), [200]);
    assert!(!has_field(&response, "upgrade") && !has_field(&response, "connection"));
    sim.send(client, GET);
    assert_eq!(statuses(sim.received(client)), [200]);
}

/// After the head of a granted CONNECT a client expects no content (t134).
#[test]
fn a_granted_connect_without_a_tunnel_has_no_content_and_closes() {
    let mut sim = Sim::new(|_: &Request<'_>| "granted");
    let client = sim.connect_and_send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    let response = sim.take_received(client);
    assert_eq!((statuses(&response), content(&response)), (vec![200], &[][..]));
    assert!(!has_field(&response, "content-length") && !has_field(&response, "transfer-encoding"));
    assert!(sim.has_ended(client));
}

/// A refusal of CONNECT is a response like any other (t135).
#[test]
fn the_response_to_a_refused_connect_has_its_length() {
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::text("no").with_status(StatusCode::CONFLICT));
    let client = sim.connect_and_send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    let response = sim.take_received(client);
    assert_eq!((statuses(&response), content(&response)), (vec![409], &b"no"[..]));
    assert!(has_field(&response, "content-length"));
    sim.send(client, GET);
    assert_eq!(statuses(sim.received(client)), [409], "the connection is kept, as no tunnel began");
}
