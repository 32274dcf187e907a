//! The patterns of a program, host by host. The table finds the pattern for a request; it does not
//! know the handlers.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use http::Method;

use super::leaf::Leaf;
use super::path::is_clean;
use super::pattern::Pattern;
use super::tree::{Fit, Spans, Tree};
use crate::error::RouteError;
use crate::message::path::clean;
use crate::message::request::{Request, Span, TargetForm, PARAMS_MAX};

/// All patterns. Invariant: no two of them conflict.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The number of a route is the index of its pattern.
    pub(super) patterns: Vec<Pattern>,
    /// The routes for any host.
    pub(super) anywhere: Tree,
    /// The hosts that have routes of their own, in lower case and sorted. Their trees are searched
    /// before `anywhere`.
    hosts: Vec<(Box<str>, Tree)>,
}

/// The result of a search.
pub(super) enum Found {
    /// The number of the route, and the positions in the path that its wildcards match.
    Route(usize, Spans),
    /// The path to redirect to: the clean one, or the one with a slash added to its end.
    Redirect(String),
    /// Only other methods have routes; this is the value of `Allow`.
    OtherMethods(String),
    Nothing,
}

impl Table {
    pub(super) fn insert(&mut self, pattern: Pattern) -> Result<(), RouteError> {
        let conflict = self.patterns.iter().find(|first| pattern.conflicts_with(first));
        if let Some(first) = conflict {
            return Err(RouteError::Conflict {
                first: first.text.to_string(),
                second: pattern.text.to_string(),
                example: format!("{}{}", pattern.host, pattern.common_path(first)),
            });
        }
        let number = self.patterns.len();
        self.tree_mut(&pattern.host).insert(&pattern, number);
        self.patterns.push(pattern);
        Ok(())
    }

    /// Whether a pattern matches `req`, without a redirect.
    pub(super) fn contains(&self, req: &Request<'_>) -> bool {
        path_to_route(req).is_some_and(|path| matches!(self.find(req, path), Found::Route(..)))
    }

    fn tree_mut(&mut self, host: &str) -> &mut Tree {
        if host.is_empty() {
            return &mut self.anywhere;
        }
        let index = self.find_host(host.as_bytes()).unwrap_or_else(|index| {
            self.hosts.insert(index, (host.into(), Tree::default()));
            index
        });
        &mut self.hosts[index].1
    }

    /// The index of `host`, or where it belongs.
    fn find_host(&self, host: &[u8]) -> Result<usize, usize> {
        self.hosts.binary_search_by(|(known, _)| known.as_bytes().cmp(host))
    }

    /// Finds the best route for `path`, the path of `req`. The order is that of Go's `ServeMux`:
    /// the path, then the path with a slash added to its end, then the path for other methods.
    pub(super) fn find(&self, req: &Request<'_>, path: &[u8]) -> Found {
        let mut spans = [Span { start: 0, len: 0 }; PARAMS_MAX];
        match self.best(req, path, &mut spans) {
            Best::Route(route) => Found::Route(route, spans),
            Best::WithSlash => Found::Redirect(req.path().to_owned() + "/"),
            Best::Nothing if is_clean(path) => self.find_other_methods(req, path),
            Best::Nothing => self.find_unclean(req),
        }
    }

    /// Returns the result for a path that is not clean, which matches no pattern: a redirect to the
    /// clean path, unless only other methods have routes there.
    fn find_unclean(&self, req: &Request<'_>) -> Found {
        let path = clean(req.path());
        let mut spans = [Span { start: 0, len: 0 }; PARAMS_MAX];
        match self.best(req, path.as_bytes(), &mut spans) {
            Best::Route(_) => Found::Redirect(path),
            Best::WithSlash => Found::Redirect(path + "/"),
            Best::Nothing => match self.find_other_methods(req, path.as_bytes()) {
                Found::Nothing => Found::Redirect(path),
                found => found,
            },
        }
    }

