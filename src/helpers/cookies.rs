//! Cookies (RFC 6265): those of a request as borrowed pairs, and those of a response as a builder.
//! The builder refuses cookies that browsers would silently drop.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::message::fields::is_token;
use crate::message::request::Request;
use crate::message::response::Response;

/// The most bytes of a cookie, with its name, value and attributes, that browsers accept: 4,096.
pub const COOKIE_BYTES_MAX: usize = 4_096;

impl<'a> Request<'a> {
    /// Returns the cookies of all `Cookie` lines in order, as name and value. Double quotes around
    /// a value are removed, and malformed cookies are left out. If there are more than
    /// [`Limits::cookies_max`](crate::Limits::cookies_max), none is returned.
    pub fn cookies(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fields = self.headers();
        let count: usize = fields.all("cookie").map(count_pairs).sum();
        let is_within = count <= self.limits().cookies_max;
        fields.all("cookie").filter(move |_| is_within).flat_map(parse_line)
    }

    /// Returns the value of the first cookie called `name`.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request};
    /// # let mut sim = Sim::new(|req: &Request<'_>| {
    /// let theme = req.cookie("theme").unwrap_or("light");
    /// # theme.to_owned()
    /// # });
    /// # let c = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: theme=dark\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\ndark"));
    /// ```
    #[doc(alias = "r.Cookie")]
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        self.cookies().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

fn count_pairs(line: &[u8]) -> usize {
    line.iter().filter(|&&byte| byte == b';').count() + 1
}

fn parse_line(line: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    line.split(|&byte| byte == b';').filter_map(|part| {
        let part = std::str::from_utf8(part).ok()?.trim_matches([' ', '\t']);
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = name.trim_matches([' ', '\t']);
        let value = unquote(value);
        (is_token(name.as_bytes()) && value.bytes().all(is_value_byte)).then_some((name, value))
    })
}

fn unquote(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

/// Returns whether a value may have this byte. The RFC does not allow space and comma, but they are
/// common.
fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b';' | b'\\')
}

impl Response {
    /// Returns the response with one more cookie. A cookie that browsers would drop turns the
    /// response into a 500, and the reason is logged. [`SetCookie::encode`] returns that reason.
    ///
    /// ```
    /// use wheelhouse::{cookies::SetCookie, Response};
    ///
    /// let response = Response::text("welcome").with_cookie(&SetCookie::new("session", "x7"));
    /// # let _ = response;
    /// ```
    #[doc(alias = "SetCookie")]
    pub fn with_cookie(mut self, cookie: &SetCookie) -> Response {
        match cookie.encode() {
            Ok(line) => self.with_appended_header("Set-Cookie", line),
            Err(error) => {
                self.keep_fault(format_args!("cookie {:?} cannot be set: {error}", cookie.name));
                self
            }
        }
    }
}

/// A cookie for a response. By default it is for this host and lasts until the browser ends.
///
/// It is `HttpOnly` and `SameSite=Lax` by default, as the cookie of a session should be. That stops
/// the two common attacks: a script that reads the cookie, and a form of another site that sends
/// it.
///
/// ```
/// use std::time::Duration;
/// use wheelhouse::cookies::SetCookie;
///
/// let cookie = SetCookie::new("id", "a1").path("/").max_age(Duration::from_secs(3600)).secure();
/// assert_eq!(
///     cookie.encode().unwrap(),
///     "id=a1; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"
/// );
/// ```
#[doc(alias("http.Cookie", "session"))]
#[derive(Clone, Debug)]
#[must_use = "a cookie is set only by `Response::with_cookie`"]
pub struct SetCookie {
    name: String,
    value: String,
    path: Option<String>,
    domain: Option<String>,
    expires: Option<SystemTime>,
    max_age: Option<Duration>,
    http_only: bool,
    secure: bool,
    same_site: SameSite,
    partitioned: bool,
}

/// The requests from other sites with which a cookie is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// None of them.
    Strict,
    /// Only those of a link to this site: the default of browsers and of [`SetCookie`].
    Lax,
    /// All of them. Browsers then require [`SetCookie::secure`].
    None,
}

