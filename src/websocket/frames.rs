//! Input cut into frames so small that the state machine need not hold any of them, and frames to
//! be sent.
//!
//! tungstenite allocates the announced length of a frame before the frame has come, and keeps that
//! memory. So it gets no long frames: one that is longer than [`PIECE`] is passed on as a
//! fragmented message of the same meaning, piece by piece as it arrives. A shorter one waits in the
//! loop's own input block, which the budget counts, until it is whole.

use std::io::{self, Cursor, Read, Write};

use bytes::Bytes;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::FrameHeader;

use crate::websocket::message::Message;

/// The longest header: two bytes, a length of eight, a mask of four.
const HEADER: usize = 14;
/// The number of bytes that the state machine reads at once, and the most that it keeps.
pub(super) const READ: usize = 1024;
/// The longest payload that the state machine gets. It reserves room for a payload after the bytes
/// that it has already read of it. With a third of the buffer, wherever that lies in it, the buffer
/// never has to grow.
const PIECE: usize = READ / 3 - HEADER;

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
    pub(crate) const BAD_GATEWAY: u16 = 1014;
}

/// Cuts the client's input into pieces.
#[derive(Debug)]
pub(super) struct Cutter {
    frame_bytes_max: usize,
    rest: Option<Rest>,
}

/// The rest of a frame that is passed on in pieces.
#[derive(Debug)]
struct Rest {
    left: u64,
    header: FrameHeader,
}

/// A whole frame of at most [`READ`] bytes, and the number of bytes of the input that it was made
/// from.
pub(super) struct Piece<'a> {
    header: Cursor<([u8; HEADER], usize)>,
    payload: &'a [u8],
    pub(super) used: usize,
    /// The number of bytes that it adds to a message. A control frame belongs to none.
    pub(super) adds: Option<usize>,
    /// The reason, if it is a close frame with [`code::BAD_GATEWAY`].
    pub(super) bad_gateway: Option<String>,
}

impl Cutter {
    pub(super) fn new(frame_bytes_max: usize) -> Cutter {
        Cutter { frame_bytes_max, rest: None }
    }

    /// Whether the last piece was the end of a frame of the client.
    pub(super) fn is_between_frames(&self) -> bool {
        self.rest.is_none()
    }

    /// Returns the next piece, if enough of it has come.
    ///
    /// # Errors
    ///
    /// The close code, if the input is not a frame, or its frame is too long.
    pub(super) fn next<'a>(&mut self, input: &'a [u8]) -> Result<Option<Piece<'a>>, u16> {
        if self.rest.is_some() {
            return Ok(self.next_of_rest(input, 0));
        }
        let mut cursor = Cursor::new(input);
        let header = FrameHeader::parse(&mut cursor).map_err(|_| code::PROTOCOL)?;
        let Some((header, len)) = header else { return Ok(None) };
        let begin = cursor.position() as usize;
        let is_control = matches!(header.opcode, OpCode::Control(_));
        let is_shortest = header.len(len) == begin;
        if is_control && (len > 125 || !header.is_final) || header.mask.is_none() || !is_shortest {
            return Err(code::PROTOCOL);
        }
        if len > self.frame_bytes_max as u64 && !is_control {
            return Err(code::TOO_BIG);
        }
        let come = input.len() - begin;
        if len <= PIECE as u64 {
            let len = len as usize;
            let is_whole = come >= len;
            return Ok(
                is_whole.then(|| Piece::new(&header, &input[begin..begin + len], begin + len))
            );
        }
        if come == 0 {
            return Ok(None);
        }
        self.rest = Some(Rest { left: len, header });
        Ok(self.next_of_rest(&input[begin..], begin))
    }

    /// Returns the next piece of a long frame from `input`. `before` bytes before it are used with
    /// it.
    fn next_of_rest<'a>(&mut self, input: &'a [u8], before: usize) -> Option<Piece<'a>> {
        let rest = self.rest.as_mut()?;
        if input.is_empty() {
            return None;
        }
        let len = input.len().min(PIECE).min(rest.left.try_into().unwrap_or(PIECE));
        rest.left -= len as u64;
        let is_last = rest.left == 0;
        let header =
            FrameHeader { is_final: rest.header.is_final && is_last, ..rest.header.clone() };
        rest.header.opcode = OpCode::Data(Data::Continue);
        if let Some(mask) = &mut rest.header.mask {
            mask.rotate_left(len % 4);
        }
        if is_last {
            self.rest = None;
        }
        Some(Piece::new(&header, &input[..len], before + len))
    }
}

