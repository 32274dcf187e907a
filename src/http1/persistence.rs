//! Reuse the connection or close it (RFC 9112, section 9.3), with the reason as a value.
//!
//! The decision is made once per response, when its head is written: after that,
//! `Connection: close` can no longer be sent.

/// How the connection continues after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The server waits for the next request.
    Reuse,
    /// The server closes it, for this reason.
    Close(CloseReason),
}

/// The wish of the client for the connection after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerKeeps {
    /// It closes: `Connection: close`, or HTTP/1.0 without `keep-alive`.
    No,
    /// It says nothing, and HTTP/1.1 keeps connections.
    ByDefault,
    /// `Connection: keep-alive`. The response says the same, with the time.
    Asked,
}

/// The reason why a connection is not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The request was refused: nothing after it can be trusted.
    Refused,
    /// [`PeerKeeps::No`].
    PeerAsked,
    /// The handler asked for it.
    HandlerAsked,
    /// The server is shutting down.
    ShuttingDown,
    /// The program has switched keep-alive off.
    KeepAliveOff,
    /// Memory is short, and idle connections cost some.
    MemoryShort,
    /// `connection_age_max` is reached.
    TooOld,
    /// `requests_max` is reached.
    RequestLimit,
    /// The peer speaks HTTP/1.0 and the length of the response is unknown: closing marks its end.
    EndsByClose,
    /// The peer expected `100 Continue` and did not get it: it may or may not send the content.
    ContinueNotSent,
    /// More unread content than is worth reading.
    ContentUnread,
}

/// Everything that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) circumstances: Circumstances,
    pub(crate) peer_keeps: PeerKeeps,
    pub(crate) handler_closes: bool,
    pub(crate) ends_by_close: bool,
    pub(crate) continue_pending: bool,
    /// Bytes of content still to come, as far as announced.
    pub(crate) content_left: u64,
}

/// The part of the facts that the reactor knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// The server's own reason: it is shutting down, or memory is short.
    pub(crate) server_closes: Option<CloseReason>,
    /// The connection has reached `connection_age_max`.
    pub(crate) is_too_old: bool,
    pub(crate) requests_left: bool,
    /// Bytes of content that may be discarded.
    pub(crate) discard_bytes_max: u64,
}

/// Decides whether the connection is reused, and reports the first reason against it.
#[inline(always)]
pub(crate) fn decide(facts: &Facts) -> Then {
    let circumstances = &facts.circumstances;
    if facts.peer_keeps == PeerKeeps::No {
        return Then::Close(CloseReason::PeerAsked);
    }
    if facts.handler_closes {
        return Then::Close(CloseReason::HandlerAsked);
    }
    if let Some(reason) = circumstances.server_closes {
        return Then::Close(reason);
    }
    if circumstances.is_too_old {
        return Then::Close(CloseReason::TooOld);
    }
    if !circumstances.requests_left {
        return Then::Close(CloseReason::RequestLimit);
    }
    if facts.ends_by_close {
        return Then::Close(CloseReason::EndsByClose);
    }
    if facts.continue_pending {
        return Then::Close(CloseReason::ContinueNotSent);
    }
    if facts.content_left > circumstances.discard_bytes_max {
        return Then::Close(CloseReason::ContentUnread);
    }
    Then::Reuse
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Circumstances = Circumstances {
        server_closes: None,
        is_too_old: false,
        requests_left: true,
        discard_bytes_max: 10,
    };

    const REUSABLE: Facts = Facts {
        circumstances: NONE,
        peer_keeps: PeerKeeps::ByDefault,
        handler_closes: false,
        ends_by_close: false,
        continue_pending: false,
        content_left: 10,
    };

    #[test]
    fn a_connection_is_reused_unless_there_is_a_reason_to_close_it() {
        assert_eq!(decide(&REUSABLE), Then::Reuse);
        assert_eq!(decide(&Facts { peer_keeps: PeerKeeps::Asked, ..REUSABLE }), Then::Reuse);
        use CloseReason::*;
        let in_the = |circumstances| Facts { circumstances, ..REUSABLE };
        let cases = [
            (Facts { peer_keeps: PeerKeeps::No, ..REUSABLE }, PeerAsked),
            (Facts { handler_closes: true, ..REUSABLE }, HandlerAsked),
            (in_the(Circumstances { server_closes: Some(ShuttingDown), ..NONE }), ShuttingDown),
            (in_the(Circumstances { server_closes: Some(KeepAliveOff), ..NONE }), KeepAliveOff),
            (in_the(Circumstances { is_too_old: true, ..NONE }), TooOld),
            (in_the(Circumstances { requests_left: false, ..NONE }), RequestLimit),
            (Facts { ends_by_close: true, ..REUSABLE }, EndsByClose),
            (Facts { continue_pending: true, ..REUSABLE }, ContinueNotSent),
            (Facts { content_left: 11, ..REUSABLE }, ContentUnread),
        ];
        for (facts, reason) in cases {
            assert_eq!(decide(&facts), Then::Close(reason));
        }
    }
}