impl SetCookie {
    /// Creates a cookie. A value with a space or comma is sent in quotes.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> SetCookie {
        SetCookie {
            name: name.into(),
            value: value.into(),
            path: None,
            domain: None,
            expires: None,
            max_age: None,
            http_only: true,
            secure: false,
            same_site: SameSite::Lax,
            partitioned: false,
        }
    }

    /// Creates a cookie that makes a browser remove the cookie `name`. Set the path and domain of
    /// the cookie to remove, if it has them.
    pub fn removal(name: impl Into<String>) -> SetCookie {
        SetCookie::new(name, "").max_age(Duration::ZERO).expires(UNIX_EPOCH)
    }

    /// Sets the path. The cookie is sent for this path and those below it. Default: the folder of
    /// the request's path.
    pub fn path(mut self, path: impl Into<String>) -> SetCookie {
        self.path = Some(path.into());
        self
    }

    /// Sets the domain. The cookie is sent to this host and all hosts below it. A dot at its start
    /// is ignored. Default: the host of the request alone.
    pub fn domain(mut self, domain: impl Into<String>) -> SetCookie {
        self.domain = Some(domain.into());
        self
    }

    /// Sets the time of expiry, from 1970 to 9999. [`max_age`](SetCookie::max_age) takes precedence
    /// if both are set.
    pub fn expires(mut self, expires: SystemTime) -> SetCookie {
        self.expires = Some(expires);
        self
    }

    /// Sets the time to live, in whole seconds. Zero removes the cookie.
    pub fn max_age(mut self, max_age: Duration) -> SetCookie {
        self.max_age = Some(max_age);
        self
    }

    /// Sets whether the cookie is hidden from scripts (`HttpOnly`). Default true.
    pub fn http_only(mut self, http_only: bool) -> SetCookie {
        self.http_only = http_only;
        self
    }

    /// Marks the cookie as `Secure`. Browsers send it only over TLS, and to `localhost`.
    pub fn secure(mut self) -> SetCookie {
        self.secure = true;
        self
    }

    /// Sets the requests from other sites with which the cookie is sent. Default [`SameSite::Lax`].
    pub fn same_site(mut self, same_site: SameSite) -> SetCookie {
        self.same_site = same_site;
        self
    }

    /// Marks the cookie as `Partitioned`. Browsers keep a separate cookie for each site that embeds
    /// this one. Requires [`secure`](SetCookie::secure).
    pub fn partitioned(mut self) -> SetCookie {
        self.partitioned = true;
        self
    }

    /// Returns the value of the `Set-Cookie` field.
    ///
    /// # Errors
    ///
    /// [`CookieError`] if browsers would drop the cookie or misread it.
    pub fn encode(&self) -> Result<String, CookieError> {
        self.check()?;
        let quote = if self.value.contains([' ', ',']) { "\"" } else { "" };
        let mut line = format!("{}={quote}{}{quote}", self.name, self.value);
        if let Some(path) = &self.path {
            line += &format!("; Path={path}");
        }
        if let Some(domain) = &self.domain {
            line += &format!("; Domain={}", domain.trim_start_matches('.'));
        }
        if let Some(expires) = self.expires {
            line += &format!("; Expires={}", httpdate::fmt_http_date(expires));
        }
        if let Some(max_age) = self.max_age {
            line += &format!("; Max-Age={}", max_age.as_secs());
        }
        let same_site = match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        };
        line += if self.http_only { "; HttpOnly" } else { "" };
        line += if self.secure { "; Secure" } else { "" };
        line += same_site;
        line += if self.partitioned { "; Partitioned" } else { "" };
        if line.len() > COOKIE_BYTES_MAX {
            return Err(CookieError::TooLarge);
        }
        Ok(line)
    }

    fn check(&self) -> Result<(), CookieError> {
        if !is_token(self.name.as_bytes()) {
            return Err(CookieError::Name);
        }
        if !self.value.bytes().all(is_value_byte) {
            return Err(CookieError::Value);
        }
        if self.path.as_deref().is_some_and(|path| !is_path(path)) {
            return Err(CookieError::Path);
        }
        if self.domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
            return Err(CookieError::Domain);
        }
        let seconds = self.expires.map(|at| at.duration_since(UNIX_EPOCH).map(|at| at.as_secs()));
        if seconds.is_some_and(|seconds| seconds.map_or(true, |at| at >= YEAR_10000)) {
            return Err(CookieError::Expires);
        }
        let is_host = self.name.starts_with("__Host-");
        let needs_secure = self.partitioned
            || self.same_site == SameSite::None
            || self.name.starts_with("__Secure-")
            || is_host;
        if needs_secure && !self.secure {
            return Err(CookieError::NotSecure);
        }
        if is_host && (self.path.as_deref() != Some("/") || self.domain.is_some()) {
            return Err(CookieError::NotOfHost);
        }
        Ok(())
    }
}

