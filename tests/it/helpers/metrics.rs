//! Metrics in the text format of Prometheus, read by a strict parser, and the pages for health checks.

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use crate::support::panics::expect_panics;
use crate::support::*;
use wheelhouse::metrics::{prometheus, Health, Kind, Metrics, Ready, Text};
use wheelhouse::runtime::Totals;
use wheelhouse::{Response, Router, Routes, Server};

/// A family of the text: its type, and its samples in their order.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: Vec<Sample>,
}

/// The end of a name after that of the family, the labels, and the value.
type Sample = (String, Vec<(String, String)>, f64);

/// Parses a text. Panics where it is not exactly the format of version 0.0.4, as its page describes it.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut lines = text.strip_suffix('\n').expect("the last line ends").split('\n').peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").expect(line).split_once(' ').expect(line);
        assert!(is_name(name) && !help.is_empty(), "{line}");
        let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")));
        let kind = kind.expect(line).to_owned();
        let mut samples = Vec::new();
        while lines.peek().is_some_and(|line| !line.starts_with('#')) {
            let line = lines.next().unwrap();
            samples.push(sample(line.strip_prefix(name).expect("a sample of this family")));
        }
        check(&kind, name, &samples);
        let family = Family { kind, samples };
        assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
    }
    families
}

/// Parses a sample without the name of its family.
fn sample(line: &str) -> Sample {
    let (name, value) = line.rsplit_once(' ').expect(line);
    let value = value.parse().expect(line);
    let Some((suffix, labels)) = name.split_once('{') else {
        return (name.to_owned(), Vec::new(), value);
    };
    let mut rest = labels.strip_suffix('}').expect(line);
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let (label, text) = rest.split_once("=\"").expect(line);
        assert!(is_name(label) && !label.contains(':'), "{line}");
        let (text, after) = unescape(text);
        labels.push((label.to_owned(), text));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (suffix.to_owned(), labels, value)
}

