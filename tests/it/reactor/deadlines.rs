//! Every deadline of a connection, measured to the millisecond on the virtual clock: never early,
//! late by less than a tick and a millisecond, and never extended by single bytes.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::support::limited;
use crate::support::*;
use wheelhouse::content::Lost;
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Body, Limits, Reply, Request, Response};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Starting points within a tick of 64 ms: rounding must not make a deadline early from any.
const PHASES: [u64; 5] = [0, 1, 13, 62, 63];

/// The client sees the end of the stream, and no handler runs (t28, t29).
#[test]
fn a_new_connection_that_stays_silent_is_closed_without_a_byte_after_ten_seconds() {
    for phase in PHASES {
        let mut sim = Sim::new(site);
        sim.advance(Duration::from_millis(phase));
        let base = base(&mut sim);
        let client = sim.connect();
        happens_after(&mut sim, secs(10), |sim| !sim.is_open(client));
        assert!(closed_silently(&mut sim, client));
        assert!(!sim.was_reset(client));
        assert_eq!(sim.report().totals.requests, 0);
        assert_eq!(sim.memory(), base);
    }
}

/// An empty line is not the beginning of a request (n1).
#[test]
fn an_empty_line_before_the_request_gets_neither_a_response_nor_more_time() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.send(client, b"\r\n");
    happens_after(&mut sim, secs(10), |sim| !sim.is_open(client));
    assert!(closed_silently(&mut sim, client));
}

/// A head may be cut anywhere (t29, n2).
#[test]
fn a_partial_head_gets_a_408_ten_seconds_after_the_accept() {
    for phase in PHASES {
        let mut sim = Sim::new(site);
        sim.advance(Duration::from_millis(phase));
        let base = base(&mut sim);
        let client = sim.connect();
        sim.advance(secs(4));
        sim.send(client, b"G");
        sim.advance(secs(3));
        sim.send(client, b"ET / HTTP/1.1\r\nHost: a");
        happens_after(&mut sim, secs(3), |sim| statuses(sim.received(client)) == [408]);
        assert!(sim.has_ended(client));
        sim.end(client);
        assert!(!sim.is_open(client) && !sim.was_reset(client));
        assert_eq!(sim.memory(), base);
    }
}

/// The cuts are in the request line, in a field line, between two lines and in the empty line (n2).
#[test]
fn wherever_a_head_is_cut_its_client_gets_a_408() {
    for cut in 1..GET.len() {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(&GET[..cut]);
        happens_after(&mut sim, secs(10), |sim| statuses(sim.received(client)) == [408]);
    }
}

/// The preface of HTTP/2 has no more time than any other head (t29).
#[test]
fn an_http_2_preface_that_arrives_byte_by_byte_gets_a_408_ten_seconds_after_the_accept() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    for drip in [b"PRI", b" * ", b"HTT"] {
        sim.advance(secs(3));
        sim.send(client, drip);
    }
    happens_after(&mut sim, SECOND, |sim| statuses(sim.received(client)) == [408]);
    assert!(sim.has_ended(client));
}

/// Go: TestServerUnencryptedHTTP2HeaderTimeout (t29).
#[test]
fn dripping_never_prolongs_a_head() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX: ".iter().chain([b'y'; 99].iter()).take(99) {
        sim.send(client, [*byte]);
        sim.advance(Duration::from_millis(100));
        assert!(sim.received(client).is_empty());
    }
    sim.advance(Duration::from_millis(100) + LATE);
    assert_eq!(statuses(sim.received(client)), [408]);
}

/// On a kept connection the time of a head counts from its first byte, not from the previous
/// response (n1, t39, t41).
#[test]
fn on_a_kept_connection_the_head_has_ten_seconds_from_its_first_byte() {
    for phase in PHASES {
        for begun in ["G", "GE", "GET", "GET / HTTP/1.1\r\nHo"] {
            let mut sim = Sim::new(site);
            let client = sim.connect_and_send(GET);
            sim.advance(secs(40) + Duration::from_millis(phase));
            sim.take_received(client);
            sim.send(client, begun.as_bytes());
            happens_after(&mut sim, secs(10), |sim| statuses(sim.received(client)) == [408]);
        }
    }
}

