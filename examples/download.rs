//! Content of any size in constant memory. The kernel sends a file; a producer makes the next piece
//! only after the client has taken the earlier ones.
//!
//! ```text
//! cargo run --release --example download -- 127.0.0.1:8080 bigfile
//! curl http://127.0.0.1:8080/file -o copy
//! curl http://127.0.0.1:8080/count/1000000000 | tail -1       # 1000000000
//! curl -i http://127.0.0.1:8080/count/many                    # 404 Not Found
//! ```
//!
//! A program that serves a directory mounts `wheelhouse::files::Files` instead, which also sends
//! ranges and media types.

use std::fs::File;
use std::io;

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::{Body, Error, Failure, Request, Response, Router, Server};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let path = arguments.next().unwrap_or_else(|| "README.md".to_owned());
    let routes = Router::<String>::new().get("/file", file).get("/count/{last}", count).build()?;
    Server::with_state(path).listen(&address)?.run(routes)?;
    Ok(())
}

fn file(path: &mut String, _: &Request<'_>) -> io::Result<Response> {
    let file = File::open(path)?; // An error is a 500 and a line in the log.
    Ok(Response::ok("application/octet-stream", Body::file(file)?))
}

fn count(_: &mut String, req: &Request<'_>) -> Result<Response, Failure> {
    let last = req.parse_param("last")?;
    Ok(Response::ok("text/plain", Body::produce(Count { next: 1, last })))
}

/// The numbers up to `last`, one per line. The length of the content is not known beforehand.
struct Count {
    next: u64,
    last: u64,
}

impl Produce for Count {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        while self.next <= self.last {
            if !out.put_all(format!("{}\n", self.next).as_bytes()) {
                return Ok(Produced::More); // No room at present.
            }
            self.next += 1;
        }
        Ok(Produced::End)
    }
}
