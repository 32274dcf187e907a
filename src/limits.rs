//! Every limit and deadline of the server, in one printable struct.
//!
//! All are on by default. A *timeout* here is a `Duration`; the deadlines made from them are
//! points in time on the wheel. `wheelhouse --print-limits` prints this table with the reasons.

use std::fmt;
use std::time::Duration;

/// What one server may spend on its peers.
///
/// Start from a preset and change what differs:
///
/// ```
/// use wheelhouse::Limits;
///
/// let limits = Limits { connections_max: 512, ..Limits::small() };
/// limits.check().unwrap();
/// println!("{limits}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. `0` means: as many as the process may have descriptors, less a
    /// reserve for files and listeners. Default `0`. At the limit the server stops accepting,
    /// and the kernel's queue holds the rest.
    #[doc(alias = "LimitListener")]
    pub connections_max: usize,
    /// Bytes of user-space memory for everything that peers make the server hold: slots, wheel,
    /// blocks, collected content. Default 64 MiB. At 80 % keep-alive is refused and idle
    /// connections are closed, at 95 % no connection is accepted, at 100 % new content is
    /// answered with 503.
    pub memory_bytes_max: usize,
    /// Requests on one connection, after which it is closed. Default `u32::MAX`, no limit: an idle
    /// connection costs less than opening another.
    pub requests_max: u32,
    /// How old a connection may be. Default `None`, no limit: idle ones end by their own limits, and
    /// busy ones are worth keeping. With a limit, clients come back through whatever
    /// distributes connections. An idle connection is closed when it comes of age, any other after
    /// its next response, which says `Connection: close`. A connection that has left HTTP stays.
    pub connection_age_max: Option<Duration>,

    /// Bytes of a request head, from its first byte to the blank line; more is 431. Default
    /// 16 KiB: twice what browsers and proxies produce at their worst. At most 65,535.
    #[doc(alias = "MaxHeaderBytes")]
    pub head_bytes_max: usize,
    /// Bytes of a request target; more is 414. Default 8 KiB (RFC 9112, section 3 recommends at
    /// least 8,000).
    pub target_bytes_max: usize,
    /// Field lines of a head; more is 431. Default 100, as Apache and httparse users have it.
    /// At most 256.
    pub fields_max: usize,

    /// Time for a head to arrive whole: from the accept on a new connection, from its first byte
    /// on a kept one. Never restarted by a byte. Default 10 s; then 408, or a silent close if
    /// nothing came.
    #[doc(alias = "ReadHeaderTimeout")]
    pub head_timeout: Duration,
    /// How long a connection may stay without a request. Default 60 s: longer than the keep-alive
    /// of the usual clients and proxies, so that they close first.
    #[doc(alias = "IdleTimeout")]
    pub idle_timeout: Duration,
    /// What `idle_timeout` shrinks to as connections fill from 50 % to 90 % of
    /// `connections_max`. Default 5 s.
    pub idle_timeout_min: Duration,
    /// How long the program may take for an answer that it gives later ([`Reply::later`]), or
    /// pause the reception of content; then 504. Default 30 s: half of what proxies and browsers
    /// wait. A handler that runs on the loop is not covered: it holds everything.
    ///
    /// [`Reply::later`]: crate::Reply::later
    #[doc(alias = "TimeoutHandler")]
    pub handler_timeout: Duration,
    /// Window over which the rate of incoming content is measured. Default 10 s; the first
    /// window of each content is half as long again.
    pub content_window: Duration,
    /// Bytes per second that content must arrive with, over each window; slower is 408. Default
    /// 1 KiB/s: a tenth of a 2G modem. With 0 one byte in each window is enough.
    #[doc(alias = "ReadTimeout")]
    pub content_rate_min: u32,
    /// Window over which the rate of outgoing bytes is measured, while output waits. Default
    /// 10 s.
    pub response_window: Duration,
    /// Bytes per second that a peer must take over each window; slower is reset. Default
    /// 1 KiB/s. With 0 one byte in each window is enough.
    #[doc(alias = "WriteTimeout")]
    pub response_rate_min: u32,

    /// Pairs of a query or form that are looked at; the rest is left out, and
    /// [`Pairs::check`](crate::forms::Pairs::check) tells. Default 1,000: they are looked up by scanning,
    /// and pages have at most a few dozen fields.
    pub pairs_max: usize,
    /// Cookies of one request; more count as none. Default 3,000 (Go's bound, after an advisory):
    /// browsers keep at most a few hundred for one site.
    pub cookies_max: usize,
    /// Ranges of one request for a file; more are ignored and the file is sent whole (RFC 9110,
    /// section 14.2). Default 16: download managers ask for one at a time. At most 1,000.
    pub ranges_max: usize,

    /// Content that no handler asked for and that is read and dropped to keep the connection;
    /// more closes it. Default 64 KiB: about what is in flight anyway.
    pub discard_bytes_max: u64,
    /// Quiet time that ends the lingering close. Default 1 s.
    pub linger_quiet_timeout: Duration,
    /// Total time of the lingering close. Default 5 s.
    pub linger_timeout: Duration,
    /// Bytes read and dropped by the lingering close. Default 256 KiB: what a socket buffer
    /// holds.
    pub linger_bytes_max: u32,

    /// How long a graceful shutdown may take; what is left then is reset. Default 10 s, the
    /// grace that service managers give before they kill.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits::open_internet()
    }
}

