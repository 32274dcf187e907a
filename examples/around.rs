//! Code around all requests: an id in every response, the number of requests in work, and an access
//! log that also has the requests that no handler saw.
//!
//! ```text
//! cargo run --release --example around -- 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/                      # X-Request-Id: 1-0, 1 requests in work
//! curl -d more http://127.0.0.1:8080/                 # 4 bytes
//! curl -i -H 'Host:' http://127.0.0.1:8080/           # 400 Bad Request
//! curl http://127.0.0.1:8080/log                      # 200 GET "/" 21 B Complete, ..
//! ```

use std::{collections::VecDeque, sync::Arc};

use wheelhouse::{Error, Router, Server};

#[derive(Default)]
struct Site {
    /// Each request in work has a clone.
    token: Arc<()>,
    log: VecDeque<String>,
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let routes = Router::<Site>::new()
        .get("/{$}", |site, _| format!("{} requests in work\n", Arc::strong_count(&site.token) - 1))
        .collect("POST /{$}", 4096, |_, _, content| format!("{} bytes\n", content.len()))
        .get("/log", |site, _| site.log.iter().map(String::as_str).collect::<String>())
        .build()?;
    Server::with_state(Site::default())
        .around(
            // The value is dropped also if no response can come, for example after a panic.
            |site, req| Ok((site.token.clone(), req.id())),
            |_, (_, id), response| {
                // A number can be sent: there is no error to report.
                let _ = response.set_header("X-Request-Id", id.to_string());
            },
        )
        .on_exchange(|site, exchange| {
            let status =
                exchange.status().map_or("-".to_owned(), |status| status.as_str().to_owned());
            let method = exchange.method().map_or("-", |method| method.as_str());
            let (target, sent) = (exchange.target().unwrap_or("-"), exchange.content_sent());
            let outcome = exchange.outcome();
            site.log.push_back(format!("{status} {method} {target:?} {sent} B {outcome:?}\n"));
            if site.log.len() > 100 {
                site.log.pop_front();
            }
        })
        .listen(&address)?
        .run(routes)?;
    Ok(())
}
