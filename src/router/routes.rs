//! [`Routes`]: respond to a request with the reply of its route, a redirect, a 405 or a 404.

use std::fmt;
use std::rc::Rc;

use http::{Method, StatusCode};

use super::table::{path_to_route, Found, Table};
use super::tree::Spans;
use super::Function;
use crate::handler::layers::Layers;
use crate::handler::{Action, Collect, Handler, Reply};
use crate::message::path::nth_slash;
use crate::message::percent::encode_path;
use crate::message::redirect::redirect_to;
use crate::message::request::{Request, RouteMatch, RouteNames, Span};
use crate::message::response::Response;

/// Routes that are ready to be served: the result of [`Router::build`](super::Router::build).
#[doc(alias = "ServeMux")]
pub struct Routes<S = ()> {
    pub(super) table: Table,
    /// One for each pattern of the table.
    pub(super) routes: Vec<Route<S>>,
    pub(super) not_found: Option<Function<S>>,
    /// The layers of the whole router, for the requests without a route: each route has its own.
    pub(super) layers: Layers<S>,
}

/// The code for the requests of one pattern.
pub(super) struct Route<S> {
    /// The parts of the pattern that handlers see. A request that waits for its content shares
    /// them.
    pub(super) names: Rc<RouteNames>,
    pub(super) function: Function<S>,
    /// For a mount, the number of segments at the front of the path that the function does not see.
    pub(super) hidden: Option<usize>,
    /// The layers around the function. They see whole paths.
    pub(super) layers: Layers<S>,
}

impl<S: 'static> Handler<S> for Routes<S> {
    fn handle(&mut self, state: &mut S, req: &Request<'_>) -> Reply<S> {
        let Routes { table, routes, not_found, layers } = self;
        let Some(path) = path_to_route(req) else {
            return layers.handle(state, req, &mut |_| respond_for_server(req, table).into());
        };
        match table.find(req, path) {
            Found::Route(route, spans) => routes[route].handle(state, spans, req),
            Found::Redirect(path) => {
                layers.handle(state, req, &mut |_| redirect(req, &path).into())
            }
            Found::OtherMethods(allow) => layers.handle(state, req, &mut |_| {
                match *req.method() {
                    Method::OPTIONS => Response::options(&allow),
                    _ => Response::method_not_allowed(&allow),
                }
                .into()
            }),
            Found::Nothing => layers.handle(state, req, &mut |state| match not_found {
                Some(function) => function(state, req),
                None => Response::not_found().into(),
            }),
        }
    }
}

impl<S: 'static> Route<S> {
    /// Handles a request of this route. `spans` are positions in the path.
    fn handle(&mut self, state: &mut S, mut spans: Spans, req: &Request<'_>) -> Reply<S> {
        let Route { names, function, hidden, layers } = self;
        let path = req.path_span();
        for span in &mut spans[..names.wildcards.len()] {
            span.start += path.start;
        }
        let found = RouteMatch { names, spans: &spans };
        req.note_route(names);
        let seen = hidden.map_or(path, |count| strip(req, count));
        let mut call = |state: &mut S| {
            let req = req.with_route(&found, seen);
            let reply = function(state, &req);
            match reply.0 {
                // Most replies are responses. To return them here saves 25 instructions.
                Action::Respond(_) => reply,
                _ => remember_route(reply, &req),
            }
        };
        if layers.is_empty() {
            return call(state);
        }
        let whole = req.with_route(&found, path);
        // A layer, too, may ask for content, with a function that sees the route as the layer does.
        remember_route(layers.handle(state, &whole, &mut call), &whole)
    }
}

/// The position of the path of `req` without its first `count` segments.
fn strip(req: &Request<'_>, count: usize) -> Span {
    let path = req.path_span();
    let prefix_len = nth_slash(req.path_bytes(), count);
    Span::new(usize::from(path.start) + prefix_len, usize::from(path.len) - prefix_len)
}

/// Has the function for the content called with the route of `req`.
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
        req.note_route(&names);
        then(state, &req.with_route(&found, path), content)
    })
}

/// Responds to the target `*`. `OPTIONS *` asks about the server as a whole (RFC 9110, section
/// 9.3.7); no other method may have this target.
fn respond_for_server(req: &Request<'_>, table: &Table) -> Response {
    if *req.method() == Method::OPTIONS {
        return Response::options(&table.allow());
    }
    Response::status_page(StatusCode::BAD_REQUEST).with_close()
}

fn redirect(req: &Request<'_>, path: &str) -> Response {
    let query = req.raw_query().map_or_else(String::new, |query| format!("?{query}"));
    let path = encode_path(&format!("{}{path}", req.stripped()));
    // A target that begins with two slashes would name another host.
    let target = format!("/{}{query}", path.trim_start_matches('/'));
    redirect_to(req.method(), StatusCode::TEMPORARY_REDIRECT, &target)
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.table.patterns.iter().map(|pattern| &pattern.text);
        f.write_str("Routes ")?;
        f.debug_list().entries(patterns).finish()
    }
}
