//! Deferred responses: `Later`, pauses of a receiver, and the deadlines of both.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use crate::support::*;
use crate::support::{limited, shut_down, shut_down_within, sim_of, stop_now};
use wheelhouse::content::{Flow, Lost, Receive};
use wheelhouse::sim::Sim;
use wheelhouse::{
    Body, Failure, Handler, Informational, Later, Limits, Reply, Request, Response, Server,
    StatusCode, Waker,
};

const POST: &[u8] = b"POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

/// A site whose responses the test gives through each `Later`, which the channel hands over.
fn deferred() -> (impl Handler, Receiver<Later>) {
    let (sender, receiver) = mpsc::channel();
    let put_off = move |req: &Request<'_>| -> Reply {
        let sender: Sender<Later> = sender.clone();
        match req.path() {
            "/now" => "now".into(),
            "/collect" => Reply::collect(100, move |(), _, _| {
                later_to(move |later| sender.send(later).unwrap())
            }),
            "/here" => later_to(|later| later.respond("here")),
            "/twice" => later_to(move |later| {
                later.respond_with(move |()| later_to(move |later| sender.send(later).unwrap()));
            }),
            _ => later_to(move |later| sender.send(later).unwrap()),
        }
    };
    (put_off, receiver)
}

fn ends_with<S: 'static>(sim: &mut Sim<S>, client: wheelhouse::sim::Client, end: &str) -> bool {
    sim.received(client).ends_with(end.as_bytes())
}

/// While the timeout of the handler runs, no other deadline of the connection does (t37, t40).
#[test]
fn a_deferred_response_is_sent_and_the_connection_is_kept() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    sim.advance(29 * SECOND);
    assert_eq!(sim.received(client), b"");
    let later = laters.recv().unwrap();
    assert!(!later.is_over() && !later.peer_has_left());
    later.respond("at last");
    turn(&mut sim);
    assert!(ends_with(&mut sim, client, "\r\n\r\nat last"));
    sim.send(client, b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(ends_with(&mut sim, client, "\r\n\r\nnow"));
}

/// The deadline of the content ends with the content and does not limit the work after it (t40).
#[test]
fn a_handler_may_defer_its_response_to_collected_content() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    for cut in [POST.len(), POST.len() - 3] {
        let client = sim.connect_and_send(&POST[..cut]);
        sim.send(client, &POST[cut..]);
        sim.advance(25 * SECOND);
        laters.recv().unwrap().respond("worked");
        turn(&mut sim);
        assert!(ends_with(&mut sim, client, "\r\n\r\nworked"));
        assert!(sim.is_open(client));
    }
}

#[test]
fn a_pipelined_request_waits_for_its_turn() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let both = [GET, b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let client = sim.connect_and_send(&both);
    sim.advance(SECOND);
    assert_eq!(sim.received(client), b"");
    laters.recv().unwrap().respond("first");
    turn(&mut sim);
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    assert!(text.find("first").unwrap() < text.find("now").unwrap(), "{text}");
}

#[test]
fn a_deferred_response_may_come_at_once_or_be_deferred_again() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(ends_with(&mut sim, client, "\r\n\r\nhere"));
    sim.send(client, b"GET /twice HTTP/1.1\r\nHost: a\r\n\r\n");
    laters.recv().unwrap().respond("second");
    turn(&mut sim);
    assert!(ends_with(&mut sim, client, "\r\n\r\nsecond"));
}

/// The worker may be another thread (t128).
#[test]
fn a_worker_may_send_informational_responses() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    let later = laters.recv().unwrap();
    for _ in 0..20 {
        later.inform(Informational::processing());
        turn(&mut sim);
    }
    assert_eq!(sim.take_received(client), b"HTTP/1.1 102 Processing\r\n\r\n".repeat(16));
    later.respond("done");
    turn(&mut sim);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 200 OK\r\n"));
    let old = sim.connect_and_send(b"GET / HTTP/1.0\r\n\r\n");
    laters.recv().unwrap().inform(Informational::processing());
    turn(&mut sim);
    assert!(sim.received(old).starts_with(b"HTTP/1.0 500 "), "nothing before the final response");
}