    /// The best route for `path`, which matches nothing if it is not clean.
    fn best(&self, req: &Request<'_>, path: &[u8], spans: &mut Spans) -> Best {
        let mut best = Best::Nothing;
        let mut see = |leaf: &Leaf, fit| match (leaf.route(req.method()), fit) {
            (None, _) => ControlFlow::Continue(()),
            (Some(_), Fit::LacksSlash) => {
                best = Best::WithSlash;
                // A more general pattern may match the path exactly.
                ControlFlow::Continue(())
            }
            (Some(_), Fit::Subtree) if matches!(best, Best::WithSlash) => ControlFlow::Break(()),
            (Some(route), Fit::Exact | Fit::Subtree) => {
                best = Best::Route(route);
                ControlFlow::Break(())
            }
        };
        self.walk(req, path, spans, &mut see);
        best
    }

    /// Walks the tree of the host and then the tree for any host, until `see` breaks.
    fn walk<'t>(
        &'t self,
        req: &Request<'_>,
        path: &[u8],
        spans: &mut Spans,
        see: &mut impl FnMut(&'t Leaf, Fit) -> ControlFlow<()>,
    ) {
        if let Some(tree) = self.tree_of_host(req) {
            if tree.walk(path, spans, &mut *see).is_break() {
                return;
            }
        }
        let _ = self.anywhere.walk(path, spans, see);
    }

    /// The methods that have routes for `path`, which is clean.
    fn find_other_methods(&self, req: &Request<'_>, path: &[u8]) -> Found {
        let mut methods = BTreeSet::new();
        let mut spans = [Span { start: 0, len: 0 }; PARAMS_MAX];
        self.walk(req, path, &mut spans, &mut |leaf, _| {
            leaf.add_methods(&mut methods);
            ControlFlow::Continue(())
        });
        match methods.is_empty() {
            true => Found::Nothing,
            false => Found::OtherMethods(allow(methods)),
        }
    }

    /// Returns the value of `Allow` for the whole server: every method that a pattern names.
    pub(super) fn allow(&self) -> String {
        let named = self.patterns.iter().filter_map(|pattern| pattern.method.as_ref());
        let mut methods: BTreeSet<&str> = named.map(Method::as_str).collect();
        if methods.contains("GET") {
            methods.insert("HEAD");
        }
        allow(methods)
    }

    fn tree_of_host(&self, req: &Request<'_>) -> Option<&Tree> {
        // Most programs name no host, and then there is nothing to look up.
        if self.hosts.is_empty() {
            return None;
        }
        let host = req.host_bytes()?;
        let host = if *req.method() == Method::CONNECT { host } else { without_port(host) };
        // Most clients send lower case, so a copy is made only if the name is not found as it came.
        let index = self.find_host(host).or_else(|_| self.find_host(&host.to_ascii_lowercase()));
        Some(&self.hosts[index.ok()?].1)
    }
}

/// Returns the value of `Allow` for `methods`. Every path that has a route has `OPTIONS`, too.
fn allow(mut methods: BTreeSet<&str>) -> String {
    methods.insert("OPTIONS");
    let methods: Vec<&str> = methods.into_iter().collect();
    methods.join(", ")
}

/// The best route for a path and the method of a request.
enum Best {
    /// The number of the route.
    Route(usize),
    /// There is a route for the path with a slash added to its end.
    WithSlash,
    Nothing,
}

/// A host without its port; an IPv6 address keeps its brackets.
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| !byte.is_ascii_digit()) {
        Some(colon) if host[colon] == b':' => &host[..colon],
        _ => host,
    }
}

/// The path that decides on the route; `None` for the target `*`, which has none.
pub(super) fn path_to_route<'a>(req: &Request<'a>) -> Option<&'a [u8]> {
    match req.target_form() {
        TargetForm::Asterisk => None,
        TargetForm::Authority => Some(b"/"),
        TargetForm::Absolute if req.is_absolute_without_path() => Some(b"/"),
        TargetForm::Origin | TargetForm::Absolute => Some(req.path_bytes()),
    }
}
