//! WebSockets on the wire: handshakes, messages, every violation of the protocol, and every kind of
//! end. The tests compose the client's frames by hand.

mod differential;
mod pressure;

use std::cell::RefCell;
use std::rc::Rc;

use crate::support::{limited, shut_down, MS, SECOND};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::websocket::{
    accept, on_message, Closed, Group, Message, Options, Sender, Socket, SocketHandler,
};
use wheelhouse::{Limits, Reply, Request, Router};

const SHAKE: &[u8] = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A masked frame, as clients send it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// The frames that the server has sent, which must be complete.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, len, rest @ ..] = bytes {
        let (len, rest) = match len {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize, &rest[8..]),
            len => (usize::from(*len), rest),
        };
        frames.push((*first, rest[..len].to_vec()));
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty());
    frames
}

type Log = Rc<RefCell<Vec<String>>>;

fn events(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.borrow_mut())
}

/// Echoes messages, notes its calls, and obeys some words.
struct Echo {
    log: Log,
    sender: Option<Sender>,
    /// Messages of 10,000 bytes that are still to be sent.
    flood: u32,
}

impl Echo {
    fn flood(&mut self, socket: &mut Socket<'_>) {
        while self.flood > 0 && socket.queued() == 0 {
            assert!(socket.send_binary([b'.'; 10_000]));
            self.flood -= 1;
        }
    }
}

impl SocketHandler<()> for Echo {
    fn open(&mut self, (): &mut (), socket: &mut Socket<'_>) {
        self.sender = Some(socket.sender());
        if let Some(protocol) = socket.protocol() {
            self.log.borrow_mut().push(format!("open {protocol}"));
        }
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, socket: &mut Socket<'_>) {
        match message {
            Message::Text("bye") => {
                socket.close(4000, "told to");
                assert!(!socket.send_text("too late"));
            }
            Message::Text("bad code") => socket.close(1006, ""),
            Message::Text("bad gateway") => socket.close(1014, ""),
            Message::Text("flood") => {
                self.flood = 40;
                self.flood(socket);
            }
            Message::Text("gush") => while socket.send_binary([b'.'; 10_000]) {},
            Message::Text("long bye") => {
                assert!((0..20).all(|_| socket.send_binary([b'.'; 10_000])));
                socket.close(4000, "told to");
            }
            Message::Text("panic") => panic!("a handler of a test panics"),
            Message::Text("later") => {
                assert!(self.sender.as_ref().unwrap().send_text("sent by a sender"));
                socket.send_text("sent at once");
            }
            message => assert!(socket.send(message)),
        }
    }

    fn wake(&mut self, (): &mut (), socket: &mut Socket<'_>) {
        self.flood(socket);
    }

    fn close(&mut self, (): &mut (), closed: Closed) {
        let Closed { code, reason, is_clean, .. } = closed;
        self.log.borrow_mut().push(format!("closed {code} {reason:?} {is_clean}"));
        assert!(!self.sender.as_ref().unwrap().send_text("too late"));
    }
}

fn site(log: &Log, options: Options) -> impl FnMut(&Request<'_>) -> Reply {
    let log = Rc::clone(log);
    move |req| accept(req, &options, Echo { log: Rc::clone(&log), sender: None, flood: 0 })
}

/// Opens a socket and takes the response to its handshake.
fn open<S: 'static>(sim: &mut Sim<S>) -> Client {
    let client = sim.connect_and_send(SHAKE);
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    assert!(text.starts_with("HTTP/1.1 101 ") && text.ends_with("\r\n\r\n"), "{text}");
    client
}

/// An echo with default options, and one open socket.
fn echo() -> (Log, Sim, Client) {
    let log = Log::default();
    let mut sim = Sim::new(site(&log, Options::new()));
    let client = open(&mut sim);
    (log, sim, client)
}

fn response(fields: &str, options: Options) -> String {
    let mut sim = Sim::new(site(&Log::default(), options));
    let client = sim.connect_and_send(fields.as_bytes());
    String::from_utf8(sim.take_received(client)).unwrap()
}

