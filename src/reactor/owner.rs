//! A loop in a box: one type for handlers of every type, and an end for every way in which the
//! program can let go of it.

use std::io;
use std::ops::{Deref, DerefMut};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crate::handler::source::{Interest, Source, SourceId};
use crate::handler::Handler;
use crate::reactor::kernel::Kernel;
use crate::reactor::loop_group::Group;
use crate::reactor::Reactor;
use crate::stats::Report;
use crate::stats::Stats;

/// A loop whose handler is of any type. A call of it is one dynamic call.
pub(crate) trait Loop<K: Kernel, S> {
    /// Makes one turn, which sleeps for at most `at_most` (`None`: until the next deadline).
    /// Returns whether the loop goes on.
    fn turn(&mut self, at_most: Option<Duration>) -> io::Result<bool>;
    /// The time from now for which the next turn may sleep. `None`: until the kernel reports an
    /// event.
    fn timeout(&self) -> Option<Duration>;
    fn report(&self) -> Report;
    /// The numbers of the loop, for any thread.
    fn stats(&self) -> Stats;
    /// Stops the loop at once, unless it has ended.
    fn end(&mut self);
    /// Ends with the other loops of `group`, and they with this one.
    fn join(&mut self, group: Arc<Group>);
    /// Listens on one more listener.
    fn add_listener(&mut self, name: Box<str>, listener: K::Listener) -> io::Result<()>;
    /// Watches one more descriptor of the program.
    fn add_source(
        &mut self,
        source: Box<dyn Source<S>>,
        interest: Interest,
    ) -> io::Result<SourceId>;
    /// Drops a source, if it is still there.
    fn remove_source(&mut self, id: SourceId);
    fn kernel(&self) -> &K;
    fn kernel_mut(&mut self) -> &mut K;
    /// The state of the program.
    fn state(&mut self) -> &mut S;
    fn into_state(self: Box<Self>) -> S;
    /// Bytes that the ledger counts.
    fn memory_used(&self) -> usize;
    /// Whether a connection waits for a response from elsewhere.
    fn has_laters(&self) -> bool;
    fn connections(&self) -> usize;
    /// The state and the deadline of each connection, in words.
    fn describe(&self) -> Vec<(&K::Stream, String)>;
    /// Asserts the invariants between two turns.
    fn check(&self);
    /// Asserts the invariants of the wheel.
    fn check_wheel(&self);
}

impl<K: Kernel, S: 'static, H: Handler<S>> Loop<K, S> for Reactor<K, S, H> {
    fn turn(&mut self, at_most: Option<Duration>) -> io::Result<bool> {
        self.turn(at_most)
    }

    fn timeout(&self) -> Option<Duration> {
        match self.has_ended() {
            true => None,
            false => self.timeout_from(self.kernel.now()),
        }
    }

    fn report(&self) -> Report {
        self.report()
    }

    fn stats(&self) -> Stats {
        self.stats()
    }

    fn end(&mut self) {
        self.end();
    }

    fn join(&mut self, group: Arc<Group>) {
        self.group = Some(group);
    }

    fn add_listener(&mut self, name: Box<str>, listener: K::Listener) -> io::Result<()> {
        self.acceptor.add(&mut self.kernel, listener)?;
        self.shared.origins.listeners.0.push(name);
        Ok(())
    }

    fn add_source(
        &mut self,
        source: Box<dyn Source<S>>,
        interest: Interest,
    ) -> io::Result<SourceId> {
        if self.has_ended() {
            return Err(io::Error::other("the loop has ended: it watches no source any more"));
        }
        self.sources.add(&mut self.kernel, source, interest)
    }

    fn remove_source(&mut self, id: SourceId) {
        self.sources.remove(&mut self.kernel, id);
    }

    fn kernel(&self) -> &K {
        &self.kernel
    }

    fn kernel_mut(&mut self) -> &mut K {
        &mut self.kernel
    }

    fn state(&mut self) -> &mut S {
        &mut self.shared.state
    }

    fn into_state(self: Box<Self>) -> S {
        self.shared.state
    }

    fn memory_used(&self) -> usize {
        self.shared.ledger.used()
    }

    fn has_laters(&self) -> bool {
        self.has_laters()
    }

    fn connections(&self) -> usize {
        Reactor::connections(self)
    }

    fn describe(&self) -> Vec<(&K::Stream, String)> {
        Reactor::describe(self)
    }

    fn check(&self) {
        self.check();
    }

    fn check_wheel(&self) {
        self.wheel.check();
    }
}

/// The owner of a loop: when it is dropped, the loop ends as it does when it is stopped.
///
/// `None` once the state was taken out.
pub(crate) struct Owner<'h, K: Kernel, S>(Option<Box<dyn Loop<K, S> + 'h>>);

impl<'h, K: Kernel, S> Owner<'h, K, S> {
    pub(crate) fn new(reactor: impl Loop<K, S> + 'h) -> Owner<'h, K, S> {
        Owner(Some(Box::new(reactor)))
    }

    /// Makes turns until the loop has ended.
    pub(crate) fn run(&mut self) -> io::Result<Report> {
        while self.turn(None)? {}
        Ok(self.report())
    }

    /// Ends the loop, and gives the state back with the report.
    pub(crate) fn into_state(mut self) -> (S, Report) {
        self.end();
        let report = self.report();
        let reactor = self.0.take().expect(TAKEN_ONCE);
        (reactor.into_state(), report)
    }
}

const TAKEN_ONCE: &str = "taking the state consumes the owner";

impl<'h, K: Kernel, S> Deref for Owner<'h, K, S> {
    type Target = dyn Loop<K, S> + 'h;

    fn deref(&self) -> &Self::Target {
        &**self.0.as_ref().expect(TAKEN_ONCE)
    }
}

impl<K: Kernel, S> DerefMut for Owner<'_, K, S> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut **self.0.as_mut().expect(TAKEN_ONCE)
    }
}

impl<K: Kernel, S> Drop for Owner<'_, K, S> {
    fn drop(&mut self) {
        let Some(reactor) = &mut self.0 else { return };
        // The thread may be panicking already, and a second panic that leaves here would abort.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| reactor.end()));
    }
}
