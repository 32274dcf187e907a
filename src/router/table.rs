//! All routes of a program, host by host: adding a route, and finding the one for a request.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;

use http::Method;

use super::leaf::Leaf;
use super::path::is_clean;
use super::pattern::Pattern;
use super::tree::{Fit, Spans, Tree};
use super::Function;
use crate::error::RouteError;
use crate::message::path::clean;
use crate::message::request::{Request, RouteNames, Span, PARAMS_MAX};

/// All routes. Invariant: no two of them conflict.
pub(super) struct Table<S> {
    pub(super) routes: Vec<Route<S>>,
    /// The routes of every host.
    pub(super) anywhere: Tree,
    /// The hosts that have routes of their own, in lower case and sorted. Their trees are searched
    /// before `anywhere`.
    hosts: Vec<(Box<str>, Tree)>,
    pub(super) not_found: Option<Function<S>>,
}

pub(super) struct Route<S> {
    pub(super) pattern: Box<Pattern>,
    /// The part of the pattern that handlers see. It outlives a call that waits for content.
    pub(super) names: Rc<RouteNames>,
    pub(super) function: Function<S>,
    /// Whether the function sees only the path after the prefix.
    pub(super) strips: bool,
}

/// The result of a search.
pub(super) enum Found {
    /// The index of the route, and the positions in the path that its wildcards match.
    Route(usize, Spans),
    /// The path to redirect to: the clean one, or the one with a slash added to its end.
    Redirect(String),
    /// Only other methods have routes; this is the value of `Allow`.
    OtherMethods(String),
    Nothing,
}

impl<S> Table<S> {
    pub(super) fn new() -> Table<S> {
        Table { routes: Vec::new(), anywhere: Tree::default(), hosts: Vec::new(), not_found: None }
    }

    pub(super) fn insert(
        &mut self,
        pattern: Pattern,
        function: Function<S>,
        strips: bool,
    ) -> Result<(), RouteError> {
        let conflict = self.routes.iter().find(|route| pattern.conflicts_with(&route.pattern));
        if let Some(Route { pattern: first, .. }) = conflict {
            return Err(RouteError::Conflict {
                first: first.text.to_string(),
                second: pattern.text.to_string(),
                example: format!("{}{}", pattern.host, pattern.common_path(first)),
            });
        }
        let index = self.routes.len();
        self.tree_mut(&pattern.host).insert(&pattern, index);
        let names =
            Rc::new(RouteNames { pattern: pattern.text.clone(), wildcards: pattern.names.clone() });
        self.routes.push(Route { pattern: Box::new(pattern), names, function, strips });
        Ok(())
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

    /// Finds the way on for a path that is not clean, and so matches nothing as it came: a redirect
    /// to the clean path, unless only other methods have routes there.
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

    /// Walks the tree of the host and then the tree of every host, until `see` breaks.
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
        if methods.is_empty() {
            return Found::Nothing;
        }
        let methods: Vec<&str> = methods.into_iter().collect();
        Found::OtherMethods(methods.join(", "))
    }

    fn tree_of_host(&self, req: &Request<'_>) -> Option<&Tree> {
        // Most programs name no host, so the field is not looked up for nothing.
        if self.hosts.is_empty() {
            return None;
        }
        let host = req.host_bytes()?;
        let host = if *req.method() == Method::CONNECT { host } else { without_port(host) };
        // Most clients send lower case, so a copy is made only if the name as it came is not known.
        let index = self.find_host(host).or_else(|_| self.find_host(&host.to_ascii_lowercase()));
        Some(&self.hosts[index.ok()?].1)
    }
}

/// The best route for a path and the method of a request.
enum Best {
    /// The index of the route.
    Route(usize),
    /// The best route is that of the path with a slash added to its end.
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