/// Both the client and the worker are notified (n18, t23, t36, w6).
#[test]
fn no_response_within_the_handler_timeout_is_a_504_and_the_connection_is_kept() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let both = [GET, b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let client = sim.connect_and_send(&both);
    let later = laters.recv().unwrap();
    sim.advance(30 * SECOND - MS);
    assert_eq!(sim.received(client), b"");
    assert!(!later.is_over());
    sim.advance(LATE);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 504 Gateway Timeout\r\n"));
    assert!(ends_with(&mut sim, client, "\r\n\r\nnow"), "the pipelined request after it is served");
    assert!(later.is_over());
    later.respond_with(|()| -> &'static str { panic!("the loop does not wait for this") });
    turn(&mut sim);
    assert!(sim.is_open(client));
}

/// Bytes after a request do not show whether its client is there; the end of its side shows that it
/// may have left (t91, t92, t96, t231).
#[test]
fn a_worker_sees_that_its_peer_has_left_and_may_still_respond() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    let later = laters.recv().unwrap();
    sim.send(client, b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!later.peer_has_left());
    sim.end(client);
    assert!(later.peer_has_left());
    assert!(!later.is_over(), "a half-closed peer reads on");
    later.respond("still here");
    turn(&mut sim);
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    assert!(text.contains("still here") && text.ends_with("now"), "{text}");
}

/// Go: TestCloseNotifier (t91).
#[test]
fn a_worker_also_sees_a_peer_that_left_before_the_response_was_deferred() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.send_and_end(client, GET);
    assert!(laters.recv().unwrap().peer_has_left());
}

/// No response can arrive after a reset, so the connection does not wait for one and gives its slot
/// back. The end of one side is different: see above.
#[test]
fn a_reset_ends_a_connection_that_waits_for_a_worker() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nunread",
    ] {
        for has_ended in [false, true] {
            let (site, laters) = deferred();
            let mut sim = Sim::new(site);
            let client = sim.connect_and_send(request);
            let later = laters.recv().unwrap();
            if has_ended {
                sim.end(client);
                assert!(later.peer_has_left() && !later.is_over());
            }
            sim.reset(client);
            assert!(later.peer_has_left() && later.is_over(), "{request}");
            assert!(!sim.is_open(client), "{request}");
            later.respond_with(|()| -> &'static str { panic!("it is not called") });
        }
    }
}

#[test]
fn a_later_that_is_dropped_is_a_500() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    drop(laters.recv().unwrap());
    turn(&mut sim);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 500 "));
    assert!(sim.is_open(client));
}

/// A handler whose responses have a deadline of their own.
struct Timed<H, F>(std::time::Duration, F, H);

impl<H: Handler, F: Fn() -> Response> Handler for Timed<H, F> {
    fn handle(&mut self, state: &mut (), req: &Request<'_>) -> Reply {
        let Timed(timeout, late, site) = self;
        site.handle(state, req).with_handler_timeout(*timeout).with_timeout_response(late())
    }
}

/// The handler has a deadline of its own (t171).
#[test]
fn a_panic_in_the_response_function_of_a_worker_costs_one_connection() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(Timed(2 * SECOND, || Response::text("too late"), site));
    let (client, other) = (sim.connect_and_send(GET), sim.connect_and_send(GET));
    laters
        .recv()
        .unwrap()
        .respond_with(|()| -> &'static str { panic!("a worker's response panics") });
    turn(&mut sim);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 500 "));
    laters.recv().unwrap().respond("well");
    turn(&mut sim);
    assert!(ends_with(&mut sim, other, "well"));
}

/// A worker that still holds a `Later` sees that it is over. A response consumes its `Later`, so
/// none can be held after it (t95).
#[test]
fn a_later_is_over_when_its_connection_or_its_server_ends() {
    for is_stopped in [false, true] {
        let (site, laters) = deferred();
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(GET);
        let later = laters.recv().unwrap();
        if is_stopped {
            stop_now(&mut sim);
        } else {
            shut_down_within(&mut sim, SECOND);
            assert!(!later.is_over(), "the shutdown waits for it");
            sim.advance(2 * SECOND);
        }
        assert!(later.is_over() && sim.was_reset(client) && !sim.is_running());
        // The server has stopped, so this response must have no effect.
        later.respond("too late");
    }
}

