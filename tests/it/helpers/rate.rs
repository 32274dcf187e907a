//! A limit for the requests of each client address.

use std::net::SocketAddr;

use crate::support::*;
use wheelhouse::guards::{RateLimit, TrustedProxies};
use wheelhouse::sim::Sim;
use wheelhouse::{Router, Server};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A server that passes two requests of a client at once, and one in each ten seconds.
fn limited() -> Sim {
    let mut rate = RateLimit::per_address(6, 60 * SECOND).unwrap().burst(2);
    let server = Server::new().guard(move |_, req| rate.check(req));
    Sim::of(server, |_: &wheelhouse::Request<'_>| "passed").unwrap()
}

#[test]
fn a_client_above_its_rate_gets_429_until_its_time_comes() {
    let mut sim = limited();
    let first = address("198.51.100.1:1000");
    let get = |sim: &mut Sim, peer| sim.request("GET", "/").from(peer).send();
    assert_eq!(get(&mut sim, first).text(), "passed");
    assert_eq!(get(&mut sim, first).text(), "passed");
    let refused = get(&mut sim, first);
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.header("Retry-After"), Some("10"));
    let other_port = address("198.51.100.1:2000");
    assert_eq!(get(&mut sim, other_port).status(), 429, "the port does not matter");
    assert_eq!(get(&mut sim, address("198.51.100.2:1000")).status(), 200);
    sim.advance(10 * SECOND);
    assert_eq!(get(&mut sim, first).text(), "passed");
    assert_eq!(
        get(&mut sim, first).status(),
        429,
        "refusals do not count, and nothing is saved up"
    );
}

#[test]
fn a_network_of_ipv6_is_one_client() {
    let mut sim = limited();
    let mut status = |peer| sim.request("GET", "/").from(address(peer)).send().status();
    assert_eq!(status("[2001:db8::1]:1"), 200);
    assert_eq!(status("[2001:db8::2]:1"), 200);
    assert_eq!(status("[2001:db8::3]:1"), 429);
    assert_eq!(status("[2001:db8:0:1::3]:1"), 200);
}

/// All requests come from one proxy, which reports its clients.
#[test]
fn behind_trusted_proxies_each_of_their_clients_has_its_own_rate() {
    let proxies = TrustedProxies::x_forwarded_for().trust("192.0.2.0/24").unwrap();
    let mut rate = RateLimit::per_address(1, 60 * SECOND).unwrap().behind(proxies);
    let server = Server::new().guard(move |_, req| rate.check(req));
    let mut sim = Sim::of(server, |_: &wheelhouse::Request<'_>| "passed").unwrap();
    let mut status = |peer, clients: &str| {
        let request = sim.request("GET", "/").from(address(peer));
        match clients {
            "" => request.send().status(),
            clients => request.header("X-Forwarded-For", clients).send().status(),
        }
    };
    let (proxy, second, stranger) = ("192.0.2.1:1", "192.0.2.2:1", "198.51.100.9:1");
    assert_eq!(status(proxy, "203.0.113.1"), 200);
    assert_eq!(status(proxy, "203.0.113.1"), 429);
    assert_eq!(status(second, "203.0.113.1"), 429, "by another proxy");
    assert_eq!(status(proxy, "6.6.6.6, 203.0.113.1"), 429, "the left end is the client's own text");
    assert_eq!(status(proxy, "203.0.113.2"), 200);
    assert_eq!(status(proxy, ""), 200, "without a report it is the proxy itself");
    assert_eq!(status(proxy, "unknown"), 429);
    assert_eq!(status(stranger, "203.0.113.3"), 200);
    assert_eq!(status(stranger, "203.0.113.4"), 429, "a peer that is not trusted is the client");
    assert_eq!(status("203.0.113.1:1", ""), 429, "a client that comes without the proxy");
}

#[test]
fn a_guard_of_a_nest_limits_only_its_routes() {
    let mut rate = RateLimit::per_address(1, 60 * SECOND).unwrap();
    let routes = Router::<()>::new()
        .get("/", |_, _| "outer")
        .nest("/inner", |inner| inner.get("/", |_, _| "inner").guard(move |_, req| rate.check(req)))
        .build()
        .unwrap();
    let mut sim = Sim::new(routes);
    let peer = address("198.51.100.1:1000");
    let mut status = |path| sim.request("GET", path).from(peer).send().status();
    assert_eq!(
        [status("/inner/"), status("/"), status("/inner/"), status("/")],
        [200, 200, 429, 200]
    );
}