/// The deadlines are armed anew for each request (t28, t35, t41).
#[test]
fn requests_far_apart_on_one_connection_all_get_a_response() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    for n in 1..=5 {
        sim.advance(secs(if n == 1 { 9 } else { 55 }));
        sim.send(client, GET);
        assert_eq!(statuses(sim.received(client)).len(), n);
    }
    assert!(sim.is_open(client));
}

#[test]
fn a_pipelined_head_that_is_cut_has_its_own_ten_seconds() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.send(client, &GET[..10]);
    sim.advance(secs(9));
    sim.send(client, [&GET[10..], b"GET /"].concat());
    assert_eq!(statuses(sim.received(client)), [200]);
    happens_after(&mut sim, secs(10), |sim| statuses(sim.received(client)) == [200, 408]);
}

/// Go: TestServerIdleTimeout (t39).
#[test]
fn an_idle_connection_is_closed_without_a_byte_after_a_hundred_seconds() {
    for phase in PHASES {
        let mut sim = Sim::new(site);
        sim.advance(Duration::from_millis(phase));
        let client = sim.connect_and_send(GET);
        sim.take_received(client);
        happens_after(&mut sim, secs(100), |sim| !sim.is_open(client));
        assert!(closed_silently(&mut sim, client) && !sim.was_reset(client));
    }
}

