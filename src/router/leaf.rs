//! Where a path pattern ends: its routes, by method.

use http::Method;

/// The methods that are usual, in order.
const USUAL: [&str; 9] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// The routes of one path pattern, by method.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    /// What nearly all requests ask for.
    get: Option<usize>,
    /// For every method that has no route of its own here.
    any: Option<usize>,
    others: Vec<(Method, usize)>,
    /// Which of [`USUAL`] have a route of their own here, as bits; `HEAD` wherever there is `GET`.
    usual: u16,
    /// Another method has.
    has_unusual: bool,
}

impl Leaf {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.get.or(self.any).is_none() && self.others.is_empty()
    }

    /// The pattern must not be here yet.
    pub(super) fn insert(&mut self, method: Option<&Method>, route: usize) {
        if let Some(method) = method {
            let own = bit(method.as_str());
            self.usual |= if own == bit("GET") { own | bit("HEAD") } else { own };
            self.has_unusual |= own == 0;
        }
        let known = match method {
            None => self.any.replace(route),
            Some(&Method::GET) => self.get.replace(route),
            Some(method) => {
                let known = self.other(method);
                self.others.push((method.clone(), route));
                known
            }
        };
        debug_assert!(known.is_none(), "patterns that are equal conflict");
    }

    /// The route for `method`: its own, else `GET` for `HEAD`, else the one for any method.
    #[inline(always)]
    pub(super) fn route(&self, method: &Method) -> Option<usize> {
        let own = match *method {
            Method::GET => self.get,
            Method::HEAD => self.other(method).or(self.get),
            _ => self.other(method),
        };
        own.or(self.any)
    }

    fn other(&self, method: &Method) -> Option<usize> {
        self.others.iter().find(|(known, _)| known == method).map(|(_, route)| *route)
    }
}

/// The methods that have routes of their own in some leaves.
#[derive(Debug, Default)]
pub(super) struct Methods<'t> {
    usual: u16,
    unusual: Vec<&'t str>,
}

impl<'t> Methods<'t> {
    pub(super) fn add(&mut self, leaf: &'t Leaf) {
        self.usual |= leaf.usual;
        if leaf.has_unusual {
            let names = leaf.others.iter().map(|(method, _)| method.as_str());
            self.unusual.extend(names.filter(|name| !USUAL.contains(name)));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.usual == 0 && self.unusual.is_empty()
    }

    /// The value of `Allow`: each once, in order.
    pub(super) fn list(&self) -> String {
        let is_here = |&(bit, _): &(usize, &&'static str)| self.usual & 1 << bit != 0;
        let mut names: Vec<&str> =
            USUAL.iter().enumerate().filter(is_here).map(|(_, name)| *name).collect();
        if !self.unusual.is_empty() {
            names.extend(&self.unusual);
            names.sort_unstable();
            names.dedup();
        }
        names.join(", ")
    }
}

fn bit(name: &str) -> u16 {
    USUAL.iter().position(|usual| *usual == name).map_or(0, |bit| 1 << bit)
}