/// Returns the text before the closing quote, and everything after it.
fn unescape(text: &str) -> (String, &str) {
    let (mut out, mut chars) = (String::new(), text.chars());
    loop {
        match chars.next().expect("a closing quote") {
            '"' => return (out, chars.as_str()),
            '\\' => out.push(match chars.next() {
                Some('n') => '\n',
                Some(char @ ('\\' | '"')) => char,
                other => panic!("unknown escape: {other:?}"),
            }),
            char => out.push(char),
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || b"_:".contains(&byte);
    name.bytes().next().is_some_and(is_letter)
        && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// Checks the rules of the type, and the conventions for names.
fn check(kind: &str, name: &str, samples: &[Sample]) {
    let mut labels: Vec<_> = samples.iter().map(|(suffix, labels, _)| (suffix, labels)).collect();
    labels.sort();
    labels.dedup();
    assert_eq!(labels.len(), samples.len(), "{name}: a sample comes twice");
    assert!(!samples.is_empty(), "{name} has no sample");
    match kind {
        "counter" => assert!(name.ends_with("_total"), "{name}"),
        "gauge" => assert!(!name.ends_with("_total"), "{name}"),
        "histogram" => return check_histogram(name, samples),
        other => panic!("{name}: unknown type {other}"),
    }
    assert!(samples.iter().all(|(suffix, _, value)| suffix.is_empty() && *value >= 0.0), "{name}");
}

fn check_histogram(name: &str, samples: &[Sample]) {
    assert!(name.ends_with("_seconds"), "{name}");
    let [buckets @ .., sum, count] = samples else { panic!("{name}: {samples:?}") };
    assert_eq!((sum.0.as_str(), count.0.as_str()), ("_sum", "_count"));
    let bound = |(suffix, labels, value): &Sample| {
        assert_eq!((suffix.as_str(), labels.len(), labels[0].0.as_str()), ("_bucket", 1, "le"));
        (labels[0].1.parse::<f64>().unwrap(), *value)
    };
    let bounds: Vec<_> = buckets.iter().map(bound).collect();
    assert!(bounds.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{bounds:?}");
    assert_eq!(bounds.last().unwrap(), &(f64::INFINITY, count.2));
    assert_eq!(buckets.last().unwrap().1[0].1, "+Inf");
}

/// The value of a sample: of the one without labels, or of the one whose label has this text.
fn value(families: &BTreeMap<String, Family>, name: &str, label: Option<&str>) -> f64 {
    let samples = &families[name].samples;
    let is_it = |(suffix, labels, _): &&Sample| {
        suffix.is_empty() && labels.first().map(|(_, text)| text.as_str()) == label
    };
    samples.iter().find(is_it).unwrap_or_else(|| panic!("{name} {label:?}")).2
}

fn monitored() -> (Server, impl FnOnce() -> Routes<()>) {
    let server = Server::new();
    let stats = server.stats();
    let routes = move || {
        let routes = Router::<()>::new()
            .get("/{$}", |(), _| "hello\n")
            .get("/never", |(), _| never())
            .get("/panic", |(), _| -> Response { panic!("a handler of a test panics") })
            .handle("GET /metrics", Metrics::new(stats.clone()))
            .handle("GET /health", Health)
            .handle("GET /ready", Ready::new(stats));
        routes.build().unwrap()
    };
    (server, routes)
}

#[test]
fn the_text_is_in_the_format_of_prometheus_and_has_the_numbers_of_the_server() {
    expect_panics(&["a handler of a test panics"]);
    let (server, routes) = monitored();
    let mut sim = sim_of(server, routes());
    for path in ["/", "/", "/else", "/panic"] {
        sim.get(path);
    }
    sim.connect_and_send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    sim.connect_and_send("GET / HT");
    sim.connect_and_send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    sim.advance(SECOND);
    let response = sim.get("/metrics");
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(
        (response.status().as_u16(), response.header("Content-Type")),
        (200, Some(media_type))
    );
    let families = parse(response.text());
    let value = |name: &str, label| value(&families, &format!("wheelhouse_{name}"), label);
    assert_eq!(value("requests_total", None), 5.0);
    let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
    assert_eq!(
        classes.map(|class| value("responses_total", Some(class))),
        [0.0, 2.0, 0.0, 2.0, 1.0]
    );
    assert_eq!(value("refusals_total", Some("host")), 1.0);
    assert_eq!(value("refusals_total", Some("internal")), 1.0);
    assert_eq!(value("panics_total", None), 1.0);
    assert_eq!(value("connections", Some("handler")), 1.0);
    assert_eq!(value("connections", Some("head")), 1.0);
    assert_eq!(value("draining", None), 0.0);
    let of_turns = &families["wheelhouse_turn_duration_seconds"];
    assert_eq!(of_turns.kind, "histogram");
    assert_eq!(of_turns.samples[0].1[0].1, "0.000001");
}

/// So no number is forgotten when one is added.
#[test]
fn each_field_of_the_totals_has_a_family() {
    let stats = Server::new().stats();
    let families = parse(&prometheus(&stats));
    let debug = format!("{:#?}", stats.totals());
    let fields = debug.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
    // `refused`, `too_slow` and `evicted` are sums of what is there by kind.
    let count = fields.filter(|(name, _)| !name.starts_with(' ')).count() - 3;
    // `draining` is no field of the totals.
    assert_eq!(count, families.len() - 1, "{debug}");
    let empty = Totals::default();
    assert_eq!((empty.requests, empty.turns.count()), (0, 0));
}

#[test]
fn texts_of_the_program_are_escaped_and_wrong_names_are_found() {
    expect_panics(&["is not a name", "a sample belongs"]);
    let mut text = Text::new();
    text.family(Kind::Gauge, "shop:open_days", "Days \\ of\nthe \"week\".");
    text.sample(&[("name", "a \"b\" \\ \n c"), ("n", "")], -0.5);
    text.sample(&[("name", "ö")], f64::INFINITY);
    text.sample(&[], 1e15);
    assert_eq!(
        text.to_string(),
        "# HELP shop:open_days Days \\\\ of\\nthe \"week\".\n# TYPE shop:open_days gauge\n\
         shop:open_days{name=\"a \\\"b\\\" \\\\ \\n c\",n=\"\"} -0.5\n\
         shop:open_days{name=\"ö\"} +Inf\nshop:open_days 1000000000000000\n"
    );
    let (suffix, labels, value) = sample("{name=\"a \\\"b\\\" \\\\ \\n c\",n=\"\"} -0.5");
    assert_eq!((suffix.as_str(), value), ("", -0.5));
    assert_eq!(labels[0].1, "a \"b\" \\ \n c");
    for name in ["", "1st", "with space", "naïve", "a-b"] {
        let begun = catch_unwind(|| Text::new().family(Kind::Gauge, name, "help"));
        assert!(begun.is_err(), "{name}");
    }
    for label in ["", "a:b", "a-b"] {
        let mut text = text.clone();
        assert!(catch_unwind(move || text.sample(&[(label, "")], 0.0)).is_err(), "{label}");
    }
    assert!(catch_unwind(|| Text::new().sample(&[], 0.0)).is_err());
}

#[test]
fn a_server_that_drains_is_healthy_and_not_ready() {
    let (server, routes) = monitored();
    let mut sim = sim_of(server, routes());
    assert_eq!((sim.get("/ready").text(), sim.get("/health").text()), ("ready\n", "well\n"));
    assert_eq!(sim.get("/ready").header("Cache-Control"), Some("no-store"));
    // Their requests have begun, so they are still answered.
    let clients = ["/ready", "/health", "/metrics"].map(|path| {
        let client = sim.connect_and_send(format!("GET {path} HTTP/1.1\r\nHost:"));
        (client, path)
    });
    shut_down(&mut sim);
    for (client, path) in clients {
        sim.send(client, " a\r\n\r\n");
        let text = text(&mut sim, client);
        match path {
            "/ready" => assert!(
                text.starts_with("HTTP/1.1 503 ")
                    && text.ends_with("\r\n\r\ndraining: the server is shutting down\n"),
                "{text}"
            ),
            "/health" => assert!(text.starts_with("HTTP/1.1 200 "), "{text}"),
            _ => assert!(text.contains("\nwheelhouse_draining 1\n"), "{text}"),
        }
    }
}

/// Else the sample would be one of the last family of the server, which is a histogram.
#[test]
#[should_panic(expected = "a sample belongs to a family")]
fn a_sample_after_the_numbers_of_the_server_needs_a_family_of_its_own() {
    Text::of(&wheelhouse::Server::new().stats()).sample(&[], 1.0);
}
