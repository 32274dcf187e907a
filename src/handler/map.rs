//! Changes to the response that a [`Reply`] will lead to, whenever that comes: now, after the
//! content of the request, or from another thread.

use std::time::Duration;

use crate::handler::gone::Gone;
use crate::handler::reply::{Action, Collect, Flow, Receive, Reply, Start};
use crate::message::fields::Fields;
use crate::message::response::Response;
use crate::waker::Waker;

impl<S: 'static> Reply<S> {
    /// The same reply with another time for a response that comes [later](Reply::later), at most a
    /// year, instead of [`Limits::handler_timeout`](crate::Limits::handler_timeout). It counts
    /// from the start of the wait, so after a [`collect`](Reply::collect) or a
    /// [`receive`](Reply::receive) from the end of the content. Other replies are not changed.
    pub fn within(self, timeout: Duration) -> Reply<S> {
        self.map_later(move |start| Start { timeout: Some(timeout), ..start })
    }

    /// [`within`](Reply::within), with the response that is sent when the time is over: by default
    /// the one-line page of a 504.
    pub fn within_or(self, timeout: Duration, late: Response) -> Reply<S> {
        self.map_later(move |start| Start { timeout: Some(timeout), late: Some(late), ..start })
    }

    /// Changes a wait for a response that comes later, if the reply leads to one: now, or when the
    /// content is there.
    pub(crate) fn map_later(self, change: impl FnOnce(Start<S>) -> Start<S> + 'static) -> Reply<S> {
        match self.0 {
            Action::Later(start) => Reply(Action::Later(Box::new(change(*start)))),
            Action::Collect(Collect { limit, then }) => {
                Reply::collect(limit, move |state, req, content| {
                    then(state, req, content).map_later(change)
                })
            }
            Action::Receive(receiver) => {
                Reply::receive(Through::new(receiver, |_: &mut S, reply: Reply<S>| {
                    reply.map_later(change)
                }))
            }
            Action::Inform(both) => Reply::inform(both.0, both.1.map_later(change)),
            Action::ContentWithin(both) => both.1.map_later(change).content_within(both.0),
            action => Reply(action),
        }
    }

    /// Has `change` called with the response, now or when it comes.
    pub(crate) fn map_response(
        self,
        state: &mut S,
        change: impl FnOnce(&mut S, &mut Response) + 'static,
    ) -> Reply<S> {
        Reply(match self.0 {
            Action::Respond(mut response) => {
                change(state, &mut response);
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
                    reply.map_response(state, change)
                }),
            }),
            Action::Receive(receiver) => Action::Receive(Box::new(Through::new(
                receiver,
                |state: &mut S, reply: Reply<S>| reply.map_response(state, change),
            ))),
            Action::Later(start) => {
                let earlier = start.finish;
                Action::Later(Box::new(Start {
                    finish: Some(Box::new(move |state, reply| {
                        let reply = match earlier {
                            Some(earlier) => earlier(state, reply),
                            None => reply,
                        };
                        reply.map_response(state, change)
                    })),
                    ..*start
                }))
            }
            Action::Inform(mut both) => {
                both.1 = both.1.map_response(state, change);
                Action::Inform(both)
            }
            Action::ContentWithin(mut both) => {
                both.1 = both.1.map_response(state, change);
                Action::ContentWithin(both)
            }
            Action::Hijack(take) => Action::Hijack(take),
        })
    }
}

/// A receiver whose reply goes through a function.
struct Through<S, F> {
    receiver: Box<dyn Receive<S>>,
    /// `None` after the one reply.
    change: Option<F>,
}

impl<S, F: FnOnce(&mut S, Reply<S>) -> Reply<S>> Through<S, F> {
    fn new(receiver: Box<dyn Receive<S>>, change: F) -> Through<S, F> {
        Through { receiver, change: Some(change) }
    }

    fn follow(&mut self, state: &mut S, flow: Flow<S>) -> Flow<S> {
        match (flow, self.change.take()) {
            (Flow::Answer(reply), Some(change)) => Flow::Answer(change(state, reply)),
            (flow, change) => {
                self.change = change;
                flow
            }
        }
    }
}

impl<S, F: FnOnce(&mut S, Reply<S>) -> Reply<S>> Receive<S> for Through<S, F> {
    fn start(&mut self, state: &mut S, waker: Waker) {
        self.receiver.start(state, waker);
    }

    fn piece(&mut self, state: &mut S, piece: &[u8]) -> Flow<S> {
        let flow = self.receiver.piece(state, piece);
        self.follow(state, flow)
    }

    fn resume(&mut self, state: &mut S) -> Flow<S> {
        let flow = self.receiver.resume(state);
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

    fn gone(self: Box<Self>, state: &mut S, why: Gone) {
        self.receiver.gone(state, why);
    }
}
