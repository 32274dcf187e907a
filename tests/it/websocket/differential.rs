//! The same frames to the server and to tungstenite, from many seeds: both echo the same messages,
//! return the same pongs and close frames, and refuse the same faults with the same code. tungstenite
//! also reads all frames of the server as a client.

use std::io::{self, Read, Write};

use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

use super::{close_payload, frames, open, site, Log, CLOSE};
use crate::support::random::{seed, Random};
use wheelhouse::sim::Sim;
use wheelhouse::websocket::Options;

const MESSAGE_BYTES_MAX: usize = 2000;
const SEEDS: u64 = 1500;

/// Both ends of a stream in memory.
#[derive(Default)]
struct Pipe {
    input: io::Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn peer(role: Role, input: Vec<u8>) -> WebSocket<Pipe> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let pipe = Pipe { input: io::Cursor::new(input), output: Vec::new() };
    WebSocket::from_raw_socket(pipe, role, Some(config))
}

/// The frames that an echo with tungstenite sends, and the close code for a fault.
fn expected(input: &[u8]) -> (Vec<(u8, Vec<u8>)>, Option<u16>) {
    let mut socket = peer(Role::Server, input.to_vec());
    let code = loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).unwrap(),
            Ok(_) => {}
            Err(Error::Io(_) | Error::ConnectionClosed) => break None,
            Err(Error::Utf8(_)) => break Some(1007),
            Err(Error::Capacity(_)) => break Some(1009),
            Err(_) => break Some(1002),
        }
    };
    (frames(&socket.get_ref().output), code)
}

/// The frames of the server for input that is cut at random.
fn received(input: &[u8], random: &mut Random) -> Vec<u8> {
    let options = Options::new().message_bytes_max(MESSAGE_BYTES_MAX);
    let mut sim = Sim::new(site(&Log::default(), options));
    let client = open(&mut sim);
    let (mut begin, most) = (0, 1 + random.below(8));
    for end in random.cuts(input.len(), most).into_iter().chain([input.len()]) {
        sim.send(client, &input[begin..end]);
        begin = end;
    }
    sim.take_received(client)
}

/// A masked frame with a length in its shortest form.
fn frame(first: u8, payload: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = super::frame(first, payload);
    let at = bytes.len() - payload.len();
    for (n, byte) in (random.next() as u32).to_be_bytes().into_iter().enumerate() {
        bytes[at - 4 + n] ^= byte;
        bytes[at..].iter_mut().skip(n).step_by(4).for_each(|masked| *masked ^= byte);
    }
    bytes
}

/// A message in fragments with control frames between them.
fn message(random: &mut Random) -> Vec<u8> {
    let len = [10, 10, 200, 2000][random.below(4)];
    let mut payload: Vec<u8> =
        "a\u{e9}\u{20ac}\u{1f600}".bytes().cycle().take(random.below(len)).collect();
    let is_text = random.one_in(2);
    if is_text && !random.one_in(10) {
        while std::str::from_utf8(&payload).is_err() {
            payload.pop();
        }
    }
    let (mut bytes, mut begin, mut first) = (Vec::new(), 0, if is_text { 1 } else { 2 });
    let most = 1 + random.below(5);
    for end in random.cuts(payload.len(), most) {
        if random.one_in(2) {
            bytes.extend(frame(first, &payload[begin..end], random));
            (begin, first) = (end, 0);
        }
        if random.one_in(3) {
            let (ping_or_pong, len) = (0x89 + random.below(2) as u8, random.below(126));
            bytes.extend(frame(ping_or_pong, &vec![7; len], random));
        }
    }
    bytes.extend(frame(0x80 | first, &payload[begin..], random));
    bytes
}

/// The end of a conversation, often with a fault.
fn end(random: &mut Random) -> Vec<u8> {
    // tungstenite does not know 1014.
    let codes = [0, 999, 1000, 1003, 1004, 1005, 1006, 1011, 1013, 1015, 1016, 2999, 3000, 4999];
    let close = close_payload(codes[random.below(codes.len())], "because \u{2764}");
    match random.below(12) {
        0 => frame(0x88, &close, random),
        1 => {
            let close = close_payload(1000, "because \u{2764}");
            frame(0x88, &close[..random.below(close.len())], random)
        }
        2 => frame(0x80, b"of nothing", random),
        3 => [frame(0x01, b"begun", random), frame(0x82, b"in it", random)].concat(),
        4 => frame(0x81 | 1 << (4 + random.below(3)), b"reserved", random),
        5 => frame(0x80 | random.below(16) as u8, b"", random),
        6 => frame(8 + random.below(3) as u8, b"in fragments", random),
        7 => frame(0x89, &[0; 126], random),
        8 => frame(0x81, b"\xf0\x9f\x98", random),
        9 => frame(0x82, &[0; MESSAGE_BYTES_MAX + 1], random),
        10 => [frame(0x02, &[0; 1500], random), frame(0x80, &[0; 501], random)].concat(),
        _ => b"\x81\x02no mask".to_vec(),
    }
}

#[test]
fn the_server_and_tungstenite_send_the_same_frames() {
    let first = seed();
    let mut faults = 0;
    for case in first..first + SEEDS {
        let mut random = Random::new(case);
        let mut input: Vec<u8> = (0..random.below(5)).flat_map(|_| message(&mut random)).collect();
        if random.one_in(2) {
            input.extend(end(&mut random));
        }
        let (mut expected, code) = expected(&input);
        let received = received(&input, &mut random);
        let mut got = frames(&received);
        // The reason of a refusal is our own.
        assert_eq!(count_as_a_client(&received), got.len(), "WHEELHOUSE_SEED={case}");
        // tungstenite refuses a code that must not be sent with a close frame of its own.
        let code = code.or(expected.last().is_some_and(is_refusal).then_some(1002));
        expected.retain(|frame| !is_refusal(frame));
        if code.is_some() {
            let close = got.pop().filter(|(first, _)| *first == CLOSE);
            let got = close.map(|(_, payload)| u16::from_be_bytes([payload[0], payload[1]]));
            assert_eq!(got, code, "WHEELHOUSE_SEED={case}");
            faults += 1;
        }
        assert_eq!(got, expected, "WHEELHOUSE_SEED={case}");
    }
    assert!(faults > 300, "{faults}");
}

fn is_refusal((first, payload): &(u8, Vec<u8>)) -> bool {
    *first == CLOSE && payload.starts_with(&1002_u16.to_be_bytes())
}

/// The number of frames that tungstenite reads as a client, without a fault.
fn count_as_a_client(bytes: &[u8]) -> usize {
    let mut socket = peer(Role::Client, bytes.to_vec());
    let mut count = 0;
    loop {
        match socket.read() {
            Ok(_) => count += 1,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return count,
            Err(Error::ConnectionClosed) => return count,
            Err(error) => panic!("{error}"),
        }
    }
}
