//! [`TrustedProxies`]: the address of a client whose requests come through proxies.
//!
//! Each proxy adds the address of its own client at the right end of a list. So the list is read
//! from the right, and only as far as the proxies are trusted: everything to the left may be
//! invented by the client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::error::Error;
use crate::message::request::Request;

/// Proxies that report the addresses of their clients, and the field in which they do so.
///
/// The rightmost address of the list that is not one of a trusted proxy is the client's. A peer
/// that is not trusted is the client itself, whatever its request says.
///
/// Choose the field that your proxy sets. The other one is ignored, because a proxy that does not
/// know it passes on the text that the client has made up. nginx, HAProxy, Caddy and most load
/// balancers set `X-Forwarded-For` if they are configured for it.
///
/// ```
/// use wheelhouse::guards::TrustedProxies;
/// use wheelhouse::{sim::Sim, Request};
///
/// // The simulated clients have addresses of this network.
/// let proxies = TrustedProxies::x_forwarded_for().trust("192.0.2.0/24")?.trust("10.0.0.1")?;
/// let mut sim = Sim::new(move |req: &Request<'_>| {
///     proxies.client_addr(req).map_or("unknown".to_owned(), |client| client.to_string())
/// });
/// let request = sim.request("GET", "/").header("X-Forwarded-For", "6.6.6.6, 203.0.113.7");
/// assert_eq!(request.send().text(), "203.0.113.7");
/// # Ok::<(), wheelhouse::Error>(())
/// ```
#[doc(alias("X-Forwarded-For", "Forwarded", "real_ip", "RemoteAddr"))]
#[derive(Clone, Debug)]
#[must_use = "trusted proxies do nothing until `client_addr` is called"]
pub struct TrustedProxies {
    field: Field,
    networks: Vec<Network>,
    trusts_unix: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    XForwardedFor,
    Forwarded,
}

impl TrustedProxies {
    /// Trusts no proxy so far. The field is `X-Forwarded-For`, a list of addresses.
    pub fn x_forwarded_for() -> TrustedProxies {
        TrustedProxies { field: Field::XForwardedFor, networks: Vec::new(), trusts_unix: false }
    }

    /// Trusts no proxy so far. The field is `Forwarded` (RFC 7239), whose parameter `for` has the
    /// address.
    pub fn forwarded() -> TrustedProxies {
        TrustedProxies { field: Field::Forwarded, ..TrustedProxies::x_forwarded_for() }
    }

    /// Trusts the proxies of a network, such as `10.0.0.0/8` or `2001:db8::/32`, or with one
    /// address. `unix` stands for every client of a Unix socket.
    ///
    /// # Errors
    ///
    /// [`Error::Network`] for anything else.
    pub fn trust(mut self, network: &str) -> Result<TrustedProxies, Error> {
        if network == "unix" {
            self.trusts_unix = true;
        } else {
            let malformed = || Error::Network { network: network.to_owned() };
            self.networks.push(Network::parse(network).ok_or_else(malformed)?);
        }
        Ok(self)
    }

    /// Returns the address of the client: the one that the trusted proxies report, or that of the
    /// [peer](Request::peer_addr).
    ///
    /// If a trusted proxy reports no address that can be read, such as `unknown`, that is the
    /// address of this proxy. `None` for the peer of a Unix socket that reports none, or that is
    /// not trusted.
    pub fn client_addr(&self, req: &Request<'_>) -> Option<IpAddr> {
        let peer = req.peer_addr().map(|peer| peer.ip());
        let name = match self.field {
            Field::XForwardedFor => "x-forwarded-for",
            Field::Forwarded => "forwarded",
        };
        let is_trusted = peer.map_or(self.trusts_unix, |peer| self.trusts(peer));
        match is_trusted {
            true => self.client_of(peer, &req.headers().all(name).collect::<Vec<_>>()),
            false => peer,
        }
    }

    /// Returns the address of the client of `proxy`, which is trusted and sent `lines`.
    fn client_of(&self, proxy: Option<IpAddr>, lines: &[&[u8]]) -> Option<IpAddr> {
        let mut client = proxy;
        for node in lines.iter().rev().flat_map(|line| self.nodes(line)) {
            match node {
                None => break,
                Some(address) => client = Some(address),
            }
            if client.is_some_and(|address| !self.trusts(address)) {
                break;
            }
        }
        client
    }