impl<'a> Piece<'a> {
    fn new(header: &FrameHeader, payload: &'a [u8], used: usize) -> Piece<'a> {
        let mut bytes = [0; HEADER];
        let mut rest = &mut bytes[..];
        // There is room for every header.
        let _ = header.format(payload.len() as u64, &mut rest);
        let len = HEADER - rest.len();
        let adds = match header.opcode {
            OpCode::Data(_) => Some(payload.len()),
            OpCode::Control(_) => None,
        };
        let bad_gateway = bad_gateway(header, payload);
        Piece { header: Cursor::new((bytes, len)), payload, used, adds, bad_gateway }
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let (bytes, len) = self.header.get_ref();
        let mut header = &bytes[self.header.position() as usize..*len];
        let of_header = header.read(buffer).unwrap_or(0);
        self.header.set_position(self.header.position() + of_header as u64);
        of_header + self.payload.read(&mut buffer[of_header..]).unwrap_or(0)
    }
}

/// Returns the reason in a close frame without a fault, if its code is [`code::BAD_GATEWAY`].
fn bad_gateway(header: &FrameHeader, payload: &[u8]) -> Option<String> {
    if header.opcode != OpCode::Control(Control::Close) || header.rsv1 || header.rsv2 || header.rsv3
    {
        return None;
    }
    let mask = header.mask?;
    let payload: Vec<u8> =
        payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let reason = payload.strip_prefix(&code::BAD_GATEWAY.to_be_bytes())?;
    String::from_utf8(reason.to_vec()).ok()
}

/// The stream of the state machine: a piece to read, and room for the frames that it sends itself.
pub(super) struct Wire<'a> {
    pub(super) piece: Option<Piece<'a>>,
    pub(super) responses: Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.piece.as_mut().map_or(0, |piece| piece.read(buffer)) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.responses.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Encodes a message as one frame.
pub(super) fn message_frame(message: Message<'_>) -> Bytes {
    match message {
        Message::Text(text) => frame(OpCode::Data(Data::Text), text.as_bytes()),
        Message::Binary(bytes) => frame(OpCode::Data(Data::Binary), bytes),
    }
}

/// Encodes a ping without payload.
pub(super) fn ping_frame() -> Bytes {
    frame(OpCode::Control(Control::Ping), b"")
}

fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    // Writing to a vector does not fail.
    let _ = header.format(payload.len() as u64, &mut bytes);
    bytes.extend_from_slice(payload);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(piece: &mut Piece<'_>) -> Vec<u8> {
        let mut bytes = vec![0; 2 * READ];
        let len = piece.read(&mut bytes);
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn a_short_frame_is_returned_only_when_it_is_complete() {
        let input = b"\x81\x83\x01\x02\x03\x04abc and more";
        for cut in 0..9 {
            assert!(Cutter::new(100).next(&input[..cut]).unwrap().is_none());
        }
        let mut piece = Cutter::new(100).next(input).unwrap().unwrap();
        assert_eq!((piece.used, all(&mut piece)), (9, input[..9].to_vec()));
    }

    #[test]
    fn a_long_frame_is_returned_in_fragments_with_a_rotated_mask() {
        let header = b"\x82\xfe\x07\xd0\x01\x02\x03\x04";
        let mut cutter = Cutter::new(5000);
        assert!(cutter.next(header).unwrap().is_none());
        let input = [&header[..], b"abcde"].concat();
        let mut piece = cutter.next(&input).unwrap().unwrap();
        assert_eq!((piece.used, all(&mut piece)), (13, b"\x02\x85\x01\x02\x03\x04abcde".to_vec()));
        assert!(cutter.next(b"").unwrap().is_none());
        let mut piece = cutter.next(b"f").unwrap().unwrap();
        assert_eq!((piece.used, all(&mut piece)), (1, b"\x00\x81\x02\x03\x04\x01f".to_vec()));
        let rest = vec![b'x'; 3000];
        assert_eq!(cutter.next(&rest).unwrap().unwrap().used, PIECE);
        let mut piece = cutter.next(&rest).unwrap().unwrap();
        assert_eq!((piece.used, all(&mut piece)[0]), (PIECE, 0x00));
        let mut used = 6 + 2 * PIECE;
        while used < 2000 {
            piece = cutter.next(&rest).unwrap().unwrap();
            used += piece.used;
        }
        assert_eq!((used, all(&mut piece)[0]), (2000, 0x80), "the last of them is final");
        assert!(cutter.next(&rest).is_err(), "a header follows");
    }

    #[test]
    fn a_malformed_frame_is_refused_at_its_header() {
        for (header, expected) in [
            (&b"\x81\x01"[..], code::PROTOCOL),
            (b"\x83\x80\0\0\0\0", code::PROTOCOL),
            (b"\x89\xfe\x00\x7e\0\0\0\0", code::PROTOCOL),
            (b"\x09\x80\0\0\0\0", code::PROTOCOL),
            (b"\x82\xe5\0\0\0\0", code::TOO_BIG),
            (b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", code::TOO_BIG),
        ] {
            assert_eq!(Cutter::new(100).next(header).err(), Some(expected), "{header:x?}");
        }
    }
}