impl Limits {
    /// For a server that anybody may reach: the default.
    pub const fn open_internet() -> Limits {
        Limits {
            connections_max: 0,
            memory_bytes_max: 64 << 20,
            requests_max: u32::MAX,
            connection_age_max: None,
            head_bytes_max: 16 << 10,
            target_bytes_max: 8 << 10,
            fields_max: 100,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            idle_timeout_min: Duration::from_secs(5),
            handler_timeout: Duration::from_secs(30),
            content_window: Duration::from_secs(10),
            content_rate_min: 1 << 10,
            response_window: Duration::from_secs(10),
            response_rate_min: 1 << 10,
            pairs_max: 1_000,
            cookies_max: 3_000,
            ranges_max: 16,
            discard_bytes_max: 64 << 10,
            linger_quiet_timeout: Duration::from_secs(1),
            linger_timeout: Duration::from_secs(5),
            linger_bytes_max: 256 << 10,
            shutdown_timeout: Duration::from_secs(10),
        }
    }

    /// For a board with a few megabytes to spare: 64 connections, 1 MiB, heads of 8 KiB.
    pub const fn small() -> Limits {
        Limits {
            connections_max: 64,
            memory_bytes_max: 1 << 20,
            head_bytes_max: 8 << 10,
            target_bytes_max: 4 << 10,
            fields_max: 64,
            idle_timeout: Duration::from_secs(20),
            idle_timeout_min: Duration::from_secs(2),
            discard_bytes_max: 16 << 10,
            linger_bytes_max: 64 << 10,
            ..Limits::open_internet()
        }
    }

    /// For a process beside another one, reached by a proxy that keeps connections for long:
    /// 16 MiB, idle for ten minutes, no minimum below which the idle time shrinks but 60 s.
    pub const fn sidecar() -> Limits {
        Limits {
            memory_bytes_max: 16 << 20,
            idle_timeout: Duration::from_secs(600),
            idle_timeout_min: Duration::from_secs(60),
            ..Limits::open_internet()
        }
    }

    /// The preset called `name`: `open-internet`, `small` or `sidecar`.
    pub fn preset(name: &str) -> Option<Limits> {
        match name {
            "open-internet" => Some(Limits::open_internet()),
            "small" => Some(Limits::small()),
            "sidecar" => Some(Limits::sidecar()),
            _ => None,
        }
    }

    /// Whether the limits can be kept together.
    ///
    /// # Errors
    ///
    /// [`LimitsError`] with the limit that is out of bounds and what it may be.
    pub fn check(&self) -> Result<(), LimitsError> {
        let timeouts = [
            ("head_timeout", self.head_timeout),
            ("idle_timeout", self.idle_timeout),
            ("idle_timeout_min", self.idle_timeout_min),
            ("handler_timeout", self.handler_timeout),
            ("content_window", self.content_window),
            ("response_window", self.response_window),
            ("linger_quiet_timeout", self.linger_quiet_timeout),
            ("linger_timeout", self.linger_timeout),
            ("shutdown_timeout", self.shutdown_timeout),
            ("connection_age_max", self.connection_age_max.unwrap_or(TIMEOUT_MAX)),
        ];
        for (name, timeout) in timeouts {
            if timeout.is_zero() || timeout > TIMEOUT_MAX {
                return Err(LimitsError { name, want: "more than zero and at most a year" });
            }
        }
        let bounds = [
            ("head_bytes_max", self.head_bytes_max, 256, 65_535, "256 to 65,535"),
            (
                "target_bytes_max",
                self.target_bytes_max,
                1,
                self.head_bytes_max,
                "1 to head_bytes_max",
            ),
            ("fields_max", self.fields_max, 1, FIELDS_CEILING, "1 to 256"),
            ("memory_bytes_max", self.memory_bytes_max, 256 << 10, usize::MAX, "256 KiB or more"),
            ("pairs_max", self.pairs_max, 1, usize::MAX, "1 or more"),
            ("cookies_max", self.cookies_max, 1, usize::MAX, "1 or more"),
            ("ranges_max", self.ranges_max, 1, 1_000, "1 to 1,000"),
            ("requests_max", self.requests_max as usize, 1, usize::MAX, "1 or more"),
        ];
        for (name, value, min, max, want) in bounds {
            if value < min || value > max {
                return Err(LimitsError { name, want });
            }
        }
        if self.idle_timeout_min > self.idle_timeout {
            return Err(LimitsError { name: "idle_timeout_min", want: "at most idle_timeout" });
        }
        Ok(())
    }

