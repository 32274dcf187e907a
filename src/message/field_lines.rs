//! Field lines on their way out (RFC 9110, section 5): checked when they are set, kept ready for
//! the wire. Responses, informational responses and trailer sections all hold their fields this way.

use std::fmt;

use crate::message::fields::{is_token, is_value_byte, trim_ows};

/// The most bytes of field lines that one response may carry: what clients and proxies in the
/// field accept (curl 300 KiB, nginx as a client 4 to 64 KiB).
pub const RESPONSE_FIELD_BYTES_MAX: usize = 60 * 1024;

/// The most bytes of a trailer section, in both directions: what is sent is no more than what
/// would be taken.
pub const TRAILER_BYTES_MAX: usize = 4 << 10;

/// Field lines, and the first field that could not be set.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldLines {
    /// Each `Name: value\r\n`.
    pub(crate) bytes: Vec<u8>,
    /// Set by the builder methods, which return no error. The sender of the lines handles it.
    pub(crate) fault: Option<FieldError>,
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

    /// Adds a line without a bound. The name and the value are known to be good.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        self.bytes.reserve(line_len(name, value));
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.bytes.extend_from_slice(part);
        }
    }

    /// Remembers `fault`, unless there was one before.
    pub(crate) fn keep_fault(&mut self, fault: FieldError) {
        self.fault.get_or_insert(fault);
    }
}

/// The length of a line on the wire, with its colon, space, CR and LF.
pub(crate) fn line_len(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + 4
}

/// Why a response field was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is empty or has a byte that no token has.
    Name {
        /// The name as given.
        name: String,
    },
    /// The value has a control byte, such as the CR or LF that would split the response, or is that
    /// of `Content-Type` and not UTF-8.
    Value {
        /// The name of the field.
        name: String,
    },
    /// The server sets this field itself: use a [`Body`](crate::Body) for the length and
    /// [`Response::and_close`](crate::Response::and_close) for closing.
    Reserved {
        /// The name as given.
        name: String,
    },
    /// The field may not stand in a trailer section: framing, routing, authentication and the
    /// description of the content must be known before the content. Set the field on the
    /// [`Response`](crate::Response).
    NoTrailer {
        /// The name as given.
        name: String,
    },
    /// More than [`RESPONSE_FIELD_BYTES_MAX`] bytes of field lines, or
    /// [`TRAILER_BYTES_MAX`] of trailer fields.
    TooLarge {
        /// The field that did not fit.
        name: String,
    },
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldError::Name { name } => {
                write!(f, "{name:?} is not a field name: use letters, digits and hyphens")
            }
            FieldError::Value { name } => {
                let what = "has a control byte, or is a media type and not UTF-8";
                write!(f, "the value of field {name:?} {what}: remove or encode it")
            }
            FieldError::Reserved { name } => write!(
                f,
                "field {name:?} is set by the server: leave it out (a Body decides the length, \
                 `and_close` closes)"
            ),
            FieldError::NoTrailer { name } => write!(
                f,
                "field {name:?} may not stand in a trailer section: set it on the Response"
            ),
            FieldError::TooLarge { name } => write!(
                f,
                "field {name:?} does not fit into {RESPONSE_FIELD_BYTES_MAX} bytes of fields, or \
                 {TRAILER_BYTES_MAX} of trailer fields"
            ),
        }
    }
}

impl std::error::Error for FieldError {}

/// Fields that say where a message ends or when it was made. Only the server knows that.
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

/// Checks a name: a token, and not of a field that the server sets itself.
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
