//! Measures the cost of a WebSocket message that a handler echoes. It is counted in instructions,
//! which do not depend on the load of the machine, in a short and a long run, so that everything that
//! happens once cancels out. Only the call that receives the bytes is counted. Needs valgrind. These
//! are the last figures (x86-64, rustc 1.95, its default target), with tungstenite and with the
//! module's own decoder. Of the last two, 32,000 are copies, which valgrind counts a byte at a time.
//!
//! | message | tungstenite | now |
//! |---|---|---|
//! | `text20`: 20 bytes of text | 2,380 | 1,134 |
//! | `ping` | 2,429 | 1,209 |
//! | `fragments`: three of 10 bytes | 6,615 | 2,960 |
//! | `text1k`: 1,000 bytes | 10,212 | 2,100 |
//! | `text16k`: 16,000 bytes | 131,218 | 44,712 |
//! | `binary16k`: the same, not text | 118,980 | 37,667 |
//!
//! ```text
//! bin=$(cargo bench --no-run --features websocket --bench websocket_cost 2>&1 |
//!   sed -n "s/.*Executable.*(\(.*\))/\1/p")
//! for kind in text20 ping fragments text1k text16k binary16k; do
//!   for messages in 160 1120; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!       --toggle-collect='*SocketProtocol*Protocol*receive*' $bin $kind $messages 2>&1 |
//!       awk -v k=$kind '/Collected/ { print k, $4 }'
//!   done
//! done | awk '{ if (NR % 2) n = $2; else printf "%s: %.0f\n", $1, ($2 - n) / 960 }'
//! ```

use wheelhouse::sim::Sim;
use wheelhouse::websocket::{accept, on_message, Options};
use wheelhouse::{Reply, Request};

const SHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let message = match args.first().map_or("", String::as_str) {
        "text1k" => frame(0x81, &text(1000)),
        "text16k" => frame(0x81, &text(16_000)),
        "binary16k" => frame(0x82, &text(16_000)),
        "fragments" => {
            [frame(0x01, &text(10)), frame(0x00, &text(10)), frame(0x80, &text(10))].concat()
        }
        "ping" => frame(0x89, b"are you there"),
        _ => frame(0x81, &text(20)),
    };
    run(&message, args.get(1).and_then(|count| count.parse().ok()).unwrap_or(160));
}

fn text(len: usize) -> Vec<u8> {
    b"Some words of a chat. ".iter().copied().cycle().take(len).collect()
}

/// A masked frame, as clients send it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// Sends `messages` messages, one at a time, as a client does that waits for the echo.
fn run(message: &[u8], messages: usize) {
    let options = Options::new();
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        accept(
            req,
            &options,
            on_message(|_: &mut (), message, socket| {
                socket.send(message);
            }),
        )
    });
    let client = sim.connect_and_send(SHAKE);
    sim.take_received(client);
    for _ in 0..messages {
        sim.send(client, message);
        assert!(sim.take_received(client).len() > 2);
    }
}
