//! Routes against a slow model that follows the definition of Go 1.22 patterns: random sets of
//! patterns with methods and hosts, and random paths, clean or not, escaped or not.

use std::collections::BTreeSet;

use crate::support::random::Random;
use percent_encoding::percent_decode_str;
use wheelhouse::router::RouteError;
use wheelhouse::sim::Sim;
use wheelhouse::{Error, Request, Router};

const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "LOCK"];

/// A parsed pattern.
#[derive(Clone, Debug)]
struct Model {
    text: String,
    method: Option<String>,
    host: String,
    segments: Vec<Part>,
}

/// A segment of a pattern; the more specific one is the greater one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Only at the end: matches the rest of the path.
    Rest,
    Single,
    /// Decoded; empty only at the end: `{$}`.
    Literal(Vec<u8>),
}

impl Model {
    fn new(text: &str) -> Model {
        let (method, rest) = match text.split_once(' ') {
            Some((method, rest)) => (Some(method.to_owned()), rest),
            None => (None, text),
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let parts = path[1..].split('/').map(|part| match part {
            "" => Part::Rest,
            "{$}" => Part::Literal(Vec::new()),
            part if part.ends_with("...}") => Part::Rest,
            part if part.starts_with('{') => Part::Single,
            part => Part::Literal(percent_decode_str(part).collect()),
        });
        let host = host.to_ascii_lowercase();
        Model { text: text.to_owned(), method, host, segments: parts.collect() }
    }

    fn takes_method(&self, method: &str) -> bool {
        match self.method.as_deref() {
            None => true,
            Some("GET") => matches!(method, "GET" | "HEAD"),
            Some(own) => own == method,
        }
    }

    fn takes_path(&self, path: &str) -> bool {
        let parts: Vec<&str> = path[1..].split('/').collect();
        for (at, own) in self.segments.iter().enumerate() {
            let Some(part) = parts.get(at) else { return false };
            let fits = match own {
                Part::Rest => return true,
                Part::Single => !part.is_empty(),
                Part::Literal(text) => *text == percent_decode_str(part).collect::<Vec<u8>>(),
            };
            if !fits {
                return false;
            }
        }
        parts.len() == self.segments.len()
    }

    /// Whether the pattern matches without a rest.
    fn is_exact(&self, path: &str) -> bool {
        self.segments.last() != Some(&Part::Rest)
            || path.ends_with('/') && path.matches('/').count() == self.segments.len()
    }

    /// The wildcards' values, still encoded.
    fn values(&self, path: &str) -> Vec<String> {
        let parts: Vec<&str> = path[1..].split('/').collect();
        let value = |(at, own): (usize, &Part)| match own {
            Part::Literal(_) => None,
            Part::Single => Some(parts[at].to_owned()),
            Part::Rest => self.text.ends_with('}').then(|| parts[at..].join("/")),
        };
        self.segments.iter().enumerate().filter_map(value).collect()
    }
}

/// The order in which Go's tree is searched: host, method, segment by segment.
fn best<'m>(all: &'m [Model], host: &str, method: &str, path: &str) -> Option<&'m Model> {
    let fits = |model: &&Model| {
        (model.host.is_empty() || model.host == host)
            && model.takes_method(method)
            && model.takes_path(path)
    };
    all.iter().filter(fits).max_by_key(|model| {
        let own = model.method.as_deref() == Some(method);
        (!model.host.is_empty(), own, model.method.is_some(), &model.segments)
    })
}

