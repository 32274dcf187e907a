//! The limits of pairs, cookies and ranges, which `Limits` holds like those of the protocol.

use crate::support::limited;
use wheelhouse::files::Files;
use wheelhouse::{Limits, Request};

/// Go has such limits in several places (w52).
#[test]
fn pairs_cookies_and_ranges_are_bounded_by_the_limits_of_the_server() {
    let limits = Limits { pairs_max: 2, cookies_max: 2, ranges_max: 2, ..Limits::default() };
    let files = Files::new(env!("CARGO_MANIFEST_DIR")).unwrap();
    let site = move |req: &Request<'_>| match req.path() {
        "/asked" => {
            let pairs = req.query();
            wheelhouse::Response::text(format!(
                "{} {:?} {}",
                pairs.iter().count(),
                pairs.check().is_ok(),
                req.cookies().count()
            ))
        }
        _ => files.respond(req),
    };
    let mut sim = limited(site, limits);
    let client = sim.connect();
    for (query, cookie, expected) in
        [("a=1&b=2", "a=1; b=2", "2 true 2"), ("a=1&b=2&c=3", "a=1; b=2; c=3", "2 false 0")]
    {
        let head = format!("GET /asked?{query} HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
        sim.send(client, head.as_bytes());
        assert!(sim.take_received(client).ends_with(expected.as_bytes()), "{expected}");
    }
    for (ranges, status) in [("0-0,2-2", "206"), ("0-0,2-2,4-4", "200")] {
        let head = format!("GET /Cargo.toml HTTP/1.1\r\nHost: a\r\nRange: bytes={ranges}\r\n\r\n");
        sim.send(client, head.as_bytes());
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    }
}