#[test]
fn a_later_is_over_when_its_server_is_dropped() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    sim.connect_and_send(GET);
    let later = laters.recv().unwrap();
    drop(sim);
    assert!(later.is_over());
}

#[test]
fn a_shutdown_waits_for_deferred_responses() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    shut_down(&mut sim);
    sim.advance(5 * SECOND);
    assert!(sim.is_running());
    laters.recv().unwrap().respond("in time");
    turn(&mut sim);
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    assert!(text.contains("Connection: close\r\n") && text.ends_with("in time"), "{text}");
    assert!(!sim.is_running());
}

#[test]
fn a_deferred_reply_cannot_receive_content() {
    let ask = |_: &Request<'_>| {
        later_to(|later| later.respond_with(|()| Reply::<()>::collect(1, |_, _, _| "never")))
    };
    let mut sim = Sim::new(ask);
    let client = sim.connect_and_send(GET);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 500 "));
}

/// A response in time is sent, empty or not; one that is too late is replaced (t228, t232, w44).
#[test]
fn a_handler_deadline_replaces_a_response_that_comes_too_late() {
    let (site, laters) = deferred();
    let late = || Response::error(StatusCode::SERVICE_UNAVAILABLE, "later, please");
    let mut sim = Sim::new(Timed(2 * SECOND, late, site));
    let client = sim.connect_and_send(GET);
    sim.advance(SECOND);
    laters.recv().unwrap().respond_with(|()| Response::new(StatusCode::OK));
    turn(&mut sim);
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("Content-Length: 0\r\n\r\n"));
    sim.send(client, GET);
    let later = laters.recv().unwrap();
    sim.advance(3 * SECOND);
    assert!(later.is_over());
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 ") && text.ends_with("later, please\n"), "{text}");
}

/// The time does not run while content arrives (t230).
#[test]
fn a_handler_deadline_counts_from_the_moment_at_which_the_response_is_deferred() {
    let (site, laters) = deferred();
    let late = || Response::new(StatusCode::SERVICE_UNAVAILABLE);
    let mut sim = Sim::new(Timed(2 * SECOND, late, site));
    let client = sim.connect_and_send(&POST[..POST.len() - 1]);
    sim.advance(10 * SECOND);
    sim.send(client, &POST[POST.len() - 1..]);
    sim.advance(SECOND);
    laters.recv().unwrap().respond("in time");
    turn(&mut sim);
    assert!(ends_with(&mut sim, client, "in time"));
}

/// A response that has begun is neither buffered nor cut off (w44).
#[test]
fn a_handler_deadline_does_not_buffer_the_response() {
    let (give, senders) = mpsc::channel();
    let site = move |_: &Request<'_>| {
        let (sender, body) = wheelhouse::Body::channel(1000);
        give.send(sender).unwrap();
        Response::ok("text/plain", body)
    };
    let mut sim = Sim::new(Timed(SECOND, || Response::text("too late"), site));
    let client = sim.connect_and_send(GET);
    let sender = senders.recv().unwrap();
    for piece in ["one", "two"] {
        sender.send(piece).unwrap();
        sim.advance(5 * SECOND);
        assert!(ends_with(&mut sim, client, &format!("3\r\n{piece}\r\n")));
    }
    sender.finish();
    turn(&mut sim);
    assert!(ends_with(&mut sim, client, "\r\n0\r\n\r\n"));
}

/// Defers its response: after five bytes, or else at the end.
struct PutsOff;

