//! Serving routes: from a request to the reply of its route, or to a redirect, 405 or 404.

use std::fmt;
use std::rc::Rc;

use http::{Method, StatusCode};

use super::into_reply;
use super::pattern::Pattern;
use super::table::{Found, Route, Table};
use super::tree::Spans;
use crate::error::RouteError;
use crate::handler::{Action, Collect, Handler, Reply};
use crate::message::path::nth_slash;
use crate::message::percent::encode_path;
use crate::message::redirect::redirect_to;
use crate::message::request::{Request, RouteMatch, Span, TargetForm};
use crate::message::response::Response;

/// Routes, ready to be served: the result of [`Router::build`](super::Router::build).
pub struct Routes<S = ()> {
    pub(super) table: Table<S>,
}

impl<S: 'static> Handler<S> for Routes<S> {
    fn handle(&mut self, state: &mut S, req: &Request<'_>) -> Reply<S> {
        let Some(path) = path_to_route(req) else { return respond_for_server(req).into() };
        match self.table.find(req, path) {
            Found::Route(route, spans) => self.call(state, route, spans, req),
            Found::Redirect(path) => redirect(req, &path).into(),
            Found::OtherMethods(allow) => Response::method_not_allowed(&allow).into(),
            Found::Nothing => self.not_found(state, req),
        }
    }
}

impl<S: 'static> Routes<S> {
    /// Calls the function of a route. `spans` are positions in the path.
    fn call(
        &mut self,
        state: &mut S,
        route: usize,
        mut spans: Spans,
        req: &Request<'_>,
    ) -> Reply<S> {
        let Route { pattern, names, function, strips } = &mut self.table.routes[route];
        let path = req.path_span();
        for span in &mut spans[..names.wildcards.len()] {
            span.start += path.start;
        }
        let found = RouteMatch { names, spans: &spans };
        let seen = if *strips { strip(req, pattern.segments.len()) } else { path };
        let req = req.with_route(&found, seen);
        let reply = function(state, &req);
        match reply.0 {
            // Most replies are responses. Not to pass them on saves 25 instructions.
            Action::Respond(_) => reply,
            _ => remember_route(reply, &req),
        }
    }

    fn not_found(&mut self, state: &mut S, req: &Request<'_>) -> Reply<S> {
        match &mut self.table.not_found {
            Some(function) => function(state, req),
            None => Response::not_found().into(),
        }
    }
}

/// A set of patterns without functions.
impl Routes<()> {
    pub(crate) fn none() -> Routes<()> {
        Routes { table: Table::new() }
    }

    pub(crate) fn add_pattern(&mut self, pattern: &str) -> Result<(), RouteError> {
        self.table.insert(Pattern::parse(pattern)?, into_reply(|_, _| ""), false)
    }

    /// Whether a pattern matches the request as it is. A request that would be redirected to a
    /// path that a pattern matches does not count.
    pub(crate) fn contain(&self, req: &Request<'_>) -> bool {
        path_to_route(req)
            .is_some_and(|path| matches!(self.table.find(req, path), Found::Route(..)))
    }
}

/// The path that decides on the route; `None` for the target `*`, which has none.
fn path_to_route<'a>(req: &Request<'a>) -> Option<&'a [u8]> {
    match req.target_form() {
        TargetForm::Asterisk => None,
        TargetForm::Authority => Some(b"/"),
        TargetForm::Absolute if req.is_absolute_without_path() => Some(b"/"),
        TargetForm::Origin | TargetForm::Absolute => Some(req.path_bytes()),
    }
}

/// The position of the path of `req` without its first `count` segments.
fn strip(req: &Request<'_>, count: usize) -> Span {
    let path = req.path_span();
    let prefix_len = nth_slash(req.path_bytes(), count);
    Span::new(usize::from(path.start) + prefix_len, usize::from(path.len) - prefix_len)
}

/// Lets the request that comes back with its content have the route of `req` again.
fn remember_route<S: 'static>(reply: Reply<S>, req: &Request<'_>) -> Reply<S> {
    match reply.0 {
        Action::Collect(collect) => remember_route_for_content(collect, req),
        Action::Inform(both) => Reply::inform(both.0, remember_route(both.1, req)),
        Action::ContentWithin(both) => remember_route(both.1, req).with_content_timeout(both.0),
        Action::Map(mut both) => {
            both.1 = remember_route(both.1, req);
            Reply(Action::Map(both))
        }
        _ => reply,
    }
}

fn remember_route_for_content<S: 'static>(collect: Collect<S>, req: &Request<'_>) -> Reply<S> {
    let Some(RouteMatch { names, spans }) = req.route() else {
        return Reply(Action::Collect(collect));
    };
    let (names, spans, path) = (Rc::clone(names), *spans, req.path_span());
    let Collect { limit, then } = collect;
    Reply::collect(limit, move |state, req, content| {
        let found = RouteMatch { names: &names, spans: &spans };
        then(state, &req.with_route(&found, path), content)
    })
}

/// Responds to the target `*`. `OPTIONS *` asks about the server as a whole (RFC 9110, section
/// 9.3.7); no other method may have this target.
fn respond_for_server(req: &Request<'_>) -> Response {
    if *req.method() == Method::OPTIONS {
        return Response::new(StatusCode::OK);
    }
    Response::status_page(StatusCode::BAD_REQUEST).with_close()
}

fn redirect(req: &Request<'_>, path: &str) -> Response {
    let query = req.raw_query().map_or_else(String::new, |query| format!("?{query}"));
    let path = encode_path(&format!("{}{path}", req.stripped()));
    // With two slashes at its front, the target would be another host.
    let target = format!("/{}{query}", path.trim_start_matches('/'));
    redirect_to(req.method(), StatusCode::TEMPORARY_REDIRECT, &target)
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.table.routes.iter().map(|route| &route.pattern.text);
        f.write_str("Routes ")?;
        f.debug_list().entries(patterns).finish()
    }
}
