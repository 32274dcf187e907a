//! The record of an exchange, for the program's hook: begun with the head, ended with the last byte
//! of the response or with the connection. Without a hook there is no record.

use http::StatusCode;

use super::{guard, Handler, Kernel, Lost, Visit};
use crate::handler::exchange::{Exchange, Outcome, Record};
use crate::http1::{Output, Reject};
use crate::reactor::memory::Block;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Begins a record if the program has a hook for it and there is none.
    #[inline(always)]
    pub(super) fn begin_record(&mut self) {
        if self.shared.hooks.on_exchange.is_some() && self.work.record.is_none() {
            self.add_record();
        }
    }

    /// Notes the bytes of a head that is not complete, or cannot be read.
    pub(super) fn record_part_of_head(&mut self, len: usize) {
        self.begin_record();
        if let Some(record) = &mut self.work.record {
            record.received = len as u64;
        }
    }

    /// Makes a record that outlives its visit as small as possible when memory is short.
    pub(super) fn fit_record(&mut self) {
        if self.shared.ledger.is_short() {
            self.work.shrink_record(&mut self.shared.ledger);
        }
    }

    #[cold]
    fn add_record(&mut self) {
        let written_before = self.unwritten();
        let peer = self.shared.origins.peer(self.token.key());
        let record = Record::new(self.kernel.elapsed(), peer, written_before);
        self.shared.ledger.charge(record.memory());
        self.work.record = Some(Box::new(record));
    }

    /// Calls code of the program that handles a request, and notes how long it holds the loop.
    #[inline(always)]
    pub(super) fn timed<R>(&mut self, call: impl FnOnce(&mut Self) -> R) -> R {
        if self.work.record.is_some() {
            self.begin_time();
        }
        let result = call(self);
        if self.work.record.is_some() {
            self.end_time();
        }
        result
    }

    #[cold]
    fn begin_time(&mut self) {
        let now = self.kernel.elapsed();
        if let Some(record) = &mut self.work.record {
            record.called = now;
        }
    }

    #[cold]
    fn end_time(&mut self) {
        let now = self.kernel.elapsed();
        if let Some(record) = &mut self.work.record {
            record.handler_time += now.saturating_sub(record.called);
        }
    }

    /// Encodes a response, or the head of one: bytes up to the first empty line are not content.
    pub(super) fn encode<R>(&mut self, encode: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.shared.out.len();
        let result = encode(self);
        if let Some(record) = &mut self.work.record {
            let encoded = &self.shared.out[before..];
            let end = encoded.windows(4).position(|four| four == b"\r\n\r\n");
            record.heads_sent += end.map_or(0, |at| at as u64 + 4);
        }
        result
    }

    /// Notes the status of the final response.
    pub(super) fn record_status(&mut self, status: StatusCode) {
        if let Some(record) = &mut self.work.record {
            record.status = Some(status);
        }
    }

    /// Decides the outcome, unless it is decided already.
    pub(super) fn decide_outcome(&mut self, outcome: Outcome) {
        if let Some(record) = &mut self.work.record {
            record.outcome.get_or_insert(outcome);
        }
    }

    /// Decides the outcome of an exchange whose connection ends now. It is complete only if the
    /// whole response has left.
    pub(super) fn decide_end(&mut self, outcome: Outcome) {
        if self.unwritten() == 0 {
            self.end_record_if_complete();
        }
        self.decide_outcome(outcome);
    }

    /// Ends the record if the response is complete.
    #[inline(always)]
    pub(super) fn end_record_if_complete(&mut self) {
        let has_status = self.work.record.as_ref().is_some_and(|record| record.status.is_some());
        if has_status && self.work.conn.output() == Output::Done {
            self.end_record(Outcome::Complete);
        }
    }

    /// Ends the record, and calls the hook with it. `outcome` counts if none is decided.
    #[cold]
    pub(super) fn end_record(&mut self, outcome: Outcome) {
        let Some(record) = self.work.record.take() else { return };
        self.shared.ledger.release(record.memory());
        let sent = record.written + self.unwritten();
        let shared = &mut *self.shared;
        let exchange = Exchange {
            header_names: &shared.hooks.exchange_headers,
            connection: self.facts.id(),
            listener: shared.origins.listeners.name(self.facts.listener),
            sent: sent.saturating_sub(record.written_before),
            ended: self.kernel.elapsed(),
            outcome: record.outcome.unwrap_or(outcome),
            record: &record,
        };
        if let Some(hook) = &mut shared.hooks.on_exchange {
            let result = guard(|| hook(&mut shared.state, &exchange));
            shared.counters.count_panics(u64::from(result.is_err()));
        }
    }

    /// Drops a record of nothing: a refusal that cannot be sent after all.
    pub(super) fn discard_record(&mut self) {
        if let Some(record) = self.work.record.take() {
            self.shared.ledger.release(record.memory());
        }
    }

    /// Bytes encoded that the socket has not taken.
    fn unwritten(&self) -> u64 {
        let held = self.work.backlog.as_ref().map_or(0, |block: &Block| block.bytes().len());
        (held + self.shared.out.len()) as u64
    }
}

/// The outcome of an exchange that the server refuses.
pub(super) fn outcome_of_refusal(reject: Reject, why: Lost) -> Outcome {
    match (reject, why) {
        (Reject::Internal, _) => Outcome::Failed,
        (_, Lost::Stopped) => Outcome::Refused,
        (_, why) => outcome_of(why),
    }
}

/// The outcome of an exchange whose connection ends for this reason.
pub(super) fn outcome_of(why: Lost) -> Outcome {
    match why {
        Lost::PeerLeft => Outcome::PeerLeft,
        Lost::TooSlow | Lost::Expired => Outcome::TooSlow,
        Lost::Malformed | Lost::TooLarge => Outcome::Refused,
        Lost::Stopped => Outcome::Stopped,
    }
}
