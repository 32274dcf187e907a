//! A checksum in a trailer field, in both directions. The client sends the sum of its content after
//! the content, and so does the server. Before the response, the server sends 103 Early Hints.
//!
//! ```text
//! cargo run --release --example trailers -- 127.0.0.1:8080
//! (printf 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n'
//!  printf '5\r\nhello\r\n0\r\nX-Sum: 532\r\n\r\n') | nc 127.0.0.1 8080
//! curl -i --raw http://127.0.0.1:8080/        # 103, 200, and after the content X-Sum: 2701
//! ```
//!
//! The first one prints `the sum is 532, you said 532`.

use std::io;

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::{Body, Error, Informational, Reply, Response, Trailers};

/// Sends a text and, after it, the sum of its bytes.
struct Summed {
    text: String,
    sent: usize,
    sum: u32,
}

impl Produce for Summed {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        let rest = &self.text.as_bytes()[self.sent..];
        let put = out.put(rest);
        self.sum += sum(&rest[..put]);
        self.sent += put;
        Ok(if put == rest.len() { Produced::End } else { Produced::More })
    }

    fn put_trailers(&mut self, trailers: &mut Trailers) -> io::Result<()> {
        Ok(trailers.append("X-Sum", self.sum.to_string())?)
    }
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().map(|&byte| u32::from(byte)).sum()
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    wheelhouse::serve(&address, |_| {
        let hints = Informational::early_hints()
            .with_appended_header("Link", "</a.css>; rel=preload; as=style");
        let checked = Reply::collect(64 << 10, |(), req, content| {
            let said = req.trailers().get("x-sum").unwrap_or("nothing");
            let text = format!("the sum is {}, you said {said}\n", sum(content));
            let body = Body::produce(Summed { text, sent: 0, sum: 0 });
            Response::ok("text/plain", body).with_trailer("X-Sum")
        });
        Reply::inform(hints, checked)
    })?;
    Ok(())
}
