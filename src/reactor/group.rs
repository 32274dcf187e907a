//! Several loops that end together: whatever ends one of them is told to all.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::reactor::completions::{Mailbox, Message};

/// How a loop is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Drain, within this time.
    Shutdown(Option<Duration>),
    /// Reset everything.
    Stop,
}

/// The mailboxes of loops that end together.
///
/// Every member tells the group of its own end, be it by a signal, by its handle or by the group
/// itself. Only the first to tell of a stage passes it on, so the news goes round once, and all
/// are given the time-out of the first.
#[derive(Default)]
pub(crate) struct Group {
    members: Mutex<Vec<Arc<Mailbox>>>,
    stage: AtomicU8,
}

impl Group {
    pub(crate) fn join(&self, mailbox: Arc<Mailbox>) {
        self.members().push(mailbox);
    }

    /// Tells all members, unless they have been told.
    pub(crate) fn end(&self, ending: Ending) {
        let stage = match ending {
            Ending::Shutdown(_) => 1,
            Ending::Stop => 2,
        };
        if self.stage.fetch_max(stage, Ordering::AcqRel) >= stage {
            return;
        }
        self.tell(|| match ending {
            Ending::Shutdown(timeout) => Message::Shutdown(timeout),
            Ending::Stop => Message::Stop,
        });
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
    use crate::waker::Wake;

    struct Deaf;

    impl Wake for Deaf {
        fn wake(&self) {}
    }

    #[test]
    fn each_stage_goes_round_once_with_the_time_out_of_the_first() {
        let group = Group::default();
        let members = [(); 3].map(|()| Arc::new(Mailbox::new(Arc::new(Deaf))));
        members.iter().for_each(|member| group.join(member.clone()));
        let first = Some(Duration::from_secs(3));
        group.end(Ending::Shutdown(first));
        group.end(Ending::Shutdown(None));
        group.end(Ending::Stop);
        group.end(Ending::Stop);
        group.end(Ending::Shutdown(None));
        for member in members {
            let news = member.take();
            assert!(
                matches!(news[..], [Message::Shutdown(time), Message::Stop] if time == first),
                "{news:?}"
            );
        }
    }
}
