//! The parts that a loop has once and that all its visits share: the handler, the buffers, the
//! ledger. A visit borrows them. Between visits they hold nothing of any connection.

use std::sync::Arc;
use std::time::Duration;

use crate::handler::hooks::{ConnectionState, Hooks};
use crate::handler::layers::Layers;
use crate::handler::Handler;
use crate::http1::{CloseReason, Encoder, Head, HeadLimits};
use crate::message::id::ConnectionId;
use crate::message::request::Site;
use crate::reactor::clock::{DateClock, Millis};
use crate::reactor::mailbox::Mailbox;
use crate::reactor::memory::{Ledger, Pool};
use crate::reactor::origins::Origins;
use crate::reactor::timeouts::Timeouts;
use crate::reactor::visit::SlowHandlers;
use crate::stats::Counters;

/// The parts that all visits share.
pub(super) struct Shared<S: 'static, H: Handler<S>> {
    /// The state of the program, lent to one of its functions at a time.
    pub(super) state: S,
    /// The layers around the handler.
    pub(super) layers: Layers<S>,
    pub(super) handler: H,
    pub(super) hooks: Hooks<S>,
    /// The watch on slow handlers, if the program has asked for it.
    pub(super) slow_handlers: Option<SlowHandlers>,
    /// Whether the handler is called without layers and not timed, and no hook follows the exchange or
    /// the state of the connection. Saves 4 instructions per GET.
    pub(super) is_plain: bool,
    pub(super) origins: Origins,
    pub(super) site: Site,
    pub(super) head_limits: HeadLimits,
    /// The responses of the visit under way, encoded. Empty between visits.
    pub(super) out: Vec<u8>,
    /// The request parsed last.
    pub(super) head: Head,
    /// The mailbox for the calls of wakers.
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) pool: Pool,
    pub(super) ledger: Ledger,
    pub(super) encoder: Encoder,
    pub(super) date: DateClock,
    pub(super) now: Millis,
    /// The time at which the clock was read last.
    pub(super) looked_at_clock: Duration,
    /// The number of small responses after which a visit reads the clock.
    pub(super) look_every: u32,
    /// The time of a visit.
    pub(super) visit_max: Duration,
    pub(super) timeouts: Timeouts,
    pub(super) service: Service,
    pub(super) counters: Counters,
}

/// The way in which the server treats connections that have got their response.
#[derive(Debug)]
pub(super) enum Service {
    /// It keeps them, as far as memory allows.
    Normal,
    /// It keeps none, because the program has asked for that.
    KeepAliveOff,
    /// It keeps none, because it shuts down.
    Draining(Drain),
}

/// A graceful shutdown under way.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) ends: Millis,
    pub(super) open_at_start: usize,
    /// Connections accepted before it began.
    pub(super) accepted_at_start: u64,
    pub(super) reset: usize,
    pub(super) phase: DrainPhase,
}

/// The phases of a graceful shutdown, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DrainPhase {
    /// The listeners are still open: until the end of the turn in which it began.
    Listening,
    Closing,
    /// Its time is over. Every connection is visited once more before it is reset.
    LastLook,
}

impl<S: 'static, H: Handler<S>> Shared<S, H> {
    /// The reason why no connection is kept now, if there is one.
    #[inline(always)]
    pub(super) fn reason_to_close(&self) -> Option<CloseReason> {
        match self.service {
            Service::Normal if self.ledger.is_short() => Some(CloseReason::MemoryShort),
            Service::Normal => None,
            Service::KeepAliveOff => Some(CloseReason::KeepAliveOff),
            Service::Draining(_) => Some(CloseReason::ShuttingDown),
        }
    }

    /// Whether the handler is called through layers, or a hook follows the exchange.
    pub(super) fn has_layers(&self) -> bool {
        !self.layers.is_empty() || self.hooks.on_exchange.is_some()
    }

    /// Reports the new state of a connection to the program's hook.
    pub(super) fn report(&mut self, id: ConnectionId, state: ConnectionState) {
        self.hooks.report(&mut self.state, id, state);
        self.count_panics_of_hooks();
    }

    /// Counts the panics of hooks that were just called.
    pub(super) fn count_panics_of_hooks(&mut self) {
        let panics = self.hooks.take_panics();
        if panics > 0 {
            self.counters.count_panics(panics);
        }
    }

    /// Whether idle connections are kept until further notice.
    pub(super) fn keeps_idle(&self) -> bool {
        matches!(self.service, Service::Normal)
    }

    /// Whether a shutdown looks at every connection for the last time.
    pub(super) fn is_last_look(&self) -> bool {
        matches!(&self.service, Service::Draining(drain) if drain.phase == DrainPhase::LastLook)
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self.service, Service::Draining(_))
    }
}
