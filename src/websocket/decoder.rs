//! The bytes of a client as messages and control frames (RFC 6455, sections 5 and 8.1).
//!
//! Payload is unmasked into the buffer of its message as it arrives. So memory grows with the bytes
//! that have come, and a length that a header announces allocates nothing. A header and a control
//! frame wait in the loop's own input block until they are complete: at most 131 bytes.
//!
//! This is not left to a library. tungstenite 0.30 allocates the announced length of a frame and
//! keeps that memory, so its input had to be cut into frames of a third of a kilobyte, each with a
//! header of its own. It also brings 12 crates more, which the server's half of it does not need, such
//! as random numbers for masks. Measured with it and without it (x86-64, rustc 1.95):
//!
//! | | with tungstenite | without |
//! |---|---|---|
//! | crates with the feature `websocket` | 35 | 22 |
//! | bytes of a socket at rest | 2,060 | 950 |
//! | instructions for an echo of 20 B of text, of 1,000 B | 2,380, 10,212 | 1,134, 2,100 |
//! | the same for a ping, for three fragments of 10 B | 2,429, 6,615 | 1,209, 2,960 |
//! | bytes of the example `websocket`, stripped | 876,056 | 835,976 |
//!
//! `benches/websocket_cost.rs` counts the instructions. `tests/it/websocket/differential.rs` compares
//! the module with tungstenite.

use std::mem;
use std::str;

use crate::websocket::frames::{code, opcode};

/// The most bytes of the payload of a control frame (RFC 6455, section 5.5).
const CONTROL_MAX: u64 = 125;

/// Reads frames, and puts messages together. After an error, it is not to be used any more.
#[derive(Debug)]
pub(super) struct Decoder {
    message_bytes_max: usize,
    /// The frame of a message whose payload is arriving.
    frame: Option<Frame>,
    /// Whether the message that has begun is text. Without it, none has begun.
    is_text: Option<bool>,
    /// The payload of that message so far.
    bytes: Vec<u8>,
    /// The number of those bytes that are known to be whole characters.
    checked: usize,
}

/// A step through the bytes of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The number of these bytes.
    pub(super) used: usize,
    /// Whether they are the end of a frame.
    pub(super) ends_frame: bool,
    pub(super) event: Event,
}

/// The meaning of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A part of a message, which goes on.
    Part,
    /// A message, or the last part of one.
    Text(String),
    /// The same for a message of bytes.
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    /// A close frame, and the code and the reason in it.
    Close(Option<(u16, String)>),
}

impl Decoder {
    pub(super) fn new(message_bytes_max: usize) -> Decoder {
        Decoder { message_bytes_max, frame: None, is_text: None, bytes: Vec::new(), checked: 0 }
    }

    /// Returns the next step, if enough of it has come.
    ///
    /// # Errors
    ///
    /// The close code, if the input breaks the protocol, or a message is too long.
    pub(super) fn next(&mut self, input: &[u8]) -> Result<Option<Step>, u16> {
        if let Some(frame) = self.frame.take() {
            return self.part(frame, input, 0);
        }
        let Some((header, size)) = Header::parse(input)? else { return Ok(None) };
        let frame = self.admit(&header)?;
        let payload = &input[size..];
        if header.is_control() {
            return match payload.get(..frame.left) {
                None => Ok(None),
                Some(payload) => {
                    let event = control(header.opcode, unmasked(payload, frame.mask))?;
                    Ok(Some(Step { used: size + payload.len(), ends_frame: true, event }))
                }
            };
        }
        self.is_text.get_or_insert(header.opcode == opcode::TEXT);
        self.part(frame, payload, size)
    }

    /// Whether a message has begun and is not complete.
    pub(super) fn has_begun(&self) -> bool {
        self.is_text.is_some()
    }

    /// Returns the bytes of memory of the message that has begun.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Checks a header against the frames before it.
    fn admit(&self, header: &Header) -> Result<Frame, u16> {
        let is_in_order = match header.opcode {
            opcode::CONTINUATION => self.has_begun(),
            opcode::TEXT | opcode::BINARY => !self.has_begun(),
            _ => true,
        };
        if !is_in_order {
            return Err(code::PROTOCOL);
        }
        let most = self.message_bytes_max - self.bytes.len();
        match usize::try_from(header.len) {
            Ok(left) if left <= most || header.is_control() => {
                Ok(Frame { left, mask: header.mask, is_final: header.is_final })
            }
            _ => Err(code::TOO_BIG),
        }
    }

    /// Takes the payload of a frame of a message from `input`, after a header of this size.
    fn part(&mut self, mut frame: Frame, input: &[u8], header: usize) -> Result<Option<Step>, u16> {
        let payload = &input[..input.len().min(frame.left)];
        let used = header + payload.len();
        self.append(payload, &frame)?;
        frame.left -= payload.len();
        frame.mask.rotate_left(payload.len() % 4);
        let ends_frame = frame.left == 0;
        let event = match ends_frame && frame.is_final {
            true => self.end()?,
            false => self.check_text().map(|()| Event::Part)?,
        };
        if !ends_frame {
            self.frame = Some(frame);
        }
        Ok((used > 0).then_some(Step { used, ends_frame, event }))
    }

