//! One connection's slot in the slab: small while the connection rests, with a box of work while
//! a request cannot be finished in one visit.

use std::any::Any;
use std::mem;
use std::time::Duration;

use bytes::Bytes;

use crate::handler::upgrade::{Hijacked, Protocol, Wish};
use crate::handler::{Collected, Finish, Hold, Receive, Transform};
use crate::http1::{Connection, Deadline, Rest};
use crate::message::body::{FileBody, Produce};
use crate::message::fields::FieldSpan;
use crate::message::request::RequestLine;
use crate::message::response::Response;
use crate::reactor::kernel::Kernel;
use crate::reactor::memory::Block;
use crate::waker::Waker;

/// What the loop keeps for a connection.
///
/// Invariant: `stream` is there until the close; the slot is removed at the end of that
/// turn. An idle connection is this and a node of the wheel, nothing else; `tests` below asserts how large that is.
pub(crate) struct Slot<K: Kernel, S> {
    pub(crate) stream: Option<K::Stream>,
    pub(crate) life: Life<S>,
    /// What the connection hook attached. Boxed twice, since few connections have it.
    #[allow(clippy::redundant_allocation)]
    pub(crate) value: Option<Box<Box<dyn Any>>>,
    /// Which tenant of the slot this is: half of the token.
    pub(crate) generation: u32,
    /// Requests begun so far; from [`REQUESTS_CEILING`](crate::message::request::REQUESTS_CEILING) on, the
    /// next one is the last.
    pub(crate) requests: u32,
    /// The tick at which the connection is too old; while it lingers, that at which lingering ends
    /// however much still comes.
    pub(crate) ends: u32,
    pub(crate) armed: Armed,
    pub(crate) flags: Flags,
    /// The number of the listener that it came from.
    pub(crate) listener: u8,
}

/// The protocol's state, small or with work attached.
pub(crate) enum Life<S> {
    Rest(Rest),
    Busy(Box<Work<S>>),
}

impl<K: Kernel, S> Slot<K, S> {
    /// Whatever deadline comes next, even of the same kind, is another one and begins anew.
    pub(crate) fn forget_deadline(&mut self) {
        self.armed.kind = Timer::None;
    }

    /// What the ledger was charged for the work of this slot.
    pub(crate) fn memory(&self) -> usize {
        let Life::Busy(work) = &self.life else { return 0 };
        let gathered = match &work.intake {
            Intake::Collect(gather) => gather.charged,
            Intake::Protocol(speaking) => speaking.charged,
            _ => 0,
        };
        let transformed = match &work.source {
            Source::Transform(_, block) => block.as_ref(),
            _ => None,
        };
        let blocks = [work.input.as_ref(), work.backlog.as_ref(), transformed];
        let blocks: usize = blocks.into_iter().flatten().map(Block::capacity).sum();
        mem::size_of::<Work<S>>() + gathered + blocks
    }
}

/// A connection in the middle of something.
pub(crate) struct Work<S> {
    pub(crate) conn: Connection,
    /// Read, and not yet taken by the protocol.
    pub(crate) input: Option<Block>,
    /// Encoded, and not taken by the socket.
    pub(crate) backlog: Option<Block>,
    /// Who takes the content of the request.
    pub(crate) intake: Intake<S>,
    /// Where more content of the answer comes from.
    pub(crate) source: Source<S>,
    /// Bytes read and bytes written since the armed rate window began.
    pub(crate) received: u64,
    pub(crate) moved: u64,
    /// By when content or answer must be whole, if the program has said so.
    pub(crate) ends: Option<End>,
}

/// A time that the program has set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) tick: u32,
    /// It was over in an earlier turn.
    was_over: bool,
}

impl End {
    pub(crate) fn at(tick: u32) -> End {
        End { tick, was_over: false }
    }
}

/// Who takes what comes in: the content of the request, or what follows it.
pub(crate) enum Intake<S> {
    /// Nobody: it is discarded, or there is none.
    Nobody,
    Collect(Box<Gather<S>>),
    Receive(Box<dyn Receive<S>>),
    /// Nobody before the answer is there.
    Later(Box<Waiting<S>>),
    Protocol(Box<Speaking<S>>),
    /// Whoever the connection is handed out to.
    Hijack(Box<dyn FnOnce(Hijacked)>),
}

/// An answer that comes from elsewhere.
pub(crate) struct Waiting<S> {
    pub(crate) ticket: Hold<S>,
    /// Instead of the limit's.
    pub(crate) timeout: Option<Duration>,
    /// What is answered when it has passed; a 504 otherwise.
    pub(crate) late: Option<Response>,
    /// What the answer goes through.
    pub(crate) finish: Option<Finish<S>>,
}

/// A protocol, and what it is to be told.
pub(crate) struct Speaking<S> {
    pub(crate) protocol: Box<dyn Protocol<S>>,
    pub(crate) waker: Waker,
    pub(crate) wish: Wish,
    /// How long nothing may move, as it said last.
    pub(crate) timeout: Duration,
    /// Only what the peer sends counts as movement.
    pub(crate) is_owed: bool,
    /// What the ledger was charged for what it holds.
    pub(crate) charged: usize,
    pub(crate) knows_of_shutdown: bool,
}

/// Content being collected, with the head that its request will be shown with.
pub(crate) struct Gather<S> {
    pub(crate) limit: usize,
    pub(crate) then: Collected<S>,
    pub(crate) line: RequestLine,
    pub(crate) head: Vec<u8>,
    pub(crate) spans: Vec<FieldSpan>,
    pub(crate) content: Vec<u8>,
    /// What the ledger was charged for this.
    pub(crate) charged: usize,
}

