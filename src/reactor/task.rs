//! The task of a connection: the reply of its handler, while it takes longer than a visit.
//!
//! While output waits for the socket, the deadline of every task is the response rate, and at that
//! deadline the connection is reset. The table has the rest:
//!
//! | task | stands beside ([`http1`](crate::http1)) | request content goes to | the response comes from | deadline while nothing moves | a wake-up | at the deadline |
//! |---|---|---|---|---|---|---|
//! | `None` | a state at rest, a head, a response that is complete | the discard | – (small responses leave at once) | the one of the http1 state | – | 408 or close |
//! | `Collect` | content, response awaited | a growing buffer | the handler, when it is complete | content rate | – | 408 |
//! | `Receive` | content, response awaited; may pause | the receiver, up to its limit | the receiver | content rate; handler timeout in a pause | resumes a pause | 408, or 504 for a pause |
//! | `Later` | response awaited | the discard, after the response | another thread | handler timeout, or its own | takes the response | its `late` response, else 504 |
//! | `Bytes` | content of the response | the discard, after the response | memory | response rate | – | reset |
//! | `File` | content of the response | the discard, after the response | a file, by `sendfile` | response rate | – | reset |
//! | `Produce` | content of the response | the discard, after the response | a producer | response rate | – | reset |
//! | `Silent` | content of the response | the discard, after the response | the producer, when woken | the time that the producer named | asks it again | asks its `expire` |
//! | `Transform` | content of the response, or all of it sent | the transform | the transform | content rate | – | reset; close if all of the response was sent |
//! | `Protocol` | upgraded | the protocol | the protocol | the time that the protocol named | calls it | asks its `expire` |
//! | `HandOut` | upgraded, to be handed out | – | – (the stream leaves the loop) | none: it is handed out at once | – | – |
//!
//! A time that the program has set for content or response ends these waits sooner, with a reset.
//!
//! Every question about a task is one `match` in the order of this table. Those that call the
//! program are in [`visit`](super::visit); the others are here.

use std::mem;
use std::time::Duration;

use bytes::Bytes;

use crate::handler::upgrade::{Protocol, Wish};
use crate::handler::{Collected, Deferred, HandOut, Receiving, Transform};
use crate::http1::{Connection, Input, Output, Rest};
use crate::limits::TIMEOUT_MAX;
use crate::message::body::{FilePart, Produce};
use crate::message::fields::FieldSpan;
use crate::message::request::RequestLine;
use crate::reactor::gathered::Gathered;
use crate::reactor::memory::Block;
use crate::stats::Deadline;
use crate::waker::Waker;

/// The work for the request under way. The table above has a row for each.
pub(super) enum Task<S> {
    None,
    Collect(Box<Collecting<S>>),
    Receive(Receiving<S>),
    Later(Box<Deferred<S>>),
    Bytes(Bytes),
    File(FilePart),
    Produce(Producing),
    /// A producer with nothing to send, and the time for which that may last.
    Silent(Producing, Duration),
    /// A transform, and a piece that it has not been given yet, because the socket was full.
    Transform(Box<dyn Transform<S>>, Option<Block>),
    Protocol(Box<Speaking<S>>),
    HandOut(HandOut<S>),
}

/// Content being collected, with the head that the program sees with it.
pub(super) struct Collecting<S> {
    pub(super) limit: usize,
    pub(super) then: Collected<S>,
    pub(super) line: RequestLine,
    pub(super) head: Vec<u8>,
    pub(super) spans: Vec<FieldSpan>,
    pub(super) content: Gathered,
    /// The bytes that the ledger was charged for this, beside the content.
    pub(super) charged: usize,
}

/// A producer whose content is being sent.
pub(super) struct Producing {
    pub(super) producer: Box<dyn Produce + Send>,
    pub(super) knows_of_shutdown: bool,
}

/// A protocol, as it described itself after the last call.
pub(super) struct Speaking<S> {
    pub(super) protocol: Box<dyn Protocol<S>>,
    pub(super) waker: Waker,
    pub(super) wish: Wish,
    /// The time for which nothing may move.
    pub(super) timeout: Duration,
    /// The client owes the protocol something.
    pub(super) is_owed: bool,
    /// The client has begun a message: the protocol has left bytes unused.
    pub(super) has_begun: bool,
    /// The protocol was notified of a slow client.
    pub(super) is_stalled: bool,
    /// The bytes that the ledger was charged for the memory of the protocol.
    pub(super) charged: usize,
    pub(super) knows_of_shutdown: bool,
}

/// The purpose of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    None,
    /// The client must send a complete head.
    Head,
    /// The client must send the first byte of a head, while the server drains.
    Grace,
    Idle,
    Content,
    Response,
    /// The program must respond, or end its pause.
    Handler,
    /// A producer or a protocol must move bytes, within the time that it has named.
    Silence,
    Linger,
}

impl Timer {
    /// The kind as which it is counted when it has passed. `is_busy`: the client has begun something,
    /// so a head that is not complete is late, and not only awaited.
    pub(super) fn deadline(self, is_busy: bool) -> Option<Deadline> {
        Some(match self {
            Timer::None => return None,
            Timer::Head if is_busy => Deadline::Head,
            Timer::Head | Timer::Grace | Timer::Idle => Deadline::Idle,
            Timer::Content => Deadline::Content,
            Timer::Response => Deadline::Response,
            Timer::Handler => Deadline::Handler,
            Timer::Silence => Deadline::Silence,
            Timer::Linger => Deadline::Linger,
        })
    }
}

