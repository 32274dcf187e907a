//! All routes of a program, host by host: adding one, and finding the one for a request.

use std::collections::BTreeSet;
use std::rc::Rc;

use http::Method;

use super::error::RouteError;
use super::path::{raw_start, segment_at};
use super::pattern::Pattern;
use super::tree::{Leaf, Tree, Walk};
use super::Function;
use crate::request::{Request, RouteNames, Span};

/// All routes. Invariant: no two of them conflict.
pub(super) struct Table<S> {
    pub(super) routes: Vec<Route<S>>,
    pub(super) anywhere: Tree,
    /// Host in lower case, and what is asked there before `anywhere`.
    pub(super) hosts: Vec<(Box<str>, Tree)>,
    pub(super) not_found: Option<Function<S>>,
}

pub(super) struct Route<S> {
    pub(super) pattern: Box<Pattern>,
    /// What is shown of the pattern, and outlives a call where content is waited for.
    pub(super) names: Rc<RouteNames>,
    pub(super) function: Function<S>,
    /// Whether the function sees only what is behind the prefix.
    pub(super) strips: bool,
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
        let index = self.hosts.iter().position(|(known, _)| **known == *host);
        let index = index.unwrap_or_else(|| {
            self.hosts.push((host.into(), Tree::default()));
            self.hosts.len() - 1
        });
        &mut self.hosts[index].1
    }

    /// What is to be asked for `req` before `anywhere`.
    fn tree_of_host(&self, req: &Request<'_>) -> Option<&Tree> {
        let host = req.host()?;
        let host = if *req.method() == Method::CONNECT { host } else { without_port(host) };
        let known = self.hosts.iter().find(|(known, _)| known.eq_ignore_ascii_case(host));
        known.map(|(_, tree)| tree)
    }

    #[inline]
    pub(super) fn find(&self, req: &Request<'_>, path: &[u8], walk: &mut Walk) -> Option<usize> {
        // Most programs name no host: then the field is not even looked for.
        if !self.hosts.is_empty() {
            let found = self.find_of_host(req, path, walk);
            if found.is_some() || walk.has_refused {
                return found;
            }
        }
        self.anywhere.find(req.method(), path, walk)
    }

    #[inline(never)]
    fn find_of_host(&self, req: &Request<'_>, path: &[u8], walk: &mut Walk) -> Option<usize> {
        self.tree_of_host(req)?.find(req.method(), path, walk)
    }

    /// What there is for `path`, which is clean and canonical.
    pub(super) fn look_up(&self, req: &Request<'_>, path: &[u8]) -> Found {
        let trees = || self.tree_of_host(req).into_iter().chain([&self.anywhere]);
        let with_slash = match path {
            [.., b'/'] => None,
            path => Some([path, b"/"].concat()),
        };
        for tree in trees() {
            let mut walk = Walk::canonical();
            let found = tree.find(req.method(), path, &mut walk);
            if let (Some(route), true) = (found, walk.is_final) {
                return Found::Route(route, walk);
            }
            let exact = with_slash
                .as_ref()
                .and_then(|path| tree.find(req.method(), path, &mut Walk::exact()));
            match (exact, found) {
                (Some(_), _) => return Found::WithSlash,
                (None, Some(route)) => return Found::Route(route, walk),
                (None, None) => {}
            }
        }
        let mut methods = BTreeSet::new();
        let mut see = |leaf: &Leaf| {
            for method in leaf.methods() {
                methods.insert(method.to_string());
                if *method == Method::GET {
                    methods.insert(Method::HEAD.to_string());
                }
            }
        };
        for tree in trees() {
            tree.see_all(path, &mut Walk::canonical(), &mut see);
            if let Some(path) = &with_slash {
                tree.see_all(path, &mut Walk::exact(), &mut see);
            }
        }
        if methods.is_empty() {
            return Found::Nothing;
        }
        Found::OtherMethods(methods.into_iter().collect::<Vec<_>>().join(", "))
    }
}

/// What there is for a path.
pub(super) enum Found {
    /// The index of a route, and what its wildcards matched of the canonical path.
    Route(usize, Walk),
    /// Nothing as exact as there is for the path with a slash more at its end.
    WithSlash,
    /// Routes for other methods: the value of `Allow`.
    OtherMethods(String),
    Nothing,
}

impl Walk {
    /// From positions in a canonical path to those in the path as it came, at `base` of the head.
    pub(super) fn translate(&mut self, base: usize, raw: &[u8], spelt: &[u8]) {
        for span in &mut self.spans[..self.len] {
            let start = usize::from(span.start);
            let at = raw_start(raw, spelt, start);
            let is_rest = self.rest == Some(start);
            let len = if is_rest { raw.len() - at } else { segment_at(raw, at).0 };
            *span = Span::new(base + at, len);
        }
        self.rest = self.rest.map(|rest| raw_start(raw, spelt, rest));
    }
}
/// A host without its port; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}
