//! Layers around a handler: a guard that answers preflights, CORS fields for the pages of one site
//! on each response, and a value that belongs to the connection.
//!
//! ```text
//! cargo run --release --example around -- 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/ http://127.0.0.1:8080/ -H 'Origin: https://example.org'
//! curl -i -X OPTIONS http://127.0.0.1:8080/ -H 'Origin: https://example.org'
//! ```

use std::cell::Cell;

use wheelhouse::runtime::Admission;
use wheelhouse::{Error, Method, Request, Response, Server, StatusCode};

/// The site whose pages may read the responses.
const FRIEND: &str = "https://example.org";

/// The number of requests that a connection has made.
struct Visitor(Cell<u32>);

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    Server::new()
        .listen(&address)?
        .on_connect(|_, _| Admission::accept_with(Visitor(Cell::new(0))))
        .around(
            |_, req| Ok(req.header("origin") == Some(FRIEND)),
            |_, is_friend, response| {
                if is_friend {
                    // Both fields can be sent: there is no error to report.
                    let _ = response.set_header("Access-Control-Allow-Origin", FRIEND);
                }
                let _ = response.append_header("Vary", "Origin");
            },
        )
        .guard(|_, req| match *req.method() {
            Method::OPTIONS => Err(Response::new(StatusCode::NO_CONTENT)
                .with_header("Access-Control-Allow-Methods", "GET, HEAD")),
            _ => Ok(()),
        })
        .serve(|req| format!("request {} of this connection\n", count(req)))?;
    Ok(())
}

fn count(req: &Request<'_>) -> u32 {
    let Some(Visitor(requests)) = req.connection_value() else { return 0 };
    requests.set(requests.get() + 1);
    requests.get()
}
