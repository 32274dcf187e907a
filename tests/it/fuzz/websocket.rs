//! The frames of a client after its handshake, to an echo: the frames of the server follow from a
//! model of RFC 6455, and do not depend on how the bytes are cut.

use wheelhouse::sim::Sim;
use wheelhouse::websocket::{accept, on_message, Message, Options, Socket};
use wheelhouse::Request;

use super::server::cuts;
use crate::support::random::Random;

const SHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The longest message, and the longest frame.
const MESSAGE_BYTES_MAX: usize = 2000;
const INPUT_MAX: usize = 12 << 10;

pub(crate) fn target(data: &[u8]) {
    let data = &data[..data.len().min(INPUT_MAX)];
    let whole = run(&[data]);
    for segments in cuts(data) {
        let cut = run(&segments);
        assert!(cut == whole, "whole {}\ncut {}", whole.escape_ascii(), cut.escape_ascii());
    }
    compare(&frames(&whole), &Model::read(data));
    compare_valid(&mut Random::of(data));
}

/// Sends frames after a handshake. Returns the bytes that come back.
fn run(segments: &[&[u8]]) -> Vec<u8> {
    let mut sim = Sim::new(|req: &Request<'_>| {
        let options = Options::new().message_bytes_max(MESSAGE_BYTES_MAX);
        let echo = |(): &mut (), message: Message<'_>, socket: &mut Socket<'_>| {
            socket.send(message);
        };
        accept(req, &options, on_message(echo))
    });
    let client = sim.connect();
    let base = sim.memory();
    sim.send(client, SHAKE);
    assert!(sim.take_received(client).starts_with(b"HTTP/1.1 101 "));
    for segment in segments {
        sim.send(client, segment);
        assert!(sim.memory() - base < 40 << 10, "{} bytes held", sim.memory() - base);
    }
    let received = sim.take_received(client);
    assert!(!sim.was_reset(client));
    sim.reset(client);
    assert!(sim.memory() <= base, "memory is not given back");
    received
}

/// A frame: its opcode and its payload.
type Frame = (u8, Vec<u8>);

/// The frames of the server: final, without a mask, each with the shortest length (RFC 6455,
/// section 5.2).
fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [first, len, rest @ ..] = bytes {
        assert_eq!(first & 0xf0, 0x80, "final, and no reserved bit");
        let (len, rest) = match len {
            0..=125 => (usize::from(*len), rest),
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            _ => panic!("a mask, or a length that no message has here"),
        };
        frames.push((first & 0xf, rest[..len].to_vec()));
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty(), "half a frame");
    frames
}

/// The frames that a server must send.
#[derive(Debug, Default)]
struct Model {
    frames: Vec<Frame>,
    /// The codes of a close frame that may end them.
    closes: Vec<u16>,
    /// The input ends in the middle of a frame, which may be wrong already.
    is_open: bool,
}

const CONTINUE: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl Model {
    fn read(mut input: &[u8]) -> Model {
        let mut model = Model::default();
        let mut message: Option<Frame> = None;
        loop {
            let Some((header, rest)) = Header::read(input) else {
                model.is_open = !input.is_empty();
                return model;
            };
            let is_control = header.opcode >= CLOSE;
            let is_out_of_order = header.opcode == CONTINUE && message.is_none()
                || matches!(header.opcode, TEXT | BINARY) && message.is_some();
            if header.is_wrong() || is_out_of_order {
                model.closes.push(1002);
                return model;
            }
            let before = message.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64);
            if !is_control && header.len > MESSAGE_BYTES_MAX as u64 - before {
                model.closes.push(1009);
                return model;
            }
            let Some(payload) = rest.get(..header.len as usize) else {
                model.is_open = true;
                return model;
            };
            input = &rest[header.len as usize..];
            let mask = header.mask.iter().cycle();
            let payload: Vec<u8> =
                payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
            match header.opcode {
                PING => model.frames.push((PONG, payload)),
                PONG => {}
                CLOSE => {
                    model.close(payload);
                    return model;
                }
                opcode => {
                    let begun = message.get_or_insert((opcode, Vec::new()));
                    begun.1.extend_from_slice(&payload);
                    if begun.0 == TEXT && !may_be_text(&begun.1, header.is_final) {
                        model.closes.push(1007);
                        return model;
                    }
                }
            }
            if header.is_final && !is_control {
                model.frames.extend(message.take());
            }
        }
    }

    /// RFC 6455, sections 5.5.1 and 7.4.
    fn close(&mut self, payload: Vec<u8>) {
        let code = match payload[..] {
            [] => return self.frames.push((CLOSE, payload)),
            [_] => return self.closes.push(1002),
            [high, low, ..] => u16::from_be_bytes([high, low]),
        };
        let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        if std::str::from_utf8(&payload[2..]).is_err() {
            self.closes.push(1007);
        }
        if !may_be_sent {
            self.closes.push(1002);
        }
        if self.closes.is_empty() {
            self.frames.push((CLOSE, payload));
        }
    }
}

