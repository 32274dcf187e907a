//! Server-sent events: a thread publishes to one topic, and pages follow it.
//!
//! ```text
//! cargo run --release --example events -- 127.0.0.1:8080
//! curl -N http://127.0.0.1:8080/events                    # or open / in a browser
//! curl -N -H 'Last-Event-ID: 1' http://127.0.0.1:8080/events
//! ```
//!
//! A page that reconnects names the last event that it received and gets the later ones, as far as
//! the topic still has them. A real program would publish its events, not the time of day.

use std::thread;
use std::time::{Duration, SystemTime};

use wheelhouse::events::{Event, Topic};
use wheelhouse::{Error, Request, Response};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let ticks = Topic::new(64);
    let publisher = ticks.clone();
    thread::spawn(move || loop {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        publisher.publish(Event::new(time.as_secs().to_string()).named("tick"));
        thread::sleep(Duration::from_millis(500));
    });
    wheelhouse::serve(&address, move |req| site(req, &ticks))?;
    Ok(())
}

fn site(req: &Request<'_>, ticks: &Topic) -> Response {
    match (req.method().as_str(), req.path()) {
        ("GET" | "HEAD", "/") => Response::html(include_str!("events.html")),
        ("GET", "/events") => ticks.subscribe(req),
        (_, "/" | "/events") => Response::method_not_allowed("GET, HEAD"),
        _ => Response::not_found(),
    }
}
