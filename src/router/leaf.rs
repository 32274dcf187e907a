//! The routes of one place in the tree, by method.

use std::collections::BTreeSet;

use http::Method;

/// The routes whose patterns differ in their methods alone.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    /// The routes with a method of their own.
    own: Vec<(Method, usize)>,
    /// The route for every other method.
    any: Option<usize>,
}

impl Leaf {
    /// Adds a route for `method`, or for every other method if that is `None`. The leaf must not
    /// have a route for it yet.
    pub(super) fn insert(&mut self, method: Option<&Method>, route: usize) {
        match method {
            Some(method) => self.own.push((method.clone(), route)),
            None => self.any = Some(route),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.any.is_none()
    }

    /// The route for `method`: its own one; else, for `HEAD`, that of `GET`; else the route for any
    /// method.
    pub(super) fn route(&self, method: &Method) -> Option<usize> {
        let own = match *method {
            Method::HEAD => self.own_route(method).or(self.own_route(&Method::GET)),
            _ => self.own_route(method),
        };
        own.or(self.any)
    }

    fn own_route(&self, method: &Method) -> Option<usize> {
        self.own.iter().find(|(known, _)| known == method).map(|(_, route)| *route)
    }

    /// Adds to `allowed` the methods that have a route of their own here. `HEAD` is one of them
    /// wherever `GET` is.
    pub(super) fn add_methods<'t>(&'t self, allowed: &mut BTreeSet<&'t str>) {
        allowed.extend(self.own.iter().map(|(method, _)| method.as_str()));
        if self.own_route(&Method::GET).is_some() {
            allowed.insert("HEAD");
        }
    }
}