/// The result according to Go, in the form of [`brief`].
fn expected(all: &[Model], method: &str, host: &str, raw: &str) -> String {
    let decoded = decoded(raw);
    let path = clean(&decoded);
    let found = best(all, host, method, &path);
    let longer = format!("{path}/");
    let is_exact = |model: Option<&Model>, path: &str| model.is_some_and(|m| m.is_exact(path));
    let is_asked_for = path.ends_with('/') || is_exact(found, &path);
    if !is_asked_for && is_exact(best(all, host, method, &longer), &longer) {
        return format!("307 {longer}");
    }
    let mut allowed = BTreeSet::new();
    for model in all.iter().filter(|model| model.host.is_empty() || model.host == host) {
        let takes = model.takes_path(&path) || !path.ends_with('/') && model.takes_path(&longer);
        allowed.extend(model.method.as_deref().filter(|_| takes));
    }
    if allowed.contains("GET") {
        allowed.insert("HEAD");
    }
    match found {
        None if !allowed.is_empty() => {
            allowed.insert("OPTIONS");
            let status = if method == "OPTIONS" { 204 } else { 405 };
            format!("{status} {}", allowed.into_iter().collect::<Vec<_>>().join(", "))
        }
        _ if path != decoded => format!("307 {path}"),
        None => "404".to_owned(),
        Some(model) => {
            let raw = model.values(raw);
            let decode = |raw: &String| percent_decode_str(raw).decode_utf8().unwrap().into_owned();
            let values: Vec<String> = raw.iter().map(decode).collect();
            format!("{} {raw:?} {values:?} {path}", model.text)
        }
    }
}

/// The path that the program sees. Of the escapes in this test only these two stay.
fn decoded(raw: &str) -> String {
    let kept = raw.replace("%2F", "%252F").replace("%2f", "%252F").replace("%25", "%2525");
    let kept = kept.replace("%25252F", "%252F");
    percent_decode_str(&kept).decode_utf8().unwrap().into_owned()
}

fn clean(path: &str) -> String {
    let mut kept = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    let slash = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

fn pattern(random: &mut Random) -> String {
    let mut text = random.pick(&["GET ", "POST ", "HEAD ", "LOCK ", "", "", ""]).to_owned();
    text += random.pick(&["", "", "", "one.example", "Two.example"]);
    for index in 0..random.below(4) {
        text += random.pick(&["/a", "/b", "/a%2Fb", "/%25", "/a-long-one-of-19-by"]);
        if random.one_in(3) {
            text.truncate(text.rfind('/').unwrap_or(0));
            text += &format!("/{{x{index}}}");
        }
    }
    let ends: &[&str] = match text.contains('/') {
        true => &["", "", "/", "/{$}", "/{rest...}"],
        false => &["/", "/", "/{$}", "/{rest...}"],
    };
    text + random.pick(ends)
}

fn path(random: &mut Random) -> String {
    let plain = ["/a", "/b", "/c", "/a%2Fb", "/%25", "/a-long-one-of-19-by"];
    let odd = ["/%61", "/%2561", "/a%2fb", "/a-long-one-of-19-bytes", "//", "/.", "/..", "/.a"];
    let odd = [&odd[..], &["/%2e", "/%2E.", "/%2ea"]].concat();
    let mut path = String::new();
    let is_odd = random.one_in(3);
    for _ in 0..random.below(5) {
        path +=
            if is_odd && random.below(2) == 0 { random.pick(&odd) } else { random.pick(&plain) };
    }
    if path.is_empty() || random.one_in(3) {
        path.push('/');
    }
    path
}

/// Random patterns that do not conflict.
fn patterns(random: &mut Random, count: usize) -> Vec<Model> {
    let mut kept: Vec<String> = Vec::new();
    for _ in 0..count {
        kept.push(pattern(random));
        if let Err(Error::Route(RouteError::Conflict { .. })) = router(&kept).build() {
            kept.pop();
        }
    }
    kept.iter().map(|text| Model::new(text)).collect()
}

fn router(patterns: &[String]) -> Router<()> {
    patterns.iter().fold(Router::<()>::new(), |router, pattern| {
        router.route(pattern, |_, req: &Request<'_>| {
            let names = ["x0", "x1", "x2", "rest"];
            let raw: Vec<_> = names.iter().filter_map(|name| req.raw_param(name)).collect();
            let values: Vec<_> = names.iter().filter_map(|name| req.param(name)).collect();
            format!("{} {raw:?} {values:?} {}", req.pattern().unwrap_or("none"), req.path())
        })
    })
}