    /// Appends payload to the message. Its buffer grows by doubling, but not beyond the longest
    /// message that can still come. Without memory for it, the message is too long.
    fn append(&mut self, payload: &[u8], frame: &Frame) -> Result<(), u16> {
        let begin = self.bytes.len();
        let needed = begin + payload.len();
        if needed > self.bytes.capacity() {
            let most = if frame.is_final { begin + frame.left } else { self.message_bytes_max };
            let wanted = self.bytes.capacity().saturating_mul(2).min(most).max(needed);
            self.bytes.try_reserve_exact(wanted - begin).map_err(|_| code::TOO_BIG)?;
        }
        self.bytes.extend_from_slice(payload);
        unmask(&mut self.bytes[begin..], frame.mask);
        Ok(())
    }

    /// Refuses text as soon as it cannot become UTF-8 any more.
    fn check_text(&mut self) -> Result<(), u16> {
        if self.is_text != Some(true) {
            return Ok(());
        }
        match str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(code::NO_TEXT),
        }
        Ok(())
    }

    /// Completes the message.
    fn end(&mut self) -> Result<Event, u16> {
        let bytes = mem::take(&mut self.bytes);
        self.checked = 0;
        match self.is_text.take() {
            Some(true) => String::from_utf8(bytes).map(Event::Text).map_err(|_| code::NO_TEXT),
            _ => Ok(Event::Binary(bytes)),
        }
    }
}

/// The rest of a frame whose header was read.
#[derive(Debug)]
struct Frame {
    left: usize,
    /// The mask, from the next byte of the payload on.
    mask: [u8; 4],
    is_final: bool,
}

struct Header {
    is_final: bool,
    opcode: u8,
    len: u64,
    mask: [u8; 4],
}

impl Header {
    /// Returns the header at the beginning of `input` and its size, if all of it has come.
    fn parse(input: &[u8]) -> Result<Option<(Header, usize)>, u16> {
        let &[first, second, ref rest @ ..] = input else { return Ok(None) };
        let (len, least, size) = match second & 0x7f {
            126 => (rest.first_chunk().map(|&len| u16::from_be_bytes(len).into()), 126, 2),
            127 => (rest.first_chunk().map(|&len| u64::from_be_bytes(len)), 1 << 16, 8),
            len => (Some(len.into()), 0, 0),
        };
        let (is_final, has_reserved) = (first & 0x80 != 0, first & 0x70 != 0);
        let header =
            Header { is_final, opcode: first & 0x0f, len: len.unwrap_or(least), mask: [0; 4] };
        let is_masked = second & 0x80 != 0;
        // The length has its shortest form (section 5.2), and its highest bit is not set.
        let has_length = header.len >= least && header.len >> 63 == 0;
        if has_reserved || !is_masked || !has_length || !header.is_known() {
            return Err(code::PROTOCOL);
        }
        let mask = rest.get(size..).and_then(<[u8]>::first_chunk);
        Ok(mask.map(|&mask| (Header { mask, ..header }, 2 + size + mask.len())))
    }

    fn is_control(&self) -> bool {
        self.opcode >= opcode::CLOSE
    }

    /// Whether the opcode is known. A control frame is short and whole (section 5.5).
    fn is_known(&self) -> bool {
        match self.opcode {
            opcode::CONTINUATION | opcode::TEXT | opcode::BINARY => true,
            opcode::CLOSE | opcode::PING | opcode::PONG => self.is_final && self.len <= CONTROL_MAX,
            _ => false,
        }
    }
}

fn control(opcode: u8, payload: Vec<u8>) -> Result<Event, u16> {
    match opcode {
        opcode::PING => Ok(Event::Ping(payload)),
        opcode::PONG => Ok(Event::Pong),
        _ => close(&payload).map(Event::Close),
    }
}

/// Returns the code and the reason in a close frame (sections 5.5.1 and 7.4).
fn close(payload: &[u8]) -> Result<Option<(u16, String)>, u16> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(code::PROTOCOL),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !code::may_be_sent(code) {
        return Err(code::PROTOCOL);
    }
    match str::from_utf8(reason) {
        Ok(reason) => Ok(Some((code, reason.to_owned()))),
        Err(_) => Err(code::NO_TEXT),
    }
}

fn unmasked(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    unmask(&mut bytes, mask);
    bytes
}

