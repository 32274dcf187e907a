//! All routes of a program, host by host: adding one, and finding the one for a request.

use std::rc::Rc;

use http::Method;

use super::error::RouteError;
use super::leaf::Methods;
use super::path::{canonical, is_clean, raw_start, segment_end, Path};
use super::pattern::Pattern;
use super::tree::{Tree, Walk};
use super::Function;
use crate::message::path::clean;
use crate::message::request::{Request, RouteNames};

/// All routes. Invariant: no two of them conflict.
pub(super) struct Table<S> {
    pub(super) routes: Vec<Route<S>>,
    pub(super) anywhere: Tree,
    /// Host in lower case, in order, and what is asked there before `anywhere`.
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
        let index = self.find_host(host.as_bytes()).unwrap_or_else(|index| {
            self.hosts.insert(index, (host.into(), Tree::default()));
            index
        });
        &mut self.hosts[index].1
    }

    /// Where `host` is, or belongs.
    fn find_host(&self, host: &[u8]) -> Result<usize, usize> {
        self.hosts.binary_search_by(|(known, _)| known.as_bytes().cmp(host))
    }

    /// What is to be asked for `req` before `anywhere`.
    #[inline(always)]
    fn tree_of_host(&self, req: &Request<'_>) -> Option<&Tree> {
        match &self.hosts[..] {
            // Most that name any name one, and nearly all peers spell it alike.
            [(only, tree)] => {
                let host = req.host_bytes()?;
                if only.as_bytes() == host {
                    return Some(tree);
                }
                self.tree_of_host_spelt(host, req.method())
            }
            // Most programs name none: then the field is not even looked for.
            [] => None,
            _ => self.tree_of_host_spelt(req.host_bytes()?, req.method()),
        }
    }

    #[inline(never)]
    fn tree_of_host_spelt(&self, host: &[u8], method: &Method) -> Option<&Tree> {
        let host = if *method == Method::CONNECT { host } else { without_port(host) };
        // Nearly all write it in lower case, so no copy is made before that is known to be wrong.
        let index = self.find_host(host).or_else(|_| self.find_host(&host.to_ascii_lowercase()));
        index.ok().map(|index| &self.hosts[index].1)
    }

    /// The route that is best for a path as it came, or for one in canonical spelling; `walk` says
    /// which, and is told what its wildcards matched.
    #[inline(always)]
    pub(super) fn find(&self, req: &Request<'_>, path: Path<'_>, walk: &mut Walk) -> Option<usize> {
        // Nothing else can be walked.
        if path.bytes.first() != Some(&b'/') {
            return None;
        }
        let names_hosts = !self.hosts.is_empty();
        let tree = if names_hosts { self.first_tree(req) } else { &self.anywhere };
        match tree.find(req.method(), path, walk) {
            None if names_hosts => self.find_in_second_tree(req, path, walk),
            found => found,
        }
    }

    #[inline(never)]
    fn first_tree(&self, req: &Request<'_>) -> &Tree {
        self.tree_of_host(req).unwrap_or(&self.anywhere)
    }

    #[inline(never)]
    fn find_in_second_tree(
        &self,
        req: &Request<'_>,
        path: Path<'_>,
        walk: &mut Walk,
    ) -> Option<usize> {
        if walk.has_refused || self.tree_of_host(req).is_none() {
            return None;
        }
        walk.is_second = true;
        self.anywhere.find(req.method(), path, walk)
    }

    /// What there is for a path where [`find`](Table::find) has found `route` or nothing, but
    /// nothing final: it may be escaped, unclean, not there, or better with a slash at its end.
    #[inline(never)]
    pub(super) fn find_with_care(
        &self,
        req: &Request<'_>,
        path: Path<'_>,
        route: Option<usize>,
        walk: Walk,
    ) -> Found {
        if path.bytes.first() == Some(&b'/') && path.is_plain_after_slash(1) {
            return match (self.look_beside(req, path, route), route) {
                (Beside::WithSlash, _) => Found::Elsewhere(with_slash(req.path())),
                (Beside::OtherMethods(allow), _) => Found::OtherMethods(allow),
                (Beside::Nothing, Some(route)) => Found::Route(route, walk),
                (Beside::Nothing, None) => Found::Nothing,
            };
        }
        let raw = path.bytes;
        let cleaned = if is_clean(raw) { None } else { Some(clean(req.path())) };
        let spelt = canonical(cleaned.as_deref().map_or(raw, str::as_bytes));
        let mut walk = Walk::canonical();
        let spelt_path = Path::whole(&spelt);
        let route = self.find(req, spelt_path, &mut walk);
        let beside = match route {
            Some(_) if walk.is_final => Beside::Nothing,
            _ => self.look_beside(req, spelt_path, route),
        };
        match (beside, route, cleaned) {
            (Beside::WithSlash, _, None) => Found::Elsewhere(with_slash(req.path())),
            (Beside::WithSlash, _, Some(cleaned)) => Found::Elsewhere(with_slash(&cleaned)),
            (Beside::OtherMethods(allow), ..) => Found::OtherMethods(allow),
            (Beside::Nothing, _, Some(cleaned)) => Found::Elsewhere(cleaned),
            (Beside::Nothing, Some(route), None) => {
                walk.translate(path, &spelt);
                Found::Route(route, walk)
            }
            (Beside::Nothing, None, None) => Found::Nothing,
        }
    }

    /// What there is beside `route`, which is the best for `path`, if there is any.
    fn look_beside(&self, req: &Request<'_>, path: Path<'_>, route: Option<usize>) -> Beside {
        // Where the host has an answer, what is anywhere does not count.
        let is_of_host = route.is_some_and(|route| !self.routes[route].pattern.host.is_empty());
        let anywhere = (!is_of_host).then_some(&self.anywhere);
        let (mut is_better, mut methods) = (false, Methods::default());
        for tree in self.tree_of_host(req).into_iter().chain(anywhere) {
            tree.see_all(path, &mut |leaf, is_with_slash| {
                is_better |= is_with_slash && leaf.route(req.method()).is_some();
                methods.add(leaf);
            });
        }
        if is_better {
            return Beside::WithSlash;
        }
        if route.is_some() || methods.is_empty() {
            return Beside::Nothing;
        }
        Beside::OtherMethods(methods.list())
    }
}

