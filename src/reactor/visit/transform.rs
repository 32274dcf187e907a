//! Content of the response made from content of the request: a transform takes pieces, and its
//! output leaves as room is needed.

use super::{
    guard, let_go, Break, Continue, Handler, Kernel, OnTrial, Progress, Shared, Stop, Task, Visit,
    SCRATCH,
};
use crate::handler::exchange::Outcome;
use crate::handler::Transform;
use crate::http1::{Output, CHUNK_ROOM, LAST_CHUNK};
use crate::message::body::Out;
use crate::message::fields::Fields;
use crate::message::response::Response;
use crate::message::trailers::Trailers;
use crate::reactor::memory::Block;

/// The least room that a transform is given, so that it can always make progress.
const TRANSFORM_ROOM_MIN: usize = (4 << 10) + CHUNK_ROOM + LAST_CHUNK.len();

type Transforming<S> = Box<dyn Transform<S>>;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Sends the head of the response and asks for the content of the request.
    pub(super) fn begin_transform(
        &mut self,
        response: &Response,
        transform: Transforming<S>,
    ) -> Progress {
        let mut transform = OnTrial::new(transform);
        let length = guard(|| transform.get().content_length());
        let length = self.unless_panicked(length)?;
        if !self.work.conn.outgoing(response.status, length).has_content() {
            // HEAD, or a status without content: the transform has nothing to do.
            return self.respond_head(response, length);
        }
        self.admit_content()?;
        self.respond_head(response, length)?;
        self.set_task(Task::Transform(transform.take(), None));
        self.end_transform_if_complete()
    }

    /// Puts a piece through the transform, whose output leaves as room is needed.
    pub(super) fn transform_piece(&mut self, transform: Transforming<S>, piece: &[u8]) -> Progress {
        let mut transform = OnTrial::new(transform);
        let mut rest = piece;
        while !rest.is_empty() && matches!(self.work.conn.output(), Output::Content { .. }) {
            let start = self.shared.out.len();
            let free = SCRATCH.saturating_sub(start);
            if free < TRANSFORM_ROOM_MIN && start > 0 {
                if self.flush()? {
                    continue;
                }
                let pending = self.hold_piece(rest)?;
                self.put_back(Task::Transform(transform.take(), Some(pending)));
                return Break(Stop::Blocked);
            }
            let Shared { out, state, .. } = &mut *self.shared;
            let room = self.work.conn.content_room(free);
            let taken = guard(|| transform.get().piece(state, rest, &mut Out::new(out, room)));
            let put = out.len() - start;
            self.work.conn.frame(out, start);
            match self.unless_broken(taken)? {
                taken if taken <= rest.len() && taken + put > 0 => rest = &rest[taken..],
                _ => return Break(self.broken("a transform made no progress")),
            }
        }
        self.put_back(Task::Transform(transform.take(), None));
        Continue(())
    }

    /// Goes on with the piece that was held back when the socket was full.
    pub(super) fn transform_pending(
        &mut self,
        transform: Transforming<S>,
        pending: Block,
    ) -> Progress {
        let result = self.transform_piece(transform, pending.bytes());
        self.shared.pool.take_back(pending, &mut self.shared.ledger);
        result?;
        self.end_transform_if_complete()
    }

    fn end_transform_if_complete(&mut self) -> Progress {
        if !self.work.conn.has_all_content() {
            return Continue(());
        }
        match self.take_task() {
            Task::Transform(transform, None) => {
                self.end_transform(transform, Fields::new(&[], &[]))
            }
            task => {
                self.put_back(task);
                Continue(())
            }
        }
    }

    /// Ends the response, after all content has gone through the transform.
    pub(super) fn end_transform(
        &mut self,
        transform: Transforming<S>,
        shown: Fields<'_>,
    ) -> Progress {
        let mut transform = OnTrial::new(transform);
        let mut trailers = Trailers::default();
        let Shared { out, state, .. } = &mut *self.shared;
        let start = out.len();
        let free = SCRATCH.saturating_sub(start).max(TRANSFORM_ROOM_MIN);
        let room = self.work.conn.content_room(free);
        let ended = guard(|| {
            let transform = transform.get();
            if !shown.is_empty() {
                transform.trailers(state, shown);
            }
            transform.end(state, &mut Out::new(out, room))?;
            transform.put_trailers(state, &mut trailers)
        });
        self.work.conn.frame(out, start);
        self.unless_broken(ended)?;
        let_go(transform.take());
        self.end_content(&trailers)
    }

    fn hold_piece(&mut self, rest: &[u8]) -> Progress<Block> {
        let Shared { pool, ledger, .. } = &mut *self.shared;
        if !pool.can_lend(rest.len(), ledger) {
            self.decide_end(Outcome::Refused);
            return Break(self.broken("no memory for content on its way"));
        }
        Continue(pool.keep(rest, ledger))
    }
}
