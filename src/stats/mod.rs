//! The numbers of a server while it runs: counted by the loop, published at the end of each turn, and
//! read from any thread.
//!
//! The loop counts in fields of its own ([`Counters`]), so a count costs one instruction. At the end of
//! a turn it copies them to a place that other threads see ([`Published`]), if the program can read them.
//! A copy for each turn is cheaper than an atomic for each request, because a busy loop serves many
//! requests in a turn. It also makes the numbers fit together: a reader gets all of them as they were
//! at one moment.

mod counters;
mod histogram;
mod kinds;
mod published;
mod report;
mod snapshot;
mod tally;
mod totals;

use std::fmt;
use std::sync::Arc;

pub(crate) use counters::{Counters, Event, Gauges, RareGauges};
pub use histogram::Histogram;
pub use kinds::{Deadline, Eviction, Memory, Phase, Refusal};
pub(crate) use published::{Members, Published};
pub use report::Report;
pub use tally::Tally;
pub use totals::Totals;

/// The numbers of a running server, for any thread and any handler.
///
/// [`Server::stats`](crate::Server::stats) returns one before the server runs, and clones show the
/// same server. Reading takes about a microsecond for each loop, and never holds up a loop. A handler
/// gets the numbers as they were at the end of the last turn.
///
/// ```
/// use wheelhouse::{sim::Sim, Request, Server};
///
/// let server = Server::new();
/// let stats = server.stats();
/// let mut sim = Sim::of(server, move |_: &Request<'_>| {
///     format!("{} requests before this turn\n", stats.totals().requests)
/// })?;
/// sim.get("/");
/// assert_eq!(sim.get("/").text(), "1 requests before this turn\n");
/// # Ok::<(), wheelhouse::Error>(())
/// ```
///
/// Of a server that is one of several [`Cores`](crate::runtime::Cores), it shows the sum of all.
#[doc(alias("expvar", "metrics", "Prometheus"))]
#[derive(Clone)]
pub struct Stats(Source);

#[derive(Clone)]
enum Source {
    Loop(Arc<Published>),
    Group(Arc<Members>),
}

impl Stats {
    pub(crate) fn of_loop(published: Arc<Published>) -> Stats {
        published.watch();
        if let Some(members) = published.members() {
            members.watch();
        }
        Stats(Source::Loop(published))
    }

    pub(crate) fn of_group(members: Arc<Members>) -> Stats {
        members.watch();
        Stats(Source::Group(members))
    }

    /// Returns all numbers. Those of several cores are added up.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.per_core().iter().for_each(|one| totals += one);
        totals
    }

    /// Returns the numbers of each core; those of the one loop if there are no
    /// [`Cores`](crate::runtime::Cores).
    pub fn per_core(&self) -> Vec<Totals> {
        self.loops().iter().map(|published| published.totals()).collect()
    }

    /// Returns whether a shutdown has begun.
    pub fn is_draining(&self) -> bool {
        self.loops().iter().any(|published| published.is_draining())
    }

    fn loops(&self) -> Vec<Arc<Published>> {
        match &self.0 {
            Source::Group(members) => members.loops(),
            Source::Loop(published) => match published.members() {
                Some(members) => members.loops(),
                None => vec![published.clone()],
            },
        }
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stats").field(&self.totals()).finish()
    }
}