/// Whether bytes are UTF-8, or may become so with more after them.
fn may_be_text(bytes: &[u8], is_all: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && !is_all,
    }
}

struct Header {
    is_final: bool,
    reserved: u8,
    opcode: u8,
    len: u64,
    is_shortest: bool,
    is_masked: bool,
    mask: [u8; 4],
}

impl Header {
    /// Reads a complete header.
    fn read(input: &[u8]) -> Option<(Header, &[u8])> {
        let [first, second, rest @ ..] = input else { return None };
        let (len, rest) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(rest.get(..2)?.try_into().unwrap())), &rest[2..]),
            127 => (u64::from_be_bytes(rest.get(..8)?.try_into().unwrap()), &rest[8..]),
            len => (u64::from(len), rest),
        };
        let is_shortest = match second & 0x7f {
            126 => len > 125,
            127 => len > 0xffff,
            _ => true,
        };
        let is_masked = second & 0x80 != 0;
        let (mask, rest) = match is_masked {
            true => (rest.get(..4)?.try_into().unwrap(), &rest[4..]),
            false => ([0; 4], rest),
        };
        let (is_final, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0xf);
        Some((Header { is_final, reserved, opcode, len, is_shortest, is_masked, mask }, rest))
    }

    /// Whether the header is wrong whatever comes before it.
    fn is_wrong(&self) -> bool {
        let is_control = self.opcode >= CLOSE;
        let is_known = matches!(self.opcode, CONTINUE | TEXT | BINARY | CLOSE | PING | PONG);
        let is_bad_control = is_control && (!self.is_final || self.len > 125);
        let has_length = self.is_shortest && self.len < 1 << 63;
        self.reserved != 0 || !is_known || !self.is_masked || !has_length || is_bad_control
    }
}

fn compare(got: &[Frame], model: &Model) {
    let count = model.frames.len();
    assert!(got.len() >= count, "{got:?} instead of {model:?}");
    assert_eq!(got[..count], model.frames[..], "{model:?}");
    match &got[count..] {
        [] => assert!(model.closes.is_empty(), "no close frame: {model:?}"),
        [(CLOSE, payload)] => {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            let is_due = model.closes.contains(&code);
            assert!(is_due || model.is_open && code != 1000, "close {code}: {model:?}");
        }
        more => panic!("{more:?} after {model:?}"),
    }
}

/// Messages that are valid, in fragments with pings between them, come back whole.
fn compare_valid(random: &mut Random) {
    let bytes = conversation(random);
    let model = Model::read(&bytes);
    assert!(model.closes.is_empty() && !model.is_open || bytes.is_empty(), "{model:?}");
    let got = frames(&run(&[&bytes]));
    assert_eq!(got, model.frames);
}

/// Frames of a client that keeps all rules.
fn conversation(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(8) {
        let most = if random.one_in(6) { 190 } else { 9 };
        let text = "a\u{e9}\u{20ac}\u{1f600}".repeat(random.below(most));
        let opcode = if random.one_in(2) { TEXT } else { BINARY };
        let mut rest = text.as_bytes();
        let mut first = opcode;
        while random.one_in(3) && !rest.is_empty() && !random.is_over() {
            let (now, later) = rest.split_at(random.below(rest.len() + 1));
            frame(random, first, now, &mut bytes);
            if random.one_in(2) {
                frame(random, 0x80 | PING, b"ping", &mut bytes);
            }
            (rest, first) = (later, CONTINUE);
        }
        frame(random, 0x80 | first, rest, &mut bytes);
    }
    if random.one_in(4) {
        let code = [1000, 1001, 3000, 4999][random.below(4)];
        let payload = [&u16::to_be_bytes(code)[..], "bye \u{e9}".as_bytes()].concat();
        frame(random, 0x80 | CLOSE, &payload, &mut bytes);
    } else {
        frame(random, 0x80 | PONG, b"", &mut bytes);
    }
    bytes
}

fn frame(random: &mut Random, first: u8, payload: &[u8], bytes: &mut Vec<u8>) {
    bytes.push(first);
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
    }
    let mask = [random.below(256) as u8, 2, 3, random.below(256) as u8];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
#[test]
fn frames_get_the_responses_of_the_model() {
    const WORDS: [&[u8]; 12] = [
        b"\x81\x80\0\0\0\0",
        b"\x01\x81\0\0\0\0a",
        b"\x80\x81\0\0\0\0b",
        b"\x89\x80\0\0\0\0",
        b"\x88\x82\0\0\0\0\x03\xe8",
        b"\x82\xfe\x01\0\0\0\0\0",
        b"\xff",
        b"\xc3",
        b"\x81\xff\0\0\0\0\0\0\x10\0",
        b"\x83\x80\0\0\0\0",
        b"\x81\x01a",
        b"\x88\x80\0\0\0\0",
    ];
    super::run::check("websocket", 400, &WORDS, conversation, target);
}
