//! Frames to be sent, and the numbers of the protocol.

use bytes::Bytes;

use crate::websocket::message::Message;

/// The longest header of a frame to be sent: two bytes, and a length of eight.
const HEADER: usize = 10;
/// The bit of the last frame of a message. All frames of the server have it.
const FINAL: u8 = 0x80;

/// Opcodes (RFC 6455, section 11.8).
pub(super) mod opcode {
    pub(crate) const CONTINUATION: u8 = 0;
    pub(crate) const TEXT: u8 = 1;
    pub(crate) const BINARY: u8 = 2;
    pub(crate) const CLOSE: u8 = 8;
    pub(crate) const PING: u8 = 9;
    pub(crate) const PONG: u8 = 10;
}

/// Close codes (RFC 6455, section 7.4.1, and the registry of IANA).
pub(super) mod code {
    pub(crate) const AWAY: u16 = 1001;
    pub(crate) const PROTOCOL: u16 = 1002;
    pub(crate) const NONE: u16 = 1005;
    pub(crate) const ABNORMAL: u16 = 1006;
    pub(crate) const NO_TEXT: u16 = 1007;
    pub(crate) const POLICY: u16 = 1008;
    pub(crate) const TOO_BIG: u16 = 1009;
    pub(crate) const FAILED: u16 = 1011;

    /// Returns whether a close frame may have this code: a registered one, or one of libraries and
    /// programs.
    pub(crate) fn may_be_sent(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// The header of a frame, in the shortest form.
pub(super) struct Header {
    bytes: [u8; HEADER],
    len: usize,
}

impl Header {
    /// Creates the header of a message.
    pub(super) fn of(message: Message<'_>) -> Header {
        match message {
            Message::Text(text) => Header::new(opcode::TEXT, text.len()),
            Message::Binary(bytes) => Header::new(opcode::BINARY, bytes.len()),
        }
    }

    fn new(opcode: u8, payload: usize) -> Header {
        let mut bytes = [0; HEADER];
        bytes[0] = FINAL | opcode;
        let len = match payload {
            0..=125 => {
                bytes[1] = payload as u8;
                2
            }
            126..=0xffff => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&(payload as u64).to_be_bytes());
                HEADER
            }
        };
        Header { bytes, len }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Encodes a message as one frame.
pub(super) fn message_frame(message: Message<'_>) -> Bytes {
    [Header::of(message).as_slice(), message.payload()].concat().into()
}

/// Encodes a control frame. A payload has at most 125 bytes.
pub(super) fn control_frame(opcode: u8, payload: &[u8]) -> Bytes {
    [Header::new(opcode, payload.len()).as_slice(), payload].concat().into()
}

/// Encodes a close frame with a code and a reason of at most 123 bytes.
pub(super) fn close_frame(code: u16, reason: &str) -> Bytes {
    control_frame(opcode::CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}
