//! A request as the program sees it: the head that was parsed last, and the client.

use std::any::Any;
use std::mem;
use std::net::SocketAddr;

use super::{guard, Flags, Handler, Kernel, Panic, Shared, Visit};
use crate::handler::exchange::Record;
use crate::message::id::ConnectionId;
use crate::message::request::{Message, Path, PatternSeen, Peer, Request, Site, Transport};
use crate::message::response::Response;
use crate::message::unlogged::Unlogged;
use crate::reactor::origins::Origins;
use crate::reactor::slot::Facts;
use crate::reactor::visit::SlowHandlers;
use crate::reactor::Token;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// Shows the request whose head was parsed last to a function of the program. `bytes` begin
    /// with the head. Nobody watches: no router notes its route, and the call is not timed.
    #[inline(always)]
    pub(super) fn with_request<R>(
        &mut self,
        bytes: &[u8],
        call: impl FnOnce(&mut H, &mut S, &Request<'_>) -> R,
    ) -> Result<R, Panic> {
        let Shared { head, handler, state, origins, site, .. } = &mut *self.shared;
        let (stream, facts, token) = (&*self.stream, &*self.facts, self.token);
        let client = Client { stream, facts, token, origins, site };
        let bytes = &bytes[..head.len];
        let (line, spans) = (&head.line, &head.spans);
        let path = Path::new(line, bytes, &head.decoded);
        let message =
            Message { line, bytes, path, spans, trailers: None, peer: &client, seen: None };
        guard(|| call(handler, state, &Request::new(&message)))
    }

    /// The same for a handler of a server whose exchanges have records, or whose handlers are watched.
    #[inline(always)]
    pub(super) fn with_observed_request<R>(
        &mut self,
        bytes: &[u8],
        call: impl FnOnce(&mut H, &mut S, &Request<'_>) -> R,
    ) -> Result<R, Panic> {
        self.forget_route();
        let Shared { head, handler, state, origins, site, slow_handlers, looked_at_clock, .. } =
            &mut *self.shared;
        let (stream, facts, token) = (&*self.stream, &*self.facts, self.token);
        let client = Client { stream, facts, token, origins, site };
        let bytes = &bytes[..head.len];
        let (line, spans) = (&head.line, &head.spans);
        let path = Path::new(line, bytes, &head.decoded);
        let seen = seen(&self.work.record, slow_handlers);
        let message = Message { line, bytes, path, spans, trailers: None, peer: &client, seen };
        let request = Request::new(&message);
        let result = guard(|| call(handler, state, &request));
        let slow = slow_handlers.as_ref().and_then(|slow| {
            slow.judge(&request, self.spent.look(looked_at_clock, self.kernel.elapsed()))
        });
        if let Some(slow) = slow {
            self.warn_of(slow);
        }
        result
    }

    /// Keeps the parts of the head that the hook may ask for. `bytes` begin with the head.
    #[inline(always)]
    pub(super) fn record_head(&mut self, bytes: &[u8]) {
        if self.shared.hooks.on_exchange.is_some() {
            self.keep_head(bytes);
        }
    }

    #[cold]
    fn keep_head(&mut self, bytes: &[u8]) {
        self.begin_record();
        let Some(mut record) = self.work.record.take() else { return };
        let names = mem::take(&mut self.shared.hooks.exchange_headers);
        self.shared.ledger.release(record.memory());
        let kept = self.with_request(bytes, |_, _, request| record.keep_head(request, &names));
        debug_assert!(kept.is_ok(), "no code of the program runs");
        record.received = self.shared.head.len as u64;
        self.shared.ledger.charge(record.memory());
        self.shared.hooks.exchange_headers = names;
        self.work.record = Some(record);
    }
}

/// The place where a router notes the route of a request, if anybody wants to know it.
pub(super) fn seen<'a>(
    record: &'a Option<Box<Record>>,
    slow_handlers: &'a Option<SlowHandlers>,
) -> Option<&'a PatternSeen> {
    match (record, slow_handlers) {
        (Some(record), _) => Some(&record.pattern),
        (None, Some(slow)) => Some(&slow.seen),
        (None, None) => None,
    }
}

/// Adds the request to the log line of a response that reports an error of the program.
pub(super) fn name_request(response: &mut Response, request: &Request<'_>) {
    if let Some(failure) = response.take_failure() {
        let (method, path) = (request.method(), request.path());
        let text = format!("{method} {path}: {}", failure.into_text());
        response.keep_failure(Unlogged::new(text));
    }
}

/// The client of a connection, for the questions of a handler.
pub(super) struct Client<'a, T> {
    pub(super) stream: &'a T,
    pub(super) facts: &'a Facts,
    pub(super) token: Token,
    pub(super) origins: &'a Origins,
    pub(super) site: &'a Site,
}

impl<T: Transport> Peer for Client<'_, T> {
    fn addr(&self) -> Option<SocketAddr> {
        self.origins.peer(self.token.key())
    }

    fn transport(&self) -> &dyn Transport {
        self.stream
    }

    fn value(&self) -> Option<&dyn Any> {
        self.facts.value.as_ref().map(|value| &***value)
    }

    fn id(&self) -> ConnectionId {
        self.facts.id()
    }

    fn requests(&self) -> u32 {
        self.facts.requests
    }

    fn listener(&self) -> &str {
        self.origins.listeners.name(self.facts.listener)
    }

    fn site(&self) -> &Site {
        self.site
    }

    fn has_left(&self) -> bool {
        self.facts.flags.has(Flags::READ_CLOSED)
    }
}