const YEAR_10000: u64 = 253_402_300_800;

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
}

/// Returns whether `domain` has labels of letters, digits and inner hyphens, or is an IPv4 address,
/// which looks the same.
fn is_domain(domain: &str) -> bool {
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    domain.len() <= 255
        && domain.split('.').all(|label| {
            let is_inside = !label.starts_with('-') && !label.ends_with('-');
            let is_made_of = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            is_inside && is_made_of && !label.is_empty() && label.len() <= 63
        })
}

/// The reason why a cookie cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is empty or has a byte that a token cannot have.
    Name,
    /// The value has a control byte, a double quote, a semicolon, a backslash or a byte that is not
    /// ASCII.
    Value,
    /// The path does not begin with a slash, or has a control byte or a semicolon.
    Path,
    /// The domain is not a host name.
    Domain,
    /// The point in time is before 1970 or after 9999.
    Expires,
    /// `SameSite=None`, `Partitioned`, `__Secure-` and `__Host-` require `Secure`.
    NotSecure,
    /// `__Host-` requires the path `/` and no domain.
    NotOfHost,
    /// The cookie has more than [`COOKIE_BYTES_MAX`] bytes.
    TooLarge,
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CookieError::Name => "bad name: letters, digits and hyphens were expected",
            CookieError::Value => "bad byte in the value: an encoded value was expected",
            CookieError::Path => "bad path: \"/\" at its start and no \";\" were expected",
            CookieError::Domain => "bad domain: a host name was expected",
            CookieError::Expires => "bad expiry: a time from 1970 to 9999 was expected",
            CookieError::NotSecure => {
                "not secure: a cookie of this kind is expected to be `secure`"
            }
            CookieError::NotOfHost => {
                "bad scope: a `__Host-` cookie is expected to have the path \"/\" and no domain"
            }
            CookieError::TooLarge => "too large: at most 4096 bytes were expected",
        })
    }
}

