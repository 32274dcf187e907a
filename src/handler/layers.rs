//! Layers: code of the program that runs around its handlers. A guard checks each request, an
//! `around` carries a value from the request to the response, and a timeout limits the wait for a
//! response that comes later.
//!
//! A server has layers for all of its requests, a router for the requests of its routes. Neither
//! pays for layers that it does not have.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::handler::Reply;
use crate::message::request::Request;
use crate::message::response::Response;

/// The function that a layer calls to pass the request on.
pub(crate) type Next<'n, S> = &'n mut dyn FnMut(&mut S) -> Reply<S>;

/// One layer. Several routes share it, and a request may still be in one while the next arrives.
pub(crate) trait Layer<S> {
    /// Handles `req`, with or without the reply of `next`.
    fn handle(&self, state: &mut S, req: &Request<'_>, next: Next<'_, S>) -> Reply<S>;
}

/// Layers, the outermost first.
pub(crate) struct Layers<S>(Vec<Rc<dyn Layer<S>>>);

impl<S: 'static> Layers<S> {
    pub(crate) fn new() -> Layers<S> {
        Layers(Vec::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a layer inside those that are here already.
    pub(crate) fn push(&mut self, layer: Rc<dyn Layer<S>>) {
        self.0.push(layer);
    }

    /// Puts `outer` around these layers.
    pub(crate) fn put_inside(&mut self, outer: &Layers<S>) {
        self.0.splice(0..0, outer.0.iter().cloned());
    }

    /// Makes one function of these layers and `inner`.
    pub(crate) fn wrap(
        self,
        mut inner: impl FnMut(&mut S, &Request<'_>) -> Reply<S>,
    ) -> impl FnMut(&mut S, &Request<'_>) -> Reply<S> {
        move |state, req| self.handle(state, req, &mut |state| inner(state, req))
    }

    /// Passes a request through all layers to `inner`.
    pub(crate) fn handle(&self, state: &mut S, req: &Request<'_>, inner: Next<'_, S>) -> Reply<S> {
        pass(&self.0, state, req, inner)
    }
}

fn pass<S>(
    layers: &[Rc<dyn Layer<S>>],
    state: &mut S,
    req: &Request<'_>,
    inner: Next<'_, S>,
) -> Reply<S> {
    match layers.split_first() {
        Some((outer, rest)) => {
            outer.handle(state, req, &mut |state| pass(rest, state, req, &mut *inner))
        }
        None => inner(state),
    }
}

/// Checks each request. An error is the reply, and the request goes no further.
pub(crate) struct Guard<C>(RefCell<C>);

impl<C> Guard<C> {
    pub(crate) fn new(check: C) -> Guard<C> {
        Guard(RefCell::new(check))
    }
}

impl<S, E, C> Layer<S> for Guard<C>
where
    E: Into<Reply<S>>,
    C: FnMut(&mut S, &Request<'_>) -> Result<(), E>,
{
    fn handle(&self, state: &mut S, req: &Request<'_>, next: Next<'_, S>) -> Reply<S> {
        let checked = (self.0.borrow_mut())(state, req);
        match checked {
            Ok(()) => next(state),
            Err(refusal) => refusal.into(),
        }
    }
}

/// Calls `before` with each request, and `after` with the value of `before` and the response.
pub(crate) struct Around<B, A> {
    before: RefCell<B>,
    /// Shared with the requests whose responses have not come yet.
    after: Rc<RefCell<A>>,
}

impl<B, A> Around<B, A> {
    pub(crate) fn new(before: B, after: A) -> Around<B, A> {
        Around { before: RefCell::new(before), after: Rc::new(RefCell::new(after)) }
    }
}

impl<S, T, B, A> Layer<S> for Around<B, A>
where
    S: 'static,
    T: 'static,
    B: FnMut(&mut S, &Request<'_>) -> Result<T, Reply<S>>,
    A: FnMut(&mut S, T, &mut Response) + 'static,
{
    fn handle(&self, state: &mut S, req: &Request<'_>, next: Next<'_, S>) -> Reply<S> {
        let value = match (self.before.borrow_mut())(state, req) {
            Ok(value) => value,
            Err(reply) => return reply,
        };
        let after = Rc::clone(&self.after);
        let reply = next(state);
        reply.map_now(state, move |state, response| (after.borrow_mut())(state, value, response))
    }
}

/// The time for a response that comes later, unless the reply or a layer further in has another.
pub(crate) struct HandlerTimeout(pub(crate) Duration);

impl<S: 'static> Layer<S> for HandlerTimeout {
    fn handle(&self, state: &mut S, _: &Request<'_>, next: Next<'_, S>) -> Reply<S> {
        let timeout = self.0;
        next(state).map_later(move |deferred| {
            deferred.timeout.get_or_insert(timeout);
        })
    }
}
