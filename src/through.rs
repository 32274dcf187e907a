//! What goes around a reply: a change of the answer that it will come to, whenever that is.

use crate::fields::Fields;
use crate::handler::{Action, Collect, Flow, Gone, Receive, Reply};
use crate::later::Start;
use crate::waker::Waker;

impl<S: 'static> Reply<S> {
    /// Changes how the answer is put off, if it is: now, or when the content is there.
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
}

/// A receiver whose reply goes through a function.
pub(crate) struct Through<S, F> {
    receiver: Box<dyn Receive<S>>,
    /// Taken by the one reply.
    change: Option<F>,
}

impl<S, F: FnOnce(&mut S, Reply<S>) -> Reply<S>> Through<S, F> {
    pub(crate) fn new(receiver: Box<dyn Receive<S>>, change: F) -> Through<S, F> {
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
