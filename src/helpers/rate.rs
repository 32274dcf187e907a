//! [`RateLimit`]: how many requests one client address may make in a time.
//!
//! Each address has a token bucket, in the form of the generic cell rate algorithm (ITU-T I.371):
//! one point in time for each address, at which its bucket is full again. So an address that has not
//! been heard of for some time needs no entry, and no timer fills any bucket.
//!
//! The table has a fixed size. It consists of sets of [`WAYS`] entries, and an address has its place
//! in one set. A new address takes the place of the entry whose bucket is the fullest, because that
//! one loses least.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;

use crate::error::Error;
use crate::helpers::forwarded::TrustedProxies;
use crate::message::request::Request;
use crate::message::response::Response;

/// The entries of a set, of which a lookup reads all.
const WAYS: usize = 8;

/// The greatest number of addresses by default. They take 96 KiB.
const ADDRESSES_MAX: usize = 4096;

/// A guard that limits the rate of requests from each client address.
///
/// An address may make as many requests at once as its *burst*, by default all requests of a
/// period. After that it may make one for each part of the period. A request above the rate gets a
/// 429 with `Retry-After`, and does not count. For IPv6, an address is a network of 64 bits, since
/// one client has all addresses of such a network. Clients of a Unix socket have no address and no
/// limit. For a server whose clients come through a proxy, see [`behind`](RateLimit::behind).
///
/// As a guard of a server, of a router or of a [nest](crate::Router::nest), it limits the requests
/// that pass through there:
///
/// ```
/// use std::time::Duration;
/// use wheelhouse::guards::RateLimit;
/// use wheelhouse::{sim::Sim, Router};
///
/// let mut logins = RateLimit::per_address(10, Duration::from_secs(60))?.burst(2);
/// let routes = Router::<()>::new()
///     .get("/", |_, _| "hello\n")
///     .nest("/login", |login| {
///         login.post("/", |_, _| "who?\n").guard(move |_, req| logins.check(req))
///     })
///     .build()?;
/// let mut sim = Sim::new(routes);
/// let peer = "192.0.2.7:1234".parse().unwrap();
/// let mut login = || sim.request("POST", "/login/").from(peer).send();
/// assert_eq!([login().status(), login().status()], [200, 200]);
/// assert_eq!(login().status(), 429);
/// assert_eq!(login().header("Retry-After"), Some("6"));
/// # Ok::<(), wheelhouse::Error>(())
/// ```
///
/// The limit is that of one loop: with [`Cores`](crate::runtime::Cores), each core counts what it
/// serves. For another response, replace the error: `limit.check(req).map_err(|_| Response::..)`.
///
/// **Memory.** The table takes 24 B for each address of its [size](RateLimit::addresses_max) and
/// never grows. A client with more addresses than that can have more requests than the rate, since
/// its addresses push each other out, but it cannot take away what others may still do.
#[derive(Debug)]
#[doc(alias("throttle", "token bucket", "limit_req", "429"))]
#[must_use = "a rate limit does nothing until its `check` is called"]
pub struct RateLimit {
    /// The time that one request costs.
    cost: Nanos,
    burst: u32,
    /// A random key, so that no client can choose addresses that share a set.
    hasher: RandomState,
    entries: Vec<Entry>,
    len: usize,
    /// The proxies that report the addresses of their clients.
    proxies: Option<TrustedProxies>,
}

/// Nanoseconds since the start of the loop.
type Nanos = u64;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The [`key`] of the address.
    address: u128,
    /// The time at which the bucket is full again.
    full_at: Nanos,
}