/// What there is for a path.
pub(super) enum Found {
    /// The index of a route, and what its wildcards matched.
    Route(usize, Walk),
    /// Another path is meant: the clean one, or with a slash more at its end.
    Elsewhere(String),
    /// Routes for other methods: the value of `Allow`.
    OtherMethods(String),
    Nothing,
}

/// What there is for a path beside the best route for it.
enum Beside {
    /// A better one, for the path with a slash more at its end.
    WithSlash,
    /// None at all, but some for other methods: the value of `Allow`.
    OtherMethods(String),
    Nothing,
}

impl Walk {
    /// From positions in the canonical spelling of `path` to those of its own.
    fn translate(&mut self, path: Path<'_>, spelt: &[u8]) {
        let start = |at: usize| raw_start(path.bytes, spelt, at);
        for span in &mut self.spans[..self.len] {
            let at = start(usize::from(span.start));
            let is_rest = self.rest == Some(usize::from(span.start));
            let end = if is_rest { path.bytes.len() } else { segment_end(path.bytes, at).0 };
            *span = path.span(at, end);
        }
        self.rest = self.rest.map(start);
    }
}

fn with_slash(path: &str) -> String {
    [path, "/"].concat()
}

/// A host without its port; an IPv6 address keeps its brackets.
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| !byte.is_ascii_digit()) {
        Some(colon) if host[colon] == b':' => &host[..colon],
        _ => host,
    }
}
