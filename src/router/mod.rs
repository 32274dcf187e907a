//! Routing: the choice of a function for each request by its method, host and path. Patterns mean
//! the same as in Go 1.22.
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
//! A pattern has the form `[METHOD ][host]/path`. Each segment of its path is a literal, or
//! `{name}` for any one segment. The last segment may also be `{name...}` for the rest of the path,
//! `{$}` for the end after the slash, or empty: `/a/` matches itself and everything below it.
//!
//! * `GET` includes `HEAD`. A request gets a 405 with `Allow` if only patterns of other methods
//!   match its path, and a 204 with `Allow` if its method is `OPTIONS`.
//! * If several patterns match, those with a host win over those without. Among the rest the most
//!   specific pattern wins: every request that it matches is matched by the others, too. The order
//!   of registration never matters. If two patterns overlap and neither is more specific,
//!   [`Router::build`] fails and names both.
//! * Literals are compared with [`Request::path`](crate::Request::path), so every spelling of a
//!   path finds its route. A guard that compares this path cannot be bypassed by another spelling.
//!   `%2F` never separates segments.
//! * A path with empty or dot segments is redirected to the clean path (307, with its query). `/a`
//!   is redirected to `/a/` if only `/a/` is registered.
//! * Hosts are compared without regard to case and without the port. A pattern with a port is for
//!   `CONNECT`, whose path counts as `/`. (In Go the case matters, and `CONNECT` has no path at
//!   all.)
//!
//! # Why not a crate
//!
//! matchit 0.9, the usual choice, cannot express these patterns. It refuses `/{id}` beside
//! `/{rest...}`, that is, beside the subtree `/` that nearly every program has. It refuses `/{a}/`
//! beside `/`. Its catch-all does not match an empty rest. It knows neither methods nor hosts, so a
//! `GET` for a path whose literal branch has only a `POST` could not go back to the wildcard. It
//! could only compare bytes, which is the easy part, so the router has a tree of its own
//! (`tree.rs`).

mod leaf;
pub(crate) mod path;
mod pattern;
mod relation;
mod routes;
mod table;
#[cfg(test)]
mod tests;
mod tree;

use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use http::Method;

use crate::error::Error;
use crate::handler::layers::{Around, Guard, HandlerTimeout, Layers};
use crate::handler::{Handler, Reply};
use crate::message::request::{Request, RouteNames};
use crate::message::response::Response;

pub use crate::error::RouteError;
use pattern::Pattern;
use routes::Route;
pub use routes::Routes;
use table::Table;

