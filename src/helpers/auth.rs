//! Credentials: name and password with every request (Basic, RFC 7617), or a token (Bearer, RFC
//! 6750). They are not encrypted, so use them only with TLS or on a trusted network.

use std::fmt;
use std::hint::black_box;

use http::StatusCode;

use crate::message::request::Request;
use crate::message::response::Response;

/// The name and password of a request, as its client sent them.
///
/// ```
/// # use wheelhouse::{sim::Sim, Request, Response};
/// # let mut sim = Sim::new(|req: &Request<'_>| {
/// if !req.basic_auth().is_some_and(|auth| auth.matches("ann", "secret")) {
///     return Response::unauthorized_basic("the hub");
/// }
/// # Response::text("in")
/// # });
/// # let request = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n\r\n";
/// # let c = sim.connect_and_send(request);
/// # assert!(sim.received(c).ends_with(b"\r\n\r\nin"));
/// ```
#[doc(alias = "Authorization")]
#[derive(Clone)]
pub struct BasicAuth {
    bytes: Vec<u8>,
    /// The position of the colon after the name.
    colon: usize,
}

impl BasicAuth {
    /// Returns the name, which has no colon.
    pub fn user(&self) -> &[u8] {
        &self.bytes[..self.colon]
    }

    /// Returns the password.
    pub fn password(&self) -> &[u8] {
        &self.bytes[self.colon + 1..]
    }

    /// Returns whether the name is `user` and the password is `password`. The time of the
    /// comparison does not show how much of them is right.
    #[must_use = "a request is not refused until the result is looked at"]
    pub fn matches(&self, user: &str, password: &str) -> bool {
        let is_user = constant_time_eq(self.user(), user.as_bytes());
        let is_password = constant_time_eq(self.password(), password.as_bytes());
        is_user & is_password
    }
}

/// Shows the user, but not the password.
impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = String::from_utf8_lossy(self.user());
        f.debug_struct("BasicAuth").field("user", &user).finish_non_exhaustive()
    }
}

impl Request<'_> {
    /// Returns the name and password from `Authorization: Basic`. Returns `None` for another
    /// scheme, malformed base64, a text without a colon, or more than one such field.
    #[doc(alias = "Authorization")]
    pub fn basic_auth(&self) -> Option<BasicAuth> {
        parse(self.headers().only("authorization")?)
    }

    /// Returns the token from `Authorization: Bearer`; `None` for another scheme, a token with a
    /// byte that none may have (RFC 6750, section 2.1), and more than one such field. Compare it
    /// with [`constant_time_eq`].
    ///
    /// ```
    /// use wheelhouse::auth::constant_time_eq;
    /// use wheelhouse::{sim::Sim, Response, Router};
    ///
    /// let routes = Router::<()>::new().post("/notes", |_, _| "saved\n").guard(|_, req| {
    ///     let token = req.bearer_token().unwrap_or_default();
    ///     match constant_time_eq(token.as_bytes(), b"4711") {
    ///         true => Ok(()),
    ///         false => Err(Response::unauthorized_bearer("notes")),
    ///     }
    /// });
    /// let mut sim = Sim::new(routes.build()?);
    /// assert_eq!(sim.request("POST", "/notes").send().status(), 401);
    /// let known = sim.request("POST", "/notes").header("Authorization", "Bearer 4711");
    /// assert_eq!(known.send().text(), "saved\n");
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias = "Authorization")]
    pub fn bearer_token(&self) -> Option<&str> {
        let value = std::str::from_utf8(self.headers().only("authorization")?).ok()?;
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim_start_matches(' ');
        let bytes = token.trim_end_matches('=');
        let is_token = !bytes.is_empty() && bytes.bytes().all(is_token_byte);
        (is_token && scheme.eq_ignore_ascii_case("bearer")).then_some(token)
    }
}

/// Whether a byte may be part of a bearer token, before its padding (RFC 6750, section 2.1).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

impl Response {
    /// Creates a 401 that makes a browser ask for name and password for `realm`. A realm with a
    /// control character turns it into a 500, as with [`with_header`](Response::with_header).
    #[doc(alias("WWW-Authenticate", "401"))]
    pub fn unauthorized_basic(realm: &str) -> Response {
        let challenge = format!("Basic realm=\"{}\", charset=\"UTF-8\"", quoted(realm));
        Response::status_page(StatusCode::UNAUTHORIZED).with_header("WWW-Authenticate", challenge)
    }

    /// Creates a 401 that asks for a bearer token for `realm`. A realm with a control character
    /// turns it into a 500, as with [`with_header`](Response::with_header).
    #[doc(alias("WWW-Authenticate", "401"))]
    pub fn unauthorized_bearer(realm: &str) -> Response {
        let challenge = format!("Bearer realm=\"{}\"", quoted(realm));
        Response::status_page(StatusCode::UNAUTHORIZED).with_header("WWW-Authenticate", challenge)
    }
}

/// The inside of a quoted string.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Returns whether `given`, which comes from a client, is equal to `secret`. The time of the
/// comparison depends only on the length of `given`, not on the secret.
#[doc(alias("ConstantTimeCompare", "subtle"))]
#[must_use = "a request is not refused until the result is looked at"]
pub fn constant_time_eq(given: &[u8], secret: &[u8]) -> bool {
    let mut differs = u8::from(given.len() != secret.len());
    for (index, byte) in given.iter().enumerate() {
        // After the end of the secret, a comparison with zero takes the same time.
        let other = secret.get(index).unwrap_or(&0);
        differs = black_box(differs | (byte ^ other));
    }
    differs == 0
}

