//! A dashboard: a page with the numbers of the server and of the machine, which follow each second.
//!
//! ```text
//! cargo run --release --example dashboard -- 127.0.0.1:8080    # open / in a browser
//! curl -N http://127.0.0.1:8080/numbers      # data: {"requests": 1, "refused": 0, "load": 0.52, ..}
//! ```

use std::{fs, time::Duration};

use wheelhouse::events::Topic;
use wheelhouse::runtime::Totals;
use wheelhouse::{Error, Response, Router, Server};

struct Board {
    /// The numbers of the server a second ago.
    before: Totals,
    /// The last minute, for pages that connect again.
    numbers: Topic,
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let routes = Router::<Board>::new()
        .get("/{$}", |_, _| Response::html(include_str!("dashboard.html")))
        .get("/numbers", |board, req| board.numbers.subscribe(req))
        .build()?;
    let server = Server::with_state(Board { before: Totals::default(), numbers: Topic::new(60) });
    let stats = server.stats();
    server
        .every(Duration::from_secs(1), move |board| publish(board, stats.totals()))
        .listen(&address)?
        .run(routes)
        .map(drop)
}

fn publish(board: &mut Board, now: Totals) {
    let requests = now.requests - board.before.requests;
    let bytes = now.bytes_sent - board.before.bytes_sent;
    let (refused, memory) = (now.refused, now.memory.sum());
    let connections = now.connections.sum();
    board.before = now;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default(); // No disk is read.
    let load = load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("null");
    board.numbers.publish(format!(
        "{{\"requests\": {requests}, \"bytes\": {bytes}, \"refused\": {refused}, \
         \"connections\": {connections}, \"memory\": {memory}, \"load\": {load}}}"
    ));
}
