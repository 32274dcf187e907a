//! [`Lost`]: the reason why content or a connection ended early.

/// The reason why content will never be complete, or why a connection ended before its
/// [`Protocol`](crate::upgrade::Protocol) closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// The peer ended or reset the connection.
    PeerLeft,
    /// The peer broke the framing, for example with a malformed chunk.
    Malformed,
    /// The peer sent content slower than
    /// [`Limits::content_rate_min`](crate::Limits::content_rate_min), or took output slower than
    /// [`Limits::response_rate_min`](crate::Limits::response_rate_min).
    TooSlow,
    /// The program paused or was silent for longer than
    /// [`Limits::handler_timeout`](crate::Limits::handler_timeout).
    Expired,
    /// The content is longer than the limit of [`Reply::receive`](crate::Reply::receive).
    TooLarge,
    /// The server shut down and its deadline passed, memory ran out, or the program itself failed.
    Stopped,
}
