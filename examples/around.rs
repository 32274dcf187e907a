//! Something before every request and with every answer: a log line, CORS for the pages of one
//! site, and a value that belongs to the connection.
//!
//! ```text
//! cargo run --release --example around -- 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/ http://127.0.0.1:8080/ -H 'Origin: https://example.org'
//! curl -i -X OPTIONS http://127.0.0.1:8080/ -H 'Origin: https://example.org'
//! ```

use std::cell::Cell;

use wheelhouse::runtime::Admission;
use wheelhouse::{around, Enter, Error, Method, Reply, Request, Response, Server, StatusCode};

/// The site whose pages may read the answers.
const FRIEND: &str = "https://example.org";

/// What is known of a connection: how many requests it has made.
struct Visitor(Cell<u32>);

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = Server::new()
        .listen(&address)?
        .on_connect(|_, _| Admission::accept_with(Visitor(Cell::new(0))));
    server.run(around(site, enter))?;
    Ok(())
}

fn site(req: &Request<'_>) -> String {
    let requests = req.connection_value::<Visitor>().map_or(0, |visitor| visitor.0.get());
    format!("request {requests} of this connection\n")
}

/// Called with the request; what it returns is called with the answer, whenever that comes.
fn enter(
    (): &mut (),
    req: &Request<'_>,
) -> Enter<(), impl FnOnce(&mut (), &mut Response) + 'static> {
    if let Some(visitor) = req.connection_value::<Visitor>() {
        visitor.0.set(visitor.0.get() + 1);
    }
    let is_friend = req.header("origin") == Some(FRIEND);
    if is_friend && req.method() == Method::OPTIONS {
        let allow = Response::new(StatusCode::NO_CONTENT)
            .with_header("Access-Control-Allow-Origin", FRIEND)
            .with_header("Access-Control-Allow-Methods", "GET, HEAD");
        return Enter::Answer(Reply::from(allow));
    }
    let line = format!("{} {}", req.method(), req.target().escape_default());
    Enter::Pass(move |(): &mut (), answer: &mut Response| {
        if is_friend {
            // Both are fields that can be sent: nothing to report.
            let _ = answer.set_header("Access-Control-Allow-Origin", FRIEND);
        }
        let _ = answer.append_header("Vary", "Origin");
        println!("{line} {}", answer.status().as_u16());
    })
}