#[test]
fn the_response_to_a_handshake_has_the_key_of_the_rfc() {
    let text = response(std::str::from_utf8(SHAKE).unwrap(), Options::new());
    assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{text}");
    assert!(text.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"), "{text}");
    assert!(text.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
    assert!(!text.contains("Sec-WebSocket-Protocol"), "{text}");
}

/// RFC 7692, section 5: an offer that is not in the response is declined, and then the bit of a
/// compressed message is a fault.
#[test]
fn an_offer_of_compression_is_declined() {
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover, x-other",
    ] {
        let fields = format!("Host: a\r\nSec-WebSocket-Extensions: {offer}\r\n");
        let shake = std::str::from_utf8(SHAKE).unwrap().replace("Host: a\r\n", &fields);
        let mut sim = Sim::new(site(&Log::default(), Options::new()));
        let client = sim.connect_and_send(shake.as_bytes());
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 ") && !text.contains("Extensions"), "{text}");
        sim.send(client, frame(0x40 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"));
        let frames = frames(&sim.take_received(client));
        assert_eq!((frames[0].0, &frames[0].1[..2]), (CLOSE, &u16::to_be_bytes(1002)[..]));
    }
}

#[test]
fn a_malformed_handshake_is_refused_with_the_reason() {
    let shake = std::str::from_utf8(SHAKE).unwrap();
    for (from, to, status, field) in [
        ("GET", "POST", "405", "Allow: GET"),
        ("HTTP/1.1", "HTTP/1.0", "426", "Upgrade: websocket"),
        ("keep-alive, Upgrade", "keep-alive", "426", "Upgrade: websocket"),
        ("Upgrade: websocket\r\n", "", "426", "Upgrade: websocket"),
        ("Version: 13", "Version: 8", "426", "Sec-WebSocket-Version: 13"),
        ("Version: 13", "Version: 8", "426", "Upgrade: websocket"),
        ("Version: 13", "Version: 8", "426", "Connection: Upgrade"),
        ("Sec-WebSocket-Version: 13\r\n", "", "426", "Sec-WebSocket-Version: 13"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "400", "Connection: "),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", "400", ""),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", "400", ""),
        ("Host: a\r\n", "Host: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "400", ""),
    ] {
        let text = response(&shake.replace(from, to), Options::new());
        assert_eq!(&text[9..12], status, "{from} -> {to}: {text}");
        if status != "400" {
            assert!(text.contains(&format!("\r\n{field}\r\n")), "{from} -> {to}: {text}");
        }
    }
}

#[test]
fn a_handshake_from_another_origin_is_refused_unless_it_is_trusted() {
    let shake = std::str::from_utf8(SHAKE).unwrap();
    let status = |origin: &str, options| {
        let text =
            response(&shake.replace("Host: a\r\n", &format!("Host: a\r\n{origin}")), options);
        text[9..12].parse::<u16>().unwrap()
    };
    assert_eq!(status("", Options::new()), 101, "not a browser");
    assert_eq!(status("Origin: http://a\r\n", Options::new()), 101);
    assert_eq!(status("Sec-Fetch-Site: same-origin\r\n", Options::new()), 101);
    for origin in [
        "Origin: http://evil.example\r\n",
        "Origin: http://a:81\r\n",
        "Origin: null\r\n",
        "Origin: http://a\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        assert_eq!(status(origin, Options::new()), 403, "{origin}");
    }
    let trusting = || Options::new().trust("https://app.example").unwrap();
    assert_eq!(status("Origin: https://app.example\r\n", trusting()), 101);
    assert_eq!(status("Origin: https://evil.example\r\n", trusting()), 403);
    assert_eq!(status("Origin: null\r\n", Options::new().any_origin()), 101);
    assert!(Options::new().trust("app.example").is_err());
}

#[test]
fn the_best_subprotocol_that_both_sides_support_is_chosen() {
    let shake = std::str::from_utf8(SHAKE).unwrap();
    let chosen = |offer: &str| {
        let offer = format!("Host: a\r\nSec-WebSocket-Protocol: {offer}\r\n");
        let text =
            response(&shake.replace("Host: a\r\n", &offer), Options::new().protocols(["v2", "v1"]));
        text.lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: ").map(str::to_owned))
    };
    assert_eq!(chosen("v1, v2").as_deref(), Some("v2"));
    assert_eq!(chosen("v3,v1").as_deref(), Some("v1"));
    assert_eq!(chosen("V2"), None, "subprotocols are case-sensitive");
    let log = Log::default();
    let mut sim = Sim::new(site(&log, Options::new().protocols(["v1"])));
    sim.connect_and_send(
        shake.replace("Host: a", "Host: a\r\nSec-WebSocket-Protocol: v1").as_bytes(),
    );
    assert_eq!(events(&log), ["open v1"]);
}

/// Returns a generator of random numbers below its argument.
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// A conversation with every kind of frame that is allowed.
fn conversation() -> (Vec<u8>, Vec<(u8, Vec<u8>)>) {
    let long: Vec<u8> = (0..40_000u32).map(|n| n as u8).collect();
    let sent = [
        frame(TEXT, b"hello"),
        frame(TEXT, b""),
        frame(0x01, "gr\u{fc}".as_bytes().split_last().unwrap().1),
        frame(PING, b"are you there"),
        frame(0x00, b""),
        frame(PONG, b"unasked"),
        frame(0x80, "\u{fc}\u{df}".as_bytes().split_first().unwrap().1),
        frame(BINARY, &long),
        frame(0x02, &long[..20_000]),
        frame(PING, b""),
        frame(0x00, &long[20_000..30_000]),
        frame(0x80, &long[30_000..]),
        frame(TEXT, "x".repeat(65_536).as_bytes()),
        frame(CLOSE, &close_payload(1000, "done")),
    ];
    let expected = vec![
        (TEXT, b"hello".to_vec()),
        (TEXT, Vec::new()),
        (PONG, b"are you there".to_vec()),
        (TEXT, "gr\u{fc}\u{df}".as_bytes().to_vec()),
        (BINARY, long.clone()),
        (PONG, Vec::new()),
        (BINARY, long),
        (TEXT, vec![b'x'; 65_536]),
        (CLOSE, close_payload(1000, "done")),
    ];
    (sent.concat(), expected)
}

#[test]
fn a_conversation_gets_the_same_frames_however_it_is_cut() {
    let (sent, expected) = conversation();
    let mut next = numbers(1);
    for round in 0..8 {
        let (log, mut sim, client) = echo();
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let len = match round {
                0 => rest.len(),
                1 => 1,
                _ => next(1 << (2 * round)) + 1,
            };
            let (now, later) = rest.split_at(len.min(rest.len()));
            sim.send(client, now);
            rest = later;
        }
        assert!(frames(&sim.take_received(client)) == expected, "round {round}");
        assert_eq!(events(&log), ["closed 1000 \"done\" true"]);
        sim.end(client);
        assert!(!sim.is_open(client) && !sim.was_reset(client));
    }
}

/// RFC 6455, sections 5.1 to 5.5 and 8.1: each violation with the code of the close frame.
#[test]
fn violations_of_the_protocol_get_a_close_frame_with_their_code() {
    let big = vec![b'x'; 40_000];
    for (case, bytes, code) in [
        ("not masked", b"\x81\x02hi".to_vec(), 1002),
        ("long and not masked", b"\x82\x7e\x10\x00....".to_vec(), 1002),
        ("a reserved bit", frame(0xc1, b"hi"), 1002),
        ("a reserved bit of a long frame", frame(0xc1, &big), 1002),
        ("a reserved opcode", frame(0x83, b"hi"), 1002),
        ("a reserved control opcode", frame(0x8b, b"hi"), 1002),
        ("a ping in fragments", frame(0x09, b"hi"), 1002),
        ("a long ping", frame(PING, &[0; 126]), 1002),
        ("a continuation of nothing", frame(0x80, b"hi"), 1002),
        ("a message within another", [frame(0x01, b"a"), frame(TEXT, b"b")].concat(), 1002),
        ("a close frame of one byte", frame(CLOSE, b"x"), 1002),
        ("a length in more bytes than it needs", b"\x81\xfe\0\x02\0\0\0\0hi".to_vec(), 1002),
        ("the same with eight", b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0".to_vec(), 1002),
        ("a code that must not be sent", frame(CLOSE, &close_payload(1005, "")), 1002),
        ("an unknown code", frame(CLOSE, &close_payload(999, "")), 1002),
        ("a reason that is not text", frame(CLOSE, b"\x03\xe8\xff"), 1007),
        ("not text", frame(TEXT, b"\xff"), 1007),
        ("half a character", frame(TEXT, b"\xc3"), 1007),
        ("not text in the second fragment", [frame(0x01, b"a"), frame(0, b"\xff")].concat(), 1007),
        ("a long frame that is not text", frame(TEXT, &[0xff; 2000]), 1007),
        ("an endless frame", b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".to_vec(), 1009),
        ("a frame that is too long", frame(BINARY, &[0; 65_537])[..14].to_vec(), 1009),
        ("too much in fragments", [frame(0x02, &big), frame(0x80, &big)].concat(), 1009),
    ] {
        let (log, mut sim, client) = echo();
        sim.send(client, &bytes);
        let frames = frames(&sim.take_received(client));
        let [(CLOSE, payload)] = &frames[..] else { panic!("{case}: {frames:?}") };
        assert_eq!(payload[..2], u16::to_be_bytes(code), "{case}");
        assert!(sim.has_ended(client), "{case}");
        let ends = events(&log);
        assert!(ends[0].starts_with(&format!("closed {code} ")), "{case}");
        assert!(ends[0].ends_with(" false"), "{case}");
        sim.end(client);
        assert!(!sim.is_open(client) && !sim.was_reset(client), "{case}");
    }
}

#[test]
fn a_close_frame_without_a_code_gets_a_close_frame_without_one() {
    let (log, mut sim, client) = echo();
    sim.send(client, [frame(CLOSE, b""), frame(TEXT, b"ignored")].concat());
    assert_eq!(frames(&sim.take_received(client)), [(CLOSE, Vec::new())]);
    assert_eq!(events(&log), ["closed 1005 \"\" true"]);
}

/// The code of a gateway for a bad response from the server behind it, which IANA has registered since
/// RFC 6455.
#[test]
fn a_close_code_1014_is_returned_to_the_client_and_reported() {
    for reason in ["", "bad \u{2764}"] {
        let (log, mut sim, client) = echo();
        sim.send(client, frame(CLOSE, &close_payload(1014, reason)));
        let returned = (CLOSE, close_payload(1014, reason));
        assert_eq!(frames(&sim.take_received(client)), [returned]);
        assert_eq!(events(&log), [format!("closed 1014 {reason:?} true")]);
        assert!(sim.has_ended(client));
    }
    let (_, mut sim, client) = echo();
    sim.send(client, frame(CLOSE, b"\x03\xf6\xff"));
    assert_eq!(frames(&sim.take_received(client))[0].1[..2], 1007_u16.to_be_bytes());
}

#[test]
fn a_handler_may_close_with_1014() {
    let (log, mut sim, client) = echo();
    sim.send(client, frame(TEXT, b"bad gateway"));
    assert_eq!(frames(&sim.take_received(client)), [(CLOSE, close_payload(1014, ""))]);
    sim.send(client, frame(CLOSE, &close_payload(1014, "")));
    assert_eq!(events(&log), ["closed 1014 \"\" true"]);
}

#[test]
fn a_handler_closes_with_its_own_code_and_waits_for_the_close_frame_of_the_peer() {
    let (log, mut sim, client) = echo();
    sim.send(client, [frame(TEXT, b"bye"), frame(TEXT, b"not heard")].concat());
    assert_eq!(frames(&sim.take_received(client)), [(CLOSE, close_payload(4000, "told to"))]);
    assert!(sim.is_open(client) && !sim.has_ended(client));
    assert_eq!(events(&log), [""; 0]);
    sim.send(client, frame(CLOSE, &close_payload(4000, "")));
    assert_eq!(events(&log), ["closed 4000 \"told to\" true"]);
    assert!(sim.has_ended(client));
    sim.end(client);
    assert!(!sim.is_open(client) && sim.received(client).is_empty());
}

#[test]
fn a_client_that_does_not_return_a_close_frame_is_closed() {
    let (log, mut sim, client) = echo();
    sim.send(client, frame(TEXT, b"bye"));
    sim.advance(11 * SECOND);
    assert!(sim.has_ended(client));
    assert_eq!(events(&log), ["closed 4000 \"told to\" false"]);
    // A client that never stops sending is closed, too.
    let (log, mut sim, client) = echo();
    sim.send(client, frame(TEXT, b"bye"));
    for _ in 0..1010 {
        sim.send(client, frame(TEXT, b"what?"));
        sim.advance(10 * MS);
    }
    assert!(sim.has_ended(client));
    assert_eq!(events(&log), ["closed 4000 \"told to\" false"]);
}

#[test]
fn a_forbidden_close_code_is_not_sent() {
    let (log, mut sim, client) = echo();
    sim.send(client, frame(TEXT, b"bad code"));
    assert_eq!(frames(&sim.take_received(client)), [(CLOSE, close_payload(1011, ""))]);
    sim.send(client, frame(CLOSE, &close_payload(1011, "")));
    assert_eq!(events(&log), ["closed 1011 \"\" true"]);
}

/// The first close frame counts, even if malformed bytes follow it.
#[test]
fn a_handler_that_has_closed_is_notified_of_its_own_code_whatever_follows() {
    let (log, mut sim, client) = echo();
    sim.send(client, [frame(TEXT, b"bye"), frame(0xc1, b"hi")].concat());
    assert_eq!(frames(&sim.take_received(client)), [(CLOSE, close_payload(4000, "told to"))]);
    assert_eq!(events(&log), ["closed 4000 \"told to\" false"]);
}

#[test]
fn a_silent_peer_is_pinged_and_a_pong_keeps_the_socket_open() {
    let (log, mut sim, client) = echo();
    for _ in 0..3 {
        sim.advance(30 * SECOND - MS);
        assert_eq!(sim.take_received(client), b"");
        sim.advance(100 * MS);
        assert_eq!(frames(&sim.take_received(client)), [(PING, Vec::new())]);
        sim.advance(9 * SECOND);
        sim.send(client, frame(PONG, b""));
    }
    assert_eq!(events(&log), [""; 0]);
    sim.advance(31 * SECOND);
    sim.advance(10 * SECOND);
    assert!(sim.has_ended(client));
    assert_eq!(events(&log), ["closed 1006 \"silent\" false"]);
}

#[test]
fn a_shutdown_closes_sockets_as_going_away_and_waits_for_their_close_frames() {
    let (log, mut sim, client) = echo();
    let silent = open(&mut sim);
    shut_down(&mut sim);
    let away = close_payload(1001, "the server shuts down");
    assert_eq!(frames(&sim.take_received(client)), [(CLOSE, away.clone())]);
    sim.advance(SECOND);
    assert!(sim.is_open(client) && sim.is_running());
    sim.send(client, frame(CLOSE, &away));
    sim.end(client);
    assert!(!sim.is_open(client));
    assert_eq!(events(&log), ["closed 1001 \"the server shuts down\" true"]);
    sim.advance(11 * SECOND);
    assert!(!sim.is_open(silent) && !sim.is_running());
}

#[test]
fn an_end_without_a_close_frame_is_reported_to_the_handler() {
    let (log, mut sim, client) = echo();
    sim.send_and_end(client, frame(TEXT, b"last"));
    assert_eq!(frames(&sim.take_received(client)), [(TEXT, b"last".to_vec())]);
    assert!(!sim.is_open(client));
    assert_eq!(events(&log), ["closed 1006 \"ended without a close frame\" false"]);
    let client = open(&mut sim);
    sim.reset(client);
    assert_eq!(events(&log), ["closed 1006 \"the peer left\" false"]);
}

#[test]
fn a_panic_in_a_websocket_handler_costs_one_socket() {
    let (log, mut sim, client) = echo();
    let other = open(&mut sim);
    sim.send(client, frame(TEXT, b"panic"));
    assert!(sim.was_reset(client));
    assert_eq!(events(&log), ["closed 1006 \"the server stopped\" false"]);
    sim.send(other, frame(TEXT, b"still here"));
    assert_eq!(frames(&sim.take_received(other)), [(TEXT, b"still here".to_vec())]);
}

#[test]
fn a_handler_that_waits_for_its_queue_continues_when_the_queue_is_empty() {
    let (log, mut sim, client) = echo();
    let memory = sim.memory();
    sim.stall(client, 10_000);
    sim.send(client, [frame(TEXT, b"flood"), frame(TEXT, b"after it")].concat());
    for _ in 0..60 {
        sim.read(client, 10_000);
        sim.advance(SECOND);
        assert!(sim.memory() <= memory + (130 << 10), "{}", sim.memory() - memory);
    }
    sim.unstall(client);
    let frames = frames(&sim.take_received(client));
    let floods = frames.iter().filter(|(_, payload)| payload.len() == 10_000).count();
    assert_eq!((floods, frames.len()), (40, 41));
    assert_eq!(events(&log), [""; 0]);
}

#[test]
fn a_client_that_reads_its_messages_too_slowly_is_cut_off() {
    let (log, mut sim, client) = echo();
    sim.stall(client, 10_000);
    sim.send(client, frame(TEXT, b"gush"));
    // The handler has filled the queue before the client had a chance.
    assert_eq!(events(&log), [""; 0]);
    sim.advance(71 * SECOND);
    assert!(sim.was_reset(client));
    assert_eq!(events(&log), ["closed 1006 \"too slow\" false"]);
}

#[test]
fn messages_of_a_sender_and_of_its_handler_keep_their_order() {
    let (_, mut sim, client) = echo();
    sim.send(client, frame(TEXT, b"later"));
    let expected = [(TEXT, b"sent by a sender".to_vec()), (TEXT, b"sent at once".to_vec())];
    assert_eq!(frames(&sim.take_received(client)), expected);
}

/// Sends every message to all members, and a line when a member joins or leaves.
struct Member(Group);

impl SocketHandler<()> for Member {
    fn open(&mut self, (): &mut (), socket: &mut Socket<'_>) {
        self.0.join(socket);
        self.0.send_text("one more");
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, _: &mut Socket<'_>) {
        match message {
            Message::Text(text) => self.0.send_text(text),
            Message::Binary(bytes) => self.0.send_binary(bytes),
        };
    }

    fn close(&mut self, (): &mut (), closed: Closed) {
        self.0.send_text(format!("one less: {}", closed.code));
    }
}

#[test]
fn a_message_to_a_group_reaches_every_member_in_the_loop() {
    let (group, options) = (Group::new(), Options::new());
    let room = group.clone();
    let mut sim =
        Sim::new(move |req: &Request<'_>| -> Reply { accept(req, &options, Member(room.clone())) });
    let members: Vec<Client> = (0..10).map(|_| sim.connect_and_send(SHAKE)).collect();
    assert_eq!(group.members(), 10);
    for &member in &members {
        sim.take_received(member);
    }
    sim.send(members[3], frame(TEXT, b"to all"));
    for &member in &members {
        assert_eq!(frames(&sim.take_received(member)), [(TEXT, b"to all".to_vec())]);
    }
    sim.send(members[4], frame(CLOSE, &close_payload(1000, "")));
    sim.reset(members[5]);
    assert_eq!(group.members(), 8);
    let expected = [(TEXT, b"one less: 1000".to_vec()), (TEXT, b"one less: 1006".to_vec())];
    assert_eq!(frames(&sim.take_received(members[0])), expected);
    // A thread outside the loop may send, too.
    sim.take_received(members[9]);
    assert_eq!(group.send_binary(b"from afar"), 8);
    sim.advance(MS);
    assert_eq!(frames(&sim.take_received(members[9])), [(BINARY, b"from afar".to_vec())]);
}

#[test]
fn a_group_member_that_does_not_read_is_cut_off_and_does_not_delay_the_others() {
    let (group, options) = (Group::new(), Options::new().queue_bytes_max(20_000));
    let room = group.clone();
    let limits =
        wheelhouse::Limits { response_window: 10 * SECOND, ..wheelhouse::Limits::default() };
    let handler = move |req: &Request<'_>| -> Reply { accept(req, &options, Member(room.clone())) };
    let mut sim = crate::support::limited(handler, limits);
    let (slow, quick) = (sim.connect_and_send(SHAKE), sim.connect_and_send(SHAKE));
    sim.take_received(quick);
    sim.stall(slow, 1000);
    for n in 0..20 {
        while group.send_binary([n; 10_000]) == 0 {
            sim.advance(10 * MS);
        }
        sim.advance(MS);
    }
    assert_eq!(group.members(), 1);
    let got = frames(&sim.take_received(quick));
    assert_eq!(got.iter().filter(|(first, _)| *first == BINARY).count(), 20);
    assert_eq!(got.last().unwrap().1.len(), 10_000);
    // Output that it has not read for 20 s ends its connection, too.
    sim.advance(21 * SECOND);
    assert!(sim.was_reset(slow) && sim.is_open(quick));
    assert_eq!(frames(&sim.take_received(quick)), [(TEXT, b"one less: 1006".to_vec())]);
}

/// A frame of three bytes takes far more than three bytes of memory while it waits.
#[test]
fn short_waiting_messages_are_limited_like_long_ones() {
    let (group, options) = (Group::new(), Options::new());
    let room = group.clone();
    let mut sim =
        Sim::new(move |req: &Request<'_>| -> Reply { accept(req, &options, Member(room.clone())) });
    let slow = sim.connect_and_send(SHAKE);
    sim.stall(slow, 1000);
    group.send_binary([0; 60_000]);
    sim.advance(MS);
    let mut waiting = 0;
    while group.send_text(".") == 1 {
        waiting += 1;
    }
    assert!((1000..3000).contains(&waiting), "{waiting} of at least 100 B each");
}

/// The messages count even while the server does not write.
#[test]
fn messages_that_wait_for_peers_that_do_not_read_count_against_the_budget() {
    let limits = Limits { memory_bytes_max: 4 << 20, ..Limits::default() };
    let senders = Rc::<RefCell<Vec<Sender>>>::default();
    let all = Rc::clone(&senders);
    let site = move |req: &Request<'_>| -> Reply {
        accept(req, &Options::new(), Joins(Group::new(), Rc::clone(&all)))
    };
    let mut sim = limited(site, limits);
    let slow: Vec<Client> = (0..50).map(|_| open(&mut sim)).collect();
    for &client in &slow {
        sim.stall(client, 1000);
    }
    for n in 0..25 {
        for sender in &*senders.borrow() {
            sender.send_binary([n; 10_000]);
        }
        sim.advance(MS);
        assert!(sim.memory() <= 4 << 20, "{}", sim.memory());
    }
    let open = senders.borrow().iter().filter(|sender| sender.is_open()).count();
    assert!((10..=20).contains(&open), "{open} of 250 kB each");
}

/// Whatever arrives, the server sends only complete frames, and a close frame if it ends.
#[test]
fn damaged_conversations_get_complete_frames_and_a_close_frame() {
    let (sent, _) = conversation();
    let sent = &sent[..200];
    let mut next = numbers(7);
    let (mut open_still, mut closed) = (0, 0);
    for _ in 0..500 {
        let (_, mut sim, client) = echo();
        let mut damaged = sent.to_vec();
        for _ in 0..=next(4) {
            let at = next(damaged.len());
            match next(3) {
                0 => damaged[at] = next(256) as u8,
                1 => drop(damaged.remove(at)),
                _ => damaged.insert(at, next(256) as u8),
            }
        }
        let (first, rest) = damaged.split_at(next(damaged.len()));
        sim.send(client, first);
        sim.send(client, rest);
        let has_ended = sim.has_ended(client);
        let frames = frames(&sim.take_received(client));
        let closes = frames.iter().filter(|(first, _)| *first == CLOSE).count();
        assert_eq!((closes == 1, closes <= 1), (has_ended, true));
        assert!(!sim.was_reset(client));
        if has_ended {
            closed += 1;
        } else {
            open_still += 1;
        }
    }
    assert!(open_still > 50 && closed > 50, "{open_still} {closed}");
}

#[test]
fn a_function_that_takes_messages_is_a_handler() {
    let options = Options::new();
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        accept(
            req,
            &options,
            on_message(|(), message, socket| {
                socket.send(message);
            }),
        )
    });
    let client = open(&mut sim);
    sim.send(client, frame(TEXT, b"hi"));
    assert_eq!(frames(&sim.take_received(client)), [(TEXT, b"hi".to_vec())]);
}

#[test]
fn websockets_of_a_router_share_its_state() {
    #[derive(Default)]
    struct Hub {
        messages: u32,
    }
    let options = Options::new();
    let routes = Router::<Hub>::new()
        .get("/chat", move |_, req| {
            let count = |hub: &mut Hub, _: Message<'_>, socket: &mut Socket<'_>| {
                hub.messages += 1;
                socket.send_text(format!("{} so far", hub.messages));
            };
            accept(req, &options, on_message(count))
        })
        .get("/count", |hub, _| format!("{}", hub.messages))
        .build()
        .unwrap();
    let mut sim = Sim::with_state(Hub::default(), routes);
    let (one, other) = (open(&mut sim), open(&mut sim));
    sim.send(one, frame(TEXT, b"a"));
    sim.send(other, frame(BINARY, b"b"));
    assert_eq!(frames(&sim.take_received(other)), [(TEXT, b"2 so far".to_vec())]);
    let client = sim.connect_and_send(b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.received(client).ends_with(b"\r\n\r\n2"));
}

#[test]
fn an_announced_frame_takes_no_memory_until_it_arrives() {
    let (_, mut sim, client) = echo();
    let memory = sim.memory();
    sim.send(client, &frame(BINARY, &[0; 60_000])[..8]);
    assert!(sim.memory() <= memory + (2 << 10), "{}", sim.memory() - memory);
    sim.send(client, vec![b'x'; 30_000]);
    assert!(sim.memory() <= memory + 60_000 + (2 << 10), "{}", sim.memory() - memory);
}

/// Clients that send halves of long messages cannot exceed the budget of the server.
#[test]
fn incomplete_messages_count_against_the_budget() {
    let limits = Limits { memory_bytes_max: 4 << 20, ..Limits::default() };
    let log = Log::default();
    let mut sim = limited(site(&log, Options::new()), limits);
    let clients: Vec<Client> = (0..100).map(|_| sim.connect_and_send(SHAKE)).collect();
    for &client in &clients {
        // The first part of a message: all but a few of the allowed bytes.
        sim.send(client, frame(BINARY & 0x7f, &[b'x'; 60_000]));
        assert!(sim.memory() <= 4 << 20, "{}", sim.memory());
    }
    let open = clients.iter().filter(|&&client| sim.is_open(client)).count();
    assert!((45..=65).contains(&open), "{open} of 60 kB each");
    assert!(sim.memory() > 3 << 20, "the held bytes are counted");
}

/// Frames that the server sends do not show that the peer is alive.
#[test]
fn frames_of_the_server_do_not_extend_the_time_of_a_peer_that_owes_a_pong_or_a_close() {
    let group = Group::new();
    let senders = Rc::new(RefCell::new(Vec::new()));
    let (room, all) = (group.clone(), Rc::clone(&senders));
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        accept(req, &Options::new(), Joins(room.clone(), Rc::clone(&all)))
    });
    // The peer owes a pong while messages are sent to the group.
    let client = open(&mut sim);
    sim.advance(30 * SECOND + 100 * MS);
    assert_eq!(frames(&sim.take_received(client)), [(PING, Vec::new())]);
    for _ in 0..3 {
        sim.advance(3 * SECOND);
        group.send_text("news");
        sim.advance(MS);
        assert!(!sim.has_ended(client));
    }
    sim.advance(SECOND + 100 * MS);
    assert!(sim.has_ended(client));
    // The peer owes a close frame while a sender continues to send.
    let client = open(&mut sim);
    sim.send(client, frame(TEXT, b"bye"));
    for _ in 0..3 {
        sim.advance(3 * SECOND);
        assert!(!senders
            .borrow()
            .last()
            .is_some_and(|sender: &Sender| sender.send_text("too late")));
        sim.advance(MS);
        assert!(!sim.has_ended(client));
    }
    sim.advance(SECOND + 100 * MS);
    assert!(sim.has_ended(client));
}

/// A pong that is due does not shorten the time for the close frame.
#[test]
fn a_client_that_owes_a_pong_has_the_whole_time_to_return_a_close_frame() {
    let (group, senders) = (Group::new(), Rc::default());
    let all = Rc::clone(&senders);
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        accept(req, &Options::new(), Joins(group.clone(), Rc::clone(&all)))
    });
    let client = open(&mut sim);
    sim.advance(39 * SECOND);
    let sender: Sender = senders.borrow_mut().remove(0);
    sender.close(4000, "");
    sim.advance(9 * SECOND);
    assert!(!sim.has_ended(client));
    sim.advance(SECOND + 100 * MS);
    assert!(sim.has_ended(client));
}

/// Joins a group, stores a sender, and closes at the first message.
struct Joins(Group, Rc<RefCell<Vec<Sender>>>);

impl SocketHandler<()> for Joins {
    fn open(&mut self, (): &mut (), socket: &mut Socket<'_>) {
        self.0.join(socket);
        self.1.borrow_mut().push(socket.sender());
    }

    fn message(&mut self, (): &mut (), _: Message<'_>, socket: &mut Socket<'_>) {
        socket.close(4000, "told to");
    }
}
