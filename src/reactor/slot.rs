//! One connection's slot in the slab: small while the connection rests, with a box of [`Work`]
//! while a request cannot be finished in one visit.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;

use crate::http1::{Linger, Rest};
use crate::message::id::ConnectionId;
use crate::reactor::kernel::Kernel;
use crate::reactor::log_name::LogName;
use crate::reactor::task::{Task, Timer};
use crate::reactor::work::Work;
use crate::stats::Phase;

/// The data of a connection, from accept to close. An idle connection is this, a node of the wheel
/// and the address of its client, and nothing else; a test below asserts their size.
pub(super) struct Slot<K: Kernel, S> {
    pub(super) stream: K::Stream,
    pub(super) life: Life<S>,
    pub(super) facts: Facts,
}

/// The state of the connection, small or with work attached.
pub(super) enum Life<S> {
    Rest(Rest),
    Busy(Box<Work<S>>),
}

/// The facts that a connection has in every state.
pub(super) struct Facts {
    /// The value that the connection hook attached. Boxed twice, since few connections have one.
    #[allow(clippy::redundant_allocation)]
    pub(super) value: Option<Box<Box<dyn Any>>>,
    /// The generation of the connection: its id, and a part of its token.
    pub(super) generation: u32,
    /// Requests begun so far.
    pub(super) requests: u32,
    /// The tick at which the connection is too old, if age is limited at all.
    pub(super) too_old_at: u32,
    /// The wait that the deadline on the wheel belongs to. `None` once that wait is over: the next
    /// deadline begins anew, even if it is of the same kind.
    pub(super) armed: Timer,
    pub(super) flags: Flags,
    /// The number of the listener that accepted it.
    pub(super) listener: u8,
}

impl Facts {
    /// The number by which the program knows the connection.
    pub(super) fn id(&self) -> ConnectionId {
        ConnectionId(u64::from(self.generation))
    }

    /// Whether the connection is too old, if age is limited.
    pub(super) fn is_too_old(&self, now: u32) -> bool {
        self.too_old_at.wrapping_sub(now) as i32 <= 0
    }
}

impl<S> Life<S> {
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Life::Rest(Rest::Idle))
    }

    /// The phase as which the connection is counted.
    pub(super) fn phase(&self) -> Phase {
        match self {
            Life::Rest(Rest::New) => Phase::New,
            Life::Rest(Rest::Idle) => Phase::Idle,
            Life::Rest(Rest::Ending { .. } | Rest::Linger(_) | Rest::Closed) => Phase::Linger,
            Life::Busy(work) => work.phase(),
        }
    }

    /// The bounds of a connection that lingers.
    pub(super) fn linger(&self) -> Option<Linger> {
        match self {
            Life::Rest(Rest::Linger(linger)) => Some(*linger),
            Life::Rest(_) | Life::Busy(_) => None,
        }
    }

    /// Whether the connection has left HTTP for a protocol.
    pub(super) fn is_protocol(&self) -> bool {
        matches!(self, Life::Busy(work) if matches!(work.task, Task::Protocol(_)))
    }
}

/// The state in words, for the story of a simulation.
impl<S> fmt::Display for Life<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Life::Rest(rest) => write!(f, "{rest:?}"),
            Life::Busy(work) => {
                let (input, output) = (work.conn.input(), work.conn.output());
                write!(f, "input {input:?}, output {output:?}, task {}", work.task.name())
            }
        }
    }
}

impl<K: Kernel, S> Slot<K, S> {
    /// Figures that change when the client sends a request or content, or reads.
    pub(super) fn progress(&self) -> (u32, u64, u64) {
        match &self.life {
            Life::Busy(work) => (self.facts.requests, work.received, work.written),
            Life::Rest(_) => (self.facts.requests, 0, 0),
        }
    }

    /// Its name in the log, with the address of its client.
    pub(super) fn log_name(&self, client: Option<SocketAddr>) -> LogName {
        let name = LogName::of(self.facts.id(), client);
        match &self.life {
            Life::Busy(work) if work.is_in_exchange() => name.with_request(self.facts.requests),
            Life::Busy(_) | Life::Rest(_) => name,
        }
    }
}

/// Small facts about a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    /// There may be bytes to read: remembered until a read finds none.
    pub(super) const READABLE: Flags = Flags(1);
    /// The client has ended its side, or broken the connection: never forgotten.
    pub(super) const READ_CLOSED: Flags = Flags(1 << 1);
    /// In one of the two queues of the loop: ready, or unfinished.
    pub(super) const QUEUED: Flags = Flags(1 << 2);
    /// Registered for writing too: once is enough.
    pub(super) const WATCHES_WRITING: Flags = Flags(1 << 3);
    /// Active was reported to the state hook, and not yet the state after it.
    pub(super) const REPORTED_ACTIVE: Flags = Flags(1 << 4);
    /// A waker was woken: the program has news.
    pub(super) const WOKEN: Flags = Flags(1 << 5);
    /// When it is queued next, it is served after the others, because its last visit took long. It is
    /// forgotten then.
    pub(super) const YIELDS: Flags = Flags(1 << 6);
    /// Nothing that is sent arrives, because the client has broken the connection: never forgotten.
    pub(super) const BROKEN: Flags = Flags(1 << 7);

    /// Whether the connection is to enter the ready queue.
    #[inline(always)]
    pub(super) fn may_be_ready(self) -> bool {
        self.0 & (Flags::QUEUED.0 | Flags::YIELDS.0) == 0
    }

    pub(super) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub(super) fn set(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }

    pub(super) fn clear(&mut self, flag: Flags) {
        self.0 &= !flag.0;
    }

    /// Clears a flag; returns whether it was set.
    pub(super) fn take(&mut self, flag: Flags) -> bool {
        let was_set = self.has(flag);
        self.clear(flag);
        was_set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::mio_kernel::MioKernel;
    use crate::reactor::origins::Origins;
    use std::mem;

    /// `slab` keeps a slot as one of two variants; the other holds the next free key.
    #[allow(dead_code)]
    enum Entry<T> {
        Vacant(usize),
        Occupied(T),
    }

    #[test]
    fn an_idle_connection_costs_82_bytes_with_its_wheel_node_and_address() {
        const WHEEL_NODE: usize = 16;
        let slot = mem::size_of::<Entry<Slot<MioKernel, ()>>>();
        let idle = slot + WHEEL_NODE + Origins::PEER;
        assert!(idle <= 96, "{idle} B: the promise is 96 B with the address of the client");
        assert!(slot <= 48, "slot {slot} B: 48 B has been reached");
    }
}
