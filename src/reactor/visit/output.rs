//! Output: what was encoded, what the socket did not take earlier, and the content that follows,
//! until there is no more, the socket is full, or the budget of the visit is used.
//!
//! All answers of a visit leave in one `write`. Only what the socket does not take is kept.

use std::io;
use std::mem;

use bytes::Buf;

use crate::handler::{Gone, Handler};
use crate::http1::Farewell;
use crate::message::body::{Out, Produce, Produced};
use crate::message::trailers::Trailers;
use crate::reactor::kernel::{is_of_socket, Kernel};
use crate::reactor::shared::Desk;
use crate::reactor::slot::{Flags, Source};
use crate::reactor::visit::{Stop, Visit, PIECES_MAX, SCRATCH, WRITTEN_MAX};
use crate::reactor::{guard, OnTrial};

/// What is encoded before it must leave: room for one more answer stays.
const OUT_HIGH: usize = 48 << 10;

/// The most that one `sendfile` is asked for.
const FILE_PIECE: u64 = 256 << 10;

impl<K: Kernel, H: Handler> Visit<'_, K, H> {
    /// Makes sure that another answer can be encoded: `None` if so.
    #[inline(always)]
    pub(super) fn make_room(&mut self) -> Option<Stop> {
        if self.desk.out.len() < OUT_HIGH && !self.desk.work.has_output() {
            return None;
        }
        self.transmit()
    }

    /// Sends what there is to send: `None` if nothing is left, else why it stopped.
    pub(super) fn transmit(&mut self) -> Option<Stop> {
        let is_done =
            !self.desk.work.has_output() && (self.desk.out.is_empty() || self.write_all_at_once());
        if is_done {
            return None;
        }
        self.transmit_all()
    }

    /// Tries to write all that was encoded with one call, nothing being in front of it; what does
    /// not leave stays.
    #[inline(always)]
    pub(super) fn write_all_at_once(&mut self) -> bool {
        let stream = self.slot.stream.as_mut().expect("a slot that is visited has its stream");
        // An error comes again, where it is looked at.
        let Ok(len) = self.kernel.write(stream, &self.desk.out, &[]) else { return false };
        let is_all = len == self.desk.out.len();
        if is_all {
            self.desk.out.clear();
        } else {
            self.count(len);
            self.desk.out.drain(..len);
        }
        is_all
    }

    fn transmit_all(&mut self) -> Option<Stop> {
        let mut knows_peer_left = !self.slot.flags.has(Flags::READ_CLOSED);
        loop {
            match self.flush() {
                Ok(true) => {}
                Ok(false) => return Some(Stop::Blocked),
                Err(stop) => return Some(stop),
            }
            let result = match &mut self.desk.work.source {
                // It waits, also if the peer had left before it began: it is told, and asked again.
                Source::Waiting(..) if !mem::replace(&mut knows_peer_left, true) => {
                    self.tell_peer_left()
                }
                Source::Nothing | Source::Transform(_, None) | Source::Waiting(..) => return None,
                Source::Transform(_, Some(_)) => self.transform_held(),
                Source::Bytes(bytes) if !bytes.is_empty() => return Some(Stop::Spent),
                // Flushing has sent all of it.
                Source::Bytes(_) => {
                    self.desk.work.source = Source::Nothing;
                    return None;
                }
                Source::File(_) => self.send_file(),
                Source::Produce(_) => self.produce(),
            };
            if let Err(stop) = result {
                return Some(stop);
            }
            let is_spent = self.written >= WRITTEN_MAX || self.pieces >= PIECES_MAX;
            if is_spent && self.desk.work.has_output() {
                // What was produced last still has to leave the shared buffer.
                return match self.flush() {
                    Ok(true) => Some(Stop::Spent),
                    Ok(false) => Some(Stop::Blocked),
                    Err(stop) => Some(stop),
                };
            }
        }
    }

    /// Writes the backlog, what was encoded, and shared bytes behind it. Whether all of it left;
    /// if not, it is held and the socket is watched for room.
    pub(super) fn flush(&mut self) -> Result<bool, Stop> {
        if let Some(mut block) = self.desk.work.backlog.take() {
            let result = loop {
                match self.write(block.bytes(), &[]) {
                    Ok(Some(len)) if block.consume(len) => break Ok(true),
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(false),
                    Err(stop) => break Err(stop),
                }
            };
            if result != Ok(true) {
                self.desk.work.backlog = Some(block);
                return result;
            }
            self.desk.pool.take_back(block, &mut self.desk.ledger);
        }
        // Both are taken out so that `self` can write them; on the way out they are put back.
        let mut out = mem::take(&mut self.desk.out);
        let mut source = mem::replace(&mut self.desk.work.source, Source::Nothing);
        let result = self.flush_encoded(&mut out, &mut source);
        out.clear();
        self.desk.out = out;
        self.desk.work.source = source;
        result
    }

    fn flush_encoded(
        &mut self,
        out: &mut [u8],
        source: &mut Source<H::State>,
    ) -> Result<bool, Stop> {
        let mut sent = 0;
        loop {
            let shared: &[u8] = match source {
                Source::Bytes(bytes) => bytes,
                _ => &[],
            };
            if sent == out.len() && (shared.is_empty() || self.written >= WRITTEN_MAX) {
                return Ok(true);
            }
            let Some(len) = self.write(&out[sent..], shared)? else {
                if sent < out.len() {
                    self.keep_output(&out[sent..])?;
                }
                return Ok(false);
            };
            let of_out = len.min(out.len() - sent);
            sent += of_out;
            if let Source::Bytes(bytes) = source {
                bytes.advance(len - of_out);
                self.desk.work.conn.transmit_elsewhere((len - of_out) as u64);
            }
        }
    }

    /// Holds what the socket did not take, if memory allows.
    fn keep_output(&mut self, rest: &[u8]) -> Result<(), Stop> {
        let Desk { pool, ledger, work, .. } = &mut *self.desk;
        if !pool.can_lend(rest.len(), ledger) {
            log::debug!("connection {}: no memory for its output", self.token);
            return Err(self.over(Farewell::Reset, Gone::Stopped));
        }
        work.backlog = Some(pool.keep(rest, ledger));
        Ok(())
    }

    /// One `write`; `None` if the socket is full, and then it is watched for room.
    fn write(&mut self, first: &[u8], second: &[u8]) -> Result<Option<usize>, Stop> {
        let stream = self.slot.stream.as_mut().expect("a slot that is visited has its stream");
        loop {
            match self.kernel.write(stream, first, second) {
                Ok(len) => {
                    self.count(len);
                    return Ok(Some(len));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(self.write_failed(&error)),
            }
        }
        self.watch_writing()?;
        Ok(None)
    }

    #[inline(always)]
    fn count(&mut self, written: usize) {
        self.written += written;
        self.desk.work.moved += written as u64;
    }

    fn send_file(&mut self) -> Result<(), Stop> {
        let Source::File(body) = &mut self.desk.work.source else { return Ok(()) };
        let stream = self.slot.stream.as_mut().expect("a slot that is visited has its stream");
        let most = body.len.min(FILE_PIECE) as usize;
        match self.kernel.send_file(stream, &body.file, body.offset, most) {
            Ok(0) => Err(self.broken("the file is shorter than it was")),
            Ok(len) => {
                body.offset += len as u64;
                body.len -= len as u64;
                let is_done = body.len == 0;
                self.desk.work.conn.transmit_elsewhere(len as u64);
                self.count(len);
                if is_done {
                    self.desk.work.source = Source::Nothing;
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.watch_writing()?;
                Err(Stop::Blocked)
            }
            Err(error) if is_of_socket(&error) => Err(self.write_failed(&error)),
            Err(error) => Err(self.broken(&format!("its file cannot be read: {error}"))),
        }
    }

    #[cold]
    fn tell_peer_left(&mut self) -> Result<(), Stop> {
        let source = mem::replace(&mut self.desk.work.source, Source::Nothing);
        let Source::Waiting(producer, _) = source else { return Ok(()) };
        let mut producer = OnTrial(Some(producer));
        guard(|| producer.get().peer_left()).map_err(|()| self.panicked())?;
        self.desk.work.source = Source::Produce(producer.take());
        Ok(())
    }

    /// Asks the producer for a piece and frames it.
    fn produce(&mut self) -> Result<(), Stop> {
        self.pieces += 1;
        self.produce_by(|producer, out| producer.produce(out))
    }

    /// The same, by whichever way the producer is asked.
    pub(super) fn produce_by(
        &mut self,
        ask: impl FnOnce(&mut dyn Produce, &mut Out<'_>) -> io::Result<Produced>,
    ) -> Result<(), Stop> {
        let source = mem::replace(&mut self.desk.work.source, Source::Nothing);
        let Source::Produce(producer) = source else { return Ok(()) };
        let mut producer = OnTrial(Some(producer));
        let out = &mut self.desk.out;
        let room = self.desk.work.conn.content_room(SCRATCH.saturating_sub(out.len()));
        let start = out.len();
        let produced = guard(|| ask(&mut **producer.get(), &mut Out::new(out, room)));
        let put = out.len() - start;
        self.desk.work.conn.transmit(out, start);
        match self.unless_broken(produced)? {
            Produced::More if put == 0 => Err(self.broken("a producer made no progress")),
            Produced::More if self.desk.work.conn.sends_content() => {
                self.desk.work.source = Source::Produce(producer.take());
                Ok(())
            }
            Produced::Wait(timeout) if self.desk.work.conn.sends_content() => {
                if self.waited.is_some_and(|before| before != timeout) {
                    // Of the same kind, and yet another deadline.
                    self.slot.forget_deadline();
                }
                self.desk.work.source = Source::Waiting(producer.take(), timeout);
                Ok(())
            }
            // That was all, or all that was announced.
            Produced::More | Produced::Wait(_) | Produced::End => {
                let mut trailers = Trailers::default();
                let mut producer = producer.take();
                let asked = guard(|| {
                    producer.put_trailers(&mut trailers);
                    drop(producer);
                });
                match asked {
                    Ok(()) => self.end_content(&trailers),
                    Err(()) => Err(self.panicked()),
                }
            }
        }
    }

    /// Registers for writing, once in the life of a connection. Registering tells the present
    /// readiness anew, so no edge is lost.
    fn watch_writing(&mut self) -> Result<(), Stop> {
        if self.slot.flags.has(Flags::WATCHES_WRITING) {
            return Ok(());
        }
        let stream = self.slot.stream.as_mut().expect("a slot that is visited has its stream");
        match self.kernel.watch_writing(stream, self.token) {
            Ok(()) => {
                self.slot.flags.set(Flags::WATCHES_WRITING);
                Ok(())
            }
            Err(error) => Err(self.write_failed(&error)),
        }
    }

    fn write_failed(&mut self, error: &io::Error) -> Stop {
        log::debug!("connection {}: write: {error}", self.token);
        self.over(Farewell::Close, Gone::PeerLeft)
    }
}
