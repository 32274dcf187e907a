//! Several loops that end together: whatever ends one of them is told to all.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::reactor::mailbox::{Mailbox, Message};

/// The mailboxes of loops that end together.
///
/// Every member tells the group of its own end, be it by a signal, by its handle or by the group
/// itself. Only the first to tell of a stage passes it on, so the news goes round once, and all
/// are given the time-out of the first.
#[derive(Default)]
pub(crate) struct Group {
    members: Mutex<Vec<Arc<Mailbox>>>,
    stage: AtomicU8,
    /// That of the first who told of a shutdown.
    timeout: OnceLock<Option<Duration>>,
}

impl Group {
    pub(crate) fn join(&self, mailbox: Arc<Mailbox>) {
        self.members().push(mailbox);
    }

    /// Tells all members of a shutdown, unless they have been told. Returns the time-out that
    /// counts: two may be told at the same time.
    pub(crate) fn shut_down(&self, timeout: Option<Duration>) -> Option<Duration> {
        let timeout = *self.timeout.get_or_init(|| timeout);
        self.tell_once(1, || Message::Shutdown(timeout));
        timeout
    }

    /// Tells all members to reset everything, unless they have been told.
    pub(crate) fn stop(&self) {
        self.tell_once(2, || Message::Stop);
    }

    fn tell_once(&self, stage: u8, message: impl Fn() -> Message) {
        if self.stage.fetch_max(stage, Ordering::AcqRel) < stage {
            self.tell(message);
        }
    }

    /// Sends each member a message.
    pub(crate) fn tell(&self, message: impl Fn() -> Message) {
        for member in self.members().iter() {
            member.send(message());
        }
    }

    fn members(&self) -> MutexGuard<'_, Vec<Arc<Mailbox>>> {
        // A push does not panic half-way: what a poisoned lock guards is whole.
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
    fn each_stage_goes_round_once_with_the_time_out_of_the_first() {
        let group = Group::default();
        let members = [(); 3].map(|()| Arc::new(Mailbox::new()));
        members.iter().for_each(|member| group.join(member.clone()));
        let first = Some(Duration::from_secs(3));
        assert_eq!(group.shut_down(first), first);
        assert_eq!(group.shut_down(None), first, "who was told something else at the same time");
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
