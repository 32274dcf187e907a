//! Patterns: the parts of a route's text, and how they are parsed.
//!
//! ```text
//! pattern = [ METHOD ws ] [ host ] "/" *( segment "/" ) [ segment ]
//! segment = literal | "{name}" | "{name...}" (last) | "{$}" (last) | "" (last: the subtree)
//! ```
//!
//! The meaning is that of Go 1.22 patterns. Literals are percent-decoded, segment by segment, so
//! `/a%2Fb` is one segment and `/%61` is `/a`. A literal that cannot be decoded stands for itself.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode;

use crate::error::RouteError;
use crate::message::fields::is_token;
use crate::message::percent::has_broken_escape;
use crate::message::request::PARAMS_MAX;

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The pattern as it was written, preceded by method and prefix if these came separately.
    pub(super) text: Box<str>,
    /// `None` for any method. `GET` includes `HEAD`.
    pub(super) method: Option<Method>,
    /// In lower case; empty for any host.
    pub(super) host: Box<str>,
    pub(super) segments: Vec<Segment>,
    pub(super) end: End,
    /// The names of the wildcards in order. At most [`PARAMS_MAX`].
    pub(super) names: Box<[Box<str>]>,
}

/// One segment before the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// Percent-decoded.
    Literal(Box<[u8]>),
    /// Exactly one segment, not empty.
    Single,
}

/// The part of a path that may follow the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing.
    Nothing,
    /// One slash: `{$}`.
    Slash,
    /// A slash and anything: a final `/` or `{name...}`.
    Rest,
}

impl Pattern {
    /// Parses `[METHOD ws][host]/path`.
    pub(super) fn parse(text: &str) -> Result<Pattern, RouteError> {
        let Some(method_end) = text.find([' ', '\t']) else {
            return Pattern::parse_rest(text, None, text);
        };
        let method = parse_method(&text[..method_end])
            .ok_or_else(|| fault(text, 0, "a method is a token of letters and hyphens"))?;
        let rest = text[method_end..].trim_start_matches([' ', '\t']);
        Pattern::parse_rest(text, Some(method), rest)
    }

    /// Parses `rest`, the end of `text`: `[host]/path`.
    pub(super) fn parse_rest(
        text: &str,
        method: Option<Method>,
        rest: &str,
    ) -> Result<Pattern, RouteError> {
        let offset = text.len() - rest.len();
        let Some(host_len) = rest.find('/') else {
            return Err(fault(text, offset, "there is no \"/\": a pattern is [host]/path"));
        };
        let (host, path) = rest.split_at(host_len);
        if let Some(at) = host.find(|c: char| "{}".contains(c) || !c.is_ascii_graphic()) {
            return Err(fault(text, offset + at, "this character is not allowed in a host"));
        }
        let mut parser = Parser { text, segments: Vec::new(), names: Vec::new() };
        let end = parser.path(path, offset + host_len)?;
        if parser.names.len() > PARAMS_MAX {
            return Err(fault(text, offset, "a pattern has at most 8 wildcards"));
        }
        Ok(Pattern {
            text: text.into(),
            method,
            host: host.to_ascii_lowercase().into(),
            segments: parser.segments,
            end,
            names: parser.names.into(),
        })
    }
}

const NOT_CLEAN: &str = "the path is not clean, so no request would ever match";

/// The parts of a path parsed so far.
struct Parser<'t> {
    /// The whole pattern, for errors.
    text: &'t str,
    segments: Vec<Segment>,
    names: Vec<Box<str>>,
}

impl Parser<'_> {
    /// Parses `path`, which begins with a slash at `offset` of the text.
    fn path(&mut self, path: &str, offset: usize) -> Result<End, RouteError> {
        debug_assert!(path.starts_with('/'));
        let mut at = 1;
        loop {
            let rest = &path[at..];
            if rest.is_empty() {
                return Ok(End::Rest);
            }
            let len = rest.find('/').unwrap_or(rest.len());
            let is_last = len == rest.len();
            let end = self.segment(&rest[..len], is_last, offset + at)?;
            if is_last {
                return Ok(end);
            }
            at += len + 1;
        }
    }

    /// Parses the segment at `at` of the text, and returns the end of the pattern if it is the
    /// last.
    fn segment(&mut self, segment: &str, is_last: bool, at: usize) -> Result<End, RouteError> {
        if matches!(segment, "" | "." | "..") {
            return Err(fault(self.text, at, NOT_CLEAN));
        }
        if let Some(brace) = segment.find('{') {
            let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let what = "a wildcard is a whole segment: \"/{name}/\"";
            let inner = inner.ok_or_else(|| fault(self.text, at + brace, what))?;
            return self.wildcard(inner, is_last, at);
        }
        let literal = decode_segment(segment.as_bytes());
        if matches!(*literal, [b'.'] | [b'.', b'.']) {
            return Err(fault(self.text, at, NOT_CLEAN));
        }
        self.segments.push(Segment::Literal(literal.into()));
        Ok(End::Nothing)
    }

    /// Parses the part of a wildcard between its braces, the first of which is at `at`.
    fn wildcard(&mut self, inner: &str, is_last: bool, at: usize) -> Result<End, RouteError> {
        let fault = |at, what| Err(fault(self.text, at, what));
        if inner == "$" && is_last {
            return Ok(End::Slash);
        }
        if inner == "$" {
            return fault(at, "\"{$}\" stands only at the end");
        }
        let rest_name = inner.strip_suffix("...");
        let name = rest_name.unwrap_or(inner);
        if !is_identifier(name) {
            return fault(at + 1, "a wildcard has a name of letters, digits and underscores");
        }
        if rest_name.is_some() && !is_last {
            return fault(at, "\"{name...}\" stands only at the end");
        }
        if self.names.iter().any(|known| **known == *name) {
            return fault(at + 1, "this name is used twice");
        }
        self.names.push(name.into());
        if rest_name.is_some() {
            return Ok(End::Rest);
        }
        self.segments.push(Segment::Single);
        Ok(End::Nothing)
    }
}

/// The bytes that a segment stands for: the segment itself if one of its escapes is broken.
pub(super) fn decode_segment(segment: &[u8]) -> Cow<'_, [u8]> {
    if has_broken_escape(segment) {
        return Cow::Borrowed(segment);
    }
    percent_decode(segment).into()
}

fn parse_method(text: &str) -> Option<Method> {
    is_token(text.as_bytes()).then(|| Method::from_bytes(text.as_bytes()).ok())?
}

fn is_identifier(name: &str) -> bool {
    let is_start = |c: char| c == '_' || c.is_alphabetic();
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_numeric())
}

fn fault(pattern: &str, at: usize, reason: &'static str) -> RouteError {
    RouteError::Pattern { pattern: pattern.to_owned(), at, reason }
}