/// Between half and nine tenths of the connections the idle time falls linearly from 100 s to 5 s. A
/// client that asks to keep its connection is told the time as it stands.
#[test]
fn the_idle_time_shrinks_as_the_server_fills() {
    for (open, seconds) in
        [(49, 100.0_f64), (50, 100.0), (70, 52.5), (80, 28.75), (90, 5.0), (99, 5.0)]
    {
        let limits = Limits { connections_max: 100, ..Limits::default() };
        let mut sim = limited(site, limits);
        // The others read slowly and are busy all the time.
        for _ in 1..open {
            let client = sim.connect();
            sim.stall(client, 1 << 10);
            sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        let client = sim.connect();
        sim.advance(SECOND);
        sim.send(client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let told = format!("keep-alive: timeout={}\r\n", seconds.floor());
        assert!(has_line(sim.received(client), &told), "{open}");
        let idle = Duration::from_secs_f64(seconds);
        happens_after(&mut sim, idle, |sim| !sim.is_open(client));
    }
}

/// A client that is told 0 would not keep its connection at all.
#[test]
fn an_idle_time_below_a_second_is_not_told() {
    for (millis, told) in [(999, None), (1_000, Some("1")), (1_999, Some("1")), (2_000, Some("2"))]
    {
        let idle_timeout = Duration::from_millis(millis);
        let limits = Limits { idle_timeout, idle_timeout_min: idle_timeout, ..Limits::default() };
        let mut sim = limited(site, limits);
        for version in ["1.0", "1.1"] {
            let request =
                format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
            let client = sim.connect_and_send(request);
            assert!(has_line(sim.received(client), "connection: keep-alive\r\n"));
            let line = told.map(|told| format!("keep-alive: timeout={told}\r\n"));
            match line {
                Some(line) => assert!(has_line(sim.received(client), &line), "{millis} ms"),
                None => assert!(!has_field(sim.received(client), "keep-alive"), "{millis} ms"),
            }
        }
    }
}

/// The receiver is notified that the rest of its content is lost (t31).
#[test]
fn a_receiver_is_notified_that_its_content_came_too_slowly() {
    let why = Rc::new(Cell::new(None));
    let noted = Rc::clone(&why);
    let mut sim =
        Sim::new(move |_: &Request<'_>| Reply::<()>::receive(u64::MAX, Noted(Rc::clone(&noted))));
    let client = sim.connect_and_send(post("/", 900, b"some"));
    happens_after(&mut sim, secs(15), |sim| statuses(sim.received(client)) == [408]);
    assert_eq!(why.take(), Some(Lost::TooSlow));
}

/// The response still reaches the client (t31).
#[test]
fn content_that_stops_coming_is_408_after_the_first_window_of_fifteen_seconds() {
    for phase in PHASES {
        for path in ["/collect", "/receive"] {
            let mut sim = Sim::new(site);
            sim.advance(Duration::from_millis(phase));
            let base = base(&mut sim);
            let client = sim.connect();
            sim.send(client, post(path, 900, b"some"));
            happens_after(&mut sim, secs(15), |sim| statuses(sim.received(client)) == [408]);
            sim.end(client);
            assert!(!sim.is_open(client));
            assert_eq!(sim.memory(), base, "{path}");
        }
    }
}

/// A window limits how long the client may send nothing, up to a year (t32).
#[test]
fn content_that_comes_an_hour_late_is_read_if_the_window_is_longer() {
    let limits = Limits { content_window: 2 * HOUR, content_rate_min: 0, ..Limits::default() };
    for (path, expected) in [("/receive", "4\n"), ("/echo", "late")] {
        let mut sim = limited(site, limits.clone());
        let client = sim.connect_and_send(post(path, 4, b"la"));
        sim.advance(HOUR);
        sim.send(client, b"te");
        assert_eq!(content(sim.received(client)), expected.as_bytes());
        assert!(sim.is_open(client));
    }
}

/// Go: TestServerNoReadTimeout (t32).
#[test]
fn content_below_a_kibibyte_a_second_is_408_and_above_it_lives_for_an_hour() {
    for (per_second, lives) in [(1000usize, false), (1030, true)] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(post("/receive", 1030 * 3600, b""));
        let piece = vec![b'x'; per_second];
        let mut second = 0;
        while second < 3600 && sim.received(client).is_empty() {
            sim.send(client, &piece);
            sim.advance(SECOND);
            second += 1;
        }
        if lives {
            assert_eq!((statuses(sim.received(client)), second), (vec![200], 3600));
            assert_eq!(content(sim.received(client)), b"3708000\n");
        } else {
            // 10 KiB in 15 s are enough for the first window, but not for the second.
            assert_eq!((statuses(sim.received(client)), second), (vec![408], 26));
        }
    }
}

/// Each window requires exactly as many bytes as follow from the rate and the length of the window.
#[test]
fn content_at_exactly_the_least_rate_is_read_and_one_byte_less_gets_a_408() {
    for (bytes, lives) in [(10 << 10, true), ((10 << 10) - 1, false)] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(post("/receive", 1 << 20, b""));
        // The first window is longer by half.
        for window in [15, 10, 10] {
            assert!(sim.received(client).is_empty(), "{bytes}");
            sim.advance(secs(window - 1));
            sim.send(client, vec![b'x'; bytes]);
            sim.advance(SECOND + LATE);
            if !lives {
                assert_eq!(statuses(sim.received(client)), [408]);
                break;
            }
        }
        assert_eq!(sim.received(client).is_empty(), lives);
    }
}

#[test]
fn a_reader_at_exactly_the_least_rate_is_served_and_one_byte_less_is_reset() {
    for (bytes, lives) in [(10 << 10, true), ((10 << 10) - 1, false)] {
        let window = Limits { response_window: secs(10), ..Limits::default() };
        let mut sim = limited(site, window);
        let client = sim.connect();
        // The socket buffer takes as many bytes as the client reads in a window.
        sim.stall(client, bytes);
        sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
        for _ in 0..3 {
            sim.advance(secs(9));
            sim.read(client, bytes);
            sim.advance(SECOND + LATE);
        }
        assert_eq!(sim.is_open(client), lives, "{bytes}");
    }
}

/// Bytes that are sent back must not count as received bytes.
#[test]
fn echoed_bytes_do_not_count_towards_the_content_rate() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(post("/echo", 1 << 20, b""));
    for _ in 0..30 {
        sim.send(client, vec![b'x'; 600]);
        sim.advance(SECOND);
    }
    assert!(
        sim.was_reset(client),
        "the response has begun: only a reset can show that it is cut off"
    );
}

/// Content that no handler reads does not hold the connection longer than other content (t27).
#[test]
fn unread_content_that_never_arrives_ends_the_connection_after_the_response() {
    let mut sim = Sim::new(site);
    let base = base(&mut sim);
    let client = sim.connect();
    sim.send(client, post("/noread", 300, b"abc"));
    assert_eq!(statuses(sim.received(client)), [200]);
    happens_after(&mut sim, secs(15), |sim| !sim.is_open(client));
    assert_eq!(statuses(sim.received(client)), [200]);
    assert_eq!(sim.memory(), base);
}