impl Receive<()> for PutsOff {
    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow<()>, Failure> {
        match piece.len() {
            5 => Ok(Flow::Respond(never())),
            _ => Ok(Flow::Continue),
        }
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply<()> {
        never()
    }
}

#[test]
fn a_handler_deadline_also_limits_a_response_that_a_receiver_defers() {
    let late = || Response::error(StatusCode::SERVICE_UNAVAILABLE, "later, please");
    for length in [4, 5, 6] {
        let site = |_: &Request<'_>| Reply::<()>::receive(u64::MAX, PutsOff);
        let mut sim = Sim::new(Timed(2 * SECOND, late, site));
        let client = sim.connect_and_send(post("/", length, &b"123456"[..length]));
        sim.advance(2 * SECOND - MS);
        assert_eq!(sim.received(client), b"");
        sim.advance(LATE);
        assert!(ends_with(&mut sim, client, "later, please\n"), "{length}");
    }
}

/// The response and the deadline race, and only one of them writes (t229).
#[test]
fn a_response_at_the_very_deadline_is_sent_or_replaced_but_never_both() {
    for early in 0..130 {
        let (site, laters) = deferred();
        let limits = Limits { handler_timeout: SECOND, ..Limits::default() };
        let mut sim = limited(site, limits);
        let client = sim.connect_and_send(GET_CLOSE);
        sim.advance(SECOND + 65 * MS - early * MS);
        laters.recv().unwrap().respond("won");
        sim.advance(SECOND);
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{early}: {text}");
    }
}

/// The state of a receiver that the test can see.
#[derive(Default)]
struct Seen {
    bytes: usize,
    waker: Option<Waker>,
    resumed: usize,
    gone: Option<Lost>,
}

/// Pauses after each piece.
struct Halting(Arc<Mutex<Seen>>);

impl<S: 'static> Receive<S> for Halting {
    fn start(&mut self, _: &mut S, waker: Waker) -> Result<(), Failure> {
        self.0.lock().unwrap().waker = Some(waker);
        Ok(())
    }

    fn piece(&mut self, _: &mut S, piece: &[u8]) -> Result<Flow<S>, Failure> {
        self.0.lock().unwrap().bytes += piece.len();
        Ok(Flow::Pause)
    }

    fn wake(&mut self, _: &mut S) -> Result<Flow<S>, Failure> {
        self.0.lock().unwrap().resumed += 1;
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, _: &mut S) -> Reply<S> {
        format!("{} bytes\n", self.0.lock().unwrap().bytes).into()
    }

    fn lost(self: Box<Self>, _: &mut S, why: Lost) {
        self.0.lock().unwrap().gone = Some(why);
    }
}

fn halting() -> (impl Handler, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let to_handler = Arc::clone(&seen);
    let handler = move |_: &Request<'_>| -> Reply {
        Reply::receive(u64::MAX, Halting(Arc::clone(&to_handler)))
    };
    (handler, seen)
}

fn wake(seen: &Mutex<Seen>) {
    let waker = seen.lock().unwrap().waker.clone();
    waker.unwrap().wake();
}

#[test]
fn the_server_does_not_read_while_a_receiver_pauses() {
    let (handler, seen) = halting();
    let mut sim = Sim::new(handler);
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
    let client = sim.connect_and_send(head);
    let mut sent = 0;
    while sent < 300_000 {
        sim.send(client, vec![b'x'; 50_000]);
        sent += 50_000;
    }
    let taken = seen.lock().unwrap().bytes;
    assert!(taken <= 64 << 10, "{taken}");
    assert!(sim.unread(client) >= 300_000 - (64 << 10) - taken);
    let memory = sim.memory();
    let mut turns = 0;
    while sim.received(client).is_empty() {
        sim.advance(5 * SECOND);
        wake(&seen);
        turn(&mut sim);
        turns += 1;
        assert!(turns < 100 && sim.memory() <= memory + (64 << 10));
    }
    assert!(ends_with(&mut sim, client, "300000 bytes\n"));
    assert!(seen.lock().unwrap().resumed >= 4);
}

#[test]
fn a_pause_at_the_end_of_content_defers_the_response() {
    let (handler, seen) = halting();
    let mut sim = Sim::new(handler);
    for post in [
        POST,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        seen.lock().unwrap().bytes = 0;
        let client = sim.connect_and_send(post);
        sim.advance(SECOND);
        assert_eq!(sim.received(client), b"");
        wake(&seen);
        turn(&mut sim);
        assert!(ends_with(&mut sim, client, "\r\n\r\n5 bytes\n"));
    }
}

