//! Routes being served: from a request to the function that answers it, or to the answer that
//! there is none.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::rc::Rc;

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::error::RouteError;
use super::into_reply;
use super::path::Path;
use super::pattern::Pattern;
use super::table::{Found, Route, Table};
use super::tree::Walk;
use crate::handler::timers::Timers;
use crate::handler::{Action, Collect, Handler, Reply};
use crate::message::redirect::redirect_to;
use crate::message::request::{Request, RouteMatch, Span, TargetForm};
use crate::message::response::Response;

/// Routes, ready to be served: what [`Router::build`](super::Router::build) gives.
pub struct Routes<S> {
    pub(super) state: S,
    pub(super) table: Table<S>,
    pub(super) timers: Timers<S>,
}

impl<S: 'static> Handler for Routes<S> {
    type State = S;

    fn state(&mut self) -> &mut S {
        &mut self.state
    }

    fn timers(&mut self) -> Timers<S> {
        mem::take(&mut self.timers)
    }

    #[inline(never)]
    fn handle(&mut self, req: &Request<'_>) -> Reply<S> {
        match req.target_form() {
            TargetForm::Origin => self.answer(req, path_in_head(req)),
            // All in one, so that of the usual form nothing else is asked.
            form => self.answer_other_form(form, req),
        }
    }
}

impl<S: 'static> Routes<S> {
    #[cold]
    #[inline(never)]
    fn answer_other_form(&mut self, form: TargetForm, req: &Request<'_>) -> Reply<S> {
        match path_of(form, req) {
            Some(path) => self.answer(req, path),
            None => about_the_server(req).into(),
        }
    }

    #[inline(always)]
    fn answer(&mut self, req: &Request<'_>, path: Path<'_>) -> Reply<S> {
        // What nearly all requests need. Only a path that is clean and means itself is found so.
        let mut walk = Walk::raw();
        let route = self.table.find(req, path, &mut walk);
        match route {
            Some(route) if walk.is_final => self.call(route, req, &walk),
            _ => self.answer_with_care(req, path, route, walk),
        }
    }

    #[cold]
    #[inline(never)]
    fn answer_with_care(
        &mut self,
        req: &Request<'_>,
        path: Path<'_>,
        route: Option<usize>,
        walk: Walk,
    ) -> Reply<S> {
        match self.table.find_with_care(req, path, route, walk) {
            Found::Route(route, walk) => self.call(route, req, &walk),
            Found::Elsewhere(path) => redirect(req, &path).into(),
            Found::OtherMethods(allow) => Response::method_not_allowed(&allow).into(),
            Found::Nothing => self.not_found(req),
        }
    }

    #[inline(always)]
    fn call(&mut self, index: usize, req: &Request<'_>, walk: &Walk) -> Reply<S> {
        let Route { names, function, strips, .. } = &mut self.table.routes[index];
        let seen = match (*strips, walk.rest) {
            (true, Some(rest)) => cut(req.path_span(), rest - 1),
            _ => req.path_span(),
        };
        let found = RouteMatch { names, spans: &walk.spans };
        let req = req.with_route(&found, seen);
        let reply = function(&mut self.state, &req);
        match reply.0 {
            // Nearly always: it is not even moved.
            Action::Respond(_) => reply,
            _ => remember_route(reply, &req),
        }
    }

    fn not_found(&mut self, req: &Request<'_>) -> Reply<S> {
        match &mut self.table.not_found {
            Some(function) => function(&mut self.state, req),
            None => Response::not_found().into(),
        }
    }
}

/// As a set of patterns, with nothing behind them.
impl Routes<()> {
    pub(crate) fn none() -> Routes<()> {
        Routes { state: (), table: Table::new(), timers: Timers::new() }
    }

    pub(crate) fn add_pattern(&mut self, pattern: &str) -> Result<(), RouteError> {
        self.table.insert(Pattern::parse(pattern)?, into_reply(|_, _| ""), false)
    }

    /// Whether a pattern matches the request as it is. One that would only be redirected to where
    /// a pattern matches does not count.
    pub(crate) fn contain(&self, req: &Request<'_>) -> bool {
        let Some(path) = path_of(req.target_form(), req) else { return false };
        let mut walk = Walk::raw();
        let route = self.table.find(req, path, &mut walk);
        route.is_some() && walk.is_final
            || matches!(self.table.find_with_care(req, path, route, walk), Found::Route(..))
    }
}

/// The path to be walked; `None` for the `*` that is none.
fn path_of<'a>(form: TargetForm, req: &Request<'a>) -> Option<Path<'a>> {
    match form {
        TargetForm::Asterisk => None,
        TargetForm::Authority => Some(Path::whole(b"/")),
        TargetForm::Absolute if req.is_absolute_without_path() => Some(Path::whole(b"/")),
        TargetForm::Origin | TargetForm::Absolute => Some(path_in_head(req)),
    }
}

#[inline(always)]
fn path_in_head<'a>(req: &Request<'a>) -> Path<'a> {
    let span = req.path_span();
    Path::within(req.head_bytes(), usize::from(span.start), usize::from(span.len))
}

impl<'a> Request<'a> {
    /// What the wildcard `name` of the [route](crate::Router) matched, percent-decoded. Allocates
    /// only if there is something to decode; bytes that are no UTF-8 become U+FFFD.
    ///
    /// An encoded slash comes out as a slash: split a `{name...}` before you decode it, and never
    /// make a file name of it unchecked.
    pub fn param_decoded(&self, name: &str) -> Option<Cow<'a, str>> {
        self.param(name).map(|raw| percent_decode_str(raw).decode_utf8_lossy())
    }
}

/// The request that comes back with the content has forgotten its route: it is reminded.
#[inline(never)]
fn remember_route<S: 'static>(reply: Reply<S>, req: &Request<'_>) -> Reply<S> {
    match reply.0 {
        Action::Collect(collect) => remember_route_later(collect, req),
        Action::Inform(both) => Reply::inform(both.0, remember_route(both.1, req)),
        Action::ContentWithin(both) => remember_route(both.1, req).content_within(both.0),
        action => Reply(action),
    }
}

fn remember_route_later<S: 'static>(collect: Collect<S>, req: &Request<'_>) -> Reply<S> {
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

/// `OPTIONS *` asks about the server as a whole (RFC 9110, section 9.3.7); nothing else may ask
/// for `*`.
fn about_the_server(req: &Request<'_>) -> Response {
    if *req.method() == Method::OPTIONS {
        return Response::new(StatusCode::OK);
    }
    Response::status_page(StatusCode::BAD_REQUEST).and_close()
}

fn redirect(req: &Request<'_>, path: &str) -> Response {
    let query = req.query().map_or_else(String::new, |query| format!("?{query}"));
    let whole = format!("{}{path}{query}", req.stripped());
    // Two slashes at the front would lead to another host.
    let target = format!("/{}", whole.trim_start_matches('/'));
    redirect_to(req.method(), StatusCode::TEMPORARY_REDIRECT, &target)
}

/// `path` without its first `len` bytes. Nothing can be cut from the path of an absolute target
/// that has none, though it counts as `/`.
fn cut(path: Span, len: usize) -> Span {
    let len = len.min(usize::from(path.len));
    Span::new(usize::from(path.start) + len, usize::from(path.len) - len)
}
impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.table.routes.iter().map(|route| &route.pattern.text);
        f.write_str("Routes ")?;
        f.debug_list().entries(patterns).finish()
    }
}
