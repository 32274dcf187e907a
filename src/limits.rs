//! [`Limits`]: every limit and timeout of the server, in one struct that can be printed.
//!
//! All of them are on by default, except the age of a connection and the number of its requests. A
//! *timeout* is a `Duration`. A *deadline* is a point in time, which follows from a timeout.
//! `wheelhouse --print-limits` prints all limits with their reasons.

use std::fmt;
use std::time::Duration;

/// The most that one server spends on its clients: connections, memory, sizes and times.
///
/// Start from a preset and change the fields that differ:
///
/// ```
/// use wheelhouse::{Limits, Server};
///
/// let limits = Limits { connections_max: 512, ..Limits::small() };
/// println!("{limits}"); // Each limit with its value and its reason.
/// let server = Server::new().limits(limits);
/// # let _ = server;
/// ```
///
/// Minor releases may add fields, so end every literal with a preset or with `..Limits::default()`.
///
/// [`Server::run`](crate::Server::run) and [`build`](crate::Server::build) check the values: see
/// [`check`](Limits::check). Each of several [`Cores`](crate::runtime::Cores) has limits of its
/// own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections that are open at the same time.
    ///
    /// Default `0`: the number of descriptors that the process may have, less a reserve for files
    /// and listeners. At the limit another connection gives way to a client that waits, or the queue of
    /// the kernel holds it.
    #[doc(alias = "LimitListener")]
    pub connections_max: usize,
    /// The most connections of one client address that are open at the same time. At this limit, a
    /// new connection takes the place of another one of its address that waits for the client, or is
    /// closed if none can be found.
    ///
    /// Default `0`: three quarters of `connections_max`, so that no client can keep the slots from
    /// others. `usize::MAX` is without limit: for a server whose only client is a proxy, as in
    /// [`sidecar`](Limits::sidecar). Addresses of IPv6 count as one if their first 64 bits are equal,
    /// because a client usually has all of them. Clients on Unix sockets have no address and are not
    /// limited.
    pub connections_per_address_max: usize,
    /// The most bytes of memory for everything that clients can make the server hold: slots,
    /// timers, buffers, collected content.
    ///
    /// Default 64 MiB. From 80 % on, connections are not kept alive, and those that hold most and move
    /// least give way: they get a 503, or a reset if their response has begun. The last 10 % are for
    /// small requests; content and large buffers are refused. Connections that hold nothing take at
    /// most half of the budget: with a small one, that bounds `connections_max`.
    pub memory_bytes_max: usize,
    /// The most requests on one connection, which is then closed.
    ///
    /// Default `u32::MAX`, which means without limit, because it costs less to keep a connection
    /// than to open another one.
    pub requests_max: u32,
    /// The greatest age of a connection.
    ///
    /// Default `None`, which means without limit: idle connections have limits of their own, and
    /// busy ones are worth keeping. With a limit, clients come back through the load balancer,
    /// which spreads them again. An idle connection is closed at this age. Any other connection is
    /// closed after its next response, which has `Connection: close`. A connection that has left
    /// HTTP stays open.
    pub connection_age_max: Option<Duration>,

    /// The most bytes of a request head, from its first byte to the blank line. A longer head gets
    /// a 431.
    ///
    /// Default 16 KiB, twice as much as browsers and proxies send in their largest heads. At most
    /// 65,535.
    #[doc(alias = "MaxHeaderBytes")]
    pub head_bytes_max: usize,
    /// The most bytes of a request target. A longer target gets a 414.
    ///
    /// Default 8 KiB, because RFC 9112, section 3 recommends at least 8,000 bytes.
    pub target_bytes_max: usize,
    /// The most field lines of a head. A head with more gets a 431.
    ///
    /// Default 100, as in Apache. At most 256.
    pub fields_max: usize,

    /// The time for a complete head. It begins with the accept of a new connection, and with the
    /// first byte of each further head.
    ///
    /// Later bytes do not restart it. Default 10 s. Then the client gets a 408, or, if no byte has
    /// arrived, the connection is closed without a response.
    #[doc(alias = "ReadHeaderTimeout")]
    pub head_timeout: Duration,
    /// The time that a connection may be idle between two requests.
    ///
    /// Default 100 s, longer than the usual clients and proxies keep a connection: 90 s in Go's client, 60 s
    /// in nginx and the load balancers of AWS. The side with the shorter time closes first. If that is the
    /// server, its close may cross with the next request, which a proxy answers with a 502.
    ///
    /// The response to a client that sends `Connection: keep-alive` has the time in whole seconds:
    /// `Keep-Alive: timeout=100`. This is the present time, which shrinks while many connections are
    /// open. Other responses do not have the field, which saves 50 bytes in each.
    #[doc(alias = "IdleTimeout")]
    pub idle_timeout: Duration,
    /// The least idle timeout. The timeout shrinks from `idle_timeout` to this value while the
    /// number of connections grows from 50 % to 90 % of `connections_max`.
    ///
    /// Default 5 s.
    pub idle_timeout_min: Duration,
    /// The time that the program may take for a response that comes later ([`Reply::later`]), or
    /// for a pause in the content ([`Flow::Pause`]). Then the client gets a 504.
    ///
    /// Default 30 s, half the time that proxies and browsers wait. It does not cover a handler that
    /// runs on the loop, which stops every connection.
    ///
    /// [`Reply::later`]: crate::Reply::later
    /// [`Flow::Pause`]: crate::content::Flow::Pause
    #[doc(alias = "TimeoutHandler")]
    pub handler_timeout: Duration,
    /// The window over which the rate of incoming content is measured.
    ///
    /// Default 10 s. The first window of each content is longer by half.
    pub content_window: Duration,
    /// The least rate of incoming content over each window, in bytes per second. A slower client
    /// gets a 408.
    ///
    /// Default 1 KiB/s, a tenth of the rate of a 2G modem. With 0, one byte in each window is
    /// enough. A client that sends in bursts must not be silent for a whole window: `curl
    /// --limit-rate 2k` sends 64 KiB at a time and then waits for half a minute, so it needs a
    /// window of a minute.
    #[doc(alias = "ReadTimeout")]
    pub content_rate_min: u32,
    /// The window over which the rate of outgoing bytes is measured, while output waits for the
    /// client.
    ///
    /// Default 60 s, as in nginx and Apache: the player of a video may pause, and a reader at the other
    /// end of a pipe. A client may read nothing for as long, if it makes up for that afterwards. One
    /// that has read too little for 10 s is among the first to give way when memory or connections are
    /// short.
    pub response_window: Duration,
    /// The least rate at which a client takes output, in bytes per second. The connection of a client
    /// that is behind this rate by a whole window is reset.
    ///
    /// The window has equal parts of at most 10 s. At the end of each, the client is reset if it would be
    /// behind by more than the window after another part without a byte.
    ///
    /// Default 1 KiB/s. With 0, one byte in each window is enough.
    #[doc(alias = "WriteTimeout")]
    pub response_rate_min: u32,

    /// The most pairs of a query or form that are read. The rest is left out, and
    /// [`Pairs::check`](crate::forms::Pairs::check) reports that.
    ///
    /// Default 1,000, because each look-up scans the pairs. Pages have at most a few dozen fields.
    pub pairs_max: usize,
    /// The most cookies of a request. A request with more counts as one without cookies.
    ///
    /// Default 3,000, as in Go. Browsers keep at most a few hundred for one site.
    pub cookies_max: usize,
    /// The most ranges of a request for a file. If there are more, the whole file is sent (RFC
    /// 9110, section 14.2).
    ///
    /// Default 16. Download managers ask for one at a time. At most 1,000.
    pub ranges_max: usize,

    /// The most bytes of content that are read and dropped to keep a connection, if the handler did
    /// not ask for the content. If there are more, the connection is closed.
    ///
    /// Default 64 KiB, about as much as is on its way in any case.
    pub discard_bytes_max: u64,
    /// The time without input that ends a lingering close.
    ///
    /// If the server closes a connection while the client still sends, the connection lingers: the
    /// server reads and drops input for a while. Without that, a reset would destroy the last
    /// response on its way. Default 1 s.
    pub linger_quiet_timeout: Duration,
    /// The whole time of a lingering close. Default 5 s.
    pub linger_timeout: Duration,
    /// The most bytes that a lingering close reads and drops.
    ///
    /// Default `u32::MAX`, which means without limit. A client that sends its whole request before
    /// it reads gets the response only if all of the request is read. The dropped bytes take no
    /// memory, a visit reads at most 64 KiB of them, and `linger_timeout` ends them.
    pub linger_bytes_max: u32,

    /// The time that a graceful shutdown may take. Then the remaining connections are reset.
    ///
    /// Default 10 s, the time that service managers wait before they kill a process.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits::open_internet()
    }
}

