//! [`Message`]: one message, whole.

/// One message, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8, as checked.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}