/// The content may be complete or produced without an end (t33).
#[test]
fn a_peer_that_does_not_read_is_reset_after_a_minute() {
    let handler = |req: &Request<'_>| match req.path() {
        "/endless" => Response::ok("text/plain", Body::from_reader(io::repeat(b'.'))),
        _ => Response::ok("text/plain", &BIG[..]),
    };
    for phase in PHASES {
        for path in ["/endless", "/big"] {
            let mut sim = Sim::new(handler);
            sim.advance(Duration::from_millis(phase));
            let base = base(&mut sim);
            let client = sim.connect();
            sim.stall(client, 64 << 10);
            sim.send(client, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
            sim.advance(secs(60) - MS);
            assert!(sim.is_open(client), "{path}");
            // Each of the six parts of the window ends at a tick.
            sim.advance(MS + 6 * LATE);
            assert!(sim.was_reset(client), "{path}");
            assert_eq!(sim.memory(), base);
        }
    }
}

/// The client reads a mebibyte of the response in ten minutes (t34).
#[test]
fn an_endless_response_is_sent_for_as_long_as_it_is_read() {
    let mut sim =
        Sim::new(|_: &Request<'_>| Response::ok("text/plain", Body::from_reader(io::repeat(b'.'))));
    let client = sim.connect();
    sim.stall(client, 64 << 10);
    sim.send(client, GET);
    for _ in 0..600 {
        sim.advance(SECOND);
        sim.read(client, 1800);
        assert!(sim.is_open(client));
    }
    assert!(sim.received(client).len() > 1 << 20);
}

/// The kernel reports room only when a third of the socket buffer is free. A slow but steady reader
/// of a large buffer must not be mistaken for one that does not read.
#[test]
fn a_reader_above_the_rate_survives_with_any_socket_buffer() {
    for window in [4 << 10, 64 << 10, 256 << 10, 4 << 20] {
        let mut sim = Sim::new(site);
        let client = sim.connect();
        sim.stall(client, window);
        sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
        for second in 0..600 {
            sim.read(client, 1200);
            sim.advance(SECOND);
            assert!(sim.is_open(client), "{window}: {second}");
        }
    }
}

#[test]
fn a_reader_below_the_rate_is_reset_with_any_socket_buffer() {
    for window in [4 << 10, 64 << 10, 256 << 10, 4 << 20] {
        let mut sim = Sim::new(site);
        let client = sim.connect();
        sim.stall(client, window);
        sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut seconds = 0;
        while sim.is_open(client) && seconds < 600 {
            sim.read(client, 800);
            sim.advance(SECOND);
            seconds += 1;
        }
        assert!(sim.was_reset(client), "{window}");
        // After 230 s it has read 50 s too little, and its socket holds some more.
        assert!((230..=240 + window as u64 / 800).contains(&seconds), "{window}: {seconds}");
    }
}

/// The player of a video, or a reader whose disk is slow.
#[test]
fn a_reader_that_pauses_for_less_than_a_minute_and_reads_on_gets_the_whole_response() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.stall(client, 64 << 10);
    sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    while sim.received(client).len() < BIG.len() {
        for _ in 0..32 {
            sim.read(client, 32 << 10);
        }
        sim.advance(50 * SECOND);
        assert!(sim.is_open(client), "{}", sim.received(client).len());
    }
}

/// The window is judged in equal parts, also if it is not a multiple of the longest part.
#[test]
fn a_reader_may_pause_for_the_whole_window_whatever_its_length() {
    for millis in [1, 999, 5_000, 10_001, 15_000, 25_000, 61_000] {
        let window = Duration::from_millis(millis);
        let mut sim = limited(site, Limits { response_window: window, ..Limits::default() });
        let client = sim.connect();
        sim.stall(client, 64 << 10);
        sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
        sim.advance(window - MS);
        assert!(sim.is_open(client), "{window:?}");
        sim.advance(MS + 7 * LATE);
        assert!(sim.was_reset(client), "{window:?}");
    }
}

/// It may make up for a pause only by what it has not read.
#[test]
fn a_reader_that_reads_much_and_then_nothing_is_reset_after_a_minute() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.stall(client, 64 << 10);
    sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    (0..32).for_each(|_| sim.read(client, 32 << 10));
    sim.advance(59 * SECOND);
    assert!(sim.is_open(client));
    sim.advance(12 * SECOND);
    assert!(sim.was_reset(client));
}

