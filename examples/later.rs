//! Responses from another thread: the loop serves other clients while a worker works.
//!
//! ```text
//! cargo run --release --example later -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/primes?1000000        # meanwhile others are served
//! curl -i http://127.0.0.1:8080/primes?99999999    # 503 after two seconds
//! ```
//!
//! There is one worker, which takes one job after another. A real program would have several.

use std::sync::mpsc::{
    self,
    TrySendError::{Disconnected, Full},
};
use std::thread;
use std::time::Duration;

use wheelhouse::{Later, Reply, Request, Response, Server, StatusCode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let (jobs, work) = mpsc::sync_channel::<(u64, Later)>(100);
    thread::spawn(move || {
        for (last, later) in work {
            if let Some(primes) = count_primes(last, &later) {
                later.respond(format!("{primes} primes up to {last}\n"));
            }
        }
    });
    let handler = move |req: &Request<'_>| -> Reply {
        let Some(last) = req.raw_query().and_then(|text| text.parse().ok()) else {
            return Response::error(StatusCode::BAD_REQUEST, "up to which number?").into();
        };
        let (later, reply) = Reply::later();
        // A dropped `Later` would be a 500. For a queue of a hundred jobs a 503 is more precise.
        if let Err(Full((_, later)) | Disconnected((_, later))) = jobs.try_send((last, later)) {
            later.respond(busy());
        }
        reply.with_handler_timeout(Duration::from_secs(2)).with_timeout_response(busy())
    };
    Server::new().listen(&address)?.run(handler)?;
    Ok(())
}

fn busy() -> Response {
    Response::error(StatusCode::SERVICE_UNAVAILABLE, "too many numbers")
}

/// Returns `None` if the client no longer waits for the number.
fn count_primes(last: u64, later: &Later) -> Option<u64> {
    let mut primes = 0;
    for n in 2..=last {
        if n % 1024 == 0 && (later.is_over() || later.peer_has_left()) {
            return None;
        }
        let is_prime = (2..).take_while(|d| d * d <= n).all(|d| n % d != 0);
        primes += u64::from(is_prime);
    }
    Some(primes)
}
