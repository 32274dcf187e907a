//! Handlers that hold the loop for long: a line in the log names the route and the time, if the
//! program has asked for that.

use std::time::Duration;

use super::{Handler, Kernel, Visit};
use crate::logging::warn;
use crate::message::request::{PatternSeen, Request};
use crate::reactor::clock;
use crate::reactor::log_name::LogName;
use crate::reactor::quiet::Quiet;

/// The time from which on a handler is slow, and the log of such handlers.
pub(in crate::reactor) struct SlowHandlers {
    after: Duration,
    /// The route of the request under way, if a router has found one.
    pub(super) seen: PatternSeen,
    quiet: Quiet,
}

/// A handler that was slow: its route, and its time.
pub(super) struct Slow(String, Duration);

impl SlowHandlers {
    pub(in crate::reactor) fn new(after: Duration) -> SlowHandlers {
        SlowHandlers { after, seen: PatternSeen::new(), quiet: Quiet::default() }
    }

    /// Judges the time that the handler of a request took.
    #[inline(always)]
    pub(super) fn judge(&self, request: &Request<'_>, took: Duration) -> Option<Slow> {
        (took >= self.after).then(|| Slow::of(request, took))
    }
}

impl Slow {
    #[cold]
    #[inline(never)]
    fn of(request: &Request<'_>, took: Duration) -> Slow {
        Slow(request.route_or_path(), took)
    }
}

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Makes room for the route of the next request.
    pub(super) fn forget_route(&mut self) {
        if let Some(slow) = &mut self.shared.slow_handlers {
            slow.seen.take();
        }
    }

    /// Logs that a handler was slow, unless another line was written in the same second.
    #[cold]
    #[inline(never)]
    pub(super) fn warn_of(&mut self, Slow(route, took): Slow) {
        let now = clock::millis(self.shared.looked_at_clock);
        let peer = self.shared.origins.peer(self.token.key());
        let name = LogName::of(self.facts.id(), peer).with_request(self.facts.requests);
        let Some(slow) = &mut self.shared.slow_handlers else { return };
        if let Some(unsaid) = slow.quiet.speaks(now) {
            warn!(
                "{name}: slow handler: {route} held the loop for {took:?}; {unsaid} such lines left out"
            );
        }
    }
}
