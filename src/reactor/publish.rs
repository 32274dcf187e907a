//! The numbers of the loop, published at the end of each turn once the program can read them.

use std::sync::Arc;

use crate::handler::Handler;
use crate::reactor::kernel::Kernel;
use crate::reactor::shared::Shared;
use crate::reactor::Reactor;
use crate::stats::{Gauges, RareGauges, Stats, Totals};

impl<K: Kernel, S: 'static, H: Handler<S>> Reactor<K, S, H> {
    /// Notes the beginning of a turn that is to be timed, after its sleep.
    #[inline(always)]
    pub(super) fn begin_timing(&mut self) {
        if self.published.is_watched() {
            self.note_begin();
        }
    }

    #[inline(never)]
    fn note_begin(&mut self) {
        self.turn_began = Some(self.shared.looked_at_clock);
        self.published.set_ready(self.queued());
    }

    /// Publishes the numbers at the end of a turn, if the program can read them.
    #[inline(always)]
    pub(super) fn publish(&mut self) {
        if self.published.is_watched() {
            self.publish_turn();
        }
    }

    /// Publishes the numbers that the turn may have changed, and its time: one look at the clock.
    #[inline(never)]
    fn publish_turn(&mut self) {
        let turn = self.turn_began.take();
        let turn = turn.map(|began| self.kernel.elapsed().saturating_sub(began));
        let gauges = self.gauges();
        let all = self.shared.counters.take_changed().then(|| self.rare_gauges());
        self.published.publish(&self.shared.counters, &gauges, all.as_ref(), turn);
        self.published.set_ready(self.queued());
    }

    /// The numbers now, for any thread. From now on they are published after each turn.
    pub(crate) fn stats(&self) -> Stats {
        let stats = Stats::of_loop(Arc::clone(&self.published));
        let (gauges, more) = (self.gauges(), self.rare_gauges());
        self.published.publish(&self.shared.counters, &gauges, Some(&more), None);
        stats
    }

    /// The numbers now.
    pub(super) fn totals(&self) -> Totals {
        self.published.totals_of(&self.shared.counters, &self.gauges(), &self.rare_gauges())
    }

    fn gauges(&self) -> Gauges {
        Gauges {
            responses: self.shared.encoder.heads(),
            used: self.shared.ledger.of_loop(),
            free_blocks: self.shared.pool.free_bytes(),
        }
    }

    fn rare_gauges(&self) -> RareGauges {
        RareGauges {
            itself: self.charged,
            open: self.slots.len(),
            waiting: self.waiting_room.len(),
            accept_errors: self.acceptor.errors(),
        }
    }

    /// The number of connections in the two queues, which may name some that were closed.
    fn queued(&self) -> usize {
        (self.ready.len() + self.unfinished.len()).min(self.slots.len())
    }

    /// Asserts that the numbers are right, and that those that were published are not out of date.
    pub(super) fn check_numbers(&self) {
        let totals = self.totals();
        for (phase, count) in totals.connections.iter() {
            let in_phase = self.slots.iter().filter(|(_, slot)| slot.life.phase() == phase);
            assert_eq!(count, in_phase.count() as u64, "connections in the phase {phase:?}");
        }
        if self.published.is_watched() {
            let Shared { counters, .. } = &self.shared;
            self.published.check(counters, &self.gauges(), &self.rare_gauges());
        }
    }
}