impl std::error::Error for CookieError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Go: t243.
    #[test]
    fn malformed_cookies_are_left_out_and_quotes_are_removed() {
        let table = [
            ("a=1; b=2", "a=1 b=2"),
            ("a=1;b=2;;c", "a=1 b=2 c="),
            (" a = 1 ; b=\"x y\"", "a= 1 b=x y"),
            ("a=\"; b=\"1; c=1\"", ""),
            ("=1; a b=2; c[]=3; d=4", "d=4"),
            ("a=1,2; b=x=y; c=\"\"", "a=1,2 b=x=y c="),
            ("a=\\; b=\u{e4}; c=\x01; d", "d="),
        ];
        for (line, expected) in table {
            let pairs: Vec<_> = parse_line(line.as_bytes())
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            assert_eq!(pairs.join(" "), expected, "{line}");
        }
    }

    /// Go: t243 (limits, look-up), over the wire. w52.
    #[test]
    fn cookies_are_found_in_all_lines_and_too_many_count_as_none() {
        use crate::{sim::Sim, Limits, Server};

        let limits = Limits { head_bytes_max: 32 << 10, ..Limits::default() };
        let handler = |req: &Request<'_>| {
            format!("{} {:?} {:?}", req.cookies().count(), req.cookie("b"), req.cookie(""))
        };
        let mut sim = Sim::of(Server::new().limits(limits), handler).unwrap();
        let mut ask = |fields: String| {
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let client = sim.connect_and_send(request.as_bytes());
            let response = String::from_utf8_lossy(sim.received(client)).into_owned();
            response.split_once("\r\n\r\n").expect("a complete response").1.to_owned()
        };
        let two = "Cookie: a=1\r\ncookie: b=2; b=3\r\n".to_owned();
        assert_eq!(ask(two), "3 Some(\"2\") None");
        let line = |count: usize| format!("Cookie: b=2{}\r\n", ";a=1".repeat(count - 1));
        assert_eq!(ask(line(Limits::default().cookies_max)), "3000 Some(\"2\") None");
        assert_eq!(ask(line(Limits::default().cookies_max) + "Cookie: c\r\n"), "0 None None");
    }

    /// Go: t244.
    #[test]
    fn a_cookie_has_its_attributes_in_order() {
        let bare =
            |name: &str, value: &str| SetCookie::new(name, value).same_site(SameSite::Strict);
        let time = UNIX_EPOCH + Duration::from_secs(1_257_894_000);
        let table = [
            (bare("a", "1").http_only(false), "a=1; SameSite=Strict"),
            (bare("a", "b c,d").http_only(false), "a=\"b c,d\"; SameSite=Strict"),
            (bare("a", ""), "a=; HttpOnly; SameSite=Strict"),
            (
                bare("a", "1").domain(".example.com"),
                "a=1; Domain=example.com; HttpOnly; SameSite=Strict",
            ),
            (
                bare("a", "1").domain("127.0.0.1"),
                "a=1; Domain=127.0.0.1; HttpOnly; SameSite=Strict",
            ),
            (
                bare("a", "1").path("/x y").expires(time),
                "a=1; Path=/x y; Expires=Tue, 10 Nov 2009 23:00:00 GMT; HttpOnly; SameSite=Strict",
            ),
            (
                SetCookie::removal("a").same_site(SameSite::Strict),
                "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Strict",
            ),
            (
                bare("__Host-a", "1").path("/").secure().partitioned(),
                "__Host-a=1; Path=/; HttpOnly; Secure; SameSite=Strict; Partitioned",
            ),
        ];
        for (cookie, expected) in table {
            assert_eq!(cookie.encode().as_deref(), Ok(expected));
        }
    }

    /// Go: t244 (sanitising). Go drops or changes such parts silently; here they are errors.
    #[test]
    fn parts_that_browsers_would_drop_are_errors() {
        let cookie = || SetCookie::new("a", "1");
        let table = [
            (SetCookie::new("", "1"), CookieError::Name),
            (SetCookie::new("a b", "1"), CookieError::Name),
            (SetCookie::new("a\r\nb", "1"), CookieError::Name),
            (SetCookie::new("a", "1; Path=/"), CookieError::Value),
            (SetCookie::new("a", "1\r\nSet-Cookie: b=2"), CookieError::Value),
            (SetCookie::new("a", "\"1\""), CookieError::Value),
            (SetCookie::new("a", "\u{e4}"), CookieError::Value),
            (cookie().path("x"), CookieError::Path),
            (cookie().path("/;"), CookieError::Path),
            (cookie().domain("a..b"), CookieError::Domain),
            (cookie().domain("-a.example"), CookieError::Domain),
            (cookie().domain("a.example; Secure"), CookieError::Domain),
            (cookie().domain("::1"), CookieError::Domain),
            (cookie().domain(""), CookieError::Domain),
            (cookie().expires(UNIX_EPOCH - Duration::from_secs(1)), CookieError::Expires),
            (cookie().expires(UNIX_EPOCH + Duration::from_secs(YEAR_10000)), CookieError::Expires),
            (cookie().partitioned(), CookieError::NotSecure),
            (cookie().same_site(SameSite::None), CookieError::NotSecure),
            (SetCookie::new("__Secure-a", "1"), CookieError::NotSecure),
            (SetCookie::new("__Host-a", "1").secure(), CookieError::NotOfHost),
            (SetCookie::new("a", "1".repeat(COOKIE_BYTES_MAX)), CookieError::TooLarge),
        ];
        for (cookie, expected) in table {
            assert_eq!(cookie.encode(), Err(expected), "{cookie:?}");
            assert!(Response::text("").with_cookie(&cookie).has_fault());
        }
    }
}
