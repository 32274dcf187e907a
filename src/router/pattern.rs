//! Patterns: what a route matches, and how two patterns relate as sets of requests.
//!
//! ```text
//! pattern = [ METHOD ws ] [ host ] "/" *( segment "/" ) [ segment ]
//! segment = literal | "{name}" | "{name...}" (last) | "{$}" (last) | "" (last: the subtree)
//! ```
//!
//! The meaning is that of Go 1.22 patterns. Literals are percent-decoded, segment by segment, so
//! `/a%2Fb` is one segment and `/%61` is `/a`; one that cannot be decoded stands for itself.
//! Nothing here knows of requests, handlers or trees.

use std::borrow::Cow;

use http::Method;
use percent_encoding::{percent_decode, percent_encode, AsciiSet, CONTROLS};

use super::error::RouteError;
use crate::message::fields::is_token;
use crate::message::percent::has_broken_escape;
use crate::message::request::PARAMS_MAX;

/// What is encoded in the segment of a path that is made up.
const IN_SEGMENT: &AsciiSet = &CONTROLS.add(b' ').add(b'/').add(b'%').add(b'?').add(b'#');

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// As it was written; with `method` and prefix in front if these came separately.
    pub(super) text: Box<str>,
    /// `None`: any method. `GET` means `HEAD` too.
    pub(super) method: Option<Method>,
    /// In lower case; empty: any host.
    pub(super) host: Box<str>,
    pub(super) segments: Vec<Segment>,
    pub(super) end: End,
    /// Names of the wildcards in order, the one of `{name...}` last. At most [`PARAMS_MAX`].
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

/// What may follow the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing.
    Nothing,
    /// One slash: `{$}`.
    Slash,
    /// A slash and anything: a final `/` or `{name...}`.
    Rest,
}

/// How the requests of one pattern relate to those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    /// Strictly fewer.
    MoreSpecific,
    /// Strictly more.
    MoreGeneral,
    /// None in common.
    Disjoint,
    /// Some in common, and each has others besides.
    Overlapping,
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
            return Err(fault(text, offset + at, "this cannot stand in a host"));
        }
        let mut parser = Parser { text, segments: Vec::new(), names: Vec::new() };
        let end = parser.path(path, offset + host_len)?;
        if parser.names.len() > PARAMS_MAX {
            return Err(fault(text, offset, "there are more than 8 wildcards"));
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

    /// Whether both can match the same request and neither is the clearly better choice for it.
    pub(super) fn conflicts_with(&self, other: &Pattern) -> bool {
        matches!(self.relation(other), Relation::Equal | Relation::Overlapping)
            && self.host == other.host
    }

    /// The relation of methods and paths; hosts are looked at first by whoever asks.
    pub(super) fn relation(&self, other: &Pattern) -> Relation {
        let methods = relate_methods(self.method.as_ref(), other.method.as_ref());
        methods.and(relate_paths(self, other))
    }

    /// A path that both match; meaningful only for patterns that overlap.
    pub(super) fn common_path(&self, other: &Pattern) -> String {
        let mut path = String::new();
        for index in 0..self.segments.len().max(other.segments.len()) {
            let pair = [self.segments.get(index), other.segments.get(index)];
            let literal = pair.into_iter().flatten().find_map(|segment| match segment {
                Segment::Literal(text) => Some(percent_encode(text, IN_SEGMENT).to_string()),
                Segment::Single => None,
            });
            path.push('/');
            path.push_str(literal.as_deref().unwrap_or("x"));
        }
        if self.end != End::Nothing && other.end != End::Nothing {
            path.push('/');
        }
        path
    }
}

struct Parser<'t> {
    text: &'t str,
    segments: Vec<Segment>,
    names: Vec<Box<str>>,
}

impl Parser<'_> {
    /// Adds the segments of `path`, which begins with a slash at `offset` of the text.
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

    fn segment(&mut self, segment: &str, is_last: bool, at: usize) -> Result<End, RouteError> {
        let fault = |at, what| Err(fault(self.text, at, what));
        if matches!(segment, "" | "." | "..") {
            return fault(at, "the path is not clean, so no request would ever match");
        }
        let Some(brace) = segment.find('{') else {
            let literal = decode_segment(segment.as_bytes());
            self.segments.push(Segment::Literal(literal.into()));
            return Ok(End::Nothing);
        };
        let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return fault(at + brace, "a wildcard is a whole segment: \"/{name}/\"");
        };
        if inner == "$" {
            return if is_last {
                Ok(End::Slash)
            } else {
                fault(at, "\"{$}\" stands only at the end")
            };
        }
        let (name, is_rest) = match inner.strip_suffix("...") {
            Some(name) => (name, true),
            None => (inner, false),
        };
        if !is_identifier(name) {
            return fault(at + 1, "a wildcard has a name of letters, digits and underscores");
        }
        if is_rest && !is_last {
            return fault(at, "\"{name...}\" stands only at the end");
        }
        if self.names.iter().any(|known| **known == *name) {
            return fault(at + 1, "this name is used twice");
        }
        self.names.push(name.into());
        if is_rest {
            return Ok(End::Rest);
        }
        self.segments.push(Segment::Single);
        Ok(End::Nothing)
    }
}

impl Relation {
    /// The relation of pairs, given those of both parts.
    fn and(self, other: Relation) -> Relation {
        use Relation::*;
        match (self, other) {
            (Disjoint, _) | (_, Disjoint) => Disjoint,
            (Equal, relation) | (relation, Equal) => relation,
            (MoreSpecific, MoreSpecific) => MoreSpecific,
            (MoreGeneral, MoreGeneral) => MoreGeneral,
            _ => Overlapping,
        }
    }
}

fn relate_methods(one: Option<&Method>, other: Option<&Method>) -> Relation {
    match (one, other) {
        _ if one == other => Relation::Equal,
        (None, Some(_)) => Relation::MoreGeneral,
        (Some(_), None) => Relation::MoreSpecific,
        (Some(&Method::GET), Some(&Method::HEAD)) => Relation::MoreGeneral,
        (Some(&Method::HEAD), Some(&Method::GET)) => Relation::MoreSpecific,
        _ => Relation::Disjoint,
    }
}

fn relate_paths(one: &Pattern, other: &Pattern) -> Relation {
    let mut relation = Relation::Equal;
    for pair in one.segments.iter().zip(&other.segments) {
        let segments = match pair {
            (Segment::Literal(one), Segment::Literal(other)) if one != other => {
                return Relation::Disjoint
            }
            (Segment::Literal(_), Segment::Single) => Relation::MoreSpecific,
            (Segment::Single, Segment::Literal(_)) => Relation::MoreGeneral,
            _ => Relation::Equal,
        };
        relation = relation.and(segments);
    }
    let ends = match one.segments.len().cmp(&other.segments.len()) {
        std::cmp::Ordering::Equal if one.end == other.end => Relation::Equal,
        std::cmp::Ordering::Equal => match (one.end, other.end) {
            (End::Slash, End::Rest) => Relation::MoreSpecific,
            (End::Rest, End::Slash) => Relation::MoreGeneral,
            _ => Relation::Disjoint,
        },
        std::cmp::Ordering::Less if one.end == End::Rest => Relation::MoreGeneral,
        std::cmp::Ordering::Greater if other.end == End::Rest => Relation::MoreSpecific,
        _ => Relation::Disjoint,
    };
    relation.and(ends)
}

/// The bytes that a segment stands for; itself, if it has an escape that is none.
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

fn fault(pattern: &str, at: usize, what: &'static str) -> RouteError {
    RouteError::Pattern { pattern: pattern.to_owned(), at, what }
}