type Function<S> = Box<dyn FnMut(&mut S, &Request<'_>) -> Reply<S>>;

/// A builder of [`Routes`]. The state belongs to the [`Server`](crate::Server), and every function
/// gets it as `&mut`, without an `Arc` or a lock.
///
/// [`build`](Router::build) returns an error for the first pattern that is invalid or conflicts
/// with another one, so a chain of calls needs no `?`. Only [`Routes`] are a [`Handler`], so wrong
/// routes cannot be served.
///
/// The [module](crate::router) explains patterns.
#[doc(alias("ServeMux", "HandleFunc", "Scope"))]
#[must_use = "a router does nothing until its routes are built and served"]
pub struct Router<S = ()> {
    table: Table,
    /// One for each pattern of the table.
    routes: Vec<Route<S>>,
    not_found: Option<Function<S>>,
    /// The prefix that [`nest`](Router::nest) puts before paths: empty, or without a final slash.
    prefix: String,
    /// The number of functions of [`nest`](Router::nest) that run: zero for a router that a
    /// function has made itself.
    depth: usize,
    /// The layers for the routes of this router, or of the function of [`nest`](Router::nest) that
    /// is running. The routes get them at its end, so it does not matter which was added first.
    layers: Layers<S>,
    error: Option<RouteError>,
}

impl<S: 'static> Router<S> {
    /// Creates a router without routes. With none added, every request gets a 404.
    pub fn new() -> Router<S> {
        Router {
            table: Table::default(),
            routes: Vec::new(),
            not_found: None,
            prefix: String::new(),
            depth: 0,
            layers: Layers::new(),
            error: None,
        }
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

    /// Adds a route for `HEAD` alone, for a response that should differ from that to `GET`.
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

    /// Adds a route for `OPTIONS`. Without one, `OPTIONS` gets a 204 with `Allow` for every path that
    /// has a route, and so does `OPTIONS *` with all methods that the patterns name.
    pub fn options<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(Some(Method::OPTIONS), pattern, into_reply(function))
    }

    /// Adds a route for every method that does not have its own route for the same path.
    pub fn any<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.add(None, pattern, into_reply(function))
    }

    /// Adds a route for a whole pattern, `[METHOD ][host]/path`. Every token can be a method.
    pub fn route<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        let parsed = Pattern::parse(&self.under_prefix("", pattern));
        self.insert(parsed, into_reply(function), false, Layers::new())
    }

    /// Adds a route for a whole pattern, with a function that gets the content: at most `limit`
    /// bytes of it. A request with more content gets a 413; see [`Reply::collect`]. The function
    /// still finds the [parameters](Request::param) of the request.
    pub fn collect<R: Into<Reply<S>>>(
        self,
        pattern: &str,
        limit: usize,
        function: impl FnMut(&mut S, &Request<'_>, &[u8]) -> R + 'static,
    ) -> Router<S> {
        // The requests of several connections may wait for their content at the same time.
        let function = Rc::new(RefCell::new(function));
        self.route(pattern, move |_, _| {
            let function = Rc::clone(&function);
            Reply::collect(limit, move |state: &mut S, req: &Request<'_>, content: &[u8]| {
                (function.borrow_mut())(state, req, content)
            })
        })
    }

    /// Adds a route for a whole pattern, with a [`Handler`] that is not a function, such as
    /// [`Files`](crate::files::Files) or other [`Routes`].
    pub fn handle(self, pattern: &str, handler: impl Handler<S> + 'static) -> Router<S> {
        self.route(pattern, handler_function(handler))
    }

    /// Adds a route for everything at and below `prefix`, which is `[host]/path`, with any method.
    /// The handler sees paths without the prefix; [guards](Router::guard) see whole paths.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Request, Router};
    /// let rest = |req: &Request<'_>| req.path().to_owned();
    /// let routes = Router::<()>::new().mount("/static", rest).build()?;
    /// assert_eq!(Sim::new(routes).get("/static/css/a?b").text(), "/css/a");
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    #[doc(alias("StripPrefix", "nest_service"))]
    pub fn mount(self, prefix: &str, handler: impl Handler<S> + 'static) -> Router<S> {
        let text = self.under_prefix("", &format!("{}/", prefix.trim_end_matches('/')));
        let parsed = Pattern::parse_rest(&text, None, &text);
        self.insert(parsed, handler_function(handler), true, Layers::new())
    }

    /// Adds routes whose paths all begin with `prefix`, such as `/api` or `/{tenant}/api`. They
    /// belong to the same table: conflicts, 405 and redirects are those of patterns that are
    /// written out in full. Functions see whole paths.
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
    ///
    /// Guards and other layers that the function `routes` adds apply to its own routes alone.
    pub fn nest(mut self, prefix: &str, routes: impl FnOnce(Router<S>) -> Router<S>) -> Router<S> {
        let is_path = prefix.is_empty() || prefix.starts_with('/');
        if !is_path || prefix.contains("{$}") || prefix.contains("...}") {
            self.error.get_or_insert(RouteError::Pattern {
                pattern: prefix.to_owned(),
                at: 0,
                reason: "a prefix is a path that can be continued, such as \"/api\"",
            });
        }
        let (prefix_len, first) = (self.prefix.len(), self.routes.len());
        self.prefix.push_str(prefix.trim_end_matches('/'));
        let outer = mem::replace(&mut self.layers, Layers::new());
        self.depth += 1;
        let (depth, whole_prefix) = (self.depth, self.prefix.clone());
        let mut router = routes(self);
        if router.depth != depth || router.prefix != whole_prefix {
            router.error.get_or_insert(RouteError::Pattern {
                pattern: prefix.to_owned(),
                at: 0,
                reason: "the function for a prefix must return the router that it was given",
            });
        }
        let inner = mem::replace(&mut router.layers, outer);
        for route in router.routes.iter_mut().skip(first) {
            route.layers.put_inside(&inner);
        }
        router.prefix.truncate(prefix_len);
        router.depth = depth - 1;
        router
    }

    /// Adds the routes of another router, below the prefix of [`nest`](Router::nest) if there is
    /// one. Its layers stay around its own routes. Its function for requests [without a
    /// route](Router::not_found) is used if this router does not have such a function.
    ///
    /// ```
    /// # use wheelhouse::{sim::Sim, Router};
    /// let users = Router::<()>::new().get("/users/{id}", |_, req| {
    ///     req.parse_param::<u64>("id").map(|id| id.to_string())
    /// });
    /// let routes = Router::new().nest("/api", |api| api.merge(users)).build()?;
    /// assert_eq!(Sim::new(routes).get("/api/users/7").text(), "7");
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn merge(mut self, other: Router<S>) -> Router<S> {
        let Router { table, routes, not_found, layers: outer, error, .. } = other;
        if let Some(error) = error {
            self.error.get_or_insert(error);
        }
        for (pattern, route) in table.patterns.iter().zip(routes) {
            let Route { function, hidden, mut layers, .. } = route;
            layers.put_inside(&outer);
            let text = self.under_prefix("", &pattern.text);
            let parsed = match &pattern.method {
                Some(_) => Pattern::parse(&text),
                // A space in the path does not end a method.
                None => Pattern::parse_rest(&text, None, &text),
            };
            self = self.insert(parsed, function, hidden.is_some(), layers);
        }
        if self.not_found.is_none() {
            self.not_found = not_found.map(|function| into_reply(outer.wrap(function)));
        }
        self
    }

    /// Checks every request of these routes before its handler is called. An error of `check` is
    /// the reply. It may be anything that is `Into<Reply>`: a response, a status, a
    /// [`Failure`](crate::Failure).
    ///
    /// Guards of a whole router also check the requests without a route, so a refused client does
    /// not learn which paths exist. Guards of a [`nest`](Router::nest) check the requests of its
    /// routes alone. A guard sees the whole path, [decoded](Request::path) as the routes see it,
    /// the [pattern](Request::pattern) and the parameters. The first layer that is added is the
    /// first to see a request. Routes may be added before or after their layers.
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Router, StatusCode};
    ///
    /// let routes = Router::<()>::new()
    ///     .get("/", |_, _| "everybody\n")
    ///     .nest("/admin", |admin| {
    ///         admin.get("/", |_, _| "the manager\n").guard(|_, req| {
    ///             let is_known = req.basic_auth().is_some_and(|auth| auth.matches("ann", "secret"));
    ///             is_known.then_some(()).ok_or(StatusCode::FORBIDDEN)
    ///         })
    ///     })
    ///     .build()?;
    /// let mut sim = Sim::new(routes);
    /// assert_eq!(sim.get("/").text(), "everybody\n");
    /// assert_eq!(sim.get("/%61dmin/").status(), 403);
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn guard<E: Into<Reply<S>> + 'static>(
        mut self,
        check: impl FnMut(&mut S, &Request<'_>) -> Result<(), E> + 'static,
    ) -> Router<S> {
        self.layers.push(Rc::new(Guard::new(check)));
        self
    }

    /// Calls `before` with each request of these routes. Calls `after` with the value that `before`
    /// returned and with the response, whenever that comes. An error of `before` is the reply, and
    /// the handler is not called.
    ///
    /// `after` may change status, header fields and content. It is called for each response of
    /// these routes: for one that is returned at once, one that comes after the content or from
    /// another thread, and the one that is sent at the timeout. It is not called for a response
    /// that the server makes by itself (413, 408, the 500 after a panic), or for a stream that is
    /// [handed out](Reply::hijack). The value is dropped if no response comes. The rules for layers
    /// are those of [`guard`](Router::guard).
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Router};
    ///
    /// let routes = Router::<u32>::new()
    ///     .get("/", |_, _| "hello\n")
    ///     .around(
    ///         |count, _| {
    ///             *count += 1;
    ///             Ok(*count)
    ///         },
    ///         |_, number, response| {
    ///             let _ = response.set_header("X-Number", number.to_string());
    ///         },
    ///     )
    ///     .build()?;
    /// let mut sim = Sim::with_state(0, routes);
    /// sim.get("/");
    /// assert_eq!(sim.get("/missing").header("X-Number"), Some("2"));
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn around<T: 'static>(
        mut self,
        before: impl FnMut(&mut S, &Request<'_>) -> Result<T, Reply<S>> + 'static,
        after: impl FnMut(&mut S, T, &mut Response) + 'static,
    ) -> Router<S> {
        self.layers.push(Rc::new(Around::new(before, after)));
        self
    }

    /// Sets the timeout of responses of these routes that come [later](Reply::later), at most a
    /// year, instead of [`Limits::handler_timeout`](crate::Limits::handler_timeout) (Go's
    /// `TimeoutHandler`). The timeout of a [`nest`](Router::nest) wins over that of the router
    /// around it, and the timeout of [the reply itself](Reply::with_handler_timeout) over both.
    ///
    /// A running handler is not interrupted, because it holds the loop. A worker that responds with
    /// another wait sets the timeout of that wait itself.
    pub fn handler_timeout(mut self, timeout: Duration) -> Router<S> {
        self.layers.push(Rc::new(HandlerTimeout(timeout)));
        self
    }

    /// Sets the function for requests without a route, in place of the one-line 404. It is not
    /// called for a 405. There is one for the whole router, also if it is set in a
    /// [`nest`](Router::nest).
    #[doc(alias("NotFoundHandler", "fallback"))]
    pub fn not_found<R: Into<Reply<S>>>(
        mut self,
        function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
    ) -> Router<S> {
        self.not_found = Some(into_reply(function));
        self
    }

    /// Returns the routes, ready to be served.
    ///
    /// # Errors
    ///
    /// [`Error::Route`] for the first pattern that is invalid or conflicts with an earlier one.
    pub fn build(self) -> Result<Routes<S>, Error> {
        let Router { table, mut routes, not_found, layers, error, .. } = self;
        if let Some(error) = error {
            return Err(error.into());
        }
        for route in &mut routes {
            route.layers.put_inside(&layers);
        }
        Ok(Routes { table, routes, not_found, layers })
    }

    fn add(self, method: Option<Method>, pattern: &str, function: Function<S>) -> Router<S> {
        let name = method.as_ref().map_or("", Method::as_str);
        let text = self.under_prefix(name, pattern);
        let rest = if name.is_empty() { 0 } else { name.len() + 1 };
        let parsed = Pattern::parse_rest(&text, method, &text[rest..]);
        self.insert(parsed, function, false, Layers::new())
    }

    /// The whole text of a pattern: with the method, if it was given separately, and with the
    /// prefix before the path.
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
        layers: Layers<S>,
    ) -> Router<S> {
        let added = parsed.and_then(|pattern| {
            let hidden = strips.then_some(pattern.segments.len());
            let (pattern_text, wildcards) = (pattern.text.clone(), pattern.names.clone());
            let names = Rc::new(RouteNames { pattern: pattern_text, wildcards });
            self.table.insert(pattern)?;
            self.routes.push(Route { names, function, hidden, layers });
            Ok(())
        });
        if let Err(error) = added {
            self.error.get_or_insert(error);
        }
        self
    }
}