fn parse(value: &[u8]) -> Option<BasicAuth> {
    const SCHEME: &[u8] = b"Basic ";
    let (scheme, encoded) = (value.get(..SCHEME.len())?, value.get(SCHEME.len()..)?);
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    // One space or more (RFC 9110, section 11.4).
    let spaces = encoded.iter().take_while(|&&byte| byte == b' ').count();
    let bytes = decode_base64(&encoded[spaces..])?;
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    Some(BasicAuth { bytes, colon })
}

/// Decodes base64 (RFC 4648, section 4). Padding is required, and other characters are not allowed.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let sextet = |byte: u8| {
        Some(u32::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    };
    if text.len() % 4 != 0 {
        return None;
    }
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text[..text.len() - padding].chunks(4) {
        let mut bits = 0;
        for &byte in group {
            bits = bits << 6 | sextet(byte)?;
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
        let unused = bits & (0x00ff_ffff >> (8 * (group.len() - 1)));
        if group.len() < 4 && unused != 0 {
            return None;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Go: t242.
    #[test]
    fn a_bearer_token_is_the_text_after_the_scheme_and_anything_else_is_not() {
        let mut sim = crate::sim::Sim::new(|req: &Request<'_>| {
            req.bearer_token().map_or("none".to_owned(), |token| token.to_owned())
        });
        for (values, expected) in [
            (&["Bearer abc"][..], "abc"),
            (&["bEARER  a-b._~+/9=="], "a-b._~+/9=="),
            (&["Bearer"], "none"),
            (&["Bearer "], "none"),
            (&["Bearer ="], "none"),
            (&["Bearer a b"], "none"),
            (&["Bearer a,b"], "none"),
            (&["Bearer a=b"], "none"),
            (&["Basic abc"], "none"),
            (&["Bearer abc", "Bearer abc"], "none"),
            (&[], "none"),
        ] {
            let request = values.iter().fold(sim.request("GET", "/"), |request, value| {
                request.header("Authorization", value)
            });
            assert_eq!(request.send().text(), expected, "{values:?}");
        }
        let response = Response::unauthorized_bearer("a \"b\"");
        let challenge = response.headers().get("www-authenticate").map(str::to_owned);
        assert_eq!(challenge.as_deref(), Some("Bearer realm=\"a \\\"b\\\"\""));
    }

    #[test]
    fn credentials_are_split_at_the_first_colon_and_malformed_ones_are_none() {
        let table = [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame"))),
            ("BASIC QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame"))),
            ("basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==", Some(("Aladdin", "open:sesame"))),
            ("Basic Og==", Some(("", ""))),
            ("Basic OmE=", Some(("", "a"))),
            ("Basic YTo=", Some(("a", ""))),
            ("Basic", None),
            ("Basic ", None),
            ("Basic \tYTo=", None),
            ("BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
            ("Bearer Og==", None),
            ("Basic QWxhZGRpbg==", None),
            ("Basic Og=", None),
            ("Basic Og", None),
            ("Basic O===", None),
            ("Basic ====", None),
            ("Basic Oh==", None),
            ("Basic O_==", None),
            ("Basic Og==Og==", None),
            ("", None),
        ];
        for (value, expected) in table {
            let auth = parse(value.as_bytes());
            let parts = auth.as_ref().map(|auth| (auth.user(), auth.password()));
            let expected = expected.map(|(user, word)| (user.as_bytes(), word.as_bytes()));
            assert_eq!(parts, expected, "{value}");
        }
    }

    #[test]
    fn any_number_of_spaces_may_stand_between_the_scheme_and_the_credentials() {
        for spaces in [1, 2, 3, 10] {
            let auth = parse(format!("Basic{}YTpi", " ".repeat(spaces)).as_bytes()).unwrap();
            assert_eq!((auth.user(), auth.password()), (&b"a"[..], &b"b"[..]), "{spaces}");
        }
    }

    /// Go: t242. Go uses the first of two fields, but a proxy may have checked the second.
    #[test]
    fn two_fields_with_credentials_count_as_none() {
        use crate::sim::Sim;

        let mut sim = Sim::new(|req: &Request<'_>| match req.basic_auth() {
            Some(auth) => String::from_utf8_lossy(auth.user()).into_owned(),
            None => "none".to_owned(),
        });
        let line = "authorization: basic YW5uOnNlY3JldA==\r\n";
        for (lines, expected) in [(line.to_owned(), "\nann"), (line.repeat(2), "\nnone")] {
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let client = sim.connect_and_send(request.as_bytes());
            assert!(sim.received(client).ends_with(expected.as_bytes()), "{lines}");
        }
    }

    #[test]
    fn a_part_of_the_secret_is_not_equal_to_it() {
        assert!(constant_time_eq(b"secret", b"secret") && constant_time_eq(b"", b""));
        for given in ["", "secre", "secrets", "Secret", "secret\0", "xxxxxx"] {
            assert!(!constant_time_eq(given.as_bytes(), b"secret"), "{given}");
        }
        assert!(!constant_time_eq(b"\0", b""));
        let auth = parse(b"Basic YW5uOnNlY3JldA==").unwrap();
        assert!(
            auth.matches("ann", "secret")
                && !auth.matches("ann", "")
                && !auth.matches("bob", "secret")
        );
        assert!(!format!("{auth:?}").contains("secret"));
    }

    #[test]
    fn a_realm_is_quoted() {
        let response = Response::unauthorized_basic("a \"b\\c");
        let expected = b"WWW-Authenticate: Basic realm=\"a \\\"b\\\\c\", charset=\"UTF-8\"\r\n";
        assert_eq!(response.lines(), expected);
    }
}
