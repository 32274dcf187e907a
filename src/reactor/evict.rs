//! Making room: idle connections are closed when slots, descriptors or memory are short. A
//! connection at work never is.

use crate::handler::Handler;
use crate::http1::Farewell;
use crate::logging::debug;
use crate::reactor::clock;
use crate::reactor::kernel::Kernel;
use crate::reactor::{Reactor, Token};

/// Idle connections among which the one to close is found: the oldest of a sample, because a list
/// of all in their order would cost every request something.
const SAMPLE: usize = 32;

/// Slots searched for them in one turn, so that the search is bounded when all connections are
/// busy.
const LOOKED_AT: usize = 1024;

impl<K: Kernel, S: 'static, H: Handler<S>> Reactor<K, S, H> {
    /// Closes an old idle connection if a client waits for its slot or memory is short. Short
    /// memory also takes back the free blocks.
    pub(super) fn relieve(&mut self) {
        let is_full = self.acceptor.is_ready() && self.slots.len() >= self.connections_max;
        let memory_is_short = self.shared.ledger.is_short();
        if memory_is_short {
            self.shared.pool.trim(&mut self.shared.ledger);
        }
        if is_full || memory_is_short {
            if let Some(token) = self.oldest_idle() {
                debug!("{}: idle, closed to make room", self.log_name(token));
                self.close(token, Farewell::Close);
            }
        }
    }

    /// The system has no descriptor left for the clients that wait: an idle connection is closed,
    /// and the next turn accepts. Without an idle one, a client that waits is dropped.
    pub(super) fn free_descriptor(&mut self) {
        match self.oldest_idle() {
            Some(token) => {
                debug!("{}: idle, closed to free its descriptor", self.log_name(token));
                self.close(token, Farewell::Close);
            }
            None => self.acceptor.shed(&mut self.kernel),
        }
    }

    /// The idle connection of a sample whose deadline is nearest.
    fn oldest_idle(&mut self) -> Option<Token> {
        let capacity = self.slots.capacity().max(1);
        let now = clock::tick(self.shared.now);
        let start = self.sample_from % capacity;
        let mut best: Option<(i32, Token)> = None;
        let mut seen = 0;
        for key in (start..capacity).chain(0..start).take(LOOKED_AT) {
            self.sample_from = key + 1;
            let Some(slot) = self.slots.get(key).filter(|slot| slot.is_quiet()) else { continue };
            let left = self.wheel.due(key as u32).map_or(0, |due| due.wrapping_sub(now) as i32);
            if best.is_none_or(|(least, _)| left < least) {
                best = Some((left, Token::new(key, slot.facts.generation)));
            }
            seen += 1;
            if seen == SAMPLE {
                break;
            }
        }
        best.map(|(_, token)| token)
    }
}
