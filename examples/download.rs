//! Content of any size in constant memory: a file that the kernel sends, and a producer that is
//! asked only when the client has taken its earlier output.
//!
//! ```text
//! cargo run --release --example download -- 127.0.0.1:8080 bigfile
//! curl http://127.0.0.1:8080/file -o copy
//! curl http://127.0.0.1:8080/count?1000000000 | tail -1
//! ```
//!
//! A real program would open files with `wheelhouse::files` or check names itself, and send their
//! media type.

use std::fs::File;
use std::io::{self, Write};

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::{Body, Error, Method, Reply, Request, Response};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let path = arguments.next().unwrap_or_else(|| "README.md".to_owned());
    wheelhouse::serve(&address, move |req| download(req, &path))?;
    Ok(())
}

fn download(req: &Request<'_>, path: &str) -> Reply {
    match (req.method(), req.path()) {
        (&Method::GET | &Method::HEAD, "/file") => file(path).into(),
        (&Method::GET | &Method::HEAD, "/count") => {
            let last = req.raw_query().and_then(|text| text.parse().ok()).unwrap_or(10);
            Response::ok("text/plain", Body::produce(Count { next: 1, last })).into()
        }
        (_, "/file" | "/count") => Response::method_not_allowed("GET, HEAD").into(),
        _ => Response::not_found().into(),
    }
}

fn file(path: &str) -> io::Result<Response> {
    Ok(Response::ok("application/octet-stream", Body::file(File::open(path)?)?))
}

/// The numbers up to `last`, one on a line. Their length in bytes is not known beforehand.
struct Count {
    next: u64,
    last: u64,
}

impl Produce for Count {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        const LINE_MAX: usize = "18446744073709551615\n".len();
        while self.next <= self.last {
            if out.room() < LINE_MAX {
                return Ok(Produced::More);
            }
            writeln!(out, "{}", self.next)?;
            self.next += 1;
        }
        Ok(Produced::End)
    }
}
