//! Field lines on their way out (RFC 9110, section 5): checked when they are set, and kept ready to
//! be sent. Responses, informational responses and trailer sections hold their fields in this way.

pub(crate) use crate::error::FieldError;
use crate::message::fields::{is_token, is_value_byte, trim_ows};

/// The most bytes of field lines in one response. Clients and proxies in use accept about as many:
/// curl 300 KiB, nginx as a client 4 to 64 KiB.
pub(crate) const RESPONSE_FIELD_BYTES_MAX: usize = 60 * 1024;

/// The most bytes of a trailer section, in both directions.
pub(crate) const TRAILER_BYTES_MAX: usize = 4 << 10;

/// Field lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldLines {
    /// Each `Name: value\r\n`.
    pub(crate) bytes: Vec<u8>,
}

impl FieldLines {
    /// Adds a line of a checked name and value, unless more than `bytes_max` bytes of lines would
    /// result.
    pub(crate) fn append(
        &mut self,
        name: &str,
        value: &[u8],
        bytes_max: usize,
    ) -> Result<(), FieldError> {
        if self.bytes.len() + line_len(name, value) > bytes_max {
            return Err(FieldError::TooLarge { name: name.to_owned() });
        }
        self.push(name, value);
        Ok(())
    }

    /// Puts a line of a checked name and value in place of the first line of that name and removes
    /// the others, unless more than `bytes_max` bytes of lines would result.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: &[u8],
        bytes_max: usize,
    ) -> Result<(), FieldError> {
        let others: usize =
            lines(&self.bytes).filter(|line| !is_named(line, name)).map(<[u8]>::len).sum();
        if others + line_len(name, value) > bytes_max {
            return Err(FieldError::TooLarge { name: name.to_owned() });
        }
        let after = self.remove(name).map(|place| self.bytes.split_off(place));
        self.push(name, value);
        self.bytes.extend_from_slice(&after.unwrap_or_default());
        Ok(())
    }

    /// Removes all lines of that name and returns the place of the first, if there was one.
    pub(crate) fn remove(&mut self, name: &str) -> Option<usize> {
        let before = lines(&self.bytes).take_while(|line| !is_named(line, name));
        let place = before.map(<[u8]>::len).sum();
        if place == self.bytes.len() {
            return None;
        }
        let rest = self.bytes.split_off(place);
        for line in lines(&rest).filter(|line| !is_named(line, name)) {
            self.bytes.extend_from_slice(line);
        }
        Some(place)
    }

    /// Adds a line without a bound. The name and the value are known to be good.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        self.bytes.reserve(line_len(name, value));
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.bytes.extend_from_slice(part);
        }
    }
}

/// Returns the length of a line on the wire, with its colon, space, CR and LF.
pub(crate) fn line_len(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + 4
}

/// Returns each line with its CR and LF.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

fn is_named(line: &[u8], name: &str) -> bool {
    let found = line.get(..name.len()).filter(|_| line.get(name.len()) == Some(&b':'));
    found.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
}

/// The fields for the end and the time of a message, which only the server knows.
const RESERVED: [&str; 8] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks that a name is a token, and not that of a field which the server sets itself.
pub(crate) fn check_name(name: &str) -> Result<(), FieldError> {
    if !is_token(name.as_bytes()) {
        return Err(FieldError::Name { name: name.to_owned() });
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(FieldError::Reserved { name: name.to_owned() });
    }
    Ok(())
}

/// Checks the value of the field `name` and returns it without the white space around it.
pub(crate) fn check_value<'v>(name: &str, value: &'v [u8]) -> Result<&'v [u8], FieldError> {
    if value.iter().all(|&byte| is_value_byte(byte)) {
        return Ok(trim_ows(value));
    }
    Err(FieldError::Value { name: name.to_owned() })
}
