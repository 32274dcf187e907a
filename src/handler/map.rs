//! Changes to a [`Reply`] after it was made: to its timeouts, and to the response that it leads to.
//! That response may be there now, or come after the content or from another thread.

use std::time::Duration;

use crate::handler::failure::Failure;
use crate::handler::lost::Lost;
use crate::handler::reply::{Action, Collect, Deferred, Flow, Receive, Receiving, Reply};
use crate::limits::TIMEOUT_MAX;
use crate::message::fields::Fields;
use crate::message::response::Response;
use crate::waker::Waker;

impl<S: 'static> Reply<S> {
    /// Returns the reply with another timeout for a response that comes [later](Reply::later), at
    /// most a year, instead of [`Limits::handler_timeout`](crate::Limits::handler_timeout). It
    /// counts from the start of the wait. After a [`collect`](Reply::collect) or a
    /// [`receive`](Reply::receive) that is the end of the content. Other replies stay the same.
    #[doc(alias = "TimeoutHandler")]
    pub fn with_handler_timeout(self, timeout: Duration) -> Reply<S> {
        self.map_later(move |deferred| deferred.timeout = Some(timeout))
    }

    /// Returns the reply with the response that is sent instead of the plain 504 if a response that
    /// should come [later](Reply::later) does not come in time.
    pub fn with_timeout_response(self, response: impl Into<Response>) -> Reply<S> {
        let response = response.into();
        self.map_later(move |deferred| deferred.late = Some(response))
    }

    /// Returns the reply with a timeout in which the content that it asks for must be complete, at
    /// most a year. After that the client gets a 408.
    ///
    /// The rate of [`Limits::content_rate_min`](crate::Limits::content_rate_min) applies as well.
    /// By default there is no such timeout, because a long upload is not a slow one. The response
    /// of a [transform](Reply::transform) begins before the content is complete: set its timeout
    /// with [`Response::with_send_timeout`].
    #[doc(alias("SetReadDeadline", "ReadTimeout"))]
    pub fn with_content_timeout(self, timeout: Duration) -> Reply<S> {
        Reply(Action::ContentWithin(Box::new((timeout.min(TIMEOUT_MAX), self))))
    }

    /// Returns the reply with a function that changes the response that it leads to. The response
    /// may be there at once, come after the content or from another thread, or be the one that is
    /// sent at the timeout.
    ///
    /// For a [transform](Reply::transform) `change` gets the status and fields, and for an
    /// [upgrade](Reply::upgrade) the 101. It is not called for responses that the server makes by
    /// itself (413, 408, the 500 after a panic), for [informational](Reply::inform) responses, or
    /// for a stream that is [handed out](Reply::hijack). Several changes are called in the order in
    /// which they were added.
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Handler, Reply, Request};
    ///
    /// /// Adds a field to all responses of a handler.
    /// struct Named<H>(H);
    ///
    /// impl<S: 'static, H: Handler<S>> Handler<S> for Named<H> {
    ///     fn handle(&mut self, state: &mut S, req: &Request<'_>) -> Reply<S> {
    ///         self.0.handle(state, req).map_response(|_, response| {
    ///             let _ = response.set_header("X-Served-By", "wheelhouse");
    ///         })
    ///     }
    /// }
    /// # let mut sim = Sim::new(Named(|_: &Request<'_>| "hello\n"));
    /// # let c = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(String::from_utf8_lossy(sim.received(c)).contains("X-Served-By: wheelhouse\r\n"));
    /// ```
    pub fn map_response(self, change: impl FnOnce(&mut S, &mut Response) + 'static) -> Reply<S> {
        Reply(Action::Map(Box::new((Box::new(change), self))))
    }

    /// Changes the wait for a response that comes later, if the reply leads to one: now, or when
    /// the content is complete.
    pub(crate) fn map_later(self, change: impl FnOnce(&mut Deferred<S>) + 'static) -> Reply<S> {
        Reply(match self.0 {
            Action::Later(mut deferred) => {
                change(&mut deferred);
                Action::Later(deferred)
            }
            Action::Collect(Collect { limit, then }) => Action::Collect(Collect {
                limit,
                then: Box::new(move |state, req, content| {
                    then(state, req, content).map_later(change)
                }),
            }),
            Action::Receive(receiving) => {
                Action::Receive(Through::wrap(receiving, |_: &mut S, reply: Reply<S>| {
                    reply.map_later(change)
                }))
            }
            Action::Inform(mut both) => {
                both.1 = both.1.map_later(change);
                Action::Inform(both)
            }
            Action::ContentWithin(mut both) => {
                both.1 = both.1.map_later(change);
                Action::ContentWithin(both)
            }
            Action::Map(mut both) => {
                both.1 = both.1.map_later(change);
                Action::Map(both)
            }
            action @ (Action::Respond(_)
            | Action::Transform(_)
            | Action::Upgrade(_)
            | Action::Hijack(_)) => action,
        })
    }

    /// Does the same as [`map_response`](Reply::map_response), but changes a response that is there
    /// at once.
    pub(crate) fn map_now(
        self,
        state: &mut S,
        change: impl FnOnce(&mut S, &mut Response) + 'static,
    ) -> Reply<S> {
        Reply(match self.0 {
            Action::Respond(mut response) => {
                // The line for the log must outlive a `change` that replaces the response or
                // panics.
                let failure = response.take_failure();
                change(state, &mut response);
                if let Some(failure) = failure {
                    response.keep_failure(failure);
                }
                Action::Respond(response)
            }
            Action::Transform(mut both) => {
                change(state, &mut both.0);
                Action::Transform(both)
            }
            Action::Upgrade(mut both) => {
                change(state, &mut both.0.response);
                Action::Upgrade(both)
            }
            Action::Collect(Collect { limit, then }) => Action::Collect(Collect {
                limit,
                then: Box::new(move |state, req, content| {
                    let reply = then(state, req, content);
                    reply.map_now(state, change)
                }),
            }),
            Action::Receive(receiving) => {
                Action::Receive(Through::wrap(receiving, |state: &mut S, reply: Reply<S>| {
                    reply.map_now(state, change)
                }))
            }
            Action::Later(mut deferred) => {
                let earlier = deferred.finish.take();
                deferred.finish = Some(Box::new(move |state, reply| {
                    let reply = match earlier {
                        Some(earlier) => earlier(state, reply),
                        None => reply,
                    };
                    reply.map_now(state, change)
                }));
                Action::Later(deferred)
            }
            Action::Inform(mut both) => {
                both.1 = both.1.map_now(state, change);
                Action::Inform(both)
            }
            Action::ContentWithin(mut both) => {
                both.1 = both.1.map_now(state, change);
                Action::ContentWithin(both)
            }
            Action::Map(both) => {
                let (earlier, reply) = *both;
                return reply.map_now(state, earlier).map_now(state, change);
            }
            Action::Hijack(take) => Action::Hijack(take),
        })
    }
}

