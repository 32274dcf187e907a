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
use super::path::{canonical, clean, is_clean};
use super::pattern::Pattern;
use super::table::{Found, Route, Table};
use super::tree::Walk;
use crate::handler::{Action, Collect, Handler, Reply};
use crate::redirect::redirect_to;
use crate::request::{Request, RouteMatch, Span, TargetForm};
use crate::response::Response;
use crate::schedule::Timers;

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

    fn handle(&mut self, req: &Request<'_>) -> Reply<S> {
        let path = match req.target_form() {
            TargetForm::Origin | TargetForm::Absolute => req.path_bytes(),
            TargetForm::Authority => b"/",
            TargetForm::Asterisk => return about_the_server(req).into(),
        };
        // What nearly all requests need. Only a path that is clean and means itself is found so.
        let base = usize::from(req.path_span().start);
        let mut walk = Walk::raw(base);
        match self.table.find(req, path, &mut walk) {
            Some(route) if walk.is_final => self.call(route, req, &walk),
            _ => self.handle_with_care(req, path, base),
        }
    }
}

impl<S: 'static> Routes<S> {
    /// A path that is escaped, unclean, not there, or matched by a subtree where it may have to be
    /// redirected into another.
    fn handle_with_care(&mut self, req: &Request<'_>, path: &[u8], base: usize) -> Reply<S> {
        let cleaned = if is_clean(path) { None } else { Some(clean(req.path())) };
        let clean_path = cleaned.as_deref().map_or(path, str::as_bytes);
        let spelt = canonical(clean_path);
        match (self.table.look_up(req, &spelt), cleaned) {
            (Found::Route(route, mut walk), None) => {
                walk.translate(base, path, &spelt);
                self.call(route, req, &walk)
            }
            (Found::WithSlash, cleaned) => {
                let target = cleaned.unwrap_or_else(|| req.path().to_owned());
                redirect(req, &(target + "/")).into()
            }
            (Found::OtherMethods(allow), _) => Response::method_not_allowed(&allow).into(),
            (Found::Route(..) | Found::Nothing, Some(cleaned)) => redirect(req, &cleaned).into(),
            (Found::Nothing, None) => self.not_found(req),
        }
    }

    #[inline(always)]
    fn call(&mut self, index: usize, req: &Request<'_>, walk: &Walk) -> Reply<S> {
        let Route { names, function, strips, .. } = &mut self.table.routes[index];
        let path = match (*strips, walk.rest) {
            (true, Some(rest)) => cut(req.path_span(), rest.saturating_sub(1)),
            _ => req.path_span(),
        };
        let found = RouteMatch { names, spans: &walk.spans };
        function(&mut self.state, &req.with_route(&found, path))
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
        let path = match req.target_form() {
            TargetForm::Asterisk => return false,
            TargetForm::Authority => b"/",
            TargetForm::Origin | TargetForm::Absolute => req.path_bytes(),
        };
        is_clean(path) && matches!(self.table.look_up(req, &canonical(path)), Found::Route(..))
    }
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
#[inline(always)]
pub(super) fn remember_route<S: 'static>(reply: Reply<S>, req: &Request<'_>) -> Reply<S> {
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
