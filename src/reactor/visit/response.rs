//! Responses: the head is encoded, with small content after it; larger content becomes the task.

use std::mem;

use bytes::Bytes;

use super::{
    clock, guard, let_go, Break, Continue, Handler, Kernel, Lost, OnTrial, Progress, Shared, Task,
    Visit,
};
use crate::http1::{Circumstances, Content, Outgoing, Output, Reject, ResponseParts, Taker};
use crate::logging::{debug, error};
use crate::message::body::{Body, Source};
use crate::message::informational::Informational;
use crate::message::response::Response;
use crate::message::trailers::Trailers;
use crate::reactor::mailbox::Call;
use crate::reactor::task::Producing;
use crate::reactor::work::End;
use crate::waker::Waker;
use std::sync::Arc;

/// Content up to this size is copied after its head, so that both leave in one `write`; above
/// it, copying costs more than the second part of a `writev`.
const INLINE_MAX: usize = 4 << 10;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// [`respond`](Visit::respond) in one step, if the request has no content and that of the
    /// response is small and at hand. Saves 438 of 1,151 instructions per pipelined GET. Returns
    /// whether the connection is idle after it, or `None` if this was not possible.
    #[inline(always)]
    pub(super) fn respond_fast(&mut self, response: &Response, is_all_used: bool) -> Option<bool> {
        let (content, length) = match &response.body.0 {
            Source::Empty => (Content::None, 0),
            Source::Static(bytes) if bytes.len() <= INLINE_MAX => {
                (Content::Static(bytes), bytes.len())
            }
            Source::Bytes(bytes) if bytes.len() <= INLINE_MAX => {
                (Content::Shared(bytes), bytes.len())
            }
            _ => return None,
        };
        debug_assert!(self.work.record.is_none());
        if self.shared.head.line.content_length != Some(0) || needs_care(response) {
            return None;
        }
        let circumstances = self.circumstances();
        let parts = ResponseParts { content, ..parts(response, Some(length as u64)) };
        let Shared { head, out, encoder, .. } = &mut *self.shared;
        let conn = &mut self.work.conn;
        Some(conn.respond_fast(head, out, &parts, encoder, &circumstances, is_all_used))
    }

    /// Encodes a response, with its content if that is small. Larger content becomes the task.
    pub(super) fn respond(&mut self, mut response: Response) -> Progress {
        self.log_failure(&mut response);
        let length = response.body.content_length();
        if matches!(response.body.0, Source::Omitted(_))
            && self.work.conn.outgoing(response.status, length).has_content()
        {
            response.keep_fault("its content was omitted, which only a response to HEAD may do");
        }
        let mut result = self.respond_head(&response, length);
        if let Output::Content { .. } = self.work.conn.output() {
            let body = mem::take(&mut response.body);
            result = self.respond_with(body);
        }
        // After a HEAD, its content is still there.
        let_go(response);
        result
    }

    fn respond_with(&mut self, body: Body) -> Progress {
        let small: &[u8] = match &body.0 {
            Source::Static(bytes) if bytes.len() <= INLINE_MAX => bytes,
            Source::Bytes(bytes) if bytes.len() <= INLINE_MAX => bytes,
            _ => return self.send_from(body),
        };
        // Its length was announced, so it needs no framing.
        self.shared.out.extend_from_slice(small);
        self.work.conn.count_sent(small.len() as u64);
        let_go(body);
        Continue(())
    }

    /// Makes content the task.
    fn send_from(&mut self, body: Body) -> Progress {
        let task = match body.0 {
            // Of omitted content nothing is sent: see `respond`.
            Source::Empty | Source::Omitted(_) => Task::None,
            Source::Static(bytes) => Task::Bytes(Bytes::from_static(bytes)),
            Source::Bytes(bytes) => Task::Bytes(bytes),
            Source::File(file) => Task::File(file),
            Source::Produce(produce) => {
                let waker = self.waker();
                let mut producer = OnTrial::new(produce.producer);
                if let Err(panic) = guard(|| producer.get().start(waker)) {
                    return Break(self.panicked(panic));
                }
                Task::Produce(Producing { producer: producer.take(), knows_of_shutdown: false })
            }
        };
        self.set_task(task);
        Continue(())
    }

    /// Encodes the head of a response, or refuses with a 500 if it cannot be sent.
    pub(super) fn respond_head(&mut self, response: &Response, length: Option<u64>) -> Progress {
        if let Some(fault) = fault(response) {
            error!("{}: response replaced by a 500: {fault}", self.log_name());
            // A refusal has no part that the program could have got wrong.
            return Break(self.refuse(Reject::Internal, Lost::Stopped));
        }
        let circumstances = self.circumstances();
        let mut parts = parts(response, length);
        let lines;
        if let Some(names) = response.announced_trailers() {
            if self.work.conn.outgoing(response.status, length) == Outgoing::Chunked {
                lines = [parts.lines, b"Trailer: ", names, b"\r\n"].concat();
                parts.lines = &lines;
            } else {
                debug!(
                    "{}: the response is not sent in chunks, so no trailers are announced",
                    self.log_name()
                );
            }
        }
        self.encode(|visit| {
            let Shared { out, encoder, .. } = &mut *visit.shared;
            visit.work.conn.respond(out, &parts, encoder, &circumstances);
        });
        self.record_status(response.status);
        let now = self.shared.now;
        self.work.end = response.send_timeout().map(|timeout| End::at(clock::due(now, timeout)));
        Continue(())
    }

    /// Logs the error of the program that a response carries, if it carries one.
    pub(super) fn log_failure(&self, response: &mut Response) {
        if let Some(failure) = response.take_failure() {
            error!("{}: handler failed: {}", self.log_name(), failure.into_text());
        }
    }

    /// Sends an informational response. One that cannot be sent is left out, with a line in the
    /// log.
    pub(super) fn inform(&mut self, informational: &Informational) {
        match informational.fault() {
            Some(fault) => {
                error!("{}: informational response left out: {fault}", self.log_name());
            }
            None => self.encode(|visit| {
                visit.work.conn.inform(&mut visit.shared.out, informational);
            }),
        }
    }

    /// Ends the content of the response. If it is shorter than announced, the connection is reset,
    /// so that the client does not take it for the whole.
    pub(super) fn end_content(&mut self, trailers: &Trailers) -> Progress {
        let in_chunks = self.work.conn.output() == Output::Content { in_chunks: true };
        if !in_chunks && !trailers.is_empty() {
            // Content with an announced length is complete without them.
            debug!(
                "{}: the response was not sent in chunks, so its trailers are left out",
                self.log_name()
            );
        }
        if self.work.conn.end_content(&mut self.shared.out, trailers.lines()) {
            return Continue(());
        }
        Break(self.broken("less content than its announced length"))
    }

    /// Asks the client for content, if memory allows any.
    pub(super) fn admit_content(&mut self) -> Progress {
        self.check_room_for_content()?;
        self.ask_for_content();
        Continue(())
    }

    /// Refuses content if memory does not allow any.
    pub(super) fn check_room_for_content(&mut self) -> Progress {
        if !self.work.conn.has_all_content() && !self.shared.ledger.has_room_for_content() {
            return Break(self.refuse(Reject::Overloaded, Lost::Stopped));
        }
        Continue(())
    }

    /// Asks the client for content: with `100 Continue`, if it waits for that.
    pub(super) fn ask_for_content(&mut self) {
        self.encode(|visit| visit.work.conn.set_taker(Taker::Handler, &mut visit.shared.out));
    }

    /// Makes a waker of this connection.
    pub(super) fn waker(&self) -> Waker {
        Waker::new(Call::new(self.token, Arc::clone(&self.shared.mailbox)))
    }

    /// The circumstances that decide about reuse, beside the request and the response.
    #[inline(always)]
    fn circumstances(&self) -> Circumstances {
        let limits = &self.shared.site.limits;
        Circumstances {
            server_closes: self.shared.reason_to_close(),
            is_too_old: limits.connection_age_max.is_some()
                && self.facts.is_too_old(clock::tick(self.shared.now)),
            requests_left: self.facts.requests < limits.requests_max,
            discard_bytes_max: limits.discard_bytes_max,
        }
    }
}

/// The parts of a response that its head shows.
#[inline(always)]
pub(super) fn parts(response: &Response, length: Option<u64>) -> ResponseParts<'_> {
    ResponseParts {
        status: response.status,
        content_type: response.content_type.as_ref(),
        lines: response.lines(),
        length,
        close: response.close,
        content: Content::None,
    }
}

/// Whether the head has a part that the fast path does not handle.
#[inline(always)]
fn needs_care(response: &Response) -> bool {
    response.status.is_informational()
        || response.has_fault()
        || matches!(&response.extra, Some(extra)
            if !extra.trailer.is_empty()
                || extra.send_timeout.is_some()
                || extra.failure.is_some())
}

/// The reason why a response cannot be sent, if there is one.
fn fault(response: &Response) -> Option<String> {
    if response.status.is_informational() {
        return Some(format!("{} is not a final status", response.status));
    }
    response.fault().map(str::to_owned)
}
