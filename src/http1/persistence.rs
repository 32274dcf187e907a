//! Reuse the connection or close it (RFC 9112, section 9.3), with the reason as a value.
//!
//! One function of early returns, asked once per answer, when its head is written: the last
//! moment at which `Connection: close` can still be said.

/// What happens to the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request is awaited.
    Reuse,
    /// It is closed, for this reason.
    Close(CloseReason),
}

/// Why a connection is not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The request was refused: nothing after it can be trusted.
    Refused,
    /// `Connection: close`, or HTTP/1.0 without `keep-alive`.
    PeerAsked,
    /// The handler asked for it.
    HandlerAsked,
    /// The server is shutting down.
    ShuttingDown,
    /// The program has switched keep-alive off.
    KeepAliveOff,
    /// Memory is short: idle connections are a luxury.
    MemoryShort,
    /// `connection_age_max` is reached.
    TooOld,
    /// `requests_max` is reached.
    RequestLimit,
    /// The length of the answer is not known to an HTTP/1.0 peer: closing says where it ends.
    EndsByClose,
    /// `100 Continue` was expected and not sent: whether the content follows is unknown.
    ContinueNotSent,
    /// More unread content than is worth reading.
    ContentUnread,
}

/// All that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) peer_keeps: bool,
    pub(crate) handler_closes: bool,
    /// The server's own reason: it is shutting down, or memory is short.
    pub(crate) server_closes: Option<CloseReason>,
    /// The connection has reached `connection_age_max`.
    pub(crate) is_too_old: bool,
    pub(crate) requests_left: bool,
    pub(crate) ends_by_close: bool,
    pub(crate) continue_pending: bool,
    /// Bytes of content still to come, as far as announced, and how many may be discarded.
    pub(crate) content_left: u64,
    pub(crate) discard_max: u64,
}

/// Reuse or close.
#[inline(always)]
pub(crate) fn decide(facts: &Facts) -> Then {
    if !facts.peer_keeps {
        return Then::Close(CloseReason::PeerAsked);
    }
    if facts.handler_closes {
        return Then::Close(CloseReason::HandlerAsked);
    }
    if let Some(reason) = facts.server_closes {
        return Then::Close(reason);
    }
    if facts.is_too_old {
        return Then::Close(CloseReason::TooOld);
    }
    if !facts.requests_left {
        return Then::Close(CloseReason::RequestLimit);
    }
    if facts.ends_by_close {
        return Then::Close(CloseReason::EndsByClose);
    }
    if facts.continue_pending {
        return Then::Close(CloseReason::ContinueNotSent);
    }
    if facts.content_left > facts.discard_max {
        return Then::Close(CloseReason::ContentUnread);
    }
    Then::Reuse
}

#[cfg(test)]
mod tests {
    use super::*;

    const REUSABLE: Facts = Facts {
        peer_keeps: true,
        handler_closes: false,
        server_closes: None,
        is_too_old: false,
        requests_left: true,
        ends_by_close: false,
        continue_pending: false,
        content_left: 10,
        discard_max: 10,
    };

    #[test]
    fn a_connection_is_reused_only_if_nothing_speaks_against_it() {
        assert_eq!(decide(&REUSABLE), Then::Reuse);
        use CloseReason::*;
        let cases = [
            (Facts { peer_keeps: false, ..REUSABLE }, PeerAsked),
            (Facts { handler_closes: true, ..REUSABLE }, HandlerAsked),
            (Facts { server_closes: Some(ShuttingDown), ..REUSABLE }, ShuttingDown),
            (Facts { server_closes: Some(KeepAliveOff), ..REUSABLE }, KeepAliveOff),
            (Facts { requests_left: false, ..REUSABLE }, RequestLimit),
            (Facts { ends_by_close: true, ..REUSABLE }, EndsByClose),
            (Facts { continue_pending: true, ..REUSABLE }, ContinueNotSent),
            (Facts { content_left: 11, ..REUSABLE }, ContentUnread),
        ];
        for (facts, reason) in cases {
            assert_eq!(decide(&facts), Then::Close(reason));
        }
    }
}