impl<S> Task<S> {
    /// Whether it has bytes to send as soon as the socket takes them.
    pub(super) fn has_output(&self) -> bool {
        match self {
            Task::None | Task::Collect(_) | Task::Receive(_) | Task::Later(_) => false,
            Task::Bytes(_) | Task::File(_) | Task::Produce(_) => true,
            Task::Silent(..) => false,
            Task::Transform(_, pending) => pending.is_some(),
            Task::Protocol(_) | Task::HandOut(_) => false,
        }
    }

    /// Shared bytes that are sent from where they lie.
    pub(super) fn shared_bytes(&self) -> &[u8] {
        match self {
            Task::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The deadline while no output waits.
    pub(super) fn timer(&self, conn: &Connection) -> Timer {
        match self {
            Task::None | Task::Collect(_) | Task::Receive(_) => timer_of(conn),
            Task::Later(_) => Timer::Handler,
            Task::Bytes(_) | Task::File(_) | Task::Produce(_) => Timer::Response,
            Task::Silent(..) => Timer::Silence,
            Task::Transform(..) => timer_of(conn),
            Task::Protocol(_) => Timer::Silence,
            Task::HandOut(_) => Timer::None,
        }
    }

    /// The timeout that belongs to this task alone, if it has one.
    pub(super) fn timeout(&self) -> Option<Duration> {
        match self {
            Task::Later(deferred) => deferred.timeout,
            Task::Silent(_, timeout) => Some(*timeout),
            Task::Protocol(speaking) => Some(speaking.timeout),
            _ => None,
        }
        .map(|timeout| timeout.min(TIMEOUT_MAX))
    }

    /// Whether bytes written put its deadline off. Bytes read never do: those that a protocol uses
    /// end the wait ([`hand_to_protocol`](super::visit::Visit::hand_to_protocol)), and others are
    /// not progress.
    pub(super) fn is_put_off_by_writes(&self) -> bool {
        match self {
            Task::Silent(..) => true,
            Task::Protocol(speaking) => !speaking.waits_for_client(),
            _ => false,
        }
    }

    /// The bytes that the ledger was charged for it.
    pub(super) fn memory(&self) -> usize {
        match self {
            Task::Collect(collecting) => collecting.charged + collecting.content.capacity(),
            Task::Receive(receiving) => receiving.size(),
            Task::Later(deferred) => deferred.size(),
            Task::Transform(_, Some(pending)) => pending.capacity(),
            Task::Protocol(speaking) => speaking.charged,
            _ => 0,
        }
    }

    /// The bytes that it holds beside those, which are in the account.
    pub(super) fn memory_elsewhere(&self) -> usize {
        match self {
            Task::Protocol(speaking) => speaking.protocol.memory_elsewhere(),
            _ => 0,
        }
    }

    /// Its name in the table.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Task::None => "None",
            Task::Collect(_) => "Collect",
            Task::Receive(_) => "Receive",
            Task::Later(_) => "Later",
            Task::Bytes(_) => "Bytes",
            Task::File(_) => "File",
            Task::Produce(_) => "Produce",
            Task::Silent(..) => "Silent",
            Task::Transform(..) => "Transform",
            Task::Protocol(_) => "Protocol",
            Task::HandOut(_) => "HandOut",
        }
    }

    /// Asserts the second column of the table.
    pub(super) fn check(&self, conn: &Connection) {
        let (input, output) = (conn.input(), conn.output());
        let is_allowed = match self {
            Task::None => input == Input::Head || output == Output::Done,
            Task::Collect(_) => input == Input::Content && output == Output::Awaited,
            Task::Receive(_) => {
                matches!(input, Input::Content | Input::Paused) && output == Output::Awaited
            }
            Task::Later(_) => input == Input::None && output == Output::Awaited,
            Task::Bytes(_) | Task::File(_) => output == Output::Content { in_chunks: false },
            Task::Produce(_) | Task::Silent(..) => matches!(output, Output::Content { .. }),
            Task::Transform(..) => matches!(output, Output::Content { .. } | Output::Done),
            Task::Protocol(_) => output == Output::Upgraded,
            Task::HandOut(_) => output == Output::Upgraded && input == Input::None,
        };
        assert!(is_allowed, "a task that may not stand beside {conn:?}");
    }
}

/// The deadline of an http1 state: the table in [`http1`](crate::http1) has the column.
pub(super) fn timer_of(conn: &Connection) -> Timer {
    match conn.input() {
        Input::Head if conn.rest() == Some(Rest::Idle) => Timer::Idle,
        Input::Head => Timer::Head,
        Input::Content => Timer::Content,
        Input::Paused => Timer::Handler,
        Input::Linger { .. } => Timer::Linger,
        Input::Protocol | Input::None => Timer::None,
    }
}

impl<S> Speaking<S> {
    /// Whether the silence is the client's own: only bytes that the protocol uses end it.
    pub(super) fn waits_for_client(&self) -> bool {
        self.is_owed || self.has_begun
    }
}

impl<S> Collecting<S> {
    /// Its size before any content has arrived.
    pub(super) fn size(&self) -> usize {
        mem::size_of_val(self) + self.head.capacity() + mem::size_of_val(self.spans.as_slice())
    }
}