impl Limits {
    /// Returns the limits for a server on the open internet, which are the default.
    pub const fn open_internet() -> Limits {
        Limits {
            connections_max: 0,
            connections_per_address_max: 0,
            memory_bytes_max: 64 << 20,
            requests_max: u32::MAX,
            connection_age_max: None,
            head_bytes_max: 16 << 10,
            target_bytes_max: 8 << 10,
            fields_max: 100,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(100),
            idle_timeout_min: Duration::from_secs(5),
            handler_timeout: Duration::from_secs(30),
            content_window: Duration::from_secs(10),
            content_rate_min: 1 << 10,
            response_window: Duration::from_secs(60),
            response_rate_min: 1 << 10,
            pairs_max: 1_000,
            cookies_max: 3_000,
            ranges_max: 16,
            discard_bytes_max: 64 << 10,
            linger_quiet_timeout: Duration::from_secs(1),
            linger_timeout: Duration::from_secs(5),
            linger_bytes_max: u32::MAX,
            shutdown_timeout: Duration::from_secs(10),
        }
    }

    /// Returns the limits for a device with a few megabytes to spare: 64 connections, 1 MiB, heads
    /// of 8 KiB.
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
            ..Limits::open_internet()
        }
    }

    /// Returns the limits for a process beside another one, whose client is a proxy that keeps
    /// connections for a long time: 16 MiB, and idle connections for ten minutes, or 60 s when many
    /// are open.
    pub const fn sidecar() -> Limits {
        Limits {
            memory_bytes_max: 16 << 20,
            connections_per_address_max: usize::MAX,
            idle_timeout: Duration::from_secs(600),
            idle_timeout_min: Duration::from_secs(60),
            ..Limits::open_internet()
        }
    }

    /// Returns the preset called `name`: `open-internet`, `small` or `sidecar`.
    ///
    /// This is for command lines and configuration files. In code, call the function of that name.
    pub fn preset(name: &str) -> Option<Limits> {
        match name {
            "open-internet" => Some(Limits::open_internet()),
            "small" => Some(Limits::small()),
            "sidecar" => Some(Limits::sidecar()),
            _ => None,
        }
    }

    /// Checks that every limit is within its bounds and that they fit together.
    ///
    /// [`Server::run`](crate::Server::run) does this, too. A program with flags of its own calls
    /// this function to name the wrong flag in its message ([`LimitsError::limit`]).
    ///
    /// # Errors
    ///
    /// [`LimitsError`] with the name of the limit and its bounds.
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

    /// Returns the most connections of one address, if there may be `connections_max` in all.
    pub(crate) fn share_of_address(&self, connections_max: usize) -> usize {
        match self.connections_per_address_max {
            0 => connections_max - connections_max / 4,
            n => n,
        }
    }

    /// Returns the name, value and reason of each limit, in the order of the struct.
    fn rows(&self) -> Vec<(&'static str, String, &'static str)> {
        let connections = match self.connections_max {
            0 => "by descriptors".to_owned(),
            n => n.to_string(),
        };
        let of_address = match self.connections_per_address_max {
            0 => "3/4 of all".to_owned(),
            usize::MAX => "none".to_owned(),
            n => n.to_string(),
        };
        let requests = match self.requests_max {
            u32::MAX => "none".to_owned(),
            n => n.to_string(),
        };
        let linger = match self.linger_bytes_max {
            u32::MAX => "none".to_owned(),
            n => bytes(u64::from(n)),
        };
        let age = self.connection_age_max.map_or_else(|| "none".to_owned(), seconds);
        vec![
            ("connections_max", connections, "then another one gives way, or clients wait"),
            (
                "connections_per_address_max",
                of_address,
                "then a new one replaces another of its address",
            ),
            (
                "memory_bytes_max",
                bytes(self.memory_bytes_max as u64),
                "from 80 % on, large and slow ones give way; 503",
            ),
            ("requests_max", requests, "then the connection is closed"),
            ("connection_age_max", age, "then closed if idle, else after a response"),
            (
                "head_bytes_max",
                bytes(self.head_bytes_max as u64),
                "longer: 431; browsers send at most half of it",
            ),
            (
                "target_bytes_max",
                bytes(self.target_bytes_max as u64),
                "longer: 414; RFC 9112 recommends 8,000 or more",
            ),
            ("fields_max", self.fields_max.to_string(), "more: 431"),
            ("head_timeout", seconds(self.head_timeout), "for a whole head; then 408"),
            (
                "idle_timeout",
                seconds(self.idle_timeout),
                "longer than clients and proxies keep connections",
            ),
            ("idle_timeout_min", seconds(self.idle_timeout_min), "at 90 % of connections_max"),
            ("handler_timeout", seconds(self.handler_timeout), "for a later response; then 504"),
            ("content_window", seconds(self.content_window), "for content_rate_min"),
            ("content_rate_min", rate(self.content_rate_min), "slower: 408"),
            ("response_window", seconds(self.response_window), "for response_rate_min"),
            ("response_rate_min", rate(self.response_rate_min), "behind by a window: reset"),
            ("pairs_max", self.pairs_max.to_string(), "of a query or form; the rest is left out"),
            ("cookies_max", self.cookies_max.to_string(), "of a request; more: it has none"),
            ("ranges_max", self.ranges_max.to_string(), "of a request; more: the whole file"),
            (
                "discard_bytes_max",
                bytes(self.discard_bytes_max),
                "of unread content; more: closed after the response",
            ),
            (
                "linger_quiet_timeout",
                seconds(self.linger_quiet_timeout),
                "without input; a reset could destroy a response",
            ),
            ("linger_timeout", seconds(self.linger_timeout), "for a whole lingering close"),
            (
                "linger_bytes_max",
                linger,
                "dropped bytes take no memory, and linger_timeout ends them",
            ),
            (
                "shutdown_timeout",
                seconds(self.shutdown_timeout),
                "then the remaining connections are reset",
            ),
        ]
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value, reason) in self.rows() {
            writeln!(f, "{name:<27} {value:>14}  {reason}")?;
        }
        Ok(())
    }
}

/// A limit that is out of bounds. `{:?}` prints the same sentence as `{}`.
#[derive(Clone, PartialEq, Eq)]
pub struct LimitsError {
    name: &'static str,
    want: &'static str,
}

impl LimitsError {
    /// Returns the name of the field of [`Limits`], such as `"head_bytes_max"`.
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

/// The greatest `fields_max`: the size of the parser's array.
pub(crate) const FIELDS_CEILING: usize = 256;

/// The longest timeout: a year, far inside the range of the wheel (4.3 years at 64 ms a tick).
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
        let turned = Limits { idle_timeout_min: Duration::from_secs(101), ..Limits::default() };
        assert!(turned.check().unwrap_err().to_string().contains("at most idle_timeout"));
    }
}
