//! A protocol of your own after an `Upgrade`: lines with a response to each, in the loop. The
//! limits, deadlines and shutdown of the server hold for it. Each line must be complete within the timeout.
//!
//! ```text
//! cargo run --release --example line -- 127.0.0.1:8080
//! (printf 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: line\r\n\r\n'; cat) |
//!     nc 127.0.0.1 8080       # 101 and a greeting; then type lines: count, bye, anything
//! ```

use std::io::{self, Write};
use std::time::Duration;

use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Error, Reply};

const LINE_MAX: usize = 1024;

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    wheelhouse::serve(&address, |_| Reply::upgrade("line", Lines(0)))?;
    Ok(())
}

/// The number of lines so far.
struct Lines(u32);

impl<S> Protocol<S> for Lines {
    fn start(&mut self, _: &mut S, out: &mut Connection<'_>) -> io::Result<()> {
        out.write_all(b"hello, say count or bye\n")
    }

    fn receive(&mut self, _: &mut S, input: &[u8], out: &mut Connection<'_>) -> io::Result<usize> {
        let Some(len) = input.iter().position(|&byte| byte == b'\n') else {
            if input.len() > LINE_MAX {
                out.put(b"too long\n");
                out.close();
            }
            return Ok(0); // It comes again with more after it.
        };
        let line = String::from_utf8_lossy(&input[..len]);
        let response = match line.trim_end() {
            "bye" => "bye\n".to_owned(),
            "count" => format!("{} lines\n", self.0),
            line => format!("you said {line}\n"),
        };
        if !out.put_all(response.as_bytes()) {
            return Ok(0); // No room at present: the line is passed again.
        }
        if response == "bye\n" {
            out.close();
        }
        self.0 += 1;
        Ok(len + 1) // One line. After 32 of them the other connections come first.
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(300)
    }
}
