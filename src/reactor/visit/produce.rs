//! Content of the response from a producer, piece by piece.

use std::io;
use std::mem;
use std::time::Duration;

use super::{
    guard, Break, Continue, Flags, Handler, Kernel, OnTrial, Progress, Task, Visit, SCRATCH,
};
use crate::http1::Output;
use crate::message::body::{Out, Produce, Produced};
use crate::message::trailers::Trailers;
use crate::reactor::task::Producing;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Asks a producer for a piece and frames it.
    pub(super) fn produce(&mut self, producer: Producing) -> Progress {
        self.ask(producer, None, |producer, out| producer.produce(out))
    }

    /// Asks a silent producer again. It may have content now: visits come for many reasons, and
    /// asking is cheap.
    pub(super) fn ask_again(&mut self, producer: Producing, silence: Duration) -> Progress {
        let mut producer = OnTrial::new(producer);
        if self.facts.flags.has(Flags::READ_CLOSED) {
            if let Err(panic) = guard(|| producer.get().producer.peer_left()) {
                return Break(self.panicked(panic));
            }
        }
        self.ask(producer.take(), Some(silence), |producer, out| producer.produce(out))
    }

    /// Asks a producer whose time of silence is over.
    pub(super) fn break_silence(&mut self, producer: Producing) -> Progress {
        self.ask(producer, None, |producer, out| producer.expire(out))
    }

    /// Asks a producer by the function `how`, after notifying it of a shutdown, once. `silence` is
    /// the timeout of its present wait: the wait goes on if the producer names the same one again.
    fn ask(
        &mut self,
        producer: Producing,
        silence: Option<Duration>,
        how: impl FnOnce(&mut dyn Produce, &mut Out<'_>) -> io::Result<Produced>,
    ) -> Progress {
        self.spent.pieces += 1;
        self.spent.has_worked = true;
        let mut producer = OnTrial::new(producer);
        let shuts_down = self.shared.is_draining();
        let out = &mut self.shared.out;
        let start = out.len();
        let room = self.work.conn.content_room(SCRATCH.saturating_sub(start));
        let produced = guard(|| {
            let Producing { producer, knows_of_shutdown } = producer.get();
            if shuts_down && !mem::replace(knows_of_shutdown, true) {
                producer.shutdown();
            }
            how(&mut **producer, &mut Out::new(out, room))
        });
        let put = out.len() - start;
        self.work.conn.frame(out, start);
        let produced = self.unless_broken(produced)?;
        let goes_on = matches!(self.work.conn.output(), Output::Content { .. });
        match produced {
            Produced::More if put == 0 => Break(self.broken("a producer made no progress")),
            Produced::More if goes_on => {
                self.put_back(Task::Produce(producer.take()));
                Continue(())
            }
            Produced::Wait(timeout) if goes_on => {
                if silence != Some(timeout) {
                    self.end_silence();
                }
                self.put_back(Task::Silent(producer.take(), timeout));
                Continue(())
            }
            // The content has ended, or its announced length is reached.
            Produced::More | Produced::Wait(_) | Produced::End => {
                self.end_produced(producer.take())
            }
        }
    }

    fn end_produced(&mut self, mut producer: Producing) -> Progress {
        let mut trailers = Trailers::default();
        let asked = guard(|| {
            let asked = producer.producer.put_trailers(&mut trailers);
            drop(producer);
            asked
        });
        self.unless_broken(asked)?;
        self.end_content(&trailers)
    }
}
