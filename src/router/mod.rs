//! Routes: which function handles which request, with the meaning of Go 1.22 patterns.
//!
//! ```
//! use wheelhouse::{sim::Sim, Router};
//!
//! #[derive(Default)]
//! struct Hub {
//!     notes: Vec<String>,
//! }
//!
//! let routes = Router::<Hub>::new()
//!     .get("/user/{id}", |_, req| format!("user {}\n", req.param("id").unwrap_or_default()))
//!     .get("/notes/{$}", |hub, _| hub.notes.join("\n"))
//!     .collect("POST /note", 4096, |hub, _, content| {
//!         hub.notes.push(String::from_utf8_lossy(content).into_owned());
//!         "noted\n"
//!     })
//!     .build()?;
//! # let mut sim = Sim::with_state(Hub::default(), routes);
//! # let c = sim.connect_and_send(b"GET /user/7 HTTP/1.1\r\nHost: a\r\n\r\n");
//! # assert!(sim.received(c).ends_with(b"\r\n\r\nuser 7\n"));
//! # sim.send(c, b"POST /note HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
//! # assert!(sim.received(c).ends_with(b"\r\n\r\nnoted\n"));
//! # sim.send(c, b"GET /notes HTTP/1.1\r\nHost: a\r\n\r\n");
//! # assert!(String::from_utf8_lossy(sim.received(c)).contains("307"));
//! # Ok::<(), wheelhouse::Error>(())
//! ```
//!
//! # Patterns
//!
//! `[METHOD ][host]/path`, where a segment of the path is a literal or `{name}` (one segment). The
//! last one may also be `{name...}` (the rest), `{$}` (nothing after the slash) or empty: `/a/`
//! matches itself and everything below it.
//!
//! * `GET` includes `HEAD`. A request whose path matches, but with another method, gets 405 with
//!   `Allow`.
//! * Of several patterns that match, one with a host wins over one without, and then the more
//!   specific one: the one that matches strictly fewer requests. Order never matters. Where neither
//!   is more specific, [`Router::build`] fails and names both.
//! * Literals are compared with [`Request::path`](crate::Request::path), so any spelling of a path
//!   finds its route, and a guard that compares the same path cannot be passed by another spelling.
//!   `%2F` never separates segments.
//! * Paths with empty or dot segments are redirected (307, query kept) to the clean path, and
//!   `/a` to `/a/` where only that is registered.
//! * Hosts are compared without regard to case and without the port. A pattern with a port is for
//!   `CONNECT`, whose path counts as `/`. (Go compares case, and gives `CONNECT` no path at all.)
//!
//! # Why not a crate
//!
//! matchit 0.9, the usual choice, cannot express these patterns. It refuses `/{id}` beside
//! `/{rest...}`, that is, beside the subtree `/` that nearly every program has, and `/{a}/` beside
//! `/`. Its catch-all does not match an empty rest. It knows neither methods nor hosts, so a `GET`
//! on a path whose literal branch has only a `POST` could not go back to the wildcard. Comparing
//! bytes is all that it could do here, so the tree over segments is our own (`tree.rs`).

mod leaf;
pub(crate) mod path;
mod pattern;
mod relation;
mod routes;
mod table;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::rc::Rc;

use http::Method;

use crate::error::Error;
use crate::handler::Reply;
use crate::message::request::Request;

pub use crate::error::RouteError;
use pattern::Pattern;
pub use routes::Routes;
use table::Table;

