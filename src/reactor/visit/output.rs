//! Output: encoded bytes, bytes that the socket did not take earlier, and the content that follows,
//! until all of it was sent, the socket is full, or the budget of the visit is used.
//!
//! All responses of a visit leave in one `write`.

use super::{let_go, Break, Continue, Flags, Handler, Kernel, Progress, Stop, Task, Visit};
use std::mem;

/// Encoded bytes that must be sent before the next response is encoded, so that it has room.
pub(super) const OUT_HIGH: usize = 48 << 10;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Makes sure that another response can be encoded.
    pub(super) fn make_room(&mut self) -> Progress {
        if self.shared.out.len() < OUT_HIGH && !self.work.has_output() {
            return Continue(());
        }
        self.send_all()
    }

    /// Sends all output. Goes on if none is left.
    pub(super) fn send_all(&mut self) -> Progress {
        if !self.work.has_output() && (self.shared.out.is_empty() || self.write_fast()) {
            return Continue(());
        }
        let mut peer_left_is_news = self.facts.flags.has(Flags::READ_CLOSED);
        loop {
            if !self.flush()? {
                return Break(Stop::Blocked);
            }
            match self.take_task() {
                Task::Bytes(bytes) if bytes.is_empty() => let_go(bytes),
                task if task.has_output() && self.has_sent_enough() => {
                    self.put_back(task);
                    return Break(Stop::Spent);
                }
                Task::File(body) => {
                    self.spent.has_worked = true;
                    self.send_file(body)?;
                }
                Task::Produce(producer) => self.produce(producer)?,
                // It became silent in this visit. It hears that the client has left, and is asked
                // again.
                Task::Silent(producer, timeout) if mem::take(&mut peer_left_is_news) => {
                    self.ask_again(producer, timeout)?;
                }
                Task::Transform(transform, Some(pending)) => {
                    self.spent.has_worked = true;
                    self.transform_pending(transform, pending)?;
                }
                task => {
                    debug_assert!(!task.has_output());
                    self.put_back(task);
                    return Continue(());
                }
            }
        }
    }
}
