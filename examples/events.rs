//! Server-sent events: a timer publishes to one topic, and pages follow it.
//!
//! ```text
//! cargo run --release --example events -- 127.0.0.1:8080 examples
//! curl -N http://127.0.0.1:8080/events            # id: 1, event: temperature, data: 20.1, ..
//! curl -N -H 'Last-Event-ID: 1' http://127.0.0.1:8080/events      # the events after the first
//! ```
//!
//! Or open <http://127.0.0.1:8080/> in a browser: the page is a file of the directory. A page that
//! reconnects names the last event that it received and gets the later ones, as far as the topic
//! still has them.

use std::time::Duration;

use wheelhouse::events::{Event, Topic};
use wheelhouse::files::Files;
use wheelhouse::{Error, Router, Server};

struct Plant {
    temperature: f64,
    readings: Topic,
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let directory = arguments.next().unwrap_or_else(|| "examples".to_owned());
    let routes = Router::<Plant>::new()
        .get("/events", |plant, req| plant.readings.subscribe(req))
        .mount("/", Files::new(directory)?.index(["events.html"]))
        .build()?;
    Server::with_state(Plant { temperature: 20.0, readings: Topic::new(64) })
        .every(Duration::from_millis(500), |plant| {
            plant.temperature += 0.1; // Here stands a sensor.
            let reading = Event::new(format!("{:.1}", plant.temperature));
            plant.readings.publish(reading.named("temperature"));
        })
        // Ends the streams of all pages, which would last until the end of `shutdown_timeout`.
        .on_shutdown(|plant| plant.readings.close())
        .on_signals()
        .listen(&address)?
        .run(routes)?;
    Ok(())
}
