//! Decides whether deadlines must wait for events that the poll has not reported yet. Such an event
//! may stand for bytes that a client sent before its deadline.

use crate::reactor::kernel::EVENTS_MAX;

/// Counts full batches of events.
///
/// The kernel reports events in the order in which they happened. When it has reported as many as
/// there are connections, every event from before the first full batch has been noted. So even if
/// every batch is full, deadlines wait for a bounded number of batches.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// The number of events in the full batches since the last wait ended.
    reported: usize,
    is_unheard: bool,
}

impl Backlog {
    pub(super) fn note(&mut self, batch_is_full: bool, connections: usize) {
        if !batch_is_full {
            (self.reported, self.is_unheard) = (0, false);
            return;
        }
        self.reported += EVENTS_MAX;
        // Listeners, sources and the waker have events, too.
        self.is_unheard = self.reported <= connections;
        if !self.is_unheard {
            self.reported = 0;
        }
    }

    /// Whether deadlines must wait for the next batch.
    pub(super) fn is_unheard(&self) -> bool {
        self.is_unheard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_wait_for_full_batches_only_until_every_connection_had_its_turn() {
        let mut backlog = Backlog::default();
        let mut waits = |is_full, connections| {
            backlog.note(is_full, connections);
            backlog.is_unheard()
        };
        for _ in 0..3 {
            assert!(!waits(false, 1000));
            assert_eq!(
                [(); 8].map(|()| waits(true, 1000)),
                [true, true, true, false].repeat(2)[..]
            );
            assert!(waits(true, 1000) && !waits(false, 1000));
        }
        assert!(!waits(true, 200), "a batch that is larger than the crowd");
    }
}
