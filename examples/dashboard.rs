//! A dashboard: a page with the numbers of the server and of the machine, which follow each second.
//!
//! ```text
//! cargo run --release --example dashboard -- 127.0.0.1:8080    # open / in a browser
//! curl -N http://127.0.0.1:8080/numbers      # data: {"requests": 1, "refused": 0, "load": 0.52, ..}
//! ```

use std::{fs, mem, time::Duration};

use wheelhouse::events::Topic;
use wheelhouse::runtime::{Exchange, Outcome};
use wheelhouse::{Error, Response, Router, Server};

struct Board {
    /// The numbers of the present second.
    second: Second,
    /// The last minute, for pages that connect again.
    numbers: Topic,
}

#[derive(Default)]
struct Second {
    requests: u64,
    refused: u64,
    bytes: u64,
    slowest: Duration,
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let routes = Router::<Board>::new()
        .get("/{$}", |_, _| Response::html(include_str!("dashboard.html")))
        .get("/numbers", |board, req| board.numbers.subscribe(req))
        .build()?;
    Server::with_state(Board { second: Second::default(), numbers: Topic::new(60) })
        .on_exchange(|board, exchange| count(&mut board.second, exchange))
        .every(Duration::from_secs(1), publish)
        .listen(&address)?
        .run(routes)
        .map(drop)
}

fn count(second: &mut Second, exchange: &Exchange<'_>) {
    second.requests += 1;
    second.refused += u64::from(exchange.outcome() == Outcome::Refused);
    second.bytes += exchange.content_sent();
    second.slowest = second.slowest.max(exchange.handler_time());
}

fn publish(board: &mut Board) {
    let Second { requests, refused, bytes, slowest } = mem::take(&mut board.second);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default(); // No disk is read.
    let load = load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("null");
    let slowest = slowest.as_micros();
    board.numbers.publish(format!(
        "{{\"requests\": {requests}, \"refused\": {refused}, \"bytes\": {bytes}, \
         \"slowest\": {slowest}, \"load\": {load}}}"
    ));
}
