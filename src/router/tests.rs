//! Tests of patterns against tables, and of the tree against a slow matcher that follows the
//! definition. Tests over the wire are in `tests/it/router`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::pattern::{decode_segment, End, Segment};
use super::relation::Relation;
use super::tree::Fit;
use super::*;
use crate::limits::Limits;
use crate::message::request::{Span, PARAMS_MAX};
use crate::sim::Sim;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Go: t196.
#[test]
fn a_pattern_has_method_host_segments_and_end() {
    // Literals are in quotes, wildcards are {} with their names at the end, | is before the end.
    let table = [
        ("/", "any  | *"),
        ("/a", "any  \"a\" |"),
        ("/a/", "any  \"a\" | *"),
        ("/path/to/something", "any  \"path\" \"to\" \"something\" |"),
        ("/{w1}/lit/{w2}", "any  {} \"lit\" {} | w1 w2"),
        ("/{w1}/lit/{w2}/", "any  {} \"lit\" {} | * w1 w2"),
        ("example.com/", "any example.com | *"),
        ("GET /", "GET  | *"),
        ("POST example.com/foo/{w}", "POST example.com \"foo\" {} | w"),
        ("GET\t  /a", "GET  \"a\" |"),
        ("FOO-bar /a", "FOO-bar  \"a\" |"),
        ("/{$}", "any  | $"),
        ("DELETE EXAMPLE.com:80/{$}", "DELETE example.com:80 | $"),
        ("/{a}/{$}", "any  {} | $ a"),
        ("/a/{rest...}", "any  \"a\" | * rest"),
        ("/%61%2Fb/%7B%7D", "any  \"a/b\" \"{}\" |"),
        ("/%zz%61", "any  \"%zz%61\" |"),
        ("/a.b/..c/...", "any  \"a.b\" \"..c\" \"...\" |"),
        ("GET /a b/\u{e4}", "GET  \"a b\" \"\u{e4}\" |"),
        ("/a}", "any  \"a}\" |"),
        ("/{_1}/{\u{e4}2...}", "any  {} | * _1 \u{e4}2"),
    ];
    for (text, expected) in table {
        let Pattern { method, host, segments, end, names, .. } = pattern(text);
        let mut parsed = format!("{} {host}", method.as_ref().map_or("any", Method::as_str));
        for segment in &segments {
            match segment {
                Segment::Literal(text) => {
                    parsed += &format!(" \"{}\"", String::from_utf8_lossy(text));
                }
                Segment::Single => parsed += " {}",
            }
        }
        parsed += match end {
            End::Nothing => " |",
            End::Slash => " | $",
            End::Rest => " | *",
        };
        for name in names.iter() {
            parsed += &format!(" {name}");
        }
        assert_eq!(parsed.replace("  |", " |"), expected.replace("  |", " |"), "{text}");
    }
}

