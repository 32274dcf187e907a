//! Media types with parameters, as `Content-Type` has them (RFC 9110, section 8.3.1).

use std::borrow::Cow;

use crate::message::fields::is_token;
use crate::message::request::Request;

/// A media type with its parameters, borrowed from a field.
///
/// ```
/// # use wheelhouse::{sim::Sim, Request};
/// # let mut sim = Sim::new(|req: &Request<'_>| {
/// let is_latin1 = req.content_type().is_some_and(|media_type| {
///     media_type.is("text/plain") && media_type.param("charset").as_deref() == Some("latin1")
/// });
/// # is_latin1.to_string()
/// # });
/// # let c = sim.connect_and_send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\
/// #     Content-Type: Text/Plain; charset=\"latin1\"\r\n\r\n");
/// # assert!(sim.received(c).ends_with(b"true"));
/// ```
#[doc(alias("Content-Type", "mime"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    essence: &'a str,
    /// The rest of the value, from the first semicolon.
    params: &'a str,
}

impl<'a> MediaType<'a> {
    /// Parses the value of a field; `None` if it does not begin with `type/subtype`.
    pub(crate) fn parse(value: &'a str) -> Option<MediaType<'a>> {
        let (essence, params) = value.split_at(value.find(';').unwrap_or(value.len()));
        let essence = trim(essence);
        let (kind, subtype) = essence.split_once('/')?;
        let is_media_type = is_token(kind.as_bytes()) && is_token(subtype.as_bytes());
        is_media_type.then_some(MediaType { essence, params })
    }

    /// Returns `type/subtype`, in the case in which it came.
    pub fn essence(&self) -> &'a str {
        self.essence
    }

    /// Returns whether this is the media type `essence` (`type/subtype`), without regard to case
    /// and parameters.
    pub fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    /// Returns the value of the first parameter called `name`, without regard to the case of the
    /// name. A quoted value comes without its quotes; only one with backslashes is copied.
    ///
    /// `None` if there is no such parameter, or a malformed one before it.
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.params;
        loop {
            // Empty parameters are allowed: `a/b; ;c=d`.
            rest = rest.trim_start_matches([';', ' ', '\t']);
            let (found, after) = rest.split_once('=')?;
            let value_len = value_len(after)?;
            let (value, after) = after.split_at(value_len);
            if !is_token(found.as_bytes())
                || !matches!(after.trim_start_matches([' ', '\t']).as_bytes(), [] | [b';', ..])
            {
                return None;
            }
            if found.eq_ignore_ascii_case(name) {
                return Some(unquote(value));
            }
            rest = after;
        }
    }
}

impl<'a> Request<'a> {
    /// Returns the media type of the content, from `Content-Type`; `None` without that field, with
    /// two of them, and if the value does not begin with `type/subtype`.
    pub fn content_type(&self) -> Option<MediaType<'a>> {
        let value = self.headers().only("content-type")?;
        MediaType::parse(std::str::from_utf8(value).ok()?)
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Returns the length of the token or quoted string at the start of `text`; `None` if there is
/// neither.
fn value_len(text: &str) -> Option<usize> {
    let Some(quoted) = text.strip_prefix('"') else {
        let len = text.find([';', ' ', '\t']).unwrap_or(text.len());
        return is_token(&text.as_bytes()[..len]).then_some(len);
    };
    let mut is_escaped = false;
    let end = quoted.find(|char| {
        let ends = char == '"' && !is_escaped;
        is_escaped = char == '\\' && !is_escaped;
        ends
    });
    Some(end? + 2)
}

/// Removes the quotes around a value and the backslashes in it.
fn unquote(value: &str) -> Cow<'_, str> {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner.filter(|inner| inner.contains('\\')) else {
        return Cow::Borrowed(inner.unwrap_or(value));
    };
    let mut is_escaped = false;
    let is_kept = |char: &char| {
        is_escaped = *char == '\\' && !is_escaped;
        !is_escaped
    };
    Cow::Owned(inner.chars().filter(is_kept).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_a_type_and_a_subtype_whatever_its_parameters() {
        for (value, essence) in [
            ("text/html", Some("text/html")),
            ("Text/HTML ; a=b", Some("Text/HTML")),
            ("application/ld+json;", Some("application/ld+json")),
            ("a/b;c", Some("a/b")),
            ("", None),
            (";", None),
            ("text", None),
            ("text/", None),
            ("/html", None),
            ("text / html", None),
            ("text/html/x", None),
            ("text/html, text/plain", None),
            ("\"text/html\"", None),
        ] {
            assert_eq!(MediaType::parse(value).map(|found| found.essence()), essence, "{value}");
        }
        let html = MediaType::parse("Text/HTML; a=b").unwrap();
        assert!(html.is("text/html") && !html.is("text/htm") && !html.is("text/html; a=b"));
    }

    #[test]
    fn a_parameter_is_unquoted_and_the_first_of_its_name_counts() {
        for (params, value) in [
            ("; charset=utf-8", Some("utf-8")),
            (";CharSet=utf-8;x=y", Some("utf-8")),
            ("; charset=a; charset=b", Some("a")),
            ("; x=\"; charset=no\"; charset=yes", Some("yes")),
            ("; x=\"\\\"; charset=no\"; charset=yes", Some("yes")),
            ("; charset=\"utf-8\"", Some("utf-8")),
            ("; charset=\"\"", Some("")),
            ("; charset=\"a\\\"b\\\\c;\u{e4}\"", Some("a\"b\\c;\u{e4}")),
            ("; charset=\"\\a\\\\\\\"\"", Some("a\\\"")),
            (" ; ;\t; charset=a \t; x", Some("a")),
            ("; xcharset=a", None),
            ("; charset", None),
            ("; charset=", None),
            ("; charset= a", None),
            ("; charset =a", None),
            ("; charset=a b", None),
            ("; charset=\"a", None),
            ("; charset=\"a\\\"", None),
            ("; charset=\"a\"b", None),
            ("; broken; charset=a", None),
            ("", None),
        ] {
            let value_with = format!("a/b{params}");
            let media_type = MediaType::parse(&value_with).unwrap();
            assert_eq!(media_type.param("charset").as_deref(), value, "{params}");
        }
    }

    /// Of two such fields, a program and a proxy could each use a different one.
    #[test]
    fn two_content_types_count_as_none() {
        use crate::sim::Sim;

        let mut sim = Sim::new(|req: &Request<'_>| {
            req.content_type().map_or("none", |media_type| media_type.essence()).to_owned()
        });
        for (lines, expected) in [
            ("Content-Type: a/b; c=d\r\n", "\na/b"),
            ("Content-Type: a/b\r\ncontent-type: a/b\r\n", "\nnone"),
            ("Content-Type: a/b; \u{e4}\r\n", "\na/b"),
            ("", "\nnone"),
        ] {
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let client = sim.connect_and_send(request.as_bytes());
            assert!(sim.received(client).ends_with(expected.as_bytes()), "{lines}");
        }
    }
}
