//! The numbers of a server for monitoring: metrics in the text format of Prometheus, and pages for
//! health checks.
//!
//! ```
//! use wheelhouse::metrics::{Health, Metrics, Ready};
//! use wheelhouse::{sim::Sim, Router, Server};
//!
//! let server = Server::new();
//! let stats = server.stats();
//! let routes = Router::<()>::new()
//!     .get("/", |_, _| "hello\n")
//!     .handle("GET /metrics", Metrics::new(stats.clone()))
//!     .handle("GET /health", Health)
//!     .handle("GET /ready", Ready::new(stats));
//! let mut sim = Sim::of(server, routes.build()?)?;
//! sim.get("/");
//! assert!(sim.get("/metrics").text().contains("\nwheelhouse_requests_total 1\n"));
//! assert_eq!(sim.get("/ready").text(), "ready\n");
//! # Ok::<(), wheelhouse::Error>(())
//! ```
//!
//! Serve these pages where only the operator gets: on another
//! [listener](crate::runtime::Listener::named), or behind a
//! [guard](crate::Router::guard).

use std::fmt::{self, Write};
use std::time::Duration;

use http::StatusCode;

use crate::handler::{Handler, Reply};
use crate::message::request::Request;
use crate::message::response::Response;
use crate::stats::{Histogram, Stats, Totals};

/// The media type of version 0.0.4, which every version of Prometheus reads.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns the numbers of a server in the text format of Prometheus.
pub fn prometheus(stats: &Stats) -> String {
    Text::of(stats).0
}

/// Serves the metrics of a server, for example at `/metrics`. A program with metrics of its own
/// uses [`Text`] instead.
#[derive(Clone, Debug)]
pub struct Metrics(Stats);

impl Metrics {
    /// Returns the handler for the server that the numbers are from.
    pub fn new(stats: Stats) -> Metrics {
        Metrics(stats)
    }
}

impl<S> Handler<S> for Metrics {
    fn handle(&mut self, _: &mut S, _: &Request<'_>) -> Reply<S> {
        Text::of(&self.0).into()
    }
}

/// Tells load balancers whether the server takes requests, for example at `/ready`: 200, and 503
/// from the beginning of a shutdown on.
///
/// A shutdown closes the listeners. So the 503 gets to those that keep their connection or have sent
/// their request before.
#[derive(Clone, Debug)]
pub struct Ready(Stats);

impl Ready {
    /// Returns the handler for the server that the numbers are from.
    pub fn new(stats: Stats) -> Ready {
        Ready(stats)
    }
}

impl<S> Handler<S> for Ready {
    fn handle(&mut self, _: &mut S, _: &Request<'_>) -> Reply<S> {
        let mut response = Response::text("ready\n");
        if self.0.is_draining() {
            response = Response::text("draining: the server is shutting down\n")
                .with_status(StatusCode::SERVICE_UNAVAILABLE);
        }
        response.with_header("Cache-Control", "no-store").into()
    }
}

/// Responds with 200 as long as the loop makes its turns, for example at `/health`. A loop that
/// hangs gives no response, so the check needs a timeout.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health;

impl<S> Handler<S> for Health {
    fn handle(&mut self, _: &mut S, _: &Request<'_>) -> Reply<S> {
        Response::text("well\n").with_header("Cache-Control", "no-store").into()
    }
}