/// Go: t196 (errors), each with its byte.
#[test]
fn the_error_for_a_malformed_pattern_has_the_byte_at_fault() {
    let table = [
        ("", 0, "no \"/\""),
        ("GET", 0, "no \"/\""),
        ("GET ", 4, "no \"/\""),
        ("A=B /", 0, "method"),
        (" /", 0, "method"),
        ("GET {h}.com/", 4, "host"),
        ("GET a b/", 5, "host"),
        ("/{w}x", 1, "whole segment"),
        ("/x{w}", 2, "whole segment"),
        ("/{wx", 1, "whole segment"),
        ("/a/{a}/c/{b}x", 9, "whole segment"),
        ("/{}", 2, "name"),
        ("/{...}", 2, "name"),
        ("/{$...}", 2, "name"),
        ("/{1a}", 2, "name"),
        ("/{a-b}", 2, "name"),
        ("/{a.b}", 2, "name"),
        ("/{$}/", 1, "end"),
        ("/a/{$}/b", 3, "end"),
        ("/{a...}/", 1, "end"),
        ("/{a}/b/{a}", 8, "twice"),
        ("GET /{a}/{a...}", 10, "twice"),
        ("//", 1, "clean"),
        ("GET /a//b", 7, "clean"),
        ("/a/./b", 3, "clean"),
        ("/..", 1, "clean"),
        ("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", 0, "8 wildcards"),
    ];
    for (text, expected_at, word) in table {
        match Pattern::parse(text) {
            Err(RouteError::Pattern { pattern, at, reason }) => {
                assert_eq!((&*pattern, at), (text, expected_at), "{reason}");
                assert!(reason.contains(word), "{text}: {reason}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

const SPECIFIC: Relation = Relation::MoreSpecific;
const GENERAL: Relation = Relation::MoreGeneral;
const EQUAL: Relation = Relation::Equal;
const NONE: Relation = Relation::Disjoint;
const OVERLAP: Relation = Relation::Overlapping;

/// Go: t197, t198; every pair is compared in both orders.
#[rustfmt::skip]
const PAIRS: &[(&str, &str, Relation)] = &[
    // Methods.
    ("/a", "/a", EQUAL),
    ("GET /a", "GET /a", EQUAL),
    ("GET /a", "/a", SPECIFIC),
    ("HEAD /a", "GET /a", SPECIFIC),
    ("HEAD /a", "/a", SPECIFIC),
    ("GET /a", "POST /a", NONE),
    ("HEAD /a", "POST /a", NONE),
    ("GET /a", "/{x}", SPECIFIC),
    ("/a", "GET /{x}", OVERLAP),
    ("GET /a", "HEAD /{x}", OVERLAP),
    ("HEAD /a", "GET /{x}", SPECIFIC),
    ("POST /a", "GET /{x}", NONE),
    ("GET /", "/a", OVERLAP),
    ("GET /", "POST /a", NONE),
    ("GET /", "HEAD /a", GENERAL),
    ("GET /", "/", SPECIFIC),
    // Literals.
    ("/a", "/b", NONE),
    ("/a", "/ab", NONE),
    ("/a", "/a/b", NONE),
    ("/a/b", "/a/b", EQUAL),
    ("/a/b", "/a/c", NONE),
    ("/a/b", "/c/b", NONE),
    ("/a", "/%61", EQUAL),
    ("/a%2Fb", "/a/b", NONE),
    ("/a%2fb", "/a%2Fb", EQUAL),
    ("/%zz", "/%25zz", EQUAL),
    ("/A", "/a", NONE),
    // Literals and wildcards of one segment.
    ("/{x}", "/{y}", EQUAL),
    ("/a", "/{x}", SPECIFIC),
    ("/a/b", "/{x}", NONE),
    ("/a/b", "/{x}/b", SPECIFIC),
    ("/a/b", "/a/{x}", SPECIFIC),
    ("/a/b", "/{x}/{y}", SPECIFIC),
    ("/a/{x}", "/{y}/b", OVERLAP),
    ("/a/{x}", "/{y}/{z}", SPECIFIC),
    ("/a/{x}", "/b/{x}", NONE),
    ("/a/{x}/c", "/{y}/b/c", OVERLAP),
    ("/a/{x}/c", "/{y}/b/d", NONE),
    ("/a/{x}/c", "/{y}/b/{z}", OVERLAP),
    ("/a/{x}/c", "/a/b/{z}", OVERLAP),
    ("/a/{x}/c", "/a/{y}/{z}", SPECIFIC),
    ("/a/{x}/{y}", "/{z}/b/{w}", OVERLAP),
    ("/{x}/{y}/c", "/a/{z}/{w}", OVERLAP),
    ("/{x}/{y}/c", "/a/b/{w}", OVERLAP),
    ("/{x}/{y}/c", "/{z}/{w}/{v}", SPECIFIC),
    ("/{x}/b", "/{y}/b", EQUAL),
    ("/{x}/b", "/{y}/c", NONE),
    ("/{x}", "/{y}/{z}", NONE),
    // `{$}`.
    ("/{$}", "/{$}", EQUAL),
    ("/{$}", "/", SPECIFIC),
    ("/{$}", "/{x}", NONE),
    ("/{$}", "/a", NONE),
    ("/{$}", "/a/", NONE),
    ("/{$}", "/{x...}", SPECIFIC),
    ("/a/{$}", "/a", NONE),
    ("/a/{$}", "/a/", SPECIFIC),
    ("/a/{$}", "/a/b", NONE),
    ("/a/{$}", "/a/{x}", NONE),
    ("/a/{$}", "/{x}/{$}", SPECIFIC),
    ("/a/{$}", "/{x}/", SPECIFIC),
    ("/a/{$}", "/b/{$}", NONE),
    ("/a/{$}", "/{x...}", SPECIFIC),
    ("/{x}/{$}", "/a/", OVERLAP),
    ("/{x}/{$}", "/a/{y...}", OVERLAP),
    ("/{x}/{$}", "/", SPECIFIC),
    ("/{x}/{$}", "/{y}/{$}", EQUAL),
    ("/{x}/{$}", "/{y}", NONE),
    ("/a/b/{$}", "/a/{x}/{$}", SPECIFIC),
    ("/a/{x}/{$}", "/{y}/b/{$}", OVERLAP),
    // Subtrees.
    ("/", "/", EQUAL),
    ("/", "/{x...}", EQUAL),
    ("/", "/a", GENERAL),
    ("/", "/a/", GENERAL),
    ("/", "/{x}", GENERAL),
    ("/", "/{x}/", GENERAL),
    ("/", "/{x}/b", GENERAL),
    ("/a/", "/a", NONE),
    ("/a/", "/b", NONE),
    ("/a/", "/a/b", GENERAL),
    ("/a/", "/a/b/", GENERAL),
    ("/a/", "/a/{x}", GENERAL),
    ("/a/", "/a/{x}/", GENERAL),
    ("/a/", "/a/{x...}", EQUAL),
    ("/a/", "/b/", NONE),
    ("/a/", "/{x}", NONE),
    ("/a/", "/{x}/", SPECIFIC),
    ("/a/", "/{x}/b", OVERLAP),
    ("/a/", "/{x}/{y}", OVERLAP),
    ("/a/", "/{x}/b/", OVERLAP),
    ("/a/", "/{x}/{y...}", SPECIFIC),
    ("/a/", "/b/{x}", NONE),
    ("/a/b/", "/{x}/", SPECIFIC),
    ("/a/b/", "/{x}/b/", SPECIFIC),
    ("/a/b/", "/{x}/c/", NONE),
    ("/a/b/", "/a/", SPECIFIC),
    ("/a/b/", "/{x}/b/c", OVERLAP),
    ("/a/b/", "/a/{x}", NONE),
    ("/a/b/", "/a/{x}/", SPECIFIC),
    ("/a/b/", "/a/{x}/c", OVERLAP),
    ("/{x}/", "/a", NONE),
    ("/{x}/", "/a/b", GENERAL),
    ("/{x}/", "/a/{y}", GENERAL),
    ("/{x}/", "/{y}/{z}", GENERAL),
    ("/{x}/", "/{y}/", EQUAL),
    ("/{x}/b/", "/a/{y}/", OVERLAP),
    ("/{x}/b/", "/{y}/b/{z...}", EQUAL),
    ("/{x}/b/", "/{y}/{z}/", SPECIFIC),
    ("/{x...}", "/{y...}", EQUAL),
    ("/a/{x...}", "/{y...}", SPECIFIC),
    ("/a/{x...}", "/b/{y...}", NONE),
    ("/a/{x...}", "/{y}/b/{z...}", OVERLAP),
    ("/a/{x...}", "/a/b/{z...}", GENERAL),
    // Methods and paths together.
    ("GET /a/", "/a/b", OVERLAP),
    ("GET /a/b", "/a/", SPECIFIC),
    ("GET /a/{x}", "POST /{y}/b", NONE),
    ("GET /{x}/b", "HEAD /{y}/{z}", OVERLAP),
    ("HEAD /{x}/b", "GET /{y}/{z}", SPECIFIC),
];

/// Go: t197.
#[test]
fn two_patterns_relate_as_their_sets_of_requests_do() {
    assert!(PAIRS.len() >= 106, "{}", PAIRS.len());
    for &(one, other, expected) in PAIRS {
        let mirrored = match expected {
            SPECIFIC => GENERAL,
            GENERAL => SPECIFIC,
            same => same,
        };
        let (first, second) = (pattern(one), pattern(other));
        assert_eq!(first.relation(&second), expected, "{one} to {other}");
        assert_eq!(second.relation(&first), mirrored, "{other} to {one}");
    }
}

/// Go: t198: the table above again, by way of `build`.
#[test]
fn patterns_conflict_if_they_overlap_or_are_equal_and_the_example_is_matched_by_both() {
    for &(one, other, relation) in PAIRS {
        let built = Router::<()>::new().route(one, |_, _| "").route(other, |_, _| "").build();
        let is_conflict = matches!(relation, EQUAL | OVERLAP);
        assert_eq!(built.is_err(), is_conflict, "{one} and {other}");
        if let Err(Error::Route(RouteError::Conflict { first, second, example })) = built {
            assert_eq!((&*first, &*second), (one, other));
            for text in [one, other] {
                assert!(matches(&pattern(text), &example), "{text} does not match {example}");
            }
        }
    }
}

/// Go: t198: patterns of different hosts.
#[test]
fn patterns_of_different_hosts_never_conflict() {
    let router = || Router::<()>::new().get("a.example/{x}/b", |_, _| "");
    assert!(router().get("b.example/a/{y}", |_, _| "").build().is_ok());
    assert!(router().get("/a/{y}", |_, _| "").build().is_ok());
    let conflict = router().get("A.Example/a/{y}", |_, _| "").build().unwrap_err();
    assert_eq!(
        conflict.to_string(),
        "patterns \"GET a.example/{x}/b\" and \"GET A.Example/a/{y}\" conflict: both match \
         \"a.example/a/b\", and neither is more specific than the other"
    );
}

/// Whether a pattern matches a clean path, according to the definition.
fn matches(pattern: &Pattern, path: &str) -> bool {
    let parts: Vec<&str> = path[1..].split('/').collect();
    let count = pattern.segments.len();
    let begins = |parts: &[&str]| {
        parts.len() >= count
            && pattern.segments.iter().zip(parts).all(|(segment, part)| match segment {
                Segment::Literal(text) => **text == *decode_segment(part.as_bytes()),
                Segment::Single => !part.is_empty(),
            })
    };
    begins(&parts)
        && match pattern.end {
            End::Nothing => parts.len() == count && (count > 0),
            End::Slash => parts.len() == count + 1 && parts[count].is_empty(),
            End::Rest => parts.len() > count,
        }
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % bound
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    fn pattern(&mut self) -> String {
        let mut text = self.pick(&["GET ", "POST ", "HEAD ", "BREW ", "", ""]).to_owned();
        for index in 0..self.below(4) {
            text += self.pick(&["/a", "/b", "/ab", "/a"]);
            if self.below(3) == 0 {
                text.truncate(text.rfind('/').unwrap_or(0));
                text += &format!("/{{x{index}}}");
            }
        }
        let needs_end = !text.contains('/');
        text + self.pick(if needs_end { &["/", "/{$}"] } else { &["", "", "/", "/{$}"] })
    }

    fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..self.below(5) {
            path += self.pick(&["/a", "/b", "/ab", "/c"]);
        }
        if path.is_empty() || self.below(3) == 0 {
            path.push('/');
        }
        path
    }
}

/// Go: t199, t200.
#[test]
fn the_tree_finds_the_most_specific_of_all_patterns_that_match() {
    let mut numbers = Numbers(7);
    let mut spans = [Span { start: 0, len: 0 }; PARAMS_MAX];
    let (mut found, mut missed) = (0, 0);
    for _ in 0..400 {
        let mut table = Table::default();
        for _ in 0..12 {
            let _ = table.insert(pattern(&numbers.pattern()));
        }
        for _ in 0..60 {
            let path = numbers.path();
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT] {
                let wanted = pattern(&format!("{method} /"));
                let fits = |known: &&Pattern| {
                    let relation = wanted.relation(&Pattern {
                        segments: Vec::new(),
                        end: End::Rest,
                        ..(**known).clone()
                    });
                    matches!(relation, EQUAL | SPECIFIC) && matches(known, &path)
                };
                let candidates: Vec<&Pattern> = table.patterns.iter().filter(fits).collect();
                let best = candidates.iter().find(|best| {
                    candidates.iter().all(|other| matches!(best.relation(other), EQUAL | SPECIFIC))
                });
                assert_eq!(best.is_some(), !candidates.is_empty(), "no best of several");
                let mut route = None;
                let _ = table.anywhere.walk(path.as_bytes(), &mut spans, |leaf, fit| {
                    if fit != Fit::LacksSlash {
                        route = leaf.route(&method);
                    }
                    route.map_or(ControlFlow::Continue(()), |_| ControlFlow::Break(()))
                });
                let route = route.map(|index| &table.patterns[index].text);
                assert_eq!(route, best.map(|best| &best.text), "{method} {path}");
                if best.is_some() {
                    found += 1;
                } else {
                    missed += 1;
                }
            }
        }
    }
    assert!(found > 10_000 && missed > 10_000, "{found} {missed}");
}

/// Go: t199, t201: the routes of other methods.
#[test]
fn the_tree_shows_all_patterns_that_match_with_or_without_an_added_slash() {
    let mut numbers = Numbers(11);
    let mut spans = [Span { start: 0, len: 0 }; PARAMS_MAX];
    let (mut beside, mut with_slash) = (0, 0);
    for _ in 0..400 {
        let mut table = Table::default();
        for _ in 0..12 {
            let _ = table.insert(pattern(&numbers.pattern()));
        }
        for _ in 0..60 {
            let path = numbers.path();
            let longer = format!("{path}/");
            let leaves_nothing = |pattern: &Pattern| {
                let count = longer.split('/').count() - 2;
                pattern.segments.len() == count && matches(pattern, &longer)
            };
            let mut wanted = (Vec::new(), Vec::new());
            for pattern in &table.patterns {
                let mut names: Vec<&str> = pattern.method.iter().map(Method::as_str).collect();
                names.extend(names.contains(&"GET").then_some("HEAD"));
                if matches(pattern, &path) {
                    wanted.0.extend(names);
                } else if leaves_nothing(pattern) {
                    wanted.1.extend(names);
                }
            }
            let mut seen = (BTreeSet::new(), BTreeSet::new());
            let _ = table.anywhere.walk(path.as_bytes(), &mut spans, |leaf, fit| {
                let seen = if fit == Fit::LacksSlash { &mut seen.1 } else { &mut seen.0 };
                leaf.add_methods(seen);
                ControlFlow::Continue(())
            });
            assert_eq!(seen.0, wanted.0.iter().copied().collect(), "{path}");
            assert_eq!(seen.1, wanted.1.iter().copied().collect(), "{path} with a slash added");
            beside += wanted.0.len();
            with_slash += wanted.1.len();
        }
    }
    assert!(beside > 10_000 && with_slash > 1_000, "{beside} {with_slash}");
}

/// Every spelling of a dot segment is a dot segment, so no pattern can have one.
#[test]
fn a_pattern_with_an_escaped_dot_segment_is_invalid() {
    for text in ["/%2e", "/a/%2E%2e/b", "/a/.%2e"] {
        let error = Pattern::parse(text).unwrap_err();
        assert!(matches!(error, RouteError::Pattern { .. }), "{text}: {error}");
    }
    assert!(Pattern::parse("/%2e%2e%2e").is_ok());
}

/// A position has 16 bits, so the decoded path must not be longer than the longest head.
#[test]
fn the_longest_path_of_escapes_is_routed() {
    let routes = Router::<()>::new().get("/a/{x}/{y...}", |_, req| {
        let (x, y) = (req.param("x").unwrap(), req.param("y").unwrap());
        format!("{} {} {}", x.len(), y.len(), req.raw_param("y").unwrap().len())
    });
    let limits = Limits { head_bytes_max: 65_000, target_bytes_max: 64_000, ..Limits::default() };
    let server = crate::Server::new().limits(limits);
    let mut sim = Sim::of(server, routes.build().unwrap()).unwrap();
    let path = format!("/a/{}/{}", "%25".repeat(10_000), "%01/".repeat(7_500));
    let client = sim.connect_and_send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    let received = String::from_utf8_lossy(sim.received(client)).into_owned();
    assert!(received.ends_with("\r\n\r\n10000 15000 30000"), "{received}");
}
