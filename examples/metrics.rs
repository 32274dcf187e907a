//! The numbers of a running server on a listener of their own: metrics for Prometheus, with those of
//! the program after those of the server, and health checks.
//!
//! ```text
//! cargo run --release --example metrics -- 127.0.0.1:8080 127.0.0.1:9090
//! curl http://127.0.0.1:8080/?n=40000     # a slow handler is in the log (RUST_LOG=warn)
//! curl http://127.0.0.1:9090/metrics
//! curl http://127.0.0.1:9090/ready        # 503 while the server shuts down
//! curl http://127.0.0.1:9090/health
//! ```

use std::time::Duration;
use wheelhouse::metrics::{Health, Kind, Ready, Text};
use wheelhouse::{runtime::Listener, Error, Router, Server, StatusCode};

#[derive(Default)]
struct Primes {
    counted: u64,
}

fn main() -> Result<(), Error> {
    env_logger::init();
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let admin = arguments.next().unwrap_or_else(|| "127.0.0.1:9090".to_owned());
    let server = Server::with_state(Primes::default())
        .slow_handler_warning(Duration::from_millis(10))
        .on_signals()
        .listen(&address)?
        .listen(Listener::new(admin).named("admin"))?;
    let stats = server.stats();
    let routes = Router::<Primes>::new()
        .get("/{$}", |primes, req| {
            let n = req.query().get("n").and_then(|n| n.parse().ok()).unwrap_or(10_u64);
            let is_prime = |&n: &u64| (2..n).all(|divisor| n % divisor != 0);
            let count = (2..=n.min(100_000)).filter(is_prime).count();
            primes.counted += count as u64;
            format!("{count}\n")
        })
        .nest("", |admin| {
            admin
                .handle("GET /health", Health)
                .handle("GET /ready", Ready::new(stats.clone()))
                .get("/metrics", move |primes, _| {
                    let mut text = Text::of(&stats);
                    text.family(Kind::Counter, "primes_counted_total", "Primes that were counted.");
                    text.sample(&[], primes.counted as f64);
                    text
                })
                // For others, these routes are not there.
                .guard(|_, req| {
                    (req.listener() == "admin").then_some(()).ok_or(StatusCode::NOT_FOUND)
                })
        })
        .build()?;
    server.run(routes)?;
    Ok(())
}
