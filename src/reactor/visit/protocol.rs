//! Connections that have left HTTP: a protocol is called with what comes and puts what goes, in
//! the same visits, buffers and deadlines as before; or the stream is handed out.

use std::io;
use std::mem;

use crate::handler::hooks::ConnState;
use crate::handler::upgrade::{Io, Protocol, Upgrade, Wish, ROOM_MAX};
use crate::handler::{Gone, Handler};
use crate::http1::Farewell;
use crate::message::response::{Response, StatusCode};
use crate::reactor::kernel::Kernel;
use crate::reactor::memory::Ledger;
use crate::reactor::slot::{Intake, Speaking};
use crate::reactor::visit::reply::{answer, fault_of_fields};
use crate::reactor::visit::{Stop, Visit, SCRATCH};
use crate::reactor::{guard, let_go, OnTrial};

/// What a protocol may leave unused. More, and it will never use any of it.
const HELD_MAX: usize = SCRATCH;

impl<K: Kernel, H: Handler> Visit<'_, K, H> {
    /// Switches to a protocol, if the request asks for that.
    pub(super) fn upgrade(
        &mut self,
        upgrade: &Upgrade,
        protocol: Box<dyn Protocol<H::State>>,
        input: &[u8],
    ) -> Result<(), Stop> {
        let protocol = OnTrial(Some(protocol));
        let refusal = self.with_request(input, |_, request| upgrade.refusal(request));
        if let Some(mut refusal) = self.unless_panicked(refusal)? {
            return self.respond(&mut refusal);
        }
        if !self.desk.work.conn.can_upgrade() {
            let what = "an upgrade with content is not understood here";
            return self.respond(&mut Response::error(StatusCode::BAD_REQUEST, what).and_close());
        }
        if let Some(fault) = fault_of_fields(&upgrade.response) {
            log::error!("an upgrade replaced by 500: {fault}");
            return self.respond(&mut Response::status_page(StatusCode::INTERNAL_SERVER_ERROR));
        }
        let waker = self.waker();
        let work = &mut self.desk.work;
        work.conn.upgrade(
            &mut self.desk.out,
            &answer(&upgrade.response, None),
            &mut self.desk.encoder,
        );
        // There is no content, and what follows has its own time.
        work.ends = None;
        work.intake = Intake::Protocol(Box::new(Speaking {
            timeout: self.desk.limits.idle_timeout,
            protocol: protocol.take(),
            waker,
            wish: Wish::default(),
            is_owed: false,
            charged: 0,
            knows_of_shutdown: false,
        }));
        self.tell(ConnState::Hijacked);
        self.speak(|protocol, state, io| protocol.begin(state, io))?;
        self.hear_protocol(false)
    }

    /// Calls the protocol, and does what it wishes.
    fn speak<T>(
        &mut self,
        call: impl FnOnce(&mut dyn Protocol<H::State>, &mut H::State, &mut Io<'_>) -> io::Result<T>,
    ) -> Result<T, Stop> {
        let work = &mut self.desk.work;
        let Intake::Protocol(speaking) = &mut work.intake else {
            panic!("a protocol is called while it speaks");
        };
        let Speaking { protocol, waker, wish, timeout, is_owed, charged, .. } = &mut **speaking;
        *wish = Wish::default();
        let was_owed = *is_owed;
        let out = &mut self.desk.out;
        let room = ROOM_MAX.saturating_sub(out.len());
        let state = self.desk.handler.state();
        let result = guard(|| {
            let result = call(&mut **protocol, state, &mut Io::new(out, room, waker, wish));
            (*timeout, *is_owed) = (protocol.timeout(), protocol.is_owed());
            (result, protocol.memory())
        });
        let ledger = &mut self.desk.ledger;
        let held = result.as_ref().map_or(0, |(_, held)| *held);
        let is_too_much = !recharge(charged, held, ledger);
        let closes = wish.close;
        if wish.anew || *is_owed && !was_owed {
            // What it waits for now is something else.
            self.slot.forget_deadline();
        }
        // Its silence begins anew with every word.
        work.moved += 1;
        match result {
            Ok((Ok(_), _)) if is_too_much => Err(self.no_memory()),
            Ok((Ok(value), _)) => {
                if closes {
                    ledger.release(*charged);
                    let_go(mem::replace(&mut work.intake, Intake::Nobody));
                    work.conn.end_upgraded(self.desk.limits.linger_bytes_max);
                }
                Ok(value)
            }
            Ok((Err(error), _)) => {
                log::error!("connection {}: its protocol failed: {error}", self.token);
                Err(self.over(Farewell::Reset, Gone::Stopped))
            }
            Err(()) => Err(self.panicked()),
        }
    }

    /// A protocol that is not called, since its output does not leave, may have been given more
    /// from elsewhere: that counts too.
    #[cold]
    pub(super) fn weigh_protocol(&mut self, stop: Stop) -> Stop {
        let Intake::Protocol(speaking) = &mut self.desk.work.intake else { return stop };
        let Speaking { protocol, charged, .. } = &mut **speaking;
        match guard(|| protocol.memory()) {
            Ok(held) if recharge(charged, held, &mut self.desk.ledger) => stop,
            Ok(_) => self.no_memory(),
            Err(()) => self.panicked(),
        }
    }

    fn no_memory(&mut self) -> Stop {
        log::debug!("connection {}: no memory for what its protocol holds", self.token);
        self.over(Farewell::Reset, Gone::Stopped)
    }

    /// Gives the protocol what has come; says how much of it was used.
    pub(super) fn hand_to_protocol(&mut self, input: &[u8]) -> Result<usize, Stop> {
        let Intake::Protocol(_) = &self.desk.work.intake else { return Ok(0) };
        if input.is_empty() {
            return Ok(0);
        }
        let used = self.speak(|protocol, state, io| protocol.receive(state, input, io))?;
        if used > input.len() {
            log::error!("connection {}: its protocol used more than it was given", self.token);
            return Err(self.over(Farewell::Reset, Gone::Stopped));
        }
        if used == 0 && input.len() >= HELD_MAX && !self.protocol_wants_room() {
            log::debug!("connection {}: its protocol uses nothing of 64 KiB", self.token);
            return Err(self.over(Farewell::Reset, Gone::Malformed));
        }
        Ok(used)
    }

    /// Tells the protocol that it was woken, has room again, or should come to an end.
    pub(super) fn hear_protocol(&mut self, is_woken: bool) -> Result<(), Stop> {
        if is_woken || self.protocol_wants_room() {
            self.speak(|protocol, state, io| protocol.wake(state, io))?;
        }
        match &mut self.desk.work.intake {
            Intake::Protocol(speaking) if self.desk.is_draining => {
                if !mem::replace(&mut speaking.knows_of_shutdown, true) {
                    self.speak(|protocol, state, io| protocol.shutdown(state, io))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether the protocol has more to put as soon as there is room.
    pub(super) fn protocol_wants_room(&self) -> bool {
        matches!(&self.desk.work.intake, Intake::Protocol(speaking) if speaking.wish.room)
    }

    pub(super) fn end_protocol_input(&mut self) -> Stop {
        match &self.desk.work.intake {
            Intake::Protocol(_) => {
                self.done(|protocol, state, io| protocol.end_of_input(state, io))
            }
            _ => Stop::More,
        }
    }

    pub(super) fn expire_protocol(&mut self) -> Stop {
        self.done(|protocol, state, io| protocol.expire(state, io))
    }

    fn done(
        &mut self,
        call: impl FnOnce(&mut dyn Protocol<H::State>, &mut H::State, &mut Io<'_>) -> io::Result<()>,
    ) -> Stop {
        match self.speak(call) {
            Ok(()) => Stop::More,
            Err(stop) => stop,
        }
    }

    /// Whether the connection waits only for being handed out.
    pub(super) fn is_to_be_handed_out(&self) -> bool {
        matches!(self.desk.work.intake, Intake::Hijack(_)) && !self.desk.work.has_output()
    }
}

/// Charges what a protocol holds now, if there is room for it.
fn recharge(charged: &mut usize, held: usize, ledger: &mut Ledger) -> bool {
    if held > *charged && !ledger.has_room(held - *charged) {
        return false;
    }
    ledger.release(*charged);
    ledger.charge(held);
    *charged = held;
    true
}
