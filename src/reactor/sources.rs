//! The sources of a program: descriptors of its own, whose functions the loop calls with the state.
//!
//! The poll reports an edge once, as it does for connections. Two steps make that safe for a
//! function that does not read everything: the readiness of a source is remembered until its
//! function is called, and after the call the kernel is asked whether input is left. If so, the
//! source is ready in the next turn, too. Each is called once in a turn, so none keeps the
//! connections waiting.

use std::io;
use std::mem;

use slab::Slab;

use crate::handler::guard::{guard, let_go};
use crate::handler::source::{Interest, Next, Readiness, Source, SourceId};
use crate::logging::error;
use crate::reactor::kernel::{Event, Kernel};
use crate::reactor::Token;

/// The sources of one loop.
pub(super) struct Sources<S> {
    watched: Slab<Watched<S>>,
    /// The keys of the sources to be called in the next turn: those that are ready for something.
    ready: Vec<usize>,
    next_number: u64,
}

struct Watched<S> {
    source: Box<dyn Source<S>>,
    interest: Interest,
    readiness: Readiness,
    number: u64,
}

impl<S> Watched<S> {
    /// Calls the function. Returns whether the source stays and has input left, or `None` if it
    /// goes.
    fn call(&mut self, kernel: &mut impl Kernel, state: &mut S) -> Option<bool> {
        let readiness = mem::replace(&mut self.readiness, Readiness::NONE);
        match self.source.call(state, readiness) {
            Next::Keep => Some(self.interest.reads() && kernel.has_input(self.source.descriptor())),
            Next::Remove => None,
        }
    }
}

impl<S> Sources<S> {
    pub(super) fn new() -> Sources<S> {
        Sources { watched: Slab::new(), ready: Vec::new(), next_number: 0 }
    }

    /// Watches one more source.
    pub(super) fn add(
        &mut self,
        kernel: &mut impl Kernel,
        source: Box<dyn Source<S>>,
        interest: Interest,
    ) -> io::Result<SourceId> {
        let entry = self.watched.vacant_entry();
        let (key, number) = (entry.key(), self.next_number);
        if key >= Token::SOURCES_MAX {
            let error = format!("too many sources: at most {} in one loop", Token::SOURCES_MAX);
            return Err(io::Error::other(error));
        }
        kernel.watch_source(source.descriptor(), interest, Token::source(key))?;
        self.next_number += 1;
        entry.insert(Watched { source, interest, readiness: Readiness::NONE, number });
        Ok(SourceId { key, number })
    }

    /// Drops a source, if it is still there.
    pub(super) fn remove(&mut self, kernel: &mut impl Kernel, id: SourceId) {
        if self.watched.get(id.key).is_some_and(|watched| watched.number == id.number) {
            self.ready.retain(|&key| key != id.key);
            self.drop_one(kernel, id.key);
        }
    }

    /// Drops all of them.
    pub(super) fn drop_all(&mut self, kernel: &mut impl Kernel) {
        self.ready.clear();
        let keys: Vec<usize> = self.watched.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.drop_one(kernel, key);
        }
    }

    fn drop_one(&mut self, kernel: &mut impl Kernel, key: usize) {
        let watched = self.watched.remove(key);
        // The program may have a clone of the descriptor, so dropping it is not enough. It fails if
        // the descriptor was closed already.
        let _ = guard(|| kernel.unwatch_source(watched.source.descriptor()));
        let_go(watched.source);
    }

    /// Whether a function is to be called in the next turn.
    pub(super) fn are_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Notes an event of the source with this key.
    pub(super) fn note(&mut self, key: usize, event: &Event) {
        let Some(watched) = self.watched.get_mut(key) else { return };
        let was_ready = watched.readiness != Readiness::NONE;
        let (reads, writes) = (watched.interest.reads(), watched.interest.writes());
        watched.readiness.readable |= reads && event.readable;
        // Errors are reported as readable. They are news for a source that is watched for room,
        // too.
        watched.readiness.writable |= writes && (event.writable || !reads && event.read_closed);
        if !was_ready && watched.readiness != Readiness::NONE {
            self.ready.push(key);
        }
    }

    /// Calls the functions of the sources that are ready, once each. Returns how many of the calls
    /// panicked.
    pub(super) fn serve(&mut self, kernel: &mut impl Kernel, state: &mut S) -> u64 {
        let (count, mut panics) = (self.ready.len(), 0);
        for n in 0..count {
            let key = self.ready[n];
            let watched = &mut self.watched[key];
            match guard(|| watched.call(kernel, state)) {
                Ok(Some(false)) => {}
                Ok(Some(true)) => {
                    watched.readiness.readable = true;
                    self.ready.push(key);
                }
                Ok(None) => self.drop_one(kernel, key),
                Err(panic) => {
                    error!(
                        "source {}: removed, because its function panicked: {}",
                        watched.number,
                        panic.into_message()
                    );
                    panics += 1;
                    self.drop_one(kernel, key);
                }
            }
        }
        self.ready.drain(..count);
        panics
    }
}