/// Removes the mask (section 5.3): eight bytes at once, which the compiler turns into more.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(eight) ^ wide).to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            len @ 0..=125 => bytes.push(0x80 | len as u8),
            len => {
                bytes.push(0x80 | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// The events of input that comes in these pieces, as the loop passes them on, and the close code
    /// of its end.
    fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, Option<u16>) {
        let (mut decoder, mut waiting, mut events) = (Decoder::new(1000), Vec::new(), Vec::new());
        for piece in pieces {
            waiting.extend_from_slice(piece);
            loop {
                match decoder.next(&waiting) {
                    Ok(Some(step)) => {
                        assert!(step.used > 0 && decoder.memory() <= 1000);
                        waiting.drain(..step.used);
                        events.extend(Some(step.event).filter(|event| *event != Event::Part));
                    }
                    Ok(None) => break,
                    Err(code) => return (events, Some(code)),
                }
            }
            assert!(waiting.len() <= 131, "only a header or a control frame waits");
        }
        (events, None)
    }

    fn conversation() -> Vec<u8> {
        [
            frame(0x81, "gr\u{fc}\u{df}e".as_bytes()),
            frame(0x01, b"a\xe2\x82"),
            frame(0x89, &[b'p'; 125]),
            frame(0x00, b""),
            frame(0x80, b"\xacb"),
            frame(0x82, &[7; 300]),
            frame(0x8a, b""),
            frame(0x88, b"\x0b\xb8bye"),
        ]
        .concat()
    }

    #[test]
    fn input_means_the_same_wherever_it_is_cut() {
        let input = conversation();
        let whole = events([&input[..]]);
        let expected = vec![
            Event::Text("gr\u{fc}\u{df}e".into()),
            Event::Ping(vec![b'p'; 125]),
            Event::Text("a\u{20ac}b".into()),
            Event::Binary(vec![7; 300]),
            Event::Pong,
            Event::Close(Some((3000, "bye".into()))),
        ];
        assert_eq!(whole, (expected, None));
        assert_eq!(events(input.chunks(1)), whole);
        for cut in 0..=input.len() {
            let (one, rest) = input.split_at(cut);
            assert_eq!(events([one, rest]), whole, "{cut}");
        }
    }

    #[test]
    fn a_fault_has_the_same_code_wherever_the_input_is_cut() {
        let begun = frame(0x01, b"a");
        for (input, code) in [
            (b"\x81\x01a".to_vec(), code::PROTOCOL),
            (frame(0xc1, b"a"), code::PROTOCOL),
            (frame(0x83, b"a"), code::PROTOCOL),
            (frame(0x8b, b"a"), code::PROTOCOL),
            (frame(0x09, b"a"), code::PROTOCOL),
            (frame(0x89, &[0; 126]), code::PROTOCOL),
            (frame(0x80, b"a"), code::PROTOCOL),
            ([&begun[..], &begun].concat(), code::PROTOCOL),
            (b"\x82\xfe\x00\x7d\0\0\0\0".to_vec(), code::PROTOCOL),
            (b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0".to_vec(), code::PROTOCOL),
            (b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec(), code::PROTOCOL),
            (frame(0x88, b"a"), code::PROTOCOL),
            (frame(0x88, b"\x03\xed"), code::PROTOCOL),
            (frame(0x88, b"\x03\xe8\xff"), code::NO_TEXT),
            (frame(0x81, b"\xff"), code::NO_TEXT),
            (frame(0x81, b"\xe2\x82"), code::NO_TEXT),
            ([&begun[..], &frame(0x00, b"\xff")].concat(), code::NO_TEXT),
            (frame(0x82, &[0; 1001]), code::TOO_BIG),
            (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".to_vec(), code::TOO_BIG),
            ([&begun[..], &frame(0x80, &[b'a'; 1000])].concat(), code::TOO_BIG),
        ] {
            for cut in 0..=input.len() {
                let (one, rest) = input.split_at(cut);
                assert_eq!(events([one, rest]).1, Some(code), "{}", input.escape_ascii());
            }
        }
    }

    #[test]
    fn text_is_refused_at_its_first_wrong_byte() {
        let mut decoder = Decoder::new(1000);
        let input = frame(0x01, b"ab\xe2\x28 and much more");
        assert_eq!(decoder.next(&input[..9]).unwrap().unwrap().used, 9);
        assert_eq!(decoder.next(&input[9..10]), Err(code::NO_TEXT));
    }

    #[test]
    fn memory_grows_with_the_bytes_that_have_come_and_not_beyond_the_message() {
        let mut decoder = Decoder::new(60_000);
        let input = frame(0x82, &[1; 50_000]);
        for (n, piece) in input.chunks(500).enumerate() {
            let memory = decoder.memory();
            assert!(memory <= 50_000 && memory <= 2 * 500 * n, "{memory} after {n}");
            decoder.next(piece).unwrap().unwrap();
        }
        assert_eq!((decoder.memory(), decoder.has_begun()), (0, false));
    }

    #[test]
    fn every_byte_is_unmasked_wherever_it_lies() {
        for len in 0..40 {
            let plain: Vec<u8> = (0..len).collect();
            let masked: Vec<u8> =
                plain.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            assert_eq!(unmasked(&masked, MASK), plain);
        }
    }
}