/// Patterns without functions, for code that asks whether a request matches one of them.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Table);

impl Patterns {
    pub(crate) fn add(&mut self, pattern: &str) -> Result<(), RouteError> {
        self.0.insert(Pattern::parse(pattern)?)
    }

    /// Whether a pattern matches the request as it is. A request that would be redirected to a
    /// path that a pattern matches does not count.
    pub(crate) fn contain(&self, req: &Request<'_>) -> bool {
        self.0.contains(req)
    }
}

/// Boxes a function of a program in the form that the table stores.
fn into_reply<S: 'static, R: Into<Reply<S>>>(
    mut function: impl FnMut(&mut S, &Request<'_>) -> R + 'static,
) -> Function<S> {
    Box::new(move |state: &mut S, req: &Request<'_>| function(state, req).into())
}

/// Boxes a handler in the form that the table stores.
fn handler_function<S: 'static>(mut handler: impl Handler<S> + 'static) -> Function<S> {
    Box::new(move |state: &mut S, req: &Request<'_>| handler.handle(state, req))
}

impl<S: 'static> Default for Router<S> {
    fn default() -> Router<S> {
        Router::new()
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.table.patterns.iter().map(|pattern| &pattern.text);
        f.write_str("Router ")?;
        f.debug_list().entries(patterns).finish()
    }
}
