//! Several loops that end together: the end of one is reported to all.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::reactor::mailbox::{Mailbox, Message};
use crate::stats::Members;

/// The mailboxes of loops that end together.
///
/// Every member reports its own end to the group, whether a signal, its handle or the group itself
/// caused it. Only the first report of a stage is passed on, so each message is sent once, and all
/// members drain within the timeout of the first.
#[derive(Default)]
pub(crate) struct Group {
    members: Mutex<Vec<Arc<Mailbox>>>,
    /// Their numbers.
    pub(crate) numbers: Arc<Members>,
    stage: AtomicU8,
    /// The timeout of the first report of a shutdown.
    timeout: OnceLock<Option<Duration>>,
}

impl Group {
    pub(crate) fn join(&self, mailbox: Arc<Mailbox>) {
        self.members().push(mailbox);
    }

    /// Sends a shutdown to all members, unless one was sent before. Returns the timeout that
    /// counts: two members may report a shutdown at the same time.
    pub(crate) fn shut_down(&self, timeout: Option<Duration>) -> Option<Duration> {
        let timeout = *self.timeout.get_or_init(|| timeout);
        self.send_once(1, || Message::Shutdown(timeout));
        timeout
    }

    /// Sends a stop to all members, unless one was sent before.
    pub(crate) fn stop(&self) {
        self.send_once(2, || Message::Stop);
    }

    fn send_once(&self, stage: u8, message: impl Fn() -> Message) {
        if self.stage.fetch_max(stage, Ordering::AcqRel) < stage {
            self.send(message);
        }
    }

    /// Sends each member a message.
    pub(crate) fn send(&self, message: impl Fn() -> Message) {
        for member in self.members().iter() {
            member.send(message());
        }
    }

    fn members(&self) -> MutexGuard<'_, Vec<Arc<Mailbox>>> {
        // A push does not panic half-way, so the data of a poisoned lock is whole.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group of {}", self.members().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_reaches_all_loops_once_with_the_timeout_of_the_first_call() {
        let group = Group::default();
        let members = [(); 3].map(|()| Arc::new(Mailbox::new()));
        members.iter().for_each(|member| group.join(member.clone()));
        let first = Some(Duration::from_secs(3));
        assert_eq!(group.shut_down(first), first);
        assert_eq!(group.shut_down(None), first, "a concurrent call gets the timeout of the first");
        group.stop();
        group.stop();
        assert_eq!(group.shut_down(Some(Duration::ZERO)), first);
        for member in members {
            let news = member.take();
            assert!(
                matches!(news[..], [Message::Shutdown(time), Message::Stop] if time == first),
                "{news:?}"
            );
        }
    }
}