    /// The addresses of one line, from the right. `None` stands for an element without one.
    fn nodes<'a>(&self, line: &'a [u8]) -> impl Iterator<Item = Option<IpAddr>> + 'a {
        let field = self.field;
        let elements = Elements { rest: Some(line), has_quotes: field == Field::Forwarded };
        elements.filter(|element| !element.is_empty()).map(move |element| {
            let text = std::str::from_utf8(element).ok()?;
            address(match field {
                Field::XForwardedFor => text,
                Field::Forwarded => node_of(text)?,
            })
        })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// The elements of a comma-separated list from the right, trimmed.
///
/// A client can begin a quoted string that it does not end. Read from the right, that has no effect
/// on the elements which proxies have added after it.
struct Elements<'a> {
    rest: Option<&'a [u8]>,
    has_quotes: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let mut is_quoted = false;
        let comma = rest.iter().rposition(|&byte| {
            is_quoted ^= self.has_quotes && byte == b'"';
            byte == b',' && !is_quoted
        });
        let Some(comma) = comma else { return Some(rest.trim_ascii()) };
        self.rest = Some(&rest[..comma]);
        Some(rest[comma + 1..].trim_ascii())
    }
}

/// Returns the value of the parameter `for` of an element of `Forwarded`. Returns `None` if the
/// element is malformed, has none or two of them, or has a backslash: no address needs one.
fn node_of(element: &str) -> Option<&str> {
    let mut found = None;
    let mut rest = element;
    loop {
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        if value.contains(['\\', '"']) {
            return None;
        }
        if name.trim().eq_ignore_ascii_case("for") && found.replace(value.trim()).is_some() {
            return None;
        }
        match after.trim_start().strip_prefix(';') {
            Some(next) => rest = next,
            None if after.trim().is_empty() => return found,
            None => return None,
        }
    }
}

/// Reads an address, which may have a port, and brackets if it is one of IPv6.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        let inner: Ipv6Addr = inner.parse().ok()?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return is_port.then(|| IpAddr::V6(inner).to_canonical());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = text.split_once(':')?;
    is_port(port).then(|| address.parse().ok().map(IpAddr::V4))?
}

/// Whether `text` is a port, or the name that a proxy has made up for one (RFC 7239, section 6).
fn is_port(text: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && text.bytes().all(is_name_byte)
}

