//! [`Published`]: the numbers of one loop where other threads see them, and [`Members`]: the loops
//! whose numbers are added up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::account::Account;
use crate::stats::counters::{place, totals, Counters, Gauges, RareGauges};
use crate::stats::histogram::bucket;
use crate::stats::snapshot::Snapshot;
use crate::stats::totals::Totals;

/// The numbers of one loop. Its thread writes them at the end of each turn, once the program can
/// read them.
pub(crate) struct Published {
    numbers: Snapshot<{ place::ALL }>,
    /// Connections that are ready to be served.
    ready: AtomicUsize,
    is_watched: AtomicBool,
    is_draining: AtomicBool,
    /// Set when the loop is built.
    bounds: OnceLock<Bounds>,
    /// The loops that end with this one. They own each other's numbers through it, so it is weak.
    members: OnceLock<Weak<Members>>,
}

struct Bounds {
    account: Account,
    connections_max: usize,
}

impl Published {
    pub(crate) fn new() -> Published {
        Published {
            numbers: Snapshot::new(),
            ready: AtomicUsize::new(0),
            is_watched: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            bounds: OnceLock::new(),
            members: OnceLock::new(),
        }
    }

    /// Sets the bounds of the loop, once.
    pub(crate) fn set_bounds(&self, account: Account, connections_max: usize) {
        let _ = self.bounds.set(Bounds { account, connections_max });
    }

    /// Whether the program can read the numbers. If not, nothing is published.
    #[inline(always)]
    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.load(Relaxed)
    }

    /// The program can read the numbers from now on.
    pub(super) fn watch(&self) {
        self.is_watched.store(true, Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Relaxed)
    }

    /// A graceful shutdown has begun, or a stop.
    pub(crate) fn note_draining(&self) {
        self.is_draining.store(true, Relaxed);
    }

    /// The loops that end with this one, if there are any.
    pub(super) fn members(&self) -> Option<Arc<Members>> {
        self.members.get()?.upgrade()
    }

    /// Notes the number of connections that are ready.
    pub(crate) fn set_ready(&self, ready: usize) {
        self.ready.store(ready, Relaxed);
    }

    /// Publishes the numbers after a turn that took `turn`, if that is known. Without `more`, only
    /// those that a plain GET changes.
    pub(crate) fn publish(
        &self,
        counters: &Counters,
        gauges: &Gauges,
        more: Option<&RareGauges>,
        turn: Option<Duration>,
    ) {
        self.numbers.change(|numbers| {
            match more {
                None => {
                    let frequent = counters.frequent(gauges);
                    frequent.iter().zip(numbers).for_each(|(&new, number)| number.set(new));
                }
                Some(more) => {
                    let all = counters.all(gauges, more);
                    all.iter().zip(numbers).for_each(|(&new, number)| number.set(new));
                }
            }
            if let Some(turn) = turn {
                let nanos = turn.as_nanos() as u64;
                numbers[place::TURNS + bucket(nanos)].add(1);
                numbers[place::TURNS_SUM].add(nanos);
            }
        });
    }

    /// The numbers as they were published last.
    pub(crate) fn totals(&self) -> Totals {
        self.in_words(&self.numbers.read())
    }

    /// The numbers of the loop now.
    pub(crate) fn totals_of(
        &self,
        counters: &Counters,
        gauges: &Gauges,
        more: &RareGauges,
    ) -> Totals {
        let mut numbers = self.numbers.read();
        numbers[..place::COUNTERS].copy_from_slice(&counters.all(gauges, more));
        self.in_words(&numbers)
    }

    /// Asserts that the numbers that were published last are those of the loop now.
    pub(crate) fn check(&self, counters: &Counters, gauges: &Gauges, more: &RareGauges) {
        let published = self.numbers.read();
        assert_eq!(published[..place::COUNTERS], counters.all(gauges, more), "published numbers");
    }

    fn in_words(&self, numbers: &[u64; place::ALL]) -> Totals {
        let elsewhere = self.bounds.get().map_or(0, |bounds| bounds.account.held());
        let (memory_max, connections_max) = match self.bounds.get() {
            Some(bounds) => (bounds.account.max(), bounds.connections_max),
            None => (0, 0),
        };
        Totals {
            ready: self.ready.load(Relaxed) as u64,
            memory_bytes_max: memory_max as u64,
            connections_max: connections_max as u64,
            ..totals(numbers, elsewhere as u64)
        }
    }
}

/// Loops whose numbers are added up.
#[derive(Default)]
pub(crate) struct Members(Mutex<List>);

#[derive(Default)]
struct List {
    loops: Vec<Arc<Published>>,
    is_watched: bool,
}

impl Members {
    /// Adds a loop. As soon as one of them is watched, all are.
    pub(crate) fn join(self: &Arc<Members>, member: Arc<Published>) {
        let _ = member.members.set(Arc::downgrade(self));
        let mut list = self.list();
        list.is_watched |= member.is_watched();
        list.loops.push(member);
        if list.is_watched {
            list.loops.iter().for_each(|member| member.watch());
        }
    }

    pub(super) fn watch(&self) {
        let mut list = self.list();
        list.is_watched = true;
        list.loops.iter().for_each(|member| member.watch());
    }

    pub(super) fn loops(&self) -> Vec<Arc<Published>> {
        self.list().loops.clone()
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // A push does not panic half-way, so the data of a poisoned lock is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