    /// Each limit as name, value and reason, in the order of the struct.
    fn rows(&self) -> Vec<(&'static str, String, &'static str)> {
        let connections = match self.connections_max {
            0 => "by descriptors".to_owned(),
            n => n.to_string(),
        };
        let requests = match self.requests_max {
            u32::MAX => "none".to_owned(),
            n => n.to_string(),
        };
        let age = self.connection_age_max.map_or_else(|| "none".to_owned(), seconds);
        vec![
            ("connections_max", connections, "then the kernel's queue holds the rest"),
            (
                "memory_bytes_max",
                bytes(self.memory_bytes_max as u64),
                "80 % idle closed, 95 % no accept, 100 % 503",
            ),
            ("requests_max", requests, "on one connection"),
            ("connection_age_max", age, "then closed when idle, or after a response"),
            (
                "head_bytes_max",
                bytes(self.head_bytes_max as u64),
                "431 above; twice what browsers send",
            ),
            (
                "target_bytes_max",
                bytes(self.target_bytes_max as u64),
                "414 above; RFC 9112 wants 8,000",
            ),
            ("fields_max", self.fields_max.to_string(), "431 above"),
            ("head_timeout", seconds(self.head_timeout), "whole head, never restarted; 408"),
            ("idle_timeout", seconds(self.idle_timeout), "longer than clients keep connections"),
            ("idle_timeout_min", seconds(self.idle_timeout_min), "at 90 % of connections_max"),
            ("handler_timeout", seconds(self.handler_timeout), "responses given later; 504"),
            ("content_window", seconds(self.content_window), "over which the rate counts"),
            ("content_rate_min", rate(self.content_rate_min), "slower is 408"),
            ("response_window", seconds(self.response_window), "over which the rate counts"),
            ("response_rate_min", rate(self.response_rate_min), "slower is reset"),
            ("pairs_max", self.pairs_max.to_string(), "of a query or form; the rest is left out"),
            ("cookies_max", self.cookies_max.to_string(), "of a request; with more it has none"),
            ("ranges_max", self.ranges_max.to_string(), "of a file; more get the whole file"),
            (
                "discard_bytes_max",
                bytes(self.discard_bytes_max),
                "unasked content read to keep a connection",
            ),
            (
                "linger_quiet_timeout",
                seconds(self.linger_quiet_timeout),
                "a reset must not destroy a response",
            ),
            ("linger_timeout", seconds(self.linger_timeout), "in all"),
            (
                "linger_bytes_max",
                bytes(u64::from(self.linger_bytes_max)),
                "as much as a socket buffer holds",
            ),
            ("shutdown_timeout", seconds(self.shutdown_timeout), "then the rest is reset"),
        ]
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value, reason) in self.rows() {
            writeln!(f, "{name:<22} {value:>14}  {reason}")?;
        }
        Ok(())
    }
}

/// A limit that cannot be kept. `{:?}` is the same sentence as `{}`.
#[derive(Clone, PartialEq, Eq)]
pub struct LimitsError {
    name: &'static str,
    want: &'static str,
}

impl LimitsError {
    /// The name of the field of [`Limits`].
    pub fn limit(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit {} is out of bounds: set it to {}", self.name, self.want)
    }
}

impl fmt::Debug for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for LimitsError {}

/// The most field lines that a head can be allowed: the parser's fixed array.
pub(crate) const FIELDS_CEILING: usize = 256;

/// Far inside the range of the wheel (4.3 years at 64 ms a tick).
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        n => format!("{n} B"),
    }
}

fn rate(n: u32) -> String {
    format!("{}/s", bytes(u64::from(n)))
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_is_found_by_its_name() {
        for name in ["open-internet", "small", "sidecar"] {
            Limits::preset(name).unwrap().check().unwrap();
        }
        assert_eq!(Limits::preset("huge"), None);
    }

    #[test]
    fn the_printed_table_has_a_line_for_every_field_of_the_struct() {
        let fields = format!("{:#?}", Limits::default()).lines().count() - 2;
        assert_eq!(Limits::default().to_string().lines().count(), fields);
    }

    #[test]
    fn the_error_for_a_limit_out_of_bounds_names_it_and_its_bounds() {
        let zero = Limits { head_timeout: Duration::ZERO, ..Limits::default() };
        assert!(zero.check().unwrap_err().to_string().contains("head_timeout"));
        let wide = Limits { head_bytes_max: 65_536, ..Limits::default() };
        assert!(wide.check().unwrap_err().to_string().contains("256 to 65,535"));
        let turned = Limits { idle_timeout_min: Duration::from_secs(61), ..Limits::default() };
        assert!(turned.check().unwrap_err().to_string().contains("at most idle_timeout"));
    }
}
