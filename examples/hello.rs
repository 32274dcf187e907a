//! The smallest server, and the one that benchmarks drive.
//!
//! ```text
//! cargo run --release --example hello -- 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/          # 200 OK: Hello, World!
//! curl -i http://127.0.0.1:8080/other     # 404 Not Found
//! ```
//!
//! A real program would add `.on_signals()` for a graceful end (see `Server`).

use wheelhouse::{Error, Method, Request, Response};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    wheelhouse::serve(&address, hello)?;
    Ok(())
}

fn hello(req: &Request<'_>) -> Response {
    match (req.method(), req.path()) {
        (&Method::GET | &Method::HEAD, "/") => Response::text("Hello, World!"),
        _ => Response::not_found(),
    }
}