type Function<S> = Box<dyn FnMut(&mut S, &Request<'_>) -> Reply<S>>;

/// Routes being set up. The state belongs to the [`Server`](crate::Server), and every function gets it
/// as `&mut`, without an `Arc` or a lock.
///
/// The first pattern that is invalid or conflicts with another is an error of
/// [`build`](Router::build), so a chain of calls needs no `?` and wrong routes cannot be served:
/// only [`Routes`] are a [`Handler`](crate::Handler).
///
/// The [module](crate::router) explains patterns.
#[must_use = "a router does nothing until its routes are built and served"]
pub struct Router<S = ()> {
    table: Table<S>,
    /// The prefix that [`nest`](Router::nest) puts before paths: empty, or without a final slash.
    prefix: String,
    error: Option<RouteError>,
}

impl<S: 'static> Router<S> {
    /// Creates a router without routes: every request gets 404.
    pub fn new() -> Router<S> {
        Router { table: Table::new(), prefix: String::new(), error: None }
    }

    /// Adds a route for `GET` and `HEAD`. Here and in the other functions that are named after a
    /// method, the pattern is `[host]/path`.
    pub fn get<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(Some(Method::GET), pattern, into_reply(function))
    }

    /// Adds a route for `HEAD` alone, where it should differ from `GET`.
    pub fn head<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(Some(Method::HEAD), pattern, into_reply(function))
    }

    /// Adds a route for `POST`.
    pub fn post<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(Some(Method::POST), pattern, into_reply(function))
    }

    /// Adds a route for `PUT`.
    pub fn put<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(Some(Method::PUT), pattern, into_reply(function))
    }

    /// Adds a route for `PATCH`.
    pub fn patch<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(Some(Method::PATCH), pattern, into_reply(function))
    }

    /// Adds a route for `DELETE`.
    pub fn delete<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(Some(Method::DELETE), pattern, into_reply(function))
    }

    /// Adds a route for `OPTIONS`. Without one, only `OPTIONS *` is answered with 200.
    pub fn options<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(Some(Method::OPTIONS), pattern, into_reply(function))
    }

    /// Adds a route for every method that has none of its own for the same path.
    pub fn any<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(None, pattern, into_reply(function))
    }

    /// Adds a route for a whole pattern, `[METHOD ][host]/path`; any token is a method.
    pub fn route<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        let parsed = Pattern::parse(&self.under_prefix("", pattern));
        self.insert(parsed, into_reply(function), false)
    }

    /// Adds a route for a whole pattern whose function gets the content, at most `limit` bytes of
    /// it. A request with more gets 413; see [`Reply::collect`]. The request still has its
    /// [parameters](Request::param) when the content has arrived.
    ///
    /// The free function [`collect`] does the same for `post` and its like, but needs the type of
    /// the state written out.
    pub fn collect<R: Into<Reply<S>> + 'static>(
        self,
        pattern: &str,
        limit: usize,
        function: impl Fn(&mut S, &Request<'_>, &[u8]) -> R + 'static,
    ) -> Router<S> {
        self.route(pattern, collect(limit, function))
    }

    /// Adds a route for everything at and below `prefix`, which is `[host]/path`, with any method.
    /// The function sees paths without the prefix; it may be a file server or another handler.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Router};
    /// let routes = Router::<()>::new().mount("/static", |_, req| req.path().to_owned()).build()?;
    /// # let mut sim = Sim::new(routes);
    /// # let c = sim.connect_and_send(b"GET /static/css/a?b HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\n/css/a"));
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn mount<R: Into<Reply<S>>>(
        self,
        prefix: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        let text = self.under_prefix("", &format!("{}/", prefix.trim_end_matches('/')));
        let parsed = Pattern::parse_rest(&text, None, &text);
        self.insert(parsed, into_reply(function), true)
    }

    /// Adds routes whose paths all begin with `prefix`, such as `/api` or `/{tenant}/api`. They
    /// belong to the same table: conflicts, 405 and redirects are the same as if each pattern had
    /// been written out, and functions see whole paths.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Router};
    /// fn users(router: Router<u64>) -> Router<u64> {
    ///     router.get("/{id}", |asked, req| {
    ///         *asked += 1;
    ///         format!("{} of {}", req.param("id").unwrap_or_default(), req.path())
    ///     })
    /// }
    ///
    /// let routes = Router::<u64>::new().nest("/api", |api| api.nest("/users", users)).build()?;
    /// # let mut sim = Sim::with_state(0, routes);
    /// # let c = sim.connect_and_send(b"GET /api/users/7 HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(sim.received(c).ends_with(b"\r\n\r\n7 of /api/users/7"));
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn nest(mut self, prefix: &str, routes: impl FnOnce(Router<S>) -> Router<S>) -> Router<S> {
        let is_path = prefix.is_empty() || prefix.starts_with('/');
        if !is_path || prefix.contains("{$}") || prefix.contains("...}") {
            self.error.get_or_insert(RouteError::Pattern {
                pattern: prefix.to_owned(),
                at: 0,
                reason: "a prefix is a path that can be continued: \"/api\"",
            });
        }
        let len = self.prefix.len();
        self.prefix.push_str(prefix.trim_end_matches('/'));
        let mut router = routes(self);
        router.prefix.truncate(len);
        router
    }

    /// Sets the function for requests without a route, in place of the one-line 404. It is not
    /// called for a 405.
    pub fn not_found<R: Into<Reply<S>>>(
        mut self,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.table.not_found = Some(into_reply(function));
        self
    }

    /// Returns the routes, ready to be served.
    ///
    /// # Errors
    ///
    /// The first pattern that is invalid or conflicts with an earlier one.
    pub fn build(self) -> Result<Routes<S>, Error> {
        match self.error {
            Some(error) => Err(error.into()),
            None => Ok(Routes { table: self.table }),
        }
    }

    fn add(self, method: Option<Method>, pattern: &str, function: Function<S>) -> Router<S> {
        let name = method.as_ref().map_or("", Method::as_str);
        let text = self.under_prefix(name, pattern);
        let rest = if name.is_empty() { 0 } else { name.len() + 1 };
        let parsed = Pattern::parse_rest(&text, method, &text[rest..]);
        self.insert(parsed, function, false)
    }

    /// The whole text of a pattern: the method, if it was given separately, and the prefix before
    /// the path.
    fn under_prefix(&self, method: &str, pattern: &str) -> String {
        let space = if method.is_empty() { "" } else { " " };
        // A pattern without a path gets no prefix, and the parser then reports the missing path.
        let path = pattern.find('/').unwrap_or(pattern.len());
        let prefix = if path == pattern.len() { "" } else { &self.prefix };
        format!("{method}{space}{}{prefix}{}", &pattern[..path], &pattern[path..])
    }

    fn insert(
        mut self,
        parsed: Result<Pattern, RouteError>,
        function: Function<S>,
        strips: bool,
    ) -> Router<S> {
        let added = parsed.and_then(|pattern| self.table.insert(pattern, function, strips));
        if let Err(error) = added {
            self.error.get_or_insert(error);
        }
        self
    }
}

