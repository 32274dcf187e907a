//! The bare stream, handed to a thread: for code that must block, or a library of its own.
//!
//! ```text
//! cargo run --release --example hijack -- 127.0.0.1:8080
//! printf 'GET /raw HTTP/1.1\r\nHost: a\r\n\r\nand more\n' | nc 127.0.0.1 8080
//! ```
//!
//! It prints `this is not HTTP any more` and `you said and more`.
//!
//! No limit, deadline or shutdown of the server covers the stream any more: the program sets its
//! own. A protocol that can do without blocking stays in the loop instead: see `line`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::thread;
use std::time::Duration;

use wheelhouse::upgrade::{Hijacked, HijackedStream};
use wheelhouse::{Error, Reply, Router, Server};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let routes = Router::<()>::new().get("/raw", |_, _| {
        Reply::hijack(|_, hijacked| {
            thread::spawn(|| {
                if let Err(error) = converse(hijacked) {
                    eprintln!("a conversation broke off: {error}");
                }
            });
        })
    });
    Server::new().listen(&address)?.run(routes.build()?)?;
    Ok(())
}

/// Responds to lines until there are no more. It may block: it has a thread to itself.
fn converse(hijacked: Hijacked) -> io::Result<()> {
    let Hijacked { read, stream, .. } = hijacked;
    let HijackedStream::Tcp(mut stream) = stream else { return Ok(()) };
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(b"this is not HTTP any more\n")?;
    // The bytes that the server had read already come first.
    let input = read.as_slice().chain(stream.try_clone()?.take(1 << 20));
    for line in BufReader::new(input).lines() {
        writeln!(stream, "you said {}", line?)?;
    }
    Ok(())
}