/// Where more content of the answer comes from.
pub(crate) enum Source<S> {
    Nothing,
    Bytes(Bytes),
    File(FileBody),
    Produce(Box<dyn Produce>),
    /// A producer with nothing to say, and how long that may last.
    Waiting(Box<dyn Produce>, Duration),
    Transform(Box<dyn Transform<S>>, Option<Block>),
}

/// The deadline that is armed on the wheel: what for, and for which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed {
    pub(crate) kind: Timer,
    /// The low bits of the request count: the head of the next request is another deadline.
    pub(crate) message: u8,
}

/// What a node on the wheel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    None,
    Head,
    /// The first byte of a head, while the server drains.
    Grace,
    Idle,
    Content,
    Response,
    /// The program's answer, or the end of its pause.
    Handler,
    /// The next word of a producer or a protocol: it says itself how long.
    Silence,
    Linger,
}

impl<S> Work<S> {
    pub(crate) fn new() -> Work<S> {
        Work {
            conn: Connection::resume(Rest::Closed),
            input: None,
            backlog: None,
            intake: Intake::Nobody,
            source: Source::Nothing,
            received: 0,
            moved: 0,
            ends: None,
        }
    }

    /// Whether the time for content or answer is over.
    pub(crate) fn has_ended(&self, now: u32) -> bool {
        self.ends.is_some_and(|ends| ends.tick.wrapping_sub(now) as i32 <= 0)
    }

    /// Whether it was over in an earlier turn, too, in which this was asked: a last turn for what
    /// had come in time is one, however much comes in every turn.
    pub(crate) fn had_its_last_turn(&mut self, now: u32) -> bool {
        let is_over = self.has_ended(now);
        let Some(ends) = &mut self.ends else { return false };
        is_over && mem::replace(&mut ends.was_over, true)
    }

    /// Whether nothing is held that needs a box.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.input.is_none()
            && self.backlog.is_none()
            && matches!(self.intake, Intake::Nobody)
            && matches!(self.source, Source::Nothing)
    }

    /// Whether bytes wait for the socket to take them.
    #[inline(always)]
    pub(crate) fn has_output(&self) -> bool {
        let waits = !matches!(
            self.source,
            Source::Nothing | Source::Transform(_, None) | Source::Waiting(..)
        );
        waits || self.backlog.is_some()
    }

    /// The state to rest in, if nothing is held that needs the box.
    pub(crate) fn rest(&self) -> Option<Rest> {
        self.conn.rest().filter(|_| self.is_empty())
    }

    /// Which deadline there must be: derived, never kept.
    pub(crate) fn timer(&self) -> Timer {
        if self.has_output() {
            return Timer::Response;
        }
        if matches!(self.source, Source::Waiting(..)) {
            return Timer::Silence;
        }
        match self.conn.deadline() {
            Deadline::None => Timer::None,
            Deadline::Head => Timer::Head,
            Deadline::Idle => Timer::Idle,
            Deadline::Content => Timer::Content,
            Deadline::Handler => Timer::Handler,
            Deadline::Linger => Timer::Linger,
            Deadline::Upgraded => Timer::Silence,
        }
    }

    /// The time-out that belongs to this work alone, if its deadline is such a one.
    pub(crate) fn own_timeout(&self) -> Option<Duration> {
        match (&self.source, &self.intake) {
            (Source::Waiting(_, timeout), _) => Some(*timeout),
            (_, Intake::Later(waiting)) => waiting.timeout,
            (_, Intake::Protocol(speaking)) => Some(speaking.timeout),
            _ => None,
        }
    }
}

impl<S> Life<S> {
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Life::Rest(Rest::Idle))
    }
}

/// Small facts about a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// There may be bytes to read: remembered until a read proves it gone.
    pub(crate) const READABLE: Flags = Flags(1);
    /// The peer has ended its side, or broken the connection: never forgotten.
    pub(crate) const READ_CLOSED: Flags = Flags(1 << 1);
    /// In the ready queue.
    pub(crate) const QUEUED: Flags = Flags(1 << 2);
    /// Registered for writing too: once is enough.
    pub(crate) const WATCHES_WRITING: Flags = Flags(1 << 3);
    /// Our side is shut down: the connection lingers.
    pub(crate) const SHUT: Flags = Flags(1 << 4);
    /// The state hook was told Active and not yet what comes after.
    pub(crate) const TOLD_ACTIVE: Flags = Flags(1 << 5);
    /// The answer is complete and all input was used: no linger is needed.
    pub(crate) const CLEAN: Flags = Flags(1 << 6);
    /// A waker called: the program has news.
    pub(crate) const WOKEN: Flags = Flags(1 << 7);

    pub(crate) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn set(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }

    pub(crate) fn clear(&mut self, flag: Flags) {
        self.0 &= !flag.0;
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::mio_kernel::MioKernel;

    /// `slab` keeps a slot as one of two variants; the other holds the next free key.
    #[allow(dead_code)]
    enum Entry<T> {
        Vacant(usize),
        Occupied(T),
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn an_idle_connection_costs_one_cache_line_with_its_wheel_node() {
        const WHEEL_NODE: usize = 16;
        let slot = mem::size_of::<Entry<Slot<MioKernel, ()>>>();
        assert!(slot + WHEEL_NODE <= 96, "slot {slot} B: the promise is 96 B with the node");
        // With debug assertions mio keeps the identity of its poll in each socket.
        let reached = if cfg!(debug_assertions) { 72 } else { 48 };
        assert!(slot <= reached, "slot {slot} B: {reached} B has been reached");
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn the_box_of_a_busy_connection_is_at_most_256_bytes() {
        let work = mem::size_of::<Work<()>>();
        assert!(work <= 256, "{work} B");
    }
}