/// A network, or one address.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    /// The number of leading bits that all addresses of the network share.
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let given: IpAddr = base.parse().ok()?;
        let bits = if given.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            Some(_) => return None,
            None => bits,
        };
        // A network of addresses of IPv4 that are written as those of IPv6.
        let base = if prefix >= 96 { given.to_canonical() } else { given };
        let prefix = if base.is_ipv4() && given.is_ipv6() { prefix - 96 } else { prefix };
        (prefix <= if base.is_ipv4() { 32 } else { 128 }).then_some(Network { base, prefix })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let (differences, bits) = match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                (u128::from(base.to_bits() ^ address.to_bits()), 32)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits() ^ address.to_bits(), 128),
            _ => return false,
        };
        differences.checked_shr(bits - self.prefix).unwrap_or(0) == 0
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    /// The client of a trusted proxy that sends these lines.
    fn client(proxies: &TrustedProxies, lines: &[&str]) -> String {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        proxies.client_of(Some(PROXY), &lines).unwrap().to_string()
    }

    fn trusting(proxies: TrustedProxies) -> TrustedProxies {
        let proxies = proxies.trust("10.0.0.0/8").unwrap();
        proxies.trust("2001:db8:a::/48").unwrap()
    }

    #[test]
    fn the_rightmost_address_that_is_not_a_proxy_is_the_client_of_x_forwarded_for() {
        let proxies = trusting(TrustedProxies::x_forwarded_for());
        for (lines, expected) in [
            (&[][..], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6,192.0.2.1, 10.1.2.3"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1", "10.1.2.3", " 10.4.5.6"], "192.0.2.1"),
            (&["10.7.7.7, 10.8.8.8"], "10.7.7.7"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["6.6.6.6, 2001:db8:a::5"], "6.6.6.6"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1,, "], "192.0.2.1"),
            (&["6.6.6.6, unknown"], "10.0.0.1"),
            (&["6.6.6.6, nonsense, 10.1.2.3"], "10.1.2.3"),
            (&["6.6.6.6, 192.0.2.1:"], "10.0.0.1"),
            (&["6.6.6.6, [192.0.2.1]"], "10.0.0.1"),
            (&["6.6.6.6, \u{e9}"], "10.0.0.1"),
            (&["\"6.6.6.6, 192.0.2.1"], "192.0.2.1"),
        ] {
            assert_eq!(client(&proxies, lines), expected, "{lines:?}");
        }
    }

    /// The first lines are the examples of RFC 7239, sections 4 and 6.
    #[test]
    fn the_rightmost_address_that_is_not_a_proxy_is_the_client_of_forwarded() {
        let proxies = trusting(TrustedProxies::forwarded());
        for (lines, expected) in [
            (&["for=\"_gazonk\""][..], "10.0.0.1"),
            (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (&["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
            (&["for=192.0.2.43, for=198.51.100.17"], "198.51.100.17"),
            (&["for=\"192.0.2.43:47011\""], "192.0.2.43"),
            (&["for=\"192.0.2.43:_port\""], "192.0.2.43"),
            (&["for=6.6.6.6", "for=192.0.2.1, for=10.1.2.3"], "192.0.2.1"),
            (&["by=x; for=192.0.2.1 ; host=\"a, b; for=6.6.6.6\""], "192.0.2.1"),
            (&["for=\", for=192.0.2.1"], "192.0.2.1"),
            (&["for=\"x, for=\"192.0.2.1\""], "192.0.2.1"),
            (&["for=\"6.6.6.6\\\", for=\"[2001:db8::1]\""], "2001:db8::1"),
            (&["for=6.6.6.6, proto=https"], "10.0.0.1"),
            (&["for=6.6.6.6, for=1.1.1.1;for=2.2.2.2"], "10.0.0.1"),
            (&["for=6.6.6.6, for=unknown"], "10.0.0.1"),
            (&["for=6.6.6.6, 192.0.2.1"], "10.0.0.1"),
            // A proxy that copies a host with escaped quotes.
            (&["for=192.0.2.1;host=\"x\\\",for=6.6.6.6;y=\\\"z\""], "10.0.0.1"),
        ] {
            assert_eq!(client(&proxies, lines), expected, "{lines:?}");
        }
    }

    /// A text from a seed, with the characters that have a meaning.
    fn noise(seed: &mut u64, len: usize) -> String {
        const SIGNS: &[u8] = b"\",;=\\ []:.%for10ab6_";
        let mut text = String::new();
        for _ in 0..len {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push(char::from(SIGNS[(*seed >> 33) as usize % SIGNS.len()]));
        }
        text
    }

    #[test]
    fn nothing_that_a_client_sends_changes_the_address_that_a_proxy_adds_to_it() {
        let mut seed = 7;
        for proxies in [TrustedProxies::x_forwarded_for(), TrustedProxies::forwarded()] {
            let proxies = trusting(proxies);
            let added: &[&str] = match proxies.field {
                Field::XForwardedFor => &["192.0.2.1", "192.0.2.1, 10.9.9.9"],
                Field::Forwarded => &["for=192.0.2.1", "for=\"192.0.2.1:80\", by=x;for=10.9.9.9"],
            };
            for len in 0..20_000 {
                let from_client = noise(&mut seed, len % 60);
                let added = added[len % added.len()];
                let one_line = format!("{from_client}, {added}");
                assert_eq!(client(&proxies, &[&one_line]), "192.0.2.1", "{one_line:?}");
                assert_eq!(client(&proxies, &[&from_client, added]), "192.0.2.1", "{one_line:?}");
                // Alone it may be anything, but not a panic.
                client(&proxies, &[&from_client]);
            }
        }
    }

    #[test]
    fn a_network_contains_the_addresses_that_share_its_leading_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3/8", "10.9.9.9", "9.255.255.255"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("192.0.2.1/32", "::ffff:192.0.2.1", "192.0.2.2"),
            ("192.0.2.128/25", "192.0.2.200", "192.0.2.127"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("::/0", "2001:db8::1", "127.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::1", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        for malformed in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0", "a/8"]
        {
            assert_eq!(Network::parse(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_sends() {
        for network in ["198.51.100.0/24", "0.0.0.0/0"] {
            let proxies = TrustedProxies::x_forwarded_for().trust(network).unwrap();
            let mut sim = crate::sim::Sim::new(move |req: &Request<'_>| {
                let is_peer = proxies.client_addr(req) == req.peer_addr().map(|peer| peer.ip());
                if is_peer {
                    "peer"
                } else {
                    "field"
                }
            });
            let request = sim.request("GET", "/").header("X-Forwarded-For", "203.0.113.7");
            let expected = if network == "0.0.0.0/0" { "field" } else { "peer" };
            assert_eq!(request.send().text(), expected, "{network}");
        }
    }
}
