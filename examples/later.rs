//! Responses that come later: from a thread, and to clients that wait for news (long polling).
//!
//! ```text
//! cargo run --release --example later -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/next &                   # the next result, 204 after 25 seconds
//! curl http://127.0.0.1:8080/primes/1000000           # 78498 primes up to 1000000
//! curl -i http://127.0.0.1:8080/primes/99999999       # 504 after two seconds
//! ```

use std::{sync::mpsc, thread, time::Duration};
use wheelhouse::{Error, Failure, Later, Reply, Request, Router, Server, StatusCode};

#[derive(Default)]
struct Hub {
    waiting: Vec<Later<Hub>>,
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let (jobs, work) = mpsc::sync_channel::<(u64, Later<Hub>)>(100);
    thread::spawn(move || work.into_iter().for_each(|(last, later)| count(last, later)));
    let routes = Router::<Hub>::new()
        .get("/next", next)
        .get("/primes/{last}", move |_, req| -> Result<Reply<Hub>, Failure> {
            let last = req.parse_param("last")?;
            let (later, reply) = Reply::later();
            let full = |_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the queue is full");
            jobs.try_send((last, later)).map_err(full)?;
            Ok(reply.with_handler_timeout(Duration::from_secs(2)))
        })
        .build()?;
    Server::with_state(Hub::default()).listen(&address)?.run(routes)?;
    Ok(())
}

/// The right to respond waits in the state.
fn next(hub: &mut Hub, _: &Request<'_>) -> Reply<Hub> {
    let (later, reply) = Reply::later();
    hub.waiting.retain(|later| !later.is_over());
    hub.waiting.push(later);
    let reply = reply.with_handler_timeout(Duration::from_secs(25));
    reply.with_timeout_response(StatusCode::NO_CONTENT)
}

/// Counts in the thread and responds on the loop. It gives up if the client waits no longer.
fn count(last: u64, later: Later<Hub>) {
    let mut primes = 0;
    for n in 2..=last {
        if n % 1024 == 0 && (later.is_over() || later.peer_has_left()) {
            return;
        }
        primes += u64::from((2..).take_while(|d| d * d <= n).all(|d| n % d != 0));
    }
    later.respond_with(move |hub| {
        let text = format!("{primes} primes up to {last}\n");
        hub.waiting.drain(..).for_each(|later| later.respond(text.clone()));
        text
    });
}
