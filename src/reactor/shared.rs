//! What all visits of a loop share: the handler, the buffers, the ledger, everything that is needed
//! only once. A visit borrows it; between visits it holds nothing of any connection.

use std::sync::Arc;

use crate::handler::Handler;
use crate::http1::{CloseReason, Encoder, Head, HeadLimits};
use crate::limits::Limits;
use crate::message::request::ListenerNames;
use crate::reactor::clock::{DateClock, Millis};
use crate::reactor::hooks::Hooks;
use crate::reactor::mailbox::Mailbox;
use crate::reactor::memory::{Ledger, Pool, Pressure};
use crate::reactor::slot::Work;

/// What all visits share: the handler, and everything that one loop needs only once.
pub(super) struct Desk<H: Handler> {
    pub(super) handler: H,
    pub(super) hooks: Hooks,
    /// What the listeners are called.
    pub(super) listeners: ListenerNames,
    pub(super) limits: Limits,
    pub(super) head_limits: HeadLimits,
    /// The work of the connection that is visited: empty between visits.
    pub(super) work: Work<H::State>,
    /// Answers of the present visit. Empty between visits.
    pub(super) out: Vec<u8>,
    /// The request being answered.
    pub(super) head: Head,
    /// Where wakers put their calls.
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) pool: Pool,
    pub(super) ledger: Ledger,
    pub(super) encoder: Encoder,
    pub(super) date: DateClock,
    pub(super) now: Millis,
    pub(super) is_draining: bool,
    /// Why no connection is kept until further notice, if so.
    pub(super) keeps_none: Option<CloseReason>,
    /// Why no connection is kept in this turn, if so.
    pub(super) closes: Option<CloseReason>,
    pub(super) counters: Counters,
}

impl<H: Handler> Desk<H> {
    /// Why connections are not kept at present.
    pub(super) fn reason_to_close(&self) -> Option<CloseReason> {
        if self.keeps_none.is_some() {
            return self.keeps_none;
        }
        (self.ledger.pressure() >= Pressure::High).then_some(CloseReason::MemoryShort)
    }
}

/// What the loop has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: u64,
    pub(super) requests: u64,
    pub(super) refused: u64,
    pub(super) panics: u64,
    pub(super) cut_off: u64,
    pub(super) too_slow: u64,
}