#[test]
fn a_pause_longer_than_the_handler_timeout_is_a_504() {
    let (handler, seen) = halting();
    let mut sim = Sim::new(handler);
    let client = sim.connect_and_send(POST);
    sim.advance(30 * SECOND - MS);
    assert_eq!(sim.received(client), b"");
    sim.advance(LATE);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 504 "));
    assert_eq!(seen.lock().unwrap().gone, Some(Lost::Expired));
}

#[test]
fn a_stale_waker_does_not_affect_another_connection() {
    let (handler, seen) = halting();
    let mut sim = sim_of(Server::new(), handler);
    let first = sim.connect_and_send(POST);
    let waker = seen.lock().unwrap().waker.clone().unwrap();
    sim.reset(first);
    sim.advance(40 * SECOND);
    let second = sim.connect_and_send(POST);
    let resumed = seen.lock().unwrap().resumed;
    waker.wake();
    turn(&mut sim);
    assert_eq!(seen.lock().unwrap().resumed, resumed);
    assert_eq!(sim.received(second), b"");
}

/// The content after the head is sent when the visit that produced it has nearly ended.
#[test]
fn after_a_deferred_response_with_much_content_the_usual_rules_of_the_connection_hold() {
    for is_closed in [false, true] {
        let (site, laters) = deferred();
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(if is_closed { GET_CLOSE } else { GET });
        laters.recv().unwrap().respond_with(move |()| match is_closed {
            true => Response::ok("x/y", Body::produce(Lines(100_000))),
            false => Response::ok("x/y", vec![b'.'; 10_000]),
        });
        turn(&mut sim);
        assert_eq!(sim.has_ended(client), is_closed);
        sim.advance(99 * SECOND);
        assert_eq!(sim.is_open(client), !is_closed);
        sim.advance(2 * SECOND);
        assert!(!sim.is_open(client), "the usual deadlines hold");
    }
}

#[test]
fn each_pause_has_its_own_time() {
    let (site, seen) = halting();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(post("/", 400_000, &[b'x'; 400_000]));
    for _ in 0..7 {
        sim.advance(20 * SECOND);
        wake(&seen);
    }
    turn(&mut sim);
    assert!(ends_with(&mut sim, client, "400000 bytes\n"), "{}", seen.lock().unwrap().bytes);
}

#[test]
fn a_response_that_is_deferred_again_has_a_new_timeout() {
    let (site, laters) = deferred();
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    sim.advance(25 * SECOND);
    let (sender, again) = mpsc::channel();
    laters.recv().unwrap().respond_with(move |()| {
        later_to(move |later| sender.send(later).unwrap()).with_handler_timeout(100 * SECOND)
    });
    sim.advance(99 * SECOND);
    assert_eq!(sim.received(client), b"");
    again.recv().unwrap().respond("at last");
    turn(&mut sim);
    assert!(ends_with(&mut sim, client, "at last"));
}

/// A request on another connection gives the response in the turn in which the deadline passes.
#[test]
fn a_response_that_is_deferred_again_at_the_very_deadline_is_not_late() {
    let deferred = Arc::new(Mutex::new(Vec::new()));
    let (sender, again) = mpsc::channel();
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        if req.path() != "/respond" {
            let deferred = Arc::clone(&deferred);
            return later_to(move |later: Later| deferred.lock().unwrap().push(later));
        }
        let later = deferred.lock().unwrap().pop().unwrap();
        let sender = sender.clone();
        later.respond_with(move |()| later_to(move |later| sender.send(later).unwrap()));
        "responded".into()
    });
    let client = sim.connect_and_send(GET);
    let other = sim.connect();
    sim.pause();
    sim.send(other, b"GET /respond HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.advance(31 * SECOND);
    sim.resume();
    assert!(ends_with(&mut sim, other, "responded"));
    assert_eq!(sim.received(client), b"");
    again.recv().unwrap().respond("at last");
    turn(&mut sim);
    assert!(ends_with(&mut sim, client, "at last"));
}