impl RateLimit {
    /// Creates a limit: each address may make `requests` requests in `period`, evenly over the
    /// period, and as many at once.
    ///
    /// # Errors
    ///
    /// [`Error::Rate`] if `requests` is 0, or if `period` is 0 or longer than a year.
    pub fn per_address(requests: u32, period: Duration) -> Result<RateLimit, Error> {
        const YEAR: Duration = Duration::from_secs(366 * 86_400);
        if requests == 0 || period.is_zero() || period > YEAR {
            return Err(Error::Rate { requests, period });
        }
        let cost = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX) / u64::from(requests);
        let limit = RateLimit {
            cost: cost.max(1),
            burst: requests,
            hasher: RandomState::new(),
            entries: Vec::new(),
            len: 0,
            proxies: None,
        };
        Ok(limit.addresses_max(ADDRESSES_MAX))
    }

    /// Sets the number of requests that an address may make at once after a pause, at least 1. By
    /// default all requests of a period: for 60 in a minute, 60 at once, and then one in each second.
    pub fn burst(mut self, burst: u32) -> RateLimit {
        self.burst = burst.max(1);
        self
    }

    /// Sets the number of addresses in the table, rounded up to a multiple of 8. Default 4,096.
    pub fn addresses_max(mut self, max: usize) -> RateLimit {
        self.len = max.max(1).next_multiple_of(WAYS);
        self.entries = Vec::new();
        self
    }

    /// Takes for the address that which trusted proxies report
    /// ([`TrustedProxies::client_addr`]). Without this, all clients of a proxy share one rate, which
    /// is that of the address of the proxy.
    ///
    /// A proxy that reports no address of its client has a rate of its own, as any other client. So
    /// let the proxy set the field in each request, and remove the one that the client sends.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wheelhouse::guards::{RateLimit, TrustedProxies};
    ///
    /// let proxies = TrustedProxies::x_forwarded_for().trust("10.0.0.0/8")?;
    /// let mut limit = RateLimit::per_address(60, Duration::from_secs(60))?.behind(proxies);
    /// let server = wheelhouse::Server::new().guard(move |_, req| limit.check(req));
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias("X-Forwarded-For", "Forwarded", "real_ip"))]
    pub fn behind(mut self, proxies: TrustedProxies) -> RateLimit {
        self.proxies = Some(proxies);
        self
    }

    /// Counts a request, if its address may make one now.
    ///
    /// # Errors
    ///
    /// A 429 with `Retry-After`, the seconds until the address may make a request again.
    pub fn check(&mut self, req: &Request<'_>) -> Result<(), Response> {
        let address = match &self.proxies {
            Some(proxies) => proxies.client_addr(req),
            None => req.peer_addr().map(|peer| peer.ip()),
        };
        let Some(address) = address else { return Ok(()) };
        let now = req.turn_time().now.saturating_mul(1_000_000);
        self.take(key(address), now).map_err(too_many)
    }

    /// Takes a token of an address. Returns the time until there is one, if there is none.
    fn take(&mut self, address: u128, now: Nanos) -> Result<(), Duration> {
        let (cost, burst) = (self.cost, u64::from(self.burst));
        let entry = self.entry(address);
        let full_at = entry.full_at.max(now);
        // An empty bucket is full after `burst` requests' time, and one request needs one of them.
        let latest = now.saturating_add(cost.saturating_mul(burst - 1));
        if full_at > latest {
            return Err(Duration::from_nanos(full_at - latest));
        }
        entry.full_at = full_at.saturating_add(cost);
        Ok(())
    }

    /// Returns the entry of an address, or that whose place it takes.
    fn entry(&mut self, address: u128) -> &mut Entry {
        if self.entries.is_empty() {
            self.entries = vec![Entry::default(); self.len];
        }
        let sets = (self.len / WAYS) as u64;
        let start = (self.hasher.hash_one(address) % sets) as usize * WAYS;
        let set = &mut self.entries[start..start + WAYS];
        let place = match set.iter().position(|entry| entry.address == address) {
            Some(place) => place,
            None => {
                let fullest = (0..WAYS).min_by_key(|&n| set[n].full_at).unwrap_or(0);
                set[fullest] = Entry { address, full_at: 0 };
                fullest
            }
        };
        &mut set[place]
    }
}

/// Returns the key of an address: for IPv6, its network of 64 bits. No address has the key 0, which
/// stands for an unused entry.
fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX) | 1,
    }
}

fn too_many(wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Response::status_page(StatusCode::TOO_MANY_REQUESTS)
        .with_header("Retry-After", seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn limit(requests: u32, seconds: u64) -> RateLimit {
        RateLimit::per_address(requests, Duration::from_secs(seconds)).unwrap()
    }

    /// How many requests an address may make at this time.
    fn taken(limit: &mut RateLimit, address: u128, now: Nanos) -> usize {
        (0..1000).take_while(|_| limit.take(address, now).is_ok()).count()
    }

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let mut limit = limit(10, 60);
        assert_eq!(taken(&mut limit, 1, SECOND), 10);
        assert_eq!(limit.take(1, SECOND), Err(Duration::from_secs(6)));
        assert_eq!(limit.take(1, 6 * SECOND), Err(Duration::from_secs(1)));
        assert_eq!(taken(&mut limit, 1, 7 * SECOND), 1);
        assert_eq!(taken(&mut limit, 1, 19 * SECOND), 2);
        assert_eq!(taken(&mut limit, 1, 1000 * SECOND), 10, "never more than the burst");
        assert_eq!(taken(&mut limit, 2, SECOND), 10, "another address has its own");
    }

    #[test]
    fn a_burst_of_one_spreads_the_requests_evenly() {
        let mut limit = limit(2, 1).burst(0);
        assert_eq!(taken(&mut limit, 1, SECOND), 1);
        assert_eq!(limit.take(1, SECOND + SECOND / 2 - 1), Err(Duration::from_nanos(1)));
        assert_eq!(taken(&mut limit, 1, SECOND + SECOND / 2), 1);
    }

    #[test]
    fn an_address_of_ipv6_is_its_network_and_a_mapped_one_is_one_of_ipv4() {
        let key = |text: &str| key(text.parse().unwrap());
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn many_addresses_push_out_those_with_full_buckets_and_not_those_that_wait() {
        let mut limit = limit(2, 60).addresses_max(8);
        assert_eq!(taken(&mut limit, 1, SECOND), 2);
        for address in 2..1000 {
            assert_eq!(limit.take(address, SECOND), Ok(()));
        }
        assert_eq!(limit.entries.len(), 8);
        assert!(limit.take(1, SECOND).is_err(), "its bucket is the emptiest");
        assert_eq!(limit.take(2, SECOND), Ok(()), "it was pushed out");
    }

    #[test]
    fn extreme_rates_do_not_overflow() {
        let mut fast = RateLimit::per_address(u32::MAX, Duration::from_nanos(1)).unwrap();
        assert_eq!(taken(&mut fast, 1, 0), 1000);
        let mut slow = limit(1, 366 * 86_400).burst(u32::MAX);
        assert_eq!(taken(&mut slow, 1, u64::MAX), 1000);
    }

    #[test]
    fn a_rate_without_requests_or_time_is_an_error() {
        for (requests, seconds) in [(0, 1), (1, 0), (1, 400 * 86_400)] {
            let error = RateLimit::per_address(requests, Duration::from_secs(seconds)).unwrap_err();
            assert!(error.to_string().starts_with("a rate of "), "{error}");
        }
    }
}