/// Metrics in the text format of Prometheus: those of a server, and those of the program after
/// them. As a reply it has the right media type.
///
/// ```
/// use wheelhouse::metrics::{Kind, Text};
/// use wheelhouse::{sim::Sim, Router, Server};
///
/// struct Shop {
///     sold: u64,
/// }
///
/// let server = Server::with_state(Shop { sold: 3 });
/// let stats = server.stats();
/// let routes = Router::<Shop>::new().get("/metrics", move |shop, _| {
///     let mut text = Text::of(&stats);
///     text.family(Kind::Counter, "shop_sold_total", "Things that were sold.");
///     text.sample(&[("shelf", "fruit")], shop.sold as f64);
///     text
/// });
/// let mut sim = Sim::of(server, routes.build()?)?;
/// assert!(sim.get("/metrics").text().ends_with("\nshop_sold_total{shelf=\"fruit\"} 3\n"));
/// # Ok::<(), wheelhouse::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Text(String, &'static str);

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only grows, until the program ends. Its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Text {
    /// Returns a text without metrics.
    pub fn new() -> Text {
        Text::default()
    }

    /// Returns the metrics of a server.
    pub fn of(stats: &Stats) -> Text {
        let mut text = Text::new();
        text.add_server(&stats.totals(), stats.is_draining());
        text.1 = ""; // The program begins a family before its first sample.
        text
    }

    /// Begins a family of samples that have the name in common. The name has the unit at its end,
    /// such as `_seconds` or `_bytes`.
    ///
    /// # Panics
    ///
    /// If the name is empty, begins with a digit, or has a character other than letters, digits,
    /// `_` and `:` of ASCII.
    pub fn family(&mut self, kind: Kind, name: &'static str, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.begin(kind, name, help);
    }

    /// Adds a sample of the family that was begun last. Each has other labels.
    ///
    /// # Panics
    ///
    /// If no family was begun, or if the name of a label is no name, as for
    /// [`family`](Text::family).
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        assert!(!self.1.is_empty(), "a sample belongs to a family");
        self.line("", labels, value);
    }

    fn begin(&mut self, kind: &str, name: &'static str, help: &str) {
        assert!(is_name(name), "{name:?} is not a name of a metric");
        let help = Escaped(help, false);
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self.1 = name;
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let name = self.1;
        self.write(format_args!("{name}{suffix}"));
        for (n, (label, text)) in labels.iter().enumerate() {
            assert!(is_name(label) && !label.contains(':'), "{label:?} is not a name of a label");
            let before = if n == 0 { '{' } else { ',' };
            self.write(format_args!("{before}{label}=\"{}\"", Escaped(text, true)));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{end} {}\n", Value(value)));
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(text); // To a string, it cannot fail.
    }

    fn one(&mut self, kind: Kind, name: &'static str, help: &str, value: u64) {
        self.family(kind, name, help);
        self.sample(&[], value as f64);
    }

    fn each<'a>(
        &mut self,
        (kind, name, help): (Kind, &'static str, &str),
        label: &str,
        samples: impl Iterator<Item = (&'a str, u64)>,
    ) {
        self.family(kind, name, help);
        samples.for_each(|(text, value)| self.sample(&[(label, text)], value as f64));
    }

    fn histogram(&mut self, name: &'static str, help: &str, histogram: &Histogram) {
        self.begin("histogram", name, help);
        let mut below = 0;
        for (bound, count) in histogram.buckets() {
            below += count;
            let bound = match bound {
                Duration::MAX => "+Inf".to_owned(),
                bound => bound.as_secs_f64().to_string(),
            };
            self.line("_bucket", &[("le", &bound)], below as f64);
        }
        self.line("_sum", &[], histogram.sum().as_secs_f64());
        self.line("_count", &[], below as f64);
    }

    fn add_server(&mut self, totals: &Totals, is_draining: bool) {
        self.add_requests(totals);
        self.add_connections(totals);
        self.add_faults(totals);
        self.add_resources(totals, is_draining);
    }

    fn add_requests(&mut self, totals: &Totals) {
        use Kind::Counter;
        let Totals { requests, responses, refusals, bytes_received, bytes_sent, .. } = totals;
        self.one(Counter, "wheelhouse_requests_total", "Requests given to the handler.", *requests);
        self.each(
            (
                Counter,
                "wheelhouse_responses_total",
                "Final responses, by the class of their status.",
            ),
            "class",
            ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(*responses),
        );
        self.each(
            (
                Counter,
                "wheelhouse_refusals_total",
                "Requests that the server refused by itself, by reason.",
            ),
            "reason",
            refusals.iter().map(|(reason, count)| (reason.name(), count)),
        );
        let name = "wheelhouse_received_bytes_total";
        self.one(Counter, name, "Bytes read from sockets.", *bytes_received);
        self.one(Counter, "wheelhouse_sent_bytes_total", "Bytes written to sockets.", *bytes_sent);
    }

    fn add_connections(&mut self, totals: &Totals) {
        use Kind::{Counter, Gauge};
        let name = "wheelhouse_connections_accepted_total";
        self.one(Counter, name, "Connections accepted.", totals.accepted);
        self.each(
            (Gauge, "wheelhouse_connections", "Open connections, by what they wait for."),
            "phase",
            totals.connections.iter().map(|(phase, count)| (phase.name(), count)),
        );
        let help = "Connections that wait to be accepted, because their address has its share.";
        self.one(Gauge, "wheelhouse_connections_waiting", help, totals.waiting);
        let help = "The most connections that may be open.";
        self.one(Gauge, "wheelhouse_connections_limit", help, totals.connections_max);
        self.each(
            (
                Counter,
                "wheelhouse_connections_evicted_total",
                "Connections that had to give way to others, by cause.",
            ),
            "cause",
            totals.evictions.iter().map(|(cause, count)| (cause.name(), count)),
        );
    }

    fn add_faults(&mut self, totals: &Totals) {
        use Kind::Counter;
        self.each(
            (
                Counter,
                "wheelhouse_deadlines_passed_total",
                "Deadlines that passed, by kind. Those of silence, idle and linger are no faults.",
            ),
            "kind",
            totals.deadlines.iter().map(|(kind, count)| (kind.name(), count)),
        );
        let help = "Responses that the program began and could not finish.";
        self.one(Counter, "wheelhouse_responses_cut_off_total", help, totals.cut_off);
        let help = "Panics of handlers and other functions of the program.";
        self.one(Counter, "wheelhouse_panics_total", help, totals.panics);
        let help = "Calls of accept that failed.";
        self.one(Counter, "wheelhouse_accept_errors_total", help, totals.accept_errors);
    }

    fn add_resources(&mut self, totals: &Totals, is_draining: bool) {
        use Kind::Gauge;
        self.each(
            (Gauge, "wheelhouse_memory_bytes", "Memory that counts against the limit, by holder."),
            "holder",
            totals.memory.iter().map(|(holder, bytes)| (holder.name(), bytes)),
        );
        let help = "The most memory that clients can make the server hold.";
        self.one(Gauge, "wheelhouse_memory_limit_bytes", help, totals.memory_bytes_max);
        let help = "Connections that are ready to be served.";
        self.one(Gauge, "wheelhouse_connections_ready", help, totals.ready);
        let help = "Event loops that these numbers are from.";
        self.one(Gauge, "wheelhouse_loops", help, totals.loops);
        let help = "1 from the beginning of a shutdown on.";
        self.one(Gauge, "wheelhouse_draining", help, u64::from(is_draining));
        let help = "Times of turns of the loop, sleep excluded.";
        self.histogram("wheelhouse_turn_duration_seconds", help, &totals.turns);
    }
}

/// The text so far.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Text> for Response {
    fn from(text: Text) -> Response {
        Response::ok(TEXT_FORMAT, text.0)
    }
}

impl<S> From<Text> for Reply<S> {
    fn from(text: Text) -> Reply<S> {
        Response::from(text).into()
    }
}

/// Whether this may be the name of a metric.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':');
    bytes.next().is_some_and(is_letter)
        && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// Text in which line breaks and backslashes are escaped, and quotes in the value of a label.
struct Escaped<'a>(&'a str, bool);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '"' if self.1 => f.write_str("\\\""),
            char => f.write_char(char),
        })
    }
}

/// A number as Prometheus reads it.
struct Value(f64);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if value == f64::INFINITY => f.write_str("+Inf"),
            value if value == f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}
