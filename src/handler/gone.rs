//! [`Gone`]: the reason why content or a protocol ended early.

/// Why content will never be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gone {
    /// The peer ended or reset the connection.
    PeerLeft,
    /// The peer broke the framing (a malformed chunk).
    Malformed,
    /// The peer sent slower than
    /// [`Limits::content_rate_min`](crate::Limits::content_rate_min).
    TooSlow,
    /// The program paused or was silent for longer than
    /// [`Limits::handler_timeout`](crate::Limits::handler_timeout).
    Expired,
    /// The server shut down and its deadline passed, memory ran out, or the program itself failed.
    Stopped,
}