/// A receiver with a function that changes its reply.
struct Through<S, F> {
    receiver: Box<dyn Receive<S>>,
    /// `None` after the reply, of which there is only one.
    change: Option<F>,
}

impl<S: 'static, F: FnOnce(&mut S, Reply<S>) -> Reply<S> + 'static> Through<S, F> {
    fn wrap(receiving: Receiving<S>, change: F) -> Receiving<S> {
        let Receiving { left, receiver } = receiving;
        Receiving { left, receiver: Box::new(Through { receiver, change: Some(change) }) }
    }

    fn follow(
        &mut self,
        state: &mut S,
        flow: Result<Flow<S>, Failure>,
    ) -> Result<Flow<S>, Failure> {
        let reply = match flow {
            Ok(Flow::Respond(reply)) => reply,
            Err(failure) => failure.into(),
            Ok(flow) => return Ok(flow),
        };
        Ok(Flow::Respond(self.change(state, reply)))
    }

    fn change(&mut self, state: &mut S, reply: Reply<S>) -> Reply<S> {
        match self.change.take() {
            Some(change) => change(state, reply),
            None => reply,
        }
    }
}

impl<S: 'static, F: FnOnce(&mut S, Reply<S>) -> Reply<S> + 'static> Receive<S> for Through<S, F> {
    fn start(&mut self, state: &mut S, waker: Waker) -> Result<(), Failure> {
        let Err(failure) = self.receiver.start(state, waker) else { return Ok(()) };
        let reply = self.change(state, failure.into());
        let Action::Respond(response) = reply.0 else {
            unreachable!("a response that is changed stays a response");
        };
        Err(response.into())
    }

    fn piece(&mut self, state: &mut S, piece: &[u8]) -> Result<Flow<S>, Failure> {
        let flow = self.receiver.piece(state, piece);
        self.follow(state, flow)
    }

    fn wake(&mut self, state: &mut S) -> Result<Flow<S>, Failure> {
        let flow = self.receiver.wake(state);
        self.follow(state, flow)
    }

    fn trailers(&mut self, state: &mut S, trailers: Fields<'_>) {
        self.receiver.trailers(state, trailers);
    }

    fn end(self: Box<Self>, state: &mut S) -> Reply<S> {
        let Through { receiver, change } = *self;
        let reply = receiver.end(state);
        match change {
            Some(change) => change(state, reply),
            None => reply,
        }
    }

    fn lost(self: Box<Self>, state: &mut S, why: Lost) {
        self.receiver.lost(state, why);
    }
}