#[test]
fn a_reader_below_the_rate_is_reset_while_content_is_produced() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.stall(client, 4 << 10);
    sim.send(client, b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..150 {
        sim.read(client, 500);
        sim.advance(SECOND);
    }
    assert!(sim.was_reset(client));
}

/// Sends a request that is refused, so that its connection lingers.
fn lingering<S: 'static>(sim: &mut Sim<S>) -> Client {
    let client = sim.connect_and_send(b"BAD\r\n\r\n");
    assert_eq!(statuses(sim.received(client)), [400]);
    assert!(sim.has_ended(client) && sim.is_open(client));
    client
}

/// After a refusal or with unread content the server ends its side and reads on, so that no reset
/// destroys the response (t48, t150, w15).
#[test]
fn the_connection_lingers_after_every_last_response() {
    let close = "Connection: close\r\nContent-Length: 100000\r\n\r\n";
    for (request, status) in [
        ("BAD\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000)), 414),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: pony\r\n\r\n".to_owned(), 417),
        (format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(17_000)), 431),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n".to_owned(), 501),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), 505),
        (format!("POST /noread HTTP/1.1\r\nHost: a\r\n{close}"), 200),
    ] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(request.as_bytes());
        assert_eq!(statuses(sim.received(client)), [status]);
        assert!(sim.has_ended(client) && sim.is_open(client), "{status}");
        sim.send(client, vec![b'x'; 100_000]);
        assert!(sim.is_open(client) && sim.unread(client) == 0, "{status}");
        sim.end(client);
        assert!(!sim.is_open(client) && !sim.was_reset(client), "{status}");
    }
}

/// Go: TestCloseWrite (t150).
#[test]
fn a_silent_peer_that_never_closes_lingers_for_a_second() {
    for phase in PHASES {
        let mut sim = Sim::new(site);
        sim.advance(Duration::from_millis(phase));
        let client = lingering(&mut sim);
        happens_after(&mut sim, SECOND, |sim| !sim.is_open(client));
        assert!(!sim.was_reset(client));
    }
}

/// Go: linger: writes at 150 and 750 ms (n14).
#[test]
fn a_peer_that_keeps_sending_single_bytes_lingers_for_five_seconds() {
    for phase in PHASES {
        let mut sim = Sim::new(site);
        sim.advance(Duration::from_millis(phase));
        let client = lingering(&mut sim);
        for _ in 0..9 {
            sim.advance(Duration::from_millis(500));
            sim.send(client, b"x");
        }
        happens_after(&mut sim, Duration::from_millis(500), |sim| !sim.is_open(client));
    }
}

/// A client that writes its whole request before it reads gets the response only if all of the
/// request is read. Bytes of later turns do not extend the time.
#[test]
fn a_peer_that_floods_lingers_for_five_seconds() {
    const FLOOD: usize = 20 << 20;
    let mut sim = Sim::new(site);
    let base = base(&mut sim);
    let client = lingering(&mut sim);
    for _ in 0..4 {
        sim.send(client, vec![b'x'; FLOOD]);
        assert!(sim.is_open(client) && sim.unread(client) == 0);
        assert_eq!(sim.memory(), base, "dropped bytes take no memory");
        sim.advance(Duration::from_millis(900));
    }
    sim.pause();
    sim.send(client, vec![b'x'; FLOOD]);
    sim.advance(2 * SECOND);
    sim.resume();
    assert!(!sim.is_open(client));
    assert!(sim.unread(client) > FLOOD / 2, "the time is over: {} unread", sim.unread(client));
}

#[test]
fn a_linger_may_have_a_limit_of_bytes() {
    let limits = Limits { linger_bytes_max: 256 << 10, ..Limits::default() };
    let mut sim = limited(site, limits);
    let client = lingering(&mut sim);
    sim.send(client, vec![b'x'; 256 << 10]);
    assert!(sim.is_open(client) && sim.unread(client) == 0);
    sim.send(client, b"x");
    assert!(!sim.is_open(client));
}

#[test]
fn the_end_of_the_peer_ends_the_linger_at_once() {
    let mut sim = Sim::new(site);
    let client = lingering(&mut sim);
    sim.end(client);
    assert!(!sim.is_open(client) && !sim.was_reset(client));
}

