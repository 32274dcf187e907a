//! The age of connections ([`Limits::connection_age_max`](crate::Limits::connection_age_max)).
//!
//! Nothing is asked of a connection when it is served: now and then, and only while somebody is
//! there, all are looked at. One that is too old is closed if it is idle. Else its count of requests
//! is put beyond every limit, and what ends a connection at its last request ends it then.

use std::time::Duration;

use crate::handler::Handler;
use crate::http1::Farewell;
use crate::message::request::REQUESTS_CEILING;
use crate::reactor::clock::{self, Millis};
use crate::reactor::kernel::Kernel;
use crate::reactor::slot::{Flags, Timer};
use crate::reactor::{Reactor, Token};

/// How often connections are looked at in the time that one may live.
const LOOKS: u32 = 16;

/// When connections are too old, and when that is looked at.
pub(super) struct Ages {
    max: Duration,
    /// `MAX` while nobody is there.
    next: Millis,
}

impl Ages {
    pub(super) fn new(max: Duration) -> Ages {
        Ages { max, next: Millis::MAX }
    }

    pub(super) fn next(&self) -> Millis {
        self.next
    }

    /// The tick at which a connection that begins now is too old.
    pub(super) fn due(&self, now: Millis) -> u32 {
        clock::due(now, self.max)
    }

    fn look_again(&mut self, now: Millis) {
        self.next = now + clock::millis_up(self.max / LOOKS).max(1);
    }
}

impl<K: Kernel, H: Handler> Reactor<K, H> {
    /// Somebody may have come where nobody was.
    pub(super) fn begin_ageing(&mut self) {
        let now = self.desk.now;
        match &mut self.ages {
            Some(ages) if ages.next == Millis::MAX && !self.slots.is_empty() => {
                ages.look_again(now);
                self.set_alarm();
            }
            _ => {}
        }
    }

    /// Ends connections that are too old, if it is time to look at them.
    pub(super) fn look_at_ages(&mut self) {
        let now = self.desk.now;
        let Some(ages) = &mut self.ages else { return };
        if now < ages.next {
            return;
        }
        match self.slots.is_empty() {
            true => ages.next = Millis::MAX,
            false => ages.look_again(now),
        }
        let tick = clock::tick(now);
        let mut idle = Vec::new();
        for (key, slot) in &mut self.slots {
            // One that lingers is at its end, and counts something else.
            let is_too_old = slot.stream.is_some()
                && slot.armed.kind != Timer::Linger
                && slot.ends.wrapping_sub(tick) as i32 <= 0;
            if !is_too_old {
                continue;
            }
            slot.requests |= REQUESTS_CEILING;
            let is_quiet = !slot.flags.has(Flags::READABLE) && !slot.flags.has(Flags::QUEUED);
            if slot.life.is_idle() && is_quiet {
                idle.push(Token::new(key, slot.generation));
            }
        }
        for token in idle {
            log::debug!("connection {token}: idle and too old, closed");
            self.close(token, Farewell::Close);
        }
    }
}
