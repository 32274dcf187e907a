//! News from the program: a response from elsewhere, the end of a pause, a producer that has
//! content again.

use http::StatusCode;

use super::{guard, let_go, Continue, Flags, Handler, Kernel, Panic, Progress, Task, Visit};
use crate::handler::exchange::Outcome;
use crate::handler::{Deferred, Finish, Place, Reply};
use crate::http1::Input;
use crate::logging::{debug, error};
use crate::message::response::Response;
use crate::reactor::visit::request_content::LateReply;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Takes the news of the program, if the task waits for it. A producer is asked again if it was
    /// silent when the visit began.
    pub(super) fn hear_program(&mut self, was_silent: bool) -> Progress<LateReply<S>> {
        let is_woken = self.facts.flags.take(Flags::WOKEN);
        match self.take_task() {
            Task::Receive(mut receiving) if is_woken && self.work.conn.input() == Input::Paused => {
                self.spent.has_worked = true;
                let state = &mut self.shared.state;
                let flow = guard(|| receiving.receiver.wake(state));
                // If it pauses again, that is another pause.
                self.end_wait();
                let reply = self.follow(receiving, flow)?;
                match reply {
                    Some(reply) => Continue(Some(reply)),
                    None => self.end_if_complete(),
                }
            }
            Task::Later(deferred) => self.hear_worker(deferred),
            Task::Silent(producer, timeout) if was_silent => {
                self.ask_again(producer, timeout)?;
                self.send_all().map_continue(|()| None)
            }
            task @ Task::Protocol(_) => {
                self.put_back(task);
                self.hear_protocol(is_woken).map_continue(|()| None)
            }
            task => {
                self.put_back(task);
                Continue(None)
            }
        }
    }

    /// Waits for a response from elsewhere. A response that is there already wakes the loop like
    /// any other.
    pub(super) fn defer(&mut self, deferred: Box<Deferred<S>>) -> Progress {
        self.note_peer_left(&deferred);
        deferred.ticket.install(self.waker());
        self.shared.ledger.charge(deferred.size());
        self.set_task(Task::Later(deferred));
        Continue(())
    }

    fn note_peer_left(&self, deferred: &Deferred<S>) {
        if self.facts.flags.has(Flags::READ_CLOSED) {
            deferred.ticket.note_peer_left();
        }
    }

    /// Takes the reply of the worker, if there is one.
    fn hear_worker(&mut self, mut deferred: Box<Deferred<S>>) -> Progress<LateReply<S>> {
        match self.reply_of(&mut deferred) {
            Some(reply) => {
                self.shared.ledger.release(deferred.size());
                let_go(deferred);
                self.unless_panicked(reply).map_continue(Some)
            }
            None => {
                self.put_back(Task::Later(deferred));
                Continue(None)
            }
        }
    }

    /// Ends the wait for a worker with its `late` response or a 504. The connection is kept,
    /// because nothing is wrong with it.
    pub(super) fn expire_worker(
        &mut self,
        mut deferred: Box<Deferred<S>>,
    ) -> Progress<LateReply<S>> {
        self.shared.ledger.release(deferred.size());
        // The reply may have come at the last moment.
        let reply = self.reply_of(&mut deferred).unwrap_or_else(|| {
            debug!("{}: no response came in time", self.log_name());
            let page = || Response::status_page(StatusCode::GATEWAY_TIMEOUT);
            self.decide_outcome(Outcome::TooSlow);
            let late = deferred.late.take().unwrap_or_else(page);
            self.finish_reply(deferred.finish.take(), |_| late.into())
        });
        let_go(deferred);
        self.unless_panicked(reply).map_continue(Some)
    }

    /// Returns the reply of the worker, or a 500 if it can no longer give one.
    fn reply_of(&mut self, deferred: &mut Deferred<S>) -> Option<Result<Reply<S>, Panic>> {
        self.note_peer_left(deferred);
        let (place, informational) = deferred.ticket.take();
        for informational in informational {
            self.inform(&informational);
        }
        let give = match place {
            Place::Empty => return None,
            Place::Given(give) => Some(give),
            Place::Forgotten | Place::Over => {
                error!(
                    "{}: its Later was dropped without a response: the client gets a 500",
                    self.log_name()
                );
                self.decide_outcome(Outcome::Failed);
                None
            }
        };
        Some(self.finish_reply(deferred.finish.take(), move |state| match give {
            Some(give) => give(state),
            None => Response::status_page(StatusCode::INTERNAL_SERVER_ERROR).into(),
        }))
    }

    fn finish_reply(
        &mut self,
        finish: Option<Finish<S>>,
        give: impl FnOnce(&mut S) -> Reply<S>,
    ) -> Result<Reply<S>, Panic> {
        let state = &mut self.shared.state;
        guard(|| {
            let reply = give(state);
            match finish {
                Some(finish) => finish(state, reply),
                None => reply,
            }
        })
    }
}