/// When the last response began, no bytes of the client were waiting; when it has been sent, some
/// are. Closing at once would make the kernel reset the connection, which destroys the response.
#[test]
fn bytes_that_arrive_while_the_last_response_is_sent_make_the_connection_linger() {
    let mut sim = Sim::new(site);
    let client = sim.connect();
    sim.stall(client, 64 << 10);
    sim.send(client, b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    sim.send(client, b"more than was asked for");
    for _ in 0..1000 {
        sim.read(client, 64 << 10);
    }
    assert!(sim.received(client).len() > BIG.len() && sim.has_ended(client));
    assert!(sim.is_open(client), "the connection lingers");
    sim.advance(SECOND + LATE);
    assert!(!sim.is_open(client) && !sim.was_reset(client));
}

fn aged(seconds: u64) -> Limits {
    Limits { connection_age_max: Some(Duration::from_secs(seconds)), ..Limits::sidecar() }
}

/// The age is checked sixteen times in a lifetime, so a connection exceeds it by at most a
/// sixteenth (w9).
#[test]
fn a_connection_that_is_too_old_is_closed_when_it_is_idle() {
    let mut sim = limited(site, aged(64));
    let client = sim.connect_and_send(GET);
    sim.take_received(client);
    sim.advance(Duration::from_secs(64));
    assert!(sim.is_open(client));
    let younger = sim.connect_and_send(GET);
    sim.advance(Duration::from_secs(4) + LATE);
    assert!(closed_silently(&mut sim, client) && !sim.was_reset(client));
    assert!(sim.is_open(younger));
}

/// Mended: no cap on requests or age of a connection (w9).
#[test]
fn a_busy_connection_that_is_too_old_is_closed_after_its_next_response() {
    let count = |req: &Request<'_>| match req.method().as_str() {
        "POST" => Reply::collect(9, |(), req, _| req.id().index().to_string()),
        _ => req.id().index().to_string().into(),
    };
    let mut sim = limited(count, aged(8));
    let client = sim.connect_and_send(GET);
    sim.take_received(client);
    sim.send(client, post("/", 2, b"h"));
    sim.advance(Duration::from_secs(9));
    assert!(sim.is_open(client));
    sim.send(client, b"i");
    let says_close =
        |response: &[u8]| String::from_utf8_lossy(response).contains("Connection: close");
    let response = sim.take_received(client);
    assert!(says_close(&response));
    assert_eq!(content(&response), b"1", "its requests are counted as before");
    let young = sim.connect();
    sim.advance(SECOND);
    sim.send(young, GET);
    assert!(!says_close(sim.received(young)));
}

#[test]
fn an_empty_server_does_not_wake_to_look_for_old_connections() {
    let mut sim = limited(site, aged(64));
    let client = sim.connect_and_send(GET);
    sim.end(client);
    sim.advance(HOUR);
    let polls = sim.polls();
    sim.advance(24 * HOUR);
    assert_eq!(sim.polls(), polls + 1, "only the poll that sleeps");
}

/// Whether a handler reads the content or not, bytes after its deadline are not a request (t42).
#[test]
fn bytes_after_late_content_are_never_a_request() {
    for path in ["/collect", "/receive", "/noread", "/echo"] {
        let mut sim = Sim::new(site);
        let client = sim.connect_and_send(post(path, 10_000, b"hello world"));
        sim.advance(Duration::from_secs(16));
        sim.send(client, b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n");
        sim.advance(Duration::from_secs(16));
        assert!(!sim.is_open(client), "{path}");
        assert_eq!(sim.report().totals.requests, 1, "{path}");
    }
}

/// Ticks are compared by the sign of their difference, which spans 4.3 years.
#[test]
fn deadlines_pass_in_time_after_years_without_a_connection() {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    for tenths in [1, 42, 44, 86, 90] {
        let mut sim = Sim::new(site);
        sim.connect_and_send(GET_CLOSE);
        sim.advance(YEAR * tenths / 10);
        let client = sim.connect_and_send(&GET[..10]);
        happens_after(&mut sim, 10 * SECOND, |sim| statuses(sim.received(client)) == [408]);
    }
}
