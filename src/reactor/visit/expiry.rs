//! Deadlines that have passed: the last column of the table of [tasks](crate::reactor::task).

use super::{clock, Break, Handler, Kernel, Lost, Progress, Stop, Task, Visit};
use crate::http1::{Farewell, Input};

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Ends the wait of the connection.
    pub(super) fn expire_task(&mut self) -> Progress {
        self.end_wait();
        if self.work.has_output() {
            return Break(self.over(Farewell::Reset, Lost::TooSlow));
        }
        let has_ended = self.work.has_ended(clock::tick(self.shared.now));
        match self.take_task() {
            Task::Later(deferred) => {
                let reply = self.expire_worker(deferred)?;
                self.carry_out_late(reply)?;
                // Requests that are held after this one are served by the next visit.
                Break(Stop::Spent)
            }
            Task::Silent(producer, _) if !has_ended => self.break_silence(producer),
            task @ Task::Protocol(_) => {
                self.put_back(task);
                self.expire_protocol(has_ended)
            }
            task => {
                self.put_back(task);
                Break(self.expire_exchange())
            }
        }
    }

    /// Refuses the request or ends the connection, because the client or the program was too slow.
    fn expire_exchange(&mut self) -> Stop {
        let why = match self.work.conn.input() {
            Input::Paused => Lost::Expired,
            _ => Lost::TooSlow,
        };
        match self.work.conn.expire() {
            Ok(farewell) => self.over(farewell, why),
            Err(reject) => self.refuse(reject, why),
        }
    }
}