/// A response in a few words.
fn brief(response: &[u8], method: &str, expected: &str) -> String {
    let response = String::from_utf8_lossy(response);
    let (head, content) = response.split_once("\r\n\r\n").expect("a complete response");
    let field = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name));
    match &head[9..12] {
        // Without content the length is compared instead.
        "200"
            if method == "HEAD"
                && field("Content-Length: ") == Some(&expected.len().to_string()) =>
        {
            expected.to_owned()
        }
        "200" => content.to_owned(),
        status @ ("204" | "405") => format!("{status} {}", field("Allow: ").unwrap()),
        "307" => format!("307 {}", field("Location: ").unwrap()),
        status => status.to_owned(),
    }
}

/// Makes random patterns, and compares the responses to random requests with the model.
pub(crate) fn compare(random: &mut Random, requests: usize, name: &dyn Fn() -> String) {
    let count = 1 + random.below(8);
    let all = patterns(random, count);
    let texts: Vec<String> = all.iter().map(|model| model.text.clone()).collect();
    let mut sim = Sim::new(router(&texts).build().unwrap());
    for _ in 0..requests {
        let (method, path) = (random.pick(&METHODS), path(random));
        let host = random.pick(&["zero.example", "one.example", "two.example"]);
        let expected = expected(&all, method, host, &path);
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let client = sim.connect_and_send(request.as_bytes());
        let response = brief(sim.received(client), method, &expected);
        assert_eq!(response, expected, "{}: {method} {host}{path}\n{texts:#?}", name());
    }
}

/// `WHEELHOUSE_SEED` and `WHEELHOUSE_ROUNDS` set the starting point and the length of the search
/// (t183, t186, t189, t193, t199, t201).
#[test]
fn every_request_gets_the_response_that_the_definition_of_go_requires() {
    let number = |name, default| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seed = number("WHEELHOUSE_SEED", 1);
    let mut random = Random::new(seed);
    for round in 0..number("WHEELHOUSE_ROUNDS", 150) {
        compare(&mut random, 80, &|| format!("seed {seed}, round {round}"));
    }
}

/// The sets of requests are enumerated (t197, t198).
#[test]
fn two_patterns_conflict_if_they_share_requests_and_neither_matches_strictly_fewer() {
    let mut paths = vec!["/".to_owned()];
    let mut last = vec![String::new()];
    for _ in 0..4 {
        last = last
            .iter()
            .flat_map(|path| ["a", "b", "z", "a%2Fb", "%25"].map(|part| format!("{path}/{part}")))
            .collect();
        paths.extend(last.iter().flat_map(|path| [path.clone(), format!("{path}/")]));
    }
    let mut random = Random::new(3);
    let (mut conflicts, mut others) = (0, 0);
    for _ in 0..800 {
        let texts = [pattern(&mut random), pattern(&mut random)]
            .map(|text| text.replace("a-long-one-of-19-by", "a"));
        let [one, other] = [Model::new(&texts[0]), Model::new(&texts[1])];
        let (mut both, mut only_one, mut only_other) = (0, 0, 0);
        for path in &paths {
            let [by_one, by_other] = [one.takes_path(path), other.takes_path(path)];
            for method in METHODS {
                match (by_one && one.takes_method(method), by_other && other.takes_method(method)) {
                    (true, true) => both += 1,
                    (true, false) => only_one += 1,
                    (false, true) => only_other += 1,
                    (false, false) => {}
                }
            }
        }
        let is_strict = (only_one == 0) != (only_other == 0);
        let is_conflict = one.host == other.host && both > 0 && !is_strict;
        let built = router(&texts).build();
        assert_eq!(built.is_err(), is_conflict, "{texts:?}");
        if let Err(Error::Route(RouteError::Conflict { first, second, example })) = built {
            assert_eq!([first, second], texts);
            let path = &example[example.find('/').unwrap()..];
            assert!(one.takes_path(path) && other.takes_path(path), "{texts:?}: {example}");
        }
        *if is_conflict { &mut conflicts } else { &mut others } += 1;
    }
    assert!(conflicts > 20 && others > 100, "{conflicts} {others}");
}
