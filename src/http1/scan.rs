//! The syntax of a head, byte by byte (RFC 9112, sections 2 to 5): finds the first malformed byte.
//!
//! Only heads that [`Head::parse`](super::Head::parse) cannot accept in one pass come here: heads
//! that arrive in pieces, so that each byte is read once however small the pieces are, and
//! malformed heads, so that the *first* wrong byte decides. A refusal therefore does not depend on
//! how the head was cut into segments.

use crate::http1::field_scan::FieldPlace;
use crate::http1::{HeadLimits, Reject};
use crate::message::fields::is_token_byte;

/// The longest method that is accepted: nearly twice the longest registered one
/// (`UPDATEREDIRECTREF`, 17 bytes).
pub(crate) const METHOD_BYTES_MAX: usize = 32;

/// The progress of a scan. Invariant: the bytes before `at` are well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    at: u16,
    /// The start of the method or the target.
    mark: u16,
    fields: u16,
    place: Place,
}

/// The part of a head that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The first byte: one empty line may come before a request (RFC 9112, section 2.2).
    Start,
    StartLf,
    MethodStart,
    Method,
    TargetStart,
    Target,
    /// The n-th byte of `HTTP/` DIGIT `.` DIGIT, and whether the major version is 1.
    Version(u8, bool),
    VersionCr(bool),
    RequestLf,
    Fields(FieldPlace),
}

impl Scan {
    pub(crate) fn new() -> Scan {
        Scan { at: 0, mark: 0, fields: 0, place: Place::Start }
    }

    pub(crate) fn is_new(&self) -> bool {
        self.at == 0
    }

    /// Reads the new bytes of `head` and returns whether the head is complete. `head` begins with
    /// the first byte of the head at every call; bytes after the head are not read.
    pub(crate) fn advance(&mut self, head: &[u8], limits: &HeadLimits) -> Result<bool, Reject> {
        while self.place != Place::Fields(FieldPlace::Done) {
            if usize::from(self.at) == limits.head_bytes_max {
                return Err(Reject::HeadTooLarge);
            }
            let Some(&byte) = head.get(usize::from(self.at)) else { return Ok(false) };
            self.place = self.step(byte, limits)?;
            self.at += 1;
        }
        Ok(true)
    }

    /// Returns whether anything but the empty line before a request has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.place, Place::Start | Place::StartLf | Place::MethodStart)
    }

    /// Returns the length of the head in bytes, once it is complete.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.at)
    }

    fn step(&mut self, byte: u8, limits: &HeadLimits) -> Result<Place, Reject> {
        let since_mark = usize::from(self.at - self.mark);
        match self.place {
            Place::Start if byte == b'\r' => Ok(Place::StartLf),
            Place::StartLf if byte == b'\n' => Ok(Place::MethodStart),
            Place::Start | Place::MethodStart if is_token_byte(byte) => {
                self.mark = self.at;
                Ok(Place::Method)
            }
            Place::Method if byte == b' ' => {
                self.mark = self.at + 1;
                Ok(Place::TargetStart)
            }
            Place::Method if !is_token_byte(byte) => Err(Reject::RequestLine),
            Place::Method if since_mark >= METHOD_BYTES_MAX => Err(Reject::MethodTooLong),
            Place::Method => Ok(Place::Method),
            Place::Target if byte == b' ' => Ok(Place::Version(0, false)),
            Place::TargetStart | Place::Target if !byte.is_ascii_graphic() => {
                Err(Reject::RequestLine)
            }
            Place::TargetStart | Place::Target if since_mark >= limits.target_bytes_max => {
                Err(Reject::TargetTooLong)
            }
            Place::TargetStart | Place::Target => Ok(Place::Target),
            Place::Version(n, is_one) => match (n, byte) {
                (0..=4, _) if byte == b"HTTP/"[usize::from(n)] => Ok(Place::Version(n + 1, is_one)),
                (5, b'0'..=b'9') => Ok(Place::Version(6, byte == b'1')),
                (6, b'.') => Ok(Place::Version(7, is_one)),
                (7, b'0'..=b'9') => Ok(Place::VersionCr(is_one)),
                _ => Err(Reject::RequestLine),
            },
            Place::VersionCr(true) if byte == b'\r' => Ok(Place::RequestLf),
            Place::VersionCr(false) if byte == b'\r' => Err(Reject::Version),
            Place::RequestLf if byte == b'\n' => Ok(Place::Fields(FieldPlace::LineStart)),
            Place::Fields(place) => self.step_fields(place, byte, limits),
            Place::Start
            | Place::StartLf
            | Place::MethodStart
            | Place::VersionCr(_)
            | Place::RequestLf => Err(Reject::RequestLine),
        }
    }

    fn step_fields(
        &mut self,
        place: FieldPlace,
        byte: u8,
        limits: &HeadLimits,
    ) -> Result<Place, Reject> {
        let next = place.step(byte).ok_or(Reject::FieldLine)?;
        if place == FieldPlace::LineStart && next == FieldPlace::Name {
            self.fields += 1;
            if usize::from(self.fields) > limits.fields_max {
                return Err(Reject::TooManyFields);
            }
        }
        Ok(Place::Fields(next))
    }
}