/// Makes a function for [`Router::post`] and its like that collects at most `limit` bytes of
/// content and then calls `function`.
///
/// The type of the state must be written out here; [`Router::collect`] infers it.
///
/// ```
/// # use wheelhouse::{collect, Router};
/// let sum = collect(16, |total: &mut u64, _, content| {
///     *total += content.len() as u64;
///     total.to_string()
/// });
/// let routes = Router::<u64>::new().post("/add", sum).build()?;
/// # let _ = routes;
/// # Ok::<(), wheelhouse::Error>(())
/// ```
pub fn collect<S: 'static, R: Into<Reply<S>>>(
    limit: usize,
    function: impl Fn(&mut S, &Request<'_>, &[u8]) -> R + 'static,
) -> impl FnMut(&mut S, &Request<'_>) -> Reply<S> {
    // Several requests may wait for their content at the same time.
    let function = Rc::new(function);
    move |_: &mut S, _: &Request<'_>| {
        let function = Rc::clone(&function);
        Reply::collect(limit, move |state: &mut S, req: &Request<'_>, content: &[u8]| {
            function(state, req, content)
        })
    }
}

/// Boxes a function of a program in the form that the table stores.
fn into_reply<S: 'static, R: Into<Reply<S>>>(
    mut function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
) -> Function<S> {
    Box::new(move |state: &mut S, req: &Request<'_>| function(state, req).into())
}

impl<S: 'static> Default for Router<S> {
    fn default() -> Router<S> {
        Router::new()
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.table.routes.iter().map(|route| &route.pattern.text);
        f.write_str("Router ")?;
        f.debug_list().entries(patterns).finish()
    }
}
